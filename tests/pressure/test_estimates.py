"""How allowances follow what memory does: ``GrowthEstimate``."""

from __future__ import annotations

from pressure_support import MIB, level

from shrinker.pressure.estimates import INITIAL_ALLOWANCE_BYTES, GrowthEstimate


def test_the_first_looks_are_early() -> None:
    """The allowance is small at first, and at most doubles from look to look."""
    estimate = GrowthEstimate()
    assert estimate.allow(1 << 30) == INITIAL_ALLOWANCE_BYTES
    estimate.observe(level(500), INITIAL_ALLOWANCE_BYTES, evicting=False)
    assert estimate.allow(1 << 30) == 2 * INITIAL_ALLOWANCE_BYTES
    estimate.observe(level(500), 0, evicting=False)
    assert estimate.allow(1 << 30) == 2 * INITIAL_ALLOWANCE_BYTES
    for _ in range(20):
        estimate.observe(level(500), estimate.allow(1 << 30), evicting=False)
    assert estimate.allow(1 << 30) == 1 << 30


def test_heavy_entries() -> None:
    """Where memory rises by 50 times what is reported, less is allowed."""
    estimate = GrowthEstimate()
    estimate.observe(level(500), 100 * MIB, evicting=False)
    estimate.observe(level(450), MIB, evicting=False)
    assert estimate.factor == 50
    assert estimate.allow(100 * MIB) == 2 * MIB
    estimate.observe(level(450), MIB, evicting=False)
    assert estimate.factor == 25, "half of it where memory did not rise"
    estimate.observe(level(450), MIB, evicting=True)
    assert estimate.factor == 25, "entries evicted at once show nothing"


def test_another_limit() -> None:
    """Figures of two limits do not compare."""
    estimate = GrowthEstimate()
    estimate.observe(level(500), MIB, evicting=False)
    estimate.observe(level(100, where="other"), MIB, evicting=False)
    assert estimate.factor == 1
