"""The debugfs view against sessions on a real kernel.

``tests/data/debugfs`` has what a 6.12 kernel with two nodes and four memory cgroups
showed in its shrinker debugfs, and what it answered to writes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Self

import pytest
from tests_support import register

from shrinker import (
    CountObjects,
    Domain,
    Memcg,
    ShrinkControl,
    ShrinkerError,
    ShrinkerFlags,
    ShrinkerRegistration,
)

DATA = Path(__file__).parents[1] / "data" / "debugfs"
# The recorded shrinkers that are not memcg-aware: they refused each write with a
# group's id.
UNAWARE = re.compile(r"ext4-es|jbd2|mbcache|rcu-kfree|thp-zero|vmap-node")
WRITE = re.compile(r"--- (.*): echo (.*) > scan\n(?s:.*?)^rc (\d)", re.MULTILINE)


def read_counts(name: str) -> dict[str, str]:
    """Return the recorded text of each count file by directory."""
    texts: dict[str, str] = {}
    directory = ""
    for line in (DATA / name).read_text(encoding="ascii").splitlines(keepends=True):
        if line.startswith("==> "):
            directory = line[4:].strip().removesuffix("/count")
            texts[directory] = ""
        else:
            texts[directory] += line
    return texts


class Recorded:
    """Counts what was recorded for a node and group, and notes scans."""

    def __init__(self, counts: dict[tuple[str, int], int]) -> None:
        self.counts = counts
        self.scans: list[int] = []

    def count_objects(self, sc: ShrinkControl) -> CountObjects:
        name = sc.memcg.name if sc.memcg is not None else "root"
        count = self.counts.get((name, sc.nid), 0)
        return CountObjects.new(count) if count else CountObjects.EMPTY

    def scan_objects(self, sc: ShrinkControl) -> int:
        self.scans.append(sc.nr_to_scan)
        return 0


class Machine:
    """The recorded machine: groups are named by the inode ids of the real ones."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.domain = Domain(nr_nodes=2)
        assert self.domain.root is not None
        self.groups: dict[str, Memcg] = {"1": self.domain.root}
        numbers = {line.split()[0] for line in "".join(texts.values()).splitlines()}
        for number in sorted(numbers - {"1"}, key=int):
            self.groups[number] = self.domain.create_memcg(number)
        self.shrinkers: dict[str, ShrinkerRegistration[Recorded]] = {}
        for directory, text in texts.items():
            counts = {}
            for line in text.splitlines():
                number, *nodes = line.split()
                for nid, count in enumerate(nodes):
                    counts["root" if number == "1" else number, nid] = int(count)
            flags = ShrinkerFlags.NUMA_AWARE
            if not UNAWARE.match(directory):
                flags |= ShrinkerFlags.MEMCG_AWARE
            name = directory.rpartition("-")[0]
            self.shrinkers[directory] = register(
                self.domain, Recorded(counts), name=name, flags=flags
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.domain.close()

    def shown(self) -> dict[str, str]:
        """Return our debugfs with the recorded directories and ids."""
        inode = {str(memcg.id): number for number, memcg in self.groups.items()}
        ours = self.domain.debugfs()
        texts = {}
        for directory, registration in self.shrinkers.items():
            text = ours[f"{registration.name}-{registration.debugfs_id}"]
            lines = (line.split(" ") for line in text.splitlines())
            texts[directory] = "".join(
                " ".join([inode[number], *nodes]) + "\n" for number, *nodes in lines
            )
        return texts

    def write(self, directory: str, text: str) -> int:
        """Do what writing to a scan file does; return 0 or 1, as the shell did."""
        registration = self.shrinkers[directory]
        try:
            number, nid, nr_to_scan = (int(word) for word in text.split())
            aware = bool(registration.flags & ShrinkerFlags.MEMCG_AWARE)
            memcg: Any = None
            if aware or number:
                # KeyError for an unknown id; 0 is one for a memcg-aware shrinker.
                memcg = self.groups[str(number)]
            registration.scan(nr_to_scan, nid, memcg)
        except (ValueError, ShrinkerError, KeyError):
            return 1
        return 0


@pytest.mark.parametrize(
    "name", ["all-count-1-filled.txt", "all-count-3-after-rmdir-b.txt"]
)
def test_count_files(name: str) -> None:
    """For the recorded objects our texts are the recorded ones, byte by byte."""
    texts = read_counts(name)
    assert len(texts) == 29
    with Machine(texts) as machine:
        assert machine.shown() == texts


def test_scan_session() -> None:
    """Each recorded write is accepted or refused as in the kernel. It calls scan
    once with its number, and not at all for 0."""
    session = (DATA / "scan-session.txt").read_text(encoding="ascii")
    writes = WRITE.findall(session)
    assert len(writes) == session.count("> scan") == 42
    with Machine(read_counts("all-count-1-filled.txt")) as machine:
        for directory, text, status in writes:
            scans = machine.shrinkers[directory].private_data.scans
            scans.clear()
            assert machine.write(directory, text) == int(status), (directory, text)
            asked = int(text.split()[-1]) if status == "0" else 0
            assert scans == ([asked] if asked else []), (directory, text)


def test_names_are_directories() -> None:
    """Each recorded directory is a name that we accept, and a number."""
    for directory in (DATA / "ls.txt").read_text(encoding="ascii").split():
        name, _, number = directory.rpartition("-")
        with Domain() as domain, register(domain, Recorded({}), name=name) as one:
            assert number.isdigit()
            assert list(domain.debugfs()) == [f"{name}-{one.debugfs_id}"]
