"""``Background``: the thread that sleeps until memory may be short.

It sleeps in poll on a bell (to be woken or stopped), on the pressure source, and on
the usage thresholds of cgroup v1.  A timer wakes it only where nothing else can tell,
or when something is under way (``Rest.until``).  Whatever is raised in a look is logged
and the thread goes on: nobody would notice that it is gone before it is too late.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
import time
from typing import TYPE_CHECKING

from shrinker.pressure.kernel_file import drained, opened
from shrinker.pressure.pace import SHORTEST, Pace

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker.pressure.alarms import Alarms
    from shrinker.pressure.listening import Listening
    from shrinker.pressure.worker import Worker

__all__ = ["Background", "Bell"]

logger = logging.getLogger("shrinker.pressure")

RARELY = 10.0
"""Seconds between looks where thresholds are set: limits may change unannounced."""
LONGEST_BACKOFF = 60.0
"""Seconds to the next attempt, at most, where looks keep failing."""


class Bell:
    """An eventfd that anyone may ring, and that is closed when nobody can any more.

    So a number that has been given to another file is never written to.
    """

    def __init__(self) -> None:
        self.fd = opened(os.eventfd, 0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def ring(self) -> None:
        """Wake who sleeps on it.  Never blocks."""
        with contextlib.suppress(BlockingIOError):  # It has been rung often enough.
            os.eventfd_write(self.fd, 1)

    def still(self) -> None:
        """Make it silent until it is rung again."""
        drained(self.fd)

    def close(self) -> None:
        """Close it where nobody else can ring: in a child, whose threads are gone.

        Their frames stay, and would hold it for ever.
        """
        descriptor, self.fd = self.fd, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            self.close()


class Background:
    """What the thread runs.  ``over`` is called at its end."""

    def __init__(
        self,
        worker: Worker,
        listening: Listening,
        alarms: Alarms,
        over: Callable[[Background], None],
    ) -> None:
        self.worker = worker
        self.listening = listening
        self.alarms = alarms
        self.pace = Pace()
        self.bell = Bell()
        self.stopping = False
        self._over = over
        self._where = ""
        self._introduced = False
        self._looked_at = 0.0
        self._failures = 0

    def stop(self) -> None:
        """Let the thread end soon."""
        self.stopping = True
        self.bell.ring()

    def run(self) -> None:
        """Look, sleep, and so on until stopped."""
        trigger, event = "start", None
        try:
            while not self.stopping:
                if self.worker.domain.closed:
                    logger.info("the domain is closed: its reclaimer stops")
                    break
                try:
                    timeout = self._look(trigger, event)
                    self._failures = 0
                    trigger, event = self._sleep(timeout)
                except BaseException as error:  # noqa: BLE001 - see the module
                    trigger, event = "timer", None
                    self._failed(error)
        finally:
            self._log()
            self.close()
            self._over(self)

    def close(self) -> None:
        """Close what it slept on."""
        for thing in (self.listening, self.alarms):
            try:
                thing.close()
            except Exception:
                logger.exception("closing %s", type(thing).__name__)

    def _look(self, trigger: str, event: str | None) -> float:
        """Look once; return the seconds to sleep then."""
        began = time.thread_time()
        worker = self.worker
        self._looked_at = worker.clock()
        try:
            verdict = worker.look(trigger, event)
        except (KeyboardInterrupt, SystemExit) as error:
            # Meant for the main thread, which a callback here does not run on.
            name = type(error).__name__
            text = f"a callback raised {name} in the background; it is ignored there"
            worker.journal.complain_once(("interrupt", type(error)), text, error)
            verdict = None
        if worker.seen is not None:
            if worker.seen.where != self._where:
                self._where = worker.seen.where
                self.pace.elsewhere()
            self.pace.saw(self._looked_at, worker.seen.used)
        self.alarms.set(worker.levels)
        timeout = self._timeout()
        self._introduce()
        self._log()
        if verdict is None:
            self.pace.took(time.thread_time() - began)
        return timeout

    def _introduce(self) -> None:
        """Say once what is protected, and how."""
        level = self.worker.seen
        if self._introduced or level is None:
            return
        self._introduced = True
        marks = self.worker.policy.watermarks(level)
        heard = self.listening.name or "none"
        # What auto has chosen has been said, with the reason.
        source = "" if self.listening.is_chosen else f"; source: {heard}"
        self.worker.journal.say(
            f"protecting {level.where}: limit {_mib(level.limit)} MiB,"
            f" {_mib(level.used)} used; min {_mib(marks.min)}, low {_mib(marks.low)},"
            f" high {_mib(marks.high)} MiB{source}"
        )

    def _timeout(self) -> float:
        worker = self.worker
        now = worker.clock()
        times = [RARELY]
        rest = worker.resting
        if rest is not None:
            if rest.until is not None:
                times.append(rest.until - now)
            if rest.distance is not None and not self.alarms.cover(worker.levels):
                times.append(self.pace.period(rest.distance))
        if (due := self.listening.due()) is not None:
            times.append(due)
        if (due := worker.trimmer.due()) is not None:
            times.append(due - now)
        return max(SHORTEST, min(times))

    def _sleep(self, timeout: float) -> tuple[str, str | None]:
        """Sleep; return what ended it, and what the source said."""
        poll = select.poll()  # No descriptor of its own that a child would share.
        poll.register(self.bell.fd, select.POLLIN)
        source = self.listening.fileno()
        if source is not None:
            poll.register(source, select.POLLIN)
        for descriptor in self.alarms.filenos():
            poll.register(descriptor, select.POLLIN)
        due = self.listening.due()
        end = time.monotonic() + timeout
        ready = {fd for fd, _ in poll.poll(math.ceil(timeout * 1000))}
        trigger, said = "timer", None
        if self.bell.fd in ready:
            self.bell.still()
            trigger = "wake"
        if ready & set(self.alarms.filenos()):
            self.alarms.still()
            trigger = "threshold"
        if source in ready or (
            due is not None and time.monotonic() >= end - timeout + due
        ):
            event = self.listening.read()
            if event is not None:
                self.worker.events += 1
                trigger, said = "event", event.detail  # Who it was is in the log.
        if not self.stopping:
            # Who keeps ringing must not keep us from everything else.
            early = self._looked_at + SHORTEST - self.worker.clock()
            if 0 < early <= SHORTEST:
                time.sleep(early)
        return trigger, said

    def _failed(self, error: BaseException) -> None:
        """Log what a look has raised, and wait a while."""
        self._failures += 1
        self.worker.failures += 1
        wait = min(LONGEST_BACKOFF, 2.0 ** (self._failures - 1))
        name = type(error).__name__
        with contextlib.suppress(Exception):
            text = (
                f"a look at the memory failed, the next one is in {wait:.0f} s: {name}"
            )
            self.worker.journal.complain_once(
                (name, str(error)), f"{text}: {error}", error
            )
            self._log()
        poll = select.poll()
        poll.register(self.bell.fd, select.POLLIN)
        if not self.stopping and poll.poll(wait * 1000):
            self.bell.still()

    def _log(self) -> None:
        # A handler that raises must not look like memory that cannot be read.
        with contextlib.suppress(Exception):
            self.worker.journal.log()


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f}".removesuffix(".0")
