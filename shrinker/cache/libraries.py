"""Caches of other libraries: their adapters, and which adapter a cache has.

No library is imported here.  An object of a library's class can only exist where the
library was imported, so its module is looked up in ``sys.modules``.
"""

from __future__ import annotations

import functools
import heapq
import inspect
import operator
import sys
from typing import Any

from shrinker.cache.adapters import (
    Adapter,
    CountAndEvict,
    DictEntries,
    LruFunction,
    PopitemEntries,
)

__all__ = ["adapter_for", "name_of", "unwrap"]

_LruFunctionType = type(functools.lru_cache(len))  # That of functools.cache as well.


class CachetoolsEntries(PopitemEntries):
    """A ``cachetools.Cache``: evicts by ``popitem()``, which is its own policy.

    Where it has a ``getsizeof``, its ``currsize`` is in bytes.  A TTLCache removes
    expired entries in its own properties, so those of the base class are read.
    """

    def entries(self, cache: Any) -> int:
        """Return the length, expired entries included; removes none."""
        return _class("cachetools", "Cache").__len__(cache)  # type: ignore[no-any-return]

    def own_weight(self, cache: Any) -> float | None:
        """Return ``currsize``, expired entries included; removes none."""
        base = _class("cachetools", "Cache")
        if cache.getsizeof is base.getsizeof:
            return None
        return base.currsize.fget(cache)  # type: ignore[no-any-return]

    def evict(self, cache: Any, n: int, evicted: list[Any]) -> int:
        """Remove expired entries, then pop the rest of ``n``."""
        before = self.entries(cache)
        expire = getattr(cache, "expire", None)
        if callable(expire):
            evicted.append(expire())
        super().evict(cache, max(n - before + self.entries(cache), 0), evicted)
        return max(before - self.entries(cache), 0)


class ZictLru(Adapter):
    """A ``zict.LRU``: evicts by ``evict()``, with its callbacks.

    Where it has a ``weight``, its ``total_weight`` is in bytes.
    """

    def lru(self, cache: Any) -> Any:
        """Return the LRU."""
        return cache

    def entries(self, cache: Any) -> int:
        """Return the length."""
        return len(self.lru(cache))

    def own_weight(self, cache: Any) -> float | None:
        """Return ``total_weight``."""
        lru = self.lru(cache)
        if lru.weight in _default_weights_of_zict():
            return None
        return lru.total_weight  # type: ignore[no-any-return]

    def evict(self, cache: Any, n: int, evicted: list[Any]) -> int:
        """Evict the ``n`` entries used longest ago, as far as its users let it."""
        lru = self.lru(cache)
        freed = 0
        # An RLock: it would let this thread in where it is changing the LRU.
        for _ in range(0 if lru.lock._is_owned() else min(n, self.entries(cache))):
            entry = lru.evict()
            if entry[0] is None:  # Set again meanwhile, by a callback or a thread.
                break
            evicted.append(entry)
            freed += 1
        return freed


class ZictBuffer(ZictLru):
    """A ``zict.Buffer``: moves entries from its fast mapping to its slow one.

    It needs a guard, though its users find the entries there, and it has locks of its
    own: a lookup in one thread and an eviction in another one may lead to a KeyError.
    """

    def lru(self, cache: Any) -> Any:
        """Return the fast mapping."""
        return cache.fast


class SqlalchemyEntries(Adapter):
    """An ``LRUCache`` of SQLAlchemy: evicts the entries used longest ago.

    Its users call ``get()``, and expect other threads to evict.
    """

    thread_safe = True

    def entries(self, cache: Any) -> int:
        """Return the length."""
        return len(cache._data)

    def evict(self, cache: Any, n: int, evicted: list[Any]) -> int:
        """Delete the ``n`` entries with the lowest counts of use."""
        # An entry is (key, value, [count]).
        entries = list(cache._data.values())
        oldest = heapq.nsmallest(n, entries, key=operator.itemgetter(2))
        evicted += oldest
        return sum(cache._data.pop(entry[0], None) is not None for entry in oldest)


class JinjaEntries(Adapter):
    """An ``LRUCache`` of Jinja: evicts the entries used longest ago.

    Its users call ``get()``, and expect other threads to evict.  It comes with a lock,
    under which it changes its mapping and its queue of keys.
    """

    @staticmethod
    def lock_of(cache: Any) -> Any:
        """Return its lock."""
        return cache._wlock

    def entries(self, cache: Any) -> int:
        """Return the length."""
        return len(cache._mapping)

    def evict(self, cache: Any, n: int, evicted: list[Any]) -> int:
        """Delete the first ``n`` keys of the queue."""
        freed = 0
        while freed < n and cache._queue:
            key = cache._queue.popleft()
            evicted.append((key, cache._mapping.pop(key, None)))
            freed += 1
        return freed


