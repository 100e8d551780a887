"""Waiting until there is something to do, or a signal asks to end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

__all__ = ["Stop"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Takes note of Ctrl-C, SIGTERM and SIGHUP while its ``with`` block runs.

    They raise nothing, so that no clean-up is interrupted.  Main thread only.
    """

    def __init__(self) -> None:
        """Take no signal yet."""
        self.signal: int | None = None
        """The first signal that came."""
        self._previous: dict[int, Any] = {}
        self._reader = self._writer = -1

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        for number in _SIGNALS:
            # nohup has it ignored.  Scripts have SIGINT ignored for what they run in
            # the background, and then send it.
            nohup = number == signal.SIGHUP
            if not nohup or signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float, also: Iterable[int] = ()) -> list[int]:
        """Wait until a signal comes, or one of ``also`` (descriptors) can be read.

        Returns those that can be read; at once where a signal has come before.
        """
        ready, _, _ = select.select([self._reader, *also], [], [], max(seconds, 0))
        return [descriptor for descriptor in ready if descriptor != self._reader]

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"!")
