"""Threads that register, walk and close the same things at once.

The interpreter switches threads as often as it can. Private data is counted by its
finalisers: each must go exactly once. SHRINKER_STRESS_SECONDS makes each test longer.
"""

from __future__ import annotations

import collections
import threading
import weakref
from typing import Any

import pytest
from races_support import HANGS, Counted, Ledger, go_on, run_all
from tests_support import register

from shrinker import Domain, ShrinkControl, ShrinkerError, ShrinkerFlags

pytestmark = [
    pytest.mark.usefixtures("fast_switching"),
    pytest.mark.untraced("a tracer takes most of the time, and other turns"),
]

MEMCG = ShrinkerFlags.MEMCG_AWARE
NUMA = ShrinkerFlags.NUMA_AWARE


def test_close_from_several_threads_during_walks() -> None:  # noqa: C901 - 5 threads
    """When any of several close() calls of a shrinker returns, no callback of it
    runs or starts; when all have returned, the private data is gone."""
    ledger = Ledger(at_least=100)
    closers = 3
    rounds: list[Any] = [None]
    meeting = threading.Barrier(closers, timeout=HANGS)
    more, over = go_on(ledger), threading.Event()
    with Domain(nr_nodes=2) as domain:

        def begin() -> None:
            data = Counted(ledger)
            rounds[0] = register(domain, data), data.state, weakref.ref(data)

        def closer() -> None:
            while True:
                if meeting.wait() == 0:
                    if more():
                        begin()
                    else:
                        over.set()
                meeting.wait()
                if over.is_set():
                    return
                registration, state, gone = rounds[0]
                registration.close()
                if state.inside:
                    ledger.wrong.append("a callback runs after close()")
                state.closed = True
                if meeting.wait() == 0 and gone() is not None:
                    ledger.wrong.append("closed, and not gone")

        def walker() -> None:
            while not over.is_set():
                domain.shrink_slab(priority=0, nid=1)
                domain.reclaim(10)

        run_all(*[closer] * closers, walker, walker)
        rounds.clear()
    ledger.check()


def test_a_walk_visits_each_once_while_others_register_and_close() -> None:
    """A walk visits each shrinker that was registered before it began and is not
    closed before it ends exactly once, and no other shrinker twice."""
    ledger = Ledger(at_least=100)
    ready: dict[int, None] = {}
    closing: dict[int, None] = {}
    visits: dict[int, list[int]] = {}
    expected: list[int] = []
    more = go_on(ledger, lambda: len(expected) > 1000)

    class Visited(Counted):
        def act(self, result: int) -> int:
            visits[threading.get_ident()].append(self.number)
            return 0

    with Domain() as domain:

        def owner() -> None:
            window: collections.deque[Any] = collections.deque()
            while more() or window:
                if more():
                    data = Visited(ledger)
                    number = data.number
                    window.append((number, register(domain, data)))
                    ready[number] = None
                    del data
                if len(window) > 10 or not more():
                    number, registration = window.popleft()
                    closing[number] = None
                    del ready[number]
                    registration.close()

        def walker() -> None:
            mine = visits[threading.get_ident()] = []
            while more():
                mine.clear()
                before = list(ready)
                domain.shrink_slab()
                seen = collections.Counter(mine)
                if max(seen.values(), default=0) > 1:
                    ledger.wrong.append("visited twice")
                if any(n not in seen and n not in closing for n in before):
                    ledger.wrong.append("left out")
                expected.extend(before)

        run_all(owner, owner, walker, walker)
    assert len(expected) > 1000
    ledger.check()


def test_domain_close_beside_walks_and_registrations() -> None:
    """A domain closes during walks and registrations. Each registration succeeds and
    is closed, or raises; all private data goes."""
    ledger = Ledger(at_least=20)
    more = go_on(ledger)
    while more():
        domain = Domain(nr_nodes=2)
        walked = threading.Event()

        kept: list[Any] = []

        def owner(domain: Domain = domain, kept: list[Any] = kept) -> None:
            with pytest.raises(ShrinkerError, match="closed"):  # noqa: PT012
                while True:
                    kept.append(register(domain, Counted(ledger)))

        def walker(domain: Domain = domain, walked: Any = walked) -> None:
            with pytest.raises(ShrinkerError, match="closed"):  # noqa: PT012
                while True:
                    domain.reclaim(5000, priority=1)
                    walked.set()

        def closer(domain: Domain = domain, walked: Any = walked) -> None:
            walked.wait(HANGS)
            domain.close()

        run_all(owner, owner, walker, walker, closer, closer)
        assert domain.shrinkers() == ()
        assert all(registration.closed for registration in kept)
        del owner
        kept.clear()
    ledger.check()


