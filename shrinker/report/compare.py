"""What changed between recordings, beyond the noise: rank tests.

Rates and yields are taken in slices of each recording, times of each pass.  The values
of the old recordings and of the new ones are compared by the Mann-Whitney test, which
asks only whether one side's values tend to be larger and assumes no distribution.
Where reclaim comes in one burst most slices are empty: ranks and medians then say
nothing of how large the burst was, but means do.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from shrinker.report.finding import Finding, took_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.report.columns import Array
    from shrinker.report.recording import Recording
    from shrinker.report.report import Report

__all__ = ["Change", "Comparison", "MeanChange", "compare"]

# Of a recording; enough for a test of ranks, and each has many passes.
_SLICES = 20
_MIN_VALUES = 8
# A mean that changed by less is not told: a single pass can do that.
_MEAN_FACTOR = 2
_SECOND_NS = 1e9
_US_NS = 1e3


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """A figure of a shrinker that changed beyond the noise."""

    shrinker: str
    """The scan function: pointers differ from boot to boot."""
    figure: str
    """Which, with its unit."""
    old: float
    """The median of the old values; 0 where reclaim left most slices empty."""
    new: float
    old_mean: float
    """The mean over the old recordings as a whole: a total in a total."""
    new_mean: float
    p: float
    """How likely such a difference is by chance, corrected for all figures tested."""
    larger: float
    """How often a new value is above an old one, of all pairs; ties count half."""

    @property
    def comes_in_bursts(self) -> bool:
        """Whether the mean went up and the median did not, or the reverse."""
        up, up_in_all = self.new - self.old, self.new_mean - self.old_mean
        return up * up_in_all < 0

    def to_json(self) -> dict[str, Any]:
        """Return an object for ``shrinker report --json``."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True)
class MeanChange:
    """A mean that doubled or halved, where ranks show no change beyond the noise.

    One burst, or a few long passes, do that.  Nothing says how likely it is by chance.
    """

    shrinker: str
    """The scan function."""
    figure: str
    """Which, with its unit."""
    old: float
    """The mean over the old recordings as a whole: a total in a total."""
    new: float

    def to_json(self) -> dict[str, Any]:
        """Return an object for ``shrinker report --json``."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """What is different in the new recordings."""

    changes: tuple[Change, ...]
    """The clearest first."""
    tested: int
    """Figures that both sides have enough values of."""
    new_findings: tuple[Finding, ...]
    """Findings of a kind that no old recording has for the same scan function."""
    gone_findings: tuple[Finding, ...]
    only_old: tuple[str, ...]
    """Scan functions that only old recordings have."""
    only_new: tuple[str, ...]
    mean_changes: tuple[MeanChange, ...] = ()
    """Means that doubled or halved without being in ``changes``; the scan functions
    with most time inside first."""

    def to_json(self) -> dict[str, Any]:
        """Return the object that ``shrinker report --json OLD -- NEW`` prints."""
        return {
            "changes": [change.to_json() for change in self.changes],
            "tested": self.tested,
            "new_findings": [found.to_json() for found in self.new_findings],
            "gone_findings": [found.to_json() for found in self.gone_findings],
            "only_old": list(self.only_old),
            "only_new": list(self.only_new),
            "mean_changes": [change.to_json() for change in self.mean_changes],
        }


def compare(
    old: Report, new: Report, *, chance: float = 0.01, larger: float = 0.7
) -> Comparison:
    """Return what changed beyond the noise from ``old`` to ``new``.

    A figure changed where the difference is less likely by chance than ``chance``,
    after Holm's correction for the number of figures, and where a new value is above
    an old one in at least the share ``larger`` of all pairs, or in at most the rest:
    with many passes any difference is certain, and most are too small to matter.

    Slices of a recording depend on each other (reclaim comes in bursts), so a chance
    is a guide, not a proof.  Raises ValueError where a share is not in 0 to 1.
    """
    if not 0 <= chance <= 1 or not 0 <= larger <= 1:
        raise ValueError("chance and larger are shares, 0 to 1")
    sides = _by_function(old), _by_function(new)
    both = [name for name in sides[0] if name in sides[1]]
    both.sort(key=lambda name: -sum(_inside_ns(side[name]) for side in sides))
    values = {
        (name, figure): (values_of(sides[0][name]), values_of(sides[1][name]))
        for name in both
        for figure, values_of in _FIGURES.items()
    }
    tests = [test for key in values if (test := _tested(*key, *values[key]))]
    tests.sort(key=lambda test: test.p)
    changes, corrected = [], 0.0
    for place, test in enumerate(tests):
        corrected = max(corrected, min(test.p * (len(tests) - place), 1))
        if corrected <= chance and not 1 - larger < test.larger < larger:
            changes.append(dataclasses.replace(test, p=corrected))
    for change in changes:
        del values[change.shrinker, change.figure]
    return Comparison(
        tuple(changes),
        len(tests),
        _not_in(new, old),
        _not_in(old, new),
        tuple(name for name in sides[0] if name not in sides[1]),
        tuple(name for name in sides[1] if name not in sides[0]),
        tuple(
            MeanChange(*key, *means)
            for key, pair in values.items()
            if (means := _means_far_apart(*pair))
        ),
    )


_Series = list[tuple["Recording", "Array"]]
"""The passes of a scan function in each recording that has times."""


def _by_function(report: Report) -> dict[str, _Series]:
    found: dict[str, _Series] = {}
    for recording in report.recordings:
        if not recording.wall_ns:
            continue
        parts: dict[str, list[Array]] = {}
        for name, passes in recording.by_shrinker.items():
            parts.setdefault(_function(name), []).append(passes[passes["timed"]])
        for name, series in parts.items():
            found.setdefault(name, []).append((recording, np.concatenate(series)))
    return found


def _function(shrinker: str) -> str:
    """Return a shrinker's name without its pointer."""
    return shrinker.partition(" ")[0]


