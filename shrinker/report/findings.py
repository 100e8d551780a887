"""What is worth a look in a recording: the rules, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shrinker.report.rules_of_history import (
    called_twice,
    fruitless_scans,
    idle_cost,
    refused_work,
    small_caches,
    windup,
)
from shrinker.report.rules_of_passes import (
    absurd_counts,
    half_at_once,
    landed_work,
    long_passes,
)
from shrinker.report.rules_of_sharing import one_cache_pays, one_caller_pays, storms

if TYPE_CHECKING:
    from shrinker.report.finding import Finding, Thresholds
    from shrinker.report.recording import Recording

__all__ = ["findings_of"]

# What hurts most stands first.
_RULES = (
    long_passes,
    absurd_counts,
    landed_work,
    windup,
    refused_work,
    half_at_once,
    one_caller_pays,
    one_cache_pays,
    fruitless_scans,
    called_twice,
    storms,
    small_caches,
    idle_cost,
)


def findings_of(recording: Recording, limits: Thresholds) -> tuple[Finding, ...]:
    """Return what the rules find, in their order."""
    if not len(recording.passes):
        return ()
    return tuple(found for rule in _RULES for found in rule(recording, limits))
