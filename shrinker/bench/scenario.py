"""What a worker can measure: rows, and how each is set up and described."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AnyRow", "Run", "Scenario", "ScenarioName"]


class ScenarioName(enum.StrEnum):
    """What ``--scenario`` takes."""

    LOOP = "loop"
    """The reclaim loop (``shrinker.bench.points``)."""
    MEMCG = "memcg"
    """Memory cgroups at scale (``shrinker.bench.memcg_points``)."""
    PEERS = "peers"
    """Ways into Python, side by side (``shrinker.bench.peers``)."""
    NATIVE = "native"
    """Native passes and walks by two loops (``shrinker.bench.native``)."""
    NEIGHBOURS = "neighbours"
    """Walks beside busy threads (``shrinker.bench.neighbours``)."""
    THREADS = "threads"
    """Walks in two threads, registering beside walks (``shrinker.bench.threads``)."""


class AnyRow(Protocol):
    """A row of a scenario."""

    @property
    def name(self) -> str:
        """Name of its benchmark."""


class Run(Protocol):
    """What runs a row."""

    def __call__(self, loops: int, /) -> float:
        """Run it that many times; return the seconds that it took."""


class Scenario(Protocol):
    """Rows, one of which is open at a time."""

    @property
    def rows(self) -> Sequence[Any]:
        """All rows, in the order of a round."""

    @property
    def one_cpu(self) -> bool:
        """Whether a round stays on one processor."""

    def open(self, row: Any) -> Run:
        """Set a row up, instead of the one before it."""

    def close(self) -> None:
        """Remove what is set up."""

    def sized(self, row: Any) -> tuple[float, dict[str, Any]] | None:
        """Return a value that is not timed, with metadata; None: time it."""

    def describe(self, row: Any) -> dict[str, Any]:
        """Return metadata of a row that is open.

        ``inner_loops`` divides the seconds of a loop.
        """
