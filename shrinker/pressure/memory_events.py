"""``MemoryEvents``: what has happened to a cgroup of version 2, counted by the kernel.

``memory.events`` counts how often the group was held back at ``memory.high``, hit
``memory.max``, ran out of memory.  The kernel announces each change.  It takes no
write access, so it works where a container cannot arm a PSI trigger; but it speaks
only when a limit has been hit already.

Nobody is woken when the group is removed (measured on Linux 6.18), so the file is also
read once in ``CHECK_SECONDS``.
"""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING, Self

from shrinker.errors import ShrinkerError
from shrinker.pressure.cgroups import own_cgroups
from shrinker.pressure.kernel_file import file_error, opened, watch_priority
from shrinker.pressure.priority_file import PriorityFile
from shrinker.pressure.source import (
    PressureEvent,
    SourceGone,
    check_path,
)

if TYPE_CHECKING:
    from shrinker.pressure.cgroups import Cgroups

__all__ = ["CHECK_SECONDS", "MemoryEvents"]

CHECK_SECONDS = 10.0
"""How long a group may be gone before that is noticed."""


class MemoryEvents(PriorityFile):
    """Tells when a counter in ``memory.events`` or ``memory.events.local`` grows."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = check_path("path", path)
        self._counters: dict[str, int] = {}
        self._next = 0.0
        self.name = self._path

    @classmethod
    def of_own_cgroup(cls, *, cgroups: Cgroups | None = None) -> Self:
        """Make one for the own cgroup, or the next above that counts memory.

        Raises ``FileNotFoundError`` where there is none.
        """
        found = own_cgroups(cgroups)
        for cgroup in found.v2:
            path = cgroup.directory / "memory.events"
            if path.exists():
                return cls(path)
        raise FileNotFoundError(
            errno.ENOENT, "no cgroup v2 with a memory controller", "memory.events"
        )

    def open(self) -> None:
        """Read the counters and wait for changes; see ``PressureSource``."""
        if self.is_open:
            return
        try:
            self._descriptor = opened(os.open, self._path, os.O_RDONLY | os.O_CLOEXEC)
            self._counters = self._read_counters()
            # Last: a change in between wakes us, and is found to be none.
            self._epoll = watch_priority(self._descriptor)
        except OSError as error:
            self.close()
            if error.errno == errno.EPERM:
                raise file_error(
                    error, "the file announces no changes; none of a cgroup", self._path
                ) from error
            raise
        except BaseException:  # A signal's.
            self.close()
            raise

    def due(self) -> float | None:
        """Return when to see whether the group is still there."""
        if self._epoll is None:
            return None
        return max(0.0, self._next - time.monotonic())

    def read(self) -> PressureEvent | None:
        """Return which counters grew; see ``PressureSource``."""
        if self._epoll is None:
            raise ShrinkerError(f"{self.name} is not open")
        before = self._counters
        try:
            # Which also makes the kernel wait for the next change.
            self._counters = self._read_counters()
        except OSError as error:
            raise SourceGone(f"{self.name}: {error.strerror}") from error
        grown = {
            name: count - before.get(name, 0)
            for name, count in self._counters.items()
            if count > before.get(name, 0)
        }
        if not grown:
            return None
        detail = ", ".join(f"{name} +{count}" for name, count in grown.items())
        return PressureEvent(self.name, detail)

    def _read_counters(self) -> dict[str, int]:
        self._next = time.monotonic() + CHECK_SECONDS
        counters: dict[str, int] = {}
        text = os.pread(self._descriptor, 4096, 0).decode("ascii", "replace")
        for line in text.splitlines():
            name, _, count = line.partition(" ")
            if count.isdecimal():
                counters[name] = int(count)
        return counters
