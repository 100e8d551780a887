"""One look and what follows: reading, calling caches, allowances, records."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from pressure_support import (
    LIMIT,
    MARKS,
    MIB,
    PAGE,
    FakeMemory,
    Log,
    Pages,
    growth_of,
    make,
    make_worker,
)
from tests_support import Scripted, raiser, register

import shrinker.pressure.turn
from shrinker import Domain
from shrinker.pressure.estimates import GrowthEstimate
from shrinker.pressure.limits.memory import MemoryLevel
from shrinker.pressure.trim import Trimmer

if TYPE_CHECKING:
    from shrinker.pressure.worker import Worker


@pytest.fixture
def memory() -> FakeMemory:
    """Plenty is free."""
    return FakeMemory(500)


@pytest.fixture
def worker(domain: Domain, memory: FakeMemory) -> Worker:
    """A worker without a reclaimer around it."""
    return make_worker(domain, memory)


@pytest.mark.parametrize("pages", [40_000, 100_000, 1_000_000])
@pytest.mark.parametrize("free", [45, 70, 99])
def test_what_is_wanted_is_freed_and_little_more(
    domain: Domain,
    memory: FakeMemory,
    worker: Worker,
    free: int,
    pages: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Walks at 12, 11 and so on would free up to twice as much; at 12, be many."""
    walks: list[int] = []

    def walk(pages: int, priority: int) -> object:
        walks.append(priority)
        return type(worker)._walk(worker, pages, priority)

    monkeypatch.setattr(worker, "_walk", walk)
    memory.used = LIMIT - free * MIB
    with register(domain, Pages(pages, memory)):
        record = worker.reclaim_if_short("test")
    assert record is not None
    assert record.wanted <= record.freed <= 1.05 * record.wanted
    assert len(walks) <= 10


def test_all_reported_growth_counts(domain: Domain, worker: Worker) -> None:
    """What used the allowance up, and what caches grew by until the look."""
    told: list[float] = []

    class Told(GrowthEstimate):
        def observe(
            self, level: MemoryLevel, reported: float, *, evicting: bool
        ) -> None:
            told.append(reported)

    worker.growth_estimate = Told()
    growth = growth_of(domain)
    growth.allowance = 1000
    growth.grown = 1001
    growth.exceeded()
    growth.grown += 70
    worker.reclaim_below_min()
    assert told == [1071]


def test_old_figures_do_not_raise_the_allowance(
    domain: Domain, worker: Worker, memory: FakeMemory
) -> None:
    """A look that another one overtook, after it had read, allows no more."""

    class Plain(GrowthEstimate):
        def allow(self, size: int) -> int:
            return size

    worker.growth_estimate = Plain()
    levels = memory.levels
    allowed: list[float] = []

    def overtaken() -> tuple[MemoryLevel, ...]:
        read = levels()
        memory.levels = levels  # type: ignore[method-assign]
        memory.used = LIMIT - 110 * MIB
        worker.reclaim_below_min()
        allowed.append(growth_of(domain).allowance)
        return read

    memory.levels = overtaken  # type: ignore[method-assign]
    worker.reclaim_below_min()
    assert [growth_of(domain).allowance] == allowed == [35 * MIB]

    def used_up() -> tuple[MemoryLevel, ...]:
        read = levels()
        growth_of(domain).grown = 36 * MIB
        growth_of(domain).exceeded()  # By a thread that has not read memory yet.
        growth_of(domain).grown = 4 * MIB
        return read

    memory.levels = used_up  # type: ignore[method-assign]
    worker.reclaim_below_min()
    assert growth_of(domain).allowance == 35 * MIB
    assert growth_of(domain).grown == 40 * MIB
    memory.levels = levels  # type: ignore[method-assign]
    memory.used = LIMIT - 500 * MIB
    worker.reclaim_below_min()
    assert growth_of(domain).allowance == 230 * MIB


