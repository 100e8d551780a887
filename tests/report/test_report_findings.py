"""The findings: each is planted once, and none is seen in healthy recordings."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("numpy", reason="the report needs numpy")

from replay_support import DROP_CACHES, NUMA_KSWAPD, TRACES
from report_support import Writer

from shrinker.replay import bundled_recording
from shrinker.report import Finding, Report, Thresholds

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

NOFS = "GFP_NOFS"
HEALTHY = (
    bundled_recording(),
    DROP_CACHES,
    TRACES / "perf_script.txt.xz",
    TRACES / "hard" / "numa_drop_caches_6.12.txt.xz",
)


def found(
    path: str | os.PathLike[str], limits: Thresholds | None = None
) -> tuple[Finding, ...]:
    return Report.read([path], thresholds=limits).findings


def long_pass(writer: Writer) -> None:
    writer.add(count=5000, took_us=99_000, comm="cc1")
    writer.add(count=5000, scanned=128, took_us=240_000, comm="cc1")


def landed_work(writer: Writer) -> None:
    writer.add(
        count=13_000,
        before=66_000,
        asked=6500,
        scanned=6400,
        deferred=60_000,
        comm="cc1",
        pid=7,
    )


def windup(writer: Writer) -> None:
    writer.add(count=1100, before=469_000, asked=550, deferred=469_000)


def refused_work(writer: Writer) -> None:
    for n in range(100):
        writer.add(count=90_000, before=1000 * n, asked=500, gfp=NOFS, comm="cc1")


def half_at_once(writer: Writer) -> None:
    for n in range(10):
        # Half of the count at any priority: seeks is 0.
        count = 40_000 + n
        writer.add(count=count, delta=count // 2, scanned=count // 2, freed=90)


def one_caller_pays(writer: Writer) -> None:
    for pid, took in ((7, 90_000), (7, 90_000), (8, 60_000), (9, 20)):
        writer.add(comm="cc1", pid=pid, took_us=took)


def one_cache_pays(writer: Writer) -> None:
    for name, count, freed in (("a", 9000, 0), ("b", 9000, 11_000), ("c", 9000, 90)):
        writer.add(name, count=count, scanned=freed, asked=freed, freed=freed)


def fruitless_scans(writer: Writer) -> None:
    writer.add(count=5000, scanned=128, asked=128, freed=1, memcg=9)
    for n in range(100):
        # Of two groups: a run of each.
        writer.add(count=5000, scanned=128, asked=128, memcg=8 + n % 2)


def called_twice(writer: Writer) -> None:
    for _ in range(7):
        for name in ("a", "b", "b", "c"):
            writer.add(name, memcg=5)


def absurd_count(writer: Writer) -> None:
    writer.add(count=-1, delta=-2, asked=-2, deferred=-2, priority=0)


def storm(writer: Writer) -> None:
    for n in range(2000):
        writer.add(f"f{n % 2}", count=3, memcg=1 + n // 2 % 500, gap_us=400)


def small_cache(writer: Writer) -> None:
    for n in range(1100):
        writer.add(count=100, priority=5 if n < 100 else 12, gap_us=1000)


def idle_cost(writer: Writer) -> None:
    for _ in range(1000):
        writer.add(count=2, took_us=10, gap_us=1000)


PLANTED: tuple[Callable[[Writer], None], ...] = (
    long_pass,
    landed_work,
    windup,
    refused_work,
    half_at_once,
    one_caller_pays,
    one_cache_pays,
    fruitless_scans,
    called_twice,
    absurd_count,
    storm,
    small_cache,
    idle_cost,
)


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_planted(plant: Callable[[Writer], None], tmp_path: Path) -> None:
    """What is planted is found, with lines of it, and nothing else."""
    writer = Writer()
    plant(writer)
    (finding,) = found(writer.write(tmp_path))
    assert finding.kind == plant.__name__.replace("_", "-")
    assert finding.sentence.endswith(".")
    assert finding.look.endswith((".", "?"))
    assert finding.figures
    assert finding.lines
    for start, end in finding.lines:
        assert "mm_shrink_slab_start" in writer.lines[start - 1]
        assert "mm_shrink_slab_end" in writer.lines[end - 1]


@pytest.mark.parametrize("path", HEALTHY, ids=lambda path: path.name)
def test_no_false_alarm(path: Path) -> None:
    """Healthy recordings have no finding."""
    assert found(path) == ()


def kinds(path: Path) -> set[str]:
    return {finding.kind for finding in found(path)}


def test_known_in_real_recordings() -> None:
    """What is known of real recordings is found in them."""
    assert kinds(TRACES / "eras" / "5.10_kswapd.txt.xz") == {
        "long-pass",
        "landed-work",
        "windup",
        "one-caller-pays",
    }
    assert kinds(TRACES / "eras" / "5.10_numa_drop_caches.txt.xz") == {"windup"}
    assert kinds(TRACES / "memcg.txt.xz") == {"refused-work"}
    assert {"half-at-once", "fruitless-scans"} <= kinds(NUMA_KSWAPD)


def test_evidence_of_a_long_pass(tmp_path: Path) -> None:
    """The longest pass is named with its time, caller and lines."""
    writer = Writer()
    long_pass(writer)
    (finding,) = found(writer.write(tmp_path))
    assert finding.lines == ((3, 4),)
    assert finding.figures["longest_ns"] == 240_000_000
    assert finding.caller == "direct: cc1"
    assert "240 ms for 128 objects scanned, by direct: cc1" in finding.sentence


def test_windup_of_a_small_group(tmp_path: Path) -> None:
    """Groups of old kernels share a counter: the largest one's count is named."""
    writer = Writer()
    writer.add(count=50_000, before=22_000, asked=25_000, deferred=22_000)
    writer.add(count=1100, before=22_000, asked=550, deferred=22_000)
    writer.add(count=90_000, node=1)
    (finding,) = found(writer.write(tmp_path))
    assert finding.kind == "windup"
    assert (finding.figures["count"], finding.figures["count_max"]) == (1100, 50_000)
    assert "for 1.1k counted (at most 50k on that node)" in finding.sentence


