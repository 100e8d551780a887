"""Giving freed memory back to the system, and what came of it.

What a cache frees goes to the allocator.  glibc returns the top of its heap by itself,
and what lies between entries in use only when ``malloc_trim`` asks, page by page.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from typing import TYPE_CHECKING

from shrinker.pressure.kernel_file import KernelFile

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Trimmer", "resident"]

logger = logging.getLogger("shrinker.pressure")

WORTH = 4 << 20
"""Bytes that must have been freed for a trim: it locks and walks the whole heap."""
EVERY = 1.0
"""Seconds between two trims."""
URGENT = 0.05
"""Seconds between two trims where next to nothing is free."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Return the RSS of the process in bytes; 0 where it cannot be read."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(_own_statm(os.getpid()).read().split()[1]) * _PAGE
    return 0


@functools.lru_cache(maxsize=1)
def _own_statm(_pid: int) -> KernelFile:
    """Open the file, anew in a child: it would go on reading its parent's."""
    return KernelFile("/proc/self/statm")


class Trimmer:
    """Calls ``malloc_trim`` when that is worth it.

    ``wanted`` False is a trimmer that never does.
    """

    def __init__(self, *, wanted: bool = True) -> None:
        self._wanted = wanted
        self._trim: Callable[[int], int] | None = None
        self._looked_up = not wanted
        self._owed = 0
        self._next = 0.0

    def freed(self, size: int) -> None:
        """Take note that caches have freed so many bytes."""
        self._owed += size

    def owe(self) -> None:
        """Let a trim be worth it: more was freed than was told."""
        self._owed = max(self._owed, WORTH)

    def due(self) -> float | None:
        """Return the time from which a trim is worth it; None: it is not."""
        return self._next if self._wanted and self._owed >= WORTH else None

    def trim(self, now: float, *, urgent: bool = False) -> bool:
        """Give back what can be, if it is worth it; return whether it was tried.

        Threads that allocate wait for it, so it is left to the background, unless
        ``urgent``: what one thread's arena keeps, another thread's cannot use.
        """
        due = self.due()
        if due is None or now < (due - EVERY + URGENT if urgent else due):
            return False
        self._owed = 0
        self._next = now + EVERY
        trim = self._find()
        if trim is None:
            return False
        trim(0)
        return True

    def _find(self) -> Callable[[int], int] | None:
        if not self._looked_up:
            self._looked_up = True
            try:
                import ctypes  # noqa: PLC0415 - only for those who reclaim

                function = ctypes.CDLL(None).malloc_trim
                function.argtypes = [ctypes.c_size_t]
                function.restype = ctypes.c_int
                self._trim = function
            except (ImportError, OSError, AttributeError):
                self._wanted = False
                logger.info("no malloc_trim here: freed memory is not given back early")
        return self._trim
