"""``shrinker bench`` from the command line, and what all benchmarks share of it."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pyperf = pytest.importorskip("pyperf", reason="shrinker bench measures with pyperf")
pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

from bench_suites import NAMES, factory, invoke, made_up, no_measuring
from click.testing import CliRunner

from shrinker.bench import run as bench_run
from shrinker.cli.app import cli

if TYPE_CHECKING:
    from collections.abc import Callable

OTHERS = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- from the beginning to the end ------------------------------------------------


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run as short as can be."""
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


@pytest.mark.no_asan("minutes of measuring; the rest is tested piece by piece")
def test_the_result_has_every_line(measured: tuple[Path, str]) -> None:
    """In the order of a round, with a value for each round."""
    suite = pyperf.BenchmarkSuite.load(str(measured[0]))
    lines = factory("loop")().lines
    assert suite.get_benchmark_names() == [line.name for line in lines]
    assert {benchmark.get_nvalue() for benchmark in suite} == {2}
    assert {benchmark.get_unit() for benchmark in suite} == {"second"}


@pytest.mark.untraced("a tracer's times are too long for the table")
@pytest.mark.no_asan("minutes of measuring; the rest is tested piece by piece")
def test_the_table_has_every_row(measured: tuple[Path, str]) -> None:
    """A line for each point, within 80 columns, then where the result is."""
    lines = measured[1].splitlines()
    assert max(map(len, lines)) <= 80
    passes, _, calls = measured[1].partition("ns per scan call")
    all_points, with_calls = factory("loop")().tables
    for table, text in ((all_points, passes), (with_calls, calls)):
        for row in table.rows:
            pattern = rf"^ ?{re.escape(row.label)}  +(\S.*)$"
            (cells,) = re.findall(pattern, text, re.MULTILINE)
            # Calls, three kinds, two ratios, the spread.
            assert len(cells.split()) == 7
    assert "\N{EN DASH}" not in passes
    assert any(line.split() == ["result:", "sub/result.json"] for line in lines)


