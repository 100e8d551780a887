"""The C types behind ``Cache`` and ``cached``: what they refuse and reference.

An argument that a method refuses leaves the cache as it was.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import Value, check_sound

from shrinker import ShrinkerBuilder, ShrinkerError
from shrinker.cache import Cache, cached, watch
from shrinker.cache.entries import DecoratedFunction, Store, make_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import Domain


class ComparisonError(Exception):
    """Raised by a ``Key``."""


class Key:
    """A key that raises where it is compared."""

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        raise ComparisonError


@pytest.fixture
def cache(domain: Domain) -> Cache[Any, Any]:
    made: Cache[Any, Any] = Cache(weigher=None, domain=domain)
    made.update({1: 10, 2: 20, 3: 30})
    return made


def state(cache: Cache[Any, Any]) -> Any:
    return dict(cache.items()), cache.weight, cache.statistics()


# --- arguments -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "least", "most"),
    [
        ("hit", 2, 2),
        ("peek", 2, 2),
        ("pop", 1, 2),
        ("setdefault", 2, 2),
        ("keep", 4, 4),
    ],
)
def test_numbers_of_arguments(
    method: str, least: int, most: int, cache: Cache[Any, Any]
) -> None:
    """The error says how many there should be, and how many there were."""
    before = state(cache)
    for number in (0, least - 1, most + 1, 9):
        message = rf"{method}\(\) takes {least} to {most} arguments, not {number}"
        with pytest.raises(TypeError, match=message):
            getattr(cache._store, method)(*range(1, number + 1))
    assert state(cache) == before


def test_the_number_of_arguments_of_get(cache: Cache[Any, Any]) -> None:
    """The one method of the base of Cache that checks them itself."""
    before = state(cache)
    for number in (0, 3):
        with pytest.raises(
            TypeError, match=rf"get\(\) takes 1 to 2 arguments, not {number}"
        ):
            cache.get(*range(number))
    assert state(cache) == before


LOOKS: dict[str, Callable[[Cache[Any, Any], Any], object]] = {
    "get": lambda cache, key: cache.get(key),
    "[]": lambda cache, key: cache[key],
    "in": lambda cache, key: key in cache,
    "hit": lambda cache, key: cache._store.hit(key, None),
    "peek": lambda cache, key: cache._store.peek(key, None),
    "items": lambda cache, key: (key, 1) in cache.items(),
    "pop": lambda cache, key: cache.pop(key),
    "delete": lambda cache, key: cache.__delitem__(key),
    "set": lambda cache, key: cache.__setitem__(key, 1),
    "setdefault": lambda cache, key: cache.setdefault(key, 1),
    "keep": lambda cache, key: cache._store.keep(key, 1, cache._store.generation, 0.0),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_keys_that_cannot_be_looked_up(
    look: Callable[[Cache[Any, Any], Any], object], cache: Cache[Any, Any]
) -> None:
    """One without a hash, and one whose comparison raises."""
    before = state(cache)
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        look(cache, [])
    with pytest.raises(ComparisonError):
        look(cache, Key())
    assert state(cache) == before
    check_sound(cache)


def test_generations(cache: Cache[Any, Any]) -> None:
    """``keep`` takes an int of 64 bits; a value of another generation is not kept."""
    store = cache._store
    for wrong, error in (("1", TypeError), (-1, OverflowError), (2**64, OverflowError)):
        with pytest.raises(error):
            store.keep(4, 40, wrong, 0.0)  # type: ignore[arg-type]
    assert store.keep(4, 40, 2**64 - 1, 0.0) == 40
    assert 4 not in cache
    assert store.keep(4, 40, store.generation, 0.0) == 40
    assert cache[4] == 40


def test_kinds_of_errors(cache: Cache[Any, Any]) -> None:
    """There are two, and each is counted by itself."""
    store = cache._store
    for wrong in (-1, 2):
        with pytest.raises(IndexError, match="no such error"):
            store.count_error(wrong)
    with pytest.raises(TypeError):
        store.count_error("0")  # type: ignore[arg-type]
    assert [store.count_error(kind) for kind in (0, 1, 1)] == [1, 1, 2]
    assert cache.statistics().evict_errors == 3


def test_new_objects_check_their_arguments(cache: Cache[Any, Any]) -> None:
    """Those that only this package makes as well."""
    with pytest.raises(TypeError):
        Store()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="CacheStore"):
        DecoratedFunction(cache, cache, len, False)  # type: ignore[arg-type]  # noqa: FBT003
    for wrong in ((), ((), {}), ([], {}, True), ((), (), True), ((), {}, True, 1)):
        with pytest.raises(TypeError, match=r"make_key\(tuple, dict, bool\)"):
            make_key(*wrong)  # type: ignore[call-arg,arg-type]


def test_the_entries_of_a_cache_are_set_once(cache: Cache[Any, Any]) -> None:
    """They are neither replaced nor deleted, nor are they anything else."""
    fresh: Cache[Any, Any] = Cache.__new__(Cache)
    with pytest.raises(TypeError, match="once"):
        fresh._store = object()  # type: ignore[assignment]
    with pytest.raises(TypeError, match="once"):
        del fresh._store
    with pytest.raises(TypeError, match="once"):
        cache._store = cache._store
    with pytest.raises(ShrinkerError, match="not initialised"):
        del fresh[1]
    assert dict(cache) == {1: 10, 2: 20, 3: 30}


def test_a_closed_cache_is_empty(cache: Cache[Any, Any]) -> None:
    """Each look finds nothing, and each set says why it is refused."""
    items = cache.items()
    cache.close()
    assert cache.get(1) is None
    assert list(items) == list(cache) == list(cache.values()) == []
    with pytest.raises(KeyError, match="empty"):
        cache.popitem()
    for refused in ("set", "setdefault"):
        with pytest.raises(ShrinkerError, match="closed"):
            LOOKS[refused](cache, 1)
    generation = cache._store.generation
    assert cache._store.keep(1, 5, generation, 0.0) == 5
    assert len(cache) == 0


# --- decorated functions -------------------------------------------------------------


class Name(str):
    """A name of an argument whose hash raises at its n-th call from now on."""

    __slots__ = ()
    left = -1

    def __hash__(self) -> int:
        Name.left -= 1
        if not Name.left:
            raise ComparisonError
        return str.__hash__(self)


@pytest.mark.parametrize("method", ["__call__", "cache_discard"])
def test_a_name_whose_hash_raises(method: str, domain: Domain) -> None:
    """It comes out of the call, wherever that asks for it; nothing is kept."""

    @cached(weigher=None, domain=domain)
    def function(**names: int) -> int:
        return len(names)

    call = getattr(function, method)
    names = {Name("x"): 1}
    for n in range(1, 20):
        function.cache_clear()
        Name.left = n
        try:
            assert call(**names) in {1, False}
        except ComparisonError:
            assert function.cache_info().currsize == 0
        else:
            break
    else:
        pytest.fail("it never went well")
    assert n > 1
    Name.left = -1
    assert function(**names) == 1
    check_sound(function.cache)


def test_discarding_what_cannot_be_looked_up(domain: Domain) -> None:
    """The error comes out, and other results stay."""
    function = cached(weigher=None, domain=domain)(str)
    function((1,))
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        function.cache_discard([])
    key = Key()
    assert function(key)
    with pytest.raises(ComparisonError):
        function.cache_discard(Key())
    with pytest.raises(ComparisonError):
        function(Key())
    assert function.cache_info().currsize == 2
    assert function.cache_discard(key)
    check_sound(function.cache)


def test_numbers_that_are_equal_have_one_result(domain: Domain) -> None:
    """As in ``functools.lru_cache``: bool, int and float."""
    function = cached(domain=domain)(str)
    assert [function(1), function(True), function(1.0)] == ["1"] * 3  # noqa: FBT003
    assert [function(False), function(0), function(0.0)] == ["False"] * 3  # noqa: FBT003
    assert function.cache_info() == (4, 2, None, 2)


def test_a_method_called_without_an_instance(domain: Domain) -> None:
    """Its keys may be numbers and empty tuples beside those of instances."""

    class Shop:
        @cached(domain=domain)
        def price(*of: Any) -> Any:  # type: ignore[misc]
            return of

    number = hash(())
    assert Shop.price() == ()
    assert Shop.price(number) == (number,)
    assert Shop.price(float(10**9)) == Shop.price(10**9) == (10**9,)
    shop = Shop()
    assert shop.price() == (shop,)
    assert Shop.price.cache_info() == (1, 4, None, 4)


# --- what they reference -------------------------------------------------------------


def test_the_collector_sees_all_references(domain: Domain) -> None:
    """Of a cache, its entries and a decorated function: otherwise cycles would stay."""

    def weigh(key: object, value: object) -> int:
        return 1

    def evicted(key: object, value: object) -> None:
        pass

    def function(of: object) -> Value:
        return Value()

    cache: Cache[Any, Any] = Cache(weigher=weigh, on_evict=evicted, domain=domain)
    store = cache._store
    key, value = (Value(),), Value()
    cache[key] = value
    referenced: tuple[Any, ...] = (Store, weigh, evicted, domain._growth, key, value)
    for what in referenced:
        assert any(found is store for found in gc.get_referrers(what))
    for what in (Cache, store):
        assert any(found is cache for found in gc.get_referrers(what))
    decorated: Any = DecoratedFunction(
        store, cache, function, typed=False, coalesce=True, tallies=evicted
    )
    decorated.note = note = Value()
    for what in (
        DecoratedFunction,
        store,
        cache,
        function,
        evicted,
        decorated.__dict__,
    ):
        assert any(found is decorated for found in gc.get_referrers(what))
    assert decorated.note is note
    # One that is not there is passed over.
    bare: Cache[Any, Any] = Cache.__new__(Cache)
    assert gc.get_referents(bare) == [Cache]
    plain = Cache[Any, Any](domain=domain)._store
    assert {id(found) for found in gc.get_referents(plain)} == {
        id(Store),
        id(domain._growth),
    }


# --- the types themselves ------------------------------------------------------------

MAKES_TYPES = """
import shrinker.cache
from shrinker._ffi import object_function

