"""What others do wrong: sources, rules, handlers, callbacks, forks, signal handlers.

The reclaimer goes on in all of it, and says so.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import LIMIT, MARKS, MIB, FakeMemory, FakeSource, Pages, level
from tests_support import register

import shrinker.pressure.listening
from shrinker import Domain
from shrinker.pressure import (
    Memory,
    Polling,
    PressureEvent,
    PsiTrigger,
    Reclaimer,
    SystemdPressure,
    Watermarks,
    auto,
    kernel_file,
)
from shrinker.pressure.claims import FIRST, Claims
from shrinker.pressure.kernel_file import KernelFile, drained
from shrinker.pressure.listening import TRY_AGAIN, Listening
from shrinker.pressure.policy import Policy
from shrinker.pressure.verdicts import MOST_WAITING, Journal, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOON = 20.0
LOGGER = logging.getLogger("shrinker.pressure")


class Handler(logging.Handler):
    """Does something for each line."""

    def __init__(self, do: Callable[[], object]) -> None:
        super().__init__(logging.INFO)
        self.do = do
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.do()


@pytest.fixture
def handle() -> Iterator[Callable[[Callable[[], object]], Handler]]:
    """Adds handlers to the logger, and takes them away."""
    added: list[Handler] = []
    before = LOGGER.level
    LOGGER.setLevel(logging.INFO)

    def add(do: Callable[[], object]) -> Handler:
        added.append(Handler(do))
        LOGGER.addHandler(added[-1])
        return added[-1]

    yield add
    for handler in added:
        LOGGER.removeHandler(handler)
    LOGGER.setLevel(before)


def make(domain: Domain, memory: Memory, **options: Any) -> Reclaimer:
    settings = {"source": None, "trim": False, "watermarks": MARKS, **options}
    return Reclaimer(domain, memory=memory, **settings)


def grow(domain: Domain, size: int = 1000) -> None:
    """Use the allowance up, as an insert does."""
    growth = domain._growth
    growth.allowance = 0
    growth.grown += size
    growth.exceeded()


# --- sources ----------------------------------------------------------------


@pytest.mark.parametrize("method", ["read", "fileno", "due"])
def test_a_source_that_raises_anything(method: str) -> None:
    """It is lost like one that has gone: said, tried again, and no look is missed."""
    now = 0.0
    said: list[tuple[str, str]] = []
    source = FakeSource()
    listening = Listening(
        source, FakeMemory(500), lambda *what: said.append(what), lambda: now
    )
    listening.open()

    def fail() -> None:
        raise RuntimeError("a bug of its own")

    source.__dict__[method] = fail
    assert getattr(listening, method)() in (None, TRY_AGAIN)
    assert said == [("source lost", "fake: RuntimeError: a bug of its own")]
    assert listening.fileno() is None
    assert not source.is_open
    del source.__dict__[method]
    now = TRY_AGAIN + 1
    listening.read()
    assert said[1:] == [("source found", "fake is back")]
    assert source.is_open
    listening.close()


def test_a_source_that_cannot_be_closed() -> None:
    """What its close raises does not keep us from going on without it."""
    said: list[tuple[str, str]] = []
    source = FakeSource()
    listening = Listening(source, FakeMemory(500), lambda *what: said.append(what))
    listening.open()
    descriptor = source.fileno()
    assert descriptor is not None
    os.close(descriptor)  # Under it.
    assert listening.read() is None
    assert [kind for kind, _ in said] == ["source lost", "source lost"]
    assert listening.name == ""


def test_a_source_whose_descriptor_is_closed() -> None:
    """A negative number is no descriptor to sleep on."""
    said: list[str] = []
    source = FakeSource()
    listening = Listening(source, FakeMemory(500), lambda _, text: said.append(text))
    listening.open()
    source.__dict__["fileno"] = lambda: -1
    assert listening.fileno() is None
    assert said == ["fake: its descriptor is closed"]


def test_nothing_to_listen_to_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for a lost source again and again does not fill log and history."""
    now = 0.0
    said: list[tuple[str, str]] = []
    found: list[FakeSource | Polling] = [FakeSource()]

    def choose(**_: object) -> FakeSource | Polling:
        source = found[0]
        source.open()
        return source

    monkeypatch.setattr(shrinker.pressure.listening, "auto", choose)
    memory = FakeMemory(500)
    listening = Listening("auto", memory, lambda *what: said.append(what), lambda: now)
    listening.open()
    first, found[0] = found[0], Polling(memory)
    assert isinstance(first, FakeSource)
    first.vanish()
    listening.read()
    for _ in range(5):
        now += TRY_AGAIN + 1
        listening.read()
    assert [kind for kind, _ in said] == ["source", "source lost", "source"]


