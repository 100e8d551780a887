"""Timelines of a recording as SVG: one strip for each shrinker.

A strip is stretched to the width of the page, so it has no text; its name and largest
value stand beside it, in HTML.  Colours are classes, which light and dark pages set.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from shrinker.report.finding import took_ns
from shrinker.report.words import duration, number

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker.report.columns import Array
    from shrinker.report.recording import Recording

__all__ = ["Strip", "Timeline", "timelines"]

_BINS = 240
_HEIGHT = 40
_MAX_STRIPS = 8
# The class of a colour, and the most urgent priority that has it.
_URGENCIES = (("calm", 10), ("busy", 7), ("short", 3), ("desperate", 0))


@dataclasses.dataclass(frozen=True, slots=True)
class Strip:
    """One shrinker over the time of the recording."""

    name: str
    most: str
    """The largest value, in words: the height of the strip."""
    svg: str


@dataclasses.dataclass(frozen=True, slots=True)
class Timeline:
    """Strips of the shrinkers that have most of something."""

    title: str
    caption: str
    strips: tuple[Strip, ...]
    legend: tuple[tuple[str, str], ...]
    """Classes of colours, and what they mean."""
    left_out: int
    """Shrinkers that have some of it, and no strip."""


def timelines(recording: Recording) -> tuple[Timeline, ...]:
    """Return the timelines of a recording; none where its lines have no time."""
    if not recording.wall_ns:
        return ()
    step = f"Each bar is {duration(max(recording.wall_ns // _BINS, 1))}."
    made = (
        _timeline(
            recording,
            "Time inside",
            "Tall bars are stalls: time that reclaim spent inside of a shrinker. Red"
            f" ones were desperate (priority 2 and below). {step}",
            took_ns,
            _urgent_bars,
            duration,
            (
                ("calm", "priority 12 to 10"),
                ("busy", "9 to 7"),
                ("short", "6 to 3"),
                ("desperate", "2 to 0"),
            ),
        ),
        _timeline(
            recording,
            "Scanned and freed",
            "Where the pale bar stands above the solid one, objects were looked at and"
            f" not freed. {step}",
            lambda passes: np.maximum(passes["scanned"], passes["freed"]),
            _scanned_bars,
            number,
            (("scanned", "scanned"), ("freed", "freed")),
        ),
        _timeline(
            recording,
            "Deferred",
            "A line that climbs is work that is put off; where it falls, somebody did"
            " it. The counters of all nodes and memory cgroups share a line, the"
            " largest of each moment.",
            lambda passes: np.maximum(passes["deferred"], 0),
            _deferred_line,
            number,
            (("deferred", "largest deferred counter"),),
        ),
    )
    return tuple(timeline for timeline in made if timeline.strips)


def _timeline(
    recording: Recording,
    title: str,
    caption: str,
    value: Callable[[Array], Array],
    draw: Callable[[Recording, Array], tuple[int, str]],
    words: Callable[[int], str],
    legend: tuple[tuple[str, str], ...],
) -> Timeline:
    series = {
        name: passes[passes["timed"]] for name, passes in recording.by_shrinker.items()
    }
    sums = {name: float(value(passes).sum()) for name, passes in series.items()}
    ranked = sorted((n for n in series if sums[n] > 0), key=lambda n: -sums[n])
    strips = []
    for name in ranked[:_MAX_STRIPS]:
        most, paths = draw(recording, series[name])
        strips.append(
            Strip(
                name,
                words(most),
                f'<svg viewBox="0 0 {_BINS} {_HEIGHT}" preserveAspectRatio="none"'
                f' aria-hidden="true">{paths}</svg>',
            )
        )
    return Timeline(title, caption, tuple(strips), legend, len(ranked) - len(strips))


def _bin_of(recording: Recording, times: Array) -> Array:
    at = (times - recording.begin_ns) * (_BINS / recording.wall_ns)
    place: Array = np.clip(at.astype("i8"), 0, _BINS - 1)
    return place


def _binned(recording: Recording, passes: Array, values: Array) -> Array:
    place = _bin_of(recording, passes["end_ns"])
    return np.bincount(place, weights=values, minlength=_BINS)


def _urgent_bars(recording: Recording, passes: Array) -> tuple[int, str]:
    took = _binned(recording, passes, took_ns(passes))
    urgency = np.full(_BINS, np.iinfo("i2").max)
    place = _bin_of(recording, passes["end_ns"])
    known = passes["priority"] >= 0
    np.minimum.at(urgency, place[known], passes["priority"][known])
    most, paths, above = took.max(), "", np.iinfo("i8").max
    for name, least in _URGENCIES:
        shown = (urgency >= least) & (urgency < above)
        paths += _bars(name, np.where(shown, took, 0), most)
        above = least
    return int(most), paths


def _scanned_bars(recording: Recording, passes: Array) -> tuple[int, str]:
    scanned = _binned(recording, passes, np.maximum(passes["scanned"], 0))
    freed = _binned(recording, passes, passes["freed"])
    most = max(scanned.max(), freed.max())
    return int(most), _bars("scanned", scanned, most) + _bars("freed", freed, most)


def _deferred_line(recording: Recording, passes: Array) -> tuple[int, str]:
    largest = np.full(_BINS, -1, "i8")
    np.maximum.at(largest, _bin_of(recording, passes["end_ns"]), passes["deferred"])
    places = np.flatnonzero(largest >= 0)
    most = int(largest.max())
    path = ""
    for place in places.tolist():
        y = _HEIGHT - _height(float(largest[place]), most)
        path += f"{'L' if path else 'M'}{place + 0.5:g} {y:g}"
    # A single point would not be seen.
    path += "h1"
    return most, f'<path class="deferred" d="{path}"/>'


def _bars(name: str, heights: Array, most: float) -> str:
    """Return one path with a bar for each height above 0."""
    path = "".join(
        f"M{place} {_HEIGHT}v-{_height(float(heights[place]), most):g}h1V{_HEIGHT}z"
        for place in np.flatnonzero(heights > 0).tolist()
    )
    return f'<path class="{name}" d="{path}"/>' if path else ""


def _height(value: float, most: float) -> float:
    """Return the height of a value, in the units of the strip; small ones are seen."""
    return max(round(value / most * _HEIGHT, 1), 1) if value > 0 else 0.0
