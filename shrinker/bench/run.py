"""``shrinker bench``: measure, write the result, show it, draw it, compare it."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import statistics
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from shrinker.bench.compare import compare
from shrinker.bench.kinds import KINDS
from shrinker.bench.measure import measure
from shrinker.bench.peers.build import build
from shrinker.bench.peers.points import ROWS as PEERS_ROWS
from shrinker.bench.peers.results import c_api_row, peers_result
from shrinker.bench.peers.table import print_peers_result
from shrinker.bench.points import ROWS
from shrinker.bench.recording import load_recording
from shrinker.bench.results import load, point_results
from shrinker.bench.scenario import ScenarioName
from shrinker.bench.table import print_comparison, print_results
from shrinker.errors import ShrinkerError
from shrinker.trace.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shrinker.bench.measure import Effort
    from shrinker.bench.scenario import AnyRow

__all__ = ["bench", "bench_peers", "bench_scenario", "default_output"]


_RESULTS = Path("bench-results")


def default_output() -> Path:
    """Return where a result goes: bench-results/ and the time, as JSON."""
    now = dt.datetime.now().astimezone()
    return Path(_RESULTS, now.strftime("%Y-%m-%dT%H-%M-%S") + ".json")


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
    old = _older(compare_with, ROWS)
    load_recording(recording)
    _check_paths(output, plot)
    suite = _measure(effort, ROWS, recording=recording)
    terminal = _write(suite, output)
    results = point_results(suite)
    print_results(terminal, results)
    if old is not None:
        terminal.print("")
        print_comparison(terminal, compare(old, suite), str(compare_with))
    terminal.print("")
    _print_paths(terminal, "result:", [output])
    if plot is not None:
        # Half a second of imports, for this alone.
        from shrinker.bench.plot import save_plots  # noqa: PLC0415

        with _writing(plot):
            paths = save_plots(results, plot.with_suffix(""), _about(suite))
        _print_paths(terminal, "plot:  ", paths)


def bench_scenario(
    scenario: ScenarioName,
    effort: Effort,
    *,
    output: Path,
    plot: Path | None = None,
    compare_with: str | None = None,
) -> None:
    """Measure another scenario than the loop and the peers; say what came of it.

    Arguments and errors are those of ``bench``.
    """
    kind = KINDS[scenario]
    old = _older(compare_with, kind.rows)
    _check_paths(output, plot)
    suite = _measure(effort, kind.rows, scenario=scenario)
    terminal = _write(suite, output)
    kind.show(terminal, suite)
    _compare(terminal, old, suite, compare_with, kind.reference)
    terminal.print("")
    _print_paths(terminal, "result:", [output])
    if plot is not None:
        with _writing(plot):
            paths = kind.draw(suite, plot.with_suffix(""), _about(suite))
        _print_paths(terminal, "plot:  ", paths)


def bench_peers(
    effort: Effort,
    *,
    output: Path,
    plot: Path | None = None,
    compare_with: str | None = None,
) -> None:
    """Measure ways into Python side by side, and say what came of it.

    Peers that cannot be built are named with the reason, and left out.  Arguments
    and errors are those of ``bench``.
    """
    old = _older(compare_with, PEERS_ROWS)
    _check_paths(output, plot)
    with tempfile.TemporaryDirectory(prefix="shrinker-peers-") as directory:
        unbuilt = build(Path(directory))
        rows = [row for row in PEERS_ROWS if row.peer not in unbuilt]
        _check_common(old, rows, compare_with)
        suite = _measure(effort, rows, scenario=ScenarioName.PEERS, peers=directory)
    terminal = _write(suite, output)
    result = peers_result(suite)
    print_peers_result(terminal, result, unbuilt)
    _compare(terminal, old, suite, compare_with, c_api_row)
    terminal.print("")
    _print_paths(terminal, "result:", [output])
    if plot is not None:
        from shrinker.bench.peers.plot import save_peers_plots  # noqa: PLC0415

        with _writing(plot):
            paths = save_peers_plots(result, plot.with_suffix(""), _about(suite))
        _print_paths(terminal, "plot:  ", paths)


def _older(path: str | None, rows: Sequence[AnyRow]) -> Any:
    """Return the older result, if any; it has one of the rows, if not more."""
    old = None if path is None else load(path)
    _check_common(old, rows, path)
    return old


def _check_common(old: Any, rows: Sequence[AnyRow], path: str | None) -> None:
    if old is None:
        return
    names = {row.name for row in rows}
    if names.isdisjoint(old.get_benchmark_names()):
        raise ShrinkerError(
            f"{path}: has none of the rows that are to be measured; is it of another"
            " scenario?"
        )


def _compare(
    terminal: Terminal,
    old: Any,
    suite: Any,
    name: str | None,
    reference: Callable[[str], str | None],
) -> None:
    if old is not None:
        terminal.print("")
        comparison = compare(old, suite, reference)
        print_comparison(terminal, comparison, str(name), "C")


def _check_paths(output: Path, plot: Path | None) -> None:
    if plot is not None and find_spec("matplotlib") is None:
        raise ShrinkerError("plots need matplotlib: pip install 'shrinker[plot]'")
    for path in (output, plot):
        if path is not None:
            _check_target(path)


def _write(suite: Any, output: Path) -> Terminal:
    """Write the result, and return what to print tables on."""
    with _writing(output):
        suite.dump(str(output), replace=True)
    return Terminal()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ShrinkerError(f"{path}: {exc.strerror}") from exc


def _print_paths(terminal: Terminal, what: str, paths: Sequence[Path]) -> None:
    for path in paths:
        terminal.print_line(f"{what} {escape(str(path))}")


def _check_target(path: Path) -> None:
    """Raise ``ShrinkerError`` where nothing could be written to ``path``."""
    if path.parent == _RESULTS:
        try:
            _RESULTS.mkdir(exist_ok=True)
        except OSError as exc:
            raise ShrinkerError(f"{_RESULTS}: {exc.strerror}") from exc
    if not path.parent.exists():
        raise ShrinkerError(f"{path.parent}: no such directory")
    if not path.parent.is_dir():
        raise ShrinkerError(f"{path.parent}: not a directory")
    if not os.access(path.parent, os.W_OK):
        raise ShrinkerError(f"{path.parent}: may not be written to")
    if path.is_dir():
        raise ShrinkerError(f"{path}: is a directory")


def _measure(
    effort: Effort,
    rows: Sequence[AnyRow],
    *,
    scenario: ScenarioName = ScenarioName.LOOP,
    recording: str | None = None,
    peers: str | None = None,
) -> Any:
    console = Console(stderr=True, highlight=False)
    console.print(
        f"{len(rows)} rows, up to {effort.rounds} rounds, about"
        f" {effort.seconds:.0f} seconds; Ctrl-C keeps two or more rounds"
    )
    columns = (
        TextColumn("{task.description:39}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("elapsed"),
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

        def advance(number: int, row: AnyRow, share: float) -> None:
            description = f"round {number + 1}, {row.name}"
            bar.update(task, completed=share, description=description)

        def interrupted(rounds: int) -> None:
            bar.console.print(f"Interrupted: the {rounds} complete rounds are kept.")

        try:
            return measure(
                effort,
                scenario=scenario,
                recording=recording,
                peers=peers,
                rows=rows,
                progress=advance,
                interrupted=interrupted,
            )
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
