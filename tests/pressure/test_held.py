"""Watched caches that are hard to reclaim from: held locks, entries of unknown size."""

from __future__ import annotations

import functools
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import (
    LIMIT,
    MARKS,
    MIB,
    PAGE,
    SOON,
    FakeMemory,
    Log,
    Pages,
    level,
    make,
    make_worker,
    worker_of,
)
from tests_support import register

import shrinker.pressure.watched
from shrinker._switching import (
    FAST_SWITCH_SECONDS,
    KEEP_GIL_SECONDS,
    SwitchInterval,
)
from shrinker.cache import Cache, watch
from shrinker.pressure.backoff import BreakerState
from shrinker.pressure.decisions import Action, ReclaimOutcome
from shrinker.pressure.policy import Policy
from shrinker.pressure.sources.failover import SourceFailover
from shrinker.pressure.sources.thresholds import ThresholdSet
from shrinker.pressure.thread import (
    FAST_PERIOD_SECONDS,
    MAX_PERIOD_SECONDS,
    Background,
    Pace,
)
from shrinker.pressure.trim import Trimmer
from shrinker.registration import ShrinkerRegistration

if TYPE_CHECKING:
    from shrinker import Domain


class Value:
    """Memory falls by its size when it goes."""

    def __init__(self, memory: FakeMemory, size: int) -> None:
        self.memory = memory
        self.size = size

    def __del__(self) -> None:
        self.memory.used -= self.size
        self.memory.own -= self.size


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks are waited for only briefly."""
    monkeypatch.setattr(shrinker.pressure.watched, "PATIENCE_SECONDS", 0.005)
    monkeypatch.setattr(shrinker.pressure.watched, "PATIENCE_BELOW_MIN_SECONDS", 0.005)


# --- locks ---------------------------------------------------------------------------


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("free", [90, 30])
def test_a_held_lock_does_not_open_the_breaker(
    free: int, domain: Domain, log: Log
) -> None:
    """It says whose lock was taken, how often; it does not ask for a weigher."""
    memory = FakeMemory(free)
    lock = threading.Lock()
    cache = {n: Value(memory, MIB) for n in range(200)}
    watch(cache, lock=lock, name="held", domain=domain)
    reclaimer = make(domain, memory, cooldown=0)
    with lock:
        for _ in range(5):
            record = reclaimer.look()
            assert record is not None
            assert [name for name, _ in record.held] == ["held"]
            assert "lock taken of held" in str(record)
    statistics = reclaimer.statistics()
    assert statistics.breaker == "closed"
    assert statistics.locks_taken >= 5
    assert log.count("weigher") == log.count("breaker") == 0
    assert reclaimer.look() is not None
    assert memory.used <= LIMIT - MARKS.low
    cache.clear()


def test_below_min_the_deficit_is_freed_in_one_hold(domain: Domain) -> None:
    """One call of ``evict`` frees all, in proportion among the caches."""
    memory = FakeMemory(30)
    calls: list[int] = []
    left = 500

    def evict(n: int) -> int:
        nonlocal left
        calls.append(n)
        left -= n
        memory.used -= n * MIB
        memory.own -= n * MIB
        return n

    watch(
        count=lambda: left,
        evict=evict,
        lock=threading.Lock(),
        entry_bytes=MIB,
        domain=domain,
    )
    with register(domain, Pages(12_800, memory)) as other:
        record = make(domain, memory).look()
        assert record is not None
        assert len(calls) == 1
        # 120 MiB are missing, of which 50 in 550 are the other cache's.
        assert 100 <= calls[0] <= 120
        assert memory.used <= LIMIT - MARKS.high
        assert other.private_data.pages > 6_400


def test_a_lock_that_is_usually_held(domain: Domain) -> None:
    """A thread that holds it nearly all the time: the cache gives all the same."""
    memory = FakeMemory(30)
    lock = threading.Lock()
    cache = {n: Value(memory, MIB) for n in range(500)}
    watch(cache, lock=lock, domain=domain)
    over = threading.Event()

    def use() -> None:
        while not over.is_set():
            with lock:
                time.sleep(0.001)

    user = threading.Thread(target=use, daemon=True)
    user.start()
    reclaimer = make(domain, memory, cooldown=0)
    end = time.monotonic() + SOON
    while memory.used > LIMIT - MARKS.low and time.monotonic() < end:
        reclaimer.look()
    over.set()
    user.join(SOON)
    assert memory.used <= LIMIT - MARKS.low
    assert reclaimer.statistics().breaker_opened == 0
    cache.clear()


def test_inserts_never_wait_for_a_lock(domain: Domain) -> None:
    """A thread that inserts may hold another lock, for which this one's holder waits.

    What the policy learns of it is the same: the breaker stays closed.
    """
    memory = FakeMemory(30)
    lock = threading.Lock()
    cache = {n: Value(memory, MIB) for n in range(200)}
    watch(cache, lock=lock, domain=domain)
    worker = make_worker(domain, memory)
    with lock:
        began = time.monotonic()
        records = [worker.reclaim_below_min()[1] for _ in range(20)]
        assert time.monotonic() - began < SOON
    assert all(record is not None and record.held for record in records)
    assert worker.policy.breaker(0.0) is BreakerState.CLOSED
    cache.clear()


# --- each cache is asked by itself ---------------------------------------------------


def test_large_models_beside_a_small_cache(domain: Domain) -> None:
    """The models are cleared, since only they can help; the small cache stays."""
    memory = FakeMemory(90)

    @functools.cache
    def model(number: int) -> Value:
        return Value(memory, 40 * MIB)

    watched = watch(model, name="models", domain=domain)
    with register(domain, Pages(250, memory)) as small:
        for number in range(10):
            model(number)
        record = make(domain, memory).look()
        assert record is None, "after the models nothing was missing"
        assert model.cache_info().currsize == 0
        assert small.private_data.pages == 250
        for number in range(4):
            model(number)
        assert watched.registration.count() == 160 * MIB // PAGE, "learned"
        memory.used = LIMIT - 30 * MIB
        reclaimer = make(domain, memory)
        reclaimer.look()
        assert reclaimer.statistics().breaker_opened == 0
        assert model.cache_info().currsize == 0
        assert small.private_data.pages == 250
    model.cache_clear()


def test_a_cleared_cache_is_the_last_resort(domain: Domain) -> None:
    """One that can only be cleared whole stays while the others hold enough."""
    memory = FakeMemory(90)

    @functools.cache
    def model(number: int) -> Value:
        return Value(memory, MIB)

    for number in range(10):
        model(number)
    watch(model, domain=domain)
    with register(domain, Pages(100_000, memory)):
        assert make(domain, memory).look() is not None
    assert memory.used <= LIMIT - MARKS.high
    assert model.cache_info().currsize == 10
    model.cache_clear()


def test_unweighed_values_are_learned_one_cache_at_a_time(domain: Domain) -> None:
    """A few are evicted alone; then each cache gives in proportion to its bytes."""
    memory = FakeMemory(90)
    cache = {n: Value(memory, 2 * MIB) for n in range(128)}
    watched = watch(cache, lock=threading.Lock(), name="values", domain=domain)
    with register(domain, Pages(6_400, memory)) as small:  # 25 MiB.
        reclaimer = make(domain, memory, cooldown=0)
        for _ in range(5):
            reclaimer.look()
        probe, *others = reclaimer.history()
        assert (probe.action, probe.wanted, probe.givers) == (
            "probe",
            2,
            (("values", 2),),
        )
        assert probe.given_back == 4 * MIB
        assert all(record.action == "reclaim" for record in others)
        assert watched.registration.count() == len(cache) * 2 * MIB // PAGE
        assert memory.used <= LIMIT - MARKS.high
        assert small.private_data.pages > 6_400 / 2
    cache.clear()


def test_a_probe_that_raises(domain: Domain, log: Log) -> None:
    """Other caches are asked, and the breaker knows nothing of it."""
    memory = FakeMemory(90)

    def fail(n: int = 0) -> int:
        raise OSError(f"no {n}")

    watch(count=fail, evict=fail, domain=domain)
    watch(count=lambda: 5, evict=fail, domain=domain)
    with register(domain, Pages(100_000, memory)):
        assert make(domain, memory).look() is not None
    assert memory.used <= LIMIT - MARKS.high
    assert log.count("a cache raised OSError; other caches were asked", 30) == 1


# --- what the policy makes of it -----------------------------------------------------


def short(policy: Policy, now: float, free: int) -> Any:
    return policy.decide(now, (level(free),), weight=100_000)


def test_no_lock_feeds_the_breaker() -> None:
    """Neither one that was fruitless, nor where small caches gave all they have."""
    for freed, weight in ((0, 100_000), (10, 10)):
        policy = Policy(lambda _: MARKS)
        for now in range(10):
            decision = policy.decide(now, (level(30),), weight=weight)
            assert decision.action is Action.RECLAIM
            outcome = ReclaimOutcome(freed, 0, level(30), held=1)
            assert policy.reclaimed(now, decision, outcome) == ()
        assert policy.breaker(10.0) is BreakerState.CLOSED


def test_growth_ends_the_cool_down() -> None:
    """Figures lag behind a reclaim, but they do not rise above what it left."""
    policy = Policy(lambda _: MARKS, cooldown=5.0)
    policy.reclaimed(0.0, short(policy, 0.0, 60), ReclaimOutcome(10_000, 5, level(90)))
    policy.reclaimed(0.0, short(policy, 0.0, 30), ReclaimOutcome(40_000, 5, level(120)))
    assert short(policy, 1.0, 115).action is not Action.RECLAIM
    policy = Policy(lambda _: MARKS, cooldown=5.0)
    policy.reclaimed(0.0, short(policy, 0.0, 30), ReclaimOutcome(2_000, 5, level(95)))
    assert short(policy, 1.0, 90).action is Action.NOTHING
    assert short(policy, 1.0, 84).action is Action.RECLAIM


def test_a_first_share_does_not_cool_down() -> None:
    """It was to see what objects are worth: the rest of the deficit is asked next."""
    policy = Policy(lambda _: MARKS, cooldown=5.0)
    decision = policy.decide(0.0, (level(90),), weight=1000)
    assert decision.objects == 250
    policy.reclaimed(0.0, decision, ReclaimOutcome(250, 0, level(91), fell=MIB))
    assert policy.decide(0.01, (level(91),), weight=75_000).action is Action.RECLAIM


# --- noticing it in time -------------------------------------------------------------


def make_background(domain: Domain, memory: FakeMemory) -> Background:
    """Return one without a thread.  Close it."""
    worker = make_worker(domain, memory)
    return Background(
        worker,
        SourceFailover(None, memory, worker.record_change),
        ThresholdSet(lambda _: MARKS.low),
        lambda _: None,
    )


def test_the_first_looks_come_soon(domain: Domain) -> None:
    """A program fills its caches when it starts; then looks get rare."""
    background = make_background(domain, FakeMemory(900))
    times = [background._reclaim("start", None) for _ in range(8)]
    background.close()
    assert times[:6] == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.64])
    assert times[7] >= MAX_PERIOD_SECONDS


def test_the_switch_interval_is_short_while_memory_fills_fast() -> None:
    """And the program's is put back, unless it has set another one."""
    pace = Pace()
    assert not pace.fills_within(0, 1.0)
    pace.observe(0.0, 0)
    pace.observe(1.0, 100 * MIB)
    assert pace.fills_within(99 * MIB, 1.0)
    assert not pace.fills_within(101 * MIB, 1.0)
    before = sys.getswitchinterval()
    try:
        switching = SwitchInterval()
        for _ in range(2):
            switching.begin(FAST_SWITCH_SECONDS)
            switching.begin(FAST_SWITCH_SECONDS)
            assert sys.getswitchinterval() == pytest.approx(FAST_SWITCH_SECONDS)
            switching.end()
            switching.end()
            assert sys.getswitchinterval() == pytest.approx(before)
        switching.begin(FAST_SWITCH_SECONDS)
        sys.setswitchinterval(0.007)
        switching.end()
        assert sys.getswitchinterval() == pytest.approx(0.007)
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("ended", [(0, 1), (1, 0)])
def test_reclaims_overlap_and_the_program_gets_its_interval_back(
    ended: tuple[int, int],
) -> None:
    """In whatever order they end; the latest that has not decides."""
    before = sys.getswitchinterval()
    both = SwitchInterval(), SwitchInterval()
    values = FAST_SWITCH_SECONDS, KEEP_GIL_SECONDS
    for each, seconds in zip(both, values, strict=True):
        each.begin(seconds)
    both[ended[0]].end()
    assert sys.getswitchinterval() == pytest.approx(values[ended[1]])
    both[ended[1]].end()
    assert sys.getswitchinterval() == pytest.approx(before)


