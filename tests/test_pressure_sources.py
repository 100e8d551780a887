"""Sources of memory pressure, as far as they need no kernel that has them."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shrinker.errors import ShrinkerError
from shrinker.pressure.auto import auto
from shrinker.pressure.cgroups import Cgroups
from shrinker.pressure.memory import Memory
from shrinker.pressure.memory_events import MemoryEvents
from shrinker.pressure.polling import Polling
from shrinker.pressure.psi import PsiTrigger
from shrinker.pressure.source import PressureEvent, PressureSource, SourceGone
from shrinker.pressure.systemd import WATCH, WRITE, SystemdPressure
from shrinker.pressure.thresholds import UsageThreshold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.testing import FakeCgroup, PressureFifo, PressureSocket

pytest_plugins = ["shrinker.testing"]
LONG = 10.0  # Seconds; for what comes at once unless something is broken.
MIB = 1 << 20


class Pipe(PressureSource):
    """Says what is written to it; ``?`` is a false alarm."""

    name = "pipe"

    def __init__(self) -> None:
        self.ends: tuple[int, int] | None = None

    def open(self) -> None:
        if self.ends is None:
            self.ends = os.pipe()

    def close(self) -> None:
        if self.ends is not None:
            for end in self.ends:
                os.close(end)
            self.ends = None

    @property
    def is_open(self) -> bool:
        return self.ends is not None

    def fileno(self) -> int | None:
        return self.ends and self.ends[0]

    def read(self) -> PressureEvent | None:
        assert self.ends is not None
        byte = os.read(self.ends[0], 1)
        if byte == b".":
            raise SourceGone("the end")
        return None if byte == b"?" else PressureEvent(self.name, byte.decode())

    def say(self, data: bytes) -> None:
        assert self.ends is not None
        os.write(self.ends[1], data)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    with Pipe() as source:
        yield source


@pytest.fixture(autouse=True)
def _settings_forgotten() -> Iterator[None]:
    yield
    SystemdPressure.forget()


class TestWaiting:
    """What the base class makes of three methods."""

    def test_wait(self, pipe: Pipe) -> None:
        """An event ends the wait, a false alarm does not."""
        pipe.say(b"??a")
        assert pipe.wait(LONG) == PressureEvent("pipe", "a")

    def test_wait_for_what_comes_later(self, pipe: Pipe) -> None:
        """It sleeps in poll and is woken."""
        thread = threading.Thread(target=pipe.say, args=(b"b",))
        thread.start()
        assert pipe.wait(LONG) == PressureEvent("pipe", "b")
        thread.join()

    def test_timeout(self, pipe: Pipe) -> None:
        """None when the time is over; a timeout of 0 looks."""
        assert pipe.wait(0) is None
        assert pipe.wait(0.001) is None
        pipe.say(b"c")
        assert pipe.wait(0) == PressureEvent("pipe", "c")
        with pytest.raises(ValueError, match="negative"):
            pipe.wait(-1)

    def test_gone(self, pipe: Pipe) -> None:
        """Both wait and asyncio raise what read raises."""
        pipe.say(b"..")
        with pytest.raises(SourceGone, match="the end"):
            pipe.wait(LONG)
        with pytest.raises(SourceGone, match="the end"):
            asyncio.run(pipe.next_event())

    def test_closed(self) -> None:
        """Waiting for a closed source is an error, in a thread and in asyncio."""
        with pytest.raises(ShrinkerError, match="not open"):
            Pipe().wait(0)
        with pytest.raises(ShrinkerError, match="not open"):
            asyncio.run(Pipe().next_event())

    def test_asyncio(self, pipe: Pipe) -> None:
        """The loop goes on while a task waits; events come in order."""

        async def main() -> list[str]:
            pipe.say(b"a")
            first = await pipe.next_event()
            loop = asyncio.get_running_loop()
            loop.call_later(0, pipe.say, b"?b")
            heard = [first.detail]
            async for event in pipe:
                heard.append(event.detail)
                if len(heard) == 3:
                    return heard
                loop.call_soon(pipe.say, b"c")
            raise AssertionError

        assert asyncio.run(asyncio.wait_for(main(), LONG)) == ["a", "b", "c"]

    def test_cancelling(self, pipe: Pipe) -> None:
        """A cancelled wait leaves no reader behind, and the next one works."""

        async def main() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pipe.next_event(), 0.001)
            descriptor = pipe.fileno()
            assert descriptor is not None
            assert not asyncio.get_running_loop().remove_reader(descriptor)
            pipe.say(b"d")
            assert (await pipe.next_event()).detail == "d"

        asyncio.run(main())

    def test_one_task_only(self, pipe: Pipe) -> None:
        """A second task would take the first one's reader away, so it is refused."""

        async def main() -> None:
            first = asyncio.ensure_future(pipe.next_event())
            await asyncio.sleep(0)
            with pytest.raises(ShrinkerError, match="another task"):
                await pipe.next_event()
            pipe.say(b"e")
            assert (await first).detail == "e"

        asyncio.run(asyncio.wait_for(main(), LONG))

    @pytest.mark.untraced("a tracer imports what it wants")
    def test_asyncio_is_imported_by_those_who_use_it(self) -> None:
        """Importing the sources imports no module that only some need."""
        code = (
            "import sys, shrinker.pressure.auto, shrinker.pressure.thresholds\n"
            "assert not {'asyncio', 'pytest', 'socket'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


class TestSystemd:
    """systemd's protocol: variables, files, FIFOs, sockets."""

    @pytest.mark.parametrize("environ", [{}, {WATCH: os.devnull}, {WRITE: "eA=="}])
    def test_off(self, environ: dict[str, str]) -> None:
        """Unset or /dev/null is off, and stays in the environment for children."""
        before = dict(environ)
        assert SystemdPressure.from_environment(environ) is None
        assert environ == before

    def test_variables_are_taken_out(self, tmp_path: Path) -> None:
        """Children do not inherit the settings; whoever asks again gets them."""
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(WATCH, str(fifo))
            patch.setenv(WRITE, "")
            first = SystemdPressure.from_environment()
            assert WATCH not in os.environ
            assert WRITE not in os.environ
            child = subprocess.run(
                ["/usr/bin/env"], capture_output=True, text=True, check=True
            ).stdout
            assert "MEMORY_PRESSURE" not in child
            again = SystemdPressure.from_environment()
        assert first is not None
        assert again is not None
        assert first.name == again.name == f"systemd's protocol {fifo}"
        SystemdPressure.forget()
        assert SystemdPressure.from_environment() is None

    @pytest.mark.parametrize(
        ("environ", "text"),
        [
            ({WATCH: "relative/path"}, "absolute path"),
            ({WATCH: ""}, "absolute path"),
            ({WATCH: "/x\0y"}, "absolute path"),
            ({WATCH: "/x", WRITE: "not base64!"}, "not base64"),
            ({WATCH: "/x", WRITE: "eA="}, "not base64"),
            ({WATCH: "/x", WRITE: "e?A=="}, "not base64"),
            ({WATCH: "/x", WRITE: "ä"}, "not base64"),
        ],
    )
    def test_garbage(self, environ: dict[str, str], text: str) -> None:
        """Garbage is a ValueError that names the variable; nothing is taken out."""
        before = dict(environ)
        with pytest.raises(ValueError, match=f"MEMORY_PRESSURE_.*{text}"):
            SystemdPressure.from_environment(environ)
        assert environ == before

    def test_paths_that_do_not_work(self, tmp_path: Path) -> None:
        """A missing file, a directory, a file that announces nothing, a dead socket."""
        (tmp_path / "file").write_text("")
        (tmp_path / "locked").write_text("")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / "dead"))
        for name, kind in [
            ("missing", FileNotFoundError),
            (".", OSError),
            ("file", OSError),
            ("dead", ConnectionRefusedError),
        ]:
            source = SystemdPressure(str(tmp_path / name))
            with pytest.raises(kind, match=WATCH) as caught:
                source.open()
            assert str(tmp_path) in str(caught.value)
            assert not source.is_open

    def test_fifo(self, memory_pressure_fifo: PressureFifo) -> None:
        """Each press is an event; presses that were not yet read are one."""
        source = SystemdPressure.from_environment()
        assert source is not None
        with source:
            assert source.wait(0) is None
            memory_pressure_fifo.press()
            memory_pressure_fifo.press()
            assert source.wait(LONG) is not None
            assert source.wait(0) is None

    def test_writers_that_come_and_go(self, tmp_path: Path) -> None:
        """A FIFO without a writer is not gone; the next writer is heard."""
        path = tmp_path / "fifo"
        os.mkfifo(path)
        with SystemdPressure(str(path)) as source:
            for _ in range(2):
                with path.open("wb") as writer:
                    writer.write(b"!")
                assert source.wait(LONG) is not None
                assert source.wait(0) is None

    @pytest.mark.parametrize(("more", "heard"), [(b"", False), (b"!", True)])
    def test_own_bytes_in_a_fifo(
        self, tmp_path: Path, more: bytes, heard: bool
    ) -> None:
        """What we wrote comes back and is no event; what follows is."""
        path = tmp_path / "fifo"
        os.mkfifo(path)
        with SystemdPressure(str(path), b"some\0") as source:
            with path.open("wb") as writer:
                writer.write(more)
            assert (source.wait(0) is not None) is heard

    def test_fifo_that_may_only_be_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Then it ends with its writer."""
        path = tmp_path / "fifo"
        os.mkfifo(path)
        real = os.open

        def denied(path: str, flags: int, *args: int) -> int:
            if flags & os.O_RDWR:
                raise PermissionError(13, "Permission denied", path)
            return real(path, flags, *args)

        monkeypatch.setattr(os, "open", denied)
        with SystemdPressure(str(path)) as source:
            writer = real(path, os.O_WRONLY)
            os.write(writer, b"!")
            assert source.wait(LONG) is not None
            os.close(writer)
            with pytest.raises(SourceGone, match="closed"):
                source.wait(LONG)

    def test_socket(self, memory_pressure_socket: PressureSocket) -> None:
        """It writes the decoded bytes at once, NULs included, and hears each press."""
        source = SystemdPressure.from_environment()
        assert source is not None
        with source:
            assert memory_pressure_socket.written == b"some 200000 2000000\0"
            assert source.wait(0) is None
            memory_pressure_socket.press()
            assert source.wait(LONG) is not None
            memory_pressure_socket.hang_up()
            with pytest.raises(SourceGone, match="the peer has closed it"):
                source.wait(LONG)
            # It may be there again, as a restarted manager is.
            source.close()
            source.open()
            memory_pressure_socket.press()
            assert source.wait(LONG) is not None

    def test_press_and_close_together(
        self, memory_pressure_socket: PressureSocket
    ) -> None:
        """What was said before the end is heard before the end."""
        source = SystemdPressure.from_environment()
        assert source is not None
        with source:
            assert memory_pressure_socket.written
            memory_pressure_socket.press()
            memory_pressure_socket.hang_up()
            assert source.wait(LONG) is not None
            with pytest.raises(SourceGone):
                source.wait(LONG)

    def test_asyncio(self, memory_pressure_socket: PressureSocket) -> None:
        """The loop of asyncio hears a socket."""

        async def main() -> None:
            source = SystemdPressure.from_environment()
            assert source is not None
            with source:
                loop = asyncio.get_running_loop()
                loop.call_soon(memory_pressure_socket.press)
                await asyncio.wait_for(source.next_event(), LONG)

        asyncio.run(main())

    def test_a_peer_that_never_stops(self, memory_pressure_fifo: PressureFifo) -> None:
        """Throwing away has an end, even where there is always more."""
        source = SystemdPressure.from_environment()
        assert source is not None
        left = iter(range(1000))
        with source, pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "read", lambda descriptor, size: bytes(next(left) + 1))
            assert source.read() is not None

    def test_fork(self, memory_pressure_socket: PressureSocket) -> None:
        """The child closes and opens again; the parent goes on listening."""
        source = SystemdPressure.from_environment()
        assert source is not None
        with source:
            child = os.fork()
            if child == 0:
                source.close()
                source.open()
                os._exit(0 if source.wait(LONG) is not None else 1)
            expected = 2 * memory_pressure_socket.asked_for
            memory_pressure_socket.asked_for = expected
            assert memory_pressure_socket.written == expected
            memory_pressure_socket.press()
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert source.wait(LONG) is not None


class TestPsi:
    """PSI triggers, without a kernel."""

    @pytest.mark.parametrize(
        "arguments",
        [
            {"window": 0.4},
            {"window": 10.5},
            {"stall": 0},
            {"stall": 2.1},
            {"stall": float("nan")},
            {"window": float("nan")},
            {"kind": "most"},
        ],
    )
    def test_wrong_arguments(self, arguments: dict[str, object]) -> None:
        """They are refused before anything is opened."""
        with pytest.raises(ValueError, match="must be"):
            PsiTrigger("/dev/null", **arguments)  # type: ignore[arg-type]

    def test_missing_file(self, tmp_path: Path) -> None:
        """The error says what is missing."""
        source = PsiTrigger(tmp_path / "memory.pressure")
        with pytest.raises(FileNotFoundError, match="no PSI"):
            source.open()
        assert not source.is_open

    def test_file_that_is_none(self, tmp_path: Path) -> None:
        """A file without ``total=`` is no PSI file."""
        (tmp_path / "x").write_text("some avg10=0.00\n")
        with pytest.raises(OSError, match="does not take this trigger"):
            PsiTrigger(tmp_path / "x").open()

    def test_no_version_2(self) -> None:
        """Without a version 2 hierarchy there is no memory.pressure."""
        with pytest.raises(FileNotFoundError, match="cgroup v2"):
            PsiTrigger.of_own_cgroup(cgroups=Cgroups())

    def test_false_alarms(self, tmp_path: Path) -> None:
        """Less growth than the threshold since the last event is no event."""
        file = tmp_path / "pressure"
        file.write_text("")
        source = PsiTrigger(file, stall=0.1)
        source._descriptor = os.open(file, os.O_RDONLY)
        source._epoll = select.epoll()
        with source:
            for total, detail in [
                (99_000, None),
                (150_000, "some: 150 ms stalled since the last event"),
                (150_000, None),
                (249_999, None),
                (250_000, "some: 100 ms stalled since the last event"),
            ]:
                file.write_text(
                    f"some avg10=0.00 avg60=0.00 avg300=0.00 total={total}\n"
                    "full avg10=0.00 avg60=0.00 avg300=0.00 total=9999999\n"
                )
                event = source.read()
                assert (event and event.detail) == detail


class TestFilesThatAnnounceNothing:
    """Ordinary files in the place of the kernel's."""

    def test_memory_events(self, tmp_path: Path) -> None:
        """memory.events on a disk cannot be waited for, and it is said."""
        file = tmp_path / "memory.events"
        file.write_text("low 0\nhigh 0\n")
        source = MemoryEvents(file)
        with pytest.raises(PermissionError, match="announces no changes"):
            source.open()
        assert not source.is_open
        with pytest.raises(FileNotFoundError):
            MemoryEvents(tmp_path / "missing").open()

    def test_thresholds(self, tmp_path: Path) -> None:
        """A directory that is no version 1 group has no thresholds."""
        with pytest.raises(FileNotFoundError, match="memory cgroup of version 1"):
            UsageThreshold(tmp_path, 1).open()
        (tmp_path / "memory.usage_in_bytes").write_text("much\n")
        with pytest.raises(OSError, match="makes no sense"):
            UsageThreshold(tmp_path, 1).open()

    def test_thresholds_without_a_directory(self) -> None:
        """What was forgotten is said at once, and not by ``pathlib``."""
        with pytest.raises(TypeError, match="directory must be a path, not int"):
            UsageThreshold(1 << 20)  # type: ignore[arg-type]

    @pytest.mark.parametrize("thresholds", [(), (0,), (-1,), (1, 1 << 63)])
    def test_wrong_thresholds(self, thresholds: tuple[int, ...]) -> None:
        """At least one, and bytes above 0."""
        with pytest.raises(ValueError, match="threshold"):
            UsageThreshold("/", *thresholds)
        with pytest.raises(TypeError, match="threshold"):
            UsageThreshold("/", 1.5)  # type: ignore[arg-type]


