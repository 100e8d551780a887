"""What all pressure sources share: waiting in threads and in asyncio."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from pressure_support import SOON, FakeSource, descriptors

from shrinker.errors import ShrinkerError
from shrinker.pressure import (
    Polling,
    PressureEvent,
    PressureSource,
    PsiTrigger,
    SourceGone,
    SystemdPressure,
)
from shrinker.pressure.limits.memory import Memory
from shrinker.pressure.sources.memory_events import MemoryEvents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.testing import FakeCgroup

pytest_plugins = ["shrinker.testing"]


class Pipe(PressureSource):
    """Says what is written to it; ``?`` is a false alarm."""

    name = "pipe"

    def __init__(self) -> None:
        self.ends: tuple[int, int] | None = None

    def open(self) -> None:
        if self.ends is None:
            self.ends = os.pipe()

    def close(self) -> None:
        if self.ends is not None:
            for end in self.ends:
                os.close(end)
            self.ends = None

    @property
    def is_open(self) -> bool:
        return self.ends is not None

    def fileno(self) -> int | None:
        return self.ends and self.ends[0]

    def read(self) -> PressureEvent | None:
        assert self.ends is not None
        byte = os.read(self.ends[0], 1)
        if byte == b".":
            raise SourceGone("the end")
        return None if byte == b"?" else PressureEvent(self.name, byte.decode())

    def say(self, data: bytes) -> None:
        assert self.ends is not None
        os.write(self.ends[1], data)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    with Pipe() as source:
        yield source


def test_wait(pipe: Pipe) -> None:
    """An event ends the wait, a false alarm does not."""
    pipe.say(b"??a")
    assert pipe.wait(SOON) == PressureEvent("pipe", "a")


def test_wait_for_what_comes_later(pipe: Pipe) -> None:
    """It sleeps in poll and is woken."""
    thread = threading.Thread(target=pipe.say, args=(b"b",))
    thread.start()
    assert pipe.wait(SOON) == PressureEvent("pipe", "b")
    thread.join()


def test_timeout(pipe: Pipe) -> None:
    """None after the timeout; a timeout of 0 polls."""
    assert pipe.wait(0) is None
    assert pipe.wait(0.001) is None
    pipe.say(b"c")
    assert pipe.wait(0) == PressureEvent("pipe", "c")
    with pytest.raises(ValueError, match="negative"):
        pipe.wait(-1)


def test_gone(pipe: Pipe) -> None:
    """Both wait and asyncio raise what read raises."""
    pipe.say(b"..")
    with pytest.raises(SourceGone, match="the end"):
        pipe.wait(SOON)
    with pytest.raises(SourceGone, match="the end"):
        asyncio.run(pipe.next_event())


def test_closed() -> None:
    """Waiting for a closed source is an error, in a thread and in asyncio."""
    with pytest.raises(ShrinkerError, match="not open"):
        Pipe().wait(0)
    with pytest.raises(ShrinkerError, match="not open"):
        asyncio.run(Pipe().next_event())


def test_asyncio(pipe: Pipe) -> None:
    """The loop goes on while a task waits; events come in order."""

    async def main() -> list[str]:
        pipe.say(b"a")
        first = await pipe.next_event()
        loop = asyncio.get_running_loop()
        loop.call_later(0, pipe.say, b"?b")
        heard = [first.detail]
        async for event in pipe:
            heard.append(event.detail)
            if len(heard) == 3:
                return heard
            loop.call_soon(pipe.say, b"c")
        raise AssertionError

    assert asyncio.run(asyncio.wait_for(main(), SOON)) == ["a", "b", "c"]


def test_cancelling(pipe: Pipe) -> None:
    """A cancelled wait leaves no reader behind, and the next one works."""

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pipe.next_event(), 0.001)
        descriptor = pipe.fileno()
        assert descriptor is not None
        assert not asyncio.get_running_loop().remove_reader(descriptor)
        pipe.say(b"d")
        assert (await pipe.next_event()).detail == "d"

    asyncio.run(main())


def test_one_task_only(pipe: Pipe) -> None:
    """A second task would take the first one's reader away, so it is refused."""

    async def main() -> None:
        first = asyncio.ensure_future(pipe.next_event())
        await asyncio.sleep(0)
        with pytest.raises(ShrinkerError, match="another task"):
            await pipe.next_event()
        pipe.say(b"e")
        assert (await first).detail == "e"

    asyncio.run(asyncio.wait_for(main(), SOON))


