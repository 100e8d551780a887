"""``shrinker bench``: what it writes and says, and that its peer is the same program.

How long anything takes is not tested.
"""

# ruff: noqa: S311 - numbers to test with are no secrets

from __future__ import annotations

import importlib
import io
import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pyperf = pytest.importorskip("pyperf", reason="shrinker bench measures with pyperf")
pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

from click.testing import CliRunner
from rich.console import Console

from shrinker import (
    CountObjects,
    Domain,
    ScanObjects,
    ShrinkControl,
    ShrinkerBuilder,
    ShrinkerError,
    run_pass,
)
from shrinker.bench import workloads
from shrinker.bench.compare import compare
from shrinker.bench.measure import FAST_EFFORT, measure
from shrinker.bench.points import POINTS, ROWS, Callbacks, Point, Row
from shrinker.bench.pure import (
    SHRINK_EMPTY,
    SHRINK_STOP,
    Control,
    PureRegistry,
    PureShrinker,
    shrink_one,
)
from shrinker.bench.recording import load_recording
from shrinker.bench.results import point_results
from shrinker.bench.table import print_results
from shrinker.bench.workloads import open_row, plan, scan_calls
from shrinker.cli import cli
from shrinker.trace.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

U64 = 2**64
EDGES = (0, 1, 2, 63, 64, 127, 128, 129, 4095, 4096, 2**31, 2**32, 2**60, 2**61,
         2**62, 2**63)  # fmt: skip


# --- the peer ------------------------------------------------------------------


def near_an_edge(rng: random.Random) -> int:
    return rng.choice(EDGES) + rng.randint(-3, 3)


def some_u64(rng: random.Random) -> int:
    kind = rng.random()
    if kind < 0.4:
        return rng.randrange(1, 10_000)
    if kind < 0.6:
        return near_an_edge(rng) % U64
    if kind < 0.8:
        return rng.getrandbits(64)
    return rng.getrandbits(rng.randint(1, 64))


def some_i64(rng: random.Random) -> int:
    value = some_u64(rng)
    return value - U64 if value >= 2**63 else value


class Scripted:
    """Answers that depend on the number of the call, the same each time."""

    def __init__(self, seed: int, count: int) -> None:
        self._rng = random.Random(seed)
        self._count = count
        self._calls = self._rng.choice((0, 1, 3, 40))
        self.policy = self._rng.randrange(5)
        self.asked: list[int] = []

    def answer(self, nr_to_scan: int) -> tuple[int, int]:
        self.asked.append(nr_to_scan)
        if len(self.asked) > self._calls:
            return SHRINK_STOP, nr_to_scan
        if self.policy == 0:
            return nr_to_scan, nr_to_scan
        if self.policy == 1:
            return nr_to_scan // 2, nr_to_scan
        if self.policy == 2:
            return self._rng.getrandbits(64), nr_to_scan
        if self.policy == 3:
            return nr_to_scan, some_u64(self._rng)
        return some_u64(self._rng), nr_to_scan // 2

    def count_objects(self, _: Control) -> int:
        return self._count

    def scan_objects(self, sc: Control) -> int:
        freed, sc.nr_scanned = self.answer(sc.nr_to_scan)
        return freed


def test_the_peer_passes_as_the_core_does() -> None:
    """Pure Python returns, asks and defers what the C core does, on any input."""
    rng = random.Random(20)
    scanned = wrapped = 0
    for seed in range(20_000):
        count, deferred = some_u64(rng), some_i64(rng)
        priority = rng.choice((0, 1, 3, 12, rng.randint(0, 63)))
        seeks = rng.choice((0, 1, 2, 3, 1000, -1, -(2**31), 2**31 - 1))
        batch = rng.choice((0, 1, 128, 1024, some_i64(rng)))
        told, peer = Scripted(seed, count), Scripted(seed, count)
        expected = run_pass(
            count,
            nr_deferred=deferred,
            priority=priority,
            seeks=seeks,
            batch=batch,
            scan=told.answer,
        )
        shrinker = PureShrinker(peer, seeks, batch)
        shrinker.nr_deferred = deferred
        returned = shrink_one(shrinker, Control(0, 0), priority)
        assert (returned, shrinker.nr_deferred, tuple(peer.asked)) == (
            expected.returned,
            expected.nr_deferred,
            expected.scans,
        ), (count, deferred, priority, seeks, batch, seed)
        scanned += bool(peer.asked)
        wrapped += expected.freeable is not None and abs(expected.freeable) >= 2**62
    # The inputs were worth it.
    assert scanned > 3000
    assert wrapped > 1500


