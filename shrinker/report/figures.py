"""Rows of figures: passes grouped by shrinker, node, memory cgroup and caller."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shrinker.report.columns import Array
    from shrinker.report.recording import Recording

__all__ = ["GROUPS", "Row", "quantiles", "rows_of"]

GROUPS = ("shrinker", "node", "memcg", "caller")
"""What passes can be grouped by."""
# A sum of so many bits could wrap.
_SAFE_BITS = 62


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """Figures of a group of passes of one recording.

    What the passes are not grouped by is None.  Times are nanoseconds on the clock of
    the recording, from a pass's start event to its end event, so with what interrupted
    it; None where its lines have no time.  Quantiles are nearest ranks.
    """

    recording: str
    shrinker: str | None = None
    """The scan function; with the pointer where another shrinker has it, too."""
    node: int | None = None
    memcg: int | None = None
    """The memory cgroup's id, as newer kernels record it; 0 is not recorded."""
    caller: str | None = None
    """``kswapd``, ``drop_caches``, or ``direct:``, a blank and the task's name."""
    passes: int = 0
    idle_passes: int = 0
    """Passes that scanned nothing."""
    fruitless_passes: int = 0
    """Passes that scanned and freed nothing."""
    count: int = 0
    """Objects counted, the median of the passes."""
    count_max: int = 0
    asked: int = 0
    """Objects to scan (``total_scan``), with deferred work; summed."""
    scanned: int = 0
    freed: int = 0
    last_freed_line: int | None = None
    """Line of the end event of the last pass that freed something."""
    last_freed_ns: int | None = None
    """When that was, since the first pass of the recording began."""
    deferred: int = 0
    """The deferred counter that the last pass left, objects."""
    deferred_max: int = 0
    time_ns: int | None = None
    wall_share: float | None = None
    """``time_ns`` in the recording's length; above 1 where several tasks reclaim."""
    p50_ns: int | None = None
    p99_ns: int | None = None
    longest_ns: int | None = None
    longest_lines: tuple[int, int] | None = None
    """Lines of the start and the end event of the longest pass."""
    priorities: dict[int, int] = dataclasses.field(default_factory=dict)
    """Passes by priority; empty where the kernel prints none (era A)."""

    @property
    def freed_per_scanned(self) -> float | None:
        """Objects freed for each one scanned; None where none was scanned.

        More than 1 where a callback frees more than it says that it has scanned.
        """
        return self.freed / self.scanned if self.scanned > 0 else None

    def to_json(self) -> dict[str, Any]:
        """Return an object for ``shrinker report --json``."""
        values = dataclasses.asdict(self)
        lines = values["longest_lines"]
        values["longest_lines"] = None if lines is None else list(lines)
        values["freed_per_scanned"] = self.freed_per_scanned
        values["priorities"] = {str(p): n for p, n in self.priorities.items()}
        return {
            name: value
            for name, value in values.items()
            if value is not None or name not in GROUPS
        }


def rows_of(recording: Recording, by: Sequence[str]) -> tuple[Row, ...]:
    """Return a row for each group of passes, those with most time inside first.

    ``by`` names columns of GROUPS; without any, there is one row.  Raises ValueError
    for another name.
    """
    if unknown := set(by) - set(GROUPS):
        raise ValueError(
            f"passes are grouped by {', '.join(GROUPS)}; got {unknown.pop()!r}"
        )
    by = tuple(by)
    if by not in recording.rows:
        recording.rows[by] = _rows_of(recording, by)
    rows: tuple[Row, ...] = recording.rows[by]
    return rows


def _rows_of(recording: Recording, by: Sequence[str]) -> tuple[Row, ...]:
    passes = recording.passes
    if not len(passes):
        return ()
    group = _groups(passes, by)
    order = np.argsort(group, kind="stable")
    rows = [
        _row(recording, by, members)
        for members in np.split(passes[order], _borders(group[order]))
    ]
    rows.sort(key=lambda row: (row.time_ns or 0, row.passes), reverse=True)
    return tuple(rows)


def _groups(passes: Array, by: Sequence[str]) -> Array:
    group = np.zeros(len(passes), "i8")
    for name in by:
        part = passes[name]
        if name == "memcg":
            # Ids are inode numbers; the others are small numbers from 0.
            _, part = np.unique(part, return_inverse=True)
        if not group.any():
            group = part.astype("i8")
            continue
        _, group = np.unique(group * (int(part.max()) + 1) + part, return_inverse=True)
    return group


def _borders(sorted_values: Array) -> Array:
    return np.flatnonzero(np.diff(sorted_values)) + 1


def _row(recording: Recording, by: Sequence[str], members: Array) -> Row:
    first, last = members[0], members[-1]
    nothing = members["scanned"] == 0
    freed = members["freed"] > 0
    last_freed = members[freed][-1] if freed.any() else None
    priorities = np.bincount(members["priority"][members["priority"] >= 0])
    return Row(
        recording=recording.name,
        shrinker=recording.shrinkers[first["shrinker"]] if "shrinker" in by else None,
        node=int(first["node"]) if "node" in by else None,
        memcg=int(first["memcg"]) if "memcg" in by else None,
        caller=recording.callers[first["caller"]] if "caller" in by else None,
        passes=len(members),
        idle_passes=int(nothing.sum()),
        fruitless_passes=int((~nothing & ~freed).sum()),
        count=_middle(members["count"]),
        count_max=int(members["count"].max()),
        asked=_sum(members["asked"]),
        scanned=_sum(members["scanned"]),
        freed=_sum(members["freed"]),
        last_freed_line=None if last_freed is None else int(last_freed["end_line"]),
        last_freed_ns=None
        if last_freed is None or not last_freed["timed"]
        else int(last_freed["end_ns"]) - recording.begin_ns,
        deferred=int(last["deferred"]),
        deferred_max=int(members["deferred"].max()),
        **_times(recording, members[members["timed"]]),
        priorities={
            priority: passes
            for priority, passes in enumerate(priorities.tolist())
            if passes
        },
    )


def _times(recording: Recording, members: Array) -> dict[str, Any]:
    if not len(members):
        return {}
    took = np.maximum(members["end_ns"] - members["start_ns"], 0)
    longest = members[took.argmax()]
    total = int(took.sum())
    wall = recording.wall_ns
    p50, p99 = quantiles(took, (0.5, 0.99))
    return {
        "time_ns": total,
        "wall_share": total / wall if wall else None,
        "p50_ns": p50,
        "p99_ns": p99,
        "longest_ns": int(took.max()),
        "longest_lines": (int(longest["start_line"]), int(longest["end_line"])),
    }


def quantiles(values: Array, shares: Sequence[float]) -> list[int]:
    """Return the nearest ranks: the least value that so many are not above."""
    ranks = [max(int(np.ceil(share * len(values))) - 1, 0) for share in shares]
    parted = np.partition(values, sorted(set(ranks)))
    return [int(parted[rank]) for rank in ranks]


def _middle(values: Array) -> int:
    return quantiles(values, (0.5,))[0]


def _sum(values: Array) -> int:
    # Absurd counts, near 2**62, would wrap.
    most = max(abs(int(values.max())), abs(int(values.min())))
    if most.bit_length() + len(values).bit_length() > _SAFE_BITS:
        return sum(values.tolist())
    return int(values.sum())
