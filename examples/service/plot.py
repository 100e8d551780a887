"""Memory of both runs over time, with the limit, the watermarks and the reclaims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from load import CRAWLER
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from run import Run

__all__ = ["save_plot"]

MIB = 1 << 20
PAGE_BYTES = 4096
"""Of the pages in which caches that weigh their entries count."""

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "svg.hashsalt": "shrinker",
}

# From the palette of Okabe and Ito, for readers with colour blindness.
UNPROTECTED = "#D55E00"
PROTECTED = "#0072B2"
DIRECT = "#E69F00"
BACKGROUND = "#009E73"
GREY = "#7A7A7A"


def save_plot(runs: Sequence[Run], path: Path, about: str) -> None:
    """Draw both runs into ``path``, in the format of its suffix.

    ``about`` is the line below the plot: where and when the runs were.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 6.2), layout="constrained")
        memory, freed = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1)}
        )
        end = max(run.samples[-1].seconds for run in runs)
        for axes in (memory, freed):
            axes.axvspan(
                *(runs[0].seconds * share for share in CRAWLER),
                color="#F2F2F2",
                zorder=-1,
            )
        for run in runs:
            _draw_memory(memory, run)
            if run.protected:
                _draw_watermarks(memory, run, end)
                _draw_verdicts(memory, freed, run)
        _draw_limit(memory, runs[0].limit, end)
        memory.annotate(
            "crawler",
            (runs[0].seconds * sum(CRAWLER) / 2, 0.985),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="top",
            color=GREY,
        )
        memory.set_xlim(0, end)
        memory.set_ylim(0, runs[0].limit / MIB * 1.15)
        memory.set_ylabel("memory of the cgroup, MiB")
        freed.set_ylim(bottom=0)
        freed.set_ylabel("freed, MiB")
        freed.set_xlabel("seconds of load")
        memory.legend(loc="lower right", frameon=False)
        freed.legend(
            loc="lower right", bbox_to_anchor=(1, 0.98), frameon=False, ncols=2
        )
        left: dict[str, Any] = {"x": 0.012, "ha": "left"}
        title = "One service, one load, one limit"
        figure.suptitle(title, fontsize=13, fontweight="bold", **left)
        figure.supxlabel(about, fontsize=8, color=GREY, **left)
        figure.savefig(path, dpi=160)


def _draw_memory(axes: Any, run: Run) -> None:
    colour = PROTECTED if run.protected else UNPROTECTED
    name = "protected" if run.protected else "unprotected"
    load = run.load
    if load["failed"]:
        served = f"{load['served']:,} of {load['requests']:,} requests served"
    else:
        served = f"all {load['served']:,} requests served"
    axes.plot(
        [sample.seconds for sample in run.samples],
        [sample.memory / MIB for sample in run.samples],
        color=colour,
        linewidth=1.4,
        label=f"{name}: {run.outcome}, {served}",
    )
    if run.outcome != "finished":
        last = run.samples[-1]
        axes.plot(
            last.seconds,
            last.memory / MIB,
            marker="X",
            markersize=11,
            color=colour,
            zorder=5,
        )
        axes.annotate(
            f"{run.outcome} after {last.seconds:.1f} s",
            (last.seconds, last.memory / MIB),
            xytext=(9, 5),
            textcoords="offset points",
            color=colour,
        )


def _draw_limit(axes: Any, limit: int, end: float) -> None:
    axes.axhline(limit / MIB, color="black", linewidth=1.4)
    text = f"limit, {limit / MIB:.0f} MiB: the OOM killer"
    axes.annotate(
        text,
        (end, limit / MIB),
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
    )


def _draw_watermarks(axes: Any, run: Run, end: float) -> None:
    """Draw the watermarks, as usage: each is a distance below the limit."""
    marked = [verdict for verdict in run.verdicts if verdict["high"]]
    for name in ("min", "low", "high") if marked else ():
        level = (run.limit - marked[-1][name]) / MIB
        axes.axhline(level, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.annotate(
            name,
            (end, level),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=GREY,
            annotation_clip=False,
        )


def _draw_verdicts(memory: Any, freed: Any, run: Run) -> None:
    """Draw for each reclaim the usage that it found and what it freed."""
    kinds = (
        ("reclaim in the background", BACKGROUND, "v", False),
        ("direct reclaim", DIRECT, "D", True),
    )
    for name, colour, marker, direct in kinds:
        verdicts = [
            verdict
            for verdict in run.verdicts
            if verdict["freed"] and (verdict["action"] == "direct") is direct
        ]
        times = [verdict["when"] - run.started for verdict in verdicts]
        sizes = [verdict["freed"] * PAGE_BYTES / MIB for verdict in verdicts]
        found = [verdict["used"] / MIB for verdict in verdicts]
        label = f"{name}: {len(verdicts):,} times"
        freed.vlines(times, 0, sizes, linewidth=1.6, color=colour)
        for axes, heights in ((memory, found), (freed, sizes)):
            dots = axes.scatter(
                times, heights, s=26, marker=marker, color=colour, zorder=4
            )
        dots.set_label(label)
