"""``LruCache``: mapping, order, weights, pressure, and that no lock is missed."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import gc
import logging
import random
import signal
import threading
import time
import weakref
from typing import Any

import pytest
from tests_support import Cache, register, run_threads

from shrinker import Domain, ShrinkerError, default_domain
from shrinker.cache import LruCache, lru, store
from shrinker.cache.costs import MAX_SEEKS, seeks_of
from shrinker.growth import PAGE_SIZE

Dice = random.Random


class PythonKey:
    """A key whose hash and equality let other threads in."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        for _ in range(2):
            pass
        return self.number % 7

    def __eq__(self, other: object) -> bool:
        for _ in range(2):
            pass
        return isinstance(other, PythonKey) and self.number == other.number


class Value:
    """A value that can be watched."""


def live_weight(cache: LruCache[Any, Any]) -> int:
    """What the entries weigh that can be found."""
    return sum(entry.weight for entry in cache._entries.values())


def check_sound(cache: LruCache[Any, Any], *, ghosts: bool = False) -> None:
    """Weights are right, and everything can be evicted."""
    live = [entry for entry in cache._store.order if entry.key is not store.GONE]
    assert len({id(entry) for entry in live}) == len(live)
    assert cache.weight == sum(entry.weight for entry in live)
    if not ghosts:
        assert cache.weight == live_weight(cache)
        assert len(live) == len(cache)
    for _ in range(3):  # The first turns may only clear marks.
        cache.registration.scan(cache.registration.count() * 2)
    assert cache.weight == 0
    assert len(cache) == 0
    assert cache.registration.count() == 0


# --- the mapping ------------------------------------------------------------


def test_mapping_matches_a_dict(domain: Domain) -> None:
    """Without evictions every operation does what a dict's does."""
    pytest.importorskip("hypothesis")
    from hypothesis import given, settings  # noqa: PLC0415
    from hypothesis import strategies as st  # noqa: PLC0415

    keys = st.one_of(st.integers(0, 5), st.sampled_from(["a", "b"]))
    operation = st.tuples(
        st.sampled_from(
            [
                "set",
                "get",
                "item",
                "del",
                "pop",
                "setdefault",
                "in",
                "popitem",
                "update",
                "clear",
            ]
        ),
        keys,
        st.integers(),
    )

    def apply(target: Any, what: str, key: Any, value: int) -> Any:
        operations = {
            "set": lambda: target.__setitem__(key, value),
            "get": lambda: target.get(key, value),
            "item": lambda: target[key],
            "del": lambda: target.__delitem__(key),
            "pop": lambda: target.pop(key),
            "setdefault": lambda: target.setdefault(key, value),
            "in": lambda: key in target,
            "update": lambda: target.update({key: value, "c": 1}, d=2),
            "clear": target.clear,
        }
        try:
            return operations[what]()
        except KeyError as error:
            return ("KeyError", error.args)

    @settings(max_examples=150, deadline=None)
    @given(st.lists(operation, max_size=40))
    def check(operations: list[tuple[str, Any, int]]) -> None:
        with LruCache[Any, int](domain=domain, weigher=lambda k, v: 3) as cache:
            model: dict[Any, int] = {}
            for what, key, value in operations:
                if what == "popitem":
                    if model:
                        gone, taken = cache.popitem()
                        assert model.pop(gone) == taken
                    else:
                        with pytest.raises(KeyError):
                            cache.popitem()
                else:
                    assert apply(cache, what, key, value) == apply(
                        model, what, key, value
                    )
                assert cache == model
                assert len(cache) == len(model)
                assert sorted(cache.values()) == sorted(model.values())
                assert set(cache) == set(model)
                assert cache.weight == 3 * len(model) == live_weight(cache)

    check()


