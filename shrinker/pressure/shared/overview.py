"""A table as a report: what each worker holds, has given, and is to give next."""

from __future__ import annotations

import collections
import dataclasses
import textwrap
from typing import TYPE_CHECKING

from shrinker._names import printable
from shrinker.pressure.shared.shares import MAX_BEAT_AGE_SECONDS, divide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shrinker.pressure.shared.table import Table

__all__ = ["Group", "WorkerRow", "describe", "overview"]

MIB = 1 << 20
_COLUMNS = 80


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker."""

    pid: int
    held: int
    """Bytes that its caches hold."""
    pages: int
    """Objects that they hold."""
    seeks: float
    """What an object costs to make anew."""
    share: float
    """Its part of the next shortage; 0 where it has not looked for long."""
    given: int
    """Bytes that it freed so far, also while it was alone."""
    shortages: int
    """Shortages that it took part in with others; a lone worker counts none."""
    last_shortage: int
    """The number of the last one."""
    last_freed: int
    """Bytes that it freed for that."""
    seconds_since_look: float | None
    """None where it has not looked yet."""


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """The workers under one limit."""

    limit: str
    """A label, such as ``cgroup v2 /app (memory.max)``."""
    path: str
    """The table's file; empty where it is private."""
    workers: tuple[WorkerRow, ...]


def overview(table: Table, now: float) -> Group:
    """Return the living workers of a table; raises as ``Table.read``."""
    members = table.members()
    looking = {
        owner: member
        for owner, member in members
        if now - member.beat <= MAX_BEAT_AGE_SECONDS
    }
    divided = divide([*looking.values()]) if looking else []
    shares = dict(zip(looking, divided, strict=True))
    rows = (
        WorkerRow(
            pid=owner.pid,
            held=int(member.held),
            pages=member.pages,
            seeks=round(member.seeks, 3),
            share=round(shares.get(owner, 0.0), 4),
            given=member.given,
            shortages=member.shortages,
            last_shortage=member.shortage.number,
            last_freed=member.freed,
            seconds_since_look=(
                round(max(0.0, now - member.beat), 3) if member.beat else None
            ),
        )
        for owner, member in members
    )
    path = "" if table.path is None else str(table.path)
    return Group(table.label, path, tuple(rows))


def describe(groups: Sequence[Group]) -> str:
    """Return a table for each group, aligned in columns.

    Groups whose limits have the same label, as in containers that see themselves as
    ``/``, are told apart by their files.  A sentence says why a process is in several.
    """
    texts = []
    labels = collections.Counter(group.limit for group in groups)
    for group in groups:
        rows = [("pid", "held MiB", "seeks", "share", "given MiB", "shortages", "look")]
        rows += (
            (
                str(row.pid),
                f"{row.held / MIB:.1f}",
                f"{row.seeks:g}",
                f"{row.share:.1%}",
                f"{row.given / MIB:.1f}",
                str(row.shortages),
                _ago(row.seconds_since_look),
            )
            for row in group.workers
        )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        several = labels[group.limit] > 1
        file = f" ({group.path or 'private'})" if several else ""
        lines = [printable(f"workers under {group.limit}{file}")]
        lines += ("  ".join(map(str.rjust, row, widths)) for row in rows)
        texts.append("\n".join(lines))
    often = collections.Counter(
        pid for group in groups for pid in {row.pid for row in group.workers}
    )
    if pids := [str(pid) for pid, times in sorted(often.items()) if times > 1]:
        texts.append(
            textwrap.fill(
                f"In several tables: {', '.join(pids)}. A process is in one for each"
                " limit that it is under, such as its container's and the machine's;"
                " held is the same memory in each. Who shares a shortage is in the"
                " table of the limit that is short.",
                _COLUMNS,
            )
        )
    return "\n\n".join(texts)


def _ago(seconds: float | None) -> str:
    return "none yet" if seconds is None else f"{seconds:.1f} s ago"
