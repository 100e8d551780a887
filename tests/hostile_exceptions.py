"""Exceptions whose attributes raise or lie."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

__all__ = ["ENDING", "EXCEPTIONS"]


class Untouchable:
    """A mix-in: each access to an attribute, and each comparison, raises the object
    itself."""

    def __getattribute__(self, name: str) -> NoReturn:
        raise self  # type: ignore[misc]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise self  # type: ignore[misc]

    def __eq__(self, other: object) -> NoReturn:
        raise self  # type: ignore[misc]

    def __hash__(self) -> NoReturn:
        raise self  # type: ignore[misc]

    def __bool__(self) -> NoReturn:
        raise self  # type: ignore[misc]

    def __repr__(self) -> NoReturn:
        raise self  # type: ignore[misc]

    __str__ = __repr__


class UntouchableError(Untouchable, Exception):
    pass


class UntouchableBase(Untouchable, BaseException):
    pass


class UntouchableExit(Untouchable, SystemExit):
    pass


class UntouchableInterrupt(Untouchable, KeyboardInterrupt):
    pass


class NoClassError(Exception):
    @property  # type: ignore[misc]
    def __class__(self) -> NoReturn:
        raise self


class NoNotesError(Exception):
    @property
    def __notes__(self) -> NoReturn:  # type: ignore[override]
        raise self


class ExitInNotesError(Exception):
    """Reading its notes raises what no ``except Exception`` catches."""

    @property
    def __notes__(self) -> NoReturn:  # type: ignore[override]
        raise GeneratorExit


class OddNotesError(Exception):
    __notes__ = 7  # type: ignore[assignment]


class NoTracebackError(Exception):
    @property  # type: ignore[override]
    def __traceback__(self) -> NoReturn:
        raise self


class NoInitError(Exception):
    def __init__(self) -> None:
        raise ZeroDivisionError


class LyingError(Exception):
    """Its ``__class__`` is KeyboardInterrupt; it is an Exception."""

    __class__ = KeyboardInterrupt  # type: ignore[assignment]


class LyingBase(BaseException):
    """Its ``__class__`` is ValueError; it is no Exception, and a group of those
    cannot hold it."""

    __class__ = ValueError  # type: ignore[assignment]


class Meta(type):
    """Its classes answer no question, not even for their name.

    Except one: Python itself, as it raises, asks whether an exception's class is a
    subclass of itself.
    """

    def __getattribute__(cls, name: str) -> NoReturn:
        raise ZeroDivisionError

    def __instancecheck__(cls, instance: object) -> NoReturn:
        raise ZeroDivisionError

    def __eq__(cls, other: object) -> NoReturn:
        raise ZeroDivisionError

    def __hash__(cls) -> NoReturn:
        raise ZeroDivisionError

    def __repr__(cls) -> NoReturn:
        raise ZeroDivisionError


class MetaError(Exception, metaclass=Meta):
    pass


class MetaBase(BaseException, metaclass=Meta):
    pass


def _group() -> BaseException:
    return BaseExceptionGroup("both", [OSError(), KeyboardInterrupt()])


EXCEPTIONS: dict[str, Any] = {
    "OSError": OSError,
    "MemoryError": MemoryError,
    "RecursionError": RecursionError,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "GeneratorExit": GeneratorExit,
    "CancelledError": asyncio.CancelledError,
    "a group with an interrupt": _group,
    "untouchable": UntouchableError,
    "untouchable base": UntouchableBase,
    "no class": NoClassError,
    "no notes": NoNotesError,
    "exit in notes": ExitInNotesError,
    "odd notes": OddNotesError,
    "no traceback": NoTracebackError,
    "no init": NoInitError,
    "lying": LyingError,
    "lying base": LyingBase,
    "metaclass": MetaError,
    "metaclass base": MetaBase,
}
"""What makes an exception after which the walk goes on, by name."""

ENDING: dict[str, Any] = {
    "KeyboardInterrupt": KeyboardInterrupt,
    "SystemExit": SystemExit,
    "untouchable exit": UntouchableExit,
    "untouchable interrupt": UntouchableInterrupt,
}
"""The same for those that end it."""
