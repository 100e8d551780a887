"""``Verdict``: what the reclaimer did, and why; and the journal that keeps them.

Verdicts come from the background thread and from threads in the middle of an insert.
The latter must not wait for anybody, a logging handler least of all: they leave their
verdicts, and the background logs them.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import threading

__all__ = ["ReclaimerStatistics", "Verdict"]

logger = logging.getLogger("shrinker.pressure")

MIB = 1 << 20
LONGEST_NAME = 24
"""Letters of a cache's name in a line."""


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """Something that was done about memory, or that has changed; ``str()`` is a line.

    Sizes are in bytes, times in seconds; objects are pages for caches that weigh their
    entries.
    """

    when: float
    """When it was over, on the clock of ``time.monotonic()``."""
    wall: float
    """The same on the clock of ``time.time()``."""
    trigger: str
    """Why memory was looked at: ``timer``, ``threshold``, ``event``, ``growth``,
    ``wake``, ``look`` or ``start``."""
    action: str
    """``reclaim``, ``ease`` (one object), ``probe`` (of small caches), ``direct``
    (by who inserted), ``trim``, or what has changed: ``breaker opened``, ``breaker
    closed``, ``source lost`` and so on."""
    reason: str
    """What led to it, in words."""
    where: str = ""
    """The limit that decided."""
    limit: int = 0
    """How much may be used there."""
    used: int = 0
    """How much was, before."""
    free: int = 0
    """How much was not."""
    credit: int = 0
    """What counted as free on top: freed earlier, kept by the allocator."""
    low: int = 0
    """Watermark *low* of that limit."""
    min: int = 0
    """Watermark *min* of that limit."""
    high: int = 0
    """Watermark *high* of that limit."""
    priority_start: int = 12
    """The first priority that was walked."""
    priority_end: int = 12
    """The last one; 0 is the most urgent."""
    deficit: int = 0
    """Bytes that were missing to *high*."""
    wanted: int = 0
    """Objects that were asked for; 1 for ``ease``."""
    freed: int = 0
    """Objects that caches freed."""
    givers: tuple[tuple[str, int], ...] = ()
    """Up to three caches that freed most, by name, and how many objects; empty where
    inserts reclaimed, or where there are more than 100 caches."""
    used_after: int = 0
    """How much was used afterwards."""
    resident_before: int = 0
    """RSS of the process before."""
    resident_after: int = 0
    """RSS of the process afterwards, and after trimming."""
    trimmed: bool = False
    """Whether the allocator was asked to give back what it can."""
    kept: int = 0
    """Bytes that were freed and are still charged, as far as is known."""
    duration: float = 0.0
    """Seconds that it took."""
    errors: int = 0
    """Callbacks that raised; each is logged by itself."""
    level: int = logging.INFO
    """The severity at which it is logged."""

    @property
    def given_back(self) -> int:
        """Bytes by which RSS has fallen; negative where others took more meanwhile."""
        return self.resident_before - self.resident_after

    def __str__(self) -> str:
        # The log's line, for narrow screens; the rest is in the fields.
        if not self.limit:
            return f"{self.action}: {self.reason}"
        said = f"{self.action} ({self.trigger}): {self.reason}"
        said += f"; freed {self.freed:,} objects"
        if self.action != "ease":
            said += f" ({self.wanted:,} wanted)"
        if self.givers:
            named = (f"{_short(name)} {freed:,}" for name, freed in self.givers)
            said += f" ({', '.join(named)})"
        said += f", RSS {-self.given_back / MIB:+.1f} MiB"
        said += f", {self.errors} callbacks raised" if self.errors else ""
        return said


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."


@dataclasses.dataclass(frozen=True, slots=True)
class ReclaimerStatistics:
    """What a reclaimer did since it was made.

    Sizes are in bytes, times in seconds; objects are pages for caches that weigh their
    entries.
    """

    looks: int
    """Times that memory was looked at."""
    events: int
    """Events that the pressure source had."""
    reclaims: int
    """Reclaims in all: background, eased, probing and direct ones."""
    direct_reclaims: int
    """Those made by who inserted."""
    freed: int
    """Objects freed by them."""
    given_back: int
    """Bytes by which RSS fell during reclaims and trims."""
    fruitless: int
    """Reclaims that freed nothing."""
    trims: int
    """Times that the allocator was asked to give memory back."""
    breaker_opened: int
    """Times that it stopped reclaiming for a while."""
    callback_errors: int
    """Callbacks that raised during reclaims."""
    errors: int
    """Failures of its own: memory that could not be read, a source that went away."""
    reclaim_seconds: float
    """Time spent in reclaims and trims."""
    look_seconds: float
    """CPU time of the background thread that a look takes, on the average of late."""
    where: str
    """The limit that decided last; empty before the first look."""
    limit: int
    """How much may be used there."""
    used: int
    """How much was, at the last look."""
    credit: int
    """What counted as free on top of the rest."""
    priority: int
    """The priority at which the next reclaim would start."""
    breaker: str
    """``closed``, ``open`` or ``half-open``."""
    under_pressure: bool
    """Whether caches are asked not to grow."""
    source: str
    """The pressure source that is listened to; empty where there is none."""


