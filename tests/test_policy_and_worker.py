"""What the policy, its breaker and the worker do seldom."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from pressure_support import LIMIT, MARKS, MIB, PAGE, FakeMemory, Pages, level
from tests_support import register

import shrinker.pressure.worker
from shrinker.pressure import Reclaimer
from shrinker.pressure.breaker import FAILURES, FIRST, Breaker, BreakerState
from shrinker.pressure.claims import Claims
from shrinker.pressure.give_back import EVERY, WORTH, Trimmer
from shrinker.pressure.policy import Action, Outcome, Policy

if TYPE_CHECKING:
    from shrinker import Domain
    from shrinker.pressure import MemoryLevel
    from shrinker.pressure.worker import Worker

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


def test_what_was_given_back_is_not_given_back_again() -> None:
    """A trim settles what was owed: the next one is due after more was freed."""
    trimmer = Trimmer()
    trimmer.freed(WORTH)
    assert trimmer.due() is not None
    trimmer.trim(T)
    assert trimmer.due() is None
    trimmer.owe()
    assert trimmer.due() == T + EVERY


@pytest.fixture
def memory() -> FakeMemory:
    """Plenty is free."""
    return FakeMemory(500)


@pytest.fixture
def worker(domain: Domain, memory: FakeMemory) -> Worker:
    """Of a reclaimer whose thread does not run."""
    reclaimer = Reclaimer(domain, memory=memory, watermarks=MARKS, source=None)
    worker = reclaimer._worker
    worker.watch(lambda: None)
    return worker


def test_a_look_counts_all_that_was_claimed(domain: Domain, worker: Worker) -> None:
    """What caches grew by until the look, on top of the allowance that was used up."""
    told: list[float] = []

    class Listening(Claims):
        def looked(self, level: MemoryLevel, claimed: float, *, dropped: bool) -> None:
            told.append(claimed)

    worker._claims = Listening()
    domain._growth.allowance = 1000
    domain._growth.grown = 70
    worker.look_direct()
    assert told == [1070]


def test_old_figures_do_not_raise_the_allowance(
    domain: Domain, worker: Worker, memory: FakeMemory
) -> None:
    """A look that was overtaken by another one, after it had read, allows no more."""

    class Believing(Claims):
        def allow(self, allowance: int) -> int:
            return allowance

    worker._claims = Believing()
    levels = memory.levels
    allowed: list[float] = []

    def overtaken() -> tuple[MemoryLevel, ...]:
        read = levels()
        memory.levels = levels  # type: ignore[method-assign]
        memory.used = LIMIT - 110 * MIB
        worker.look_direct()
        allowed.append(domain._growth.allowance)
        return read

    memory.levels = overtaken  # type: ignore[method-assign]
    worker.look_direct()
    assert [domain._growth.allowance] == allowed == [35 * MIB]
    memory.used = LIMIT - 500 * MIB
    worker.look_direct()
    assert domain._growth.allowance == 230 * MIB


def test_a_cache_that_goes_while_caches_are_counted(
    domain: Domain, worker: Worker, memory: FakeMemory
) -> None:
    """It holds nothing any more; the others are counted, and reclaimed from."""
    going = register(domain, Pages(1000))
    going.close()
    domain.shrinkers = lambda: (going, staying)  # type: ignore[method-assign]
    with register(domain, Pages(100_000)) as staying:
        memory.used = LIMIT - 50 * MIB
        verdict = worker.look("test")
    assert verdict is not None
    assert verdict.freed > 1000


def test_a_turn_that_nobody_gives_back(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who had it is gone: others wait for a while, and go on."""
    monkeypatch.setattr(shrinker.pressure.worker, "PATIENCE", 0.01)
    worker._busy = True
    thread = threading.Thread(target=worker.look, args=("test",), daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert not worker._busy


def test_a_child_has_the_turn(worker: Worker) -> None:
    """Who had it when the process was forked is not there: nobody has it."""
    worker._busy = True
    worker.after_fork()
    assert not worker._busy
