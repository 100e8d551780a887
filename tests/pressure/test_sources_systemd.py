"""systemd's protocol: variables, files, FIFOs, sockets."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from limits_support import CGROUP2
from pressure_support import SOON

from shrinker.pressure import Memory, SourceGone, SystemdPressure, auto
from shrinker.pressure.limits.cgroups import Cgroup, Cgroups, find_cgroups
from shrinker.pressure.sources.systemd import WATCH, WRITE

if TYPE_CHECKING:
    from pathlib import Path

    from limits_support import World

    from shrinker.testing import PressureFifo, PressureSocket

pytest_plugins = ["shrinker.testing"]


@pytest.mark.parametrize("environ", [{}, {WATCH: os.devnull}, {WRITE: "eA=="}])
def test_off(environ: dict[str, str]) -> None:
    """Unset or /dev/null is off, and stays in the environment for children."""
    before = dict(environ)
    assert SystemdPressure.from_environment(environ) is None
    assert environ == before


def test_variables_are_taken_out(tmp_path: Path) -> None:
    """Children do not inherit the settings; a second call gets them again."""
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
def test_garbage(environ: dict[str, str], text: str) -> None:
    """Garbage is a ValueError that names the variable; nothing is taken out."""
    before = dict(environ)
    with pytest.raises(ValueError, match=f"MEMORY_PRESSURE_.*{text}"):
        SystemdPressure.from_environment(environ)
    assert environ == before


@pytest.fixture
def groups(world: World) -> World:
    """A process in /service/app of version 2, and a group beside it."""
    world.process("0::/service/app\n", CGROUP2.format(root="/", point="/cg"))
    for name in ("", "service", "service/app", "scope"):
        world.v2(f"cg/{name}")
        world.write(f"cg/{name}/memory.pressure", "some total=0\n")
    return world


@pytest.mark.parametrize("group", ["service/app", "service"])
def test_the_file_of_its_own_group(groups: World, group: str) -> None:
    """The group that a service manager names may have been divided since."""
    environ = {WATCH: f"{groups.root}/cg/{group}/memory.pressure"}
    cgroups = find_cgroups(groups.root)
    assert SystemdPressure.from_environment(environ, cgroups=cgroups) is not None
    assert environ == {}


def test_the_file_of_another_group(
    groups: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was inherited: it is passed over, which is said, and stays as it is."""
    path = f"{groups.root}/cg/scope/memory.pressure"
    text = f"inherited: {path} is of another group than this .* cgroup v2 /service/app"
    environ = {WATCH: path}
    memory = Memory(groups.root)
    with pytest.raises(ValueError, match=text):
        SystemdPressure.from_environment(environ, cgroups=memory.cgroups)
    with auto(memory=memory, environ=environ) as source:
        assert type(source) is not SystemdPressure
        assert f"{WATCH} was inherited" in source.reason
    assert environ == {WATCH: path}
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "inherited" in record.getMessage()
    # A process that takes the settings of its group, and is then moved.
    monkeypatch.setenv(WATCH, path)
    groups.write("proc/self/cgroup", "0::/scope\n")
    inside = find_cgroups(groups.root)
    assert SystemdPressure.from_environment(cgroups=inside) is not None
    with pytest.raises(ValueError, match=text):
        SystemdPressure.from_environment(cgroups=memory.cgroups)
    memory.close()


def test_a_process_whose_group_cannot_be_seen(groups: World) -> None:
    """The file may be of its own group, so it is believed."""
    for cgroups in (
        Cgroups(),
        Cgroups(v2=(Cgroup(2, "/gone", groups.root / "gone"),)),
    ):
        environ = {WATCH: f"{groups.root}/cg/scope/memory.pressure"}
        assert SystemdPressure.from_environment(environ, cgroups=cgroups) is not None


def test_psi_that_is_off_for_the_group(groups: World) -> None:
    """The error says so."""
    groups.write("cg/service/cgroup.pressure", "0\n")
    (groups.root / "cg/service/memory.pressure").unlink()
    source = SystemdPressure(f"{groups.root}/cg/service/memory.pressure")
    with pytest.raises(FileNotFoundError, match=f"{WATCH} .*PSI is off for its group"):
        source.open()


def test_paths_that_do_not_work(tmp_path: Path) -> None:
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


def test_fifo(memory_pressure_fifo: PressureFifo) -> None:
    """Each press is an event; presses that were not yet read are one."""
    source = SystemdPressure.from_environment()
    assert source is not None
    with source:
        assert source.wait(0) is None
        memory_pressure_fifo.press()
        memory_pressure_fifo.press()
        assert source.wait(SOON) is not None
        assert source.wait(0) is None


