"""The cache backend for Django: Django's semantics, and what reclaim adds to them."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("django", reason="needs Django")

from cache_support import Dice
from django.core.cache.backends.locmem import LocMemCache as DjangosLocMemCache
from tests_support import run_threads

from shrinker.contrib import django as backend
from shrinker.contrib.django import LocMemCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker import Domain
    from shrinker.registration import ShrinkerRegistration

_names = (f"backend-{i}" for i in itertools.count())


@pytest.fixture
def make(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LocMemCache]:
    """Makes caches with locations of their own, in the test's domain."""
    monkeypatch.setattr(backend, "default_domain", lambda: domain)

    def make(location: str | None = None, **options: Any) -> LocMemCache:
        options.setdefault("MAX_ENTRIES", None)
        return LocMemCache(location or next(_names), {"OPTIONS": options})

    return make


def only(domain: Domain) -> ShrinkerRegistration[Any]:
    (registration,) = domain.shrinkers()
    return registration


def check_weight(cache: LocMemCache) -> None:
    """The weight is that of what is there, and each entry has an expiry time."""
    entries = cache._cache
    assert entries.weight == sum(
        backend.ENTRY_BYTES + len(key) + len(value) for key, value in entries.items()
    )
    assert entries.keys() == cache._expire_info.keys()


def test_each_call_does_what_djangos_does(make: Callable[..., LocMemCache]) -> None:
    """The same random calls give the same results, order and expiry times."""
    dice = Dice(5)
    options = {"MAX_ENTRIES": 20, "CULL_FREQUENCY": 3}
    pair = (DjangosLocMemCache(next(_names), {"OPTIONS": options}), make(**options))
    for _ in range(4000):
        key = f"k{dice.randrange(40)}"
        name, *arguments = dice.choice(
            [
                ("set", key, dice.randrange(10**9)),
                ("set", key, "x" * dice.randrange(5000), None),
                ("add", key, dice.randrange(10)),
                ("get", key),
                ("incr", key, dice.randrange(100)),
                ("touch", key),
                ("delete", key),
                ("has_key", key),
                ("set", key, 0, -1),
                ("get_or_set", key, 7),
                ("set_many", {key: 1, "k0": 2}),
                ("get_many", [key, "k0", "k1"]),
                ("clear",) if dice.random() < 0.02 else ("get", key),
            ]
        )
        results = []
        for cache in pair:
            try:
                results.append(getattr(cache, name)(*arguments))
            except (TypeError, ValueError) as error:
                results.append(type(error))
        assert results[0] == results[1], name
        assert list(pair[0]._cache.items()) == list(pair[1]._cache.items())
        check_weight(pair[1])


