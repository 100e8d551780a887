"""Exceptions, and checks of arguments that several modules make.

``ShrinkerError`` is the root of what the library raises about its own objects
(something is closed, consumed, or used at the wrong time).  A wrong argument
is a ``TypeError`` or ``ValueError`` as everywhere in Python, and nothing has
changed when it is raised.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shrinker.one_pass import PassResult

__all__ = ["CallbackErrors", "ShrinkerError", "StallError", "check_int"]


class ShrinkerError(Exception):
    """Root of the library's own exceptions."""


class StallError(ShrinkerError):
    """``run_pass`` wanted more scan calls than ``max_calls``.

    A kernel might go on for ever (docs/specification.md, "Where we protect the
    user").
    """

    def __init__(self, message: str, partial: PassResult) -> None:
        super().__init__(message)
        self.partial = partial
        """The pass so far, as if the callback had then said STOP."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (*self.args, self.partial)


class CallbackErrors(ShrinkerError, BaseExceptionGroup[Exception]):  # noqa: N818
    """Callbacks raised; the walk went on with the other shrinkers.

    ``exceptions`` has the first exception of each shrinker, with a note that
    counts the rest.
    """

    result: Any
    """What the call would have returned."""

    def __new__(
        cls, message: str, exceptions: Sequence[Exception], result: object = None
    ) -> Self:
        """Make a group that also knows the walk's result."""
        self = BaseExceptionGroup.__new__(cls, message, exceptions)
        self.result = result
        return self

    def __init__(
        self, message: str, exceptions: Sequence[Exception], result: object = None
    ) -> None:
        super().__init__(message, exceptions)
        self.result = result

    def derive(self, exceptions: Sequence[Exception], /) -> CallbackErrors:  # type: ignore[override]
        """Keep ``result`` when ``split`` or ``except*`` takes a part."""
        return CallbackErrors(self.message, exceptions, self.result)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.exceptions, self.result)


def check_int(name: str, value: object, low: int, high: int) -> int:
    """Return ``value`` if it is an integer in ``low`` to ``high``.

    Raises ``TypeError`` for anything but an ``int`` (a ``bool`` or ``float`` is
    none) and ``ValueError`` out of range.
    """
    if type(value) is int and low <= value <= high:
        return value  # The usual case, on the way into every walk.
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    number = operator.index(value)  # Whatever a subclass says of itself.
    if not low <= number <= high:
        raise ValueError(f"{name} must be {low} to {high}, not {number}")
    return number
