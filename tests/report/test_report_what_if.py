"""``what_if``: recorded passes again, with other settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("numpy", reason="the report needs numpy")

from replay_support import DROP_CACHES, NUMA_KSWAPD, TRACES
from report_support import Writer

from shrinker.replay import bundled_recording
from shrinker.report import Recording, Report, what_if

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> Recording:
    (recording,) = Report.read([path]).recordings
    return recording


@pytest.mark.parametrize(
    "path",
    [
        bundled_recording(),
        DROP_CACHES,
        NUMA_KSWAPD,
        TRACES / "memcg.txt.xz",
        TRACES / "eras" / "5.10_kswapd.txt.xz",
    ],
    ids=lambda path: path.name,
)
def test_the_model_is_near_the_recording(path: Path) -> None:
    """With nothing changed, 95 % of what was scanned is scanned, in any era."""
    recording = read(path)
    scanned = modelled = 0
    for name in recording.by_shrinker:
        answer = what_if(recording, name)
        assert answer.model == answer.changed
        scanned += answer.recorded.scanned
        modelled += answer.model.scanned
    assert abs(modelled - scanned) <= 0.05 * scanned


def test_seeks_divide_the_work(tmp_path: Path) -> None:
    """Four times the seeks is a quarter of the work, and of what is freed."""
    writer = Writer()
    for _ in range(20):
        writer.add(count=8192, priority=4, scanned=1024, freed=512, took_us=2048)
    answer = what_if(read(writer.write(tmp_path)), "fake_scan", seeks=8)
    assert answer.model.scanned == answer.recorded.scanned == 20 * 1024
    assert answer.changed.scanned == 20 * 256
    assert answer.changed.scan_calls == 20 * 2
    assert answer.changed.freed == 20 * 128
    # Each pass freed half, so there is no doubt.
    assert answer.changed.freed_range == (20 * 128, 20 * 128)
    assert answer.changed.longest == 256
    assert answer.changed.longest_ns == 256 * 2000
    assert answer.changed.payers == {"kswapd": 20 * 256}
    json.dumps(answer.to_json())


def test_priority_and_batch(tmp_path: Path) -> None:
    """A more urgent priority doubles the work; a large batch defers it."""
    writer = Writer()
    for _ in range(20):
        writer.add(count=8192, priority=4, scanned=1024, freed=512)
    recording = read(writer.write(tmp_path))
    urgent = what_if(recording, "fake_scan", priority_change=-1)
    assert urgent.changed.scanned == 2 * urgent.model.scanned
    large = what_if(recording, "fake_scan", batch=100_000)
    assert large.changed.scanned == 0
    assert large.changed.idle_passes == 20
    assert large.changed.deferred_max == 2 * 8192


def test_refused_passes_stay_refused(tmp_path: Path) -> None:
    """Callers that might not enter filesystems do not scan in the model, either."""
    writer, before = Writer(), 0
    for _ in range(20):
        writer.add(count=8192, priority=4, before=before, gfp="GFP_NOFS")
        before = min(before + 1024, 2 * 8192)
    answer = what_if(read(writer.write(tmp_path)), "fake_scan", seeks=1)
    assert answer.model.scanned == answer.changed.scanned == 0
    assert answer.model.deferred_max == answer.recorded.deferred_max
    assert answer.changed.freed_range == (0, 0)
    assert answer.changed.longest_ns is None


def test_refusals_of_small_batches_and_caches(tmp_path: Path) -> None:
    """What is refused is told by the shrinker's own batch, or its whole count."""
    writer, before = Writer(), 0
    for _ in range(10):
        writer.add(count=768, priority=4, scanned=96, freed=96)
    for _ in range(10):
        writer.add(count=768, priority=4, before=before, gfp="GFP_NOFS")
        before += 96
    writer.add("tiny_scan", count=8, priority=0, gfp="GFP_NOFS")
    recording = read(writer.write(tmp_path))
    answer = what_if(recording, "fake_scan")
    assert answer.model.scanned == answer.recorded.scanned == 10 * 96
    assert answer.model.deferred_max == answer.recorded.deferred_max == 10 * 96
    assert what_if(recording, "tiny_scan").model.scanned == 0


