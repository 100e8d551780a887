"""``Background``: the thread that sleeps until memory may be short.

It sleeps on a ``Waker`` (to be woken or stopped), on the pressure source, and
on the usage thresholds of cgroup v1.  A timer wakes it only where nothing else can
tell (``Pace``), or when something is under way (``NextLook.until``).  An exception in a
look is logged and the thread goes on: that it ended would be noticed too late.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from shrinker._switching import FAST_SWITCH_SECONDS, SwitchInterval
from shrinker._unpatched import NativeThread, has_green_threads, wait_readable
from shrinker.pressure.limits.kernel_file import drain_eventfd, open_descriptor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from shrinker.pressure.sources.failover import SourceFailover
    from shrinker.pressure.sources.thresholds import ThresholdSet
    from shrinker.pressure.worker import Worker

__all__ = ["Background", "Pace", "Waker", "join"]

logger = logging.getLogger("shrinker.pressure")

MIN_PERIOD_SECONDS = 0.02
"""Time between two looks, at least: a switch interval of four threads."""
FAST_PERIOD_SECONDS = 0.005
"""The same while memory fills fast, where something wakes the thread."""
MAX_PERIOD_SECONDS = 1.0
"""Time between two looks, at most: the fill rate may have changed by then."""
SOON_SECONDS = 1.0
"""Memory fills fast where it will be short within this time, at the present rate."""
MAX_IDLE_CPU_SHARE = 0.0005
"""Looks may cost this share of a core while nothing fills."""
RATE_HALF_LIFE_SECONDS = 10.0
"""The remembered fill rate falls by half in this time."""
MAX_SLEEP_SECONDS = 10.0
"""Time between two looks where thresholds are set: a limit may change unannounced."""
MAX_FAILURE_BACKOFF_SECONDS = 60.0
"""Time to the next attempt, at most, where looks keep failing."""


class Pace:
    """When to look again, where only time can tell.

    Memory that fills at a rate reaches a watermark after distance / rate at the
    earliest.  The rate is the highest seen, decaying, since fast growth may come again.
    A look at half of that time is too late only by as much as the rate has risen.
    While nothing fills, looks are so rare that together they cost almost nothing.

    It has no clock: ``now`` is given, in seconds.
    """

    __slots__ = ("_cost", "_last", "_rate")

    def __init__(self) -> None:
        self._rate = 0.0
        self._cost = 0.0
        self._last: tuple[float, int] | None = None

    @property
    def cost(self) -> float:
        """CPU seconds of a look, averaged over the last ones."""
        return self._cost

    def observe(self, now: float, used: int) -> None:
        """Learn the rate from how much is used."""
        if self._last is not None:
            then, before = self._last
            passed = now - then
            if passed < MIN_PERIOD_SECONDS / 2:
                return  # Two looks at once show no rate.
            self._rate *= 0.5 ** (passed / RATE_HALF_LIFE_SECONDS)
            self._rate = max(self._rate, (used - before) / passed)
        self._last = (now, used)

    def forget_usage(self) -> None:
        """Forget what was used: the next figure is another limit's."""
        self._last = None

    def took(self, seconds: float) -> None:
        """Learn what a look cost."""
        self._cost = seconds if not self._cost else 0.9 * self._cost + 0.1 * seconds

    def fills_within(self, distance: int, seconds: float) -> bool:
        """Return whether ``distance`` bytes may be filled in so short a time."""
        return self._rate > 0 and distance < self._rate * seconds

    def period(self, distance: int, least: float = MIN_PERIOD_SECONDS) -> float:
        """Return the seconds to the next look, ``distance`` bytes above a watermark.

        They are ``least`` or more.
        """
        soon = math.inf
        if self._rate > 0:
            soon = max(0, distance) / self._rate / 2
        elif distance <= 0:
            soon = least
        if soon >= MAX_PERIOD_SECONDS:  # All is well: keep to the promised cost.
            seldom = max(MAX_PERIOD_SECONDS, self._cost / MAX_IDLE_CPU_SHARE)
            return min(soon, seldom)  # In time even where looks cost much.
        return max(least, soon)


