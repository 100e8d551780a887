"""``SystemdPressure``: the service manager says how to learn of memory pressure.

Two variables in the environment (systemd.io/MEMORY_PRESSURE):
``MEMORY_PRESSURE_WATCH`` is a path, ``MEMORY_PRESSURE_WRITE`` what is to be written
there at once after opening, in base64, with NULs as they are.  What the path is says
how to listen:

=============  =======================================================================
a file         a PSI file; wait for ``POLLPRI`` and never read it
a FIFO         wait for ``POLLIN``; read and throw away
a socket       an AF_UNIX stream socket: connect; then as a FIFO
``/dev/null``  off
=============  =======================================================================

The settings are for one process.  So they are taken out of the environment, for
children not to inherit them, and remembered here for whoever asks again.

A FIFO is opened for reading and writing, where that is allowed: then it does not end
when a writer closes it, and whoever opens it next is heard too.  Bytes written to a
FIFO come back to us unless somebody else reads them, and are then passed over.
"""

from __future__ import annotations

import base64
import binascii
import errno
import os
import select
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Self

from shrinker.errors import ShrinkerError
from shrinker.pressure.kernel_file import file_error, watch_priority
from shrinker.pressure.source import PressureEvent, PressureSource, SourceGone

if TYPE_CHECKING:
    import socket
    from collections.abc import MutableMapping

__all__ = ["WATCH", "WRITE", "SystemdPressure"]

WATCH = "MEMORY_PRESSURE_WATCH"
WRITE = "MEMORY_PRESSURE_WRITE"
_CONNECT_SECONDS = 2.0
_DISCARD_AT_ONCE = 4096
_DISCARD_MOST = 64
"""Reads in a row; a peer that never stops must not keep us."""

_taken: list[tuple[str, bytes]] = []
"""The settings that were taken out of this process's environment, if any."""


class SystemdPressure(PressureSource):
    """Listens to what ``path`` is, after writing ``write`` there."""

    def __init__(self, path: str, write: bytes = b"") -> None:
        """Take settings, usually by ``from_environment``.

        Raises ``ValueError`` unless ``path`` is absolute.
        """
        if not path.startswith("/") or "\0" in path:
            raise ValueError(f"{WATCH} must be an absolute path, not {path!r}")
        self._path = path
        self._write = write
        self._descriptor = -1
        self._epoll: select.epoll | None = None
        self._stream: socket.socket | None = None
        self._echo = b""
        self.name = f"systemd's protocol {path}"

    @classmethod
    def from_environment(
        cls, environ: MutableMapping[str, str] | None = None
    ) -> Self | None:
        """Make one from the two variables, and take them out of the environment.

        Returns ``None`` where there are none, or ``/dev/null`` says that it is off
        (which is left there, for children too).  Without an argument it is the
        process's environment, and a second call knows what the first has taken.
        Raises ``ValueError``, and takes nothing out, where they make no sense.
        """
        variables = os.environ if environ is None else environ
        path = variables.get(WATCH)
        if path == os.devnull:
            return None
        if path is None:
            if variables is os.environ and _taken:
                return cls(*_taken[0])
            return None
        encoded = variables.get(WRITE, "")
        try:
            write = base64.b64decode(encoded.encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise ValueError(f"{WRITE} is not base64: {encoded[:60]!r}") from error
        source = cls(path, write)
        del variables[WATCH]
        variables.pop(WRITE, None)
        if variables is os.environ:
            _taken[:] = [(path, write)]
        return source

    @staticmethod
    def forget() -> None:
        """Forget what was taken out of the environment (for tests)."""
        _taken.clear()

    def open(self) -> None:
        """Open what the path is, and write; see ``PressureSource``."""
        if self.is_open:
            return
        try:
            mode = Path(self._path).stat().st_mode
            if stat.S_ISSOCK(mode):
                self._open_socket()
            elif stat.S_ISFIFO(mode):
                self._open_fifo()
            elif stat.S_ISREG(mode):
                self._open_file()
            else:
                raise OSError(  # noqa: TRY301 - closes as any other
                    errno.EINVAL, f"{WATCH} is no file, FIFO or socket", self._path
                )
        except OSError as error:
            self.close()
            if WATCH in str(error.strerror):
                raise
            raise file_error(error, f"{WATCH} cannot be used", self._path) from error

    def _open_socket(self) -> None:
        import socket  # noqa: PLC0415 - only for those who use it

        # Through /proc, since the path of a socket may have 107 bytes only.
        handle = os.open(self._path, os.O_PATH | os.O_CLOEXEC)
        try:
            stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._stream = stream
            stream.settimeout(_CONNECT_SECONDS)
            stream.connect(f"/proc/self/fd/{handle}")
            stream.sendall(self._write)
            stream.settimeout(0)
        finally:
            os.close(handle)

    def _open_fifo(self) -> None:
        flags = os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | flags)
        except PermissionError:
            if self._write:
                raise
            self._descriptor = os.open(self._path, os.O_RDONLY | flags)
        self._send()
        self._echo = self._write

    def _open_file(self) -> None:
        access = os.O_RDWR if self._write else os.O_RDONLY
        flags = access | os.O_NONBLOCK | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags)
        self._send()
        try:
            self._epoll = watch_priority(self._descriptor)
        except PermissionError as error:
            raise OSError(
                errno.EINVAL,
                f"{WATCH} is a file that announces nothing; it should be a PSI file",
                self._path,
            ) from error

    def _send(self) -> None:
        if self._write:
            written = os.write(self._descriptor, self._write)
            if written != len(self._write):
                raise OSError(
                    errno.EIO, f"only {written} bytes of {WRITE} went in", self._path
                )

    def close(self) -> None:
        """Close it; the settings stay.  See ``PressureSource``."""
        epoll, self._epoll = self._epoll, None
        if epoll is not None:
            epoll.close()
        # No shutdown(): a parent may go on listening.
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self.fileno() is not None

    def fileno(self) -> int | None:
        """Return the FIFO or socket, or an epoll around the file."""
        if self._epoll is not None:
            return self._epoll.fileno()
        if self._stream is not None:
            return self._stream.fileno()
        return self._descriptor if self._descriptor >= 0 else None

    def read(self) -> PressureEvent | None:
        """Throw away what was sent; see ``PressureSource``."""
        descriptor = self.fileno()
        if descriptor is None:
            raise ShrinkerError(f"{self.name} is not open")
        if self._epoll is not None:
            # Whoever polled has used the event up, and we must not read.
            for _, events in self._epoll.poll(0):
                if events & (select.EPOLLERR | select.EPOLLHUP):
                    raise SourceGone(f"{self.name}: the kernel has dropped the trigger")
            return PressureEvent(self.name, "the kernel reports stalls")
        if not self._discard(descriptor):
            return None
        return PressureEvent(self.name, "the peer reports pressure")

    def _discard(self, descriptor: int) -> bool:
        """Throw away what was sent; return whether there was something."""
        some = False
        for _ in range(_DISCARD_MOST):
            try:
                data = os.read(descriptor, _DISCARD_AT_ONCE)
            except BlockingIOError:
                return some
            except OSError as error:
                raise SourceGone(f"{self.name}: {error.strerror}") from error
            if not data:
                if some:
                    return True  # The end will be read again next time.
                raise SourceGone(f"{self.name}: the peer has closed it")
            data = data.removeprefix(self._echo)
            self._echo = b""
            some = some or bool(data)
        return some
