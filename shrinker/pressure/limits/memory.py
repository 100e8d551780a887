"""``Memory``: how much memory there is for the process, and how much is used.

A process may live under many limits: that of its own memory cgroup, those of the
groups above, those of the process alone (``process``), and the machine's.  Each is a
``MemoryLevel``.  The one with the least left in proportion is felt first.

A service may read once a second for years, so reading is cheap: files stay open, usage
is read only where there is a limit, and the process is looked up in the hierarchy only
every ``REFRESH_SECONDS``, or when a file says that its group was removed.

There is no lock.  A set of open files never changes once it is made; a refresh replaces
the whole set, and each file is closed when its last reader lets it go.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from shrinker._names import printable
from shrinker.errors import check_int
from shrinker.pressure.limits.cgroups import Cgroup, Cgroups, find_cgroups
from shrinker.pressure.limits.kernel_file import UNLIMITED_BYTES, KernelFile
from shrinker.pressure.limits.level import MemoryLevel
from shrinker.pressure.limits.process import budget_level, check_budget, rlimit_levels
from shrinker.pressure.limits.reclaimable import reclaimable_bytes
from shrinker.pressure.limits.resident import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Complain = Callable[[str], None]

__all__ = ["REFRESH_SECONDS", "BudgetedMemory", "Memory", "MemoryLevel"]

REFRESH_SECONDS = 10.0
"""A process that was moved to another group is found there after this time."""
MAX_PROBLEMS_LOGGED = 100
"""More problems than this are not logged."""

_REAL_ROOT = Path("/")
_KIB = 1024
MIB = 1 << 20
_MAX_MACHINE_KIB = (2**63 - 1) // _KIB
"""More is garbage: watermarks are 64-bit numbers of bytes."""
_log = logging.getLogger("shrinker.pressure")


class Memory:
    """The limits on a process's memory and what is used of them.

    ``root`` stands for ``/`` in all that is read (for tests), ``pid`` is the process.
    May be used from several threads at once, and in the child after a fork.  A problem
    is logged to ``shrinker.pressure`` once, and costs only the level that it affects.
    """

    def __init__(
        self, root: str | os.PathLike[str] = "/", pid: int | Literal["self"] = "self"
    ) -> None:
        if pid != "self":
            check_int("pid", pid, 1, (1 << 31) - 1)
        self._root = Path(root)
        self._pid = pid
        self._said: set[str] = set()
        self._view: _View | None = None

    @property
    def _shared_root(self) -> Path | None:
        """What stands for ``/`` for other processes too; None for a subclass.

        A subclass may read what others do not, so it shares no shortage with them.
        """
        return self._root if type(self) is Memory else None

    @property
    def cgroups(self) -> Cgroups:
        """The cgroups that were found."""
        return self._current().cgroups

    def levels(self) -> tuple[MemoryLevel, ...]:
        """Return the levels of cgroups, nearest first, of the process, of the machine.

        The machine is always there and comes last.  A level whose files are missing or
        malformed is left out.
        """
        view = self._current()
        try:
            groups = list(view.levels(self._complain, raise_if_removed=True))
        except OSError:
            # The process was moved and its old group removed, or will be soon.
            view = self._find_process()
            groups = list(view.levels(self._complain))
        # In a machine made of files the limits of this process mean nothing.
        real = self._pid == "self" and self._root == _REAL_ROOT
        own = rlimit_levels() if real else ()
        return (*groups, *own, view.machine(self._complain))

    def shortest(self) -> MemoryLevel:
        """Return the level with the least free memory in proportion to its limit."""
        return min(self.levels(), key=lambda level: level.free / max(1, level.limit))

    def resident(self) -> int:
        """Return the bytes of this process's own memory; 0 where that is not known.

        What caches of this process free shows here, and what neighbours in the same
        group free does not.
        """
        return resident_bytes()

    def refresh(self) -> None:
        """Look up now where the process is, not within ``REFRESH_SECONDS``."""
        self._find_process()

    def close(self) -> None:
        """Close the files.  Idempotent; a later read opens them again."""
        self._view = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _current(self) -> _View:
        view = self._view
        if view is None or time.monotonic() >= view.until:
            return self._find_process()
        return view

    def _find_process(self) -> _View:
        try:
            cgroups = find_cgroups(self._root, self._pid)
        except (OSError, ValueError) as error:
            self._complain(f"no cgroup limits, the machine's alone count: {error}")
            cgroups = Cgroups()
        for group in cgroups.hidden:
            self._complain(
                f"the limit of {group} cannot be seen, since no mount shows the group:"
                " mount /sys/fs/cgroup, or say what this process may use:"
                " protect(limit=...)"
            )
        view = _View(cgroups, self._root / "proc/meminfo", self._complain)
        self._view = view
        return view

    def _complain(self, text: str) -> None:
        # Garbage may differ from read to read.
        if text not in self._said and len(self._said) < MAX_PROBLEMS_LOGGED:
            self._said.add(text)
            _log.warning("%s", printable(text))


class BudgetedMemory(Memory):
    """A ``Memory``, and what this process itself may have of it.

    ``limit`` is bytes, or a share between 0 and 1 of the lowest limit that is seen.
    What is used of it is the RSS.  Raises ``TypeError`` and ``ValueError``.
    """

    def __init__(self, memory: Memory, limit: float) -> None:
        check_budget(limit)
        super().__init__()
        self._memory = memory
        self._limit = limit
        self._checked = False

    @property
    def _shared_root(self) -> Path | None:
        return self._memory._shared_root

    @property
    def cgroups(self) -> Cgroups:
        """The cgroups that were found."""
        return self._memory.cgroups

    def levels(self) -> tuple[MemoryLevel, ...]:
        """Return the budget, then what the memory has.

        A budget that is used up at the first look is said: caches have hardly begun.
        """
        levels = self._memory.levels()
        own = budget_level(self._limit, self.resident(), levels)
        if not self._checked:
            self._checked = True
            if own.used >= own.limit:
                self._complain(
                    f"limit={self._limit} is {own.limit / MIB:.1f} MiB, less than this"
                    f" process uses already (RSS {own.used / MIB:.1f} MiB): caches"
                    " will be kept as good as empty; give a larger limit"
                )
        return (own, *levels)

    def resident(self) -> int:
        """Return the RSS."""
        return self._memory.resident()

    def refresh(self) -> None:
        """Look up now where the process is."""
        self._memory.refresh()

    def close(self) -> None:
        """Close the memory's files."""
        self._memory.close()


