"""A domain with native shrinkers that C has made, for what is measured in C."""

from __future__ import annotations

from typing import Any

from shrinker._ffi import ffi, lib
from shrinker.domain import Domain

__all__ = ["NativeMachine"]


class NativeMachine:
    """A domain with ``nr`` native shrinkers, none of which Python knows."""

    # Invariants: the first `_made` of `shrinkers` are registered in `domain`.
    def __init__(self, nr: int) -> None:
        self.domain = Domain()
        self.shrinkers: Any = ffi.new("struct shrinker *[]", nr)
        self._made = lib.bench_register(self.domain._c, self.shrinkers, nr)
        if self._made < nr:
            self.close()
            raise MemoryError("no memory for shrinkers")

    def close(self) -> None:
        """Free them and the domain; nobody walks any more."""
        # SAFETY: these are registered, and nobody else frees them.
        lib.bench_free(self.shrinkers, self._made)
        self._made = 0
        self.domain.close()
