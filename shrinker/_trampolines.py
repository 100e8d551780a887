"""The glue: what ``rust_count_objects`` and ``rust_scan_objects`` are in Rust.

The life of one callback:

1. A walk in C comes to a shrinker whose callbacks are the C functions of
   ``csrc/python/python_host.c``.  The first one of a walk takes the GIL for
   the whole walk, and a ``_Frame``.
2. Where the node, the memory cgroup or the gfp mask are others than in the
   frame's last callback, they call ``shrinker_py_aim`` below.  Then they call
   ``shrinker_py_count`` with the frame and the shrinker's number, or
   ``shrinker_py_scan`` with the frame, which stands at that shrinker by then,
   and the objects to scan.
3. The number leads to the ``Record`` of a registration, if that still lives.
   The table and the frames hold records weakly, the running trampoline holds
   its own strongly: whoever closes the registration frees the private data at
   once, or, where callbacks are running, the last of them does.  (Numbers are
   never used twice.  A handle to a dead object would be an abort.)
4. The owner's method runs with the frame's ``ShrinkControl``.  A control that
   nobody kept serves the next callback, one that somebody kept expires.
5. The result becomes a number; a changed ``nr_scanned`` is written to where C
   looks for it.
6. What the method raised goes to the starter of the walk (``_outcome``), and
   the core is told 0 ("skip this time") or STOP.

All of this runs on numbers and Python objects.  A call into C would give the
GIL up, and beside a busy thread getting it back takes a switch interval.
docs/performance.md says what each step costs.
"""

from __future__ import annotations

