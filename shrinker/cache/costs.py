"""From what it costs to rebuild an entry to ``seeks``.

The kernel's ``seeks`` is a cost in disk seeks: a pass asks for 4 / ``seeks`` of what
its priority says.  The default of 2 stands for objects that are read back from disk
in a seek or two, some 10 ms of a disk that turns.
"""

from __future__ import annotations

import math

from shrinker.errors import check_int
from shrinker.values import DEFAULT_SEEKS

__all__ = ["MAX_SEEKS", "SECONDS_PER_SEEK", "check_seconds", "seeks_for", "seeks_of"]

SECONDS_PER_SEEK = 0.005
"""What one of the kernel's seeks is taken to cost."""
MAX_SEEKS = 128
"""From 0.64 s on nothing gets dearer: the most urgent pass still asks for 1/32."""


def seeks_of(seeks: int | None, rebuild_seconds: float | None) -> int:
    """Return the ``seeks`` of a cache of which one of the two may be known.

    ``rebuild_seconds`` is what it takes to make one entry anew.  It is rounded to
    seeks of 5 ms, at least 1 and at most 128; ``Terms`` divides it by the pages of
    an entry where pages are counted.  ``seeks`` is taken as it is, 0 to
    2**31 - 1, where 0 means cheap to rebuild: half of the cache is asked for in
    every pass.  With neither it is the kernel's default, 2.
    """
    if rebuild_seconds is None:
        if seeks is None:
            return DEFAULT_SEEKS
        return check_int("seeks", seeks, 0, 2**31 - 1)
    if seeks is not None:
        raise TypeError("seeks and rebuild_seconds are the same thing: give one")
    return seeks_for(check_seconds("rebuild_seconds", rebuild_seconds))


def seeks_for(seconds: float) -> int:
    """Return the seeks of what takes so many seconds, 0 or more, to rebuild."""
    return round(min(max(seconds / SECONDS_PER_SEEK, 1), MAX_SEEKS))


def check_seconds(name: str, value: object) -> float:
    """Return a number of seconds, 0 or more; infinity is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    # Not `value < 0`, which is false of NaN.
    if not value >= 0:
        raise ValueError(f"{name} must be 0 or more seconds, not {value}")
    try:
        return float(value)
    except OverflowError:  # An integer beyond all floats.
        return math.inf