def test_drop_caches_may_take_longer(tmp_path: Path) -> None:
    """A pass of drop_caches is long from a second on, and may take a whole cache."""
    for took_us, count in ((900_000, 0), (1_100_000, 1)):
        writer = Writer()
        writer.add(count=50_000, priority=0, scanned=50_000, comm="sh", took_us=took_us)
        assert len(found(writer.write(tmp_path))) == count


@pytest.mark.parametrize(
    ("count", "seeks_delta", "words"),
    [
        (
            -1,
            -2,
            "makes no scan call at all of it, and leaves a deferred counter of -2",
        ),
        (2**62, 2**63 - 1, "makes no scan call at all of it, and leaves"),
        (2**31 - 1, 2**32 - 2, "more than 1,000 scan calls"),
    ],
)
def test_what_the_core_does_of_absurd_counts(
    tmp_path: Path, count: int, seeks_delta: int, words: str
) -> None:
    """The finding says what the formula makes of the count."""
    writer = Writer()
    writer.add(count=count, delta=seeks_delta, asked=0, deferred=0, priority=0)
    absurd = [f for f in found(writer.write(tmp_path)) if f.kind == "absurd-count"]
    assert words in absurd[0].sentence


def test_absurd_count_without_priority(tmp_path: Path) -> None:
    """Kernels that print no priority are not computed again."""
    path = tmp_path / "old.txt"
    path.write_text(
        "mm_shrink_slab_start: f+0x0 1: nid: 0 objects to shrink 0 gfp_flags GFP_KERNEL"
        " pgs_scanned 32 lru_pgs 1000 cache items -1 delta 0 total_scan 0\n"
        "mm_shrink_slab_end: f+0x0 1: nid: 0 unused scan count 0 new scan count 0"
        " total_scan 0 last shrinker return val 0\n"
    )
    (finding,) = found(path)
    assert "as it is" in finding.sentence


def test_calls_of_two_groups_are_not_twice(tmp_path: Path) -> None:
    """Two calls in a row are two walks where memory cgroups are not recorded."""
    writer = Writer()
    for _ in range(7):
        for name in ("a", "b", "b", "c"):
            writer.add(name)
    assert found(writer.write(tmp_path)) == ()


def test_small_cache_all_or_nothing(tmp_path: Path) -> None:
    """A cache below a batch is asked for nothing, or for all that it has."""
    writer = Writer()
    for n in range(300):
        scanned = 100 if n % 20 == 19 else 0
        writer.add(count=100, priority=5, scanned=scanned, asked=scanned, freed=1)
    (finding,) = found(writer.write(tmp_path))
    assert finding.kind == "small-cache"
    assert "or for all that it has" in finding.sentence


