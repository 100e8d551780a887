"""A result as a picture, PNG and SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from shrinker.bench.points import DEFAULT, Callbacks, Factor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shrinker.bench.results import PointResult

__all__ = ["STYLE", "save_plots"]

# Colours of Okabe and Ito, which colour-blind people can tell apart.
_COLOURS = {
    Callbacks.NATIVE: "#0072B2",
    Callbacks.PYTHON: "#D55E00",
    Callbacks.PURE: "#7A7A7A",
}
_MARKERS = {Callbacks.NATIVE: "o", Callbacks.PYTHON: "s", Callbacks.PURE: "D"}
_NAMES = {
    Callbacks.NATIVE: "native callbacks",
    Callbacks.PYTHON: "Python callbacks",
    Callbacks.PURE: "all in pure Python",
}
# On a ground of its own, so that no line runs through it.
_LABEL: dict[str, Any] = {
    "fontsize": 7.5,
    "zorder": 4,
    "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.6},
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


def save_plots(results: Sequence[PointResult], base: Path, about: str) -> list[Path]:
    """Draw ``results`` and write ``base`` with ``.png`` and with ``.svg``.

    ``about`` says where and when it was measured.  Returns the two paths.
    """
    with mpl.rc_context(STYLE):
        figure = _draw(results, about)
        paths = [base.with_name(base.name + suffix) for suffix in (".png", ".svg")]
        for path in paths:
            figure.savefig(path, dpi=160)
    return paths


def _draw(results: Sequence[PointResult], about: str) -> Figure:
    figure = Figure(figsize=(10, 7.4), layout="constrained")
    axes = figure.subplots(2, 2)
    by_label = {result.point.label: result for result in results}
    _by_shrinkers(axes[0][0], results)
    _by_category(
        axes[0][1],
        [(f"priority {p}", by_label.get(label)) for p, label in _PRIORITIES],
        "time per pass, by priority",
        lambda result: f"{result.scan_calls:g} scan calls",
    )
    _by_category(
        axes[1][0],
        [(f"batch {b:,}", by_label.get(label)) for b, label in _BATCHES],
        "time per pass, by batch size",
        lambda result: (
            f"{result.scan_calls:,.0f} scan call"
            + ("" if result.scan_calls == 1 else "s")
        ),
    )
    _versus_pure(axes[1][1], results)
    handles, labels = axes[0][0].get_legend_handles_labels()
    kept = [i for i, label in enumerate(labels) if label in _NAMES.values()]
    figure.legend(
        [handles[i] for i in kept],
        [labels[i] for i in kept],
        loc="outside upper right",
        ncols=3,
        frameon=False,
    )
    figure.suptitle(
        "What a pass of the reclaim loop costs",
        x=0.012,
        ha="left",
        fontsize=13,
        fontweight="bold",
    )
    figure.supxlabel(
        "Default point: 100 shrinkers of 4,096 objects, priority 3, batch 128;"
        " callbacks that do nothing. Medians of rounds.\n" + about,
        x=0.012,
        ha="left",
        fontsize=8,
        color="#555555",
    )
    return figure


_PRIORITIES = ((12, "priority 12"), (3, DEFAULT.label), (0, "priority 0"))
_BATCHES = ((1024, "batch 1,024"), (128, DEFAULT.label), (1, "batch 1"))


def _kinds(result: PointResult) -> list[Callbacks]:
    return [kind for kind in Callbacks if kind in result.per_pass]


def _by_shrinkers(axis: Any, results: Sequence[PointResult]) -> None:
    """Lines over the number of shrinkers; dashed without scan calls."""
    points = sorted(
        (
            result
            for result in results
            if result.point.shrinkers
            and (
                result.point.factor is Factor.SHRINKERS
                or result.point.label in (DEFAULT.label, DEFAULT.idle)
            )
        ),
        key=lambda result: result.point.shrinkers,
    )
    for kind in Callbacks:
        for priority, line in ((DEFAULT.priority, "-"), (12, "--")):
            chosen = [
                result
                for result in points
                if result.point.priority == priority and kind in result.per_pass
            ]
            if not chosen:
                continue
            axis.plot(
                [result.point.shrinkers for result in chosen],
                [result.per_pass[kind].median for result in chosen],
                line,
                marker=_MARKERS[kind],
                color=_COLOURS[kind],
                markerfacecolor=_COLOURS[kind] if line == "-" else "white",
                label=_NAMES[kind] if line == "-" else None,
            )
    axis.set_xscale("log")
    axis.margins(y=0.1)
    axis.set_title("time per pass, by number of shrinkers")
    axis.set_xlabel(
        "shrinkers in the walk (solid: priority 3, 8 scan calls a pass;"
        " dashed: 12, none)",
        fontsize=8,
    )
    _log_time(axis.yaxis, axis.set_yscale)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.xaxis.set_minor_locator(NullLocator())


def _by_category(
    axis: Any,
    categories: Sequence[tuple[str, PointResult | None]],
    title: str,
    below: Callable[[PointResult], str],
) -> None:
    """Dots side by side with their numbers: an axis without a 0 has no bars."""
    shown = [(label, result) for label, result in categories if result is not None]
    width = 0.27
    for place, (_, result) in enumerate(shown):
        # These two are near each other; their numbers must not be.
        pair = [k for k in (Callbacks.PYTHON, Callbacks.PURE) if k in result.per_pass]
        lower = min(pair, key=lambda kind: result.per_pass[kind].median, default=None)
        for kind in _kinds(result):
            x = place + (list(Callbacks).index(kind) - 1) * width
            figure = result.per_pass[kind]
            # Downwards it must not reach 0, which is nowhere on the axis.
            down = figure.median * min(figure.spread, 0.9)
            up = figure.median * figure.spread
            axis.errorbar(
                x,
                figure.median,
                yerr=[[down], [up]],
                fmt=_MARKERS[kind],
                color=_COLOURS[kind],
                markersize=7,
                elinewidth=1.2,
                capsize=2.5,
            )
            below_dot = kind is lower
            axis.annotate(
                _short(figure.median),
                (x, figure.median - down if below_dot else figure.median + up),
                xytext=(0, -8 if below_dot else 8),
                textcoords="offset points",
                ha="center",
                va="top" if below_dot else "bottom",
                **_LABEL,
            )
    axis.set_title(title)
    axis.set_xticks(
        range(len(shown)),
        [f"{label}\n{below(result)}" for label, result in shown],
    )
    axis.set_xlim(-0.5, len(shown) - 0.5)
    axis.grid(visible=False, axis="x")
    _log_time(axis.yaxis, axis.set_yscale)
    low, high = axis.get_ylim()
    axis.set_ylim(low / 2.2, high * 2.2)


def _versus_pure(axis: Any, results: Sequence[PointResult]) -> None:
    """How many times as fast as pure Python, a line for each point."""
    shown = [result for result in results if result.ratio][::-1]
    for place, result in enumerate(shown):
        for kind, figure in result.ratio.items():
            axis.plot(figure.median, place, marker=_MARKERS[kind], color=_COLOURS[kind])
            right = figure.median >= 1
            axis.annotate(
                f"{figure.median:.0f}x"
                if figure.median >= 10  # noqa: PLR2004
                else f"{figure.median:.1f}x"
                if right
                else f"{figure.median:.2f}x",
                (figure.median, place),
                xytext=(7 if right else -7, 0),
                textcoords="offset points",
                ha="left" if right else "right",
                va="center_baseline",
                **_LABEL,
            )
    axis.axvline(1, color=_COLOURS[Callbacks.PURE], linewidth=1.2)
    axis.set_xscale("log")
    axis.set_yticks(
        range(len(shown)), [result.point.label for result in shown], fontsize=8
    )
    axis.tick_params(axis="y", length=0)
    axis.set_title("times as fast as pure Python, per pass")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
    axis.xaxis.set_minor_locator(NullLocator())
    low, high = axis.get_xlim()
    axis.set_xlim(low / 2.5, high * 2.5)
    axis.set_ylim(-0.8, len(shown) - 0.2)


def _log_time(axis: Any, set_scale: Callable[[str], None]) -> None:
    set_scale("log")
    axis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axis.set_minor_locator(NullLocator())


def _short(nanoseconds: float) -> str:
    """Return a time with three digits at most and its unit: 12.3 ns, 8.2 µs."""
    value, units = nanoseconds, ["ns", "µs", "ms", "s"]
    # 999.5 would be 1,000 of its unit.
    while value >= 999.5 and len(units) > 1:  # noqa: PLR2004
        value /= 1000
        units.pop(0)
    digits = 0 if value >= 99.95 or value % 1 == 0 else 1 if value >= 9.995 else 2  # noqa: PLR2004
    return f"{value:.{digits}f} {units[0]}"
