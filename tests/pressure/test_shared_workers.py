"""Several workers under one limit, simulated: what is freed, and who keeps what."""

from __future__ import annotations

import pytest
from workers_support import (
    BUDGET_BYTES,
    LIMIT_BYTES,
    MARKS,
    MIB,
    Simulator,
    static_hit_ratios,
)

WARM_SECONDS, SECONDS = 40, 40


@pytest.mark.parametrize("number", [1, 2, 4, 8])
def test_equal_workers(number: int) -> None:
    """What was missing is freed, each worker holds as much, and hits as often."""
    rates = [640 / number] * number
    simulator = Simulator(rates)
    try:
        simulator.run(WARM_SECONDS)
        simulator.forget()
        simulator.run(SECONDS)
        ratios = [each.ratio for each in simulator.shortages[:-1]]
        assert len(ratios) >= 5
        assert max(ratios) <= 1.5
        assert 0.95 <= sum(ratios) / len(ratios) <= 1.25
        assert simulator.between >= 0.9 * simulator.ticks, "from low to high"
        assert simulator.lowest_free > MARKS.min
        weights = [worker.weight for worker in simulator.workers]
        mean = sum(weights) / number
        assert all(0.75 * mean <= weight <= 1.25 * mean for weight in weights)
        _, static = static_hit_ratios(
            rates, [BUDGET_BYTES / number] * number, warm=WARM_SECONDS, seconds=SECONDS
        )
        assert simulator.hit_ratio() >= 0.97 * static
    finally:
        simulator.close()


def test_unequal_workers() -> None:
    """The busy one holds most; the others keep what makes them useful."""
    rates = [540, 20, 20, 20]
    simulator = Simulator(rates)
    try:
        simulator.run(WARM_SECONDS)
        simulator.forget()
        simulator.run(SECONDS)
        own, in_all = static_hit_ratios(
            rates, [BUDGET_BYTES / 4] * 4, warm=WARM_SECONDS, seconds=SECONDS
        )
        for ours, static in zip(simulator.hit_ratios(), own, strict=True):
            assert ours >= 0.6 * static
        assert simulator.hit_ratio() > 1.15 * in_all
        weights = [worker.weight for worker in simulator.workers]
        assert weights[0] == max(weights)
    finally:
        simulator.close()


def test_a_newcomer_gets_its_share() -> None:
    """A worker that starts among full ones grows, while those shrink."""
    simulator = Simulator([160] * 4)
    try:
        simulator.run(WARM_SECONDS)
        simulator.kill(0)
        simulator.run(WARM_SECONDS)
        weights = [worker.weight / MIB for worker in simulator.workers]
        assert weights[0] >= 0.7 * sum(weights) / 4
        assert simulator.lowest_free > MARKS.min
    finally:
        simulator.close()


def test_a_poor_worker_may_grow_while_the_rich_shrinks() -> None:
    """Where memory is short, but not below *min*."""
    simulator = Simulator([1, 1])
    poor, rich = simulator.workers
    try:
        poor.cache[0] = 1
        for key in range(4000):
            rich.cache[key] = 1
        for _ in range(3):
            simulator.now += 1.1
            for worker in (rich, poor):
                worker.history = [worker.weight] * len(worker.history)
                worker.look()
        for key in range(5300):
            rich.cache[key] = 1
        rich.history = [rich.weight] * len(rich.history)
        free = LIMIT_BYTES - simulator.used
        assert MARKS.min < free < MARKS.low
        poor.look()
        assert poor.worker.next_look.under_pressure
        assert not poor.domain._growth.under_pressure
        assert poor.weight, "it gave nothing"
        rich.look()
        assert rich.domain._growth.under_pressure
    finally:
        simulator.close()