Entry = tuple[int, str, BaseException | None]
MOST_SAID = 1000
"""Things that are remembered to have been complained of."""
MOST_WAITING = 1000
"""Lines that wait to be logged, and verdicts that wait to be counted, at most."""


class Journal:
    """Keeps the last verdicts and counts all of them.

    ``add`` waits for nobody: deques append in one go.  Totals are brought up to date
    by whoever asks, under a lock, which a signal handler that asks may hold already.
    """

    def __init__(self, history: int) -> None:
        self._fresh: collections.deque[Verdict] = collections.deque()
        self._unlogged: collections.deque[Entry] = collections.deque(
            maxlen=MOST_WAITING
        )
        self._unheard = 0
        self._kept: collections.deque[Verdict] = collections.deque(maxlen=history)
        self._totals: collections.Counter[str] = collections.Counter()
        self._seconds = 0.0
        self._said: set[object] = set()
        self.after_fork()

    def after_fork(self) -> None:
        """Make the lock anew: a thread that is gone may have held it."""
        self._lock = threading.RLock()
        self._absorbing = False
        self._logging = False

    def add(self, verdict: Verdict) -> None:
        """Keep a verdict, to be logged later."""
        self._leave(verdict.level, str(verdict))
        self._fresh.append(verdict)
        # Where nobody has asked or logged for long, a handler hangs perhaps.
        if len(self._fresh) > MOST_WAITING and self._lock.acquire(blocking=False):
            try:
                self._absorb()
            finally:
                self._lock.release()

    def say(self, text: str) -> None:
        """Leave a line for the log, at INFO."""
        self._leave(logging.INFO, text)

    def complain(self, text: str, error: BaseException | None = None) -> None:
        """Leave a warning for the log, with the error's traceback."""
        self._leave(logging.WARNING, text, error)

    def complain_once(self, key: object, text: str, error: BaseException) -> None:
        """As ``complain``, for the first time with this key; later ones at DEBUG."""
        if key in self._said or len(self._said) >= MOST_SAID:
            self._leave(logging.DEBUG, text)
            return
        self._said.add(key)
        self.complain(text, error)

    def log(self) -> None:
        """Log what was not yet logged, unless another thread is about it.

        A handler that raises is passed over.  What handlers cause by inserting into
        caches is logged the next time, not for ever in this one.
        """
        if self._logging:
            return
        self._logging = True
        try:
            for _ in range(len(self._unlogged)):
                level, text, error = self._unlogged.popleft()
                with contextlib.suppress(Exception):
                    logger.log(level, "%s", text, exc_info=error)
            lost, self._unheard = self._unheard, 0
            if lost:
                with contextlib.suppress(Exception):
                    logger.warning("%d lines of log were dropped: too many", lost)
        finally:
            self._logging = False
        with self._lock:
            self._absorb()

    def _leave(self, level: int, text: str, error: BaseException | None = None) -> None:
        self._unheard += len(self._unlogged) == MOST_WAITING
        self._unlogged.append((level, text, error))

    def history(self) -> tuple[Verdict, ...]:
        """Return the last verdicts, the oldest first."""
        with self._lock:
            self._absorb()
            return tuple(self._kept)

    def totals(self) -> tuple[collections.Counter[str], float]:
        """Return the sums of all verdicts, and of their durations."""
        with self._lock:
            self._absorb()
            return self._totals.copy(), self._seconds

    def _absorb(self) -> None:
        if self._absorbing:  # A signal handler or destructor, in the middle of it.
            return
        self._absorbing = True
        try:
            while self._fresh:  # Only emptied here, under the lock.
                self._count(self._fresh.popleft())
        finally:
            self._absorbing = False

    def _count(self, verdict: Verdict) -> None:
        totals = self._totals
        self._kept.append(verdict)
        totals[verdict.action] += 1
        totals["freed"] += verdict.freed
        totals["given_back"] += max(0, verdict.given_back)
        totals["trims"] += verdict.trimmed
        totals["callback_errors"] += verdict.errors
        if verdict.action in RECLAIMS:
            totals["reclaims"] += 1
            totals["fruitless"] += not verdict.freed
        self._seconds += verdict.duration


BAD_NEWS = frozenset({"breaker opened", "source lost", "watermarks"})
RECLAIMS = frozenset({"reclaim", "ease", "probe", "direct"})
