"""Memory of several processes over time, one panel for each way of running them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from plot import GREY, MIB, STYLE

from shrinker.pressure import Watermarks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from workers import WorkersRun

__all__ = ["save_plot"]

# From the palette of Okabe and Ito, for readers with colour blindness.
COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#F0E442", "#E69F00", "#CC79A7")
PANEL_INCHES = 1.9


def save_plot(runs: Sequence[WorkersRun], path: Path, about: str) -> None:
    """Draw all runs into ``path``, in the format of its suffix.

    ``about`` is the line below the plot: where and when the runs were.
    """
    with mpl.rc_context(STYLE):
        size = (10, 0.9 + PANEL_INCHES * len(runs))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(runs), 1, sharex=True, squeeze=False)[:, 0]
        for axes, run in zip(panels, runs, strict=True):
            _draw(axes, run)
        panels[-1].set_xlabel("seconds of load")
        figure.supylabel("MiB", fontsize=9)
        left: dict[str, Any] = {"x": 0.012, "ha": "left"}
        title = f"{len(runs[0].samples[0].own)} processes, one load, one limit"
        figure.suptitle(title, fontsize=13, fontweight="bold", **left)
        text = f"coloured: what each process has; black: the cgroup.  {about}"
        figure.supxlabel(text, fontsize=8, color=GREY, **left)
        figure.savefig(path, dpi=110)


def _draw(axes: Any, run: WorkersRun) -> None:
    times = [sample.seconds for sample in run.samples]
    columns = itertools.zip_longest(
        *(sample.own for sample in run.samples), fillvalue=0
    )
    sizes = [[size / MIB for size in column] for column in columns]
    axes.stackplot(times, sizes, colors=COLOURS, linewidth=0)
    memory = [sample.memory / MIB for sample in run.samples]
    axes.plot(times, memory, color="black", linewidth=1.2)
    marks = Watermarks.of(run.limit)
    limit = run.limit / MIB
    axes.axhline(limit, color="black", linewidth=1.4)
    axes.axhspan(
        *(limit - mark / MIB for mark in (marks.high, marks.low)),
        color=GREY,
        alpha=0.25,
        linewidth=0,
    )
    axes.annotate(
        "high to low",
        (1, limit - (marks.high + marks.low) / 2 / MIB),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        color=GREY,
        annotation_clip=False,
    )
    axes.set_xlim(0, times[-1])
    axes.set_ylim(0, 1.1 * limit)
    load = run.load
    axes.set_title(
        f"{run.way}: {run.kills} killed, {load['failed']:,} of"
        f" {load['requests']:,} requests failed; hits: "
        + ", ".join(f"{name} {share:.0%}" for name, share in load["hit_ratio"].items())
    )
