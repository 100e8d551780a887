"""The reclaimer: threads, direct reclaim, sources that vanish, callbacks that raise."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import LIMIT, MARKS, MIB, PAGE, FakeMemory, FakeSource, Pages
from tests_support import Scripted, raiser, register, run_threads

import shrinker.pressure.listening
from shrinker import Domain, ShrinkerError
from shrinker.growth import noreclaim
from shrinker.pressure import (
    Memory,
    MemoryLevel,
    Reclaimer,
    Verdict,
    Watermarks,
    protect,
)
from shrinker.pressure.background import Background, Bell
from shrinker.pressure.give_back import WORTH, Trimmer, resident

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.pressure import PressureSource

SOON = 20.0
"""Seconds after which a test gives up waiting for another thread."""


class Waiter(logging.Handler):
    """Waits for lines in the log."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.records: list[logging.LogRecord] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self.records.append(record)
            self.lines.append(record.getMessage())
            self._changed.notify_all()

    def wait_for(self, text: str, times: int = 1) -> str:
        """Wait for a line with ``text`` in it, and return that."""

        def found() -> list[str]:
            return [line for line in self.lines if text in line]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= times, SOON), (
                text,
                self.lines,
            )
            return found()[-1]

    def count(self, text: str, level: int = 0) -> int:
        return sum(
            text in record.getMessage() and record.levelno >= level
            for record in self.records
        )


@pytest.fixture
def log() -> Iterator[Waiter]:
    """What the reclaimer logs."""
    waiter = Waiter()
    logger = logging.getLogger("shrinker.pressure")
    before = logger.level
    logger.addHandler(waiter)
    logger.setLevel(logging.DEBUG)
    yield waiter
    logger.removeHandler(waiter)
    logger.setLevel(before)


def make(domain: Domain, memory: Memory, **options: Any) -> Reclaimer:
    """A reclaimer that knows neither this machine nor malloc_trim."""
    settings = {"source": None, "trim": False, "watermarks": MARKS, **options}
    return Reclaimer(domain, memory=memory, **settings)


def grow(domain: Domain, size: int) -> None:
    """Do what a cache does that grows."""
    growth = domain._growth
    growth.grown += size
    if growth.grown > growth.allowance:
        growth.exceeded()


def planned(reclaimer: Reclaimer) -> int:
    """The allowance, before it is divided by what caches do not say (``Claims``)."""
    rest = reclaimer._worker.resting
    assert rest is not None
    return rest.allowance


# --- looking ----------------------------------------------------------------


def test_a_look_reclaims_up_to_high(domain: Domain, log: Waiter) -> None:
    """A synchronous look frees the deficit and says all about it."""
    memory = FakeMemory(90)
    cache = Pages(100_000, memory)
    with register(domain, cache):
        reclaimer = make(domain, memory)
        before = time.monotonic()
        verdict = reclaimer.look()
        assert verdict is not None
        assert before <= verdict.when <= time.monotonic()
        assert verdict.wall == pytest.approx(time.time(), abs=60)
        assert memory.used <= LIMIT - 150 * MIB
        assert verdict.freed == 100_000 - cache.pages >= 60 * MIB // PAGE
        assert verdict.wanted == verdict.deficit // PAGE == 60 * MIB // PAGE
        assert (verdict.action, verdict.trigger) == ("reclaim", "look")
        assert (verdict.priority_start, verdict.where) == (12, "test")
        assert 0 <= verdict.priority_end < 12
        assert (verdict.limit, verdict.free, verdict.kept) == (LIMIT, 90 * MIB, 0)
        assert (verdict.min, verdict.low, verdict.high) == (
            MARKS.min,
            MARKS.low,
            MARKS.high,
        )
        assert reclaimer.look() is None
        assert reclaimer.history() == (verdict,)
        seen = reclaimer.statistics()
        assert (seen.looks, seen.reclaims, seen.freed) == (2, 1, verdict.freed)
        assert seen.limit == LIMIT
        assert seen.used == memory.used
    line = log.wait_for("reclaim (look): 90.0 MiB free, below low (100.0); freed ")
    assert f"freed {verdict.freed:,} objects (15,360 wanted) (cache " in line
    assert len(line) <= 120
    log.wait_for("look (look): all is well [test: ")
    assert not reclaimer.running


