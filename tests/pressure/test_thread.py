"""The background thread: when it looks, what wakes it, what it logs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pressure_support import (
    LIMIT,
    MARKS,
    MIB,
    SOON,
    FakeMemory,
    FakeSource,
    Log,
    Pages,
    growth_of,
    make,
    make_worker,
    planned,
    thread_of,
)
from tests_support import register

import shrinker.pressure.sources.failover
from shrinker import Domain
from shrinker.errors import ShrinkerError
from shrinker.pressure.limits.cgroups import Cgroup, Cgroups
from shrinker.pressure.sources.failover import SourceFailover
from shrinker.pressure.sources.thresholds import ThresholdSet
from shrinker.pressure.thread import (
    MAX_PERIOD_SECONDS,
    MAX_SLEEP_SECONDS,
    MIN_PERIOD_SECONDS,
    RATE_HALF_LIFE_SECONDS,
    Background,
    Pace,
    Waker,
)
from shrinker.pressure.trim import MIN_FREED_BYTES, Trimmer

if TYPE_CHECKING:
    from shrinker.pressure import PressureSource
    from shrinker.pressure.limits.memory import Memory


T = 1000.0


def test_pace_follows_the_fill_rate() -> None:
    """Half of the time in which memory fills at the highest rate seen, bounded."""
    pace = Pace()
    assert pace.period(100 * MIB) == MAX_PERIOD_SECONDS
    pace.observe(T, 0)
    pace.observe(T + 1, 100 * MIB)
    assert pace.period(100 * MIB) == pytest.approx(0.5)
    assert pace.period(1 * MIB) == MIN_PERIOD_SECONDS
    assert pace.period(-5) == MIN_PERIOD_SECONDS
    assert pace.period(LIMIT) == MAX_PERIOD_SECONDS
    pace.observe(T + 1 + RATE_HALF_LIFE_SECONDS, 0)
    assert pace.period(50 * MIB) == pytest.approx(0.5)
    pace.forget_usage()
    pace.observe(T + 12, LIMIT)
    assert pace.period(50 * MIB) == pytest.approx(0.5), "another limit's figures"


def test_pace_heeds_what_looks_cost() -> None:
    """Expensive looks are rare while all is well, and only then."""
    pace = Pace()
    pace.took(0.001)
    assert pace.period(LIMIT) == pytest.approx(2.0)
    pace.observe(T, 0)
    pace.observe(T + 1, 100 * MIB)
    assert pace.period(20 * MIB) == pytest.approx(0.1)


def test_no_look_is_so_expensive_that_the_next_one_is_too_late() -> None:
    """On a slow machine memory that fills is looked at before it is short."""
    pace = Pace()
    pace.took(0.1)
    assert pace.period(LIMIT) == pytest.approx(200.0)
    pace.observe(T, 0)
    pace.observe(T + 1, 10 * MIB)
    assert pace.period(50 * MIB) == pytest.approx(2.5)


def test_two_looks_at_once_show_no_rate() -> None:
    """The time between them is too short to divide by."""
    pace = Pace()
    pace.observe(0.0, 0)
    pace.observe(1.0, 1000)
    assert pace.period(1000) == 0.5
    pace.observe(1.0 + MIN_PERIOD_SECONDS / 4, 10**9)
    assert pace.period(1000) == 0.5


def test_a_waker_closes_once() -> None:
    """Its number may be another file's by the second time."""
    waker = Waker()
    waker.close()
    waker.close()
    assert waker.fd == -1


def test_it_sleeps_no_longer_than_until_a_trim(domain: Domain) -> None:
    """What inserts have freed is given back even if nothing else happens."""
    memory = FakeMemory(900)
    worker = make_worker(domain, memory)
    worker.trimmer = Trimmer()
    background = Background(
        worker,
        SourceFailover(None, memory, worker.record_change),
        ThresholdSet(lambda _: MARKS.low),
        lambda _: None,
    )
    assert background.timeout() == MAX_SLEEP_SECONDS, "before the first look"
    worker.reclaim_if_short("test")
    assert background.timeout() > MIN_PERIOD_SECONDS
    worker.trimmer.freed(MIN_FREED_BYTES)
    assert background.timeout() == MIN_PERIOD_SECONDS
    background.close()


