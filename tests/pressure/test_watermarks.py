"""Watermarks: defaults, limits of all sizes, bad input."""

from __future__ import annotations

import pytest

from shrinker.pressure import Watermarks

MIB = 1 << 20
GIB = 1 << 30


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (64 * MIB, (7.68, 16.0, 22.4)),
        (256 * MIB, (16.0, 32.0, 48.0)),
        (1 * GIB, (40.96, 102.4, 153.6)),
        (4 * GIB, (163.84, 409.6, 614.4)),
        (64 * GIB, (512.0, 1280.0, 2048.0)),
    ],
)
def test_defaults(limit: int, expected: tuple[float, ...]) -> None:
    """Shares of the limit, floors in small containers, caps on large machines."""
    marks = Watermarks.of(limit)
    assert (marks.min, marks.low, marks.high) == tuple(int(x * MIB) for x in expected)


@pytest.mark.parametrize("power", range(4, 63))
def test_every_limit_has_defaults(power: int) -> None:
    """From bytes to exabytes they rise, and leave most of the memory to be used."""
    for limit in (2**power - 1, 2**power, 2**power + 1):
        marks = Watermarks.of(limit)
        assert 0 < marks.min < marks.low < marks.high < limit
        assert marks.high <= max(0.35 * limit, 3)
        assert marks.fits(limit)


def test_no_limit_at_all() -> None:
    """A limit of 0 has watermarks that do not fit, and raises nothing."""
    assert not Watermarks.of(0).fits(0)


def test_order_is_checked() -> None:
    """Watermarks that do not rise are refused."""
    for numbers in ((2, 1, 3), (1, 3, 2), (1, 1, 2), (0, 1, 2), (-1, 1, 2)):
        with pytest.raises(ValueError, match=r"watermarks must rise|min must be"):
            Watermarks(*numbers)
    with pytest.raises(TypeError, match="low must be an int, not float"):
        Watermarks(1, 2.5, 3)  # type: ignore[arg-type]


def test_fractions() -> None:
    """The rule takes its shares of each limit."""
    rule = Watermarks.fractions(0.1, 0.2, 0.3)
    assert rule(1000) == Watermarks(100, 200, 300)
    assert rule(1) == Watermarks(1, 2, 3)
    for bad in ((0.2, 0.1, 0.3), (0, 0.1, 0.2), (0.1, 0.2, 1.0)):
        with pytest.raises(ValueError, match="shares must rise"):
            Watermarks.fractions(*bad)
