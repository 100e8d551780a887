"""``cached``: functions, methods and coroutines that remember their results."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from tests_support import run_threads

from shrinker import Domain, ShrinkerError
from shrinker.cache import CacheInfo, LruCache, cached

if TYPE_CHECKING:
    from collections.abc import Callable


class Counted:
    """Doubles, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        return x * 2


# --- functions --------------------------------------------------------------


def test_results_are_remembered(domain: Domain) -> None:
    """A second call with the same arguments does not compute."""
    calls = []

    @cached(domain=domain)
    def add(a: int, b: int = 1, *, c: int = 0) -> int:
        """Add."""
        calls.append((a, b, c))
        return a + b + c

    assert [add(1), add(1), add(1, 1), add(1, c=3), add(1, c=3)] == [2, 2, 2, 5, 5]
    assert calls == [(1, 1, 0), (1, 1, 0), (1, 1, 3)]
    assert add.cache_info() == CacheInfo(2, 3, None, 3, 3)
    assert add.cache_info()[:4] == (2, 3, None, 3)
    assert (add.__name__, add.__doc__) == ("add", "Add.")  # type: ignore[attr-defined]
    assert add.__wrapped__(5) == 6
    assert isinstance(add.cache, LruCache)
    assert add.cache.registration.name == f"{__name__}.{add.__qualname__}"  # type: ignore[attr-defined]
    add.cache_clear()
    assert add.cache_info() == CacheInfo(0, 0, None, 0, 0)
    add(1)
    assert len(calls) == 5


def test_without_parentheses() -> None:
    """``@cached`` alone registers with the default domain, without a limit."""

    @cached
    def double(x: int) -> int:
        return x * 2

    assert [double(2), double(2)] == [4, 4]
    assert double.cache_info() == (1, 1, None, 1, 1)
    assert not double.cache.registration.closed


def test_typed(domain: Domain) -> None:
    """Arguments of different types are kept apart where that is asked for."""

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
    """What raised is computed again; KeyError is no exception to that."""
    calls = []

    @cached(domain=domain)
    def fail(x: int) -> int:
        calls.append(x)
        raise KeyError(x)

    for _ in range(2):
        with pytest.raises(KeyError):
            fail(1)
    assert calls == [1, 1]
    assert fail.cache_info() == (0, 2, None, 0, 0)
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
    """Methods, class and static methods work, and know their cache."""

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
    """Builtins, partial functions and objects can be decorated, and have names."""
    counted = Counted()
    for function in (counted, functools.partial(counted), len, str.upper):
        remembered: Callable[[Any], Any] = cached(domain=domain)(function)
        assert remembered("ab") == remembered("ab") == function("ab")
        assert remembered.cache.registration.name  # type: ignore[attr-defined]
    assert counted.calls == 2 + 2


@pytest.mark.parametrize("bad", [3, "x", {}])
def test_what_cannot_be_decorated(bad: Any) -> None:
    """A size in place of the function is an error that says so."""
    with pytest.raises(TypeError, match="takes a function"):
        cached(bad)
    for arguments in ({"weigher": bad}, {"on_evict": bad}, {"name": b""}):
        with pytest.raises(TypeError):
            cached(**arguments)(len)


def test_generators_are_refused() -> None:
    """A generator would be used up by its first caller."""

    def numbers() -> Any:
        yield 1

    async def later() -> Any:
        yield 1

    for function in (numbers, later):
        with pytest.raises(TypeError, match="only once"):
            cached(function)


def test_weigher_and_on_evict_see_results(domain: Domain) -> None:
    """What a decorated function's cache asks and tells is about results."""
    gone: list[bytes] = []

    @cached(maxsize=100, weigher=len, on_evict=gone.append, domain=domain)
    def read(name: str) -> bytes:
        return name.encode() * 10

    read("a")
    read("bb")
    assert read.cache_info() == (0, 2, 100, 2, 30)
    assert read("c" * 9) == b"c" * 90
    assert gone == [b"a" * 10, b"bb" * 10]
    assert read("d" * 20) == b"d" * 200  # Too heavy, and returned all the same.
    assert read.cache_info().weight == 90


def test_weigher_and_on_evict_take_one_argument(domain: Domain) -> None:
    """What takes a key as well, as that of LruCache, is refused before it is used."""
    with pytest.raises(TypeError, match=r"weigher is called as weigher\(result\)"):
        cached(weigher=lambda key, value: 1, domain=domain)  # type: ignore[misc,arg-type]
    with pytest.raises(TypeError, match=r"on_evict\(result\)"):
        cached(on_evict=lambda key, value: 1, domain=domain)  # type: ignore[misc,arg-type]
    cached(weigher=len, domain=domain)(str)


def test_reclaim_forgets(domain: Domain) -> None:
    """A walk takes results; a decorated function computes them anew."""
    counted = Counted()
    double = cached(rebuild_seconds=0.01, domain=domain)(counted)
    assert [double(n) for n in range(100)] == [n * 2 for n in range(100)]
    assert domain.shrink_slab(priority=0) == 100
    assert double(1) == 2
    assert counted.calls == 101
    double.cache.close()
    assert double(1) == 2
    assert double(1) == 2
    assert counted.calls == 103


def test_dropping_the_function_frees_its_cache(domain: Domain) -> None:
    """The cache goes with the function; nothing else holds it."""

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


def test_clearing_meanwhile(domain: Domain) -> None:
    """What is computed while the cache is cleared is returned but not kept."""

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


