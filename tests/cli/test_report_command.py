"""``shrinker report``: its tables, JSON, CSV, exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path

import pytest

pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")
pytest.importorskip("numpy", reason="the report needs numpy")

from cli_support import run
from click.testing import CliRunner
from replay_support import CUT_LINE, DROP_CACHES, NUMA_KSWAPD, TRACES
from report_support import Writer

from shrinker.cli.app import cli
from shrinker.report import Report
from shrinker.report.words import duration, number, percent


def test_text_fits_80_columns() -> None:
    """The tables by shrinker and caller are there, and no line is wider than 80."""
    result = run("report", DROP_CACHES, NUMA_KSWAPD)
    assert result.returncode == 0
    assert result.stderr == ""
    for words in (
        "drop_caches.txt.xz: 71 passes",
        "Work by shrinker",
        "Time by caller",
        "kswapd",
        "direct: wl",
    ):
        assert words in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_json() -> None:
    """--json has the recordings and the rows, grouped as asked."""
    result = run("report", "--json", "--by", "caller", DROP_CACHES)
    report = json.loads(result.stdout)
    (recording,) = report["recordings"]
    assert (recording["passes"], recording["exact"]) == (71, 71)
    (row,) = report["rows"]
    assert (row["caller"], row["passes"]) == ("drop_caches", 71)
    assert "shrinker" not in row
    assert row["priorities"] == {"0": 71}


def test_csv(tmp_path: Path) -> None:
    """--csv has a line of names and a line for each row."""
    writer = Writer()
    for n in range(3):
        writer.add(f"f{n}", scanned=n, took_us=3 - n)
    path = writer.write(tmp_path)
    result = run("report", "--csv", "--by", "shrinker", "--by", "node", path)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["shrinker"] for row in rows] == ["f0", "f1", "f2"]
    assert [row["scanned"] for row in rows] == ["0", "1", "2"]
    assert {row["node"] for row in rows} == {"0"}
    assert rows[2]["longest_start_line"] == "5"
    assert rows[2]["priorities"] == "12:1"


def test_many_rows_are_cut_and_said_to_be(tmp_path: Path) -> None:
    """A table has 12 rows at most, and says how many it left out."""
    writer = Writer()
    for n in range(15):
        writer.add(f"f{n}")
    result = run("report", writer.write(tmp_path))
    assert "... and 3 more; --csv and --json have all" in result.stdout


def test_losses_are_said(tmp_path: Path) -> None:
    """Where the recording reports lost events, the figures are said to be too low."""
    writer = Writer()
    writer.add()
    writer.lines.append("CPU:1 [LOST 7 EVENTS]")
    result = run("report", writer.write(tmp_path))
    assert "7 events were lost: figures are too low" in " ".join(result.stdout.split())


@pytest.mark.parametrize("option", [(), ("--csv",), ("--json",)])
def test_exit_code_of_unreadable_files(tmp_path: Path, option: tuple[str]) -> None:
    """A file without events is an error, whatever is printed."""
    bad = tmp_path / "bad.txt"
    bad.write_text(f"{CUT_LINE}\n")
    result = run("report", *option, bad)
    assert result.returncode == 1
    assert ("no shrinker event could be read" in result.stdout) == (
        option != ("--csv",)
    )


@pytest.mark.parametrize(
    "option", ["-o x.html", "--csv", "--what-if seeks=1", "--trace-events x.json"]
)
def test_the_reason_why_a_file_is_not_in_it(tmp_path: Path, option: str) -> None:
    """It is told, also where the report goes to a file or a program."""
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 9)
    for name, reason in (
        ("empty", "the file is empty"),
        ("binary", "not a recording: no line is an event"),
        ("missing", "No such file or directory"),
        (".", "Is a directory"),
    ):
        result = run("report", *option.split(), name, cwd=tmp_path)
        line = f"{name}: {reason}\n"
        said = result.stdout if "trace" in option else result.stderr
        assert (result.returncode, said) == (1, line)


@pytest.mark.parametrize("option", ["-o", "--trace-events"])
def test_a_full_disk_is_named(option: str) -> None:
    """The line on standard error says which file could not be written."""
    result = run("report", option, "/dev/full", DROP_CACHES)
    assert result.returncode == 1
    assert result.stderr == "Error: /dev/full: No space left on device\n"


def test_a_comparison_says_what_it_could_not_read(tmp_path: Path) -> None:
    """On standard error; the exit code is 1."""
    result = run("report", "none", "--", DROP_CACHES, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (
        1,
        "none: No such file or directory\n",
    )


@pytest.mark.parametrize("option", [(), ("-o", "x.html"), ("--csv",), ("--json",)])
def test_events_that_make_no_pass(tmp_path: Path, option: tuple[str]) -> None:
    """What is left out is said, with the reason; the exit code is 1."""
    writer = Writer()
    for n in range(3):
        writer.add(f"f{n}")
    path = writer.write(tmp_path)
    text = path.read_text()
    huge = "last shrinker return val 9999999999999999999999"
    path.write_text(re.sub(r"last shrinker return val \d+", huge, text))
    result = run("report", *option, path, cwd=tmp_path)
    assert result.returncode == 1
    said = " ".join((result.stderr if option else result.stdout).split())
    assert f"{path}: no pass has both its start and its end" in said
    assert f"{path}: 3 lines left out; the first is line 2: malformed line: exp" in said


def test_passes_with_lines_that_are_left_out(tmp_path: Path) -> None:
    """The others are reported; that some are missing is said, and no fault."""
    writer = Writer()
    writer.add()
    writer.lines.append(CUT_LINE)
    result = run("report", writer.write(tmp_path))
    assert result.returncode == 0
    assert "1 line left out; the first is line 3: malformed line" in result.stdout


def test_wrong_command_lines() -> None:
    """Two formats at once, an unknown group or no file are refused."""
    assert run("report", "--json", "--csv", DROP_CACHES).returncode == 2
    assert run("report", "--by", "color", DROP_CACHES).returncode == 2
    assert run("report").returncode == 2


def test_findings_are_printed() -> None:
    """A finding has its sentence and lines; where there is none, that is said."""
    result = run("report", TRACES / "memcg.txt.xz")
    words = " ".join(result.stdout.split())
    assert "[refused-work] super_cache_scan baf91cd: 1,706 passes" in words
    assert "Passes that start in line 4943, " in words
    assert "Nothing in it is worth a finding." in run("report", DROP_CACHES).stdout


def test_thresholds() -> None:
    """--threshold changes what is found; a wrong one is refused with the names."""
    result = run("report", "--json", "--threshold", "long_drop_ms=100", DROP_CACHES)
    (finding,) = json.loads(result.stdout)["findings"]
    assert finding["kind"] == "long-pass"
    assert finding["lines"][0][0] < finding["lines"][0][1]
    for wrong, words in (
        ("long_pass_ms", "NAME=NUMBER"),
        ("color=1", "long_pass_ms, long_drop_ms"),
        ("long_pass_ms=-1", "must not be negative"),
        ("long_pass_ms=nan", "not a finite number"),
        ("long_pass_ms=-inf", "not a finite number"),
    ):
        result = run("report", "--threshold", wrong, DROP_CACHES)
        assert result.returncode == 2
        assert words in result.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("priority_change=13", "'13' is outside -12 to 12"),
        ("priority_change=-13", "'-13' is outside -12 to 12"),
        ("seeks=-1", "'-1' is outside 0 to 2**31-1"),
        ("memcg_aware=maybe", "is not one of 'yes', 'no'"),
        ("own_thread=", "is not one of 'yes', 'no'"),
        ("batch=-1", "'-1' is outside 0 to 2**63-1"),
        ("era=A", "'A' is not one of 'B', 'C'"),
        ("seeks=nan", "'nan' is not an integer: try 4096"),
        ("seeks", "the names are seeks, batch, era, priority_change"),
        ("color=1", "the names are seeks, batch, era, priority_change"),
    ],
)
def test_changes_that_no_kernel_has(change: str, words: str) -> None:
    """Refused before anything is read, with the range."""
    arguments = ["report", "--what-if", change, "missing"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.parametrize(
    ("option", "settings"),
    [
        ("--what-if", ["batch=1024", "seeks=1", "batch=512"]),
        ("--what-if", ["seeks=1", "seeks=1"]),
        ("--threshold", ["long_pass_ms=5", "long_pass_ms=50"]),
    ],
)
def test_a_setting_given_twice(option: str, settings: list[str]) -> None:
    """Refused, with its name: which one was meant cannot be known."""
    arguments = [text for setting in settings for text in (option, setting)]
    result = CliRunner().invoke(cli, ["report", *arguments, "missing"])
    assert result.exit_code == 2
    name = settings[-1].partition("=")[0]
    assert f"{settings[-1]!r}: {name} is given twice" in result.stderr


@pytest.mark.parametrize("option", ["-o", "--trace-events", "--parquet"])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none/x.html", "none: no such directory"),
        ("text/x.html", "text: not a directory"),
    ],
)
def test_a_place_without_room_for_a_file(
    option: str,
    name: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Refused with the reason before a recording is read."""
    monkeypatch.chdir(tmp_path)
    Path("text").touch()
    monkeypatch.setattr(Report, "read", lambda *_, **__: pytest.fail("it is read"))
    result = CliRunner().invoke(cli, ["report", option, name, str(DROP_CACHES)])
    assert (result.exit_code, result.stderr) == (1, f"Error: {reason}\n")


