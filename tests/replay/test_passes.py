"""Replaying recordings: which passes are exact, and what is reported of the others."""

from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from replay_support import (
    CUT_LINE,
    DROP_CACHES,
    NUMA_KSWAPD,
    ORPHAN_END,
    TRACES,
    lines,
    replace_line,
)

from shrinker._ffi import ffi, lib
from shrinker.replay import replay_file, replay_files, session

PLAIN = ["drop_caches.txt.xz", "perf_script.txt.xz", "kswapd.txt.xz", "memcg.txt.xz"]
HARD = sorted(f"hard/{path.name}" for path in (TRACES / "hard").iterdir())


def figures_of_the_page() -> list[list[str]]:
    """Return the cells of each row of docs/replay.md, "Figures"."""
    page = (Path(__file__).parents[2] / "docs" / "replay.md").read_text()
    table = page.partition("\n## Figures\n")[2].partition("\n|---")[2]
    rows = table.partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@pytest.mark.parametrize(
    ("name", "passes", "overlaps", "adopted"),
    [
        ("drop_caches.txt.xz", 71, 0, 1),
        ("perf_script.txt.xz", 60, 0, 11),
        ("kswapd.txt.xz", 5950, 8, 4),
        ("memcg.txt.xz", 10000, 0, 0),
    ],
)
def test_recordings_are_reproduced(
    name: str, passes: int, overlaps: int, adopted: int
) -> None:
    """Every pass on machines with one node is exact."""
    result = replay_file(TRACES / name)
    assert result.passes == result.exact == result.arithmetic_exact == passes
    assert (result.overlaps, result.adopted) == (overlaps, adopted)
    assert result.inexact == result.orphan_starts == result.orphan_ends == 0
    assert result.problems == ()
    assert result.error is None


@pytest.mark.parametrize(
    ("name", "passes", "reordered"),
    [
        ("eras/5.10_numa_drop_caches.txt.xz", 1634, 2),
        ("hard/numa_drop_caches_6.12.txt.xz", 152, 0),
        ("hard/numa_kswapd_6.1.txt.xz", 19944, 3),
        ("hard/numa_memcg_6.12.txt.xz", 31259, 7),
    ],
)
def test_an_order_of_the_lines_of_hard_recordings_is_found(
    name: str, passes: int, reordered: int
) -> None:
    """All passes are exact, also where lines stand in another order than counters
    changed; nothing is older than the recording."""
    result = replay_file(TRACES / name)
    assert result.passes == result.arithmetic_exact == result.exact == passes
    assert (result.reordered, result.merged, result.adopted) == (reordered, 0, 0)
    assert result.problems == ()


def test_numa_unaware_shrinkers_are_recognised() -> None:
    """Only one set of counters for all nodes explains the passes of these three."""
    result = replay_file(NUMA_KSWAPD)
    aware = {(s.scan_function.split("+")[0], s.numa_aware) for s in result.shrinkers}
    assert ("kfree_rcu_shrink_scan", False) in aware
    assert ("ext4_es_scan", False) in aware
    assert ("jbd2_journal_shrink_scan", False) in aware
    assert ("super_cache_scan", False) not in aware


@pytest.mark.parametrize("name", PLAIN + HARD)
def test_intervals_hold_the_true_values(name: str) -> None:
    """As on Linux: seeks is 0 or 2, batch is 1,024 for filesystems, else 128."""
    for shrinker in replay_file(TRACES / name).shrinkers:
        batch = 1024 if shrinker.scan_function.startswith("super_cache") else 128
        low, high = shrinker.seeks.interval
        if low is not None and high is not None:
            assert low <= 0 <= high or low <= 2 <= high
        for low, high in (shrinker.batch, shrinker.batch_unstopped):
            if low is not None and high is not None:
                assert low <= batch <= high


def test_malformed_line_is_named(tmp_path: Path) -> None:
    """A cut line costs one pass, and is named with its number."""
    cut = "  sh-1 [000] ..... 1.0: mm_shrink_slab_"
    result = replay_file(replace_line(tmp_path / "file", cut))
    assert result.malformed_lines == 1
    assert result.passes == result.exact == 70
    assert result.orphan_starts + result.orphan_ends == 1
    assert result.problems[0].line in (20, 21, 22)
    assert any(p.line == 21 and "malformed" in p.reason for p in result.problems)
    assert result.error is None


