"""Computations that several tasks wait for, and loops that end in the midst of them."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from shrinker.cache import cached

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shrinker import Domain


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What the interpreter and asyncio complain of."""
    said: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda what: said.append(what.exc_value))
    monkeypatch.setattr(
        asyncio.BaseEventLoop,
        "call_exception_handler",
        lambda self, context: said.append(context["message"]),
    )
    yield said
    gc.collect()


class Endless:
    """Computes for ever, and knows how often it was begun and ended."""

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
    """Return a call that has begun to wait; nobody awaits it."""
    call = function(1)
    call.send(None)
    await asyncio.sleep(0)
    return call


def test_a_call_that_is_dropped_cancels(domain: Domain, said: list[Any]) -> None:
    """``close()`` of a coroutine is as good as cancelling, in its loop."""

    async def main() -> None:
        call = await begin(cached(domain=domain)(endless))
        call.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    endless = Endless()
    asyncio.run(main())
    assert (endless.begun, endless.cancelled) == (1, 1)
    assert said == []


def test_a_call_that_is_dropped_by_another_thread(
    domain: Domain, said: list[Any]
) -> None:
    """The loop is told, and cancels the computation itself."""

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
    assert said == []


@pytest.mark.parametrize("closed", [False, True])
def test_a_call_that_outlives_its_loop(
    closed: bool, domain: Domain, said: list[Any]
) -> None:
    """Dropping it when no loop runs raises nothing, and says nothing."""
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
    assert said == []


def test_a_loop_that_ends_in_the_midst_is_freed(
    domain: Domain, said: list[Any]
) -> None:
    """Computations under way keep neither their loop nor themselves."""
    function = cached(domain=domain)(Endless())
    loop = asyncio.new_event_loop()
    call = loop.run_until_complete(begin(function))
    loop.close()
    alive = weakref.ref(loop)
    del loop, call
    gc.collect()
    assert alive() is None
    assert said == []


def test_what_failed_is_freed_at_once(domain: Domain) -> None:
    """An exception leaves no cycle of tasks, frames and arguments."""

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


@pytest.mark.parametrize("waiters", [1, 2, 3])
@pytest.mark.parametrize("when", ["before", "with the result", "after"])
def test_cancelling_around_the_result(
    waiters: int, when: str, domain: Domain, said: list[Any]
) -> None:
    """The first caller goes at each moment; all others get the result."""

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
            await asyncio.sleep(0)  # It is computed, and nobody has it yet.
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
    assert said == []


def test_groups_and_timeouts(domain: Domain, said: list[Any]) -> None:
    """A task group that fails leaves the callers outside of it alone."""

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
        with pytest.raises(ExceptionGroup):  # noqa: PT012
            async with asyncio.TaskGroup() as group:
                group.create_task(wait(1))  # type: ignore[arg-type]
                group.create_task(fail())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await wait(1)
        go.set()
        assert await outside == 1
        assert wait.cache_info().misses == 1

    asyncio.run(main())
    assert said == []
