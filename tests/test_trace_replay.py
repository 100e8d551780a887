"""Replay of recordings: what comes out exact, and what is said of the rest."""

from __future__ import annotations

import json
import lzma
import re
import resource
import shutil
from pathlib import Path

import pytest

from shrinker.trace import SeeksFit, replay_file, replay_files
from shrinker.trace.negative_control import FIELDS, Recording, negative_control

TRACES = Path(__file__).parent / "data" / "traces"
PLAIN = ["drop_caches.txt.xz", "perf_script.txt.xz", "kswapd.txt.xz", "memcg.txt.xz"]
HARD = sorted(f"hard/{path.name}" for path in (TRACES / "hard").iterdir())


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
    """Every pass of the recordings of one-node machines is exact."""
    result = replay_file(TRACES / name)
    assert result.passes == result.exact == result.arithmetic_exact == passes
    assert (result.overlaps, result.adopted) == (overlaps, adopted)
    assert result.inexact == result.orphan_starts == result.orphan_ends == 0
    assert result.problems == ()
    assert result.error is None


@pytest.mark.parametrize(
    ("name", "passes", "reasons"),
    [
        ("hard/numa_drop_caches_6.12.txt.xz", 152, {}),
        ("hard/numa_kswapd_6.1.txt.xz", 19944, {"new counter: print order": 3}),
        (
            "hard/numa_memcg_6.12.txt.xz",
            31259,
            {"new counter: print order, late start": 5},
        ),
    ],
)
def test_hard_recordings_leave_named_counters(
    name: str, passes: int, reasons: dict[str, int]
) -> None:
    """The arithmetic of every pass is exact; what is left is named with a line."""
    result = replay_file(TRACES / name)
    assert result.passes == result.arithmetic_exact == passes
    assert result.inexact_reasons == reasons
    assert result.exact + result.inexact == passes
    assert len(result.problems) == result.inexact
    assert all("print order" in problem.reason for problem in result.problems)


def test_numa_unaware_shrinkers_are_recognised() -> None:
    """Only one set of counters for all nodes explains these three."""
    result = replay_file(TRACES / "hard/numa_kswapd_6.1.txt.xz")
    aware = {(s.scan_function.split("+")[0], s.numa_aware) for s in result.shrinkers}
    assert ("kfree_rcu_shrink_scan", False) in aware
    assert ("ext4_es_scan", False) in aware
    assert ("jbd2_journal_shrink_scan", False) in aware
    assert ("super_cache_scan", False) not in aware


@pytest.mark.parametrize("name", PLAIN + HARD)
def test_intervals_hold_the_true_values(name: str) -> None:
    """Seeks is 0 or 2 and batch 1,024 for filesystems, else 128, as on Linux."""
    for shrinker in replay_file(TRACES / name).shrinkers:
        batch = 1024 if shrinker.scan_function.startswith("super_cache") else 128
        low, high = shrinker.seeks.interval
        if low is not None and high is not None:
            assert low <= 0 <= high or low <= 2 <= high
        for low, high in (shrinker.batch, shrinker.batch_unstopped):
            if low is not None and high is not None:
                assert low <= batch <= high


@pytest.mark.parametrize(
    ("fit", "interval"),
    [
        (SeeksFit(), (None, None)),
        (SeeksFit(2, 2, zero=False), (2, 2)),
        (SeeksFit(1, 9, zero=True), (0, 9)),
        (SeeksFit(8, 8, zero=True), (0, 0)),
        (SeeksFit(2, 3, zero=True), (2, 3)),
        (SeeksFit(5, 4, zero=True), (0, 0)),
        (SeeksFit(5, 4, zero=False), (None, None)),
        (SeeksFit(1, 2**32 - 1, zero=False), (1, 2**32 - 1)),
    ],
)
def test_seeks_interval(fit: SeeksFit, interval: tuple[int | None, int | None]) -> None:
    """One closed interval is made of divisors and the seeks 0 beside them."""
    assert fit.interval == interval


