"""``Reclaimer``: keeps some memory free by having caches give theirs back.

It puts the parts together.  ``policy`` judges memory, ``worker`` calls the caches,
``thread`` sleeps until it matters, ``direct`` helps where that is too slow.  Here is
what surrounds them: threads, forks, the end of the interpreter.
"""

from __future__ import annotations

import atexit
import contextlib
import inspect
import logging
import os
import sys
import threading
import time
import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Self

from shrinker._ffi import lib
from shrinker._unpatched import original
from shrinker.domain import Domain, default_domain
from shrinker.errors import ShrinkerError, check_bool, check_int
from shrinker.pressure.direct import Direct
from shrinker.pressure.journal import Journal, ReclaimerStatistics
from shrinker.pressure.limits.memory import BudgetedMemory, Memory
from shrinker.pressure.policy import Policy
from shrinker.pressure.sources.base import PressureSource, check_number
from shrinker.pressure.sources.failover import SourceFailover
from shrinker.pressure.sources.thresholds import ThresholdSet
from shrinker.pressure.thread import Background, join
from shrinker.pressure.trim import Trimmer
from shrinker.pressure.uwsgi import in_uwsgi_master, warn_of_uwsgi
from shrinker.pressure.watermarks import rule_of
from shrinker.pressure.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from shrinker._unpatched import NativeThread
    from shrinker.pressure.journal import ReclaimRecord
    from shrinker.pressure.limits.memory import MemoryLevel
    from shrinker.pressure.sources.failover import Wanted
    from shrinker.pressure.watermarks import Watermarks

__all__ = ["Reclaimer", "protect"]

P = ParamSpec("P")

logger = logging.getLogger("shrinker.pressure")

PREVIOUS_THREAD_SECONDS = 1.0
"""How long a start waits for the end of the previous thread."""
FIRST_ALLOWANCE = 1 << 20
"""What caches may add, in bytes, before an insert looks, until the thread has looked.

The child of a fork in C that comes earlier has no thread to look: an insert must ask.
"""
MAX_SETTING_SECONDS = 1e9
"""The largest ``cooldown`` and ``hold``: thirty years."""
SETTLE_SECONDS = 0.05
"""From a fork to the start without an insert; children that end at once have none."""
EXIT_SECONDS = 2.0
"""How long the interpreter's end waits for a reclaim under way."""

_started: set[Reclaimer] = set()
_known: weakref.WeakSet[Reclaimer] = weakref.WeakSet()


