"""The recording that ships with the package."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["bundled_recording"]


def bundled_recording() -> Traversable:
    """Return a trace recorded on a real machine, xz-compressed text.

    5,950 passes over 8 shrinkers on Linux 6.18: the page cache filled by
    reading, kswapd beside direct reclaim.  Where the package is installed as
    files, which pip does, it is a path that TraceReader takes.
    """
    return resources.files("shrinker") / "data" / "recording.txt.xz"
