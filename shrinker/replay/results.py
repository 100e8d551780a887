"""Results of a replay: of one shrinker, of one file, and of all files."""

from __future__ import annotations

import dataclasses
from typing import Any

from shrinker.values import DEFAULT_SEEKS

__all__ = ["FileReplay", "Problem", "Replay", "ReplayedShrinker", "SeeksFit"]

# The kernel divides by seeks as an unsigned 32-bit number.
MAX_SEEKS = (1 << 32) - 1

Interval = tuple[int | None, int | None]
"""A closed interval of values that fit; (None, None) where any value may."""


@dataclasses.dataclass(frozen=True, slots=True)
class SeeksFit:
    """The values of ``seeks`` that give the delta of every start of a shrinker.

    These are the divisors from ``lo`` to ``hi`` (none where ``lo > hi``), and 0 where
    ``zero`` is true: 0 has a formula of its own, delta is half of the cache.
    """

    lo: int = 1
    hi: int = MAX_SEEKS
    zero: bool = True

    def __and__(self, other: SeeksFit) -> SeeksFit:
        """Return the values that fit both."""
        return SeeksFit(
            max(self.lo, other.lo),
            min(self.hi, other.hi),
            self.zero and other.zero,
        )

    @property
    def interval(self) -> Interval:
        """Return one interval of values that fit.

        Where 0 fits and the divisors do not begin at 1, one interval cannot hold
        both.  The divisors are returned where they include the default, which most
        shrinkers use; otherwise 0, because a cache that is cheap to recreate is more
        common than an odd divisor.  (8, for example, gives what 0 gives at priority
        0.)
        """
        if self.lo > self.hi:
            return (0, 0) if self.zero else (None, None)
        if not self.zero:
            return self.lo, self.hi
        if self.lo > 1:
            return (self.lo, self.hi) if self.lo <= DEFAULT_SEEKS <= self.hi else (0, 0)
        return (None, None) if self.hi == MAX_SEEKS else (0, self.hi)


