"""A command that measures: write the result, show it, draw it, compare it."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import statistics
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from shrinker._target import check_target
from shrinker._terminal import Terminal
from shrinker.bench.compare import compare
from shrinker.bench.measure import measure
from shrinker.bench.report import print_comparison, print_results
from shrinker.bench.results import load
from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shrinker.bench.lines import Benchmark, Effort, Line

__all__ = ["run"]

_RESULTS = Path("bench-results")


def run(
    benchmark: Benchmark,
    *,
    fast: bool = False,
    rounds: int | None = None,
    output: Path | None = None,
    plot: Path | None = None,
    no_plot: bool = False,
    compare_with: str | None = None,
) -> None:
    """Measure all lines and say what came of it; ``shrinker.bench.options`` says how.

    Raises ``ShrinkerError``, before measuring if possible.
    """
    effort = benchmark.fast if fast else benchmark.effort
    if rounds is not None:
        effort = dataclasses.replace(effort, rounds=rounds)
    # Errors that can be found now are found before a minute is spent.
    if plot is not None and no_plot:
        raise click.UsageError("--plot and --no-plot exclude each other")
    old = None if compare_with is None else load(compare_with)
    names = {line.name for line in benchmark.lines}
    if old is not None and names.isdisjoint(old.get_benchmark_names()):
        raise ShrinkerError(
            f"{compare_with}: has none of the lines that are to be measured; is it of"
            " another benchmark?"
        )
    console = Console(stderr=True, highlight=False)
    if find_spec("matplotlib") is None and not no_plot:
        if plot is not None:
            raise ShrinkerError("plots need matplotlib: pip install 'shrinker[plot]'")
        console.print(escape("no plot: pip install 'shrinker[plot]'"))
        no_plot = True
    now = dt.datetime.now().astimezone()
    output = output or Path(_RESULTS, f"{now:%Y-%m-%dT%H-%M-%S}.json")
    plot = None if no_plot else plot or output
    for path in filter(None, (output, plot)):
        _check_target(path)

    suite = _measure(benchmark, effort, console)
    terminal = Terminal()
    with _writing(output):
        suite.dump(str(output), replace=True)
    print_results(terminal, benchmark, suite)
    if old is not None:
        terminal.print("")
        comparison = compare(old, suite, benchmark.machine)
        print_comparison(terminal, comparison, str(compare_with), benchmark.machine_is)
    terminal.print("")
    terminal.print_line(f"result: {escape(str(output))}")
    if plot is not None:
        # Half a second of imports, for this alone.
        from shrinker.bench.plot import save_plots  # noqa: PLC0415

        with _writing(plot):
            paths = save_plots(benchmark, suite, plot.with_suffix(""), _about(suite))
        for path in paths:
            terminal.print_line(f"plot:   {escape(str(path))}")


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ShrinkerError(f"{path}: {exc.strerror}") from exc


def _check_target(path: Path) -> None:
    """As ``check_target``; the usual directory is made."""
    if path.parent == _RESULTS:
        with _writing(_RESULTS):
            _RESULTS.mkdir(exist_ok=True)
    check_target(path)


def _measure(benchmark: Benchmark, effort: Effort, console: Console) -> Any:
    console.print(
        f"{len(benchmark.lines)} lines, up to {effort.rounds} rounds, about"
        f" {effort.seconds:.0f} seconds; Ctrl-C keeps two or more rounds"
    )
    # Drawn seldom, and by the processor that the rounds leave free.
    with Progress(
        TextColumn("{task.description:39}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("elapsed"),
        console=console,
        refresh_per_second=4,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("", total=1.0)

        def advance(number: int, line: Line, share: float) -> None:
            description = f"round {number + 1}, {line.name}"
            bar.update(task, completed=share, description=description)

        def interrupted(rounds: int) -> None:
            bar.console.print(f"Interrupted: the {rounds} complete rounds are kept.")

        try:
            return measure(benchmark, effort, progress=advance, interrupted=interrupted)
        except KeyboardInterrupt:
            raise ShrinkerError(
                "interrupted before two rounds were complete; nothing is kept"
            ) from None


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
