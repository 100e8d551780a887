"""The recording of a real machine that ships with the package."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["bundled_recording"]


def bundled_recording() -> Traversable:
    """Return a recording made on a real machine, as xz-compressed text.

    It has 5,950 passes over 8 shrinkers on Linux 6.18: reading fills the page
    cache, and kswapd and direct reclaim run side by side.  Where the package is
    installed as files, as pip does, the result is a path that ``TraceReader``
    takes.
    """
    return resources.files(__name__) / "recording.txt.xz"