def test_writers_that_come_and_go(tmp_path: Path) -> None:
    """A FIFO without a writer is not gone; the next writer is heard."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with SystemdPressure(str(path)) as source:
        for _ in range(2):
            with path.open("wb") as writer:
                writer.write(b"!")
            assert source.wait(SOON) is not None
            assert source.wait(0) is None


@pytest.mark.parametrize(("more", "heard"), [(b"", False), (b"!", True)])
def test_own_bytes_in_a_fifo(tmp_path: Path, more: bytes, heard: bool) -> None:
    """What we wrote comes back and is no event; what follows is."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with SystemdPressure(str(path), b"some\0") as source:
        with path.open("wb") as writer:
            writer.write(more)
        assert (source.wait(0) is not None) is heard


def test_fifo_that_may_only_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        assert source.wait(SOON) is not None
        os.close(writer)
        with pytest.raises(SourceGone, match="closed"):
            source.wait(SOON)


def test_socket(memory_pressure_socket: PressureSocket) -> None:
    """It writes the decoded bytes at once, NULs included, and hears each press."""
    source = SystemdPressure.from_environment()
    assert source is not None
    with source:
        assert memory_pressure_socket.written == b"some 200000 2000000\0"
        assert source.wait(0) is None
        memory_pressure_socket.press()
        assert source.wait(SOON) is not None
        memory_pressure_socket.hang_up()
        with pytest.raises(SourceGone, match="the peer has closed it"):
            source.wait(SOON)
        # It may be there again, as a restarted manager is.
        source.close()
        source.open()
        memory_pressure_socket.press()
        assert source.wait(SOON) is not None


def test_press_and_close_together(memory_pressure_socket: PressureSocket) -> None:
    """What was said before the end is heard before the end."""
    source = SystemdPressure.from_environment()
    assert source is not None
    with source:
        assert memory_pressure_socket.written
        memory_pressure_socket.press()
        memory_pressure_socket.hang_up()
        assert source.wait(SOON) is not None
        with pytest.raises(SourceGone):
            source.wait(SOON)


def test_asyncio(memory_pressure_socket: PressureSocket) -> None:
    """The loop of asyncio hears a socket."""

    async def main() -> None:
        source = SystemdPressure.from_environment()
        assert source is not None
        with source:
            loop = asyncio.get_running_loop()
            loop.call_soon(memory_pressure_socket.press)
            await asyncio.wait_for(source.next_event(), SOON)

    asyncio.run(main())


def test_a_peer_that_never_stops(memory_pressure_fifo: PressureFifo) -> None:
    """Discarding has an end, even where there is always more."""
    source = SystemdPressure.from_environment()
    assert source is not None
    left = iter(range(1000))
    with source, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "read", lambda descriptor, size: bytes(next(left) + 1))
        assert source.read() is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((5,), "path must be a str, not int"),
        (("/x", "text"), "write must be bytes, not str"),
    ],
)
def test_wrong_arguments(arguments: tuple[Any, ...], said: str) -> None:
    """They are refused at once, with what belongs there."""
    with pytest.raises(TypeError, match=said):
        SystemdPressure(*arguments)


def test_fork(memory_pressure_socket: PressureSocket) -> None:
    """The child closes and opens again; the parent goes on listening."""
    source = SystemdPressure.from_environment()
    assert source is not None
    with source:
        child = os.fork()
        if child == 0:
            source.close()
            source.open()
            os._exit(0 if source.wait(SOON) is not None else 1)
        expected = 2 * memory_pressure_socket.asked_for
        memory_pressure_socket.asked_for = expected
        assert memory_pressure_socket.written == expected
        memory_pressure_socket.press()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert source.wait(SOON) is not None


def test_bytes_that_are_written(tmp_path: Path) -> None:
    """They are written as they are, NULs included."""
    data = b"\0some 1\n\0\xff"
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    environ = {WATCH: str(fifo), WRITE: base64.b64encode(data).decode()}
    source = SystemdPressure.from_environment(environ)
    assert source is not None
    assert environ == {}
    with source:
        descriptor = source.fileno()
        assert descriptor is not None
        assert os.read(descriptor, 100) == data


def test_settings_that_do_not_fit_into_the_fifo(tmp_path: Path) -> None:
    """A part of them would mean something else: an error, and nothing stays open."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    source = SystemdPressure(str(path), bytes(1 << 20))
    with pytest.raises(OSError, match="only 65536 bytes of MEMORY_PRESSURE_WRITE"):
        source.open()
    assert not source.is_open


def test_a_peer_that_breaks_off(memory_pressure_socket: PressureSocket) -> None:
    """What it has not read resets the connection, which ends the source."""
    source = SystemdPressure.from_environment()
    assert source is not None
    with source:
        memory_pressure_socket.hang_up()
        with pytest.raises(SourceGone, match="reset"):
            source.wait(SOON)


def test_a_service_that_connects_late_and_goes(
    memory_pressure_socket: PressureSocket,
) -> None:
    """``press`` waits until it is there; one that has closed is forgotten."""
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
    memory_pressure_socket.close()
    memory_pressure_socket.close()
