"""Fixtures for pytest: memory pressure on demand, for tests of services.

In a ``conftest.py``::

    pytest_plugins = ["shrinker.testing"]

``memory_pressure_fifo`` and ``memory_pressure_socket`` speak systemd's protocol to
whatever program follows it, with this library or another; ``fake_cgroup`` is a cgroup
of version 2 in ordinary files, for ``shrinker.pressure.Memory``.
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

from shrinker.pressure.systemd import WATCH, WRITE, SystemdPressure

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

SECONDS = 5.0
"""How long these fixtures wait for the service before they say that it does nothing."""

_KEEP: Any = object()


class PressureFifo:
    """A FIFO that a service listens to.

    It carries bytes one way only, so nothing is asked to be written.
    """

    written = b""
    """What the service wrote at opening; nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """Where it is; what ``MEMORY_PRESSURE_WATCH`` says."""
        os.mkfifo(path, 0o600)
        # Read and write: opening does not wait for the service, nor does it find
        # the FIFO at its end when it reads before the first press.
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def press(self) -> None:
        """Report pressure once.  It is kept until the service reads it."""
        if self._descriptor < 0:
            raise RuntimeError("hang_up() was called")
        # A full FIFO says it already.
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
    """The bytes that ``MEMORY_PRESSURE_WRITE`` asks the service to write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        """Where it is; what ``MEMORY_PRESSURE_WATCH`` says."""
        self._connections: list[socket.socket] = []
        self._written = b""
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Through /proc, since the path of a socket may have 107 bytes only.
        folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
        try:
            self._server.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        self._server.listen()
        self._server.settimeout(0)

    @property
    def written(self) -> bytes:
        """What the service has written, over all of its connections.

        Waits up to ``SECONDS`` for as many bytes as it was asked for; returns what
        has come by then.
        """
        end = time.monotonic() + SECONDS
        while len(self._written) < len(self.asked_for):
            if not self._exchange(end - time.monotonic()):
                break
        return self._written

    def press(self) -> None:
        """Report pressure once, to all connections.

        Waits up to ``SECONDS`` for the service to connect; raises ``TimeoutError`` if
        it does not.
        """
        end = time.monotonic() + SECONDS
        self._accept()
        while not self._connections:
            if not self._exchange(end - time.monotonic()):
                raise TimeoutError(f"nobody has connected to {self.path}")
        for connection in self._connections:
            # Full says it already, closed is what the service wanted.
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                connection.send(b"!")

    def hang_up(self) -> None:
        """Close all connections; new ones are taken.  Idempotent."""
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
        """Wait, and take what comes; False when the time is over."""
        readable, _, _ = select.select(
            [self._server, *self._connections], [], [], max(0.0, seconds)
        )
        self._accept()
        for connection in list(self._connections):
            if connection not in readable:
                continue
            data = b""
            with contextlib.suppress(ConnectionResetError):
                data = connection.recv(4096)
            self._written += data
            if not data:
                connection.close()
                self._connections.remove(connection)
        return bool(readable)


class FakeCgroup:
    """A cgroup of version 2, ``/app``, and a machine of 8 GiB, in files.

    ``shrinker.pressure.Memory(fake_cgroup.root)`` reads it.  It announces nothing;
    what waits for the kernel does not work on it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        """What stands for ``/``."""
        self.directory = root / "sys" / "fs" / "cgroup" / "app"
        """Where the group's files are."""
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
        current: int = _KEEP,
        max: int | None = _KEEP,  # noqa: A002 - the file's name
        high: int | None = _KEEP,
        inactive_file: int = _KEEP,
    ) -> None:
        """Change what is given, in bytes; a limit of None is none."""
        given = {"memory.max": max, "memory.high": high, "memory.current": current}
        for name, value in given.items():
            if value is not _KEEP:
                self._write(name, "max\n" if value is None else f"{value}\n")
        if inactive_file is not _KEEP:
            text = f"anon 0\ninactive_file {inactive_file}\nactive_file 0\n"
            self._write("memory.stat", text)

    def _write(self, name: str, text: str) -> None:
        # Into the same file, which readers keep open, and never empty meanwhile.
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
    """A FIFO that systemd's variables in the environment lead to."""
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
    """A socket that systemd's variables in the environment lead to."""
    peer = PressureSocket(tmp_path / "memory-pressure.socket")
    monkeypatch.setenv(WATCH, str(peer.path))
    monkeypatch.setenv(WRITE, base64.b64encode(peer.asked_for).decode("ascii"))
    yield peer
    peer.close()
    SystemdPressure.forget()


@pytest.fixture
def fake_cgroup(tmp_path: Path) -> FakeCgroup:
    """A cgroup in files; see ``FakeCgroup``."""
    return FakeCgroup(tmp_path / "root")
