"""A temporary memory cgroup with a limit, of version 1 or 2, as the machine has it.

``memory_controller()`` and ``Cgroup`` are context managers that leave the machine as
they found it.  Only processes in the group are subject to its limit and OOM killer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Cgroup", "CgroupError", "Controller", "memory_controller"]


REMOVE_ATTEMPTS = 500
REMOVE_PAUSE_SECONDS = 0.01


class CgroupError(Exception):
    """Memory cgroups cannot be made; the message says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Controller:
    """Where memory cgroups are made, and the names of their files."""

    path: Path
    """The cgroup under which new ones are made."""
    version: int
    """1 or 2."""
    limit: str
    usage: str
    inactive_file: str
    """The line of ``memory.stat`` with the inactive file cache."""
    oom_kills: str
    """The file that counts OOM kills, in a line ``oom_kill``."""
    no_swap: tuple[str, str | None]
    """The file that turns swap off, and its content; None means the limit."""


def _version_1(path: Path) -> Controller:
    return Controller(
        path,
        version=1,
        limit="memory.limit_in_bytes",
        usage="memory.usage_in_bytes",
        inactive_file="total_inactive_file",
        oom_kills="memory.oom_control",
        no_swap=("memory.memsw.limit_in_bytes", None),
    )


def _version_2(path: Path) -> Controller:
    return Controller(
        path,
        version=2,
        limit="memory.max",
        usage="memory.current",
        inactive_file="inactive_file",
        oom_kills="memory.events",
        no_swap=("memory.swap.max", "0"),
    )


@contextlib.contextmanager
def memory_controller() -> Iterator[Controller]:
    """Find the memory controller; where it is not mounted, mount it temporarily.

    Raises ``CgroupError`` where there is none, and where it cannot be used.
    """
    if os.geteuid() != 0:
        raise CgroupError("only root can make memory cgroups")
    if path := _mounted("cgroup", "memory"):
        yield _version_1(path)
    elif (path := _mounted("cgroup2")) and _has_memory(path):
        with _enabled_below(path):
            yield _version_2(path)
    elif _hierarchy_number("memory") is None:
        raise CgroupError("this kernel has no memory controller")
    else:
        with _mounted_temporarily() as path:
            yield _version_1(path)


def _mounted(kind: str, option: str = "") -> Path | None:
    """Return where a file system of ``kind`` with ``option`` is mounted."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        about_the_mount, _, about_the_system = line.partition(" - ")
        found_kind, _, options = about_the_system.split(" ", 2)
        if found_kind == kind and (not option or option in options.split(",")):
            # A space in a path is written as \040.
            escaped = about_the_mount.split(" ")[4]
            octal = re.compile(r"\\(\d{3})")
            return Path(octal.sub(lambda code: chr(int(code[1], 8)), escaped))
    return None


def _has_memory(path: Path) -> bool:
    return "memory" in (path / "cgroup.controllers").read_text().split()


def _hierarchy_number(controller: str) -> int | None:
    for line in Path("/proc/cgroups").read_text().splitlines():
        name, number, _, enabled = line.split()
        if name == controller and enabled == "1":
            return int(number)
    return None


@contextlib.contextmanager
def _enabled_below(path: Path) -> Iterator[None]:
    """Enable the memory controller for the groups in ``path``, in cgroup v2."""
    control = path / "cgroup.subtree_control"
    if "memory" in control.read_text().split():
        yield
        return
    try:
        control.write_text("+memory")
    except OSError as error:
        # EBUSY: a group that has processes cannot enable controllers for others.
        raise CgroupError(
            f"the memory controller cannot be enabled below {path}: {error}"
        ) from error
    try:
        yield
    finally:
        control.write_text("-memory")


@contextlib.contextmanager
def _mounted_temporarily() -> Iterator[Path]:
    """Mount the v1 controller in a temporary directory."""
    # Not TemporaryDirectory: if unmounting failed, it would delete what is mounted.
    directory = tempfile.mkdtemp(prefix="memory-cgroups-")
    try:
        mount = ["mount", "-t", "cgroup", "-o", "memory", "memory", directory]
        done = subprocess.run(  # noqa: S603 - our own command
            mount, check=False, capture_output=True, text=True
        )
        if done.returncode:
            why = done.stderr.strip()
            raise CgroupError(f"the memory controller cannot be mounted: {why}")
        try:
            yield Path(directory)
        finally:
            umount = ["umount", directory]
            subprocess.run(umount, check=True)  # noqa: S603 - our own command
    finally:
        Path(directory).rmdir()


class Cgroup:
    """A memory cgroup.  A context manager, which kills its processes at the end.

    Raises ``CgroupError`` where the group or its limit cannot be made.
    """

    def __init__(self, controller: Controller, name: str, limit: int) -> None:
        self.controller = controller
        self.path = controller.path / f"{name}-{os.getpid()}"
        self.limit = limit

    def __enter__(self) -> Self:
        try:
            self.path.mkdir()
        except OSError as error:
            raise CgroupError(f"the cgroup cannot be made: {error}") from error
        try:
            (self.path / self.controller.limit).write_text(str(self.limit))
            self._turn_swap_off()
        except BaseException as error:
            self.remove()
            if isinstance(error, OSError):
                raise CgroupError(f"the limit cannot be set: {error}") from error
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def entered(self, command: Sequence[str]) -> list[str]:
        """Return a command that runs ``command`` in the group from its start."""
        enter = 'echo $$ > "$0" && exec "$@"'
        return ["sh", "-c", enter, str(self.path / "cgroup.procs"), *command]

    def memory(self) -> int:
        """Return the bytes in use, without the inactive file cache.

        The kernel drops that cache before it calls the OOM killer.
        """
        usage = int((self.path / self.controller.usage).read_text())
        return usage - self._line("memory.stat", self.controller.inactive_file)

    def oom_kills(self) -> int:
        """Return how many processes of the group the OOM killer has killed."""
        return self._line(self.controller.oom_kills, "oom_kill")

    def remove(self) -> None:
        """Kill the processes of the group, and remove it."""
        for _ in range(REMOVE_ATTEMPTS):
            with contextlib.suppress(FileNotFoundError):
                processes = (self.path / "cgroup.procs").read_text().split()
                for process in processes:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(process), signal.SIGKILL)
            try:
                self.path.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                # Killed processes leave the group a moment later.
                time.sleep(REMOVE_PAUSE_SECONDS)
            else:
                return
        raise CgroupError(f"{self.path} cannot be removed")

    def _turn_swap_off(self) -> None:
        """With swap, the group would be swapped out before it is killed."""
        name, content = self.controller.no_swap
        if (self.path / name).exists():
            (self.path / name).write_text(content or str(self.limit))

    def _line(self, file: str, name: str) -> int:
        for line in (self.path / file).read_text().splitlines():
            found, _, number = line.partition(" ")
            if found == name:
                return int(number)
        return 0
