"""``shrinker bench``: measure, write the result, show it, draw it, compare it."""

from __future__ import annotations

import datetime as dt
import statistics
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from shrinker.bench.compare import compare
from shrinker.bench.measure import measure
from shrinker.bench.points import ROWS
from shrinker.bench.recording import load_recording
from shrinker.bench.results import load, point_results
from shrinker.bench.table import print_comparison, print_results
from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from shrinker.bench.measure import Effort
    from shrinker.bench.points import Row

__all__ = ["bench", "default_output"]


def default_output() -> Path:
    """Return where a result goes: bench-results/ and the time, as JSON."""
    now = dt.datetime.now().astimezone()
    return Path("bench-results", now.strftime("%Y-%m-%dT%H-%M-%S") + ".json")


def bench(
    effort: Effort,
    *,
    output: Path,
    recording: str | None = None,
    plot: Path | None = None,
    compare_with: str | None = None,
) -> None:
    """Measure all rows and say what came of it.

    ``plot`` is where pictures go, its suffix replaced by ``.png`` and ``.svg``;
    None is no picture.  ``compare_with`` is an older result.

    Raises ``ShrinkerError``, before measuring if possible.
    """
    # Whatever can be wrong is found before a minute is spent.
    old = None if compare_with is None else load(compare_with)
    load_recording(recording)
    if plot is not None and find_spec("matplotlib") is None:
        raise ShrinkerError("plots need matplotlib: pip install 'shrinker[plot]'")
    for path in (output, plot):
        if path is not None:
            _make_parent(path)

    suite = _measure(effort, recording)
    try:
        suite.dump(str(output), replace=True)
    except OSError as exc:
        raise ShrinkerError(f"{output}: {exc.strerror}") from exc

    # Tables are made for 80 columns, and not cut where that is not known.
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=80)
    results = point_results(suite)
    print_results(console, results)
    if old is not None:
        console.print()
        print_comparison(console, compare(old, suite), str(compare_with))
    console.print()
    console.print(f"result: {output}", soft_wrap=True)
    if plot is not None:
        # Half a second of imports, for this alone.
        from shrinker.bench.plot import save_plots  # noqa: PLC0415

        try:
            paths = save_plots(results, plot.with_suffix(""), _about(suite))
        except OSError as exc:
            raise ShrinkerError(f"{plot}: {exc.strerror}") from exc
        for path in paths:
            console.print(f"plot:   {path}", soft_wrap=True)


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ShrinkerError(f"{path.parent}: {exc.strerror}") from exc
    if path.is_dir():
        raise ShrinkerError(f"{path}: is a directory")


def _measure(effort: Effort, recording: str | None) -> Any:
    console = Console(stderr=True, highlight=False)
    console.print(
        f"{len(ROWS)} rows, up to {effort.rounds} rounds, about"
        f" {effort.seconds:.0f} seconds"
    )
    columns = (
        TextColumn("{task.description:36}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    # Drawn seldom, and by the processor that the rounds leave free.
    with Progress(
        *columns,
        console=console,
        refresh_per_second=4,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("", total=1.0)

        def advance(number: int, row: Row, share: float) -> None:
            description = f"round {number + 1}, {row.name}"
            bar.update(task, completed=share, description=description)

        return measure(effort, recording=recording, progress=advance)


def _about(suite: Any) -> str:
    """Say in a line where and when a result was measured."""
    metadata = suite.get_metadata()
    rounds = statistics.median(benchmark.get_nvalue() for benchmark in suite)
    parts = (
        metadata.get("cpu_model_name"),
        f"{metadata['cpu_count']} CPUs" if "cpu_count" in metadata else None,
        f"Python {metadata.get('python_version', '').partition(' ')[0]}",
        metadata.get("platform", "").partition("-with")[0],
        f"{rounds:.0f} rounds",
        f"{dt.datetime.now().astimezone():%Y-%m-%d}",
    )
    return ", ".join(part for part in parts if part)
