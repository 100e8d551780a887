"""``cached`` on ``async def`` under anyio and trio; as test_cached_async.py has it."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import importlib.util
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

anyio = pytest.importorskip("anyio", reason="needs anyio")

from shrinker.cache import cached
from shrinker.cache.coalesce import Computations

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import Domain

needs_trio = pytest.mark.skipif(
    importlib.util.find_spec("trio") is None, reason="needs trio"
)
SECONDS = 50


@pytest.fixture(params=["asyncio", pytest.param("trio", marks=needs_trio)])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Runs a coroutine function by anyio, on each of the two."""

    async def bounded(main: Callable[[], Any]) -> Any:
        with anyio.fail_after(SECONDS):
            return await main()

    return lambda main: anyio.run(bounded, main, backend=request.param)


class Gate:
    """An async function that waits for ``go``, and counts what happens to it."""

    def __init__(self) -> None:
        self.started = self.ended = self.cancelled = 0
        self.go = anyio.Event()
        self.error: BaseException | None = None

    async def __call__(self, x: int) -> int:
        self.started += 1
        try:
            await self.go.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        self.ended += 1
        return x * 2


async def settle() -> None:
    """Let all tasks run until they wait."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


def test_a_computation_that_waits_for_itself_is_told(
    run: Callable[..., Any], domain: Domain
) -> None:
    """A function that calls itself with the same arguments would never end."""

    @cached(domain=domain)
    async def again(n: int) -> int:
        return await again(n)

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="same arguments"):
                await again(1)

    run(main)


def test_tasks_share_a_computation(run: Callable[..., Any], domain: Domain) -> None:
    """Tasks that want one result at once wait for one computation."""

    async def main() -> None:
        gate = Gate()
        double = cached(domain=domain)(gate)
        results = []

        async def call(x: int) -> None:
            results.append(await double(x))  # type: ignore[arg-type]

        async with anyio.create_task_group() as group:
            for x in (1, 1, 1, 2):
                group.start_soon(call, x)
            await settle()
            assert gate.started == 2
            gate.go.set()
        assert sorted(results) == [2, 2, 2, 4]
        assert double.cache_info() == (2, 2, None, 2)
        assert await double(1) == 2
        assert gate.started == 2

    run(main)


def test_results_outlive_their_run(run: Callable[..., Any], domain: Domain) -> None:
    """Runs share results, but no computation."""

    @cached(domain=domain)
    async def double(x: int) -> int:
        await anyio.lowlevel.checkpoint()
        return x * 2

    async def main() -> int:
        return await double(2)

    assert [run(main), run(main)] == [4, 4]
    assert double.cache_info() == (1, 1, None, 1)


def test_exceptions_reach_all(run: Callable[..., Any], domain: Domain) -> None:
    """An exception is raised in all waiting tasks, and is not cached."""

    async def main() -> None:
        gate = Gate()
        gate.error = ValueError("no")
        double = cached(domain=domain)(gate)
        seen = []

        async def call() -> None:
            try:
                await double(1)  # type: ignore[arg-type]
            except ValueError as error:
                seen.append(error)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(call)
            await settle()
            gate.go.set()
        assert seen == [gate.error] * 3
        gate.error = None
        assert await double(1) == 2  # type: ignore[arg-type]
        assert gate.started == 2

    run(main)


def test_cancelling(run: Callable[..., Any], domain: Domain) -> None:
    """A cancelled task leaves the others alone; the last one ends the computation."""

    async def main() -> None:
        gate = Gate()
        double = cached(domain=domain)(gate)
        scopes = [anyio.CancelScope() for _ in range(2)]

        async def call(scope: Any) -> None:
            with scope:
                await double(1)  # type: ignore[arg-type]

        async with anyio.create_task_group() as group:
            for scope in scopes:
                group.start_soon(call, scope)
            await settle()
            scopes[0].cancel()
            await settle()
            assert (gate.started, gate.cancelled) == (1, 0)
            scopes[1].cancel()
            await settle()
            assert (gate.started, gate.cancelled) == (1, 1)
        with anyio.move_on_after(0.01):
            await double(1)  # type: ignore[arg-type]
        await settle()
        assert (gate.started, gate.cancelled) == (2, 2)
        gate.go.set()
        assert await double(1) == 2  # type: ignore[arg-type]
        assert double.cache_info().currsize == 1

    run(main)


def test_the_first_caller_is_cancelled(run: Callable[..., Any], domain: Domain) -> None:
    """The computation is not its child: the other one gets the result."""

    async def main() -> None:
        gate = Gate()
        double = cached(domain=domain)(gate)
        results = []

        async def call() -> None:
            results.append(await double(1))  # type: ignore[arg-type]

        async with anyio.create_task_group() as outer:
            async with anyio.create_task_group() as inner:
                inner.start_soon(double, 1)
                await settle()
                outer.start_soon(call)
                await settle()
                inner.cancel_scope.cancel()
            gate.go.set()
        assert results == [2]
        assert (gate.started, gate.cancelled) == (1, 0)

    run(main)


def test_the_context_of_the_first_caller(
    run: Callable[..., Any], domain: Domain
) -> None:
    """The computation sees its context variables, and sets none of them."""
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")

    @cached(domain=domain)
    async def read(x: int) -> str:
        await anyio.lowlevel.checkpoint()
        seen = name.get()
        name.set("changed")
        return seen

    async def main() -> None:
        name.set("first")
        assert await read(1) == "first"
        assert name.get() == "first"

    run(main)


def test_clearing_while_tasks_wait(run: Callable[..., Any], domain: Domain) -> None:
    """Their result is not cached, and later tasks do not wait for it."""

    async def main() -> None:
        gate = Gate()
        double = cached(domain=domain)(gate)
        async with anyio.create_task_group() as group:
            group.start_soon(double, 1)
            await settle()
            double.cache_clear()
            group.start_soon(double, 1)
            await settle()
            assert gate.started == 2
            double.cache_clear()
            gate.go.set()
        assert double.cache_info().currsize == 0

    run(main)


def test_abandoning_from_any_thread(run: Callable[..., Any]) -> None:
    """The loop cancels the computation, not the other thread; later nothing does."""
    computations = Computations()

    async def main() -> Any:
        gate = Gate()
        last = None
        for cancelled in (1, 2):
            last = computations.start("key", 0, functools.partial(gate, 1))
            await settle()
            assert computations.find("key", 0) is last
            if cancelled == 1:
                last.abandon()
            else:
                thread = threading.Thread(target=last.abandon)
                thread.start()
                thread.join(SECONDS)
            assert computations.find("key", 0) is None
            while gate.cancelled != cancelled:
                await anyio.lowlevel.checkpoint()
        return last

    run(main).abandon()


def test_a_failed_call_leaves_no_cycle(run: Callable[..., Any], domain: Domain) -> None:
    """Its exception forms no cycle with tasks, frames and arguments."""

    class Argument:
        pass

    @cached(domain=domain)
    async def fail(x: Argument) -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError

    async def main() -> None:
        argument = Argument()
        alive = weakref.ref(argument)
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            await fail(argument)
        del caught, argument
        await settle()
        assert alive() is None

    gc.collect()
    gc.disable()
    try:
        run(main)
    finally:
        gc.enable()


@needs_trio
def test_trio_as_a_guest_of_asyncio(domain: Domain) -> None:
    """Tasks of both run on one thread, and each finds its own computation."""
    trio = pytest.importorskip("trio")

    @cached(domain=domain)
    async def library(x: int) -> str:
        return _library()

    def _library() -> str:
        try:
            trio.lowlevel.current_task()
        except RuntimeError:
            return "asyncio"
        return "trio"

    async def guest() -> str:
        return await library(1)

    async def main() -> tuple[str, str]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        trio.lowlevel.start_guest_run(
            guest,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=done.set_result,
        )
        own = await library(2)
        return own, (await done).unwrap()

    assert asyncio.run(asyncio.wait_for(main(), SECONDS)) == ("asyncio", "trio")