def test_the_program_sets_its_interval_between_two_reclaims_that_overlap() -> None:
    """It gets that one back to the microsecond, not the one from before."""
    before = sys.getswitchinterval()
    outer, inner = SwitchInterval(), SwitchInterval()
    try:
        outer.begin(FAST_SWITCH_SECONDS)
        sys.setswitchinterval(0.007)
        inner.begin(KEEP_GIL_SECONDS)
        inner.end()
        outer.end()
        assert sys.getswitchinterval() == pytest.approx(0.007)
    finally:
        sys.setswitchinterval(before)


def test_what_fills_fast_is_urgent_above_min(domain: Domain) -> None:
    """What was added since the last look may be added again: it is freed as well."""
    memory = FakeMemory(200)
    worker = make_worker(domain, memory, cooldown=0)
    with register(domain, Pages(200_000, memory)):
        worker.reclaim_if_short("test")
        memory.used += 110 * MIB
        decision = worker._decide(None, worker._count_caches())
        assert worker.watched._is_urgent(decision)
        urgent = worker.watched.demand(decision, direct=False)
        assert urgent.at_once
        assert urgent.give_back is not None
        worker.watched.looked(worker.levels)
        calm = worker.watched.demand(decision, direct=False)
        assert not calm.at_once
        assert urgent.share > 2 * calm.share > 0
        assert worker.watched.demand(decision, direct=True).share == 0


