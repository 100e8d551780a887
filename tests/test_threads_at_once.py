"""All that threads share, used by several at once.

With the GIL these are races of Python code.  In a free-threaded build C runs beside C:
there they say whether what stands for the GIL guards all (csrc/python/critical.h).
"""

from __future__ import annotations

import functools
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import Dice, check_sound
from tests_support import run_threads

from shrinker import (
    CountObjects,
    Domain,
    ListLru,
    LruStatus,
    ShrinkControl,
    ShrinkerBuilder,
    ShrinkerError,
)
from shrinker.cache import Cache, cached, sizeof, watch

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 4
pytestmark = pytest.mark.usefixtures("fast_switching")


class Value:
    """Can be seen to go."""

    def __init__(self, weight: int) -> None:
        self.weight = weight


def at_once(work: Callable[[Dice], object]) -> None:
    """Have each thread do ``work`` with dice of its own; they begin together."""
    barrier = threading.Barrier(THREADS)

    def begin(seed: int) -> None:
        barrier.wait()
        work(Dice(seed))

    assert run_threads(*(functools.partial(begin, n) for n in range(THREADS))) == []


def use(cache: Cache[int, Value], key: int, dice: Dice) -> None:
    """Do one of the things that programs do with a key."""
    match dice.randrange(9):
        case 0 | 1 | 2:
            cache[key] = Value(dice.randrange(1, 60))
        case 3 | 4:
            found = cache.get(key)
            assert found is None or found.weight
        case 5:
            cache.pop(key, None)
        case 6:
            cache.setdefault(key, Value(1))
        case 7:
            cache.get_or_set(key, lambda: Value(2))
        case _:
            assert key not in cache or len(cache) >= 0


def use_all(cache: Cache[int, Value], domain: Domain, dice: Dice) -> None:
    """Do one of the things that look at all entries, or let them go."""
    match dice.randrange(6):
        case 0:
            assert all(value.weight for value in cache.values())
        case 1:
            assert all(type(key) is int for key in cache)
        case 2:
            domain.shrink_slab(priority=dice.randrange(8))
        case 3:
            domain.under_pressure = dice.random() < 0.3
        case 4 if dice.random() < 0.05:
            cache.clear()
        case _:
            cache.statistics()


@pytest.mark.parametrize("ttl", [None, 1e-3])
def test_a_cache(domain: Domain, ttl: float | None) -> None:
    """All its methods, and reclaim; weights add up, and no value is left."""
    made: list[weakref.ref[Value]] = []
    told: list[int] = []

    def weigh(_: int, value: Value) -> int:
        made.append(weakref.ref(value))
        return value.weight

    cache: Cache[int, Value] = Cache(
        2_000,
        weigher=weigh,
        on_evict=lambda key, _: told.append(key),
        ttl=ttl,
        domain=domain,
    )

    def work(dice: Dice) -> None:
        for _ in range(20_000):
            if dice.random() < 0.7:
                use(cache, dice.randrange(100), dice)
            else:
                use_all(cache, domain, dice)

    at_once(work)
    statistics = cache.statistics()
    assert statistics.evicted + statistics.expired == len(told)
    assert statistics.evict_errors == 0
    if ttl is None:
        check_sound(cache, lambda _, value: value.weight)
    cache.close()
    assert (len(cache), cache.weight) == (0, 0)
    assert not any(reference() for reference in made)


def test_a_cache_that_is_closed_meanwhile(domain: Domain) -> None:
    """A set either is in before, and goes, or raises."""
    for _ in range(10):
        cache: Cache[int, int] = Cache(weigher=None, domain=domain)

        def work(dice: Dice, cache: Cache[int, int] = cache) -> None:
            try:
                for n in range(50):
                    cache[dice.randrange(1_000)] = n
                    if n == 40:
                        cache.close()
            except ShrinkerError as error:
                assert "closed" in str(error)

        at_once(work)
        assert (len(cache), cache.weight) == (0, 0)


def test_a_cache_of_sampled_weights(domain: Domain) -> None:
    """Objects are measured while other threads change them."""
    shared: list[Any] = [{"a": [1, 2]}, [1, 2, 3], {1, 2}, Value(3)]
    cache: Cache[int, Any] = Cache(domain=domain)

    def work(dice: Dice) -> None:
        for n in range(5_000):
            items, numbers, some, value = shared
            items[dice.randrange(50)] = [n]
            items.pop(dice.randrange(50), None)
            numbers.append(n)
            del numbers[: dice.randrange(3)]
            some.add(dice.randrange(50))
            some.discard(dice.randrange(50))
            setattr(value, f"a{dice.randrange(9)}", n)
            cache[dice.randrange(300)] = shared if n % 3 else [n] * 10
            assert sizeof(shared) > 0

    at_once(work)
    cache.clear()
    assert cache.weight == 0


def test_one_iterator(domain: Domain) -> None:
    """Its entries are divided among the threads."""
    cache: Cache[int, int] = Cache(weigher=None, domain=domain)
    for _ in range(10):
        for n in range(2_000):
            cache[n] = n
        items = iter(cache.items())
        seen: list[list[Any]] = []

        def work(dice: Dice, items: Any = items, seen: Any = seen) -> None:
            mine: list[Any] = []
            for item in items:
                mine.append(item)
                if dice.random() < 0.02:
                    cache.pop(dice.randrange(2_000), None)
            seen.append(mine)

        at_once(work)
        shown = [item for each in seen for item in each]
        assert len(shown) == len(set(shown))


