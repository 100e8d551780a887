"""``Flights``: one computation for all tasks that want the same at once.

A computation is a task of its own, for which its callers wait.  A caller that is
cancelled leaves the others alone; the last one takes the computation with it.  Each
event loop has computations of its own, since a task cannot be awaited from another,
so nothing here is shared between threads but the table of loops.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

__all__ = ["Flights"]


class _Flight:
    """A computation under way."""

    __slots__ = ("generation", "task", "waiters")

    def __init__(self, task: asyncio.Task[Any], generation: int) -> None:
        self.task = task
        self.generation = generation
        self.waiters = 0


class Flights:
    """The computations under way of one decorated function."""

    def __init__(self) -> None:
        self._loops: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, dict[Hashable, _Flight]
        ] = weakref.WeakKeyDictionary()

    def find(self, key: Hashable, generation: int) -> _Flight | None:
        """Return the computation for a key that runs on this loop, to be awaited.

        One that was begun before the cache was cleared is none.
        """
        loop = asyncio.get_running_loop()
        flight = self._loops.get(loop, {}).get(key)
        if flight is None or flight.task.done() or flight.generation != generation:
            return None
        return flight

    def start(
        self,
        key: Hashable,
        generation: int,
        compute: Callable[[], Coroutine[Any, Any, Any]],
    ) -> _Flight:
        """Begin a computation, as a task in a copy of the caller's context."""
        loop = asyncio.get_running_loop()
        flights = self._loops.setdefault(loop, {})
        flight = _Flight(loop.create_task(compute()), generation)
        flights[key] = flight

        def landed(_: asyncio.Task[Any]) -> None:
            if flights.get(key) is flight:
                del flights[key]

        flight.task.add_done_callback(landed)
        return flight

    async def join(self, key: Hashable, flight: _Flight) -> Any:
        """Wait for a computation; cancel it when the last one to wait is cancelled."""
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                # Whoever comes now must not wait for what is being cancelled.
                flights = self._loops.get(asyncio.get_running_loop(), {})
                if flights.get(key) is flight:
                    del flights[key]
                flight.task.cancel()
