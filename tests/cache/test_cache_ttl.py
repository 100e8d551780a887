"""``ttl``: entries that expire."""

from __future__ import annotations

import asyncio
import gc
import math
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import Dice, PythonKey, Value, check_sound

from shrinker.cache import Cache, cached

if TYPE_CHECKING:
    from shrinker import Domain


class Clock:
    """``time.monotonic`` as the test sets it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.reads = 0

    def __call__(self) -> float:
        self.reads += 1
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


# --- when entries expire -------------------------------------------------------------


def test_expired_entries_miss(domain: Domain, clock: Clock) -> None:
    """No look-up finds one; the statistics say how many have left."""
    cache = Cache[str, int](ttl=10, weigher=None, domain=domain)
    for key in "abcde":
        cache[key] = 1
    clock.now += 9.5
    assert cache["a"] == 1
    clock.now += 0.5
    assert cache.get("a") is None
    with pytest.raises(KeyError):
        cache["b"]
    assert "c" not in cache
    assert cache.pop("d", None) is None
    assert ("e", 1) not in cache.items()
    statistics = cache.statistics()
    assert (statistics.expired, statistics.evicted, statistics.entries) == (5, 0, 0)
    assert (statistics.hits, statistics.misses) == (1, 2)


def test_setting_renews_and_a_hit_does_not(domain: Domain, clock: Clock) -> None:
    """The time counts from the last set of the key."""
    cache = Cache[str, int](ttl=10, weigher=None, domain=domain)
    cache["set"] = cache["hit"] = 1
    clock.now += 6
    assert cache["hit"] == cache.setdefault("hit", 2) == 1
    cache["set"] = 2
    clock.now += 6
    assert dict(cache.items()) == {"set": 2}
    assert cache.setdefault("hit", 3) == 3
    clock.now += 6
    assert dict(cache.items()) == {"hit": 3}


def test_len_and_iteration_leave_expired_entries_out(
    domain: Domain, clock: Clock
) -> None:
    """They let them go first, so that all agree."""
    looks: list[Any] = [
        len,
        lambda cache: len(list(cache)),
        lambda cache: len(list(cache.items())),
        lambda cache: len(list(cache.values())),
    ]
    for look in looks:
        cache = Cache[int, int](ttl=10, weigher=None, domain=domain)
        cache.update({n: n for n in range(5)})
        clock.now += 5
        cache.update({n: n for n in range(3, 8)})
        assert look(cache) == 8
        clock.now += 5
        assert cache.statistics().entries == 8
        assert look(cache) == 5
        assert cache.statistics().entries == 5
        assert cache.popitem()[0] >= 3
        clock.now += 5
        with pytest.raises(KeyError):
            cache.popitem()
        assert not cache
        check_sound(cache)


def test_without_ttl_no_clock_is_read(domain: Domain, clock: Clock) -> None:
    """So it costs nothing; an infinite one neither."""
    for ttl in (None, math.inf):
        cache = Cache[int, int](4, ttl=ttl, weigher=None, domain=domain)
        for n in range(10):
            cache[n] = n
            cache.get(n)
        list(cache)
        assert cache.registration.scan(2) == 2
    assert clock.reads == 0


@pytest.mark.parametrize(
    ("bad", "error"),
    [(0, ValueError), (-1, ValueError), (math.nan, ValueError), ("1", TypeError)],
)
def test_bad_ttl(bad: Any, error: type[Exception]) -> None:
    """``ttl`` is a number of seconds above 0."""
    with pytest.raises(error, match="ttl"):
        Cache(ttl=bad)
    with pytest.raises(error, match="ttl"):
        cached(ttl=bad)(len)


@pytest.mark.parametrize(
    ("bad", "shown"),
    [
        (0, "0"),
        (-1, "-1"),
        (-0.5, "-0.5"),
        (math.nan, "nan"),
        pytest.param(-(10**400), "-inf", id="large"),
    ],
)
def test_what_the_error_of_a_bad_ttl_says(bad: Any, shown: str) -> None:
    """One sentence for all: what it must be, and what it was."""
    message = f"^ttl must be more than 0 seconds, or None, not {shown}$"
    for make in (lambda: Cache(ttl=bad), lambda: cached(ttl=bad)(len)):
        with pytest.raises(ValueError, match=message):
            make()


@pytest.mark.parametrize("name", ["min_age", "rebuild_seconds"])
@pytest.mark.parametrize(
    ("bad", "shown"),
    [(-1, "-1"), (math.nan, "nan"), pytest.param(-(10**400), "-inf", id="large")],
)
def test_what_the_error_of_other_seconds_says(name: str, bad: Any, shown: str) -> None:
    """The same sentence; 0 is allowed."""
    message = f"^{name} must be 0 or more seconds, not {shown}$"
    arguments: dict[str, Any] = {name: bad}
    for make in (lambda: Cache(**arguments), lambda: cached(**arguments)(len)):
        with pytest.raises(ValueError, match=message):
            make()


def test_ttl_is_shown(domain: Domain) -> None:
    """By the cache; ``cache_parameters()`` has what functools has."""
    assert Cache(ttl=2, domain=domain).ttl == 2.0
    for never in (None, math.inf):
        assert Cache(ttl=never, domain=domain).ttl is None
    timed = cached(ttl=1.5, maxsize=3, domain=domain)(len)
    assert timed.cache.ttl == 1.5
    assert timed.cache_parameters() == {"maxsize": 3, "typed": False}


# --- who leaves first ----------------------------------------------------------------


def test_scans_take_expired_entries_first(domain: Domain, clock: Clock) -> None:
    """Also used ones, and those that ``min_age`` protects; then all others."""
    cache = Cache[int, int](ttl=10, min_age=20, weigher=None, domain=domain)
    cache.update({n: n for n in range(10)})
    clock.now += 5
    cache.update({n: n for n in range(5)})  # At the head of the order still.
    for n in range(5, 10):
        assert cache[n] == n
    clock.now += 5
    assert cache.registration.scan(3) == 3
    assert (cache.statistics().expired, cache.statistics().evicted) == (3, 0)
    assert cache.registration.scan(100) == 2
    assert set(cache) == set(range(5))
    clock.now += 5
    assert domain.shrink_slab(priority=0) == 5
    assert cache.statistics().expired == 10
    check_sound(cache)


def test_sets_take_expired_entries_first(domain: Domain, clock: Clock) -> None:
    """A set beyond ``maxsize`` spares what has not expired."""
    cache = Cache[int, int](10, ttl=10, weigher=None, domain=domain)
    cache.update({n: n for n in range(10)})
    clock.now += 5
    cache.update({n: n for n in range(9)})
    clock.now += 5
    cache[10] = 10  # 9 has expired.
    assert set(cache) == {*range(9), 10}
    assert (cache.statistics().expired, cache.statistics().evicted) == (1, 0)
    cache[11] = 11
    assert (cache.statistics().expired, cache.statistics().evicted) == (1, 1)


def test_expired_entries_do_not_gather(domain: Domain, clock: Clock) -> None:
    """Each set lets two go at most: a cache without a limit ends at twice the rate."""
    cache = Cache[int, int](ttl=10, weigher=None, domain=domain)
    cache.update({n: n for n in range(1_000)})
    clock.now += 10
    for n in range(100):
        cache[n + 1_000] = n
        assert cache.statistics().entries == 1_000 - n - 1
    for n in range(1_000):
        cache[n + 2_000] = n
        clock.now += 0.125
        assert cache.statistics().entries <= 1_000
    assert cache.statistics().entries == 10 / 0.125


def test_the_new_entry_stays(domain: Domain, clock: Clock) -> None:
    """A set does not let its own entry go, however short the ttl."""
    later = iter(range(10**6))
    cache = Cache[int, int](2, ttl=1e-9, weigher=None, domain=domain)
    for n in range(10):
        clock.now = float(next(later))
        cache[n] = n
        assert cache.statistics().entries == 1


def test_under_pressure(domain: Domain, clock: Clock) -> None:
    """A set makes room by expired entries."""
    cache = Cache[int, int](ttl=10, weigher=None, domain=domain)
    cache.update({n: n for n in range(4)})
    clock.now += 9
    cache[4] = 4
    clock.now += 2
    domain.under_pressure = True
    try:
        cache[5] = 5
        assert set(cache) == {4, 5}
    finally:
        domain.under_pressure = False


# --- callbacks, keys and values ------------------------------------------------------


def test_on_evict_is_called(domain: Domain, clock: Clock) -> None:
    """The call that meets the expired entry calls on_evict; it may set the key anew."""
    gone: list[int] = []

    def on_evict(key: int, value: int) -> None:
        gone.append(key)
        if key == 1:
            cache[key] = value + 1
        if key == 2:
            raise ValueError

    cache = Cache[int, int](ttl=10, on_evict=on_evict, weigher=None, domain=domain)
    cache.update({n: n for n in range(4)})
    clock.now += 10
    assert cache.get(0) is None
    assert cache.get(1) == 2
    # The set of 1 let two more go; what the second one raised went to the log.
    assert gone == [0, 1, 2, 3]
    assert cache.statistics().evict_errors == 1


def test_interrupted_callbacks(domain: Domain, clock: Clock) -> None:
    """KeyboardInterrupt of a callback comes out of each call that met the entry."""

    def on_evict(key: int, value: int) -> None:
        raise KeyboardInterrupt

    calls: list[Any] = [
        lambda cache: cache.get(1),
        lambda cache: cache.__setitem__(5, 5),
        lambda cache: cache.__setitem__(1, 5),
        lambda cache: 1 in cache,
        lambda cache: cache.popitem(),
        len,
        list,
        lambda cache: list(cache.items()),
        lambda cache: cache.registration.scan(1),
    ]
    for call in calls:
        cache = Cache[int, int](ttl=10, on_evict=on_evict, weigher=None, domain=domain)
        cache[1] = cache[2] = 1
        clock.now += 10
        with pytest.raises(KeyboardInterrupt):
            call(cache)
        assert cache.statistics().expired == 1
        assert cache.weight == cache.statistics().entries
        cache.close()


def test_a_clock_that_raises(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call raises, and nothing has changed."""
    cache = Cache[int, int](10, ttl=10, weigher=None, domain=domain)
    cache[1] = 1

    def broken() -> float:
        raise KeyboardInterrupt

    calls: list[Any] = [
        lambda: cache.get(1),
        lambda: cache.__setitem__(1, 2),
        cache.popitem,
        lambda: len(cache),
        lambda: list(cache.values()),
        lambda: cache.registration.scan(1),
    ]
    for call in calls:
        with monkeypatch.context() as patch:
            patch.setattr(time, "monotonic", broken)
            with pytest.raises(KeyboardInterrupt):
                call()
        assert cache[1] == 1
    check_sound(cache)


