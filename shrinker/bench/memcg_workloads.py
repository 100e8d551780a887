"""How a row of ``shrinker bench --scenario memcg`` is set up, and run.

Everything that is timed runs in C, native callbacks included.  Those count 4,096
objects, and walks are made at priority 12, where a pass scans nothing; so a bit costs
what a pass costs apart from scan calls, and none is ever cleared.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from pyperf import perf_counter

from shrinker._ffi import ffi, lib
from shrinker.bench.memcg_points import NR_NODES, ROWS, Operation
from shrinker.bench.resident import in_a_child, resident
from shrinker.builder import ShrinkerBuilder
from shrinker.domain import Domain
from shrinker.values import DEF_PRIORITY, ShrinkerFlags

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker.bench.memcg_points import MemcgPoint, MemcgRow
    from shrinker.bench.scenario import Run

__all__ = ["Machine", "MemcgScenario"]

_OBJECTS = 4096
# Groups that are created and removed again at a time.
_CHUNK = 64


class Machine:
    """A domain as a point has it, but for the groups.  A context manager."""

    # Invariants: `_memcgs` holds `_made` groups, childless and below the domain's
    # root; shrinkers stay registered until `close`.
    def __init__(self, point: MemcgPoint) -> None:
        self.point = point
        self.domain = Domain(nr_nodes=NR_NODES)
        count = ffi.addressof(lib, "bench_count")
        scan = ffi.addressof(lib, "bench_scan")
        flags = ShrinkerFlags.NUMA_AWARE | ShrinkerFlags.MEMCG_AWARE
        self._shrinkers = [
            ShrinkerBuilder("bench", flags=flags, domain=self.domain).register_native(
                count, scan, _OBJECTS
            )
            for _ in range(point.shrinkers)
        ]
        ids = [shrinker.id for shrinker in self._shrinkers]
        # Spread over all units of the maps.
        chosen = [ids[i * len(ids) // point.bits] for i in range(point.bits)]
        self._ids = ffi.new("int[]", chosen)
        self._memcgs = ffi.new("struct mem_cgroup *[]", point.memcgs)
        self._made = 0

    def populate(self) -> None:
        """Create the groups, and set their bits."""
        root = lib.reclaim_domain_root(self.domain._c)

        # SAFETY: `_memcgs` has room for all, and none has been made yet.
        self._made = lib.bench_create_memcgs(root, self._memcgs, self.point.memcgs)
        if self._made < self.point.memcgs:
            raise MemoryError("no memory for memory cgroups")
        # Walks in turn meet them in no order that the processor could foresee.
        order = list(self._memcgs)
        random.Random(1).shuffle(order)  # noqa: S311 - the same each time
        self._memcgs[0 : len(order)] = order
        nr_ids = self.point.bits
        lib.bench_set_bits(self._memcgs, self._made, NR_NODES, self._ids, nr_ids, 1)

    def memory(self) -> int:
        """Return the bytes of a group, by its own account."""
        return int(lib.mem_cgroup_memory(self._memcgs[0]))

    def close(self) -> None:
        """Remove everything."""
        lib.bench_remove_memcgs(self._memcgs, self._made)
        self._made = 0
        self.domain.close()

    def run(self, operation: Operation) -> tuple[Run, int]:
        """Return what runs an operation, and how often a loop of it does."""
        if operation in (Operation.CREATE, Operation.LEAVE):
            return self._chunks(operation), _CHUNK
        one, everybody = self._memcgs + self._made // 2, self._memcgs
        if operation is Operation.SET:
            return self._timed(
                lambda loops: lib.bench_set_bits(
                    one, 1, NR_NODES, self._ids, self.point.bits, loops
                )
            ), NR_NODES
        memcgs, nr = (
            (one, 1) if operation is Operation.WALK else (everybody, self._made)
        )
        c_domain = self.domain._c
        return self._timed(
            lambda loops: lib.bench_walk_memcgs(
                c_domain, memcgs, nr, NR_NODES, DEF_PRIORITY, loops
            )
        ), nr * NR_NODES

    def _timed(self, function: Callable[[int], object]) -> Run:
        def run(loops: int) -> float:
            # SAFETY: the groups, ids and shrinkers are there until `close`.
            start = perf_counter()
            function(loops)
            return float(perf_counter() - start)

        return run

    def _chunks(self, operation: Operation) -> Run:
        chunk = ffi.new("struct mem_cgroup *[]", _CHUNK)
        root = lib.reclaim_domain_root(self.domain._c)

        def run(loops: int) -> float:
            creating = leaving = 0.0
            for _ in range(loops):
                start = perf_counter()
                made = lib.bench_create_memcgs(root, chunk, _CHUNK)
                between = perf_counter()
                lib.bench_remove_memcgs(chunk, made)
                leaving += perf_counter() - between
                creating += between - start
                if made < _CHUNK:
                    raise MemoryError("no memory for memory cgroups")
            return creating if operation is Operation.CREATE else leaving

        return run


class MemcgScenario:
    """What a worker measures: see ``shrinker.bench.scenario``."""

    rows = ROWS
    one_cpu = True

    def __init__(self) -> None:
        self._machine: Machine | None = None

    def open(self, row: MemcgRow) -> Run:
        """Set a row up, unless the row before was at the same point."""
        if row.operation is Operation.MEMORY:
            raise ValueError("memory is not timed")
        machine = self._machine
        if machine is None or machine.point != row.point:
            self.close()
            self._machine = machine = Machine(row.point)
            machine.populate()
        return machine.run(row.operation)[0]

    def close(self) -> None:
        """Remove what the last row has left."""
        if self._machine is not None:
            self._machine.close()
        self._machine = None

    def sized(self, row: MemcgRow) -> tuple[float, dict[str, Any]] | None:
        """Return bytes of a row of memory, and what else to say of it."""
        if row.operation is not Operation.MEMORY:
            return None
        return in_a_child(lambda: _grow(row.point))

    def describe(self, row: MemcgRow) -> dict[str, Any]:
        """Return the row's metadata; ``inner_loops`` is how often a loop runs it."""
        point = row.point
        described: dict[str, Any] = {
            "name": row.name,
            "unit": "second",
            "scenario": "memcg",
            "operation": str(row.operation),
            "memcgs": point.memcgs,
            "shrinkers": point.shrinkers,
            "bits": point.bits,
            "nodes": NR_NODES,
        }
        if row.operation is Operation.MEMORY:
            return described | {"unit": "byte"}
        assert self._machine is not None  # noqa: S101 - `open` comes first
        return described | {"inner_loops": self._machine.run(row.operation)[1]}


# --- memory -----------------------------------------------------------------------


def _grow(point: MemcgPoint) -> tuple[float, dict[str, Any]]:
    """Create groups, in C and from Python, and see by how much the process grows."""
    machine = Machine(point)
    before = resident()
    machine.populate()
    between = resident()
    kept = [machine.domain.create_memcg("") for _ in range(point.memcgs)]
    after = resident()
    each = point.memcgs * NR_NODES
    own = kept[0].memory
    if own != machine.memory():
        raise ValueError("Memcg.memory is not what the core says")
    described = {
        "memcg_memory": own,
        "resident_with_python": (after - between) / each,
        "nr_max": kept[0].shrinker_info(0).nr_max,
    }
    return (between - before) / each, described