make = object_function("python_cache_types", 1)
names = (
    "shrinker_error check_weight tell_evicted scan_failed time new_lock wait method"
).split()
for missing in names:
    try:
        make({name: len for name in names if name != missing})
    except KeyError as error:
        print(*error.args)
"""


def test_names_that_utf8_cannot_hold(domain: Domain) -> None:
    """A lone surrogate is refused, in each name; those of file names are not."""
    bad = "shop \ud800"
    builder = ShrinkerBuilder("\udc80", domain=domain)
    cache = Cache[int, int](name="file \udcff", domain=domain)
    kept: dict[int, int] = {}
    names: list[Callable[[], object]] = [
        lambda: Cache(name=bad, domain=domain),
        lambda: cached(name=bad, domain=domain)(len),
        lambda: ShrinkerBuilder(bad, domain=domain),
        lambda: ShrinkerBuilder.new_fmt("{}", bad, domain=domain),
        lambda: watch(kept, lock=threading.Lock(), name=bad, domain=domain),
        lambda: cache.registration.rename(bad),
    ]
    for name in names:
        with pytest.raises(ValueError, match=r"^name must .*surrogate.*d800'$") as info:
            name()
        assert type(info.value) is ValueError
    assert (builder.name, cache.registration.name) == ("\udc80", "file \udcff")


def test_types_are_made_with_all_that_they_need() -> None:
    """What is missing is named. In a process of its own, where they do not work now."""
    done = subprocess.run(
        [sys.executable, "-c", MAKES_TYPES],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.split() == [
        "shrinker_error",
        "check_weight",
        "tell_evicted",
        "scan_failed",
        "time",
        "new_lock",
        "wait",
        "method",
    ]
