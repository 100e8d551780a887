"""``Cache``: what is so because its entries and callbacks are C."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import Value, check_sound
from tests_support import run_threads

from shrinker import ShrinkerError
from shrinker.cache import Cache, cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import Domain


# --- walks ---------------------------------------------------------------------------


def test_a_count_enters_no_interpreter(domain: Domain, no_switching: None) -> None:
    """A walk takes the GIL once, and only where there is something to scan."""
    caches: list[Cache[int, int]] = [
        Cache(weigher=None, domain=domain) for _ in range(20)
    ]
    for cache in caches:
        cache.update({n: n for n in range(100)})
    before = domain.statistics().host_entries
    assert domain.shrink_slab(priority=12) == 0
    assert [cache.registration.count() for cache in caches] == [100] * 20
    assert domain.statistics().host_entries == before
    assert domain.shrink_slab(priority=0) == 2000
    assert domain.statistics().host_entries == before + 1


def test_a_scan_lets_other_threads_in(fast_switching: None, domain: Domain) -> None:
    """Evicting many entries in one call does not keep the GIL to its end.

    Whether the other thread gets to run inside one scan is up to the kernel's
    scheduler, so there are many scans.  If a scan kept the GIL, no one of them would
    be seen half done.
    """
    entries = 100_000
    filled: list[Cache[int, None]] = []
    seen_half_done = threading.Event()
    done = threading.Event()

    def scan() -> None:
        try:
            for _ in range(200):
                cache: Cache[int, None] = Cache(domain=domain)
                cache.update(dict.fromkeys(range(entries)))
                filled[:] = [cache]
                cache.registration.scan(entries)
                assert len(cache) == 0
                if seen_half_done.is_set():
                    break
        finally:
            done.set()

    def watch() -> None:
        while not done.is_set():
            if filled and 0 < len(filled[0]) < entries:
                seen_half_done.set()

    assert run_threads(scan, watch) == []
    assert seen_half_done.is_set()


def test_caches_in_one_walk_and_other_threads(
    fast_switching: None, domain: Domain
) -> None:
    """Walks in two threads, whose counts run beside sets without the GIL."""
    caches: list[Cache[int, int]] = [
        Cache(weigher=None, domain=domain) for _ in range(5)
    ]
    done = threading.Event()

    def fill() -> None:
        try:
            for n in range(20_000):
                caches[n % 5][n] = n
        finally:
            done.set()

    def walk() -> None:
        while not done.is_set():
            domain.shrink_slab(priority=2)

    assert run_threads(fill, walk, walk) == []
    for cache in caches:
        check_sound(cache)


# --- the structure -------------------------------------------------------------------


def test_an_iterator_shows_what_is_still_there(domain: Domain) -> None:
    """It keeps no value alive, and takes no notice of entries that went."""
    cache: Cache[int, Value] = Cache(domain=domain)
    cache.update({n: Value() for n in range(4)})
    alive = weakref.ref(cache[2])
    items, values = iter(cache.items()), iter(cache.values())
    assert next(items)[0] == 0
    del cache[2]
    assert alive() is None
    cache[1] = kept = Value()
    assert next(items) == (1, kept)
    assert [key for key, _ in items] == [3]
    assert len(list(values)) == 3
    cache.clear()
    del items, values
    check_sound(cache)


def test_an_iterator_outlives_its_cache(domain: Domain) -> None:
    """It ends where the cache is gone."""
    cache: Cache[int, int] = Cache(domain=domain)
    cache.update({1: 1, 2: 2})
    items = iter(cache.items())
    assert next(items) == (1, 1)
    del cache
    gc.collect()
    assert list(items) == []


def test_a_cache_is_initialised_once(domain: Domain) -> None:
    """A second ``__init__()`` is refused, and registers nothing."""
    cache: Cache[int, int] = Cache(domain=domain)
    cache[1] = 1
    with pytest.raises(TypeError, match="once"):
        cache.__init__(domain=domain)  # type: ignore[misc]
    assert cache[1] == 1
    assert len(domain.shrinkers()) == 1


def test_without_init_methods_say_so() -> None:
    """A cache that ``__new__`` made alone has no entries; any use of it says so."""
    cache: Cache[int, int] = Cache.__new__(Cache)
    uses: tuple[Callable[[], object], ...] = (
        lambda: cache[1],
        lambda: cache.get(1),
        lambda: 1 in cache,
        lambda: len(cache),
        lambda: bool(cache),
        lambda: list(cache),
        lambda: list(cache.items()),
        lambda: (1, 2) in cache.items(),
        lambda: list(cache.values()),
        lambda: list(cache.keys()),
        lambda: cache == {},
        lambda: cache.__setitem__(1, 1),
        lambda: cache.__delitem__(1),
        lambda: cache.pop(1),
        lambda: cache.pop(1, None),
        cache.popitem,
        lambda: cache.setdefault(1, 1),
        lambda: cache.get_or_set(1, int),
        lambda: cache.update({1: 1}),
        cache.clear,
        cache.close,
        cache.__enter__().__exit__,
        cache.statistics,
        lambda: cache.closed,
        lambda: cache.maxsize,
        lambda: cache.ttl,
        lambda: cache.weight,
        lambda: cache.registration,
    )
    for use in uses:
        with pytest.raises(ShrinkerError, match=r"not initialised.*__init__\(\)"):
            use()
    assert repr(cache) == "<Cache, not initialised>"


def test_many_entries_and_hashes_that_differ_in_high_bits_only(domain: Domain) -> None:
    """The table grows with them; each is found, in time that does not grow."""
    cache: Cache[int, int] = Cache(domain=domain)
    for shift in (0, 20, 40):
        for n in range(50_000):
            cache[n << shift] = n
        assert all(cache[n << shift] == n for n in range(50_000))
        cache.clear()
    check_sound(cache)


def test_weights_of_nearly_all_that_a_number_holds(domain: Domain) -> None:
    """Evictions keep the sum of any weights below 2**64."""
    cache: Cache[int, int] = Cache(weigher=lambda key, value: value, domain=domain)
    for n in range(20):
        cache[n] = 2**62
        assert cache.weight <= 2**63
    assert cache.registration.count() == 2**63 // 4096
    assert cache.registration.scan(2**63 // 4096) == 2**63 // 4096
    check_sound(cache, lambda key, value: value)


class Holder:
    """An argument that references a function."""

    def __init__(self, function: object) -> None:
        self.function = function


# --- decorated functions -------------------------------------------------------------


@cached
def module_function(x: int) -> int:
    """Return a number that can be pickled by name."""
    return x + 1


def test_copies_of_a_function_are_itself() -> None:
    """As those of any function."""
    for same in (
        copy.copy(module_function),
        copy.deepcopy(module_function),
        pickle.loads(pickle.dumps(module_function)),  # noqa: S301
    ):
        assert same is module_function


def test_one_result_can_be_discarded(domain: Domain) -> None:
    """By the arguments that it was computed for."""

    @cached(domain=domain)
    def add(a: int, *, b: int = 0) -> int:
        return a + b

    for _ in range(2):
        assert [add(1), add(1, b=2), add(2)] == [1, 3, 2]
    assert add.cache_discard(1, b=2)
    assert not add.cache_discard(1, b=2)
    assert not add.cache_discard(1, b=3)
    assert add.cache_info() == (3, 3, None, 2)
    assert add(1, b=2) == 3
    assert add.cache_info() == (3, 4, None, 3)


def test_a_method_keeps_no_instance_alive(domain: Domain) -> None:
    """Where nothing else can be equal to it; its results are evicted in turn."""

    class Shop:
        @cached(weigher=None, domain=domain)
        def price(self, item: str, *, extra: int = 0) -> int:
            return len(item) + extra

    one, two = Shop(), Shop()
    for _ in range(2):
        assert [one.price("tea"), two.price("tea"), one.price("x", extra=1)] == [
            3,
            3,
            2,
        ]
    assert Shop.price.cache_info() == (3, 3, None, 3)
    assert Shop.price.cache_discard(one, "tea")
    assert not Shop.price.cache_discard(one, "tea")
    alive = weakref.ref(one)
    del one
    assert alive() is None
    assert Shop.price.cache_info().currsize == 2
    for _ in range(100):  # New instances, some at the address of the old one.
        Shop().price("x", extra=1)
    assert Shop.price.cache_info()[:2] == (3, 103)
    left = Shop.price.cache_info().currsize
    assert domain.shrink_slab(priority=0) == left
    assert Shop.price.cache.statistics().evicted == 102
    check_sound(Shop.price.cache)


def test_equal_instances_share_results(domain: Domain) -> None:
    """An instance that is compared by value is kept with its results."""

    class Point(tuple[int, int]):
        __slots__ = ()

        @cached(domain=domain)
        def norm(self) -> int:
            return sum(n * n for n in self)

    class Slotted:
        __slots__ = ()

        @cached(domain=domain)
        def number(self) -> int:
            return 1

    assert [Point((3, 4)).norm() for _ in range(3)] == [25] * 3
    assert Point.norm.cache_info() == (2, 1, None, 1)
    slotted = Slotted()
    assert [slotted.number() for _ in range(2)] == [1, 1]
    assert Slotted.number.cache_info() == (1, 1, None, 1)


def test_all_ways_to_call(domain: Domain) -> None:
    """Each of them finds the result of the others."""

    @cached(domain=domain, typed=True)
    def show(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    expected = ((1, "a"), {"x": 2.0})
    keywords = {"x": 2.0}
    slot = type(show).__call__
    for _ in range(2):
        assert show(1, "a", x=2.0) == expected
        assert show(*(1, "a"), **keywords) == expected
        assert slot(show, 1, "a", x=2.0) == expected  # type: ignore[misc]
    assert show.cache_info() == (5, 1, None, 1)
    assert show(True, "a", x=2.0) == ((True, "a"), {"x": 2.0})  # noqa: FBT003
    assert show(1, "a", x=2) == ((1, "a"), {"x": 2})
    assert show.cache_info().misses == 3


def test_a_key_is_hashed_once_a_call(domain: Domain) -> None:
    """A miss does not hash it again to put the result in, nor does an eviction."""

    class Key:
        hashes = 0

        def __hash__(self) -> int:
            Key.hashes += 1
            return 7

    key = Key()
    function = cached(maxsize=1, domain=domain)(lambda x: 0)
    function(key)
    assert Key.hashes == 1
    function(key)
    assert Key.hashes == 2
    function(8)
    assert function.cache_info() == (1, 2, 1, 1)
    assert Key.hashes == 2


def test_a_function_that_its_result_references_is_collected(domain: Domain) -> None:
    """A cycle through function, cache and result."""
    same = cached(domain=domain)(lambda of: of.function)
    same(Holder(same))
    alive = weakref.ref(same)
    del same
    gc.collect()
    assert alive() is None
    assert domain.shrinkers() == ()
