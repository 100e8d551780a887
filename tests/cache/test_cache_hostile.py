"""``Cache``: user code that does what it should not, at the worst moment.

Keys, values, callbacks, the clock and the domain's watcher raise, or change the cache
that is at work with them.  The cache stays whole, and the error reaches its caller.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import check_sound

from shrinker import CallbackErrors, _walk_errors
from shrinker.cache import Cache, cached
from shrinker.cache.seeks import seeks_from_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import Domain


class KeyedError(Exception):
    """Raised by user code of these tests."""


class Key:
    """A key that calls a function where it is compared."""

    def __init__(self, compared: Callable[[], bool]) -> None:
        self.compared = compared

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return self.compared()


# --- keys ----------------------------------------------------------------------------


def test_a_key_that_is_taken_out_and_raises(domain: Domain) -> None:
    """While it is compared: its error comes out, though it is gone."""
    cache: Cache[Any, Any] = Cache(domain=domain)

    def clear() -> bool:
        cache.clear()
        raise KeyedError

    cache[Key(clear)] = 1
    with pytest.raises(KeyedError):
        cache.get(Key(clear))
    assert len(cache) == 0
    check_sound(cache)


@pytest.mark.parametrize("end", ["close", "clear"])
def test_a_call_whose_cache_ends_in_its_set(end: str, domain: Domain) -> None:
    """A key ends it while the result is being set: the result is returned, not kept."""
    comparisons = 0

    def compared() -> bool:
        nonlocal comparisons
        comparisons += 1
        if comparisons == 2:
            getattr(function.cache, end)()
        return False

    @cached(domain=domain)
    def function(key: object) -> int:
        return 7

    function(Key(compared))
    assert function(Key(compared)) == 7
    assert comparisons == 2
    assert function.cache_info().currsize == 0


def test_a_heavy_value_whose_key_raises(domain: Domain) -> None:
    """It is not evicted: what it would replace is not known."""

    def compared() -> bool:
        raise KeyedError

    cache: Cache[Any, int] = Cache(10, weigher=lambda _, v: v, domain=domain)
    cache[Key(compared)] = 1
    with pytest.raises(KeyedError):
        cache[Key(compared)] = 11
    assert (len(cache), cache.weight, cache.statistics().evicted) == (1, 1, 0)


def test_the_last_entry_is_at_once_the_next(domain: Domain) -> None:
    """A finaliser sets while ``clear()`` drops what was there: that stays."""
    cache: Cache[int, Any] = Cache(weigher=None, domain=domain)

    class Sets:
        def __del__(self) -> None:
            cache[5] = 50

    cache[1] = Sets()
    cache.clear()
    assert dict(cache.items()) == {5: 50}
    check_sound(cache)


# --- eviction callbacks --------------------------------------------------------------


class Stop:
    """An eviction callback that may raise KeyboardInterrupt."""

    raises = True

    def __call__(self, *_: object) -> None:
        if self.raises:
            raise KeyboardInterrupt


def test_on_evict_of_a_heavy_value_interrupts(domain: Domain) -> None:
    """The set raises it; the value and the key's old value are gone."""
    cache: Cache[int, int] = Cache(
        10, weigher=lambda _, v: v, on_evict=Stop(), domain=domain
    )
    cache[1] = 5
    with pytest.raises(KeyboardInterrupt):
        cache[1] = 11
    assert (len(cache), cache.weight, cache.statistics().evicted) == (0, 0, 1)


def test_on_evict_of_an_instance_that_is_gone_interrupts(domain: Domain) -> None:
    """The look-up that evicts its result raises it; the next one is whole."""
    stop = Stop()

    class Short:
        @cached(weigher=None, domain=domain, on_evict=stop)
        def number(self, of: int) -> int:
            return of

    interrupted = 0
    addresses: set[int] = set()  # Of instances whose result is kept.
    for _ in range(100):
        short = Short()
        if id(short) in addresses:
            with pytest.raises(KeyboardInterrupt):
                short.number(1)
            interrupted += 1
            addresses.remove(id(short))
        else:
            assert short.number(1) == 1
            addresses.add(id(short))
        del short
    info = Short.number.cache_info()
    assert (info.misses, info.currsize) == (100 - interrupted, len(addresses))
    assert Short.number.cache.statistics().evicted == interrupted
    stop.raises = False
    assert Short().number(2) == 2
    check_sound(Short.number.cache)


def test_weights_that_interrupted_evictions_leave(domain: Domain) -> None:
    """Each set adds before it evicts. Where evictions are cut short again and again,
    the sum of weights does not overflow: the set is refused."""
    stop = Stop()
    cache: Cache[int, int] = Cache(weigher=lambda _, v: v, on_evict=stop, domain=domain)
    for n in range(10):
        cache[n] = 1
    cache[10], cache[11] = 2**62, 2**62 - 10
    assert cache.weight == 2**63
    for n in (12, 13):
        with pytest.raises(KeyboardInterrupt):
            cache[n] = 2**62
    weight = 2**64 - 2
    assert cache.weight == weight
    for refused in (
        lambda: cache.__setitem__(14, 2),
        lambda: cache.update({12: 2**62, 0: 2}),
    ):
        with pytest.raises(OverflowError, match=r"2\*\*64 bytes or more"):
            refused()
    assert cache.weight == weight
    stop.raises = False
    cache[15] = 1
    assert cache.weight <= 2**63
    check_sound(cache, lambda _, value: value)


