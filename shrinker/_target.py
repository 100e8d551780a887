"""Whether a file can be written, asked before the work that makes its content."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_target"]


def check_target(path: Path) -> None:
    """Raise ``ShrinkerError`` where nothing could be written to ``path``.

    Writing can fail all the same: what is there may change, or the disk be full.
    """
    # A file that is there, as /dev/stdout, may be in a directory that takes no other.
    place = path if path.exists() else path.parent
    for wrong, named, reason in (
        (not path.parent.exists(), path.parent, "no such directory"),
        (not path.parent.is_dir(), path.parent, "not a directory"),
        (path.is_dir(), path, "is a directory"),
        (not os.access(place, os.W_OK), place, "may not be written to"),
    ):
        if wrong:
            raise ShrinkerError(f"{named}: {reason}")
