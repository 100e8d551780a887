"""``MemoryEvents``: what happened to a cgroup of version 2, counted by the kernel.

``memory.events`` counts how often the group was throttled at ``memory.high``, hit
``memory.max``, ran out of memory.  The kernel announces each change.  This needs no
write access, so it works where a container cannot arm a PSI trigger.  But an event
comes only after a limit was hit.

The kernel announces nothing when the group is removed (measured on Linux 6.18), so the
file is also read every ``CHECK_SECONDS``.
"""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING, Self

from shrinker.pressure.limits.cgroups import own_cgroups
from shrinker.pressure.limits.kernel_file import open_descriptor
from shrinker.pressure.sources.base import (
    FileSource,
    PressureEvent,
    SourceGone,
    check_path,
)

if TYPE_CHECKING:
    from shrinker.pressure.limits.cgroups import Cgroups

__all__ = ["CHECK_SECONDS", "MemoryEvents"]

CHECK_SECONDS = 10.0
"""A group that was removed is noticed after this time."""
SOCKET_PREFIX = "sock_"
"""Counters such as ``sock_throttled`` are of buffers of the network, not of memory."""


class MemoryEvents(FileSource):
    """Tells when a counter in ``memory.events`` or ``memory.events.local`` grows."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = check_path("path", path)
        self._counters: dict[str, int] = {}
        self._next = 0.0
        self.name = self._path

    @classmethod
    def of_own_cgroup(cls, *, cgroups: Cgroups | None = None) -> Self:
        """Make one for this process's cgroup, or the next above that counts memory.

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

    def _open(self) -> None:
        flags = os.O_RDONLY | os.O_CLOEXEC
        self._descriptor = open_descriptor(os.open, self._path, flags)
        self._counters = self._read_counters()
        # Last: a change in between wakes us and is found to be none.
        self._watch_priority()

    def _advice(self, error: OSError) -> str | None:
        if error.errno == errno.EPERM:
            return "the file announces no changes; it must be a cgroup's"
        return None

    def due(self) -> float | None:
        """Return in how many seconds to check that the group is still there."""
        if not self.is_open:
            return None
        return max(0.0, self._next - time.monotonic())

    def read(self) -> PressureEvent | None:
        """Return which counters grew; see ``PressureSource``."""
        if not self.is_open:
            raise self._not_open()
        before = self._counters
        try:
            # Reading also makes the kernel announce the next change.
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
            if count.isdecimal() and not name.startswith(SOCKET_PREFIX):
                counters[name] = int(count)
        return counters
