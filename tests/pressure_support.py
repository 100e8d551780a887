"""A memory and a pressure source that do what tests say, and caches that weigh."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shrinker import CountObjects, ScanObjects, ShrinkControl, ShrinkerError
from shrinker.pressure import (
    Memory,
    MemoryLevel,
    PressureEvent,
    PressureSource,
    Reclaimer,
    SourceGone,
    Watermarks,
)
from shrinker.pressure.journal import Journal
from shrinker.pressure.limits.cgroups import Cgroups
from shrinker.pressure.policy import Policy
from shrinker.pressure.trim import Trimmer
from shrinker.pressure.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import Domain
    from shrinker.growth import Growth

MIB = 1 << 20
PAGE = 4096
LIMIT = 1000 * MIB
MARKS = Watermarks(40 * MIB, 100 * MIB, 150 * MIB)
SOON = 120.0
"""Seconds after which a test gives up waiting for what comes at once."""


def make(domain: Domain, memory: Memory | None = None, **options: Any) -> Reclaimer:
    """A reclaimer that knows neither this machine nor malloc_trim."""
    memory = FakeMemory(500) if memory is None else memory
    settings = {"source": None, "trim": False, "watermarks": MARKS, **options}
    return Reclaimer(domain, memory=memory, **settings)


def make_worker(domain: Domain, memory: Memory, **policy: float) -> Worker:
    """A worker without a reclaimer around it, that watches the domain."""
    rules = Policy(lambda _limit: MARKS, **policy)
    worker = Worker(domain, memory, rules, Trimmer(wanted=False), Journal(100))
    worker.watch(lambda: None)
    return worker


def worker_of(reclaimer: Reclaimer) -> Worker:
    """What looks and acts for a reclaimer."""
    return reclaimer._worker


def planned(reclaimer: Reclaimer) -> int:
    """The allowance before it is divided by what caches do not report."""
    return worker_of(reclaimer).next_look.allowance


def thread_of(reclaimer: Reclaimer) -> threading.Thread:
    """The thread that was started last."""
    thread = reclaimer._thread
    assert thread is not None
    return thread


def growth_of(domain: Domain) -> Growth:
    """What caches and the reclaimer of a domain tell each other."""
    return domain._growth


def grow(domain: Domain, size: int = 1000) -> None:
    """Do what a cache does that grows."""
    growth = growth_of(domain)
    growth.grown += size
    if growth.grown > growth.allowance:
        growth.exceeded()


def use_up(domain: Domain) -> None:
    """Grow by more than is allowed."""
    growth_of(domain).allowance = 0
    grow(domain)


def is_watched(domain: Domain) -> bool:
    """Whether a reclaimer watches the domain, so that no other can start."""
    growth = growth_of(domain)
    try:
        growth.watch(lambda: None)
    except ShrinkerError:
        return True
    growth.unwatch()
    return False


def descriptors() -> int:
    """How many this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


class Log(logging.Handler):
    """Keeps what is logged, can be waited for, and does ``on_line`` for each line."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.records: list[logging.LogRecord] = []
        self.on_line: Callable[[], object] = lambda: None
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self.records.append(record)
            self.lines.append(record.getMessage())
            self._changed.notify_all()
        self.on_line()

    def wait_for(self, text: str, times: int = 1) -> str:
        """Wait for a line with ``text`` in it, and return that."""

        def found() -> list[str]:
            return [line for line in self.lines if text in line]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= times, SOON), (
                text,
                self.lines,
            )
            return found()[-1]

    def count(self, text: str, level: int = 0) -> int:
        return sum(
            text in record.getMessage() and record.levelno >= level
            for record in self.records
        )


def level(free: int, *, limit: int = LIMIT, where: str = "test") -> MemoryLevel:
    """A level with ``free`` MiB free."""
    used = limit - free * MIB
    return MemoryLevel(where, limit, used, used)


class FakeMemory(Memory):
    """Has one level, of which ``used`` is settable; ``on_read`` is called each time."""

    def __init__(self, free: int, limit: int = LIMIT) -> None:
        super().__init__()
        self.limit = limit
        self.used = limit - free * MIB
        self.own = 64 * MIB
        """The process's own part; what caches here free falls from both."""
        self.more: tuple[MemoryLevel, ...] = ()
        self.reads = 0
        self.on_read: Callable[[], None] = lambda: None

    @property
    def cgroups(self) -> Cgroups:
        """None: nothing of this machine is opened."""
        return Cgroups()

    def refresh(self) -> None:
        pass

    def levels(self) -> tuple[MemoryLevel, ...]:
        self.reads += 1
        self.on_read()
        own = MemoryLevel("test", self.limit, self.used, self.used)
        return (own, *self.more)

    def resident(self) -> int:
        return self.own

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
            self.memory.own -= int(freed * PAGE * self.share)
        return ScanObjects.from_count(freed)


class FakeSource(PressureSource):
    """Has the events that tests give it."""

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
