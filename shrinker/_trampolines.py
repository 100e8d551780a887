"""The glue: what ``rust_count_objects`` and ``rust_scan_objects`` are in Rust.

The life of one callback:

1. A walk in C comes to a shrinker that Python hosts.  At the first one of a walk
   ``csrc/python/python_host.c`` takes the GIL for the whole walk, and a frame: a
   place in the list of controls below.
2. C lends the frame's ``ShrinkControl`` the structure that the walk has, and calls
   ``shrinker_py_run`` with the frame and the shrinker's number.
3. The number leads to the ``Record`` of a registration, if that still lives.
   The table holds records weakly, the running trampoline holds its own strongly:
   whoever closes the registration frees the private data at once, or, where
   callbacks are running, the last of them does.  (Numbers are never used twice.
   A handle to a dead object would be an abort.)
4. The owner's method runs with the control, whose C type reads and writes the
   walk's own structure.
5. The result becomes a number.  ``_called`` tells it to the core, and says whether
   the pass wants ``scan_objects`` now.
6. What the method raised goes to the starter of the walk (``_outcome``), and
   the core is told 0 ("skip this time") or STOP.
7. C takes its structure back: the control has expired.  One that nobody kept
   serves the next callback, one that somebody kept is replaced.  Nobody is who
   leaves the list the only one to refer to it, so the trampoline keeps none in a
   variable.
8. Behind the pass the record is let go, and ``_next_pass`` takes the walk on to the
   next shrinker, if Python hosts that as well.  So C calls Python once for a row
   of them: a call through cffi takes as long as two callbacks.

All of this runs on numbers and Python objects.  A call through cffi would also give
the GIL up, and beside a busy thread getting it back takes a switch interval;
``_called`` and ``_next_pass`` are functions of CPython's API and keep it.
docs/performance.md says what each step costs.
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
    several threads at once.  They must not switch greenlets to code that reclaims:
    nothing breaks, but the other greenlet's reclaim may return 0.
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


# The largest int of one digit, as CPython has them: such are compared fastest.
_SHORT = 2**30 - 1


_numbers = itertools.count(1)
_records: dict[int, weakref.ref[Record]] = {}


def _gone() -> None:
    """Stand for the weak reference to a record that there is not."""


class _Nobody:
    """Does nothing, in the place of private data that is gone."""

    def count_objects(self, _sc: ShrinkControl) -> int:
        return 0

    def scan_objects(self, _sc: ShrinkControl) -> ScanObjects:
        return ScanObjects.STOP


_NOBODY = Record("", _Nobody(), {})
# Of each frame, by its index.  C adds them, and replaces them.
_controls: list[ShrinkControl] = []
_called, _next_pass = hand_out(_controls)


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


def _escaped(
    _type: type[BaseException], error: BaseException, _traceback: TracebackType
) -> None:
    """Take what was raised around a trampoline's body, by a signal handler say."""
    _outcome.report(0, "beside a callback", error)


def _report(record: Record, method: str, error: BaseException) -> None:
    # Without the trampoline's own frame, which would keep the private data.  Past
    # the attributes of the error's class, which may allow no changes, or no look.
    traceback = _traceback_of(error)
    if traceback is not None:
        BaseException.with_traceback(error, traceback.tb_next)
    _outcome.report(record.number, f"in {method} of shrinker {record.name!r}", error)


@ffi.def_extern(error=False, onerror=_escaped)  # type: ignore[untyped-decorator]
def shrinker_py_run(index: int, number: int, scanning: bool) -> bool:
    """Make the callback that is due, and those that the walk wants after it.

    ``scanning`` says that it is ``scan_objects`` of the shrinker with that number.
    Returns True unless something was raised around all of this.
    """
    record: Record | None
    kind: type | None
    scan_objects: Callable[[ShrinkControl], Any] | None
    while number:
        record = _records.get(number, _gone)() or _NOBODY
        try:
            _controls[index]._memcgs = record.memcgs
            if not scanning:
                result = record.count_objects(_controls[index])
                kind = type(result)
                if kind is CountObjects:
                    result = result.value
                elif kind is not int or not 0 <= result <= _SHORT:
                    result = count_value(result)
                scanning = _called(index, result)
            scan_objects = record.scan_objects
            while scanning:
                result = scan_objects(_controls[index])
                kind = type(result)
                if kind is ScanObjects:
                    result = result.value
                elif kind is not int or not 0 <= result <= _SHORT:
                    result = scan_value(result)
                scanning = _called(index, result)
        except BaseException as error:  # noqa: BLE001 - nothing may enter C
            _report(record, "scan_objects" if scanning else "count_objects", error)
            _called(index, None)
        # Whoever waits for the pass finds nothing of it kept here.
        record = result = kind = scan_objects = None
        scanning = False
        number = _next_pass(index)
    return True
