"""One recording of a report: its replay, its passes as columns, its names."""

from __future__ import annotations

import collections
import dataclasses
import functools
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from shrinker.replay.passes import replay_each
from shrinker.report.columns import Collector
from shrinker.report.walks import Walks, walks_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from shrinker.replay import FileReplay, ReplayedShrinker
    from shrinker.report.columns import Array

__all__ = ["Recording", "read_recordings"]

_OFFSET = re.compile(r"\+0x[0-9a-f]+(/0x[0-9a-f]+)?")


@dataclasses.dataclass(frozen=True)
class Recording:
    """The passes of a recording.

    Invariant: the columns ``shrinker`` and ``caller`` of ``passes`` are places in
    ``shrinkers`` and ``callers``.
    """

    replay: FileReplay
    """What the core says of it: the era, exact passes, seeks and batches that fit."""
    passes: Array
    """A structured array, in the order of the starts; docs/report.md has the fields."""
    shrinkers: tuple[str, ...]
    callers: tuple[str, ...]
    keys: tuple[tuple[str, int], ...] = ()
    """Scan function and pointer of each shrinker, as ``replay.shrinkers`` has them."""
    rows: dict[tuple[str, ...], Any] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """What ``rows_of`` has computed so far."""

    @property
    def name(self) -> str:
        """The file, and the member where it is in an archive."""
        return self.replay.file

    def seeks(self, number: int, default: int) -> int:
        """Return a value of seeks that fits a shrinker: ``default`` where that does."""
        fit = self._fit(number)
        low, high = (None, None) if fit is None else fit.seeks.interval
        if low is None or high is None:
            return default
        return min(max(default, low), high)

    def batch(self, number: int, default: int) -> int:
        """Return a batch that fits a shrinker: ``default`` where that does."""
        fit = self._fit(number)
        if fit is None:
            return default
        # The tighter interval assumes that the callback stopped no pass.
        known = fit.batch if fit.batch_unstopped[0] is None else fit.batch_unstopped
        low, high = known
        if low is None or high is None or low <= default <= high:
            return default
        # What was scanned is a multiple of it.
        return high

    def _fit(self, number: int) -> ReplayedShrinker | None:
        key = self.keys[number]
        for shrinker in self.replay.shrinkers:
            if (shrinker.scan_function, shrinker.pointer) == key:
                return shrinker
        return None

    @functools.cached_property
    def by_shrinker(self) -> dict[str, Array]:
        """The passes of each shrinker, in the order of their starts."""
        order = np.argsort(self.passes["shrinker"], kind="stable")
        grouped = self.passes[order]
        ends = np.searchsorted(
            grouped["shrinker"], np.arange(len(self.shrinkers)), side="right"
        )
        parts = zip(self.shrinkers, np.split(grouped, ends), strict=False)
        return {name: part for name, part in parts if len(part)}

    @functools.cached_property
    def walks(self) -> Walks:
        """Which passes belong to one walk over memory cgroups."""
        return walks_of(self.passes, self.callers)

    @functools.cached_property
    def begin_ns(self) -> int:
        """When the first pass began, on the clock of the recording; 0 without times."""
        return self._span[0]

    @functools.cached_property
    def wall_ns(self) -> int:
        """Nanoseconds from the first start to the last end; 0 where no line has one."""
        begin, end = self._span
        return max(end - begin, 0)

    @functools.cached_property
    def _span(self) -> tuple[int, int]:
        timed = self.passes[self.passes["timed"]]
        if not len(timed):
            return 0, 0
        return int(timed["start_ns"].min()), int(timed["end_ns"].max())


def read_recordings(
    file: str | os.PathLike[str],
    progress: Callable[[str, int], None] | None = None,
    era: str | None = None,
) -> Iterator[Recording]:
    """Yield the recordings of an archive, or the one that a file is."""
    collectors: list[Collector] = []

    def new_tap() -> Callable[[Any, Any], None]:
        collectors[:] = [Collector()]
        return collectors[0]

    for replay in replay_each(file, progress, era, new_tap):
        (collector,) = collectors
        passes, callers = collector.passes()
        keys = tuple(collector.shrinkers.values())
        yield Recording(replay, passes, _labels(keys), tuple(callers), keys)


def _labels(keys: tuple[tuple[str, int], ...]) -> tuple[str, ...]:
    """Return names without offsets; with the pointer where several have one name."""
    names = [_OFFSET.sub("", name) for name, _ in keys]
    often = collections.Counter(names)
    return tuple(
        f"{name} {pointer:x}" if often[name] > 1 else name
        for name, (_, pointer) in zip(names, keys, strict=True)
    )
