"""``Cache`` and ``cached`` without a weigher: weights that are sampled."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from shrinker import Domain, ShrinkerError
from shrinker.cache import Cache, cached, sizeof
from shrinker.growth import PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

ENTRY_BYTES = 94
"""What the cache itself takes for an entry."""


def real(cache: Cache[Any, Any]) -> int:
    """Return what the entries take, each measured."""
    return sum(sizeof(key, value) + ENTRY_BYTES for key, value in cache.items())


def test_maxsize_counts_entries(domain: Domain) -> None:
    """``Cache(n)`` keeps n entries, however large; the weight is in bytes."""
    cache: Cache[int, bytes] = Cache(1000, domain=domain)
    for n in range(3000):
        cache[n] = bytes(n)
        cache[n]  # Otherwise most of the first ones stay.
    assert (len(cache), cache.maxsize) == (1000, 1000)
    assert cache.statistics().evicted == 2000
    assert cache.weight > 1500 * 1000
    cache[2999] = bytes(10**6)
    assert len(cache) == 1000
    assert cache.registration.count() == -(-cache.weight // PAGE_SIZE)
    nothing: Cache[int, int] = Cache(0, domain=domain)
    nothing[1] = 1
    assert (len(nothing), nothing.weight) == (0, 0)


def test_sizeof_as_weigher_is_exact(domain: Domain) -> None:
    """Given as a weigher it measures each entry, and ``maxsize`` is in bytes."""
    cache: Cache[str, Any] = Cache(100_000, weigher=sizeof, domain=domain)
    for n in range(500):
        cache[f"{n}"] = [bytes(1000) for _ in range(n % 7)]
    assert cache.weight == sum(sizeof(key, value) for key, value in cache.items())
    assert 90_000 < cache.weight <= 100_000

    @cached(weigher=sizeof, domain=domain)
    def made(n: int) -> bytes:
        return bytes(n)

    made(10**6)
    assert made.cache.weight == sizeof(bytes(10**6))


@pytest.mark.parametrize(
    "make",
    [
        lambda n: n,
        lambda n: "я" * (n % 50 * 10),
        lambda n: bytes(n % 1000),
        lambda n: bytearray(n % 1000),
        lambda n: {"name": f"name {n}", "tags": [f"{n} {i}" for i in range(n % 9)]},
        lambda n: [f"{n} {i}" for i in range(100)] if n % 20 == 0 else n,
        lambda n: bytes(50_000) if n % 20 == 0 else [n + 0.5],
    ],
)
def test_weights_are_near(make: Callable[[int], Any], domain: Domain) -> None:
    """The estimate is within 25 % of what the entries take, filled and half empty.

    That many entries, because a few large lists are found late.
    """
    cache: Cache[str, Any] = Cache(domain=domain)
    for n in range(60_000):
        cache[f"key {n}"] = make(n)
    assert abs(cache.weight - real(cache)) < 0.25 * real(cache)
    cache.registration.scan(cache.registration.count() // 2)
    assert 0 < abs(cache.weight - real(cache)) < 0.25 * real(cache)
    for n in range(60_000):
        cache.pop(f"key {n}", None)
    assert cache.weight == 0


def test_sizes_that_change(domain: Domain) -> None:
    """Where entries become far larger, most of that is soon seen; where smaller too."""
    cache: Cache[int, Any] = Cache(domain=domain)
    for n in range(2_000):
        cache[n] = {"body": n}
    before = cache.weight
    for n in range(1_000):
        cache[-n - 1] = {"body": bytes(20_000 + n)}
    assert cache.weight - before > 0.7 * 1_000 * 20_500
    cache.clear()
    for n in range(20_000):
        cache[n] = {"body": n}
    cache.clear()
    for n in range(2_000):
        cache[n] = {"body": n}
    assert cache.weight < 1.5 * before


def test_measurements_are_few(domain: Domain) -> None:
    """The first 16 sets, and then one in 64 to 192, measure."""
    measured: list[int] = []

    class Counts:
        def __init__(self, number: int) -> None:
            self.number = number

        def __sizeof__(self) -> int:
            measured.append(self.number)
            return 50

    cache: Cache[int, Counts] = Cache(domain=domain)
    for n in range(10_000):
        cache[n] = Counts(n)
    assert measured[:16] == list(range(16))
    steps = [b - a for a, b in itertools.pairwise(measured[15:])]
    assert min(steps) > 60
    assert max(steps) < 200
    assert len(set(steps)) > 10


def test_another_type_is_measured_sooner(domain: Domain) -> None:
    """Values of a type that was not measured may be of another size."""
    cache: Cache[int, Any] = Cache(domain=domain)
    for n in range(1_000):
        cache[n] = None
    before = cache.weight
    for n in range(60):
        cache[-n - 1] = [bytes(1_000_000 + n)]
    assert cache.weight > before + 1_000_000


def test_under_pressure_the_weight_does_not_grow(domain: Domain) -> None:
    """A set evicts what it adds; an empty cache may hold one entry."""
    cache: Cache[int, bytes] = Cache(domain=domain)
    for n in range(100):
        cache[n] = bytes(1_000)
    domain.under_pressure = True
    before = cache.weight
    for n in range(1_000):
        cache[1_000 + n] = bytes(5_000)
        assert cache.weight <= before
    cache[1] = bytes(10**6)
    assert set(cache) == {1}


def test_what_measuring_raises_comes_out(domain: Domain) -> None:
    """An interrupt, not an ``Exception``; the set changes nothing."""

    class Raises:
        def __init__(self, error: BaseException) -> None:
            self.error = error

        def __sizeof__(self) -> int:
            raise self.error

    cache: Cache[int, Any] = Cache(domain=domain)
    cache[1] = Raises(ValueError())
    before = cache.weight
    with pytest.raises(KeyboardInterrupt):
        cache[2] = Raises(KeyboardInterrupt())
    assert (len(cache), cache.weight) == (1, before)


def test_a_value_that_uses_the_cache_while_it_is_measured(domain: Domain) -> None:
    """It may set, clear and close it."""
    acts: list[Callable[[], Any]] = []

    class Acts:
        def __sizeof__(self) -> int:
            for act in acts:
                act()
            return 100

    cache: Cache[Any, Any] = Cache(domain=domain)
    for act in (
        cache.clear,
        lambda: cache.update({n: [n] for n in range(100)}),
        lambda: cache.registration.scan(100),
    ):
        acts[:] = [act]
        cache[act] = Acts()
        assert act in cache
    acts[:] = [cache.close]
    with pytest.raises(ShrinkerError):
        cache.update({n: Acts() for n in range(1_000)})
    assert (len(cache), cache.weight) == (0, 0)


def test_functions(domain: Domain) -> None:
    """``maxsize`` is in results; results and keys are measured."""

    @cached(maxsize=100, domain=domain)
    def page(n: int) -> bytes:
        return bytes(10_000)

    for n in range(200):
        page(n)
    assert page.cache_info()[2:] == (100, 100)
    assert abs(page.cache.weight - 100 * 10_200) < 30_000

    @cached(weigher=None, domain=domain)
    def counted(n: int) -> bytes:
        return bytes(n)

    counted(10_000)
    assert counted.cache.weight == 1


def test_rebuild_seconds_are_those_of_a_page(domain: Domain) -> None:
    """Of large entries a page costs a part of an entry."""
    large: Cache[int, bytes] = Cache(rebuild_seconds=0.1, domain=domain)
    small: Cache[int, bytes] = Cache(rebuild_seconds=0.1, domain=domain)
    for n in range(100):
        large[n], small[n] = bytes(40_000), bytes(100)
    assert large.registration.count() > 900
    assert small.registration.count() < 20
    assert large.registration.seeks < 4 < small.registration.seeks
