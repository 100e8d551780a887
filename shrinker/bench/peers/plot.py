"""A result of ``--peers`` as a picture, PNG and SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from shrinker.bench.peers.points import AT_MOST, Peer
from shrinker.bench.plot import STYLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shrinker.bench.peers.results import ResultsCosts

__all__ = ["save_peers_plots"]

# Ours stands out; the others are told apart by their labels.
_OURS, _FLOOR, _OTHERS, _GOAL = "#0072B2", "#009E73", "#B8B8B8", "#D55E00"
# On a ground of its own, so that no line runs through it.
_LABEL: dict[str, Any] = {
    "xytext": (7, 0),
    "textcoords": "offset points",
    "va": "center",
    "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.8},
}


def save_peers_plots(
    result: Sequence[ResultsCosts], base: Path, about: str
) -> list[Path]:
    """Draw ``result`` and write ``base`` with ``.png`` and with ``.svg``.

    ``about`` says where and when it was measured.  Returns the two paths.
    """
    with mpl.rc_context(STYLE):
        figure = _draw(result, about)
        paths = [base.with_name(base.name + suffix) for suffix in (".png", ".svg")]
        for path in paths:
            figure.savefig(path, dpi=160)
    return paths


def _draw(result: Sequence[ResultsCosts], about: str) -> Figure:
    figure = Figure(figsize=(10, 5.2), layout="constrained")
    panels = figure.subplots(1, len(result), squeeze=False).flat
    for i, (axes, one) in enumerate(zip(panels, result, strict=True)):
        _panel(axes, one, named=not i)
    figure.suptitle(
        "What a callback into Python costs",
        x=0.012,
        ha="left",
        fontsize=13,
        fontweight="bold",
    )
    figure.supxlabel(about, x=0.012, ha="left", fontsize=8, color="#555555")
    return figure


def _panel(axes: Any, one: ResultsCosts, *, named: bool) -> None:
    colours = {Peer.SHRINKER: _OURS, Peer.C_API: _FLOOR}
    places = range(len(one.costs))
    times = [cost.time.median for cost in one.costs]
    axes.barh(
        places,
        times,
        xerr=[cost.time.median * cost.time.spread for cost in one.costs],
        color=[colours.get(cost.peer, _OTHERS) for cost in one.costs],
        error_kw={"ecolor": "#555555", "elinewidth": 1},
        height=0.66,
    )
    for place, cost in zip(places, one.costs, strict=True):
        text = f"{cost.time.median:,.0f}"
        if cost.vs_c_api is not None:
            text += f"  ({cost.vs_c_api.median:.1f}x)"
        end = cost.time.median * (1 + cost.time.spread)
        axes.annotate(text, (end, place), **_LABEL)
    # Room for the texts behind the bars.
    axes.set_xlim(0, max(times, default=1) * 1.5)
    axes.set_title(f"ns, returning {one.results}", pad=4)
    axes.set_yticks(places, [cost.peer for cost in one.costs] if named else [])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    _goal(axes, one)


def _goal(axes: Any, one: ResultsCosts) -> None:
    floor = [cost.time.median for cost in one.costs if cost.peer is Peer.C_API]
    if floor:
        goal = AT_MOST * floor[0]
        # Not through the numbers behind other peers' bars: up to the goal's own row.
        ours = [cost.peer for cost in one.costs].index(Peer.SHRINKER)
        axes.plot(
            [goal, goal],
            [-0.6, ours + 0.33],
            color=_GOAL,
            linewidth=1.2,
            linestyle="--",
            zorder=0,
        )
        axes.text(
            goal,
            -0.62,
            f"goal: {AT_MOST:g}x C API",
            color=_GOAL,
            fontsize=8,
            ha="center",
            va="bottom",
        )
