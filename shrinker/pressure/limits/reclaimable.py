"""``reclaimable_bytes``: how much of a group's memory the kernel can take back.

File cache and slab are charged to a group, but go before anything hurts.  They are
counted as the kernel counts ``MemAvailable`` for the machine: of each at least half, or
the watermark *low* of the machine, is taken to stay.  A group has no such watermark, so
the share of its limit that our own *min* has by default stands for it.  A machine keeps
less (1 % of 256 MiB).  But what a group keeps is its own program's text and libraries,
and a service that reads those from the disk again and again has stopped working long
before it is killed.

- ``file`` of ``memory.stat`` has tmpfs and shared memory in it, which only swap could
  take.  So the two lists of file pages are added up.
- Pages that are dirty or being written cannot go yet.
- Pages on the inactive list can all go.  Only the active ones may have to stay.  In a
  group that is kept below its limit these never age: all of them look used for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shrinker.pressure.limits.kernel_file import KernelFile

__all__ = ["reclaimable_bytes"]

KEPT_SHARE_OF_LIMIT = 25
"""One part in so many of a limit stays as file cache, and as much as slab."""
MAX_KEPT_BYTES = 512 << 20
"""More does not stay, however large the limit is."""

_FILE_COUNTERS = {
    # What version 1 calls by the plain names leaves out the groups below.
    1: (
        b"total_active_file ",
        b"total_inactive_file ",
        b"total_dirty ",
        b"total_writeback ",
    ),
    2: (
        b"active_file ",
        b"inactive_file ",
        b"file_dirty ",
        b"file_writeback ",
        b"slab_reclaimable ",  # Version 1 does not tell it.
    ),
}


def reclaimable_bytes(stat: KernelFile, version: int, limit: int) -> int:
    """Return how many bytes could go, by a group's ``memory.stat``.

    A missing counter is 0.  Raises ``OSError``, and ``ValueError`` for garbage.
    """
    counters = [count or 0 for count in stat.counters(*_FILE_COUNTERS[version])]
    active, inactive, dirty, writeback, *slabs = counters
    low = min(limit // KEPT_SHARE_OF_LIMIT, MAX_KEPT_BYTES)
    file = max(0, active + inactive - dirty - writeback)
    slab = sum(slabs)
    return file - min(active, file // 2, low) + slab - min(slab // 2, low)
