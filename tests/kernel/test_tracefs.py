"""Instances of tracefs: made, set up and removed; on a directory that looks like it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from kernel_support import NO_PROCESS, FakeTracefs

from shrinker.kernel import tracefs as module
from shrinker.kernel.tracefs import (
    CALLERS,
    CONTEXT,
    SHRINKER_EVENTS,
    Instance,
    KernelError,
    Losses,
    default_buffer_bytes,
    find_tracefs,
)

if TYPE_CHECKING:
    from pathlib import Path

KIB = 1 << 10
MIB = 1 << 20


@pytest.fixture
def tracefs(tmp_path: Path) -> FakeTracefs:
    return FakeTracefs(tmp_path / "tracing")


def test_an_instance_is_set_up_and_removed(tracefs: FakeTracefs) -> None:
    """Buffer, clock and events are the instance's own; nothing stays."""
    before = {p: p.read_text() for p in tracefs.root.rglob("*") if p.is_file()}
    with Instance(tracefs, SHRINKER_EVENTS + CONTEXT, 2 * MIB) as instance:
        assert instance.path.name.startswith(f"shrinker-{os.getpid()}-")
        assert instance.events == SHRINKER_EVENTS, "the kernel has none of CONTEXT"
    (files,) = tracefs.removed
    assert files["buffer_size_kb"].startswith("2048")
    assert files["trace_clock"].startswith("mono")
    assert files["tracing_on"].startswith("0")
    enabled = {name for name, text in files.items() if text == "1"}
    assert enabled == {f"events/vmscan/{event}/enable" for event in SHRINKER_EVENTS}
    after = {p: p.read_text() for p in tracefs.root.rglob("*") if p.is_file()}
    assert after == before
    assert not instance.left_behind


def test_a_kernel_without_the_clock_keeps_its_own(tracefs: FakeTracefs) -> None:
    """Only a clock that the kernel lists is chosen."""
    tracefs.clocks = "[local] global monotone\n"
    with Instance(tracefs, SHRINKER_EVENTS, MIB):
        pass
    assert tracefs.removed[0]["trace_clock"] == tracefs.clocks


def test_a_kernel_without_the_events(tmp_path: Path) -> None:
    """Without the events of passes there is an error, and nothing stays."""
    tracefs = FakeTracefs(tmp_path / "tracing", CALLERS)
    with (
        pytest.raises(KernelError, match="no event vmscan:mm_shrink_slab_start"),
        Instance(tracefs, SHRINKER_EVENTS, MIB),
    ):
        pass
    assert not list(tracefs.instances.iterdir())


