"""A collector that shows a reclaimer to Prometheus.

Needs prometheus_client (``pip install 'shrinker[prometheus]'``)::

    from prometheus_client import REGISTRY

    REGISTRY.register(ReclaimerCollector(reclaimer))

Figures are read when they are scraped; no callback of a cache is called for it, and
nothing is counted twice.
"""

from __future__ import annotations

import collections
import re
from typing import TYPE_CHECKING

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
except ImportError as error:
    raise ImportError(
        "shrinker.pressure.prometheus needs prometheus_client:"
        " pip install 'shrinker[prometheus]'"
    ) from error

from shrinker.pressure.reclaimer import Reclaimer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from shrinker.pressure.verdicts import ReclaimerStatistics

__all__ = ["ReclaimerCollector"]

# Field of the statistics, name without prefix, help.
_COUNTERS = (
    ("looks", "looks", "Times that memory was looked at."),
    ("events", "pressure_events", "Events that the pressure source had."),
    ("freed", "freed_objects", "Objects that caches freed; pages where weighed."),
    ("given_back", "given_back_bytes", "Bytes by which RSS fell in reclaims."),
    ("fruitless", "fruitless_reclaims", "Reclaims that freed nothing."),
    ("trims", "trims", "Times that the allocator was asked to give memory back."),
    (
        "breaker_opened",
        "breaker_opened",
        "Times that reclaim was given up for a while.",
    ),
    ("callback_errors", "callback_errors", "Callbacks that raised in reclaims."),
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


_NAME = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")
_TAKEN = ("by", "level", "mark", "shrinker")


class ReclaimerCollector:
    """Shows a reclaimer's ``statistics()``; register it with a registry.

    All names begin with ``prefix``, all series have ``labels``.  ``shrinkers`` adds
    what was scanned and freed for each name of a shrinker that is registered now; for
    thousands of caches that is thousands of series.  How many objects caches hold is
    not shown: it would call them.

    A registry takes each name once, whatever the labels: for several reclaimers in one
    registry give each a ``prefix`` of its own.
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
        self._shrinkers = shrinkers

    def describe(self) -> Iterator[Metric]:
        """Name the metrics; a registry checks that nobody else has them."""
        for metric in self._collect(None):
            metric.samples.clear()
            yield metric

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        yield from self._collect(self._reclaimer.statistics())

    def _collect(self, seen: ReclaimerStatistics | None) -> Iterator[Metric]:
        for field, name, text in _COUNTERS:
            counter = self._counter(name, text)
            counter.add_metric(self._values, float(getattr(seen, field, 0)))
            yield counter
        reclaims = self._counter("reclaims", "Reclaims, by who made them.", "by")
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
        is_open = self._gauge(
            "breaker_open", "Whether reclaim is given up for a while."
        )
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
                gauge.add_metric((*self._values, level.where), getattr(level, field))
            yield gauge
        text = "Bytes that should stay free; mark is min, low or high."
        gauge = self._gauge("watermark_bytes", text, "level", "mark")
        for level, marks in levels:
            for mark in ("min", "low", "high"):
                labels = (*self._values, level.where, mark)
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
                counter.add_metric((*self._values, shrinker), totals[field])
            yield counter

    def _counter(self, name: str, text: str, *more: str) -> CounterMetricFamily:
        labels = (*self._names, *more)
        return CounterMetricFamily(f"{self._prefix}_{name}", text, labels=labels)

    def _gauge(self, name: str, text: str, *more: str) -> GaugeMetricFamily:
        labels = (*self._names, *more)
        return GaugeMetricFamily(f"{self._prefix}_{name}", text, labels=labels)
