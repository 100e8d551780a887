"""``Computations``: one computation for all tasks that want the same result at once.

A computation is a task of its own, and its callers wait for it.  A caller that is
cancelled leaves the others alone; when the last caller goes, the computation is
cancelled.  Each event loop (of asyncio, or a run of trio) has its own computations,
since a task cannot be awaited from another loop.  So threads share nothing here but the
table of loops.

A ring of computations that wait for each other would wait for ever.  Each computation
says in the context of its task that it runs there; tasks that it starts have that from
it.  So a call is known to be made for a computation, and computations know for which
others they wait.  Where a ring is sure, since computations themselves await, the call
that closes it raises.  Where a task between may be one that nothing awaits, the call
waits ``MAX_RING_SECONDS`` first.

Only callers hold a computation; the tables reference it weakly.  So a loop that is
closed while a computation runs is garbage, together with all that waited there.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
import weakref
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Hashable

__all__ = ["Computation", "Computations", "is_overtaken"]

MAX_RING_SECONDS = 60.0
"""So long a call waits that may have closed a ring by a task between."""


class Library(Protocol):
    """What is needed of asyncio and of trio.  A task has ``done()``."""

    def start(self, compute: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Start a task on this loop, in a copy of the caller's context."""

    def current(self) -> object:
        """Return the library's object for the task that calls."""

    def wait(self, task: Any) -> Awaitable[Any]:
        """Wait for its result; cancelling that leaves the task alone."""

    async def ends_within(self, task: Any, seconds: float) -> bool:
        """Wait for its end; return whether it came."""

    def cancel(self, task: Any) -> None:
        """Cancel it, from any thread."""


