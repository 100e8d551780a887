"""``RegisteredStore``: what the registration of a ``Cache`` keeps alive.

The callbacks are C and have only the store's address.  Reclaimers and reports ask this
object: what was there before a fork (``kept``), and what was learned.
"""

from __future__ import annotations

from shrinker.cache.kept import KeptEntries
from shrinker.registered import LearnsCost

__all__ = ["RegisteredStore"]


class RegisteredStore(KeptEntries, LearnsCost):
    """A store; ``unit_bytes`` are what a weight of 1 stands for."""

    def learned_cost(self) -> str | None:
        """Return what a page or an entry takes to compute, where seeks are learned."""
        seconds = self.store.page_seconds
        unit = "a page" if self._unit_bytes == 1 else "an entry"
        if not self.store.learned_seeks or seconds is None:
            return None
        return f"{_time(seconds)} {unit}"


def _time(seconds: float) -> str:
    for unit, least in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= least:
            return f"{seconds / least:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
