"""Finalisers run anywhere: in a callback, in a thread that holds a lock which a
running callback wants, in the middle of a collection. None of them waits, and the
last callback finishes the free."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
from races_support import Counted, Ledger, go_on, run_all
from tests_support import Cache, register

from shrinker import Domain, ShrinkerBuilder

pytestmark = [
    pytest.mark.untraced("a tracer takes most of the time, and other turns"),
    pytest.mark.usefixtures("fast_switching"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_dropped_by_the_holder_of_the_lock() -> None:
    """Threads that hold a lock drop registrations whose callbacks want that lock."""
    ledger = Ledger(at_least=100)
    lock = threading.Lock()
    met: list[int] = []
    more = go_on(ledger, lambda: met)

    class Locking(Counted):
        def act(self, result: int) -> int:
            if lock.locked():
                met.append(1)
            with lock:
                return result

    with Domain() as domain:

        def owner() -> None:
            while more():
                mine = [register(domain, Locking(ledger)) for _ in range(5)]
                with lock:
                    mine.clear()

        def walker() -> None:
            while more():
                domain.reclaim(10)

        run_all(owner, owner, walker, walker)
        assert domain.shrinkers() == ()
    assert met
    ledger.check()


def test_collected_in_callbacks() -> None:
    """Callbacks in several threads run the collector. It finalises registrations in
    cycles with their private data, builders, groups and domains, some in the middle
    of a pass."""
    ledger = Ledger(at_least=100)
    more = go_on(ledger)

    class Collecting(Counted):
        def act(self, result: int) -> int:
            cycle: Any = Counted(ledger)
            cycle.domain = Domain() if self.number % 2 else domain
            cycle.registration = register(cycle.domain, cycle)
            cycle.builder = ShrinkerBuilder("never", domain=cycle.domain)
            cycle.group = cycle.domain.create_memcg("group")
            cycle.group.offline()
            cycle.group.close()
            del cycle
            gc.collect(0)
            return 0

    gc.collect()
    with Domain() as domain:
        registrations = [register(domain, Collecting(ledger)) for _ in range(2)]

        def walker() -> None:
            while more():
                domain.shrink_slab(priority=0)

        run_all(walker, walker)
        while registrations:
            registrations.pop().close()
        gc.collect()
        assert domain.shrinkers() == ()
    gc.collect()
    ledger.check()


def test_finalisers_that_use_the_library() -> None:
    """A finaliser of private data walks, registers, closes and drops. It runs where
    the last callback ends, inside a walk."""
    ledger = Ledger(at_least=50)
    walked = []
    more = go_on(ledger, lambda: domain.statistics().nested and 10 in walked)

    class Busy(Counted):
        def act(self, result: int) -> int:
            if registrations := others[:1]:
                others.clear()
                registrations.pop().close()
            return 0

        def __del__(self) -> None:
            walked.append(domain.shrink_slab(priority=0))
            with Domain() as own:
                kept = register(own, Cache(10))
                walked.append(own.drop_slab())
                kept.close()
                register(domain, Cache(0)).close()
            super().__del__()

    others: list[Any] = []
    with Domain() as domain:

        def owner() -> None:
            while more():
                registration = register(domain, Busy(ledger))
                if len(walked) % 3:
                    others.append(registration)
                domain.reclaim(1, priority=1)
                registration.close()

        def walker() -> None:
            while more():
                domain.shrink_slab()

        run_all(owner, owner, walker)
        others.clear()
        assert domain.statistics().nested > 0
    assert 10 in walked
    ledger.check()
