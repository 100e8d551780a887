"""The developers' benchmarks of what runs in C: what their lines set up and do.

How long anything takes is not tested.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("pyperf", reason="the benchmarks measure with pyperf")
pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

import busy_threads
import harness
import native
import two_threads
from bench_suites import factory, fresh_memory

from shrinker import ShrinkerError
from shrinker.bench import loop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shrinker.bench.lines import Line

pytestmark = pytest.mark.usefixtures("native_loops")


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What every machine that is closed has counted."""
    counted: list[Any] = []
    close = harness.NativeMachine.close

    def closing(machine: harness.NativeMachine) -> None:
        counted.append(machine.statistics())
        close(machine)

    monkeypatch.setattr(harness.NativeMachine, "close", closing)
    return counted


def line(name: str, benchmark: str) -> Line:
    (found,) = (one for one in factory(benchmark)().lines if one.name == name)
    return found


# Those that set up 100,000 shrinkers, or measure for a while, have tests of their own.
LINES = [
    line
    for name in ("native", "two_threads", "busy_threads")
    for line in factory(name)().lines
    if line.timed and "00,000" not in line.name
]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_every_line_can_be_run(line: Line) -> None:
    """Set up, run twice, removed."""
    with line.open() as run:
        assert run(1) > 0
        assert run(2) > 0


# --- native -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "passes", "scans"),
    [
        ("reset: priority 12", 1000, 0),
        ("reset: priority 3", 1000, 1000),
        ("reset: priority 0", 1000, 15_000),
        ("walk: 100 at priority 12", 1000, 0),
        ("walk: 100 at priority 0", 1000, 15_000),
    ],
)
def test_native_lines_do_what_they_are_called(
    name: str, passes: int, scans: int, machines: list[Any]
) -> None:
    """A loop makes so many passes and scan calls; a value is by pass."""
    measured = line(name, "native")
    with measured.open() as run:
        run(1)
    (counted,) = machines
    assert counted.passes == passes == measured.steps
    assert counted.scan_calls == scans


def test_deferred_work_is_reset_or_carried_over(machines: list[Any]) -> None:
    """At priority 3 each pass puts some off, unless that is reset."""
    deferred = line("carried: priority 12, from 100", "native")
    with deferred.open() as run:
        run(1)
        run(1)
    for name in ("reset: priority 3", "carried: priority 3"):
        with line(name, "native").open() as run:
            run(1)
    reset, carried = machines[1:]
    assert carried.scan_calls > reset.scan_calls


def test_loops_are_the_measure() -> None:
    """Passes are held against C2, walks against C4."""
    for one in factory("native")().lines:
        if not one.name.startswith("loop"):
            loop = native.C4 if one.name.startswith("walk") else native.C2
            assert one.against is loop


def test_a_machine_frees_what_it_has_made(machines: list[Any]) -> None:
    """All of its shrinkers are walked over."""
    with harness.NativeMachine(5) as machine:
        assert machine.walk(12, 3) > 0
    (counted,) = machines
    assert counted.passes == 15


