"""The two trace events of a pass, and the trace that collects them.

``Domain.trace()`` collects the events of passes that run here, and
``shrinker.replay`` reads them from recordings of real kernels.  ``str(event)``
is the text that a kernel of today prints after the event's name, so that the
reader of recordings can read it back (docs/specification.md, "Trace events").
Newer kernels name the task and the memory cgroup too: an event that was read from
their text has ``pid`` and ``memcg_id``, and prints them.  Kernels up to 4.15 print
``pgs_scanned`` and ``lru_pgs`` in place of a priority.
"""

from __future__ import annotations

import dataclasses
import errno
import itertools
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Self

from shrinker._capsule import NotCopied
from shrinker._ffi import ffi, lib
from shrinker.errors import ShrinkerError
from shrinker.gfp import format_gfp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["ShrinkSlabEnd", "ShrinkSlabStart", "Trace"]


@dataclasses.dataclass(frozen=True, slots=True)
class ShrinkSlabStart:
    """``mm_shrink_slab_start``: a pass has counted and is about to scan."""

    scan_function: str
    """Name of the scan callback, or its address."""
    pointer: int
    """The shrinker, as a number that tells it from others."""
    nid: int
    """Memory node of the walk."""
    nr: int
    """Deferred objects that the pass took over, signed ("objects to shrink")."""
    gfp_mask: int
    """Allocation context (``GFP``)."""
    freeable: int
    """Objects counted, as a signed 64-bit number ("cache items")."""
    delta: int
    """Objects that the pass adds to ``nr``, 0 to 2**64 - 1."""
    total_scan: int
    """Objects that the pass wants to scan, signed."""
    priority: int
    """12 is where reclaim starts, 0 the most urgent; 0 where pages are given."""
    pid: int | None = None
    memcg_id: int | None = None
    pgs_scanned: int | None = None
    """Pages that the walk scanned, signed: only by kernels up to 4.15."""
    lru_pgs: int | None = None
    """Pages that it could have scanned, signed: likewise."""

    name = "mm_shrink_slab_start"

    def __str__(self) -> str:
        # The kernel prints delta through a signed conversion.
        delta = self.delta - (1 << 64) if self.delta >> 63 else self.delta
        pages, priority = "", f" priority {self.priority}"
        if self.pgs_scanned is not None:
            pages = f" pgs_scanned {self.pgs_scanned} lru_pgs {self.lru_pgs}"
            priority = ""
        return (
            f"{self.scan_function} {self.pointer:016x}: nid: {self.nid}{_task(self)}"
            f" objects to shrink {self.nr} gfp_flags {format_gfp(self.gfp_mask)}"
            f"{pages} cache items {self.freeable} delta {delta}"
            f" total_scan {self.total_scan}{priority}"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class ShrinkSlabEnd:
    """``mm_shrink_slab_end``: the pass is over.

    ``scan_function``, ``pointer``, ``nid`` and ``nr`` are those of the start event.
    """

    scan_function: str
    pointer: int
    nid: int
    nr: int
    """In the kernel's text "unused scan count"."""
    new_nr: int
    """The deferred counter after the pass, signed ("new scan count")."""
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


_READ_EVENTS = 1024
"""Events that are read out of the core at a time."""
_traces: weakref.WeakSet[Trace] = weakref.WeakSet()


class Trace(NotCopied):
    """The events of a domain's passes while its ``with`` block runs.

    Iterating gives all events so far, oldest first, during the block and after it,
    as often as wanted.  Events of one thread are in their order; those of several
    threads are interleaved as the core noted them.
    """

    # Invariants: while `_running`, the domain's event sink is ours, and `_owner`
    # keeps `_c_domain` valid.  `_lock` makes readers take turns.  No code but this
    # module's runs under it, except a finaliser on the same thread: hence an RLock.
    _running = False

    def __init__(
        self, owner: object, c_domain: Any, labels: Mapping[str, int], limit: int
    ) -> None:
        self._owner = owner
        self._c_domain = c_domain
        self._labels = labels
        self._limit = limit
        self._events: list[ShrinkSlabStart | ShrinkSlabEnd] = []
        self._entered_by: dict[str, object] = {}
        self._lost = 0
        self._lock = threading.RLock()
        _traces.add(self)

    def __enter__(self) -> Self:
        got: list[int] = []
        mine = object()
        try:
            # One operation of the dict: only one thread gets through.
            if self._entered_by.setdefault("entered", mine) is not mine:
                raise ShrinkerError("a trace can be entered once")  # noqa: TRY301
            start = (self._c_domain, self._limit)
            # A signal's exception may come after any call.  extend() calls the
            # function and stores its result in one go, so that it is known by then
            # whether the sink is ours.
            got.extend(itertools.starmap(lib.reclaim_trace_start, (start,)))
        except BaseException:
            if self._entered_by.get("entered") is mine:
                self._running = got == [0]
                self._stop()
                self._entered_by.clear()
            raise
        self._running = got == [0]
        if not self._running:
            self._entered_by.clear()
            if got == [-errno.EBUSY]:
                raise ShrinkerError("the domain is being traced already")
            raise MemoryError("no memory for a trace")
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            try:
                self._read()
            finally:
                self._stop()

    def __del__(self) -> None:
        self._stop()

    def __iter__(self) -> Iterator[ShrinkSlabStart | ShrinkSlabEnd]:
        with self._lock:
            self._read()
            return iter(tuple(self._events))

    def __len__(self) -> int:
        with self._lock:
            self._read()
            return len(self._events)

    @property
    def lost(self) -> int:
        """Events that were not kept because the limit was reached."""
        with self._lock:
            if not self._running:
                return self._lost

            # SAFETY: the sink is ours.
            return self._lost + int(lib.reclaim_trace_lost(self._c_domain))

    def _stop(self) -> None:
        if self._running:
            try:
                # SAFETY: the sink is ours.
                self._lost += int(lib.reclaim_trace_lost(self._c_domain))
            finally:
                # Also where a signal's exception comes out of the call above.
                self._running = False

                # SAFETY: the sink is ours until here.
                lib.reclaim_trace_stop(self._c_domain)

    def _read(self) -> None:
        if not self._running:
            return
        buffer = ffi.new("struct shrink_event[]", _READ_EVENTS)
        names: dict[int, str] = {}
        # Writers may be faster than we are: read no more than can be kept.
        for _ in range(self._limit // _READ_EVENTS + 1):
            # SAFETY: the sink is ours, and the lock is held.
            n = lib.reclaim_trace_read(self._c_domain, buffer, _READ_EVENTS)
            if n == 0:
                break
            if len(names) < len(self._labels):
                labels = list(self._labels.items())
                names = {number: name for name, number in labels}
            room = max(self._limit - len(self._events), 0)
            self._lost += max(n - room, 0)
            self._events += [_event(buffer[i], names) for i in range(min(n, room))]


def _after_fork() -> None:
    for trace in list(_traces):
        # A thread that does not exist in the child may have held it.
        trace._lock = threading.RLock()
        # The core has ended the trace in the child.
        trace._running = False


os.register_at_fork(after_in_child=_after_fork)


def _event(c: Any, names: dict[int, str]) -> ShrinkSlabStart | ShrinkSlabEnd:
    scan_function = names.get(c.label) or f"{c.scan_objects:#x}"
    if c.type == lib.SHRINK_EVENT_START:
        return ShrinkSlabStart(
            scan_function=scan_function,
            pointer=c.shrinker,
            nid=c.nid,
            nr=c.nr,
            gfp_mask=c.gfp_mask,
            freeable=c.freeable,
            delta=c.delta,
            total_scan=c.total_scan,
            priority=c.priority,
        )
    return ShrinkSlabEnd(
        scan_function=scan_function,
        pointer=c.shrinker,
        nid=c.nid,
        nr=c.nr,
        new_nr=c.new_nr,
        total_scan=c.total_scan,
        retval=c.retval,
    )