def test_a_file_may_be_written_where_others_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a device is; what may not be written itself is refused."""
    there = tmp_path / "x.html"
    there.touch()
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)
    invoke = CliRunner().invoke
    done = invoke(cli, ["report", "-o", str(there), str(DROP_CACHES)])
    assert done.exit_code == 0
    new = str(tmp_path / "new.html")
    done = invoke(cli, ["report", "-o", new, str(DROP_CACHES)])
    assert done.stderr == f"Error: {tmp_path}: may not be written to\n"


def test_no_priority_above_12(tmp_path: Path) -> None:
    """Where reclaim begins already at 12, less urgent is the same."""
    writer = Writer()
    for _ in range(20):
        writer.add(count=1 << 20, priority=12, scanned=512)
    result = run("report", "--what-if", "priority_change=1", writer.write(tmp_path))
    model, changed = (
        line.split()[1:]
        for line in result.stdout.splitlines()
        if line.strip().startswith(("model ", "changed "))
    )
    assert model == changed


def test_nothing_to_ask_about(tmp_path: Path) -> None:
    """A what-if of a recording that scans nothing says that."""
    writer = Writer()
    writer.add(count=1)
    result = run("report", "--what-if", "seeks=4", writer.write(tmp_path))
    assert result.stdout == "No shrinker scanned anything, or would scan anything.\n"


def test_words() -> None:
    """Numbers have three digits and a unit, durations too; shares a percent sign."""
    assert [number(n) for n in (0, 950, 12_345, -2_000, 2**62)] == [
        "0",
        "950",
        "12.3k",
        "-2k",
        "4.61E",
    ]
    assert [duration(n) for n in (None, 0, 999, 1_500, 240_821_000, 61 * 10**9)] == [
        "",
        "0 ns",
        "999 ns",
        "1.5 µs",
        "241 ms",
        "61 s",
    ]
    assert [percent(share) for share in (None, 0, 0.5, 0.9999, 1, 0.0004)] == [
        "",
        "0 %",
        "50 %",
        ">99.9 %",
        "100 %",
        "0.04 %",
    ]
