"""Domain: walks, the ladder, drop_slab, the report, closing, bad input."""

from __future__ import annotations

import threading
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
    ShrinkerError,
    ShrinkerFlags,
    run_pass,
)


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


def test_the_batch_is_read_before_the_count(domain: Domain) -> None:
    """A batch that a count sets is that of the next pass."""
    scans: list[int] = []

    def count(sc: ShrinkControl) -> int:
        registration._c.batch = 512
        return 1000

    def scan(sc: ShrinkControl) -> int:
        scans.append(sc.nr_to_scan)
        return sc.nr_to_scan

    with register(domain, Scripted(count, scan)) as registration:
        domain.shrink_slab(priority=0)
        assert scans == [128] * 15
        domain.shrink_slab(priority=0)
        assert scans[15:] == [512] * 3


@pytest.mark.parametrize("priority", [0, 1, 3, 12, 63])
@pytest.mark.parametrize("seeks", [0, 1, 2, 7])
@pytest.mark.parametrize("batch", [0, 1, 1000])
def test_a_walk_is_the_pass(priority: int, seeks: int, batch: int) -> None:
    """A walk does to a shrinker what run_pass computes, pass after pass."""
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
    """Counts of 0 and EMPTY keep the deferred work for when objects come back."""
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
    """The ladder ends after the first priority that reaches the target, and each
    shrinker has its pass at that priority."""
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
    """drop_slab empties a cache that frees all it is asked for, and returns the sum."""
    with register(domain, Cache(10_000)) as registration:
        assert domain.drop_slab() == 10_000
        assert registration.count() == 0


def test_drop_slab_ends_with_a_cache_that_refills(domain: Domain) -> None:
    """Round k must free 2**(k + 1) objects to be followed by another."""
    shrinker = Scripted(lambda sc: 1000, lambda sc: sc.nr_to_scan)
    with register(domain, shrinker) as registration:
        domain.drop_slab()
        # 1,920 a round: round k is the last when 1,920 >> k is 1.
        assert registration.statistics().passes == 11


def test_report(domain: Domain) -> None:
    """The report has a line for each shrinker, also where its count raises."""
    good = register(domain, Cache(1000), name="good")
    bad = register(domain, Scripted(lambda sc: 1 // 0), name="bad")
    last = register(domain, Scripted(), name="last")
    lines = domain.report().splitlines()
    assert lines[0].split() == [
        "shrinker", "objects", "deferred", "passes", "scanned", "freed",
    ]  # fmt: skip
    assert lines[1].split() == ["good", "1000", "0", "0", "0", "0"]
    assert lines[2].split() == ["bad", "?", "?", "0", "0", "0"]
    assert lines[3].split() == ["last", "100", "0", "0", "0", "0"]
    for registration in (good, bad, last):
        registration.close()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines", r"two\nlines"),
        ("a\ttab\r\x1b[31m\x7f", r"a\ttab\r\x1b[31m\x7f"),
        ("caf\xe9 \udcff\u2028\u202e", "caf\xe9 " + r"\udcff\u2028\u202e"),
        ("n" * 200 + "\n" + "m" * 99, "n" * 32 + "…" + "m" * 31),
    ],
)
def test_a_name_spoils_no_report(domain: Domain, name: str, shown: str) -> None:
    """A row is a line, and columns stay near; the name is what it was elsewhere."""
    bad = register(domain, Cache(1000), name=name)
    good = register(domain, Cache(1000), name="good")
    header, first, second = domain.report().splitlines()
    figures = ["1000", "0", "0", "0", "0"]
    assert first.startswith(f"{shown} ")
    assert first.removeprefix(shown).split() == figures
    assert second.split() == ["good", *figures]
    assert len(header) == len(first) == len(second) < 64 + 60
    assert bad.name == name
    assert f"{name}-1"[:9] in "".join(domain.debugfs())
    for registration in (bad, good):
        registration.close()


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
        {"nid": 2**64},
        {"priority": 2**64},
        {"gfp_mask": 2**64},
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


@pytest.mark.parametrize("bad", [True, 1.0, "0", None])
@pytest.mark.parametrize("argument", ["nid", "priority", "gfp_mask"])
def test_walk_arguments_of_other_types(
    domain: Domain, argument: str, bad: object
) -> None:
    """Walks take ints only."""
    with pytest.raises(TypeError, match=argument):
        domain.shrink_slab(**{argument: bad})  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [0, 1, None, "no", ()])
@pytest.mark.parametrize("argument", ["memcg", "kmem"])
def test_settings_that_are_no_bools(argument: str, bad: Any) -> None:
    """What is true of another type may say no."""
    with pytest.raises(TypeError, match=f"{argument} must be a bool, not "):
        Domain(**{argument: bad})


class Number(int):
    """An int whose methods do not tell its value."""

    def __lt__(self, _: int) -> bool:
        return True

    __le__ = __gt__ = __ge__ = __lt__

    def __index__(self) -> int:
        return 7

    __int__ = __index__


def test_walk_arguments_of_derived_types() -> None:
    """A walk takes the value of an int of a derived type, not what its methods say."""
    seen: list[tuple[int, int]] = []

    def count(sc: ShrinkControl) -> int:
        seen.append((sc.nid, int(sc.gfp_mask)))
        return 100

    with Domain(nr_nodes=2) as domain:
        shrinker = Scripted(count, lambda sc: sc.nr_to_scan)
        with register(domain, shrinker, flags=ShrinkerFlags.NUMA_AWARE):
            mask = Number(GFP.NOFS)
            freed = domain.shrink_slab(nid=Number(1), gfp_mask=mask, priority=Number(0))
            with pytest.raises(ValueError, match="unknown node 2"):
                domain.shrink_slab(nid=Number(2))
            with pytest.raises(ValueError, match="priority"):
                domain.shrink_slab(priority=Number(64))
    assert freed == 128
    assert seen == [(1, int(GFP.NOFS))]


@pytest.mark.parametrize(
    "bad", [{"nr_nodes": 0}, {"nr_nodes": 1025}, {"stall_limit": -1}]
)
def test_domain_arguments(bad: dict[str, int]) -> None:
    """A domain has 1 to 1,024 nodes, and its stall limit is not negative."""
    with pytest.raises(ValueError, match=next(iter(bad))):
        Domain(**bad)


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


def test_unhonoured_flag_is_ordinary() -> None:
    """Without memory cgroups a memcg-aware shrinker is an ordinary one."""
    flags = ShrinkerFlags.MEMCG_AWARE
    with (
        Domain(memcg=False) as domain,
        register(domain, Cache(1000), flags=flags) as registration,
    ):
        assert domain.shrink_slab(priority=0) == 1000
        assert registration.nr_deferred() == 80


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
    """shrinkers() is the walk order, also after threads registered at once."""
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


def test_closed_during_a_report(domain: Domain) -> None:
    """A shrinker that is closed while the report is made is left out."""

    def count(sc: ShrinkControl) -> int:
        second.close()
        return 1

    with register(domain, Scripted(count), name="first"):
        second = register(domain, Cache(2), name="second")
        lines = domain.report().splitlines()
        assert [line.split()[0] for line in lines] == ["shrinker", "first"]
    assert second.closed