def test_the_thread_reclaims_when_woken(domain: Domain, log: Log) -> None:
    """It sleeps while all is well, and looks when woken; under_pressure follows."""
    memory = FakeMemory(500)
    with register(domain, Pages(100_000, memory)):
        with make(domain, memory, hold=3600) as reclaimer:
            assert reclaimer.running
            log.wait_for("look (start): all is well")
            assert planned(reclaimer) == 230 * MIB
            memory.used = LIMIT - 90 * MIB
            reclaimer.wake()
            log.wait_for("reclaim (")
            assert domain.under_pressure
        assert not reclaimer.running
        assert not domain.under_pressure
        assert growth_of(domain).allowance == float("inf")


def test_the_source_is_heard(domain: Domain, log: Log) -> None:
    """An event of the source leads to a walk, and is its reason."""
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


def test_a_source_that_vanishes(domain: Domain, log: Log) -> None:
    """It is closed with a warning, and the watermarks go on alone."""
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
    domain: Domain, log: Log, monkeypatch: pytest.MonkeyPatch
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

    monkeypatch.setattr(shrinker.pressure.sources.failover, "auto", auto)
    with make(domain, FakeMemory(500), source="auto") as reclaimer:
        sources[0].vanish()
        log.wait_for("source: second")
        assert reclaimer.statistics().source == "second"
        sources[1].vanish()
        log.wait_for("the watermarks go on alone: nothing works")
        assert reclaimer.running
    assert excluded == [[], ["first"], ["first", "second"]]
    assert log.count("source lost", logging.WARNING) == 3


def test_each_look_follows_the_process(
    domain: Domain, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it was moved, the source is that of its new group, and INFO says so."""
    groups = ["/first", "/second"]

    class MovedMemory(FakeMemory):
        @property
        def cgroups(self) -> Cgroups:
            return now[0]

    def auto(*, memory: Memory, exclude: list[str]) -> PressureSource:
        source = FakeSource(memory.cgroups.v2[0].path)
        source.open()
        return source

    monkeypatch.setattr(shrinker.pressure.sources.failover, "auto", auto)
    chains = [Cgroups(v2=(Cgroup(2, path, Path(path)),)) for path in groups]
    now = [chains[0]]
    with make(domain, MovedMemory(500), source="auto") as reclaimer:
        log.wait_for("look (start)")
        now[0] = chains[1]
        reclaimer.wake()
        log.wait_for("source: this process was moved to cgroup v2 /second")
        log.wait_for("source: /second")
        assert reclaimer.statistics().source == "/second"
    assert log.count("source", logging.WARNING) == 0


def test_memory_that_cannot_be_read(domain: Domain, log: Log) -> None:
    """Logged once at WARNING, and the thread goes on."""
    memory = FakeMemory(500)
    broken = True

    def fail() -> None:
        if broken:
            raise OSError("gone")

    memory.on_read = fail
    with register(domain, Pages(100_000, memory)), make(domain, memory) as reclaimer:
        log.wait_for("failed, next try in 1 s: OSError: gone")
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
    domain: Domain, log: Log, error: BaseException
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


def test_a_closed_domain_stops_it(log: Log) -> None:
    """The reclaimer of a domain that is closed ends by itself, and says so."""
    domain = Domain()
    reclaimer = make(domain, FakeMemory(500)).start()
    thread = thread_of(reclaimer)
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


def test_it_says_what_it_protects(domain: Domain, log: Log) -> None:
    """One line at the start: where, how much, the watermarks, the source."""
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


def test_the_log_names_the_source_once(
    domain: Domain, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reason where ``auto`` chose it, else beside what is protected."""

    def auto(**_: object) -> PressureSource:
        chosen = FakeSource("chosen")
        chosen.reason = "it works; passed over: another: it does not"
        chosen.open()
        return chosen

    monkeypatch.setattr(shrinker.pressure.sources.failover, "auto", auto)
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
