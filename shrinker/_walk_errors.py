"""What the callbacks of a walk raised, on its way to the walk's starter.

Exceptions cannot pass through C.  A trampoline leaves them here, under its thread,
and the method that started the walk on that thread raises them when the walk is
over.  A walk that C code started has no such method: its exceptions go to
``sys.unraisablehook``, as those of finalisers do.
"""

from __future__ import annotations

import os
from threading import get_ident
from typing import TYPE_CHECKING, Any, Self, cast

from shrinker._ffi import lib, object_function
from shrinker.errors import CallbackErrors, ShrinkerError

__all__ = ["WalkErrors", "report"]

# The exceptions are other people's objects.  Reading an attribute, even
# ``__class__``, may run code that raises, so nothing here depends on attributes.
_ENDS_THE_WALK = (KeyboardInterrupt, SystemExit)

# Threads that are in a walk started from Python.  Each writes its own key.
_under_way: dict[int, WalkErrors] = {}


def _forget_other_threads() -> None:
    mine = _under_way.get(get_ident())
    _under_way.clear()
    if mine is not None:
        _under_way[get_ident()] = mine


os.register_at_fork(after_in_child=_forget_other_threads)


def _nest(levels: int) -> None:
    """Raise ``RecursionError`` unless calls may nest so many levels deeper."""
    if levels:
        _nest(levels - 1)


if TYPE_CHECKING:

    class _Walk:
        """What starts a walk (csrc/python/walks.c)."""

        _errors: dict[int, Exception] | None
        _rest: dict[int, int] | None
        _interrupt: BaseException | None

        def __enter__(self) -> Self: ...
        def __exit__(self, *_: object) -> None: ...
        @property
        def freed(self) -> int: ...

        @classmethod
        def shrink_slab(
            cls,
            domain: int,
            gfp_mask: int,
            nid: int,
            memcg: int,
            priority: int,
            stalled: int,
            /,
        ) -> int | Self | None: ...

else:
    _Walk = object_function("python_walks_type", 3)(_under_way, get_ident, _nest)


class WalkErrors(_Walk):
    """Collects what the callbacks of one walk raise; a context manager around it.

    The class method ``shrink_slab`` is a whole walk.  It returns a ``WalkErrors`` where
    something has to be told, and has the number of objects freed in ``freed``.
    """

    __slots__ = ()

    def add(self, number: int, where: str, error: BaseException) -> None:
        """Keep what a callback of shrinker ``number`` raised.

        ``where`` names the callback, for a note.
        """
        if issubclass(type(error), _ENDS_THE_WALK):
            if self._interrupt is None:
                self._interrupt = error
            return
        if self._errors is None:
            self._errors = {}
        if number in self._errors:
            if self._rest is None:
                self._rest = {}
            self._rest[number] = self._rest.get(number, 0) + 1
            return
        if not issubclass(type(error), Exception):
            # CallbackErrors is an Exception, and such a group holds no other kind.
            wrapped = ShrinkerError(f"a callback raised {_name_of(type(error))}")
            wrapped.__cause__ = error
            error = wrapped
        self._errors[number] = cast("Exception", error)
        _note(error, where)

    def deliver(self, result: object) -> None:
        """Raise what the callbacks raised; ``result`` is what the walk returned.

        Raises ``KeyboardInterrupt`` or ``SystemExit`` as themselves, with the
        result in a note, otherwise ``CallbackErrors``.
        """
        if self._interrupt is None and not self._errors:
            return
        group = None
        if self._errors:
            for number, more in (self._rest or {}).items():
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


# Past the class's own attributes: a metaclass may answer no question.
_name_of: Any = type.__dict__["__name__"].__get__


def _note(error: BaseException, note: str) -> None:
    # The same object may be raised repeatedly, and some allow no change or no read.
    try:
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
    except _ENDS_THE_WALK:
        raise  # Most likely from a signal's handler.
    except BaseException:  # noqa: BLE001, S110 - do without the note
        pass


class _Unraisable:
    """Hands an exception to ``sys.unraisablehook`` by raising it in a finaliser.

    Python code has no other way: the hook's argument can only be made by the
    interpreter.
    """

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __del__(self) -> None:
        raise self.error


def report(number: int, where: str, error: BaseException) -> None:
    """Leave what a callback of shrinker ``number`` raised for the walk's starter.

    ``where`` names the callback and the shrinker, for a note.
    ``KeyboardInterrupt`` and ``SystemExit`` also end the walk.
    """
    if issubclass(type(error), _ENDS_THE_WALK):
        lib.reclaim_stop_walk()
    errors = _under_way.get(get_ident())
    if errors is not None:
        errors.add(number, where, error)
        return
    _Unraisable(error)