@pytest.mark.untraced("a tracer imports what it wants")
def test_asyncio_is_imported_by_those_who_use_it() -> None:
    """Importing the sources imports no module that only some need."""
    code = (
        "import sys, shrinker.pressure.sources.auto\n"
        "import shrinker.pressure.sources.thresholds\n"
        "assert not {'asyncio', 'pytest', 'socket'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: PsiTrigger("/nowhere"),
        lambda: SystemdPressure("/nowhere"),
        lambda: MemoryEvents("/nowhere"),
        FakeSource,
    ],
)
def test_closed_sources(make: Callable[[], PressureSource]) -> None:
    """They say so, have no descriptor, are never due, and can be closed again."""
    source = make()
    assert repr(source).endswith("closed>")
    assert source.fileno() is None
    assert source.due() is None
    source.close()
    if not isinstance(source, FakeSource):
        with pytest.raises(ShrinkerError, match="is not open"):
            source.read()


def test_an_open_source_says_so() -> None:
    """With its name, for logs."""
    with FakeSource("mine") as source:
        assert repr(source) == "<FakeSource 'mine' open>"


def test_closing_what_a_task_waits_for() -> None:
    """A closed descriptor's number may be another file's by the time of the cancel."""
    heard = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        source = FakeSource()
        source.open()
        task = asyncio.create_task(source.next_event())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        number = source.fileno()
        assert number is not None
        source.close()
        ours, theirs = os.pipe()
        if ours != number:
            os.dup2(ours, number)
        done = asyncio.Event()

        def hear() -> None:
            heard.append(os.read(number, 1))
            done.set()

        loop.add_reader(number, hear)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        os.write(theirs, b"x")
        async with asyncio.timeout(SOON):
            await done.wait()
        loop.remove_reader(number)
        for descriptor in {ours, number, theirs}:
            os.close(descriptor)

    asyncio.run(main())
    assert heard == [b"x"]


def test_a_loop_that_is_closed_meanwhile() -> None:
    """The wait gives everything back, raises nothing, and can be made again."""
    source = FakeSource()
    source.open()
    before = descriptors()
    loop = asyncio.new_event_loop()
    waiting = source.next_event()
    task = loop.create_task(waiting)
    loop.call_soon(loop.call_soon, loop.stop)
    loop.run_forever()
    loop.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    waiting.close()
    assert descriptors() <= before
    source.say()
    assert asyncio.run(source.next_event()) == PressureEvent("fake", "stalled")
    source.close()


@pytest.mark.parametrize("timeout", [float("inf"), 1e10, 1e300])
def test_waiting_for_very_long(timeout: float) -> None:
    """A timeout may be longer than poll can count."""
    with FakeSource() as source:
        source.say()
        assert source.wait(timeout) == PressureEvent("fake", "stalled")


def test_a_timeout_that_is_no_number() -> None:
    """NaN would never end."""
    with FakeSource() as source, pytest.raises(ValueError, match="nan"):
        source.wait(float("nan"))


def test_async_with(fake_cgroup: FakeCgroup) -> None:
    """As ``with``: opened, and closed in any case."""

    async def listen(source: Polling) -> None:
        async with source as same:
            assert same is source
            assert source.is_open
            raise KeyError

    with Memory(fake_cgroup.root) as memory:
        source = Polling(memory)
        with pytest.raises(KeyError):
            asyncio.run(listen(source))
        assert not source.is_open