def test_closing_what_a_task_waits_for() -> None:
    """The number of a closed descriptor may be another's; cancelling leaves that be."""
    heard = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        source = FakeSource()
        source.open()
        task = asyncio.create_task(source.next_event())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        number = source.fileno()
        assert number is not None
        source.close()
        ours, theirs = os.pipe()
        if ours != number:
            os.dup2(ours, number)
        done = asyncio.Event()

        def hear() -> None:
            heard.append(os.read(number, 1))
            done.set()

        loop.add_reader(number, hear)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        os.write(theirs, b"x")
        async with asyncio.timeout(SOON):
            await done.wait()
        loop.remove_reader(number)
        for descriptor in {ours, number, theirs}:
            os.close(descriptor)

    asyncio.run(main())
    assert heard == [b"x"]


def test_a_loop_that_is_closed_meanwhile() -> None:
    """Who waited gives everything back; nothing is raised for nobody to see."""
    source = FakeSource()
    source.open()
    before = len(list(Path("/proc/self/fd").iterdir()))
    loop = asyncio.new_event_loop()
    waiting = source.next_event()
    task = loop.create_task(waiting)
    loop.call_soon(loop.call_soon, loop.stop)
    loop.run_forever()
    loop.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    waiting.close()
    assert not source._awaited
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    source.close()


@pytest.mark.parametrize("timeout", [float("inf"), 1e10, 1e300])
def test_waiting_for_very_long(timeout: float) -> None:
    """A timeout may be longer than poll can count."""
    with FakeSource() as source:
        source.say()
        assert source.wait(timeout) == PressureEvent("fake", "stalled")


def test_a_timeout_that_is_no_number() -> None:
    """NaN would never be over."""
    with FakeSource() as source, pytest.raises(ValueError, match="nan"):
        source.wait(float("nan"))


# --- watermarks and arguments -----------------------------------------------


def not_at_all(limit: int) -> Any:
    """No watermarks."""
    raise ZeroDivisionError(f"of {limit}")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda _: None, "returned NoneType"),
        (lambda _: (1, 2, 3), "returned tuple"),
        (not_at_all, "raised ZeroDivisionError"),
    ],
)
def test_watermarks_that_are_none(rule: Any, said: str) -> None:
    """The defaults take their place, with a warning; the service is protected."""
    policy = Policy(rule)
    short = [level(30)]
    decision = policy.look(0.0, short, weight=100_000)
    assert decision.marks == Watermarks.of(LIMIT)
    assert [news.kind for news in decision.news] == ["watermarks"]
    assert said in decision.news[0].text
    assert policy.look(1.0, short, weight=100_000).news == ()


