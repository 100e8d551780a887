"""Limits of this process alone: RLIMIT_AS, RLIMIT_DATA, and a budget of its own.

At a limit of ``setrlimit`` no process is killed, but allocations fail.  They limit
address space, touched or not.  What the allocator keeps for later allocations takes no
more of it, so it counts as free: glibc tells how much that is.  What Python's own
allocator keeps in arenas that are partly in use is not known, and counts as used.
"""

from __future__ import annotations

import functools
import resource
from typing import TYPE_CHECKING, Final

from shrinker.errors import check_int
from shrinker.growth import PAGE_SIZE
from shrinker.pressure.limits.level import MemoryLevel
from shrinker.pressure.limits.resident import process_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["budget_level", "check_budget", "rlimit_levels"]

_MAX_BYTES: Final = (1 << 63) - 1


def rlimit_levels() -> list[MemoryLevel]:
    """Return a level for each limit of ``setrlimit`` that the process has."""
    found = []
    for name in ("RLIMIT_AS", "RLIMIT_DATA"):
        limit = resource.getrlimit(getattr(resource, name))[0]
        if limit == resource.RLIM_INFINITY or limit > _MAX_BYTES:
            continue
        size = process_bytes()
        charged = size.address_space if name == "RLIMIT_AS" else size.data
        used = max(0, charged - _kept_by_allocator()())
        where = f"process ({name})"
        found.append(MemoryLevel(where, limit, used, charged, own=True))
    return found


def check_budget(limit: float) -> None:
    """Raise ``TypeError`` or ``ValueError`` unless it is bytes or a share."""
    if isinstance(limit, float):
        if not 0 < limit < 1:
            raise ValueError(
                "limit must be an int of bytes, or a share between 0 and 1 of the"
                f" container, not {limit}"
            )
    elif isinstance(limit, int) and not isinstance(limit, bool):
        check_int("limit", limit, 1, _MAX_BYTES)
        if limit < PAGE_SIZE:
            raise ValueError(
                f"limit must be bytes, a page ({PAGE_SIZE}) or more, or a float below 1"
                f" for a share of the container, not {limit}"
            )
    else:
        raise TypeError(
            "limit must be an int of bytes, or a float between 0 and 1,"
            f" not {type(limit).__name__}"
        )


def budget_level(
    limit: float, resident: int, levels: Sequence[MemoryLevel]
) -> MemoryLevel:
    """Return the level of a budget: bytes, or a share of the lowest of ``levels``."""
    if isinstance(limit, float):
        limit = max(1, int(min(level.limit for level in levels) * limit))
    return MemoryLevel("process (limit=)", limit, resident, resident, own=True)


@functools.cache
def _kept_by_allocator() -> Callable[[], int]:
    """Return a function that tells how many bytes glibc's heaps have free."""
    try:
        import ctypes  # noqa: PLC0415 - only for those who have such a limit

        class Mallinfo2(ctypes.Structure):
            """What ``mallinfo2`` returns; ``fordblks`` are the free bytes."""

            _fields_ = (
                ("before", ctypes.c_size_t * 8),
                ("fordblks", ctypes.c_size_t),
                ("keepcost", ctypes.c_size_t),
            )

        # Keeps the GIL, see `kernel_file`.
        mallinfo2 = ctypes.PyDLL(None).mallinfo2
        mallinfo2.restype, mallinfo2.argtypes = Mallinfo2, ()
    except (ImportError, OSError, AttributeError):
        return lambda: 0
    return lambda: int(mallinfo2().fordblks)
