"""``Memory``: how much memory there is for the process, and how much is used.

Many limits may stand above a process: that of its own memory cgroup, those of the
groups above of it, and the machine's.  Each is a ``MemoryLevel``; whichever has the
least left in proportion is the one that will be felt first.

Reading must be cheap, since a service may do it each second for years.  So files are
kept open, usage is asked for only where there is a limit, and where the process is in
the hierarchy is looked up anew only every ``LOOK_AGAIN_SECONDS``, or when a file says
that its group is gone.

There is no lock: a set of open files is never changed once it is made.  Who looks
again replaces the whole set, and a file is closed when its last reader lets it go.
"""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from shrinker.errors import check_int
from shrinker.pressure.cgroups import Cgroup, Cgroups, find_cgroups
from shrinker.pressure.kernel_file import UNLIMITED, KernelFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    Complain = Callable[[str], None]

__all__ = ["LOOK_AGAIN_SECONDS", "Memory", "MemoryLevel"]

LOOK_AGAIN_SECONDS = 10.0
"""How long a process may be in another group before that is noticed."""

MOST_SAID = 100
"""Problems that are logged at most."""

_KIB = 1024
_MOST_KIB = (2**63 - 1) // _KIB
"""What a machine may have: as many bytes as watermarks go up to."""
_log = logging.getLogger("shrinker.pressure")


@dataclasses.dataclass(frozen=True, slots=True)
class MemoryLevel:
    """One limit that the process lives under, and what is used of it."""

    where: str
    """For people: ``cgroup v2 /app (memory.high)``, ``cgroup v1 /x``, ``machine``."""
    limit: int
    """Bytes: the lower of ``memory.max`` and ``memory.high``,
    ``memory.limit_in_bytes``, or ``MemTotal``."""
    used: int
    """Bytes; file cache that nobody has used lately is not counted."""
    charged: int
    """Bytes as the kernel charges them, file cache included; what the thresholds of
    cgroup v1 are compared with."""
    cgroup: Cgroup | None = None
    """Whose limit it is; None: the machine's, or a group that cannot be seen."""

    @property
    def free(self) -> int:
        """Bytes below the limit; 0 where more is used."""
        return max(0, self.limit - self.used)


