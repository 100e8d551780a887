"""A directory that behaves as tracefs where our code looks, and the kernel's own."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from shrinker.kernel.tracefs import (
    CALLERS,
    SHRINKER_EVENTS,
    KernelError,
    Tracefs,
    find_tracefs,
)

DROP_CACHES = Path("/proc/sys/vm/drop_caches")
NO_PROCESS = 4_194_305
"""A pid that no process has: one more than the largest."""

HEADER = "{comm}-{pid} [000] ..... {time:.6f}: mm_shrink_slab_{kind}:"
SHRINKER = " {function}+0x0/0x10 {pointer:016x}: nid: {nid}"
MEMCG = " pid: {pid} memcg_id: {memcg}"
START = (
    " objects to shrink {nr} gfp_flags GFP_KERNEL cache items {freeable} delta {delta}"
    " total_scan {total} priority {priority}\n"
)
END = (
    " unused scan count {nr} new scan count {new} total_scan {left} last shrinker"
    " return val {freed}\n"
)
USUAL: dict[str, object] = {
    "pid": 7,
    "comm": "kswapd0",
    "pointer": 0xAB,
    "function": "super_cache_scan",
    "nid": 0,
    "nr": 0,
    "freeable": 1000,
    "delta": 100,
    "total": 100,
    "priority": 12,
    "new": 0,
    "left": 0,
    "freed": 100,
}


def start_line(time: float, **of: object) -> str:
    """Return a start as trace_pipe prints it; ``of`` differs from ``USUAL``."""
    return _line("start", START, of | {"time": time})


def end_line(time: float, **of: object) -> str:
    """Return an end, as ``start_line`` does."""
    return _line("end", END, of | {"time": time})


def _line(kind: str, rest: str, of: dict[str, object]) -> str:
    form = HEADER + SHRINKER + (MEMCG if "memcg" in of else "") + rest
    return form.format_map(USUAL | {"kind": kind} | of)


class FakeTracefs(Tracefs):
    """Instances are directories whose files appear and vanish with them."""

    def __init__(self, root: Path, events: tuple[str, ...] | None = None) -> None:
        super().__init__(root)
        self.events = SHRINKER_EVENTS + CALLERS if events is None else events
        self.text = ""
        """What the pipe of the next instance holds."""
        self.stats = "overrun: 0\ncommit overrun: 0\ndropped events: 0\n"
        self.clocks = "[local] global mono x86-tsc\n"
        self.busy: set[str] = set()
        """Instances that somebody reads."""
        self.removed: list[dict[str, str]] = []
        """The files that were written, of each instance at its removal."""
        self._pipe = -1
        (root / "instances").mkdir(parents=True)
        self._fill(root)

    def _fill(self, directory: Path) -> None:
        for event in self.events:
            folder = directory / "events/vmscan" / event
            folder.mkdir(parents=True)
            (folder / "enable").write_text("0")
            (folder / "format").write_text("field:int nid;\tfield:u64 memcg_id;\n")

    def _make(self, instance: Path) -> None:
        super()._make(instance)
        self._fill(instance)
        for file, text in (
            ("trace_clock", self.clocks),
            ("buffer_size_kb", "1408"),
            ("tracing_on", "1"),
            ("events/enable", "X"),
        ):
            (instance / file).write_text(text)
        for cpu in range(2):
            (instance / f"per_cpu/cpu{cpu}").mkdir(parents=True)
            (instance / f"per_cpu/cpu{cpu}/stats").write_text(self.stats)
        os.mkfifo(instance / "trace_pipe")
        # Open for writing too, so that an empty one is not at its end.
        self._pipe = os.open(instance / "trace_pipe", os.O_RDWR | os.O_NONBLOCK)
        assert os.write(self._pipe, self.text.encode()) == len(self.text)

    def write(self, text: str) -> None:
        """Let the kernel print more."""
        os.write(self._pipe, text.encode())

    def _remove(self, instance: Path) -> None:
        if instance.name in self.busy:
            raise OSError(errno.EBUSY, "busy")
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        files = [path for path in instance.rglob("*") if path.is_file()]
        self.removed.append(
            {str(path.relative_to(instance)): path.read_text() for path in files}
        )
        shutil.rmtree(instance)


def real_tracefs() -> Tracefs:
    """Return the machine's own; skip the test where there is none for us."""
    try:
        tracefs = find_tracefs()
    except KernelError as exc:
        pytest.skip(str(exc))
    if not tracefs.has_event(SHRINKER_EVENTS[0]):
        pytest.skip("the kernel has no events of shrinkers")
    if not os.access(tracefs.instances, os.W_OK):
        pytest.skip(f"{tracefs.instances} cannot be written")
    return tracefs


def drop_caches() -> None:
    """Have the kernel ask every shrinker; skip the test where that is not allowed."""
    try:
        DROP_CACHES.write_text("2")
    except OSError as exc:
        pytest.skip(f"{DROP_CACHES}: {exc.strerror}")
