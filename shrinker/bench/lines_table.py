"""Lines on the terminal, readable at 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from shrinker.bench.results import medians

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shrinker.bench.lines import LineResult, Section
    from shrinker.trace.terminal import Terminal

__all__ = ["print_lines", "short_number"]


def print_lines(
    terminal: Terminal,
    result: Sequence[tuple[Section, list[LineResult]]],
    explanation: str,
) -> None:
    """Print a table for each section that has lines, and what they mean."""
    for section, lines in result:
        if lines:
            # Not the table's own title, which breaks where the table ends.
            terminal.print_line(f"[bold]{section.title}[/]")
            terminal.print(_table(section, lines))
            terminal.print("")
    goals = [line.met for _, lines in result for line in lines if line.met is not None]
    if goals:
        terminal.print(f"{sum(goals)} of {len(goals)} goals are met.\n")
    figures = (line.value for _, lines in result for line in lines)
    terminal.print(
        f"{explanation} {medians(figures)}; ratios are of the same round; ±: the larger"
        " median absolute deviation of the line."
    )


def _table(section: Section, lines: Sequence[LineResult]) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False, show_edge=False
    )
    table.add_column("", no_wrap=True)
    for header in (section.unit, "ratio", "goal", "±"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for one in lines:
        spreads = [figure.spread for figure in (one.value, one.ratio) if figure]
        table.add_row(
            one.line.label,
            short_number(one.value.median),
            "" if one.ratio is None else f"{_ratio(one.ratio.median)} {one.line.unit}",
            "" if one.line.goal is None else str(one.line.goal),
            f"{max(spreads):.0%}",
            "" if one.met is None else "met" if one.met else "[red]missed[/]",
        )
    return table


def _ratio(value: float) -> str:
    return f"{value:,.{2 if abs(value) < 100 else 0}f}"  # noqa: PLR2004


def short_number(value: float) -> str:
    """Return a number with three digits, or all that stand before the point."""
    size = abs(value)
    return f"{value:,.{2 if size < 10 else 1 if size < 100 else 0}f}"  # noqa: PLR2004
