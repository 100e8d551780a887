"""Names as people read them: escaped, cut in the middle."""

from __future__ import annotations

import sys

import pytest

from shrinker._names import encodable, printable, shortened


def test_printable() -> None:
    """What can be printed stays; all else is escaped as repr() does, or kept."""
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    shown = printable(every)
    assert shown.isprintable()
    assert [sign for sign in every if sign.isprintable() and sign not in shown] == []
    assert printable("a\n\xa0\udcff", "\n\xa0") == "a\n\xa0\\udcff"
    assert printable(r"back\slash") == r"back\slash"


@pytest.mark.parametrize(
    ("name", "shown"), [("12345", "12345"), ("123456", "12…56"), ("1" * 999, "11…11")]
)
def test_shortened(name: str, shown: str) -> None:
    """At most so many columns; both ends are there."""
    assert shortened(name, 5) == shown


def test_encodable() -> None:
    """UTF-8 can hold it; all that it can hold stays."""
    assert encodable("\xe9\n\udcff") == "\xe9\n\\udcff"
