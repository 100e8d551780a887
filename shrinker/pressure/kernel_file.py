"""``KernelFile``: a small file of the kernel's that is read again and again.

It is opened once and read at offset 0 with pread, which makes the kernel compute it
anew and costs a third of opening and closing.  Since pread moves no offset, parent
and child may both read it after a fork.  It has no ``close``: the last reference
closes it, so that whoever still reads it in another thread is not disturbed.

``os.pread`` gives the GIL up, and beside busy threads it comes back a switch interval
later, 5 ms for each of them: after six files the first figure is worth nothing.  These
reads take a few microseconds, less than many a bytecode.  So the GIL is kept, by way of
ctypes, unless a file turns out to be slow (a machine with thousands of groups, a file
that another process makes up).
"""

from __future__ import annotations

import functools
import itertools
import os
import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    _Calls = tuple[Callable[[int, int], bytes | None], Callable[[int], bytes | None]]

__all__ = [
    "UNLIMITED",
    "KernelFile",
    "drained",
    "file_error",
    "opened",
    "watch_priority",
]

_READ_SIZE = 16384
_SLOW = 0.001
"""Seconds of a read from which it should not keep all other threads waiting."""
_SLOW_READS = 3
"""Slow reads in a row that are no accident."""
UNLIMITED = 1 << 60
"""cgroup v1 has no word for "no limit" but 2**63, rounded down to pages."""


class KernelFile:
    """A file kept open."""

    __slots__ = ("_descriptor", "_slow_reads", "path")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open it to be read; raises ``OSError``."""
        self._descriptor = -1
        self._slow_reads = 0
        self.path = path
        self._descriptor = opened(os.open, path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        # A signal's exception may come before there is one.
        if (descriptor := getattr(self, "_descriptor", -1)) >= 0:
            os.close(descriptor)

    def fileno(self) -> int:
        """Return the descriptor, valid as long as this object."""
        return self._descriptor

    def read(self) -> bytes:
        """Return all of it as it is now; raises ``OSError``."""
        size = _READ_SIZE
        while True:
            data = self._pread(size)
            if len(data) < size:
                return data
            size *= 4

    def _pread(self, size: int) -> bytes:
        calls = _quick_calls()
        if calls is None or self._slow_reads >= _SLOW_READS:
            return os.pread(self._descriptor, size, 0)
        began = time.perf_counter()
        data = calls[0](self._descriptor, size)
        slow = time.perf_counter() - began > _SLOW
        self._slow_reads = self._slow_reads + 1 if slow else 0
        # Whatever was wrong, this raises it.
        return os.pread(self._descriptor, size, 0) if data is None else data

    def limit(self) -> int | None:
        """Return the number in the first line; None: no limit.

        Raises ``OSError``, and ``ValueError`` for anything but a number or ``max``.
        """
        first = self.read().partition(b"\n")[0].strip()
        if first == b"max":
            return None
        value = self._number(first)
        return None if value >= UNLIMITED else value

    def value(self) -> int:
        """Return the number in the first line; raises as ``limit``."""
        return self._number(self.read().partition(b"\n")[0].strip())

    def counters(self, *names: bytes) -> list[int | None]:
        """Return the numbers behind ``names`` at starts of lines; None: not there.

        Raises ``OSError``, and ``ValueError`` where something else is behind a name.
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
            raise ValueError(f"{self.path} makes no sense: {text[:40]!r}")
        return int(text)


def opened(open_: Callable[..., int], *arguments: object) -> int:
    """Return the descriptor that a function of C returns.

    Where a signal's exception comes behind that function, the descriptor is closed.
    """
    got: list[int] = []
    try:
        # Written in one go: nobody would know of one that returns here.
        got.extend(itertools.starmap(open_, (arguments,)))
    except BaseException:
        for descriptor in got:
            os.close(descriptor)
        raise
    return got[0]


def drained(eventfd: int) -> bool:
    """Set an eventfd back; return whether it was signalled.  Keeps the GIL.

    Raises ``OSError``.
    """
    calls = _quick_calls()
    if calls is not None and (data := calls[1](eventfd)) is not None:
        return bool(data)
    try:
        return bool(os.eventfd_read(eventfd))
    except BlockingIOError:
        return False


@functools.cache
def _quick_calls() -> _Calls | None:
    """Return pread from the start, and read of 8 bytes, that keep the GIL.

    They return None for an error; None: there are none here.
    """
    try:
        import ctypes  # noqa: PLC0415 - only for those who read limits

        library = ctypes.PyDLL(None)
        pread = getattr(library, "pread64", None) or library.pread
        read = library.read
    except (ImportError, OSError, AttributeError):
        return None
    pread.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64]
    read.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    pread.restype = read.restype = ctypes.c_ssize_t

    def from_start(descriptor: int, size: int) -> bytes | None:
        buffer = ctypes.create_string_buffer(size)
        length = pread(descriptor, buffer, size, 0)
        return None if length < 0 else ctypes.string_at(buffer, length)

    def eight(descriptor: int) -> bytes | None:
        buffer = ctypes.create_string_buffer(8)
        length = read(descriptor, buffer, 8)
        return None if length < 0 else ctypes.string_at(buffer, length)

    return from_start, eight


def file_error(error: OSError, advice: str, path: object) -> OSError:
    """Return an error of the same kind with a text that says what can be done."""
    strerror = error.strerror or str(error)
    # OSError chooses the subclass by the number.
    return OSError(error.errno, f"{strerror}: {advice}", str(path))


def watch_priority(descriptor: int) -> select.epoll:
    """Return an epoll that is readable when ``descriptor`` has POLLPRI or an error.

    Raises ``OSError`` where the file is none that can be waited for.
    """
    epoll = select.epoll()
    try:
        epoll.register(descriptor, select.EPOLLPRI)
    except BaseException:
        epoll.close()
        raise
    return epoll