def test_work_below_a_batch_is_not_refused(tmp_path: Path) -> None:
    """A pass that asks for less than the own batch of a shrinker is not refused."""
    # Asked for 1900 and 900 by callers that may do anything: 1024 of it, or none.
    for scanned, batch in (1024, 1024), (0, 2048):
        writer = Writer()
        writer.add(count=121_600, scanned=scanned, freed=scanned, priority=7)
        writer.add(count=57_600, before=1900 - scanned, priority=7)
        for n in range(200):
            writer.add(count=90_000, before=900 * n, asked=900, gfp=NOFS, comm="cc1")
        assert "refused-work" not in kinds(writer.write(tmp_path))
        for n in range(100):
            writer.add(count=90_000, before=900 * n, asked=batch, gfp=NOFS, comm="cc1")
        (finding,) = (
            f for f in found(writer.write(tmp_path)) if f.kind == "refused-work"
        )
        assert finding.figures["passes"] == 100


def test_half_at_once_because_of_deferred_work(tmp_path: Path) -> None:
    """A pass that deferred work made large is not put down to its priority."""
    writer = Writer()
    writer.add(count=25_600, before=66_000, asked=12_800, scanned=12_800, freed=12_800)
    (finding,) = found(writer.write(tmp_path))
    assert finding.kind == "half-at-once"
    assert finding.sentence.endswith("because 66k were deferred before.")
    assert "__GFP_FS" in finding.look


@pytest.mark.parametrize("others", [0, 60_000])
def test_own_deferred_work_is_not_of_others(tmp_path: Path, others: int) -> None:
    """Work that a task itself has deferred does not land on it, other tasks' does."""
    writer = Writer()
    for pid, count in ((8, others), (7, 6400)):
        writer.add(
            count=13_000, delta=count, gfp=NOFS, deferred=others, comm="cc1", pid=pid
        )
    writer.add(
        count=13_000,
        before=others + 6400,
        asked=6500,
        scanned=6400,
        comm="cc1",
        pid=7,
    )
    landed = "landed-work" in kinds(writer.write(tmp_path))
    assert landed == bool(others)


def test_own_deferred_work_after_that_of_others(tmp_path: Path) -> None:
    """A task that has done the work of others does not owe less of its own later."""
    writer = Writer()
    writer.add(count=13_000, delta=20_000, gfp=NOFS, deferred=20_000, comm="cc1", pid=8)
    writer.add(
        count=13_000,
        before=20_000,
        delta=0,
        asked=20_000,
        scanned=20_000,
        comm="cc1",
        pid=7,
    )
    writer.add(count=13_000, delta=6400, gfp=NOFS, deferred=6400, comm="cc1", pid=7)
    writer.add(
        count=13_000, before=6400, delta=0, asked=6400, scanned=6400, comm="cc1", pid=7
    )
    (landed,) = (
        each for each in found(writer.write(tmp_path)) if each.kind == "landed-work"
    )
    assert landed.figures["passes"] == 1


def test_storm_in_one_recorded_group(tmp_path: Path) -> None:
    """One memory cgroup that is recorded is not called unrecorded."""
    for memcg, words in (9, "1 memory cgroup and 1 shrinker;"), (None, "not recorded"):
        writer = Writer()
        for _ in range(2000):
            writer.add(count=3, memcg=memcg, gap_us=400)
        storms = [f for f in found(writer.write(tmp_path)) if f.kind == "storm"]
        assert words in storms[0].sentence


def test_thresholds_decide(tmp_path: Path) -> None:
    """A finding goes where its threshold is raised, and comes where it is lowered."""
    writer = Writer()
    writer.add(count=5000, scanned=128, took_us=60_000)
    path = writer.write(tmp_path)
    assert found(path) == ()
    assert [f.kind for f in found(path, Thresholds(long_pass_ms=60))] == ["long-pass"]
    assert found(path, Thresholds(long_pass_ms=61)) == ()


@pytest.mark.parametrize("path", [*HEALTHY, NUMA_KSWAPD], ids=lambda path: path.name)
def test_thresholds_of_0(path: Path) -> None:
    """With all thresholds at 0 there is much to find, and nothing fails."""
    limits = {field.name: 0 for field in dataclasses.fields(Thresholds)}
    assert found(path, Thresholds(**limits))


def test_thresholds_are_numbers_from_0() -> None:
    """A negative one and one that is no number are refused, whichever it is."""
    for field in dataclasses.fields(Thresholds):
        for value in (-1, float("nan")):
            with pytest.raises(ValueError, match=f"{field.name} must not be negative"):
                Thresholds(**{field.name: value})
