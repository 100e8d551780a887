"""A result of ``--scenario memcg`` on the terminal, readable at 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from shrinker.bench.memcg_points import NR_NODES, Operation
from shrinker.bench.results import medians
from shrinker.bench.table import nanoseconds

if TYPE_CHECKING:
    from shrinker.bench.memcg_results import (
        MemcgResult,
        Memory,
        PointCosts,
        SeriesResult,
    )
    from shrinker.bench.results import Figure
    from shrinker.trace.terminal import Terminal

__all__ = ["print_memcg_result"]


def print_memcg_result(terminal: Terminal, result: MemcgResult) -> None:
    """Print times with ratios, a table a series, and memory."""
    for one in result.series:
        # Not the table's own title, which breaks where the table ends.
        terminal.print_line(f"[bold]ns, by {one.series.title}[/]")
        terminal.print(_series_table(one))
        terminal.print("")
    _print_memory(terminal, result.memory)
    terminal.print("")
    points = (costs for one in result.series for costs in one.costs)
    figures = (figure for costs in points for figure in costs.time.values())
    terminal.print(
        f"{NR_NODES} nodes. create, leave: of a memcg. set bits: all bits of a memcg"
        " on a node. walk: a memcg on a node, at priority 12, the same again and"
        " again. in turn: the same, another memcg each time, which the processor has"
        " to fetch from memory. per bit: what a walk takes more than with no bit"
        " set. x: times as much as in the first line, in the same round."
        f" {medians(figures)}; ±: the largest median absolute deviation of the line."
    )


def _series_table(one: SeriesResult) -> Table:
    operations = one.series.operations
    per_bit = [
        kind
        for kind in operations
        if Operation.CREATE not in operations
        and any(kind in costs.per_bit for costs in one.costs)
    ]
    # A ratio stands closer to its time than a time to the ratio before it.
    table = _table(
        *(header for kind in operations for header in (_header(kind), "x")),
        *(f" {kind}\n per bit" for kind in per_bit if kind is not Operation.SET),
        " ±",
        padding=0,
    )
    for costs in one.costs:
        table.add_row(
            f"{costs.number:,}",
            *(cell for kind in operations for cell in _cost(costs, kind)),
            *(f" {_cell(costs.per_bit.get(kind))}" for kind in per_bit),
            f" {max(ratio.spread for ratio in costs.ratio.values()):.0%}",
        )
    return table


def _header(kind: Operation) -> str:
    return "\n".join(f" {word}" for word in kind.split())


def _cost(costs: PointCosts, kind: Operation) -> tuple[str, str]:
    if kind not in costs.time:
        return " -", "-"
    return f" {costs.time[kind].median:,.0f}", _times(costs.ratio[kind].median)


def _print_memory(terminal: Terminal, memory: list[Memory]) -> None:
    terminal.print_line("[bold]bytes for each memcg and node[/]")
    table = _table(
        "ids",
        "Memcg.memory",
        "resident",
        "resident,\nwith Memcg",
        "±",
    )
    for one in memory:
        table.add_row(
            f"{one.point.shrinkers:,} shrinkers, {one.point.memcgs:,} memcgs",
            f"{one.nr_max:,}",
            f"{one.own:,.0f}",
            f"{one.resident.median:,.0f}",
            f"{one.resident_with_python:,.0f}",
            f"{one.resident.spread:.0%}",
        )
    terminal.print(table)


def _table(*headers: str, padding: int = 1) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        padding=(0, padding),
        pad_edge=False,
        show_edge=False,
    )
    table.add_column("", no_wrap=True)
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True, vertical="bottom")
    return table


def _cell(figure: Figure | None) -> str:
    return "-" if figure is None else nanoseconds(figure.median)


def _times(value: float) -> str:
    digits = 1 if value < 10 else 0  # noqa: PLR2004
    return f"{value:,.{digits}f}x"
