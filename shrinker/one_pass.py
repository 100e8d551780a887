"""``run_pass``: one ``do_shrink_slab`` by the C core, on raw 64-bit numbers."""

from __future__ import annotations

import dataclasses
import itertools
from threading import get_ident
from typing import TYPE_CHECKING, Any

from shrinker._ffi import ffi, lib
from shrinker.eras import era_named
from shrinker.errors import ShrinkerError, check_int
from shrinker.values import (
    DEF_PRIORITY,
    DEFAULT_SEEKS,
    SHRINK_MAX_PRIORITY,
    ULONG_MAX,
    ScanObjects,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    ScanResult = int | ScanObjects | tuple[int, int]

__all__ = ["PassResult", "StallError", "run_pass"]


@dataclasses.dataclass(frozen=True, slots=True)
class PassResult:
    """What a pass did.

    The fields from ``delta`` on are those of its two trace events; where the
    count was 0 or EMPTY there are no events, and they are None.
    """

    returned: int
    """Objects freed, modulo 2**64; the count where that was 0 or EMPTY."""
    nr_deferred: int
    """The deferred counter afterwards, signed."""
    scans: tuple[int, ...]
    """``nr_to_scan`` of each scan call."""
    delta: int | None = None
    """Objects that the pass added to the deferred ones, 0 to 2**64 - 1."""
    total_scan: int | None = None
    """Objects to scan at the start, signed."""
    total_scan_left: int | None = None
    """Objects left to scan at the end, signed."""
    nr_before: int | None = None
    """Deferred objects that the pass took over, signed."""
    nr_after: int | None = None
    """The deferred counter as the end event shows it, signed."""
    freeable: int | None = None
    """The count, as a signed number."""
    retval: int | None = None
    """``returned``, cut to a signed 32-bit number."""


class StallError(ShrinkerError):
    """``run_pass`` wanted more scan calls than ``max_calls``.

    A kernel might go on for ever (docs/specification.md, "Where we protect the
    user").
    """

    def __init__(self, message: str, partial: PassResult) -> None:
        super().__init__(message)
        self.partial = partial
        """The pass so far, as if the next scan call had returned STOP."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (*self.args, self.partial)


class _Call:
    """A pass under way that calls back into Python."""

    __slots__ = ("error", "scan", "sizes")

    def __init__(self, scan: Callable[[int], ScanResult]) -> None:
        self.scan = scan
        self.sizes: list[int] = []
        self.error: BaseException | None = None


_numbers = itertools.count(1)
_calls: dict[int, _Call] = {}
# The innermost call of each thread.
_innermost: dict[int, _Call] = {}
_STOP = ScanObjects.STOP.value
_USUAL_SCAN_CALLS = 64
"""Scan calls for whose sizes there is room in the first run."""


def _escaped(
    _type: type[BaseException], error: BaseException, _traceback: TracebackType
) -> None:
    """Take what was raised around the function below, as by a signal's handler."""
    call = _innermost.get(get_ident())
    if call is not None:
        call.error = error


@ffi.def_extern(error=_STOP, onerror=_escaped)  # type: ignore[untyped-decorator]
def shrinker_py_pass_scan(number: int, nr_to_scan: int, c_nr_scanned: Any) -> int:
    """Call ``scan`` of the pass with that number."""
    call = _calls[number]
    try:
        call.sizes.append(nr_to_scan)
        freed, nr_scanned = _raw(call.scan(nr_to_scan), nr_to_scan)
    except BaseException as error:  # noqa: BLE001 - raised again by run_pass
        call.error = error
        return _STOP

    # SAFETY: it points into the shrink_control of the pass, which waits for us.
    c_nr_scanned[0] = nr_scanned
    return freed


def _raw(result: object, nr_to_scan: int) -> tuple[int, int]:
    nr_scanned: object = nr_to_scan
    if isinstance(result, tuple):
        if len(result) != 2:  # noqa: PLR2004
            raise TypeError("scan must return freed or (freed, nr_scanned)")
        result, nr_scanned = result
    if isinstance(result, ScanObjects):
        result = result.value
    return (
        check_int("freed", result, 0, ULONG_MAX),
        check_int("nr_scanned", nr_scanned, 0, ULONG_MAX),
    )


def run_pass(
    count: int,
    *,
    nr_deferred: int = 0,
    priority: int = DEF_PRIORITY,
    seeks: int = DEFAULT_SEEKS,
    batch: int = 0,
    scan: Callable[[int], ScanResult] | None = None,
    max_calls: int = 100_000,
    era: str = "C",
    pgs_scanned: int | None = None,
    lru_pgs: int | None = None,
) -> PassResult:
    """Run one pass of the core, without a registry and without a stall guard.

    ``count`` (0..2**64-1) is what ``count_objects`` returned, ``nr_deferred``
    (signed 64 bits) the deferred counter before.  ``priority`` is 0 to 63,
    ``seeks`` any signed 32-bit and ``batch`` any signed 64-bit number.

    ``scan(nr_to_scan)`` returns the number freed as a raw 64-bit number (2**64-1
    is STOP), or ``(freed, nr_scanned)``, or a ``ScanObjects``.  Without it, the pass
    frees all that it asks for.  What ``scan`` raises comes out of here.

    Raises ``StallError`` where more than ``max_calls`` scan calls were wanted, with
    the pass so far in ``partial``; ``ValueError`` and ``TypeError`` for bad
    arguments.  docs/specification.md, "One pass", says what happens.

    ``era`` computes the pass as older kernels did (docs/specification.md, "Eras"):
    ``"B"`` as 4.16 to 5.12, ``"B-4.19"`` as 4.19.y, ``"A"`` as 4.11 to 4.15,
    ``"A-4.10"`` as those before.  The eras A take ``pgs_scanned`` and ``lru_pgs``,
    signed 64-bit numbers, in place of ``priority``.
    """
    c = ffi.new("struct one_pass *")
    c.count = check_int("count", count, 0, ULONG_MAX)
    c.priority = check_int("priority", priority, 0, SHRINK_MAX_PRIORITY)
    c.seeks = check_int("seeks", seeks, -(2**31), 2**31 - 1)
    c.batch = check_int("batch", batch, -(2**63), 2**63 - 1)
    c.max_calls = check_int("max_calls", max_calls, 0, ULONG_MAX)
    check_int("nr_deferred", nr_deferred, -(2**63), 2**63 - 1)
    _set_era(c, era, pgs_scanned, lru_pgs)

    if scan is None:
        sizes = _run_freeing_all(c, nr_deferred)
    else:
        sizes = _run_calling(c, nr_deferred, scan)

    result = PassResult(c.returned, c.nr_deferred, tuple(sizes))
    if c.emitted:
        result = dataclasses.replace(
            result,
            delta=c.delta,
            total_scan=c.total_scan,
            total_scan_left=c.total_scan_left,
            nr_before=c.nr_before,
            nr_after=c.nr_after,
            freeable=c.freeable,
            retval=c.retval,
        )
    if c.cut:
        raise StallError(
            f"the pass wanted more than {max_calls} scan calls", partial=result
        )
    return result


def _set_era(c: Any, era: str, pgs_scanned: int | None, lru_pgs: int | None) -> None:
    c.era = era_named(era)
    if not era.startswith("A"):
        if pgs_scanned is not None or lru_pgs is not None:
            raise ValueError(f"pgs_scanned and lru_pgs are of era A, not of {era}")
        return
    if pgs_scanned is None or lru_pgs is None:
        raise ValueError(f"era {era} needs pgs_scanned and lru_pgs")
    if c.priority != DEF_PRIORITY:
        raise ValueError(f"era {era} has no priority, but pgs_scanned and lru_pgs")
    c.pgs_scanned = check_int("pgs_scanned", pgs_scanned, -(2**63), 2**63 - 1)
    c.lru_pgs = check_int("lru_pgs", lru_pgs, -(2**63), 2**63 - 1)
    if c.seeks == 0:
        raise ValueError(f"era {era} divides by seeks: it must not be 0")
    if (lru_pgs + 1) % 2**32 == 0:
        raise ValueError(
            f"era {era} divides by the low 32 bits of lru_pgs + 1, which are 0"
        )


def _run_freeing_all(c: Any, nr_deferred: int) -> list[int]:
    room = _USUAL_SCAN_CALLS
    while True:
        c_sizes = ffi.new("uint64_t[]", room)
        c.sizes, c.nr_sizes = c_sizes, room
        c.nr_deferred = nr_deferred

        # SAFETY: `c_sizes` lives until the result has been read.
        lib.one_pass_run(c)
        if c.calls <= room:
            return list(ffi.unpack(c_sizes, c.calls))
        # The pass depends on its input alone, so it can be run again.
        room = c.calls


def _run_calling(
    c: Any, nr_deferred: int, scan: Callable[[int], ScanResult]
) -> list[int]:
    call = _Call(scan)
    number = next(_numbers)
    c.nr_deferred = nr_deferred
    c.scan = lib.python_pass_scan
    c.arg = ffi.cast("void *", number)
    _calls[number] = call
    thread = get_ident()
    outer = _innermost.get(thread)
    _innermost[thread] = call
    try:
        lib.one_pass_run(c)
    finally:
        del _calls[number]
        if outer is None:
            del _innermost[thread]
        else:
            _innermost[thread] = outer
    if call.error is not None:
        raise call.error
    return call.sizes
