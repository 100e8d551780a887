"""Domain.trace(): the events of passes that run here."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import pytest
from tests_support import Cache, Scripted, make_callbacks, register

from shrinker import (
    GFP,
    Domain,
    ScanObjects,
    ShrinkControl,
    ShrinkerBuilder,
    ShrinkerError,
    ShrinkSlabEnd,
    ShrinkSlabStart,
    run_pass,
)
from shrinker.replay import read_events


def test_events_of_a_pass(domain: Domain) -> None:
    """One start and one end, with the numbers of the pass."""
    with register(domain, Cache(1000)), domain.trace() as events:
        domain.shrink_slab(priority=0, gfp_mask=GFP.NOFS)
    start, end = events
    assert start == ShrinkSlabStart(
        scan_function="Cache.scan_objects",
        pointer=start.pointer,
        nid=0,
        nr=0,
        gfp_mask=GFP.NOFS,
        freeable=1000,
        delta=2000,
        total_scan=2000,
        priority=0,
    )
    assert end == ShrinkSlabEnd(
        scan_function="Cache.scan_objects",
        pointer=start.pointer,
        nid=0,
        nr=0,
        new_nr=80,
        total_scan=80,
        retval=1000,
    )


def test_text(domain: Domain) -> None:
    """str() of an event is the kernel's text."""
    with register(domain, Cache(1000)) as r, domain.trace() as events:
        domain.shrink_slab(priority=0)
        pointer = next(iter(events)).pointer
        assert r.name == "cache"
    start, end = map(str, events)
    assert start == (
        f"Cache.scan_objects {pointer:016x}: nid: 0 objects to shrink 0 gfp_flags"
        " GFP_KERNEL cache items 1000 delta 2000 total_scan 2000 priority 0"
    )
    assert end == (
        f"Cache.scan_objects {pointer:016x}: nid: 0 unused scan count 0 new scan"
        " count 80 total_scan 80 last shrinker return val 1000"
    )


@pytest.mark.parametrize("count", [2**62, 2**63 - 1, 2**40])
def test_large_numbers(domain: Domain, count: int) -> None:
    """Events carry all 64 bits, and delta is printed as a signed number."""
    shrinker = Scripted(lambda sc: count, lambda sc: ScanObjects.STOP)
    expected = run_pass(count, priority=0, scan=lambda n: ScanObjects.STOP)
    with register(domain, shrinker), domain.trace() as events:
        domain.shrink_slab(priority=0)
    start, end = events
    assert isinstance(start, ShrinkSlabStart)
    assert isinstance(end, ShrinkSlabEnd)
    assert (start.delta, start.total_scan) == (expected.delta, expected.total_scan)
    assert end.new_nr == expected.nr_after
    signed = start.delta - 2**64 if start.delta >= 2**63 else start.delta
    assert f" delta {signed} " in str(start)


def test_retval_is_cut(domain: Domain) -> None:
    """The last return value is cut to a signed 32-bit number."""
    shrinker = Scripted(lambda sc: 128, lambda sc: 2**31)
    with register(domain, shrinker), domain.trace() as events:
        domain.shrink_slab(priority=1)
    assert [e.retval for e in events if isinstance(e, ShrinkSlabEnd)] == [-(2**31)]


def test_no_event_for_a_count_of_0(domain: Domain) -> None:
    """A pass that ends at its count emits nothing."""
    with register(domain, Cache(0)), domain.trace() as events:
        domain.shrink_slab(priority=0)
        assert len(events) == 0


def test_not_traced_outside_the_block(domain: Domain) -> None:
    """Passes before and after the block are not in the trace."""
    full = Scripted(lambda sc: 5000, lambda sc: sc.nr_to_scan)
    with register(domain, full):
        domain.shrink_slab(priority=0)
        with domain.trace() as events:
            domain.shrink_slab(priority=10)
        domain.shrink_slab(priority=0)
        assert len(events) == 2
        assert all(e.priority == 10 for e in events if isinstance(e, ShrinkSlabStart))


def test_iterates_again_and_inside_the_block(domain: Domain) -> None:
    """Events can be read during the block and as often as wanted."""
    full = Scripted(lambda sc: 5000, lambda sc: sc.nr_to_scan)
    with register(domain, full), domain.trace() as events:
        for i in range(1, 4):
            domain.shrink_slab()
            assert len(events) == len(list(events)) == 2 * i
    assert len(list(events)) == len(list(events)) == 6


def test_many_events(domain: Domain) -> None:
    """Thousands of events keep their order and their pairs."""
    full = Scripted(lambda sc: 5000, lambda sc: sc.nr_to_scan)
    with register(domain, full), domain.trace() as events:
        for i in range(3000):
            domain.shrink_slab(priority=i % 13)
    assert len(events) == 6000
    assert events.lost == 0
    starts = list(events)[::2]
    assert [start.priority for start in starts] == [i % 13 for i in range(3000)]  # type: ignore[union-attr]


@pytest.mark.parametrize("read_between", [False, True])
def test_limit(domain: Domain, read_between: bool) -> None:
    """Past the limit events are counted as lost, whether they are read or not."""
    full = Scripted(lambda sc: 5000, lambda sc: sc.nr_to_scan)
    with register(domain, full), domain.trace(limit=5) as events:
        for _ in range(4):
            domain.shrink_slab()
            if read_between:
                list(events)
    assert len(events) == 5
    assert events.lost == 3


def test_one_at_a_time(domain: Domain) -> None:
    """A second trace of a domain is refused; another domain may have one."""
    with domain.trace() as events:
        with pytest.raises(ShrinkerError, match="already"), domain.trace():
            pass
        with Domain() as other, other.trace():
            pass
    with pytest.raises(ShrinkerError, match="once"):
        events.__enter__()
    with domain.trace():
        pass


def test_native_scan_function(domain: Domain) -> None:
    """A native callback without a name shows its address."""
    count, scan, _ = make_callbacks(1000)
    address = int(str(native_address(scan)))
    builder = ShrinkerBuilder("native", domain=domain)
    with builder.register_native(native_address(count), address), domain.trace() as t:
        domain.shrink_slab(priority=0)
    assert {event.scan_function for event in t} == {hex(address)}


def native_address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def test_threads(fast_switching: None) -> None:
    """Several walking threads: no event is lost, and each thread's are in order."""
    with Domain(nr_nodes=4) as domain:

        def scan(sc: ShrinkControl) -> int:
            return sc.nr_to_scan

        with register(domain, Scripted(lambda sc: 5000, scan)):
            with domain.trace() as events:
                threads = [
                    threading.Thread(
                        target=lambda nid=nid: [
                            domain.shrink_slab(nid=nid, priority=3) for _ in range(300)
                        ]
                    )
                    for nid in range(4)
                ]
                for thread in threads:
                    thread.start()
                while any(thread.is_alive() for thread in threads):
                    len(events)
                for thread in threads:
                    thread.join()
            for nid in range(4):
                kinds = [type(e) for e in events if e.nid == nid]
                assert kinds == [ShrinkSlabStart, ShrinkSlabEnd] * 300


def test_dropped_trace(domain: Domain) -> None:
    """A trace that was dropped without leaving its block stops."""
    trace = domain.trace()
    trace.__enter__()
    del trace
    with domain.trace():
        pass


def test_several_readers(fast_switching: None) -> None:
    """Threads may read one trace at once: each event is there once."""
    with Domain() as domain:
        full = Scripted(lambda sc: 5000, lambda sc: sc.nr_to_scan)
        with register(domain, full), domain.trace() as events:
            stop = threading.Event()

            def read() -> None:
                while not stop.is_set():
                    len(events)
                    list(events)

            readers = [threading.Thread(target=read) for _ in range(3)]
            for reader in readers:
                reader.start()
            for _ in range(500):
                domain.shrink_slab()
            stop.set()
            for reader in readers:
                reader.join()
            assert len(events) == 1000
            kinds = [type(event) for event in events]
            assert kinds == [ShrinkSlabStart, ShrinkSlabEnd] * 500


@pytest.mark.parametrize("name", ["two words", "line\nfeed", "100%", "Größe.scan"])
def test_odd_qualified_names(domain: Domain, name: str) -> None:
    """Whatever a callback's name, its events are one line with one word for it."""

    def scan(sc: ShrinkControl) -> int:
        return sc.nr_to_scan

    scan.__qualname__ = name
    cache = Scripted(lambda sc: 128)
    cache.scan_objects = scan  # type: ignore[method-assign]
    with register(domain, cache), domain.trace() as events:
        domain.shrink_slab(priority=1)
    assert len(events) == 2
    assert all(len(event.scan_function.split()) == 1 for event in events)
    lines = [f"{event.name}: {event}" for event in events]
    assert list(read_events(lines)) == list(events)
