"""``Reclaimer``: keeps some memory free by having caches give theirs back.

It puts the parts together: memory is read and judged by ``policy``, caches are called
by ``worker``, ``background`` sleeps until it matters, and ``direct`` helps where that
is too slow.  And it sees to what surrounds them: threads, forks, the interpreter's end.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Self

from shrinker._ffi import lib
from shrinker.domain import Domain, default_domain
from shrinker.errors import check_int
from shrinker.pressure.alarms import Alarms
from shrinker.pressure.background import Background
from shrinker.pressure.direct import Direct
from shrinker.pressure.give_back import Trimmer
from shrinker.pressure.listening import Listening
from shrinker.pressure.memory import Memory
from shrinker.pressure.policy import Policy
from shrinker.pressure.source import PressureSource
from shrinker.pressure.verdicts import Journal, ReclaimerStatistics
from shrinker.pressure.watermarks import Watermarks
from shrinker.pressure.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from shrinker.pressure.listening import Wanted
    from shrinker.pressure.memory import MemoryLevel
    from shrinker.pressure.verdicts import Verdict

__all__ = ["Reclaimer"]

logger = logging.getLogger("shrinker.pressure")

LAST = 1.0
"""Seconds that a start waits for the end of the thread before."""
MOST_SECONDS = 1e9
"""Seconds that settings may have; thirty years."""
AT_EXIT = 2.0
"""Seconds that the interpreter's end waits for a reclaim under way."""

_started: set[Reclaimer] = set()
_known: weakref.WeakSet[Reclaimer] = weakref.WeakSet()


