"""What a domain knows of its registered shrinkers, and how it shows them.

``registration.py`` stands above ``domain.py``.  A domain finds registrations in a
table of live objects, and knows them by the interface that is described here.
"""

# ruff: noqa: D102 - ShrinkerRegistration documents its members

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Protocol

from shrinker._names import printable, shortened
from shrinker.errors import CallbackErrors, ShrinkerError
from shrinker.values import ShrinkerFlags

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shrinker.domain import Domain
    from shrinker.memcg import Memcg

__all__ = [
    "LearnsCost",
    "Registered",
    "count_everywhere",
    "debugfs",
    "report",
    "warn_of_stalls",
]


_DIRECTORY_BYTES = 127
"""Length of a directory's name, the number included."""
_NAME_COLUMNS = 64
"""What a report shows of a name, at most."""
_LEARNED = 6
"""The column of a report that is text."""


class Figures(Protocol):
    """The part of ``ShrinkerStatistics`` that a report shows."""

    @property
    def passes(self) -> int: ...
    @property
    def scan_calls(self) -> int: ...
    @property
    def scanned(self) -> int: ...
    @property
    def freed(self) -> int: ...
    @property
    def stalled(self) -> int: ...


class LearnsCost:
    """What keeps a cache's callbacks alive, where the cache may learn its seeks.

    A report finds it as the ``_keepalive`` of a registration.
    """

    def learned_cost(self) -> str | None:
        """Return the time to compute a counted object; None if none was measured."""
        raise NotImplementedError


class Registered(Protocol):
    """A registered shrinker: every one is a ``ShrinkerRegistration``."""

    @property
    def private_data(self) -> Any: ...
    @property
    def domain(self) -> Domain: ...
    @property
    def name(self) -> str: ...
    @property
    def debugfs_id(self) -> int: ...
    @property
    def seeks(self) -> int: ...
    @property
    def batch(self) -> int: ...
    @property
    def flags(self) -> ShrinkerFlags: ...
    @property
    def id(self) -> int | None: ...
    @property
    def closed(self) -> bool: ...

    _order: int

    def count(self, nid: int = 0, memcg: Memcg | None = None) -> int: ...
    def scan(
        self, nr_to_scan: int, nid: int = 0, memcg: Memcg | None = None
    ) -> int: ...
    def nr_deferred(self, nid: int = 0, memcg: Memcg | None = None) -> int: ...
    def statistics(self) -> Figures: ...
    def rename(self, name: str) -> None: ...
    def close(self) -> None: ...
    def _first_stall(self) -> bool: ...
    def _count_everywhere(self) -> int: ...
    @property
    def _keepalive(self) -> object: ...


def debugfs(shrinkers: Iterable[Registered]) -> dict[str, str]:
    """Return the text of each shrinker's ``count`` file by directory name.

    Leaves out shrinkers that are closed meanwhile, and those whose directory, cut at
    127 bytes, has the name of another.  Raises ``CallbackErrors``
    where a count callback raised.
    """
    texts: dict[str, str] = {}
    for shrinker in shrinkers:
        try:
            text = _count_file(shrinker)
        except ShrinkerError:
            if shrinker.closed:
                continue
            raise
        texts.setdefault(_directory(shrinker), text)
    return texts


def report(shrinkers: Iterable[Registered]) -> str:
    """Return a table with a line for each shrinker, aligned in columns.

    A name is shown with escapes for what cannot be printed, and cut in the middle.

    A shrinker whose count callback raises shows ``?`` for its objects and its
    deferred work; one that is closed meanwhile is left out.  The last column,
    ``learned``, shows the seeks that caches have learned.  Where none has, there is no
    such column.
    """
    header = "shrinker", "objects", "deferred", "passes", "scanned", "freed", "learned"
    rows: list[tuple[str, ...]] = [header]
    for shrinker in shrinkers:
        try:
            objects = str(count_everywhere(shrinker))
            deferred = str(_deferred_everywhere(shrinker))
        except CallbackErrors:
            objects = deferred = "?"
        except ShrinkerError:
            continue
        seen = shrinker.statistics()
        kept = shrinker._keepalive
        cost = kept.learned_cost() if isinstance(kept, LearnsCost) else None
        rows.append(
            (
                shortened(printable(shrinker.name), _NAME_COLUMNS),
                objects,
                deferred,
                str(seen.passes),
                str(seen.scanned),
                str(seen.freed),
                "" if cost is None else f"seeks {shrinker.seeks}: {cost}",
            )
        )
    if not any(row[-1] for row in rows[1:]):
        rows = [row[:-1] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 0 < i < _LEARNED else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def warn_of_stalls(shrinkers: Iterable[Registered], result: object) -> None:
    """Warn once of each shrinker of which a pass was stalled.

    Where warnings are errors, raises the first one; a note on it says what the
    walk returned.
    """
    raised: RuntimeWarning | None = None
    for shrinker in shrinkers:
        if not shrinker._first_stall():
            continue
        try:
            warnings.warn(
                f"shrinker {shrinker.name!r} made no progress: a pass was ended by"
                " the domain's stall limit",
                RuntimeWarning,
                # This function, Domain._walked(), Domain.shrink_slab(), its caller.
                stacklevel=4,
            )
        except RuntimeWarning as error:
            raised = raised or error
    if raised is not None:
        raised.add_note(f"result of the walk: {result!r}")
        raise raised


def _directory(shrinker: Registered) -> str:
    """Return the name of the shrinker's directory, cut as the kernel cuts it."""
    whole = f"{shrinker.name}-{shrinker.debugfs_id}".encode(errors="surrogateescape")
    return whole[:_DIRECTORY_BYTES].decode(errors="surrogateescape")


def _count_file(shrinker: Registered) -> str:
    lines = []
    for memcg in _memcgs(shrinker):
        counts = _counts(shrinker, memcg)
        if any(counts):
            root = shrinker.domain.root
            number = 0 if root is None else root.id if memcg is None else memcg.id
            lines.append(" ".join(map(str, (number, *counts))) + "\n")
    return "".join(lines)


def count_everywhere(shrinker: Registered) -> int:
    """Return the counts of all nodes and all online memory cgroups together."""
    return sum(sum(_counts(shrinker, memcg)) for memcg in _memcgs(shrinker))


def _deferred_everywhere(shrinker: Registered) -> int:
    aware = shrinker.flags & ShrinkerFlags.NUMA_AWARE
    nodes = range(shrinker.domain.nr_nodes if aware else 1)
    return sum(
        shrinker.nr_deferred(nid, memcg) for memcg in _memcgs(shrinker) for nid in nodes
    )


def _memcgs(shrinker: Registered) -> tuple[Memcg | None, ...]:
    """Return the groups in which the shrinker has objects and counters of its own."""
    if shrinker.flags & ShrinkerFlags.MEMCG_AWARE:
        return tuple(m for m in shrinker.domain.memcgs() if m.online)
    return (None,)


def _counts(shrinker: Registered, memcg: Memcg | None) -> list[int]:
    """Return the count of each node; an empty list where the group went offline."""
    try:
        return [shrinker.count(nid, memcg) for nid in range(shrinker.domain.nr_nodes)]
    except ShrinkerError:
        if memcg is None or memcg.online or shrinker.closed:
            raise
        return []
