"""The same algorithm in pure Python: the peer that ratios refer to.

Registry, walk and pass, with the 64-bit arithmetic of docs/specification.md,
"One pass", exact on every input; a test holds it against the C core.  Written
as one would write it for use: slots, locals, numbers wrapped only where they
left their range.  It leaves out what the core does besides (trace events,
statistics, the stall guard, exceptions of callbacks, registration beside
running walks), so the ratios err on the peer's side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Control", "PureRegistry", "PureShrinker", "shrink_one"]

SHRINK_STOP = 2**64 - 1
SHRINK_EMPTY = 2**64 - 2
SHRINK_BATCH = 128
GFP_KERNEL = 0xCC0
_ULONG_MAX = 2**64 - 1
_LONG_MAX = 2**63 - 1
_LONG_MIN = -(2**63)


class Control:
    """What a walk tells a callback, and is told by it."""

    __slots__ = ("gfp_mask", "nid", "nr_scanned", "nr_to_scan")

    def __init__(self, gfp_mask: int, nid: int) -> None:
        self.gfp_mask = gfp_mask
        self.nid = nid
        self.nr_to_scan = 0
        self.nr_scanned = 0


class PureShrinker:
    """A registered cache, its settings, and its deferred work in objects.

    The cache's two methods take a ``Control`` and return unsigned 64-bit numbers.
    """

    __slots__ = ("batch", "count_objects", "nr_deferred", "scan_objects", "seeks")

    def __init__(self, cache: Any, seeks: int, batch: int) -> None:
        self.count_objects = cache.count_objects
        self.scan_objects = cache.scan_objects
        self.seeks = seeks
        self.batch = batch
        self.nr_deferred = 0


class PureRegistry:
    """Shrinkers in the order of their registration, on one memory node."""

    def __init__(self) -> None:
        self._shrinkers: tuple[PureShrinker, ...] = ()

    def register(self, caches: Iterable[tuple[Any, int, int]]) -> None:
        """Add shrinkers: each a cache, its seeks and its batch."""
        # Walks keep the tuple that they began with.
        self._shrinkers += tuple(PureShrinker(*cache) for cache in caches)

    @property
    def shrinkers(self) -> tuple[PureShrinker, ...]:
        """All of them, in the order of walks."""
        return self._shrinkers

    def shrink_slab(
        self, priority: int, gfp_mask: int = GFP_KERNEL, nid: int = 0
    ) -> int:
        """Walk once; return the number of objects freed, modulo 2**64."""
        control = Control(gfp_mask, nid)
        freed = 0
        for shrinker in self._shrinkers:
            result = shrink_one(shrinker, control, priority)
            if result != SHRINK_EMPTY:
                freed += result
        return freed & _ULONG_MAX


def shrink_one(  # noqa: C901 - one pass, as one would write it: calls cost time
    shrinker: PureShrinker, control: Control, priority: int
) -> int:
    """Make one pass; return the number of objects freed, modulo 2**64.

    Where the count was 0 or SHRINK_EMPTY, returns that, and nothing changes.
    """
    control.nr_to_scan = control.nr_scanned = 0
    count: int = shrinker.count_objects(control)
    if count in (0, SHRINK_EMPTY):
        return count
    freeable = count if count <= _LONG_MAX else count - 2**64

    nr, shrinker.nr_deferred = shrinker.nr_deferred, 0

    if shrinker.seeks:
        quadruple = (freeable >> priority) * 4 & _ULONG_MAX
        delta = quadruple // (shrinker.seeks & 0xFFFFFFFF)
    else:
        # Toward zero, where // goes toward minus infinity.
        delta = (freeable >> 1 if freeable >= 0 else -(-freeable >> 1)) & _ULONG_MAX
    cap = 2 * freeable
    if not _LONG_MIN <= cap <= _LONG_MAX:
        cap = _wrapped(cap)
    total_scan = (nr >> priority) + delta
    if total_scan > _LONG_MAX:
        total_scan = _wrapped(total_scan)
    if total_scan > cap:  # noqa: PLR1730 - min() is a call
        total_scan = cap

    batch_size = shrinker.batch or SHRINK_BATCH
    scan_objects = shrinker.scan_objects
    scanned = freed = 0
    while total_scan >= batch_size or total_scan >= freeable:
        # A call of min() costs a third of a scan call.
        nr_to_scan = batch_size if batch_size < total_scan else total_scan  # noqa: FURB136
        control.nr_to_scan = control.nr_scanned = nr_to_scan & _ULONG_MAX
        result = scan_objects(control)
        if result == SHRINK_STOP:
            break
        freed += result
        scanned += control.nr_scanned
        total_scan -= control.nr_scanned
        if total_scan < _LONG_MIN:
            total_scan = _wrapped(total_scan)

    left = nr + delta - scanned
    if not _LONG_MIN <= left <= _LONG_MAX:
        left = _wrapped(left)
    left = min(max(left, 0), cap)
    # Whatever other walks have added meanwhile stays.
    sum_ = shrinker.nr_deferred + left
    if not _LONG_MIN <= sum_ <= _LONG_MAX:
        sum_ = _wrapped(sum_)
    shrinker.nr_deferred = sum_
    return freed & _ULONG_MAX


def _wrapped(value: int) -> int:
    """Return the signed 64-bit number with the same low bits."""
    return (value + 2**63 & _ULONG_MAX) - 2**63
