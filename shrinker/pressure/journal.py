"""``ReclaimRecord``: what the reclaimer did, and why; ``Journal`` keeps and logs them.

Records come from the background thread and from threads in the middle of an insert.
The latter must not wait for anything, least of all for a logging handler: they leave
their records, and the background logs them.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import logging
import threading
import weakref
from typing import TYPE_CHECKING

from shrinker._names import printable

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Journal", "ReclaimRecord", "ReclaimerStatistics"]

logger = logging.getLogger("shrinker.pressure")

MIB = 1 << 20
MAX_NAME_LENGTH = 24
"""Letters of a cache's name in a log line."""
MAX_COMPLAINTS = 1000
"""Complaints that are remembered, to log each cause once."""
MAX_WAITING = 1000
"""Lines that wait to be logged, and records that wait to be counted, at most."""
WARNINGS = frozenset({"breaker opened", "source lost", "watermarks"})
"""Actions that are logged at WARNING."""
RECLAIMS = frozenset({"reclaim", "ease", "direct", "probe"})
"""Actions that called caches."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReclaimRecord:
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
    """``reclaim``, ``ease`` (one object), ``probe`` (of one cache, to see what its
    entries are worth), ``direct`` (by the thread that inserted), ``trim``, or what has
    changed: ``breaker opened``, ``breaker closed``, ``source lost`` and so on."""
    reason: str
    """What led to it, as a text."""
    where: str = ""
    """The limit that decided."""
    limit: int = 0
    """How much may be used there."""
    used: int = 0
    """How much was used before."""
    free: int = 0
    """How much was free before."""
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
    held: tuple[tuple[str, int], ...] = ()
    """Watched caches whose locks were taken, by name, and how many scans it stopped."""
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
        """Bytes by which RSS has fallen; negative where it rose meanwhile."""
        return self.resident_before - self.resident_after

    def __str__(self) -> str:
        # One log line for narrow screens; the rest is in the fields.
        if not self.limit:
            return f"{self.action}: {self.reason}"
        said = f"{self.action} ({self.trigger}): {self.reason}"
        said += f"; freed {self.freed:,} objects"
        if self.action != "ease":
            said += f" ({self.wanted:,} wanted)"
        if self.givers:
            named = (f"{_short(name)} {freed:,}" for name, freed in self.givers)
            said += f" ({', '.join(named)})"
        if self.held:
            named = (f"of {_short(name)} {times:,} times" for name, times in self.held)
            said += f"; lock taken {', '.join(named)}"
        said += f", RSS {-self.given_back / MIB:+.1f} MiB"
        said += f", {self.errors} callbacks raised" if self.errors else ""
        return said


def _short(name: str) -> str:
    name = printable(name)
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 3]}..."


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
    """Those made by threads that inserted."""
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
    locks_taken: int
    """Scans that could do nothing because the lock of a watched cache was taken."""
    errors: int
    """Failures of its own: memory that could not be read, a source that went away."""
    reclaim_seconds: float
    """Time spent in reclaims and trims."""
    look_seconds: float
    """CPU time of the background thread for a look, averaged over the last ones."""
    where: str
    """The limit that decided last; empty before the first look."""
    limit: int
    """How much may be used there."""
    used: int
    """How much was used there at the last look."""
    credit: int
    """What counted as free on top of the rest."""
    priority: int
    """The priority at which the next reclaim would start."""
    breaker: str
    """``closed``, ``open`` or ``half-open``."""
    under_pressure: bool
    """Whether caches are asked not to grow."""
    source: str
    """The pressure source in use; empty where there is none."""


Entry = tuple[int, str, BaseException | None]


class Journal:
    """Keeps the last records and counts all of them.

    ``add`` never waits: appending to a deque is one step.  Totals are brought up to
    date when they are read, under a lock that an interrupted reader, where a signal
    handler reads them too, may hold already.
    """

    def __init__(self, history: int) -> None:
        self._fresh: collections.deque[ReclaimRecord] = collections.deque()
        self._unlogged: collections.deque[Entry] = collections.deque(maxlen=MAX_WAITING)
        self._dropped = 0
        self._kept: collections.deque[ReclaimRecord] = collections.deque(maxlen=history)
        self._totals: collections.Counter[str] = collections.Counter()
        self._seconds = 0.0
        self._said: set[object] = set()
        self._watchers: list[weakref.WeakMethod[Callable[[], None]]] = []
        self.after_fork()

    def after_fork(self) -> None:
        """Make the lock anew: a thread that no longer exists may have held it."""
        self._lock = threading.RLock()
        self._absorbing = False
        self._logging = False

    def add(self, record: ReclaimRecord) -> None:
        """Keep a record, to be logged later."""
        self._leave(record.level, str(record))
        self._fresh.append(record)
        # Nothing was read or logged for long; a handler may hang.
        if len(self._fresh) > MAX_WAITING and self._lock.acquire(blocking=False):
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
        """As ``complain`` for the first time with this key; later ones at DEBUG."""
        if key in self._said or len(self._said) >= MAX_COMPLAINTS:
            self._leave(logging.DEBUG, text)
            return
        self._said.add(key)
        self.complain(text, error)

    def log(self) -> None:
        """Log what was not yet logged, unless another thread does.

        A handler that raises is ignored.  A handler that inserts into caches may cause
        more lines; they wait for the next call, so this one ends.
        """
        if self._logging:
            return
        self._logging = True
        try:
            for _ in range(len(self._unlogged)):
                level, text, error = self._unlogged.popleft()
                with contextlib.suppress(Exception):
                    logger.log(level, "%s", printable(text), exc_info=error)
            dropped, self._dropped = self._dropped, 0
            if dropped:
                with contextlib.suppress(Exception):
                    logger.warning("%d log lines were dropped: too many", dropped)
        finally:
            self._logging = False
        with self._lock:
            self._absorb()
        self.tell_watchers()

    def watch(self, method: Callable[[], None]) -> None:
        """Have a method called after each look, until its object is gone."""
        self._watchers.append(weakref.WeakMethod(method))

    def tell_watchers(self) -> None:
        """Tell the watchers that there may be something new."""
        for reference in self._watchers:
            if (method := reference()) is None:
                continue
            try:
                method()
            except Exception as error:  # noqa: BLE001 - a look must not fail for it
                text = f"figures cannot be shown: {type(error).__name__}: {error}"
                self.complain_once(("watcher", type(error)), text, error)

    def _leave(self, level: int, text: str, error: BaseException | None = None) -> None:
        self._dropped += len(self._unlogged) == MAX_WAITING
        self._unlogged.append((level, text, error))

    def history(self) -> tuple[ReclaimRecord, ...]:
        """Return the last records, oldest first."""
        with self._lock:
            self._absorb()
            return tuple(self._kept)

    def totals(self) -> tuple[collections.Counter[str], float]:
        """Return the sums over all records, and of their durations."""
        with self._lock:
            self._absorb()
            return self._totals.copy(), self._seconds

    def _absorb(self) -> None:
        if self._absorbing:  # A signal handler or finaliser interrupts it.
            return
        self._absorbing = True
        try:
            while self._fresh:  # It is emptied here only, under the lock.
                self._count(self._fresh.popleft())
        finally:
            self._absorbing = False

    def _count(self, record: ReclaimRecord) -> None:
        totals = self._totals
        self._kept.append(record)
        totals[record.action] += 1
        totals["freed"] += record.freed
        totals["given_back"] += max(0, record.given_back)
        totals["trims"] += record.trimmed
        totals["callback_errors"] += record.errors
        totals["locks_taken"] += sum(times for _, times in record.held)
        if record.action in RECLAIMS:
            totals["reclaims"] += 1
            totals["fruitless"] += not record.freed
        self._seconds += record.duration
