"""How ``shrinker replay`` prints: a progress bar, tables, and the problems."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TransferSpeedColumn

from shrinker._names import printable, shortened
from shrinker._terminal import NameTable, Terminal
from shrinker.replay.files import STDIN
from shrinker.replay.remote import is_address
from shrinker.replay.results import MAX_SEEKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.replay.results import (
        FileReplay,
        Interval,
        Replay,
        ReplayedShrinker,
    )

__all__ = ["print_replay", "progress"]

_OFFSET = re.compile(r"\+0x[0-9a-f]+(/0x[0-9a-f]+)?")
_COUNTS: dict[str, Callable[[FileReplay], int]] = {
    "passes": lambda file: file.passes,
    "exact": lambda file: file.exact,
    "inexact": lambda file: file.inexact,
    "overlap": lambda file: file.overlaps,
    "adopted": lambda file: file.adopted,
    "reordered": lambda file: file.reordered,
    "merged": lambda file: file.merged,
    "orphan": lambda file: file.orphan_starts + file.orphan_ends,
    "bad": lambda file: file.malformed_lines,
    "lost": lambda file: file.lost_events,
}
"""The columns of the table of recordings."""
_ALWAYS = ("passes", "exact")
"""Columns that are shown even where all their numbers are 0."""
_LEGEND = {
    "overlap": "exact passes whose deferred counter another walker changed meanwhile",
    "adopted": "exact passes that began with deferred work from before the recording",
    "reordered": "exact passes whose lines stand in another order than the changes",
    "merged": "exact passes whose counter a removed memory cgroup was added to",
    "orphan": "starts without an end and ends without a start",
    "bad": "malformed lines: a shrinker event that could not be read",
    "lost": "events that the recording itself reports as lost",
    "seeks": "the values of seeks that give every delta",
    "batch": "the batch sizes that allow what was scanned",
    "counters": "deferred counters by NUMA node, or one set for all nodes",
}
"""The meaning of the columns, in their order."""
_PROGRESS_NAME_COLUMNS = 24
# The JSON has up to 1,000 of a file.
_MAX_PROBLEMS_SHOWN = 20
# With fewer events the rate measures how long the command takes to start.
_MIN_EVENTS_FOR_RATE = 10_000


@contextlib.contextmanager
def progress(files: tuple[str, ...]) -> Iterator[Callable[[str, int], None] | None]:
    """Yield the ``progress`` of ``replay_files``; None where there is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    sizes = {file: _size(file) for file in files}
    columns = TextColumn("{task.description}"), BarColumn(), TransferSpeedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        total = None if None in sizes.values() else sum(s or 0 for s in sizes.values())
        task = bar.add_task("", total=total)
        done: dict[str, int] = {}

        def advance(file: str, position: int) -> None:
            done[file] = position
            name = shortened(printable(Path(file).name), _PROGRESS_NAME_COLUMNS)
            bar.update(task, completed=sum(done.values()), description=escape(name))

        yield advance


def print_replay(result: Replay, console: Console | None = None) -> None:
    """Print tables of the files, the shrinkers and the problems."""
    terminal = Terminal(console)
    total = result.total
    if total.events:
        tables = [_files(result)]
        tables += [_shrinkers(file) for file in result.files if file.shrinkers]
        for table in tables:
            terminal.print_table(table)
        _print_legend(terminal, {name for table in tables for name in table.headers})
    _print_problems(terminal, result)
    if total.events:
        _print_eras(terminal, result)
        terminal.print(_summary(total))


def _size(file: str) -> int | None:
    if file == STDIN or is_address(file):
        return None
    try:
        return Path(file).stat().st_size
    except (OSError, ValueError):
        return 0


def _files(result: Replay) -> NameTable:
    shown = {
        name: count
        for name, count in _COUNTS.items()
        if name in _ALWAYS or any(map(count, result.files))
    }
    # A cut name stands in full above its table of shrinkers, and beside problems.
    table = NameTable("Recordings", "file", always_cut=True)
    for name in shown:
        table.add_column(name)
    for file in result.files:
        table.add_row(
            Path(file.file).name,
            *(f"{count(file):,}" for count in shown.values()),
            style="red" if file.error or file.inexact else None,
        )
    return table


