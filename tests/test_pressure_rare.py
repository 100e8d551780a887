"""What happens to the parts of shrinker.pressure where something else is missing."""

from __future__ import annotations

import _thread
import asyncio
import errno
import gc
import logging
import os
import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import MARKS, FakeMemory, FakeSource

import shrinker.pressure.cgroups
from shrinker.errors import ShrinkerError
from shrinker.pressure import Memory, Reclaimer, SourceGone
from shrinker.pressure.alarms import Alarms
from shrinker.pressure.background import RARELY, Background, Bell
from shrinker.pressure.cgroups import _search, find_cgroups, own_cgroups
from shrinker.pressure.direct import Direct
from shrinker.pressure.give_back import WORTH, Trimmer, resident
from shrinker.pressure.kernel_file import KernelFile, _quick_calls, drained
from shrinker.pressure.listening import Listening
from shrinker.pressure.memory_events import MemoryEvents
from shrinker.pressure.pace import SHORTEST, Pace
from shrinker.pressure.polling import Polling
from shrinker.pressure.psi import PsiTrigger
from shrinker.pressure.reclaimer import _caller
from shrinker.pressure.systemd import SystemdPressure
from shrinker.pressure.verdicts import Journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shrinker import Domain
    from shrinker.pressure import PressureSource
    from shrinker.testing import FakeCgroup, PressureSocket

pytest_plugins = ["shrinker.testing"]
LONG = 10.0


# --- sources --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: PsiTrigger("/nowhere"),
        lambda: SystemdPressure("/nowhere"),
        lambda: MemoryEvents("/nowhere"),
        FakeSource,
    ],
)
def test_closed_sources(make: Callable[[], PressureSource]) -> None:
    """They say so, have no descriptor, are never due, and close again."""
    source = make()
    assert repr(source).endswith("closed>")
    assert source.fileno() is None
    assert source.due() is None
    source.close()
    if not isinstance(source, FakeSource):
        with pytest.raises(ShrinkerError, match="is not open"):
            source.read()


def test_an_open_source_says_so() -> None:
    """With its name, for logs."""
    with FakeSource("mine") as source:
        assert repr(source) == "<FakeSource 'mine' open>"


def test_a_source_without_a_descriptor_in_asyncio(fake_cgroup: FakeCgroup) -> None:
    """It is looked at when it is due, until it has something to say."""

    async def main() -> str:
        fake_cgroup.set(current=10 << 20, max=64 << 20)
        memory = Memory(fake_cgroup.root)
        with Polling(memory, period=0.001, free_below=1 << 40) as source:
            assert source.fileno() is None
            first = await source.next_event()
            second = await source.next_event()
            assert first.source == second.source
            return first.source

    assert asyncio.run(asyncio.wait_for(main(), LONG))


