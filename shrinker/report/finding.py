"""A finding, and the thresholds that decide what is one."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from shrinker.gfp import GFP
from shrinker.values import SHRINK_BATCH

if TYPE_CHECKING:
    from shrinker.report.columns import Array
    from shrinker.report.recording import Recording

__all__ = [
    "Finding",
    "Thresholds",
    "batch_of",
    "lines_of",
    "not_dropping",
    "refused",
    "took_ns",
]

# Passes whose lines a finding names.
_MAX_EVIDENCE = 5


@dataclasses.dataclass(frozen=True, slots=True)
class Thresholds:
    """What is worth a finding; each default is argued here.

    Raises ValueError for a negative one, as ``dataclasses.replace`` does.
    """

    long_pass_ms: float = 100
    """A pass of a task or kswapd: people notice a tenth of a second."""
    long_drop_ms: float = 1000
    """A pass of drop_caches: it takes a whole cache, and a person asked for it."""
    windup_ratio: float = 10
    """Deferred objects for each counted one; kernels from 5.13 on cap them at 2."""
    windup_objects: int = 10_000
    """With fewer, what is deferred costs less than a millisecond or so."""
    refused_passes: int = 100
    """Passes that may not enter filesystems and scan nothing of a batch or more."""
    landed_ratio: float = 10
    """Objects scanned for each that the caller's own pressure asks for."""
    landed_objects: int = 1000
    """With fewer, the caller does not notice."""
    fruitless_passes: int = 50
    """Passes in a row that scan and free nothing: objects in use come back that often
    by chance nowhere in healthy recordings (3 at most)."""
    idle_cost_passes: int = 1000
    """Passes over a shrinker that never frees anything ..."""
    idle_cost_ms: float = 10
    """... and the time inside of them, from which on it is a cost."""
    twice_runs: int = 5
    """Walks in which a shrinker is called twice; one or two may be two walks."""
    absurd_count: int = 2**31 - 2**16
    """Objects counted: near an overflow of 31 bits, and 64 GB of the smallest slabs."""
    half_objects: int = 10_000
    """Objects counted where half of them go at once; small caches are refilled fast."""
    small_passes: int = 100
    """Passes at priority 6 or below that never ask a cache, or ask for all of it."""
    small_objects: int = 32
    """Objects counted; a smaller cache is a page or two."""
    storm_passes: int = 2000
    """Passes within a second; kswapd over a dozen shrinkers makes hundreds."""
    storm_idle_share: float = 0.99
    """Share of them that frees nothing."""
    pays_share: float = 0.9
    """A shrinker's share of all objects freed ..."""
    pays_owns: float = 0.5
    """... that is more than it owns: its share of all objects counted."""
    pays_objects: int = 10_000
    """Objects freed by all; of fewer nothing can be said."""
    payer_share: float = 0.6
    """A task's share of the time that tasks spend inside of shrinkers."""
    payer_ms: float = 100
    """Its time inside, from which on it is noticed."""

    def __post_init__(self) -> None:
        """Check them."""
        for name, value in dataclasses.asdict(self).items():
            if not value >= 0:
                raise ValueError(f"{name} must not be negative; got {value}")


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """Something in a recording that is worth a look, with its evidence."""

    kind: str
    """A word for it, as docs/report.md lists them."""
    recording: str
    sentence: str
    """What was seen, with its figures."""
    look: str
    """What to look at, and what may help."""
    shrinker: str | None = None
    caller: str | None = None
    figures: dict[str, int | float | str] = dataclasses.field(default_factory=dict)
    lines: tuple[tuple[int, int], ...] = ()
    """Lines of the start and end events of a few of the passes, the worst first."""

    def to_json(self) -> dict[str, Any]:
        """Return an object for ``shrinker report --json``."""
        return dataclasses.asdict(self) | {"lines": [list(pair) for pair in self.lines]}


def lines_of(passes: Array) -> tuple[tuple[int, int], ...]:
    """Return the lines of the first few of ``passes``."""
    return tuple(
        (int(each["start_line"]), int(each["end_line"]))
        for each in passes[:_MAX_EVIDENCE]
    )


def took_ns(passes: Array) -> Array:
    """Return how long each pass took; 0 where its lines have no time."""
    took = (passes["end_ns"] - passes["start_ns"]) * passes["timed"]
    lasted: Array = np.maximum(took, 0)
    return lasted


def not_dropping(recording: Recording, passes: Array) -> Array:
    """Return the passes but those of drop_caches, which are meant to take all."""
    if "drop_caches" not in recording.callers:
        return passes
    others: Array = passes[passes["caller"] != recording.callers.index("drop_caches")]
    return others


def refused(passes: Array, batch: int = SHRINK_BATCH) -> Array:
    """Return which passes may not enter filesystems, and scanned nothing.

    Those that asked for less than the shrinker's batch, and less than it counted, are
    left out: they would have scanned nothing for any caller.
    """
    refusing: Array = (
        ((passes["gfp_mask"] & int(GFP.FS)) == 0)
        & (passes["scanned"] == 0)
        & (passes["asked"] >= np.minimum(passes["count"], batch))
        & (passes["asked"] > 0)
    )
    return refusing


def batch_of(recording: Recording, shrinker: str, passes: Array) -> int:
    """Return a batch that fits what a shrinker scanned, or that it scanned nothing."""
    if (passes["scanned"] > 0).any():
        return recording.batch(recording.shrinkers.index(shrinker), SHRINK_BATCH)
    unmoved = passes[~refused(passes) & (passes["asked"] < passes["count"])]
    below = max(int(unmoved["asked"].max(initial=0)), SHRINK_BATCH - 1)
    # The next power of two, as all of the kernel's own batches are.
    return 1 << below.bit_length()