class Cache:
    """Holds objects, and frees some of them; the same in both worlds."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self.objects = self._rng.randrange(100_000)

    def count_objects(self, _: Any) -> int:
        self.objects += self._rng.randrange(2000)
        return self._rng.choice((0, SHRINK_EMPTY, *[self.objects] * 6))

    def scan_objects(self, sc: Any) -> int:
        if self._rng.random() < 0.05:
            return SHRINK_STOP
        sc.nr_scanned = self._rng.randint(1, sc.nr_to_scan + 9)
        freed = min(self._rng.randint(0, sc.nr_to_scan), self.objects)
        self.objects -= freed
        return freed


class ForTheLibrary(Cache):
    """The same for a domain, where special values are objects."""

    def count_objects(self, sc: ShrinkControl) -> Any:
        count = super().count_objects(sc)
        return CountObjects.EMPTY if count == SHRINK_EMPTY else count

    def scan_objects(self, sc: ShrinkControl) -> Any:
        freed = super().scan_objects(sc)
        return ScanObjects.STOP if freed == SHRINK_STOP else freed


def test_the_peer_walks_as_a_domain_does() -> None:
    """Walk by walk the same is freed and deferred, over many shrinkers."""
    settings = [(seed, seed % 4, (0, 1, 100, 128)[seed % 3]) for seed in range(30)]
    rng = random.Random(4)
    registry = PureRegistry()
    registry.register((Cache(seed), seeks, batch) for seed, seeks, batch in settings)
    with Domain() as domain:
        registrations = [
            ShrinkerBuilder("c", domain=domain)
            .set_seeks(seeks)
            .set_batch(batch)
            .register(ForTheLibrary(seed))
            for seed, seeks, batch in settings
        ]
        for _ in range(60):
            priority = rng.randint(0, 12)
            assert registry.shrink_slab(priority) == domain.shrink_slab(
                priority=priority
            )
            assert [shrinker.nr_deferred for shrinker in registry.shrinkers] == [
                registration.nr_deferred() for registration in registrations
            ]


# --- the workloads -------------------------------------------------------------


def test_the_default_cache_makes_the_calls_that_the_documentation_names() -> None:
    """0, 8 and 64 calls by priority, 1,024, 8 and 1 by batch, nothing deferred."""
    recording = load_recording()
    calls = {
        point.label: scan_calls(point, recording) for point in POINTS if point.shrinkers
    }
    assert calls["priority 12"] == 0
    assert calls["default"] == 8
    assert calls["priority 0"] == 64
    assert calls["batch 1"] == 1024
    assert calls["batch 1,024"] == 1
    for n in ("1", "10", "1,000", "10,000"):
        assert calls[f"{n} shrinker" + "s" * (n != "1")] == 8
        assert calls[f"{n} at priority 12"] == 0


def test_the_recording_is_walked_whole() -> None:
    """Each pass of the recording that is shipped is a pass of a round."""
    recording = load_recording()
    assert recording.passes == 5950
    assert len(recording.shrinkers) == 8
    assert sorted({shrinker.seeks for shrinker in recording.shrinkers}) == [0, 2]
    assert len({len(shrinker.counts) for shrinker in recording.shrinkers}) == 1
    assert set(recording.priorities) == {9, 10, 11, 12}


@pytest.mark.parametrize("point", [p for p in POINTS if p.shrinkers <= 1000])
def test_native_and_python_rows_do_the_same_work(
    point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is compared is the same: passes, calls and objects of a round."""
    recording = load_recording()
    done = {}
    for callbacks in (Callbacks.NATIVE, Callbacks.PYTHON):
        domains = []

        class Watched(Domain):
            def __init__(self, seen: list[Any] = domains) -> None:
                super().__init__()
                seen.append(self)

        monkeypatch.setattr(workloads, "Domain", Watched)
        with open_row(Row(callbacks, point), recording) as run:
            assert run(2) > 0
            (domain,) = domains
            seen = domain.statistics()
        done[callbacks] = seen.walks, seen.passes, seen.scan_calls, seen.freed
    assert done[Callbacks.NATIVE] == done[Callbacks.PYTHON]
    planned = plan(point, recording)
    assert done[Callbacks.NATIVE][0] == 2 * len(planned.priorities)
    if point.shrinkers:
        assert done[Callbacks.NATIVE][1] == 2 * planned.passes


