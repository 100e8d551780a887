"""``run_pass(era=)`` and ``explain(era=)``: passes as older kernels computed them."""

from __future__ import annotations

from typing import Any

import pytest

from shrinker import run_pass
from shrinker.explain import explain

# Computed by hand: arguments, then delta, total_scan, what is left of it, the counter.
EXAMPLES: list[tuple[dict[str, Any], tuple[int, int, int, int]]] = [
    (
        {"count": 10**6, "nr_deferred": 4 * 10**6, "era": "B"},
        (488, 500_000, 32, 3_500_520),
    ),
    (
        {"count": 1000, "nr_deferred": 5000, "priority": 0, "era": "B"},
        (2000, 2000, 80, 5080),
    ),
    ({"count": 100, "nr_deferred": -5000, "era": "B"}, (0, 50, 50, 0)),
    ({"count": 1001, "seeks": 0, "era": "B"}, (500, 500, 116, 116)),
    ({"count": 1000, "era": "B-4.19"}, (128, 128, 0, 0)),
    ({"count": 50, "era": "B-4.19"}, (50, 50, 0, 0)),
    (
        {"count": 1000, "nr_deferred": 900, "era": "A"}
        | {"pgs_scanned": 32, "lru_pgs": 7791},
        (8, 500, 116, 524),
    ),
    (
        {"count": 1000, "nr_deferred": 900, "era": "A-4.10"}
        | {"pgs_scanned": 32, "lru_pgs": 7791},
        (8, 500, 116, 116),
    ),
    (
        {"count": 10**6, "nr_deferred": 4 * 10**6, "era": "C"},
        (488, 1464, 56, 2 * 10**6),
    ),
]


@pytest.mark.parametrize(("arguments", "expected"), EXAMPLES)
def test_each_era_has_its_formula(
    arguments: dict[str, Any], expected: tuple[int, int, int, int]
) -> None:
    """delta, total_scan, what is left and the new counter are those of the era."""
    result = run_pass(**arguments)
    assert (
        result.delta,
        result.total_scan,
        result.total_scan_left,
        result.nr_deferred,
    ) == expected
    assert result.nr_after == result.nr_deferred
    assert sum(result.scans) == expected[1] - expected[2]


@pytest.mark.parametrize(("arguments", "expected"), EXAMPLES)
def test_explanations_say_what_the_pass_did(
    arguments: dict[str, Any], expected: tuple[int, int, int, int]
) -> None:
    """Each step's value is the pass's, and no remark speaks of another era's cap."""
    renamed = {"deferred": arguments.get("nr_deferred", 0)} | arguments
    renamed.pop("nr_deferred", None)
    explanation = explain(**renamed)
    values = {step.name: step.value for step in explanation.steps}
    names = ("delta", "total_scan", "total_scan_left", "nr_deferred")
    assert tuple(values[name] for name in names) == expected
    assert explanation.to_json()["era"] == arguments["era"]
    if arguments["era"] != "C":
        assert not any(
            "at most twice the cache" in s.title
            for s in explanation.steps
            if s.name == "nr_deferred"
        )
        assert explanation.warnings == ()


def test_callbacks_decide_in_every_era() -> None:
    """The scan callback may stop the pass, and say how much it scanned."""
    asked: list[int] = []

    def scan(nr_to_scan: int) -> tuple[int, int] | int:
        asked.append(nr_to_scan)
        return (1, nr_to_scan // 2) if len(asked) < 3 else 2**64 - 1

    result = run_pass(1000, priority=0, era="B", scan=scan)
    assert asked == [128, 128, 128]
    assert result.returned == 2
    assert result.nr_deferred == 2000 - 2 * 64


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"era": "D"}, "era must be one of A, A-4.10, B, B-4.19, C; got 'D'"),
        ({"era": "A"}, "era A needs pgs_scanned and lru_pgs"),
        ({"era": "B", "pgs_scanned": 1}, "pgs_scanned and lru_pgs are of era A"),
        ({"era": "C", "lru_pgs": 1}, "pgs_scanned and lru_pgs are of era A"),
        (
            {"era": "A", "pgs_scanned": 1, "lru_pgs": 1, "priority": 3},
            "era A has no priority",
        ),
        ({"era": "A", "pgs_scanned": 1, "lru_pgs": 1, "seeks": 0}, "divides by seeks"),
        ({"era": "A", "pgs_scanned": 1, "lru_pgs": -1}, "which are 0"),
        ({"era": "A", "pgs_scanned": 1, "lru_pgs": 2**32 - 1}, "which are 0"),
        ({"era": "A", "pgs_scanned": 2**63, "lru_pgs": 1}, "pgs_scanned"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], complaint: str) -> None:
    """What an era has no use for, or cannot compute with, is a ValueError."""
    with pytest.raises(ValueError, match=complaint):
        run_pass(1000, **arguments)


def test_empty_caches_have_no_pass_in_any_era() -> None:
    """A count of 0 or EMPTY leaves the counter as it is, and has no events."""
    for count in (0, 2**64 - 2):
        result = run_pass(count, nr_deferred=7, era="B")
        assert (result.returned, result.nr_deferred, result.delta) == (count, 7, None)