def test_one_pass_for_all_groups(tmp_path: Path) -> None:
    """Not memcg-aware: a pass for each walk of the machine, over all that it counts."""
    writer = Writer()
    # A group's 64 objects are less than a batch: none is scanned.  The 256 of all are
    # two batches: each is scanned.
    for _ in range(2):
        for memcg in (1, 20, 30, 40):
            writer.add(count=512, priority=4, memcg=memcg)
    # No root: nothing says that it is not the limit of a group.
    writer.add(count=4096, priority=4, scanned=512, memcg=20, comm="cc1", pid=7)
    # The other shrinker's root pass shows a walk of the machine.
    writer.add("other_scan", count=1, priority=4, memcg=1, comm="ld", pid=8)
    writer.add(
        count=1024, priority=4, scanned=128, freed=64, memcg=30, comm="ld", pid=8
    )
    recording = read(writer.write(tmp_path))
    answer = what_if(recording, "fake_scan", memcg_aware=False)
    assert answer.recorded.passes == answer.model.passes == 10
    assert answer.recorded.payers == {"direct: cc1": 512, "direct: ld": 128}
    assert answer.changed.passes == 3
    assert answer.changed.payers == {"kswapd": 2 * 256, "direct: ld": 128}
    assert answer.changed.idle_passes == 0
    assert len(answer.assumptions) == 1
    # That one is not memcg-aware as it is.
    other = what_if(recording, "other_scan", memcg_aware=False)
    assert other.changed == other.model
    assert other.assumptions == ()


def test_walks_begin_again(tmp_path: Path) -> None:
    """A walk ends where a group, or the root, is asked again."""
    writer = Writer()
    # Three walks: 1,024 objects, 512, and 2,560.
    for memcg in (20, 30, 20, 1):
        writer.add(count=512, priority=4, memcg=memcg)
    writer.add(count=2048, priority=4, scanned=256, memcg=20)
    answer = what_if(read(writer.write(tmp_path)), "fake_scan", memcg_aware=False)
    assert answer.changed.passes == 3
    assert answer.changed.scanned == 128 + 0 + 256
    assert answer.changed.deferred_max == 64 + 320 - 256


def test_walks_for_limits_alone(tmp_path: Path) -> None:
    """Not memcg-aware: nothing is left where only limits were short."""
    writer = Writer()
    for _ in range(3):
        writer.add(count=4096, priority=4, scanned=512, memcg=20, comm="cc1")
    answer = what_if(read(writer.write(tmp_path)), "fake_scan", memcg_aware=False)
    assert (answer.changed.passes, answer.changed.scanned) == (0, 0)
    assert answer.changed.payers == {}


def test_a_pass_for_each_group(tmp_path: Path) -> None:
    """Memcg-aware: even shares, which limits reclaim too; freed ones are gone."""
    writer = Writer()
    writer.add(count=8192, priority=4, scanned=1024, freed=512, memcg=1)
    for memcg in (1, 20):
        writer.add("aware_scan", count=1, priority=4, memcg=memcg)
    writer.add("aware_scan", count=1, priority=4, memcg=20, comm="cc1", pid=7)
    # Nothing is known of this node.
    writer.add("aware_scan", count=99, priority=4, memcg=20, node=1, comm="cc1", pid=7)
    recording = read(writer.write(tmp_path))
    answer = what_if(recording, "fake_scan", memcg_aware=True)
    assert answer.changed.passes == 3
    # Group 20 has 4096, of which 256 are gone then: 480 to scan, and 96 left.
    assert answer.changed.payers == {"kswapd": 2 * 512, "direct: cc1": 384}
    assert answer.changed.deferred_max == 96
    assert len(answer.assumptions) == 1
    aware = what_if(recording, "aware_scan", memcg_aware=True)
    assert aware.changed == aware.model


def test_groups_do_not_make_a_refusing_shrinker_scan(tmp_path: Path) -> None:
    """A shrinker that refused callers without __GFP_FS refuses them in any group."""
    writer = Writer()
    for memcg in (1, 20):
        writer.add(
            count=4096, priority=4, memcg=memcg, gfp="GFP_NOFS", comm="cc1", pid=7
        )
    answer = what_if(read(writer.write(tmp_path)), "fake_scan", memcg_aware=False)
    assert answer.changed.scanned == 0
    assert answer.changed.deferred_max == 1024


def test_groups_are_not_known(tmp_path: Path) -> None:
    """A recording without memory cgroups cannot say what awareness would change."""
    writer = Writer()
    writer.add()
    with pytest.raises(ValueError, match="memory cgroups"):
        what_if(read(writer.write(tmp_path)), "fake_scan", memcg_aware=True)


def test_a_thread_of_its_own(tmp_path: Path) -> None:
    """Callers do not wait; what they may not do is done, one after the other."""
    writer = Writer()
    writer.add(count=8192, priority=4, scanned=1024, freed=512, took_us=2048)
    for before in (0, 1024):
        writer.add(
            count=8192,
            priority=4,
            before=before,
            gfp="GFP_NOFS",
            took_us=8,
            comm="cc1",
            pid=7,
        )
    recording = read(writer.write(tmp_path))
    answer = what_if(recording, "fake_scan", own_thread=True)
    assert answer.recorded.payers == answer.model.payers == {"kswapd": 1024}
    assert answer.recorded.callers_ns == answer.model.callers_ns == 2_064_000
    assert answer.recorded.late_ns == 2_048_000
    assert answer.changed.payers == {"thread": 3 * 1024}
    assert answer.changed.freed == 3 * 512
    assert answer.changed.callers_ns == 0
    # The second is asked at 2,058 us and done at 4,106; the third asked at 2,076.
    assert answer.changed.late_ns == 4_106_000 + 2_048_000 - 2_076_000
    assert len(answer.assumptions) == 1


