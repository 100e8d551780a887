"""A result and a comparison on the terminal, readable at 80 columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from shrinker._terminal import NameTable
from shrinker.bench.compare import MIN_CHANGE
from shrinker.bench.lines import NS
from shrinker.bench.results import MAX_SPREAD, by_line, shown_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shrinker._terminal import Terminal
    from shrinker.bench.compare import Change, Comparison
    from shrinker.bench.lines import Benchmark, Difference, Line, Row, Table
    from shrinker.bench.results import Figure, Shown

__all__ = ["print_comparison", "print_results", "short_number", "short_ratio"]

_LOST = "\N{EN DASH}"
# Beyond these a table would not fit.
_MAX_SPREAD_SHOWN = 0.99
_MAX_RATIO_SHOWN = 999


def print_results(terminal: Terminal, benchmark: Benchmark, suite: Any) -> None:
    """Print all tables of which something was measured, and what they mean."""
    found = by_line(suite)
    lost = False
    for table in benchmark.tables:
        if rows := shown_rows(table, found):
            terminal.print_table(_table(table, rows))
            lost = lost or any(
                cell and not cell.value for _, cells in rows for cell in cells
            )
    if lost:
        terminal.print(
            f"{_LOST}: lost in the noise. It is the difference of two lines, and here"
            " no larger than what they vary by"
            f" (± above {MAX_SPREAD:.0%}, or not above 0).\n"
        )
    rounds = max(map(len, found.values()), default=0)
    terminal.print(
        f"{benchmark.legend} Medians of {rounds} rounds; ratios are of the same round;"
        " ±: the largest median absolute deviation of the line."
    )


def _table(table: Table, rows: Sequence[tuple[Row, list[Shown | None]]]) -> NameTable:
    made = NameTable(table.title, "")
    if table.notes:
        made.add_column(table.notes)
    for column in table.columns:
        made.add_column(column.header)
        if column.ratio:
            made.add_column(column.ratio)
    made.add_column("±")
    group = rows[0][0].group
    for row, cells in rows:
        if row.group != group:
            made.add_section()
            group = row.group
        texts = [row.note] if table.notes else []
        for column, line, cell in zip(table.columns, row.cells, cells, strict=True):
            texts.append(_text(cell))
            if column.ratio:
                texts.append(_ratio_text(line, cell))
        made.add_row(row.label, *texts, _spread(cells))
    return made


def _text(cell: Shown | None) -> str:
    if cell is None:
        return ""
    return _LOST if cell.value is None else short_number(cell.value.median)


def _ratio_text(line: Line | Difference | None, cell: Shown | None) -> str:
    if cell is None or line is None or line.against is None:
        return ""
    return _LOST if cell.ratio is None else short_ratio(cell.ratio.median)


def _spread(cells: Sequence[Shown | None]) -> str:
    figures: list[Figure | None] = []
    for cell in cells:
        figures += (cell.value, cell.ratio) if cell else ()
    spreads = [figure.spread for figure in figures if figure]
    if not spreads:
        return _LOST
    shown = min(max(spreads), _MAX_SPREAD_SHOWN)
    return f"{'>' * (shown < max(spreads))}{shown:.0%}"


def short_number(value: float) -> str:
    """Return a number with three digits, or all that stand before the point."""
    size = abs(value)
    return f"{value:,.{2 if size < 10 else 1 if size < 100 else 0}f}"  # noqa: PLR2004


def short_ratio(value: float) -> str:
    """Return how many times, in three digits: 0.57x, 12.0x, >999x."""
    shown = min(value, _MAX_RATIO_SHOWN)
    return f"{'>' * (shown < value)}{short_number(shown)}x"


# --- a comparison -------------------------------------------------------------------


def print_comparison(
    terminal: Terminal, comparison: Comparison, old: str, machine_is: str
) -> None:
    """Print which lines became slower or faster.

    ``machine_is``: ``Benchmark.machine_is``.
    """
    for remark in comparison.remarks:
        terminal.print(f"note: {escape(remark)}")
    if comparison.missing:
        terminal.print(
            f"note: {len(comparison.missing)} lines are in one of the results only",
        )
    said = []
    for word, style, changes in (
        ("slower", "red", [one for one in comparison.changes if one.slower]),
        ("faster", "green", [one for one in comparison.changes if one.faster]),
    ):
        changes.sort(key=lambda one: (one.cause != "line", -abs(math.log(one.factor))))
        if changes:
            title = f"{word.capitalize()} than in {old}"
            terminal.print_table(_changes(title, changes, style, machine_is))
        itself = sum(one.cause == "line" for one in changes)
        said.append(f"{len(changes)} {word} ({itself} by itself)")
    same = sum(not (one.slower or one.faster) for one in comparison.changes)
    text = (
        f"{', '.join(said)}, {same} unchanged: pyperf's t-test at 95 %, and"
        f" {MIN_CHANGE:g} % or more."
    )
    if machine_is:
        text += (
            f" vs {machine_is}: the same test against the {_MACHINE_LINES[machine_is]}"
            " of the same round; - is within the noise. changed: the line, if both"
            f" tests agree; the machine, if the line kept within {MIN_CHANGE:g} % of"
            " that other one, or moved the other way; - cannot be told."
        )
    terminal.print(text)


_MACHINE_LINES = {"pure": "pure-Python line", "C": "line written in C"}
"""What tells how fast the machine is, by ``Benchmark.machine_is``."""


def _changes(
    title: str, changes: Sequence[Change], style: str, machine_is: str
) -> NameTable:
    table = NameTable(title, "line")
    for name in ("old ns", "new ns", "time"):
        table.add_column(name)
    if machine_is:
        table.add_column(f"vs {machine_is}")
        table.add_column("changed")
    for change in changes:
        cells = [_value(change.old, change.unit), _value(change.new, change.unit)]
        cells.append(f"x {change.factor:.2f}")
        if machine_is:
            cells.append(f"x {change.relative:.2f}" if change.relative else "-")
            cells.append(f"the {change.cause}" if change.cause else "-")
        table.add_row(change.name, *cells, style=style)
    return table


def _value(value: float, unit: str) -> str:
    return f"{value:,.0f} B" if unit == "byte" else short_number(value * NS)
