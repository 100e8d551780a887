"""Caches that give memory back.

``LruCache`` is a mapping and ``cached`` a decorator, both of them shrinkers of a
domain; ``watch`` makes shrinkers of caches that a program already has.
docs/caches.md says what they do and cost.
"""

from shrinker.cache.cached import CachedFunction, CacheInfo, cached
from shrinker.cache.lru import CacheStatistics, LruCache
from shrinker.cache.watch import Watched, watch

__all__ = [
    "CacheInfo",
    "CacheStatistics",
    "CachedFunction",
    "LruCache",
    "Watched",
    "cached",
    "watch",
]
