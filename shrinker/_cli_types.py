"""Arguments of commands that click has no type for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Number"]

_POWER = re.compile(r"(-?)(\d{1,3})(?:\*\*|\^)(\d{1,3})(?:([+-])(\d+|0x[0-9a-f]+))?", re.I)


class Number(click.ParamType):
    """An integer from ``low`` to ``high``, in the ways in which large ones are written.

    Decimal, 0x hexadecimal, with ``_`` or ``,`` between digits, a power and what
    is added to it (``2**62-1``, ``2^62``), or one of ``names``.
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
            self.fail(f"{number} is not {self._low} to {self._high}", param, ctx)
        return number

    def _parse(self, value: str) -> int | None:
        text = value.strip().replace(",", "").replace(" ", "")
        if text.upper() in self._names:
            return self._names[text.upper()]
        if power := _POWER.fullmatch(text):
            minus, base, exponent, sign, more = power.groups()
            number = int(base) ** int(exponent) * (-1 if minus else 1)
            if more:
                number += int(more, 0) * (-1 if sign == "-" else 1)
            return number
        try:
            return int(text, 10) if not text.lower().lstrip("-").startswith("0x") else int(
                text, 16
            )
        except ValueError:
            return None
