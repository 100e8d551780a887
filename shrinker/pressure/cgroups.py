"""Where the process's control groups are in the file system.

``/proc/self/cgroup`` says in which groups the process is, as paths inside of each
hierarchy; ``/proc/self/mountinfo`` says which part of which hierarchy is mounted
where.  Put together they give directories.  Both kinds of path are relative to the
process's cgroup namespace and begin with ``/..`` for what is above of it:

====================  ==================  ============================================
the process is in     mounted is          so its directory is
====================  ==================  ============================================
``/a/b``              ``/`` on ``M``      ``M/a/b``; ``M/a`` and ``M`` are above of it
``/docker/1``         ``/docker/1``       ``M``; what is above of it is not to be seen
``/``                 ``/`` on ``M``      ``M`` (a namespace; a container)
``/x``                ``/../..``          ``M/*/*/x``: names that we are not told, so
                                          it is looked for by the process's number
``/../x``             ``/``               not to be seen
====================  ==================  ============================================

Version 1 has a hierarchy for memory among others, version 2 one for everything, and
some systems have both; then memory is in one of them, and pressure in version 2.
"""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

__all__ = ["Cgroup", "Cgroups", "find_cgroups"]

_ESCAPED = re.compile(r"\\([0-7]{3})")
_MARKS = {1: "memory.usage_in_bytes", 2: "cgroup.procs"}
_MAX_LOOKED_AT = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Cgroup:
    """A control group that the process is in, or one above of it."""

    version: int
    """1 or 2."""
    path: str
    """Inside of its hierarchy, as far as that is known, such as ``/app``."""
    directory: Path
    """Where its files are."""

    @property
    def is_root(self) -> bool:
        """Whether it is the root of version 2: what is in it is the whole machine's.

        The root of a namespace is called ``/`` as well, but has files that limit it.
        """
        return (
            self.version == 2  # noqa: PLR2004 - its name
            and self.path == "/"
            and not (self.directory / "cgroup.type").exists()
            and not (self.directory / "memory.max").exists()
        )

    def __str__(self) -> str:
        return f"cgroup v{self.version} {self.path}"


@dataclasses.dataclass(frozen=True, slots=True)
class Cgroups:
    """What was found.  Each chain has the own group first, then those above."""

    v1: tuple[Cgroup, ...] = ()
    """Groups of the memory controller's own hierarchy."""
    v2: tuple[Cgroup, ...] = ()
    """Groups of the unified hierarchy, whether or not they know of memory."""

    @property
    def memory(self) -> tuple[Cgroup, ...]:
        """All groups that may limit memory.

        Memory is in one hierarchy only, but which one shows in the files.
        """
        return self.v1 + self.v2


def own_cgroups(given: Cgroups | None) -> Cgroups:
    """Return what is given, else what is found; ``TypeError`` for anything else."""
    if given is None:
        return find_cgroups()
    if not isinstance(given, Cgroups):
        raise TypeError(f"cgroups must be Cgroups, not {type(given).__name__}")
    return given


def find_cgroups(
    root: str | os.PathLike[str] = "/", pid: int | str = "self"
) -> Cgroups:
    """Find the groups of a process.

    ``root`` stands for ``/`` in all that is read.  Raises ``OSError`` where
    ``/proc/<pid>`` cannot be read.  Lines that make no sense are passed over.
    """
    base = Path(root)
    process = base / "proc" / str(pid)
    paths = _paths(_text(process / "cgroup"))
    mounts = _mounts(_text(process / "mountinfo"))
    number = os.getpid() if pid == "self" else int(pid)
    chains = {
        version: _chain(version, path, mounts, base, number)
        for version, path in paths.items()
    }
    return Cgroups(chains.get(1, ()), chains.get(2, ()))


@dataclasses.dataclass(frozen=True, slots=True)
class _Mount:
    """A mounted part of a hierarchy."""

    version: int
    root: str
    point: str


