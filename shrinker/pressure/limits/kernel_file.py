"""``KernelFile``: a small kernel file that is read again and again.

It is opened once and read at offset 0 with pread.  The kernel then computes it anew,
at a third of the cost of opening and closing.  pread moves no offset, so parent and
child may both read after a fork.  There is no ``close``: the last reference closes the
file, so another thread can finish its read.

``os.pread`` gives the GIL up.  Beside busy threads it comes back a switch interval
(5 ms) later for each of them: after six files the first figure is out of date.  The
read itself takes microseconds.  So the GIL is kept, through ctypes, unless a file
turns out to be slow (a machine with thousands of groups, a file made up by a process).
"""

from __future__ import annotations

import functools
import itertools
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "UNLIMITED_BYTES",
    "KernelFile",
    "drain_eventfd",
    "open_descriptor",
    "pread",
    "pwrite",
]

UNLIMITED_BYTES = 1 << 60
"""Limits from here on mean no limit: cgroup v1 says 2**63, rounded down to pages."""
_READ_BYTES = 16384
_SLOW_READ_SECONDS = 0.001
"""A read that takes longer should not keep all other threads waiting."""
_SLOW_READS_IN_A_ROW = 3
"""So many slow reads are no accident."""


class KernelFile:
    """A file kept open."""

    __slots__ = ("_descriptor", "_slow_reads", "path")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open it for reading; raises ``OSError``."""
        self._descriptor = -1
        self._slow_reads = 0
        self.path = path
        self._descriptor = open_descriptor(os.open, path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        # A signal handler may raise before the attribute exists.
        if (descriptor := getattr(self, "_descriptor", -1)) >= 0:
            os.close(descriptor)

    def fileno(self) -> int:
        """Return the descriptor, valid as long as this object."""
        return self._descriptor

    def read(self) -> bytes:
        """Return the whole file as it is now; raises ``OSError``."""
        size = _READ_BYTES
        while True:
            data = self._pread(size)
            if len(data) < size:
                return data
            size *= 4

    def _pread(self, size: int) -> bytes:
        calls = _calls_with_gil()
        if calls is None or self._slow_reads >= _SLOW_READS_IN_A_ROW:
            return os.pread(self._descriptor, size, 0)
        began = time.perf_counter()
        data = calls.pread(self._descriptor, size, 0)
        slow = time.perf_counter() - began > _SLOW_READ_SECONDS
        self._slow_reads = self._slow_reads + 1 if slow else 0
        # After an error, os.pread meets the same one and raises it.
        return os.pread(self._descriptor, size, 0) if data is None else data

    def limit(self) -> int | None:
        """Return the number in the first line; None means no limit.

        Raises ``OSError``, and ``ValueError`` for anything but a number or ``max``.
        """
        first = self.read().partition(b"\n")[0].strip()
        if first == b"max":
            return None
        value = self._number(first)
        return None if value >= UNLIMITED_BYTES else value

    def value(self) -> int:
        """Return the number in the first line; raises as ``limit``."""
        return self._number(self.read().partition(b"\n")[0].strip())

    def counters(self, *names: bytes) -> list[int | None]:
        """Return the numbers behind ``names`` at line starts; None for a missing one.

        Raises ``OSError``, and ``ValueError`` where a name has no number.
        """
        data = b"\n" + self.read()
        found: list[int | None] = []
        for name in names:
            at = data.find(b"\n" + name)
            if at < 0:
                found.append(None)
                continue
            start = at + 1 + len(name)
            line = data[start : data.find(b"\n", start) + 1 or None]
            found.append(self._number((line.split() or [b""])[0]))
        return found

    def _number(self, text: bytes) -> int:
        if not text.isdigit():
            raise ValueError(f"{self.path}: expected a number, found {text[:40]!r}")
        return int(text)


def open_descriptor(open_: Callable[..., int], *arguments: object) -> int:
    """Return the descriptor that a C function returns.

    Where a signal handler raises right after that function, the descriptor is closed.
    """
    got: list[int] = []
    try:
        # One call into C: no exception comes between the open and the append.
        got.extend(itertools.starmap(open_, (arguments,)))
    except BaseException:
        for descriptor in got:
            os.close(descriptor)
        raise
    return got[0]


def drain_eventfd(eventfd: int) -> bool:
    """Reset an eventfd; return whether it was signalled.  Keeps the GIL.

    Raises ``OSError``.
    """
    calls = _calls_with_gil()
    if calls is not None and (data := calls.read(eventfd, 8)) is not None:
        return bool(data)
    try:
        return bool(os.eventfd_read(eventfd))
    except BlockingIOError:
        return False


def pread(descriptor: int, size: int, offset: int) -> bytes:
    """Do as ``os.pread`` does, with the GIL held: for files in memory."""
    calls = _calls_with_gil()
    data = None if calls is None else calls.pread(descriptor, size, offset)
    return os.pread(descriptor, size, offset) if data is None else data


def pwrite(descriptor: int, data: bytes, offset: int) -> int:
    """Do as ``os.pwrite`` does, with the GIL held: for files in memory."""
    calls = _calls_with_gil()
    written = -1 if calls is None else calls.pwrite(descriptor, data, offset)
    return os.pwrite(descriptor, data, offset) if written < 0 else written


class _Calls:
    """Functions of the C library; None or a negative result means an error."""

    def __init__(self) -> None:
        import ctypes  # noqa: PLC0415 - only for those who read limits

        library = ctypes.PyDLL(None)
        size, offset = ctypes.c_size_t, ctypes.c_int64
        self._string_at = ctypes.string_at
        self._buffer = ctypes.create_string_buffer
        self._read = library.read
        self._read.argtypes = [ctypes.c_int, ctypes.c_void_p, size]
        self._pread = getattr(library, "pread64", None) or library.pread
        self._pread.argtypes = [ctypes.c_int, ctypes.c_void_p, size, offset]
        self._pwrite = getattr(library, "pwrite64", None) or library.pwrite
        self._pwrite.argtypes = [ctypes.c_int, ctypes.c_char_p, size, offset]
        for call in (self._read, self._pread, self._pwrite):
            call.restype = ctypes.c_ssize_t

    def pread(self, descriptor: int, size: int, offset: int) -> bytes | None:
        buffer = self._buffer(size)
        length = self._pread(descriptor, buffer, size, offset)
        return None if length < 0 else self._string_at(buffer, length)

    def read(self, descriptor: int, size: int) -> bytes | None:
        buffer = self._buffer(size)
        length = self._read(descriptor, buffer, size)
        return None if length < 0 else self._string_at(buffer, length)

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        written: int = self._pwrite(descriptor, data, len(data), offset)
        return written


@functools.cache
def _calls_with_gil() -> _Calls | None:
    """Return calls that keep the GIL; None where there is no ctypes."""
    try:
        return _Calls()
    except (ImportError, OSError, AttributeError):
        return None
