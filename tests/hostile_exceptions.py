"""Exceptions that do not want to be looked at, and some that lie."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

__all__ = ["ENDING", "EXCEPTIONS"]


class Untouchable:
    """A mix-in: whatever is read of it, written or compared, raises itself."""

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
    """Answers with an exception that no ``except Exception`` catches."""

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
    """Says that it is an interrupt; it is none."""

    __class__ = KeyboardInterrupt  # type: ignore[assignment]


class LyingBase(BaseException):
    """Says that it is an ``Exception``; a group of such could not hold it."""

    __class__ = ValueError  # type: ignore[assignment]


class Meta(type):
    """Its classes answer no question, not even for their name.

    One: Python itself, as it raises, asks whether an exception's class is a subclass
    of itself.
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
