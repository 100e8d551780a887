"""A memory and a pressure source that do as tests say, and caches that weigh."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shrinker import CountObjects, ScanObjects, ShrinkControl
from shrinker.pressure import (
    Memory,
    MemoryLevel,
    PressureEvent,
    PressureSource,
    SourceGone,
    Watermarks,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
PAGE = 4096
LIMIT = 1000 * MIB
MARKS = Watermarks(40 * MIB, 100 * MIB, 150 * MIB)


def level(free: int, *, limit: int = LIMIT, where: str = "test") -> MemoryLevel:
    """A level with so many MiB free."""
    used = limit - free * MIB
    return MemoryLevel(where, limit, used, used)


class FakeMemory(Memory):
    """Has one level, of which ``used`` is settable; ``on_read`` is called each time."""

    def __init__(self, free: int, limit: int = LIMIT) -> None:
        super().__init__()
        self.limit = limit
        self.used = limit - free * MIB
        self.more: tuple[MemoryLevel, ...] = ()
        self.reads = 0
        self.on_read: Callable[[], None] = lambda: None

    def levels(self) -> tuple[MemoryLevel, ...]:
        self.reads += 1
        self.on_read()
        own = MemoryLevel("test", self.limit, self.used, self.used)
        return (own, *self.more)

    def close(self) -> None:
        pass


class Pages:
    """A cache that counts in pages; memory falls by ``share`` of what it frees."""

    def __init__(
        self, pages: int, memory: FakeMemory | None = None, share: float = 1
    ) -> None:
        self.pages = pages
        self.memory = memory
        self.share = share
        self.scans: list[int] = []
        self.on_scan: Callable[[], object] = lambda: None

    def count_objects(self, sc: ShrinkControl) -> CountObjects:
        return CountObjects.new(self.pages)

    def scan_objects(self, sc: ShrinkControl) -> ScanObjects:
        self.scans.append(sc.nr_to_scan)
        self.on_scan()
        freed = min(self.pages, sc.nr_to_scan)
        self.pages -= freed
        if self.memory is not None:
            self.memory.used -= int(freed * PAGE * self.share)
        return ScanObjects.from_count(freed)


class FakeSource(PressureSource):
    """Says what tests have it say."""

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self._fd = -1
        self.gone: Exception | None = None
        self.opened = 0
        self.fails: OSError | None = None

    def open(self) -> None:
        if self.fails is not None:
            raise self.fails
        if self._fd < 0:
            self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self.opened += 1

    def close(self) -> None:
        descriptor, self._fd = self._fd, -1
        if descriptor >= 0:
            os.close(descriptor)

    @property
    def is_open(self) -> bool:
        return self._fd >= 0

    def fileno(self) -> int | None:
        return self._fd if self._fd >= 0 else None

    def say(self) -> None:
        os.eventfd_write(self._fd, 1)

    def vanish(self) -> None:
        self.gone = SourceGone(f"{self.name}: it was removed")
        self.say()

    def read(self) -> PressureEvent | None:
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return None
        if self.gone is not None:
            raise self.gone
        return PressureEvent(self.name, "stalled")
