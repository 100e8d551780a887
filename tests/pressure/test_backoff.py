"""The breaker: when it opens, for how long, and what closes it."""

from __future__ import annotations

from shrinker.pressure.backoff import (
    FAILURES_TO_OPEN,
    INITIAL_BACKOFF_SECONDS,
    Breaker,
    BreakerState,
)

T = 1000.0


def test_failures_count_in_a_row_only() -> None:
    """After a success it takes as many failures again to open."""
    breaker = Breaker()
    for _ in range(3):
        assert not any(breaker.failed(T) for _ in range(FAILURES_TO_OPEN - 1))
        assert not breaker.succeeded()
    assert breaker.state(T) is BreakerState.CLOSED


def test_a_success_resets_the_back_off() -> None:
    """It had grown while nothing was freed."""
    breaker = Breaker()
    for backoff in (1, 2, 4):
        now = breaker.until
        breaker.trip(now)
        assert breaker.until == now + backoff * INITIAL_BACKOFF_SECONDS
    assert breaker.succeeded()
    breaker.trip(T)
    assert breaker.until == T + INITIAL_BACKOFF_SECONDS


def test_a_late_failure() -> None:
    """The failure of an attempt made before it opened does not count twice."""
    breaker = Breaker()
    assert breaker.trip(T)
    assert not breaker.trip(T + 0.5)
    assert breaker.until == T + 1
    assert breaker.state(T + 0.9) is BreakerState.OPEN
    assert breaker.state(T + 1) is BreakerState.HALF_OPEN
    assert breaker.succeeded()
    assert not breaker.succeeded()
    assert not breaker.failed(T)
