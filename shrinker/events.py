"""The two trace events of a pass, as values.

``Domain.trace()`` yields them for passes that run here, and
``shrinker.trace`` reads them from recordings of real kernels.  ``str(event)``
is the text that a kernel of today prints after the event's name, so that
everything written here can be read back (docs/specification.md, "Trace
events").  Newer kernels name the task and the memory cgroup too: an event that
was read from one of them has ``pid`` and ``memcg_id``, and prints them.
"""

from __future__ import annotations

import dataclasses

from shrinker.gfp import format_gfp

__all__ = ["ShrinkSlabEnd", "ShrinkSlabStart"]


@dataclasses.dataclass(frozen=True, slots=True)
class ShrinkSlabStart:
    """``mm_shrink_slab_start``: a pass has counted and is about to scan."""

    scan_function: str
    """Name of the scan callback, or its address."""
    pointer: int
    """The shrinker, as a number that tells it from others."""
    nid: int
    nr: int
    """Deferred objects that the pass has taken over ("objects to shrink")."""
    gfp_mask: int
    freeable: int
    """Objects counted, as a signed 64-bit number ("cache items")."""
    delta: int
    """Objects that the pass adds to ``nr``, modulo 2**64, 0 or more."""
    total_scan: int
    """Objects that the pass wants to scan, signed."""
    priority: int
    pid: int | None = None
    memcg_id: int | None = None

    name = "mm_shrink_slab_start"

    def __str__(self) -> str:
        # The kernel prints delta through a signed conversion.
        delta = self.delta - (1 << 64) if self.delta >> 63 else self.delta
        return (
            f"{self.scan_function} {self.pointer:016x}: nid: {self.nid}{_task(self)}"
            f" objects to shrink {self.nr} gfp_flags {format_gfp(self.gfp_mask)}"
            f" cache items {self.freeable} delta {delta}"
            f" total_scan {self.total_scan} priority {self.priority}"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class ShrinkSlabEnd:
    """``mm_shrink_slab_end``: the pass is over."""

    scan_function: str
    pointer: int
    nid: int
    nr: int
    """As in the start event ("unused scan count")."""
    new_nr: int
    """The deferred counter after the pass ("new scan count")."""
    total_scan: int
    """Objects that were left to scan, signed."""
    retval: int
    """Objects freed, cut to a signed 32-bit number."""
    pid: int | None = None
    memcg_id: int | None = None

    name = "mm_shrink_slab_end"

    def __str__(self) -> str:
        return (
            f"{self.scan_function} {self.pointer:016x}: nid: {self.nid}{_task(self)}"
            f" unused scan count {self.nr} new scan count {self.new_nr}"
            f" total_scan {self.total_scan} last shrinker return val {self.retval}"
        )


def _task(event: ShrinkSlabStart | ShrinkSlabEnd) -> str:
    if event.memcg_id is None:
        return ""
    return f" pid: {event.pid} memcg_id: {event.memcg_id}"