class Waker:
    """An eventfd that wakes a sleeping thread.

    It is closed when its last user lets it go: its number may then be another file's,
    and must not be written to.
    """

    def __init__(self) -> None:
        self.fd = open_descriptor(os.eventfd, 0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def wake(self) -> None:
        """Wake the thread.  Never blocks."""
        with contextlib.suppress(BlockingIOError):  # It was woken often enough.
            os.eventfd_write(self.fd, 1)

    def drain(self) -> None:
        """Reset it, until the next ``wake``."""
        drain_eventfd(self.fd)

    def close(self) -> None:
        """Close it in a child, where the threads that use it do not exist.

        Their frames remain and would hold it for ever.
        """
        descriptor, self.fd = self.fd, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            self.close()


class Background:
    """What the thread runs.  ``ended`` is called at its end."""

    def __init__(
        self,
        worker: Worker,
        source: SourceFailover,
        thresholds: ThresholdSet,
        ended: Callable[[Background], None],
    ) -> None:
        self.worker = worker
        self.source = source
        self.thresholds = thresholds
        self.pace = Pace()
        self.waker = Waker()
        self.stopping = False
        self.is_native = False
        self._ended = ended
        self._where = ""
        self._introduced = False
        self._looked_at = 0.0
        self._failures = 0
        self._switching = SwitchInterval()
        # A program fills its caches when it starts, at a rate that no look has seen.
        self._first_period = MIN_PERIOD_SECONDS

    def make_thread(self) -> threading.Thread | NativeThread:
        """Return the thread that will run this, not yet started."""
        name = "shrinker-reclaimer"
        self.is_native = has_green_threads()
        if self.is_native:
            return NativeThread(self.run, name)
        return threading.Thread(target=self.run, name=name, daemon=True)

    def stop(self) -> None:
        """Let the thread end soon."""
        self.stopping = True
        self.waker.wake()

    def run(self) -> None:
        """Look, sleep, and so on until stopped."""
        trigger, event = "start", None
        try:
            while not self.stopping:
                if self.worker.domain.closed:
                    logger.info("the domain is closed: its reclaimer stops")
                    break
                try:
                    if sys.getswitchinterval() > FAST_SWITCH_SECONDS:
                        self._switching.begin(FAST_SWITCH_SECONDS)
                    timeout = self._reclaim(trigger, event)
                    if not self._fills_fast() and not self._begins():
                        self._switching.end()
                    self._failures = 0
                    trigger, event = self._sleep(timeout)
                except BaseException as error:  # noqa: BLE001 - see the module
                    trigger, event = "timer", None
                    self._back_off(error)
        finally:
            self._log()
            self.close()
            self._ended(self)

    def close(self) -> None:
        """Close what it slept on; in a child after a fork, too."""
        self._switching.end()
        for thing in (self.source, self.thresholds):
            try:
                thing.close()
            except Exception:
                logger.exception("closing %s failed", type(thing).__name__)

    def _reclaim(self, trigger: str, event: str | None) -> float:
        """Look, reclaim where memory is short; return the seconds to sleep then."""
        began = time.thread_time()
        worker = self.worker
        self._looked_at = worker.clock()
        try:
            record = worker.reclaim_if_short(trigger, event)
        except (KeyboardInterrupt, SystemExit) as error:
            # Meant for the main thread, but the callback ran on this one.
            name = type(error).__name__
            text = f"a callback raised {name} in the background, where it is ignored"
            worker.journal.complain_once(("interrupt", type(error)), text, error)
            record = None
        if worker.seen.where != self._where:
            self._where = worker.seen.where
            self.pace.forget_usage()
        self.pace.observe(self._looked_at, worker.seen.used)
        self.thresholds.arm(worker.levels)
        self.source.follow()
        timeout = self.timeout()
        if self._begins():
            timeout = min(timeout, self._first_period)
            self._first_period *= 2
        self._introduce()
        self._log()
        if record is None:
            self.pace.took(time.thread_time() - began)
        return timeout

    def _introduce(self) -> None:
        """Say once what is protected, and how."""
        if self._introduced:
            return
        self._introduced = True
        level = self.worker.seen
        marks = self.worker.policy.watermarks(level)
        # The choice of auto was logged already, with the reason.
        name = self.source.name or "none"
        source = "" if self.source.is_chosen else f"; source: {name}"
        self.worker.journal.say(
            f"protecting {level.where}: limit {_mib(level.limit)} MiB,"
            f" {_mib(level.used)} used; min {_mib(marks.min)}, low {_mib(marks.low)},"
            f" high {_mib(marks.high)} MiB{source}"
        )

    def timeout(self) -> float:
        """Return the seconds to the next look, if nothing wakes the thread before."""
        worker = self.worker
        now = worker.clock()
        times = [MAX_SLEEP_SECONDS]
        until, distance = worker.next_look.until, worker.next_look.distance
        if until is not None:
            times.append(until - now)
        if distance is not None and not self.thresholds.suffice(worker.levels):
            times.append(self.pace.period(distance, self._min_period()))
        if (due := self.source.due()) is not None:
            times.append(due)
        if (due := worker.trimmer.due()) is not None:
            times.append(due - now)
        return max(self._min_period(), min(times))

    def _min_period(self) -> float:
        return FAST_PERIOD_SECONDS if self._fills_fast() else MIN_PERIOD_SECONDS

    def _fills_fast(self) -> bool:
        """Return whether memory may be short soon."""
        distance = self.worker.next_look.distance
        return distance is not None and self.pace.fills_within(distance, SOON_SECONDS)

    def _begins(self) -> bool:
        """Return whether it began so lately that the fill rate is not known."""
        return self._first_period < MAX_PERIOD_SECONDS

    def _sleep(self, timeout: float) -> tuple[str, str | None]:
        """Sleep; return what ended it, and what the source said."""
        descriptors = {self.waker.fd, *self.thresholds.filenos()}
        source = self.source.fileno()
        if source is not None:
            descriptors.add(source)
        due = self.source.due()
        end = time.monotonic() + timeout
        ready = self._wait(descriptors, timeout)
        trigger, said = "timer", None
        if self.waker.fd in ready:
            self.waker.drain()
            trigger = "wake"
        if ready & set(self.thresholds.filenos()):
            self.thresholds.drain()
            trigger = "threshold"
        if source in ready or (
            due is not None and time.monotonic() >= end - timeout + due
        ):
            event = self.source.read()
            if event is not None:
                self.worker.events += 1
                trigger, said = "event", event.detail  # The log names the source.
        if not self.stopping:
            # Frequent wakes must not keep this thread busy all the time.
            period = self._min_period()
            early = self._looked_at + period - self.worker.clock()
            if 0 < early <= period:
                self._wait((), early)
        return trigger, said

    def _wait(self, descriptors: Collection[int], seconds: float) -> set[int]:
        return wait_readable(descriptors, seconds, blocking=self.is_native)

    def _back_off(self, error: BaseException) -> None:
        """Log what a look has raised, and wait a while."""
        self._switching.end()
        self._failures += 1
        self.worker.failures += 1
        wait = min(MAX_FAILURE_BACKOFF_SECONDS, 2.0 ** (self._failures - 1))
        name = type(error).__name__
        with contextlib.suppress(Exception):
            text = f"looking at the memory failed, next try in {wait:.0f} s: {name}"
            self.worker.journal.complain_once(
                (name, str(error)), f"{text}: {error}", error
            )
            self._log()
        if not self.stopping and self._wait({self.waker.fd}, wait):
            self.waker.drain()

    def _log(self) -> None:
        # A handler that raises must not count as a failed look.
        with contextlib.suppress(Exception):
            self.worker.journal.log()


def join(thread: threading.Thread | NativeThread, timeout: float | None) -> bool:
    """Wait for a thread, unless it is this one or has not begun.

    Returns whether it is known to go on.  A signal handler may come while the thread is
    being started.  Where several wait for a thread that has ended, CPython 3.11 and
    3.12 now and then meet an assertion of their own.
    """
    try:
        thread.join(timeout)
        return thread.is_alive()
    except (RuntimeError, AssertionError):
        return False


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f}".removesuffix(".0")
