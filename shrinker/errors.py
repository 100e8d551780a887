"""Exceptions, and the checks of integer and of boolean arguments.

``ShrinkerError`` is the root of what the library raises about the state of its
objects: closed, used up, or used at the wrong time.  A wrong argument is a
``TypeError`` or ``ValueError``, raised before anything has changed.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CallbackErrors", "ShrinkerError", "check_bool", "check_int"]


class ShrinkerError(Exception):
    """Root of the library's own exceptions."""


class CallbackErrors(ShrinkerError, ExceptionGroup[Exception]):  # noqa: N818
    """Callbacks raised; the walk went on with the other shrinkers.

    ``exceptions`` holds the first exception of each shrinker.  A note on it says
    which callback of which shrinker raised it, another how many more that shrinker
    raised in this walk.
    """

    result: Any
    """What the call would have returned."""

    def __new__(
        cls, message: str, exceptions: Sequence[Exception], result: object = None
    ) -> Self:
        """Make a group that carries the walk's result as well."""
        self = ExceptionGroup.__new__(cls, message, exceptions)
        self.result = result
        return self

    def __init__(
        self, message: str, exceptions: Sequence[Exception], result: object = None
    ) -> None:
        super().__init__(message, exceptions)
        self.result = result

    def derive(self, exceptions: Sequence[Exception], /) -> CallbackErrors:  # type: ignore[override]
        """Keep ``result`` in the parts that ``split`` and ``except*`` make."""
        return CallbackErrors(self.message, exceptions, self.result)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.exceptions, self.result)


def check_int(name: str, value: object, low: int, high: int) -> int:
    """Return ``value`` if it is an integer in ``low`` to ``high``.

    Raises ``TypeError`` for anything but an ``int``, ``bool`` included, and
    ``ValueError`` out of range.
    """
    if type(value) is int and low <= value <= high:
        return value  # The usual case, on the way into every walk.
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    number = operator.index(value)  # A subclass may override comparisons.
    if not low <= number <= high:
        raise ValueError(f"{name} must be {low} to {high}, not {number}")
    return number


def check_bool(name: str, value: object) -> bool:
    """Return ``value`` if it is True or False; raises ``TypeError`` for all else.

    Other types are refused because ``"no"``, for example, would count as true.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, not {type(value).__name__}")
    return value