def test_iteration_is_over_a_snapshot(domain: Domain) -> None:
    """The cache may be changed while keys, values or items are gone through."""
    cache: LruCache[int, int] = LruCache(domain=domain)
    for view in (cache, cache.keys(), cache.items(), cache.values()):
        cache.update({n: n for n in range(10)})
        seen = 0
        for _ in view:
            cache[100 + seen] = 0
            cache.pop(seen, None)
            seen += 1
        assert seen > 4
        cache.clear()
    cache[1] = 2
    assert 2 in cache.values()
    assert (1, 2) in cache.items()
    assert 3 not in cache.values()


def test_unhashable_keys_and_copies_are_refused(domain: Domain) -> None:
    """A list is no key, and a cache is neither copied nor hashed."""
    cache: LruCache[Any, int] = LruCache(domain=domain)
    with pytest.raises(TypeError):
        cache[[]] = 1
    with pytest.raises(TypeError):
        cache.get([])
    with pytest.raises(TypeError, match="copied"):
        copy.copy(cache)
    with pytest.raises(TypeError):
        hash(cache)
    assert cache.weight == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"maxsize": -1}, ValueError),
        ({"maxsize": 1.5}, TypeError),
        ({"maxsize": True}, TypeError),
        ({"weigher": 3}, TypeError),
        ({"weigher": len}, TypeError),
        ({"weigher": lambda key, value, more: 1}, TypeError),
        ({"on_evict": lambda key: None}, TypeError),
        ({"on_evict": "x"}, TypeError),
        ({"min_age": -1}, ValueError),
        ({"min_age": float("nan")}, ValueError),
        ({"min_age": "1"}, TypeError),
        ({"seeks": -1}, ValueError),
        ({"rebuild_seconds": -0.1}, ValueError),
        ({"rebuild_seconds": True}, TypeError),
        ({"seeks": 2, "rebuild_seconds": 1}, TypeError),
        ({"name": ""}, ValueError),
        ({"name": 3}, TypeError),
        ({"domain": 3}, TypeError),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception]) -> None:
    """A wrong argument is refused, and nothing is registered."""
    with Domain() as domain:
        with pytest.raises(error):
            LruCache(**{"domain": domain, **arguments})
        assert domain.shrinkers() == ()


def test_a_weigher_is_told_what_it_gets(domain: Domain) -> None:
    """What cannot take a key and a value is refused at once, if it says so."""
    with pytest.raises(TypeError, match=r"weigher\(key, value\).* len\(obj, /\)"):
        LruCache(weigher=len, domain=domain)  # type: ignore[arg-type]
    assert domain.shrinkers() == ()
    # Any names, more with defaults, and what does not say what it takes.
    LruCache(weigher=lambda _, value, more=0: 1, domain=domain)
    LruCache(weigher=lambda *_: 1, domain=domain)
    LruCache(weigher=max, domain=domain)


def test_names(domain: Domain) -> None:
    """A cache is called what it is given, or where it was made."""
    cache: LruCache[Any, Any] = LruCache(domain=domain)
    module, _, line = cache.registration.name.rpartition(":")
    assert module == __name__
    assert int(line) > 0
    named: LruCache[Any, Any] = LruCache(domain=domain, name="thumbnails")
    assert named.registration.name == "thumbnails"
    assert "thumbnails" in domain.report()
    assert "thumbnails" in repr(named)


# --- life -------------------------------------------------------------------


def test_dropping_frees_at_once(domain: Domain) -> None:
    """A dropped cache unregisters, silently, without the cycle collector."""
    gc.disable()
    try:
        cache: LruCache[int, Value] = LruCache(domain=domain)
        cache[1] = value = Value()
        alive = weakref.ref(value)
        del value
        del cache
        assert alive() is None
        assert domain.shrinkers() == ()
    finally:
        gc.enable()


def test_half_made_objects_can_be_dropped() -> None:
    """A finaliser finds nothing to close where ``__init__`` did not come that far."""
    LruCache.__new__(LruCache).__del__()


def test_close(domain: Domain) -> None:
    """Closing unregisters and lets go; a later set is refused, the rest is empty."""
    with LruCache[int, Value](domain=domain) as cache:
        cache[1] = value = Value()
        alive = weakref.ref(value)
        del value
    cache.close()
    assert cache.closed
    assert alive() is None
    assert cache.registration.closed
    assert len(cache) == 0
    assert cache.get(1) is None
    with pytest.raises(ShrinkerError):
        cache[1] = Value()
    with pytest.raises(ShrinkerError):
        cache.setdefault(1, Value())
    assert "closed" in repr(cache)


