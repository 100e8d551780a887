"""``SystemdPressure``: the service manager says how to learn of memory pressure.

It sets two variables (systemd.io/MEMORY_PRESSURE).  ``MEMORY_PRESSURE_WATCH`` is a
path; ``MEMORY_PRESSURE_WRITE`` is base64 of the bytes to write there right after
opening, NULs included.  The kind of the path says how to listen:

=============  =======================================================================
a file         a PSI file: wait for ``POLLPRI``, never read it
a FIFO         wait for ``POLLIN``, read and discard
a socket       an AF_UNIX stream socket: connect, then as a FIFO
``/dev/null``  off
=============  =======================================================================

The settings are for one process.  So they are taken out of the environment, where
children would inherit them, and remembered here for the next call.  A child of a
program that leaves them in, started in a group of its own (``systemd-run --scope``),
gets those of another group.  They are passed over.

A FIFO is opened for reading and writing where that is allowed: then it does not end
when a writer closes it, and the next writer is heard too.  Bytes that we write to a
FIFO come back to us unless another process reads them; they are discarded.
"""

from __future__ import annotations

import base64
import binascii
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Self

from shrinker.pressure.limits.cgroups import own_cgroups
from shrinker.pressure.limits.kernel_file import open_descriptor
from shrinker.pressure.sources.base import (
    FileSource,
    PressureEvent,
    SourceGone,
)
from shrinker.pressure.sources.psi import is_switched_off

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from shrinker.pressure.limits.cgroups import Cgroups

__all__ = ["WATCH", "WRITE", "SystemdPressure"]

WATCH = "MEMORY_PRESSURE_WATCH"
WRITE = "MEMORY_PRESSURE_WRITE"
_CONNECT_TIMEOUT_SECONDS = 2.0
_DISCARD_BYTES = 4096
_MAX_DISCARD_READS = 64
"""Reads in a row; a peer that sends without end must not hold us."""

_taken: list[tuple[str, bytes]] = []
"""The settings that were taken out of this process's environment, if any."""


class SystemdPressure(FileSource):
    """Listens to what ``path`` is, after writing ``write`` there."""

    def __init__(self, path: str, write: bytes = b"") -> None:
        """Take the settings; ``from_environment`` reads them.

        Raises ``ValueError`` unless ``path`` is absolute, ``TypeError`` unless it is
        a ``str`` and ``write`` are ``bytes``.
        """
        if not isinstance(path, str):
            raise TypeError(f"path must be a str, not {type(path).__name__}")
        if not isinstance(write, bytes):
            raise TypeError(f"write must be bytes, not {type(write).__name__}")
        if not path.startswith("/") or "\0" in path:
            raise ValueError(f"{WATCH} must be an absolute path, not {path!r}")
        self._path = path
        self._write = write
        self._echo = b""
        self.name = f"systemd's protocol {path}"

    @classmethod
    def from_environment(
        cls,
        environ: MutableMapping[str, str] | None = None,
        *,
        cgroups: Cgroups | None = None,
    ) -> Self | None:
        """Make one from the two variables, and take them out of the environment.

        Returns ``None`` where they are unset, or where ``/dev/null`` turns it off (that
        stays in the environment, for children too).  ``environ`` is by default the
        process's; a second call then knows what the first has taken.  Raises
        ``ValueError``, and takes nothing out, where a value is malformed, or the path
        is the file of a group that this process is not in.  ``cgroups`` says where it
        is.
        """
        variables = os.environ if environ is None else environ
        path = variables.get(WATCH)
        if path == os.devnull:
            return None
        if path is None:
            if variables is os.environ and _taken:
                _check_group(_taken[0][0], cgroups)
                return cls(*_taken[0])
            return None
        encoded = variables.get(WRITE, "")
        try:
            write = base64.b64decode(encoded.encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise ValueError(f"{WRITE} is not base64: {encoded[:60]!r}") from error
        source = cls(path, write)
        _check_group(path, cgroups)
        del variables[WATCH]
        variables.pop(WRITE, None)
        if variables is os.environ:
            _taken[:] = [(path, write)]
        return source

    @staticmethod
    def forget() -> None:
        """Forget what was taken out of the environment (for tests)."""
        _taken.clear()

    def _open(self) -> None:
        mode = Path(self._path).stat().st_mode
        if stat.S_ISSOCK(mode):
            self._open_socket()
        elif stat.S_ISFIFO(mode):
            self._open_fifo()
        elif stat.S_ISREG(mode):
            self._open_file()
        else:
            text = f"{WATCH} is no file, FIFO or socket"
            raise OSError(errno.EINVAL, text, self._path)

    def _advice(self, error: OSError) -> str | None:
        if WATCH in str(error.strerror):
            return None
        off = "; PSI is off for its group" if is_switched_off(self._path) else ""
        return f"{WATCH} cannot be used{off}"

    def _open_socket(self) -> None:
        import socket  # noqa: PLC0415 - only for those who use it

        # Through /proc, since a socket's path may have at most 107 bytes.
        handle = os.open(self._path, os.O_PATH | os.O_CLOEXEC)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
                stream.settimeout(_CONNECT_TIMEOUT_SECONDS)
                stream.connect(f"/proc/self/fd/{handle}")
                stream.sendall(self._write)
                stream.settimeout(0)
                self._descriptor = open_descriptor(stream.detach)
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
            self._watch_priority()
        except PermissionError as error:
            text = f"{WATCH} is a file that announces nothing; it must be a PSI file"
            raise OSError(errno.EINVAL, text, self._path) from error

    def _send(self) -> None:
        if self._write:
            written = os.write(self._descriptor, self._write)
            if written != len(self._write):
                raise OSError(
                    errno.EIO, f"only {written} bytes of {WRITE} fit in", self._path
                )

    def read(self) -> PressureEvent | None:
        """Discard what was sent; see ``PressureSource``."""
        if not self.is_open:
            raise self._not_open()
        if self._epoll is not None:
            # The file must not be read: that the caller's poll returned is the event.
            self._check_trigger()
            return PressureEvent(self.name, "the kernel reports stalls")
        if not self._discard():
            return None
        return PressureEvent(self.name, "the peer reports pressure")

    def _discard(self) -> bool:
        """Discard what was sent; return whether there was something."""
        some = False
        for _ in range(_MAX_DISCARD_READS):
            try:
                data = os.read(self._descriptor, _DISCARD_BYTES)
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


def _check_group(path: str, cgroups: Cgroups | None) -> None:
    """Raise ``ValueError`` for a file of a group that this process is not in."""
    directory = Path(path).parent
    if not (directory / "cgroup.procs").exists():
        return  # No group's file.
    try:
        groups = own_cgroups(cgroups).v2
        is_own = any(directory.samefile(group.directory) for group in groups)
    except OSError:
        return  # Where this process is cannot be seen; the group may be its own.
    if groups and not is_own:
        raise ValueError(
            f"{WATCH} was inherited: {path} is of another group than this process's,"
            f" {groups[0]}"
        )
