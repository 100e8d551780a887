"""Arguments of commands that click has no type for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Number"]

_TERM = re.compile(
    r"([+-]?)(0x[0-9a-f]{1,99}|[0-9]{1,99})(?:(?:\*\*|\^)([0-9]{1,3}))?", re.IGNORECASE
)


class Number(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """An integer from ``low`` to ``high``, in the ways in which large ones are written.

    Decimal or 0x hexadecimal, with ``_`` or ``,`` between digits, powers and sums
    of these (``2**62-1``, ``2^62``), or one of ``names``.
    """

    name = "number"

    def __init__(
        self, low: int, high: int, names: Mapping[str, int] | None = None
    ) -> None:
        self._low = low
        self._high = high
        self._names = dict(names or {})

    def convert(
        self,
        value: str | int,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Return the integer.  Fails as click's own types do."""
        number = value if isinstance(value, int) else self._parse(value)
        if number is None:
            names = "".join(f", {name}" for name in self._names)
            self.fail(
                f"{value!r} is not a number: try 4096, 0x1000, 2**62-1{names}",
                param,
                ctx,
            )
        if not self._low <= number <= self._high:
            self.fail(f"{value} is not {self._low} to {self._high}", param, ctx)
        return number

    def _parse(self, value: str) -> int | None:
        text = re.sub(r"[,_\s]", "", value)
        if text.upper() in self._names:
            return self._names[text.upper()]
        total, end = 0, 0
        while term := _TERM.match(text, end):
            sign, digits, exponent = term.groups()
            if end and not sign:
                return None
            # In base 10 unless it says 0x: a leading 0 is no octal number.
            number = int(digits, 16 if digits[1:2] in "xX" and digits[1:] else 10)
            total += number ** int(exponent or 1) * (-1 if sign == "-" else 1)
            end = term.end()
        return total if text and end == len(text) else None
