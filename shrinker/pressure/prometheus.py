"""A collector that shows a reclaimer to Prometheus.

Needs prometheus_client (``pip install 'shrinker[prometheus]'``)::

    from prometheus_client import REGISTRY

    REGISTRY.register(ReclaimerCollector(reclaimer))

Figures are read when they are scraped.  No callback of a cache is called for that.

With ``PROMETHEUS_MULTIPROC_DIR`` each process keeps its metrics in files, which a
``MultiProcessCollector`` in any of them merges.  That asks no custom collector.  So the
figures are also written to such files, after each look at the memory:

1. Counters are the sums over all processes, dead ones too.  The child of a fork has the
   parent's counts, and adds only what is new.
2. prometheus_client writes all metrics of a process once it writes one.  So the file of
   a forked child may have gauges at 0 that were never set.  Each gauge is merged in a
   way that ignores those: the most recent value, a sum, a maximum.
3. Writing takes prometheus_client's lock, which would stay locked in a child that is
   forked meanwhile.  So a fork waits until the writing has ended.
"""

from __future__ import annotations

import collections
import contextlib
import os
import re
import threading
import weakref
from typing import TYPE_CHECKING

try:
    from prometheus_client import Counter, Gauge, values
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
except ImportError as error:
    raise ImportError(
        "shrinker.pressure.prometheus needs prometheus_client:"
        " pip install 'shrinker[prometheus]'"
    ) from error

from shrinker._names import encodable
from shrinker.errors import check_bool
from shrinker.pressure.reclaimer import Reclaimer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.metrics_core import Metric

    from shrinker.pressure.journal import ReclaimerStatistics
    from shrinker.pressure.limits.level import MemoryLevel

__all__ = ["ReclaimerCollector"]

# Field of the statistics, name without prefix, help.
_COUNTERS = (
    ("looks", "looks", "Times that memory was looked at."),
    ("events", "pressure_events", "Events that the pressure source had."),
    ("freed", "freed_objects", "Objects that caches freed; pages where weighed."),
    ("given_back", "given_back_bytes", "Bytes by which RSS fell in reclaims."),
    ("fruitless", "fruitless_reclaims", "Reclaims that freed nothing."),
    ("trims", "trims", "Times that the allocator was asked to give memory back."),
    ("breaker_opened", "breaker_opened", "Times that reclaim stopped for a while."),
    ("callback_errors", "callback_errors", "Callbacks that raised in reclaims."),
    ("locks_taken", "locks_taken", "Scans that found the lock of a cache taken."),
    ("errors", "errors", "Looks that failed and pressure sources that were lost."),
    ("reclaim_seconds", "reclaim_seconds", "Time spent in reclaims and trims."),
)
_GAUGES = (
    ("credit", "credit_bytes", "Freed and kept by the allocator: counts as free."),
    ("priority", "priority", "Where the next reclaim starts: 12 calm, 0 most urgent."),
    ("under_pressure", "under_pressure", "Whether caches are asked not to grow."),
)
_PER_LEVEL = (
    ("limit", "limit_bytes", "The memory limit."),
    ("used", "used_bytes", "How much of it was used at the last look."),
    ("free", "free_bytes", "How much of it was not."),
)
_PER_SHRINKER = (
    ("passes", "cache_passes", "Passes over a cache that got past the count."),
    ("scanned", "cache_scanned_objects", "Objects that a cache scanned."),
    ("freed", "cache_freed_objects", "Objects that a cache freed."),
)


_MODES = {
    "credit_bytes": "livesum",
    "under_pressure": "livemax",
    "breaker_open": "livemax",
    "reclaimer_running": "livesum",
}
"""How the gauges of several processes are merged, where not by ``_MOST_RECENT``."""
_MOST_RECENT = "livemostrecent"
_FORK_SECONDS = 1.0
"""How long a fork waits at most until the figures are written."""

_NAME = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")
_TAKEN = ("by", "level", "mark", "shrinker")


