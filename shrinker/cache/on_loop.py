"""``OnLoop``: evictions on the event loop of a cache's users, in place of a lock.

Code on a loop takes no lock, since nothing runs between two of its awaits.  So a scan
must run on the loop, too, between the steps of its tasks.  A scan in another thread has
the loop call it, and waits:

1. Not for long.  The loop may be busy, or may wait for this very thread.  After
   ``WAIT_SECONDS`` the scan is withdrawn, and returns STOP.
2. Not again while the loop is still busy.  Until it has got to the call that was
   withdrawn, further scans return STOP at once.
3. Not in the loop's own thread.  A task that reclaims there is in the middle of a step,
   and would find entries gone that it has just seen.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

from shrinker.values import ScanObjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker.demand import Demand

__all__ = ["WAIT_SECONDS", "OnLoop"]

WAIT_SECONDS = 0.1
"""How long a scan waits for the loop."""


class OnLoop:
    """The event loop on which all users of a cache run.

    Raises ``TypeError`` for what is not a loop.
    """

    __slots__ = ("_loop", "_process", "_withdrawn")

    def __init__(self, loop: Any) -> None:
        if not isinstance(loop, asyncio.AbstractEventLoop):
            raise TypeError(
                f"loop must be an event loop of asyncio, not {type(loop).__name__}:"
                " pass asyncio.get_running_loop() where the loop runs"
            )
        self._loop = loop
        self._process = os.getpid()
        self._withdrawn: _Call | None = None

    @property
    def ended(self) -> bool:
        """Whether the loop is closed."""
        return self._loop.is_closed()

    def run(self, work: Callable[[], Any], demand: Demand | None = None) -> Any:  # noqa: ARG002 - it waits as long in any case
        """Return what ``work`` returns on the loop; STOP where the loop is busy."""
        withdrawn = self._withdrawn
        if withdrawn is not None and not withdrawn.over.is_set():
            return ScanObjects.STOP
        if self._runs_here() or not self._runs_elsewhere():
            return ScanObjects.STOP
        call = _Call(work)
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # Closed meanwhile.
            return ScanObjects.STOP
        if not call.over.wait(WAIT_SECONDS):
            self._withdrawn = call
            # Where the call has begun it evicts; but what it evicts cannot be waited
            # for, since it may itself wait for this thread.
            call.withdraw()
            return ScanObjects.STOP
        return call.result()

    def _runs_elsewhere(self) -> bool:
        # A child of a fork has the loop, but not the thread that runs it.
        return self._loop.is_running() and self._process == os.getpid()

    def _runs_here(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False


class _Call:
    """A scan that the loop is to run, unless it is withdrawn before."""

    __slots__ = ("_claim", "_error", "_result", "_work", "over")

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work: Callable[[], Any] | None = work
        self._claim = threading.Lock()
        self._result: Any = ScanObjects.STOP
        self._error: Exception | None = None
        self.over = threading.Event()
        """Set when the loop has got to the call."""

    def __call__(self) -> None:
        """Run it, on the loop."""
        try:
            if self._claim.acquire(blocking=False):
                assert self._work is not None  # noqa: S101 - for mypy
                self._result = self._work()
        except Exception as error:  # noqa: BLE001 - raised by result()
            self._error = error
        finally:
            self._work = None
            self.over.set()

    def withdraw(self) -> None:
        """Keep the loop from running it, if it has not begun."""
        if self._claim.acquire(blocking=False):
            self._work = None

    def result(self) -> Any:
        """Return or raise what it has returned or raised."""
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None
        return self._result
