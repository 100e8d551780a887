"""Reading events: each form of a line, lines of real kernels, and damaged lines."""

from __future__ import annotations

import lzma
import random
import re
from typing import TYPE_CHECKING

import pytest
from replay_support import TRACES

from shrinker.events import ShrinkSlabEnd, ShrinkSlabStart
from shrinker.gfp import GFP
from shrinker.replay import TraceReader, read_events

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "            sh-2292    [001] .....   338.056654: "
START = ShrinkSlabStart(
    scan_function="super_cache_scan+0x0/0x210",
    pointer=0xBAE2D7FC,
    nid=1,
    nr=44,
    gfp_mask=GFP.NOFS | GFP.HIGHMEM,
    freeable=90345,
    delta=(1 << 64) - 3,
    total_scan=47,
    priority=12,
)
END = ShrinkSlabEnd(
    scan_function="tests.x.<locals>.Cache.scan_objects",
    pointer=0xFFFF88810004A300,
    nid=0,
    nr=-1,
    new_nr=88,
    total_scan=-5,
    retval=-1,
)


def test_events_read_back() -> None:
    """str() of an event is read as the same event, with and without its name."""
    for event in (START, END):
        assert list(read_events([str(event)])) == [event]
        assert list(read_events([f"{HEADER}{event.name}: {event}"])) == [event]
        assert list(read_events([f"{event.name}: {event}\n".encode()])) == [event]


def test_events_of_newer_kernels_read_back() -> None:
    """The pid and memory cgroup that newer kernels print are read back too."""
    event = ShrinkSlabEnd("f", 1, 0, 0, 0, 0, 0, pid=7, memcg_id=9)
    assert str(event).startswith("f 0000000000000001: nid: 0 pid: 7 memcg_id: 9 unused")
    assert list(read_events([str(event)])) == [event]


def test_record_has_the_header() -> None:
    """Task, processor and time are the line's; None where it has no header."""
    named = f"{START.name}: {START}"
    first, second = TraceReader([HEADER + named, named])
    assert (first.comm, first.pid, first.cpu) == ("sh", 2292, 1)
    assert first.time == 338_056_654_000
    assert (second.comm, second.pid, second.cpu, second.time) == ("", None, None, None)
    assert (first.line, second.line) == (1, 2)


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("drop_caches.txt.xz", 142),
        ("perf_script.txt.xz", 120),
        ("kswapd.txt.xz", 11900),
        ("memcg.txt.xz", 20000),
        ("hard/numa_drop_caches_6.12.txt.xz", 304),
        ("hard/numa_kswapd_6.1.txt.xz", 39888),
        ("hard/numa_memcg_6.12.txt.xz", 62518),
    ],
)
def test_every_line_of_real_recordings_is_read(name: str, events: int) -> None:
    """No line of a real recording is malformed, unknown or skipped."""
    reader = TraceReader(TRACES / name)
    assert sum(1 for _ in reader) == events
    counts = reader.counts
    assert counts.starts == counts.ends == events // 2
    assert counts.malformed_lines == counts.unknown_lines == counts.other_events == 0


@pytest.mark.parametrize("name", ["kswapd.txt.xz", "hard/numa_kswapd_6.1.txt.xz"])
def test_text_of_real_events_is_reproduced(name: str) -> None:
    """str() of an event is the kernel's text, except for the order of the flags.

    An older kernel numbers the flags differently, and so prints them in another order.
    """
    with lzma.open(TRACES / name, "rt") as file:
        payloads = [line.split(": ", 2)[2].rstrip() for line in file if line[0] != "#"]

    def plain(payload: str) -> str:
        before, flags, after = payload.partition(" gfp_flags ")
        names, _, rest = after.partition(" ")
        return f"{before}{flags}{'|'.join(sorted(names.split('|')))} {rest}"

    events = [plain(str(event)) for event in read_events(TRACES / name)]
    assert events == [plain(payload) for payload in payloads]


def names_of_flags() -> dict[str, int]:
    """Return names and values of flags as in a kernel's description of the event."""
    text = (TRACES.parent / "tracefs" / "mm_shrink_slab_start-6.18.txt").read_text()
    found = re.findall(r"\{\( unsigned long\)(\([^{}]*\)), \"(\w+)\"\}", text)
    plain = re.compile(r"\( gfp_t\)|UL")
    return {name: eval(plain.sub("", value)) for value, name in found}


def test_every_flag_of_a_real_kernel_is_read() -> None:
    """All names that Linux 6.18 prints are read, also those that str() never has."""
    names = names_of_flags()
    assert len(names) == 38
    assert {"GFP_TRANSHUGE", "GFP_TRANSHUGE_LIGHT", "GFP_DMA", "GFP_DMA32"} <= set(
        names
    )
    for name, value in names.items():
        text = f"f 1: nid: 0 objects to shrink 0 gfp_flags {name} cache items 1 delta 0"
        (event,) = read_events([f"{text} total_scan 0 priority 0"])
        assert isinstance(event, ShrinkSlabStart)
        assert event.gfp_mask == value, name


def test_last_line_needs_no_line_feed(tmp_path: Path) -> None:
    """The last line of a file is read with and without its line feed."""
    for ending in ("", "\n", "\r\n"):
        (tmp_path / "file").write_text(f"{HEADER}{END.name}: {END}{ending}")
        assert list(read_events(tmp_path / "file")) == [END]


def test_other_lines_are_counted() -> None:
    """Lost and other events, unknown and malformed lines have counts of their own."""
    text = [
        "# tracer: nop",
        "CPU:1 [LOST 42 EVENTS]",
        HEADER + "sched_switch: prev_comm=sh",
        "hello",
        "",
        HEADER + "mm_shrink_slab_end: cut",
        HEADER + f"{END.name}: {END}",
    ]
    reader = TraceReader(text)
    assert [record.line for record in reader] == [7]
    counts = reader.counts
    assert (counts.lost_events, counts.other_events) == (42, 1)
    assert (counts.unknown_lines, counts.malformed_lines) == (1, 1)
    assert (counts.lines, counts.starts, counts.ends) == (7, 0, 1)


def test_binary_garbage_is_harmless(tmp_path: Path) -> None:
    """Random bytes, with and without line feeds, are no events."""
    noise = random.Random(1).randbytes(3_000_000)  # noqa: S311
    (tmp_path / "noise").write_bytes(noise)
    (tmp_path / "long").write_bytes(noise.replace(b"\n", b"x") + b"\n")
    for name in ("noise", "long"):
        assert list(read_events(tmp_path / name)) == []


def test_overlong_line_is_one_malformed_line(tmp_path: Path) -> None:
    """A line of 3 MB is skipped in chunks; the line after it is read."""
    good = f"{HEADER}{END.name}: {END}\n".encode()
    (tmp_path / "long").write_bytes(b"x" * 3_000_000 + b"\n" + good)
    reader = TraceReader(tmp_path / "long")
    assert [record.line for record in reader] == [2]
    assert reader.counts.malformed_lines == 1
