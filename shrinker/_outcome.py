"""What the callbacks of a walk raised, on its way back to whoever asked.

Exceptions cannot pass through C.  A trampoline leaves them here, under the
thread that runs it, and the method that started the walk on that thread picks
them up when the walk is over.  A walk that C code started has no such method;
its exceptions go to ``sys.unraisablehook``, as those of finalisers do.
"""

from __future__ import annotations

import os
from threading import get_ident
from typing import Any, Self, cast

from shrinker._ffi import lib
from shrinker.errors import CallbackErrors, ShrinkerError

__all__ = ["Outcome", "report"]

# An exception is an object of somebody else's.  Its attributes, ``__class__`` too,
# may run code that raises, so nothing here hangs on what looking at it gives.
_ENDS_THE_WALK = (KeyboardInterrupt, SystemExit)

# Threads that are in a walk started from Python.  Each writes its own key.
_under_way: dict[int, Outcome] = {}


def _forget_other_threads() -> None:
    mine = _under_way.get(get_ident())
    _under_way.clear()
    if mine is not None:
        _under_way[get_ident()] = mine


os.register_at_fork(after_in_child=_forget_other_threads)


# Calls inside each other, from a trampoline to the last function that takes part
# in reporting what was raised; test_trampolines.py finds out when it is too few.
_REPORTING = 8


def _make_sure_of(levels: int) -> None:
    """Raise ``RecursionError`` unless calls may go so many levels deeper.

    At the interpreter's limit a trampoline could not even begin, or not report
    what it caught: cffi would drop the error, and the core take the callback's
    silence for a result.  Here, before the walk, there is somebody to raise to.
    """
    if levels:
        _make_sure_of(levels - 1)


class Outcome:
    """Collects for one walk; a context manager around it."""

    __slots__ = ("_errors", "_interrupt", "_outer", "_rest", "_thread")

    def __init__(self) -> None:
        self._errors: dict[int, Exception] = {}
        self._rest: dict[int, int] = {}
        self._interrupt: BaseException | None = None

    def __enter__(self) -> Self:
        _make_sure_of(_REPORTING)
        self._thread = get_ident()
        # A reclaim inside a callback is refused by the core, but direct counts
        # and scans may nest.
        self._outer = _under_way.get(self._thread)
        if self._outer is not None and not lib.reclaim_in_callback():
            self._outer = None  # A signal kept it from leaving.
        _under_way[self._thread] = self
        return self

    def __exit__(self, *_: object) -> None:
        if self._outer is None:
            _under_way.pop(self._thread, None)
        else:
            _under_way[self._thread] = self._outer

    def add(self, number: int, where: str, error: BaseException) -> None:
        """Take note of what a callback of shrinker ``number`` raised."""
        if issubclass(type(error), _ENDS_THE_WALK):
            if self._interrupt is None:
                self._interrupt = error
            return
        if number in self._errors:
            self._rest[number] = self._rest.get(number, 0) + 1
            return
        if not issubclass(type(error), Exception):
            # A group that is itself an Exception can hold nothing else.
            wrapped = ShrinkerError(f"a callback raised {_name_of(type(error))}")
            wrapped.__cause__ = error
            error = wrapped
        self._errors[number] = cast("Exception", error)
        _note(error, where)

    def deliver(self, result: object) -> None:
        """Raise what was raised; ``result`` is what the call would return.

        Raises ``KeyboardInterrupt`` or ``SystemExit`` as themselves, with the
        result in a note, else ``CallbackErrors``.
        """
        if self._interrupt is None and not self._errors:
            return
        group = None
        if self._errors:
            for number, more in self._rest.items():
                _note(
                    self._errors[number],
                    f"and {more} more from the same shrinker in this walk",
                )
            group = CallbackErrors(
                "callbacks raised", list(self._errors.values()), result
            )
        if self._interrupt is None:
            assert group is not None  # noqa: S101 - for the type checker
            raise group
        _note(self._interrupt, f"the walk was ended early; result: {result!r}")
        raise self._interrupt from group


# The class may have a class that answers nothing.
_name_of: Any = type.__dict__["__name__"].__get__


def _note(error: BaseException, note: str) -> None:
    # The same object may be raised again and again, and some allow no changes, or
    # not even a look.
    try:
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
    except _ENDS_THE_WALK:
        raise  # A signal's, most likely.
    except BaseException:  # noqa: BLE001, S110 - a note less
        pass


class _Unraisable:
    """Hands an exception to ``sys.unraisablehook`` by raising it in a finaliser.

    The interpreter offers no other way from Python: the hook wants an argument
    that only it can make.
    """

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __del__(self) -> None:
        raise self.error


def report(number: int, where: str, error: BaseException) -> None:
    """Leave what a callback of shrinker ``number`` raised for the walk's starter.

    ``where`` says which callback of which shrinker, for a note.
    ``KeyboardInterrupt`` and ``SystemExit`` also end the walk.
    """
    if issubclass(type(error), _ENDS_THE_WALK):
        lib.reclaim_stop_walk()
    outcome = _under_way.get(get_ident())
    if outcome is not None:
        outcome.add(number, where, error)
        return
    _Unraisable(error)
