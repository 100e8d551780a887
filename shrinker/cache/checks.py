"""Checks of what caches are given: sizes, times and functions; and where that was."""

from __future__ import annotations

import inspect
import math
import operator
import sys
from types import BuiltinFunctionType
from typing import Any

from shrinker.errors import check_int

__all__ = [
    "caller",
    "check_seconds",
    "check_size",
    "check_takes",
    "check_ttl",
    "check_weigher",
    "plain_int",
]


def check_size(name: str, value: object, low: int, high: int) -> int:
    """Return ``value`` as ``check_int`` does; numpy's integers, too, become an ``int``.

    Sizes are often sums of arrays, so all types with ``__index__`` are integers here.
    """
    if type(value) is int and low <= value <= high:
        return value  # The usual case, at every insert.
    return check_int(name, plain_int(value), low, high)


def plain_int(value: Any) -> Any:
    """Return an integer of another type, such as numpy's, as an ``int``."""
    if isinstance(value, int) or not hasattr(type(value), "__index__"):
        return value
    return operator.index(value)


def check_seconds(name: str, value: object) -> float:
    """Return ``value`` if it is a number of seconds, 0 or more, or infinity."""
    seconds = _number(name, value)
    # Not `seconds < 0`, which is false of NaN.
    if not seconds >= 0:
        raise ValueError(f"{name} must be 0 or more seconds, not {seconds:g}")
    return seconds


def check_ttl(ttl: object) -> float:
    """Return a ``ttl`` as C wants it: seconds, or 0 for entries that never expire."""
    if ttl is None:
        return 0.0
    seconds = _number("ttl", ttl)
    if not seconds > 0:
        raise ValueError(f"ttl must be more than 0 seconds, or None, not {seconds:g}")
    return 0.0 if math.isinf(seconds) else seconds


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:  # An integer that no float can hold.
        return math.inf if value > 0 else -math.inf


def check_weigher(weigher: object, *arguments: str) -> None:
    """Raise ``TypeError`` for what cannot return the weight of an entry.

    As far as it can be told: a call of a type returns an instance, which is mostly no
    integer; and ``int(key, value)`` reads a number in a base.
    """
    check_takes("weigher", weigher, *arguments)
    if not isinstance(weigher, type):
        return
    if not isinstance(weigher.__new__, BuiltinFunctionType):
        return  # It may return anything.
    reads_a_base = issubclass(weigher, int) and len(arguments) > 1
    if reads_a_base or not hasattr(weigher, "__index__"):
        raise TypeError(
            f"weigher({', '.join(arguments)}) must return a number of bytes, which the"
            f" type {weigher.__name__} does not"
        )


def check_takes(name: str, value: object, *arguments: str) -> None:
    """Raise ``TypeError`` for what is not None and cannot be called like that.

    As far as it can be told: some functions of C do not say what they take.
    """
    if value is None:
        return
    if not callable(value):
        raise TypeError(f"{name} must be callable, not {type(value).__name__}")
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        of = getattr(value, "__qualname__", type(value).__qualname__)
        raise TypeError(
            f"{name} is called as {name}({', '.join(arguments)}), which {of}{signature}"
            f" does not allow: {error}"
        ) from None


def caller() -> str:
    """Return module and line of the call of the function that calls this."""
    try:
        frame = sys._getframe(2)
    except ValueError:  # Not called by Python, but by a thread's start, say.
        return "?:0"
    return f"{frame.f_globals.get('__name__', '?')}:{frame.f_lineno}"