def test_the_story_of_a_million_small_entries(domain: Domain) -> None:
    """75 % freed, 3 % given back: no second wipe, for as long as nothing grows."""
    memory = FakeMemory(90)
    cache = Pages(100_000, memory, share=0.03)
    with register(domain, cache):
        reclaimer = make(domain, memory, cooldown=0)
        verdict = reclaimer.look()
        assert verdict is not None
        left = cache.pages
        assert verdict.kept == pytest.approx(verdict.freed * PAGE * 0.97, abs=PAGE)
        for _ in range(20):
            assert reclaimer.look() is None
        assert cache.pages == left
        cache.pages += 5 * MIB // PAGE  # Into the gaps.
        assert reclaimer.look() is None
        memory.used += 11 * MIB  # Not into the gaps.
        assert reclaimer.look() is not None


def test_the_limit_may_change(domain: Domain) -> None:
    """A limit that is lowered while running is kept from the next look on."""
    memory = FakeMemory(500)
    with register(domain, Pages(100_000, memory)):
        reclaimer = make(domain, memory)
        assert reclaimer.look() is None
        memory.limit -= 450 * MIB
        verdict = reclaimer.look()
        assert verdict is not None
        assert verdict.limit == memory.limit


def test_ten_thousand_caches(domain: Domain) -> None:
    """All of them give in proportion, and nobody else is in the way of it."""
    memory = FakeMemory(90)
    caches = [Pages(20, memory) for _ in range(10_000)]
    kept = [register(domain, cache) for cache in caches]
    reclaimer = make(domain, memory, hold=0)
    verdict = reclaimer.look()
    assert verdict is not None
    assert verdict.freed == sum(20 - cache.pages for cache in caches) > 0
    assert memory.used <= LIMIT - MARKS.high
    for registration in kept:
        registration.close()


def test_callbacks_that_raise(domain: Domain, log: Waiter) -> None:
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
        verdict = reclaimer.look()
        assert verdict is not None
        assert verdict.errors == 2
        assert verdict.freed > 0
        memory.used = LIMIT
        reclaimer.look()
    assert log.count("RuntimeError in scan_objects of shrinker 'bad'", 30) == 1
    assert log.count("ValueError in count_objects of shrinker 'worse'", 30) == 1
    assert any(r.exc_info and r.exc_info[0] is RuntimeError for r in log.records)
    assert reclaimer.statistics().callback_errors == 4


def test_caches_that_die_during_reclaim(domain: Domain) -> None:
    """A registration closed by a scan of another one is no trouble."""
    memory = FakeMemory(30)
    first, second = Pages(50_000, memory), Pages(50_000, memory)
    with register(domain, first):
        doomed = register(domain, second)
        first.on_scan = doomed.close
        verdict = make(domain, memory).look()
        assert verdict is not None
        assert verdict.errors == 0


