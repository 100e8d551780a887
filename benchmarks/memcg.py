"""What memory cgroups cost, with more of them, more shrinkers, and more bits set.

A point is a domain with so many memory cgroups and memcg-aware shrinkers, and so many
bits set in each group on each node, spread over the shrinkers' ids.  One of the three
is varied, and what a thing costs then is compared with what it costs where that one is
smallest.  Walking a group and setting its bits should cost in proportion to the bits,
however many groups and shrinkers there are.

Everything that is timed runs in C.  Walks are made at priority 12, where a pass scans
nothing, so a bit costs what a pass costs apart from scan calls, and none is cleared.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import harness

from shrinker._ffi import ffi, lib
from shrinker.bench.lines import (
    Benchmark,
    Column,
    Difference,
    Line,
    Row,
    Table,
    lines_of,
)
from shrinker.builder import ShrinkerBuilder
from shrinker.domain import Domain
from shrinker.values import DEF_PRIORITY, ShrinkerFlags

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shrinker.bench.lines import Run

NR_NODES = 2
# Groups that are created and removed again at a time.
CHUNK = 64
LARGE_BLOCK_BYTES = 16 << 20


class Point(NamedTuple):
    """A domain."""

    memcgs: int
    shrinkers: int
    bits: int
    """Set in each group on each node."""

    def __str__(self) -> str:
        """Return its name in the lines' names."""
        return (
            f"{self.memcgs:,} memcgs x {self.shrinkers:,} shrinkers, {self.bits:,} bits"
        )


