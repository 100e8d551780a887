"""The command line where standard output cannot carry every character."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("pyperf", reason="shrinker bench measures with pyperf")
pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

from bench_suites import made_up, option, usual
from click.testing import CliRunner

from shrinker.bench import run as bench_run
from shrinker.bench.scenario import ScenarioName
from shrinker.cli import cli

if TYPE_CHECKING:
    from collections.abc import Mapping

TRACE = Path(__file__).parent / "data" / "traces" / "drop_caches.txt.xz"
ASCII = {"PYTHONIOENCODING": "ascii"}
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
COMMANDS = [
    ["replay", TRACE],
    ["replay", "--json", TRACE],
    ["explain", "--count=MAX", "--priority=0"],
    ["explain", "--count=1000", "--json"],
    *(([name] if name else []) + ["--help"] for name in ("", "replay", "bench")),
    ["--version"],
]


def shrinker(
    arguments: list[object], environ: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "shrinker", *map(str, arguments)],
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        | environ,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("environ", [ASCII, C_LOCALE], ids=["ascii", "C locale"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: " ".join(map(str, c[:2])))
def test_ascii_is_enough(command: list[object], environ: Mapping[str, str]) -> None:
    """The same lines come out as in UTF-8, with other signs as wide as ours."""
    done = shrinker(command, environ)
    assert (done.returncode, done.stderr) == (0, b"")
    usual = shrinker(command, {"PYTHONIOENCODING": "utf-8"}).stdout.decode()
    lines = done.stdout.decode("ascii").splitlines()
    for line, other in zip(lines, usual.splitlines(), strict=True):
        if "events" not in line:  # By the second, or in it.
            assert line == other.replace("\N{BOX DRAWINGS LIGHT HORIZONTAL}", "-")


@pytest.mark.parametrize("name", list(ScenarioName))
def test_bench_in_ascii(
    name: ScenarioName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables, legends and comparisons of every scenario; ~ stands for the deviation."""
    result = made_up(name)
    monkeypatch.setattr(bench_run, "measure", lambda *_, **__: result)
    monkeypatch.setattr(bench_run, "build", lambda _: {})
    old = tmp_path / "old.json"
    made_up(name, lambda row, _: 3 * usual(row)).dump(str(old))
    new = str(tmp_path / "new.json")
    args = ["bench", option(name), "--no-plot", "-o", new, "--compare", str(old)]
    done = CliRunner(charset="ascii").invoke(cli, args)
    assert done.exit_code == 0, done.output
    assert " ~" in done.output
    assert "---" in done.output
    assert "\\" not in done.output


@pytest.mark.parametrize("environ", [ASCII, C_LOCALE, {"PYTHONIOENCODING": "utf-8"}])
def test_names_that_are_no_characters(
    environ: Mapping[str, str], tmp_path: Path
) -> None:
    """A file's name may be any bytes; those that cannot be shown are escaped."""
    name = os.fsdecode(b"caf\xc3\xa9-\xff.txt.xz")
    shutil.copy(TRACE, tmp_path / name)
    for path, code in ((tmp_path / name, 0), (tmp_path / f"no-{name}", 1)):
        done = shrinker(["replay", path], environ)
        assert (done.returncode, done.stderr) == (code, b"")
        assert b"\\udcff.txt.xz" in done.stdout


def test_errors_that_were_asked_for_are_left_alone() -> None:
    """PYTHONIOENCODING=ascii:replace says what is to stand there."""
    done = shrinker(["replay", TRACE], {"PYTHONIOENCODING": "ascii:replace"})
    assert done.returncode == 0
    assert b"????" in done.stdout
    assert b"----" not in done.stdout