def test_no_memory_for_shrinkers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a machine nor its shrinkers are left half made."""
    real = harness.loops()

    class Short:
        """The loops, which make fewer shrinkers than they are asked for."""

        ffi = real.ffi

        def __init__(self) -> None:
            self.lib: Any = self
            self.freed = 0

        def register_shrinkers(self, *args: Any) -> int:
            *others, nr = args
            return int(real.lib.register_shrinkers(*others, nr // 2))

        def free_shrinkers(self, shrinkers: Any, nr: int) -> None:
            self.freed += nr
            real.lib.free_shrinkers(shrinkers, nr)

        def __getattr__(self, name: str) -> Any:
            return getattr(real.lib, name)

    short = Short()
    monkeypatch.setattr(harness, "loops", lambda: short)
    with pytest.raises(MemoryError, match="no memory for shrinkers"):
        harness.NativeMachine(10)
    assert short.freed == 5


# --- two threads ------------------------------------------------------------------


def test_side_by_side_runs_every_step() -> None:
    """One thread: each alone in turn; two: both."""
    for threads in (1, 2):
        done: list[tuple[str, int]] = []
        works = [
            lambda loops, done=done, which=which: done.append((which, loops))
            for which in "ab"
        ]
        assert two_threads.side_by_side(works, threads)(10_000) > 0
        assert sorted(done) == [("a", 10_000), ("b", 10_000)]


@pytest.mark.parametrize(("kind", "machines_made"), [("apart", 2), ("shared", 1)])
def test_threads_walk_a_machine_each_or_one(
    kind: str, machines_made: int, machines: list[Any]
) -> None:
    """Of 1,000 shrinkers."""
    with line(f"{kind}, priority 12, 2 threads", "two_threads").open() as run:
        run(3)
    assert [counted.walks for counted in machines] == [
        6 // machines_made
    ] * machines_made
    assert {counted.passes // counted.walks for counted in machines} == {1000}


@pytest.mark.parametrize("kind", ["register", "free"])
def test_shrinkers_come_and_go_beside_a_walk(kind: str, machines: list[Any]) -> None:
    """A new machine for each loop, which is walked over meanwhile."""
    with line(f"{kind} 1,000", "two_threads").open() as run:
        assert run(2) > 0
    assert len(machines) == 2
    assert min(counted.walks for counted in machines) >= 1


@pytest.mark.no_asan("freed memory is kept in quarantine, and each byte has a shadow")
def test_memory_is_what_the_process_grows_by() -> None:
    """A shrinker is at least its structure; Python's things come on top."""
    native, from_python, python = fresh_memory("two_threads")
    assert 200 < native < from_python < python < 5000


def test_what_fails_in_a_fork_is_an_error() -> None:
    """And not a figure."""
    with harness.in_a_fork(fail) as run, pytest.raises(ZeroDivisionError):
        run(1)


def fail() -> float:
    return 1 / 0


def test_no_resident_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel does not say is an error, not a figure."""
    assert harness.resident() > 0
    monkeypatch.setattr(harness.Path, "read_text", lambda _: "Pss: 1 kB\n")
    with pytest.raises(OSError, match="no Rss"):
        harness.resident()


# --- busy threads -----------------------------------------------------------------


def test_a_python_walk_is_100_shrinkers_with_64_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As docs/performance.md has it."""
    domains: list[Any] = []

    class Watched(loop.Domain):
        def __init__(self) -> None:
            super().__init__()
            domains.append(self)

    monkeypatch.setattr(loop, "Domain", Watched)
    with busy_threads.python_walks() as run:
        run(1)
        counted = domains[0].statistics()
    assert (counted.passes, counted.scan_calls) == (100, 6400)


def test_threads_are_busy_until_the_end() -> None:
    """And not a moment longer."""
    worked = []
    with harness.again_and_again(lambda: worked.append(1), threads=2):
        assert len(worked) >= 2
    count = len(worked)
    assert len(worked) == count


def test_a_watcher_sees_gaps_and_turns() -> None:
    """A gap in the middle of what is asked for, cut at its ends."""
    with busy_threads.Watcher() as watcher:
        while watcher.turns < 1000:
            pass
    watcher._gaps[:] = [(1.0, 1.5), (2.0, 4.0)]
    assert watcher.longest_gap(0.0, 9.0) == 2.0
    assert watcher.longest_gap(3.5, 9.0) == 0.5
    assert watcher.longest_gap(5.0, 9.0) == busy_threads.GAP_SECONDS


@pytest.mark.parametrize(
    "name", ["turn beside a native walk", "longest gap beside a Python walk"]
)
def test_other_threads_are_watched(
    name: str, machines: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a moment here; no machine is left."""
    monkeypatch.setattr(busy_threads, "WINDOW_SECONDS", 0.001)
    monkeypatch.setattr(busy_threads, "WATCHES", 1)
    with line(name, "busy_threads").open() as run:
        assert 0 < run(1) < 60
    assert len(machines) == ("turn" in name)


# --- compiling --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compiler", "seconds", "reason"),
    [
        ("/bin/false", 300, "/bin/false: exit code 1"),
        ("/none/cc", 300, "/none/cc: .*No such file"),
        (f"{sys.executable} -c while(1):0 ", 0.1, "python.*: .*timed out"),
    ],
)
def test_without_a_compiler(
    compiler: str, seconds: float, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that names it: one that fails, that is missing, or that hangs."""
    monkeypatch.setenv("CC", compiler)
    monkeypatch.setattr(harness, "_COMPILER_SECONDS", seconds)
    with pytest.raises(ShrinkerError, match=reason), harness.native_loops():
        pass
