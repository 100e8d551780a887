"""Recording of a domain's trace events."""

from __future__ import annotations

import errno
import itertools
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Self

from shrinker._ffi import ffi, lib
from shrinker._memory import NotCopied
from shrinker.errors import ShrinkerError
from shrinker.events import ShrinkSlabEnd, ShrinkSlabStart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shrinker.domain import Domain

__all__ = ["Trace"]

_AT_ONCE = 1024
_traces: weakref.WeakSet[Trace] = weakref.WeakSet()


class Trace(NotCopied):
    """The events of a domain's passes while its ``with`` block runs.

    Iterating gives all events recorded so far, oldest first, during the block
    and after it, as often as wanted.  Events of one thread are in their order;
    those of several threads are interleaved as they were recorded.
    """

    # Invariant: while `_recording`, the domain's sink is ours; `_domain` keeps its
    # pointer valid.  `_lock` makes readers take turns and is
    # held while nothing but this module runs; a finaliser may come in on its own
    # thread, hence an RLock.
    _recording = False

    def __init__(self, domain: Domain, limit: int) -> None:
        self._domain = domain
        self._limit = limit
        self._events: list[ShrinkSlabStart | ShrinkSlabEnd] = []
        self._used = False
        self._lost = 0
        self._lock = threading.RLock()
        _traces.add(self)

    def __enter__(self) -> Self:
        # A row without calls: one thread gets through.
        if self._used:
            raise ShrinkerError("a trace can be entered once")
        self._used = True
        got: list[int] = []
        try:
            start = (self._domain._c, self._limit)
            # Written in one go: a signal's exception may come behind each call, and
            # it must be known by then whether the sink is ours.
            got.extend(itertools.starmap(lib.reclaim_trace_start, (start,)))
        except BaseException:
            self._recording = got == [0]
            self._stop()
            self._used = False
            raise
        self._recording = got == [0]
        if not self._recording:
            self._used = False
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
            if not self._recording:
                return self._lost

            # SAFETY: the sink is ours.
            return self._lost + int(lib.reclaim_trace_lost(self._domain._c))

    def _stop(self) -> None:
        if self._recording:
            try:
                # SAFETY: the sink is ours.
                self._lost += int(lib.reclaim_trace_lost(self._domain._c))
            finally:
                # Also where a signal's exception comes; in a row up to the end.
                self._recording = False

                # SAFETY: the sink is ours until here.
                lib.reclaim_trace_stop(self._domain._c)

    def _read(self) -> None:
        if not self._recording:
            return
        buffer = ffi.new("struct shrink_event[]", _AT_ONCE)
        names: dict[int, str] = {}
        # Writers may be faster than we are: no more than could be kept.
        for _ in range(self._limit // _AT_ONCE + 1):
            # SAFETY: the sink is ours, and the lock is held.
            n = lib.reclaim_trace_read(self._domain._c, buffer, _AT_ONCE)
            if n == 0:
                break
            if len(names) < len(self._domain._labels):
                labels = list(self._domain._labels.items())
                names = {number: name for name, number in labels}
            room = max(self._limit - len(self._events), 0)
            self._lost += max(n - room, 0)
            self._events += [_event(buffer[i], names) for i in range(min(n, room))]


def _after_fork() -> None:
    for trace in list(_traces):
        # A thread that the child does not have may have held it.
        trace._lock = threading.RLock()
        # The core has ended the trace in the child.
        trace._recording = False


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
