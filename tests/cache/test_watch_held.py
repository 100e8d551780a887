"""``watch``: locks that are usually taken, and what entries weigh (``Demand``)."""

from __future__ import annotations

import functools
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import filled

from shrinker._switching import FAST_SWITCH_SECONDS
from shrinker.cache import watch
from shrinker.demand import KEEP_GIL_SECONDS, Demand, most_scanned

if TYPE_CHECKING:
    from shrinker import Domain

LONG = 120.0


class BusyLock:
    """A lock that is taken at so many tries, then free for one, and so on."""

    def __init__(self, tries: int) -> None:
        self.tries = tries
        self.tried = -1  # By watch(), which finds it free.
        self.holds = 0

    def acquire(self, blocking: bool = True) -> bool:
        assert not blocking
        self.tried += 1
        if self.tried % (self.tries + 1) != 0:
            return False
        self.holds += 1
        return True

    def release(self) -> None:
        """Let it go."""


def ask(domain: Domain, demand: Demand, priority: int = 0) -> int:
    """What a reclaim does at one priority."""
    with demand.asking():
        return domain.shrink_slab(priority=priority)


@pytest.mark.parametrize("seeks", [1, 2, 8])
def test_a_lock_that_was_waited_for_is_used_once(seeks: int, domain: Domain) -> None:
    """The cache gives its whole part in one hold, and no more in that reclaim."""
    lock = BusyLock(3)
    cache = filled(1000)
    watch(cache, lock=lock, seeks=seeks, entry_bytes=4096, domain=domain)
    lock.tried = lock.holds = 0
    demand = Demand(share=0.05, patience=LONG)
    part = round(0.05 * 1000 * 4 / seeks)
    assert ask(domain, demand, priority=3) == part
    assert lock.holds == 1
    assert ask(domain, demand) == 0, "it gave its part"
    assert len(cache) == 1000 - part
    assert not demand.held


def test_below_min_all_is_given_at_once(domain: Domain) -> None:
    """Also where the lock is free, so that the next scan need not wait for it."""
    cache = filled(1000)
    watched = watch(cache, lock=threading.Lock(), entry_bytes=4096, domain=domain)
    assert ask(domain, Demand(share=0.1, at_once=True), priority=4) == 200
    assert watched.registration.statistics().scan_calls == 1
    assert watched.registration.nr_deferred() == 0


def test_a_part_is_no_more_than_there_is(domain: Domain) -> None:
    """Where more is wanted than all caches hold."""
    cache = filled(100)
    watch(cache, lock=threading.Lock(), entry_bytes=4096, domain=domain)
    assert ask(domain, Demand(share=50.0, at_once=True), priority=4) == 100


def test_of_unknown_entries_a_quarter_is_given(domain: Domain) -> None:
    """One may be worth the whole deficit."""
    cache = filled(1000)
    watch(cache, lock=threading.Lock(), domain=domain)
    assert ask(domain, Demand(share=50.0, at_once=True), priority=4) == 250


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock, threading.Condition])
def test_a_lock_is_waited_for(make: Any, domain: Domain) -> None:
    """Until the thread that holds it lets it go."""
    lock = make()
    cache = filled(256)
    watch(cache, lock=lock, entry_bytes=4096, domain=domain)
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            free.wait(LONG)

    user = threading.Thread(target=hold, daemon=True)
    user.start()
    assert held.wait(LONG)
    timer = threading.Timer(0.05, free.set)
    timer.start()
    assert ask(domain, Demand(share=0.25, patience=LONG)) == 128
    user.join(LONG)
    timer.join(LONG)
    assert lock.acquire(blocking=False)


def test_patience_is_for_the_whole_reclaim(domain: Domain) -> None:
    """Whichever caches' locks are taken: all together are waited for so long."""
    now = 0.0
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        nonlocal now
        waits.append(seconds)
        now += 0.04
        return False

    demand = Demand(patience=0.1, clock=lambda: now)
    assert not any(demand.wait(wait) for _ in range(10))
    assert waits == pytest.approx([0.1, 0.06, 0.02])
    assert not demand.at_once


def test_a_taken_lock_is_counted(domain: Domain) -> None:
    """For each cache, once for each scan; a free one is not."""
    lock = threading.Lock()
    watched = watch(filled(256), lock=lock, domain=domain)
    watch(filled(256), lock=threading.Lock(), domain=domain)
    demand = Demand(patience=0.01)
    with lock:
        for _ in range(3):
            ask(domain, demand, priority=1)
    assert demand.held == {watched.registration.private_data: 3}


def test_an_rlock_of_this_thread_is_not_waited_for(domain: Domain) -> None:
    """The thread would wait for itself; entries that it has seen must stay."""
    lock = threading.RLock()
    cache = filled(256)
    watched = watch(cache, lock=lock, domain=domain)
    demand = Demand(patience=LONG, share=1.0, at_once=True)
    with lock:
        assert ask(domain, demand) == 0
    assert demand.held[watched.registration.private_data] == 1
    assert len(cache) == 256