def test_settings_that_do_not_fit_into_the_fifo(tmp_path: Path) -> None:
    """Half of them would be others: an error, and nothing stays open."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    source = SystemdPressure(str(path), bytes(1 << 20))
    with pytest.raises(OSError, match="only 65536 bytes of MEMORY_PRESSURE_WRITE"):
        source.open()
    assert not source.is_open


def test_a_peer_that_breaks_off(memory_pressure_socket: PressureSocket) -> None:
    """What it has not read resets the connection, which is an end as any other."""
    source = SystemdPressure.from_environment()
    assert source is not None
    with source:
        memory_pressure_socket.hang_up()
        with pytest.raises(SourceGone, match="reset"):
            source.wait(LONG)


def test_psi_of_all_tasks(tmp_path: Path) -> None:
    """The line is told by its first word, the figure by its name."""
    path = tmp_path / "memory.pressure"
    path.write_text("some avg10=0.00 total=7\n\nfull avg10=1.00 total=x total=42\n")
    source = PsiTrigger(path, kind="full")
    source._descriptor = os.open(path, os.O_RDONLY)
    try:
        assert source._read_total() == 42
        path.write_text("some total=7\nfull avg10=1.00\n")
        with pytest.raises(OSError, match="no total of full"):
            source._read_total()
    finally:
        source.close()


def test_an_error_that_nobody_has_advice_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes out as it is."""

    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    source = PsiTrigger(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", broken)
        with pytest.raises(OSError, match="Input/output error") as caught:
            source.open()
    assert caught.value.filename is None
    assert not source.is_open


# --- fixtures for tests of services ---------------------------------------------------


def test_nobody_listens(
    memory_pressure_socket: PressureSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pressing waits for a service, and then says that there is none."""
    monkeypatch.setattr("shrinker.testing.SECONDS", 0.01)
    assert memory_pressure_socket.written == b""
    with pytest.raises(TimeoutError, match="nobody has connected"):
        memory_pressure_socket.press()
    memory_pressure_socket.close()
    memory_pressure_socket.close()


def test_a_service_that_connects_late_and_goes(
    memory_pressure_socket: PressureSocket,
) -> None:
    """Pressing waits until it is there; one that has closed is forgotten."""
    service = SystemdPressure.from_environment()
    assert service is not None
    service.open()
    service.close()
    asked = memory_pressure_socket.asked_for
    assert memory_pressure_socket.written == asked
    memory_pressure_socket.asked_for = asked * 2
    with service:
        assert memory_pressure_socket.written == asked * 2
        assert len(memory_pressure_socket._connections) == 1


# --- files ----------------------------------------------------------------------------


def test_no_ctypes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read and eventfds emptied without it; nothing is trimmed, which is
    said once."""
    _quick_calls.cache_clear()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "ctypes", None)
        assert _quick_calls() is None
        path = tmp_path / "file"
        path.write_text("42\n")
        assert KernelFile(path).value() == 42
        with FakeSource() as source:
            descriptor = source.fileno()
            assert descriptor is not None
            assert not drained(descriptor)
            source.say()
            assert drained(descriptor)
        trimmer = Trimmer()
        trimmer.freed(WORTH)
        assert not trimmer.trim(0.0)
        assert trimmer.due() is None
    _quick_calls.cache_clear()


def test_memory_is_trimmed_time_and_again() -> None:
    """malloc_trim is looked up once, and called whenever it is worth it."""
    trimmer = Trimmer()
    calls: list[int] = []
    for _ in range(2):
        trimmer.freed(WORTH)
        due = trimmer.due()
        assert due is not None
        assert trimmer.trim(due)
        trimmer._trim = calls.append  # type: ignore[assignment]
    assert calls == [0]


def test_no_resident_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """0 where /proc is not there, or has something else."""

    def missing(_: int) -> Any:
        raise FileNotFoundError

    assert resident() > 0
    monkeypatch.setattr("shrinker.pressure.give_back._own_statm", missing)
    assert resident() == 0


def test_a_limit_that_cannot_be_read(
    fake_cgroup: FakeCgroup,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is left out and said once; the machine's is there."""
    fake_cgroup.set(current=10 << 20, max=64 << 20)
    memory = Memory(fake_cgroup.root)
    assert len(memory.levels()) == 2

    def broken(_: object) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    view = memory._view
    assert view is not None
    monkeypatch.setattr(type(view._groups[0]), "levels", broken)
    with caplog.at_level(logging.WARNING, "shrinker.pressure"):
        for _ in range(2):
            assert [each.where for each in memory.levels()] == ["machine"]
    assert caplog.text.count("a limit is left out: cgroup v2 /app") == 1


def test_the_own_groups() -> None:
    """None stands for those of the process."""
    assert own_cgroups(None) == find_cgroups()
    with pytest.raises(TypeError, match="must be Cgroups, not str"):
        own_cgroups("/")  # type: ignore[arg-type]


def test_the_search_for_a_group_has_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below a mount with very many groups nothing is found, rather than never."""
    for name in "abcd":
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").write_text("1\n77\n")
    (tmp_path / "a" / "cgroup.procs").write_bytes(b"\xff")
    assert _search(tmp_path, 1, (), "77") in {("b",), ("c",), ("d",)}
    assert _search(tmp_path, 1, (), "78") is None
    monkeypatch.setattr(shrinker.pressure.cgroups, "_MAX_LOOKED_AT", 0)
    assert _search(tmp_path, 1, (), "77") is None


# --- the reclaimer's parts ------------------------------------------------------------


def test_two_looks_at_once_say_nothing_about_the_rate() -> None:
    """A division by next to nothing would."""
    pace = Pace()
    pace.saw(0.0, 0)
    pace.saw(1.0, 1000)
    assert pace.rate == 1000
    pace.saw(1.0 + SHORTEST / 4, 10**9)
    assert pace.rate == 1000


def test_a_bell_closes_once() -> None:
    """Its number may be another file's by the second time."""
    bell = Bell()
    bell.close()
    bell.close()
    assert bell.fd == -1


def test_a_handler_that_logs_again() -> None:
    """What it causes is logged the next time, and nothing twice."""
    journal = Journal(10)
    heard: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())
            if len(heard) == 1:
                journal.complain("second")
                journal.log()

    logger = logging.getLogger("shrinker.pressure")
    handler = Handler()
    logger.addHandler(handler)
    try:
        journal.complain("first")
        journal.log()
        assert heard == ["first"]
        journal.log()
    finally:
        logger.removeHandler(handler)
    assert heard == ["first", "second"]


def test_a_place_that_nobody_knows() -> None:
    """Called from no Python code but the package's own, as from a thread's start."""
    found: list[str] = []
    done = _thread.allocate_lock()
    done.acquire()
    own = {
        "__name__": "shrinker.pressure.made_up",
        "found": found,
        "caller": _caller,
        "done": done,
    }
    exec("def work():\n found.append(caller())\n done.release()", own)  # noqa: S102
    # Not threading's: its frames would be found.
    _thread.start_new_thread(own["work"], ())  # type: ignore[arg-type]
    assert done.acquire(timeout=LONG)
    assert found == ["an unknown place"]
    assert _caller().startswith("test_pressure_rare.py:")


def test_growth_whose_reclaimer_is_gone(domain: Domain) -> None:
    """There is nobody to be woken; the insert goes on."""
    reclaimer = Reclaimer(domain, memory=FakeMemory(500), watermarks=MARKS, source=None)
    hook = Direct(reclaimer._worker, weakref.ref(reclaimer), wanted=False)
    hook()
    del reclaimer
    gc.collect()
    hook()
    assert repr(hook) == "None"


def test_the_background_sleeps_no_longer_than_until_a_trim(domain: Domain) -> None:
    """What inserts have freed is given back even if nothing else happens."""
    memory = FakeMemory(900)
    reclaimer = Reclaimer(domain, memory=memory, watermarks=MARKS, source=None)
    worker = reclaimer._worker
    background = Background(
        worker,
        Listening(None, memory, worker.changed),
        Alarms(reclaimer._policy),
        lambda _: None,
    )
    # Nobody has looked yet: no more is known than how long is too long.
    assert background._timeout() == RARELY
    reclaimer.look()
    assert background._timeout() > SHORTEST
    worker.trimmer.freed(WORTH)
    assert background._timeout() == SHORTEST
    background.close()
