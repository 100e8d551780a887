"""A result and a comparison on the terminal, readable at 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from shrinker.bench.compare import MIN_CHANGE
from shrinker.bench.points import Callbacks, Factor
from shrinker.bench.results import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from shrinker.bench.compare import Change, Comparison
    from shrinker.bench.results import Figure, PointResult

__all__ = ["nanoseconds", "print_comparison", "print_results"]


def print_results(console: Console, results: Sequence[PointResult]) -> None:
    """Print a table of passes and one of scan calls."""
    passes, calls = _results_table("ns per pass"), _results_table("ns per scan call")
    factor = None
    for result in results:
        if result.point.factor is not factor:
            factor = result.point.factor
            passes.add_section()
            calls.add_section()
        _add_row(passes, result, result.per_pass, result.ratio)
        if result.per_call:
            _add_row(calls, result, result.per_call, result.call_ratio)
    for table in (passes, calls):
        if table.row_count:
            console.print(table)
    console.print(
        "default: 100 shrinkers of 4,096 objects, priority 3, batch 128; the lines"
        " below it vary one factor. calls: scan calls in a pass. no shrinker: ns of a"
        " whole walk. vs pure: times as fast as pure Python in the same round, so"
        " below 1 is slower. Medians of rounds; ±: the largest median absolute"
        " deviation of the three."
    )


def _results_table(title: str) -> Table:
    table = _table(title)
    table.add_column("", no_wrap=True)
    headers = ("calls", "native", "Python", "pure\nPython")
    for header in (*headers, "native\nvs pure", "Python\nvs pure", "±"):
        table.add_column(header, justify="right", no_wrap=True, vertical="bottom")
    return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )


def _add_row(
    table: Table,
    result: PointResult,
    figures: dict[Callbacks, Figure],
    ratios: dict[Callbacks, Figure],
) -> None:
    label = result.point.label
    if result.point.factor is Factor.RECORDED:
        label = f"{label}, {result.shrinkers} shrinkers"
    calls = result.scan_calls
    table.add_row(
        label,
        f"{calls:,.0f}" if calls == int(calls) else f"{calls:.2f}",
        *(_cell(figures.get(kind), nanoseconds) for kind in Callbacks),
        _cell(ratios.get(Callbacks.NATIVE), _times),
        _cell(ratios.get(Callbacks.PYTHON), _times),
        f"{max(figure.spread for figure in figures.values()):.0%}",
    )


def _cell(figure: Figure | None, text: Callable[[float], str]) -> str:
    return "-" if figure is None else text(figure.median)


def nanoseconds(value: float) -> str:
    """Return nanoseconds as text, with a digit after the point below 100."""
    return f"{value:,.{1 if abs(value) < 100 else 0}f}"  # noqa: PLR2004


def _times(value: float) -> str:
    digits = 0 if value >= 10 else 1 if value >= 1 else 2  # noqa: PLR2004
    return f"{value:,.{digits}f}x"


def print_comparison(console: Console, comparison: Comparison, old: str) -> None:
    """Print which rows became slower or faster."""
    for remark in comparison.remarks:
        console.print(f"note: {remark}", markup=False)
    if comparison.missing:
        console.print(
            f"note: {len(comparison.missing)} rows are in one of the results only",
        )
    slower = sorted(
        (change for change in comparison.changes if change.slower),
        key=lambda change: (not change.itself, -change.factor),
    )
    faster = sorted(
        (change for change in comparison.changes if change.faster),
        key=lambda change: (not change.itself, change.factor),
    )
    for title, changes, style in (
        (f"Slower than in {old}", slower, "red"),
        (f"Faster than in {old}", faster, "green"),
    ):
        if changes:
            console.print(_changes(title, changes, style))
    same = len(comparison.changes) - len(slower) - len(faster)
    console.print(
        f"{len(slower)} slower ({_by_itself(slower)} by itself), {len(faster)} faster"
        f" ({_by_itself(faster)} by itself), {same} unchanged: pyperf's t-test at 95 %,"
        f" and {MIN_CHANGE:g} % or more. vs pure: the same against the pure-Python row"
        " of the same round; where that is unchanged, the machine changed, not the row."
    )


def _by_itself(changes: Sequence[Change]) -> int:
    return sum(change.itself for change in changes)


def _changes(title: str, changes: Sequence[Change], style: str) -> Table:
    table = _table(title)
    table.add_column("row", style=style)
    for name in ("old ns", "new ns", "time", "vs pure", "changed"):
        table.add_column(name, justify="right", no_wrap=True)
    for change in changes:
        relative, what = "", "peer"
        if change.relative is not None:
            relative = f"x {change.relative:.2f}"
            what = "the row" if change.itself else "the machine"
        table.add_row(
            change.name,
            nanoseconds(change.old * NS),
            nanoseconds(change.new * NS),
            f"x {change.factor:.2f}",
            relative,
            what,
        )
    return table
