"""The glue: what ``rust_count_objects`` and ``rust_scan_objects`` are in Rust.

The life of one callback:

1. A walk in C comes to a shrinker whose callbacks are the C functions of
   ``csrc/python/python_host.c``.  The first one of a walk takes the GIL for
   the whole walk.
2. They call ``shrinker_py_count`` or ``shrinker_py_scan`` below, with the
   shrinker's number and the fields of the shrink_control as plain numbers.
3. The number leads to the ``Record`` of a registration, if that still lives.
   The table holds records weakly, the running trampoline holds its own
   strongly: whoever closes the registration frees the private data at once,
   or, where callbacks are running, the last of them does.  (Numbers are never
   used twice.  A handle to a dead object would be an abort.)
4. The owner's method runs with a ``ShrinkControl`` made of the numbers.  A
   control that nobody kept is used again for a later callback, one that
   somebody kept expires.
5. The result becomes a number; ``nr_scanned`` is written back.
6. What the method raised goes to the starter of the walk (``_outcome``), and
   the core is told 0 ("skip this time") or STOP.

All of this runs on numbers and Python objects.  A call into C would give the
GIL up, and beside a busy thread getting it back takes a switch interval.
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
        "private_data",
        "scan_objects",
    )

    def __init__(
        self, name: str, private_data: Any, memcgs: Mapping[int, Memcg]
    ) -> None:
        self.name = name
        self.memcgs = memcgs
        self.private_data = private_data
        self.count_objects: Callable[[ShrinkControl], Any] = private_data.count_objects
        self.scan_objects: Callable[[ShrinkControl], Any] = private_data.scan_objects


_numbers = itertools.count(1)
_records: dict[int, weakref.ref[Record]] = {}
# Controls that nobody holds.  list.pop and list.append are atomic.
_spare: list[ShrinkControl] = []
_MAX_COUNT = CountObjects.MAX.value
_MAX_SCAN = ScanObjects.MAX.value
_STOP = ScanObjects.STOP.value


def _unshared() -> int:
    """Return the ``getrefcount`` of an object that one local variable holds.

    It is the interpreter's affair: 2 up to Python 3.13, 1 where it lends locals.
    """
    control = object.__new__(ShrinkControl)
    return getrefcount(control)


_UNSHARED = _unshared()


def adopt(c_shrinker: Any, record: Record) -> int:
    """Make ``record``'s methods the callbacks of a C shrinker.

    Returns the number under which the table knows it, to be given to
    ``forget``.
    """
    number = next(_numbers)
    _records[number] = weakref.ref(record)

    # SAFETY: the caller has allocated the shrinker and not yet registered it.
    lib.python_host_adopt(c_shrinker, number)
    return number


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


@ffi.def_extern(error=0, onerror=_escaped)  # type: ignore[untyped-decorator]
def shrinker_py_count(number: int, nid: int, memcg_id: int, gfp_mask: int) -> int:
    """Call ``count_objects`` of the record with that number."""
    reference = _records.get(number)
    record = reference() if reference is not None else None
    if record is None:
        return 0
    try:
        control = _spare.pop()
    except IndexError:
        control = object.__new__(ShrinkControl)
    control._nr_to_scan = control._nr_scanned = 0
    control._nid = nid
    control._gfp_mask = gfp_mask
    control._memcg_id = memcg_id
    control._memcgs = record.memcgs
    try:
        result = record.count_objects(control)
        if type(result) is int and 0 <= result <= _MAX_COUNT:
            value = result
        else:
            value = count_value(result)
    except BaseException as error:  # noqa: BLE001 - nothing may enter C
        expire(control)
        _raised(number, f"in count_objects of shrinker {record.name!r}", error)
        return 0
    if getrefcount(control) == _UNSHARED:
        _spare.append(control)
    else:
        expire(control)
    return value


@ffi.def_extern(error=_STOP, onerror=_escaped)  # type: ignore[untyped-decorator]
def shrinker_py_scan(
    number: int,
    nid: int,
    memcg_id: int,
    gfp_mask: int,
    nr_to_scan: int,
    c_nr_scanned: Any,
) -> int:
    """Call ``scan_objects`` of the record with that number."""
    reference = _records.get(number)
    record = reference() if reference is not None else None
    if record is None:
        return _STOP
    try:
        control = _spare.pop()
    except IndexError:
        control = object.__new__(ShrinkControl)
    control._nr_to_scan = control._nr_scanned = nr_to_scan
    control._nid = nid
    control._gfp_mask = gfp_mask
    control._memcg_id = memcg_id
    control._memcgs = record.memcgs
    try:
        result = record.scan_objects(control)
        if type(result) is int and 0 <= result <= _MAX_SCAN:
            value = result
        else:
            value = scan_value(result)
        if control._nr_scanned != nr_to_scan:
            # SAFETY: points into the shrink_control of the C caller, which
            # waits for our return.
            c_nr_scanned[0] = control._nr_scanned
    except BaseException as error:  # noqa: BLE001 - nothing may enter C
        expire(control)
        _raised(number, f"in scan_objects of shrinker {record.name!r}", error)
        return _STOP
    if getrefcount(control) == _UNSHARED:
        _spare.append(control)
    else:
        expire(control)
    return value