class TestPolling:
    """Looking from time to time."""

    def test_events(self, fake_cgroup: FakeCgroup) -> None:
        """It speaks while less than the share of any limit is free."""
        fake_cgroup.set(max=100 * MIB, current=85 * MIB)
        with Memory(fake_cgroup.root) as memory:
            with Polling(memory, free_below=0.1, period=0.001) as source:
                assert source.fileno() is None
                assert source.wait(0.005) is None
                fake_cgroup.set(current=95 * MIB)
                event = source.wait(LONG)
                assert event is not None
                assert "cgroup v2 /app (memory.max): 5242880 of" in event.detail
                assert asyncio.run(source.next_event()).source == "polling"
                fake_cgroup.set(inactive_file=20 * MIB)
                assert source.wait(0.005) is None
            assert memory._view is not None  # It was not the source's to close.

    def test_bytes(self, fake_cgroup: FakeCgroup) -> None:
        """An int is bytes."""
        fake_cgroup.set(max=100 * MIB, current=85 * MIB)
        memory = Memory(fake_cgroup.root)
        with Polling(memory, free_below=16 * MIB) as source:
            assert source.wait(LONG) is not None
        with Polling(memory, free_below=15 * MIB) as source:
            assert source.wait(0) is None
        memory.close()

    def test_due(self, fake_cgroup: FakeCgroup) -> None:
        """It is due at once when opened, then a period after each read."""
        source = Polling(Memory(fake_cgroup.root), period=1000)
        assert source.due() is None
        with source:
            assert source.due() == 0
            source.read()
            due = source.due()
            assert due is not None
            assert 900 < due <= 1000
        with pytest.raises(ShrinkerError, match="not open"):
            source.read()

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"free_below": 0.0}, ValueError),
            ({"free_below": 1.0}, ValueError),
            ({"free_below": 0}, ValueError),
            ({"free_below": "1"}, TypeError),
            ({"free_below": True}, TypeError),
            ({"period": 0}, ValueError),
            ({"period": float("inf")}, ValueError),
            ({"period": float("nan")}, ValueError),
        ],
    )
    def test_wrong_arguments(
        self, arguments: dict[str, object], error: type[Exception]
    ) -> None:
        """They are refused."""
        with pytest.raises(error):
            Polling(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Polling(0.1), "not float; a share is given as free_below=0.1"),  # type: ignore[arg-type]
        (lambda: PsiTrigger(0.15), "path must be a path, not float"),  # type: ignore[arg-type]
        (lambda: PsiTrigger(b"/x"), "path must be a path, not bytes"),  # type: ignore[arg-type]
        (lambda: MemoryEvents(5), "path must be a path, not int"),  # type: ignore[arg-type]
        (lambda: SystemdPressure(5), "path must be a str, not int"),  # type: ignore[arg-type]
        (lambda: PsiTrigger.of_own_cgroup(cgroups="/"), "cgroups must be Cgroups"),  # type: ignore[arg-type]
        (lambda: MemoryEvents.of_own_cgroup(cgroups="/"), "cgroups must be Cgroups"),  # type: ignore[arg-type]
    ],
)
def test_numbers_in_the_wrong_place(make: Callable[[], object], said: str) -> None:
    """A TypeError at once, which says what belongs there."""
    with pytest.raises(TypeError, match=said):
        make()


