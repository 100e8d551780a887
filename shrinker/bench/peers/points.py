"""What ``shrinker bench --peers`` measures: each way into Python with each result.

All are shrinkers that call the methods of the same cache, in walks that hold the GIL
all along: what is compared is the way into the method and back, not who takes the GIL
when.
"""

from __future__ import annotations

import dataclasses
import enum

__all__ = [
    "AT_MOST",
    "FASTER",
    "ROWS",
    "SCANS",
    "SHRINKERS",
    "Peer",
    "PeerRow",
    "Results",
]

SCANS = 8
"""Scan calls of a pass, after one count: that of the default point of the loop."""
SHRINKERS = 20
"""Shrinkers of a walk."""
AT_MOST = 2.5
"""The goal: shrinker's time by that of the C API."""
FASTER = 1.8
"""The goal: times as fast as each of the others."""


class Peer(enum.StrEnum):
    """A way from C into a method."""

    C_API = "C API"
    """A trampoline in C, by hand (``c_api.c``)."""
    SHRINKER = "shrinker"
    """The package's own (``shrinker._trampolines``)."""
    EXTERN = 'extern "Python"'
    """The same mechanism as is usual: ``from_handle``, and a wrapper a call."""
    CALLBACK = "ffi.callback"
    CTYPES = "ctypes"


class Results(enum.StrEnum):
    """What the methods return."""

    SMALL = "result objects"
    """``CountObjects`` and ``ScanObjects`` below 4,096, of which there is one each."""
    FRESH = "fresh result objects"
    """Above, where each is made for the call."""
    INTS = "ints"

    @property
    def batch(self) -> int:
        """Objects in a scan call, and what it returns."""
        return 8192 if self is Results.FRESH else 128


@dataclasses.dataclass(frozen=True, slots=True)
class PeerRow:
    """A way with a kind of results: what a pyperf benchmark holds."""

    peer: Peer
    results: Results

    @property
    def name(self) -> str:
        """Name of its benchmark."""
        return f"{self.peer}: {self.results}"


ROWS: tuple[PeerRow, ...] = tuple(
    PeerRow(peer, results) for results in Results for peer in Peer
)
"""All rows; those that are compared stand side by side in time as well."""
