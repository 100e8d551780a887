"""``shrinker.report``: passes as columns, rows of figures."""

from __future__ import annotations

import zipfile

import pytest

pytest.importorskip("numpy", reason="the report needs numpy")

from typing import TYPE_CHECKING

from replay_support import CUT_LINE, DROP_CACHES, NUMA_KSWAPD, TRACES
from report_support import Writer

from shrinker import ShrinkSlabEnd, ShrinkSlabStart
from shrinker.replay import TraceReader, TraceRecord, bundled_recording, replay_file
from shrinker.report import Recording, Report

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> Recording:
    (recording,) = Report.read([path]).recordings
    return recording


def slowly(path: Path) -> list[tuple[TraceRecord, TraceRecord]]:
    """Return the passes of a file, paired one by one."""
    waiting: dict[tuple[int | None, str, int], TraceRecord] = {}
    pairs = []
    for record in TraceReader(path):
        key = record.pid, record.event.scan_function, record.event.pointer
        if isinstance(record.event, ShrinkSlabStart):
            waiting[key] = record
        elif start := waiting.pop(key, None):
            pairs.append((start, record))
    return sorted(pairs, key=lambda pair: pair[0].line)


@pytest.mark.parametrize("path", [DROP_CACHES, NUMA_KSWAPD, TRACES / "memcg.txt.xz"])
def test_columns_are_what_the_lines_say(path: Path) -> None:
    """Each pass has the fields of its two events, whatever chunk they came in."""
    passes = read(path).passes
    pairs = slowly(path)
    assert len(passes) == len(pairs) == replay_file(path).passes
    for columns, (first, second) in zip(passes, pairs, strict=True):
        start, end = first.event, second.event
        assert isinstance(start, ShrinkSlabStart)
        assert isinstance(end, ShrinkSlabEnd)
        assert columns[
            ["start_line", "end_line", "start_ns", "end_ns", "pid", "cpu", "node"]
        ].tolist() == (
            first.line,
            second.line,
            first.time,
            second.time,
            first.pid,
            first.cpu,
            start.nid,
        )
        assert columns[
            ["count", "before", "delta", "asked", "scanned", "freed", "deferred"]
        ].tolist() == (
            start.freeable,
            start.nr,
            start.delta,
            start.total_scan,
            start.total_scan - end.total_scan,
            end.retval,
            end.new_nr,
        )
        assert columns["priority"] == start.priority
        assert columns["gfp_mask"] == start.gfp_mask


def test_names_are_those_of_the_events() -> None:
    """A shrinker's number stands for its scan function and pointer."""
    recording = read(NUMA_KSWAPD)
    named = [recording.keys[number] for number in recording.passes["shrinker"]]
    events = [start.event for start, _ in slowly(NUMA_KSWAPD)]
    assert named == [(event.scan_function, event.pointer) for event in events]
    assert len(set(recording.shrinkers)) == len(recording.shrinkers)


def test_long_and_equal_names_are_told_apart(tmp_path: Path) -> None:
    """Names that differ in the last byte, or in the pointer alone, are two."""
    writer = Writer()
    for name, pointer in (("a" * 39, 1), ("a" * 38 + "b", 1), ("a" * 39, 2)):
        writer.add(name, pointer)
    recording = read(writer.write(tmp_path))
    assert recording.shrinkers == ("a" * 39 + " 1", "a" * 38 + "b", "a" * 39 + " 2")


def test_very_many_passes_at_once(tmp_path: Path) -> None:
    """However many have not ended, each start finds its own end."""
    tasks = 9000
    starts, ends = [], []
    for pid in range(tasks):
        writer = Writer()
        writer.add(count=100 + pid, pid=pid)
        starts.append(writer.lines[0])
        ends.append(writer.lines[1])
    path = tmp_path / "many.txt"
    path.write_text("".join(f"{line}\n" for line in starts + ends[::-1]))
    (recording,) = Report.read([path]).recordings
    passes = recording.passes
    assert passes["start_line"].tolist() == list(range(1, tasks + 1))
    assert passes["end_line"].tolist() == list(range(2 * tasks, tasks, -1))
    assert passes["pid"].tolist() == list(range(tasks))
    assert passes["count"].tolist() == list(range(100, 100 + tasks))


def test_row(tmp_path: Path) -> None:
    """Each figure of a row is the one that its passes give."""
    writer = Writer()
    writer.add(count=4096, priority=3, scanned=1024, freed=700, took_us=30)
    writer.add(count=100, took_us=10)
    writer.add(count=4096, priority=0, scanned=128, took_us=20, deferred=77)
    (row,) = Report.read([writer.write(tmp_path)]).shrinkers
    assert row.shrinker == "fake_scan"
    assert (row.passes, row.idle_passes, row.fruitless_passes) == (3, 1, 1)
    assert (row.count, row.count_max) == (4096, 4096)
    assert (row.asked, row.scanned, row.freed) == (1024 + 0 + 8192, 1152, 700)
    assert row.freed_per_scanned == 700 / 1152
    assert (row.last_freed_line, row.last_freed_ns) == (2, 30_000)
    assert (row.deferred, row.deferred_max) == (77, 77)
    assert row.time_ns == 60_000
    assert row.wall_share == 60 / 80
    assert (row.p50_ns, row.p99_ns, row.longest_ns) == (20_000, 30_000, 30_000)
    assert row.longest_lines == (1, 2)
    assert row.priorities == {0: 1, 3: 1, 12: 1}


