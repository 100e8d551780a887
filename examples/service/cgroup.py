"""A memory cgroup with a limit, made for a while: v1 or v2, whichever is there.

Nothing outside of the group made here may meet the OOM killer, and nothing of it
may stay behind: both ``memory_controller()`` and ``Cgroup`` are context managers, and
leave the machine as they found it.
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


class CgroupError(Exception):
    """Memory cgroups cannot be made here; the message says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Controller:
    """Where memory cgroups are made, and what their files are called."""

    path: Path
    """The directory in which a directory becomes a cgroup."""
    version: int
    """1 or 2."""
    limit: str
    usage: str
    inactive_file: str
    """The line of ``memory.stat`` with the file cache that nobody misses."""
    oom_kills: str
    """The file that counts OOM kills, in a line ``oom_kill``."""
    no_swap: tuple[str, str | None]
    """The file that takes swap away, and its content; None is the limit."""


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
    """Find the memory controller; mount it for the time being where it is not.

    Raises ``CgroupError`` where there is none, or we may not use it.
    """
    if os.geteuid() != 0:
        raise CgroupError("only root can make memory cgroups")
    if path := _mounted("cgroup", "memory"):
        yield _version_1(path)
    elif (path := _mounted("cgroup2")) and _has_memory(path):
        with _handed_down(path):
            yield _version_2(path)
    elif _number_of_hierarchy("memory") is None:
        raise CgroupError("this kernel has no memory controller")
    else:
        with _mounted_for_now() as path:
            yield _version_1(path)


def _mounted(kind: str, option: str = "") -> Path | None:
    """Return where a file system of ``kind`` with ``option`` is mounted."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        about_the_mount, _, about_the_system = line.partition(" - ")
        found_kind, _, options = about_the_system.split(" ", 2)
        if found_kind == kind and (not option or option in options.split(",")):
            # A blank in a path is written \040.
            escaped = about_the_mount.split(" ")[4]
            octal = re.compile(r"\\(\d{3})")
            return Path(octal.sub(lambda code: chr(int(code[1], 8)), escaped))
    return None


def _has_memory(path: Path) -> bool:
    return "memory" in (path / "cgroup.controllers").read_text().split()


def _number_of_hierarchy(controller: str) -> int | None:
    for line in Path("/proc/cgroups").read_text().splitlines():
        name, number, _, enabled = line.split()
        if name == controller and enabled == "1":
            return int(number)
    return None


@contextlib.contextmanager
def _handed_down(path: Path) -> Iterator[None]:
    """Let the groups in ``path`` have the memory controller, in cgroup v2."""
    control = path / "cgroup.subtree_control"
    if "memory" in control.read_text().split():
        yield
        return
    try:
        control.write_text("+memory")
    except OSError as error:
        # A group with processes in it cannot hand controllers down (EBUSY).
        raise CgroupError(f"{path} does not hand memory down: {error}") from error
    try:
        yield
    finally:
        control.write_text("-memory")


@contextlib.contextmanager
def _mounted_for_now() -> Iterator[Path]:
    """Mount the v1 controller in a temporary directory."""
    # Not TemporaryDirectory, which at the end would empty what is mounted there, if
    # that cannot be unmounted.
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
    """A memory cgroup: a context manager, which kills what is left in it at the end.

    Raises ``CgroupError`` where it cannot be made or limited.
    """

    def __init__(self, controller: Controller, name: str, limit: int) -> None:
        self.controller = controller
        self.path = controller.path / f"{name}-{os.getpid()}"
        self.limit = limit

    def __enter__(self) -> Self:
        try:
            self.path.mkdir()
        except OSError as error:
            raise CgroupError(f"no cgroup can be made: {error}") from error
        try:
            (self.path / self.controller.limit).write_text(str(self.limit))
            self._take_swap_away()
        except BaseException as error:
            self.remove()
            if isinstance(error, OSError):
                raise CgroupError(f"the cgroup takes no limit: {error}") from error
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def entered(self, command: Sequence[str]) -> list[str]:
        """Return what runs ``command`` in here, from its first page on."""
        enter = 'echo $$ > "$0" && exec "$@"'
        return ["sh", "-c", enter, str(self.path / "cgroup.procs"), *command]

    def memory(self) -> int:
        """Return the bytes in use, without the file cache that nobody misses.

        That is what counts: before the OOM killer comes, the kernel drops the rest.
        """
        usage = int((self.path / self.controller.usage).read_text())
        return usage - self._line("memory.stat", self.controller.inactive_file)

    def oom_kills(self) -> int:
        """Return how often the OOM killer has been here."""
        return self._line(self.controller.oom_kills, "oom_kill")

    def remove(self) -> None:
        """Kill what is left in the group, and remove it."""
        for _ in range(500):
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
                time.sleep(0.01)  # The dead leave a moment later.
            else:
                return
        raise CgroupError(f"{self.path} cannot be removed")

    def _take_swap_away(self) -> None:
        """Where there is swap, a group would go there before it is killed."""
        name, content = self.controller.no_swap
        if (self.path / name).exists():
            (self.path / name).write_text(content or str(self.limit))

    def _line(self, file: str, name: str) -> int:
        for line in (self.path / file).read_text().splitlines():
            found, _, number = line.partition(" ")
            if found == name:
                return int(number)
        return 0
