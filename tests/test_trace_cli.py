"""``shrinker replay`` as a user runs it."""

from __future__ import annotations

import json
import lzma
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("click", reason="the command line needs shrinker[cli]")
pytest.importorskip("rich", reason="the command line needs shrinker[cli]")

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
