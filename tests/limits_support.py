"""A machine in files: its memory, and the cgroups of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shrinker.pressure.limits.memory import Memory, MemoryLevel

if TYPE_CHECKING:
    from pathlib import Path

NO_LIMIT_V1 = 9223372036854771712


CGROUP2 = "30 1 0:26 {root} {point} rw - cgroup2 cgroup2 rw"


MEMORY1 = "35 31 0:32 {root} {point} rw,relatime - cgroup cgroup rw,memory"


MEMINFO = """MemTotal:        8388608 kB
MemFree:         1048576 kB
MemAvailable:    6291456 kB
Buffers:           10240 kB
Inactive(file):  2097152 kB
"""


class World:
    """A machine in files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("proc/meminfo", MEMINFO)

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def process(self, cgroup: str, *mountinfo: str) -> None:
        self.write("proc/self/cgroup", cgroup)
        self.write("proc/self/mountinfo", "\n".join(mountinfo) + "\n")

    def v2(
        self,
        directory: str,
        *,
        most: int | str = "max",
        high: int | str = "max",
        current: int = 0,
        inactive: int = 0,
        **stat: int,
    ) -> None:
        """Write a group; ``stat`` has more counters of ``memory.stat``."""
        self.write(f"{directory}/cgroup.procs", "")
        self.write(f"{directory}/memory.max", f"{most}\n")
        self.write(f"{directory}/memory.high", f"{high}\n")
        self.write(f"{directory}/memory.current", f"{current}\n")
        text = f"anon 1\nfile 2\ninactive_anon 3\ninactive_file {inactive}\n"
        self.write(f"{directory}/memory.stat", text + _lines(stat))

    def v1(
        self,
        directory: str,
        *,
        limit: int = NO_LIMIT_V1,
        usage: int = 0,
        inactive: int = 0,
        lowest: int = NO_LIMIT_V1,
        hierarchy: int = 1,
        **stat: int,
    ) -> None:
        """Write a group; ``stat`` has more counters of ``memory.stat``."""
        self.write(f"{directory}/cgroup.procs", "")
        self.write(f"{directory}/memory.use_hierarchy", f"{hierarchy}\n")
        self.write(f"{directory}/memory.limit_in_bytes", f"{limit}\n")
        self.write(f"{directory}/memory.usage_in_bytes", f"{usage}\n")
        text = (
            f"inactive_file 1\nhierarchical_memory_limit {lowest}\n"
            f"total_inactive_anon 7\ntotal_inactive_file {inactive}\n"
        )
        self.write(f"{directory}/memory.stat", text + _lines(stat))

    def levels(self) -> list[MemoryLevel]:
        """All levels but the machine's."""
        with Memory(self.root) as memory:
            *groups, machine = memory.levels()
        assert machine.where == "machine"
        return groups


def _lines(counters: dict[str, int]) -> str:
    return "".join(f"{name} {count}\n" for name, count in counters.items())
