"""Seeks that caches learn: what saves more computing gives fewer pages."""

from __future__ import annotations

import asyncio
import gc
import math
import time
from types import SimpleNamespace
from typing import Any

import pytest

from shrinker import Domain, ShrinkerBuilder
from shrinker.cache import Cache, cached

MAX_SEEKS = 128
PAGES = 1_000


class Clock:
    """Time that passes for a domain; the caches' own clock is behind."""

    def __init__(self, domain: Domain) -> None:
        self._learn = domain._growth.learn
        self._now = 0

    def passes(self, seconds: float) -> None:
        """Let so much time pass, and the domain's caches learn."""
        self._now = max(self._now, time.monotonic_ns()) + int(seconds * 1e9)
        self._learn(self._now)


@pytest.fixture
def clock(domain: Domain) -> Clock:
    return Clock(domain)


def filled(
    domain: Domain, seconds: float, n: int = PAGES, **options: Any
) -> Cache[int, int]:
    """Return a cache of n pages, each of which took so long to compute."""
    cache: Cache[int, int] = Cache(domain=domain, **{"weigher": None, **options})
    for key in range(n):
        compute(cache, key, seconds)
    return cache


def compute(cache: Cache[int, int], key: int, seconds: float) -> None:
    """Set what took so long."""
    store = cache._store
    store.keep(key, key, store.generation, seconds)


def use(cache: Cache[int, int], times: int = 1) -> None:
    """Look all entries up."""
    for _ in range(times):
        for key in cache:
            cache[key]


def seeks_of(cache: Cache[int, int]) -> int:
    """Return the seeks of a pass now."""
    cache.registration.count()
    return cache.statistics().seeks


# --- which caches give ----------------------------------------------------------------


def test_what_is_expensive_to_compute_stays(domain: Domain, clock: Clock) -> None:
    """Of caches that are used alike, the one that is quickly made anew gives first."""
    cheap, expensive = filled(domain, 0.001), filled(domain, 0.01)
    use(cheap)
    use(expensive)
    clock.passes(10)
    assert seeks_of(cheap) == 1
    assert seeks_of(expensive) > 90
    domain.reclaim(600)
    assert len(expensive) > 900
    assert len(cheap) < 500


def test_what_is_used_more_often_stays(domain: Domain, clock: Clock) -> None:
    """Of caches that cost the same, the one with fewer hits gives first."""
    seldom, often = filled(domain, 0.01), filled(domain, 0.01)
    use(seldom)
    use(often, 3)
    clock.passes(10)
    assert seeks_of(seldom) == 1
    assert seeks_of(often) > 4


def test_large_entries_give_first(domain: Domain, clock: Clock) -> None:
    """What counts is the time for a page, not for an entry."""
    small = filled(domain, 0.01, weigher=lambda k, v: 4096)
    large = filled(domain, 0.01, n=100, weigher=lambda k, v: 40960)
    use(small)
    use(large)
    clock.passes(10)
    assert seeks_of(large) == 1
    assert seeks_of(small) > 10


@pytest.mark.parametrize("factor", [1.0, 1.5, 10.0, 1000.0])
def test_all_together_give_as_much_as_before(
    domain: Domain, clock: Clock, factor: float
) -> None:
    """A pass asks for as much as with 2 seeks each: learning does not starve it."""
    sizes = [500, 1000, 2000]
    caches = [filled(domain, 0.01 * factor**i, n=size) for i, size in enumerate(sizes)]
    for cache in caches:
        use(cache)
    clock.passes(10)
    asked = sum(n / seeks_of(cache) for n, cache in zip(sizes, caches, strict=True))
    # Seeks are whole numbers.
    assert sum(sizes) / 2 * 0.8 <= asked <= sum(sizes) / 2 * 1.6


def test_one_alone_has_two(domain: Domain, clock: Clock) -> None:
    """There is nothing to compare it with."""
    cache = filled(domain, 3.0)
    use(cache)
    clock.passes(10)
    assert seeks_of(cache) == 2