class Memory:
    """The limits on a process's memory and what is used of them.

    ``root`` stands for ``/`` in all that is read (for tests), ``pid`` is the process.
    May be used from several threads at once, and in the child after a fork.  Problems
    are logged to ``shrinker.pressure``, each once, and cost no more than the level
    that they are about.
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
    def cgroups(self) -> Cgroups:
        """The cgroups that were found."""
        return self._current().cgroups

    def levels(self) -> tuple[MemoryLevel, ...]:
        """Return the levels: the own cgroup, those above with a limit, the machine.

        The machine is always there and last.  A level whose files are missing or make
        no sense is left out.
        """
        view = self._current()
        try:
            groups = list(view.levels(self._complain, missing=_raise))
        except OSError:
            # The process was moved and its old group removed, or it will be soon.
            view = self._look()
            groups = list(view.levels(self._complain, missing=self._complain_of))
        return (*groups, view.machine(self._complain))

    def shortest(self) -> MemoryLevel:
        """Return the level with the least free memory in proportion to its limit."""
        return min(self.levels(), key=lambda level: level.free / max(1, level.limit))

    def refresh(self) -> None:
        """Look up where the process is now, not within ``LOOK_AGAIN_SECONDS``."""
        self._look()

    def close(self) -> None:
        """Close the files.  Idempotent; a later read opens them again."""
        self._view = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _current(self) -> _View:
        view = self._view
        if view is None or time.monotonic() >= view.until:
            return self._look()
        return view

    def _look(self) -> _View:
        try:
            cgroups = find_cgroups(self._root, self._pid)
        except (OSError, ValueError) as error:
            self._complain(f"no cgroups were found: {error}")
            cgroups = Cgroups()
        view = _View(cgroups, self._root / "proc/meminfo", self._complain)
        self._view = view
        return view

    def _complain(self, text: str) -> None:
        # Garbage may be another each time.
        if text not in self._said and len(self._said) < MOST_SAID:
            self._said.add(text)
            _log.warning("%s", text)

    def _complain_of(self, error: OSError) -> None:
        self._complain(f"a limit is left out: {error}")


def _raise(error: OSError) -> None:
    raise error


class _View:
    """Where the process is, and files open there.  Never changed once it is made."""

    __slots__ = ("_groups", "_machine", "cgroups", "until")

    def __init__(self, cgroups: Cgroups, meminfo: Path, complain: Complain) -> None:
        self.until = time.monotonic() + LOOK_AGAIN_SECONDS
        self.cgroups = cgroups
        self._groups = tuple(_opened_groups(cgroups, complain))
        self._machine = _opened(meminfo, complain)

    def levels(
        self, complain: Complain, *, missing: Callable[[OSError], None]
    ) -> Iterator[MemoryLevel]:
        """Read the limits of groups; ``missing`` is told of one that is gone."""
        for group in self._groups:
            try:
                yield from group.levels()
            except ValueError as error:
                complain(f"a limit is left out: {error}")
            except OSError as error:
                # The kernel's words for a file whose group has been removed.
                if error.errno in (errno.ENODEV, errno.ENOENT):
                    missing(error)
                else:
                    complain(f"a limit is left out: {group.cgroup}: {error}")

    def machine(self, complain: Complain) -> MemoryLevel:
        """Read how much memory the machine has."""
        if self._machine is not None:
            try:
                return _machine_level(self._machine)
            except (OSError, ValueError) as error:
                complain(f"the machine's memory as sysconf says: {error}")
        page = os.sysconf("SC_PAGE_SIZE")
        total = os.sysconf("SC_PHYS_PAGES") * page
        used = total - os.sysconf("SC_AVPHYS_PAGES") * page
        return MemoryLevel("machine", total, used, used)


def _machine_level(meminfo: KernelFile) -> MemoryLevel:
    total, available, free, inactive = meminfo.counters(
        b"MemTotal:", b"MemAvailable:", b"MemFree:", b"Inactive(file):"
    )
    if total is None or (free is None and available is None):
        raise ValueError(f"{meminfo.path} makes no sense: no MemTotal or MemFree")
    if total > _MOST_KIB:
        raise ValueError(f"{meminfo.path} makes no sense: a MemTotal of {total} kB")
    if free is None:
        free = available or 0
    if available is None:  # Before Linux 3.14.  What is surely free, and no more.
        available = free + (inactive or 0)
    return MemoryLevel(
        "machine", total * _KIB, max(0, total - available) * _KIB, (total - free) * _KIB
    )


def _opened(path: Path, complain: Complain | None = None) -> KernelFile | None:
    """Open a file that may not be there."""
    try:
        return KernelFile(path)
    except FileNotFoundError as error:
        if complain is not None:
            complain(str(error))
        return None


class _Group:
    """The open files of a group."""

    __slots__ = ("cgroup",)

    def __init__(self, cgroup: Cgroup) -> None:
        self.cgroup = cgroup

    def levels(self) -> Iterator[MemoryLevel]:
        """Read its limits, if it has any."""
        raise NotImplementedError


class _V2Group(_Group):
    """A group of version 2; most have some of the files only."""

    __slots__ = ("_current", "_limits", "_stat")

    def __init__(self, cgroup: Cgroup) -> None:
        super().__init__(cgroup)
        files = {name: _opened(cgroup.directory / name) for name in _V2_LIMITS}
        # The root has none, nor has a group that the controller is not enabled for:
        # its memory is charged to the one above.
        self._limits = [(name, file) for name, file in files.items() if file]
        if self._limits:
            self._current = KernelFile(cgroup.directory / "memory.current")
            self._stat = _opened(cgroup.directory / "memory.stat")

    def levels(self) -> Iterator[MemoryLevel]:
        lowest: tuple[int, str] | None = None
        for name, file in self._limits:
            limit = file.limit()
            if limit is not None and (lowest is None or limit < lowest[0]):
                lowest = limit, name
        if lowest is None:
            return
        charged = self._current.value()
        inactive = self._stat.counters(b"inactive_file ")[0] if self._stat else 0
        yield MemoryLevel(
            f"{self.cgroup} ({lowest[1]})",
            lowest[0],
            max(0, charged - (inactive or 0)),
            charged,
            self.cgroup,
        )


_V2_LIMITS = ("memory.max", "memory.high")


class _V1Group(_Group):
    """A group of version 1's memory hierarchy."""

    __slots__ = ("_limit", "_stat", "_usage")

    def __init__(self, cgroup: Cgroup) -> None:
        super().__init__(cgroup)
        self._limit = KernelFile(cgroup.directory / "memory.limit_in_bytes")
        self._usage = KernelFile(cgroup.directory / "memory.usage_in_bytes")
        self._stat = _opened(cgroup.directory / "memory.stat")

    def levels(self) -> Iterator[MemoryLevel]:
        limit = self._limit.limit()
        if limit is not None:
            yield self.level(limit, str(self.cgroup), self.cgroup)

    def level(self, limit: int, where: str, cgroup: Cgroup | None) -> MemoryLevel:
        """Make a level of what this group uses."""
        charged = self._usage.value()
        inactive = self._stat.counters(b"total_inactive_file ")[0] if self._stat else 0
        used = max(0, charged - (inactive or 0))
        return MemoryLevel(where, limit, used, charged, cgroup)

    def lowest_limit(self) -> int | None:
        """Return the lowest limit of this and all above, also those not to be seen."""
        name = b"hierarchical_memory_limit "
        limit = self._stat.counters(name)[0] if self._stat else None
        return None if limit is None or limit >= UNLIMITED else limit

    def own_limit(self) -> int | None:
        """Return its own limit."""
        return self._limit.limit()


class _V1Above(_Group):
    """What limits the topmost group that can be seen, without being seen itself.

    Nobody tells how much is used there; it is at least what is used below.
    """

    __slots__ = ("_top",)

    def __init__(self, top: _V1Group) -> None:
        super().__init__(top.cgroup)
        self._top = top

    def levels(self) -> Iterator[MemoryLevel]:
        lowest, own = self._top.lowest_limit(), self._top.own_limit()
        if lowest is not None and (own is None or lowest < own):
            yield self._top.level(lowest, f"{self.cgroup} (limited from above)", None)


def _opened_groups(cgroups: Cgroups, complain: Complain) -> Iterator[_Group]:
    """Open the groups that the process's memory is charged to."""
    top: _V1Group | None = None
    for cgroup in cgroups.memory:
        try:
            if cgroup.version == 2:  # noqa: PLR2004 - its name
                yield _V2Group(cgroup)
            elif cgroup is cgroups.v1[0] or _accounts_children(cgroup):
                top = _V1Group(cgroup)
                yield top
        except (OSError, ValueError) as error:
            complain(f"a limit is left out: {error}")
    if top is not None:
        yield _V1Above(top)


def _accounts_children(cgroup: Cgroup) -> bool:
    """Return whether what is used below is charged to a version 1 group too.

    In old kernels each group is for itself unless told otherwise.
    """
    hierarchy = _opened(cgroup.directory / "memory.use_hierarchy")
    return hierarchy is None or hierarchy.value() != 0