def test_a_closed_domain_leaves_a_plain_cache() -> None:
    """When the domain goes the cache goes on, within its size."""
    with Domain() as domain:
        cache: LruCache[int, int] = LruCache(2, domain=domain)
    for n in range(5):
        cache[n] = n
    assert set(cache) == {3, 4}
    cache.close()
    with pytest.raises(ShrinkerError):
        LruCache(domain=domain)


# --- order ------------------------------------------------------------------


def test_maxsize_evicts_what_was_not_used(domain: Domain) -> None:
    """A used entry survives one that came later and was not."""
    cache: LruCache[str, int] = LruCache(3, domain=domain)
    cache.update(a=1, b=2, c=3)
    assert cache["a"] == 1
    cache["d"] = 4
    assert set(cache) == {"a", "c", "d"}
    assert "c" in cache  # Looking whether it is there is no use.
    cache["e"] = 5
    assert set(cache) == {"a", "d", "e"}


def test_the_new_entry_is_kept(domain: Domain) -> None:
    """However much the others are used, an insert does not evict what it inserts."""
    for size in range(1, 20):
        with LruCache[int, int](size, domain=domain) as cache:
            for n in range(60):
                cache[n] = n
                assert n in cache
                assert len(cache) <= size
                for key in cache:
                    cache[key]


def test_an_insert_has_a_bounded_cost(domain: Domain) -> None:
    """One insert takes the mark off a few entries only, though all have one."""
    cache: LruCache[int, int] = LruCache(1000, domain=domain)
    for n in range(1000):
        cache[n] = n
        cache[n]
    cache[-1] = 0
    unmarked = sum(not entry.used for entry in cache._entries.values())
    assert unmarked == store.ROTATIONS + 1
    assert len(cache) == 1000


def test_a_scan_gives_a_second_chance(domain: Domain) -> None:
    """A scan counts used entries as scanned, unmarks them and moves them behind."""
    cache: LruCache[int, int] = LruCache(domain=domain)
    for n in range(200):
        cache[n] = n
    for n in range(50):
        cache[n]
    assert cache.registration.scan(60) == 10
    assert set(cache) == set(range(50)) | set(range(60, 200))
    assert cache.registration.scan(140) == 140
    assert set(cache) == set(range(50))
    assert cache.registration.scan(50) == 50


def test_the_most_urgent_pass_takes_what_is_in_use(domain: Domain) -> None:
    """Priority 0 asks for twice the count: once for the marks, once for good."""
    cache: LruCache[int, int] = LruCache(domain=domain)
    for n in range(1000):
        cache[n] = n
        cache[n]
    # What is left is less than a batch of 1000 // 64, and put off.
    assert domain.shrink_slab(priority=0) == 1000 - 2000 % 15
    assert domain.shrink_slab(priority=0) == 2000 % 15
    for n in range(50):
        cache[n] = n
        cache[n]
    assert domain.shrink_slab(priority=0) == 50
    assert domain.statistics().stalled == 0


