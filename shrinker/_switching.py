"""The interpreter's switch interval: how long a thread keeps the GIL from others.

A reclaim gives the GIL up several times, to wait for locks and to walk.  Each time,
threads that fill caches keep it for the switch interval, 5 ms, and add up to ten MiB
meanwhile.  A shorter interval costs them a few percent, so it is set only while the
reclaimer works, in its first second, and while memory fills so fast that it will soon
be short.  Between evicting and giving memory back the interval is longer instead, so
that no thread takes that memory again.

The interval counts for the thread that waits, from the time when it begins to wait.  So
a thread that lost the GIL a moment ago takes it back after the interval that was set
then; an interval that is set later does not count for it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "FAST_SWITCH_SECONDS",
    "KEEP_GIL_SECONDS",
    "NUDGE_SWITCH_SECONDS",
    "SwitchInterval",
    "switching",
]

FAST_SWITCH_SECONDS = 0.001
"""While a reclaimer works.  A look takes half of that, so it mostly keeps the GIL once
it has it.  With 0.2 ms it lost it several times, for up to 40 ms in all."""
KEEP_GIL_SECONDS = 0.003
"""Until memory was given back.  A thread that has begun to wait before still takes the
GIL once, and keeps it for so long."""
NUDGE_SWITCH_SECONDS = 0.000005
"""While a reclaimer waits for a lock, and has threads that use it switch at once."""
LOCK_SECONDS = 1.0
"""Far longer than the lock is held."""

_lock = threading.Lock()
_wanted: dict[SwitchInterval, float] = {}
"""Of those between ``begin`` and ``end``, the latest last."""
_program = 0.0
"""What the program had set last."""
_ours = 0.0
"""What was set last here, as the interpreter rounds it."""


class SwitchInterval:
    """Sets the interval for a while.

    There is one interval for all threads, and reclaims overlap.  The latest of them
    that has not ended decides.  When the last one ends, the program gets back what it
    had set, unless it has set something else meanwhile.
    """

    def begin(self, seconds: float) -> None:
        """Set the interval.  Idempotent."""
        global _program  # noqa: PLW0603
        # It is only for speed: where another thread is at it (or was, at a fork), the
        # interval stays as it is.
        if self in _wanted or not _lock.acquire(blocking=False):
            return
        try:
            # Another value than ours is the program's, also while others are at it.
            if not _wanted or sys.getswitchinterval() != _ours:
                _program = sys.getswitchinterval()
            _wanted[self] = seconds
            _set(seconds)
        finally:
            _lock.release()

    def end(self) -> None:
        """Restore the interval.  Idempotent."""
        if self not in _wanted:
            return
        # In a child, a thread that the child does not have may hold it for ever.
        locked = _lock.acquire(timeout=LOCK_SECONDS)
        try:
            was_latest = next(reversed(_wanted), None) is self
            if _wanted.pop(self, None) is None or not was_latest:
                return
            # Another value than ours is the program's, which knows better.
            if sys.getswitchinterval() == _ours:
                _set(next(reversed(_wanted.values()), _program))
        finally:
            if locked:
                _lock.release()


@contextlib.contextmanager
def switching(seconds: float) -> Iterator[None]:
    """Have another interval in a block, such as around a call that gives the GIL up."""
    interval = SwitchInterval()
    interval.begin(seconds)
    try:
        yield
    finally:
        interval.end()


def _set(seconds: float) -> None:
    global _ours  # noqa: PLW0603
    # It cuts whole microseconds off a product that may be a little too small.
    sys.setswitchinterval((round(seconds * 1e6) + 0.5) / 1e6)
    _ours = sys.getswitchinterval()


def _after_fork() -> None:
    """Restore the interval in the child: the threads that would do so do not exist."""
    if _wanted and sys.getswitchinterval() == _ours:
        _set(_program)
    _wanted.clear()


os.register_at_fork(after_in_child=_after_fork)
