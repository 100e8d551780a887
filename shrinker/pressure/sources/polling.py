"""``Polling``: reads free memory from time to time, where nothing else works."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from shrinker.pressure.limits.memory import Memory
from shrinker.pressure.sources.base import PressureEvent, PressureSource, check_number

if TYPE_CHECKING:
    from shrinker.pressure.limits.memory import MemoryLevel

__all__ = ["Polling"]


class Polling(PressureSource):
    """Tells, once in a period, while less than ``free_below`` of some limit is free.

    ``free_below`` is a share of the limit if it is a float (0.1 is a tenth), bytes if
    it is an int; ``period`` is in seconds.  The caller closes a ``memory`` that it
    gives.  Raises ``ValueError`` for a share not between 0 and 1, bytes below 1, or a
    period that is not above 0.
    """

    name = "polling"

    def __init__(
        self,
        memory: Memory | None = None,
        *,
        free_below: float = 0.1,
        period: float = 1.0,
    ) -> None:
        check_number("free_below", free_below)
        if isinstance(free_below, float) and not 0 < free_below < 1:
            raise ValueError(f"a share must be between 0 and 1, not {free_below}")
        if isinstance(free_below, int) and free_below < 1:
            raise ValueError(f"free_below must be at least 1 byte, not {free_below}")
        if memory is not None and not isinstance(memory, Memory):
            hint = ""
            if isinstance(memory, int | float):
                hint = f"; a share is given as free_below={memory}"
            raise TypeError(
                f"memory must be a Memory, not {type(memory).__name__}{hint}"
            )
        check_number("period", period)
        if not 0 < period < math.inf:
            raise ValueError(f"period must be above 0 seconds, not {period}")
        self._given = memory
        self._memory: Memory | None = None
        self._free_below = free_below
        self._period = period
        self._next = 0.0

    def open(self) -> None:
        """Be due at once; see ``PressureSource``."""
        if self._memory is None:
            self._memory = Memory() if self._given is None else self._given
            self._next = time.monotonic()

    def close(self) -> None:
        """Stop reading memory; see ``PressureSource``."""
        memory, self._memory = self._memory, None
        if memory is not None and self._given is None:
            memory.close()

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._memory is not None

    def fileno(self) -> int | None:
        """Return None: only time tells."""
        return None

    def due(self) -> float | None:
        """Return the seconds that are left of the period."""
        if self._memory is None:
            return None
        return max(0.0, self._next - time.monotonic())

    def read(self) -> PressureEvent | None:
        """Return the first level that is short; see ``PressureSource``."""
        if self._memory is None:
            raise self._not_open()
        self._next = time.monotonic() + self._period
        for level in self._memory.levels():
            if level.free < self._threshold(level):
                text = f"{level.where}: {level.free} of {level.limit} bytes free"
                return PressureEvent(self.name, text)
        return None

    def _threshold(self, level: MemoryLevel) -> float:
        if isinstance(self._free_below, float):
            return self._free_below * level.limit
        return self._free_below