_COUNTERS = {None: "", True: "by node", False: "one set"}


def _shrinkers(file: FileReplay) -> NameTable:
    table = NameTable(f"Shrinkers of {file.file}", "scan function")
    columns: dict[str, tuple[bool, Callable[[ReplayedShrinker], str]]] = {
        "pointer": (True, lambda s: f"{s.pointer:x}"),
        "passes": (True, lambda s: f"{s.passes:,}"),
        "exact": (True, lambda s: f"{s.exact:,}"),
        "seeks": (False, lambda s: _interval(s.seeks.interval, MAX_SEEKS)),
        "batch": (False, lambda s: _interval(s.batch)),
        "counters": (False, lambda s: _COUNTERS[s.numa_aware]),
    }
    if not any(_COUNTERS[shrinker.numa_aware] for shrinker in file.shrinkers):
        del columns["counters"]
    for header, (right, _) in columns.items():
        table.add_column(header, right=right)
    for shrinker in file.shrinkers:
        table.add_row(
            # The offset is always 0 and the size of no use; a module's name is kept.
            _OFFSET.sub("", shrinker.scan_function),
            *(text(shrinker) for _, text in columns.values()),
        )
    return table


def _interval(interval: Interval, most: int | None = None) -> str:
    low, high = interval
    if low is None or high is None:
        return "any"
    if low == high:
        return f"{low:,}"
    return f"{low:,} or more" if high == most else f"{low:,}-{high:,}"


def _print_legend(terminal: Terminal, headers: set[str]) -> None:
    for name, meaning in _LEGEND.items():
        if name in headers:
            terminal.print(f"[bold]{name}[/]: {meaning}")
    terminal.print("docs/replay.md says more.\n")


def _print_eras(terminal: Terminal, result: Replay) -> None:
    """Print a line for each span of kernels, with the files that fit it."""
    spans: dict[str, list[str]] = {}
    for file in result.files:
        if file.kernels is not None:
            spans.setdefault(_era(file), []).append(Path(file.file).name)
    for era, names in spans.items():
        of = "" if len(spans) == 1 else f"{', '.join(map(escape, names))}: "
        terminal.print_line(f"{of}these passes fit Linux {era}")


def _era(file: FileReplay) -> str:
    return f"{file.kernels} (era {file.era})" if file.era else f"{file.kernels}"


def _print_problems(terminal: Terminal, result: Replay) -> None:
    total = result.total
    for reason, count in total.inexact_reasons.items():
        terminal.print(f"inexact: {count:,} x {escape(reason)}")
    for problem in total.problems[:_MAX_PROBLEMS_SHOWN]:
        where = problem.file or "''"
        where += "" if problem.line is None else f":{problem.line}"
        terminal.print_line(f"[red]{escape(where)}[/]: {escape(problem.reason)}")
    more = len(total.problems) - _MAX_PROBLEMS_SHOWN + total.problems_omitted
    if more > 0:
        terminal.print(f"... and {more:,} more")
    for file in result.files:
        if file.unknown_lines:
            lines = "line" if file.unknown_lines == 1 else "lines"
            terminal.print_line(
                f"{escape(file.file)}: {file.unknown_lines:,} {lines} not recognised,"
                f" the first is line {file.first_unknown_line}"
            )


def _summary(total: FileReplay) -> str:
    if total.passes:
        share = 100 * total.exact / total.passes
        parts = [f"{total.exact:,} of {total.passes:,} passes exact ({share:.6g} %)"]
    else:
        parts = ["no pass is complete"]
    faults = {
        "bad line": total.malformed_lines,
        "orphan": total.orphan_starts + total.orphan_ends,
        "lost event": total.lost_events,
        "untracked event": total.untracked_events,
    }
    parts += [
        f"{count:,} {fault}{'s' * (count != 1)}"
        for fault, count in faults.items()
        if count
    ]
    if total.events >= _MIN_EVENTS_FOR_RATE and total.seconds:
        parts.append(f"{total.events / total.seconds:,.0f} events/s")
    return ", ".join(parts)