# --- the command ---------------------------------------------------------------


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run as short as can be, through the command line."""
    directory = tmp_path_factory.mktemp("bench")
    (directory / "sub").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "shrinker", "bench", "--fast", "--rounds=2",
         "--no-plot", "-o", "sub/result.json"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return directory / "sub" / "result.json", done.stdout


def test_the_result_is_pyperfs(measured: tuple[Path, str]) -> None:
    """It can be read by pyperf, with a value a round for each row, and metadata."""
    suite = pyperf.BenchmarkSuite.load(str(measured[0]))
    assert suite.get_benchmark_names() == [row.name for row in ROWS]
    for benchmark in suite:
        assert benchmark.get_nvalue() == 2
        assert benchmark.get_unit() == "second"
        runs = benchmark.get_runs()
        assert [run._is_calibration() for run in runs] == [True, False, False]
        assert [run.get_metadata()["round"] for run in runs] == [0, 0, 1]
        loops = runs[0].get_metadata()["calibrate_loops"]
        assert [run.get_loops() for run in runs[1:]] == [loops, loops]
    assert "cpu_count" in suite.get_metadata()


@pytest.mark.parametrize("command", ["stats", "show", "hist", "compare_to"])
def test_pyperfs_own_commands_take_it(measured: tuple[Path, str], command: str) -> None:
    """The file is as good as one that pyperf wrote."""
    files = [str(measured[0])] * (2 if command == "compare_to" else 1)
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", command, *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "native: default" in done.stdout + files[0] * (command == "compare_to")


@pytest.mark.untraced("a tracer's times are too long for the table")
def test_the_table_has_every_row(measured: tuple[Path, str]) -> None:
    """A line for each point, within 80 columns, then where the result is."""
    lines = measured[1].splitlines()
    assert max(map(len, lines)) <= 80
    passes, _, calls = measured[1].partition("ns per scan call")
    assert "ns per pass" in passes
    for point in POINTS:
        # Calls, three kinds, two ratios, the spread.
        (figures,) = figures_of(point.label, passes)
        assert len(figures) == 7
        assert "-" not in figures
        assert len(figures_of(point.label, calls)) == (point.idle is not None)
    assert any(line.split() == ["result:", "sub/result.json"] for line in lines)


def figures_of(label: str, table: str) -> list[list[str]]:
    """Return the cells of the lines that begin with ``label``."""
    pattern = rf"^ ?{re.escape(label)}  +(\d.*)$"
    return [found.split() for found in re.findall(pattern, table, re.MULTILINE)]


def suite_of(factor: Callable[[str, int], float], rounds: int = 10) -> Any:
    """Make a result up; each row takes ``factor(name, round)`` times its usual time."""
    usual = {Callbacks.NATIVE: 4e-8, Callbacks.PYTHON: 6e-6, Callbacks.PURE: 2e-6}
    benchmarks = []
    for row in ROWS:
        rng = random.Random(row.name)
        calls = {"priority 12": 0.0, "no shrinker": 0.0, "priority 0": 64.0}
        has_calls = calls.get(row.point.label, 8.0 if row.point.priority == 3 else 0.0)
        runs = [
            pyperf.Run(
                [
                    usual[row.callbacks]
                    * (1 + has_calls / 8)
                    * factor(row.name, number)
                    * rng.uniform(0.99, 1.01)
                ],
                metadata={
                    "name": row.name,
                    "round": number,
                    "scan_calls_per_pass": has_calls,
                },
                collect_metadata=False,
            )
            for number in range(rounds)
        ]
        benchmarks.append(pyperf.Benchmark(runs))
    return pyperf.BenchmarkSuite(benchmarks)


def test_figures_are_computed_round_by_round() -> None:
    """A machine that slows down in the middle changes no ratio."""
    steady = point_results(suite_of(lambda _name, _round: 1.0))
    drifting = point_results(suite_of(lambda _name, number: 1.0 + 3 * (number > 4)))
    for one, other in zip(steady, drifting, strict=True):
        for kind, figure in one.ratio.items():
            assert figure.median == pytest.approx(other.ratio[kind].median, rel=0.03)
            assert other.ratio[kind].spread < 0.03
    by_label = {result.point.label: result for result in steady}
    default = by_label["default"]
    assert default.per_pass[Callbacks.NATIVE].median == pytest.approx(80, rel=0.02)
    # (80 - 40) ns by 8 calls, with the noise of both.
    assert default.per_call[Callbacks.NATIVE].median == pytest.approx(5, rel=0.05)
    assert default.ratio[Callbacks.NATIVE].median == pytest.approx(50, rel=0.03)
    assert not by_label["priority 12"].per_call


def test_a_slower_row_is_named() -> None:
    """Only the row that takes longer, and that it is the row's own doing."""
    old = suite_of(lambda _name, _round: 1.0)
    new = suite_of(lambda name, _: 1.3 if name == "native: default" else 1.0)
    comparison = compare(old, new)
    (slower,) = [change for change in comparison.changes if change.slower]
    assert slower.name == "native: default"
    assert slower.itself
    assert slower.factor == pytest.approx(1.3, rel=0.02)
    assert not [change for change in comparison.changes if change.faster]
    (faster,) = [change for change in compare(new, old).changes if change.faster]
    assert faster.name == "native: default"


