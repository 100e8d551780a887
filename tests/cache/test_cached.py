"""``cached``: functions and methods that remember their results."""

from __future__ import annotations

import asyncio
import functools
import gc
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from tests_support import run_threads

from shrinker import Domain, ShrinkerError
from shrinker.cache import Cache, CacheInfo, cached
from shrinker.cache.entries import DecoratedFunction, count_one
from shrinker.cache.tallies import Tallies

if TYPE_CHECKING:
    from collections.abc import Callable


class Counted:
    """Doubles its argument, and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        return x * 2


# --- functions -----------------------------------------------------------------------


def test_results_are_remembered(domain: Domain) -> None:
    """A second call with the same arguments does not compute."""
    calls = []

    @cached(weigher=None, domain=domain)
    def add(a: int, b: int = 1, *, c: int = 0) -> int:
        """Add."""
        calls.append((a, b, c))
        return a + b + c

    assert [add(1), add(1), add(1, 1), add(1, c=3), add(1, c=3)] == [2, 2, 2, 5, 5]
    assert calls == [(1, 1, 0), (1, 1, 0), (1, 1, 3)]
    assert add.cache_info() == CacheInfo(2, 3, None, 3)
    assert add.cache.weight == 3
    assert add.cache_parameters() == {"maxsize": None, "typed": False}
    assert (add.__name__, add.__doc__) == ("add", "Add.")  # type: ignore[attr-defined]
    assert add.__wrapped__(5) == 6
    assert isinstance(add.cache, Cache)
    assert add.cache.registration.name == f"{__name__}.{add.__qualname__}"  # type: ignore[attr-defined]
    add.cache_clear()
    assert add.cache_info() == CacheInfo(0, 0, None, 0)
    add(1)
    assert len(calls) == 5


def test_without_parentheses() -> None:
    """``@cached`` alone registers with the default domain, without a limit."""

    @cached
    def double(x: int) -> int:
        return x * 2

    assert [double(2), double(2)] == [4, 4]
    assert double.cache_info() == (1, 1, None, 1)
    assert not double.cache.registration.closed


def test_typed(domain: Domain) -> None:
    """With ``typed``, arguments of different types are kept apart."""

    def kind(x: Any, *, y: Any = None) -> tuple[type, type]:
        return type(x), type(y)

    untyped = cached(domain=domain)(kind)
    typed = cached(typed=True, domain=domain)(kind)
    for function, entries in ((untyped, 2), (typed, 4)):
        for one in (1, 1.0):
            function(one)
            function(0, y=one)
        assert function.cache_info().currsize == entries
    assert typed(1.0) == (float, type(None))
    assert untyped(1.0) == (int, type(None))


def test_keywords_and_positions_are_apart(domain: Domain) -> None:
    """A keyword argument is never taken for positional ones."""

    @cached(domain=domain)
    def show(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        return args, kwargs

    assert show("a", 1) == (("a", 1), {})
    assert show(("a", 1)) == ((("a", 1),), {})
    assert show(a=1) == ((), {"a": 1})
    assert show() == ((), {})
    assert show.cache_info().currsize == 4


def test_exceptions_are_not_remembered(domain: Domain) -> None:
    """A call that raised is computed again, also where it raised KeyError."""
    calls = []

    @cached(domain=domain)
    def fail(x: int) -> int:
        calls.append(x)
        raise KeyError(x)

    for _ in range(2):
        with pytest.raises(KeyError):
            fail(1)
    assert calls == [1, 1]
    assert fail.cache_info() == (0, 2, None, 0)
    with pytest.raises(TypeError):
        fail([])  # type: ignore[arg-type]


def test_none_is_remembered(domain: Domain) -> None:
    """None is a result like any other."""
    calls = []
    function = cached(domain=domain)(calls.append)
    function(1)
    function(1)
    assert calls == [1]


def test_methods(domain: Domain) -> None:
    """Methods, class methods and static methods work, and have ``cache_info()``."""

    class Shop:
        calls = 0

        @cached(domain=domain)
        def price(self, item: str) -> int:
            self.calls += 1
            return len(item)

        @classmethod
        @cached(domain=domain)
        def tax(cls, item: str) -> str:
            cls.calls += 1
            return cls.__name__ + item

        @staticmethod
        @cached(domain=domain)
        def fee(item: str) -> int:
            return -len(item)

    one, two = Shop(), Shop()
    assert [one.price("tea"), one.price("tea"), two.price("tea")] == [3, 3, 3]
    assert (one.calls, two.calls) == (1, 1)
    assert one.price.cache_info().hits == 1
    assert Shop.price.cache_info().misses == 2
    assert [Shop.tax("a"), one.tax("a")] == ["Shopa", "Shopa"]
    assert Shop.calls == 1
    assert [Shop.fee("tea"), one.fee("tea")] == [-3, -3]
    assert Shop.fee.cache_info().hits == 1
    with pytest.raises(TypeError, match="@staticmethod goes above"):
        cached(staticmethod(len))
    with pytest.raises(TypeError, match="@classmethod goes above"):
        cached(classmethod(len))  # type: ignore[arg-type]


def test_recursion(domain: Domain) -> None:
    """A function may call itself through its cache."""

    @cached(domain=domain)
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(60) == 1548008755920
    assert fibonacci.cache_info().misses == 61


def test_callables_of_all_kinds(domain: Domain) -> None:
    """Builtins, partial functions and callable objects can be decorated."""
    counted = Counted()
    for function in (counted, functools.partial(counted), len, str.upper):
        remembered: Callable[[Any], Any] = cached(domain=domain)(function)
        assert remembered("ab") == remembered("ab") == function("ab")
        assert remembered.cache.registration.name  # type: ignore[attr-defined]
    assert counted.calls == 2 + 2


# --- arguments -----------------------------------------------------------------------


@pytest.mark.parametrize("bad", [3, "x", {}])
def test_bad_arguments(bad: Any) -> None:
    """A size in place of the function is an error that says what is expected."""
    with pytest.raises(TypeError, match=r"first argument must be callable, not .* key"):
        cached(bad)
    for arguments in ({"weigher": bad}, {"on_evict": bad}, {"name": b""}):
        with pytest.raises(TypeError):
            cached(**arguments)(len)


@pytest.mark.parametrize("bad", [0, 1, None, "no", ()])
@pytest.mark.parametrize("argument", ["typed", "coalesce", "per_instance"])
def test_settings_that_are_no_bools(argument: str, bad: Any) -> None:
    """What is true of another type may say no: refused before anything is decorated."""
    with pytest.raises(TypeError, match=f"{argument} must be a bool, not "):
        cached(**{argument: bad})


def test_per_instance_without_an_instance(domain: Domain) -> None:
    """Refused where the signature says that none can be passed by position."""

    async def later(*, key: int) -> int:
        return key

    decorate = cached(per_instance=True, domain=domain)
    for function in (lambda: 1, lambda **names: names, later, "text".upper):
        with pytest.raises(TypeError, match=r"per_instance=True is for methods: .* no"):
            decorate(function)
    assert domain.shrinkers() == ()
    # What takes any number may take one; what does not say what it takes, too.
    for function in (lambda *of: of, lambda self=None: self, dict.pop):
        decorate(function)


def test_generator_functions_are_refused() -> None:
    """The first caller would use the generator up."""

    def numbers() -> Any:
        yield 1

    async def later() -> Any:
        yield 1

    for function in (numbers, later):
        with pytest.raises(TypeError, match="only once"):
            cached(function)


def test_generator_objects_are_refused(domain: Domain) -> None:
    """Objects whose ``__call__`` is a generator function."""

    class Numbers:
        def __call__(self) -> Any:
            yield 1

    class Later:
        async def __call__(self) -> Any:
            yield 1

    for function in (Numbers(), Later()):
        with pytest.raises(TypeError, match="only once"):
            cached(domain=domain)(function)


def test_weigher_and_on_evict_get_results(domain: Domain) -> None:
    """They get the result alone, without a key."""
    gone: list[bytes] = []

    @cached(maxsize=100, weigher=len, on_evict=gone.append, domain=domain)
    def read(name: str) -> bytes:
        return name.encode() * 10

    read("a")
    read("bb")
    assert read.cache_info() == (0, 2, 100, 2)
    assert read.cache.weight == 30
    assert read("c" * 9) == b"c" * 90
    assert gone == [b"a" * 10, b"bb" * 10]
    assert read("d" * 20) == b"d" * 200  # Too heavy to be cached.
    assert read.cache.weight == 90


def test_weigher_and_on_evict_take_one_argument(domain: Domain) -> None:
    """Functions of a key and a value, as Cache takes, are refused at once."""
    with pytest.raises(TypeError, match=r"weigher is called as weigher\(result\)"):
        cached(weigher=lambda key, value: 1, domain=domain)  # type: ignore[misc,arg-type]
    with pytest.raises(TypeError, match=r"on_evict\(result\)"):
        cached(on_evict=lambda key, value: 1, domain=domain)  # type: ignore[misc,arg-type]
    cached(weigher=len, domain=domain)(str)


# --- reclaim and life ----------------------------------------------------------------


def test_reclaim_evicts_results(domain: Domain) -> None:
    """A walk evicts results, and the function computes them anew."""
    counted = Counted()
    double = cached(rebuild_seconds=0.01, weigher=None, domain=domain)(counted)
    assert [double(n) for n in range(100)] == [n * 2 for n in range(100)]
    assert domain.shrink_slab(priority=0) == 100
    assert double(1) == 2
    assert counted.calls == 101
    double.cache.close()
    assert double(1) == 2
    assert double(1) == 2
    assert counted.calls == 103


def test_dropping_the_function_frees_its_cache(domain: Domain) -> None:
    """Nothing but the function references its cache."""

    class Result:
        pass

    alive = []

    def make(n: int) -> Result:
        result = Result()
        alive.append(weakref.ref(result))
        return result

    function = cached(domain=domain)(make)
    function(1)
    assert alive[0]() is not None
    gc.disable()
    try:
        del function
        assert alive[0]() is None
        assert domain.shrinkers() == ()
    finally:
        gc.enable()


# --- clearing ------------------------------------------------------------------------


def test_clearing_while_a_result_is_computed(domain: Domain) -> None:
    """Such a result is returned but not cached."""

    @cached(domain=domain)
    def slow(x: int) -> int:
        if x == 1:
            slow.cache_clear()
        if x == 2:
            slow.cache.clear()
        if x == 3:
            slow.cache.close()
        return x

    assert slow(1) == 1
    assert slow.cache_info().currsize == 0
    assert slow(2) == 2
    assert slow.cache_info().currsize == 0
    assert slow(3) == 3
    with pytest.raises(ShrinkerError):
        slow.cache[1] = 1


def test_a_result_is_not_in_after_a_clear_even_for_a_moment(domain: Domain) -> None:
    """The cache is cleared while the result is weighed, before it is put in."""
    sizes: set[int] = set()

    def clears(_result: int) -> int:
        current.cache_clear()
        return 1

    @cached(domain=domain, weigher=clears)
    def current(x: int) -> int:
        return x

    def look(_frame: object, _event: str, _argument: object) -> None:
        sizes.add(len(current.cache))

    sys.setprofile(look)  # At each call and return.
    try:
        assert current(1) == 1
    finally:
        sys.setprofile(None)
    assert sizes == {0}


def test_clearing_in_another_thread(fast_switching: None, domain: Domain) -> None:
    """No result that was begun before a clear is found after it."""
    version = 0

    @cached(domain=domain)
    def current(x: int) -> int:
        return version

    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            for n in range(5):
                current(n)

    def change() -> None:
        nonlocal version
        try:
            for _ in range(300):
                version += 1
                current.cache_clear()
                for n in range(5):
                    assert current(n) == version
        finally:
            done.set()

    assert run_threads(ask, ask, change) == []


def test_a_result_that_a_clear_overtakes_while_it_is_weighed(domain: Domain) -> None:
    """The caller gets it, and it is not cached; so, too, where the cache is closed."""
    wants: list[Callable[[], object]] = []

    def weigher(value: int) -> int:
        if wants:
            wants.pop()()
        return value

    @cached(domain=domain, weigher=weigher)
    def function(key: int) -> int:
        return key

    wants.append(function.cache_clear)
    assert function(1) == 1
    assert function.cache_info().currsize == 0
    assert function(1) == 1
    assert function.cache_info().currsize == 1

    def refuse() -> None:
        raise ShrinkerError("from the weigher")

    wants.append(refuse)
    with pytest.raises(ShrinkerError, match="from the weigher"):
        function(2)
    wants.append(function.cache.close)
    assert function(3) == 3
    assert function(3) == 3


# --- threads -------------------------------------------------------------------------


def test_threads(fast_switching: None, domain: Domain) -> None:
    """Threads that call, while walks take, get right results."""
    double = cached(maxsize=20, weigher=None, domain=domain)(Counted())
    done = threading.Event()

    def ask() -> None:
        try:
            for n in range(6_000):
                assert double(n % 40) == n % 40 * 2
        finally:
            done.set()

    def walk() -> None:
        while not done.is_set():
            domain.shrink_slab(priority=0)

    assert run_threads(ask, ask, ask, walk) == []
    assert double.cache.weight == double.cache_info().currsize <= 20


# --- statistics of instances ---------------------------------------------------------


def test_statistics_of_instances(domain: Domain) -> None:
    """Each object has its own, also where objects are equal; they go with it."""

    class Shop:
        def __init__(self, name: str) -> None:
            self.name = name

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Shop) and self.name == other.name

        def __hash__(self) -> int:
            return hash(self.name)

        @cached(per_instance=True, maxsize=9, domain=domain)
        def price(self, item: str) -> int:
            return len(item) // (item != "")

        @cached(per_instance=True, domain=domain)
        async def stock(self, item: str) -> int:
            return len(item)

    class Own(Shop):
        __eq__ = object.__eq__
        __hash__ = object.__hash__

    tea, equal, own = Shop("tea"), Shop("tea"), Own("own")
    assert [tea.price("a"), tea.price("b"), tea.price("a")] == [1, 1, 1]
    assert [equal.price("a"), own.price("a")] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        own.price("")
    info = Shop.price.cache_info
    assert info(tea) == (1, 2, 9, 2)
    assert info(equal) == (1, 0, 9, 2)
    assert info(own) == (0, 2, 9, 1)
    assert info() == (2, 4, 9, 3)

    async def main(own: Shop) -> None:
        assert await own.stock("a") == await own.stock("a") == 1
        await asyncio.gather(own.stock("b"), own.stock("b"))

    asyncio.run(main(own))
    assert Shop.stock.cache_info(own) == (2, 2, None, 2)
    assert Shop.stock.cache_info(tea) == (0, 0, None, 0)
    tallies = gc.get_referents(Shop.price)
    (tally,) = (one._tallies for one in tallies if isinstance(one, Tallies))
    assert len(tally) == 3
    del own
    gc.collect()
    assert len(tally) == 2
    Shop.price.cache_clear()
    assert info(tea) == (0, 0, 9, 0)


def test_statistics_of_instances_that_are_not_there(domain: Domain) -> None:
    """Without ``per_instance``; without an instance; without weak references."""
    plain = cached(domain=domain)(str)
    with pytest.raises(TypeError, match="per_instance"):
        plain.cache_info(plain)
    asked = cached(per_instance=True, domain=domain)(lambda *of, **names: of)
    assert asked() == asked() == asked(x=1) == ()
    assert asked(1) == asked(1) == (1,)
    assert asked.cache_info(1) == (0, 0, None, 0)
    assert asked.cache_info() == (2, 3, None, 3)
    for wrong in ((), ({}, 1), ({}, "a", "b")):
        with pytest.raises(TypeError, match="count_one"):
            count_one(*wrong)  # type: ignore[arg-type]


def test_statistics_of_instances_in_threads(
    fast_switching: None, domain: Domain
) -> None:
    """No call is lost."""

    class Shop:
        @cached(per_instance=True, domain=domain)
        def price(self, item: int) -> int:
            return item

    shop = Shop()

    def ask() -> None:
        for n in range(3_000):
            shop.price(n % 7)

    assert run_threads(ask, ask, ask) == []
    hits, misses, _, entries = Shop.price.cache_info(shop)
    assert hits + misses == 9_000
    assert misses >= entries == 7


def test_a_tally_that_raises(domain: Domain) -> None:
    """It comes out of the call."""

    def broken(what: str, *of: object) -> None:
        if what in wrong:
            raise ZeroDivisionError

    cache = Cache[Any, Any](domain=domain)
    function: Any = DecoratedFunction(
        cache._store, cache, str, typed=False, coalesce=True, tallies=broken
    )
    wrong = {"misses"}
    with pytest.raises(ZeroDivisionError):
        function(1)
    wrong = {"hits"}
    assert function(1) == "1"
    with pytest.raises(ZeroDivisionError):
        function(1)
