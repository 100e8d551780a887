"""Fixtures for pytest: memory pressure on demand, for tests of services.

In a ``conftest.py``::

    pytest_plugins = ["shrinker.testing"]

``memory_pressure_fifo`` and ``memory_pressure_socket`` report pressure by systemd's
protocol, to this library or to any other program that follows it.  ``fake_cgroup`` is a
cgroup of version 2 in ordinary files, for ``shrinker.pressure.Memory``.
"""

from __future__ import annotations

import base64
import contextlib
import os
import select
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from shrinker.pressure.sources.systemd import WATCH, WRITE, SystemdPressure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "FakeCgroup",
    "PressureFifo",
    "PressureSocket",
    "fake_cgroup",
    "memory_pressure_fifo",
    "memory_pressure_socket",
]

SERVICE_TIMEOUT_SECONDS = 5.0
"""How long these fixtures wait for the service to connect or to write."""

_RECEIVE_BYTES = 4096
_UNCHANGED: Any = object()


class PressureFifo:
    """A FIFO that a service listens to.

    It carries bytes to the service only, so the service is asked to write nothing.
    """

    written = b""
    """What the service wrote when it opened the FIFO: nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """Its path, which is also the value of ``MEMORY_PRESSURE_WATCH``."""
        os.mkfifo(path, 0o600)
        # O_RDWR: opening does not wait for the service, and a service that reads
        # before the first press does not find the end of the FIFO.
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def press(self) -> None:
        """Report pressure once.  The report is kept until the service reads it."""
        if self._descriptor < 0:
            raise RuntimeError("press() after hang_up()")
        # A full FIFO reports pressure already.
        with contextlib.suppress(BlockingIOError):
            os.write(self._descriptor, b"!")

    def hang_up(self) -> None:
        """Close this end.  Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class PressureSocket:
    """A socket that a service connects to."""

    asked_for = b"some 200000 2000000\0"
    """Bytes that ``MEMORY_PRESSURE_WRITE`` asks the service to write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """Its path, which is also the value of ``MEMORY_PRESSURE_WATCH``."""
        self._connections: list[socket.socket] = []
        self._written = b""
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # By way of /proc, since the path of a socket may have at most 107 bytes.
        folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
        try:
            self._server.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        self._server.listen()
        self._server.settimeout(0)

    @property
    def written(self) -> bytes:
        """What the service has written, on all of its connections together.

        Waits up to ``SERVICE_TIMEOUT_SECONDS`` for as many bytes as were asked for, and
        returns what has come by then.
        """
        end = time.monotonic() + SERVICE_TIMEOUT_SECONDS
        while len(self._written) < len(self.asked_for):
            if not self._exchange(end - time.monotonic()):
                break
        return self._written

    def press(self) -> None:
        """Report pressure once, on all connections.

        Waits up to ``SERVICE_TIMEOUT_SECONDS`` for the service to connect, and then
        raises ``TimeoutError``.
        """
        end = time.monotonic() + SERVICE_TIMEOUT_SECONDS
        self._accept()
        while not self._connections:
            if not self._exchange(end - time.monotonic()):
                raise TimeoutError(f"no service has connected to {self.path}")
        for connection in self._connections:
            # A full connection reports pressure already; a closed one is the service's
            # own doing.
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                connection.send(b"!")

    def hang_up(self) -> None:
        """Close all connections; new ones are accepted.  Idempotent."""
        self._accept()
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def close(self) -> None:
        """Close everything.  Idempotent."""
        if self._server.fileno() >= 0:
            self.hang_up()
            self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except BlockingIOError:
                return
            connection.settimeout(0)
            self._connections.append(connection)

    def _exchange(self, seconds: float) -> bool:
        """Accept and read what comes; return False if nothing came in time."""
        readable, _, _ = select.select(
            [self._server, *self._connections], [], [], max(0.0, seconds)
        )
        self._accept()
        for connection in list(self._connections):
            if connection not in readable:
                continue
            data = b""
            with contextlib.suppress(ConnectionResetError):
                data = connection.recv(_RECEIVE_BYTES)
            self._written += data
            if not data:
                connection.close()
                self._connections.remove(connection)
        return bool(readable)


class FakeCgroup:
    """A cgroup of version 2, ``/app``, on a machine of 8 GiB, in ordinary files.

    ``shrinker.pressure.Memory(fake_cgroup.root)`` reads it.  Ordinary files report no
    events, so sources that wait for the kernel do not work on it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        """The directory that stands for ``/``."""
        self.directory = root / "sys" / "fs" / "cgroup" / "app"
        """The cgroup's directory."""
        self.directory.mkdir(parents=True)
        process = root / "proc" / "self"
        process.mkdir(parents=True)
        for folder in (self.directory.parent, self.directory):
            (folder / "cgroup.procs").write_text(f"{os.getpid()}\n")
        (process / "cgroup").write_text("0::/app\n")
        (process / "mountinfo").write_text(
            "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
        )
        (root / "proc" / "meminfo").write_text(
            "MemTotal: 8388608 kB\nMemFree: 6291456 kB\nMemAvailable: 7340032 kB\n"
        )
        self.set(current=0, max=None, high=None, inactive_file=0)

    def set(
        self,
        *,
        current: int = _UNCHANGED,
        max: int | None = _UNCHANGED,  # noqa: A002 - the file's name
        high: int | None = _UNCHANGED,
        inactive_file: int = _UNCHANGED,
    ) -> None:
        """Change the given figures, in bytes; None means no limit."""
        given = {"memory.max": max, "memory.high": high, "memory.current": current}
        for name, value in given.items():
            if value is not _UNCHANGED:
                self._write(name, "max\n" if value is None else f"{value}\n")
        if inactive_file is not _UNCHANGED:
            text = f"anon 0\ninactive_file {inactive_file}\nactive_file 0\n"
            self._write("memory.stat", text)

    def _write(self, name: str, text: str) -> None:
        # Written in place: readers keep the file open, and must never find it empty.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.directory / name, flags, 0o644)
        try:
            os.pwrite(descriptor, text.encode("ascii"), 0)
            os.ftruncate(descriptor, len(text))
        finally:
            os.close(descriptor)


@pytest.fixture
def memory_pressure_fifo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PressureFifo]:
    """A FIFO, set in systemd's environment variables."""
    fifo = PressureFifo(tmp_path / "memory-pressure.fifo")
    monkeypatch.setenv(WATCH, str(fifo.path))
    monkeypatch.delenv(WRITE, raising=False)
    yield fifo
    fifo.hang_up()
    SystemdPressure.forget()


@pytest.fixture
def memory_pressure_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PressureSocket]:
    """A socket, set in systemd's environment variables."""
    peer = PressureSocket(tmp_path / "memory-pressure.socket")
    monkeypatch.setenv(WATCH, str(peer.path))
    monkeypatch.setenv(WRITE, base64.b64encode(peer.asked_for).decode("ascii"))
    yield peer
    peer.close()
    SystemdPressure.forget()


@pytest.fixture
def fake_cgroup(tmp_path: Path) -> FakeCgroup:
    """A cgroup in ordinary files; see ``FakeCgroup``."""
    return FakeCgroup(tmp_path / "root")