class Reclaimer:
    """Reclaims from the caches of a domain when memory gets short.

    A context manager, which starts and stops it.  ``domain`` None is the default one,
    where caches are unless told otherwise.

    ``watermarks`` says how much is to stay free below each limit: ``Watermarks`` in
    bytes, a callable that makes them from a limit (``Watermarks.fractions``), or None
    for the defaults.  ``memory`` reads the limits and what is used.  ``source`` is
    a ``PressureSource``, ``"auto"`` for the best that works here, or None to go by the
    watermarks alone.

    ``cooldown`` is for how many seconds after a reclaim only falling below *min* is
    acted upon, ``hold`` for how many caches stay as they are after a shortage.
    ``trim`` says whether the allocator is asked to give back what was freed, ``direct``
    whether inserts reclaim below *min*, ``direct_on_event_loop`` whether those on a
    thread that runs asyncio do so, too.  ``history`` is how many verdicts are kept.

    Raises ``TypeError`` and ``ValueError`` for bad arguments.  Nothing is opened, and
    no thread runs, until ``start``.
    """

    def __init__(
        self,
        domain: Domain | None = None,
        *,
        watermarks: Watermarks | Callable[[int], Watermarks] | None = None,
        memory: Memory | None = None,
        source: Wanted = "auto",
        cooldown: float = 0.2,
        hold: float = 0.5,
        trim: bool = True,
        direct: bool = True,
        direct_on_event_loop: bool = False,
        history: int = 256,
    ) -> None:
        for name, value in (
            ("trim", trim),
            ("direct", direct),
            ("direct_on_event_loop", direct_on_event_loop),
        ):
            if not isinstance(value, bool):
                raise TypeError(f"{name} must be a bool, not {type(value).__name__}")
        domain = default_domain() if domain is None else domain
        if not isinstance(domain, Domain):
            raise TypeError(f"domain must be a Domain, not {type(domain).__name__}")
        if source not in (None, "auto") and not isinstance(source, PressureSource):
            raise TypeError(
                f"source must be a PressureSource, 'auto' or None, not {source!r}"
            )
        if memory is not None and not isinstance(memory, Memory):
            raise TypeError(f"memory must be a Memory, not {type(memory).__name__}")
        _check_seconds("cooldown", cooldown)
        _check_seconds("hold", hold)
        check_int("history", history, 1, 1 << 20)
        self._domain = domain
        self._journal = Journal(history)
        self._own_memory = memory is None
        self._memory = Memory() if memory is None else memory
        self._policy = Policy(_rule(watermarks), cooldown=cooldown, hold=hold)
        self._worker = Worker(
            domain, self._memory, self._policy, Trimmer(wanted=trim), self._journal
        )
        self._source = source
        self._direct = Direct(
            self._worker,
            weakref.ref(self),
            wanted=direct,
            on_event_loop=direct_on_event_loop,
        )
        # Around changes of these; a signal handler may come in between and stop.
        self._lock = threading.RLock()
        self._background: Background | None = None
        self._thread: threading.Thread | None = None
        self._entered = 0
        self._started_at = ""
        self._unused = False
        _known.add(self)

    @property
    def domain(self) -> Domain:
        """The domain whose caches it reclaims from."""
        return self._domain

    @property
    def running(self) -> bool:
        """Whether its thread runs, in this process."""
        return self._background is not None

    def __enter__(self) -> Self:
        self.start()
        with self._lock:
            self._entered += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._entered -= 1
            last = self._entered == 0
        if last:  # An outer block is still protected.
            self.stop()

    def __repr__(self) -> str:
        if self.running:
            return f"<Reclaimer running, started at {self._started_at}>"
        return "<Reclaimer stopped>"

    def __del__(self) -> None:
        if getattr(self, "_unused", False):
            warnings.warn(
                "protect() was never entered: nothing is protected; use"
                " `with protect():`, or keep what protect().start() returns",
                ResourceWarning,
                stacklevel=2,
            )

    def start(self) -> Self:
        """Start the thread, and have inserts look at the memory; returns itself.

        Does nothing while it runs.  Raises ``ShrinkerError`` where the domain is closed
        or another reclaimer runs for it, and ``OSError`` where a source that was given
        does not work here.
        """
        self._unused = False
        with self._lock:
            if self.running:
                return self
            self._domain._check_open()
            # It may be about to close the source that we are going to open.
            last = self._thread
            if last is not None:
                _join(last, LAST)
            listening = Listening(self._source, self._memory, self._worker.changed)
            background = None
            try:
                # Before anything is opened: it shows whether there is another one.
                self._worker.watch(self._direct)
                self._started_at = _caller()
                listening.open()
                background = Background(
                    self._worker, listening, Alarms(self._policy), self._over
                )
                thread = threading.Thread(
                    target=background.run, name="shrinker-reclaimer", daemon=True
                )
                _started.add(self)
                self._background, self._thread = background, thread
                thread.start()
            except BaseException:
                # The next start waits for a thread that may have begun.
                self._background = None
                _started.discard(self)
                self._worker.unwatch()
                if background is not None:
                    background.stop()
                listening.close()
                raise
        return self

    def stop(self, timeout: float | None = 10.0) -> None:
        """Stop, and wait for the thread, at most ``timeout`` seconds.  Idempotent.

        The thread may be inside of a callback that takes longer; it ends after that.
        Called from a callback on the thread itself, it does not wait.  Raises
        ``TypeError`` and ``ValueError`` for bad arguments, and stops nothing then.
        """
        timeout = _check_timeout(timeout)
        with self._lock:
            background, thread = self._background, self._thread
            if background is not None:
                try:
                    # First, so that the thread does not want our lock at its end.
                    self._over(background)
                finally:
                    # Also where a signal's exception comes: the thread does the rest.
                    background.stopping = True
                    background.stop()
        if thread is None:
            return
        if _join(thread, timeout):
            logger.warning("the reclaimer's thread has not ended yet")
        # Now, not at the thread's end: a start may open the source again before.
        if background is not None:
            background.close()
            if self._own_memory:
                self._memory.close()

    def wake(self) -> None:
        """Have the thread look at the memory now.  Never blocks."""
        background = self._background
        if background is not None:
            background.bell.ring()

    def look(self) -> Verdict | None:
        """Look at the memory here and now, and act upon it as the thread would.

        For programs that want no thread, from a timer of their own say.  Returns the
        verdict where something was done.  Raises ``KeyboardInterrupt`` and
        ``SystemExit`` from callbacks, ``ShrinkerError`` where the domain is closed.
        What else callbacks raise is logged, and counted in the verdict.  Inside of a
        callback it does nothing.
        """
        self._unused = False
        self._domain._check_open()
        if lib.reclaim_in_callback():
            return None
        try:
            return self._worker.look("look")
        finally:
            self._journal.log()

    def history(self) -> tuple[Verdict, ...]:
        """Return the last verdicts, the oldest first."""
        return self._journal.history()

    def statistics(self) -> ReclaimerStatistics:
        """Return what it did so far, and how things stood at the last look."""
        totals, seconds = self._journal.totals()
        worker, policy, background = self._worker, self._policy, self._background
        seen = worker.seen
        return ReclaimerStatistics(
            looks=worker.looks,
            events=worker.events,
            reclaims=totals["reclaims"],
            direct_reclaims=totals["direct"],
            freed=totals["freed"],
            given_back=totals["given_back"],
            fruitless=totals["fruitless"],
            trims=totals["trims"],
            breaker_opened=totals["breaker opened"],
            callback_errors=totals["callback_errors"],
            errors=worker.failures + totals["source lost"],
            reclaim_seconds=seconds,
            look_seconds=0.0 if background is None else background.pace.cost,
            where="" if seen is None else seen.where,
            limit=0 if seen is None else seen.limit,
            used=0 if seen is None else seen.used,
            credit=worker.credit,
            priority=policy.priority,
            breaker=policy.breaker(worker.clock()).value,
            under_pressure=self._domain.under_pressure,
            source="" if background is None else background.listening.name,
        )

    def _levels(self) -> tuple[tuple[MemoryLevel, Watermarks], ...]:
        """Return all levels as they were read last, and their watermarks."""
        found = ((x, self._policy.known(x)) for x in self._worker.levels)
        return tuple((level, marks) for level, marks in found if marks is not None)

    def _over(self, background: Background) -> None:
        """Take note that a thread ends, if that is not known yet."""
        if self._background is not background:
            return  # Without the lock, with which somebody may wait for this thread.
        with self._lock:
            if self._background is background:
                self._worker.unwatch()
                self._background = None
                _started.discard(self)

    def _after_fork(self) -> None:
        """Be stopped in the child, without disturbing the parent."""
        self._lock = threading.RLock()
        self._journal.after_fork()
        self._worker.after_fork()
        background, self._background, self._thread = self._background, None, None
        self._worker.unwatch()
        if background is not None:
            background.close()
            background.bell.close()
        self._memory.close()


