"""What jobs in the VM share: checks, memory cgroups, and processes in them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CGROUP2 = Path("/sys/fs/cgroup")
MIB = 1 << 20
USER = 1000
BIG_FILE = Path("/srv/big")  # A disk, where services see it: not /tmp, /var/tmp.
SOON = 30.0
"""Seconds; many times longer than what is waited for takes."""

# Evaluates each line of its input, and answers with a line of JSON.
OBEDIENT = """
import io, json, logging, os, sys, time
log = io.StringIO()
logging.basicConfig(stream=log, level=logging.INFO)
import shrinker
from shrinker.cache import Cache
from shrinker.pressure import *
from shrinker.pressure.limits import memory as limits
limits.REFRESH_SECONDS = 1.0
MIB = 1 << 20
memory = Memory()
def levels():
    return [f"{level.where} {level.limit // MIB}" for level in memory.levels()]
def chosen():
    with auto() as source:
        return source.name
print("ready", flush=True)
for line in sys.stdin:
    kind, text = json.loads(line)
    try:
        answer = ["said", eval(text) if kind == "ask" else exec(text)]
    except BaseException as error:
        answer = ["raised", f"{type(error).__name__}: {error}"]
    print(json.dumps(answer, default=str), flush=True)
"""

# Reads a file that does not fit, again and again.
THRASH = """
import mmap, sys
with open(sys.argv[1], "rb") as file:
    pages = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
while True:
    for offset in range(0, len(pages), 4096):
        pages[offset]
"""


class Checks:
    """Says what was expected of the kernel and the library, and what was found."""

    def __init__(self, job: str) -> None:
        self._job = job

    def __call__(
        self, name: str, expected: object, got: object, *, ok: bool | None = None
    ) -> None:
        """Print one check; without ``ok`` both must be equal."""
        verdict = expected == got if ok is None else ok
        line = {"job": self._job, "name": name, "ok": verdict}
        line |= {"expected": str(expected), "got": str(got)}
        print(json.dumps(line), flush=True)


def kernel() -> tuple[int, int]:
    """Return the kernel's version."""
    major, minor, *_ = os.uname().release.split(".")
    return int(major), int(minor)


def machine() -> str:
    """Return the level of the machine, as ``levels()`` of a process says it."""
    kib = int(Path("/proc/meminfo").read_text("ascii").split()[1])
    return f"machine {(kib << 10) // MIB}"


def write(path: Path, text: object) -> None:
    """Write to a kernel's file, which exists, in one call."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, str(text).encode())
    finally:
        os.close(descriptor)


def enable_memory(directory: Path) -> None:
    """Hand the memory controller down to the groups below."""
    write(directory / "cgroup.subtree_control", "+memory")


@contextlib.contextmanager
def group(name: str, *, memory: bool = True, **settings: object) -> Iterator[Path]:
    """A group of version 2 below the root, with files memory.* written.

    ``memory`` hands the controller down to it; ``max="100M"`` writes memory.max.
    """
    directory = CGROUP2 / name
    if memory:
        enable_memory(directory.parent)
    directory.mkdir()
    try:
        for key, value in settings.items():
            write(directory / f"memory.{key.replace('_', '.')}", value)
        yield directory
    finally:
        remove(directory)


def remove(directory: Path) -> None:
    """Remove a group once the last process has left it."""

    def gone() -> bool:
        try:
            directory.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    if not wait_for(gone):
        raise TimeoutError(f"{directory} is busy")


def wait_for(holds: Callable[[], bool], seconds: float = SOON) -> bool:
    """Wait until it holds, and say whether it does."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def events(directory: Path) -> dict[str, int]:
    """Return the counters in memory.events that are not 0."""
    lines = (directory / "memory.events").read_text("ascii").splitlines()
    counters = {name: int(count) for name, count in map(str.split, lines)}
    return {name: count for name, count in counters.items() if count}


def inside(*directories: Path) -> list[str]:
    """Return the beginning of a command that joins groups and runs the rest."""
    join = "".join(f"echo $$ > '{each}/cgroup.procs'; " for each in directories)
    return ["sh", "-c", f'{join}exec "$@"', "sh"]


@contextlib.contextmanager
def thrashing(directory: Path | None = None, mib: int = 96) -> Iterator[None]:
    """A process that reads a file of that size again and again, in a group."""
    make_big_file(mib)
    command = [sys.executable, "-c", THRASH, str(BIG_FILE)]
    if directory is not None:
        command = inside(directory) + command
    with subprocess.Popen(command) as child:
        try:
            yield
        finally:
            child.kill()


def make_big_file(mib: int) -> None:
    """Make a file of which no page is cached: a page is charged to its first reader."""
    if not BIG_FILE.exists() or BIG_FILE.stat().st_size != mib * MIB:
        with BIG_FILE.open("wb") as file:
            for _ in range(mib):
                file.write(bytes(MIB))
    os.sync()
    write(Path("/proc/sys/vm/drop_caches"), 3)


class Told:
    """A Python process that does what it is told."""

    def __init__(
        self, *groups: Path, prefix: Sequence[str] = (), user: int | None = None
    ) -> None:
        command = [*prefix, sys.executable, "-c", OBEDIENT]
        if user is not None:
            as_user = ["setpriv", f"--reuid={user}", f"--regid={user}"]
            command = [*as_user, "--clear-groups", "--inh-caps=-all", *command]
        self._process = subprocess.Popen(
            inside(*groups) + command if groups else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        if self._read() != "ready\n":
            self.__exit__()
            raise ChildProcessError(f"not started: {command}")

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def tell(self, kind: str, text: str) -> None:
        """Have it ``ask`` an expression or ``do`` statements; ``answer()`` waits."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([kind, text]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Return what it said last; an exception is the text "raised ...: ..."."""
        line = self._read()
        if not line:
            return f"died, status {self._process.wait()}"
        kind, value = json.loads(line)
        return value if kind == "said" else f"raised {value}"

    def ask(self, expression: str) -> Any:
        """Return what an expression evaluates to."""
        self.tell("ask", expression)
        return self.answer()

    def do(self, statements: str) -> None:
        """Execute statements; raises where they do."""
        self.tell("do", statements)
        said = self.answer()
        if said is not None:
            raise ChildProcessError(said)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
