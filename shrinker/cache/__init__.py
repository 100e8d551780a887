"""Caches that give memory back.

``Cache`` is a mapping and ``cached`` a decorator; both are shrinkers of a domain.
``watch`` makes shrinkers of caches that a program already has.  docs/caches.md has
what they do and what they cost.
"""

from shrinker.cache.cache import Cache, CacheStatistics
from shrinker.cache.cached import CachedFunction, CacheInfo, cached
from shrinker.cache.sizeof import sizeof
from shrinker.cache.watch import Watched, watch

__all__ = [
    "Cache",
    "CacheInfo",
    "CacheStatistics",
    "CachedFunction",
    "Watched",
    "cached",
    "sizeof",
    "watch",
]
