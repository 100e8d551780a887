"""``cached`` on ``async def``: rings of computations, discards, methods."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import traceback
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from shrinker.cache import cached, coalesce

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import Domain

WAIT_SECONDS = 50
"""No wait of these tests takes longer.  Less than ``MAX_RING_SECONDS``."""


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Run an async function, in a loop of asyncio or by trio, not for ever."""
    anyio = pytest.importorskip("anyio", reason="needs anyio")
    if request.param == "trio":
        pytest.importorskip("trio", reason="needs trio")

    def run(main: Callable[[], Any]) -> Any:
        async def bounded() -> Any:
            with anyio.fail_after(WAIT_SECONDS):
                return await main()

        return anyio.run(bounded, backend=request.param)

    return run


async def in_a_task(function: Callable[[int], Any], n: int) -> Any:
    """Await a call in a task of its own."""
    import anyio  # noqa: PLC0415 - an extra

    results = []

    async def call() -> None:
        results.append(await function(n))

    async with anyio.create_task_group() as group:
        group.start_soon(call)
    return results[0]


# --- exceptions ----------------------------------------------------------------------


def test_tracebacks_do_not_add_up(run: Callable[..., Any], domain: Domain) -> None:
    """All tasks raise one object; each adds its frames to the computation's alone."""
    import anyio  # noqa: PLC0415 - an extra

    error = ValueError("no")
    seen: list[int] = []

    @cached(domain=domain)
    async def fail(_: int) -> int:
        await anyio.wait_all_tasks_blocked()
        raise error

    async def call() -> None:
        try:
            await fail(1)
        except ValueError as raised:
            assert raised is error
            seen.append(len(traceback.extract_tb(raised.__traceback__)))

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(call)

    run(main)
    assert len(seen) == 50
    assert min(seen) == max(seen)


