"""``Cache``: the mapping, arguments, life, statistics, and what is evicted first."""

from __future__ import annotations

import _thread
import copy
import dataclasses
import gc
import threading
import time
import tracemalloc
import weakref
from typing import Any

import pytest
from cache_support import Value, check_sound

from shrinker import Domain, ShrinkerError
from shrinker.cache import Cache, cached

# --- the mapping ---------------------------------------------------------------------


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
        with Cache[Any, int](domain=domain, weigher=lambda k, v: 3) as cache:
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
                assert cache.weight == 3 * len(model)

    check()


def test_iteration_works_on_a_copy(domain: Domain) -> None:
    """The cache may be changed while its keys, values or items are iterated."""
    cache: Cache[int, int] = Cache(domain=domain)
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


def test_looking_into_items_does_not_mark_an_entry(domain: Domain) -> None:
    """``(key, value) in cache.items()`` compares as a dict's does, and is no hit."""
    cache: Cache[Any, Any] = Cache(weigher=None, domain=domain)
    nan = float("nan")
    cache.update({1: 2, "nan": nan})  # The entries that a scan evicts, unless marked.
    items = cache.items()
    assert (1, 2) in items
    assert ("nan", nan) in items  # By identity.
    assert (1, 3) not in items
    assert (2, 2) not in items
    for other in (5, "12", [1, 2], (1, 2, 3), None):
        assert other not in items
    assert (cache.statistics().hits, cache.statistics().misses) == (0, 0)
    assert cache.registration.scan(2) == 2


def test_unhashable_keys_and_copies_are_refused(domain: Domain) -> None:
    """An unhashable key is a TypeError; so is copying or hashing a cache."""
    cache: Cache[Any, int] = Cache(domain=domain)
    with pytest.raises(TypeError):
        cache[[]] = 1
    with pytest.raises(TypeError):
        cache.get([])
    with pytest.raises(TypeError, match="copied"):
        copy.copy(cache)
    with pytest.raises(TypeError):
        hash(cache)
    assert cache.weight == 0


def test_statistics(domain: Domain) -> None:
    """Lookups count as hits or misses; ``in`` and ``pop`` count as neither."""
    cache: Cache[str, int] = Cache(weigher=lambda k, v: 7, domain=domain)
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
        "expired": 0,
        "ghost_hits": 0,
        "seeks": 2,
        "computed_seconds": None,
        "page_saves": None,
    }
    assert cache.maxsize is None
    assert Cache(5, domain=domain).maxsize == 5


# --- arguments -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"maxsize": -1}, ValueError),
        ({"maxsize": 1.5}, TypeError),
        ({"maxsize": True}, TypeError),
        ({"weigher": 3}, TypeError),
        ({"weigher": len}, TypeError),
        ({"weigher": int}, TypeError),
        ({"weigher": str}, TypeError),
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
        ({"name": "\ud800"}, ValueError),
        ({"name": 3}, TypeError),
        ({"domain": 3}, TypeError),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception]) -> None:
    """A bad argument is an error, and nothing is registered."""
    with Domain() as domain:
        with pytest.raises(error):
            Cache(**{"domain": domain, **arguments})
        assert domain.shrinkers() == ()


def test_a_weigher_takes_a_key_and_a_value(domain: Domain) -> None:
    """A weigher whose signature does not allow the call is refused at once."""
    with pytest.raises(TypeError, match=r"weigher\(key, value\).* len\(obj, /\)"):
        Cache(weigher=len, domain=domain)  # type: ignore[arg-type]
    assert domain.shrinkers() == ()
    # Other names, more arguments with defaults, and builtins without a signature.
    Cache(weigher=lambda _, value, more=0: 1, domain=domain)
    Cache(weigher=lambda *_: 1, domain=domain)
    Cache(weigher=max, domain=domain)