# --- before anything is measured --------------------------------------------------


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
        (["--plot", "sub"], 1, "sub: is a directory"),
    ],
)
def test_bad_input_is_said_in_a_line_before_measuring(
    args: list[str], code: int, text: str, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback, and no minute spent first."""
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    no_measuring(monkeypatch)
    Path("sub").mkdir()
    Path("text").write_text("no trace\n")
    Path("list").write_text("[]\n")
    Path("other").write_text(json.dumps({"version": "1.0", "benchmarks": [3]}))
    result = CliRunner().invoke(cli, ["bench", *args])
    assert result.exit_code == code, result.output
    assert text in result.output
    assert not Path("missing").exists()
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_directories_that_may_not_be_written_to(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither that of the result nor the usual one can be used."""
    no_measuring(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        result = invoke("loop", "--no-plot", "-o", "out.json")
        assert (result.exit_code, "may not be written to" in result.output) == (1, True)
    Path("bench-results").touch()
    result = invoke("loop", "--no-plot")
    assert (result.exit_code, "bench-results: " in result.output) == (1, True)


@OTHERS
def test_a_result_of_another_benchmark_is_refused(
    name: str, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that names the file; nothing is measured or written."""
    no_measuring(monkeypatch)
    made_up(NAMES[NAMES.index(name) - 1]).dump("old.json")
    result = invoke(name, "--no-plot", "-o", "new.json", "--compare=old.json")
    assert result.exit_code == 1
    assert result.output.startswith("Error: old.json: has none of the lines")
    assert result.output.count("\n") == 1
    assert not Path("new.json").exists()


@pytest.mark.parametrize("name", ["loop", "native"])
def test_help_is_enough(name: str) -> None:
    """Every option, and what is measured."""
    result = invoke(name, "--help")
    assert result.exit_code == 0
    options = ("--fast", "--rounds", "--output", "--plot", "--no-plot", "--compare")
    assert all(option in result.output for option in options)
    assert ("--recording" in result.output) == (name == "loop")
    assert max(map(len, result.output.splitlines())) <= 80


@pytest.mark.parametrize(
    ("missing", "args", "text"),
    [
        ("pyperf", ["bench"], "pip install 'shrinker[cli]'"),
        ("matplotlib", ["bench", "--plot=x"], "pip install 'shrinker[plot]'"),
        ("rich", ["explain", "--count=1"], "pip install 'shrinker[cli]'"),
    ],
)
def test_a_missing_extra_is_named(
    missing: str, args: list[str], text: str, empty: Path
) -> None:
    """One line that says what to install."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None;"
        f"sys.argv[1:] = {args!r};"
        "from shrinker.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_module_that_is_no_extra(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No advice that would not help: the error itself."""

    def incomplete(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'zlib'", name="zlib")

    monkeypatch.setattr(bench_run, "measure", incomplete)
    result = invoke("loop", "--no-plot", "-o", "out.json")
    assert isinstance(result.exception, ModuleNotFoundError)


# --- while it measures, and afterwards ----------------------------------------------


def test_the_effort_is_what_was_asked_for(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And that is said."""
    benchmark = factory("loop")()
    efforts = []

    def measure(_: object, effort: Any, **__: object) -> Any:
        efforts.append(effort)
        return made_up()

    monkeypatch.setattr(bench_run, "measure", measure)
    for args, rounds, seconds in (
        ([], 20, 80),
        (["--fast"], 5, 11),
        (["--rounds=7"], 7, 80),
    ):
        output = invoke("loop", "--no-plot", "-o", "new.json", *args).output
        assert f"45 lines, up to {rounds} rounds, about {seconds} seconds" in output
    assert efforts[:2] == [benchmark.effort, benchmark.fast]


@OTHERS
def test_an_early_interruption_says_that_nothing_is_kept(
    name: str, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before two rounds: exit code 1, one line with the reason, no file."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench_run, "measure", interrupted)
    result = invoke(name, "--no-plot", "-o", "new.json")
    assert result.exit_code == 1
    promise, said = result.output.splitlines()
    assert "Ctrl-C keeps two or more rounds" in promise
    assert said == (
        "Error: interrupted before two rounds were complete; nothing is kept"
    )
    assert list(empty.iterdir()) == []


def test_a_late_interruption_is_said(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result is written and shown as any other."""

    def measure(*_: object, interrupted: Callable[[int], None], **__: object) -> Any:
        interrupted(7)
        return made_up(rounds=7)

    monkeypatch.setattr(bench_run, "measure", measure)
    result = invoke("loop", "--no-plot", "-o", "kept.json")
    assert result.exit_code == 0
    assert "Interrupted: the 7 complete rounds are kept." in result.output
    assert Path("kept.json").exists()


def test_a_result_has_a_place_by_default(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bench-results/ and the time, its picture beside it."""
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    no_measuring(monkeypatch, made_up("caches"))
    result = invoke("caches")
    assert result.exit_code == 0, result.output
    (written,) = (empty / "bench-results").glob("*.json")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", written.stem)
    assert {path.suffix for path in written.parent.iterdir()} == {
        ".json", ".png", ".svg",
    }  # fmt: skip


def test_without_matplotlib_there_is_no_plot(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said what to install, and everything else is done."""
    no_measuring(monkeypatch, made_up())
    monkeypatch.setattr(bench_run, "find_spec", lambda _: None)
    result = invoke("loop", "-o", "out.json")
    assert result.exit_code == 0
    assert "no plot: pip install 'shrinker[plot]'" in result.output
    assert [path.name for path in empty.iterdir()] == ["out.json"]


def test_a_full_disk_is_one_line(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An OSError while writing names the file."""

    class Unwritable:
        def dump(self, *_: object, **__: object) -> None:
            raise OSError(28, "full")

    no_measuring(monkeypatch, Unwritable())
    result = invoke("loop", "--no-plot", "-o", "out.json")
    assert (result.exit_code, "Error: out.json: full" in result.output) == (1, True)


def test_progress_is_drawn(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal sees the round and the line."""
    drawn = io.StringIO()
    console = importlib.import_module("rich.console").Console

    def measure(benchmark: Any, *_: object, progress: Any, **__: object) -> Any:
        progress(1, benchmark.lines[0], 0.5)
        return made_up()

    monkeypatch.setattr(bench_run, "measure", measure)
    monkeypatch.setattr(
        bench_run, "Console", lambda **_: console(file=drawn, force_terminal=True)
    )
    assert invoke("loop", "--no-plot", "-o", "new.json").exit_code == 0
    assert "round 2, native: default" in drawn.getvalue()