def test_a_cache_that_is_too_small_grows(domain: Domain, clock: Clock) -> None:
    """What it has to compute again counts as what its hits save.

    Half of each is evicted; of one the other half is asked for again.  It has no hit.
    """
    wanted, unwanted = filled(domain, 0.01), filled(domain, 0.01)
    for cache in wanted, unwanted:
        cache.registration.scan(PAGES // 2)
    for key in range(PAGES // 2):
        compute(wanted, key, 0.01)
    # Some have lost their places to others.
    assert wanted.statistics().ghost_hits > PAGES // 3
    for key in range(PAGES, 2 * PAGES):
        compute(unwanted, key, 0.01)
    assert unwanted.statistics().ghost_hits == 0
    clock.passes(10)
    assert seeks_of(wanted) > 10 * seeks_of(unwanted)


def test_evictions_for_maxsize_are_no_loss(domain: Domain, clock: Clock) -> None:
    """More memory would not have kept what a full cache has evicted for new keys."""
    full = filled(domain, 0.01, maxsize=PAGES)
    for key in range(PAGES, 3 * PAGES):
        compute(full, key, 0.01)
    for key in range(2 * PAGES):
        compute(full, key, 0.01)
    assert full.statistics().ghost_hits > 0
    clock.passes(10)
    assert full.statistics().page_saves == 0


def test_what_is_not_used_any_more_gives_first(domain: Domain, clock: Clock) -> None:
    """What was learned fades in the next minutes, without a scan of that cache."""
    former, present = filled(domain, 0.01), filled(domain, 0.01)
    use(former, 10)
    use(present)
    clock.passes(10)
    assert seeks_of(former) > seeks_of(present)
    for _ in range(30):
        use(present)
        clock.passes(10)
    assert seeks_of(former) < seeks_of(present)


def test_the_step_comes_by_itself(domain: Domain) -> None:
    """A computation or a scan of any of the caches makes it, by the real clock."""
    cheap, expensive = filled(domain, 0.001), filled(domain, 0.1)
    use(cheap)
    use(expensive)
    for step in (
        lambda: cheap.get_or_set(-1, lambda: 1),
        lambda: cheap.registration.scan(1),
        lambda: compute(cheap, -2, 0.001),
    ):
        time.sleep(1.01)
        before = expensive.statistics().page_saves
        use(expensive)
        step()
        assert expensive.statistics().page_saves != before
        assert seeks_of(expensive) == MAX_SEEKS


def test_steps_are_a_second_apart(domain: Domain, clock: Clock) -> None:
    """Otherwise each scan would make one."""
    cache = filled(domain, 0.001)
    clock.passes(100)  # More than this test can take.
    use(cache)
    clock.passes(0.5)
    assert cache.statistics().page_saves == 0
    clock.passes(0.5)
    assert cache.statistics().page_saves != 0


def test_ghosts_fade(domain: Domain, clock: Clock) -> None:
    """A cache that was large once is not of less value for ever."""
    former = filled(domain, 0.01, n=100 * PAGES)
    former.registration.scan(99 * PAGES)
    other = filled(domain, 0.01)
    assert len(former) == len(other) == PAGES
    for _ in range(60):
        use(former, 3)
        use(other)
        clock.passes(60)
    assert seeks_of(former) > seeks_of(other)


def test_a_long_step(domain: Domain, clock: Clock) -> None:
    """An hour without a step counts as a minute."""
    former, present = filled(domain, 0.01), filled(domain, 0.01)
    clock.passes(10)
    former._store.hits += 3600 * PAGES
    clock.passes(3600)
    for _ in range(180):
        use(present)
        clock.passes(1)
    assert seeks_of(former) < seeks_of(present)


def test_hits_of_what_was_there_before_a_fork(domain: Domain, clock: Clock) -> None:
    """They are not taken for hits of the child's own pages."""
    inherited, own = filled(domain, 0.01, n=10 * PAGES), filled(domain, 0.01, n=1)
    own.clear()
    inherited._store.keep_all()  # As in the child of a fork.
    for key in range(PAGES):
        compute(inherited, -1 - key, 0.01)
        compute(own, key, 0.01)
    use(inherited)
    use(own, 3)
    clock.passes(10)
    assert seeks_of(inherited) < seeks_of(own)


def test_a_report_under_a_patched_clock(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that a test has put years ahead does not stop the learning."""
    cheap, expensive = filled(domain, 0.001), filled(domain, 0.1)
    with monkeypatch.context() as patched:
        patched.setattr(time, "monotonic_ns", lambda: 17 * 10**17)
        domain.report()
    use(cheap)
    use(expensive)
    time.sleep(1.01)
    assert domain.report().splitlines()[0].endswith("learned")


# --- what is measured ----------------------------------------------------------------


def test_cached_functions_are_timed(domain: Domain) -> None:
    """Functions, ``async def`` functions and ``get_or_set``, by what they take."""

    @cached(domain=domain)
    def plain(n: int) -> int:
        time.sleep(0.01)
        return n

    @cached(domain=domain)
    async def coroutine(n: int) -> int:
        await asyncio.sleep(0.01)
        return n

    @cached(domain=domain, coalesce=False)
    async def alone(n: int) -> int:
        await asyncio.sleep(0.01)
        return n

    cache: Cache[int, None] = Cache(domain=domain)
    plain(1)
    plain(1)
    asyncio.run(coroutine(1))
    asyncio.run(alone(1))
    cache.get_or_set(1, lambda: time.sleep(0.01))
    for each in (plain.cache, coroutine.cache, alone.cache, cache):
        seconds = each.statistics().computed_seconds
        assert seconds is not None
        assert 0.009 <= seconds < 5


def test_an_exception_is_no_cost(domain: Domain) -> None:
    """Nothing is kept of it."""
    cache: Cache[int, int] = Cache(domain=domain)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set(1, lambda: 1 // 0)
    assert cache.statistics().computed_seconds is None


@pytest.mark.parametrize("seconds", [math.nan, -1.0, math.inf, 1e9])
def test_a_clock_that_jumps_teaches_nothing(domain: Domain, seconds: float) -> None:
    """Tests set and stop clocks."""
    cache = filled(domain, 0.5, n=10)
    compute(cache, 11, seconds)
    assert cache.statistics().computed_seconds == 0.5


def test_the_mean_stays_where_nothing_is_computed(domain: Domain, clock: Clock) -> None:
    """All sums fade together; after hours they are not so small that it is lost."""
    cache = filled(domain, 0.5, n=10)
    for _ in range(2_000):
        use(cache)
        clock.passes(60)
    assert cache.statistics().computed_seconds == pytest.approx(0.5)
    saves = cache.statistics().page_saves
    assert saves == pytest.approx(0.5 / 60, rel=0.1)  # A hit of each in a minute.


def test_hits_that_were_set_to_zero(domain: Domain, clock: Clock) -> None:
    """``cache_clear()`` does that; what was before does not count again."""
    cache = filled(domain, 0.5, n=10)
    use(cache, 10)
    clock.passes(10)
    cache._store.hits = 0
    use(cache)
    clock.passes(10)
    saves = cache.statistics().page_saves
    assert saves is not None
    # 110 hits of 10 pages, those before a little faded, in 20 s.
    assert saves == pytest.approx(110 * 0.5 / 10 / 20, rel=0.2)


def test_a_cache_that_is_younger_than_the_step(domain: Domain, clock: Clock) -> None:
    """A thread may read the clock, and go on when another one has made a cache."""
    cache: Cache[int, int] = Cache(weigher=None, domain=domain)
    domain._growth.learn(2 * 10**9)
    for key in range(10):
        compute(cache, key, 0.5)
    use(cache, 10)
    clock.passes(10)
    assert cache.statistics().page_saves == pytest.approx(100 * 0.5 / 10 / 10, rel=0.1)


def test_a_young_cache(domain: Domain, clock: Clock) -> None:
    """A few hits in its first second are no rate yet."""
    cache = filled(domain, 0.5, n=10)
    use(cache)
    clock.passes(1)
    assert cache.statistics().page_saves == pytest.approx(10 * 0.5 / 10 / 5, rel=0.1)


def test_ghosts_without_a_time(domain: Domain) -> None:
    """Keys become ghosts also where no computation was timed; clear() drops them."""
    cache = filled(domain, 0.01)
    cache.registration.scan(100)
    compute(cache, 0, math.nan)
    assert cache.statistics().ghost_hits == 1
    cache.clear()
    compute(cache, 1, 0.01)
    assert cache.statistics().ghost_hits == 1


# --- where nothing is learned --------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "seeks"),
    [({"seeks": 7}, 7), ({"rebuild_seconds": 0.05}, 10), ({"min_age": 0.001}, 2)],
)
def test_what_is_given_stays(
    domain: Domain, clock: Clock, options: dict[str, Any], seeks: int
) -> None:
    """Nothing is measured; nor where scans spare entries whatever they are worth."""
    given = filled(domain, 0.5, **options)
    others = filled(domain, 0.001), filled(domain, 0.1)
    for cache in (given, *others):
        use(cache)
    clock.passes(10)
    assert seeks_of(given) == seeks
    assert [seeks_of(cache) for cache in others] == [1, MAX_SEEKS]
    statistics = given.statistics()
    assert statistics.computed_seconds is statistics.page_saves is None


def test_what_is_only_set_has_no_cost(domain: Domain, clock: Clock) -> None:
    """So it stays at 2, beside those that learn."""
    plain: Cache[int, int] = Cache(weigher=None, domain=domain)
    plain.update((key, key) for key in range(PAGES))
    cheap, expensive = filled(domain, 0.001), filled(domain, 0.1)
    for cache in (plain, cheap, expensive):
        use(cache)
    clock.passes(10)
    assert [seeks_of(cache) for cache in (plain, cheap, expensive)] == [2, 1, MAX_SEEKS]


def test_nothing_is_learned_without_use(domain: Domain, clock: Clock) -> None:
    """Where nothing saves anything, all stay as they are."""
    cheap, expensive = filled(domain, 0.001), filled(domain, 0.1)
    clock.passes(10)
    assert seeks_of(cheap) == seeks_of(expensive) == 2
    assert not domain.report().splitlines()[0].endswith("learned")


def test_an_empty_cache(domain: Domain, clock: Clock) -> None:
    """It is compared with none, and none with it."""
    empty, other = filled(domain, 10.0), filled(domain, 0.1)
    use(empty)
    use(other)
    empty.clear()
    clock.passes(10)
    assert seeks_of(other) == 2
    assert empty.registration.count() == 0
    # What it was worth does not count any more.
    third = filled(domain, 1e-9)
    use(third)
    clock.passes(10)
    assert (seeks_of(other), seeks_of(third)) == (MAX_SEEKS, 1)


def test_caches_come_and_go(domain: Domain, clock: Clock) -> None:
    """Those that are left learn; in any order."""
    caches = {i: filled(domain, 0.001 * 10**i, n=100) for i in range(4)}
    for i in (2, 0, 3):
        caches.pop(i)
        gc.collect()
        for j, cache in caches.items():
            use(cache, 1 + j)
        clock.passes(10)
    assert seeks_of(caches[1]) == 2
    closed = filled(domain, 5.0, n=100)
    use(closed)
    closed.close()
    clock.passes(10)
    assert seeks_of(caches[1]) == 2


# --- how it is said ------------------------------------------------------------------


def test_the_report_says_it(domain: Domain, clock: Clock) -> None:
    """The seeks, and what a page takes to compute."""
    pages = filled(domain, 0.0125, n=100, weigher=lambda k, v: 4 * 4096, name="pages")
    rows = filled(domain, 2.5, n=100, name="rows")
    tiny = filled(domain, 2e-6, n=100, name="tiny")
    least = filled(domain, 2e-9, n=100, name="least")
    builder = ShrinkerBuilder("others", domain=domain)
    with builder.register(SimpleNamespace(count_objects=len, scan_objects=len)):
        for cache in (pages, rows, tiny, least):
            use(cache)
        clock.passes(10)
        lines = domain.report().splitlines()
    assert lines[0].endswith("  learned")
    said = {line.split()[0]: line.partition("seeks")[2].strip() for line in lines[1:]}
    assert said == {
        "pages": "3: 3.12 ms a page",
        "rows": "128: 2.5 s an entry",
        "tiny": "1: 2 µs an entry",
        "least": "1: 2 ns an entry",
        "others": "",
    }
    assert max(map(len, lines)) <= 80