@pytest.mark.parametrize(
    ("make_it", "error"),
    [
        (lambda: SystemdPressure(5), TypeError),  # type: ignore[arg-type]
        (lambda: SystemdPressure("/x", "text"), TypeError),  # type: ignore[arg-type]
        (lambda: Polling(42), TypeError),  # type: ignore[arg-type]
        (lambda: Polling(period="1"), TypeError),  # type: ignore[arg-type]
        (lambda: Reclaimer(trim="no"), TypeError),  # type: ignore[arg-type]
        (lambda: Reclaimer(direct=None), TypeError),  # type: ignore[arg-type]
        (lambda: Reclaimer(cooldown=10**400), ValueError),
        (lambda: Reclaimer(hold=float("nan")), ValueError),
        (lambda: Memory(pid="me"), TypeError),  # type: ignore[arg-type]
        (lambda: Memory(pid=-3), ValueError),
        (lambda: PsiTrigger(window="2"), TypeError),  # type: ignore[arg-type]
        (lambda: PsiTrigger(kind=[]), ValueError),  # type: ignore[arg-type]
        (lambda: PsiTrigger(stall=float("nan")), ValueError),
        (lambda: auto(exclude="PSI"), TypeError),
        (lambda: auto(memory=3), TypeError),  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments_are_refused_at_once(
    make_it: Callable[[], object], error: type[Exception]
) -> None:
    """And not by a thread, a minute later."""
    with pytest.raises(error, match=r"must be|collection"):
        make_it()


# --- the log ----------------------------------------------------------------


def test_a_log_handler_that_inserts(
    domain: Domain, handle: Callable[[Callable[[], object]], Handler]
) -> None:
    """What it causes is logged the next time, not for ever in one look."""
    memory = FakeMemory(10)
    with register(domain, Pages(10_000_000)):
        reclaimer = make(domain, memory)
        reclaimer._worker.watch(reclaimer._direct)
        calls = []

        def insert() -> None:
            calls.append(1)
            if len(calls) < 500:
                grow(domain)

        handle(insert)
        reclaimer.look()
        assert len(calls) == 1
        assert len(reclaimer._journal._unlogged) == 1
        reclaimer._worker.unwatch()


def test_a_log_handler_that_raises(
    domain: Domain, handle: Callable[[Callable[[], object]], Handler]
) -> None:
    """A look returns its verdict, and other lines are logged all the same."""

    def fail() -> None:
        raise RuntimeError("the disk is full")

    handler = handle(fail)
    with register(domain, Pages(100_000)):
        reclaimer = make(domain, FakeMemory(10))
        reclaimer._journal.complain("first")
        assert reclaimer.look() is not None
    assert len(handler.lines) == 2
    assert reclaimer.statistics().reclaims == 1


def test_verdicts_that_nobody_logs() -> None:
    """While a handler hangs nothing grows without bound, and no count is lost."""
    journal = Journal(5)
    for number in range(3 * MOST_WAITING):
        journal.add(Verdict(float(number), 0.0, "growth", "direct", "r", freed=1))
    assert len(journal._unlogged) == MOST_WAITING
    assert len(journal._fresh) <= MOST_WAITING + 1
    totals, _ = journal.totals()
    assert totals["freed"] == totals["direct"] == 3 * MOST_WAITING
    assert [verdict.when for verdict in journal.history()] == [
        3.0 * MOST_WAITING - left for left in (5, 4, 3, 2, 1)
    ]


def test_lines_that_were_dropped_are_told(
    handle: Callable[[Callable[[], object]], Handler],
) -> None:
    """How many is the last line."""
    handler = handle(lambda: None)
    journal = Journal(5)
    for _ in range(MOST_WAITING + 7):
        journal.complain("x")
    journal.log()
    assert len(handler.lines) == MOST_WAITING + 1
    assert handler.lines[-1].startswith("7 lines of log were dropped")


def test_statistics_in_a_signal_handler(domain: Domain) -> None:
    """A handler that prints them may come while they are being made."""
    reclaimer = make(domain, FakeMemory(500))
    seen = []
    before = signal.signal(
        signal.SIGUSR1, lambda *_: seen.append(reclaimer.statistics())
    )
    try:

        class Fresh(collections.deque[Verdict]):
            """Is interrupted each time that somebody takes from it."""

            def popleft(self) -> Verdict:
                signal.raise_signal(signal.SIGUSR1)
                return super().popleft()

        journal = reclaimer._journal
        journal._fresh = Fresh()
        for _ in range(10):
            journal.add(Verdict(0.0, 0.0, "look", "reclaim", "r", freed=1))
        # Would hang for ever, beside a thread that can still kill us.
        watchdog = threading.Timer(SOON, os._exit, [3])
        watchdog.start()
        assert reclaimer.statistics().freed == 10
        watchdog.cancel()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(seen) == 10
    assert reclaimer.statistics().reclaims == 10


# --- starting, stopping, nesting --------------------------------------------


def test_nested_blocks(domain: Domain) -> None:
    """The outermost block ends the protection, not one inside of it."""
    with make(domain, FakeMemory(500)) as reclaimer:
        with reclaimer:
            pass
        assert reclaimer.running
    assert not reclaimer.running


def test_stopped_by_a_callback_and_started_again(domain: Domain) -> None:
    """The thread that ends later does not close what the new one listens to."""
    memory, source = FakeMemory(30), FakeSource()
    cache = Pages(100_000, memory)
    inside, go_on = threading.Event(), threading.Event()
    reclaimer = make(domain, memory, source=source)

    def scan() -> None:
        if not inside.is_set():
            reclaimer.stop()
            inside.set()
            assert go_on.wait(SOON)

    cache.on_scan = scan
    with register(domain, cache):
        with reclaimer._lock:  # So that there is a thread to be seen.
            reclaimer.start()
            first = reclaimer._thread
        assert first is not None
        assert inside.wait(SOON)
        with reclaimer:
            go_on.set()
            first.join(SOON)
            assert source.is_open
            assert reclaimer.running
    assert not source.is_open


def test_stop_in_a_signal_handler_before_the_thread_began(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread ends as soon as it begins."""
    reclaimer = make(domain, FakeMemory(500))
    begin = threading.Thread.start

    def interrupted(self: threading.Thread) -> None:
        reclaimer.stop()
        begin(self)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        reclaimer.start()
    assert not reclaimer.running
    assert domain._growth._watcher is None
    with reclaimer:
        assert reclaimer.running


def test_look_in_a_callback(domain: Domain) -> None:
    """Nothing can be reclaimed there, and that is no failure of the caches."""
    memory = FakeMemory(30)
    cache = Pages(100_000, memory)
    reclaimer = make(domain, memory)
    looked: list[Verdict | None] = []
    cache.on_scan = lambda: looked.append(reclaimer.look())
    with register(domain, cache):
        assert reclaimer.look() is not None
    assert looked
    assert set(looked) == {None}
    assert len(reclaimer.history()) == 1
    assert reclaimer.statistics().fruitless == 0


def test_fork_beside_one_that_is_not_running() -> None:
    """Locks that another thread held at the fork do not stop the child."""
    code = f"""
import os, signal, sys, threading
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pressure_support import *
from shrinker import Domain
from shrinker.pressure import Reclaimer
reclaimer = Reclaimer(Domain(), memory=FakeMemory(500), source=None, watermarks=MARKS)
held, done = threading.Event(), threading.Event()
def hold():
    with reclaimer._lock, reclaimer._journal._lock:
        held.set()
        done.wait()
threading.Thread(target=hold).start()
held.wait()
pid = os.fork()
if not pid:
    signal.alarm(20)
    reclaimer.history()
    with reclaimer:
        assert reclaimer.running
    os._exit(0)
status = os.waitpid(pid, 0)[1]
done.set()
sys.exit(bool(status))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], timeout=60, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_children_keep_no_descriptor(domain: Domain) -> None:
    """Neither the source's nor the bell's, whose thread's frame is never freed."""
    folder = Path("/proc/self/fd")
    source = FakeSource()
    before = len(list(folder.iterdir()))
    with make(domain, FakeMemory(500), source=source):
        pid = os.fork()
        if not pid:
            # Less where it has closed what other tests have left to be collected.
            os._exit(max(0, len(list(folder.iterdir())) - before))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert source.is_open


# --- reading without giving up the GIL --------------------------------------


def test_reads_keep_the_gil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look beside busy threads is not kept from its figures.

    ``os.pread`` gives the GIL up, and functions of a ``PyDLL`` do not.
    """
    path = tmp_path / "memory.current"
    path.write_text("4096\n")
    file = KernelFile(path)

    def gives_up(*_: object) -> bytes:
        raise AssertionError("the GIL would be given up")

    monkeypatch.setattr(os, "pread", gives_up)
    monkeypatch.setattr(os, "eventfd_read", gives_up)
    assert file.value() == 4096
    bell = os.eventfd(1, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    assert drained(bell)
    os.close(bell)


def test_slow_files_give_the_gil_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three slow reads in a row other threads may run meanwhile."""
    path = tmp_path / "memory.stat"
    path.write_text("1\n")
    file = KernelFile(path)
    quick = 0

    def slow(descriptor: int, size: int) -> bytes:
        nonlocal quick
        quick += 1
        end = time.perf_counter() + 2 * kernel_file._SLOW
        while time.perf_counter() < end:
            pass
        return b"7\n"

    monkeypatch.setattr(kernel_file, "_quick_calls", lambda: (slow, None))
    assert [file.value() for _ in range(5)] == [7, 7, 7, 1, 1]
    assert quick == 3


@pytest.mark.parametrize("quick", [True, False])
def test_with_and_without_ctypes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    """Both ways read the same, and raise the same."""
    if not quick:
        monkeypatch.setattr(kernel_file, "_quick_calls", lambda: None)
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)
    assert KernelFile(path).read() == b"x" * 100_000
    with pytest.raises(IsADirectoryError):
        KernelFile(tmp_path).read()
    bell = os.eventfd(3, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    assert drained(bell)
    assert not drained(bell)
    os.close(bell)
    with pytest.raises(OSError, match="Bad file descriptor"):
        drained(bell)


# --- caches that say too little ---------------------------------------------


class TestClaims:
    """How allowances follow what memory does."""

    def test_the_first_looks_are_early(self) -> None:
        """From next to nothing, at most doubled from look to look."""
        claims = Claims()
        assert claims.allow(1 << 30) == FIRST
        claims.looked(level(500), FIRST, dropped=False)
        assert claims.allow(1 << 30) == 2 * FIRST
        claims.looked(level(500), 0, dropped=False)
        assert claims.allow(1 << 30) == 2 * FIRST
        for _ in range(20):
            claims.looked(level(500), claims.allow(1 << 30), dropped=False)
        assert claims.allow(1 << 30) == 1 << 30

    def test_heavy_entries(self) -> None:
        """Where memory rises by 50 times what is claimed, less may be claimed."""
        claims = Claims()
        claims.looked(level(500), 100 * MIB, dropped=False)
        claims.looked(level(450), MIB, dropped=False)
        assert claims.factor == 50
        assert claims.allow(100 * MIB) == 2 * MIB
        claims.looked(level(450), MIB, dropped=False)
        assert claims.factor == 25, "half of it where there was nothing to be seen"
        claims.looked(level(450), MIB, dropped=True)
        assert claims.factor == 25, "what is dropped at once proves nothing"

    def test_another_limit(self) -> None:
        """Figures of two limits do not compare."""
        claims = Claims()
        claims.looked(level(500), MIB, dropped=False)
        claims.looked(level(100, where="other"), MIB, dropped=False)
        assert claims.factor == 1


def test_an_unweighed_cache_is_looked_at_in_time(domain: Domain) -> None:
    """Entries of 200 KB that say a page are stopped before memory is gone."""
    memory = FakeMemory(500)
    cache = Pages(0)
    with register(domain, cache):
        reclaimer = make(domain, memory)
        reclaimer._worker.watch(reclaimer._direct)
        reclaimer.look()
        lowest, growth = memory.used, domain._growth
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
        reclaimer._worker.unwatch()