def test_interrupts_pass_through_a_look(domain: Domain) -> None:
    """KeyboardInterrupt belongs to who looks, and leaves everything in order."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)
    cache.on_scan = _interrupt
    with register(domain, cache):
        reclaimer = make(domain, memory)
        with pytest.raises(KeyboardInterrupt):
            reclaimer.look()
        cache.on_scan = lambda: None
        memory.used = LIMIT - 30 * MIB
        assert reclaimer.look() is not None
        assert len(reclaimer.history()) == 2


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_history_is_bounded(domain: Domain) -> None:
    """The last verdicts are kept, all are counted."""
    memory = FakeMemory(90)
    with register(domain, Pages(1_000_000, memory)):
        reclaimer = make(domain, memory, cooldown=0, history=3)
        for _ in range(5):
            memory.used = LIMIT - 30 * MIB
            reclaimer.look()
        assert len(reclaimer.history()) == 3
        assert reclaimer.statistics().reclaims == 5


def test_the_breaker_warns_once(domain: Domain, log: Waiter) -> None:
    """Nothing left to give: one line at WARNING, counted."""
    memory = FakeMemory(30)
    reclaimer = make(domain, memory)
    for _ in range(5):
        reclaimer.look()
    assert log.count("breaker opened: the caches are empty", logging.WARNING) == 1
    assert reclaimer.statistics().breaker_opened == 1
    assert reclaimer.statistics().breaker == "open"


# --- the thread -------------------------------------------------------------


def test_the_thread_reclaims_when_woken(domain: Domain, log: Waiter) -> None:
    """It sleeps while all is well, and acts upon a wake; under_pressure follows."""
    memory = FakeMemory(500)
    with register(domain, Pages(100_000, memory)):
        with make(domain, memory) as reclaimer:
            assert reclaimer.running
            log.wait_for("look (start): all is well")
            assert planned(reclaimer) == 230 * MIB
            memory.used = LIMIT - 90 * MIB
            reclaimer.wake()
            log.wait_for("reclaim (")
            assert domain.under_pressure
        assert not reclaimer.running
        assert not domain.under_pressure
        assert domain._growth.allowance == float("inf")


def test_the_source_is_heard(domain: Domain, log: Waiter) -> None:
    """An event of the source is a walk, with what it said as the reason."""
    memory = FakeMemory(500)
    source = FakeSource()
    with (
        register(domain, Pages(1_000_000, memory)),
        make(domain, memory, source=source) as reclaimer,
    ):
        log.wait_for("look (start)")
        source.say()
        line = log.wait_for("ease (event): stalled; 500.0 MiB free")
        assert "wanted" not in line
        assert not domain.under_pressure
        assert reclaimer.statistics().events == 1
        assert reclaimer.statistics().source == "fake"
    assert not source.is_open


def test_a_source_that_vanishes(domain: Domain, log: Waiter) -> None:
    """It is closed with a warning, and watermarks go on alone."""
    memory = FakeMemory(500)
    source = FakeSource()
    with register(domain, Pages(100_000, memory)):
        with make(domain, memory, source=source) as reclaimer:
            source.vanish()
            log.wait_for("source lost: fake: fake: it was removed")
            assert not source.is_open
            memory.used = LIMIT - 90 * MIB
            reclaimer.wake()
            log.wait_for("reclaim (")
            assert reclaimer.statistics().errors == 1
        source.gone = None
        with reclaimer:
            assert source.opened == 2


def test_auto_finds_another(
    domain: Domain, log: Waiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where auto chose, it chooses again, without the one that was lost."""
    sources = [FakeSource("first"), FakeSource("second")]
    excluded: list[list[str]] = []

    def auto(*, memory: Memory, exclude: list[str]) -> PressureSource:
        excluded.append(list(exclude))
        if len(excluded) > len(sources):
            raise OSError("nothing works")
        sources[len(excluded) - 1].open()
        return sources[len(excluded) - 1]

    monkeypatch.setattr(shrinker.pressure.listening, "auto", auto)
    with make(domain, FakeMemory(500), source="auto") as reclaimer:
        sources[0].vanish()
        log.wait_for("source: second")
        assert reclaimer.statistics().source == "second"
        sources[1].vanish()
        log.wait_for("watermarks go on alone: nothing works")
        assert reclaimer.running
    assert excluded == [[], ["first"], ["first", "second"]]
    assert log.count("source lost", logging.WARNING) == 3


def test_a_given_source_that_does_not_work(domain: Domain) -> None:
    """start() says so, and leaves nothing behind."""
    source = FakeSource()
    source.fails = PermissionError("may not write")
    reclaimer = make(domain, FakeMemory(500), source=source)
    with pytest.raises(PermissionError):
        reclaimer.start()
    assert not reclaimer.running
    source.fails = None
    with reclaimer:
        assert source.is_open