# --- rings ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 5])
def test_rings_raise(run: Callable[..., Any], domain: Domain, size: int) -> None:
    """Results that want each other in a ring: an error at once, for all of them."""

    @cached(domain=domain)
    async def ring(n: int) -> int:
        return await ring((n + 1) % size) + 1  # type: ignore[no-any-return]

    async def main() -> None:
        for n in range(size):
            with pytest.raises(RuntimeError, match="same arguments"):
                await ring(n)

    run(main)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_rings_by_tasks_between_raise_in_time(
    run: Callable[..., Any], domain: Domain, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the function awaits another task that awaits the next one."""
    monkeypatch.setattr(coalesce, "MAX_RING_SECONDS", 0.05)

    @cached(domain=domain)
    async def ring(n: int) -> int:
        return await in_a_task(ring, (n + 1) % size) + 1  # type: ignore[no-any-return]

    async def main() -> None:
        with pytest.raises(BaseExceptionGroup) as caught:
            await ring(0)
        found: BaseException = caught.value
        while isinstance(found, BaseExceptionGroup):
            (found,) = found.exceptions
        assert "same arguments" in str(found)

    run(main)


def test_rings_of_two_callers(run: Callable[..., Any], domain: Domain) -> None:
    """Each begins one half of the ring."""
    import anyio  # noqa: PLC0415 - an extra

    @cached(domain=domain)
    async def ring(n: int) -> int:
        await anyio.sleep(0.01)
        return await ring(1 - n)  # type: ignore[no-any-return]

    async def main() -> None:
        errors = []

        async def call(n: int) -> None:
            try:
                await ring(n)
            except RuntimeError as error:
                errors.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(call, 0)
            group.start_soon(call, 1)
        assert len(errors) == 2

    run(main)


def test_a_task_that_is_left_to_itself_waits(
    run: Callable[..., Any], domain: Domain
) -> None:
    """It looks like a ring, but nothing awaits the task: all results are right."""
    import anyio  # noqa: PLC0415 - an extra

    async def main() -> None:
        begun, seen = anyio.Event(), []

        @cached(domain=domain)
        async def node(n: int) -> int:
            if n:
                begun.set()
                return await node(0) + n  # type: ignore[no-any-return]
            group.start_soon(prefetch)
            await begun.wait()
            await anyio.sleep(0.01)
            return 100

        async def prefetch() -> None:
            seen.append(await node(1))

        async with anyio.create_task_group() as group:
            assert await node(0) == 100
        assert seen == [101]
        assert node.cache_info() == (1, 2, None, 2)

    run(main)


def test_tasks_that_outlive_their_computation(
    run: Callable[..., Any], domain: Domain
) -> None:
    """They wait as any other, also for the result that they were started for."""
    import anyio  # noqa: PLC0415 - an extra

    async def main() -> None:
        seen = []

        @cached(domain=domain)
        async def node(n: int) -> int:
            group.start_soon(later, n)
            return n

        async def later(n: int) -> None:
            await anyio.sleep(0.01)
            node.cache_discard(0)
            if n < 3:
                seen.append(await node(n + 1))

        async with anyio.create_task_group() as group:
            await node(0)
        assert seen == [1, 2, 3]

    run(main)


# --- without coalescing, eager tasks -------------------------------------------------


def test_not_without_coalesce(run: Callable[..., Any], domain: Domain) -> None:
    """With ``coalesce=False`` each task computes."""
    import anyio  # noqa: PLC0415 - an extra

    calls = 0

    @cached(coalesce=False, domain=domain)
    async def double(n: int) -> int:
        nonlocal calls
        calls += 1
        await anyio.sleep(0.001)
        return n * 2

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(double, 1)
        assert await double(1) == 2

    run(main)
    assert calls == 3
    assert double.cache_info() == (1, 3, None, 1)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in 3.12")
def test_eager_tasks(domain: Domain) -> None:
    """A computation that ends before its task is known is kept."""

    @cached(domain=domain)
    async def double(n: int) -> int:
        return n * 2

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
        assert [await double(1), await double(1)] == [2, 2]

    asyncio.run(main())
    assert double.cache_info() == (1, 1, None, 1)


# --- discarding ----------------------------------------------------------------------


@pytest.mark.parametrize("by_thread", [False, True])
def test_discarding_while_it_is_computed(
    run: Callable[..., Any], domain: Domain, by_thread: bool
) -> None:
    """Those who wait get the result; it is not cached, and later calls compute."""
    import anyio  # noqa: PLC0415 - an extra

    async def main() -> None:
        version, go, results = 1, anyio.Event(), []
        started = {1: anyio.Event(), 2: anyio.Event()}

        @cached(domain=domain)
        async def read(key: int) -> int:
            now = version
            started[now].set()
            await go.wait()
            return now

        async def call() -> None:
            results.append(await read(1))

        def discard() -> None:
            assert not read.cache_discard(1)

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await started[1].wait()
            version = 2
            if by_thread:
                thread = threading.Thread(target=discard)
                thread.start()
                thread.join()
            else:
                discard()
            group.start_soon(call)
            await started[2].wait()
            go.set()
        assert sorted(results) == [1, 2]
        assert await read(1) == 2
        assert read.cache_info() == (1, 2, None, 1)
        assert read.cache_discard(1)

    run(main)


def test_a_discard_between_keeping_and_returning(domain: Domain) -> None:
    """By another thread, as by the weigher here: it is not kept."""
    threads = []

    def weigher(_: int) -> int:
        threads.append(threading.Thread(target=lambda: read.cache_discard(1)))
        threads[0].start()
        return 1

    @cached(weigher=weigher, domain=domain)
    async def read(key: int) -> int:
        return key

    assert asyncio.run(read(1)) == 1  # type: ignore[arg-type]
    threads[0].join(WAIT_SECONDS)
    assert len(read.cache) == 0


# --- methods -------------------------------------------------------------------------


def test_async_methods_do_not_keep_their_instances(domain: Domain) -> None:
    """Those that are compared by identity; a new one at the address has no results."""

    class Shop:
        @cached(domain=domain)
        async def price(self, item: str) -> int:
            return len(item)

    class Equal(Shop):
        def __eq__(self, other: object) -> bool:
            return isinstance(other, Equal)

        def __hash__(self) -> int:
            return 1

    async def main() -> None:
        assert await shop.price("tea") == await shop.price("tea") == 3
        assert await Equal().price("tea") == await Equal().price("tea") == 3
        # A type that no weak reference can be made to.
        assert await Shop.price(None, "tea") == 3  # type: ignore[call-arg,arg-type]

    shop = Shop()
    gc.disable()
    try:
        asyncio.run(main())
        assert Shop.price.cache_info() == (2, 3, None, 3)
        assert Shop.price.cache_discard(shop, "tea")
        asyncio.run(main())
        alive = weakref.ref(shop)
        del shop
        gc.collect()
        assert alive() is None
        Shop.price.cache_clear()
        addresses = set()
        for _ in range(20):
            shop = Shop()
            addresses.add(id(shop))
            asyncio.run(main())
        assert len(Shop.price.cache) == len(addresses) + 2
    finally:
        gc.enable()
