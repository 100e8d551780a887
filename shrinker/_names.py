"""Names as people read them: on one line, and not too long.

A name may have any characters: those of shrinkers, files and cgroups do.  A line break
in one tears a table apart, and a terminal obeys an escape sequence.  Only what is shown
is changed.  A name that is data, in JSON for example, stays as it is.
"""

from __future__ import annotations

__all__ = ["encodable", "printable", "shortened"]

_ELLIPSIS = "…"


def printable(text: str, keep: str = "") -> str:
    """Return ``text`` with what cannot be printed escaped, as ``repr()`` does.

    That is: line breaks and other control characters, characters without a width, and
    bytes of a file name that are no UTF-8.  Those in ``keep`` stay.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else ascii(char)[1:-1]
        for char in text
    )


def shortened(name: str, width: int) -> str:
    """Return ``name`` cut in the middle, because names differ at both ends."""
    if len(name) <= width:
        return name
    tail = (width - 1) // 2
    return name[: width - 1 - tail] + _ELLIPSIS + name[len(name) - tail :]


def encodable(name: str) -> str:
    """Return ``name`` as UTF-8 can hold it: other bytes of a file name are escaped."""
    return name.encode(errors="backslashreplace").decode()
