"""``Tallies``: hits and misses of each instance of a cached method, where asked for."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from shrinker.cache.entries import count_one

if TYPE_CHECKING:
    from shrinker.cache.entries import Store

__all__ = ["Tallies", "entries_of"]


class Tallies:
    """What happened to the calls for each object that was the first argument.

    By address, so objects that are equal are apart.  An object's tally goes with it.
    """

    def __init__(self) -> None:
        self._tallies: dict[int, tuple[weakref.ref[Any], dict[str, int]]] = {}

    def __call__(self, what: str, *arguments: Any) -> None:
        """Count a call: ``what`` is ``hits`` or ``misses``."""
        if not arguments:
            return
        address = id(arguments[0])
        found = self._tallies.get(address)
        if found is None:
            tallies = self._tallies
            try:
                reference = weakref.ref(
                    arguments[0], lambda _: tallies.pop(address, None)
                )
            except TypeError:  # Its type allows none.
                return
            found = tallies.setdefault(address, (reference, {}))
        count_one(found[1], what)

    def of(self, instance: object) -> tuple[int, int]:
        """Return hits and misses."""
        _, tally = self._tallies.get(id(instance), (None, {}))
        return tally.get("hits", 0), tally.get("misses", 0)

    def clear(self) -> None:
        """Set all to 0."""
        self._tallies.clear()


def entries_of(instance: object, store: Store) -> int:
    """Return how many entries a method's cache has for an instance."""
    return sum(
        isinstance(key, tuple) and bool(key) and _is_of(key[0], instance)
        for key in store.keys()  # noqa: SIM118 - not a mapping
    )


def _is_of(first: object, instance: object) -> bool:
    if isinstance(first, weakref.ref):
        return first() is instance
    return first is instance or first == instance