def test_negative_control() -> None:
    """Damage to any field is found, but to those that nothing depends on.

    The fields at 0 are documented in docs/replay.md; the others must not sink
    to it.
    """
    recording = Recording(TRACES / "drop_caches.txt.xz")
    found: dict[tuple[str, str], list[bool]] = {}
    for event, field, _, hit in negative_control(recording, sample=20, seed=3):
        found.setdefault((event, field), []).append(hit)
    assert set(found) == {(e, f) for e, fields in FIELDS.items() for f in fields}
    for (event, field), hits in found.items():
        share = sum(hits) / len(hits)
        if field in ("gfp_mask", "retval"):
            assert share == 0
        elif (event, field) in {
            ("start", "freeable"),
            ("start", "priority"),
            ("end", "total_scan"),
        }:
            assert share > 0.3, (event, field)
        else:
            assert share == 1, (event, field)


def damaged(tmp_path: Path, replacement: str) -> Path:
    with lzma.open(TRACES / "drop_caches.txt.xz", "rt") as file:
        lines = file.readlines()
    lines[20] = replacement
    path = tmp_path / "damaged"
    path.write_text("".join(lines))
    return path


def test_malformed_line_is_named(tmp_path: Path) -> None:
    """A line that is cut costs one pass, and is named with its number."""
    result = replay_file(damaged(tmp_path, "  sh-1 [000] ..... 1.0: mm_shrink_slab_\n"))
    assert result.malformed_lines == 1
    assert result.passes == result.exact == 70
    assert result.orphan_starts + result.orphan_ends == 1
    assert result.problems[0].line in (20, 21, 22)
    assert any(p.line == 21 and "malformed" in p.reason for p in result.problems)
    assert result.error is None


def test_impossible_delta_of_a_first_event_is_named(tmp_path: Path) -> None:
    """Nothing precedes it, and no seeks gives its delta: both are said as they are."""
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


def test_flawless_is_stricter_than_ok(tmp_path: Path) -> None:
    """A recording that was read, but in which something is not as it should be."""
    good = replay_files([TRACES / "drop_caches.txt.xz"])
    assert good.ok
    assert good.flawless
    line = "CPU:0 [LOST 17 EVENTS]\n"
    for path in (TRACES / "hard" / "numa_kswapd_6.1.txt.xz", damaged(tmp_path, line)):
        result = replay_files([path])
        assert result.ok
        assert not result.flawless
    assert not replay_files([tmp_path / "none"]).flawless


def test_losses_are_counted(tmp_path: Path) -> None:
    """Events are lost as the trace says, and cost no more than their passes."""
    result = replay_file(damaged(tmp_path, "CPU:0 [LOST 17 EVENTS]\n"))
    assert result.lost_events == 17
    assert result.malformed_lines == 0
    assert result.exact == 70


def test_recording_that_breaks_off(tmp_path: Path) -> None:
    """What has not ended at the end is alone; the last line needs no line feed."""
    with lzma.open(TRACES / "drop_caches.txt.xz", "rt") as file:
        text = file.read()
    path = tmp_path / "file"
    path.write_text(text.rstrip("\n"))
    assert replay_file(path).exact == 71
    path.write_text(text.rstrip("\n").rpartition("\n")[0])
    result = replay_file(path)
    assert (result.exact, result.orphan_starts) == (70, 1)
    assert "start without an end" in result.problems[0].reason


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "empty"),
        (b"# tracer: nop\n", "no trace"),
        (b"Dear reader,\n", "no trace"),
        (b"  sh-1 [000] ..... 1.0: sched_switch: x\n", "without events"),
        (b"mm_shrink_slab_start: cut\n", "could be read"),
        (b"\x00\xff" * 100_000, "could be read"),
    ],
)
def test_what_is_no_trace_is_said(tmp_path: Path, content: bytes, error: str) -> None:
    """A file without any event of a shrinker is an error that is named."""
    path = tmp_path / "file"
    path.write_bytes(content)
    result = replay_file(path)
    assert result.error is not None
    assert error in result.error
    assert result.events == result.passes == 0
    assert result.problems[0].line is None


