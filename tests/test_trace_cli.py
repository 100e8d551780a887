"""``shrinker replay`` as a user runs it."""

from __future__ import annotations

import io
import json
import lzma
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("click", reason="the command line needs shrinker[cli]")
pytest.importorskip("rich", reason="the command line needs shrinker[cli]")

from rich.console import Console

from shrinker.trace import replay_files
from shrinker.trace.printing import print_replay

TRACES = Path(__file__).parent / "data" / "traces"


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shrinker", *map(str, arguments)]
    result = subprocess.run(  # noqa: PLW1510
        command,
        capture_output=True,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    assert "Traceback" not in result.stdout + result.stderr
    return result  # type: ignore[no-any-return]


def test_help_names_the_commands() -> None:
    """-h and --help print what there is to do."""
    for option in ("-h", "--help"):
        result = run(option)
        assert result.returncode == 0
        assert "replay" in result.stdout
    assert "FILE" in run("replay", "-h").stdout


def test_version() -> None:
    """--version prints one line."""
    assert run("--version").stdout.startswith("shrinker")


def test_replay_prints_a_table() -> None:
    """People get the counts, the shrinkers and the share that is exact."""
    result = run("replay", TRACES / "drop_caches.txt.xz")
    assert result.returncode == 0
    assert "71 of 71 passes exact (100 %)" in result.stdout
    assert "ext4_es_scan" in result.stdout
    assert result.stderr == ""


def test_replay_prints_json() -> None:
    """Programs get one object on standard output and nothing else."""
    result = run("replay", "--json", TRACES / "hard" / "numa_kswapd_6.1.txt.xz")
    data = json.loads(result.stdout)
    assert (data["passes"], data["inexact"]) == (19944, 3)
    assert len(data["problems"]) == 3
    assert result.returncode == 0


def test_replay_reads_standard_input() -> None:
    """``-`` is the standard input."""
    with lzma.open(TRACES / "perf_script.txt.xz", "rt") as file:
        result = run("replay", "--json", "-", input=file.read())
    assert json.loads(result.stdout)["exact"] == 60


@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_nothing_readable_is_exit_code_1(
    tmp_path: Path, json_option: list[str]
) -> None:
    """Files that are missing, empty, no trace or directories are named."""
    (tmp_path / "empty").touch()
    (tmp_path / "prose").write_text("Dear reader,\n")
    (tmp_path / "strange[red]name").write_text("x\n")
    for name in ("none", "empty", "prose", "strange[red]name", ""):
        result = run("replay", *json_option, tmp_path / name)
        assert result.returncode == 1
        assert Path(name).name in result.stdout


def test_bad_file_among_good_ones_is_exit_code_1(tmp_path: Path) -> None:
    """The good ones are replayed all the same."""
    good = TRACES / "drop_caches.txt.xz"
    result = run("replay", "--json", tmp_path / "none", good)
    assert result.returncode == 1
    data = json.loads(result.stdout)
    assert data["exact"] == 71
    assert data["problems"][0]["file"] == str(tmp_path / "none")


def written(tmp_path: Path, *extra: str) -> Path:
    """A recording under a long name, with lines that are not of it."""
    with lzma.open(TRACES / "drop_caches.txt.xz", "rt") as file:
        text = file.read()
    tmp_path.mkdir(exist_ok=True)
    path = tmp_path / f"{'a-long-name-' * 8}.txt"
    path.write_text(text + "".join(f"{line}\n" for line in extra))
    return path


def shown(width: int | None, *files: Path) -> list[str]:
    """Return the lines on a terminal of so many columns; None is no terminal."""
    text = io.StringIO()
    console = Console(
        file=text,
        width=width or 80,
        force_terminal=width is not None,
        color_system=None,
        highlight=False,
    )
    print_replay(replay_files(files), console)
    return text.getvalue().splitlines()


HARD = TRACES / "hard" / "numa_kswapd_6.1.txt.xz"


@pytest.mark.parametrize("width", [72, 80, 120])
def test_tables_fit_the_terminal(tmp_path: Path, width: int) -> None:
    """Numbers stand whole, in lines of their own; only long names are cut."""
    path = written(tmp_path, "CPU:1 [LOST 12345678 EVENTS]")
    lines = shown(width, HARD, path)
    rules = [i for i, line in enumerate(lines) if line.startswith("──")]
    assert len(rules) == 3
    for i in rules:
        assert len(lines[i]) <= width
        assert lines[i + 1].strip()
    text = "\n".join(lines)
    for number in ("19,944", "19,941", "12,345,678", "b7f3171c", "4990bc8", "14,336"):
        assert re.search(rf"(^|\s|-){number}(\s|$)", text), number
    assert "a-lo" in text
    assert "…" in text
    assert "0000" not in text


def test_a_pipe_gets_whole_names_and_no_blanks(tmp_path: Path) -> None:
    """Without a terminal names of functions are not cut, those of files stand whole
    above their shrinkers, and no line ends in blanks."""
    path = written(tmp_path)
    lines = shown(None, HARD, path)
    assert [line for line in lines if line != line.rstrip()] == []
    assert f"Shrinkers of {path}" in lines
    assert any(line.startswith("jbd2_journal_shrink_scan ") for line in lines)


def test_columns_and_legend_are_those_that_say_something(tmp_path: Path) -> None:
    """What is 0 everywhere is left out, and so is its explanation."""
    plain = "\n".join(shown(80, TRACES / "memcg.txt.xz"))
    for name in ("inexact", "overlap", "adopted", "alone", "bad", "lost", "counters"):
        assert name not in plain
    for name in ("seeks", "batch"):
        assert f"\n{name}: " in plain
    assert "docs/replay.md" in plain
    full = "\n".join(
        shown(80, HARD, written(tmp_path, "CPU:1 [LOST 4 EVENTS]", "mm_shrink_slab_e"))
    )
    for name in ("overlap", "adopted", "bad", "lost", "seeks", "batch", "counters"):
        assert f"\n{name}: " in full
    assert "\nalone: " not in full


def test_open_interval_is_said_in_words(tmp_path: Path) -> None:
    """A delta of 0 that half of the cache is not: seeks is large, how large is open."""
    path = tmp_path / "file"
    path.write_text(
        "f 1: nid: 0 objects to shrink 0 gfp_flags none cache items 2 delta 0"
        " total_scan 0 priority 0\n"
    )
    assert any("9 or more" in line for line in shown(80, path))


def test_lines_that_are_not_recognised_are_counted(tmp_path: Path) -> None:
    """How many there are, and where the first is."""
    path = written(tmp_path, "who knows", "", "what this is")
    with path.open() as file:
        first = [line.strip() for line in file].index("who knows") + 1
    result = run("replay", path)
    said = f"2 lines were not recognised, the first is line {first}"
    assert f"{path}: {said}" in result.stdout
    data = json.loads(run("replay", "--json", path).stdout)
    assert data["unknown_lines"] == 2
    assert data["files"][0]["first_unknown_line"] == first
    assert "1 line was not" in run("replay", written(tmp_path, "x")).stdout


@pytest.mark.parametrize(
    ("name", "error"),
    [("none", "No such file or directory"), (".", "Is a directory")],
)
def test_an_unreadable_file_is_one_line(tmp_path: Path, name: str, error: str) -> None:
    """Nothing is added to what has been said."""
    result = run("replay", tmp_path / name)
    assert result.stdout == f"{tmp_path / name}: {error}\n"
    assert result.returncode == 1


def test_strict_fails_where_something_is_left_over(tmp_path: Path) -> None:
    """Inexact, malformed, alone or lost: exit code 1, which --help says."""
    good = TRACES / "drop_caches.txt.xz"
    assert run("replay", "--strict", good).returncode == 0
    start = "f 1: nid: 0 objects to shrink 0 gfp_flags none cache items 2 delta 1"
    bad = (
        HARD,
        written(tmp_path / "a", "mm_shrink_slab_end: cut"),
        written(tmp_path / "b", "CPU:0 [LOST 1 EVENTS]"),
        written(tmp_path / "c", f"{start} total_scan 1 priority 0"),
    )
    for path in bad:
        assert run("replay", path).returncode == 0
        assert run("replay", "--strict", good, path).returncode == 1
        assert run("replay", "--strict", "--json", path).returncode == 1
    assert "Exit codes" in run("replay", "--help").stdout


COMMANDS = [
    ["replay", TRACES / "drop_caches.txt.xz"],
    ["replay", "--json", TRACES / "drop_caches.txt.xz"],
    ["explain", "--count=1000"],
    ["explain", "--count=1000", "--json"],
    ["--help"],
    ["--version"],
    ["bench", "--help"],
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_one_line(command: list[object]) -> None:
    """Exit code 1 and what is wrong, also when all of it fits the buffer."""
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "shrinker", *map(str, command)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 1
    assert result.stderr == "Error: writing the output: No space left on device\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_goes_away_is_no_error(command: list[object]) -> None:
    """As in ``shrinker replay … | head -1``: nothing on standard error."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        result = subprocess.run(
            [sys.executable, "-m", "shrinker", *map(str, command)],
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (result.returncode, result.stderr) == (1, "")


def test_missing_packages_are_named(tmp_path: Path) -> None:
    """Without click the command says in one line what to install."""
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError(name='click')\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
        " from shrinker.__main__ import main; sys.exit(main())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr == (
        "shrinker: the command line needs click: pip install 'shrinker[cli]'\n"
    )


def test_a_long_name_of_a_file_widens_no_table(tmp_path: Path) -> None:
    """In a pipe the table of the recordings has 80 columns, as on a terminal; names
    that differ at their ends can be told apart."""
    paths = [tmp_path / f"{n}-{'long-' * 30}{n}.txt" for n in (1, 2)]
    for path in paths:
        written(tmp_path).rename(path)
    lines = shown(None, *paths)
    table = lines[: lines.index("")]
    assert max(map(len, table)) == 80
    assert [line[:2] for line in table[-2:]] == ["1-", "2-"]
    assert [line.split()[0][-5:] for line in table[-2:]] == ["1.txt", "2.txt"]


def test_the_last_line_counts_what_is_left_over(tmp_path: Path) -> None:
    """100 % of the passes is not all where lines are bad, alone or lost."""
    good = TRACES / "drop_caches.txt.xz"
    assert shown(80, good)[-1] == "71 of 71 passes exact (100 %)"
    start = "f 1: nid: 0 objects to shrink 0 gfp_flags none cache items 2 delta 1"
    alone = f"{start} total_scan 1 priority 0"
    bad = "mm_shrink_slab_end: cut"
    path = written(tmp_path, bad, alone, "CPU:0 [LOST 1234 EVENTS]")
    assert shown(80, path)[-1] == (
        "71 of 71 passes exact (100 %), 1 bad line, 1 alone, 1,234 lost"
    )
    assert shown(80, written(tmp_path, bad, bad))[-1].endswith("%), 2 bad lines")
    path.write_text(f"{alone}\n")
    assert shown(80, path)[-1] == "no pass is complete, 1 alone"


def test_a_rate_is_one_of_many_events() -> None:
    """Below 10,000 events it is left out; programs get it always."""
    small, large = TRACES / "drop_caches.txt.xz", TRACES / "kswapd.txt.xz"
    assert "events/s" not in "".join(shown(80, small))
    assert re.search(r", [\d,]+ events/s$", shown(80, large)[-1])
    data = json.loads(run("replay", "--json", small).stdout)
    assert data["events_per_second"] > 0
