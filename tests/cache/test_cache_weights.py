"""``Cache``: weights, pages, and no growth under pressure."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import Dice, Index, check_sound
from tests_support import Cache as Objects
from tests_support import register

from shrinker.cache import Cache
from shrinker.growth import PAGE_SIZE

if TYPE_CHECKING:
    from shrinker import Domain


# --- weights -------------------------------------------------------------------------


def test_a_weighing_cache_counts_pages(domain: Domain) -> None:
    """Counts are pages, rounded up; results of scans add up to exactly the count."""
    cache: Cache[int, bytes] = Cache(weigher=lambda k, v: len(v), domain=domain)
    dice = Dice(1)
    for n in range(2_000):
        cache[n] = bytes(dice.randrange(300))
    pages = cache.registration.count()
    assert pages == -(-cache.weight // PAGE_SIZE)
    freed = 0
    while cache.weight:
        before = cache.registration.count()
        now = cache.registration.scan(3)
        assert before - now == cache.registration.count()
        freed += now
    assert freed == pages


def test_a_scan_may_ask_for_everything(domain: Domain) -> None:
    """A scan of 2**64 - 1 objects returns what it has freed."""
    cache = Cache[int, int](weigher=lambda k, v: v, domain=domain)
    cache.update(dict.fromkeys(range(10), PAGE_SIZE))
    assert cache.registration.scan(2**64 - 1) == 10
    assert cache.weight == 0


def test_a_large_entry_counts_as_all_of_its_pages(domain: Domain) -> None:
    """A scan reports all pages of an entry as scanned, not only those asked for."""
    cache: Cache[int, int] = Cache(weigher=lambda k, v: v, domain=domain)
    cache[1] = cache[2] = 1000 * PAGE_SIZE
    assert domain.shrink_slab(priority=0) == 2000
    # Two calls evict all; the batches of a second turn find nothing.
    batch = 2000 // 64
    assert cache.registration.statistics().scanned == 2000 + 2000 // batch * batch
    cache[1] = cache[2] = 1000 * PAGE_SIZE
    assert cache.registration.scan(1) == 1000


def test_maxsize_in_bytes(domain: Domain) -> None:
    """With a weigher ``maxsize`` is in bytes; overwriting changes the weight."""
    cache: Cache[str, int] = Cache(100, weigher=lambda k, v: v, domain=domain)
    cache["a"] = 40
    cache["b"] = 40
    cache["b"] = 10
    assert cache.weight == 50
    cache["c"] = 45
    assert set(cache) == {"a", "b", "c"}
    cache["b"] = 90  # Grows, and the others are evicted.
    assert set(cache) == {"b"}
    assert cache.weight == 90


def test_an_entry_above_maxsize_is_evicted_at_once(domain: Domain) -> None:
    """So is the value that its key had; other entries stay."""
    gone: list[Any] = []
    cache: Cache[str, int] = Cache(
        100,
        weigher=lambda k, v: v,
        on_evict=lambda k, v: gone.append((k, v)),
        domain=domain,
    )
    cache.update(a=1, b=2)
    cache["a"] = 101
    assert dict(cache) == {"b": 2}
    assert gone == [("a", 101)]
    assert cache.setdefault("b", 101) == 2
    assert cache.setdefault("c", 101) == 101
    assert dict(cache) == {"b": 2}
    nothing: Cache[int, int] = Cache(0, domain=domain)
    nothing[1] = 1
    assert len(nothing) == 0


def test_a_default_that_is_too_heavy_marks_what_is_there(domain: Domain) -> None:
    """``setdefault`` finds a value: that entry was used, so another one is evicted."""
    cache: Cache[str, int] = Cache(10, weigher=lambda k, v: v, domain=domain)
    cache.update(a=5, b=5)
    assert cache.setdefault("a", 11) == 5
    cache["c"] = 5
    assert dict(cache) == {"a": 5, "c": 5}


@pytest.mark.parametrize(
    ("weight", "error"),
    [(-1, ValueError), (2**62 + 1, ValueError), (1.0, TypeError), (True, TypeError)],
)
def test_a_bad_weight_changes_nothing(
    domain: Domain, weight: Any, error: type[Exception]
) -> None:
    """A bad weight, or an exception of the weigher, is raised by the set."""
    weights: list[Any] = [10, 10]
    cache: Cache[str, int] = Cache(weigher=lambda k, v: weights.pop(), domain=domain)
    cache["a"] = 1
    weights.append(weight)
    for key in ("a", "b"):
        weights.append(weight)
        with pytest.raises(error, match="weigher"):
            cache[key] = 2
    weights.clear()
    with pytest.raises(IndexError):
        cache["a"] = 2
    assert dict(cache) == {"a": 1}
    assert cache.weight == 10


def integers() -> list[Any]:
    """Return types of integers that are no ``int``."""
    try:
        import numpy as np  # noqa: PLC0415 - optional
    except ImportError:
        return [Index]
    return [Index, np.int64, np.uint8]


@pytest.mark.parametrize("integer", integers())
def test_weights_may_be_integers_of_other_types(integer: Any, domain: Domain) -> None:
    """So may ``maxsize``: both become an ``int``."""
    cache: Cache[int, int] = Cache(
        integer(100), weigher=lambda key, value: integer(value), domain=domain
    )
    cache.update({1: 40, 2: 50, 3: 60})
    assert dict(cache) == {3: 60}
    assert (type(cache.maxsize), type(cache.weight)) == (int, int)
    assert (cache.maxsize, cache.weight) == (100, 60)
    with pytest.raises(ValueError, match="maxsize must be"):
        Cache(Index(-1), domain=domain)  # type: ignore[arg-type]


# --- pressure ------------------------------------------------------------------------


def test_under_pressure_a_cache_does_not_grow(domain: Domain) -> None:
    """A set evicts as much as it adds; an empty cache may hold one entry."""
    cache: Cache[int, int] = Cache(domain=domain)
    heavy: Cache[int, int] = Cache(weigher=lambda k, v: v, domain=domain)
    cache.update({n: n for n in range(10)})
    heavy.update(dict.fromkeys(range(10), 100))
    domain.under_pressure = True
    for n in range(100, 150):
        cache[n] = n
        assert n in cache
        assert len(cache) == 10
        heavy[n] = 150
        assert n in heavy
        assert heavy.weight <= 1000
    heavy[1] = 5000
    assert dict(heavy) == {1: 5000}
    cache.clear()
    cache[1] = 1
    cache[2] = 2
    assert set(cache) == {2}
    domain.under_pressure = False
    cache[3] = 3
    assert len(cache) == 2


def test_growth_is_accounted(domain: Domain) -> None:
    """Added bytes count in full, also where other entries were evicted for them."""
    growth = domain._growth
    looks: list[int] = []
    heavy: Cache[int, int] = Cache(1000, weigher=lambda k, v: v, domain=domain)
    heavy[1] = 400
    heavy[1] = 500
    heavy[1] = 100
    assert growth.grown == 500
    heavy[2] = 900
    assert growth.grown == 1400
    heavy[3] = 100  # Evicts entry 2: entry 1 was set again, and so is marked.
    assert heavy.weight == 200
    assert growth.grown == 1500
    growth.grown = 0
    entries: Cache[int, int] = Cache(weigher=None, domain=domain)
    entries[1] = 1
    entries[1] = 2
    assert growth.grown == PAGE_SIZE
    growth.watch(lambda: looks.append(growth.grown))
    growth.allowance = PAGE_SIZE
    entries[2] = 2
    assert looks == [0]
    growth.unwatch()


def test_entries_of_all_sizes_under_pressure(domain: Domain) -> None:
    """A large entry that goes for a small one leaves its room to the next ones.

    Otherwise the cache would have less after each, as long as memory is short.
    """
    dice = random.Random(1)  # noqa: S311 - sizes
    sizes = [4096 * dice.choice((1, 2, 5, 400)) for _ in range(3_000)]
    cache: Cache[int, int] = Cache(weigher=lambda _key, size: size, domain=domain)
    for n, size in enumerate(sizes[:1_000]):
        cache[n] = size
    weight = cache.weight
    domain.under_pressure = True
    for n, size in enumerate(sizes[1_000:], 1_000):
        cache[n] = size
        assert 0.98 * weight <= cache.weight <= weight
    # What others take out is not room for sets.
    cache.registration.scan(cache.weight // 2 // 4096)
    weight = cache.weight
    for n in range(100):
        cache[-n - 1] = 4096 * 500
    assert cache.weight <= weight + 4096 * 400
    # Nor is there any after the pressure, or a clear().
    cache.clear()
    cache[0] = 4096
    cache[1] = 4096
    assert cache.weight == 4096
    domain.under_pressure = False
    cache[2] = 4096 * 50
    domain.under_pressure = True
    cache[3] = 4096
    assert cache.weight <= 4096 * 51
    check_sound(cache, lambda _key, size: size)


def test_spare_room_adds_nothing_to_a_large_entry(domain: Domain) -> None:
    """An entry that is larger than all others takes their place, and no more."""
    cache: Cache[int, int] = Cache(weigher=lambda _key, size: size, domain=domain)
    cache[0] = 40 * 4096
    for n in range(1, 21):
        cache[n] = 4096
    weight = cache.weight
    domain.under_pressure = True
    cache[21] = 4096  # Evicts the first one.
    assert cache.weight == 21 * 4096
    cache[22] = 50 * 4096
    assert cache.weight <= weight


@pytest.mark.parametrize("how", ["clear", "scan"])
def test_what_a_callback_takes_out_is_not_room(domain: Domain, how: str) -> None:
    """Nor what another thread does, which runs during the callback."""

    def on_evict(key: int, _size: int) -> None:
        if key == 0:
            cache.clear() if how == "clear" else cache.registration.scan(50)

    cache: Cache[int, int] = Cache(
        weigher=lambda _key, size: size, on_evict=on_evict, domain=domain
    )
    for n in range(100):
        cache[n] = 4096
    domain.under_pressure = True
    for n in range(100, 200):
        cache[n] = 4096
    assert cache.weight <= 50 * 4096


def test_room_of_an_earlier_shortage_is_gone(domain: Domain) -> None:
    """Others may have that memory now, also where no set came between."""
    cache: Cache[int, int] = Cache(weigher=lambda _key, size: size, domain=domain)
    cache[0] = 40 * 4096
    cache[1] = 4096
    domain.under_pressure = True
    cache[2] = 4096
    domain.under_pressure = False
    domain.under_pressure = True
    for n in range(3, 20):
        cache[n] = 4096
    assert cache.weight == 2 * 4096


def test_a_reclaim_may_start_inside_an_insert(domain: Domain) -> None:
    """The insert that exceeds the allowance may lead to a reclaim of its own cache."""
    cache: Cache[int, int] = Cache(weigher=None, domain=domain)
    growth = domain._growth

    def reclaim() -> None:
        domain.shrink_slab(priority=0)
        growth.allowance = 10 * PAGE_SIZE

    growth.watch(reclaim)
    growth.allowance = 10 * PAGE_SIZE
    for n in range(100):
        cache[n] = n
    assert 0 < len(cache) < 20
    growth.unwatch()
    check_sound(cache)


def test_a_cache_loses_as_much_as_another_shrinker(domain: Domain) -> None:
    """A walk frees as much of a cache as of any shrinker of that size."""
    cache: Cache[int, int] = Cache(weigher=None, domain=domain)
    cache.update({n: n for n in range(16_384)})
    with register(domain, other := Objects(16_384)):
        assert domain.reclaim(4000).nr_reclaimed >= 4000
    assert 8192 < len(cache) == other.objects