def test_clearing_before_a_result_is_put_in(domain: Domain) -> None:
    """A result that was begun before a clear is never in, not even for a moment."""
    there: list[int] = []

    def clears(_result: int) -> int:
        current.cache_clear()
        return 1

    @cached(domain=domain, weigher=clears)
    def current(x: int) -> int:
        return x

    def watch(frame: Any, event: str, _argument: object) -> None:
        if event == "return" and frame.f_code.co_qualname == "Store.put":
            there.append(len(current.cache))

    sys.setprofile(watch)
    try:
        assert current(1) == 1
    finally:
        sys.setprofile(None)
    assert there == [0]


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


def test_threads(fast_switching: None, domain: Domain) -> None:
    """Threads that call, while walks take, get right results."""
    double = cached(maxsize=20, domain=domain)(Counted())
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
    assert double.cache_info().weight == double.cache_info().currsize <= 20


# --- coroutines -------------------------------------------------------------


class Gate:
    """An async function that waits until it is told to go on."""

    def __init__(self) -> None:
        self.started = 0
        self.ended = 0
        self.cancelled = 0
        self.go = asyncio.Event()
        self.cleaned = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, x: int) -> int:
        self.started += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            await self.cleaned.wait()
            raise
        if self.error is not None:
            raise self.error
        self.ended += 1
        return x * 2


async def settle() -> None:
    """Let all tasks go on as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_coroutine_function_stays_one(domain: Domain) -> None:
    """It is seen as one, and each call may be awaited once more."""

    @cached(domain=domain)
    async def double(x: int) -> int:
        return x * 2

    assert inspect.iscoroutinefunction(double)

    async def main() -> None:
        assert [await double(2), await double(2)] == [4, 4]

    asyncio.run(main())
    asyncio.run(main())  # Results outlive their loop.
    assert double.cache_info() == (3, 1, None, 1, 1)


def test_one_computation_for_all(domain: Domain) -> None:
    """Tasks that want the same at once share what the first one began."""

    async def main() -> None:
        gate = Gate()
        double = cached(domain=domain)(gate)
        tasks = [asyncio.create_task(double(1)) for _ in range(10)]  # type: ignore[arg-type]
        other = asyncio.create_task(double(2))  # type: ignore[arg-type]
        await settle()
        assert gate.started == 2
        gate.go.set()
        assert await asyncio.gather(*tasks, other) == [2] * 10 + [4]
        assert double.cache_info() == (9, 2, None, 2, 2)
        assert await double(1) == 2
        assert gate.started == 2

    asyncio.run(main())


def test_exceptions_reach_all(domain: Domain) -> None:
    """What a computation raises comes to all who wait, and is not kept."""

    async def main() -> None:
        gate = Gate()
        gate.error = ValueError("no")
        double = cached(domain=domain)(gate)
        tasks = [asyncio.create_task(double(1)) for _ in range(3)]  # type: ignore[arg-type]
        await settle()
        gate.go.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results == [gate.error] * 3
        gate.error = None
        assert await double(1) == 2
        assert gate.started == 2

    asyncio.run(main())


def test_cancelling(domain: Domain) -> None:
    """A cancelled caller leaves others alone; the last takes the computation along."""

    async def main() -> None:
        gate = Gate()
        double = cached(domain=domain)(gate)
        first, second = (asyncio.create_task(double(1)) for _ in range(2))  # type: ignore[arg-type]
        await settle()
        first.cancel()
        await settle()
        assert first.cancelled()
        assert gate.cancelled == 0
        second.cancel()
        await settle()
        assert gate.cancelled == 1
        # Who comes now does not wait for what is being cancelled.
        third = asyncio.create_task(double(1))  # type: ignore[arg-type]
        await settle()
        assert second.cancelled()
        assert gate.started == 2
        gate.cleaned.set()
        gate.go.set()
        assert await third == 2
        await settle()
        assert (gate.started, gate.ended) == (2, 1)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_clearing_while_tasks_wait(domain: Domain) -> None:
    """A late result is given to those who waited, not kept, and not joined."""

    async def main() -> None:
        gate = Gate()
        double = cached(domain=domain)(gate)
        early = asyncio.create_task(double(1))  # type: ignore[arg-type]
        await settle()
        double.cache_clear()
        late = asyncio.create_task(double(1))  # type: ignore[arg-type]
        await settle()
        assert gate.started == 2
        double.cache_clear()
        gate.go.set()
        assert await asyncio.gather(early, late) == [2, 2]
        assert double.cache_info().currsize == 0
        assert await double(1) == 2
        assert double.cache_info().currsize == 1

    asyncio.run(main())


def test_loops_do_not_share_computations(domain: Domain) -> None:
    """Each loop computes for itself; one that ends in the middle leaves nothing."""
    started = 0

    @cached(domain=domain)
    async def wait(x: int) -> int:
        nonlocal started
        started += 1
        await asyncio.sleep(3600 if started == 1 else 0)
        return x

    async def leave() -> None:
        task = asyncio.create_task(wait(1))  # type: ignore[arg-type]
        await settle()
        task.add_done_callback(lambda _: None)

    asyncio.run(leave())
    assert asyncio.run(wait(1)) == 1  # type: ignore[arg-type]
    assert started == 2

    @cached(domain=domain)
    async def meet(x: int) -> str:
        barrier.wait(10)  # Both loops are in the middle of it.
        return threading.current_thread().name

    barrier = threading.Barrier(2)
    names: list[str] = []
    target = lambda: names.append(asyncio.run(meet(1)))  # type: ignore[arg-type]  # noqa: E731
    assert run_threads(target, target) == []
    assert len(set(names)) == 2
