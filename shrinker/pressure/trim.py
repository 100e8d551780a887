"""Giving freed memory back to the system.

What a cache frees goes to the allocator, which keeps pages for later:

- glibc returns the top of its heap by itself, but pages between entries in use only
  when ``malloc_trim`` asks;
- jemalloc returns pages seconds later, and only while its functions are called;
  ``mallctl`` purges all arenas at once;
- mimalloc does so too; ``mi_collect`` returns what the calling thread and threads that
  have ended left.

Each that the process has is asked.  A preloaded one takes glibc's place, but glibc's
function is still there; it finds nothing then, at little cost.
"""

from __future__ import annotations

import functools
import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Trimmer"]

logger = logging.getLogger("shrinker.pressure")

MIN_FREED_BYTES = 4 << 20
"""So much must have been freed for a trim, which locks and walks the whole heap."""
_PURGE_ALL_ARENAS = b"arena.4096.purge"
"""jemalloc's name for it: 4096 is MALLCTL_ARENAS_ALL.  It is refused before 5.0."""
PERIOD_SECONDS = 1.0
"""Time between two trims."""
MAX_SECONDS_WITH_GIL = 0.02
"""After a trim that took longer, the next one gives the GIL up."""
URGENT_PERIOD_SECONDS = 0.05
"""Time between two trims where almost nothing is free."""


class Trimmer:
    """Has allocators give back when enough was freed; ``wanted`` False never does."""

    def __init__(self, *, wanted: bool = True) -> None:
        self._wanted = wanted
        self._trims: list[Callable[[], object]] = []
        self._trims_with_gil: list[Callable[[], object]] = []
        self._seconds = 0.0
        self._looked_up = not wanted
        self._freed = 0
        self._next = 0.0

    def prepare(self) -> None:
        """Find the functions that are called at a trim."""
        self._find()

    def freed(self, size: int) -> None:
        """Add the bytes that caches have freed."""
        self._freed += size

    def freed_enough(self) -> None:
        """Make the next trim due: more was freed than was reported."""
        self._freed = max(self._freed, MIN_FREED_BYTES)

    def due(self) -> float | None:
        """Return the time of the next trim; None where too little was freed."""
        return self._next if self._wanted and self._freed >= MIN_FREED_BYTES else None

    def trim(self, now: float, *, urgent: bool = False) -> bool:
        """Trim if it is due; return whether that was tried.

        Threads that allocate wait meanwhile, so it is left to the background, unless
        ``urgent``: what one thread's arena keeps, other threads cannot use.
        """
        due = self.due()
        if due is None:
            return False
        if now < (due - PERIOD_SECONDS + URGENT_PERIOD_SECONDS if urgent else due):
            return False
        self._freed = 0
        self._next = now + PERIOD_SECONDS
        return self.trim_now()

    def trim_now(self, *, keep_gil: bool = False) -> bool:
        """Trim, due or not; return whether that was tried.

        ``keep_gil`` lets no Python thread allocate meanwhile, unless the last trim took
        too long for that.
        """
        began = time.monotonic()
        trims = self._find()
        if keep_gil and self._seconds <= MAX_SECONDS_WITH_GIL:
            trims = self._trims_with_gil
        for trim in trims:
            trim()
        self._seconds = time.monotonic() - began
        return bool(trims)

    def _find(self) -> list[Callable[[], object]]:
        if not self._looked_up:
            self._looked_up = True
            self._trims = list(_allocators("CDLL"))
            self._trims_with_gil = list(_allocators("PyDLL"))
            if not self._trims:
                self._wanted = False
                logger.info(
                    "no malloc_trim, mallctl or mi_collect in this process:"
                    " RSS may stay high after reclaims"
                )
        return self._trims


def _allocators(kind: str) -> Iterator[Callable[[], object]]:
    """Find, by their symbols, the functions that have allocators give back.

    ``kind`` is the class of ctypes that calls them: ``PyDLL`` keeps the GIL.
    """
    try:
        import ctypes  # noqa: PLC0415 - only for those who reclaim

        process = getattr(ctypes, kind)(None)
    except (ImportError, OSError):
        return
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    for name, types, arguments in (
        (
            "mallctl",
            (ctypes.c_char_p, pointer, pointer, pointer, size),
            (_PURGE_ALL_ARENAS, None, None, None, 0),
        ),
        ("mi_collect", (ctypes.c_bool,), (True,)),
        ("malloc_trim", (size,), (0,)),
    ):
        function = getattr(process, name, None)
        if function is not None:
            function.argtypes = types
            function.restype = None if name == "mi_collect" else ctypes.c_int
            yield functools.partial(function, *arguments)
