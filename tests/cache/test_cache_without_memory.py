"""Python's own memory runs out in each operation of a cache.

CPython's test module makes one allocation fail: the n-th, for each n.  The operation
raises MemoryError or does without, and the cache stays whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from no_memory_support import shortages

from shrinker.cache import Cache, cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import Domain

pytestmark = [
    pytest.mark.one_thread("it fails allocations of all threads"),
    pytest.mark.untraced("a tracer asks for memory as well"),
    # What is evicted where there is no memory to log it.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ENTRIES = 15


class Key:
    """A key whose hash and comparison are Python code."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.number == other.number


KEYS = [Key(i) for i in range(300, 340)]


class Shop:
    """An object with a decorated method."""


def filled(domain: Domain, **settings: Any) -> Cache[Any, Any]:
    made: Cache[Any, Any] = Cache(30, domain=domain, **settings)
    for i in range(ENTRIES):
        made[Key(i)] = object()
    return made


def fill(cache: Cache[Any, Any]) -> None:
    for key in KEYS:
        cache[key] = object()


OPERATIONS: dict[str, Callable[[Cache[Any, Any]], Any]] = {
    "set": lambda cache: cache.__setitem__(KEYS[0], object()),
    "fill": fill,
    "get": lambda cache: cache.get(KEYS[3]),
    "miss": lambda cache: cache.get(Key(999), 7),
    "in": lambda cache: Key(3) in cache,
    "pop": lambda cache: cache.pop(Key(5), None),
    "popitem": lambda cache: cache.popitem(),
    "setdefault": lambda cache: cache.setdefault(KEYS[9], object()),
    "get_or_set": lambda cache: cache.get_or_set(KEYS[9], object),
    "update": lambda cache: cache.update({KEYS[1]: 1, KEYS[2]: 2}),
    "keys": list,
    "items": lambda cache: list(cache.items()),
    "values": lambda cache: list(cache.values()),
    "repr": repr,
    "statistics": lambda cache: cache.statistics(),
    "clear": lambda cache: cache.clear(),
    "delete": lambda cache: cache.__delitem__(next(iter(cache))),
    "close": lambda cache: cache.close(),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {"weigher": None},
    "sampled": {},
    "weighed": {"weigher": lambda key, value: 5, "on_evict": lambda key, value: None},
    "aged": {"weigher": None, "min_age": 0.001},
    "timed": {"weigher": None, "ttl": 1000.0},
}


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("all_fail", [False, True])
def test_operations(
    domain: Domain, operation: str, settings: str, *, all_fail: bool
) -> None:
    """After each failure entries, order and weights agree, and a retry works."""
    each = 5 if settings == "weighed" else 1
    for short_of_memory in shortages(all_fail=all_fail):
        cache = filled(domain, **SETTINGS[settings])
        short_of_memory(lambda: OPERATIONS[operation](cache))  # noqa: B023
        items = list(cache.items())
        assert len(items) == len(cache) == len(dict(items))
        if settings != "sampled":
            assert cache.weight == each * len(cache)
        OPERATIONS[operation](cache)
        cache.clear()
        assert cache.weight == 0
        cache.close()


@pytest.mark.parametrize("all_fail", [False, True])
def test_decorated_functions(domain: Domain, *, all_fail: bool) -> None:
    """The call raises, or has its result, which is kept or computed again."""

    def make(*_: Any, **__: Any) -> list[int]:
        return [1]

    class Named(Shop):
        price = cached(domain=domain, maxsize=20)(make)

    function = cached(domain=domain, maxsize=20, typed=True)(make)
    named = Named()
    calls: list[Callable[[], Any]] = [
        lambda: function(1, 2, 3, a=4),
        lambda: function(1.0, b="x"),
        lambda: function.__call__(1, 2, b=5),
        lambda: function.cache_discard(1, 2, 3, a=4),
        function.cache_info,
        function.cache_parameters,
        function.cache_clear,
        lambda: named.price(1, b=2),
        lambda: Named.price(named, 1, b=2),
        named.price.cache_info,
        lambda: repr(function),
    ]
    for call in calls:
        for short_of_memory in shortages(all_fail=all_fail):
            function.cache_clear()
            short_of_memory(call)
    assert function(1, 2, 3, a=4) == named.price(1, b=2) == [1]


@pytest.mark.parametrize("all_fail", [False, True])
def test_reclaim(domain: Domain, *, all_fail: bool) -> None:
    """A walk raises before it begins, or goes on; the next one is whole."""
    with filled(domain, weigher=None, on_evict=lambda key, value: None) as cache:
        walks: list[Callable[[], int]] = [
            lambda: domain.shrink_slab(priority=3),
            lambda: domain.reclaim(3),
            domain.drop_slab,
        ]
        for walk in walks:
            for short_of_memory in shortages(all_fail=all_fail):
                fill(cache)
                short_of_memory(walk)
                assert len(dict(cache.items())) == len(cache) == cache.weight
        fill(cache)
        assert domain.drop_slab() > 0
        assert len(cache) == 0