def test_a_thread_without_times(tmp_path: Path) -> None:
    """Without times nothing is said of them."""
    writer = Writer()
    writer.add(count=8192, priority=4, scanned=1024, freed=512)
    writer.add("idle_scan", count=1)
    path = writer.write(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("".join(line[line.index("mm_") :] + "\n" for line in lines))
    answer = what_if(read(path), "fake_scan", own_thread=True)
    assert answer.recorded.callers_ns is answer.model.callers_ns is None
    assert answer.changed.late_ns is None
    assert answer.changed.payers == {"thread": 1024}
    assert what_if(read(path), "idle_scan").model.callers_ns is None


def test_the_yield_has_a_range(tmp_path: Path) -> None:
    """A yield that differs from pass to pass is uncertain."""
    writer = Writer()
    for n in range(20):
        writer.add(count=8192, priority=4, scanned=1024, freed=1024 * (n % 2))
    answer = what_if(read(writer.write(tmp_path)), "fake_scan")
    low, high = answer.model.freed_range
    assert low < answer.model.freed == 20 * 512 < high
    assert high - low < 20 * 1024


def test_a_pass_that_would_not_end(tmp_path: Path) -> None:
    """A count of which the formula makes endless scans is cut, and does not hang."""
    writer = Writer()
    writer.add(count=-(2**62), delta=0, asked=0, deferred=0, priority=0)
    answer = what_if(read(writer.write(tmp_path)), "fake_scan")
    assert answer.model.scan_calls is not None


def test_command(tmp_path: Path) -> None:
    """--what-if prints a table within 80 columns; wrong changes are refused."""
    pytest.importorskip("click", reason="the command line needs click")
    pytest.importorskip("rich", reason="the command line prints with rich")
    from cli_support import run  # noqa: PLC0415 - only here

    writer = Writer()
    for _ in range(20):
        writer.add(count=8192, priority=4, scanned=1024, freed=512)
        writer.add("never_scanned", count=1)
    path = writer.write(tmp_path)
    result = run("report", "--what-if", "seeks=8", "--what-if", "era=C", path)
    assert result.returncode == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["fake_scan", "recorded", "20.5k", "0", "1.02k"] in [r[:5] for r in rows]
    assert ["changed", "5.12k", "0", "256"] in [r[:4] for r in rows]
    assert "never_scanned" not in result.stdout
    words = " ".join(result.stdout.split())
    assert "Not shown: 1 shrinker without anything scanned" in words
    assert "Each shrinker is changed by itself" in words
    assert max(map(len, result.stdout.splitlines())) <= 80
    result = run("report", "--what-if", "own_thread=yes", path)
    assert "Changed: 20 passes, 100 % scanned by thread" in result.stdout
    assert "A thread of its own: " in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    result = run("report", "--what-if", "own_thread=no", path)
    assert "thread" not in result.stdout
    wrongs = ("color=1", "seeks=x", "batch=1.5", "era=Z", "seeks=99999999999")
    for wrong in (*wrongs, "own_thread=maybe", "memcg_aware=1", "memcg_aware=no"):
        assert run("report", "--what-if", wrong, path).returncode == 2
    assert run("report", "--what-if", "seeks=8", "--json", path).returncode == 2


def test_what_is_refused(tmp_path: Path) -> None:
    """An unknown shrinker, settings that no pass has, and era A."""
    writer = Writer()
    writer.add()
    recording = read(writer.write(tmp_path))
    with pytest.raises(KeyError):
        what_if(recording, "other_scan")
    with pytest.raises(ValueError, match="seeks"):
        what_if(recording, "fake_scan", seeks=2**40)
    for name in ("own_thread", "memcg_aware"):
        bad: Any = {name: "no"}
        with pytest.raises(TypeError, match=f"{name} must be a bool, not str"):
            what_if(recording, "fake_scan", **bad)
    path = tmp_path / "old.txt"
    path.write_text(
        "mm_shrink_slab_start: f+0x0 1: nid: 0 objects to shrink 0 gfp_flags GFP_KERNEL"
        " pgs_scanned 32 lru_pgs 1000 cache items 500 delta 31 total_scan 31\n"
        "mm_shrink_slab_end: f+0x0 1: nid: 0 unused scan count 0 new scan count 31"
        " total_scan 31 last shrinker return val 0\n"
    )
    with pytest.raises(ValueError, match="era A"):
        what_if(read(path), "f")