def test_values_are_freed(domain: Domain, clock: Clock) -> None:
    """Those of expired entries at once, and those of dropped caches."""
    gc.disable()
    try:
        for drop in (False, True):
            cache = Cache[int, Value](ttl=10, weigher=None, domain=domain)
            cache[1] = value = Value()
            alive = weakref.ref(value)
            del value
            clock.now += 10
            if drop:
                del cache
            else:
                assert 1 not in cache
            assert alive() is None
    finally:
        gc.enable()


def test_against_a_model(domain: Domain, clock: Clock) -> None:
    """After any operations, what is found was set less than the ttl ago."""
    dice = Dice(15)
    cache = Cache[Any, int](30, ttl=10, weigher=None, domain=domain)
    keys = [PythonKey(n) for n in range(60)]
    born: dict[int, float] = {}
    for turn in range(20_000):
        n = dice.randrange(60)
        clock.now += dice.random()
        action = dice.randrange(10)
        if action < 4:
            cache[keys[n]] = turn
            born[n] = clock.now
        elif action < 8:
            found = keys[n] in cache
            assert not found or clock.now - born[n] < 10
        elif action == 8:
            cache.pop(keys[n], None)
        elif dice.random() < 0.1:
            cache.registration.scan(dice.randrange(10))
        else:
            shown = {key.number for key in cache}
            assert all(clock.now - born[one] < 10 for one in shown)
            assert len(shown) == len(cache) == cache.weight <= 30
    statistics = cache.statistics()
    assert statistics.expired > 1_000
    assert statistics.evicted > 0
    check_sound(cache)


# --- decorated functions -------------------------------------------------------------


def test_functions(domain: Domain, clock: Clock) -> None:
    """A result that has expired is computed anew, by ``async def`` functions too."""
    calls = []

    @cached(ttl=10, domain=domain)
    def double(n: int) -> int:
        calls.append(n)
        return n * 2

    @cached(ttl=10, domain=domain)
    async def triple(n: int) -> int:
        calls.append(n)
        return n * 3

    for _ in range(2):
        assert [double(1), double(1)] == [2, 2]
        assert asyncio.run(triple(2)) == asyncio.run(triple(2)) == 6  # type: ignore[arg-type]
        clock.now += 10
    assert calls == [1, 2, 1, 2]
    assert double.cache_info() == (2, 2, None, 1)
    assert not double.cache_discard(1)
    assert double.cache.statistics().expired == 2
