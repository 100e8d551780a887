"""``Cache``: what eviction callbacks, finalisers and keys may do to their cache."""

from __future__ import annotations

import functools
import gc
import logging
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import Dice, PythonKey, Value, check_sound

from shrinker.cache import Cache, entries

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import Domain


# --- eviction callbacks --------------------------------------------------------------


def test_on_evict_is_called_for_evictions_alone(domain: Domain) -> None:
    """It is called for scans and ``maxsize``, not for what the user deletes."""
    gone: list[int] = []
    cache: Cache[int, str] = Cache(
        3, on_evict=lambda k, v: gone.append(k), weigher=None, domain=domain
    )
    cache.update({1: "a", 2: "b", 3: "c"})
    cache[1] = "A"
    del cache[2]
    cache.pop(3)
    cache.clear()
    assert gone == []
    cache.update({1: "a", 2: "b", 3: "c", 4: "d"})
    assert gone == [1]
    cache.registration.scan(2)
    assert gone == [1, 2, 3]
    assert cache.statistics().evicted == 3
    cache.close()
    assert gone == [1, 2, 3]


def test_an_exception_of_on_evict_is_logged(
    domain: Domain, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception is counted, and the eviction is complete all the same.

    The first one of each cache is logged with its traceback.  At 10, 100 and so on,
    a line has their number.  Each line has the cache's name.
    """

    def fail(key: int, value: Value) -> None:
        raise RuntimeError(f"no {key}")

    first = Value()
    alive = weakref.ref(first)
    for name in ("thumbnails", "pages"):
        cache: Cache[int, Value] = Cache(
            2, name=name, on_evict=fail, weigher=None, domain=domain
        )
        caplog.clear()
        with caplog.at_level(logging.ERROR, logger="shrinker.cache"):
            cache[0] = first
            for n in range(1, 1234):
                cache[n] = Value()
            assert domain.shrink_slab(priority=0) == 2
        assert [record.name for record in caplog.records] == ["shrinker.cache"] * 4
        first_record, *others = caplog.records
        assert first_record.getMessage() == f"cache {name!r}: on_evict raised"
        assert first_record.exc_info is not None
        assert str(first_record.exc_info[1]) == "no 0"
        assert "in fail" in caplog.text
        assert [record.getMessage() for record in others] == [
            f"cache {name!r}: on_evict raised, {times} times so far"
            for times in (10, 100, 1000)
        ]
        assert all(record.exc_info is None for record in others)
        seen = cache.statistics()
        assert (seen.evicted, seen.evict_errors) == (1234, 1234)
        check_sound(cache)
        del first_record, others
    assert alive() is first


def test_each_kind_of_failure_is_logged_once(
    domain: Domain, caplog: pytest.LogCaptureFixture
) -> None:
    """A callback that always raises does not keep one that nests out of the log."""

    def fail(key: int, value: int) -> None:
        cache[key + 100] = value
        raise RuntimeError("no eviction")

    cache: Cache[int, int] = Cache(1, on_evict=fail, domain=domain)
    cache[0] = 0
    cache[1] = 1  # Each callback but the 17th, which is not called, sets another.
    assert [record.exc_info is None for record in caplog.records] == [
        False,
        False,
        True,
    ]
    assert "no eviction" in caplog.text
    assert "in 16 eviction callbacks already" in caplog.text
    assert cache.statistics().evict_errors == 17


def test_on_evict_may_use_the_cache(domain: Domain) -> None:
    """A callback sets, gets and scans in the cache that calls it."""

    def evicted(key: int, value: int) -> None:
        cache.get(value)
        if key < 100:
            cache[key + 100] = value
            cache.registration.scan(1)

    cache: Cache[int, int] = Cache(4, on_evict=evicted, domain=domain)
    for n in range(50):
        cache[n] = n
    assert len(cache) <= 4
    check_sound(cache)


@pytest.mark.parametrize("caches", [1, 2])
def test_on_evict_may_put_the_entry_back(caches: int, domain: Domain) -> None:
    """Each set evicts, and the callback sets again, in this cache or in another one.

    This ends, and no cache exceeds its size: the 17th nested callback is not called,
    which counts as an error.
    """

    def put_into_next(n: int, key: int, value: int) -> None:
        ring[(n + 1) % caches][key] = value

    ring: list[Cache[int, int]] = [
        Cache(
            2, on_evict=functools.partial(put_into_next, n), weigher=None, domain=domain
        )
        for n in range(caches)
    ]
    full = 2 * caches
    for n in range(full + 3):
        ring[0][n] = n
    assert [len(cache) for cache in ring] == [2] * caches
    assert sum(cache.statistics().evict_errors for cache in ring) == 3
    assert [cache.weight for cache in ring] == [2] * caches


def test_callbacks_that_set_several_keys_come_to_an_end(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callbacks inside an outermost one are bounded at all levels together."""
    monkeypatch.setattr(entries, "MAX_INSIDE", 50)
    called = 0

    def evicted(key: int, value: int) -> None:
        nonlocal called
        called += 1
        if called > 1000:
            pytest.fail("there is no end")
        for n in range(3):
            cache[3 * key + n] = value

    cache: Cache[int, int] = Cache(2, on_evict=evicted, weigher=None, domain=domain)
    for n in range(4):
        cache[n] = n
    # Two sets evict; each is the outermost one of 50.
    assert called == 2 * 51
    seen = cache.statistics()
    assert seen.evicted == called + seen.evict_errors
    assert len(cache) == cache.weight == 2


def test_on_evict_may_raise_keyboard_interrupt(domain: Domain) -> None:
    """The set or the walk raises it, and the eviction is complete."""

    def stop(key: int, value: int) -> None:
        raise KeyboardInterrupt

    cache: Cache[int, int] = Cache(3, on_evict=stop, weigher=None, domain=domain)
    cache.update({n: n for n in range(3)})
    with pytest.raises(KeyboardInterrupt):
        cache[3] = 3
    assert set(cache) == {1, 2, 3}
    with pytest.raises(KeyboardInterrupt):
        domain.shrink_slab(priority=0)
    assert set(cache) == {2, 3}
    assert (cache.weight, cache.statistics().evicted) == (2, 2)


# --- finalisers ----------------------------------------------------------------------


def test_finalisers_may_use_the_cache(domain: Domain) -> None:
    """Values that delete, set and scan in their finalisers leave the figures right."""
    cache: Cache[int, Any] = Cache(8, domain=domain)
    dice = Dice(2)

    class Restless:
        def __del__(self) -> None:
            cache.pop(dice.randrange(20), None)
            cache[dice.randrange(20)] = None
            cache.registration.scan(1)

    for n in range(2_000):
        cache[n % 20] = Restless()
        if n % 7 == 0:
            cache.pop(dice.randrange(20), None)
        if n % 101 == 0:
            cache.clear()
    cache.clear()
    gc.collect()
    check_sound(cache)


def test_a_finaliser_may_delete_the_next_entry(domain: Domain) -> None:
    """A finaliser deletes the entry at which an eviction arrives next."""
    cache: Cache[int, Any] = Cache(weigher=lambda k, v: 4096, domain=domain)

    class Chain:
        def __init__(self, follower: int) -> None:
            self.follower = follower

        def __del__(self) -> None:
            cache.pop(self.follower, None)
            cache[-self.follower] = None

    for n in range(1, 101):
        cache[n] = Chain(n + 1 if n % 2 else 1000 + n)
    # Raises where an entry is evicted twice.
    assert 0 < cache.registration.scan(100) <= 100
    check_sound(cache, lambda key, value: 4096)


# --- keys ----------------------------------------------------------------------------


def test_keys_may_use_the_cache(domain: Domain) -> None:
    """A key that changes the cache while it is compared leaves the figures right."""
    dice = Dice(3)
    depth = 0

    class Restless(PythonKey):
        __hash__ = PythonKey.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal depth
            if depth == 0:
                depth = 1
                try:
                    act()
                finally:
                    depth = 0
            return super().__eq__(other)

    def act() -> None:
        key = Restless(dice.randrange(15))
        match dice.randrange(5):
            case 0:
                cache[key] = 1
            case 1:
                cache.pop(key, None)
            case 2:
                cache.registration.scan(2)
            case 3:
                cache.get(key)
            case 4 if dice.random() < 0.05:
                cache.clear()

    cache: Cache[Any, int] = Cache(10, domain=domain)
    for _ in range(5_000):
        act()
        assert cache.weight >= 0
    check_sound(cache)


def test_keys_that_cannot_be_hashed_any_more(domain: Domain) -> None:
    """A scan and a clear take them all the same; a look raises what they raise."""
    cache: Cache[Any, Value] = Cache(weigher=None, domain=domain)
    first, second = PythonKey(1), PythonKey(1)
    cache[first] = value = Value()
    alive = weakref.ref(value)
    del value
    cache["plain"] = Value()
    first.broken = True
    assert domain.shrink_slab(priority=0) == 2
    assert alive() is None
    assert cache.statistics().evict_errors == 0
    first.broken = False
    assert cache.get(second) is None
    assert second not in cache
    with pytest.raises(KeyError):
        cache[second]
    with pytest.raises(KeyError):
        del cache[second]
    assert list(cache.items()) == []
    cache[second] = Value()
    assert second in cache
    assert cache.statistics().misses == 2
    second.broken = True
    for look in (cache.get, cache.pop, cache.__contains__, cache.__getitem__):
        with pytest.raises(RuntimeError, match="no hash"):
            look(second)
    assert len(list(cache.items())) == len(cache) == 1
    cache.clear()
    assert len(cache) == 0
    check_sound(cache)


def test_a_key_that_changes_the_table_while_it_is_compared(domain: Domain) -> None:
    """Entries go and come in a comparison; a set ends with one entry of its key."""
    act: Callable[[], object] | None = None

    class Acting(PythonKey):
        __hash__ = PythonKey.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal act
            if act is not None:
                mine, act = act, None
                mine()
            return super().__eq__(other)

    def grow() -> None:
        for n in range(100):
            cache[f"{n}"] = n

    acts: tuple[Callable[[], object], ...] = (
        lambda: cache.clear(),  # noqa: PLW0108 - of the cache of this turn
        lambda: cache.popitem(),  # noqa: PLW0108
        lambda: cache.pop(Acting(7)),
        lambda: cache.__setitem__(Acting(14), "another"),
        lambda: cache.registration.scan(100),
        grow,
    )
    for one in acts:
        cache: Cache[Any, Any] = Cache(weigher=None, domain=domain)
        cache[Acting(0)] = cache[Acting(7)] = "old"  # In one bucket, as 14 is.
        act = one
        cache[Acting(14)] = "new"
        assert act is None
        assert cache[Acting(14)] == "new"
        assert [key.number for key in cache if isinstance(key, Acting)].count(14) == 1
        check_sound(cache)