def test_a_scan_takes_what_was_used_longest_ago(
    domain: Domain, make: Callable[..., LocMemCache]
) -> None:
    """Pages are counted and freed; what is gone is a miss, not an error."""
    cache = make("pages")
    for i in range(100):
        cache.set(i, b"x" * 8192)
    for i in range(30):
        assert cache.get(i) is not None
    registration = only(domain)
    assert registration.name == "django-pages"
    before = registration.count()
    assert before == -(-cache._cache.weight // 4096)
    freed = registration.scan(100)
    assert freed >= 100
    assert registration.count() == before - freed
    check_weight(cache)
    left = [i for i in range(100) if cache.get(i) is not None]
    assert left[:30] == list(range(30))
    assert 40 <= len(left) <= 60
    assert all(cache.get(i) is None for i in range(100) if i not in left)
    domain.reclaim(10**6)
    assert len(cache._cache) == 0
    check_weight(cache)


def test_objects_of_a_location_are_one_shrinker(
    domain: Domain, make: Callable[..., LocMemCache]
) -> None:
    """Each thread of a server has an object of its own for the same entries."""
    location = next(_names)
    caches: list[LocMemCache] = []
    barrier = threading.Barrier(4)

    def begin() -> None:
        barrier.wait(120)
        caches.append(make(location))

    assert run_threads(*[begin] * 4) == []
    caches[0].set("a", 1)
    assert [cache.get("a") for cache in caches] == [1] * 4
    assert only(domain).count() == 1
    make()
    assert len(domain.shrinkers()) == 2


def test_a_locmemcache_of_django_is_apart(make: Callable[..., LocMemCache]) -> None:
    """One of Django with the same location has entries of its own."""
    location = next(_names)
    DjangosLocMemCache(location, {}).set("a", 1)
    assert make(location).get("a") is None


def test_the_limit_of_entries(make: Callable[..., LocMemCache]) -> None:
    """300 as in Django; None is no limit; the older parameter goes first."""
    assert LocMemCache(next(_names), {})._max_entries == 300
    assert make(MAX_ENTRIES=7)._max_entries == 7
    cache = make()
    assert cache._max_entries == math.inf
    for i in range(400):
        cache.set(i, i)
    assert len(cache._cache) == 400
    params = {"max_entries": 5, "OPTIONS": {"MAX_ENTRIES": None}}
    assert LocMemCache(next(_names), params)._max_entries == 5


def test_what_an_entry_costs(domain: Domain, make: Callable[..., LocMemCache]) -> None:
    """REBUILD_SECONDS or SEEKS make the shrinker's seeks."""
    make(SEEKS=7)
    assert only(domain).seeks == 7
    cache = make("costly", REBUILD_SECONDS=0.05)
    for i in range(100):
        cache.set(i, b"x" * 4096)
    (costly,) = (x for x in domain.shrinkers() if x.name == "django-costly")
    costly.count()
    assert 8 <= costly.seeks <= 10
    location = next(_names)
    for _ in range(2):  # Said each time, not only to the first object.
        with pytest.raises(TypeError, match="give one of them"):
            make(location, SEEKS=7, REBUILD_SECONDS=1.0)


def test_growth_is_reported(domain: Domain, make: Callable[..., LocMemCache]) -> None:
    """A set beyond the allowance has memory looked at, with no lock held."""
    cache = make()
    free = []

    def look() -> None:
        free.append(not cache._lock.locked())
        domain._growth.allowance = 100_000

    domain._growth.watch(look)
    try:
        domain._growth.allowance = 100_000
        for i in range(30):
            cache.set(i, b"x" * 10_000)
        for i in range(30, 60):
            assert cache.add(i, b"x" * 10_000)
        assert not cache.add(30, b"x" * 10_000)
    finally:
        domain._growth.unwatch()
    assert free == [True] * 6


def test_it_does_not_grow_under_pressure(
    domain: Domain, make: Callable[..., LocMemCache]
) -> None:
    """A set evicts what it adds; an empty cache takes one entry."""
    cache = make()
    domain._growth.under_pressure = True
    cache.set("first", b"x" * 5000)
    assert cache.get("first") is not None
    domain._growth.under_pressure = False
    for i in range(50):
        cache.set(i, b"x" * 1000)
    before = cache._cache.weight
    domain._growth.under_pressure = True
    for i in range(100, 200):
        cache.set(i, b"y" * 3000)
        assert cache.get(i) is not None
        assert cache._cache.weight <= before
    cache.set("huge", b"x" * 10**6)
    assert cache.get("huge") is not None
    assert len(cache._cache) == 1
    check_weight(cache)


def test_entries_of_all_sizes_under_pressure(
    domain: Domain, make: Callable[..., LocMemCache]
) -> None:
    """A large entry that goes for a small one leaves its room to the next ones."""
    cache = make()
    dice = Dice(4)

    def fill(prefix: str) -> Iterator[int]:
        for i in range(200):
            cache.set(f"{prefix}{i}", b"x" * dice.choice((1_000, 2_000, 200_000)))
            yield cache._cache.weight

    *_, before = fill("first")
    domain._growth.under_pressure = True
    assert all(0.9 * before < weight <= before for weight in fill("next"))
    # What was left is for that shortage.
    cache._cache.spare_room = 100_000
    weight = cache._cache.weight
    domain._growth.under_pressure = False
    domain._growth.under_pressure = True
    cache.set("c", b"x" * 50_000)
    assert cache._cache.weight <= weight
    cache.clear()
    cache.set("a", b"x" * 1_000)
    cache.set("b", b"x" * 1_000)
    assert len(cache._cache) == 1
    check_weight(cache)


def test_threads_and_a_reclaimer(
    fast_switching: None, domain: Domain, make: Callable[..., LocMemCache]
) -> None:
    """Users raise nothing while entries are evicted, and the weight stays exact."""
    location = next(_names)
    ended = threading.Event()

    def use() -> None:
        dice = Dice(3)
        cache = make(location)
        for i in range(1500):
            key = f"k{dice.randrange(50)}"
            cache.set(key, i)
            value = cache.get(key)
            assert value is None or isinstance(value, int)
            cache.touch(key)
            cache.delete(f"k{dice.randrange(50)}")

    def users() -> None:
        try:
            assert run_threads(use, use) == []
        finally:
            ended.set()

    def reclaim() -> None:
        while not ended.is_set():
            domain.reclaim(10)

    assert run_threads(users, reclaim) == []
    check_weight(make(location))


def test_in_djangos_settings() -> None:
    """Django finds it by its dotted name, and its calls for coroutines work."""
    code = """
import asyncio
from django.conf import settings
settings.configure(CACHES={"default": {
    "BACKEND": "shrinker.contrib.django.LocMemCache",
    "LOCATION": "here",
    "OPTIONS": {"MAX_ENTRIES": None},
}})
from django.core.cache import cache
import shrinker
cache.set("a", {"b": [1]})
async def main():
    await cache.aset("c", 2)
    return await cache.aget("a"), await cache.aget("c")
print(asyncio.run(main()))
(ours,) = shrinker.default_domain().shrinkers()
print(ours.name, ours.count())
shrinker.default_domain().drop_slab()
print(cache.get("a"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout.splitlines() == ["({'b': [1]}, 2)", "django-here 1", "None"]


def test_without_django() -> None:
    """The error names what to install."""
    code = """
import sys
sys.modules["django"] = None
try:
    import shrinker.contrib.django
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert "pip install 'shrinker[django]'" in done.stdout
