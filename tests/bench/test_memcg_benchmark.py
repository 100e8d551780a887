"""The benchmark of memory cgroups: what it sets up, and the figures of its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("pyperf", reason="the benchmarks measure with pyperf")
pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

import harness
import memcg
from bench_suites import factory, fresh_memory, made_up
from memcg import NR_NODES, MemcgMachine, Point

from shrinker.bench.results import Shown, by_line, shown_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.bench.lines import Row


@pytest.fixture
def machine(native_loops: None) -> Iterator[MemcgMachine]:
    """5 memcgs, 130 shrinkers, 3 bits set in each."""
    with MemcgMachine(Point(5, 130, 3)) as made:
        made.populate()
        yield made


def bits(machine: MemcgMachine) -> list[list[int]]:
    """Return the ids whose bits are set, for each group and node."""
    return [
        [i for i in range(192) if machine.lib.mem_cgroup_has_bit(one, nid, i)]
        for one in machine.memcgs
        for nid in range(NR_NODES)
    ]


def steps(operation: str) -> int:
    return memcg.line(operation, Point(5, 130, 3)).steps


def test_a_machine_is_what_its_point_says(machine: MemcgMachine) -> None:
    """Groups, shrinkers, bits: spread over all units of the map, on both nodes."""
    assert len(machine.shrinkers) == 130
    assert NR_NODES == machine.lib.reclaim_domain_nr_nodes(machine.domain) == 2
    assert bits(machine) == [[0, 43, 86]] * 10


@pytest.mark.parametrize(("operation", "walks"), [("walk", 2), ("in turn", 10)])
def test_a_walk_meets_the_shrinkers_whose_bits_are_set(
    machine: MemcgMachine, operation: str, walks: int
) -> None:
    """3 passes for each group and node and none else; no scan call, no bit cleared."""
    assert steps(operation) == walks
    run = machine.run(operation)
    for times in (1, 4):
        before = machine.statistics()
        assert run(times) > 0
        after = machine.statistics()
        assert after.walks - before.walks == walks * times
        assert after.passes - before.passes == 3 * walks * times
        assert after.scan_calls == 0
    assert bits(machine) == [[0, 43, 86]] * 10


def test_what_is_created_is_removed_again(machine: MemcgMachine) -> None:
    """A loop leaves the tree as it was, and takes ids for the groups that it made."""

    def next_id() -> int:
        made = machine.ffi.new("struct mem_cgroup *[]", 1)
        assert machine.lib.create_memcgs(machine.domain, made, 1) == 1
        number: int = machine.lib.mem_cgroup_get_id(made[0])
        machine.lib.remove_memcgs(made, 1)
        return number

    first = next_id()
    assert machine.run("create")(2) > 0
    assert machine.run("leave")(3) > 0
    assert next_id() == first + 5 * steps("create") + 1


def test_setting_bits_sets_those_of_one_group(machine: MemcgMachine) -> None:
    """All of them, on both nodes, and nothing else."""
    machine.lib.free_shrinkers(machine.shrinkers, machine._made)
    machine._made = 0
    # A walk clears the bits of shrinkers that are gone.
    machine.run("in turn")(1)
    assert bits(machine) == [[]] * 10
    assert steps("set bits") == 2
    assert machine.run("set bits")(3) > 0
    assert sorted(bits(machine)) == [[]] * 8 + [[0, 43, 86]] * 2


def test_lines_of_a_point_share_a_machine(native_loops: None) -> None:
    """And it is closed when another one is wanted."""
    first, other = Point(2, 3, 1), Point(3, 3, 1)
    with memcg.line("walk", first).open() as run:
        assert run(1) > 0
    made = memcg.machine_at(first)
    with memcg.line("set bits", first).open():
        assert memcg.machine_at(first) is made
    with memcg.line("walk", other).open():
        assert memcg.machine_at(other).point == other
    assert made._made_memcgs == made._made == 0


def test_no_memory_for_groups(
    native_loops: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line without its groups is not measured."""

    class Short:
        def __getattr__(self, name: str) -> Any:
            return getattr(harness.loops().lib, name)

        def create_memcgs(self, *_: object) -> int:
            return 0

    with MemcgMachine(Point(5, 3, 1)) as machine:
        monkeypatch.setattr(machine, "lib", Short())
        with pytest.raises(MemoryError, match="no memory for memory cgroups"):
            machine.populate()
        with pytest.raises(MemoryError, match="no memory for 64"):
            machine.run("create")(1)


