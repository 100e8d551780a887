"""Recordings that tests read, as they are or with lines added or replaced."""

from __future__ import annotations

import lzma
from pathlib import Path

TRACES = Path(__file__).parent / "data" / "traces"
DROP_CACHES = TRACES / "drop_caches.txt.xz"
PRINT_ORDER = TRACES / "print_order.txt"
"""Three passes, of which one is inexact."""
NUMA_KSWAPD = TRACES / "hard" / "numa_kswapd_6.1.txt.xz"
"""Three of its passes are inexact."""

CUT_LINE = "mm_shrink_slab_end: cut"
ORPHAN_START = (
    "f 1: nid: 0 objects to shrink 0 gfp_flags none cache items 2 delta 1"
    " total_scan 1 priority 0"
)
ORPHAN_END = (
    "f 1: nid: 0 unused scan count 0 new scan count 0 total_scan 0"
    " last shrinker return val 0"
)


def lines() -> list[str]:
    """Return the lines of DROP_CACHES, 71 passes of which all are exact."""
    with lzma.open(DROP_CACHES, "rt") as file:
        return file.readlines()


def write_recording(path: Path, *extra: str) -> Path:
    """Write DROP_CACHES to ``path``, with ``extra`` lines at its end."""
    path.write_text("".join(lines()) + "".join(f"{line}\n" for line in extra))
    return path


def replace_line(path: Path, replacement: str) -> Path:
    """Write DROP_CACHES to ``path``, with another line 21."""
    changed = lines()
    changed[20] = f"{replacement}\n"
    path.write_text("".join(changed))
    return path
