"""Limits and sources of memory pressure on a real kernel.

A cgroup with a limit is made where that is allowed, and taken away again; what the
kernel or the machine does not have is skipped, with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pressure_support import descriptors

from shrinker.cache import Cache
from shrinker.pressure import Reclaimer
from shrinker.pressure.limits.cgroups import find_cgroups
from shrinker.pressure.limits.memory import Memory
from shrinker.pressure.sources import memory_events
from shrinker.pressure.sources.auto import auto
from shrinker.pressure.sources.base import SourceGone
from shrinker.pressure.sources.memory_events import MemoryEvents
from shrinker.pressure.sources.psi import SYSTEM_WIDE, PsiTrigger
from shrinker.pressure.sources.systemd import WATCH, WRITE, SystemdPressure
from shrinker.pressure.sources.thresholds import (
    UsageThreshold,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shrinker import Domain

MIB = 1 << 20
LONG = 120.0  # Seconds; for what the kernel does within 3.
NOT_HERE = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EOPNOTSUPP}
STALL = 0.02  # Of a window of 2 s; a thrashing child makes ten times as much.

# Joins the groups, says so, and reads a file that does not fit again and again.
THRASH = """
import mmap, os, sys
for group in sys.argv[2:]:
    with open(os.path.join(group, "cgroup.procs"), "w") as procs:
        procs.write(str(os.getpid()))
with open(sys.argv[1], "rb") as file:
    pages = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print("ready", flush=True)
while True:
    for offset in range(0, len(pages), 4096):
        pages[offset]
"""
# Joins the group and does what each line of its input says.
OBEDIENT = """
import os, sys
from shrinker.pressure.limits.memory import Memory
with open(os.path.join(sys.argv[1], "cgroup.procs"), "w") as procs:
    procs.write(str(os.getpid()))
print("ready", flush=True)
kept = None
for line in sys.stdin:
    if line.startswith("levels"):
        print([(level.where, level.limit) for level in Memory().levels()], flush=True)
    else:
        kept = None
        kept = bytearray(b"x") * int(line)
        print("done", flush=True)
"""

MOVED = """
import os, sys, time
from shrinker.pressure import protect
from shrinker.pressure.limits import memory
memory.REFRESH_SECONDS = 0.0
with open(os.path.join(sys.argv[1], "cgroup.procs"), "w") as procs:
    procs.write(str(os.getpid()))
with protect(trim=False) as reclaimer:
    print("ready", flush=True)
    for line in sys.stdin:
        end = time.monotonic() + float(sys.argv[2])
        while time.monotonic() < end:
            reclaimer.wake()
            if line.strip() in reclaimer.statistics().source:
                break
            time.sleep(0.02)
        print(reclaimer.statistics().source, flush=True)
"""
"""Protects itself in a group, and says its source when that has the name given."""

FILLS = """
import os, sys, threading
import shrinker
from shrinker.cache import Cache
with open(os.path.join(sys.argv[1], "cgroup.procs"), "w") as procs:
    procs.write(str(os.getpid()))

def serve(thread):
    for number in range(100_000):
        pages[thread, -number] = None
    for number in range(10_000):
        pages[thread, number] = b"x" * 200_000

