"""Numbers on the command line: integers as people write large ones, and real ones."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Number", "Real"]

# Separators stand between digits: one _, or a comma before each three.
_DIGITS = r"[0-9]{1,3}(?:,[0-9]{3}){1,32}|[0-9]{1,99}(?:_[0-9]{1,99}){0,32}"
_FACTOR = re.compile(
    rf"(0x[0-9a-f]{{1,99}}(?:_[0-9a-f]{{1,99}}){{0,32}}|{_DIGITS})"
    r"(?:(?:\*\*|\^)([0-9]{1,3})|e([0-9]{1,2})|([kmgt]))?",
    re.IGNORECASE,
)
_SIGNS = re.compile(r"[+-]?")
_MIN_POWER = 2**31
_POWERS = {"k": 3, "m": 6, "g": 9, "t": 12}


class Number(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """An integer from ``low`` to ``high``, which may be None for no limit.

    Decimal or 0x hexadecimal, with ``_`` or ``,`` between digits, also as ``10k``
    (thousands) or ``1e6``; powers, products and sums of these (``3*2**61``,
    ``2^62-1``), or one of ``names``.  With ``wraps``, a negative number stands for
    the unsigned one of 64 bits, as kernels print counts.
    """

    name = "number"

    def __init__(
        self,
        low: int,
        high: int | None = None,
        names: Mapping[str, int] | None = None,
        *,
        wraps: bool = False,
    ) -> None:
        self._low = low
        self._high = high
        self._names = dict(names or {})
        self._wraps = wraps

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
                f"{value!r} is not an integer: try 4096, 10k, 0x1000, 2**62-1{names}",
                param,
                ctx,
            )
        low, high = -(2**63) if self._wraps else self._low, self._high
        if high is None and number < low:
            self.fail(f"{value!r} is less than {_shown(low)}", param, ctx)
        if high is not None and not low <= number <= high:
            self.fail(
                f"{value!r} is outside {_shown(low)} to {_shown(high)}", param, ctx
            )
        return number + 2**64 if self._wraps and number < 0 else number

    def _parse(self, value: str) -> int | None:
        text = re.sub(r"\s", "", value)
        if text.upper() in self._names:
            return self._names[text.upper()]
        total, end = 0, 0
        while end < len(text) or not end:
            sign = _SIGNS.match(text, end)
            if sign is None or (end and not sign[0]):
                return None
            term, end = -1 if sign[0] == "-" else 1, sign.end()
            while factor := _FACTOR.match(text, end):
                term *= _value(*factor.groups())
                end = factor.end()
                if text[end : end + 1] != "*":
                    break
                end += 1
            if not factor:
                return None
            total += term
        return total


def _shown(limit: int) -> str:
    """Return a limit as it can be read, and given: 2**63-1, not its 19 digits."""
    size = abs(limit + (limit > 0))
    if size < _MIN_POWER or size & (size - 1):
        return f"{limit:,}"
    power = f"2**{size.bit_length() - 1}"
    return f"{power}-1" if limit > 0 else f"-{power}"


def _value(
    digits: str, exponent: str | None, decimal: str | None, suffix: str | None
) -> int:
    """Return the value of one factor."""
    # A leading 0 does not make it octal: base 10 unless it begins with 0x.
    base = 16 if digits[:2].lower() == "0x" else 10
    number = int(re.sub("[,_]", "", digits), base)
    if exponent is not None:
        return int(number ** int(exponent))
    zeros = _POWERS[suffix.lower()] if suffix else int(decimal or 0)
    return int(number * 10**zeros)


class Real(click.FloatRange):
    """A real number in a range: neither NaN, which is in every range, nor infinite."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number.  Fails as click's own types do."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number
