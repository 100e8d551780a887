"""How ``shrinker top`` prints: a live table, one table, or JSON."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import termios
import time
import tty
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from shrinker._names import printable
from shrinker._terminal import NameTable, Terminal
from shrinker.kernel.live import BY, SORT_KEYS, LiveTable, Row, Window
from shrinker.kernel.objects import CgroupPaths, Counts, count_objects, find_debugfs
from shrinker.kernel.stop import Stop
from shrinker.kernel.tracefs import (
    SHRINKER_EVENTS,
    Instance,
    KernelError,
    default_buffer_bytes,
    find_tracefs,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["top"]

_POLL_SECONDS = 0.1
# Counting calls every shrinker for every cgroup: at most a 20th of the time.
_COUNTING_SHARE = 1 / 20
_POINTER_DIGITS = 6  # The end of a pointer, which differs where the beginning does not.
_LINES_AROUND = 6  # Above and below the rows.
_ROOM_FOR_PRIORITY = 96
_KEYS = {key[0]: key for key in SORT_KEYS}
_HELP = "sort: " + " ".join(f"{key[0]}={key}" for key in SORT_KEYS)
_MEMCG_HELP = "m=shrinker/memcg/both  "
_MORE_HELP = "w=whole time/last seconds  q=quit"
_MAX_CALLERS_SHOWN = 4
_MIN_SHARE_SHOWN = 0.005


@dataclasses.dataclass
class _View:
    """What the user wants to see."""

    by: str
    sort: str
    names_memcg: bool
    """Whether the kernel's events name the memory cgroup."""
    whole: bool = False

    def press(self, key: str) -> None:
        """Do what a key says; others do nothing."""
        if key == "m" and self.names_memcg:
            self.by = BY[(BY.index(self.by) + 1) % len(BY)]
        elif key == "w":
            self.whole = not self.whole
        else:
            self.sort = _KEYS.get(key, self.sort)


