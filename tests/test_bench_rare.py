"""What `shrinker bench` does where a result is short, or nothing can be written."""

from __future__ import annotations

import io
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pyperf = pytest.importorskip("pyperf")
pytest.importorskip("rich")

import rich.console

from shrinker import ShrinkerError
from shrinker.bench import (
    lines_plot,
    machine,
    measure,
    points,
    pure,
    recording,
    resident,
    results,
    run,
    table,
    workloads,
)
from shrinker.bench.compare import Change, Comparison
from shrinker.bench.lines import Goal, Line, Section, line_results
from shrinker.bench.lines_table import print_lines
from shrinker.bench.peers import build as peers_build
from shrinker.trace.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_no_rows_no_points() -> None:
    """A result without the rows of a point leaves the point out."""
    assert results.point_results([]) == []


def test_labels_of_idle_points() -> None:
    """The default number of shrinkers goes without saying."""
    assert points._idle_label(points.DEFAULT.shrinkers) == "priority 12"
    assert points._idle_label(5) == "5 at priority 12"


def test_nothing_to_plot_or_print() -> None:
    """No figures: a word in their place, and no empty table."""
    out = io.StringIO()
    terminal = Terminal(rich.console.Console(file=out, width=100))
    assert table._spread({}) == table._LOST
    alone = Change(
        name="a row",
        old=1.0,
        new=2.0,
        unit="second",
        significant=True,
        relative=None,
        relative_significant=False,
    )
    print_of = Comparison(changes=[alone], missing=[], remarks=[])
    table.print_comparison(terminal, print_of, "old.json")
    assert "1 slower" in out.getvalue()


def test_a_walk_that_meets_nobody_makes_no_calls() -> None:
    """It stands for what entering a walk costs."""
    nobody = next(point for point in points.POINTS if point.shrinkers == 0)
    none: Any = None
    assert workloads.scan_calls(nobody, none) == 0.0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("missing/out.json", "no such directory"),
        ("file/out.json", "not a directory"),
        ("directory", "is a directory"),
    ],
)
def test_targets_that_cannot_be_written(tmp_path: Path, name: str, text: str) -> None:
    """It is said before anything is measured."""
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    with pytest.raises(ShrinkerError, match=text):
        run._check_target(tmp_path / name)