import contextlib
import itertools
import weakref
from sys import getrefcount
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from shrinker import _outcome
from shrinker._ffi import ffi, lib
from shrinker.control import ShrinkControl, expire
from shrinker.values import (
    CountObjects,
    ScanObjects,
    count_value,
    scan_value,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from shrinker.memcg import Memcg

__all__ = ["Record", "Shrinker", "adopt", "forget"]


@runtime_checkable
class Shrinker(Protocol):
    """What a cache has to offer; in Rust this is the trait of the same name.

    The object itself is the private data.  Both methods may be called from
    several threads at once.
    """

    def count_objects(self, sc: ShrinkControl) -> CountObjects | int:
        """Return how many objects could be freed now.

        Must be quick and must not wait.  ``CountObjects.EMPTY`` where there are
        none, 0 where the number is not known; a plain ``int`` stands for
        ``CountObjects.new`` of it.
        """

    def scan_objects(self, sc: ShrinkControl) -> ScanObjects | int:
        """Look at up to ``sc.nr_to_scan`` objects, free what can go.

        Returns how many were freed, or ``ScanObjects.STOP``; a plain ``int``
        stands for ``ScanObjects.from_count`` of it.
        """


class Record:
    """Holds the private data and its two methods for a registration.

    Bound at registration, as a vtable is: one lookup less in each callback.
    """

    __slots__ = (
        "__weakref__",
        "count_objects",
        "memcgs",
        "name",
        "number",
        "private_data",
        "scan_objects",
    )

    def __init__(
        self, name: str, private_data: Any, memcgs: Mapping[int, Memcg]
    ) -> None:
        self.number = next(_numbers)
        self.name = name
        self.memcgs = memcgs
        self.private_data = private_data
        self.count_objects: Callable[[ShrinkControl], Any] = private_data.count_objects
        self.scan_objects: Callable[[ShrinkControl], Any] = private_data.scan_objects


_numbers = itertools.count(1)
_records: dict[int, weakref.ref[Record]] = {}
# The largest int of one digit, as CPython has them: such are compared fastest.
_SHORT = 2**30 - 1
_STOP = ScanObjects.STOP.value


class _Frame:
    """What the trampolines know of a walk.

    A walk is in one callback at a time, so nobody else uses its frame meanwhile;
    walks inside a callback have frames of their own.
    """

    # Invariants: `control` is valid, and held by nobody else while no callback
    # runs.  `reference` leads to the record of the last callback, if that lives.
    __slots__ = ("c_nr_scanned", "control", "reference")

    def __init__(self) -> None:
        self.c_nr_scanned: Any = ffi.NULL
        self.control: ShrinkControl = object.__new__(ShrinkControl)
        self.reference: Callable[[], Record | None] = _nobody

    def renew(self) -> None:
        """End the validity of the control, and take another one."""
        kept, self.control = self.control, object.__new__(ShrinkControl)
        self.control._nid = kept._nid
        self.control._gfp_mask = kept._gfp_mask
        self.control._memcg_id = kept._memcg_id
        self.control._memcgs = kept._memcgs
        expire(kept)


def _nobody() -> None:
    return None


# By the index that C gave them; as many as there ever were walks at a time.
_frames: list[_Frame] = []


def _unshared() -> int:
    """Return the ``getrefcount`` of a frame's control in a trampoline.

    It is the interpreter's affair: 3 up to Python 3.13, 2 where it lends locals.
    """
    frame = _Frame()
    control = frame.control
    return getrefcount(control)


_UNSHARED = _unshared()


def adopt(c_shrinker: Any, record: Record) -> int:
    """Make ``record``'s methods the callbacks of a C shrinker.

    Returns the number under which the table knows it, to be given to
    ``forget``.
    """
    _records[record.number] = weakref.ref(record)

    # SAFETY: the caller has allocated the shrinker and not yet registered it.
    lib.python_host_adopt(c_shrinker, record.number)
    return record.number


def forget(number: int) -> None:
    """Take a record out of the table.  Takes no lock: finalisers call this."""
    _records.pop(number, None)


def _raised(number: int, where: str, error: BaseException) -> None:
    # Without the trampoline's own frame, which would keep the private data.
    if error.__traceback__ is not None:
        with contextlib.suppress(Exception):  # Some allow no changes.
            error.__traceback__ = error.__traceback__.tb_next
    _outcome.report(number, where, error)


def _escaped(
    _type: type[BaseException], error: BaseException, _traceback: TracebackType
) -> None:
    """Take what was raised around a trampoline's body, by a signal handler say."""
    _outcome.report(0, "beside a callback", error)


@ffi.def_extern(error=False, onerror=_escaped)  # type: ignore[untyped-decorator]
def shrinker_py_aim(
    index: int, number: int, nid: int, memcg_id: int, gfp_mask: int, c_nr_scanned: Any
) -> bool:
    """Say what the next callbacks of a frame are about."""
    while len(_frames) <= index:
        _frames.append(_Frame())
    frame = _frames[index]
    control = frame.control
    control._nid = nid
    control._gfp_mask = gfp_mask
    control._memcg_id = memcg_id
    # SAFETY: points into the frame of python_host.c, which is never released.
    frame.c_nr_scanned = c_nr_scanned
    frame.reference = reference = _records.get(number, _nobody)
    record = reference()
    if record is not None:
        control._memcgs = record.memcgs
    return True


@ffi.def_extern(error=0, onerror=_escaped)  # type: ignore[untyped-decorator]
def shrinker_py_count(index: int, number: int) -> int:
    """Call ``count_objects`` of the record with that number."""
    frame = _frames[index]
    frame.reference = reference = _records.get(number, _nobody)
    record = reference()
    if record is None:
        return 0
    control = frame.control
    control._memcgs = record.memcgs
    control._nr_to_scan = control._nr_scanned = 0
    try:
        count_objects = record.count_objects
        result = count_objects(control)
        kind = type(result)
        if kind is int and 0 <= result <= _SHORT:
            value: int = result
        elif kind is CountObjects:
            value = result.value
        else:
            value = count_value(result)
    except BaseException as error:  # noqa: BLE001 - nothing may enter C
        frame.renew()
        _raised(number, f"in count_objects of shrinker {record.name!r}", error)
        return 0
    if getrefcount(control) != _UNSHARED:
        frame.renew()
    return value


@ffi.def_extern(error=_STOP, onerror=_escaped)  # type: ignore[untyped-decorator]
def shrinker_py_scan(index: int, nr_to_scan: int) -> int:
    """Call ``scan_objects`` of the record that the frame stands at."""
    frame = _frames[index]
    reference = frame.reference
    record = reference()
    if record is None:
        return _STOP
    control = frame.control
    control._nr_to_scan = control._nr_scanned = nr_to_scan
    try:
        scan_objects = record.scan_objects
        result = scan_objects(control)
        kind = type(result)
        if kind is int and 0 <= result <= _SHORT:
            value: int = result
        elif kind is ScanObjects:
            value = result.value
        else:
            value = scan_value(result)
        if control._nr_scanned is not nr_to_scan:
            # SAFETY: see shrinker_py_aim.
            frame.c_nr_scanned[0] = control._nr_scanned
    except BaseException as error:  # noqa: BLE001 - nothing may enter C
        frame.renew()
        _raised(record.number, f"in scan_objects of shrinker {record.name!r}", error)
        return _STOP
    if getrefcount(control) != _UNSHARED:
        frame.renew()
    return value
