"""What `shrinker bench` does where a result is short, or nothing can be written."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("pyperf")
pytest.importorskip("rich")

import rich.console

from shrinker import ShrinkerError
from shrinker.bench import points, results, run, table, workloads
from shrinker.bench.compare import Change, Comparison
from shrinker.trace.terminal import Terminal

if TYPE_CHECKING:
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
    recording: Any = None
    assert workloads.scan_calls(nobody, recording) == 0.0


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
