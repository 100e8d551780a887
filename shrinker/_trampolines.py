"""The glue: what ``rust_count_objects`` and ``rust_scan_objects`` are in Rust.

The life of one callback:

1. A walk in C comes to a shrinker whose callbacks are Python.  At the first one
   ``csrc/python/host.c`` takes the GIL for the whole walk, and a frame: an index
   into the list of controls below.
2. C lends the frame's ``ShrinkControl`` the walk's own structure, and calls
   ``shrinker_py_run`` with the frame's index and the shrinker's number.
3. The number leads to the ``Record`` of a registration, if that is still alive.
   The table holds records weakly, the running trampoline holds its own strongly.
   So closing the registration frees the private data at once or, where callbacks
   are running, the last of them does.  (Numbers are never used twice.  With a
   handle from ``ffi.new_handle``, a dead object would abort the process.)
4. The owner's method runs with the control, whose C type reads and writes the
   walk's own structure.
5. The result becomes a number.  ``called`` tells it to the core, which answers
   whether the pass wants ``scan_objects`` now.
6. What the method raised goes to the method that started the walk
   (``_walk_errors``), and the core is told 0 ("skip this time") or STOP.
7. C takes its structure back: the control has expired.  A control that only the
   list refers to serves the next callback; one that was kept is replaced.  The
   trampoline therefore keeps no control in a variable.
8. After the pass the record is let go, and ``next_pass`` takes the walk on to the
   next shrinker, if its callbacks are Python as well.  So C calls Python once for
   a row of such shrinkers: a call through cffi costs as much as two callbacks.

All of this runs on numbers and Python objects.  Each call through cffi gives the GIL
up, and beside a busy thread getting it back costs a switch interval.  ``called``
and ``next_pass`` are functions of CPython's API and keep the GIL.
docs/performance.md says what each step costs.
"""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING, Any

from shrinker import _walk_errors
from shrinker._ffi import ffi, lib
from shrinker.control import ShrinkControl, hand_out
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

__all__ = ["Record", "adopt", "forget"]


class Record:
    """The private data of a registration, and its two methods.

    The methods are bound at registration, as a vtable is: that saves a lookup in
    each callback.
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


# The largest int of one digit in CPython; these are compared fastest.
_ONE_DIGIT_MAX = 2**30 - 1

_numbers = itertools.count(1)
records: dict[int, weakref.ref[Record]] = {}


def _gone() -> None:
    """Stand for the weak reference to a missing record."""


class _NoCallbacks:
    """Stands for private data that is gone; counts 0."""

    def count_objects(self, _sc: ShrinkControl) -> int:
        return 0

    def scan_objects(self, _sc: ShrinkControl) -> ScanObjects:
        return ScanObjects.STOP


_NO_RECORD = Record("", _NoCallbacks(), {})
# The control of each frame, by its index.  C adds and replaces them.
controls: list[ShrinkControl] = []
called, next_pass = hand_out(controls)


def adopt(c_shrinker: Any, record: Record) -> None:
    """Make ``record``'s methods the callbacks of a C shrinker.

    ``forget(record.number)`` takes it out of the table again.
    """
    records[record.number] = weakref.ref(record)

    # SAFETY: the caller has allocated the shrinker and not yet registered it.
    lib.python_host_adopt(c_shrinker, record.number)


def forget(number: int) -> None:
    """Take a record out of the table.  No lock is taken: finalisers call this."""
    records.pop(number, None)


_traceback_of: Any = BaseException.__dict__["__traceback__"].__get__


def _escaped(
    _type: type[BaseException], error: BaseException, _traceback: TracebackType
) -> None:
    """Take what was raised around a trampoline's body, as by a signal's handler."""
    _walk_errors.report(0, "beside a callback", error)


def _report(record: Record, method: str, error: BaseException) -> None:
    # Leave the trampoline's own frame out of the traceback: it would keep the
    # private data.  Go past the attributes of the error's class, which may raise.
    traceback = _traceback_of(error)
    if traceback is not None:
        BaseException.with_traceback(error, traceback.tb_next)
    _walk_errors.report(
        record.number, f"in {method} of shrinker {record.name!r}", error
    )


@ffi.def_extern(error=False, onerror=_escaped)  # type: ignore[untyped-decorator]
def shrinker_py_run(index: int, number: int, scanning: bool) -> bool:
    """Make the callback that is due, and those that the walk wants after it.

    The first one is of the shrinker with that number: ``scan_objects`` where
    ``scanning`` is true.  Returns True unless something was raised outside the
    ``try`` below.
    """
    record: Record | None
    kind: type | None
    scan_objects: Callable[[ShrinkControl], Any] | None
    while number:
        record = records.get(number, _gone)() or _NO_RECORD
        try:
            controls[index]._memcgs = record.memcgs
            if not scanning:
                result = record.count_objects(controls[index])
                kind = type(result)
                if kind is CountObjects:
                    result = result.value
                elif kind is not int or not 0 <= result <= _ONE_DIGIT_MAX:
                    result = count_value(result)
                scanning = called(index, result)
            scan_objects = record.scan_objects
            while scanning:
                result = scan_objects(controls[index])
                kind = type(result)
                if kind is ScanObjects:
                    result = result.value
                elif kind is not int or not 0 <= result <= _ONE_DIGIT_MAX:
                    result = scan_value(result)
                scanning = called(index, result)
        except BaseException as error:  # noqa: BLE001 - nothing may enter C
            _report(record, "scan_objects" if scanning else "count_objects", error)
            called(index, None)
        # A thread that waits in close() for this pass must find nothing kept here.
        record = result = kind = scan_objects = None
        scanning = False
        number = next_pass(index)
    return True
