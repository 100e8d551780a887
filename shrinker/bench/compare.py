"""Two results, row by row: what became slower or faster beyond the noise.

The test is pyperf's own (``pyperf compare_to``): Student's two-sample, two-tailed
t-test at 95 %, on means, with its ``--min-speed``: changes of less than 5 % are
not named.  The 5 % are for what a t-test cannot know, that two runs of the same
program, each steady in itself, may differ by that much.

A machine that is slower today makes every row slower.  So a second test, the
same, is made on each row's ratio to another row of its round, which stands for the
machine (the pure-Python one, a loop of C): a row that fails both became slower itself.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pyperf

# What `pyperf compare_to` uses; pyperf's documented interface has no name for it.
from pyperf._compare import CompareData, CompareResult

from shrinker.bench.points import ROWS, Callbacks, Row
from shrinker.bench.results import by_round
from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MIN_CHANGE", "Change", "Comparison", "compare", "pure_row"]

MIN_CHANGE = 5.0
"""Percent."""

_NAMES = {row.name: row for row in ROWS}


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One row in both results."""

    name: str
    old: float
    """Mean, in seconds, or in bytes."""
    new: float
    unit: str
    """second or byte."""
    significant: bool
    """By pyperf's test."""
    relative: float | None
    """New by old, both divided by the row that stands for the machine, of the same
    round; None where there is none."""
    relative_significant: bool

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

    @property
    def itself(self) -> bool:
        """Whether it changed the same way against what stands for the machine."""
        return (
            self.relative is not None
            and self.relative_significant
            and (self.relative > 1) == (self.factor > 1)
        )

    @property
    def machine(self) -> bool:
        """Whether the machine explains it: against what stands for it the row stayed
        as it was, or changed the other way.  A large change that is not beyond the
        noise says neither this nor that."""
        if self.relative is None or self.itself:
            return False
        return self.relative_significant or abs(self.relative - 1) < MIN_CHANGE / 100


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """Two results."""

    changes: list[Change]
    """Of the rows that both have."""
    missing: list[str]
    """Rows that one of them lacks."""
    remarks: list[str]
    """What makes the two hard to compare."""


def pure_row(name: str) -> str | None:
    """Return the name of the pure-Python row beside a row of the reclaim loop."""
    row = _NAMES.get(name)
    if row is None or row.callbacks is Callbacks.PURE:
        return None
    return Row(Callbacks.PURE, row.point).name


def compare(
    old: Any, new: Any, reference: Callable[[str], str | None] = pure_row
) -> Comparison:
    """Compare two suites.  Raises ``ShrinkerError`` without a row in common.

    ``reference`` leads from a row's name to that of the row which tells how fast
    the machine was.
    """
    olds = {benchmark.get_name(): benchmark for benchmark in old}
    news = {benchmark.get_name(): benchmark for benchmark in new}
    common = [name for name in news if name in olds]
    if not common:
        raise ShrinkerError("the two results have no row in common")
    return Comparison(
        changes=[_change(name, reference(name), olds, news) for name in common],
        missing=sorted(olds.keys() ^ news.keys()),
        remarks=_remarks(old, new),
    )


def _change(
    name: str, peer: str | None, olds: dict[str, Any], news: dict[str, Any]
) -> Change:
    result = _test(by_round(olds[name]), by_round(news[name]))
    relative = None
    if peer is not None and peer in olds and peer in news:
        relative = _test(_ratios(olds, name, peer), _ratios(news, name, peer))
    return Change(
        name=name,
        old=olds[name].mean(),
        new=news[name].mean(),
        unit=news[name].get_unit(),
        significant=result.significant,
        relative=None if relative is None else float(relative.norm_mean),
        relative_significant=relative is not None and relative.significant,
    )


def _ratios(benchmarks: dict[str, Any], name: str, peer: str) -> dict[int, float]:
    peers = by_round(benchmarks[peer])
    return {
        number: seconds / peers[number]
        for number, seconds in by_round(benchmarks[name]).items()
        if number in peers
    }


def _test(old: dict[int, float], new: dict[int, float]) -> Any:
    # pyperf's test needs as many values on both sides; where it fails it calls
    # everything significant.
    count = min(len(old), len(new))
    return CompareResult(
        CompareData("old", _benchmark(_spread_out(old, count))),
        CompareData("new", _benchmark(_spread_out(new, count))),
        min_speed=MIN_CHANGE,
    )


def _spread_out(rounds: dict[int, float], count: int) -> list[float]:
    """Return ``count`` of the values, evenly spread over the rounds."""
    values = [rounds[number] for number in sorted(rounds)]
    return [values[i * len(values) // count] for i in range(count)]


def _benchmark(values: list[float]) -> Any:
    if not values:
        raise ShrinkerError("a row has no values")
    run = pyperf.Run(values, metadata={"name": "row"}, collect_metadata=False)
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
