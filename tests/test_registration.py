"""ShrinkerRegistration and Domain: walks, figures, closing, bad input."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from typing import Any

import pytest
from tests_support import Cache, Scripted, register

from shrinker import (
    GFP,
    CountObjects,
    Domain,
    ReclaimResult,
    ScanObjects,
    ShrinkControl,
    ShrinkerBuilder,
    ShrinkerError,
    ShrinkerFlags,
    ShrinkerRegistration,
    run_pass,
)
from shrinker._ffi import lib


def test_walk_order_is_registration_order(domain: Domain) -> None:
    """A walk visits shrinkers in the order of their registration."""
    order: list[int] = []

    def counter(i: int) -> Any:
        return lambda sc: order.append(i) or 0

    registrations = [register(domain, Scripted(counter(i))) for i in range(10)]
    domain.shrink_slab()
    assert order == list(range(10))
    assert domain.shrinkers() == tuple(registrations)
    for registration in registrations:
        registration.close()


@pytest.mark.parametrize("priority", [0, 1, 3, 12, 63])
@pytest.mark.parametrize("seeks", [0, 1, 2, 7])
@pytest.mark.parametrize("batch", [0, 1, 1000])
def test_a_walk_is_the_pass(priority: int, seeks: int, batch: int) -> None:
    """What a walk does to a shrinker is what run_pass computes, pass after pass."""
    with Domain() as domain:
        sizes: list[int] = []

        def scan(sc: ShrinkControl) -> int:
            sizes.append(sc.nr_to_scan)
            return sc.nr_to_scan // 2

        shrinker = Scripted(lambda sc: 5000, scan)
        with register(domain, shrinker, seeks=seeks, batch=batch) as registration:
            deferred = 0
            for _ in range(4):
                sizes.clear()
                expected = run_pass(
                    5000,
                    nr_deferred=deferred,
                    priority=priority,
                    seeks=seeks,
                    batch=batch,
                    scan=lambda n: n // 2,
                )
                freed = domain.shrink_slab(priority=priority)
                deferred = registration.nr_deferred()
                assert (freed, deferred) == (expected.returned, expected.nr_deferred)
                assert tuple(sizes) == expected.scans


def test_stop_is_not_accounted(domain: Domain) -> None:
    """STOP ends the pass; its call counts neither as scanned nor as freed."""
    answers = iter([ScanObjects.from_count(5), ScanObjects.STOP])
    shrinker = Scripted(lambda sc: 1000, lambda sc: next(answers))
    with register(domain, shrinker) as registration:
        assert domain.shrink_slab(priority=0) == 5
        seen = registration.statistics()
        assert (seen.scan_calls, seen.scanned, seen.freed) == (1, 128, 5)
        assert registration.nr_deferred() == 2000 - 128


@pytest.mark.parametrize("nothing", [0, CountObjects.EMPTY, CountObjects.new(0)])
def test_nothing_to_free_leaves_deferred_work(domain: Domain, nothing: Any) -> None:
    """0 and EMPTY keep the deferred work for when objects come back."""
    counts: list[Any] = [100]
    shrinker = Scripted(lambda sc: counts[-1], lambda sc: ScanObjects.STOP)
    with register(domain, shrinker) as registration:
        domain.shrink_slab(priority=0)
        assert registration.nr_deferred() == 200
        counts.append(nothing)
        assert domain.shrink_slab(priority=0) == 0
        assert registration.nr_deferred() == 200
        assert registration.statistics().passes == 1


def test_numa_counters() -> None:
    """NUMA-aware: a counter for each node; otherwise one for all."""
    with Domain(nr_nodes=3) as domain:
        stuck = Scripted(lambda sc: 100, lambda sc: ScanObjects.STOP)
        aware = register(domain, stuck, flags=ShrinkerFlags.NUMA_AWARE)
        unaware = register(domain, stuck)
        domain.shrink_slab(nid=1, priority=0)
        domain.shrink_slab(nid=2, priority=1)
        assert [aware.nr_deferred(nid) for nid in range(3)] == [0, 200, 100]
        assert {unaware.nr_deferred(nid) for nid in range(3)} == {200}
        aware.close()
        unaware.close()


def test_reclaim_stops_when_it_is_enough(domain: Domain) -> None:
    """The ladder ends after the first priority that reaches the target, and
    every shrinker gets its turn at that priority."""
    caches = [Cache(100_000) for _ in range(3)]
    registrations = [register(domain, cache) for cache in caches]
    result = domain.reclaim(1)
    assert isinstance(result, ReclaimResult)
    assert result.priority == 10  # 100,000 >> 10, doubled, is the first full batch.
    assert result.nr_reclaimed == sum(100_000 - cache.objects for cache in caches)
    assert all(cache.objects < 100_000 for cache in caches)
    everything = domain.reclaim(10**9)
    assert everything.priority == 0
    assert sum(cache.objects for cache in caches) < 300
    for registration in registrations:
        registration.close()


def test_drop_slab(domain: Domain) -> None:
    """drop_slab empties what gives everything, and returns what it freed."""
    with register(domain, Cache(10_000)) as registration:
        assert domain.drop_slab() == 10_000
        assert registration.count() == 0


def test_drop_slab_ends_with_a_cache_that_refills(domain: Domain) -> None:
    """Round k must free 2**(k + 1) objects: a cache that refills ends it."""
    shrinker = Scripted(lambda sc: 1000, lambda sc: sc.nr_to_scan)
    with register(domain, shrinker) as registration:
        domain.drop_slab()
        # 1,920 a round: round k is the last when 1,920 >> k is 1.
        assert registration.statistics().passes == 11


def test_count_and_scan(domain: Domain) -> None:
    """count() and scan() call once, as debugfs does, and leave deferred work."""
    with register(domain, Cache(1000)) as registration:
        assert registration.count() == 1000
        assert registration.scan(300) == 300
        assert registration.count() == 700
        assert registration.scan(0) == 0
        assert registration.nr_deferred() == 0
        assert registration.statistics().passes == 0


def test_count_on_other_nodes() -> None:
    """Not NUMA-aware, all objects are shown on node 0, as debugfs does."""
    with Domain(nr_nodes=2) as domain:
        unaware = register(domain, Cache(7))
        aware = register(domain, Cache(7), flags=ShrinkerFlags.NUMA_AWARE)
        assert [unaware.count(nid) for nid in range(2)] == [7, 0]
        assert [aware.count(nid) for nid in range(2)] == [7, 7]
        assert [line.split()[1] for line in domain.report().splitlines()[1:]] == [
            "7",
            "14",
        ]
        unaware.close()
        aware.close()


def test_count_and_scan_special(domain: Domain) -> None:
    """EMPTY and STOP read as 0; scanning 0 objects calls nothing."""
    calls = []

    def scan(sc: ShrinkControl) -> ScanObjects:
        calls.append(sc.nr_to_scan)
        return ScanObjects.STOP

    shrinker = Scripted(lambda sc: CountObjects.EMPTY, scan)
    with register(domain, shrinker) as registration:
        assert registration.count() == 0
        assert registration.scan(0) == 0
        assert calls == []
        assert registration.scan(7) == 0
        assert calls == [7]


def test_rename(domain: Domain) -> None:
    """Rename changes the name; a bad one changes nothing."""
    with register(domain, Cache(1), name="old") as registration:
        registration.rename("new")
        assert registration.name == "new"
        with pytest.raises(ValueError, match="name"):
            registration.rename("")
        assert registration.name == "new"


def test_debugfs_ids_count_up(domain: Domain) -> None:
    """Directory numbers follow the order of registration and are not reused."""
    first = register(domain, Cache(1))
    first.close()
    second = register(domain, Cache(1))
    assert (first.debugfs_id, second.debugfs_id) == (0, 1)
    second.close()


def test_report(domain: Domain) -> None:
    """The report has a line for each shrinker, also where its count raises."""
    good = register(domain, Cache(1000), name="good")
    register_bad = register(domain, Scripted(lambda sc: 1 // 0), name="bad")
    lines = domain.report().splitlines()
    assert lines[0].split() == [
        "shrinker", "objects", "deferred", "passes", "scanned", "freed",
    ]  # fmt: skip
    assert lines[1].split() == ["good", "1000", "0", "0", "0", "0"]
    assert lines[2].split() == ["bad", "?", "?", "0", "0", "0"]
    good.close()
    register_bad.close()


def test_closed_registration(domain: Domain) -> None:
    """After close nothing is called, private data is let go, figures remain."""
    registration = register(domain, Cache(1000), name="gone")
    domain.shrink_slab(priority=0)
    registration.close()
    registration.close()
    assert registration.closed
    assert domain.shrinkers() == ()
    assert domain.shrink_slab(priority=0) == 0
    assert registration.name == "gone"
    assert registration.statistics().passes == 1
    for use in (
        lambda: registration.private_data,
        registration.count,
        lambda: registration.scan(1),
        lambda: registration.scan(0),
        registration.nr_deferred,
        lambda: registration.rename("x"),
        registration.__enter__,
    ):
        with pytest.raises(ShrinkerError, match="closed"):
            use()


def test_closed_domain() -> None:
    """Closing a domain closes its registrations; then its methods refuse."""
    domain = Domain()
    registration = register(domain, Cache(1000))
    domain.close()
    domain.close()
    assert registration.closed
    assert domain.closed
    for use in (
        domain.shrink_slab,
        domain.drop_slab,
        lambda: domain.reclaim(1),
        domain.report,
        domain.trace,
        domain.__enter__,
    ):
        with pytest.raises(ShrinkerError, match="closed"):
            use()
    assert domain.shrinkers() == ()
    assert domain.statistics().walks == 0


@pytest.mark.parametrize(
    "bad",
    [
        {"nid": 2},
        {"nid": -1},
        {"priority": 64},
        {"priority": -1},
        {"gfp_mask": -1},
        {"gfp_mask": 2**32},
    ],
)
def test_walk_arguments_out_of_range(bad: dict[str, int]) -> None:
    """A wrong node, priority or mask is a ValueError, and nothing is called."""
    calls: list[int] = []
    with Domain(nr_nodes=2) as domain:
        shrinker = Scripted(lambda sc: calls.append(1) or 100)
        with register(domain, shrinker) as registration:
            with pytest.raises(ValueError, match=next(iter(bad)).removesuffix("id")):
                domain.shrink_slab(**bad)
            with pytest.raises(ValueError, match=next(iter(bad)).removesuffix("id")):
                domain.reclaim(1, **bad)
            if "nid" in bad:
                for use in (registration.count, registration.nr_deferred):
                    with pytest.raises(ValueError, match="node"):
                        use(**bad)
                with pytest.raises(ValueError, match="node"):
                    registration.scan(1, **bad)
    assert calls == []


@pytest.mark.parametrize("bad", [True, 1.0, "0"])
@pytest.mark.parametrize("argument", ["nid", "priority", "gfp_mask"])
def test_walk_arguments_of_other_types(
    domain: Domain, argument: str, bad: object
) -> None:
    """Walks take ints only."""
    with pytest.raises(TypeError, match=argument):
        domain.shrink_slab(**{argument: bad})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad", [{"nr_nodes": 0}, {"nr_nodes": 1025}, {"stall_limit": -1}]
)
def test_domain_arguments(bad: dict[str, int]) -> None:
    """A domain has 1 to 1,024 nodes and a limit that is no negative number."""
    with pytest.raises(ValueError, match=next(iter(bad))):
        Domain(**bad)


def test_registration_is_not_made_by_hand() -> None:
    """Only builders make registrations."""
    with pytest.raises(TypeError, match="register"):
        ShrinkerRegistration()


def test_gfp_values_are_the_headers() -> None:
    """Each member of GFP has the value of the C header."""
    for flag, value in GFP.__members__.items():
        c_name = f"__GFP_{flag}" if hasattr(lib, f"__GFP_{flag}") else f"GFP_{flag}"
        assert getattr(lib, c_name) == value


def test_registering_does_not_wait_for_callbacks(domain: Domain) -> None:
    """A shrinker can be registered and closed while another's callback sleeps."""
    inside, leave = threading.Event(), threading.Event()

    def sleep(sc: ShrinkControl) -> int:
        inside.set()
        assert leave.wait(30)
        return 0

    with register(domain, Scripted(sleep)):
        walker = threading.Thread(target=domain.shrink_slab)
        walker.start()
        assert inside.wait(30)
        register(domain, Cache(5)).close()
        leave.set()
        walker.join()