def _slices(series: _Series) -> Iterator[tuple[float, list[Array]]]:
    """Yield the length of a slice in seconds, and each field's sums by slice."""
    for recording, passes in series:
        at = (passes["end_ns"] - recording.begin_ns) * (_SLICES / recording.wall_ns)
        place = np.clip(at.astype("i8"), 0, _SLICES - 1)
        sums = [
            np.bincount(place, weights=weights, minlength=_SLICES)
            for weights in (None, passes["scanned"], passes["freed"], took_ns(passes))
        ]
        yield recording.wall_ns / _SECOND_NS / _SLICES, sums


_Values = tuple["Array", "Array"]
"""Values of a figure, and the weights that make their mean a total in a total."""


def _rate(field: int) -> Callable[[_Series], _Values]:
    def values(series: _Series) -> _Values:
        rates, lengths = [], []
        for long, sums in _slices(series):
            rates.append(sums[field] / long)
            lengths.append(np.full(_SLICES, long))
        return np.concatenate(rates), np.concatenate(lengths)

    return values


def _yields(series: _Series) -> _Values:
    sums = [np.stack(sums) for _, sums in _slices(series)]
    _, scanned, freed, _ = np.concatenate(sums, axis=1)
    some = scanned > 0
    return freed[some] / scanned[some], scanned[some]


def _idle_us(series: _Series) -> _Values:
    idle = [passes[passes["scanned"] == 0] for _, passes in series]
    took = np.concatenate([took_ns(passes) / _US_NS for passes in idle])
    return took, np.ones(len(took))


def _us_per_object(series: _Series) -> _Values:
    scanning = [passes[passes["scanned"] > 0] for _, passes in series]
    scanned = np.concatenate([passes["scanned"] for passes in scanning])
    took = np.concatenate([took_ns(passes) / _US_NS for passes in scanning])
    return took / scanned, scanned.astype(float)


def _inside_ns(series: _Series) -> float:
    return sum(float(took_ns(passes).sum()) for _, passes in series)


_FIGURES: dict[str, Callable[[_Series], _Values]] = {
    "passes/s": _rate(0),
    "scanned/s": _rate(1),
    "freed/s": _rate(2),
    "ns inside/s": _rate(3),
    "freed per scanned": _yields,
    "µs of an idle pass": _idle_us,
    "µs per object scanned": _us_per_object,
}


def _tested(name: str, figure: str, old: _Values, new: _Values) -> Change | None:
    """Return a figure's averages and test; None where there are too few values."""
    if min(len(old[0]), len(new[0])) < _MIN_VALUES:
        return None
    p, larger = _mann_whitney(old[0], new[0])
    return Change(
        name,
        figure,
        float(np.median(old[0])),
        float(np.median(new[0])),
        _mean(old),
        _mean(new),
        p,
        larger,
    )


def _mean(values: _Values) -> float:
    return float(np.average(values[0], weights=values[1]))


def _means_far_apart(old: _Values, new: _Values) -> tuple[float, float] | None:
    """Return the means where one is far above the other, else None."""
    if not len(old[0]) or not len(new[0]):
        return None
    means = _mean(old), _mean(new)
    low, high = sorted(means)
    return means if high >= _MEAN_FACTOR * low and high > low else None


def _mann_whitney(old: Array, new: Array) -> tuple[float, float]:
    """Return how likely the difference is by chance, and how often new is larger.

    By the normal approximation with ties and a continuity correction.
    """
    values = np.concatenate([old, new])
    _, place, ties = np.unique(values, return_inverse=True, return_counts=True)
    middle_ranks = np.cumsum(ties) - (ties - 1) / 2
    above = float(middle_ranks[place[len(old) :]].sum()) - len(new) * (len(new) + 1) / 2
    pairs, total = len(old) * len(new), len(values)
    tied = float((ties.astype(float) ** 3 - ties).sum()) / (total * (total - 1))
    spread = math.sqrt(pairs / 12 * (total + 1 - tied))
    if spread == 0:
        return 1.0, 0.5
    far = max(abs(above - pairs / 2) - 0.5, 0) / spread
    return math.erfc(far / math.sqrt(2)), above / pairs


def _not_in(report: Report, other: Report) -> tuple[Finding, ...]:
    """Return the findings whose kind the other report does not have for a subject."""
    known = {_subject(finding) for finding in other.findings}
    return tuple(each for each in report.findings if _subject(each) not in known)


def _subject(finding: Finding) -> tuple[str, str]:
    return finding.kind, _function(finding.shrinker or "")
