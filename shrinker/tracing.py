"""Recording of a domain's trace events."""

from __future__ import annotations

import errno
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

    # Invariant: while `_recording`, the domain's sink is ours, in this process;
    # `_domain` keeps its pointer valid.  `_lock` makes readers take turns and is
    # held while nothing but this module runs; a finaliser may come in on its own
    # thread, hence an RLock.
    _recording = False

    def __init__(self, domain: Domain, limit: int) -> None:
        self._domain = domain
        self._limit = limit
        self._events: list[ShrinkSlabStart | ShrinkSlabEnd] = []
        self._used = False
        self._lost = 0
        self._process = 0
        self._lock = threading.RLock()
        _traces.add(self)

    def __enter__(self) -> Self:
        with self._lock:
            if self._used:
                raise ShrinkerError("a trace can be entered once")
            status = lib.reclaim_trace_start(self._domain._c, self._limit)
            if status == -errno.EBUSY:
                raise ShrinkerError("the domain is being traced already")
            if status:
                raise MemoryError("no memory for a trace")
            self._used = self._recording = True
            self._process = os.getpid()
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
            if not self._is_ours():
                return self._lost

            # SAFETY: the sink is ours.
            return self._lost + int(lib.reclaim_trace_lost(self._domain._c))

    def _is_ours(self) -> bool:
        # The core ends a trace in the child of a fork.
        return self._recording and os.getpid() == self._process

    def _stop(self) -> None:
        if self._is_ours():
            self._recording = False

            # SAFETY: the sink is ours until here.
            self._lost += lib.reclaim_trace_lost(self._domain._c)
            lib.reclaim_trace_stop(self._domain._c)

    def _read(self) -> None:
        if not self._is_ours():
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
    # A thread that the child does not have may have held them.
    for trace in list(_traces):
        trace._lock = threading.RLock()


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