def test_unreadable_files_do_not_stop_others(tmp_path: Path) -> None:
    """Missing, damaged and strange files are named; the good one is replayed."""
    data = (TRACES / "kswapd.txt.xz").read_bytes()
    (tmp_path / "cut").write_bytes(data[: len(data) // 2])
    (tmp_path / "bad").write_bytes(data[:6] + b"garbage" * 100)
    bad = [tmp_path / "none", tmp_path, tmp_path / "cut", tmp_path / "bad"]
    result = replay_files([*bad, TRACES / "drop_caches.txt.xz"])
    assert not result.ok
    assert [file.error is None for file in result.files] == [False] * 4 + [True]
    assert result.files[4].exact == 71
    # What stands before the damage counts.
    assert result.files[2].exact > 1000
    named = {p.file for p in result.total.problems if p.line is None}
    assert named == {str(path) for path in bad}


def test_problems_are_bounded(tmp_path: Path) -> None:
    """Problems beyond a limit are counted, not kept."""
    path = tmp_path / "file"
    lonely = (
        "f 1: nid: 0 unused scan count 0 new scan count 0 total_scan 0"
        " last shrinker return val 0\n"
    )
    path.write_text("mm_shrink_slab_end: cut\n" * 5000 + lonely * 100)
    result = replay_file(path)
    assert (result.malformed_lines, result.orphan_ends) == (5000, 100)
    assert len(result.problems) == 1000
    assert result.problems_omitted == 4100


def test_files_are_added_up() -> None:
    """The total is the sum of the files; each is a recording of its own."""
    path = TRACES / "drop_caches.txt.xz"
    result = replay_files([path, path, TRACES / "perf_script.txt.xz"])
    total = result.total
    assert total.passes == total.exact == 71 * 2 + 60
    assert total.adopted == 2 + 11
    assert sum(shrinker.passes for shrinker in total.shrinkers) == total.passes
    assert len(total.shrinkers) < sum(len(file.shrinkers) for file in result.files)


def test_json_is_as_documented() -> None:
    """The object has every documented key, and is JSON."""
    result = replay_files([TRACES / "kswapd.txt.xz"])
    data = json.loads(json.dumps(result.to_json()))
    counts = {
        "passes", "exact", "inexact", "overlaps", "adopted", "orphan_starts",
        "orphan_ends", "other_events", "malformed_lines", "lost_events",
        "events_per_second", "shrinkers",
    }  # fmt: skip
    assert counts | {"files", "problems"} <= data.keys()
    assert counts | {"file"} <= data["files"][0].keys()
    shrinker = data["shrinkers"][0]
    keys = {"scan_function", "pointer", "passes", "seeks", "batch"}
    assert keys <= shrinker.keys()
    assert shrinker["pointer"] == "0000000021243ffe"
    assert len(shrinker["seeks"]) == len(shrinker["batch"]) == 2


def example(language: str, *, beginning: str) -> str:
    """Return the block of docs/replay.md that begins so."""
    page = (Path(__file__).parent.parent / "docs" / "replay.md").read_text()
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (block,) = [block for block in blocks if block.startswith(beginning)]
    return str(block)


def test_the_python_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """What docs/replay.md shows of ``shrinker.trace`` does what it says."""
    exec(example("python", beginning="from shrinker.trace"), {})  # noqa: S102
    assert capsys.readouterr().out == "5950 of 5950 passes exact\n"


def test_the_print_order_of_the_page_is_found(tmp_path: Path) -> None:
    """The example is what it is an example of, and its variant too."""
    path = tmp_path / "file"
    text = example("text", beginning=" a-1")
    path.write_text(text)
    result = replay_file(path)
    assert result.inexact_reasons == {"new counter: print order, late start": 1}
    assert (result.exact, result.problems[0].line) == (2, 6)
    path.write_text(text.replace(" 2.0001:", " 2.99995:"))
    assert replay_file(path).inexact_reasons == {"new counter: print order": 1}


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    """Fifty times the recording takes no more memory than five times."""
    with lzma.open(TRACES / "memcg.txt.xz") as file:
        data = file.read()
    path = tmp_path / "long"
    with path.open("wb") as file:
        for _ in range(5):
            file.write(data)
    replay_file(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with path.open("ab") as target:
        for _ in range(45):
            target.write(data)
    assert replay_file(path).passes == 500_000
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20 * 1024  # KiB; the file is 235 MB
    shutil.rmtree(tmp_path)
