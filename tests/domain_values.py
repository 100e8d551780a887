"""What the stateful test draws from, and a ``Store`` as the library calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from reference_model import SHRINK_EMPTY, SHRINK_STOP

from shrinker import CountObjects, ScanObjects, ShrinkControl

if TYPE_CHECKING:
    from domain_model import Store

__all__ = ["COUNTS", "SPEC", "STALL_LIMIT", "Cache"]

POLICIES = ["all", "half", "none", "stop", "often", "stuck", "eager"]
RAISING = ["count raises", "scan raises"]
STALL_LIMIT = 8
# Few enough that each shrinker is met often, and some at which 64 bits wrap.
COUNTS = st.integers(0, 5000) | st.sampled_from([2**62 + 10**6, 2**63 - 10**6])

SPEC = {
    "seeks": st.sampled_from([0, 1, 2, 2, 3, 1000]),
    "batch": st.sampled_from([0, 0, 1, 100, 5000]),
    "flags": st.sampled_from([0, 1, 2, 2, 3, 4, 6, 6, 7]),
    "policy": st.sampled_from([*POLICIES, *POLICIES, *RAISING]),
    "empty_is_known": st.booleans(),
    "refills": st.lists(st.integers(1, 3000), max_size=2),
}


class Cache:
    """A ``Store`` as the library calls it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def _place(self, sc: ShrinkControl) -> tuple[int, int]:
        return sc.nid, 0 if sc.memcg is None else sc.memcg.id

    def count_objects(self, sc: ShrinkControl) -> CountObjects:
        count = self.store.count(self._place(sc))
        return CountObjects.EMPTY if count == SHRINK_EMPTY else CountObjects.new(count)

    def scan_objects(self, sc: ShrinkControl) -> ScanObjects:
        freed, sc.nr_scanned = self.store.scan(self._place(sc), sc.nr_to_scan)
        return (
            ScanObjects.STOP if freed == SHRINK_STOP else ScanObjects.from_count(freed)
        )