def test_memory_that_cannot_be_read(domain: Domain, log: Waiter) -> None:
    """Logged once at WARNING, and the thread goes on."""
    memory = FakeMemory(500)
    broken = True

    def fail() -> None:
        if broken:
            raise OSError("gone")

    memory.on_read = fail
    with register(domain, Pages(100_000, memory)), make(domain, memory) as reclaimer:
        log.wait_for("failed, the next one is in 1 s: OSError: gone")
        reclaimer.wake()
        log.wait_for("OSError: gone", 2)
        assert log.count("OSError: gone", logging.WARNING) == 1
        broken = False
        memory.used = LIMIT - 90 * MIB
        reclaimer.wake()
        log.wait_for("reclaim (")
        assert reclaimer.statistics().errors == 2


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_interrupts_do_not_end_the_thread(
    domain: Domain, log: Waiter, error: BaseException
) -> None:
    """What a callback raises for the main thread is logged, and the thread goes on."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)
    raising = True

    def scan() -> None:
        if raising:
            raise error

    cache.on_scan = scan
    with register(domain, cache), make(domain, memory) as reclaimer:
        log.wait_for(f"raised {type(error).__name__} in the background")
        raising = False
        reclaimer.wake()
        log.wait_for("reclaim (", 2)


def test_a_closed_domain_stops_it(log: Waiter) -> None:
    """The reclaimer of a domain that is closed ends by itself, and says so."""
    domain = Domain()
    reclaimer = make(domain, FakeMemory(500)).start()
    thread = reclaimer._thread
    assert thread is not None
    log.wait_for("look (start)")
    domain.close()
    reclaimer.wake()
    log.wait_for("the domain is closed: its reclaimer stops")
    thread.join(SOON)
    assert not reclaimer.running
    reclaimer.stop()
    with pytest.raises(ShrinkerError, match="closed"):
        reclaimer.start()
    with pytest.raises(ShrinkerError, match="closed"):
        reclaimer.look()


def test_one_running_reclaimer_for_a_domain(domain: Domain) -> None:
    """A second one is refused, until the first has stopped."""
    first, second = (make(domain, FakeMemory(500)) for _ in range(2))
    with first:
        assert first.start() is first
        said = (
            "another reclaimer; stop that first:"
            r" <Reclaimer running, started at test_reclaimer.py:\d+>"
        )
        with pytest.raises(ShrinkerError, match=said):
            second.start()
        assert not second.running
        assert first.running
        second.stop()
        assert domain._growth.allowance < float("inf") or first.running
    with second:
        assert second.running
    second.stop()


def test_stop_in_a_callback(domain: Domain) -> None:
    """A callback may stop the reclaimer whose thread it runs on."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)
    stopped = threading.Event()
    reclaimer = make(domain, memory)

    def stop() -> None:
        reclaimer.stop()
        stopped.set()

    cache.on_scan = stop
    with register(domain, cache):
        reclaimer.start()
        thread = reclaimer._thread
        assert stopped.wait(SOON)
        if thread is not None:
            thread.join(SOON)
        assert not reclaimer.running
        assert not domain.under_pressure
        assert domain._growth._watcher is None