def test_min_age_protects_from_scans(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan leaves young entries alone; maxsize does not."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    cache: LruCache[int, int] = LruCache(10, min_age=5, domain=domain)
    cache.update({n: n for n in range(5)})
    now = 103.0
    cache.update({n: n for n in range(5, 10)})
    assert domain.shrink_slab(priority=0) == 0
    cache[10] = 10
    assert 0 not in cache
    now = 106.0
    cache[1] = 1  # Set again: young again.
    assert domain.shrink_slab(priority=0) == 3
    assert set(cache) == {1, *range(5, 11)}


def test_deleted_entries_are_swept(domain: Domain) -> None:
    """Setting and deleting for ever keeps the order short, and no values."""
    cache: LruCache[int, Any] = LruCache(domain=domain)
    cache[-1] = None
    for n in range(5_000):
        cache[n] = Value()
        if n % 2:
            del cache[n]
            cache.pop(n - 1)
    assert len(cache._store.order) < 200
    value = Value()
    alive = weakref.ref(value)
    cache["x"] = value  # type: ignore[index]
    del value
    del cache["x"]  # type: ignore[arg-type]
    assert alive() is None
    check_sound(cache)


# --- weights ----------------------------------------------------------------


def test_a_weighing_cache_counts_pages(domain: Domain) -> None:
    """Counts are pages, rounded up; what scans free adds up to them exactly."""
    cache: LruCache[int, bytes] = LruCache(weigher=lambda k, v: len(v), domain=domain)
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
    """More than there can be, and what it frees is told."""
    cache = LruCache[int, int](weigher=lambda k, v: v, domain=domain)
    cache.update(dict.fromkeys(range(10), PAGE_SIZE))
    assert cache.registration.scan(2**64 - 1) == 10
    assert cache.weight == 0


def test_a_large_entry_counts_as_what_it_is(domain: Domain) -> None:
    """A scan says that it looked at all pages of an entry, not those asked for."""
    cache: LruCache[int, int] = LruCache(weigher=lambda k, v: v, domain=domain)
    cache[1] = cache[2] = 1000 * PAGE_SIZE
    assert domain.shrink_slab(priority=0) == 2000
    # Two calls take all; the batches that a second turn has find nothing.
    batch = 2000 // 64
    assert cache.registration.statistics().scanned == 2000 + 2000 // batch * batch
    cache[1] = cache[2] = 1000 * PAGE_SIZE
    assert cache.registration.scan(1) == 1000


def test_maxsize_in_bytes(domain: Domain) -> None:
    """With a weigher, maxsize is bytes; overwriting changes the weight."""
    cache: LruCache[str, int] = LruCache(100, weigher=lambda k, v: v, domain=domain)
    cache["a"] = 40
    cache["b"] = 40
    cache["b"] = 10
    assert cache.weight == 50
    cache["c"] = 45
    assert set(cache) == {"a", "b", "c"}
    cache["b"] = 90  # Grows in place: the others go.
    assert set(cache) == {"b"}
    assert cache.weight == 90


def test_what_is_too_heavy_is_evicted_at_once(domain: Domain) -> None:
    """It takes its key's old value along, and nobody else."""
    gone: list[Any] = []
    cache: LruCache[str, int] = LruCache(
        100, weigher=lambda k, v: v, on_evict=lambda k, v: gone.append((k, v))
    )
    cache.update(a=1, b=2)
    cache["a"] = 101
    assert dict(cache) == {"b": 2}
    assert gone == [("a", 101)]
    assert cache.setdefault("b", 101) == 2
    assert cache.setdefault("c", 101) == 101
    assert dict(cache) == {"b": 2}
    nothing: LruCache[int, int] = LruCache(0, domain=domain)
    nothing[1] = 1
    assert len(nothing) == 0


@pytest.mark.parametrize(
    ("weight", "error"),
    [(-1, ValueError), (2**62 + 1, ValueError), (1.0, TypeError), (True, TypeError)],
)
def test_a_bad_weight_changes_nothing(
    domain: Domain, weight: Any, error: type[Exception]
) -> None:
    """What a weigher returns wrongly or raises comes out of the set."""
    weights: list[Any] = [10, 10]
    cache: LruCache[str, int] = LruCache(
        weigher=lambda k, v: weights.pop(), domain=domain
    )
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


def test_seeks() -> None:
    """A seek is 5 ms, at least one, at most so many that a pass still asks."""
    assert seeks_of(None, None) == 2
    assert [seeks_of(None, s) for s in (0, 0.001, 0.01, 0.2, 1, float("inf"))] == [
        *(1, 1, 2, 40),
        *(MAX_SEEKS, MAX_SEEKS),
    ]
    assert seeks_of(0, None) == 0
    with pytest.raises(TypeError, match="give one"):
        seeks_of(2, 0.01)
    cache: LruCache[Any, Any] = LruCache(rebuild_seconds=0.05)
    assert cache.registration.seeks == 10
    assert cache.registration.domain is default_domain()


# --- callbacks --------------------------------------------------------------


def test_on_evict_is_for_evictions_alone(domain: Domain) -> None:
    """It is told of scans and maxsize, not of what the user does."""
    gone: list[int] = []
    cache: LruCache[int, str] = LruCache(
        3, on_evict=lambda k, v: gone.append(k), domain=domain
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


def test_what_on_evict_raises_is_logged(
    domain: Domain, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is lost by an eviction callback that raises, and it is counted.

    The first one is logged as it is; then a line without it says how many there
    were, at 10, 100 and so on.  Each cache begins anew, and has its name in the log.
    """

    def fail(key: int, value: Value) -> None:
        raise RuntimeError(f"no {key}")

    first = Value()
    alive = weakref.ref(first)
    for name in ("thumbnails", "pages"):
        cache: LruCache[int, Value] = LruCache(
            2, name=name, on_evict=fail, domain=domain
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
    """A callback that always raises does not hide a key that does."""
    broken = False

    class Key(PythonKey):
        def __hash__(self) -> int:
            if broken:
                raise RuntimeError("no hash")
            return super().__hash__()

        __eq__ = PythonKey.__eq__

    def fail(key: object, value: object) -> None:
        raise RuntimeError("no eviction")

    cache: LruCache[Any, int] = LruCache(on_evict=fail, domain=domain)
    cache.update({1: 1, 2: 2, Key(3): 3})
    broken = True
    assert domain.shrink_slab(priority=0) == 3
    assert [record.exc_info is None for record in caplog.records] == [False, False]
    assert "no eviction" in caplog.text
    assert "no hash" in caplog.text
    assert cache.statistics().evict_errors == 4
    broken = False


def test_callbacks_may_use_the_cache(domain: Domain) -> None:
    """An eviction callback sets, gets and scans the cache that calls it."""
    cache: LruCache[int, int] = LruCache(4, domain=domain)

    def evicted(key: int, value: int) -> None:
        cache.get(value)
        if key < 100:
            cache[key + 100] = value
            cache.registration.scan(1)

    cache._store.on_evict = evicted
    for n in range(50):
        cache[n] = n
    assert len(cache) <= 4
    check_sound(cache)


def test_finalisers_may_use_the_cache(domain: Domain) -> None:
    """Values whose finalisers delete, set and clear leave the figures right."""
    cache: LruCache[int, Any] = LruCache(8, domain=domain)
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


def test_a_value_may_take_the_next_along(domain: Domain) -> None:
    """A finaliser that deletes the entry that an eviction comes to next."""
    cache: LruCache[int, Any] = LruCache(weigher=lambda k, v: 4096, domain=domain)

    class Chain:
        def __init__(self, follower: int) -> None:
            self.follower = follower

        def __del__(self) -> None:
            cache.pop(self.follower, None)
            cache[-self.follower] = None

    for n in range(1, 101):
        cache[n] = Chain(n + 1 if n % 2 else 1000 + n)
    # Raises where an entry was touched twice.
    assert 0 < cache.registration.scan(100) <= 100
    check_sound(cache)


def test_keys_may_use_the_cache(domain: Domain) -> None:
    """Keys that change the cache while they are compared cost an entry at most."""
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

    cache: LruCache[Any, int] = LruCache(10, domain=domain)
    for _ in range(5_000):
        act()
        assert cache.weight >= 0
    check_sound(cache, ghosts=True)


def test_keys_that_cannot_be_compared(
    domain: Domain, caplog: pytest.LogCaptureFixture
) -> None:
    """Evicting goes on past a key that raises, which is logged, its value freed."""
    broken = False

    class Key(PythonKey):
        def __hash__(self) -> int:
            if broken:
                raise RuntimeError("no hash")
            return super().__hash__()

        __eq__ = PythonKey.__eq__

    cache: LruCache[Any, Value] = LruCache(domain=domain)
    cache[Key(1)] = value = Value()
    alive = weakref.ref(value)
    del value
    cache["plain"] = Value()
    broken = True
    assert domain.shrink_slab(priority=0) == 2
    assert alive() is None
    assert cache.statistics().evict_errors == 1
    assert "no hash" in caplog.text
    broken = False
    assert cache.get(Key(1)) is None
    assert Key(1) not in cache
    with pytest.raises(KeyError):
        cache[Key(1)]
    with pytest.raises(KeyError):
        del cache[Key(1)]
    assert list(cache.items()) == []
    cache[Key(1)] = Value()
    assert Key(1) in cache
    assert cache.statistics().misses == 2
    broken = True
    domain.shrink_slab(priority=0)
    assert len(cache) == 1  # Empty, and in nobody's way.
    cache.clear()
    assert len(cache) == 0
    check_sound(cache)


# --- pressure ---------------------------------------------------------------


def test_under_pressure_a_cache_does_not_grow(domain: Domain) -> None:
    """A new key evicts as much as it brings; an empty cache may hold one."""
    cache: LruCache[int, int] = LruCache(domain=domain)
    heavy: LruCache[int, int] = LruCache(weigher=lambda k, v: v, domain=domain)
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
    """Bytes that were added count, also where others made room for them."""
    growth = domain._growth
    looks: list[int] = []
    heavy: LruCache[int, int] = LruCache(1000, weigher=lambda k, v: v, domain=domain)
    heavy[1] = 400
    heavy[1] = 500
    heavy[1] = 100
    assert growth.grown == 500
    heavy[2] = 900
    assert growth.grown == 1400
    heavy[3] = 100  # Evicts the second one: the first was set again.
    assert heavy.weight == 200
    assert growth.grown == 1500
    growth.grown = 0
    entries: LruCache[int, int] = LruCache(domain=domain)
    entries[1] = 1
    entries[1] = 2
    assert growth.grown == PAGE_SIZE
    growth.watch(lambda: looks.append(growth.grown))
    growth.allowance = PAGE_SIZE
    entries[2] = 2
    assert looks == [0]
    growth.unwatch()


def test_a_reclaim_may_start_inside_an_insert(domain: Domain) -> None:
    """Whoever exceeds the allowance may empty the very cache that grows."""
    cache: LruCache[int, int] = LruCache(domain=domain)
    growth = domain._growth
    growth.watch(lambda: domain.shrink_slab(priority=0))
    growth.allowance = 10 * PAGE_SIZE
    for n in range(100):
        cache[n] = n
    assert 0 < len(cache) < 20
    growth.unwatch()
    check_sound(cache)


def test_caches_give_beside_others(domain: Domain) -> None:
    """A walk takes from a cache what it takes from any shrinker of that size."""
    cache: LruCache[int, int] = LruCache(domain=domain)
    cache.update({n: n for n in range(16_384)})
    with register(domain, other := Cache(16_384)):
        assert domain.reclaim(4000).nr_reclaimed >= 4000
    assert 8192 < len(cache) == other.objects


def test_statistics(domain: Domain) -> None:
    """Hits, misses and what is in it; a look with ``in`` or ``pop`` is neither."""
    cache: LruCache[str, int] = LruCache(weigher=lambda k, v: 7, domain=domain)
    cache["a"] = 1
    cache["a"]
    cache.get("a")
    cache.get("b")
    with pytest.raises(KeyError):
        cache["b"]
    assert "b" not in cache
    cache.pop("b", None)
    assert dataclasses.asdict(cache.statistics()) == {
        "hits": 2,
        "misses": 2,
        "entries": 1,
        "weight": 7,
        "evicted": 0,
        "evict_errors": 0,
    }
    assert cache.maxsize is None
    assert lru.LruCache(5, domain=domain).maxsize == 5


# --- threads and signals ----------------------------------------------------


def hammer(
    cache: LruCache[Any, Any], keys: list[Any], seed: int, rounds: int, *, evict: bool
) -> None:
    """Do everything that can be done with a cache."""
    dice = Dice(seed)
    for _ in range(rounds):
        key = keys[dice.randrange(len(keys))]
        match dice.randrange(12):
            case 0 | 1 | 2:
                cache[key] = dice.randrange(1, 50)
            case 3 | 4:
                value = cache.get(key, 1)
                assert type(value) is int
            case 5:
                assert cache.setdefault(key, 5) > 0
            case 6 | 7 | 8:
                cache.pop(key, None)
            case 9:
                for value in cache.values():
                    assert type(value) is int
            case 10 if evict:
                cache.registration.scan(dice.randrange(1, 4))
            case _ if evict and dice.random() < 0.05:
                cache.clear()


def hammered(
    cache: LruCache[Any, Any], keys: list[Any], rounds: int, *, evict: bool
) -> None:
    """Let four threads do so."""
    raised = run_threads(
        *(
            functools.partial(hammer, cache, keys, seed, rounds, evict=evict)
            for seed in range(4)
        )
    )
    assert raised == []


@pytest.mark.parametrize("python_keys", [False, True])
def test_threads(fast_switching: None, python_keys: bool, domain: Domain) -> None:
    """After sets, gets, deletes and scans in threads nothing drifted or was lost."""
    told: list[int] = []
    keys: list[Any] = [PythonKey(n) if python_keys else n for n in range(40)]
    cache: LruCache[Any, int] = LruCache(
        500,
        weigher=lambda k, v: v,
        on_evict=lambda k, v: told.append(v),
        domain=domain,
    )
    hammered(cache, keys, 4_000 if python_keys else 15_000, evict=True)
    assert cache.statistics().evict_errors == 0
    assert cache.statistics().evicted == len(told)
    check_sound(cache, ghosts=python_keys)


def test_threads_that_set_the_same_key(fast_switching: None, domain: Domain) -> None:
    """Without evictions to tidy up, each entry that counts can be found."""
    cache: LruCache[int, int] = LruCache(weigher=lambda k, v: v, domain=domain)

    def work() -> None:
        for n in range(40_000):
            cache[n & 1] = 2
            cache.pop(n & 1, None)

    assert run_threads(*[work] * 4) == []
    assert cache.statistics().evicted == 0
    hammered(cache, list(range(8)), 10_000, evict=False)
    check_sound(cache)


def test_setdefault_gives_all_threads_the_same(
    fast_switching: None, domain: Domain
) -> None:
    """Threads that set the same key at once agree on the value."""
    cache: LruCache[int, object] = LruCache(domain=domain)
    seen: list[list[object]] = [[] for _ in range(4)]
    barrier = threading.Barrier(4)

    def ask(mine: list[object]) -> None:
        barrier.wait()
        mine.extend(cache.setdefault(n, object()) for n in range(3_000))

    assert run_threads(*(lambda mine=mine: ask(mine) for mine in seen)) == []  # type: ignore[misc]
    assert seen[0] == seen[1] == seen[2] == seen[3]
    check_sound(cache)


@pytest.mark.untraced("the handler would raise in the tracer's code as well")
def test_signal_handlers_may_use_the_cache(domain: Domain) -> None:
    """A handler that changes the cache, and sometimes raises, leaves it right."""
    cache: LruCache[int, int] = LruCache(50, weigher=lambda k, v: v, domain=domain)
    dice = Dice(4)
    armed = False

    class Interrupt(Exception):  # noqa: N818
        pass

    def tick(*_: object) -> None:
        nonlocal armed
        if not armed:
            return
        armed = False
        cache[dice.randrange(20)] = 3
        cache.pop(dice.randrange(20), None)
        cache.registration.scan(1)
        raise Interrupt

    old = signal.signal(signal.SIGALRM, tick)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
        for _ in range(1_000):
            with contextlib.suppress(Interrupt):
                armed = True
                while True:
                    cache[dice.randrange(20)] = 5
                    cache.pop(dice.randrange(20), None)
                    cache.get(dice.randrange(20))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    check_sound(cache)