def test_noise_is_not_named() -> None:
    """The same program twice: nothing, although no two values are alike."""
    old = suite_of(lambda _name, number: 1.0 + 0.4 * (number % 2))
    new = suite_of(lambda _name, number: 1.0 + 0.4 * (number % 3 != 1))
    for comparison in (compare(old, new), compare(new, old)):
        assert not [c for c in comparison.changes if c.slower or c.faster]
    # Means are far enough apart to be named, but for the noise.
    assert max(change.factor for change in compare(old, new).changes) > 1.05


def test_a_slower_machine_is_told_from_a_slower_row() -> None:
    """Everything takes longer: all is named, and nothing is a row's own doing."""
    comparison = compare(
        suite_of(lambda _name, _round: 1.0), suite_of(lambda _name, _round: 1.5)
    )
    assert all(change.slower for change in comparison.changes)
    assert not any(change.itself for change in comparison.changes)


def test_results_of_different_length_can_be_compared() -> None:
    """The test wants as many values; where it fails, it calls all significant."""
    comparison = compare(
        suite_of(lambda _name, number: 1.0 + 0.4 * (number % 2), rounds=20),
        suite_of(lambda _name, number: 1.0 + 0.4 * (number % 2), rounds=3),
    )
    # Far enough apart to be named, but for the noise.
    assert min(change.factor for change in comparison.changes) < 0.95
    assert not [c for c in comparison.changes if c.slower or c.faster]
    assert any("20 rounds against 3" in remark for remark in comparison.remarks)


@pytest.fixture
def without_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    """``shrinker bench`` with a result that is known beforehand."""
    run = importlib.import_module("shrinker.bench.run")
    suite = suite_of(lambda name, _: 2.0 if name == "python: batch 1" else 1.0)
    monkeypatch.setattr(run, "measure", lambda *_, **__: suite)