@pytest.mark.no_asan("freed memory is kept in quarantine, and each byte has a shadow")
def test_memory_is_what_the_process_grows_by(native_loops: None) -> None:
    """A group's own account is in it, and the Python object comes on top."""
    own, resident, with_python = fresh_memory("memcg", "10,000 memcgs x 100 shrinkers")
    # Not less than it says, but for what the process had left over, and with the
    # allocator's share.
    assert 0.9 * own < resident < 1.5 * own
    assert resident < with_python < resident + 1000
    with MemcgMachine(Point(1, 100, 10)) as machine:
        machine.populate()
        assert machine.lib.mem_cgroup_memory(machine.memcgs[0]) == own * NR_NODES


# --- the figures ------------------------------------------------------------------


def cells(
    nanoseconds: Callable[[Point, int], float],
) -> list[list[tuple[Row, list[Shown | None]]]]:
    """Return what is shown of each table; lines take so much at a point."""
    numbers: dict[str, Point] = {}
    for n in (10, 100, 1000, 10_000):
        for bits in (0, 1, 10, 100):
            for shrinkers in (10, 100, 1000):
                point = Point(n, shrinkers, bits)
                numbers[str(point)] = point

    def seconds(line: str, number: int) -> float:
        return nanoseconds(numbers[line.partition(": ")[2]], number) / 1e9

    found = by_line(made_up("memcg", seconds, rounds=6))
    return [shown_rows(table, found) for table in factory("memcg")().tables]


def test_tables_have_what_the_documentation_names() -> None:
    """10 to 10,000 memcgs, 10 to 1,000 shrinkers, 0 to 100 bits."""
    tables = factory("memcg")().tables
    labels = [[row.label for row in table.rows] for table in tables]
    memcgs, shrinkers = ["10", "100", "1,000", "10,000"], ["10", "100", "1,000"]
    assert labels[:-1] == [memcgs] * 2 + [shrinkers] * 3 + [["0", "1", "10", "100"]]
    assert len(labels[-1]) == 3


def test_ratios_are_to_the_smallest_of_the_same_round() -> None:
    """A machine that slows down in the middle changes none."""

    def cost(point: Point, number: int) -> float:
        ns = 10 + 5 * point.bits + point.shrinkers + point.memcgs / 10
        return ns * (1 + 9 * (number > 2))

    by_bits = [shown for _, shown in cells(cost)[5]]
    walk = [shown[1] for shown in by_bits]
    assert walk[0] is not None
    assert walk[0].ratio is None
    # 0 bits: 10 + 100 + 1,000.
    for found, expected in zip(walk[1:], (1115, 1160, 1610), strict=True):
        assert found is not None
        assert found.ratio is not None
        assert found.ratio.median == pytest.approx(expected / 1110)
        assert found.ratio.spread < 1e-9
    # Nothing is to be set at 0 bits, so the smallest is 1.
    setting = [shown[0] for shown in by_bits]
    assert setting[0] is None
    assert setting[1] is not None
    assert setting[1].ratio is None
    assert setting[3] is not None
    assert setting[3].ratio is not None
    assert setting[3].ratio.median == pytest.approx(1610 / 1115)


def test_a_bits_cost_is_what_it_adds() -> None:
    """The walk without any is taken off, round by round."""
    tables = cells(lambda point, number: 40 + number + 7 * point.bits)
    for _, shown in tables[5][1:]:
        for per_bit in shown[-2:]:
            assert per_bit is not None
            assert per_bit.value is not None
            assert per_bit.value.median == pytest.approx(7)
    assert tables[5][0][1][-2:] == [None, None]