class Reclaimer:
    """Reclaims from the caches of a domain when memory gets short.

    A context manager, which starts and stops it.  ``domain`` None is the default one,
    which caches join unless told otherwise.

    ``watermarks`` says how much should stay free below each limit: ``Watermarks`` in
    bytes, a callable that makes them from a limit (``Watermarks.fractions``), or None
    for the defaults.  ``memory`` reads the limits and what is used.  ``limit`` is one
    more limit, on this process's RSS: bytes, or a share between 0 and 1 of the lowest
    limit that ``memory`` sees.  ``source`` is a ``PressureSource``, ``"auto"`` for the
    best that works here, or None to go by the watermarks alone.

    For ``cooldown`` seconds after a reclaim only falling below *min* leads to another;
    for ``hold`` seconds after a shortage caches do not grow.
    ``trim`` says whether the allocator is asked to give back what was freed, ``direct``
    whether inserts reclaim below *min*, ``direct_on_event_loop`` whether they also do
    on a thread that runs asyncio or trio.  ``history`` is how many records are kept.

    In the child after a fork it goes on, with a thread of its own, from the first
    insert into a cache; ``restart_after_fork=False`` leaves it stopped there.  That
    also holds for a fork that Python does not see (uWSGI).  Under uWSGI each worker
    starts a thread; the master starts none.

    Raises ``TypeError`` and ``ValueError`` for bad arguments.  Nothing is opened, and
    no thread runs, until ``start``.
    """

    def __init__(
        self,
        domain: Domain | None = None,
        *,
        watermarks: Watermarks | Callable[[int], Watermarks] | None = None,
        memory: Memory | None = None,
        limit: float | None = None,
        source: Wanted = "auto",
        cooldown: float = 0.2,
        hold: float = 0.5,
        trim: bool = True,
        direct: bool = True,
        direct_on_event_loop: bool = False,
        restart_after_fork: bool = True,
        history: int = 256,
    ) -> None:
        for name, value in (
            ("trim", trim),
            ("direct", direct),
            ("direct_on_event_loop", direct_on_event_loop),
            ("restart_after_fork", restart_after_fork),
        ):
            check_bool(name, value)
        domain = default_domain() if domain is None else domain
        if not isinstance(domain, Domain):
            raise TypeError(f"domain must be a Domain, not {type(domain).__name__}")
        if source not in (None, "auto") and not isinstance(source, PressureSource):
            raise TypeError(
                f"source must be a PressureSource, 'auto' or None, not {source!r}"
            )
        if memory is not None and not isinstance(memory, Memory):
            raise TypeError(f"memory must be a Memory, not {type(memory).__name__}")
        for name, seconds in (("cooldown", cooldown), ("hold", hold)):
            check_number(name, seconds)
            if not 0 <= seconds <= MAX_SETTING_SECONDS:
                raise ValueError(
                    f"{name} must be 0 to {MAX_SETTING_SECONDS:g} seconds,"
                    f" not {seconds}"
                )
        check_int("history", history, 1, 1 << 20)
        self._domain = domain
        self._journal = Journal(history)
        self._own_memory = memory is None
        memory = Memory() if memory is None else memory
        self._memory = memory if limit is None else BudgetedMemory(memory, limit)
        self._policy = Policy(rule_of(watermarks), cooldown=cooldown, hold=hold)
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
        # Held around changes of these.  A signal handler may come in between and stop.
        self._lock = threading.RLock()
        self._background: Background | None = None
        self._thread: threading.Thread | NativeThread | None = None
        self._entered = 0
        self._started_at = ""
        self._started_pid = 0
        self._restart_after_fork = restart_after_fork
        # In a child, between the fork and the first insert.
        self._restart_pending = False
        self._went_on = False
        self._unused = False
        _known.add(self)

    @property
    def domain(self) -> Domain:
        """The domain whose caches it reclaims from."""
        return self._domain

    @property
    def running(self) -> bool:
        """Whether its thread runs, in this process."""
        return self._background is not None and self._started_pid == os.getpid()

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
        if self._restart_pending:
            return "<Reclaimer that starts at the first insert after a fork>"
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
        or another reclaimer runs for it, and ``OSError`` where a given source does not
        work here.
        """
        self._unused = False
        policy = self._policy
        with self._lock:
            if self.running:
                return self
            if self._background is not None:
                self._after_fork()  # Of a fork that Python did not see.
            self._cancel_restart()
            self._domain._check_open()
            self._take_over()
            if self._restart_after_fork and in_uwsgi_master():
                self._start_at_insert()
                logger.info(
                    "no reclaimer runs in uWSGI's master: each worker starts one"
                )
                return self
            # The previous thread may be about to close the source that we will open.
            previous = self._thread
            if previous is not None:
                join(previous, PREVIOUS_THREAD_SECONDS)
            source = SourceFailover(
                self._source, self._memory, self._worker.record_change
            )
            background = None
            try:
                # Before anything is opened: it raises where there is another one.
                self._worker.watch(self._direct)
                self._domain._growth.allowance = FIRST_ALLOWANCE
                self._started_at = _caller()
                self._started_pid = os.getpid()
                source.open()
                self._worker.prepare()
                thresholds = ThresholdSet(lambda level: policy.watermarks(level).low)
                background = Background(self._worker, source, thresholds, self._ended)
                thread = background.make_thread()
                _started.add(self)
                self._background, self._thread = background, thread
                thread.start()
                warn_of_uwsgi()
            except BaseException:
                # The thread may have begun; the next start waits for it.
                self._background = None
                _started.discard(self)
                self._worker.unwatch()
                if background is not None:
                    background.stop()
                source.close()
                raise
        return self

    def stop(self, timeout: float | None = 10.0) -> None:
        """Stop, and wait for the thread, at most ``timeout`` seconds.  Idempotent.

        The thread may be in a callback that takes longer; it ends after that.  Called
        from a callback on the thread itself, it does not wait.  Raises ``TypeError``
        and ``ValueError`` for bad arguments, and stops nothing then.
        """
        if timeout is not None:
            check_number("timeout", timeout)
            if timeout != timeout:  # noqa: PLR0124 - NaN; isnan() takes no large ints
                raise ValueError("timeout must be a number of seconds, not nan")
            timeout = min(max(timeout, 0), threading.TIMEOUT_MAX)
        with self._lock:
            self._went_on = False
            self._cancel_restart()
            background, thread = self._background, self._thread
            if background is not None:
                try:
                    # First, so that the thread does not want our lock at its end.
                    self._ended(background)
                finally:
                    # Also where a signal handler raises: the thread does the rest.
                    background.stopping = True
                    background.stop()
        if thread is None:
            return
        if join(thread, timeout):
            logger.warning("the reclaimer's thread has not ended yet")
        # Here, not at the thread's end: a start may open the source again before.
        if background is not None:
            background.close()
            self._worker.close()
            if self._own_memory:
                self._memory.close()
        self._journal.tell_watchers()

    def wake(self) -> None:
        """Have the thread look at the memory now.  Never blocks."""
        background = self._background
        if background is not None:
            background.waker.wake()

    def look(self) -> ReclaimRecord | None:
        """Look at the memory here and now, and reclaim as the thread would.

        For programs without a thread, from their own timer for example; a look of
        another thread is waited for, a second at most.  Returns the
        record where something was done.  Raises ``KeyboardInterrupt`` and
        ``SystemExit`` from callbacks, ``ShrinkerError`` where the domain is closed.
        Other exceptions of callbacks are logged and counted in the record.  Inside a
        callback it does nothing.
        """
        self._unused = False
        self._domain._check_open()
        if lib.reclaim_in_callback():
            return None
        try:
            return self._worker.reclaim_if_short("look")
        finally:
            self._journal.log()

    def history(self) -> tuple[ReclaimRecord, ...]:
        """Return the last records, oldest first."""
        return self._journal.history()

    def statistics(self) -> ReclaimerStatistics:
        """Return what it did so far, and how things stood at the last look."""
        totals, seconds = self._journal.totals()
        worker, policy, background = self._worker, self._policy, self._background
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
            locks_taken=totals["locks_taken"],
            errors=worker.failures + totals["source lost"],
            reclaim_seconds=seconds,
            look_seconds=0.0 if background is None else background.pace.cost,
            where=worker.seen.where,
            limit=worker.seen.limit,
            used=worker.seen.used,
            credit=worker.credit,
            priority=policy.priority,
            breaker=policy.breaker(worker.clock()).value,
            under_pressure=self._domain.under_pressure,
            source="" if background is None else background.source.name,
        )

    def _levels(self) -> tuple[tuple[MemoryLevel, Watermarks], ...]:
        """Return all levels as they were read last, and their watermarks."""
        found = ((x, self._policy.known_watermarks(x)) for x in self._worker.levels)
        return tuple((level, marks) for level, marks in found if marks is not None)

    def _ended(self, background: Background) -> None:
        """Take note that a thread ends, if that is not known yet."""
        # First without the lock: its holder may wait for this thread.
        if self._background is not background:
            return
        with self._lock:
            if self._background is background:
                self._worker.unwatch()
                self._background = None
                _started.discard(self)

    def _after_fork(self) -> None:
        """In the child, start at the first insert, without disturbing the parent."""
        self._lock = threading.RLock()
        self._journal.after_fork()
        self._worker.after_fork()
        background, self._background, self._thread = self._background, None, None
        self._worker.unwatch()
        if background is not None:
            background.close()
            background.waker.close()
        self._memory.close()
        due = background is not None or self._restart_pending
        if due and self._restart_after_fork:
            # No thread for children that only call exec() or end.
            with contextlib.suppress(ShrinkerError):
                self._start_at_insert()
                if self._worker.watched.are_there():
                    self._start_soon()

    def _start_at_insert(self) -> None:
        self._worker.watch(self._direct)
        self._domain._growth.allowance = 0
        self._restart_pending = True

    def _start_soon(self) -> None:
        """Restart in a child without an insert: into watched caches none can be seen.

        Not at once, since other modules have to be told of the fork, too.
        """
        reference = weakref.ref(self)

        def start() -> None:
            time.sleep(SETTLE_SECONDS)
            reclaimer = reference()
            if reclaimer is not None:
                reclaimer.restarts_in_child()

        with contextlib.suppress(RuntimeError):  # No more threads can be started.
            original("_thread", "start_new_thread")(start, ())

    def _take_over(self) -> None:
        """Stop reclaimers of this domain that restarted by themselves after a fork.

        One that the child starts itself takes their place.
        """
        for other in list(_known):
            if other is not self and other._domain is self._domain:
                with other._lock:
                    other._cancel_restart()
                if other._went_on:
                    other.stop()

    def _cancel_restart(self) -> None:
        if self._restart_pending:
            self._restart_pending = False
            self._worker.unwatch()

    def restarts_in_child(self) -> bool:
        """Restart in the child after a fork, at its first insert.

        Called by the thread that inserts, and where caches are watched by a thread of
        its own.  Returns whether a restart was due; this insert then has nothing else
        to do.
        """
        if self._background is not None and self._started_pid == os.getpid():
            return False
        if self._background is not None:
            self._after_fork()  # Of a fork that Python did not see.
        if not self._restart_pending:
            return False
        if in_uwsgi_master():  # It fills a cache before it forks the workers.
            if not lib.reclaim_in_callback():
                self._worker.reclaim_below_min()
                self._domain._growth.allowance = 0
            return True
        # No call between these, so only one thread starts it.
        if not self._restart_pending:
            return True
        self._restart_pending = False
        self._worker.unwatch()
        try:
            self.start()
            self._went_on = True
        except (OSError, ShrinkerError, RuntimeError) as error:
            logger.warning(
                "no reclaimer in process %d, forked from %d: %s",
                *(os.getpid(), os.getppid(), error),
            )
        else:
            logger.info("the reclaimer goes on in the forked process %d", os.getpid())
        return True


def _with_arguments_of(
    made: Callable[P, Reclaimer],
) -> Callable[[Callable[..., Reclaimer]], Callable[P, Reclaimer]]:
    """Give a function the arguments of what it makes, for ``help()`` and mypy."""

    def decorate(function: Callable[..., Reclaimer]) -> Callable[P, Reclaimer]:
        signature = inspect.signature(made).replace(return_annotation="Reclaimer")
        function.__signature__ = signature  # type: ignore[attr-defined]
        return function

    return decorate


@_with_arguments_of(Reclaimer)
def protect(*arguments: Any, **options: Any) -> Reclaimer:
    """Return a ``Reclaimer``, not yet started.

    ``with protect():`` runs it for as long as the block, ``protect().start()`` until
    ``stop()`` or the end of the program; keep what it returns.  One that is dropped
    without either, or a ``look()``, is a mistake: ``ResourceWarning``.  Arguments and
    errors are those of ``Reclaimer``.
    """
    reclaimer = Reclaimer(*arguments, **options)
    reclaimer._unused = True  # A ResourceWarning if it stays so.
    return reclaimer


def _caller() -> str:
    """Return the file and the line that called into this package."""
    frame: FrameType | None = sys._getframe()
    # Code run by exec() may have anything as its name.
    while frame and str(frame.f_globals.get("__name__")).startswith(__package__):
        frame = frame.f_back
    if frame is None:
        return "an unknown place"
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def _forked() -> None:
    # All of them: another thread may have been using one that is not running.
    for reclaimer in list(_known):
        # The child goes on in any case.
        with contextlib.suppress(Exception):
            reclaimer._after_fork()
    _started.clear()


def _exiting() -> None:
    for reclaimer in list(_started):
        with contextlib.suppress(Exception):
            reclaimer.stop(EXIT_SECONDS)
    for reclaimer in list(_known):  # Those that only look have a seat, too.
        with contextlib.suppress(Exception):
            reclaimer._worker.close()


os.register_at_fork(after_in_child=_forked)
atexit.register(_exiting)