def test_stop_does_not_wait_for_ever(domain: Domain, log: Waiter) -> None:
    """A callback that hangs keeps its thread, not who stops the reclaimer."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)
    inside, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        inside.set()
        assert go_on.wait(SOON)

    cache.on_scan = hang
    with register(domain, cache):
        reclaimer = make(domain, memory).start()
        assert inside.wait(SOON)
        thread = reclaimer._thread
        assert thread is not None
        reclaimer.stop(timeout=0)
        assert not reclaimer.running
        log.wait_for("has not ended yet")
        assert domain._growth._watcher is None
        go_on.set()
        thread.join(SOON)
        assert not thread.is_alive()
        assert not domain.under_pressure


def test_start_and_stop_from_many_threads(domain: Domain, fast_switching: None) -> None:
    """Whoever is last decides; nothing is left behind."""
    reclaimer = make(domain, FakeMemory(500))
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - numbers, no paths

    def both() -> None:
        for _ in range(20):
            reclaimer.start()
            reclaimer.stop()

    assert run_threads(*[both] * 4) == []
    reclaimer.stop()
    assert not reclaimer.running
    assert domain._growth._watcher is None
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_it_says_what_it_protects(domain: Domain, log: Waiter) -> None:
    """One line at the start: where, how much, the watermarks, who is listened to."""
    source = FakeSource()
    with make(domain, FakeMemory(500), source=source) as reclaimer:
        line = log.wait_for("protecting ")
        assert line == (
            "protecting test: limit 1000 MiB, 500 used; min 40, low 100, high 150 MiB;"
            " source: fake"
        )
        log.wait_for("look (start): all is well [test: 500.0 MiB free, low 100.0]")
        reclaimer.wake()
        log.wait_for("look (wake)")
    assert log.count("protecting ", logging.INFO) == 1


def test_who_gave_most(domain: Domain) -> None:
    """Up to three names, the first first; none where there are too many to ask."""
    memory = FakeMemory(90)
    sizes = {"none": 0, "few": 10_000, "some": 20_000, "most": 40_000, "least": 5_000}
    kept = [register(domain, Pages(n, memory), name=name) for name, n in sizes.items()]
    reclaimer = make(domain, memory)
    verdict = reclaimer.look()
    assert verdict is not None
    assert [name for name, _ in verdict.givers] == ["most", "some", "few"]
    assert sum(freed for _, freed in verdict.givers) < verdict.freed
    kept += [register(domain, Pages(100, memory)) for _ in range(100)]
    memory.used = LIMIT - 30 * MIB
    verdict = reclaimer.look()
    assert verdict is not None
    assert verdict.freed
    assert verdict.givers == ()
    for registration in kept:
        registration.close()


def test_who_comes_out_of_pressure_is_trimmed(
    domain: Domain, asleep: list[str]
) -> None:
    """What caches evicted meanwhile, nobody was told of; once is enough."""
    memory = FakeMemory(90)
    with register(domain, Pages(100_000, memory)):
        reclaimer = make(domain, memory, trim=True, hold=0, cooldown=0)
        trims: list[int] = []
        reclaimer._worker.trimmer._find = lambda: trims.append  # type: ignore[method-assign]
        reclaimer.start()
        for free, expected in ((149, "trim"), (151, None)):
            memory.used = LIMIT - 90 * MIB
            reclaimer.look()
            assert domain.under_pressure
            reclaimer._worker.trimmer._owed = 0
            reclaimer._worker.trimmer._next = 0.0
            memory.used = LIMIT - free * MIB
            del trims[:]
            verdict = reclaimer.look()
            assert (verdict and verdict.action) == expected
            assert not domain.under_pressure
            assert reclaimer.look() is None
            assert trims == ([0] if expected else [])
        reclaimer.stop()


# --- direct reclaim ---------------------------------------------------------


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A background thread that does nothing; returns the wakes."""
    wakes: list[str] = []
    monkeypatch.setattr(Background, "run", lambda self: None)
    monkeypatch.setattr(Bell, "ring", lambda self: wakes.append("wake"))
    return wakes


def shortage(domain: Domain, memory: FakeMemory, **options: Any) -> Reclaimer:
    """A started reclaimer that finds memory short when a cache grows next."""
    reclaimer = make(domain, memory, **options)
    reclaimer.start()
    domain._growth.allowance = 0
    return reclaimer


def test_inserts_reclaim_below_min(domain: Domain, asleep: list[str]) -> None:
    """Who makes a cache grow frees first: a bounded number, in its own thread."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)
    threads = []
    cache.on_scan = lambda: threads.append(threading.current_thread())
    with register(domain, cache):
        reclaimer = shortage(domain, memory)
        grow(domain, 1000)
        (verdict,) = reclaimer.history()
        assert (verdict.action, verdict.trigger) == ("direct", "growth")
        assert verdict.wanted == 2048
        assert verdict.freed >= 2048
        assert not verdict.trimmed
        assert set(threads) == {threading.current_thread()}
        assert planned(reclaimer) == MIB
        assert asleep, "the background goes on from here"
        assert reclaimer.statistics().direct_reclaims == 1
        reclaimer.stop()


def test_inserts_above_min_only_look(domain: Domain, asleep: list[str]) -> None:
    """Below low the background is woken; above, a new allowance is all."""
    memory = FakeMemory(90)
    cache = Pages(100_000, memory)
    with register(domain, cache):
        reclaimer = shortage(domain, memory)
        grow(domain, 1000)
        assert len(asleep) == 1
        memory.used = LIMIT - 500 * MIB
        domain._growth.allowance = 0
        grow(domain, 1000)
        assert len(asleep) == 1
        assert planned(reclaimer) == 230 * MIB
        assert domain._growth.grown == 0
        assert not cache.scans
        reclaimer.stop()


def test_noreclaim(domain: Domain, asleep: list[str]) -> None:
    """Inside of noreclaim() the work is the background's."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)
    with register(domain, cache):
        reclaimer = shortage(domain, memory)
        reads = memory.reads
        with noreclaim():
            grow(domain, 1000)
        assert (cache.scans, memory.reads, len(asleep)) == ([], reads, 1)
        reclaimer.stop()


