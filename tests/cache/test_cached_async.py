"""``cached`` on ``async def``: one computation for all tasks that want one result."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from tests_support import run_threads

from shrinker.cache import cached
from shrinker.cache.coalesce import Computations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shrinker import Domain


class Gate:
    """An async function that waits for ``go``, and counts what happens to it."""

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
    """Let all tasks run until they wait."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def complaints(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What the interpreter and asyncio report as not handled."""
    complaints: list[Any] = []
    monkeypatch.setattr(
        "sys.unraisablehook", lambda what: complaints.append(what.exc_value)
    )
    monkeypatch.setattr(
        asyncio.BaseEventLoop,
        "call_exception_handler",
        lambda self, context: complaints.append(context["message"]),
    )
    yield complaints
    gc.collect()


class Endless:
    """An async function that waits for ever; counts its starts and cancellations."""

    def __init__(self) -> None:
        self.begun = self.cancelled = 0

    async def __call__(self, x: int) -> None:
        self.begun += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


async def begin(function: Any) -> Any:
    """Return a call that waits for its computation, and that nothing awaits."""
    call = function(1)
    call.send(None)
    await asyncio.sleep(0)
    return call


# --- one computation -----------------------------------------------------------------


def test_a_coroutine_function_stays_one(domain: Domain) -> None:
    """``inspect`` sees a coroutine function; each call can be awaited."""

    @cached(domain=domain)
    async def double(x: int) -> int:
        return x * 2

    assert inspect.iscoroutinefunction(double)

    async def main() -> None:
        assert [await double(2), await double(2)] == [4, 4]

    asyncio.run(main())
    asyncio.run(main())  # Results outlive their loop.
    assert double.cache_info() == (3, 1, None, 1)


def test_tasks_share_a_computation(domain: Domain) -> None:
    """Tasks that want one result at once wait for the first one's computation."""

    async def main() -> None:
        gate = Gate()
        double = cached(domain=domain)(gate)
        tasks = [asyncio.create_task(double(1)) for _ in range(10)]  # type: ignore[arg-type]
        other = asyncio.create_task(double(2))  # type: ignore[arg-type]
        await settle()
        assert gate.started == 2
        gate.go.set()
        assert await asyncio.gather(*tasks, other) == [2] * 10 + [4]
        assert double.cache_info() == (9, 2, None, 2)
        assert await double(1) == 2
        assert gate.started == 2

    asyncio.run(main())


def test_exceptions_reach_all(domain: Domain) -> None:
    """An exception is raised in all waiting tasks, and is not cached."""

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


def test_clearing_while_tasks_wait(domain: Domain) -> None:
    """Their result is not cached, and later tasks do not wait for it."""

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
    """Each loop computes for itself, also after one that ended during a computation."""
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
        barrier.wait(60)  # Both loops compute.
        return threading.current_thread().name

    barrier = threading.Barrier(2)
    names: list[str] = []
    target = lambda: names.append(asyncio.run(meet(1)))  # type: ignore[arg-type]  # noqa: E731
    assert run_threads(target, target) == []
    assert len(set(names)) == 2


# --- cancelling ----------------------------------------------------------------------


def test_cancelling(domain: Domain) -> None:
    """A cancelled task leaves the others alone; the last one ends the computation."""

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
        # A later task does not wait for a computation that is being cancelled.
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


@pytest.mark.parametrize("waiters", [1, 2, 3])
@pytest.mark.parametrize("when", ["before", "with the result", "after"])
def test_cancelling_around_the_result(
    waiters: int, when: str, domain: Domain, complaints: list[Any]
) -> None:
    """The first task is cancelled at each moment; all others get the result."""

    async def main() -> None:
        result: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        @cached(domain=domain)
        async def wait(x: int) -> int:
            return await result

        calls = [asyncio.ensure_future(wait(1)) for _ in range(waiters)]  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if when == "before":
            calls[0].cancel()
            await asyncio.sleep(0)
        comes = waiters > 1 or when != "before"
        if comes:
            result.set_result(7)
        if when == "with the result":
            await asyncio.sleep(0)  # Computed, but not yet returned to any task.
            calls[0].cancel()
        if when == "after":
            await asyncio.wait(calls)
            assert not calls[0].cancel()
        seen = await asyncio.gather(*calls, return_exceptions=True)
        assert seen[1:] == [7] * (waiters - 1)
        assert (seen[0] == 7) == (when == "after")
        if comes:
            assert await wait(1) == 7
            assert wait.cache_info().misses == 1

    asyncio.run(main())
    assert complaints == []