def _join(thread: threading.Thread, timeout: float | None) -> bool:
    """Wait for a thread, unless it is this one or has not begun.

    Returns whether it is known to go on.  A signal handler may come while the thread
    is being started.  Where several wait for a thread that has ended, CPython 3.11 and
    3.12 now and then meet an assertion of their own.
    """
    try:
        thread.join(timeout)
        return thread.is_alive()
    except (RuntimeError, AssertionError):
        return False


def _caller() -> str:
    """Return the file and the line that called into this package."""
    frame: FrameType | None = sys._getframe()
    # Who calls exec() may have put anything there.
    while frame and str(frame.f_globals.get("__name__")).startswith(__package__):
        frame = frame.f_back
    if frame is None:
        return "an unknown place"
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def _check_timeout(timeout: float | None) -> float | None:
    """Return a timeout that threads can wait for."""
    if timeout is None:
        return None
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool):
        raise TypeError(
            f"timeout must be a number or None, not {type(timeout).__name__}"
        )
    if timeout != timeout:  # noqa: PLR0124 - NaN; isnan() takes no large integers
        raise ValueError("timeout must be a number of seconds, not nan")
    return min(max(timeout, 0), threading.TIMEOUT_MAX)


def _check_seconds(name: str, value: float) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not 0 <= value <= MOST_SECONDS:
        raise ValueError(f"{name} must be 0 to {MOST_SECONDS:g} seconds, not {value}")


def _rule(
    given: Watermarks | Callable[[int], Watermarks] | None,
) -> Callable[[int], Watermarks]:
    if given is None:
        return Watermarks.of
    if isinstance(given, Watermarks):
        fixed = given
        return lambda _limit: fixed
    if not callable(given):
        raise TypeError(
            f"watermarks must be Watermarks or a callable, not {type(given).__name__}"
        )
    return given


def _forked() -> None:
    # All: another thread may have been inside of one that is not running.
    for reclaimer in list(_known):
        # The child goes on in any case.
        with contextlib.suppress(Exception):
            reclaimer._after_fork()
    _started.clear()


def _exiting() -> None:
    for reclaimer in list(_started):
        with contextlib.suppress(Exception):
            reclaimer.stop(AT_EXIT)


os.register_at_fork(after_in_child=_forked)
atexit.register(_exiting)