def _text(path: Path) -> str:
    r"""Read a file in which only ``\n`` ends a line, and only a blank a field.

    Names may have all else that Python takes for such.
    """
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _paths(text: str) -> dict[int, str]:
    """Read /proc/<pid>/cgroup: the path in the memory hierarchy, and in version 2."""
    found: dict[int, str] = {}
    for line in text.split("\n"):
        number, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if not colon or not path.startswith("/"):
            continue
        path = path.removesuffix(" (deleted)")
        if number == "0" and not controllers:
            found[2] = path
        elif "memory" in controllers.split(","):
            found[1] = path
    return found


def _mounts(text: str) -> list[_Mount]:
    """Read /proc/<pid>/mountinfo: where hierarchies with memory are mounted."""
    found: list[_Mount] = []
    for line in text.split("\n"):
        left, dash, right = line.partition(" - ")
        fields, kind = left.split(" "), right.split(" ")
        if not dash or len(fields) < 5 or len(kind) < 3:  # noqa: PLR2004 - proc(5)
            continue
        if kind[0] == "cgroup2":
            version = 2
        elif kind[0] == "cgroup" and "memory" in kind[2].split(","):
            version = 1
        else:
            continue
        found.append(_Mount(version, _unescaped(fields[3]), _unescaped(fields[4])))
    return found


def _unescaped(field: str) -> str:
    r"""Undo what the kernel does to blanks: ``\040``."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), field)


def _split(path: str) -> tuple[int, tuple[str, ...]]:
    """Return how many levels a path goes up, and the names behind that."""
    names = [name for name in path.split("/") if name and name != "."]
    up = 0
    while up < len(names) and names[up] == "..":
        up += 1
    return up, tuple(names[up:])


def _chain(
    version: int, path: str, mounts: list[_Mount], base: Path, number: int
) -> tuple[Cgroup, ...]:
    """Return the group at ``path`` and those above, by the mount that shows most."""
    best: tuple[Cgroup, ...] = ()
    # Later mounts hide earlier ones at the same place, and win a draw.
    for mount in reversed([mount for mount in mounts if mount.version == version]):
        point = base / mount.point.lstrip("/")
        names = _below(mount, point, path, number)
        if names is None:
            continue
        # For people: the path as /proc says, and fewer names for each level up.
        known = _split(path)[1]
        chain = []
        for depth in range(len(names), -1, -1):
            directory = point.joinpath(*names[:depth])
            if not (directory / _MARKS[version]).exists():
                continue  # Gone meanwhile; what is above of it still counts.
            above = len(names) - depth
            if above == 0:
                label = path
            elif above <= len(known):
                label = "/" + "/".join(known[: len(known) - above])
            else:
                label = "/" + "/".join([".."] * (above - len(known)))
            chain.append(Cgroup(version, label, directory))
        if len(chain) > len(best):
            best = tuple(chain)
    return best


def _below(
    mount: _Mount, point: Path, path: str, number: int
) -> tuple[str, ...] | None:
    """Return the names that lead from a mount to a group; None: not in there."""
    root_up, root_names = _split(mount.root)
    up, names = _split(path)
    if root_up == up:
        if names[: len(root_names)] != root_names:
            return None
        return names[len(root_names) :]
    if root_up < up or root_names:
        return None
    # The mount begins above the namespace, and nobody tells the names in between.
    found = _search(point, root_up - up, names, str(number))
    # The mount itself is above of the process in any case.
    return () if found is None else found


def _search(
    point: Path, unknown: int, names: tuple[str, ...], number: str
) -> tuple[str, ...] | None:
    """Look for the group with the process, some unknown levels below ``point``."""
    pattern = "/".join([*["*"] * unknown, *map(_literal, names), "cgroup.procs"])
    for looked_at, procs in enumerate(point.glob(pattern)):
        if looked_at >= _MAX_LOOKED_AT:
            break
        try:
            if number in procs.read_text("ascii").split():
                return procs.parent.relative_to(point).parts
        except (OSError, UnicodeDecodeError):
            continue
    return None


def _literal(name: str) -> str:
    """Quote a name for ``glob``."""
    return re.sub(r"([*?[])", r"[\1]", name)
