"""``PriorityFile``: what sources share that are a file which the kernel announces.

The kernel says POLLPRI on such a file, which selectors and asyncio do not know.  An
epoll around it is readable then, and that they know.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shrinker.pressure.source import PressureSource

if TYPE_CHECKING:
    import select

__all__ = ["PriorityFile"]


class PriorityFile(PressureSource):
    """A source with one file and an epoll around it; ``open`` sets both."""

    _descriptor = -1
    _epoll: select.epoll | None = None

    def close(self) -> None:
        """Close the file; see ``PressureSource``."""
        epoll, self._epoll = self._epoll, None
        if epoll is not None:
            epoll.close()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._epoll is not None

    def fileno(self) -> int | None:
        """Return the epoll around the file."""
        return None if self._epoll is None else self._epoll.fileno()