def test_direct_can_be_turned_off(domain: Domain, asleep: list[str]) -> None:
    """With direct=False inserts only wake."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)
    with register(domain, cache):
        reclaimer = shortage(domain, memory, direct=False)
        grow(domain, 1000)
        assert (cache.scans, len(asleep)) == ([], 1)
        reclaimer.stop()


@pytest.mark.parametrize("wanted", [False, True])
def test_an_event_loop_is_not_kept(
    domain: Domain, asleep: list[str], wanted: bool
) -> None:
    """On a thread that runs asyncio inserts only wake, unless asked otherwise."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)

    async def insert() -> None:
        grow(domain, 1000)

    with register(domain, cache):
        reclaimer = shortage(domain, memory, direct_on_event_loop=wanted)
        asyncio.run(insert())
        assert bool(cache.scans) is wanted
        assert asleep
        reclaimer.stop()


def test_callbacks_that_insert(domain: Domain, asleep: list[str]) -> None:
    """A scan that makes a cache grow does not reclaim inside of a walk."""
    memory = FakeMemory(10)
    cache = Pages(100_000)

    def insert() -> None:
        domain._growth.allowance = 0
        grow(domain, 1000)

    cache.on_scan = insert
    with register(domain, cache):
        reclaimer = shortage(domain, memory)
        grow(domain, 1000)
        assert len(reclaimer.history()) == 1
        wakes = len(asleep)
        domain.reclaim(0, priority=0)  # Somebody else's walk.
        assert len(asleep) > wakes
        assert len(reclaimer.history()) == 1
        assert domain.statistics().nested == 0
        reclaimer.stop()


def test_inserts_never_fail(domain: Domain, asleep: list[str], log: Waiter) -> None:
    """Whatever goes wrong in direct reclaim is left for the log."""
    memory = FakeMemory(30)
    error: BaseException = OSError("unreadable")

    def fail() -> None:
        raise error

    cache = Scripted(scan=raiser(RuntimeError("oops")))
    with register(domain, cache):
        reclaimer = shortage(domain, memory)
        grow(domain, 1000)
        memory.on_read = fail
        domain._growth.allowance = 0
        grow(domain, 1000)
        assert log.lines == [], "an insert waits for no handler"
        reclaimer._journal.log()
        log.wait_for("a callback raised RuntimeError")
        log.wait_for("direct reclaim failed: OSError: unreadable")
        error = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            grow(domain, 1000)
        memory.on_read = lambda: None
        grow(domain, 1000)
        assert reclaimer.statistics().direct_reclaims == 2, "the turn was given back"
        reclaimer.stop()


def test_inserts_wait_for_nobody(domain: Domain, asleep: list[str]) -> None:
    """While others look or hold the turn, inserts look for themselves."""
    memory = FakeMemory(30)
    inside, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        inside.set()
        assert go_on.wait(SOON)

    with register(domain, Pages(100_000, memory)):
        reclaimer = shortage(domain, memory)
        memory.on_read = hang
        thread = threading.Thread(target=grow, args=(domain, 1000))
        thread.start()
        assert inside.wait(SOON)
        memory.on_read = lambda: None
        reclaimer._worker._busy = True
        grow(domain, 1000)
        assert reclaimer.statistics().direct_reclaims == 1
        assert reclaimer.statistics().priority == 12
        assert len(reclaimer._worker._unheard) == 1, "told to who has the next turn"
        allowance = domain._growth.allowance
        reclaimer._worker._busy = False
        memory.used = 0
        go_on.set()
        thread.join(SOON)
        assert domain._growth.allowance <= allowance, "old figures raise nothing"
        reclaimer.stop()