@dataclasses.dataclass(frozen=True, slots=True)
class ReplayedShrinker:
    """A shrinker of a recording, and what its passes say about it."""

    scan_function: str
    pointer: int
    passes: int
    exact: int
    nodes: int
    """Number of nodes that its events name."""
    numa_aware: bool | None
    """Whether it has deferred counters for each node, or one set for all nodes; None
    where both explain the recording equally well."""
    seeks: SeeksFit
    batch: Interval
    """Batch sizes that allow what every pass scanned: 1 to the largest of these."""
    batch_unstopped: Interval
    """The same, provided that SHRINK_STOP ended no pass that had scanned something."""

    def to_json(self) -> dict[str, Any]:
        """Return an object for ``shrinker replay --json``."""
        return {
            "scan_function": self.scan_function,
            "pointer": f"{self.pointer:016x}",
            "passes": self.passes,
            "exact": self.exact,
            "nodes": self.nodes,
            "numa_aware": self.numa_aware,
            "seeks": list(self.seeks.interval),
            "seeks_zero_fits": self.seeks.zero,
            "batch": list(self.batch),
            "batch_unstopped": list(self.batch_unstopped),
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """A fault in a file, and where it is."""

    file: str
    line: int | None
    """From 1; None where it concerns the whole file."""
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return an object for ``shrinker replay --json``."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True)
class _Counts:
    """Counts of a file, which can be added up over files."""

    passes: int = 0
    exact: int = 0
    inexact: int = 0
    arithmetic_exact: int = 0
    """Passes whose delta and total_scan are what the core computes."""
    overlaps: int = 0
    adopted: int = 0
    reordered: int = 0
    """Exact passes whose lines stand in another order than their counter changed."""
    merged: int = 0
    """Exact passes whose counter had those of removed cgroups added to it."""
    orphan_starts: int = 0
    orphan_ends: int = 0
    other_events: int = 0
    malformed_lines: int = 0
    unknown_lines: int = 0
    lost_events: int = 0
    untracked_events: int = 0
    events: int = 0
    """Starts and ends that could be read."""
    problems_omitted: int = 0
    """Problems that are counted above but are not in ``problems``."""


@dataclasses.dataclass(frozen=True, slots=True)
class FileReplay(_Counts):
    """One recording, replayed."""

    file: str = ""
    seconds: float = 0.0
    error: str | None = None
    """Why it could not be read to its end, or holds no pass with start and end."""
    era: str | None = None
    """A, B or C: the era whose formula its passes fit, or that was forced; None where
    those of several eras fit equally well, or none does."""
    kernels: str | None = None
    """The kernel versions whose formula fits the passes, in words."""
    first_unknown_line: int | None = None
    """From 1; None where ``unknown_lines`` is 0."""
    inexact_reasons: dict[str, int] = dataclasses.field(default_factory=dict)
    shrinkers: tuple[ReplayedShrinker, ...] = ()
    problems: tuple[Problem, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return an object for ``shrinker replay --json``."""
        return {
            "file": self.file,
            "error": self.error,
            "era": self.era,
            "kernels": self.kernels,
            **_counts(self),
            "first_unknown_line": self.first_unknown_line,
            "events_per_second": _rate(self.events, self.seconds),
            "inexact_reasons": self.inexact_reasons,
            "shrinkers": [shrinker.to_json() for shrinker in self.shrinkers],
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Replay:
    """Recordings that were replayed: each by itself, and added up."""

    files: tuple[FileReplay, ...]

    @property
    def ok(self) -> bool:
        """Whether every file was read to its end and holds passes."""
        return bool(self.files) and not any(file.error for file in self.files)

    @property
    def flawless(self) -> bool:
        """Whether also every pass is complete and exact, and no event is lost."""
        total = self.total
        return self.ok and not (
            total.inexact
            or total.malformed_lines
            or total.orphan_starts
            or total.orphan_ends
            or total.lost_events
            or total.untracked_events
        )

    @property
    def total(self) -> FileReplay:
        """Return the sum over the files; its ``file`` is empty.

        Shrinkers with the same scan function and pointer are taken as one, with the
        values that fit in all files.
        """
        counts = {
            field.name: sum(getattr(file, field.name) for file in self.files)
            for field in dataclasses.fields(_Counts)
        }
        reasons: dict[str, int] = {}
        for file in self.files:
            for reason, count in file.inexact_reasons.items():
                reasons[reason] = reasons.get(reason, 0) + count
        return FileReplay(
            **counts,
            seconds=sum(file.seconds for file in self.files),
            inexact_reasons=reasons,
            shrinkers=_merge(self.files),
            problems=tuple(p for file in self.files for p in file.problems),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``shrinker replay --json`` prints."""
        total = self.total
        merged = total.to_json()
        for name in ("file", "error", "era", "kernels", "first_unknown_line"):
            del merged[name]
        return {
            **merged,
            "files": [file.to_json() for file in self.files],
            "problems": [problem.to_json() for problem in total.problems],
        }


def _counts(result: _Counts) -> dict[str, int]:
    return {
        field.name: getattr(result, field.name) for field in dataclasses.fields(_Counts)
    }


def _rate(events: int, seconds: float) -> float:
    return events / seconds if seconds else 0.0


def _intersection(a: Interval, b: Interval) -> Interval:
    """Return what two intervals share; (None, None) where they share nothing."""
    lows = [low for low, _ in (a, b) if low is not None]
    highs = [high for _, high in (a, b) if high is not None]
    if not lows or not highs or max(lows) > min(highs):
        return None, None
    return max(lows), min(highs)


def _merge(files: tuple[FileReplay, ...]) -> tuple[ReplayedShrinker, ...]:
    merged: dict[tuple[str, int], ReplayedShrinker] = {}
    for new in (shrinker for file in files for shrinker in file.shrinkers):
        key = new.scan_function, new.pointer
        old = merged.get(key)
        if old is None:
            merged[key] = new
            continue
        merged[key] = dataclasses.replace(
            old,
            passes=old.passes + new.passes,
            exact=old.exact + new.exact,
            nodes=max(old.nodes, new.nodes),
            numa_aware=old.numa_aware
            if new.numa_aware in (None, old.numa_aware)
            else new.numa_aware
            if old.numa_aware is None
            else None,
            seeks=old.seeks & new.seeks,
            batch=_intersection(old.batch, new.batch),
            batch_unstopped=_intersection(old.batch_unstopped, new.batch_unstopped),
        )
    return tuple(merged.values())