def test_a_cache_that_goes_while_caches_are_counted(
    domain: Domain, worker: Worker, memory: FakeMemory
) -> None:
    """It holds nothing any more; the others are counted, and reclaimed from."""
    going = register(domain, Pages(1000))
    going.close()
    domain.shrinkers = lambda: (going, staying)  # type: ignore[method-assign]
    with register(domain, Pages(100_000)) as staying:
        memory.used = LIMIT - 50 * MIB
        record = worker.reclaim_if_short("test")
    assert record is not None
    assert record.freed > 1000


def test_a_turn_that_is_not_given_back(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that had it is gone: others wait for a while, then take it."""
    monkeypatch.setattr(shrinker.pressure.turn, "TIMEOUT_SECONDS", 0.01)
    worker.policy_turn.owner = -1
    thread = threading.Thread(
        target=worker.reclaim_if_short, args=("test",), daemon=True
    )
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert worker.policy_turn.owner is None


def test_the_turn_after_a_fork(worker: Worker) -> None:
    """The thread that had it does not exist in the child: the turn is free."""
    worker.policy_turn.owner = -1
    worker.after_fork()
    assert worker.policy_turn.owner is None


def test_the_story_of_a_million_small_entries(domain: Domain) -> None:
    """75 % freed, 3 % given back: no second wipe, for as long as nothing grows."""
    memory = FakeMemory(90)
    cache = Pages(100_000, memory, share=0.03)
    with register(domain, cache):
        reclaimer = make(domain, memory, cooldown=0)
        record = reclaimer.look()
        assert record is not None
        left = cache.pages
        assert record.kept == pytest.approx(record.freed * PAGE * 0.97, abs=PAGE)
        for _ in range(20):
            assert reclaimer.look() is None
        assert cache.pages == left
        cache.pages += 5 * MIB // PAGE  # Into the gaps.
        assert reclaimer.look() is None
        memory.used += 11 * MIB  # Not into the gaps.
        assert reclaimer.look() is not None


def test_ten_thousand_caches(domain: Domain) -> None:
    """All of them give in proportion."""
    memory = FakeMemory(90)
    caches = [Pages(20, memory) for _ in range(10_000)]
    kept = [register(domain, cache) for cache in caches]
    reclaimer = make(domain, memory, hold=0)
    record = reclaimer.look()
    assert record is not None
    assert record.freed == sum(20 - cache.pages for cache in caches) > 0
    assert memory.used <= LIMIT - MARKS.high
    for registration in kept:
        registration.close()


def test_callbacks_that_raise(domain: Domain, log: Log) -> None:
    """Each cause is logged once with its traceback, counted always; others give."""
    memory = FakeMemory(30)
    bad = Scripted(lambda sc: 100_000, raiser(RuntimeError("oops")))
    worse = Scripted(count=raiser(ValueError("no")))
    good = Pages(100_000, memory)
    with (
        register(domain, bad, name="bad"),
        register(domain, worse, name="worse"),
        register(domain, good, name="good"),
    ):
        reclaimer = make(domain, memory, cooldown=0)
        record = reclaimer.look()
        assert record is not None
        assert record.errors == 2
        assert record.freed > 0
        memory.used = LIMIT
        reclaimer.look()
    assert log.count("RuntimeError in scan_objects of shrinker 'bad'", 30) == 1
    assert log.count("ValueError in count_objects of shrinker 'worse'", 30) == 1
    assert any(r.exc_info and r.exc_info[0] is RuntimeError for r in log.records)
    assert reclaimer.statistics().callback_errors == 4


def test_caches_that_die_during_reclaim(domain: Domain) -> None:
    """A scan may close the registration of another cache."""
    memory = FakeMemory(30)
    first, second = Pages(50_000, memory), Pages(50_000, memory)
    with register(domain, first):
        doomed = register(domain, second)
        first.on_scan = doomed.close
        record = make(domain, memory).look()
        assert record is not None
        assert record.errors == 0


def interrupt() -> None:
    raise KeyboardInterrupt


def test_interrupts_pass_through_a_look(domain: Domain) -> None:
    """KeyboardInterrupt is raised to the caller, and everything stays in order."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)
    cache.on_scan = interrupt
    with register(domain, cache):
        reclaimer = make(domain, memory)
        with pytest.raises(KeyboardInterrupt):
            reclaimer.look()
        cache.on_scan = lambda: None
        memory.used = LIMIT - 30 * MIB
        assert reclaimer.look() is not None
        assert len(reclaimer.history()) == 2


def test_who_gave_most(domain: Domain) -> None:
    """Up to three names, the highest first; none where there are too many to ask."""
    memory = FakeMemory(90)
    sizes = {"none": 0, "few": 10_000, "some": 20_000, "most": 40_000, "least": 5_000}
    kept = [register(domain, Pages(n, memory), name=name) for name, n in sizes.items()]
    reclaimer = make(domain, memory)
    record = reclaimer.look()
    assert record is not None
    assert [name for name, _ in record.givers] == ["most", "some", "few"]
    assert sum(freed for _, freed in record.givers) < record.freed
    kept += [register(domain, Pages(100, memory)) for _ in range(100)]
    memory.used = LIMIT - 30 * MIB
    record = reclaimer.look()
    assert record is not None
    assert record.freed
    assert record.givers == ()
    for registration in kept:
        registration.close()


def test_other_levels_count(domain: Domain) -> None:
    """The machine may be short where the container is not."""
    memory = FakeMemory(500)
    memory.more = (MemoryLevel("machine", 2 * LIMIT, 2 * LIMIT - 50 * MIB, 0),)
    with register(domain, Pages(100_000)):
        record = make(domain, memory).look()
    assert record is not None
    assert record.where == "machine"
    assert record.reason.startswith("machine: 50.0 MiB free"), "not the nearest"


@pytest.fixture
def clock(worker: Worker) -> Clock:
    """What the worker takes for the time, and its trimmer."""
    worker.clock = clock = Clock()
    worker.trimmer = Trimmer()
    return clock


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_caches_evicted_is_trimmed(
    domain: Domain, memory: FakeMemory, worker: Worker, clock: Clock, trims: list[int]
) -> None:
    """They report no evictions under pressure; one trim at the end is enough."""
    with register(domain, Pages(100_000, memory)):
        for free, expected in ((149, "trim"), (151, None)):
            memory.used = LIMIT - 90 * MIB
            worker.reclaim_if_short("test")
            assert domain.under_pressure
            clock.now += 10
            memory.used = LIMIT - free * MIB
            del trims[:]
            record = worker.reclaim_if_short("test")
            assert (record and record.action) == expected
            assert not domain.under_pressure
            clock.now += 10
            assert worker.reclaim_if_short("test") is None
            assert trims == ([0] if expected else [])


def test_what_the_allocator_keeps_is_trimmed_in_time(
    domain: Domain, memory: FakeMemory, worker: Worker, clock: Clock, trims: list[int]
) -> None:
    """By a thread that makes caches grow, below *min*: its arena may not have it."""
    with register(domain, Pages(100_000)):
        memory.used = LIMIT - 43 * MIB
        worker.reclaim_if_short("test")
        assert trims == [0]
        worker.trimmer.freed_enough()
        clock.now += 0.5
        worker.reclaim_below_min()
        assert trims == [0], "above min"
        memory.used = LIMIT - 38 * MIB
        assert worker.reclaim_below_min() == (False, None), "the credit covers it"
        assert trims == [0, 0]


def test_what_inserts_freed_is_trimmed_by_the_background(
    domain: Domain, memory: FakeMemory, worker: Worker, clock: Clock, trims: list[int]
) -> None:
    """Direct reclaim does not walk the heap; the next look does."""
    with register(domain, Pages(100_000, memory)):
        memory.used = LIMIT - 30 * MIB
        worker.reclaim_below_min()
        assert trims == []
        memory.used = LIMIT // 2
        record = worker.reclaim_if_short("test")
    assert record is not None
    assert record.action == "trim"
    assert record.trimmed
    assert trims == [0]
