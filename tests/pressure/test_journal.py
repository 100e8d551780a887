"""Records and the log: what they say, and handlers that insert, raise or hang."""

from __future__ import annotations

import collections
import os
import signal
import threading
from typing import TYPE_CHECKING

from pressure_support import LIMIT, MIB, SOON, FakeMemory, Log, Pages, make, use_up
from tests_support import Scripted, raiser, register

from shrinker.pressure.journal import MAX_WAITING, Journal, ReclaimRecord

if TYPE_CHECKING:
    from shrinker import Domain


def test_records_read_well() -> None:
    """The log line begins with what matters most."""
    record = ReclaimRecord(
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
    assert str(record) == (
        "reclaim (timer): 90.0 MiB free, below low (100.0); freed 1,200 objects"
        " (1,000 wanted) (thumbnails 1,100, a name that is far to... 100),"
        " RSS -10.0 MiB"
    )
    assert record.given_back == 10 * MIB


def test_names_begin_no_line_of_the_log(log: Log) -> None:
    """Those of cgroups and caches may have line breaks: a record stays one line."""
    journal = Journal(10)
    record = ReclaimRecord(
        *(0, 0, "timer", "reclaim", "cgroup v2 /a\nb: 1.0 MiB free"),
        limit=LIMIT,
        givers=(("c\nERROR", 1),),
        held=(("d\x1b[31m", 1),),
    )
    journal.add(record)
    journal.log()
    (line,) = log.lines
    assert r"/a\nb: 1.0 MiB" in line
    assert r"(c\nERROR 1); lock taken of d\x1b[31m 1 times" in line
    assert line.isprintable()


def test_history_is_bounded(domain: Domain) -> None:
    """The last records are kept, all are counted."""
    memory = FakeMemory(90)
    with register(domain, Pages(1_000_000, memory)):
        reclaimer = make(domain, memory, cooldown=0, history=3)
        for _ in range(5):
            memory.used = LIMIT - 30 * MIB
            reclaimer.look()
        assert len(reclaimer.history()) == 3
        assert reclaimer.statistics().reclaims == 5


def test_a_log_handler_that_inserts(
    domain: Domain, asleep: list[str], log: Log
) -> None:
    """The records that it causes are logged the next time, so the look ends."""
    with (
        register(domain, Pages(10_000_000)),
        make(domain, FakeMemory(10)) as reclaimer,
    ):
        log.on_line = lambda: len(log.lines) < 500 and use_up(domain)
        reclaimer.look()
        (line,) = log.lines
        assert line.startswith("reclaim (look)")
        log.on_line = lambda: None
        reclaimer.look()
        actions = [line.partition(" ")[0] for line in log.lines]
        assert actions == ["reclaim", "direct", "reclaim"]


def test_a_log_handler_that_raises(domain: Domain, log: Log) -> None:
    """A look returns its record, and the other lines are logged all the same."""

    def fail() -> None:
        raise RuntimeError("the disk is full")

    log.on_line = fail
    bad = Scripted(count=raiser(ValueError("no")))
    with register(domain, bad), register(domain, Pages(100_000)):
        reclaimer = make(domain, FakeMemory(10))
        assert reclaimer.look() is not None
    assert len(log.lines) == 3, "what the callback raised, twice, and the record"
    assert reclaimer.statistics().reclaims == 1


def test_a_log_handler_that_logs_again(log: Log) -> None:
    """What it causes is logged the next time, and nothing twice."""
    journal = Journal(10)

    def again() -> None:
        if len(log.lines) == 1:
            journal.complain("second")
            journal.log()

    log.on_line = again
    journal.complain("first")
    journal.log()
    assert log.lines == ["first"]
    journal.log()
    assert log.lines == ["first", "second"]


def test_a_log_handler_that_hangs(log: Log) -> None:
    """What waits for it is bounded, what is dropped is said, and no count is lost."""
    journal = Journal(5)
    for number in range(3 * MAX_WAITING):
        journal.add(ReclaimRecord(float(number), 0.0, "growth", "direct", "r", freed=1))
    assert len(journal._fresh) <= MAX_WAITING + 1
    totals, _ = journal.totals()
    assert totals["freed"] == totals["direct"] == 3 * MAX_WAITING
    assert [record.when for record in journal.history()] == [
        3.0 * MAX_WAITING - left for left in (5, 4, 3, 2, 1)
    ]
    journal.log()
    assert len(log.lines) == MAX_WAITING + 1
    assert log.lines[-1].startswith(f"{2 * MAX_WAITING} log lines were dropped")


def test_statistics_in_a_signal_handler(domain: Domain) -> None:
    """A handler that reads them may interrupt the thread that reads them."""
    reclaimer = make(domain)
    seen = []

    class Fresh(collections.deque[ReclaimRecord]):
        """Is interrupted each time that a record is taken."""

        def popleft(self) -> ReclaimRecord:
            signal.raise_signal(signal.SIGUSR1)
            return super().popleft()

    journal = reclaimer._journal
    journal._fresh = Fresh()
    for _ in range(10):
        journal.add(ReclaimRecord(0.0, 0.0, "look", "reclaim", "r", freed=1))
    before = signal.signal(
        signal.SIGUSR1, lambda *_: seen.append(reclaimer.statistics())
    )
    try:
        # A deadlock ends the process.
        watchdog = threading.Timer(SOON, os._exit, [3])
        watchdog.start()
        assert reclaimer.statistics().freed == 10
        watchdog.cancel()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(seen) == 10
    assert reclaimer.statistics().reclaims == 10