def test_offline_during_walks_of_the_group() -> None:  # noqa: C901 - 4 threads
    """A group goes offline and is closed during walks over it. Callbacks see that
    group or an error, a later walk asks no shrinker, and groups and private data all
    go."""
    ledger = Ledger(at_least=20)
    current: list[Any] = []
    groups: list[weakref.ref[Any]] = []
    more = go_on(ledger, lambda: len(groups) > 20)

    class InGroup(Counted):
        def count_objects(self, sc: ShrinkControl) -> int:
            try:
                memcg = sc.memcg
            except ShrinkerError:
                return super().count_objects(sc)
            if memcg is None or memcg.name not in {"root", "group"}:
                ledger.wrong.append("in another group")
            return super().count_objects(sc)

    with Domain(nr_nodes=2) as domain:
        registrations = [
            register(domain, InGroup(ledger), flags=MEMCG | flags)
            for flags in (NUMA, NUMA, ShrinkerFlags(0))
        ]

        def owner() -> None:
            while more():
                group = domain.create_memcg("group")
                groups.append(weakref.ref(group))
                for registration in registrations:
                    group.set_shrinker_bit(0, registration)
                    group.set_shrinker_bit(1, registration)
                current[:] = [group]
                domain.shrink_slab(memcg=group, priority=0)
                group.offline()
                if domain.shrink_slab(memcg=group, priority=0):
                    ledger.wrong.append("an offline group gave something")
                current.clear()
                group.close()

        def walker() -> None:
            while more():
                for group in current[:]:
                    try:
                        domain.shrink_slab(memcg=group, nid=1, priority=0)
                        domain.reclaim(10**6, memcg=group, priority=2)
                    except ShrinkerError:
                        continue  # Closed meanwhile.

        def comes_and_goes() -> None:
            while more():
                register(domain, InGroup(ledger), flags=MEMCG).close()

        run_all(owner, walker, walker, comes_and_goes)
        assert domain.memcgs() == (domain.root,)
        for registration in registrations:
            registration.close()
    assert len(groups) > 20
    assert [group for group in groups if group() is not None] == []
    ledger.check()


def test_callbacks_that_close_each_other() -> None:
    """Callbacks in several threads close their own shrinkers and each other's, in a
    ring: nothing waits, and the last callback lets each private data go."""
    ledger = Ledger(at_least=20)
    more = go_on(ledger)
    around = 4
    ring: list[Any] = []

    class Closing(Counted):
        def __init__(self, place: int) -> None:
            super().__init__(ledger)
            self.place = place

        def act(self, result: int) -> int:
            for other in (self.place + 1, self.place):
                if other % around < len(ring):
                    ring[other % around].close()
            return result

    domains = [Domain() for _ in range(around)]
    while more():
        ring[:] = [register(d, Closing(i)) for i, d in enumerate(domains)]
        meeting = threading.Barrier(around)

        def walk(domain: Domain, meeting: threading.Barrier = meeting) -> None:
            meeting.wait(HANGS)
            domain.shrink_slab(priority=0)

        run_all(*[lambda d=d: walk(d) for d in domains])
        assert any(registration.closed for registration in ring)
        assert all(r.closed or r.private_data.state.inside == [] for r in ring)
        for registration in ring:
            registration.close()
        ring.clear()
    for domain in domains:
        domain.close()
    ledger.check()


def test_direct_calls_beside_close() -> None:
    """count() and scan() beside close() return a number or raise ShrinkerError, and
    no callback runs after close() has returned."""
    ledger = Ledger(at_least=100)
    more = go_on(ledger)
    current: list[Any] = []
    with Domain() as domain:

        def owner() -> None:
            while more():
                data = Counted(ledger)
                state = data.state
                registration = register(domain, data)
                del data
                current[:] = [registration]
                registration.count()
                registration.close()
                if state.inside:
                    ledger.wrong.append("a callback runs after close()")
                state.closed = True

        def caller() -> None:
            while more():
                for registration in current[:]:
                    try:
                        if registration.count() != 1000 or registration.scan(7) != 7:
                            ledger.wrong.append("a wrong number")
                    except ShrinkerError:
                        continue

        run_all(owner, caller, caller)
        current.clear()
    ledger.check()
