"""``Turn``: one thread at a time, without a lock that a fork or a signal could keep."""

from __future__ import annotations

import threading
import time

__all__ = ["Turn"]

TIMEOUT_SECONDS = 1.0
"""A turn that is held longer is taken away."""
POLL_SECONDS = 0.001


class Turn:
    """A turn that threads take for a block, in no order.

    It is no lock.  A thread waits for at most ``TIMEOUT_SECONDS`` and then goes on,
    since the thread that has the turn may be in a scan that waits for what this one
    holds.  A signal handler goes on at once where the code below it has the turn.
    """

    __slots__ = ("owner",)

    def __init__(self) -> None:
        self.owner: int | None = None
        """The number of the thread that has it."""

    def __enter__(self) -> None:
        own = threading.get_ident()
        end = time.monotonic() + TIMEOUT_SECONDS
        while self.owner not in (None, own) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        self.owner = own

    def __exit__(self, *_: object) -> None:
        self.owner = None
