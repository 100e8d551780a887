"""What a count sets for its pass: the batch from the size, seeks from the pages."""

from __future__ import annotations

import functools
import gc
import math
import threading
from typing import TYPE_CHECKING, Any

import pytest

from shrinker import CountObjects, Domain, ShrinkerBuilder
from shrinker.cache import LruCache, cached, watch
from shrinker.cache.costs import MAX_SEEKS
from shrinker.cache.terms import Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker import ShrinkerRegistration

# Nobody else has them, and a cache that is dropped is unregistered.
CACHES: list[LruCache[Any, Any]] = []


@pytest.fixture(autouse=True)
def _drop() -> Iterator[None]:
    yield
    CACHES.clear()


class Entries:
    """A cache with the two methods."""

    def __init__(self, n: int) -> None:
        self.n = n

    def count(self) -> int:
        return self.n

    def evict(self, n: int) -> int:
        went = min(n, self.n)
        self.n -= went
        return went


def lru(n: int, domain: Domain, **options: Any) -> LruCache[int, None]:
    cache: LruCache[int, None] = LruCache(domain=domain, **options)
    cache.update(dict.fromkeys(range(n)))
    CACHES.append(cache)
    return cache


def watched_dict(n: int, domain: Domain, **options: Any) -> Any:
    cache = dict.fromkeys(range(n))
    return watch(cache, lock=threading.Lock(), domain=domain, **options)


def watched_entries(n: int, domain: Domain, **options: Any) -> Any:
    entries = Entries(n)
    # Held by its watch, which would end with it.
    return watch(count=entries.count, evict=entries.evict, domain=domain, **options)


KINDS = pytest.mark.parametrize("make", [lru, watched_dict, watched_entries])


# --- the batch ----------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize(
    ("entries", "batch"),
    [(1, 1), (53, 1), (127, 1), (128, 2), (1000, 15), (8192, 128), (20_000, 128)],
)
def test_the_batch_is_a_64th(
    entries: int, batch: int, make: Callable[..., Any], domain: Domain
) -> None:
    """At least 1, and at most the 128 of everybody."""
    registration = make(entries, domain).registration
    assert registration.count() == entries
    assert registration.batch == batch


@KINDS
def test_a_small_cache_gives_a_part(make: Callable[..., Any], domain: Domain) -> None:
    """Of 53 entries neither nothing nor all, but what the formula says."""
    registration = make(53, domain, rebuild_seconds=0.2).registration
    assert domain.shrink_slab(priority=0) == 53 * 4 // 40
    assert registration.count() == 48
    cheap = make(53, domain).registration
    domain.shrink_slab(priority=3)
    assert cheap.count() == 53 - (53 >> 3) * 4 // 2


@KINDS
def test_a_cache_is_emptied_in_the_end(
    make: Callable[..., Any], domain: Domain
) -> None:
    """Down to the last entry, whatever it costs: the most urgent pass asks for one."""
    registration = make(53, domain, rebuild_seconds=math.inf).registration
    assert registration.seeks == MAX_SEEKS
    freed = [domain.shrink_slab(priority=0) for _ in range(60)]
    assert freed[:53] == [1] * 53
    assert registration.count() == 0


def test_results_of_a_function_are_given_back(domain: Domain) -> None:
    """53 results of 3 MiB, which reclaim could not get at."""

    @cached(rebuild_seconds=0.2, domain=domain)
    def page(n: int) -> int:
        return n

    for n in range(53):
        page(n)
    for _ in range(20):
        domain.shrink_slab(priority=0)
    assert page.cache_info().currsize < 53 / 3


@pytest.mark.parametrize("answer", [CountObjects.new(5), CountObjects.EMPTY, 0])
def test_a_count_may_be_a_count_objects(answer: Any, domain: Domain) -> None:
    """As from any shrinker; there is nothing to be set for its pass."""
    watched = watch(count=lambda: answer, evict=lambda n: 0, domain=domain)
    assert watched.registration.count() == (5 if answer == CountObjects.new(5) else 0)


def test_an_lru_function_keeps_its_batch(domain: Domain) -> None:
    """It can be cleared whole only."""
    function: Any = functools.lru_cache(maxsize=None)(str)
    for n in range(1000):
        function(n)
    registration = watch(function, domain=domain).registration
    before = registration.batch
    assert registration.count() == 1000
    assert registration.batch == before == 2**62
    assert registration.seeks == 4


# --- seeks of pages -----------------------------------------------------------------


