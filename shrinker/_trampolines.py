"""The glue: what ``rust_count_objects`` and ``rust_scan_objects`` are in Rust.

The life of one callback:

1. A walk in C comes to a shrinker whose callbacks are the C functions of
   ``csrc/python/python_host.c``.  The first one of a walk takes the GIL for
   the whole walk, and a frame: a place in the list of controls below.
2. C lends the frame's ``ShrinkControl`` the structure that the walk has.  Then
   it calls ``shrinker_py_count`` with the frame and the shrinker's number, or
   ``shrinker_py_scan`` with the frame, which stands at that shrinker by then;
   where it does not, ``shrinker_py_aim`` comes first.  A pass calls
   ``shrinker_py_scan`` once for all its scan calls.
3. The number leads to the ``Record`` of a registration, if that still lives.
   The table and the controls hold records weakly, the running trampoline holds
   its own strongly: whoever closes the registration frees the private data at
   once, or, where callbacks are running, the last of them does.  (Numbers are
   never used twice.  A handle to a dead object would be an abort.)
4. The owner's method runs with the control, whose C type reads and writes the
   walk's own structure.
5. The result becomes a number.  After a scan call ``_scan_again`` accounts it in
   C, and says whether the pass wants another.
6. What the method raised goes to the starter of the walk (``_outcome``), and
   the core is told 0 ("skip this time") or STOP.
7. C takes its structure back: the control has expired.  One that nobody kept
   serves the next callback, one that somebody kept is replaced.  Nobody is who
   leaves the list the only one to refer to it, so a trampoline keeps none in a
   variable while it asks.

All of this runs on numbers and Python objects.  A call through cffi would give the
GIL up, and beside a busy thread getting it back takes a switch interval;
``_scan_again`` is a function of CPython's API and keeps it.  docs/performance.md
says what each step costs.
"""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from shrinker import _outcome
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


def _nobody() -> None:
    return None


# Of each frame, by its index.  C adds them, and replaces them.
_controls: list[ShrinkControl] = []
_scan_again = hand_out(_controls)


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


_traceback_of: Any = BaseException.__dict__["__traceback__"].__get__


def _raised(number: int, where: str, error: BaseException) -> None:
    # Without the trampoline's own frame, which would keep the private data.  Past
    # the attributes of the error's class, which may allow no changes, or no look.
    traceback = _traceback_of(error)
    if traceback is not None:
        BaseException.with_traceback(error, traceback.tb_next)
    _outcome.report(number, where, error)


def _escaped(
    _type: type[BaseException], error: BaseException, _traceback: TracebackType
) -> None:
    """Take what was raised around a trampoline's body, by a signal handler say."""
    _outcome.report(0, "beside a callback", error)


@ffi.def_extern(error=False, onerror=_escaped)  # type: ignore[untyped-decorator]
def shrinker_py_aim(index: int, number: int) -> bool:
    """Have the frame stand at the record with that number; say if that lives."""
    control = _controls[index]
    control._reference = reference = _records.get(number, _nobody)
    record = reference()
    if record is None:
        return False
    control._memcgs = record.memcgs
    return True


@ffi.def_extern(error=0, onerror=_escaped)  # type: ignore[untyped-decorator]
def shrinker_py_count(index: int, number: int) -> int:
    """Call ``count_objects`` of the record with that number."""
    control = _controls[index]
    control._reference = reference = _records.get(number, _nobody)
    record = reference()
    if record is None:
        return 0
    control._memcgs = record.memcgs
    try:
        count_objects = record.count_objects
        result = count_objects(control)
        kind = type(result)
        if kind is int and 0 <= result <= _SHORT:
            return result  # type: ignore[no-any-return]
        if kind is CountObjects:
            return result.value  # type: ignore[no-any-return]
        return count_value(result)
    except BaseException as error:  # noqa: BLE001 - nothing may enter C
        _raised(number, f"in count_objects of shrinker {record.name!r}", error)
        return 0


@ffi.def_extern(onerror=_escaped)  # type: ignore[untyped-decorator]
def shrinker_py_scan(index: int) -> None:
    """Call ``scan_objects`` of the record that the frame stands at.

    Again and again, as long as the pass wants it.  What is not accounted by
    ``_scan_again`` was STOP.
    """
    record = _controls[index]._reference()
    if record is None:
        return
    try:
        scan_objects = record.scan_objects
        while True:
            result = scan_objects(_controls[index])
            kind = type(result)
            if kind is int and 0 <= result <= _SHORT:
                pass
            elif kind is ScanObjects:
                result = result.value
            else:
                result = scan_value(result)
            if not _scan_again(result):
                return
    except BaseException as error:  # noqa: BLE001 - nothing may enter C
        _raised(record.number, f"in scan_objects of shrinker {record.name!r}", error)
