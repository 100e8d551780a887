"""Two results, line by line: what became slower or faster beyond the noise.

The test is pyperf's own (``pyperf compare_to``): Student's two-sample, two-tailed
t-test at 95 %, on means, with its ``--min-speed``: changes of less than 5 % are
not named.  The 5 % are for what a t-test cannot know, that two runs of the same
program, each steady in itself, may differ by that much.

A machine that is slower today makes every line slower.  So a second test, the same,
is made on each line's ratio to another line of its round, which tells how fast the
machine was (``Benchmark.machine``): a line that fails both became slower itself.
"""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING, Any

import pyperf

# What `pyperf compare_to` uses; pyperf's documented interface has no name for it.
from pyperf._compare import CompareData, CompareResult

from shrinker.bench.results import by_line
from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shrinker.bench.lines import Rounds

__all__ = ["MIN_CHANGE", "Change", "Comparison", "compare"]

MIN_CHANGE = 5.0
"""Percent."""


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One line in both results."""

    name: str
    unit: str
    """second or byte."""
    old: float
    """Mean."""
    new: float
    significant: bool
    """By pyperf's test."""
    relative: float | None
    """New by old, both divided by the line that stands for the machine, of the same
    round; None where there is none, or the change is within the noise."""
    cause: str
    """"line": it changed the same way against the machine.  "machine": against that, it
    stayed as it was, or changed the other way.  Empty: neither can be said, as of a
    large change that is within the noise."""

    @property
    def factor(self) -> float:
        """New by old: more than 1 is slower."""
        return self.new / self.old

    @property
    def slower(self) -> bool:
        """Whether it takes more time, beyond the noise."""
        return self.significant and self.factor > 1

    @property
    def faster(self) -> bool:
        """Whether it takes less time, beyond the noise."""
        return self.significant and self.factor < 1


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """Two results."""

    changes: list[Change]
    """Of the lines that both have."""
    missing: list[str]
    """Lines that one of them lacks."""
    remarks: list[str]
    """What makes the two hard to compare."""


def compare(old: Any, new: Any, machine: Mapping[str, str]) -> Comparison:
    """Compare two suites.  Raises ``ShrinkerError`` without a line in common.

    ``machine`` leads from a line's name to that of the line which tells how fast the
    machine was.
    """
    units = {benchmark.get_name(): benchmark.get_unit() for benchmark in new}
    olds, news = by_line(old), by_line(new)
    common = [name for name in news if name in olds]
    if not common:
        raise ShrinkerError("the two results have no line in common")
    return Comparison(
        [_change(name, units[name], machine.get(name), olds, news) for name in common],
        missing=sorted(olds.keys() ^ news.keys()),
        remarks=_remarks(old, new),
    )


_Found = dict[str, "Rounds"]


def _change(
    name: str, unit: str, machine: str | None, olds: _Found, news: _Found
) -> Change:
    result = _test(olds[name], news[name])
    relative, cause = None, ""
    if machine in olds and machine in news:
        against = _test(
            _ratios(olds[name], olds[machine]), _ratios(news[name], news[machine])
        )
        factor = float(against.norm_mean)
        if against.significant:
            relative = factor
            cause = "line" if (factor > 1) == (result.norm_mean > 1) else "machine"
        elif abs(factor - 1) < MIN_CHANGE / 100:
            cause = "machine"
    old, new = (statistics.fmean(found[name].values()) for found in (olds, news))
    return Change(name, unit, old, new, result.significant, relative, cause)


def _ratios(own: Rounds, other: Rounds) -> Rounds:
    return {n: value / other[n] for n, value in own.items() if n in other}


def _test(old: Rounds, new: Rounds) -> Any:
    # pyperf's test needs as many values on both sides; where it fails it calls
    # everything significant.
    count = min(len(old), len(new))
    return CompareResult(
        CompareData("old", _benchmark(_spread_out(old, count))),
        CompareData("new", _benchmark(_spread_out(new, count))),
        min_speed=MIN_CHANGE,
    )


def _spread_out(rounds: Rounds, count: int) -> list[float]:
    """Return ``count`` of the values, evenly spread over the rounds."""
    values = [rounds[number] for number in sorted(rounds)]
    return [values[i * len(values) // count] for i in range(count)]


def _benchmark(values: list[float]) -> Any:
    if not values:
        raise ShrinkerError("a line has no values")
    run = pyperf.Run(values, metadata={"name": "line"}, collect_metadata=False)
    return pyperf.Benchmark([run])


def _remarks(old: Any, new: Any) -> list[str]:
    before, after = old.get_metadata(), new.get_metadata()
    remarks = [
        f"{what} differs: {before.get(key, 'unknown')}, now {after.get(key, 'unknown')}"
        for key, what in (
            ("hostname", "the machine"),
            ("cpu_model_name", "the processor"),
            ("python_version", "Python"),
        )
        if before.get(key) != after.get(key)
    ]
    rounds = [
        min(benchmark.get_nvalue() for benchmark in suite) for suite in (old, new)
    ]
    if rounds[0] != rounds[1]:
        remarks.append(
            f"{rounds[0]} rounds against {rounds[1]}: the test takes"
            f" {min(rounds)} of each"
        )
    return remarks