class _View:
    """Where the process is, and the files open there.  Never changed once made."""

    __slots__ = ("_groups", "_machine", "cgroups", "until")

    def __init__(self, cgroups: Cgroups, meminfo: Path, complain: Complain) -> None:
        self.until = time.monotonic() + REFRESH_SECONDS
        self.cgroups = cgroups
        self._groups = tuple(_open_groups(cgroups, complain))
        self._machine = _open_if_there(meminfo, complain)

    def levels(
        self, complain: Complain, *, raise_if_removed: bool = False
    ) -> Iterator[MemoryLevel]:
        """Read the limits of groups."""
        for group in self._groups:
            try:
                yield from group.levels()
            except (OSError, ValueError) as error:
                # What the kernel says of a file whose group was removed.
                removed = getattr(error, "errno", 0) in (errno.ENODEV, errno.ENOENT)
                if removed and raise_if_removed:
                    raise
                complain(f"the limit of {group.cgroup} is ignored: {error}")

    def machine(self, complain: Complain) -> MemoryLevel:
        """Read how much memory the machine has."""
        if self._machine is not None:
            try:
                return _machine_level(self._machine)
            except (OSError, ValueError) as error:
                complain(f"the machine's memory is read from sysconf: {error}")
        page = os.sysconf("SC_PAGE_SIZE")
        total = os.sysconf("SC_PHYS_PAGES") * page
        used = total - os.sysconf("SC_AVPHYS_PAGES") * page
        return MemoryLevel("machine", total, used, used)


