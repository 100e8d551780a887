"""A model of a service: units of work that look values up in a cache without a limit.

A unit looks 16 keys up.  A missing value takes 2 ms to make, and has 2 to 128 KiB, most
of them little.  Keys follow Zipf's law: all values together have six times the limit of
the group.

The reclaimer starts when this module is imported, which in a server that loads the
program before it forks is in the parent.  With ``PROTECT=0`` there is none.

Each process counts its work in a file of its own in ``counts/`` of the directory
``FOLDER``, which outlives it.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import random
import struct
import threading
import time
from pathlib import Path

import shrinker
from shrinker.cache import Cache

LOOKUPS = 16
"""Of a unit of work."""
KEYS = 50_000
SMALLEST_BYTES, LARGEST_BYTES = 2 << 10, 128 << 10
REBUILD_SECONDS = 0.002
ENTRY_BYTES = 300
"""Of an entry, beside its value."""

COUNTS = struct.Struct("QQQ")
"""Units, lookups and hits of a process."""

values: Cache[int, bytes] = Cache(
    name="values",
    weigher=lambda _, value: ENTRY_BYTES + len(value),
    rebuild_seconds=REBUILD_SECONDS,
)
reclaimer = None if os.environ.get("PROTECT") == "0" else shrinker.protect().start()


class Counter:
    """Counts the work of this process, also after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = 0
        self._counts = [0, 0, 0]

    def add(self, lookups: int, hits: int) -> None:
        """Count a unit of work."""
        with self._lock:
            if self._process != os.getpid():
                self._begin()
            for i, n in enumerate((1, lookups, hits)):
                self._counts[i] += n
            COUNTS.pack_into(self._file, 0, *self._counts)

    def _begin(self) -> None:
        self._process = os.getpid()
        self._counts = [0, 0, 0]
        path = Path(os.environ["FOLDER"], "counts", str(self._process))
        path.write_bytes(bytes(COUNTS.size))
        with path.open("r+b") as file:
            self._file = mmap.mmap(file.fileno(), COUNTS.size)


counter = Counter()


def keys_of(seed: int) -> list[int]:
    """Return the keys of a unit: the n-th most popular in proportion to about 1/n."""
    dice = random.Random(seed)  # noqa: S311 - the same in each run
    return [int(KEYS ** dice.random()) for _ in range(LOOKUPS)]


def make(key: int) -> bytes:
    """Make a value, whose size depends on the key."""
    share = random.Random(key).random()  # noqa: S311 - the same in each process
    return b"x" * int(SMALLEST_BYTES * (LARGEST_BYTES / SMALLEST_BYTES) ** share)


def work(seed: int) -> int:
    """Do a unit of work in a thread; return how many values were there."""
    hits = 0
    for key in keys_of(seed):
        if values.get(key) is None:
            time.sleep(REBUILD_SECONDS)
            values[key] = make(key)
        else:
            hits += 1
    counter.add(LOOKUPS, hits)
    return hits


async def work_on_loop(seed: int) -> int:
    """Do a unit of work on an event loop."""
    hits = 0
    for key in keys_of(seed):
        if values.get(key) is None:
            await asyncio.sleep(REBUILD_SECONDS)
            values[key] = make(key)
        else:
            hits += 1
    counter.add(LOOKUPS, hits)
    return hits
