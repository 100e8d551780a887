"""Cache sizes, seeks and priorities of a recorded trace, as walks to repeat.

A trace tells of passes, not of walks: a walk is taken to be the start events of
one task, as long as the priority stays and no shrinker comes a second time.  A
shrinker that is not among them counted 0, for which there is no event.
"""

from __future__ import annotations

import contextlib
import dataclasses
from importlib import resources
from typing import TYPE_CHECKING

from shrinker.errors import ShrinkerError
from shrinker.events import ShrinkSlabStart
from shrinker.replay import READ_ERRORS, TraceReader, bundled_recording, replay_file
from shrinker.values import DEFAULT_SEEKS, SHRINK_MAX_PRIORITY

if TYPE_CHECKING:
    from pathlib import Path

    from shrinker.replay import SeeksFit

__all__ = ["Workload", "WorkloadShrinker", "load_recording"]

_ULONG_MAX = 2**64 - 1


@dataclasses.dataclass(frozen=True, slots=True)
class WorkloadShrinker:
    """A shrinker of a workload."""

    seeks: int
    counts: tuple[int, ...]
    """Objects that it counts, walk by walk, over and over; 0 where it took no part."""
    batch: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Workload:
    """Some walks, whatever kind of callbacks they call: what these say."""

    shrinkers: tuple[WorkloadShrinker, ...]
    priorities: tuple[int, ...]
    """One for each walk."""

    @property
    def passes(self) -> int:
        """Passes that get past the count, in all walks."""
        return sum(count != 0 for one in self.shrinkers for count in one.counts)


def load_recording(path: str | None = None) -> Workload:
    """Return the walks of a trace; of the one that comes with the package for None.

    Raises ``ShrinkerError`` where it cannot be read or has no pass in it.
    """
    bundled = resources.as_file(bundled_recording())
    with bundled if path is None else contextlib.nullcontext(path) as file:
        try:
            priorities, counts = _walks(file)
        except READ_ERRORS as exc:
            raise ShrinkerError(f"{file}: {exc}") from exc
        if not priorities:
            raise ShrinkerError(f"{file}: no pass of a shrinker in it")
        fits = {
            (found.scan_function, found.pointer): found.seeks
            for found in replay_file(file).shrinkers
        }
    shrinkers = tuple(
        WorkloadShrinker(_seeks(fits.get(key)), tuple(column))
        for key, column in counts.items()
    )
    return Workload(shrinkers, tuple(priorities))


def _walks(file: str | Path) -> tuple[list[int], dict[tuple[str, int], list[int]]]:
    """Return the priority of each walk, and the counts of each shrinker."""
    walks: list[tuple[int, dict[tuple[str, int], int]]] = []
    under_way: dict[int | None, tuple[int, dict[tuple[str, int], int]]] = {}
    keys: dict[tuple[str, int], None] = {}
    for record in TraceReader(file):
        event = record.event
        if not isinstance(event, ShrinkSlabStart):
            continue
        if not 0 <= event.priority <= SHRINK_MAX_PRIORITY:
            continue
        key = event.scan_function, event.pointer
        keys[key] = None
        walk = under_way.get(record.pid)
        if walk is None or walk[0] != event.priority or key in walk[1]:
            walk = event.priority, {}
            under_way[record.pid] = walk
            walks.append(walk)
        walk[1][key] = event.freeable & _ULONG_MAX
    return (
        [priority for priority, _ in walks],
        {key: [counts.get(key, 0) for _, counts in walks] for key in keys},
    )


def _seeks(fit: SeeksFit | None) -> int:
    """Return the default where it explains the events, else what does."""
    if fit is None or fit.lo <= DEFAULT_SEEKS <= fit.hi:
        return DEFAULT_SEEKS
    if fit.lo <= fit.hi and not fit.zero:
        return min(fit.lo, 2**31 - 1)
    return 0
