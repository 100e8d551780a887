"""By how much a process grows, measured where nobody else has used its memory."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["in_a_child", "resident"]


def resident() -> int:
    """Return the bytes of this process that are in memory, exactly."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/smaps_rollup has no Rss")


def in_a_child(
    function: Callable[[], tuple[float, dict[str, Any]]],
) -> tuple[float, dict[str, Any]]:
    """Call ``function`` in a fork, whose memory nobody else has used."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        # No destructors, and nothing of the parent's buffers.
        try:
            os.write(writing, pickle.dumps(function()))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        result = said.read()
    os.waitpid(pid, 0)
    if not result:
        raise OSError("memory could not be measured: no /proc/self/smaps_rollup?")
    size, described = pickle.loads(result)  # noqa: S301 - our own child's
    return size, described
