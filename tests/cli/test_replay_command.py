"""``shrinker replay``: its tables, its JSON, its exit codes."""

from __future__ import annotations

import io
import json
import lzma
import re
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

from cli_support import console, run
from replay_support import (
    CUT_LINE,
    DROP_CACHES,
    NUMA_KSWAPD,
    ORPHAN_END,
    ORPHAN_START,
    PRINT_ORDER,
    TRACES,
    write_recording,
)

from shrinker.cli.replay import print_replay, progress
from shrinker.replay import replay_files

LOST = "CPU:1 [LOST {} EVENTS]"


def long_name(directory: Path) -> Path:
    """Return the path of a file with a name of 100 characters."""
    return directory / f"{'a-long-name-' * 8}.txt"


def printed(width: int | None, *files: Path) -> list[str]:
    """Return the lines on a terminal with that many columns; None is no terminal."""
    text = io.StringIO()
    print_replay(replay_files(files), console(text, width))
    return text.getvalue().splitlines()


def test_text() -> None:
    """The text has the counts, the shrinkers and the share that is exact."""
    result = run("replay", DROP_CACHES)
    assert result.returncode == 0
    assert "71 of 71 passes exact (100 %)" in result.stdout
    assert "ext4_es_scan" in result.stdout
    assert result.stderr == ""


def test_json() -> None:
    """--json prints one object on standard output and nothing else."""
    result = run("replay", "--json", PRINT_ORDER)
    data = json.loads(result.stdout)
    assert (data["passes"], data["inexact"]) == (3, 1)
    assert len(data["problems"]) == 1
    assert result.returncode == 0


def test_standard_input() -> None:
    """``-`` is the standard input."""
    with lzma.open(TRACES / "perf_script.txt.xz", "rt") as file:
        result = run("replay", "--json", "-", input=file.read())
    assert json.loads(result.stdout)["exact"] == 60


class _Interrupted(io.RawIOBase):
    """A stream on which Ctrl-C is pressed at the end of its text."""

    def __init__(self, text: bytes) -> None:
        self._text = io.BytesIO(text)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read from the text; at its end, raise what Ctrl-C raises."""
        if read := self._text.readinto(buffer):
            return read
        raise KeyboardInterrupt


def test_interrupted_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends what is read from a pipe; what was read is printed."""
    text = lzma.decompress((TRACES / "perf_script.txt.xz").read_bytes())
    stream = io.TextIOWrapper(io.BufferedReader(_Interrupted(text)))
    monkeypatch.setattr(sys, "stdin", stream)
    result = replay_files(["-"])
    assert result.total.exact == 60
    assert "interrupted" in (result.files[0].error or "")
    print_replay(result)
    printed_text = capsys.readouterr().out
    assert "60 of 60 passes exact" in printed_text
    assert "interrupted" in printed_text


def test_no_name() -> None:
    """A file without a name is named as a shell writes it."""
    result = run("replay", "")
    assert result.returncode == 1
    assert result.stdout.startswith("'': ")


@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_unreadable_file_is_exit_code_1(tmp_path: Path, json_option: list[str]) -> None:
    """A file that is missing, empty, no recording or a directory is named."""
    (tmp_path / "empty").touch()
    (tmp_path / "prose").write_text("Dear reader,\n")
    (tmp_path / "strange[red]name").write_text("x\n")
    for name in ("none", "empty", "prose", "strange[red]name", ""):
        result = run("replay", *json_option, tmp_path / name)
        assert result.returncode == 1
        assert Path(name).name in result.stdout


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([ORPHAN_START], "no pass has its end: was mm_shrink_slab_end enabled?"),
        ([ORPHAN_END], "no pass has its start: was mm_shrink_slab_start enabled?"),
        ([ORPHAN_END, ORPHAN_START], "no pass has both its start and its end"),
        ([ORPHAN_START, CUT_LINE], "no pass has both its start and its end"),
    ],
)
def test_a_file_without_a_pass_is_exit_code_1(
    tmp_path: Path, lines: list[str], reason: str
) -> None:
    """Events alone are not enough; a good file beside it is replayed all the same."""
    path = tmp_path / "orphans"
    path.write_text("".join(f"{line}\n" for line in lines))
    done = run("replay", DROP_CACHES, path)
    assert done.returncode == 1
    assert f"{path}: {reason}\n" in done.stdout
    assert "71 of 71 passes exact" in done.stdout
    done = run("replay", "--json", path)
    assert done.returncode == 1
    data = json.loads(done.stdout)
    assert data["files"][0]["error"] == reason
    assert data["problems"][0] == {"file": str(path), "line": None, "reason": reason}


