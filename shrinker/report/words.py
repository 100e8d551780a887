"""Numbers as people read them: at most six characters."""

from __future__ import annotations

__all__ = ["duration", "number", "of_many", "percent"]

_THOUSAND = 1000
_UNITS = ("", "k", "M", "G", "T", "P", "E")
_DIGITS = 3


def number(value: int) -> str:
    """Return a number of objects: 950, 12.3k, 4.6E."""
    size, unit = float(value), 0
    while abs(size) >= _THOUSAND and unit < len(_UNITS) - 1:
        size /= _THOUSAND
        unit += 1
    return f"{value}" if unit == 0 else f"{_short(size)}{_UNITS[unit]}"


def duration(nanoseconds: int | None) -> str:
    """Return a duration: 2 µs, 240 ms, 1.5 s; empty where it is not known."""
    if nanoseconds is None:
        return ""
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if nanoseconds >= size:
            return f"{_short(nanoseconds / size)} {unit}"
    return f"{nanoseconds} ns"


def of_many(count: int, word: str) -> str:
    """Return a number and its noun: 1 pass, 2,000 passes."""
    if count == 1:
        return f"1 {word}"
    return f"{count:,} {word}{'es' if word.endswith('s') else 's'}"


def percent(share: float | None) -> str:
    """Return a share in percent; empty where it is not known."""
    if share is None:
        return ""
    text = f"{_short(100 * share)} %" if share else "0 %"
    return ">99.9 %" if share < 1 and text == "100 %" else text


def _short(value: float) -> str:
    """Return three digits, without a point that nothing follows."""
    before = len(str(int(abs(value))))
    text = f"{value:.{max(_DIGITS - before, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
