"""Lines as a picture, PNG and SVG: bars beside their goals, a panel a section."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from shrinker.bench.lines_table import short_number
from shrinker.bench.plot import STYLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shrinker.bench.lines import LineResult, Section

__all__ = ["save_lines_plots"]

# Of Okabe and Ito: met, missed, no goal, and the goal itself.
_MET, _MISSED, _PLAIN, _GOAL = "#0072B2", "#D55E00", "#B8B8B8", "#000000"
_INCHES = 0.27
_BETWEEN = 0.85


def save_lines_plots(
    result: Sequence[tuple[Section, list[LineResult]]],
    base: Path,
    title: str,
    about: str,
) -> list[Path]:
    """Draw ``result`` and write ``base`` with ``.png`` and with ``.svg``.

    ``about`` says where and when it was measured.  Returns the two paths.
    """
    shown = [(section, lines) for section, lines in result if lines]
    with mpl.rc_context(STYLE):
        figure = _draw(shown, title, about)
        paths = [base.with_name(base.name + suffix) for suffix in (".png", ".svg")]
        for path in paths:
            figure.savefig(path, dpi=130)
    return paths


def _draw(
    shown: Sequence[tuple[Section, list[LineResult]]], title: str, about: str
) -> Figure:
    heights = [len(lines) * _INCHES + _BETWEEN for _, lines in shown]
    figure = Figure(figsize=(9, sum(heights) + 0.9), layout="constrained")
    panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights).flat
    for axes, (section, lines) in zip(panels, shown, strict=True):
        _panel(axes, section, lines)
    figure.suptitle(title, x=0.012, ha="left", fontsize=13, fontweight="bold")
    figure.supxlabel(
        "Blue: the goal, the black mark, is met; orange: missed; grey: no goal."
        " Medians of rounds.\n" + about,
        x=0.012,
        ha="left",
        fontsize=8,
        color="#555555",
    )
    return figure


def _panel(axes: Any, section: Section, lines: Sequence[LineResult]) -> None:
    # What is compared by rates has goals on rates; times all have one zero.
    by_ratio = [one.ratio is not None and one.line.goal is not None for one in lines]
    ratios = any(by_ratio) and not any(
        one.line.goal is not None and one.line.goal.allowance for one in lines
    )
    sizes = [_size(one, ratios=ratios) for one in lines]
    for place, (one, size) in enumerate(zip(lines, sizes, strict=True)):
        colour = _PLAIN if one.met is None else _MET if one.met else _MISSED
        axes.barh(place, size, color=colour, height=0.66)
        goal = _goal(one, lines, ratios=ratios)
        if goal is not None:
            axes.plot([goal, goal], [place - 0.42, place + 0.42], color=_GOAL, lw=2)
        axes.annotate(
            _text(one, section.unit),
            (max(size, goal or 0.0), place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    goals = [_goal(one, lines, ratios=ratios) or 0.0 for one in lines]
    axes.set_xlim(0, max([*sizes, *goals]) * 1.35)
    axes.set_yticks(range(len(lines)), [one.line.label for one in lines])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    units = {one.line.unit for one in lines if one.ratio is not None}
    measure = f"in {'/'.join(sorted(units))}" if ratios else section.unit
    axes.set_title(f"{section.title} ({measure.replace('in x', 'ratio')})")


def _size(one: LineResult, *, ratios: bool) -> float:
    if not ratios:
        return one.value.median
    # What others are compared with is 1 of itself.
    return 1.0 if one.ratio is None else one.ratio.median


def _goal(
    one: LineResult, lines: Sequence[LineResult], *, ratios: bool
) -> float | None:
    """Return where the goal's mark stands."""
    goal = one.line.goal
    if goal is None:
        return None
    if ratios:
        return goal.limit
    others = {other.line.row: other.value.median for other in lines}
    if one.line.against not in others:
        return None
    # A time of the section, to which the allowance is added in its unit.
    return goal.limit * others[one.line.against] + goal.allowance * 1e3


def _text(one: LineResult, unit: str) -> str:
    ratio = "" if one.ratio is None else f"{one.ratio.median:.2f} {one.line.unit}"
    value = f"{short_number(one.value.median)} {unit}"
    return f"{ratio}, {value}" if ratio else value