def test_sizes_of_evicted_entries_are_learned(domain: Domain) -> None:
    """Then counts are in pages.  Only a reclaim teaches; a plain scan changes none."""
    cache = {n: bytes(50_000) for n in range(100)}
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    registration, adapter = watched.registration, watched.registration.private_data
    assert registration.scan(2) == 2
    assert registration.count() == 98
    assert adapter.wants_probe
    with Demand().asking():
        assert registration.scan(2) == 2
    assert not adapter.wants_probe
    size = sys.getsizeof(bytes(50_000)) + sys.getsizeof(1)
    assert registration.count() == -(-96 * size // 4096)
    assert registration.scan(100) >= 100, "pages: eight entries or nine"
    assert 86 <= len(cache) <= 88


def test_what_memory_fell_by_is_learned(domain: Domain) -> None:
    """Where entries do not show their sizes; small ones go on being counted."""
    for fell, pages in ((100 << 20, 2560), (40_000, 10), (0, 10)):
        cache = {n: object() for n in range(10)}
        watched = watch(cache, lock=threading.Lock(), domain=domain)
        adapter = watched.registration.private_data
        adapter.learn(100, fell)
        if fell < 100 * 4096:
            adapter.learn(1000, fell)
        assert watched.registration.count() == pages
        watched.close()


def test_known_weights_are_not_probed(domain: Domain) -> None:
    """Nor are empty caches; one that is cleared whole says so."""
    lock = threading.Lock()
    known = watch(filled(10), lock=lock, entry_bytes=10, domain=domain)
    empty = watch({}, lock=lock, domain=domain)
    results = functools.lru_cache(lambda x: x)
    results(1)
    whole = watch(results, domain=domain)
    found = [x.registration.private_data for x in (known, empty, whole)]
    assert [each.wants_probe for each in found] == [False, False, True]
    assert [each.gives_all_or_nothing for each in found] == [False, False, True]
    assert [each.held_entries() for each in found] == [10, 0, 1]


def test_no_thread_runs_until_memory_was_given_back(domain: Domain) -> None:
    """The switch interval is long from the hold to the end of ``give_back``."""
    seen: list[float] = []

    class Value:
        def __del__(self) -> None:
            seen.append(sys.getswitchinterval())

    before = sys.getswitchinterval()
    cache = {n: Value() for n in range(8)}
    watch(cache, lock=threading.Lock(), domain=domain)

    def give_back() -> None:
        seen.append(-sys.getswitchinterval())

    demand = Demand(share=1.0, at_once=True, give_back=give_back)
    assert ask(domain, demand) == 2
    assert seen == pytest.approx([KEEP_GIL_SECONDS] * 2 + [-KEEP_GIL_SECONDS])
    assert demand.gave_back
    assert sys.getswitchinterval() == pytest.approx(before)
    cache.clear()


@pytest.mark.parametrize("kind", [threading.Lock, threading.RLock])
def test_a_lock_that_is_taken_again_at_once(kind: Any, domain: Domain) -> None:
    """Other threads switch all the time while it is waited for, where memory is about
    to run out, so that its holder loses it; afterwards all is as before."""
    lock = kind()
    cache = filled(100)
    watch(cache, lock=lock, domain=domain)
    seen: set[float] = set()
    over = threading.Event()
    before, threads = sys.getswitchinterval(), set(threading.enumerate())

    def use() -> None:
        while not over.is_set():
            with lock:
                seen.add(sys.getswitchinterval())

    user = threading.Thread(target=use)
    user.start()
    try:
        demand = Demand(share=1.0, at_once=True, patience=LONG, give_back=lambda: None)
        while ask(domain, demand) or demand.held:
            demand.held.clear()
            demand = Demand(
                share=1.0, at_once=True, patience=LONG, give_back=lambda: None
            )
    finally:
        over.set()
        user.join()
    assert not cache
    assert sys.getswitchinterval() == pytest.approx(before)
    assert set(threading.enumerate()) <= threads


def test_waiting_for_a_lock_has_threads_switch(domain: Domain) -> None:
    """Only where memory is about to run out; the second thread ends with the wait."""
    lock = threading.Lock()
    cache = filled(100)
    watch(cache, lock=lock, domain=domain)
    for give_back in (None, lambda: None):
        seen: list[float] = []
        waiting = threading.Event()

        def release(seen: list[float] = seen, waiting: Any = waiting) -> None:
            waiting.wait(LONG)
            seen.append(sys.getswitchinterval())
            lock.release()

        class Demanding(Demand):
            def wait(self, acquire: Any, waiting: Any = waiting) -> bool:
                def told(seconds: float) -> bool:
                    threading.Timer(0.01, waiting.set).start()
                    return bool(acquire(seconds))

                return super().wait(told)

        lock.acquire()
        releasing = threading.Thread(target=release)
        releasing.start()
        demand = Demanding(share=1.0, patience=LONG, give_back=give_back)
        assert ask(domain, demand) > 0
        releasing.join()
        fast = seen[0] < FAST_SWITCH_SECONDS / 2
        assert fast == (give_back is not None)


def test_the_switch_interval_comes_back_after_an_error(domain: Domain) -> None:
    """An eviction that raises does not leave it changed."""

    class Odd(dict[int, Any]):
        def __delitem__(self, key: int) -> None:
            raise OSError("no")

    before = sys.getswitchinterval()
    cache = Odd((n, n) for n in range(8))
    watch(cache, lock=threading.Lock(), domain=domain)
    demand = Demand(share=1.0, at_once=True, give_back=lambda: None)
    with pytest.raises(ExceptionGroup):
        ask(domain, demand)
    assert sys.getswitchinterval() == pytest.approx(before)


def test_most_scanned_is_the_formula(domain: Domain) -> None:
    """What a pass at priority 0 asks for."""
    for seeks in (0, 1, 2, 4, 32):
        watched = watch(
            count=lambda: 960, evict=lambda n: n, seeks=seeks, domain=domain
        )
        with domain.trace() as events:
            domain.shrink_slab(priority=0)
        assert next(iter(events)).delta == most_scanned(960, seeks)
        watched.close()
