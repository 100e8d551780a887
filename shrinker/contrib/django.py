"""A cache backend for Django that gives memory back.

It is a subclass of Django's ``LocMemCache``, to be used in its place::

    CACHES = {
        "default": {
            "BACKEND": "shrinker.contrib.django.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": None, "REBUILD_SECONDS": 0.05},
        }
    }

Needs Django (``pip install 'shrinker[django]'``).
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import Any

try:
    from django.core.cache.backends import locmem
    from django.core.cache.backends.base import DEFAULT_TIMEOUT
except ImportError as error:
    raise ImportError(
        "shrinker.contrib.django needs Django: pip install 'shrinker[django]'"
    ) from error

from shrinker.cache.watch import watch
from shrinker.domain import default_domain

__all__ = ["LocMemCache"]

ENTRY_BYTES = 250
"""Bytes of an entry beside the characters of its key and its pickled value.

The headers of both, the expiry time, and the places in two dictionaries: 203 to 236 by
tracemalloc, and a little that malloc adds.
"""

_making = threading.Lock()


class LocMemCache(locmem.LocMemCache):  # type: ignore[misc]
    """Django's ``LocMemCache`` as a shrinker of the default domain.

    Each ``LOCATION`` is one shrinker, which weighs its entries.  A scan evicts those
    that were used longest ago.  While ``under_pressure`` is set, a set evicts as much
    as it adds.

    ``OPTIONS`` has two more entries.  ``REBUILD_SECONDS`` is the time to make an entry
    anew; ``SEEKS`` are those of a page of 4 KiB.  Give one of them or neither; the
    first object of a ``LOCATION`` decides.  ``MAX_ENTRIES`` None means that only memory
    limits the entries; it is 300 by default, as in Django.
    """

    _cache: _Entries

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        # A name of our own: a LocMemCache of Django may have this location, too.
        own_name = f"shrinker.contrib.django:{name}"
        entries = locmem._caches.setdefault(own_name, _Entries())
        super().__init__(own_name, params)
        options = params.get("OPTIONS", {})
        if options.get("MAX_ENTRIES", 0) is None and "max_entries" not in params:
            self._max_entries = math.inf
        # Each thread of a server makes an object for the same entries.
        with _making:
            if not entries.watched:
                watch(
                    self,
                    name=f"django-{name}" if name else "django",
                    rebuild_seconds=options.get("REBUILD_SECONDS"),
                    seeks=options.get("SEEKS"),
                    domain=entries.domain,
                )
                entries.watched = True

    def add(
        self,
        key: Any,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        """Set a value unless the key has one; return whether it was set."""
        added: bool = super().add(key, value, timeout=timeout, version=version)
        self._cache.report_growth()
        return added

    def set(
        self,
        key: Any,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> None:
        """Set a value."""
        super().set(key, value, timeout=timeout, version=version)
        self._cache.report_growth()

    def _set(
        self, key: str, value: bytes, timeout: float | None = DEFAULT_TIMEOUT
    ) -> None:
        """Set a pickled value; the lock is held."""
        entries = self._cache
        room = entries.weight
        # None of an earlier shortage: others may have that memory now.
        if entries.spare_pressure == entries.growth.pressures:
            room += entries.spare_room
        super()._set(key, value, timeout)
        entries.spare_room = 0
        if entries.growth.under_pressure:
            limit = max(room, _weight(key, value))
            while entries.weight > limit:
                evicted, _ = entries.popitem()
                del self._expire_info[evicted]
            entries.spare_room = limit - entries.weight
            entries.spare_pressure = entries.growth.pressures


class _Entries(OrderedDict[str, bytes]):
    """The entries of a ``LOCATION``, the most recently used first.

    Invariant: ``weight`` is the sum of the entries' weights.  All but reading is under
    the lock of the cache.
    """

    def __init__(self) -> None:
        super().__init__()
        self.domain = default_domain()
        self.growth = self.domain._growth
        self.watched = False
        self.weight = 0
        """Bytes of all entries."""
        self.spare_room = 0
        """Bytes that the last set under pressure has evicted beyond what it added."""
        self.spare_pressure = 0
        """How many shortages there had been then."""

    def __setitem__(self, key: str, value: bytes) -> None:
        old = self.get(key)
        super().__setitem__(key, value)
        grown = len(value) - len(old) if old is not None else _weight(key, value)
        self.weight += grown
        if grown > 0:
            self.growth.add(grown)

    def __delitem__(self, key: str) -> None:
        value = self[key]
        super().__delitem__(key)
        self.weight -= _weight(key, value)

    def popitem(self, last: bool = True) -> tuple[str, bytes]:
        """Take out the entry at one end."""
        for key in reversed(self) if last else iter(self):
            value = self[key]
            del self[key]
            return key, value
        raise KeyError("the cache is empty")

    def clear(self) -> None:
        """Take out all entries."""
        super().clear()
        self.weight = self.spare_room = 0

    def report_growth(self) -> None:
        """Have the reclaimer look at memory once caches have used their allowance."""
        growth = self.growth
        if growth.grown > growth.allowance:
            growth.exceeded()


def _weight(key: str, value: bytes) -> int:
    return ENTRY_BYTES + len(key) + len(value)
