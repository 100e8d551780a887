"""``PassSettings``: the batch follows the size, and seeks are those of a page."""

from __future__ import annotations

import functools
import gc
import math
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import CountAndEvict, filled

from shrinker import CountObjects, Domain, ShrinkerBuilder
from shrinker.cache import Cache, cached, watch
from shrinker.cache.pass_settings import PassSettings
from shrinker.cache.seeks import MAX_SEEKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker import ShrinkerRegistration

# Keeps the Caches of a test: one that is dropped is unregistered.
CACHES: list[Cache[Any, Any]] = []


@pytest.fixture(autouse=True)
def _drop_caches() -> Iterator[None]:
    yield
    CACHES.clear()


def lru(n: int, domain: Domain, **options: Any) -> Cache[int, None]:
    cache: Cache[int, None] = Cache(domain=domain, **{"weigher": None, **options})
    cache.update(dict.fromkeys(range(n)))
    CACHES.append(cache)
    return cache


def watched_dict(n: int, domain: Domain, **options: Any) -> Any:
    return watch(filled(n), lock=threading.Lock(), domain=domain, **options)


def watched_entries(n: int, domain: Domain, **options: Any) -> Any:
    entries = CountAndEvict(n)
    # Kept by its watch, unlike the object itself.
    return watch(count=entries.count, evict=entries.evict, domain=domain, **options)


KINDS = pytest.mark.parametrize("make", [lru, watched_dict, watched_entries])


# --- the batch -----------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize(
    ("entries", "batch"),
    [(1, 1), (53, 1), (127, 1), (128, 2), (1000, 15), (8192, 128), (20_000, 128)],
)
def test_the_batch_is_a_64th(
    entries: int, batch: int, make: Callable[..., Any], domain: Domain
) -> None:
    """At least 1, and at most the kernel's 128."""
    registration = make(entries, domain).registration
    assert registration.count() == entries
    assert registration.batch == batch


@KINDS
def test_a_small_cache_gives_a_part(make: Callable[..., Any], domain: Domain) -> None:
    """Of 53 entries a pass frees what the formula says, and not none or all."""
    registration = make(53, domain, rebuild_seconds=0.2).registration
    assert domain.shrink_slab(priority=0) == 53 * 4 // 40
    assert registration.count() == 48
    cheap = make(53, domain).registration
    domain.shrink_slab(priority=3)
    assert cheap.count() == 53 - (53 >> 3) * 4 // 2


@KINDS
def test_repeated_passes_empty_a_cache(
    make: Callable[..., Any], domain: Domain
) -> None:
    """However expensive its entries: a pass at priority 0 asks for one at least."""
    registration = make(53, domain, rebuild_seconds=math.inf).registration
    assert registration.seeks == MAX_SEEKS
    freed = [domain.shrink_slab(priority=0) for _ in range(60)]
    assert freed[:53] == [1] * 53
    assert registration.count() == 0


def test_few_results_of_a_function_are_evicted(domain: Domain) -> None:
    """53 results, less than a batch of the kernel's 128."""

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
    """As from any shrinker; then the settings stay as they are."""
    watched = watch(count=lambda: answer, evict=lambda n: 0, domain=domain)
    assert watched.registration.count() == (5 if answer == CountObjects.new(5) else 0)


def test_an_lru_function_keeps_its_own_batch(domain: Domain) -> None:
    """It can only be cleared whole."""
    function: Any = functools.lru_cache(maxsize=None)(str)
    for n in range(1000):
        function(n)
    registration = watch(function, domain=domain).registration
    before = registration.batch
    assert registration.count() == 1000
    assert registration.batch == before == 2**62
    assert registration.seeks == 4


# --- seeks of pages ------------------------------------------------------------------


def weighed(
    entries: int, entry_bytes: int, domain: Domain, **options: Any
) -> ShrinkerRegistration[Any]:
    """An Cache of equal entries."""
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
    """The cost of an entry, divided by its pages."""
    registration = make(1000, entry_bytes, domain, rebuild_seconds=rebuild_seconds)
    registration.count()
    assert registration.seeks == seeks


@WEIGHED
@pytest.mark.parametrize("options", [{"seeks": 8}, {"seeks": 0}, {}])
def test_given_seeks_stay(
    options: dict[str, int], make: Callable[..., Any], domain: Domain
) -> None:
    """Also where pages are counted."""
    for entry_bytes in (100, 100_000):
        registration = make(1000, entry_bytes, domain, **options)
        registration.count()
        assert registration.seeks == options.get("seeks", 2)


def test_seeks_follow_the_mean_weight(domain: Domain) -> None:
    """Each count takes the weight as it is: larger entries make pages cheaper."""
    cache: Cache[int, int] = Cache(
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
def test_equal_memory_loses_by_the_cost_of_a_page(
    make: Callable[..., Any], domain: Domain
) -> None:
    """100 MiB of images at 1 ms a page, and of profiles at 33 ms a page.

    An image takes 400 ms, 80 times as long as a profile.  But a page of profiles is at
    7 seeks and a page of images at 1, so the profiles lose a seventh of the memory.
    """
    images = make(67, 1536 * 1024, domain, rebuild_seconds=0.4)
    profiles = make(170_777, 614, domain, rebuild_seconds=0.005)
    before = [images.count(), profiles.count()]
    assert before[0] == pytest.approx(before[1], rel=0.01)
    domain.shrink_slab(priority=5)
    lost = [n - now.count() for n, now in zip(before, (images, profiles), strict=True)]
    assert (images.seeks, profiles.seeks) == (1, 7)
    # Off by the last image, or by the last batch of profiles.
    assert lost[0] == pytest.approx(before[0] * 4 / 1 / 2**5, abs=384)
    assert lost[1] == pytest.approx(before[1] * 4 / 7 / 2**5, abs=128)


# --- the shrinker --------------------------------------------------------------------


def test_a_callback_may_outlive_the_registration() -> None:
    """A count that is called by then writes into memory that is still allocated."""
    with Domain() as domain:
        watched = watched_entries(100, domain)
        adapter = watched.registration.private_data
        settings = adapter._settings
        assert settings._memory is watched.registration._memory
        watched.close()
        del watched
    del domain
    gc.collect()
    domains = [Domain() for _ in range(10)]  # They would reuse freed memory.
    control: Any = None
    assert adapter.count_objects(control) == 100
    assert settings._c.batch == 1
    assert len(domains) == 10


def test_seeks_and_rebuild_seconds_together(domain: Domain) -> None:
    """They are an error, and nothing is registered."""
    builder = ShrinkerBuilder("cache", domain=domain)
    with pytest.raises(TypeError, match="give one"):
        PassSettings(builder, 2, 0.1)
    builder.close()
    assert domain.shrinkers() == ()