def test_impossible_delta_of_a_first_event_is_named(tmp_path: Path) -> None:
    """Without an earlier start, the reason is that no seeks gives the delta."""
    path = tmp_path / "file"
    path.write_text(
        "f 1: nid: 0 objects to shrink 0 gfp_flags GFP_KERNEL cache items 100 delta 24"
        " total_scan 24 priority 0\n"
        "f 1: nid: 0 unused scan count 0 new scan count 24 total_scan 24"
        " last shrinker return val 0\n"
    )
    result = replay_file(path)
    assert result.problems[0].reason == (
        "f 1: no seeks gives delta 24 for 100 cache items at priority 0"
        " (started in line 1)"
    )
    assert result.inexact_reasons == {"no seeks gives delta": 1}


def test_losses_are_counted(tmp_path: Path) -> None:
    """Lost events are counted as the recording reports them; they cost their passes."""
    lost = "CPU:0 [LOST 17 EVENTS]"
    result = replay_file(replace_line(tmp_path / "file", lost))
    assert result.lost_events == 17
    assert result.malformed_lines == 0
    assert result.exact == 70


def test_recording_that_breaks_off(tmp_path: Path) -> None:
    """A pass that has not ended is an orphan; the last line needs no line feed."""
    text = "".join(lines()).rstrip("\n")
    path = tmp_path / "file"
    path.write_text(text)
    assert replay_file(path).exact == 71
    path.write_text(text.rpartition("\n")[0])
    result = replay_file(path)
    assert (result.exact, result.orphan_starts) == (70, 1)
    assert "start without an end" in result.problems[0].reason


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "empty"),
        (b"# tracer: nop\n", "without shrinker events"),
        (b"Dear reader,\n", "not a recording"),
        (b"  sh-1 [000] ..... 1.0: sched_switch: x\n", "without shrinker events"),
        (b"mm_shrink_slab_start: cut\n", "could be read"),
        (b"\x00\xff" * 100_000, "could be read"),
    ],
)
def test_file_without_events_is_an_error(
    tmp_path: Path, content: bytes, error: str
) -> None:
    """The error of a file without shrinker events says what it holds instead."""
    path = tmp_path / "file"
    path.write_bytes(content)
    result = replay_file(path)
    assert result.error is not None
    assert error in result.error
    assert result.events == result.passes == 0
    assert result.problems[0].line is None


def test_unreadable_files_do_not_stop_others(tmp_path: Path) -> None:
    """Missing and damaged files are named; the good one is replayed."""
    data = (TRACES / "kswapd.txt.xz").read_bytes()
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])
    (tmp_path / "bad").write_bytes(data[:6] + b"garbage" * 100)
    bad = [tmp_path / "none", tmp_path, tmp_path / "cut", tmp_path / "bad"]
    result = replay_files([*bad, DROP_CACHES])
    assert not result.ok
    assert [file.error is None for file in result.files] == [False] * 4 + [True]
    assert result.files[4].exact == 71
    # The passes before the damage count.
    assert result.files[2].exact > 1000
    named = {p.file for p in result.total.problems if p.line is None}
    assert named == {str(path) for path in bad}


def test_problems_are_bounded(tmp_path: Path) -> None:
    """1,000 problems of lines are kept, the others counted."""
    path = tmp_path / "file"
    path.write_text(f"{CUT_LINE}\n" * 5000 + f"{ORPHAN_END}\n" * 100)
    result = replay_file(path)
    assert (result.malformed_lines, result.orphan_ends) == (5000, 100)
    assert len(result.problems) == 1 + 1000, "the first is of the file"
    assert result.problems_omitted == 4100


