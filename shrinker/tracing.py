"""Recording of a domain's trace events."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Self

from shrinker._ffi import ffi, lib
from shrinker.errors import ShrinkerError
from shrinker.events import ShrinkSlabEnd, ShrinkSlabStart

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Trace"]

_AT_ONCE = 1024


class Trace:
    """The events of a domain's passes while its ``with`` block runs.

    Iterating gives all events recorded so far, oldest first, during the block
    and after it, as often as wanted.  Events of one thread are in their order;
    those of several threads are interleaved as they were recorded.
    """

    # Invariant: while `_recording`, the domain's sink is ours and `_c_domain`
    # is held; only this object reads from it.
    def __init__(self, c_domain: Any, limit: int, labels: dict[str, int]) -> None:
        self._c_domain = c_domain
        self._limit = limit
        self._labels = labels
        self._events: list[ShrinkSlabStart | ShrinkSlabEnd] = []
        self._recording = False
        self._used = False
        self._lost = 0

    def __enter__(self) -> Self:
        if self._used:
            raise ShrinkerError("a trace can be entered once")
        status = lib.reclaim_trace_start(self._c_domain, self._limit)
        if status == -errno.EBUSY:
            raise ShrinkerError("the domain is being traced already")
        if status:
            raise MemoryError("no memory for a trace")
        self._used = self._recording = True
        return self

    def __exit__(self, *_: object) -> None:
        self._read()
        self._recording = False

        # SAFETY: the sink is ours until here.
        self._lost += lib.reclaim_trace_lost(self._c_domain)
        lib.reclaim_trace_stop(self._c_domain)

    def __iter__(self) -> Iterator[ShrinkSlabStart | ShrinkSlabEnd]:
        self._read()
        return iter(self._events)

    def __len__(self) -> int:
        self._read()
        return len(self._events)

    @property
    def lost(self) -> int:
        """Events that were not kept because the limit was reached."""
        if self._recording:
            return self._lost + int(lib.reclaim_trace_lost(self._c_domain))
        return self._lost

    def _read(self) -> None:
        if not self._recording:
            return
        names = {number: name for name, number in self._labels.items()}
        buffer = ffi.new("struct shrink_event[]", _AT_ONCE)

        # SAFETY: as the invariant says.
        while n := lib.reclaim_trace_read(self._c_domain, buffer, _AT_ONCE):
            room = max(self._limit - len(self._events), 0)
            self._lost += max(n - room, 0)
            self._events += [_event(buffer[i], names) for i in range(min(n, room))]


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