def test_a_scan_of_more_than_a_number_holds(domain: Domain) -> None:
    """Used entries are looked at twice: together they weigh 2**64."""
    cache: Cache[int, int] = Cache(weigher=lambda _, v: v, domain=domain)
    cache[1] = cache[2] = 2**62
    assert cache[1] == cache[2]
    pages = 2**63 // 4096
    assert cache.registration.count() == pages
    assert cache.registration.scan(2**64 - 1) == pages
    assert (len(cache), cache.weight) == (0, 0)


def test_a_set_meets_its_own_entry_a_third_time(domain: Domain) -> None:
    """An eviction callback adds entries without weight, and uses the heavy one, so the
    set's own entry comes first again and again. It is evicted then; the set ends."""
    evicted: list[int] = []

    def use_and_add(key: int, value: int) -> None:
        evicted.append(key)
        cache.get(2)
        cache[key + 1000] = 0

    cache: Cache[int, int] = Cache(
        10, weigher=lambda _, v: v, on_evict=use_and_add, domain=domain
    )
    cache[1] = 1
    cache[3] = 0
    cache[2] = 9
    assert cache[2] == 9
    cache[1] = 5
    assert evicted[:2] == [3, 1003]
    assert evicted[-1] == 1
    assert cache[2] == cache.weight == sum(cache.values()) == 9
    cache.clear()
    assert len(cache) == cache.weight == 0


# --- pressure and growth -------------------------------------------------------------


def test_an_eviction_callback_that_sets_the_same_key(domain: Domain) -> None:
    """To more than the set that evicts has room for: the key stays, alone."""

    def set_again(key: str, value: int) -> None:
        if key == "old":
            cache["new"] = 500

    cache: Cache[str, int] = Cache(
        weigher=lambda _, v: v, on_evict=set_again, domain=domain
    )
    cache["old"] = 10
    domain._growth.under_pressure = True
    cache["new"] = 5
    assert dict(cache.items()) == {"new": 500}
    assert cache.weight == 500


def test_a_full_cache_under_pressure(domain: Domain) -> None:
    """It may not become larger than it is, nor than it may be anyway."""
    cache: Cache[int, int] = Cache(3, weigher=None, domain=domain)
    cache.update({1: 1, 2: 2, 3: 3})
    domain._growth.under_pressure = True
    cache[4] = 4
    assert set(cache) == {2, 3, 4}
    check_sound(cache)


def test_a_watcher_that_raises(domain: Domain) -> None:
    """The set that exceeds the allowance raises what it raises; the value is in."""

    def watcher() -> None:
        raise KeyedError

    domain._growth.watch(watcher)
    cache: Cache[int, int] = Cache(weigher=None, domain=domain)
    cache[1] = 1
    domain._growth.allowance = 0
    with pytest.raises(KeyedError):
        cache[2] = 2
    with pytest.raises(KeyedError):
        cache.setdefault(3, 3)
    assert dict(cache.items()) == {1: 1, 2: 2, 3: 3}
    domain._growth.unwatch()
    check_sound(cache)


# --- the clock -----------------------------------------------------------------------


def test_a_clock_that_fails(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a set nor a scan goes on without the time; any number is a time."""
    cache: Cache[int, int] = Cache(min_age=1.0, weigher=None, domain=domain)
    cache[1] = 1

    def broken() -> float:
        raise KeyedError

    def scan() -> int:
        return cache.registration.scan(10)

    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", broken)
        with pytest.raises(KeyedError):
            cache[2] = 2
        with pytest.raises(CallbackErrors) as caught:
            scan()
        patch.setattr(time, "monotonic", lambda: "now")
        with pytest.raises(TypeError):
            cache[2] = 2
        with pytest.raises(CallbackErrors) as without_traceback:
            scan()
        patch.setattr(time, "monotonic", lambda: -1.0)
        cache[2] = 2
        assert scan() == 0
        patch.setattr(time, "monotonic", lambda: 0.5)
        assert scan() == 1
    (error,) = caught.value.exceptions
    assert isinstance(error, KeyedError)
    assert error.__traceback__ is not None
    (error,) = without_traceback.value.exceptions
    assert isinstance(error, TypeError)
    assert dict(cache.items()) == {1: 1}


def test_an_error_that_cannot_be_reported(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reaches ``sys.unraisablehook``, and the walk goes on."""

    def broken(*_: object) -> None:
        raise KeyedError

    seen: list[Any] = []
    cache: Cache[int, int] = Cache(on_evict=Stop(), domain=domain)
    other: Cache[int, int] = Cache(domain=domain)
    cache[1] = other[1] = 1
    monkeypatch.setattr(_walk_errors, "report", broken)
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    assert domain.shrink_slab(priority=0) == 1
    assert [(found.exc_type, found.object) for found in seen] == [
        (KeyedError, cache._store)
    ]
    assert len(cache) == len(other) == 0


# --- seeks ---------------------------------------------------------------------------


@pytest.mark.parametrize("seeks", [0, 0.5, 1, 1.5, 2.5, 2.75, 3.25, 126.5, 127.5, 200])
def test_seeks_are_rounded_as_python_rounds(seeks: float, domain: Domain) -> None:
    """Half of a seek to the even one."""
    seconds = seeks * 0.005
    cache: Cache[int, int] = Cache(rebuild_seconds=seconds, weigher=None, domain=domain)
    cache.update({n: n for n in range(100)})
    assert cache.registration.count() == 100
    assert cache.registration.seeks == seeks_from_seconds(seconds)


def test_seeks_of_more_pages_than_an_int_holds(domain: Domain) -> None:
    """They are those of a page, as ever."""
    cache: Cache[int, int] = Cache(
        rebuild_seconds=0.1, weigher=lambda _, v: v, domain=domain
    )
    cache[1] = 2**62
    assert cache.registration.count() == 2**50
    assert cache.registration.seeks == 1
