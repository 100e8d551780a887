"""``Givers``: which caches gave most in a reclaim, to name them in the log."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shrinker.builder import ShrinkerRegistration

__all__ = ["Givers"]

NAMED = 3
"""Caches that are named at most."""
MOST_ASKED = 100
"""Of more caches none is asked: they are many to ask, and each gives little."""


class Givers:
    """Remembers what registrations have freed so far."""

    __slots__ = ("_before",)

    def __init__(self, registrations: Sequence[ShrinkerRegistration[Any]] = ()) -> None:
        if len(registrations) > MOST_ASKED:
            registrations = ()
        self._before = [(each, each.statistics().freed) for each in registrations]

    def most(self) -> tuple[tuple[str, int], ...]:
        """Return who has freed most since, by name, and how much; the first first."""
        freed: collections.Counter[str] = collections.Counter()
        for registration, before in self._before:
            freed[registration.name] += registration.statistics().freed - before
        return tuple(
            (name, number) for name, number in freed.most_common(NAMED) if number
        )
