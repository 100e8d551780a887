"""How much memory this process itself has."""

from __future__ import annotations

import contextlib
import functools
import os
from typing import NamedTuple

from shrinker.pressure.limits.kernel_file import KernelFile

__all__ = ["ProcessBytes", "process_bytes", "resident_bytes"]

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ProcessBytes(NamedTuple):
    """Bytes of the process; zeros where they cannot be read."""

    address_space: int
    """What RLIMIT_AS limits."""
    resident: int
    """RSS."""
    data: int
    """What RLIMIT_DATA limits, and the stack (at most a few MiB)."""


def process_bytes() -> ProcessBytes:
    """Return how large the process is."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = [int(field) for field in _own_statm(os.getpid()).read().split()]
        return ProcessBytes(*(pages[at] * _PAGE_BYTES for at in (0, 1, 5)))
    return ProcessBytes(0, 0, 0)


def resident_bytes() -> int:
    """Return the RSS of the process; 0 where it cannot be read."""
    return process_bytes().resident


@functools.lru_cache(maxsize=1)
def _own_statm(_pid: int) -> KernelFile:
    """Open the file, anew in a child: an inherited one would show the parent's RSS."""
    return KernelFile("/proc/self/statm")
