"""``Cache`` where entries differ in size: the largest ones for their hits go first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cache_support import Dice

from shrinker.cache import Cache

if TYPE_CHECKING:
    from shrinker import Domain

ENTRIES = 200


def weighed(domain: Domain, weights: dict[int, int]) -> Cache[int, int]:
    """Return a cache that is full of entries with these weights."""
    cache: Cache[int, int] = Cache(
        sum(weights.values()), weigher=lambda _, value: value, domain=domain
    )
    cache.update(weights)
    return cache


def add(cache: Cache[int, int], nr: int, weight: int = 1) -> None:
    """Set new keys, one after the other."""
    start = 1_000_000 + cache.statistics().evicted
    for key in range(start, start + nr):
        cache[key] = weight


@pytest.mark.parametrize("place", [0, 100, ENTRIES - 1])
def test_a_large_entry_goes_first(domain: Domain, place: int) -> None:
    """Wherever it stands in the order: sets look at some entries, and find it soon."""
    cache = weighed(domain, {**dict.fromkeys(range(ENTRIES), 1), place: 100})
    add(cache, 30)
    assert place not in cache
    assert cache.statistics().evicted < 30
    assert cache.weight <= cache.maxsize


def test_a_large_entry_that_is_used_stays(domain: Domain) -> None:
    """One of a hundredfold size, as long as it has so many more hits."""
    cache = weighed(domain, {**dict.fromkeys(range(ENTRIES), 1), 100: 100})
    for _ in range(20):
        for _ in range(30):
            cache[100]
        add(cache, 20)
    assert 100 in cache


@pytest.mark.parametrize("weight", [100, 10_000])
def test_a_large_entry_in_use_stays(weight: int, domain: Domain) -> None:
    """However large: the others are asked for once."""
    cache = weighed(domain, {**dict.fromkeys(range(ENTRIES), 1), 100: weight})
    misses = 0
    for _ in range(500):
        add(cache, 1)
        if cache.get(100) is None:
            misses += 1
            cache[100] = weight
    assert misses < 10


def test_equal_ones_go_in_their_order(domain: Domain) -> None:
    """There is nothing to choose."""
    cache = weighed(domain, dict.fromkeys(range(ENTRIES), 7))
    add(cache, 40, 7)
    assert list(cache)[40:] == list(range(40, ENTRIES))


def test_a_few_go_in_their_order(domain: Domain) -> None:
    """Of a few entries a large one would go each time."""
    cache = weighed(domain, {**dict.fromkeys(range(50), 1), 30: 10})
    add(cache, 15)
    assert 30 in cache


def test_scans_go_by_the_order(domain: Domain) -> None:
    """They are asked for pages: a large one is as good as many small ones."""
    cache = weighed(domain, {**dict.fromkeys(range(ENTRIES), 4096), 100: 409_600})
    cache.registration.scan(50)
    assert list(cache) == list(range(50, ENTRIES))


def test_a_set_never_evicts_its_own_entry(domain: Domain) -> None:
    """However large it is."""
    cache = weighed(domain, {n: 1 + n % 7 for n in range(ENTRIES)})
    for key in range(1000, 1300):
        cache[key] = 200 + key % 5
        assert key in cache
        assert cache.weight <= cache.maxsize


def test_under_pressure_too(domain: Domain) -> None:
    """Also where entries weigh themselves, which a ``maxsize`` only counts."""
    cache: Cache[int, bytes] = Cache(domain=domain)
    cache.update((n, bytes(100)) for n in range(ENTRIES))
    cache[100] = bytes(100_000)
    domain.under_pressure = True
    for key in range(1000, 1030):
        cache[key] = bytes(100)
    assert 100 not in cache
    assert len(cache) > ENTRIES


def test_what_was_there_before_a_fork_stays(domain: Domain) -> None:
    """It is the parent's memory: evicting it would free nothing."""
    cache: Cache[int, int] = Cache(weigher=lambda _, value: value, domain=domain)
    cache.update((n, 100 + n % 7) for n in range(ENTRIES))
    cache._store.keep_all()  # As in the child of a fork.
    cache.update((n, 1 + n % 7) for n in range(1000, 1100))
    domain.under_pressure = True
    for key in range(2000, 2400):
        cache[key] = 1 + key % 7
    assert list(cache)[:ENTRIES] == list(range(ENTRIES))
    assert len(cache) < ENTRIES + 200


def test_none_hides_behind_another(domain: Domain) -> None:
    """Large entries behind others in their bucket go, too; else they would gather."""
    cache: Cache[int, int] = Cache(
        20_000, weigher=lambda _, value: value, domain=domain
    )
    dice = Dice(1)
    for large in range(1_000_000, 1_010_000):
        cache[large] = 100
        for _ in range(8):
            key = dice.randrange(15_000)
            if cache.get(key) is None:
                cache[key] = 2
    assert sum(key >= 1_000_000 for key in cache) < 60