pages = Cache()
with shrinker.protect():
    threads = [threading.Thread(target=serve, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(pages.statistics().evicted)
"""
"""Four threads that set small entries, and then 8 GB of 200 KB each; no weigher."""


def own_groups(version: int) -> Path:
    """The group of this process in a hierarchy, to make groups below it."""
    try:
        cgroups = find_cgroups()
    except OSError as error:
        pytest.skip(f"no cgroups: {error}")
    chain = cgroups.v1 if version == 1 else cgroups.v2
    if not chain:
        pytest.skip(f"no cgroup v{version} hierarchy for it is mounted")
    return chain[0].directory


@contextlib.contextmanager
def group(version: int) -> Iterator[Path]:
    """A new group below that of this process; a test may have several."""
    above = own_groups(version)
    try:
        directory = Path(tempfile.mkdtemp(prefix="shrinker-test-", dir=above))
    except OSError as error:
        pytest.skip(f"no cgroup can be made: {error}")
    try:
        yield directory
    finally:
        with contextlib.suppress(FileNotFoundError):
            directory.rmdir()


@pytest.fixture
def v1_group() -> Iterator[Path]:
    """A memory cgroup of version 1 with a limit of 64 MiB."""
    with group(1) as directory:
        (directory / "memory.limit_in_bytes").write_text(str(64 * MIB))
        yield directory


@pytest.fixture
def v2_group() -> Iterator[Path]:
    """A cgroup of version 2, with or without a memory controller."""
    with group(2) as directory:
        yield directory


@contextlib.contextmanager
def running(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A child that has said that it is ready; killed at the end."""
    child = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            yield child
        finally:
            child.kill()


def tell(child: subprocess.Popen[str], line: object) -> str:
    """Have the child do something, and return its answer."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{line}\n")
    child.stdin.flush()
    return child.stdout.readline()


@contextlib.contextmanager
def limited(v2_group: Path | None = None) -> Iterator[Path]:
    """A group with a limit of 64 MiB, of whichever version limits memory here.

    Where that is version 2 it is ``v2_group``: a process is in one group of a version.
    """
    version = 1 if find_cgroups().v1 else 2
    with contextlib.ExitStack() as stack:
        if version == 1 or v2_group is None:
            directory = stack.enter_context(group(version))
        else:
            directory = v2_group
        name = "memory.limit_in_bytes" if version == 1 else "memory.max"
        try:
            (directory / name).write_text(str(64 * MIB))
        except OSError as error:
            pytest.skip(f"no memory controller: {error}")
        yield directory


@pytest.fixture
def big_file() -> Iterator[Path]:
    """512 MiB of nothing, of which the page cache makes pages.

    Not in /tmp: pages of a tmpfs cannot be dropped, and who reads them is killed.
    """
    with tempfile.NamedTemporaryFile(dir="/var/tmp") as file:
        file.truncate(512 * MIB)
        yield Path(file.name)


def psi(path: str | Path = SYSTEM_WIDE) -> PsiTrigger:
    """An open trigger."""
    source = PsiTrigger(path, stall=STALL)
    try:
        source.open()
    except OSError as error:
        if error.errno not in NOT_HERE:
            raise
        pytest.skip(f"no PSI trigger: {error}")
    return source


class TestLimits:
    """What ``Memory`` finds."""

    def test_version_1(self, v1_group: Path) -> None:
        """A child that joins a group finds its limit, and sees it change."""
        with running(OBEDIENT, v1_group) as child:
            assert f"/{v1_group.name}', {64 * MIB})" in tell(child, "levels")
            (v1_group / "memory.limit_in_bytes").write_text(str(96 * MIB))
            assert f"/{v1_group.name}', {96 * MIB})" in tell(child, "levels")

    def test_another_process(self, v1_group: Path) -> None:
        """Another process finds the child's limit, and notices when it leaves."""
        with running(OBEDIENT, v1_group) as child, Memory(pid=child.pid) as memory:
            levels = memory.levels()
            assert levels[0].limit == 64 * MIB
            assert 0 < levels[0].used <= levels[0].charged < 64 * MIB
            (v1_group.parent / "cgroup.procs").write_text(str(child.pid))
            v1_group.rmdir()
            # The open files raise ENODEV, which leads to a refresh.
            left = [(level.where, level.limit) for level in memory.levels()]
            assert left == [(level.where, level.limit) for level in levels[1:]]
            assert not any(str(v1_group.name) in each.where for each in memory.levels())

    def test_version_2(self, v2_group: Path) -> None:
        """The same where memory is in version 2."""
        if not (v2_group / "memory.max").exists():
            pytest.skip("the memory controller is not in version 2 here")
        (v2_group / "memory.max").write_text(str(64 * MIB))
        with running(OBEDIENT, v2_group) as child:
            assert f"/{v2_group.name} (memory.max)', {64 * MIB})" in tell(
                child, "levels"
            )


class TestThresholds:
    """Thresholds of version 1."""

    @pytest.fixture
    def source(self, v1_group: Path) -> Iterator[UsageThreshold]:
        source = UsageThreshold(v1_group, 20 * MIB, 40 * MIB)
        try:
            source.open()
        except OSError as error:
            if error.errno not in NOT_HERE:
                raise
            pytest.skip(f"no thresholds: {error}")
        with source:
            yield source

    def test_both_directions(self, source: UsageThreshold, v1_group: Path) -> None:
        """It fires when usage rises above a threshold and when it falls below."""
        assert source.wait(0) is None
        with running(OBEDIENT, v1_group) as child:
            tell(child, 30 * MIB)
            event = source.wait(LONG)
            assert event is not None
            assert "20971520" in event.detail
        event = source.wait(LONG)
        assert event is not None
        assert "fell below" in event.detail

    def test_asyncio(self, source: UsageThreshold, v1_group: Path) -> None:
        """It wakes the loop of asyncio."""

        async def main() -> None:
            waiting = asyncio.ensure_future(source.next_event())
            await asyncio.to_thread(tell, child, 50 * MIB)
            await asyncio.wait_for(waiting, LONG)

        with running(OBEDIENT, v1_group) as child:
            asyncio.run(main())

    def test_rearm(self, source: UsageThreshold, v1_group: Path) -> None:
        """Other thresholds take the place of the old ones, on the same descriptor."""
        before = source.fileno()
        source.rearm(45 * MIB)
        assert source.thresholds == (45 * MIB,)
        assert source.fileno() == before
        with running(OBEDIENT, v1_group) as child:
            tell(child, 30 * MIB)
            assert source.wait(0) is None
            tell(child, 52 * MIB)
            assert source.wait(LONG) is not None
        with pytest.raises(ValueError, match="threshold"):
            source.rearm()

    def test_removal(self, source: UsageThreshold, v1_group: Path) -> None:
        """When the group is removed the source is gone."""
        v1_group.rmdir()
        with pytest.raises(SourceGone, match="removed"):
            source.wait(LONG)

    def test_fork(self, source: UsageThreshold, v1_group: Path) -> None:
        """The child's close leaves the parent's thresholds in place."""
        child = os.fork()
        if child == 0:
            source.close()
            os._exit(0)
        os.waitpid(child, 0)
        with running(OBEDIENT, v1_group) as obedient:
            tell(obedient, 30 * MIB)
            assert source.wait(LONG) is not None


@pytest.mark.alone("children that thrash, which all of the machine feels")
class TestPsi:
    """PSI triggers."""

    def test_thrashing(self, big_file: Path) -> None:
        """A child that thrashes causes events, in a thread and in asyncio."""

        async def main() -> str:
            event = await asyncio.wait_for(source.next_event(), LONG)
            return event.detail

        with (
            psi() as source,
            limited() as directory,
            running(THRASH, big_file, directory),
        ):
            event = source.wait(LONG)
            assert event is not None
            assert event.source == "PSI /proc/pressure/memory"
            assert event.detail.startswith("some: ")
            assert asyncio.run(main()).startswith("some: ")

    def test_a_reclaimer_hears_it(self, big_file: Path, domain: Domain) -> None:
        """Stalls of a child make a cache of this process give back."""
        given = threading.Event()
        cache: Cache[int, int] = Cache(on_evict=lambda *_: given.set(), domain=domain)
        cache.update((n, n) for n in range(10_000))
        with psi() as source, limited() as directory:
            reclaimer = Reclaimer(domain, source=source)
            with reclaimer, running(THRASH, big_file, directory):
                assert given.wait(LONG)
            heard = [x for x in reclaimer.history() if "stalled" in x.reason]
        assert any(record.freed for record in heard)

    def test_systemd_with_a_psi_file(self, big_file: Path) -> None:
        """As systemd does it, with a regular file: armed by what is written to it."""
        psi().close()
        # As systemd says it: "some 20000 2000000" and a NUL.
        environ = {WATCH: SYSTEM_WIDE, WRITE: "c29tZSAyMDAwMCAyMDAwMDAwAA=="}
        source = SystemdPressure.from_environment(environ)
        assert source is not None
        with (
            source,
            limited() as directory,
            running(THRASH, big_file, directory),
        ):
            event = source.wait(LONG)
            assert event is not None
            assert "kernel" in event.detail

    def test_pressure_of_a_group(self, v2_group: Path, big_file: Path) -> None:
        """memory.pressure of a group has events when a process in it thrashes."""
        pressure = v2_group / "memory.pressure"
        with (
            psi(pressure) as source,
            limited(v2_group) as directory,
            running(THRASH, big_file, *{directory, v2_group}),
        ):
            assert source.wait(LONG) is not None

    def test_removal(self, v2_group: Path) -> None:
        """When the group is removed the source is gone."""
        with psi(v2_group / "memory.pressure") as source:
            v2_group.rmdir()
            with pytest.raises(SourceGone):
                source.wait(LONG)

    def test_privilege(self) -> None:
        """Any window works with CAP_SYS_RESOURCE; the error says so."""
        psi().close()
        source = PsiTrigger(window=1.0)
        try:
            source.open()
        except OSError as error:
            assert "CAP_SYS_RESOURCE" in str(error)
        source.close()

    def test_one_trigger_for_each_descriptor(self) -> None:
        """A second trigger on the same open file is EBUSY; two sources are fine."""
        with psi() as first, psi():
            with pytest.raises(OSError, match="busy"):
                os.write(first._descriptor, b"some 150000 2000000\0")
            assert first.wait(0) is None or first.is_open

    def test_open_and_close_again(self) -> None:
        """Both are idempotent, and closing leaves no descriptor."""
        before = descriptors()
        source = psi()
        source.open()
        source.close()
        source.close()
        source.open()
        source.close()
        assert source.fileno() is None
        assert descriptors() == before


class TestAProcessThatIsMoved:
    """The source is that of the group that the process is in, not was in."""

    @pytest.mark.parametrize("removed", [False, True])
    def test_move(
        self, v2_group: Path, monkeypatch: pytest.MonkeyPatch, removed: bool
    ) -> None:
        """Whether the old group is kept or removed."""
        psi(v2_group / "memory.pressure").close()
        monkeypatch.delenv("MEMORY_PRESSURE_WATCH", raising=False)
        first, second = v2_group / "first", v2_group / "second"
        first.mkdir()
        second.mkdir()
        try:
            with running(MOVED, first, LONG) as child:
                assert f"{first}/memory.pressure" in tell(child, str(first))
                (second / "cgroup.procs").write_text(str(child.pid))
                if removed:
                    first.rmdir()
                assert f"{second}/memory.pressure" in tell(child, str(second))
        finally:
            for directory in (first, second):
                with contextlib.suppress(FileNotFoundError):
                    directory.rmdir()


class TestChangesOfAFile:
    """POLLPRI on the files of a version 2 group.

    ``cgroup.events`` has the form of ``memory.events`` and is announced in the same
    way, but there without a memory controller too.
    """

    @pytest.fixture
    def source(self, v2_group: Path) -> Iterator[MemoryEvents]:
        with MemoryEvents(v2_group / "cgroup.events") as source:
            yield source

    def test_counters(self, source: MemoryEvents, v2_group: Path) -> None:
        """A counter that grows is an event and is named; one that falls is none."""
        assert source.wait(0) is None
        with running("print('ready', flush=True); input()") as child:
            (v2_group / "cgroup.procs").write_text(str(child.pid))
            event = source.wait(LONG)
            assert event is not None
            assert event.detail == "populated +1"
        # The child is gone: a change, and no event.
        assert source.wait(0.1) is None

    def test_asyncio(self, source: MemoryEvents, v2_group: Path) -> None:
        """It wakes the loop of asyncio."""

        async def main() -> str:
            waiting = asyncio.ensure_future(source.next_event())
            await asyncio.sleep(0)
            (v2_group / "cgroup.procs").write_text(str(child.pid))
            return (await asyncio.wait_for(waiting, LONG)).detail

        with running("print('ready', flush=True); input()") as child:
            assert asyncio.run(main()) == "populated +1"

    def test_removal(
        self,
        source: MemoryEvents,
        v2_group: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The source is gone with its group, though the kernel does not say so."""
        assert source.due() is not None
        monkeypatch.setattr(memory_events, "CHECK_SECONDS", 0.01)
        source.read()
        v2_group.rmdir()
        with pytest.raises(SourceGone, match="No such device"):
            source.wait(LONG)

    def test_memory_events(self, v2_group: Path, big_file: Path) -> None:
        """memory.events itself, where the controller is there."""
        if not (v2_group / "memory.events").exists():
            pytest.skip("the memory controller is not in version 2 here")
        (v2_group / "memory.high").write_text(str(64 * MIB))
        with (
            MemoryEvents(v2_group / "memory.events") as source,
            running(THRASH, big_file, v2_group),
        ):
            event = source.wait(LONG)
            assert event is not None
            assert "high +" in event.detail


@pytest.mark.no_asan("freed memory is kept in quarantine, and each byte has a shadow")
@pytest.mark.alone("how late its reclaimer may be is up to the kernel's scheduler")
def test_a_service_with_entries_of_200_kb_lives() -> None:
    """In 256 MiB.  Where such an entry counts as a page, the kernel kills it."""
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("its allocator gives back too late what other threads free")
    with group(1) as directory:
        (directory / "memory.limit_in_bytes").write_text(str(256 * MIB))
        done = subprocess.run(
            [sys.executable, "-c", FILLS, directory],
            capture_output=True,
            text=True,
            timeout=2 * LONG,
            check=False,
        )
    assert done.returncode == 0, done
    assert int(done.stdout) > 35_000


def test_auto_on_this_machine() -> None:
    """The source is open, can be read, and has a reason."""
    with auto(environ={}) as source:
        assert source.is_open
        assert "works" in source.reason
        assert source.wait(0) is None or source.is_open
