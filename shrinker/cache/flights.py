"""``Flights``: one computation for all tasks that want the same at once.

A computation is a task of its own, for which its callers wait.  A caller that is
cancelled leaves the others alone; the last one takes the computation with it.  Each
event loop has computations of its own, since a task cannot be awaited from another,
so nothing here is shared between threads but the table of loops.

Only callers hold a computation; the tables know it weakly.  So a loop that is closed
in the midst of it is garbage with all that waited there.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

__all__ = ["Flights"]


class _Flight:
    """A computation under way."""

    __slots__ = ("__weakref__", "generation", "key", "table", "task", "waiters")

    def __init__(
        self, task: asyncio.Task[Any], table: _Table, key: Hashable, generation: int
    ) -> None:
        self.task = task
        self.table = table
        self.key = key
        self.generation = generation
        self.waiters = 0

    def abandon(self) -> None:
        """Cancel it, and let nobody wait for what is being cancelled."""
        if self.table.get(self.key) is self:
            del self.table[self.key]
        loop = self.task.get_loop()
        try:
            here = asyncio.get_running_loop() is loop
        except RuntimeError:
            here = False
        if here:
            self.task.cancel()
            return
        # The call was dropped, not cancelled: by any thread, after any time.
        with contextlib.suppress(RuntimeError):  # The loop is closed.
            loop.call_soon_threadsafe(self.task.cancel)


_Table = weakref.WeakValueDictionary["Hashable", _Flight]


class Flights:
    """The computations under way of one decorated function."""

    def __init__(self) -> None:
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Table] = (
            weakref.WeakKeyDictionary()
        )

    def find(self, key: Hashable, generation: int) -> _Flight | None:
        """Return the computation for a key that runs on this loop, to be awaited.

        One that was begun before the cache was cleared is none.
        """
        table = self._loops.get(asyncio.get_running_loop())
        flight = None if table is None else table.get(key)
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
        table = self._loops.get(loop)
        if table is None:
            table = self._loops.setdefault(loop, weakref.WeakValueDictionary())
        task = loop.create_task(compute())
        # As asyncio.gather has it: who let the loop end hears of the callers.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        flight = table[key] = _Flight(task, table, key, generation)
        return flight

    async def join(self, flight: _Flight) -> Any:
        """Wait for a computation; cancel it when the last one to wait is gone."""
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                flight.abandon()
            # What it raised knows this frame, and the flight what it raised.
            del flight
