"""``seeks`` of a cache, from the time that it takes to rebuild an entry.

The kernel's ``seeks`` is a cost in disk seeks: a pass asks for 4 / ``seeks`` of the
part of a cache that its priority gives.  The default of 2 is for objects that are read
back from disk in a seek or two, about 10 ms on a spinning disk.
"""

from __future__ import annotations

from shrinker.cache.checks import check_seconds
from shrinker.errors import check_int
from shrinker.values import DEFAULT_SEEKS

__all__ = ["MAX_SEEKS", "SECONDS_PER_SEEK", "choose_seeks", "seeks_from_seconds"]

SECONDS_PER_SEEK = 0.005
"""Rebuild time that counts as one of the kernel's seeks."""
MAX_SEEKS = 128
"""Reached at 0.64 s.  A pass at priority 0 then still asks for 1/32 of the cache."""


def choose_seeks(seeks: int | None, rebuild_seconds: float | None) -> int:
    """Return the ``seeks`` of a cache from the one argument that was given.

    ``rebuild_seconds`` is the time to make one entry anew.  It is rounded to seeks of
    5 ms, at least 1 and at most 128; where pages are counted, ``PassSettings`` divides
    it by the pages of an entry.  ``seeks`` is taken as it is, 0 to 2**31 - 1; 0 means
    cheap to rebuild, and every pass asks for half of the cache.  With neither, it is
    the kernel's default of 2.
    """
    if rebuild_seconds is None:
        if seeks is None:
            return DEFAULT_SEEKS
        return check_int("seeks", seeks, 0, 2**31 - 1)
    if seeks is not None:
        raise TypeError("seeks and rebuild_seconds say the same: give one of them")
    return seeks_from_seconds(check_seconds("rebuild_seconds", rebuild_seconds))


def seeks_from_seconds(seconds: float) -> int:
    """Return the seeks of an object that takes so long to rebuild, 0 s or more."""
    return round(min(max(seconds / SECONDS_PER_SEEK, 1), MAX_SEEKS))
