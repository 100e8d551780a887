"""``KeptEntries``: what a ``Cache`` held before a fork, in the child.

Evicting it frees nothing while other processes have the same memory, so it is not
counted, and what the child sets is evicted first (csrc/python/cache_fork.c).  That ends
once the parent has ended, or a reclaimer finds nothing else to evict.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

from shrinker.demand import Inheritor

if TYPE_CHECKING:
    from shrinker.cache.entries import Store

__all__ = ["KeptEntries"]


class KeptEntries(Inheritor):
    """Those of a store; ``unit_bytes`` are what a weight of 1 stands for."""

    def __init__(self, store: Store, unit_bytes: int) -> None:
        self.store = store
        self._unit_bytes = unit_bytes
        self._parent = 0
        _all.add(self)

    def after_fork(self) -> None:
        """Keep all present entries."""
        self.store.keep_all()
        self._parent = os.getppid()

    def inherited_bytes(self) -> int:
        """Return what they weigh; 0 once the parent has ended."""
        if self.store.kept and self._parent != os.getppid():
            self.store.give_kept()
        return self.store.kept * self._unit_bytes

    def give_inherited(self) -> bool:
        """Have them evicted from now on; return whether there were any."""
        return self.store.give_kept()


_all: weakref.WeakSet[KeptEntries] = weakref.WeakSet()


def _after_fork() -> None:
    for each in list(_all):
        each.after_fork()


os.register_at_fork(after_in_child=_after_fork)