class MemcgMachine(harness.NativeMachine):
    """A domain as a point has it; its groups are made by ``populate``."""

    # Invariants: the first `_made_memcgs` of `memcgs` are childless groups below the
    # domain's root.
    def __init__(self, point: Point) -> None:
        self.point = point
        self.memcgs = harness.loops().ffi.new("struct mem_cgroup *[]", point.memcgs)
        self._made_memcgs = 0
        super().__init__(point.shrinkers, nr_nodes=NR_NODES, memcg_aware=True)
        ids = [self.lib.shrinker_id(shrinker) for shrinker in self.shrinkers]
        # Spread over all units of the maps.
        chosen = [ids[i * len(ids) // point.bits] for i in range(point.bits)]
        self._ids = self.ffi.new("int[]", chosen)

    def populate(self) -> None:
        """Create the groups, and set their bits."""
        nr = self.point.memcgs
        self._made_memcgs = self.lib.create_memcgs(self.domain, self.memcgs, nr)
        if self._made_memcgs < nr:
            raise MemoryError("no memory for memory cgroups")
        # Walks in turn meet them in no order that the processor could foresee.
        order = list(self.memcgs)
        random.Random(1).shuffle(order)  # noqa: S311 - the same each time
        self.memcgs[0:nr] = order
        for memcg in order:
            self._set_bits(memcg, 1)

    def close(self) -> None:
        """Remove everything."""
        self.lib.remove_memcgs(self.memcgs, self._made_memcgs)
        self._made_memcgs = 0
        super().close()

    def _set_bits(self, memcg: object, rounds: int) -> None:
        self.lib.set_bits(memcg, NR_NODES, self._ids, self.point.bits, rounds)

    def _walk(self, memcgs: object, nr: int, rounds: int) -> None:
        self.lib.walk_memcgs(self.domain, memcgs, nr, NR_NODES, DEF_PRIORITY, rounds)

    def run(self, operation: str) -> Run:
        """Return what runs an operation."""
        nr = self.point.memcgs
        one = self.memcgs + nr // 2
        if operation == "set bits":
            return harness.timed(partial(self._set_bits, one[0]))
        if operation == "walk":
            return harness.timed(partial(self._walk, one, 1))
        if operation == "in turn":
            return harness.timed(partial(self._walk, self.memcgs, nr))
        chunk = self.ffi.new("struct mem_cgroup *[]", CHUNK)
        # Freeing a large block makes glibc keep smaller ones.  Otherwise it may give
        # each chunk of groups back to the kernel, and page faults would be measured.
        bytearray(LARGE_BLOCK_BYTES)

        def once() -> float:
            return harness.half_timed(
                CHUNK,
                lambda: self.lib.create_memcgs(self.domain, chunk, CHUNK),
                lambda made: self.lib.remove_memcgs(chunk, made),
                second=operation == "leave",
            )

        return lambda loops: sum(once() for _ in range(loops))


# --- lines ------------------------------------------------------------------------

_open: list[MemcgMachine] = []
"""The machine of the last line, for the next one at the same point."""


def machine_at(point: Point) -> MemcgMachine:
    """Return a populated machine; it is closed when one at another point is wanted."""
    if not _open or _open[0].point != point:
        while _open:
            _open.pop().close()
        machine = MemcgMachine(point)
        machine.populate()
        _open.append(machine)
    return _open[0]


def line(operation: str, point: Point) -> Line:
    """Return a line, without anything that it is compared with."""

    @contextlib.contextmanager
    def opened() -> Iterator[Run]:
        yield machine_at(point).run(operation)

    steps = {"create": CHUNK, "leave": CHUNK, "in turn": NR_NODES * point.memcgs}
    return Line(f"{operation}: {point}", opened, steps.get(operation, NR_NODES))


def series(
    title: str,
    points: Mapping[int, Point],
    operations: Sequence[str],
    *,
    per_bit: bool = False,
) -> Table:
    """Return a table of points by the number in which they differ, smallest first.

    ``per_bit``: the first has no bit set; the others show what a bit costs, too.
    """
    smallest = next(iter(points.values()))
    columns = [Column(operation.replace(" ", "\n"), "x") for operation in operations]
    idle = {name: line(name, smallest) for name in operations[1:] if per_bit}
    columns += [Column(f"{name}\nper bit") for name in idle]
    rows: list[Row] = []
    first: dict[str, Line] = {}
    for number, point in points.items():
        cells: list[Line | Difference | None] = []
        for operation in operations:
            own = line(operation, point)
            # Setting no bit is nothing.
            if operation == "set bits" and not point.bits:
                cells.append(None)
                continue
            cells.append(dataclasses.replace(own, against=first.get(operation)))
            first.setdefault(operation, own)
        for operation, less in idle.items():
            whole = line(operation, point)
            cells.append(Difference(whole, less, point.bits) if point.bits else None)
        rows.append(Row(f"{number:,}", cells))
    return Table(f"ns, by {title}", columns, rows)


# --- memory -----------------------------------------------------------------------


def growth(point: Point, kind: str) -> float:
    """Return bytes for each group and node: the process grows by so much.

    ``kind`` is "resident", with groups from C; "with Memcg", with those that
    ``Domain.create_memcg`` makes; or "Memcg.memory", which is the group's own account.
    """
    if kind == "resident":
        machine = MemcgMachine(point)
        before = harness.resident()
        machine.populate()
        return (harness.resident() - before) / point.memcgs / NR_NODES
    domain = Domain(nr_nodes=NR_NODES)
    count, scan = (ffi.addressof(lib, f"bench_{name}") for name in ("count", "scan"))
    flags = ShrinkerFlags.NUMA_AWARE | ShrinkerFlags.MEMCG_AWARE
    kept: list[object] = [
        ShrinkerBuilder("bench", flags=flags, domain=domain).register_native(
            count, scan, 1
        )
        for _ in range(point.shrinkers)
    ]
    memory = domain.create_memcg("").memory
    if kind == "Memcg.memory":
        return memory / NR_NODES
    before = harness.resident()
    kept += [domain.create_memcg("") for _ in range(point.memcgs)]
    return (harness.resident() - before) / point.memcgs / NR_NODES


def memory(kind: str, point: Point) -> Line:
    """Return a line of bytes."""
    # Lines of older results are called memory.
    name = "memory" if kind == "resident" else kind
    opening = partial(harness.in_a_fork, partial(growth, point, kind))
    return Line(f"{name}: {point}", opening, timed=False, unit="byte")


def benchmark() -> Benchmark:
    """Return the lines: memory first, in a process that has not freed much yet."""
    groups, walks = ("create", "leave"), ("set bits", "walk", "in turn")
    by_memcgs = {n: Point(n, 100, 10) for n in (10, 100, 1000, 10_000)}
    by_shrinkers = {n: Point(1000, n, 10) for n in (10, 100, 1000)}
    unset = {n: Point(1000, n, 0) for n in (10, 100, 1000)}
    by_bits = {n: Point(10_000, 100, n) for n in (0, 1, 10, 100)}
    tables = [
        series("memcgs (100 shrinkers, 10 bits set)", by_memcgs, groups),
        series("memcgs (100 shrinkers, 10 bits set)", by_memcgs, walks),
        series("shrinkers (1,000 memcgs, 10 bits set)", by_shrinkers, groups),
        series("shrinkers (1,000 memcgs, 10 bits set)", by_shrinkers, walks),
        series("shrinkers (1,000 memcgs, no bit set)", unset, walks[1:]),
        series("bits set (10,000 memcgs, 100 shrinkers)", by_bits, walks, per_bit=True),
    ]
    kinds = ("Memcg.memory", "resident", "with Memcg")
    points = [Point(10_000, 10, 10), Point(10_000, 100, 10), Point(1000, 1000, 10)]
    bytes_table = Table(
        "bytes for each memcg and node",
        [Column(kind) for kind in kinds],
        [
            Row(
                f"{point.shrinkers:,} shrinkers, {point.memcgs:,} memcgs",
                [memory(kind, point) for kind in kinds],
            )
            for point in points
        ],
        scale=1.0,
    )
    # A machine is made once for all lines of a point.
    timed = sorted(lines_of(*tables), key=lambda line: line.name.partition(": ")[2])
    return Benchmark(
        module="memcg",
        title="What memory cgroups cost",
        order=[*lines_of(bytes_table), *timed],
        machine_is="",
        tables=[*tables, bytes_table],
        legend=f"{NR_NODES} nodes. create, leave: of a memcg. set bits: all bits of a"
        " memcg on a node. walk: a memcg on a node, at priority 12, the same again and"
        " again. in turn: the same, another memcg each time, which the processor has to"
        " fetch from memory. per bit: what a walk takes more than with no bit set. x:"
        " times as much as in the first line. resident: by how much the process grows;"
        " with Memcg: the same, where Python creates them.",
    )


if __name__ == "__main__":
    harness.command(benchmark, harness.native_loops)()