def test_types_as_weighers(domain: Domain) -> None:
    """One whose instances are no integers is refused; so is ``int``, of two arguments.

    It took the value for the base in which the key is a number.
    """

    class Odd:
        def __new__(cls, *_: object) -> int:  # type: ignore[misc]
            return 5

    class Number:
        def __init__(self, key: object, value: object) -> None:
            pass

        def __index__(self) -> int:
            return 7

    class Pair:
        def __init__(self, key: object, value: object) -> None:
            pass

    for bad in (int, str, dict, range, Pair):
        message = rf"weigher\(key, value\) must return .* bytes.* type {bad.__name__} "
        with pytest.raises(TypeError, match=message):
            Cache(weigher=bad, domain=domain)
    with pytest.raises(TypeError, match=r"weigher\(result\) must .* type str does not"):
        cached(weigher=str, domain=domain)
    assert domain.shrinkers() == ()
    for good in (Odd, Number):
        cache = Cache[str, int](weigher=good, domain=domain)
        cache["10"] = 16
        assert cache.weight in (5, 7)
    number = cached(weigher=int, domain=domain)(lambda x: x)
    assert number(9) == number.cache.weight == 9


def test_names(domain: Domain) -> None:
    """By default the name is the module and line that made the cache."""
    cache: Cache[Any, Any] = Cache(domain=domain)
    module, _, line = cache.registration.name.rpartition(":")
    assert module == __name__
    assert int(line) > 0
    named: Cache[Any, Any] = Cache(domain=domain, name="thumbnails")
    assert named.registration.name == "thumbnails"
    assert "thumbnails" in domain.report()
    assert "thumbnails" in repr(named)


def test_a_name_where_no_python_function_is_the_caller(domain: Domain) -> None:
    """As where a new thread, or an exit handler, calls the class itself."""
    made: list[str] = []
    done = threading.Event()

    class Named(Cache[Any, Any]):
        def __del__(self) -> None:
            made.append(self.registration.name)
            super().__del__()
            done.set()

    _thread.start_new_thread(Named, (None,), {"domain": domain})
    assert done.wait(60)
    assert len(made) == 1
    assert made[0]


# --- life ----------------------------------------------------------------------------


def test_dropping_frees_at_once(domain: Domain) -> None:
    """A dropped cache unregisters without a warning and without the cycle collector."""
    gc.disable()
    try:
        cache: Cache[int, Value] = Cache(domain=domain)
        cache[1] = value = Value()
        alive = weakref.ref(value)
        del value
        del cache
        assert alive() is None
        assert domain.shrinkers() == ()
    finally:
        gc.enable()


def test_a_cache_whose_init_failed_can_be_dropped() -> None:
    """Its finaliser finds no registration to close."""
    Cache.__new__(Cache).__del__()


def test_close(domain: Domain) -> None:
    """A closed cache is unregistered and empty, holds no value, and refuses a set."""
    with Cache[int, Value](domain=domain) as cache:
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


def test_a_closed_cache_refuses_a_set(domain: Domain) -> None:
    """An entry that fits is refused, and so is one that is heavier than ``maxsize``."""
    cache: Cache[int, int] = Cache(10, weigher=lambda key, value: value, domain=domain)
    cache.close()
    for weight in (1, 1000):
        with pytest.raises(ShrinkerError, match="closed"):
            cache[1] = weight


def test_a_closed_domain_leaves_a_plain_cache() -> None:
    """After the domain is closed a cache works on, within its ``maxsize``."""
    with Domain() as domain:
        cache: Cache[int, int] = Cache(2, domain=domain)
    for n in range(5):
        cache[n] = n
    assert set(cache) == {3, 4}
    cache.close()
    with pytest.raises(ShrinkerError):
        Cache(domain=domain)


def test_cycles_are_freed(domain: Domain) -> None:
    """A cache that its own values and callbacks reference is collected."""

    class Service:
        def __init__(self) -> None:
            self.cache: Cache[int, Any] = Cache(
                domain=domain, weigher=self.weigh, on_evict=self.weigh
            )
            self.cache[1] = self

        def weigh(self, key: int, value: object) -> int:
            return 1

    alive = weakref.ref(Service())
    assert alive() is not None
    gc.collect()
    assert alive() is None
    assert domain.shrinkers() == ()