def test_rows_by_everything_add_up(tmp_path: Path) -> None:
    """However passes are grouped, none is lost and none counted twice."""
    writer = Writer()
    for n in range(40):
        writer.add(f"f{n % 3}", node=n % 2, memcg=n % 5 + 1, scanned=n, freed=n // 2)
    report = Report.read([writer.write(tmp_path)])
    (whole,) = report.rows()
    for by in (["node"], ["memcg", "caller"], ["shrinker", "node", "memcg", "caller"]):
        rows = report.rows(*by)
        assert sum(row.passes for row in rows) == whole.passes == 40
        assert sum(row.scanned for row in rows) == whole.scanned == sum(range(40))
        groups = {tuple(getattr(row, name) for name in by) for row in rows}
        assert len(groups) == len(rows)
        assert None not in {part for group in groups for part in group}
    assert len(report.rows("shrinker", "node", "memcg")) == 30


def test_callers(tmp_path: Path) -> None:
    """Any kswapd, drop_caches by its walks, tasks by name, workers as one."""
    writer = Writer()
    for comm, pid, priority in (
        ("kswapd0", 1, 12),
        ("kswapd1", 2, 0),
        ("sh", 3, 0),
        ("cc1", 4, 1),
        ("cc1", 4, 0),
        ("kworker/0:1", 5, 3),
        ("kworker/u8:2", 6, 3),
        ("<...>", 7, 3),
    ):
        writer.add(comm=comm, pid=pid, priority=priority)
    report = Report.read([writer.write(tmp_path)])
    assert {row.caller: row.passes for row in report.callers} == {
        "kswapd": 2,
        "drop_caches": 1,
        "direct: cc1": 2,
        "direct: kworker": 2,
        "unknown": 1,
    }


def test_what_a_recording_lacks(tmp_path: Path) -> None:
    """Priority and time that no line has are empty or None, not 0."""
    path = tmp_path / "old.txt"
    path.write_text(
        "mm_shrink_slab_start: f+0x0 1: nid: 0 objects to shrink 0 gfp_flags GFP_KERNEL"
        " pgs_scanned 32 lru_pgs 1000 cache items 500 delta 31 total_scan 31\n"
        "mm_shrink_slab_end: f+0x0 1: nid: 0 unused scan count 0 new scan count 31"
        " total_scan 31 last shrinker return val 0\n"
    )
    report = Report.read([path])
    (row,) = report.rows("memcg", "caller")
    assert (row.caller, row.memcg) == ("unknown", 0)
    assert (row.time_ns, row.wall_share, row.p99_ns, row.longest_lines) == (None,) * 4
    assert row.freed_per_scanned is None
    assert row.priorities == {}


def test_absurd_sums_do_not_wrap(tmp_path: Path) -> None:
    """Sums near 2**63 are the numbers that they are."""
    writer = Writer()
    for _ in range(4):
        writer.add(count=2**62 - 1, asked=2**62, delta=2**62, deferred=0, priority=0)
    (row,) = Report.read([writer.write(tmp_path)]).rows()
    assert row.asked == 2**64


def test_several_recordings_stay_apart(tmp_path: Path) -> None:
    """Each file, and each member of an archive, has rows of its own."""
    writer = Writer()
    writer.add()
    path = writer.write(tmp_path)
    archive = tmp_path / "both.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(path, "one.txt")
        file.write(DROP_CACHES, "two.txt.xz")
    report = Report.read([archive, path])
    assert report.ok
    names = [recording.name for recording in report.recordings]
    assert names == [f"{archive}/one.txt", f"{archive}/two.txt.xz", str(path)]
    assert [row.passes for row in report.rows()] == [1, 71, 1]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file has an error; the others are there all the same."""
    bad = tmp_path / "bad.txt"
    bad.write_text(f"{CUT_LINE}\n")
    report = Report.read([tmp_path / "missing", bad, DROP_CACHES])
    assert not report.ok
    errors = [recording.replay.error for recording in report.recordings]
    assert errors == [
        "No such file or directory",
        "no shrinker event could be read",
        None,
    ]
    assert [row.passes for row in report.rows()] == [71]
    assert report.recordings[0].wall_ns == 0


def test_an_unknown_group_is_refused() -> None:
    """The error names what passes can be grouped by."""
    with pytest.raises(ValueError, match="shrinker, node, memcg, caller; got 'color'"):
        Report.read([bundled_recording()]).rows("color")
