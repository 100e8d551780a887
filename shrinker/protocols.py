"""``Shrinker``: the two methods that make an object a shrinker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from shrinker.control import ShrinkControl
    from shrinker.values import CountObjects, ScanObjects

__all__ = ["Shrinker"]


@runtime_checkable
class Shrinker(Protocol):
    """What a cache has to offer; in Rust this is the trait of the same name.

    The object itself is the private data.  Several threads may call both methods
    at once.  The methods must not switch greenlets to code that reclaims: the
    reclaim of the other greenlet may then return 0, but nothing breaks.
    """

    def count_objects(self, sc: ShrinkControl) -> CountObjects | int:
        """Return how many objects could be freed now.

        It must be quick and must not wait.  Return ``CountObjects.EMPTY`` where
        there are none, 0 where the number is unknown.  A plain ``int`` means
        ``CountObjects.new`` of it.
        """

    def scan_objects(self, sc: ShrinkControl) -> ScanObjects | int:
        """Look at up to ``sc.nr_to_scan`` objects and free those that can go.

        Return how many were freed, or ``ScanObjects.STOP`` where no progress is
        possible now.  A plain ``int`` means ``ScanObjects.from_count`` of it.
        """