# --- order ---------------------------------------------------------------------------


def test_maxsize_evicts_an_unused_entry(domain: Domain) -> None:
    """A used entry survives a younger one that was not used."""
    cache: Cache[str, int] = Cache(3, domain=domain)
    cache.update(a=1, b=2, c=3)
    assert cache["a"] == 1
    cache["d"] = 4
    assert set(cache) == {"a", "c", "d"}
    assert "c" in cache  # Does not count as a use.
    cache["e"] = 5
    assert set(cache) == {"a", "d", "e"}


def test_an_insert_never_evicts_its_own_entry(domain: Domain) -> None:
    """Even if all other entries are in use."""
    for size in range(1, 20):
        with Cache[int, int](size, domain=domain) as cache:
            for n in range(60):
                cache[n] = n
                assert n in cache
                assert len(cache) <= size
                for key in cache:
                    cache[key]


def test_an_insert_unmarks_a_bounded_number_of_entries(domain: Domain) -> None:
    """Where all entries are marked an insert unmarks 8, and evicts the next one."""
    cache: Cache[int, int] = Cache(1000, weigher=None, domain=domain)
    for n in range(1000):
        cache[n] = n
        cache[n]
    cache[-1] = 0
    assert len(cache) == 1000
    assert 8 not in cache
    # A scan evicts what has no mark: first the new key, which is on trial, none of the
    # 991 behind it, then the 8 that were unmarked.
    assert cache.registration.scan(992) == 1
    assert cache.registration.scan(8) == 8
    assert set(cache) == set(range(9, 1000))


def test_a_scan_gives_a_second_chance(domain: Domain) -> None:
    """A scan counts used entries as scanned, unmarks them, moves them to the tail."""
    cache: Cache[int, int] = Cache(weigher=None, domain=domain)
    for n in range(200):
        cache[n] = n
    for n in range(50):
        cache[n]
    assert cache.registration.scan(60) == 10
    assert set(cache) == set(range(50)) | set(range(60, 200))
    assert cache.registration.scan(140) == 140
    assert set(cache) == set(range(50))
    assert cache.registration.scan(50) == 50


def test_a_pass_at_priority_0_evicts_used_entries(domain: Domain) -> None:
    """It asks for twice the count: the first turn unmarks, the second evicts."""
    cache: Cache[int, int] = Cache(weigher=None, domain=domain)
    for n in range(1000):
        cache[n] = n
        cache[n]
    # The rest is less than a batch, which is 1000 // 64 = 15, and is deferred.
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
    """A scan spares young entries; ``maxsize`` does not."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    cache: Cache[int, int] = Cache(10, min_age=5, weigher=None, domain=domain)
    cache.update({n: n for n in range(5)})
    now = 103.0
    cache.update({n: n for n in range(5, 10)})
    assert domain.shrink_slab(priority=0) == 0
    cache[10] = 10
    assert 0 not in cache
    now = 106.0
    cache[1] = 1  # Setting it makes it young again.
    assert domain.shrink_slab(priority=0) == 3
    assert set(cache) == {1, *range(5, 11)}


def test_setting_and_deleting_for_ever_keeps_no_memory(domain: Domain) -> None:
    """Deleted entries cost no memory for long, and their values are freed at once."""
    cache: Cache[int, Any] = Cache(weigher=None, domain=domain)

    def set_and_delete(pairs: int) -> None:
        for n in range(0, 2 * pairs, 2):
            cache[n] = cache[n + 1] = None
            del cache[n + 1]
            cache.pop(n)

    cache[-1] = None
    set_and_delete(200)
    tracemalloc.start()
    try:
        set_and_delete(5_000)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 50_000  # Bytes; 10,000 entries would be a megabyte.
    cache[0] = value = Value()
    alive = weakref.ref(value)
    del value
    del cache[0]
    assert alive() is None
    check_sound(cache)