def test_what_is_added_while_a_reclaim_runs(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is foreseen by the rate: as much as 40 ms may bring, at most a quarter of the
    limit; two figures within 10 ms show no higher rate."""
    memory = FakeMemory(500)
    now = [100.0]
    worker = make_worker(domain, memory)
    monkeypatch.setattr(worker, "clock", lambda: now[0])
    worker.reclaim_if_short("test")
    used = memory.used + 8 * MIB
    for passed, times in ((0.02, 2), (0.04, 1), (1.0, 1), (0.001, 4)):
        now[0] = 100.0 + passed
        assert worker.watched._added(level((LIMIT - used) // MIB)) == (
            pytest.approx(8 * MIB * times)
        )
    now[0] = 100.02
    assert worker.watched._added(level(0)) == LIMIT // 4
    assert worker.watched._added(level(600)) == 0


def test_a_watched_dict_is_counted_without_giving_the_gil_up(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The domain is not asked, and the figures are the same; others are asked."""
    memory = FakeMemory(500)
    worker = make_worker(domain, memory)
    lock = threading.Lock()
    cache, empty = dict.fromkeys(range(100)), dict.fromkeys(())
    watch(cache, lock=lock, entry_bytes=8192, domain=domain)
    watch(empty, lock=lock, domain=domain)
    other = watch(count=lambda: 7, evict=lambda n: n, domain=domain)
    asked: list[object] = []
    count = ShrinkerRegistration._count_everywhere

    def counted(registration: ShrinkerRegistration[Any]) -> int:
        asked.append(registration)
        return count(registration)

    monkeypatch.setattr(ShrinkerRegistration, "_count_everywhere", counted)
    assert worker._count_caches() == 207
    assert asked == [other.registration]


def test_a_thread_that_begins_gets_the_gil_quickly(domain: Domain) -> None:
    """As the rate is not known that caches are filled at, in the first second."""
    background = make_background(domain, FakeMemory(900))
    assert background._begins()
    for _ in range(10):
        background._reclaim("test", None)
    assert not background._begins()
    background.close()


def test_looks_are_frequent_while_memory_fills_fast(domain: Domain) -> None:
    """A sleep of 20 ms is too long then."""
    background = make_background(domain, FakeMemory(200))
    background.worker.reclaim_if_short("test")
    background.pace.observe(0.0, 0)
    background.pace.observe(1.0, 100 * 1024 * MIB)
    assert background.timeout() == FAST_PERIOD_SECONDS
    background.close()


def test_a_trim_with_the_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only while trims are quick."""
    trimmer = Trimmer()
    made: list[str] = []
    trimmer._looked_up = True
    trimmer._trims = [lambda: made.append("without")]
    trimmer._trims_with_gil = [lambda: made.append("with")]
    assert trimmer.trim_now(keep_gil=True)
    trimmer._seconds = 1.0
    assert trimmer.trim_now(keep_gil=True)
    assert trimmer.trim_now(keep_gil=True)
    assert trimmer.trim_now()
    assert made == ["with", "without", "with", "without"]


# --- what was there before a fork ----------------------------------------------------


def test_inherited_entries_are_the_last_that_a_child_gives(domain: Domain) -> None:
    """While memory is above *min* they stay; below it they go once nothing helps."""
    memory = FakeMemory(90)
    cache = {n: Value(memory, 0) for n in range(500)}
    watched = watch(cache, lock=threading.Lock(), entry_bytes=MIB, domain=domain)
    watched.registration.private_data.after_fork()
    cache.update((n, Value(memory, MIB)) for n in range(500, 520))
    reclaimer = make(domain, memory, cooldown=0)
    for _ in range(10):
        reclaimer.look()
    assert list(cache)[:500] == list(range(500)), "only what the child has added"
    assert len(cache) < 520
    assert not [x for x in reclaimer.history() if x.action == "inherited"]
    memory.used = LIMIT - 20 * MIB
    reclaimer = make(domain, memory, cooldown=0)
    for _ in range(10):
        reclaimer.look()
    assert [x for x in reclaimer.history() if x.action == "inherited"]
    assert watched.registration.count() == len(cache) * MIB // PAGE
    cache.clear()


def test_a_cache_of_ours_is_asked_for_it_too(domain: Domain) -> None:
    """It counts as shared memory, and goes below *min* once nothing else helps."""
    memory = FakeMemory(20)
    memory.own = 500 * MIB
    cache: Cache[int, int] = Cache(weigher=lambda *_: MIB, domain=domain)
    cache.update((n, n) for n in range(480))
    inherited: Any = cache.registration._keepalive
    inherited.after_fork()
    reclaimer = make(domain, memory, cooldown=0)
    assert worker_of(reclaimer).watched.own_memory() == 20 * MIB
    for _ in range(10):
        reclaimer.look()
    assert [x for x in reclaimer.history() if x.action == "inherited"]
    assert cache.registration.count() == len(cache) * MIB // PAGE
    assert worker_of(reclaimer).watched.own_memory() == 500 * MIB


def test_a_child_is_compared_with_its_own_memory(domain: Domain) -> None:
    """Caches that are small beside what it shares are not small beside the rest."""
    memory = FakeMemory(30)
    memory.own = 500 * MIB
    worker = make_worker(domain, memory, cooldown=0)
    cache = {n: Value(memory, 0) for n in range(480)}
    watched = watch(cache, lock=threading.Lock(), entry_bytes=MIB, domain=domain)
    assert worker.watched.own_memory() == 500 * MIB
    watched.registration.private_data.after_fork()
    assert worker.watched.own_memory() == 20 * MIB
    cache.update((n, Value(memory, MIB)) for n in range(500, 504))
    worker.reclaim_if_short("test")
    assert len(cache) == 480
    assert worker.policy.breaker(0.0) is BreakerState.CLOSED
    cache.clear()


@pytest.mark.parametrize("empty", [False, True])
def test_small_caches_that_have_grown_are_asked_again(empty: bool) -> None:
    """Below *min* the breaker that opened because they were small is no obstacle."""
    policy = Policy(lambda _: MARKS, cooldown=0.2)
    decision = policy.decide(0.0, (level(30),), weight=0 if empty else 10)
    if not empty:
        assert decision.action is Action.RECLAIM
        policy.reclaimed(0.0, decision, ReclaimOutcome(10, 0, level(30)))
    assert policy.breaker(0.0) is BreakerState.OPEN
    assert policy.next_look(0.0, (level(30),)).until == pytest.approx(0.2)
    assert policy.decide(0.2, (level(30),)).action is Action.COUNT
    assert policy.decide(0.2, (level(30),), weight=20).action is Action.NOTHING
    assert policy.decide(0.4, (level(30),), weight=50_000).action is Action.RECLAIM
    assert policy.decide(0.4, (level(90),)).action is not Action.RECLAIM, "no danger"