class Asyncio:
    """Tasks of asyncio."""

    def start(self, compute: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Start a task on this loop, in a copy of the caller's context."""
        task: Any = asyncio.get_running_loop().create_task(compute())
        # As asyncio.gather() does: a loop that ends too early is reported once for
        # each caller, not once more for the task between them.
        task._log_destroy_pending = False
        return task

    def current(self) -> object:
        """Return the library's object for the task that calls."""
        return asyncio.current_task()

    def wait(self, task: asyncio.Task[Any]) -> Awaitable[Any]:
        """Wait for its result; cancelling that leaves the task alone."""
        return asyncio.shield(task)

    async def ends_within(self, task: asyncio.Task[Any], seconds: float) -> bool:
        """Wait for its end; return whether it came."""
        return bool((await asyncio.wait([task], timeout=seconds))[0])

    def cancel(self, task: asyncio.Task[Any]) -> None:
        """Cancel it, from any thread."""
        loop = task.get_loop()
        try:
            on_its_loop = asyncio.get_running_loop() is loop
        except RuntimeError:
            on_its_loop = False
        if on_its_loop:
            task.cancel()
            return
        # The last call was not cancelled but dropped, which any thread may do.
        with contextlib.suppress(RuntimeError):  # The loop is closed.
            loop.call_soon_threadsafe(task.cancel)


class Place:
    """A computation among those that wait for each other.

    It is apart from the ``Computation`` since contexts keep it, those of tasks that are
    left over too.
    """

    __slots__ = ("ended", "overtaken", "runs_in", "waits")

    def __init__(self) -> None:
        self.ended = False
        self.overtaken = False
        # The address of its task, until it has ended.
        self.runs_in = 0
        # By the call that waits: for what, and whether the computation's own task does.
        self.waits: dict[object, tuple[Place, bool]] = {}

    def leads_to(self, other: Place, *, surely: bool) -> bool:
        """Return whether this one waits for the other, directly or by others."""
        seen, follow = {self}, [self]
        for place in follow:
            if place is other:
                return True
            for next_place, sure in list(place.waits.values()):
                if (sure or not surely) and next_place not in seen:
                    seen.add(next_place)
                    follow.append(next_place)
        return False


# The computation that a task runs for.
_place: contextvars.ContextVar[Place | None] = contextvars.ContextVar(
    "shrinker_cached_computation", default=None
)


def is_overtaken() -> bool:
    """Return whether ``cache_discard()`` was called for what this task computes."""
    place = _place.get()
    return place is not None and place.overtaken


class Computation:
    """A result that is being computed, by a task of asyncio or trio."""

    __slots__ = (
        "__weakref__",
        "generation",
        "key",
        "library",
        "place",
        "table",
        "task",
        "waiters",
    )

    def __init__(
        self,
        task: Any,
        library: Library,
        table: _Table,
        key: Hashable,
        generation: int,
        place: Place,
    ) -> None:
        self.task = task
        self.place = place
        self.library = library
        self.table = table
        self.key = key
        self.generation = generation
        self.waiters = 0

    def abandon(self) -> None:
        """Cancel it.  Nothing waits for it from now on."""
        if self.table.get(self.key) is self:
            del self.table[self.key]
        self.library.cancel(self.task)


_Table = weakref.WeakValueDictionary["Hashable", Computation]


class Computations:
    """The computations under way of one decorated function."""

    def __init__(self) -> None:
        # By the loop of asyncio, or trio's token for its run.
        self._tables: weakref.WeakKeyDictionary[Any, _Table] = (
            weakref.WeakKeyDictionary()
        )

    def find(self, key: Hashable, generation: int) -> Computation | None:
        """Return the computation of a key on this loop that a caller can wait for.

        None where there is none, or where the cache was cleared since it began.
        """
        loop, _ = _running()
        table = self._tables.get(loop)
        found = None if table is None else table.get(key)
        if found is None or found.task.done() or found.generation != generation:
            return None
        return found

    def start(
        self,
        key: Hashable,
        generation: int,
        compute: Callable[[], Coroutine[Any, Any, Any]],
    ) -> Computation:
        """Start one, as a task in a copy of the caller's context."""
        loop, library = _running()
        table = self._tables.get(loop)
        if table is None:
            table = self._tables.setdefault(loop, weakref.WeakValueDictionary())
        place = Place()

        async def run() -> Any:
            _place.set(place)
            place.runs_in = id(library.current())
            try:
                return await compute()
            finally:
                place.ended = True

        task = library.start(run)
        started = table[key] = Computation(task, library, table, key, generation, place)
        return started

    def overtake(self, key: Hashable) -> None:
        """Let what is computed for a key be kept by none, on all loops."""
        for reference in self._tables.keyrefs():
            loop = reference()
            table = None if loop is None else self._tables.get(loop)
            found = None if table is None else table.pop(key, None)
            if found is not None:
                found.place.overtaken = True

    async def join(self, computation: Computation) -> Any:
        """Wait for a computation; cancel it when the last waiting caller has gone."""
        library, place, inside = computation.library, computation.place, _place.get()
        call = object()
        computation.waiters += 1
        try:
            if inside is not None and not inside.ended:
                sure = inside.runs_in == id(library.current())
                inside.waits[call] = place, sure
                if place.leads_to(inside, surely=False):
                    sure = sure and place.leads_to(inside, surely=True)
                    await _check_ring(computation, inside, sure=sure)
            return await library.wait(computation.task)
        finally:
            if inside is not None:
                inside.waits.pop(call, None)
            computation.waiters -= 1
            if not computation.waiters and not computation.task.done():
                computation.abandon()
            # Breaks a cycle: the task references its exception, whose traceback
            # references this frame.
            del computation


async def _check_ring(computation: Computation, inside: Place, *, sure: bool) -> None:
    """Raise ``RuntimeError``, at once where it is sure that all wait for each other."""
    if not sure and await computation.library.ends_within(
        computation.task, MAX_RING_SECONDS
    ):
        return
    itself = computation.place is inside
    raise RuntimeError(
        "a cached function waits for the result that it is computing: it has called"
        f" itself with the same arguments{'' if itself else ', by other cached ones'}"
    )


_ASYNCIO = Asyncio()


def _running() -> tuple[Any, Library]:
    """Return what runs this task: a loop of asyncio or trio's token; and its library.

    trio is asked first: a loop of asyncio may have a run of trio as its guest.
    """
    trio = sys.modules.get("trio.lowlevel")
    try:
        in_trio = trio is not None and trio.current_task() is not None
    except (RuntimeError, AttributeError):  # Not in it, or not yet imported.
        in_trio = False
    if not in_trio:
        return asyncio.get_running_loop(), _ASYNCIO
    from shrinker.cache import coalesce_trio  # noqa: PLC0415 - imports trio

    return coalesce_trio.current_token(), coalesce_trio.TRIO