class ReclaimerCollector:
    """Shows a reclaimer's ``statistics()``; register it with a registry.

    All names begin with ``prefix``, all series have ``labels``.  ``shrinkers`` adds
    what was scanned and freed for each name of a registered shrinker; thousands of
    caches make thousands of series.  How many objects caches hold is not shown: that
    would call them.

    A registry takes each name once, whatever the labels, so each of several reclaimers
    in one registry needs its own ``prefix``.

    With ``PROMETHEUS_MULTIPROC_DIR`` a ``MultiProcessCollector`` shows the counters of
    all processes summed, ``credit_bytes`` and ``reclaimer_running`` too;
    ``under_pressure`` and ``breaker_open`` are 1 where they are in any of them; the
    other gauges are those of the process that looked last.  The level of a limit of one
    process has its number.  Register the collector in each process, or before the fork.
    """

    def __init__(
        self,
        reclaimer: Reclaimer,
        *,
        prefix: str = "shrinker",
        labels: dict[str, str] | None = None,
        shrinkers: bool = False,
    ) -> None:
        if not isinstance(reclaimer, Reclaimer):
            kind = type(reclaimer).__name__
            raise TypeError(f"reclaimer must be a Reclaimer, not {kind}")
        labels = {} if labels is None else labels
        if not isinstance(prefix, str) or not _NAME.fullmatch(prefix):
            raise ValueError(f"prefix must be a name for Prometheus, not {prefix!r}")
        if not isinstance(labels, dict):
            raise TypeError(f"labels must be a dict, not {type(labels).__name__}")
        for name, value in labels.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise TypeError(f"labels must be str: {name!r}, {value!r}")
            if not _NAME.fullmatch(name) or name in _TAKEN:
                raise ValueError(f"{name!r} cannot be the name of a label here")
        self._reclaimer = reclaimer
        self._prefix = prefix
        self._names = tuple(labels)
        self._values = tuple(labels.values())
        self._shrinkers = check_bool("shrinkers", shrinkers)
        self._files: _Files | None = None
        if values.ValueClass._multiprocess:
            self._files = _Files(prefix)
            _in_files.add(self)
            self._write()
            reclaimer._journal.watch(self._write)

    def describe(self) -> Iterator[Metric]:
        """Name the metrics; a registry checks that no other collector has them."""
        for metric in self._collect(None):
            metric.samples.clear()
            yield metric

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        yield from self._collect(self._reclaimer.statistics())

    def _write(self) -> None:
        """Write the figures to this process's files."""
        assert self._files is not None  # noqa: S101 - for mypy
        with _writing:
            self._files.write(self.collect())

    def _after_fork(self) -> None:
        """In the child, leave what was counted so far to the parent."""
        assert self._files is not None  # noqa: S101 - for mypy
        self._files.forget(self.collect())

    def _where(self, level: MemoryLevel) -> str:
        where = encodable(level.where)
        if self._files is None or not where.startswith("process"):
            return where
        return where.replace("process", f"process {os.getpid()}", 1)

    def _collect(self, seen: ReclaimerStatistics | None) -> Iterator[Metric]:
        for field, name, text in _COUNTERS:
            counter = self._counter(name, text)
            counter.add_metric(self._values, float(getattr(seen, field, 0)))
            yield counter
        reclaims = self._counter(
            "reclaims", "Reclaims, by the thread that made them.", "by"
        )
        if seen is not None:
            direct = seen.direct_reclaims
            reclaims.add_metric((*self._values, "background"), seen.reclaims - direct)
            reclaims.add_metric((*self._values, "insert"), direct)
        yield reclaims
        for field, name, text in _GAUGES:
            gauge = self._gauge(name, text)
            gauge.add_metric(self._values, float(getattr(seen, field, 0)))
            yield gauge
        yield from self._per_level(shown=seen is not None)
        is_open = self._gauge("breaker_open", "Whether reclaim stops for a while.")
        is_open.add_metric(self._values, seen is not None and seen.breaker != "closed")
        yield is_open
        running = self._gauge("reclaimer_running", "Whether its thread runs.")
        running.add_metric(self._values, self._reclaimer.running)
        yield running
        if self._shrinkers:
            yield from self._per_shrinker()

    def _per_level(self, *, shown: bool) -> Iterator[Metric]:
        levels = self._reclaimer._levels() if shown else ()
        for field, name, text in _PER_LEVEL:
            gauge = self._gauge(name, text, "level")
            for level, _ in levels:
                labels = (*self._values, self._where(level))
                gauge.add_metric(labels, getattr(level, field))
            yield gauge
        text = "Bytes that should stay free; mark is min, low or high."
        gauge = self._gauge("watermark_bytes", text, "level", "mark")
        for level, marks in levels:
            for mark in ("min", "low", "high"):
                labels = (*self._values, self._where(level), mark)
                gauge.add_metric(labels, getattr(marks, mark))
        yield gauge

    def _per_shrinker(self) -> Iterator[Metric]:
        sums: dict[str, collections.Counter[str]] = {}
        for registration in self._reclaimer.domain.shrinkers():
            seen = registration.statistics()
            totals = sums.setdefault(registration.name, collections.Counter())
            for field, _, _ in _PER_SHRINKER:
                totals[field] += getattr(seen, field)
        for field, name, text in _PER_SHRINKER:
            counter = self._counter(name, text, "shrinker")
            for shrinker, totals in sums.items():
                counter.add_metric((*self._values, encodable(shrinker)), totals[field])
            yield counter

    def _counter(self, name: str, text: str, *more: str) -> CounterMetricFamily:
        labels = (*self._names, *more)
        return CounterMetricFamily(f"{self._prefix}_{name}", text, labels=labels)

    def _gauge(self, name: str, text: str, *more: str) -> GaugeMetricFamily:
        labels = (*self._names, *more)
        return GaugeMetricFamily(f"{self._prefix}_{name}", text, labels=labels)


