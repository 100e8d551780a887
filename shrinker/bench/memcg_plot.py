"""A result of ``--scenario memcg`` as a picture, PNG and SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from shrinker.bench.memcg_points import Operation
from shrinker.bench.plot import STYLE

if TYPE_CHECKING:
    from pathlib import Path

    from shrinker.bench.memcg_results import MemcgResult, SeriesResult

__all__ = ["save_memcg_plots"]

# Colours of Okabe and Ito, which colour-blind people can tell apart.
_LOOKS = {
    Operation.CREATE: ("#7A7A7A", "D", "create a memcg"),
    Operation.LEAVE: ("#000000", "v", "take one offline"),
    Operation.SET: ("#009E73", "^", "set its bits"),
    Operation.WALK: ("#0072B2", "o", "walk one, again and again"),
    Operation.TURN: ("#D55E00", "s", "walk all in turn"),
}


def save_memcg_plots(result: MemcgResult, base: Path, about: str) -> list[Path]:
    """Draw ``result`` and write ``base`` with ``.png`` and with ``.svg``.

    ``about`` says where and when it was measured.  Returns the two paths.
    """
    with mpl.rc_context(STYLE):
        figure = _draw(result, about)
        paths = [base.with_name(base.name + suffix) for suffix in (".png", ".svg")]
        for path in paths:
            figure.savefig(path, dpi=160)
    return paths


def _draw(result: MemcgResult, about: str) -> Figure:
    figure = Figure(figsize=(10, 7.4), layout="constrained")
    panels = list(figure.subplots(2, 2).flat)
    for axes, one in zip(panels, result.series, strict=True):
        _panel(axes, one)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3, frameon=False)
    figure.suptitle(
        "What memory cgroups cost",
        x=0.012,
        ha="left",
        fontsize=13,
        fontweight="bold",
    )
    figure.supxlabel(about, x=0.012, ha="left", fontsize=8, color="#555555")
    return figure


def _panel(axes: Any, one: SeriesResult) -> None:
    numbers = [costs.number for costs in one.costs]
    places = range(len(numbers))
    for operation in one.series.operations:
        colour, marker, name = _LOOKS[operation]
        known = [i for i in places if operation in one.costs[i].time]
        axes.plot(
            known,
            [one.costs[i].time[operation].median for i in known],
            color=colour,
            marker=marker,
            label=name,
        )
    axes.set_title(f"ns, by {one.series.title}")
    axes.set_xticks(places, [f"{number:,}" for number in numbers])
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,g}"))
    axes.yaxis.set_minor_locator(NullLocator())