def test_lookers_share_what_is_free(domain: Domain, asleep: list[str]) -> None:
    """Who begins to look leaves half of the allowance to the others meanwhile."""
    memory = FakeMemory(500)
    seen = []
    with register(domain, Pages(100_000, memory)):
        reclaimer = shortage(domain, memory)
        domain._growth.allowance = 1 << 20
        memory.on_read = lambda: seen.append(domain._growth.allowance)
        grow(domain, 2 << 20)
        assert seen == [1 << 19]
        assert planned(reclaimer) == 230 * MIB
        reclaimer.stop()


def test_many_threads_insert(domain: Domain, fast_switching: None) -> None:
    """Beside a running background, memory stays above nothing and nothing is lost."""
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


# --- giving back ------------------------------------------------------------


def test_trim_is_called_when_it_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """After enough was freed, and once a second at most."""
    calls = []
    trimmer = Trimmer()
    monkeypatch.setattr(trimmer, "_find", lambda: calls.append)
    trimmer.freed(WORTH - 1)
    assert not trimmer.trim(0)
    trimmer.freed(1)
    assert trimmer.trim(0)
    assert calls == [0]
    trimmer.freed(WORTH)
    assert trimmer.due() == 1.0
    assert not trimmer.trim(0.9)
    assert trimmer.trim(1.0)
    trimmer.freed(WORTH)
    assert not trimmer.trim(1.01, urgent=True)
    assert trimmer.trim(1.1, urgent=True), "where next to nothing is free"


def test_no_malloc_trim(monkeypatch: pytest.MonkeyPatch, log: Waiter) -> None:
    """Where libc has none, that is said once and nothing else happens."""
    ctypes = pytest.importorskip("ctypes")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    trimmer = Trimmer()
    for now in range(3):
        trimmer.freed(WORTH)
        assert not trimmer.trim(now)
    assert log.count("no malloc_trim here") == 1
    assert trimmer.due() is None


def test_real_memory_is_given_back(domain: Domain) -> None:
    """Blocks freed between blocks in use go back, and the verdict says how much."""
    if not hasattr(pytest.importorskip("ctypes").CDLL(None), "malloc_trim"):
        pytest.skip("libc has no malloc_trim")
    memory = FakeMemory(90)
    blocks = [bytes(20_000) for _ in range(2_000)]
    pins = [bytes(600) for _ in range(100)]

    class Blocks(Pages):
        def scan_objects(self, sc: Any) -> Any:
            del blocks[:]
            return super().scan_objects(sc)

    with register(domain, Blocks(100_000, memory)):
        before = resident()
        verdict = make(domain, memory, trim=True).look()
        assert verdict is not None
        assert verdict.trimmed
        assert verdict.resident_before == pytest.approx(before, abs=8 * MIB)
        assert verdict.given_back > 20 * MIB
    assert pins


def test_what_inserts_freed_is_trimmed_by_the_background(
    domain: Domain, asleep: list[str]
) -> None:
    """Direct reclaim does not walk the heap; the next look does."""
    memory = FakeMemory(30)
    with register(domain, Pages(100_000, memory)):
        reclaimer = shortage(domain, memory, trim=True)
        reclaimer._worker.trimmer._find = lambda: lambda pad: 1  # type: ignore[method-assign]
        for _ in range(3):
            domain._growth.allowance = 0
            memory.used = LIMIT - 30 * MIB
            grow(domain, 1000)
        memory.used = LIMIT // 2
        verdict = reclaimer.look()
        assert verdict is not None
        assert verdict.action == "trim"
        assert reclaimer.statistics().trims == 1
        reclaimer.stop()


# --- arguments --------------------------------------------------------------


