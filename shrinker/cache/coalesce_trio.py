"""``Trio``: computations of ``@cached`` as tasks of trio, also for anyio on trio.

They are system tasks, since one may outlive the caller that began it.  What a task
raises goes to the callers: an exception that left the task would end the whole run.
"""

from __future__ import annotations

import contextlib
import contextvars
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

__all__ = ["TRIO", "current_token"]

current_token = trio.lowlevel.current_trio_token


class TrioTask:
    """A task, and what it has returned or raised."""

    __slots__ = ("ended", "error", "scope", "token", "traceback", "value")

    def __init__(self) -> None:
        self.token = current_token()
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self.value: Any = None
        self.error: BaseException | None = None
        self.traceback: TracebackType | None = None

    def done(self) -> bool:
        """Return whether it has returned, raised, or was cancelled."""
        return bool(self.ended.is_set())

    async def run(self, compute: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Compute, in the task."""
        try:
            with self.scope:
                self.value = await compute()
        except trio.Cancelled:  # The whole run ends.
            raise
        except BaseException as error:  # noqa: BLE001 - goes to the callers
            self.error, self.traceback = error, error.__traceback__
        finally:
            self.ended.set()
            # Breaks a cycle: the traceback of the error references this frame.
            del self


class Trio:
    """Tasks of trio, as ``coalesce.Library`` wants them."""

    def start(self, compute: Callable[[], Coroutine[Any, Any, Any]]) -> TrioTask:
        """Start a task in this run, in a copy of the caller's context."""
        task = TrioTask()
        context = contextvars.copy_context()
        trio.lowlevel.spawn_system_task(task.run, compute, context=context)
        return task

    def current(self) -> object:
        """Return the library's object for the task that calls."""
        return trio.lowlevel.current_task()

    async def wait(self, task: TrioTask) -> Any:
        """Wait for its result; cancelling that leaves the task alone."""
        try:
            await task.ended.wait()
            if task.error is not None:
                # Without the frames of callers that have raised it before.
                raise task.error.with_traceback(task.traceback)
            return task.value
        finally:
            del task  # As in ``run``.

    async def ends_within(self, task: TrioTask, seconds: float) -> bool:
        """Wait for its end; return whether it came."""
        with trio.move_on_after(seconds):
            await task.ended.wait()
        return task.done()

    def cancel(self, task: TrioTask) -> None:
        """Cancel it, from any thread."""
        try:
            in_its_run = current_token() is task.token
        except RuntimeError:
            in_its_run = False
        if in_its_run:
            task.scope.cancel()
            return
        # The last call was not cancelled but dropped, which any thread may do.
        with contextlib.suppress(trio.RunFinishedError):
            task.token.run_sync_soon(task.scope.cancel)


TRIO = Trio()