class DjangoEntries(Adapter):
    """A ``LocMemCache`` of Django: evicts the entries used longest ago.

    It comes with a lock, under which it changes its entries and their expiry times.
    Each thread has an object of its own for the same entries.
    """

    @staticmethod
    def lock_of(cache: Any) -> Any:
        """Return its lock."""
        return cache._lock

    @staticmethod
    def shared_by(cache: Any) -> Any:
        """Return the entries."""
        return cache._cache

    def entries(self, cache: Any) -> int:
        """Return the length."""
        return len(cache._cache)

    def own_weight(self, cache: Any) -> float | None:
        """Return what ``shrinker.contrib.django`` weighs; Django itself has none."""
        return getattr(cache._cache, "weight", None)

    def evict(self, cache: Any, n: int, evicted: list[Any]) -> int:
        """Pop ``n`` entries, with their expiry times, as the cache itself does."""
        freed = 0
        while freed < n and cache._cache:
            entry = cache._cache.popitem()
            evicted.append((*entry, cache._expire_info.pop(entry[0], None)))
            freed += 1
        return freed


class AsyncLruFunction(LruFunction):
    """A function under ``async_lru.alru_cache``: as one under ``lru_cache``."""

    thread_safe = False
    needs_loop = True


_KINDS: tuple[tuple[str, str, type[Adapter] | None], ...] = (
    ("cachetools", "Cache", CachetoolsEntries),
    ("zict", "Buffer", ZictBuffer),
    ("zict", "LRU", ZictLru),
    ("zict.common", "ZictBase", None),  # Not a cache, but a file, a database, ...
    ("sqlalchemy.util", "LRUCache", SqlalchemyEntries),
    ("jinja2.utils", "LRUCache", JinjaEntries),
    ("django.core.cache.backends.locmem", "LocMemCache", DjangoEntries),
    ("async_lru", "_LRUCacheWrapper", AsyncLruFunction),
)


def adapter_for(cache: Any) -> type[Adapter] | None:
    """Return the adapter for this kind of cache, or None."""
    if callable(getattr(cache, "count", None)) and callable(
        getattr(cache, "evict", None)
    ):
        return CountAndEvict
    if isinstance(cache, _LruFunctionType):
        return LruFunction
    if isinstance(cache, dict):
        return DictEntries
    for module, name, kind in _KINDS:
        if _is_a(cache, module, name):
            return kind
    if callable(getattr(cache, "popitem", None)) and hasattr(type(cache), "__len__"):
        return PopitemEntries
    return None


def unwrap(x: Any) -> tuple[Any, Any]:
    """Return the cache behind ``x``, and the lock that belongs to it or None.

    For a method that is its function; for a function under ``cachetools.cached``, its
    cache and lock; for a proxy of Django, the cache of its alias.  Raises ``TypeError``
    for a method under ``cachetools.cachedmethod`` that does not tell which object's
    cache is meant, and for the dict in a ``LocMemCache``.
    """
    if _is_a(x, "django.utils.connection", "ConnectionProxy"):
        return x._connections[x._alias], None
    if _is_a(x, "async_lru", "_LRUCacheWrapperInstanceMethod"):
        return x._LRUCacheWrapperInstanceMethod__wrapper, None
    caches = _class("django.core.cache.backends.locmem", "_caches") or {}
    if any(x is inside for inside in caches.values()):
        raise TypeError(
            "this dict is a part of a LocMemCache, which would not know of evictions:"
            " watch the cache itself, as in watch(caches['default'])"
        )
    function = getattr(x, "__func__", x)
    if isinstance(function, _LruFunctionType):
        return function, None
    if callable(function) and hasattr(function, "cache_lock"):
        cache, lock = getattr(function, "cache", None), function.cache_lock
        if not callable(cache):
            return cache, lock
        # Up to cachetools 6: `cache` is a function from an object to its cache.
    elif not type(x).__module__.startswith("cachetools.") or not callable(x):
        return x, None
    raise TypeError(
        f"{name_of(x)} is under cachetools.cachedmethod, and each object has a cache"
        " of its own: watch that, as in watch(self.cache, lock=self.lock)"
    )


def name_of(x: Any) -> str:
    """Return the name of a function, or else of the type of ``x``."""
    return str(getattr(x, "__qualname__", type(x).__qualname__))


def _class(module: str, name: str) -> Any:
    """Return a class of a library; None where the library was never imported."""
    return getattr(sys.modules.get(module), name, None)


def _is_a(x: object, module: str, name: str) -> bool:
    kind = _class(module, name)
    return kind is not None and isinstance(x, kind)


@functools.cache
def _default_weights_of_zict() -> list[Any]:
    """Return the functions by which each entry weighs 1."""
    return [
        inspect.signature(_class("zict", name)).parameters["weight"].default
        for name in ("LRU", "Buffer")
    ]