def test_bad_arguments(domain: Domain) -> None:
    """Refused with a clear text before anything is opened."""
    cases: list[tuple[type[Exception], str, Callable[[], object]]] = [
        (TypeError, "domain must be", lambda: Reclaimer("x")),  # type: ignore[arg-type]
        (TypeError, "source must be", lambda: protect(domain, source="x")),  # type: ignore[arg-type]
        (TypeError, "source must be", lambda: protect(domain, source=5)),  # type: ignore[arg-type]
        (TypeError, "cooldown must be", lambda: protect(domain, cooldown="1")),  # type: ignore[arg-type]
        (ValueError, "hold must be", lambda: protect(domain, hold=-1)),
        (ValueError, "hold must be", lambda: protect(domain, hold=float("nan"))),
        (ValueError, "history must be", lambda: protect(domain, history=0)),
        (TypeError, "watermarks must be", lambda: protect(domain, watermarks=7)),  # type: ignore[arg-type]
        (TypeError, "memory must be", lambda: protect(domain, memory="/")),  # type: ignore[arg-type]
    ]
    for kind, text, make_one in cases:
        with pytest.raises(kind, match=text):
            make_one()


def test_protect_that_nobody_enters(domain: Domain) -> None:
    """A bare protect() protects nothing, and is heard to; a Reclaimer may just be."""
    with pytest.warns(ResourceWarning, match=r"protect\(\) was never entered"):
        protect(domain)
    Reclaimer(domain)
    with protect(domain, memory=FakeMemory(500), source=None):
        pass
    protect(domain, memory=FakeMemory(500), source=None).look()
    started = protect(domain, memory=FakeMemory(500), source=None).start()
    started.stop()


def test_protect_passes_everything_on(domain: Domain) -> None:
    """What protect() is given, the reclaimer has; nothing has started."""
    memory = FakeMemory(10, 100 * MIB)
    rule = Watermarks.fractions(0.2, 0.3, 0.4)
    reclaimer = protect(domain, memory=memory, watermarks=rule, source=None)
    assert not reclaimer.running
    assert (reclaimer._policy._hold, reclaimer._policy._cooldown) == (0.5, 0.2)
    assert repr(reclaimer) == "<Reclaimer stopped>"
    cache = Pages(100_000, memory)
    with register(domain, cache):
        verdict = reclaimer.look()
    assert verdict is not None
    assert verdict.high == 40 * MIB


def test_verdicts_read_well() -> None:
    """The line in the log has what one wants to know first."""
    verdict = Verdict(
        when=0,
        wall=0,
        trigger="timer",
        action="reclaim",
        reason="90.0 MiB free, below low (100.0)",
        where="cgroup v1 /app",
        limit=LIMIT,
        priority_start=12,
        priority_end=4,
        wanted=1000,
        freed=1200,
        givers=(("thumbnails", 1100), ("a name that is far too long", 100)),
        resident_before=500 * MIB,
        resident_after=490 * MIB,
        trimmed=True,
        kept=2 * MIB,
        duration=0.0123,
    )
    assert str(verdict) == (
        "reclaim (timer): 90.0 MiB free, below low (100.0); freed 1,200 objects"
        " (1,000 wanted) (thumbnails 1,100, a name that is far to... 100),"
        " RSS -10.0 MiB"
    )
    assert verdict.given_back == 10 * MIB


def test_other_levels_count(domain: Domain) -> None:
    """The machine may be short where the container is not."""
    memory = FakeMemory(500)
    memory.more = (MemoryLevel("machine", 2 * LIMIT, 2 * LIMIT - 50 * MIB, 0),)
    with register(domain, Pages(100_000)):
        verdict = make(domain, memory).look()
    assert verdict is not None
    assert verdict.where == "machine"
    assert verdict.reason.startswith("machine: 50.0 MiB free"), "not the nearest"


def test_the_log_names_the_source_once(
    domain: Domain, log: Waiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reason where it was chosen, else beside what is protected."""

    def auto(**_: object) -> PressureSource:
        chosen = FakeSource("chosen")
        chosen.reason = "it works; passed over: another: it does not"
        chosen.open()
        return chosen

    monkeypatch.setattr(shrinker.pressure.listening, "auto", auto)
    for source, said in (
        ("auto", "source: chosen, because it works; passed over: another: it does not"),
        (FakeSource("given"), "; source: given"),
        (None, "; source: none"),
    ):
        log.lines.clear()
        with make(domain, FakeMemory(500), source=source):
            log.wait_for("protecting")
        (line,) = (line for line in log.lines if "source: " in line)
        assert line.endswith(said)
