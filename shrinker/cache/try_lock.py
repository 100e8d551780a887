"""``TryLock``: the lock of a watched cache, taken without waiting or for a short while.

Only the reclaimer's thread waits, which holds no other lock: its ``Demand`` says for
how long (``Demand.wait``).  A thread that inserts may hold one, and never waits.

A thread that does nothing but ``with lock:`` in a loop takes the lock again some
microseconds after it has released it, before a waiter has woken up.  Only where it
loses the GIL in between does the waiter get the lock.  So while memory is about to run
out, a second thread asks for the GIL all the time that the first one waits for the lock
(``_nudging``): of four threads that fill a dict at 1 GB/s the lock comes after 1 ms,
else after 10.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

from shrinker._switching import NUDGE_SWITCH_SECONDS, switching
from shrinker._unpatched import original
from shrinker.values import ScanObjects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.demand import Demand

__all__ = ["TryLock"]

_WAITS = (type(threading.Lock()), type(threading.RLock()))
"""Their ``acquire`` has a timeout and waits in the kernel."""
_POLL_SECONDS = 0.0005
"""How often other locks are tried while they are waited for."""
_NUDGE_SECONDS = 0.00005
"""How long the second thread sleeps between two times that it asks for the GIL."""
_ASYNC = (
    "lock must not be of type {}, because the reclaimer is another thread: use a"
    " threading.Lock, and never hold it across an await"
)


class TryLock:
    """A lock that is tried, and waited for only where a ``Demand`` has the patience.

    Raises ``TypeError`` for a lock of asyncio, and for what has no
    ``acquire(blocking=False)`` and ``release()``.  The lock is tried once to find out,
    since no signature tells what ``acquire`` takes.
    """

    __slots__ = ("_acquire", "_is_owned", "_release", "_try_acquire", "_waits")

    ended = False  # Unlike the loop of an `OnLoop`, which may be closed.

    def __init__(self, lock: Any) -> None:
        name = type(lock).__qualname__
        acquire = getattr(lock, "acquire", None)
        release = getattr(lock, "release", None)
        if not callable(acquire) or not callable(release):
            raise TypeError(f"lock must be a threading.Lock, not {name}")
        if hasattr(lock, "__aenter__") and not hasattr(lock, "__enter__"):
            raise TypeError(_ASYNC.format(name))
        self._acquire: Callable[..., Any] = acquire
        self._try_acquire = functools.partial(acquire, blocking=False)
        self._waits = isinstance(lock, _WAITS)
        self._release: Callable[[], object] = release
        is_owned = getattr(lock, "_is_owned", None)
        self._is_owned: Callable[[], object] | None = (
            is_owned if callable(is_owned) else None
        )
        answer: list[Any] = []
        try:
            self._acquire_into(answer)
        except TypeError as error:
            raise TypeError(
                "lock must have acquire(blocking=False), as a threading.Lock has:"
                f" {name} raised {error}"
            ) from error
        finally:
            # Reached by a signal's exception, too.  Reading an attribute is not a call,
            # so no second exception can come before release().
            if answer and answer[0]:
                try:
                    awaited = answer[0].__await__
                except AttributeError:
                    awaited = None
                    release()
        if answer[0] and awaited is not None:
            answer[0].close()
            raise TypeError(_ASYNC.format(name))

    def run(self, work: Callable[[], Any], demand: Demand | None = None) -> Any:
        """Return what ``work`` returns under the lock; STOP where the lock is taken.

        An RLock that this thread holds counts as taken.
        """
        if self._is_owned is not None and self._is_owned():
            return ScanObjects.STOP
        answer: list[Any] = []
        try:
            self._acquire_into(answer)
            if not answer[0] and demand is not None:
                demand.wait(functools.partial(self._wait, answer, demand.is_urgent))
            return work() if answer[-1] else ScanObjects.STOP
        finally:
            if answer and answer[-1]:
                self._release()

    def _wait(self, answer: list[Any], urgent: bool, seconds: float) -> bool:
        """Wait for the lock; append whether it was acquired."""
        if self._waits:
            with _nudging() if urgent else contextlib.nullcontext():
                # As in `acquire()`.
                self._acquire_into(answer, True, seconds)  # noqa: FBT003
            return bool(answer[-1])
        end = time.monotonic() + seconds
        while not answer[-1] and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
            self._acquire_into(answer)
        return bool(answer[-1])

    def _acquire_into(self, answer: list[Any], *arguments: Any) -> None:
        """Append what ``acquire`` returns; without arguments it does not wait.

        The interpreter runs signal handlers after a call has returned.  An exception of
        a handler after ``acquire()`` would lose its answer, and the lock would stay
        taken.  Here one call of C both acquires and stores the answer.
        """
        acquire = self._acquire if arguments else self._try_acquire
        answer.extend(itertools.starmap(acquire, (arguments,)))


@contextlib.contextmanager
def _nudging() -> Iterator[None]:
    """Have other threads give the GIL up at nearly each step they make."""
    over: list[bool] = []

    def ask() -> None:
        while not over:
            time.sleep(_NUDGE_SECONDS)

    with switching(NUDGE_SWITCH_SECONDS):
        with contextlib.suppress(RuntimeError):  # No more threads can be started.
            original("_thread", "start_new_thread")(ask, ())
        try:
            yield
        finally:
            over.append(True)
