"""Where the process's control groups are in the file system.

``/proc/self/cgroup`` names the groups that the process is in, as paths inside each
hierarchy.  ``/proc/self/mountinfo`` says which part of which hierarchy is mounted
where.  Together they give directories.  Both kinds of path are relative to the
process's cgroup namespace; ``/..`` leads above it:

====================  ==================  ============================================
the process is in     mounted is          so its directory is
====================  ==================  ============================================
``/a/b``              ``/`` on ``M``      ``M/a/b``; ``M/a`` and ``M`` are above it
``/docker/1``         ``/docker/1``       ``M``; the groups above are hidden
``/``                 ``/`` on ``M``      ``M`` (a namespace; a container)
``/x``                ``/../..``          ``M/*/*/x``: the names between are hidden, so
                                          the group with the process's pid is searched
``/../x``             ``/``               hidden
====================  ==================  ============================================

Version 1 has a hierarchy for memory among others, version 2 has one for everything.
Some systems have both; then memory is in one of them, and pressure in version 2.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from pathlib import Path

__all__ = ["Cgroup", "Cgroups", "find_cgroups"]

_ESCAPED = re.compile(r"\\([0-7]{3})")
_FILE_OF_EACH_GROUP = {1: "memory.usage_in_bytes", 2: "cgroup.procs"}
_MAX_SEARCHED_GROUPS = 10_000


@dataclasses.dataclass(frozen=True, slots=True)
class Cgroup:
    """A control group that the process is in, or one above it."""

    version: int
    """1 or 2."""
    path: str
    """Its path in the hierarchy as far as that is known, such as ``/app``."""
    directory: Path
    """Where its files are."""

    @property
    def is_root(self) -> bool:
        """Whether it is the root of version 2, whose figures are the machine's.

        The root of a namespace is called ``/`` too, but has files that limit it.
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
    """The groups found, in two chains from the process's own group upwards."""

    v1: tuple[Cgroup, ...] = ()
    """Groups of version 1's memory hierarchy."""
    v2: tuple[Cgroup, ...] = ()
    """Groups of version 2, with or without a memory controller."""
    hidden: tuple[str, ...] = ()
    """What cannot be seen: groups that the process is in, and that no mount shows."""

    @property
    def memory(self) -> tuple[Cgroup, ...]:
        """All groups that may limit memory.

        Memory is in one hierarchy only; the files there show which.
        """
        return self.v1 + self.v2


def own_cgroups(given: Cgroups | None) -> Cgroups:
    """Return what is given, or find the groups; ``TypeError`` for anything else."""
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
    ``/proc/<pid>`` cannot be read.  Malformed lines are skipped.
    """
    base = Path(root)
    process = base / "proc" / str(pid)
    paths = _paths(_text(process / "cgroup"))
    mounts = _mounts(_text(process / "mountinfo"))
    number = os.getpid() if pid == "self" else int(pid)
    chains = {
        version: _existing_chain(version, path, mounts, base, number)
        for version, path in paths.items()
    }
    return Cgroups(chains.get(1, ()), chains.get(2, ()), _hidden(paths, chains))


def _existing_chain(
    version: int, path: str, mounts: list[_Mount], base: Path, number: int
) -> tuple[Cgroup, ...]:
    """Return the chain of a path as /proc shows it.

    The kernel adds `` (deleted)`` to the path of a removed group.  But a group may also
    be called so: then it is there.
    """
    chain = _chain(version, path, mounts, base, number)
    plain = path.removesuffix(" (deleted)")
    if plain == path or (chain and chain[0].path == path):
        return chain
    return _chain(version, plain, mounts, base, number)


def _hidden(
    paths: dict[int, str], chains: dict[int, tuple[Cgroup, ...]]
) -> tuple[str, ...]:
    """Return the groups whose limit of memory cannot be seen.

    Memory is in one hierarchy: where version 1 has it, version 2 has no limits.  The
    path ``/`` is not named: it is a root without limits, or that of a namespace, where
    nothing tells of any.
    """
    version = 1 if 1 in paths else 2
    path = paths.get(version, "/")
    if path == "/" or chains[version]:
        return ()
    return (f"cgroup v{version} {path}",)


@dataclasses.dataclass(frozen=True, slots=True)
class _Mount:
    """A mounted part of a hierarchy."""

    version: int
    root: str
    point: str


def _text(path: Path) -> str:
    r"""Read a file where only ``\n`` ends a line and only a space ends a field.

    Names may contain the other characters that Python splits at.
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
    r"""Undo the kernel's escapes, such as ``\040`` for a space."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), field)


def _split(path: str) -> tuple[int, tuple[str, ...]]:
    """Return how many levels a path goes up, and the names after that."""
    names = [name for name in path.split("/") if name and name != "."]
    up = 0
    while up < len(names) and names[up] == "..":
        up += 1
    return up, tuple(names[up:])


def _chain(
    version: int, path: str, mounts: list[_Mount], base: Path, number: int
) -> tuple[Cgroup, ...]:
    """Return the group at ``path`` and those above, from the mount that shows most."""
    best: tuple[Cgroup, ...] = ()
    # Later mounts hide earlier ones at the same place, so they win a draw.
    for mount in reversed([mount for mount in mounts if mount.version == version]):
        point = base / mount.point.lstrip("/")
        names = _below(mount, point, path, number)
        if names is None:
            continue
        # The label is the path in /proc, with one name less for each level up.
        known = _split(path)[1]
        chain = []
        for depth in range(len(names), -1, -1):
            directory = point.joinpath(*names[:depth])
            if not (directory / _FILE_OF_EACH_GROUP[version]).exists():
                continue  # It was removed meanwhile; the groups above still count.
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
    """Return the names from a mount down to a group; None where it is not below."""
    root_up, root_names = _split(mount.root)
    up, names = _split(path)
    if root_up == up:
        if names[: len(root_names)] != root_names:
            return None
        return names[len(root_names) :]
    if root_up < up or root_names:
        return None
    # The mount begins above the namespace; the names in between are hidden.
    found = _search(point, root_up - up, names, str(number))
    # The mount itself is above the process in any case.
    return () if found is None else found


def _search(
    point: Path, unknown: int, names: tuple[str, ...], number: str
) -> tuple[str, ...] | None:
    """Search the group with the process, ``unknown`` levels below ``point``."""
    pattern = "/".join([*["*"] * unknown, *map(_literal, names), "cgroup.procs"])
    for procs in itertools.islice(point.glob(pattern), _MAX_SEARCHED_GROUPS):
        try:
            if number in procs.read_text("ascii").split():
                return procs.parent.relative_to(point).parts
        except (OSError, UnicodeDecodeError):
            continue
    return None


def _literal(name: str) -> str:
    """Quote a name for ``glob``."""
    return re.sub(r"([*?[])", r"[\1]", name)
