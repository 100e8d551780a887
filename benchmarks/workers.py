"""What workers that share a limit free and hit, simulated.

    python benchmarks/workers.py [--seconds 120] [--warm 90] [WORKERS ...]

No memory is used and no time passes: the simulator of the tests runs the real policy,
worker and shares on caches under Zipf loads, 256 MiB for all.  For each number of
workers, and for one busy worker beside three that are nearly idle (``540+3x20``):

- *freed*: bytes freed by what was missing to *high* (and was added meanwhile), the mean
  and the worst; with the table, and without: each takes the whole deficit itself;
- *hits*: the hit ratio with the table, without, with a fixed equal split of what caches
  hold on average, and with the best fixed split;
- *least*: of all workers, the lowest ratio of its hits to those of the equal split;
- *spread*: how far what a worker holds is from the mean, at most, averaged over time;
- *between*: part of the time with free memory from *low* to *high*, with the table and
  without.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from workers_support import BUDGET_BYTES, Simulator, static_hit_ratios

if TYPE_CHECKING:
    from collections.abc import Sequence

REQUESTS_PER_SECOND = 640
UNEQUAL = (540.0, 20.0, 20.0, 20.0)


SHARES = (0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Of the first of unequal workers, tried for the best fixed split."""
SAMPLES = 20
"""Moments at which is looked what each worker holds."""


@dataclasses.dataclass
class Measured:
    """What came of a simulation."""

    freed: list[float]
    """For each shortage, by what was missing."""
    own: list[float]
    """Hit ratio of each worker."""
    hits: float
    spread: float
    between: float


def measured(
    rates: Sequence[float], warm: float, seconds: float, *, share: bool
) -> Measured:
    """Simulate workers; ``share`` says whether they share a table."""
    simulator = Simulator(rates, share=share)
    spreads = []
    try:
        simulator.run(warm)
        simulator.forget()
        for _ in range(SAMPLES):
            simulator.run(seconds / SAMPLES)
            held = [worker.weight for worker in simulator.workers]
            mean = sum(held) / len(held)
            spreads.append(max(abs(each - mean) for each in held) / mean)
        return Measured(
            [each.ratio for each in simulator.shortages[:-1]] or [0.0],
            simulator.hit_ratios(),
            simulator.hit_ratio(),
            sum(spreads) / SAMPLES,
            simulator.between / simulator.ticks,
        )
    finally:
        simulator.close()


def best_split(rates: Sequence[float], warm: float, seconds: float) -> float:
    """Return the hit ratio of the best fixed split: equal workers get the same."""
    number = len(rates)
    shares = [1 / number] if len(set(rates)) == 1 else SHARES
    return max(
        static_hit_ratios(
            rates,
            [
                BUDGET_BYTES * (share if i == 0 else (1 - share) / (number - 1))
                for i in range(number)
            ],
            warm=warm,
            seconds=seconds,
        )[1]
        for share in shares
    )


def main() -> None:
    """Print a line for each number of workers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workers", nargs="*", type=int, default=[1, 2, 4, 8, 16])
    parser.add_argument("--warm", type=float, default=90)
    parser.add_argument("--seconds", type=float, default=120)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print(
        f"{'':>9}  {'freed:':>6}  {'':>13}  {'hits:':>5}\n"
        f"{'workers':>9}  {'mean':>6} {'worst':>5} {'alone':>11}"
        f"  {'table':>5} {'alone':>5} {'equal':>5} {'best':>5}"
        f"  {'least':>5} {'spread':>6}  {'between':>7} {'alone':>5}"
    )
    cases = [[REQUESTS_PER_SECOND / n] * n for n in options.workers] + [list(UNEQUAL)]
    for rates in cases:
        length = (options.warm, options.seconds)
        table = measured(rates, *length, share=True)
        alone = measured(rates, *length, share=False)
        sizes = [BUDGET_BYTES / len(rates)] * len(rates)
        equal, hits_equal = static_hit_ratios(
            rates, sizes, warm=options.warm, seconds=options.seconds
        )
        best = best_split(rates, *length)
        least = min(ours / its for ours, its in zip(table.own, equal, strict=True))
        name = "540+3x20" if tuple(rates) == UNEQUAL else str(len(rates))
        mean = sum(table.freed) / len(table.freed)
        mean_alone = sum(alone.freed) / len(alone.freed)
        print(
            f"{name:>9}  {mean:6.2f} {max(table.freed):5.2f}"
            f" {mean_alone:5.2f} {max(alone.freed):5.2f}"
            f"  {table.hits:5.3f} {alone.hits:5.3f} {hits_equal:5.3f} {best:5.3f}"
            f"  {least:5.2f} {table.spread:6.2f}"
            f"  {table.between:7.2f} {alone.between:5.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
