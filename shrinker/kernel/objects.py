"""What shrinkers hold now, from debugfs; and which cgroup a number is."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

__all__ = ["CgroupPaths", "Counts", "count_objects", "find_debugfs"]

DEBUGFS = Path("/sys/kernel/debug/shrinker")
MOUNTS = Path("/proc/self/mounts")
ROOT_ID = 1
"""The number of the root cgroup."""
_MAX_CGROUPS = 100_000
_READ_AGAIN_SECONDS = 5.0


class Counts(NamedTuple):
    """Objects, as the count callbacks report them now."""

    by_shrinker: dict[str, int]
    """By the directory's name, as ``sb-ext4:vda-21``; the largest first, none of 0."""
    by_memcg: dict[int, int]
    """By the cgroup's number; 1 is the root, and shrinkers that know no cgroups."""


def find_debugfs() -> Path | None:
    """Return the directory of the shrinkers; None where it is not there for us."""
    try:
        next(DEBUGFS.iterdir())
    except (OSError, StopIteration):
        return None  # Not mounted, not permitted, or not built into the kernel.
    return DEBUGFS


def count_objects(directory: Path) -> Counts:
    """Have the kernel count: each shrinker once for each cgroup and node."""
    by_shrinker: dict[str, int] = {}
    by_memcg: dict[int, int] = {}
    for name in os.listdir(directory):  # noqa: PTH208 - many
        try:
            text = (directory / name / "count").read_text()
        except OSError:
            continue  # Freed meanwhile.
        total = 0
        for line in text.splitlines():
            memcg_id, *nodes = map(int, line.split())
            objects = sum(nodes)
            total += objects
            by_memcg[memcg_id] = by_memcg.get(memcg_id, 0) + objects
        if total:
            by_shrinker[name] = total
    largest = sorted(by_shrinker.items(), key=lambda item: -item[1])
    return Counts(dict(largest), by_memcg)


class CgroupPaths:
    """The paths of cgroups by their numbers, which are inodes of their directories."""

    def __init__(self, mounts: Path = MOUNTS) -> None:
        """Read nothing yet."""
        self._mounts = mounts
        self._paths: dict[int, str] = {ROOT_ID: "/"}
        self._read_again = 0.0

    def path(self, number: int) -> str | None:
        """Return the path, such as ``/system.slice``; None where there is none now.

        A number that is new makes it read the whole tree, but not again at once.  The
        path of a group that has gone since is remembered.
        """
        if number not in self._paths and time.monotonic() >= self._read_again:
            self._read()
            self._read_again = time.monotonic() + _READ_AGAIN_SECONDS
        return self._paths.get(number)

    def _read(self) -> None:
        top = self._mounted()
        if top is None:
            return
        for directories, (folder, _, _) in enumerate(os.walk(top)):
            if directories >= _MAX_CGROUPS:
                break
            try:
                number = Path(folder).stat().st_ino
            except OSError:
                continue
            self._paths[number] = folder.removeprefix(top) or "/"

    def _mounted(self) -> str | None:
        """Return where the hierarchy that has the memory controller is mounted."""
        unified = None
        try:
            lines = self._mounts.read_text().splitlines()
        except OSError:
            return None
        for line in lines:
            _, place, kind, options, *_ = line.split(" ")
            if kind == "cgroup" and "memory" in options.split(","):
                return place
            if kind == "cgroup2":
                unified = place
        return unified