class _Files:
    """The metrics of one collector in the files of its process."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._metrics: dict[str, Counter | Gauge] = {}
        self._written: dict[tuple[str, ...], float] = {}

    def write(self, families: Iterable[Metric]) -> None:
        """Write what has changed since the last time."""
        for family in families:
            for sample in family.samples:
                labels = sample.labels
                metric = self._metrics.get(family.name)
                if metric is None:
                    metric = self._metrics[family.name] = self._made(family, labels)
                child = metric.labels(**labels) if labels else metric
                if isinstance(child, Gauge):
                    child.set(sample.value)
                else:
                    series = (family.name, *labels.values())
                    # The sum falls where a cache is closed; a counter must not.
                    child.inc(max(0.0, sample.value - self._written.get(series, 0.0)))
                    self._written[series] = sample.value

    def forget(self, families: Iterable[Metric]) -> None:
        """Treat the counters' present values as written."""
        for family in families:
            for sample in family.samples if family.type == "counter" else ():
                self._written[family.name, *sample.labels.values()] = sample.value

    def _made(self, family: Metric, labels: Iterable[str]) -> Counter | Gauge:
        text = family.documentation
        if family.type == "counter":
            return Counter(family.name, text, labels, registry=None)
        mode = _MODES.get(family.name.removeprefix(f"{self._prefix}_"), _MOST_RECENT)
        return Gauge(family.name, text, labels, registry=None, multiprocess_mode=mode)  # type: ignore[arg-type]


_in_files: weakref.WeakSet[ReclaimerCollector] = weakref.WeakSet()
_writing = threading.RLock()
_held = False


def _before_fork() -> None:
    global _held  # noqa: PLW0603 - of the one lock
    _held = _writing.acquire(timeout=_FORK_SECONDS)


def _after_fork_in_parent() -> None:
    if _held:
        _writing.release()


def _after_fork_in_child() -> None:
    global _writing  # noqa: PLW0603 - its owner may not exist here
    _writing = threading.RLock()
    for collector in list(_in_files):
        with contextlib.suppress(Exception):  # The child goes on in any case.
            collector._after_fork()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