@pytest.mark.parametrize("coalesce", [False, True])
def test_a_function(domain: Domain, coalesce: bool) -> None:
    """Calls, discards, clears and reclaim; each call is a hit or a miss."""

    @cached(coalesce=coalesce, weigher=None, domain=domain)
    def double(n: int, *, more: int = 0) -> int:
        return 2 * n + more

    calls = 15_000

    def work(dice: Dice) -> None:
        for _ in range(calls):
            n = dice.randrange(60)
            assert double(n) == 2 * n
            match dice.randrange(40):
                case 0:
                    double.cache_discard(n)
                case 1:
                    domain.shrink_slab(priority=0)
                case 2:
                    assert double(n, more=1) == 2 * n + 1
                case 3 if dice.random() < 0.1:
                    double.cache.clear()

    at_once(work)
    info = double.cache_info()
    assert info.hits + info.misses >= THREADS * calls
    check_sound(double.cache)


def test_one_computation_for_all(domain: Domain) -> None:
    """Threads that want one key at once get the result of one call."""
    cache: Cache[int, object] = Cache(weigher=None, domain=domain)
    made: list[int] = []

    def make(n: int) -> object:
        made.append(n)
        return object()

    seen: list[list[object]] = []

    def work(_: Dice) -> None:
        mine = [cache.get_or_set(n, functools.partial(make, n)) for n in range(2_000)]
        seen.append(mine)

    at_once(work)
    assert sorted(made) == list(range(2_000))
    assert all(each == seen[0] for each in seen)


def test_methods_whose_instances_go(domain: Domain) -> None:
    """Keys have weak references, which other threads may be the last to follow."""

    class Service:
        @cached(weigher=None, domain=domain)
        def method(self, n: int) -> int:
            return n

    def work(dice: Dice) -> None:
        for _ in range(300):
            service = Service()
            for n in range(5):
                assert service.method(n) == n
            if dice.random() < 0.05:
                domain.shrink_slab(priority=0)

    at_once(work)


def test_what_caches_add_is_counted(domain: Domain) -> None:
    """The bytes that all threads added, also while an allowance is set anew."""
    growth = domain._growth
    caches = [Cache[int, int](weigher=lambda _, v: v, domain=domain) for _ in range(3)]
    before = growth.added()
    growth.allow(before, 10_000, newest=True)

    def work(dice: Dice) -> None:
        for n in range(20_000):
            caches[n % 3][dice.randrange(2**60)] = 7
            if n % 500 == 0:
                growth.allow(growth.added(), 10_000, newest=dice.random() < 0.5)

    at_once(work)
    assert growth.added() - before == 7 * 20_000 * THREADS


def test_a_list_lru(domain: Domain) -> None:
    """Adds, removals and walks; an object is on the list once, or not at all."""
    lru = ListLru(domain=domain)
    objects = [Value(n) for n in range(60)]
    answers = [*LruStatus]

    def work(dice: Dice) -> None:
        for _ in range(5_000):
            some = [objects[dice.randrange(60)] for _ in range(3)]
            match dice.randrange(5):
                case 0 | 1:
                    lru.add_many(some)
                case 2:
                    lru.remove_many(some)
                case 3:
                    lru.walk(lambda _: answers[dice.randrange(len(answers))], 20)
                case _:
                    assert 0 <= lru.count() <= 60

    at_once(work)
    left: list[Value] = []

    def isolate(value: Value) -> LruStatus:
        left.append(value)
        return LruStatus.REMOVED

    held = lru.count()
    assert lru.walk(isolate, 1_000) == held == len(left) == len(set(left))
    assert (len(lru), lru.count()) == (0, 0)
    assert all(lru.add(value) for value in objects)


def test_a_watched_dict(domain: Domain) -> None:
    """Its users hold the lock."""
    lock = threading.Lock()
    cache: dict[int, int] = {}
    watched = watch(cache, lock=lock, domain=domain)

    def work(dice: Dice) -> None:
        for _ in range(3_000):
            key = dice.randrange(500)
            if dice.random() < 0.02:
                domain.shrink_slab(priority=0)
            with lock:
                if key in cache:
                    assert cache[key] == key
                else:
                    cache[key] = key

    at_once(work)
    watched.close()


def test_callbacks_and_what_they_are_given(domain: Domain) -> None:
    """A control that was kept raises in other threads, and is not given out again."""
    kept: list[ShrinkControl] = []

    class Keeper:
        def count_objects(self, sc: ShrinkControl) -> CountObjects:
            kept.append(sc)
            return CountObjects.new(1_000)

        def scan_objects(self, sc: ShrinkControl) -> int:
            assert sc.nr_to_scan > 0
            return sc.nr_to_scan

    def work(dice: Dice) -> None:
        for n in range(3_000):
            match dice.randrange(4):
                case 0 | 1:
                    domain.shrink_slab(priority=0)
                case 2:
                    for sc in kept[-3:]:
                        try:
                            assert sc.nr_to_scan >= 0
                        except ShrinkerError as error:
                            assert "callback" in str(error)
                    if len(kept) > 50:
                        del kept[:]
                case _:
                    builder = ShrinkerBuilder(f"k{n}", domain=domain)
                    with builder.register(Keeper()) as registration:
                        registration.count()

    with ShrinkerBuilder("kept", domain=domain).register(Keeper()):
        at_once(work)