def test_async_with(fake_cgroup: FakeCgroup) -> None:
    """As ``with``: opened, and closed in any case."""

    async def listen(source: Polling) -> None:
        async with source as same:
            assert same is source
            assert source.is_open
            raise KeyError

    with Memory(fake_cgroup.root) as memory:
        source = Polling(memory)
        with pytest.raises(KeyError):
            asyncio.run(listen(source))
        assert not source.is_open


class TestAuto:
    """Choosing."""

    def test_systemd_comes_first(self, memory_pressure_socket: PressureSocket) -> None:
        """What the service manager set up wins."""
        with auto() as source:
            assert type(source) is SystemdPressure
            assert source.is_open
            assert source.reason == "systemd's protocol works"

    def test_why_not_the_others(self, fake_cgroup: FakeCgroup) -> None:
        """The reason names each that was passed over, and why."""
        # No PSI in the fake group, and the machine's is excluded by its name.
        name = PsiTrigger().name
        memory = Memory(fake_cgroup.root)
        (fake_cgroup.directory / "memory.events").write_text("low 0\n")
        with auto(memory=memory, environ={}, exclude=[name]) as source:
            assert type(source) is Polling
            fake_cgroup.set(max=MIB, current=MIB)
            assert source.wait(LONG) is not None
        for part in (
            "polling works",
            "systemd's protocol: not set up (MEMORY_PRESSURE_WATCH)",
            "memory.pressure of the own cgroup: No such file or directory: no such",
            "memory.events of the own cgroup: ",
            "PSI of the machine: excluded",
        ):
            assert part in source.reason
        memory.close()

    def test_the_root_is_the_whole_machine(self, fake_cgroup: FakeCgroup) -> None:
        """What stalls in no container's group is anybody's, and the reason says so."""
        (fake_cgroup.root / "proc/self/cgroup").write_text("0::/\n")
        said = "own cgroup (the root of version 2: the whole machine's)"
        root = fake_cgroup.directory.parent
        with Memory(fake_cgroup.root) as memory:
            with auto(memory=memory, environ={}) as source:
                assert said in source.reason
            (root / "cgroup.type").write_text("domain\n")  # Of a namespace only.
            with auto(memory=memory, environ={}) as source:
                assert said not in source.reason

    def test_exclude_types(self) -> None:
        """Types that have failed before are not tried; polling is always there."""
        everything = [SystemdPressure, PsiTrigger, MemoryEvents, Polling]
        with auto(environ={}, exclude=everything) as source:
            assert type(source) is Polling

    @pytest.mark.parametrize(
        "environ",
        [{WATCH: "relative"}, {WATCH: "/nowhere/at/all"}, {WATCH: "/", WRITE: "eA=="}],
    )
    def test_garbage_in_the_environment(
        self, environ: dict[str, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is logged and stands in the reason, and another source is found."""
        with auto(environ=environ) as source:
            assert type(source) is not SystemdPressure
            assert "passed over: systemd's protocol: MEMORY_PRESSURE_WATCH" in (
                source.reason.replace("No such file or directory: ", "")
            )
        (record,) = caplog.records
        assert "MEMORY_PRESSURE_WATCH" in record.getMessage()


def test_base64_of_the_protocol() -> None:
    """The bytes are taken as they are, NULs included."""
    data = b"\0some 1\n\0\xff"
    environ = {WATCH: "/x", WRITE: base64.b64encode(data).decode()}
    source = SystemdPressure.from_environment(environ)
    assert source is not None
    assert source._write == data
    assert environ == {}


def test_the_examples_of_the_docs_run() -> None:
    """The programs in docs/pressure-sources.md run (the fixtures' are no programs)."""
    page = Path(__file__).parent.parent / "docs" / "pressure-sources.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    programs = [x for x in blocks if "import" in x and "def test_" not in x]
    assert len(programs) == 4
    for program in programs:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "free" in done.stdout or "works" in done.stdout or not done.stdout