def test_bad_file_among_good_ones_is_exit_code_1(tmp_path: Path) -> None:
    """The good one is replayed all the same."""
    result = run("replay", "--json", tmp_path / "none", DROP_CACHES)
    assert result.returncode == 1
    data = json.loads(result.stdout)
    assert data["exact"] == 71
    assert data["problems"][0]["file"] == str(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "error"),
    [("none", "No such file or directory"), (".", "Is a directory")],
)
def test_unreadable_file_is_one_line(tmp_path: Path, name: str, error: str) -> None:
    """A file that cannot be opened has no tables."""
    result = run("replay", tmp_path / name)
    assert result.stdout == f"{tmp_path / name}: {error}\n"
    assert result.returncode == 1


def test_strict(tmp_path: Path) -> None:
    """An inexact pass, a malformed line, an orphan or a loss is exit code 1."""
    assert run("replay", "--strict", DROP_CACHES).returncode == 0
    bad = (
        PRINT_ORDER,
        write_recording(tmp_path / "a", CUT_LINE),
        write_recording(tmp_path / "b", LOST.format(1)),
        write_recording(tmp_path / "c", ORPHAN_START),
    )
    for path in bad:
        assert run("replay", path).returncode == 0
        assert run("replay", "--strict", DROP_CACHES, path).returncode == 1
        assert run("replay", "--strict", "--json", path).returncode == 1


@pytest.mark.parametrize("width", [72, 80, 120])
def test_tables_fit_the_terminal(tmp_path: Path, width: int) -> None:
    """Numbers are printed in full, one row a line; only long names are cut."""
    path = write_recording(long_name(tmp_path), LOST.format(12345678))
    lines = printed(width, NUMA_KSWAPD, path)
    rules = [i for i, line in enumerate(lines) if line.startswith("──")]
    assert len(rules) == 3
    for i in rules:
        assert len(lines[i]) <= width
        assert lines[i + 1].strip()
    text = "\n".join(lines)
    for number in ("19,944", "12,345,678", "b7f3171c", "4990bc8", "14,336"):
        assert re.search(rf"(^|\s|-){number}(\s|$)", text), number
    assert "a-lo" in text
    assert "…" in text
    assert "0000" not in text


def test_rows_are_paragraphs_on_a_narrow_terminal() -> None:
    """Where a table does not fit, no line is broken by the terminal."""
    lines = printed(40, NUMA_KSWAPD)
    begin = next(i for i, line in enumerate(lines) if line.startswith("Shrinkers of"))
    table = lines[begin : lines.index("", begin)]
    assert max(map(len, table)) <= 40
    text = " ".join(line.strip() for line in table)
    assert re.search(r"pointer \w+, passes [\d,]+, exact [\d,]+, seeks \d", text)


def test_names_in_a_pipe(tmp_path: Path) -> None:
    """Without a terminal no function's name is cut, a file's name stands in full above
    its shrinkers, and no line ends in blanks."""
    path = write_recording(long_name(tmp_path))
    lines = printed(None, NUMA_KSWAPD, path)
    assert [line for line in lines if line != line.rstrip()] == []
    assert f"Shrinkers of {path}" in lines
    assert any(line.startswith("jbd2_journal_shrink_scan ") for line in lines)


def test_long_file_names_widen_no_table_in_a_pipe(tmp_path: Path) -> None:
    """The table of recordings has 80 columns there too; names are cut in the middle, so
    that they still differ at their ends."""
    names = [f"{n}-{'long-' * 30}{n}.txt" for n in (1, 2)]
    lines = printed(None, *(write_recording(tmp_path / name) for name in names))
    table = lines[: lines.index("")]
    assert max(map(len, table)) == 80
    assert [line[:2] for line in table[-2:]] == ["1-", "2-"]
    assert [line.split()[0][-5:] for line in table[-2:]] == ["1.txt", "2.txt"]


