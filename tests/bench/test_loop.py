"""The points of ``shrinker bench``: what is set up, and that it is alike.

How long anything takes is not tested.
"""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("pyperf", reason="shrinker bench measures with pyperf")

from shrinker import Domain
from shrinker.bench import loop
from shrinker.bench.loop import Callbacks, Point, alike, open_workload, scan_calls
from shrinker.bench.recording import load_recording

POINTS = loop.points(load_recording())


def test_the_default_cache_makes_the_calls_that_the_documentation_names() -> None:
    """0, 8 and 64 calls by priority, 1,024, 8 and 1 by batch, nothing deferred."""
    calls = {point.label: scan_calls(point.workload) for point in POINTS}
    assert calls["priority 12"] == 0
    assert calls["default"] == 8
    assert calls["priority 0"] == 64
    assert calls["batch 1"] == 1024
    assert calls["batch 1,024"] == 1
    assert calls["no shrinker"] == 0
    for n in ("1", "10", "1,000", "10,000"):
        assert calls[f"{n} shrinker" + "s" * (n != "1")] == 8
        assert calls[f"{n} at priority 12"] == 0


def test_idle_points_differ_in_the_priority_alone() -> None:
    """So the other point costs more by its scan calls alone."""
    workloads = {point.label: point.workload for point in POINTS}
    for point in POINTS:
        if point.idle:
            idle = workloads[point.idle]
            assert idle.priorities == (12,)
            assert len(idle.shrinkers) == len(point.workload.shrinkers)
            assert scan_calls(idle) == 0


@pytest.mark.parametrize(
    "point",
    [p for p in POINTS if len(p.workload.shrinkers) <= 1000],
    ids=lambda p: p[0],
)
def test_native_and_python_lines_do_the_same_work(
    point: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is compared is the same: walks, passes, calls and objects."""
    done = {}
    for callbacks in (Callbacks.NATIVE, Callbacks.PYTHON):
        domains = []

        class Watched(Domain):
            def __init__(self, seen: list[Any] = domains) -> None:
                super().__init__()
                seen.append(self)

        monkeypatch.setattr(loop, "Domain", Watched)
        with open_workload(callbacks, point.workload) as run:
            assert run(2) > 0
            (domain,) = domains
            seen = domain.statistics()
        done[callbacks] = seen.walks, seen.passes, seen.scan_calls, seen.freed
    assert done[Callbacks.NATIVE] == done[Callbacks.PYTHON]
    walks, passes, *_ = done[Callbacks.NATIVE]
    assert walks == 2 * len(point.workload.priorities)
    assert passes == 2 * point.workload.passes


def test_values_are_by_pass() -> None:
    """Of a walk where there is no shrinker."""
    steps = {line.name: line.steps for line in loop.benchmark().lines}
    assert steps["native: default"] == steps["pure: batch 1"] == 100
    assert steps["python: no shrinker"] == 1
    assert steps["pure: recording"] == 5950


def test_every_line_is_compared_with_pure_python() -> None:
    """That of the same point, which tells how fast the machine was, too."""
    benchmark = loop.benchmark()
    assert len(benchmark.lines) == 3 * len(POINTS)
    for line in benchmark.lines:
        kind, _, label = line.name.partition(": ")
        expected = None if kind == "pure" else f"pure: {label}"
        assert benchmark.machine.get(line.name) == expected


def test_the_pure_lines_walk_as_often() -> None:
    """Their walks are not seen by a domain; a cache counts them."""
    workload = alike(3, priority=0)
    asked = []

    class Counting(loop.Cache):
        def scan_objects(self, sc: Any) -> int:
            asked.append(sc.nr_to_scan)
            return super().scan_objects(sc)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "Cache", Counting)
        with open_workload(Callbacks.PURE, workload) as run:
            run(2)
    assert asked == [128] * (2 * 3 * 64)
