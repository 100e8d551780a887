"""What the policy and its breaker do seldom."""

from __future__ import annotations

from pressure_support import MARKS, MIB, PAGE, level

from shrinker.pressure.breaker import FAILURES, FIRST, Breaker, BreakerState
from shrinker.pressure.policy import Action, Outcome, Policy

T = 1000.0


def test_failures_count_in_a_row_only() -> None:
    """A success in between, and the breaker takes as many again."""
    breaker = Breaker()
    for _ in range(3):
        assert not any(breaker.failed(T) for _ in range(FAILURES - 1))
        assert not breaker.succeeded()
    assert breaker.state(T) is BreakerState.CLOSED


def test_the_back_off_begins_anew_after_a_success() -> None:
    """It has grown while nothing helped; what helps is worth asking soon again."""
    breaker = Breaker()
    breaker.trip(T)
    breaker.trip(T + FIRST)
    assert breaker.backoff == 4 * FIRST
    assert breaker.succeeded()
    assert breaker.backoff == FIRST


def test_limits_that_change_for_ever_take_no_memory_for_ever() -> None:
    """Watermarks are kept for a few limits, the latest among them."""
    policy = Policy()
    for limit in range(10**9, 10**9 + 100):
        policy.look(T, [level(500, limit=limit)])
    latest = level(500, limit=10**9 + 99)
    assert policy.known(latest) == policy.watermarks(latest)
    known = [policy.known(level(500, limit=10**9 + n)) for n in range(100)]
    assert sum(marks is not None for marks in known) <= 16


def test_what_is_credited_is_not_given_away() -> None:
    """Caches may use half of what is really free, and stay as they are below *min*,
    however much the allocator is believed to have."""
    policy = Policy(lambda _limit: MARKS)
    levels = (level(25),)
    decision = policy.look(T, levels, weight=100_000)
    freed = 125 * MIB // PAGE
    policy.reclaimed(T, decision, Outcome(freed, 5, levels[0], 100_000 - freed))
    later = T + 10
    assert policy.look(later, levels, weight=100_000 - freed).action is Action.NOTHING
    assert not policy.in_episode
    rest = policy.rest(later, levels)
    assert rest.distance == 50 * MIB
    assert rest.allowance == 25 * MIB // 2
    assert rest.under_pressure