def test_close_waits_for_its_own_callbacks(domain: Domain) -> None:
    """close() returns only when the callback that runs has returned."""
    inside, leave = threading.Event(), threading.Event()
    over = []

    def sleep(sc: ShrinkControl) -> int:
        inside.set()
        assert leave.wait(30)
        over.append("callback")
        return 0

    registration = register(domain, Scripted(sleep))
    walker = threading.Thread(target=domain.shrink_slab)
    walker.start()
    assert inside.wait(30)

    def close() -> None:
        registration.close()
        over.append("close")

    closer = threading.Thread(target=close)
    closer.start()
    while not registration.closed:
        time.sleep(0.001)
    time.sleep(0.05)
    assert over == []
    leave.set()
    closer.join()
    walker.join()
    assert over == ["callback", "close"]


def test_concurrent_use_and_close(domain: Domain, fast_switching: None) -> None:
    """count() beside close() gives a number or ShrinkerError, never a crash."""
    for _ in range(200):
        registration = register(domain, Cache(5))
        builder = threading.Barrier(3)
        wrong: list[object] = []

        def use(r: Any = registration, b: Any = builder, w: Any = wrong) -> None:
            b.wait()
            try:
                for _ in range(20):
                    if r.count() != 5:
                        w.append("count")
            except ShrinkerError:
                pass

        def close(r: Any = registration, b: Any = builder) -> None:
            b.wait()
            r.close()

        threads = [threading.Thread(target=t) for t in (use, use, close)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_unhonoured_flag_is_ordinary() -> None:
    """Without memory cgroups a memcg-aware shrinker is an ordinary one."""
    flags = ShrinkerFlags.MEMCG_AWARE
    with (
        Domain(memcg=False) as domain,
        register(domain, Cache(1000), flags=flags) as registration,
    ):
        assert domain.shrink_slab(priority=0) == 1000
        assert registration.nr_deferred() == 80


def test_no_copies(domain: Domain) -> None:
    """What owns something in C is neither copied nor pickled."""
    with register(domain, Cache(1)) as registration:
        builder = ShrinkerBuilder("b", domain=domain)
        for owner in (domain, builder, registration, domain.trace()):
            for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
                with pytest.raises(TypeError, match="neither copied nor pickled"):
                    attempt(owner)
        assert registration.count() == 1


def test_domain_type() -> None:
    """A domain is a Domain."""
    with pytest.raises(TypeError, match="domain"):
        ShrinkerBuilder("c", domain=5)  # type: ignore[arg-type]


def test_closing_what_is_being_registered(fast_switching: None) -> None:
    """A registration that others can find can be closed: its callbacks end."""
    with Domain() as domain:
        stop = threading.Event()

        def closer() -> None:
            while not stop.is_set():
                for registration in domain.shrinkers():
                    registration.close()

        thread = threading.Thread(target=closer)
        thread.start()
        for _ in range(300):
            register(domain, Cache(5)).close()
        stop.set()
        thread.join()
        assert domain.shrink_slab(priority=0) == 0
        assert domain.shrinkers() == ()


def test_order_of_concurrent_registrations(fast_switching: None) -> None:
    """shrinkers() is the walk order, also where threads have registered at once."""
    order: list[int] = []
    with Domain() as domain:

        def work() -> None:
            for _ in range(50):
                key: list[int] = []
                shrinker = Scripted(lambda sc, key=key: order.append(key[0]) or 0)
                registration = register(domain, shrinker)
                key.append(id(registration))
                mine.append(registration)

        mine: list[Any] = []
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        domain.shrink_slab()
        assert order == [id(registration) for registration in domain.shrinkers()]
