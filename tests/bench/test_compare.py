"""Comparing two results: what is named, and whose doing it was."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("pyperf", reason="shrinker bench measures with pyperf")
pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

from bench_suites import factory, made_up, suite, usual

from shrinker import ShrinkerError
from shrinker.bench.compare import Comparison, compare

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("loop", "native", "trampolines")


def suite_of(
    factor: Callable[[str, int], float], name: str = "loop", rounds: int = 10
) -> Any:
    """Make a result up: ``factor(name, round)`` times what a line usually takes."""
    chance = random.Random(3)  # noqa: S311 - no secret
    return made_up(
        name,
        lambda line, n: usual(line) * factor(line, n) * chance.uniform(0.99, 1.01),
        rounds,
    )


def compared(old: Any, new: Any, name: str = "loop") -> Comparison:
    return compare(old, new, factory(name)().machine)


def test_a_slower_line_is_named() -> None:
    """Only the one that takes longer, and that it is the line's own doing."""
    old = suite_of(lambda _name, _round: 1.0)
    new = suite_of(lambda name, _: 1.3 if name == "native: default" else 1.0)
    comparison = compared(old, new)
    (slower,) = [change for change in comparison.changes if change.slower]
    assert slower.name == "native: default"
    assert slower.cause == "line"
    assert slower.factor == pytest.approx(1.3, rel=0.02)
    assert not [change for change in comparison.changes if change.faster]
    (faster,) = [change for change in compared(new, old).changes if change.faster]
    assert faster.name == "native: default"


def test_noise_is_not_named() -> None:
    """The same program twice: nothing, although no two values are alike."""
    old = suite_of(lambda _name, number: 1.0 + 0.4 * (number % 2))
    new = suite_of(lambda _name, number: 1.0 + 0.4 * (number % 3 != 1))
    for comparison in (compared(old, new), compared(new, old)):
        assert not [c for c in comparison.changes if c.slower or c.faster]
    # Means are far enough apart to be named, but for the noise.
    assert max(change.factor for change in compared(old, new).changes) > 1.05


@pytest.mark.parametrize("name", NAMES)
def test_a_slower_machine_is_told_from_a_slower_line(name: str) -> None:
    """Everything takes longer: all is named, and nothing is a line's own doing."""
    comparison = compared(
        suite_of(lambda _name, _round: 1.0, name),
        suite_of(lambda _name, _round: 1.5, name),
        name,
    )
    assert all(change.slower for change in comparison.changes)
    assert not any(change.cause == "line" for change in comparison.changes)


def test_slower_walks_are_told_by_the_loop_in_c() -> None:
    """The lines that changed against it, and no others."""
    old = suite_of(lambda _name, _round: 1.0, "native")
    new = suite_of(lambda name, _: 2.0 if "walk" in name else 1.0, "native")
    changed = [c for c in compared(old, new, "native").changes if c.slower]
    names = factory("native")().lines
    assert {c.name for c in changed} == {n.name for n in names if "walk" in n.name}
    assert all(change.cause == "line" for change in changed)


def test_results_of_different_length_can_be_compared() -> None:
    """The test wants as many values; where it fails, it calls all significant."""
    comparison = compared(
        suite_of(lambda _name, number: 1.0 + 0.4 * (number % 2), rounds=20),
        suite_of(lambda _name, number: 1.0 + 0.4 * (number % 2), rounds=3),
    )
    # Far enough apart to be named, but for the noise.
    assert min(change.factor for change in comparison.changes) < 0.95
    assert not [c for c in comparison.changes if c.slower or c.faster]
    assert any("20 rounds against 3" in remark for remark in comparison.remarks)


def test_what_cannot_be_compared_is_refused() -> None:
    """Results without a line in common, and lines without values."""
    with pytest.raises(ShrinkerError, match="no line in common"):
        compare(suite({"a": [1.0]}), suite({"b": [1.0]}), {})
    pyperf = pytest.importorskip("pyperf")
    described: dict[str, Any] = {"metadata": {"name": "a"}, "collect_metadata": False}
    empty = pyperf.Benchmark([pyperf.Run([], warmups=[(1, 1.0)], **described)])
    with pytest.raises(ShrinkerError, match="no values"):
        compare(pyperf.BenchmarkSuite([empty]), suite({"a": [1.0]}), {})


def test_lines_of_one_result_are_missing() -> None:
    """They are named, and the others compared."""
    comparison = compare(
        suite({"a": [1.0, 1.0], "b": [1.0, 1.0]}), suite({"a": [1.0, 1.0]}), {}
    )
    assert comparison.missing == ["b"]
    assert [change.name for change in comparison.changes] == ["a"]


def test_another_machine_is_remarked() -> None:
    """Machine, processor and Python, where they differ."""
    values = {"a": [1.0, 1.0]}
    old = suite(values, hostname="here", python_version="3.11")
    new = suite(values, hostname="there", python_version="3.11")
    assert compare(old, new, {}).remarks == ["the machine differs: here, now there"]
