"""An independent model of one pass, to compare the C core with.

It is written from docs/specification.md ("One pass") on Python's unbounded integers,
not from ``csrc``: where the two agree, both follow the specification. Every place where
64 bits wrap is a call of :func:`u64` or :func:`i64`; no other arithmetic can overflow.

The model is slow and has no state. It knows one pass, not walks, memory cgroups or
overlapping passes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

__all__ = [
    "SHRINK_EMPTY",
    "SHRINK_STOP",
    "ModelResult",
    "Scan",
    "free_all",
    "i32",
    "i64",
    "model_pass",
    "script",
    "u32",
    "u64",
]

SHRINK_STOP = 2**64 - 1
SHRINK_EMPTY = 2**64 - 2
DEFAULT_SEEKS = 2
SHRINK_BATCH = 128
DEF_PRIORITY = 12

Scan = Callable[[int, int], tuple[int, int]]
"""``scan(n, i)``: the i-th scan call, asked for n; returns (freed, nr_scanned)."""


def u64(value: int) -> int:
    """Return ``value`` modulo 2**64, as an ``unsigned long``."""
    return value & 0xFFFF_FFFF_FFFF_FFFF


def i64(value: int) -> int:
    """Return the ``long`` with the same low 64 bits as ``value``."""
    return (value + 2**63 & 0xFFFF_FFFF_FFFF_FFFF) - 2**63


def u32(value: int) -> int:
    """Return ``value`` modulo 2**32, as an ``unsigned int``."""
    return value & 0xFFFF_FFFF


def i32(value: int) -> int:
    """Return the ``int`` with the same low 32 bits as ``value``."""
    return (value + 2**31 & 0xFFFF_FFFF) - 2**31


@dataclasses.dataclass(frozen=True, slots=True)
class ModelResult:
    """What a pass did; the names are those of ``shrinker.PassResult``.

    The numbers of the two trace events are ``None`` where none is emitted, because
    the count was 0 or ``SHRINK_EMPTY``.
    """

    returned: int
    """What the pass returns, 0 to 2**64 - 1."""
    nr_deferred: int
    """The deferred counter afterwards."""
    scans: tuple[int, ...] = ()
    """``nr_to_scan`` of every scan call, SHRINK_STOP calls included."""
    nr_before: int | None = None
    freeable: int | None = None
    delta: int | None = None
    total_scan: int | None = None
    total_scan_left: int | None = None
    nr_after: int | None = None
    retval: int | None = None
    """Objects freed, as the end event prints them: cut to a signed 32-bit number."""
    cut: bool = False
    """A further call was wanted after ``max_calls``; ``run_pass`` raises there."""
    fruitless: int = 0
    """Scan calls that made no progress, in the sense of the stall guard."""
    stalled: bool = False
    """The stall guard ended the pass."""


def free_all(n: int, i: int) -> tuple[int, int]:
    """Scan callback that frees all that it is asked for."""
    return n, n


def _delta(freeable: int, priority: int, seeks: int) -> int:
    """Return how much a pass adds to the deferred work, 0 to 2**64 - 1."""
    if seeks == 0:
        # C divides toward zero, Python toward minus infinity.
        half = abs(freeable) // 2
        return u64(half if freeable >= 0 else -half)
    return u64((freeable >> priority) * 4) // u32(seeks)


def model_pass(
    count: int,
    nr_deferred: int = 0,
    priority: int = DEF_PRIORITY,
    seeks: int = DEFAULT_SEEKS,
    batch: int = 0,
    scan: Scan = free_all,
    max_calls: int = 100_000,
    *,
    stall_limit: int = 0,
) -> ModelResult:
    """Run one pass.

    ``count`` is what ``count_objects`` returns (0 to 2**64 - 1), ``nr_deferred`` the
    signed counter before.  After ``max_calls`` scan calls a further one is answered
    with SHRINK_STOP in the callback's stead, and the result says ``cut``.
    ``stall_limit`` is the guard of "Where we protect the user"; 0 is off, as in a
    kernel and in ``run_pass``.
    """
    if count in (0, SHRINK_EMPTY):
        return ModelResult(returned=count, nr_deferred=nr_deferred)

    freeable = i64(count)
    cap = i64(2 * freeable)
    delta = _delta(freeable, priority, seeks)
    total_scan = min(i64((nr_deferred >> priority) + delta), cap)
    total_at_start = total_scan
    batch_size = batch or SHRINK_BATCH

    scans: list[int] = []
    scanned = freed = fruitless = 0
    cut = stalled = False
    while not stalled and (total_scan >= batch_size or total_scan >= freeable):
        if len(scans) == max_calls:
            cut = True
            break
        nr_to_scan = u64(min(batch_size, total_scan))
        ret, nr_scanned = scan(nr_to_scan, len(scans))
        scans.append(nr_to_scan)
        if u64(ret) == SHRINK_STOP:
            break
        freed += ret
        scanned += nr_scanned
        before, total_scan = total_scan, i64(total_scan - nr_scanned)
        if before <= 0 or total_scan >= before:
            fruitless += 1
            stalled = fruitless == stall_limit

    left_over = min(max(i64(nr_deferred + delta - scanned), 0), cap)
    # Alone, the pass finds the counter as it left it: at 0.
    nr_after = i64(0 + left_over)
    return ModelResult(
        returned=u64(freed),
        nr_deferred=nr_after,
        scans=tuple(scans),
        nr_before=nr_deferred,
        freeable=freeable,
        delta=delta,
        total_scan=total_at_start,
        total_scan_left=total_scan,
        nr_after=nr_after,
        retval=i32(freed),
        cut=cut,
        fruitless=fruitless,
        stalled=stalled,
    )


def script(policy: str, mode: str | None = None, arg: int | None = None) -> Scan:
    """Return the scan callback that a row of the vectors names.

    Everything is modulo 2**64; a computed return value that happens to be SHRINK_STOP
    stops the pass.
    """
    number = 0 if arg is None else arg
    scans: dict[tuple[str, str | None], Scan] = {
        ("all", None): free_all,
        ("none", None): lambda n, i: (0, n),
        ("half", None): lambda n, i: (n // 2, n),
        ("stop", None): lambda n, i: (SHRINK_STOP, n),
        ("stop_after_k", None): lambda n, i: (SHRINK_STOP if i >= number else n, n),
        ("nr_scanned_override", "double"): lambda n, i: (n, u64(2 * n)),
        ("nr_scanned_override", "half"): lambda n, i: (n, max(n // 2, 1)),
        ("nr_scanned_override", "const"): lambda n, i: (n, u64(number)),
        ("overreport", "add"): lambda n, i: (u64(n + number), n),
        ("overreport", "const"): lambda n, i: (u64(number), n),
    }
    return scans[policy, mode]