@pytest.mark.usefixtures("without_measuring")
def test_compare_names_the_slower_row_on_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--compare OLD.json`` says what became slower, by how much."""
    monkeypatch.chdir(tmp_path)
    suite_of(lambda _name, _round: 1.0).dump("old.json")
    result = CliRunner().invoke(cli, ["bench", "--no-plot", "--compare", "old.json"])
    assert result.exit_code == 0, result.output
    after = result.output.partition("Slower than in old.json")[2]
    (line,) = [line for line in after.splitlines() if "python: batch 1" in line]
    assert "x 2.0" in line
    assert "the row" in line
    assert "1 slower (1 by itself), 0 faster" in after
    assert len(list(tmp_path.glob("bench-results/*.json"))) == 1


@pytest.mark.usefixtures("without_measuring")
def test_plots_are_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PNG and an SVG are written, with something on them, and their paths said."""
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    result = CliRunner().invoke(
        cli, ["bench", "-o", "result.json", "--plot", "sub/picture"]
    )
    assert result.exit_code == 0, result.output
    png = Path("sub/picture.png").read_bytes()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png.rstrip().endswith(b"IEND\xaeB`\x82")
    assert len(png) > 50_000
    svg = Path("sub/picture.svg").read_text()
    assert "<svg" in svg
    assert len(svg) > 50_000
    assert "sub/picture.png" in result.output
    assert "sub/picture.svg" in result.output


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (["--rounds=1"], 2, "--rounds"),
        (["--what"], 2, "--what"),
        (["--plot=x", "--no-plot"], 2, "exclude each other"),
        (["--recording=missing.txt"], 2, "missing.txt"),
        (["--compare=missing.json"], 2, "missing.json"),
        (["--compare=text"], 1, "text: no result of pyperf"),
        (["--compare=list"], 1, "list: no result of pyperf"),
        (["--compare=other"], 1, "other: no result of pyperf"),
        (["--recording=text"], 1, "text: no pass of a shrinker"),
        (["-o", "text/result.json"], 1, "text: not a directory"),
        (["-o", "missing/result.json"], 1, "missing: no such directory"),
        (["--plot", "missing/picture"], 1, "missing: no such directory"),
        (["-o", "."], 2, "directory"),
    ],
)
def test_bad_input_is_said_in_a_line_before_measuring(
    args: list[str],
    code: int,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No traceback, and no minute spent first."""
    run = importlib.import_module("shrinker.bench.run")

    def measure(*_: object, **__: object) -> None:
        pytest.fail("measured")

    monkeypatch.setattr(run, "measure", measure)
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("no trace\n")
    Path("list").write_text("[]\n")
    Path("other").write_text(json.dumps({"version": "1.0", "benchmarks": [3]}))
    result = CliRunner().invoke(cli, ["bench", *args])
    assert result.exit_code == code, result.output
    assert text in result.output
    assert not Path("missing").exists()
    assert result.exception is None or isinstance(result.exception, SystemExit)


def shown(results: Any, width: int) -> list[str]:
    text = io.StringIO()
    console = Console(
        file=text, width=width, force_terminal=True, color_system=None, highlight=False
    )
    print_results(Terminal(console), results)
    return [line.rstrip() for line in text.getvalue().splitlines()]


def test_the_table_fits_on_a_noisy_machine() -> None:
    """Large numbers and a wide spread, at 80 columns: nothing is cut."""
    noisy = suite_of(
        lambda name, number: 10 * (1 + 1.5 * (number % 3) * ("pure" in name))
    )
    lines = shown(point_results(noisy), 80)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "…" not in text
    assert len(re.findall(r"vs pure  vs pure +±$", text, re.MULTILINE)) == 2
    for point in POINTS:
        assert re.search(rf"^{re.escape(point.label)}  .*%$", text, re.MULTILINE)


def test_the_table_fits_where_python_is_a_thousand_times_slower() -> None:
    """Beyond 999 times a ratio is a bound: under a tracer or a debugger, say."""

    def fast(name: str, _: int) -> float:
        return 0.03 if name.startswith("native") else 1

    lines = shown(point_results(suite_of(fast)), 120)
    passes = "\n".join(lines).partition("ns per scan call")[0]
    assert max(map(len, passes.splitlines())) <= 80
    (cells,) = figures_of("default", passes)
    assert cells[4] == ">999x"


def test_a_difference_that_is_lost_in_the_noise_is_not_shown() -> None:
    """Neither a negative time nor one that varies by more than half of itself."""

    def factor(name: str, number: int) -> float:
        if name == "pure: priority 0":
            return 0.05
        return 1 + number % 2 if name == "python: batch 1" else 1.0

    clean = shown(point_results(suite_of(lambda _name, _round: 1.0)), 80)
    assert "–" not in "".join(clean)  # noqa: RUF001
    lines = shown(point_results(suite_of(factor)), 80)
    calls = "\n".join(lines).partition("ns per scan call")[2]
    (cells,) = figures_of("priority 0", calls)
    assert cells[0] == "64"
    assert cells[3:6] == ["–"] * 3  # noqa: RUF001
    assert float(cells[1]) > 0
    (cells,) = figures_of("default", calls)
    assert len(cells) == 7
    assert any(line.startswith("–: lost in the noise") for line in lines)  # noqa: RUF001


FEW = [row for row in ROWS if row.point.label in ("default", "priority 12")]


def test_interruption_keeps_complete_rounds() -> None:
    """Ctrl-C in the third round: two values a row, and that is said."""

    def advance(number: int, row: Row, _: float) -> None:
        if (number, row) == (2, FEW[1]):
            raise KeyboardInterrupt

    said: list[int] = []
    suite = measure(FAST_EFFORT, rows=FEW, progress=advance, interrupted=said.append)
    assert said == [2]
    assert suite.get_benchmark_names() == [row.name for row in FEW]
    assert [benchmark.get_nvalue() for benchmark in suite] == [2] * len(FEW)


def test_interruption_before_two_rounds_ends_it() -> None:
    """There is nothing to keep."""

    def advance(number: int, *_: object) -> None:
        if number:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(FAST_EFFORT, rows=FEW, progress=advance)


def test_interruption_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is written and shown as any other."""
    run = importlib.import_module("shrinker.bench.run")

    def measure(*_: object, interrupted: Callable[[int], None], **__: object) -> Any:
        interrupted(7)
        return suite_of(lambda _name, _round: 1.0, rounds=7)

    monkeypatch.setattr(run, "measure", measure)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["bench", "--no-plot", "-o", "kept.json"])
    assert result.exit_code == 0
    assert "Interrupted: the 7 complete rounds are kept." in result.output
    assert Path("kept.json").exists()


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (12, "12 ns"),
        (12.34, "12.3 ns"),
        (999.4, "999 ns"),
        (999.6, "1.00 µs"),
        (688_000, "688 µs"),
        (1.09e6, "1.09 ms"),
        (2e9, "2 s"),
        (3e12, "3000 s"),
    ],
)
def test_times_in_plots_have_units(nanoseconds: float, text: str) -> None:
    """At most three digits and the unit, as read off an axis."""
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    from shrinker.bench.plot import _short  # noqa: PLC0415

    assert _short(nanoseconds) == text


