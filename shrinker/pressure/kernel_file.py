"""``KernelFile``: a small file of the kernel's that is read again and again.

It is opened once and read at offset 0 with pread, which makes the kernel compute it
anew and costs a third of opening and closing.  Since pread moves no offset, parent
and child may both read it after a fork.  It has no ``close``: the last reference
closes it, so that whoever still reads it in another thread is not disturbed.
"""

from __future__ import annotations

import os
import select

__all__ = ["UNLIMITED", "KernelFile", "file_error", "watch_priority"]

_READ_SIZE = 16384
UNLIMITED = 1 << 60
"""cgroup v1 has no word for "no limit" but 2**63, rounded down to pages."""


class KernelFile:
    """A file kept open."""

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open it to be read; raises ``OSError``."""
        self._descriptor = -1
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def fileno(self) -> int:
        """Return the descriptor, valid as long as this object."""
        return self._descriptor

    def read(self) -> bytes:
        """Return all of it as it is now; raises ``OSError``."""
        size = _READ_SIZE
        while True:
            data = os.pread(self._descriptor, size, 0)
            if len(data) < size:
                return data
            size *= 4

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
