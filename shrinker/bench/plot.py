"""A result as a picture, PNG and SVG: a panel for each table, dots on its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from shrinker.bench.report import short_number, short_ratio
from shrinker.bench.results import by_line, shown_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shrinker.bench.lines import Benchmark, Row, Table
    from shrinker.bench.results import Shown

__all__ = ["STYLE", "save_plots"]

# Colours of Okabe and Ito, which colour-blind people can tell apart, and markers.
_LOOKS = (
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#7A7A7A", "D"),
    ("#009E73", "^"),
    ("#CC79A7", "v"),
)
# The largest value of a panel by the smallest; above this the axis is logarithmic.
_LINEAR_RANGE = 30
_LINE_INCHES = 0.17
_ROW_GAP = 0.7
"""Room between rows, in lines."""
_PANEL_INCHES = 0.9
"""Title, legend and axis of a panel."""
_LABEL_SHARE = 0.22
"""Of a panel's width: room for the labels behind the largest values."""
_LABEL: dict[str, Any] = {
    "xytext": (6, 0),
    "textcoords": "offset points",
    "va": "center",
    "fontsize": 7.5,
}
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "svg.hashsalt": "shrinker",
}


def save_plots(benchmark: Benchmark, suite: Any, base: Path, about: str) -> list[Path]:
    """Draw a result and write ``base`` with ``.png`` and with ``.svg``.

    ``about`` says where and when it was measured.  Returns the two paths.
    """
    with mpl.rc_context(STYLE):
        figure = draw(benchmark, suite, about)
        paths = [base.with_name(base.name + suffix) for suffix in (".png", ".svg")]
        for path in paths:
            figure.savefig(path, dpi=130)
    return paths


def draw(benchmark: Benchmark, suite: Any, about: str) -> Figure:
    """Return the picture."""
    found = by_line(suite)
    shown = [
        (table, rows)
        for table in benchmark.tables
        if (rows := shown_rows(table, found))
    ]
    heights = [
        len(rows) * (len(table.columns) + _ROW_GAP) * _LINE_INCHES + _PANEL_INCHES
        for table, rows in shown
    ]
    figure = Figure(figsize=(9, sum(heights) + 0.8), layout="constrained")
    panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights).flat
    for axes, (table, rows) in zip(panels, shown, strict=True):
        _panel(axes, table, rows)
    figure.suptitle(benchmark.title, x=0.012, ha="left", fontsize=13, fontweight="bold")
    figure.supxlabel(
        f"Medians of rounds.\n{about}", x=0.012, ha="left", fontsize=8, color="#555555"
    )
    return figure


def _panel(
    axes: Any, table: Table, rows: Sequence[tuple[Row, list[Shown | None]]]
) -> None:
    """Draw a table: its rows one below the other, in each a line for each column."""
    pitch = len(table.columns) + _ROW_GAP
    figures = [cell.value for _, cells in rows for cell in cells if cell and cell.value]
    low = min((one.median for one in figures), default=1.0)
    high = max((one.median * (1 + one.spread) for one in figures), default=1.0)
    logarithmic = high / low > _LINEAR_RANGE
    left = low / 2 if logarithmic else 0.0
    for place, column in enumerate(table.columns):
        colour, marker = _LOOKS[place % len(_LOOKS)]
        label = f"{column.header} ({column.ratio})" if column.ratio else column.header
        label = label.replace("\n", " ")
        for row, (_, cells) in enumerate(rows):
            cell = cells[place]
            if cell is None or cell.value is None:
                continue
            x, y = cell.value.median, row * pitch + place
            axes.hlines(y, left, x, color=colour, linewidth=1, alpha=0.45)
            # Downwards it must not reach 0, which is nowhere on a logarithmic axis.
            up, down = x * cell.value.spread, x * min(cell.value.spread, 0.9)
            axes.errorbar(
                x, y, xerr=[[down], [up]], fmt=marker, color=colour, label=label
            )
            label = ""
            text = short_number(x)
            if cell.ratio:
                text += f"  ({short_ratio(cell.ratio.median)})"
            axes.annotate(text, (x + up, y), **_LABEL)
    if len(table.columns) > 1:
        axes.set_title(table.title, pad=20)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=9, frameon=False)
    else:
        ratio = table.columns[0].ratio.replace("\n", " ")
        axes.set_title(f"{table.title} ({ratio})" if ratio else table.title)
    axes.set_yticks(
        [row * pitch + (len(table.columns) - 1) / 2 for row in range(len(rows))],
        [row.label for row, _ in rows],
    )
    axes.set_ylim(len(rows) * pitch - 0.5, -_ROW_GAP - 0.3)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(left, high * (high / left) ** _LABEL_SHARE)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.15g}"))
    else:
        axes.set_xlim(0, high * (1 + _LABEL_SHARE))