def test_task_groups_and_timeouts(domain: Domain, complaints: list[Any]) -> None:
    """A task group that fails leaves the tasks outside of it alone."""

    async def main() -> None:
        go = asyncio.Event()

        @cached(domain=domain)
        async def wait(x: int) -> int:
            await go.wait()
            return x

        async def fail() -> None:
            await asyncio.sleep(0)
            raise ValueError

        outside = asyncio.ensure_future(wait(1))  # type: ignore[arg-type]
        # Before the group: that leaves this task as if cancelled, until Python 3.13.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await wait(1)
        with pytest.raises(ExceptionGroup):  # noqa: PT012
            async with asyncio.TaskGroup() as group:
                group.create_task(wait(1))  # type: ignore[arg-type]
                group.create_task(fail())
        go.set()
        assert await outside == 1
        assert wait.cache_info().misses == 1

    asyncio.run(main())
    assert complaints == []


def test_an_abandoned_computation_leaves_its_successor_alone() -> None:
    """After a clear a key has a second computation; cancelling the first keeps it."""

    async def main() -> None:
        computations = Computations()

        async def forever() -> None:
            await asyncio.Event().wait()

        first = computations.start("key", 0, forever)
        second = computations.start("key", 1, forever)
        first.abandon()
        assert computations.find("key", 1) is second
        second.abandon()
        assert computations.find("key", 1) is None
        for computation in (first, second):
            with pytest.raises(asyncio.CancelledError):
                await computation.task

    asyncio.run(main())


# --- calls and loops that end early --------------------------------------------------


def test_dropping_a_call_cancels_it(domain: Domain, complaints: list[Any]) -> None:
    """``close()`` of a coroutine in its loop counts as cancelling it."""

    async def main() -> None:
        call = await begin(cached(domain=domain)(endless))
        call.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    endless = Endless()
    asyncio.run(main())
    assert (endless.begun, endless.cancelled) == (1, 1)
    assert complaints == []


def test_dropping_a_call_in_another_thread(
    domain: Domain, complaints: list[Any]
) -> None:
    """The loop cancels the computation, not the other thread."""

    async def main() -> None:
        call = await begin(cached(domain=domain)(endless))
        thread = threading.Thread(target=call.close)
        thread.start()
        thread.join()
        for _ in range(4):
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    endless = Endless()
    asyncio.run(main())
    assert (endless.begun, endless.cancelled) == (1, 1)
    assert complaints == []


@pytest.mark.parametrize("closed", [False, True])
def test_a_call_that_outlives_its_loop(
    closed: bool, domain: Domain, complaints: list[Any]
) -> None:
    """Dropping it when no loop runs raises and logs nothing."""
    function = cached(domain=domain)(Endless())
    loop = asyncio.new_event_loop()
    try:
        call = loop.run_until_complete(begin(function))
        if closed:
            loop.close()
        call.close()
    finally:
        loop.close()
    del call
    gc.collect()
    assert complaints == []


def test_a_loop_that_ends_during_a_computation_is_freed(
    domain: Domain, complaints: list[Any]
) -> None:
    """A computation keeps neither its loop nor itself alive."""
    function = cached(domain=domain)(Endless())
    loop = asyncio.new_event_loop()
    call = loop.run_until_complete(begin(function))
    loop.close()
    alive = weakref.ref(loop)
    del loop, call
    gc.collect()
    assert alive() is None
    assert complaints == []


def test_a_failed_call_leaves_no_cycle(domain: Domain) -> None:
    """Its exception forms no cycle with tasks, frames and arguments."""

    class Argument:
        pass

    @cached(domain=domain)
    async def fail(x: Argument) -> None:
        await asyncio.sleep(0)
        raise ValueError

    async def main() -> None:
        argument = Argument()
        alive = weakref.ref(argument)
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            await fail(argument)
        del caught, argument
        await asyncio.sleep(0)
        assert alive() is None

    gc.collect()
    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()
