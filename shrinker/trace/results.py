"""What a replay found, as values: of one shrinker, one file, all files."""

from __future__ import annotations

import dataclasses
from typing import Any

__all__ = ["FileReplay", "Problem", "Replay", "ReplayedShrinker", "SeeksFit"]

# seeks is converted to an unsigned 32-bit number.
MAX_SEEKS = (1 << 32) - 1
DEFAULT_SEEKS = 2

Interval = tuple[int | None, int | None]
"""The closed interval of values that fit; (None, None): nothing is said."""


@dataclasses.dataclass(frozen=True, slots=True)
class SeeksFit:
    """The values of ``seeks`` that explain every start of a shrinker.

    Divisors from ``lo`` to ``hi`` do (none where ``lo > hi``), and 0, which is
    another formula (delta is half of the cache), where ``zero`` is set.
    """

    lo: int = 1
    hi: int = MAX_SEEKS
    zero: bool = True

    def __and__(self, other: SeeksFit) -> SeeksFit:
        """Return what fits both."""
        return SeeksFit(
            max(self.lo, other.lo),
            min(self.hi, other.hi),
            self.zero and other.zero,
        )

    @property
    def interval(self) -> Interval:
        """One interval of this.

        Where 0 fits beside divisors that do not begin at 1, one of the two must
        be left out: the divisors are taken if they have the default, which most
        shrinkers use, else 0, because an odd divisor (8 looks like 0 at priority
        0, for one) is rarer than a cache that is cheap to recreate.
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
    """A shrinker of a recording: what its passes say about it."""

    scan_function: str
    pointer: int
    passes: int
    exact: int
    nodes: int
    """How many nodes its events name."""
    numa_aware: bool | None
    """Counters by node, or one set for all; None where both explain as much."""
    seeks: SeeksFit
    batch: Interval
    """Values that fit every pass; 1 to the largest that could have scanned."""
    batch_unstopped: Interval
    """The same, if no pass that scanned something was ended by SHRINK_STOP."""

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
    """Something that is not as it should be, and where."""

    file: str
    line: int | None
    """From 1; None where the whole file is meant."""
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return an object for ``shrinker replay --json``."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True)
class _Counts:
    """Counts that can be added up over files."""

    passes: int = 0
    exact: int = 0
    inexact: int = 0
    arithmetic_exact: int = 0
    """Passes whose delta and total_scan are what the core computes."""
    overlaps: int = 0
    adopted: int = 0
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
    """Problems that were counted above but are not in ``problems``."""


@dataclasses.dataclass(frozen=True, slots=True)
class FileReplay(_Counts):
    """One recording, replayed."""

    file: str = ""
    seconds: float = 0.0
    error: str | None = None
    """Why it could not be read, or not to its end."""
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
            **_counts(self),
            "first_unknown_line": self.first_unknown_line,
            "events_per_second": _rate(self.events, self.seconds),
            "inexact_reasons": self.inexact_reasons,
            "shrinkers": [shrinker.to_json() for shrinker in self.shrinkers],
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Replay:
    """All recordings of a run: each by itself, and added up."""

    files: tuple[FileReplay, ...]

    @property
    def ok(self) -> bool:
        """Whether every file was read to its end and had events."""
        return bool(self.files) and not any(file.error for file in self.files)

    @property
    def flawless(self) -> bool:
        """Whether, besides, every pass is complete and exact, and nothing is lost."""
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
        """The sum over the files, with no name.

        Shrinkers of one name and pointer are one: their intervals are cut with
        each other.
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
        del merged["file"], merged["error"], merged["first_unknown_line"]
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


def _cut(a: Interval, b: Interval) -> Interval:
    """Return what two intervals share; nothing is said where they contradict."""
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
            batch=_cut(old.batch, new.batch),
            batch_unstopped=_cut(old.batch_unstopped, new.batch_unstopped),
        )
    return tuple(merged.values())
