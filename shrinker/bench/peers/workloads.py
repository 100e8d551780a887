"""The caches that every peer calls, and how a row is set up and run.

What is timed never waits, so it is timed by the thread's own clock, which stands
while another program has the processor.
"""

from __future__ import annotations

from time import thread_time
from typing import TYPE_CHECKING, Any

from shrinker.bench.peers.points import ROWS, SCANS, SHRINKERS, Results
from shrinker.bench.peers.ways import Attached
from shrinker.values import CountObjects, ScanObjects

if TYPE_CHECKING:
    from pathlib import Path

    from shrinker.bench.peers.points import PeerRow
    from shrinker.bench.scenario import Run

__all__ = ["PeersScenario", "cache"]


class _Objects:
    """A cache of constant size, which says what it did in full."""

    __slots__ = ("objects",)

    def __init__(self, objects: int) -> None:
        self.objects = objects

    def count_objects(self, _sc: Any) -> CountObjects:
        return CountObjects.new(self.objects)

    def scan_objects(self, sc: Any) -> ScanObjects:
        looked_at = sc.nr_to_scan
        sc.nr_scanned = looked_at
        return ScanObjects.from_count(looked_at)


class _Ints:
    """The same with plain numbers."""

    __slots__ = ("objects",)

    def __init__(self, objects: int) -> None:
        self.objects = objects

    def count_objects(self, _sc: Any) -> int:
        return self.objects

    def scan_objects(self, sc: Any) -> int:
        looked_at = sc.nr_to_scan
        sc.nr_scanned = looked_at
        return looked_at  # type: ignore[no-any-return]


def cache(results: Results) -> Any:
    """Return a cache for ``SCANS`` scan calls a pass."""
    kind = _Ints if results is Results.INTS else _Objects
    return kind(SCANS * results.batch)


class PeersScenario:
    """What a worker measures: see ``shrinker.bench.scenario``."""

    rows = ROWS
    one_cpu = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._attached: Attached | None = None

    def open(self, row: PeerRow) -> Run:
        """Set a row up, instead of the one before it."""
        self.close()
        results = row.results
        attached = Attached(
            row.peer, cache(results), results.batch, self._directory, SHRINKERS
        )
        self._attached = attached
        freed = attached.walk(1)
        if freed != SHRINKERS * SCANS * results.batch:
            raise ValueError(f"{row.name}: {freed} objects freed in a walk")

        def run(loops: int) -> float:
            start = thread_time()
            attached.walk(loops)
            return float(thread_time() - start)

        return run

    def close(self) -> None:
        """Let the last row go."""
        attached, self._attached = self._attached, None
        if attached is not None:
            attached.close()

    def sized(self, _row: PeerRow) -> None:
        """Say that everything is timed."""

    def describe(self, row: PeerRow) -> dict[str, Any]:
        """Return the row's metadata; a loop is a walk, a value a callback."""
        return {
            "name": row.name,
            "unit": "second",
            "scenario": "peers",
            "inner_loops": SHRINKERS * (1 + SCANS),
            "peer": str(row.peer),
            "results": str(row.results),
            "batch": row.results.batch,
        }
