"""A result and a comparison on the terminal, readable at 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from shrinker.bench.compare import MIN_CHANGE
from shrinker.bench.points import Callbacks, Factor
from shrinker.bench.results import NS, medians
from shrinker.trace.terminal import NameTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shrinker.bench.compare import Change, Comparison
    from shrinker.bench.results import Figure, PointResult
    from shrinker.trace.terminal import Terminal

__all__ = ["nanoseconds", "print_comparison", "print_results"]


MAX_SPREAD = 0.5
"""Of a difference; above this it is the noise of its two rows."""
_LOST = "\N{EN DASH}"
# Beyond these a table would not fit.
_TOP_SPREAD = 0.99
_TOP_TIMES = 999


def print_results(terminal: Terminal, results: Sequence[PointResult]) -> None:
    """Print a table of passes and one of scan calls."""
    passes, calls = _results_table("ns per pass"), _results_table("ns per scan call")
    factor = None
    lost = False
    for result in results:
        if result.point.factor is not factor:
            factor = result.point.factor
            passes.add_section()
            calls.add_section()
        _add_row(passes, result, result.per_pass, result.ratio)
        if result.per_call:
            figures = {
                kind: figure
                for kind, figure in result.per_call.items()
                if _is_known(figure)
            }
            ratios = {
                kind: ratio
                for kind, ratio in result.call_ratio.items()
                if figures.keys() >= {kind, Callbacks.PURE}
            }
            lost = lost or len(figures) < len(result.per_call)
            _add_row(calls, result, figures, ratios)
    for table in (passes, calls):
        if table.row_count:
            terminal.print_table(table)
    if lost:
        terminal.print(
            f"{_LOST}: lost in the noise. A scan call's time is the difference of two"
            " rows, and here it is no larger than what they vary by"
            f" (± above {MAX_SPREAD:.0%}, or not above 0).\n"
        )
    recorded = [r.shrinkers for r in results if r.point.factor is Factor.RECORDED]
    terminal.print(
        "default: 100 shrinkers of 4,096 objects, priority 3, batch 128; the lines"
        " below it vary one factor. calls: scan calls in a pass. no shrinker: ns of a"
        " whole walk."
        + "".join(f" recording: {shrinkers} shrinkers." for shrinkers in recorded)
        + " vs pure: times as fast as pure Python in the same round, so"
        " below 1 is slower."
        f" {medians(figure for one in results for figure in one.per_pass.values())};"
        " ±: the largest median absolute deviation of the three."
    )


def _is_known(figure: Figure) -> bool:
    return figure.median > 0 and figure.spread <= MAX_SPREAD


def _results_table(title: str) -> NameTable:
    table = NameTable(title, "")
    headers = ("calls", "native", "Python", "pure\nPython")
    for header in (*headers, "native\nvs pure", "Python\nvs pure", "±"):
        table.add_column(header)
    return table


def _add_row(
    table: NameTable,
    result: PointResult,
    figures: dict[Callbacks, Figure],
    ratios: dict[Callbacks, Figure],
) -> None:
    calls = result.scan_calls
    table.add_row(
        result.point.label,
        f"{calls:,.0f}" if calls == int(calls) else f"{calls:.2f}",
        *(_cell(figures.get(kind), nanoseconds) for kind in Callbacks),
        _cell(ratios.get(Callbacks.NATIVE), _times),
        _cell(ratios.get(Callbacks.PYTHON), _times),
        _spread(figures),
    )


def _cell(figure: Figure | None, text: Callable[[float], str]) -> str:
    return _LOST if figure is None else text(figure.median)


def _spread(figures: dict[Callbacks, Figure]) -> str:
    if not figures:
        return _LOST
    largest = max(figure.spread for figure in figures.values())
    return f">{_TOP_SPREAD:.0%}" if largest > _TOP_SPREAD else f"{largest:.0%}"


def nanoseconds(value: float) -> str:
    """Return nanoseconds as text, with a digit after the point below 100."""
    return f"{value:,.{1 if abs(value) < 100 else 0}f}"  # noqa: PLR2004


def _times(value: float) -> str:
    if value > _TOP_TIMES:
        return f">{_TOP_TIMES}x"
    digits = 0 if value >= 10 else 1 if value >= 1 else 2  # noqa: PLR2004
    return f"{value:.{digits}f}x"


def print_comparison(
    terminal: Terminal, comparison: Comparison, old: str, peer: str = "pure"
) -> None:
    """Print which rows became slower or faster; ``peer`` stands for the machine."""
    for remark in comparison.remarks:
        terminal.print(f"note: {escape(remark)}")
    if comparison.missing:
        terminal.print(
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
    held_against = any(change.relative is not None for change in comparison.changes)
    for title, changes, style in (
        (f"Slower than in {old}", slower, "red"),
        (f"Faster than in {old}", faster, "green"),
    ):
        if changes:
            terminal.print_table(
                _changes(title, changes, style, peer if held_against else None)
            )
    same = len(comparison.changes) - len(slower) - len(faster)
    terminal.print(
        f"{len(slower)} slower ({_by_itself(slower)} by itself), {len(faster)} faster"
        f" ({_by_itself(faster)} by itself), {same} unchanged: pyperf's t-test at 95 %,"
        f" and {MIN_CHANGE:g} % or more." + (_explained(peer) if held_against else "")
    )


_PEERS = {"pure": "pure-Python row", "C": "row written in C"}
"""What stands for the machine, by its short name."""


def _explained(peer: str) -> str:
    return (
        f" vs {peer}: the same test against the {_PEERS[peer]} of the same round; - is"
        " within the noise. changed: the row, if both tests agree; the machine, if the"
        f" row kept within {MIN_CHANGE:g} % of that other one, or moved the other way;"
        " - cannot be told."
    )


def _by_itself(changes: Sequence[Change]) -> int:
    return sum(change.itself for change in changes)


def _value(value: float, unit: str) -> str:
    return f"{value:,.0f} B" if unit == "byte" else nanoseconds(value * NS)


def _changes(
    title: str, changes: Sequence[Change], style: str, peer: str | None
) -> NameTable:
    table = NameTable(title, "row")
    against = () if peer is None else (f"vs {peer}", "changed")
    for name in ("old ns", "new ns", "time", *against):
        table.add_column(name)
    for change in changes:
        table.add_row(
            change.name,
            *(_value(value, change.unit) for value in (change.old, change.new)),
            f"x {change.factor:.2f}",
            *((_relative(change), _what(change)) if against else ()),
            style=style,
        )
    return table


def _relative(change: Change) -> str:
    known = change.relative is not None and change.relative_significant
    return f"x {change.relative:.2f}" if known else "-"


def _what(change: Change) -> str:
    return "the row" if change.itself else "the machine" if change.machine else "-"