def test_targets_without_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the directory of the results nor one that may not be written to."""
    monkeypatch.setattr(run.os, "access", lambda *_: False)
    with pytest.raises(ShrinkerError, match="may not be written to"):
        run._check_target(tmp_path / "out.json")
    (tmp_path / "results").touch()
    monkeypatch.setattr(run, "_RESULTS", tmp_path / "results" / "below")
    with pytest.raises(ShrinkerError, match="below"):
        run._check_target(run._RESULTS / "out.json")


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """An OSError while writing names the file."""
    path = tmp_path / "out.json"
    with pytest.raises(ShrinkerError, match=r"out\.json: full"), run._writing(path):
        raise OSError(28, "full")


# --- results that are short -------------------------------------------------------


def lines_of(values: dict[str, float]) -> Any:
    """Make a result up, with two rounds alike."""
    return pyperf.BenchmarkSuite(
        [
            pyperf.Benchmark(
                [
                    pyperf.Run(
                        [value],
                        metadata={"name": name, "unit": "second", "round": number},
                        collect_metadata=False,
                    )
                    for number in range(2)
                ]
            )
            for name, value in values.items()
        ]
    )


def test_lines_without_rows_or_goals() -> None:
    """A section of which nothing was measured has no title, and nothing is counted
    where nothing is wanted; a mark that depends on another row stands nowhere."""
    goal = Goal(2.0)
    there = Section("there", "ns", 1e9, (Line("a", "a"),))
    gone = Section("gone", "ns", 1e9, (Line("b", "b"),))
    result = line_results(lines_of({"a": 1.0}), [there, gone])
    out = io.StringIO()
    print_lines(
        Terminal(rich.console.Console(file=out, width=100)), result, "Explained."
    )
    assert "there" in out.getvalue()
    assert "gone" not in out.getvalue()
    assert "goals are met" not in out.getvalue()
    lines = Section("s", "ns", 1e9, (Line("a", "a", "b", goal=goal),))
    [(_, [one])] = line_results(lines_of({"a": 1.0, "b": 1.0}), [lines])
    assert lines_plot._goal(one, [one], ratios=True) == 2.0
    assert lines_plot._goal(one, [one], ratios=False) is None


# --- memory and other things that run out -----------------------------------------


def test_no_memory_for_shrinkers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a row nor its shrinkers are left half made."""
    real = machine.lib

    class Short:
        """The core, which makes fewer shrinkers than it is asked for."""

        def bench_register(self, domain: Any, shrinkers: Any, nr: int) -> int:
            return int(real.bench_register(domain, shrinkers, nr // 2))

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    monkeypatch.setattr(machine, "lib", Short())
    with pytest.raises(MemoryError, match="no memory for shrinkers"):
        machine.NativeMachine(10)


def test_a_worker_that_measures_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another version of the package on the path, say: an error, not a wrong name."""

    def one_round(_: object) -> Iterator[Any]:
        yield from lines_of({"another row": 1.0}).get_benchmarks()

    monkeypatch.setattr(measure, "_round", one_round)
    with pytest.raises(ShrinkerError, match="got another row"):
        measure.measure(measure.FAST_EFFORT, rows=points.ROWS[:1])


def test_rounds_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After two rounds none is begun that would end too late; nobody has to listen."""
    rounds = []

    def one_round(request: dict[str, Any]) -> Iterator[Any]:
        rounds.append(request["round"])
        yield pyperf.Benchmark(
            [
                pyperf.Run(
                    [1.0],
                    metadata={"name": points.ROWS[0].name, "loops": 3},
                    collect_metadata=False,
                )
            ]
        )

    monkeypatch.setattr(measure, "_round", one_round)
    effort = measure.Effort(rounds=10, seconds=0.0, min_time=0.001)
    suite = measure.measure(effort, rows=points.ROWS[:1])
    assert rounds == [0, 1]
    assert [benchmark.get_nvalue() for benchmark in suite] == [2]


def test_an_interruption_that_nobody_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    """Complete rounds are kept all the same."""

    def one_round(request: dict[str, Any]) -> Iterator[Any]:
        if request["round"] == 2:
            raise KeyboardInterrupt
        run_of = pyperf.Run(
            [1.0],
            metadata={"name": points.ROWS[0].name, "loops": 3},
            collect_metadata=False,
        )
        yield pyperf.Benchmark([run_of])

    monkeypatch.setattr(measure, "_round", one_round)
    suite = measure.measure(measure.FAST_EFFORT, rows=points.ROWS[:1])
    assert [benchmark.get_nvalue() for benchmark in suite] == [2]


def test_a_peer_that_is_never_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiler that hangs is one reason more."""

    def hangs(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("cc", 1)

    monkeypatch.setattr(peers_build.subprocess, "run", hangs)
    reasons = peers_build.build(tmp_path)
    assert reasons
    assert all("not built within" in reason for reason in reasons.values())


def test_no_resident_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel does not say is an error, not a figure."""
    assert resident.resident() > 0
    monkeypatch.setattr(resident.Path, "read_text", lambda _: "Pss: 1 kB\n")
    with pytest.raises(OSError, match="no Rss"):
        resident.resident()


# --- recordings -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lo", "hi", "zero", "seeks"),
    [(1, 4, False, 2), (4, 8, False, 4), (2**40, 2**41, False, 2**31 - 1),
     (0, 0, True, 0), (9, 3, False, 0)],
)  # fmt: skip
def test_seeks_of_a_recorded_shrinker(lo: int, hi: int, zero: bool, seeks: int) -> None:
    """The default wherever it explains what was recorded, else the least that does."""
    fit: Any = SimpleNamespace(lo=lo, hi=hi, zero=zero)
    assert recording._seeks(fit) == seeks
    assert recording._seeks(None) == 2


def test_priorities_that_there_are_not_are_left_out(tmp_path: Path) -> None:
    """A damaged line is no walk."""
    path = tmp_path / "trace.txt"
    line = (
        "f+0x0 1: nid: 0 objects to shrink 0 gfp_flags GFP_KERNEL cache items 5"
        " delta 0 total_scan 0 priority {}\n"
    )
    path.write_text("".join(line.format(n) for n in (12, 4000, 3)))
    with recording.recording_path(str(path)) as found:
        priorities, counts = recording._walks(found)
    assert priorities == [12, 3]
    assert list(counts.values()) == [[5, 5]]


# --- the pure peer ----------------------------------------------------------------


def test_the_pure_peers_sum_wraps() -> None:
    """As the core's does: other walks may have added more than there is room for."""

    class Busy:
        def count_objects(self, _: Any) -> int:
            return 1000

        def scan_objects(self, _: Any) -> int:
            shrinker.nr_deferred = 2**63 - 1  # Other walks, meanwhile.
            return pure.SHRINK_STOP

    shrinker = pure.PureShrinker(Busy(), 2, 128)
    assert pure.shrink_one(shrinker, pure.Control(0, 0), 0) == 0
    assert shrinker.nr_deferred == -(2**63) - 1 + 2000


# --- the command ------------------------------------------------------------------


def test_without_matplotlib_there_is_no_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said what to install, and everything else is done."""
    cli = pytest.importorskip("shrinker.cli")
    testing = pytest.importorskip("click.testing")
    plots = []
    monkeypatch.setattr(cli, "find_spec", lambda _: None)
    monkeypatch.setattr(run, "bench", lambda *_, plot, **__: plots.append(plot))
    output = str(tmp_path / "out.json")
    result = testing.CliRunner().invoke(cli.cli, ["bench", "-o", output])
    assert result.exit_code == 0
    assert "no plot: pip install 'shrinker[plot]'" in result.output
    assert plots == [None]


def test_a_missing_module_that_is_no_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No advice that would not help: the error itself."""
    cli = pytest.importorskip("shrinker.cli")
    testing = pytest.importorskip("click.testing")

    def incomplete(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'zlib'", name="zlib")

    monkeypatch.setattr(run, "bench", incomplete)
    output = str(tmp_path / "out.json")
    result = testing.CliRunner().invoke(cli.cli, ["bench", "-o", output])
    assert isinstance(result.exception, ModuleNotFoundError)