def _machine_level(meminfo: KernelFile) -> MemoryLevel:
    total, available, free, inactive = meminfo.counters(
        b"MemTotal:", b"MemAvailable:", b"MemFree:", b"Inactive(file):"
    )
    if total is None or (free is None and available is None):
        raise ValueError(f"{meminfo.path}: no MemTotal or MemFree")
    if total > _MAX_MACHINE_KIB:
        raise ValueError(f"{meminfo.path}: MemTotal of {total} kB is too large")
    if free is None:
        free = available or 0
    if available is None:  # Before Linux 3.14: count only what is surely free.
        available = free + (inactive or 0)
    return MemoryLevel(
        "machine", total * _KIB, max(0, total - available) * _KIB, (total - free) * _KIB
    )


def _open_if_there(path: Path, complain: Complain | None = None) -> KernelFile | None:
    try:
        return KernelFile(path)
    except FileNotFoundError as error:
        if complain is not None:
            complain(str(error))
        return None


class _Group:
    """The open files of a group."""

    def __init__(self, cgroup: Cgroup) -> None:
        self.cgroup = cgroup
        self.is_topmost_v1 = False
        directory = cgroup.directory
        if cgroup.version == 1:
            self._limits = {"": KernelFile(directory / "memory.limit_in_bytes")}
            usage = "memory.usage_in_bytes"
        else:
            # The root has none, nor has a group where the controller is not enabled:
            # its memory is charged to the group above.
            names = ("memory.max", "memory.high")
            files = {name: _open_if_there(directory / name) for name in names}
            self._limits = {f" ({name})": file for name, file in files.items() if file}
            usage = "memory.current"
        if self._limits:
            self._usage = KernelFile(directory / usage)
            self._stat = _open_if_there(directory / "memory.stat")

    def levels(self) -> Iterator[MemoryLevel]:
        """Read its lowest limit, if it has any."""
        lowest: tuple[int, str] | None = None
        for label, file in self._limits.items():
            limit = file.limit()
            if limit is not None and (lowest is None or limit < lowest[0]):
                lowest = limit, label
        if lowest is not None:
            yield self._level(lowest[0], f"{self.cgroup}{lowest[1]}", self.cgroup)
        # Above a bind mount of version 1 there may be a lower limit that is hidden.
        # What is used up there is unknown; it is at least what is used here.
        if self.is_topmost_v1 and self._stat:
            (above,) = self._stat.counters(b"hierarchical_memory_limit ")
            own = UNLIMITED_BYTES if lowest is None else lowest[0]
            if above is not None and above < own:
                yield self._level(above, f"{self.cgroup} (limited from above)", None)

    def _level(self, limit: int, where: str, cgroup: Cgroup | None) -> MemoryLevel:
        charged = self._usage.value()
        used = charged
        if self._stat is not None:
            # The two files are not read at once: more may be free than is charged.
            version = self.cgroup.version
            used = max(0, charged - reclaimable_bytes(self._stat, version, limit))
        return MemoryLevel(where, limit, used, charged, cgroup)


def _open_groups(cgroups: Cgroups, complain: Complain) -> Iterator[_Group]:
    """Open the groups that the process's memory is charged to."""
    topmost: _Group | None = None
    for cgroup in cgroups.memory:
        try:
            if (
                cgroup.version == 1
                and cgroup is not cgroups.v1[0]
                and not _accounts_children(cgroup)
            ):
                continue
            group = _Group(cgroup)
        except (OSError, ValueError) as error:
            complain(f"the limit of {cgroup} is ignored: {error}")
            continue
        if cgroup.version == 1:
            topmost = group
        yield group
    if topmost is not None:
        topmost.is_topmost_v1 = True


def _accounts_children(cgroup: Cgroup) -> bool:
    """Return whether what children use is charged to this version 1 group too.

    In old kernels each group accounts for itself alone unless told otherwise.
    """
    hierarchy = _open_if_there(cgroup.directory / "memory.use_hierarchy")
    return hierarchy is None or hierarchy.value() != 0