def test_columns_of_zeros_are_left_out(tmp_path: Path) -> None:
    """A column that is 0 in all rows is left out, and so is its legend."""
    plain = "\n".join(printed(80, TRACES / "memcg.txt.xz"))
    left_out = ("inexact", "overlap", "adopted", "reordered", "merged", "orphan", "bad")
    for name in (*left_out, "lost", "counters"):
        assert name not in plain
    for name in ("seeks", "batch"):
        assert f"\n{name}: " in plain
    assert "docs/replay.md" in plain
    faulty = write_recording(tmp_path / "file", LOST.format(4), CUT_LINE)
    full = "\n".join(printed(80, NUMA_KSWAPD, faulty))
    for name in (
        "overlap",
        "reordered",
        "adopted",
        "bad",
        "lost",
        "seeks",
        "batch",
        "counters",
    ):
        assert f"\n{name}: " in full
    assert "\norphan: " not in full


def test_open_interval_is_in_words(tmp_path: Path) -> None:
    """A delta of 0 for 2 objects: any seeks from 9 on gives it, and 0 does not."""
    path = tmp_path / "file"
    path.write_text(
        "f 1: nid: 0 objects to shrink 0 gfp_flags none cache items 2 delta 0"
        " total_scan 0 priority 0\n"
    )
    assert any("9 or more" in line for line in printed(80, path))


def test_unknown_lines_are_counted(tmp_path: Path) -> None:
    """The text and the JSON say how many there are, and where the first is."""
    path = write_recording(tmp_path / "file", "who knows", "", "what this is")
    first = path.read_text().splitlines().index("who knows") + 1
    lines = printed(80, path)
    assert f"{path}: 2 lines not recognised, the first is line {first}" in lines
    data = json.loads(run("replay", "--json", path).stdout)
    assert data["unknown_lines"] == 2
    assert data["files"][0]["first_unknown_line"] == first
    one = printed(80, write_recording(path, "x"))
    assert f"{path}: 1 line not recognised, the first is line {first}" in one


def test_last_line_counts_the_faults(tmp_path: Path) -> None:
    """Beside the share of exact passes, it counts bad lines, orphans and losses."""
    assert printed(80, DROP_CACHES)[-1] == "71 of 71 passes exact (100 %)"
    path = tmp_path / "file"
    write_recording(path, CUT_LINE, ORPHAN_START, LOST.format(1234))
    assert printed(80, path)[-1] == (
        "71 of 71 passes exact (100 %), 1 bad line, 1 orphan, 1,234 lost events"
    )
    write_recording(path, CUT_LINE, CUT_LINE)
    assert printed(80, path)[-1].endswith("%), 2 bad lines")
    path.write_text(f"{ORPHAN_START}\n")
    assert printed(80, path)[-1] == "no pass is complete, 1 orphan"


def test_rate_is_of_many_events() -> None:
    """Below 10,000 events the text leaves the rate out; the JSON always has it."""
    assert "events/s" not in "".join(printed(80, DROP_CACHES))
    assert re.search(r", [\d,]+ events/s$", printed(80, TRACES / "kswapd.txt.xz")[-1])
    data = json.loads(run("replay", "--json", DROP_CACHES).stdout)
    assert data["events_per_second"] > 0


@pytest.mark.parametrize("files", [(__file__, "/nowhere"), ("-",), ("a://b/c",)])
def test_progress_on_a_terminal(
    files: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bar by bytes read, with the name; - and addresses have no size, no file 0."""
    drawn = io.StringIO()
    drawn.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", drawn)
    monkeypatch.setenv("TERM", "xterm")
    with progress(files) as advance:
        assert advance is not None
        advance(files[0], 10)
    assert Path(files[0]).name[:6] in drawn.getvalue()


def test_no_progress_off_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file or a pipe gets no bar."""
    drawn = io.StringIO()
    monkeypatch.setattr(sys, "stderr", drawn)
    with progress((__file__,)) as advance:
        assert advance is None
    assert drawn.getvalue() == ""
