"""Results of ``shrinker bench`` that are made up: every row of every scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyperf

from shrinker.bench.kinds import KINDS
from shrinker.bench.peers.points import ROWS as PEERS_ROWS
from shrinker.bench.points import ROWS as LOOP_ROWS
from shrinker.bench.scenario import ScenarioName

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shrinker.bench.scenario import AnyRow

ROWS: dict[ScenarioName, Sequence[AnyRow]] = {
    ScenarioName.LOOP: LOOP_ROWS,
    ScenarioName.PEERS: PEERS_ROWS,
    **{name: kind.rows for name, kind in KINDS.items()},
}
"""By scenario."""


def option(scenario: ScenarioName) -> str:
    """Return how the command line is told of a scenario."""
    return (
        "--peers" if scenario is ScenarioName.PEERS else f"--scenario={scenario.value}"
    )


def usual(row: str, _round: int = 0) -> float:
    """Return seconds: scan calls take some, too."""
    return 1e-6 if "priority 12" in row else 2e-6


def made_up(
    scenario: ScenarioName = ScenarioName.LOOP,
    seconds: Callable[[str, int], float] = usual,
    rounds: int = 3,
) -> Any:
    """Return a result; ``seconds(row, round)`` says what a row takes."""
    return pyperf.BenchmarkSuite(
        [
            pyperf.Benchmark(
                [
                    pyperf.Run(
                        [seconds(row.name, number)],
                        metadata={
                            "name": row.name,
                            "unit": "byte" if "memory" in row.name else "second",
                            "round": number,
                            "scan_calls_per_pass": 8.0,
                            "nr_max": 128,
                            "memcg_memory": 900,
                            "resident_with_python": 600.0,
                        },
                        collect_metadata=False,
                    )
                    for number in range(rounds)
                ]
            )
            for row in ROWS[scenario]
        ]
    )