class _Objects:
    """Counts from debugfs, not more often than they are cheap."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._next = 0.0
        self._counts: Counts | None = None

    def counts(self) -> Counts | None:
        """Return the last counts, counting again where it is time to; else None."""
        began = time.monotonic()
        if self._directory is not None and began >= self._next:
            self._counts = count_objects(self._directory)
            ended = time.monotonic()
            self._next = ended + (ended - began) / _COUNTING_SHARE
        return self._counts


def top(*, interval: float, by: str, sort: str, once: bool, as_json: bool) -> None:
    """Show passes as they happen until Ctrl-C, or once after ``interval`` seconds."""
    live = not once and not as_json
    console = Console(highlight=False)
    if live and not console.is_terminal:
        raise click.UsageError("The output is no terminal: use --once or --json.")
    tracefs = find_tracefs()
    view = _View(by, sort, tracefs.has_field(SHRINKER_EVENTS[0], "memcg_id"))
    if by != "shrinker" and not view.names_memcg:
        raise KernelError(
            "the events of this kernel do not name memory cgroups (those of 7.2 and"
            " later do): use --by shrinker"
        )
    tracefs.remove_stale()
    paths, objects = CgroupPaths(), _Objects(find_debugfs())
    instance = Instance(tracefs, SHRINKER_EVENTS, default_buffer_bytes())

    def show(window: Window, view: _View) -> None:
        shown = _screen(window, view, paths, objects.counts(), console)
        screen.update(shown, refresh=True)

    with Stop() as stop, instance:
        table = LiveTable(time.monotonic_ns())
        if live:
            with _keys() as keys, Live(console=console, screen=True) as screen:
                screen.update(Text("waiting for passes; q quits"), refresh=True)
                _run(_Watch(instance, table, stop, keys), interval, view, show)
            return
        _Watch(instance, table, stop, None).until(time.monotonic() + interval)
        window = table.take(time.monotonic_ns())[0].window(by)
    if as_json:
        _print_json(window, view, paths, objects.counts())
    else:
        _print_once(window, view, paths, objects.counts(), Terminal())


class _Watch(NamedTuple):
    """Adds events up until something is to be done."""

    instance: Instance
    table: LiveTable
    stop: Stop
    keys: int | None

    def until(self, deadline: float) -> str | None:
        """Wait until ``deadline``, on the monotonic clock, or for a key.

        Returns the key, ``q`` where a signal came or the keyboard has gone, or None.
        """
        also = [] if self.keys is None else [self.keys]
        while self.stop.signal is None:
            for chunk in self.instance.read():
                self.table.feed(chunk)
                if time.monotonic() >= deadline:
                    break  # There is more, but the screen and signals count too.
            left = deadline - time.monotonic()
            for key in self.stop.wait(min(left, _POLL_SECONDS), also):
                return os.read(key, 1).decode("latin-1").lower() or "q"
            if left <= 0:
                return None
        return "q"


def _run(
    watch: _Watch,
    interval: float,
    view: _View,
    show: Callable[[Window, _View], None],
) -> None:
    """Show a window each ``interval`` seconds, and the last one again after a key."""
    deadline = time.monotonic() + interval
    last = whole = None
    while (key := watch.until(deadline)) != "q":
        if key is None:
            last, whole = watch.table.take(time.monotonic_ns())
            deadline = time.monotonic() + interval
        else:
            view.press(key)
        shown = whole if view.whole else last
        if shown is not None:
            show(shown.window(view.by), view)


@contextlib.contextmanager
def _keys() -> Iterator[int | None]:
    """Yield the descriptor from which keys come; None where there is no keyboard."""
    try:
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
    except (OSError, ValueError, termios.error):
        yield None
        return
    tty.setcbreak(descriptor)
    try:
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _screen(
    window: Window,
    view: _View,
    paths: CgroupPaths,
    counts: Counts | None,
    console: Console,
) -> Group:
    rows = window.sorted_by(view.sort)
    room = max(console.height - _LINES_AROUND - (counts is not None), 1)
    table = _table(rows[:room], view, paths, wide=console.width >= _ROOM_FOR_PRIORITY)
    parts: list[Any] = [_line(_head(window, view), "bold"), _line(_callers(window))]
    if rows:
        parts.append(table.fitted(console, console.width))
    if len(rows) > room:
        parts[1].append(f"; {len(rows) - room:,} more rows")
    if counts is not None:
        parts.append(_line(_held(counts, view, paths)))
    more = (_MEMCG_HELP if view.names_memcg else "") + _MORE_HELP
    parts += [_line(_HELP, "dim"), _line(more, "dim")]
    return Group(*parts)


def _line(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style, no_wrap=True, overflow="ellipsis")


def _head(window: Window, view: _View) -> str:
    rate = window.passes / window.seconds if window.seconds > 0 else 0.0
    lost = f", {window.lost_events:,} events lost" if window.lost_events else ""
    span = "since the start" if view.whole else "the last"
    return (
        f"shrinker top: {span} {window.seconds:.1f} s, {rate:,.0f} passes/s{lost},"
        f" sorted by {view.sort}"
    )


def _callers(window: Window) -> str:
    total = sum(window.callers.values())
    if not total:
        return "no pass"
    shares = (
        f"{name} {100 * seconds / total:.0f} %"
        for name, seconds in list(window.callers.items())[:_MAX_CALLERS_SHOWN]
        if seconds >= _MIN_SHARE_SHOWN * total
    )
    return f"{_time(total)} inside of shrinkers: {', '.join(shares)}"


def _held(counts: Counts, view: _View, paths: CgroupPaths) -> str:
    if view.by == "memcg":
        largest = sorted(counts.by_memcg.items(), key=lambda item: -item[1])
        named = {_path(paths, number): held for number, held in largest}
    else:
        named = counts.by_shrinker
    parts = (f"{name} {_short(held)}" for name, held in list(named.items())[:8])
    return f"held now: {', '.join(parts)}"


def _table(
    rows: list[Row], view: _View, paths: CgroupPaths, *, wide: bool
) -> NameTable:
    name = "memory cgroup" if view.by == "memcg" else "shrinker"
    table = NameTable("", name, tight=True)
    headers = ["passes", "asked", "scanned", "freed", "time", "longest", "deferred"]
    for header in [*headers, "count", *(["priority"] if wide else [])]:
        table.add_column(header)
    alike: dict[str | None, set[int | None]] = {}
    for row in rows:
        alike.setdefault(row.function, set()).add(row.pointer)
    for row in rows:
        cells = [
            _short(row.passes),
            _short(row.asked),
            _short(row.scanned),
            _short(row.freed),
            _time(row.seconds),
            _time(row.longest),
            _short(row.deferred),
            _short(row.counted),
        ]
        if wide:
            cells.append("" if row.priority is None else str(row.priority))
        name = _name(row, view, paths, ambiguous=len(alike[row.function]) > 1)
        # One that is inside now: where it takes long, this is what to see.
        table.add_row(name, *cells, style="bold" if row.running else None)
    return table


def _name(row: Row, view: _View, paths: CgroupPaths, *, ambiguous: bool) -> str:
    parts = []
    if row.function is not None:
        parts.append(row.function)
    if ambiguous and row.pointer is not None:
        parts.append(f"{row.pointer:016x}"[-_POINTER_DIGITS:])
    if view.by != "shrinker" and row.memcg_id is not None:
        parts.append(_path(paths, row.memcg_id))
    return " ".join(parts) or "unknown"


def _path(paths: CgroupPaths, number: int) -> str:
    return paths.path(number) or f"cgroup {number}"


def _short(number: float) -> str:
    """Return a number in at most 5 characters (6 where it is negative)."""
    size = abs(number)
    units = iter(" kMGTPEZY")
    unit = next(units).strip()
    while size >= 999.5:  # noqa: PLR2004 - what is rounded to 1000
        size, number, unit = size / 1000, number / 1000, next(units)
    digits = 0 if not unit or size >= 100 else 1  # noqa: PLR2004 - three digits
    return f"{number:.{digits}f}{unit}"


def _time(seconds: float) -> str:
    """Return a time in at most 6 characters."""
    if seconds >= 0.9995:  # noqa: PLR2004 - what is rounded to 1000 ms
        return f"{seconds:.1f}s"
    if seconds >= 0.9995e-3:  # noqa: PLR2004 - to 1000 us
        return f"{seconds * 1e3:.0f}ms"
    return f"{seconds * 1e6:.0f}us" if seconds else "0"


def _print_once(
    window: Window,
    view: _View,
    paths: CgroupPaths,
    counts: Counts | None,
    terminal: Terminal,
) -> None:
    table = _table(window.sorted_by(view.sort), view, paths, wide=False)
    table.title = _head(window, view)
    if table.row_count:
        terminal.print_table(table)
    else:
        terminal.print_paragraph(table.title)
    terminal.print_paragraph(_callers(window))
    if counts is not None:
        terminal.print_paragraph(_held(counts, view, paths))


def _print_json(
    window: Window, view: _View, paths: CgroupPaths, counts: Counts | None
) -> None:
    rows = []
    for row in window.sorted_by(view.sort):
        memcg = None if row.memcg_id is None else paths.path(row.memcg_id)
        rows.append(dataclasses.asdict(row) | {"memcg": memcg})
    result = {
        "seconds": window.seconds,
        "passes": window.passes,
        "lost_events": window.lost_events,
        "callers": window.callers,
        "rows": rows,
        "objects": None if counts is None else counts._asdict(),
    }
    click.echo(json.dumps(result, indent=2))