def test_short_of_memory_the_buffer_is_smaller(
    tracefs: FakeTracefs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel refuses what it has no memory for: half of it may do."""
    refused: list[str] = []
    write = Instance._write

    def short(self: Instance, file: str, value: str) -> None:
        if file == "buffer_size_kb" and int(value) > limit:
            refused.append(value)
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        write(self, file, value)

    monkeypatch.setattr(Instance, "_write", short)
    limit = 2048
    with Instance(tracefs, SHRINKER_EVENTS, 8 * MIB) as instance:
        assert instance.buffer_bytes == 2 * MIB
    assert refused == ["8192", "4096"]
    limit = 0
    with (
        pytest.raises(KernelError, match="Cannot allocate memory"),
        Instance(tracefs, SHRINKER_EVENTS, MIB),
    ):
        pass
    assert not list(tracefs.instances.iterdir())


def test_losses_are_the_sum_of_all_processors(tracefs: FakeTracefs) -> None:
    """Overwritten and dropped ones count, of each processor."""
    tracefs.stats = "entries: 9\noverrun: 3\ncommit overrun: 2\ndropped events: 7\n"
    with Instance(tracefs, SHRINKER_EVENTS, MIB) as instance:
        assert instance.losses() == Losses(overwritten=10, dropped=14)
        assert instance.losses().total == 24


def test_reading_ends_where_the_buffer_is_empty(tracefs: FakeTracefs) -> None:
    """It does not wait for more."""
    tracefs.text = "one\n"
    with Instance(tracefs, SHRINKER_EVENTS, MIB) as instance:
        assert b"".join(instance.read()) == b"one\n"
        assert b"".join(instance.read()) == b""
        tracefs.write("two\n")
        assert b"".join(instance.read()) == b"two\n"


def test_one_that_somebody_reads_stays_and_costs_nothing(
    tracefs: FakeTracefs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its events are off, its memory is freed, and the owner knows."""
    monkeypatch.setattr(module, "_REMOVE_WAIT_SECONDS", 0)
    with Instance(tracefs, SHRINKER_EVENTS, MIB) as instance:
        tracefs.busy.add(instance.path.name)
    assert instance.left_behind
    assert (instance.path / "events/enable").read_text().startswith("0")
    assert (instance.path / "buffer_size_kb").read_text().startswith("4")


def test_one_that_somebody_read_for_a_moment_is_removed(
    tracefs: FakeTracefs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again."""
    monkeypatch.setattr(time, "sleep", lambda _: tracefs.busy.clear())
    with Instance(tracefs, SHRINKER_EVENTS, MIB) as instance:
        tracefs.busy.add(instance.path.name)
    assert not instance.left_behind
    assert not instance.path.exists()


def test_one_that_another_process_removed(tracefs: FakeTracefs) -> None:
    """There is nothing left to do, and no error."""
    with Instance(tracefs, SHRINKER_EVENTS, MIB) as instance:
        tracefs._remove(instance.path)
    assert not instance.left_behind


def test_two_of_one_process(tracefs: FakeTracefs) -> None:
    """The second is refused, and the first goes on."""
    with Instance(tracefs, SHRINKER_EVENTS, MIB) as first:
        with (
            pytest.raises(KernelError, match="has one already"),
            Instance(tracefs, SHRINKER_EVENTS, MIB),
        ):
            pass
        assert first.path.exists()


def test_stale_instances(tracefs: FakeTracefs) -> None:
    """Those of processes that have ended go; others', and living ones', stay."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        start = module._start_of(child.pid)
        living, other = f"shrinker-{child.pid}-{start}", "shrinker-of-somebody"
        reused = f"shrinker-{child.pid}-{int(start or 0) - 1}"
        dead, read = f"shrinker-{NO_PROCESS}-5", f"shrinker-{NO_PROCESS}-6"
        for name in (living, other, reused, dead, read, "perf"):
            (tracefs.instances / name).mkdir()
        tracefs.busy.add(read)
        assert sorted(tracefs.remove_stale()) == sorted([reused, dead])
        left = {path.name for path in tracefs.instances.iterdir()}
        assert left == {living, other, read, "perf"}
        child.kill()
        deadline = time.monotonic() + 120
        while module._start_of(child.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert living in tracefs.remove_stale(), "also before its parent took note"
    finally:
        child.kill()
        child.communicate()


def test_fields_of_events(tracefs: FakeTracefs) -> None:
    """Whether an event names the memory cgroup is known before the first comes."""
    assert tracefs.has_field(SHRINKER_EVENTS[0], "memcg_id")
    assert not tracefs.has_field(SHRINKER_EVENTS[0], "memcg")
    assert not tracefs.has_field("mm_unknown", "memcg_id")


def test_finding_tracefs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that is mounted is taken; what is missing is said, and what to do."""
    tracefs = FakeTracefs(tmp_path / "tracing")
    places = (str(tmp_path / "none"), str(tracefs.root))
    assert find_tracefs(places).root == tracefs.root
    with pytest.raises(KernelError, match="not mounted: mount -t tracefs"):
        find_tracefs(places[:1])

    def forbidden(path: object) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", forbidden)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(KernelError, match="not permitted; run as root"):
        find_tracefs(places)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(KernelError, match="this root may not"):
        find_tracefs(places)


@pytest.mark.parametrize(
    ("pages", "processors", "expected"),
    [(1 << 18, 2, int(5.12 * MIB)), (1 << 24, 4, 8 * MIB), (1 << 15, 64, 512 * KIB)],
    ids=["1 GiB", "64 GiB", "128 MiB"],
)
def test_the_buffer_follows_memory(
    pages: int, processors: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All buffers together take 1 % of memory, each 512 KiB to 8 MiB."""
    sizes = {"SC_PHYS_PAGES": pages, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert default_buffer_bytes() == pytest.approx(expected, abs=64 * KIB)