def test_labels_of_plots_are_apart() -> None:
    """No number lies on another, on a dot's axis, or outside its frame."""
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415

    from shrinker.bench.plot import _draw  # noqa: PLC0415

    figure = _draw(point_results(suite_of(lambda _name, _round: 1.0)), "about")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for axis in figure.axes[1:]:
        frame = axis.get_window_extent()
        boxes = [text.get_window_extent(canvas.get_renderer()) for text in axis.texts]
        assert len(boxes) > 5
        for place, box in enumerate(boxes):
            assert frame.x0 < box.x0 < box.x1 < frame.x1
            assert frame.y0 < box.y0 < box.y1 < frame.y1
            assert not any(box.overlaps(other) for other in boxes[:place])


def test_a_round_that_fails_is_said_in_a_line() -> None:
    """What the process of a round dies of comes out as one error."""
    with pytest.raises(ShrinkerError, match=r"missing\.txt"):
        measure(FAST_EFFORT, recording="missing.txt")


@pytest.mark.parametrize(
    ("missing", "args", "text"),
    [
        ("pyperf", ["bench"], "pip install 'shrinker[cli]'"),
        ("matplotlib", ["bench", "--plot=x"], "pip install 'shrinker[plot]'"),
        ("rich", ["explain", "--count=1"], "pip install 'shrinker[cli]'"),
    ],
)
def test_a_missing_extra_is_named(
    missing: str, args: list[str], text: str, tmp_path: Path
) -> None:
    """One line that says what to install."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None;"
        f"sys.argv[1:] = {args!r};"
        "from shrinker.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr
