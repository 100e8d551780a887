"""Direct reclaim: inserts that reclaim below min, and those that may not."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import (
    LIMIT,
    MARKS,
    MIB,
    SOON,
    FakeMemory,
    Log,
    Pages,
    grow,
    growth_of,
    make,
    planned,
    use_up,
    worker_of,
)
from tests_support import Scripted, raiser, register, run_threads

from shrinker.growth import noreclaim
from shrinker.pressure.direct import Direct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shrinker import Domain
    from shrinker.pressure import Reclaimer


@contextlib.contextmanager
def started(
    domain: Domain, memory: FakeMemory, cache: Any = None, **options: Any
) -> Iterator[Reclaimer]:
    """A reclaimer of a cache, for a domain whose allowance is used up."""
    cache = Pages(100_000, memory) if cache is None else cache
    with register(domain, cache), make(domain, memory, **options) as reclaimer:
        growth_of(domain).allowance = 0
        yield reclaimer


def test_inserts_reclaim_below_min(domain: Domain, asleep: list[str]) -> None:
    """The thread that makes a cache grow frees itself: a bounded number of pages."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)
    threads = []
    cache.on_scan = lambda: threads.append(threading.current_thread())
    with started(domain, memory, cache) as reclaimer:
        grow(domain)
        (record,) = reclaimer.history()
        assert (record.action, record.trigger) == ("direct", "growth")
        assert record.wanted == 2048
        assert record.freed >= 2048
        assert not record.trimmed
        assert set(threads) == {threading.current_thread()}
        assert planned(reclaimer) == MIB
        assert asleep, "the background goes on from here"
        assert reclaimer.statistics().direct_reclaims == 1


def test_inserts_above_min_only_look(domain: Domain, asleep: list[str]) -> None:
    """Below low the background is woken; above, a new allowance is all."""
    memory = FakeMemory(90)
    cache = Pages(100_000, memory)
    with started(domain, memory, cache) as reclaimer:
        grow(domain)
        assert len(asleep) == 1
        memory.used = LIMIT - 500 * MIB
        use_up(domain)
        assert len(asleep) == 1
        assert planned(reclaimer) == 230 * MIB
        assert growth_of(domain).grown == 0
        assert not cache.scans


def test_noreclaim(domain: Domain, asleep: list[str]) -> None:
    """Inside ``noreclaim()`` inserts only wake the background."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)
    with started(domain, memory, cache):
        reads = memory.reads
        with noreclaim():
            grow(domain)
        assert (cache.scans, memory.reads, len(asleep)) == ([], reads, 1)


def test_direct_can_be_turned_off(domain: Domain, asleep: list[str]) -> None:
    """With direct=False inserts only wake."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)
    with started(domain, memory, cache, direct=False):
        grow(domain)
        assert (cache.scans, len(asleep)) == ([], 1)


@pytest.mark.parametrize("library", ["asyncio", "trio"])
@pytest.mark.parametrize("wanted", [False, True])
def test_an_event_loop_is_not_kept(
    domain: Domain, asleep: list[str], wanted: bool, library: str
) -> None:
    """On a thread that runs a loop inserts only wake, unless asked otherwise."""
    run = asyncio.run
    if library == "trio":
        trio = pytest.importorskip("trio", reason="needs trio")
        run = lambda main: trio.run(lambda: main)  # noqa: E731
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)

    async def insert() -> None:
        grow(domain)

    with started(domain, memory, cache, direct_on_event_loop=wanted):
        run(insert())
        assert bool(cache.scans) is wanted
        assert asleep


def test_callbacks_that_insert(domain: Domain, asleep: list[str]) -> None:
    """A scan that makes a cache grow does not reclaim inside a walk."""
    cache = Pages(100_000)
    cache.on_scan = lambda: use_up(domain)
    with started(domain, FakeMemory(10), cache) as reclaimer:
        grow(domain)
        assert len(reclaimer.history()) == 1
        wakes = len(asleep)
        domain.reclaim(0, priority=0)  # A walk that is not the reclaimer's.
        assert len(asleep) > wakes
        assert len(reclaimer.history()) == 1
        assert domain.statistics().nested == 0


def test_inserts_never_fail(domain: Domain, asleep: list[str], log: Log) -> None:
    """What goes wrong in direct reclaim is left for the log."""
    memory = FakeMemory(30)
    error: BaseException = OSError("unreadable")

    def fail() -> None:
        raise error

    cache = Scripted(scan=raiser(RuntimeError("oops")))
    with started(domain, memory, cache) as reclaimer:
        grow(domain)
        memory.on_read = fail
        use_up(domain)
        assert log.lines == [], "an insert waits for no handler"
        with pytest.raises(OSError, match="unreadable"):
            reclaimer.look()  # It logs what was left.
        log.wait_for("a callback raised RuntimeError")
        log.wait_for("direct reclaim failed: OSError: unreadable")
        error = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            grow(domain)
        memory.on_read = lambda: None
        grow(domain)
        assert reclaimer.statistics().direct_reclaims == 2, "the turn was given back"


def test_inserts_do_not_wait(domain: Domain, asleep: list[str]) -> None:
    """While other threads look or have the turn, inserts look themselves."""
    memory = FakeMemory(30)
    inside, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        inside.set()
        assert go_on.wait(SOON)

    with started(domain, memory) as reclaimer:
        worker = worker_of(reclaimer)
        memory.on_read = hang
        thread = threading.Thread(target=grow, args=(domain, 1000))
        thread.start()
        assert inside.wait(SOON)
        memory.on_read = lambda: None
        worker.policy_turn.owner = -1
        grow(domain)
        assert reclaimer.statistics().direct_reclaims == 1
        assert reclaimer.statistics().priority == 12
        assert len(worker.unreported) == 1, "left for the next thread with the turn"
        allowance = growth_of(domain).allowance
        worker.policy_turn.owner = None
        memory.used = 0
        go_on.set()
        thread.join(SOON)
        assert growth_of(domain).allowance <= allowance, "old figures raise nothing"


def test_looking_threads_share_what_is_free(domain: Domain, asleep: list[str]) -> None:
    """A thread that begins to look leaves half of the allowance to the others."""
    memory = FakeMemory(500)
    seen = []
    with started(domain, memory) as reclaimer:
        growth_of(domain).allowance = 1 << 20
        memory.on_read = lambda: seen.append(growth_of(domain).allowance)
        grow(domain, 2 << 20)
        assert seen == [1 << 19]
        assert planned(reclaimer) == 230 * MIB


def test_many_threads_insert(domain: Domain, fast_switching: None) -> None:
    """Beside a running background, every object freed is counted and nothing fails."""
    memory = FakeMemory(30)
    caches = [Pages(20_000) for _ in range(4)]
    kept = [register(domain, cache) for cache in caches]

    def insert() -> None:
        for _ in range(200):
            grow(domain, MIB)

    with make(domain, memory, cooldown=0) as reclaimer:
        assert run_threads(*[insert] * 4) == []
        reclaimer.stop()
    seen = reclaimer.statistics()
    assert seen.freed == sum(20_000 - cache.pages for cache in caches)
    assert seen.callback_errors == seen.errors == 0
    for registration in kept:
        registration.close()


def test_an_unweighed_cache_is_looked_at_in_time(
    domain: Domain, asleep: list[str]
) -> None:
    """Entries of 200 KB that count as a page are stopped before memory is gone."""
    memory = FakeMemory(500)
    cache = Pages(0)
    with started(domain, memory, cache) as reclaimer:
        reclaimer.look()
        lowest, growth = memory.used, growth_of(domain)
        for _ in range(10_000):
            cache.pages += 1
            memory.used += 200_000
            growth.grown += 4096
            if growth.grown > growth.allowance:
                before = cache.pages
                growth.exceeded()
                memory.used -= (before - cache.pages) * 200_000
            lowest = max(lowest, memory.used)
        assert LIMIT - lowest > MARKS.min // 2
        assert reclaimer.statistics().looks < 1000


def test_growth_whose_reclaimer_is_gone(domain: Domain) -> None:
    """There is no thread to wake; the insert goes on."""
    reclaimer = make(domain, FakeMemory(500))
    hook = Direct(worker_of(reclaimer), weakref.ref(reclaimer), wanted=False)
    hook()
    del reclaimer
    gc.collect()
    hook()
    assert repr(hook) == "None"
