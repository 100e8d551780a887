"""Recordings that tests of the report write, pass by pass."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FAKE = "fake_scan+0x0/0x10"


@dataclasses.dataclass
class Writer:
    """A recording as ftrace prints it; each pass goes on from the last one's time."""

    lines: list[str] = dataclasses.field(default_factory=list)
    now_us: int = 1_000_000

    def add(
        self,
        name: str = FAKE,
        pointer: int = 0x1000,
        *,
        count: int = 1000,
        before: int = 0,
        delta: int | None = None,
        asked: int | None = None,
        scanned: int = 0,
        freed: int = 0,
        deferred: int | None = None,
        took_us: int = 5,
        gap_us: int = 10,
        comm: str = "kswapd0",
        pid: int = 45,
        node: int = 0,
        memcg: int | None = None,
        gfp: str = "GFP_KERNEL",
        priority: int = 12,
    ) -> None:
        """Write a pass, by default as the formula of 5.13 and later with seeks 2."""
        if delta is None:
            delta = (count >> priority) * 2
        if asked is None:
            asked = min((before >> priority) + delta, 2 * count)
        if deferred is None:
            deferred = min(max(before + delta - scanned, 0), 2 * count)
        group = "" if memcg is None else f"pid: {pid} memcg_id: {memcg} "
        head = f"nid: {node} {group}"
        self._line(
            comm,
            pid,
            f"mm_shrink_slab_start: {name} {pointer:016x}: {head}objects to shrink"
            f" {before} gfp_flags {gfp} cache items {count} delta {delta}"
            f" total_scan {asked} priority {priority}",
        )
        self.now_us += took_us
        self._line(
            comm,
            pid,
            f"mm_shrink_slab_end: {name} {pointer:016x}: {head}unused scan count"
            f" {before} new scan count {deferred} total_scan {asked - scanned}"
            f" last shrinker return val {freed}",
        )
        self.now_us += gap_us

    def _line(self, comm: str, pid: int, payload: str) -> None:
        seconds, micros = divmod(self.now_us, 1_000_000)
        self.lines.append(
            f"{comm:>16}-{pid:<7} [000] ..... {seconds:5}.{micros:06}: {payload}"
        )

    def write(self, directory: Path, name: str = "recording.txt") -> Path:
        """Write the file."""
        path = directory / name
        path.write_text("".join(f"{line}\n" for line in self.lines))
        return path