def weighed(
    entries: int, entry_bytes: int, domain: Domain, **options: Any
) -> ShrinkerRegistration[Any]:
    """Return the registration of an LruCache of equal entries."""
    weigh = lambda key, value: entry_bytes  # noqa: E731
    registration: ShrinkerRegistration[Any]
    registration = lru(entries, domain, weigher=weigh, **options).registration
    return registration


def watched_weighed(
    entries: int, entry_bytes: int, domain: Domain, **options: Any
) -> ShrinkerRegistration[Any]:
    watched = watched_dict(entries, domain, entry_bytes=entry_bytes, **options)
    registration: ShrinkerRegistration[Any] = watched.registration
    return registration


WEIGHED = pytest.mark.parametrize("make", [weighed, watched_weighed])


@WEIGHED
@pytest.mark.parametrize(
    ("entry_bytes", "rebuild_seconds", "seeks"),
    [
        (4096, 0.05, 10),
        (1536 * 1024, 0.04, 1),  # An image: 384 pages.
        (40_960, 0.5, 10),
        (614, 0.005, 7),  # A profile: 6.7 in a page.
        (614, 0.5, MAX_SEEKS),
        (4096, 0.0, 1),
        (4096, math.inf, MAX_SEEKS),
    ],
)
def test_seeks_are_those_of_a_page(
    entry_bytes: int,
    rebuild_seconds: float,
    seeks: int,
    make: Callable[..., Any],
    domain: Domain,
) -> None:
    """What an entry takes, by the pages that it has."""
    registration = make(1000, entry_bytes, domain, rebuild_seconds=rebuild_seconds)
    registration.count()
    assert registration.seeks == seeks


@WEIGHED
@pytest.mark.parametrize("options", [{"seeks": 8}, {"seeks": 0}, {}])
def test_given_seeks_stay(
    options: dict[str, int], make: Callable[..., Any], domain: Domain
) -> None:
    """Whatever an entry weighs."""
    for entry_bytes in (100, 100_000):
        registration = make(1000, entry_bytes, domain, **options)
        registration.count()
        assert registration.seeks == options.get("seeks", 2)


def test_seeks_follow_the_mean_weight(domain: Domain) -> None:
    """A cache that begins with small entries and goes on with large ones gets cheap."""
    cache: LruCache[int, int] = LruCache(
        weigher=lambda key, value: value, rebuild_seconds=0.05, domain=domain
    )
    registration = cache.registration
    assert registration.seeks == 10
    found = []
    for size in (1024, 4096, 40_960):
        cache.clear()
        cache.update(dict.fromkeys(range(100), size))
        registration.count()
        found.append(registration.seeks)
    assert found == [40, 10, 1]


@WEIGHED
def test_equal_memory_loses_by_what_a_page_costs(
    make: Callable[..., Any], domain: Domain
) -> None:
    """100 MiB of images at 400 ms, 3 ms a page, and of profiles at 5 ms, 33 ms a page.

    By their entries the profiles would be 80 times as cheap.  They lose an eighth of
    what the images lose, for their pages are at 7 seeks and the images' at 1.
    """
    images = make(67, 1536 * 1024, domain, rebuild_seconds=0.4)
    profiles = make(170_777, 614, domain, rebuild_seconds=0.005)
    before = [images.count(), profiles.count()]
    assert before[0] == pytest.approx(before[1], rel=0.01)
    domain.shrink_slab(priority=5)
    lost = [n - now.count() for n, now in zip(before, (images, profiles), strict=True)]
    assert (images.seeks, profiles.seeks) == (1, 7)
    # The last image and the last batch of profiles are more or less than was wanted.
    assert lost[0] == pytest.approx(before[0] * 4 / 1 / 2**5, abs=384)
    assert lost[1] == pytest.approx(before[1] * 4 / 7 / 2**5, abs=128)


# --- the pointer --------------------------------------------------------------------


def test_what_was_registered_may_outlive_the_registration() -> None:
    """A count of what somebody has kept writes into memory that is still there."""
    with Domain() as domain:
        cache = lru(100, domain)
        store = cache.registration.private_data
        assert store.terms._memory is cache.registration._memory
        control: Any = None
        cache.close()
        store.weight = 100
        CACHES.clear()
        del cache
    del domain
    gc.collect()
    shrinkers = [Domain() for _ in range(10)]  # Who would get the memory.
    assert store.count_objects(control) == 100
    assert store.terms._c.batch == 1
    assert len(shrinkers) == 10


def test_a_refused_cost_leaves_nothing(domain: Domain) -> None:
    """Both at once, or nonsense: the builder is as it was."""
    builder = ShrinkerBuilder("cache", domain=domain)
    with pytest.raises(TypeError, match="give one"):
        Terms(builder, 2, 0.1)
    builder.close()
    assert domain.shrinkers() == ()