def test_the_python_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The Python example in docs/replay.md runs and prints its figure."""
    page = (Path(__file__).parents[2] / "docs" / "replay.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    exec(block, {})  # noqa: S102
    assert capsys.readouterr().out == "5950 of 5950 passes exact\n"


@pytest.mark.parametrize("row", figures_of_the_page(), ids=lambda row: row[0])
def test_the_figures_of_the_page(row: list[str]) -> None:
    """Each row of docs/replay.md, "Figures", is what the replay finds."""
    name, *counts, inexact = row
    result = replay_file(TRACES / f"{name}.txt.xz")
    reasons = [
        f"{count} {reason.removeprefix('new counter: ')}"
        for reason, count in result.inexact_reasons.items()
    ]
    names = ("passes", "overlaps", "adopted", "reordered")
    found = [f"{getattr(result, name):,}" for name in names]
    assert (found, reasons or ["0"]) == (counts, [inexact])


CONFIRMS = """\
 b-2 [001] ..... 4.0000: mm_shrink_slab_start: f 1: nid: 0 objects to shrink 8 \
gfp_flags GFP_KERNEL cache items 4096 delta 2 total_scan 2 priority 12
 b-2 [001] ..... 4.0001: mm_shrink_slab_end: f 1: nid: 0 unused scan count 8 \
new scan count 10 total_scan 2 last shrinker return val 0
"""
"""What follows the example: a pass that finds the 8 which the late one has left."""


def test_print_order(tmp_path: Path) -> None:
    """The example that docs/replay.md names has the reason that its comments give, and
    so has the variant.  With a line that confirms it, the order is found."""
    example = TRACES / "print_order.txt"
    result = replay_file(example)
    assert result.inexact_reasons == {"new counter: print order, late start": 1}
    assert (result.exact, result.problems[0].line) == (2, 12)
    path = tmp_path / "file"
    path.write_text(example.read_text().replace(" 2.0001:", " 2.99995:"))
    assert replay_file(path).inexact_reasons == {"new counter: print order": 1}
    path.write_text(example.read_text() + CONFIRMS)
    result = replay_file(path)
    assert (result.exact, result.reordered, result.inexact) == (4, 1, 0)


def test_progress(tmp_path: Path) -> None:
    """The callback gets the file's name and how many bytes have been read."""
    file = tmp_path / "file"
    file.write_text("# tracer: nop\n")
    told: list[tuple[str, int]] = []
    replay_files([str(file)], progress=lambda *where: told.append(where))
    assert told == [(str(file), 14)]


@pytest.mark.parametrize(
    ("function", "answer"), [("trace_replay_new", ffi.NULL), ("trace_replay_feed", -1)]
)
def test_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, answer: Any
) -> None:
    """Where the core has no memory, MemoryError is raised, and no result returned."""

    class Short:
        def __getattr__(self, name: str) -> Any:
            return (lambda *_: answer) if name == function else getattr(lib, name)

    file = tmp_path / "file"
    file.write_text(f"{ORPHAN_END}\n")
    monkeypatch.setattr(session, "lib", Short())
    with pytest.raises(MemoryError):
        replay_files([file])


# In a process of its own: the peak is not that of other tests.
GROWTH = """
import sys
from pathlib import Path
from shrinker.replay import replay_file

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])

short, long = sys.argv[1:]
replay_file(short)
before = peak()
print(replay_file(long).passes, peak() - before)
"""


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    """A recording repeated 50 times takes no more memory than repeated 5 times."""
    with lzma.open(TRACES / "memcg.txt.xz") as file:
        data = file.read()
    for name, times in ("short", 5), ("long", 50):
        with (tmp_path / name).open("wb") as target:
            for _ in range(times):
                target.write(data)
    # Of a sanitizer, which would keep 256 MB of freed memory.
    options = f"{os.environ.get('ASAN_OPTIONS', '')}:quarantine_size_mb=1"
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, tmp_path / "short", tmp_path / "long"],
        env=os.environ | {"ASAN_OPTIONS": options},
        capture_output=True,
        text=True,
        check=False,
    )
    shutil.rmtree(tmp_path)
    assert (done.stderr, done.returncode) == ("", 0)
    passes, grown = map(int, done.stdout.split())
    assert passes == 500_000
    assert grown < 20 * 1024  # KiB; the file is 235 MB
