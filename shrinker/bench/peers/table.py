"""A result of ``--peers`` on the terminal, readable at 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from shrinker.bench.peers.points import Peer
from shrinker.bench.results import medians

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shrinker.bench.peers.results import PeerCosts, ResultsCosts
    from shrinker.bench.results import Figure
    from shrinker.trace.terminal import Terminal

__all__ = ["print_peers_result"]

_NONE = "\N{EN DASH}"


def print_peers_result(
    terminal: Terminal, result: Sequence[ResultsCosts], unbuilt: Mapping[Peer, str]
) -> None:
    """Print a table for each kind of results; ``unbuilt`` says why peers lack."""
    for one in result:
        # Not the table's own title, which breaks where the table ends.
        terminal.print_line(f"[bold]ns a callback, returning {one.results}[/]")
        terminal.print(_results_table(one, unbuilt))
        terminal.print("")
    for peer, reason in unbuilt.items():
        terminal.print(f"{escape(peer)} could not be built: {escape(reason)}\n")
    terminal.print(
        "A callback reads nr_to_scan, sets nr_scanned and returns how many; one in nine"
        " counts. All are called in the same walks of 20 shrinkers, with the GIL held;"
        " ns of processor time. vs C API: times as long. shrinker: times as fast as"
        " this. Both are of the same round."
        f" {medians(cost.time for one in result for cost in one.costs)};"
        " ±: the largest median absolute deviation of the line."
    )


def _results_table(one: ResultsCosts, unbuilt: Mapping[Peer, str]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False, show_edge=False
    )
    table.add_column("", no_wrap=True, width=max(map(len, Peer)))
    for header in ("ns", "vs C API", "shrinker", "goal", "±"):
        table.add_column(header, justify="right", no_wrap=True)
    costs = {cost.peer: cost for cost in one.costs}
    for peer in Peer:
        if peer in costs:
            table.add_row(*_cells(costs[peer]))
        elif peer in unbuilt:
            table.add_row(peer, "not built", *[_NONE] * 4)
    return table


def _cells(cost: PeerCosts) -> list[str]:
    figures = [cost.time, cost.vs_c_api, cost.faster]
    goal = cost.goal
    return [
        cost.peer,
        f"{cost.time.median:,.0f}",
        _times(cost.vs_c_api),
        _times(cost.faster),
        "" if goal is None else f"{goal[0]}: {'met' if goal[1] else 'missed'}",
        f"{max(figure.spread for figure in figures if figure):.0%}",
    ]


def _times(figure: Figure | None) -> str:
    return "" if figure is None else f"{figure.median:.2f}x"
