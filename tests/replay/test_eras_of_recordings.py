"""Recordings of older kernels: the era is told from the fields and from what fits."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from replay_support import DROP_CACHES, TRACES, lines, write_recording

from shrinker import run_pass
from shrinker.replay import read_events, replay_file

if TYPE_CHECKING:
    from pathlib import Path

ERAS = {
    "C": ("C", "5.13 and later"),
    "B": ("B", "4.16 to 5.12"),
    "B-4.19": ("B", "4.19.y"),
    "A": ("A", "4.11 to 4.15"),
    "A-4.10": ("A", "up to 4.10"),
}


def recording(era: str, passes: int = 200, seed: int = 1) -> list[str]:
    """Return the lines of passes of one shrinker, as a kernel of that era makes them.

    Callbacks often stop, so that much work is deferred.
    """
    choose = random.Random(seed)  # noqa: S311 - numbers of a made-up recording
    text, counter = [], 0
    for number in range(passes):
        count = choose.randrange(1, 200_000)
        urgency: dict[str, Any] = {"priority": choose.randrange(4, 13)}
        printed = f"priority {urgency['priority']}"
        pages = ""
        if era.startswith("A"):
            urgency = {
                "pgs_scanned": choose.randrange(1, 64),
                "lru_pgs": choose.randrange(1000, 9000),
            }
            pages = " ".join(f"{name} {n}" for name, n in urgency.items()) + " "
            printed = ""
        done = run_pass(
            count,
            nr_deferred=counter,
            era=era,
            **urgency,
            scan=lambda n: (n // 2, n) if choose.random() < 0.7 else 2**64 - 1,
        )
        header = f"     kswapd0-45      [001] .....  {number}.000000: "
        shrinker = "super_cache_scan+0x0/0x1a0 00000000024acf00: nid: 0"
        text.append(
            f"{header}mm_shrink_slab_start: {shrinker} objects to shrink {counter}"
            f" gfp_flags GFP_KERNEL {pages}cache items {count} delta {done.delta}"
            f" total_scan {done.total_scan} {printed}".rstrip()
        )
        text.append(
            f"{header}mm_shrink_slab_end: {shrinker} unused scan count {counter}"
            f" new scan count {done.nr_deferred} total_scan {done.total_scan_left}"
            f" last shrinker return val {done.retval}"
        )
        counter = done.nr_deferred
    return text


@pytest.mark.parametrize("era", ERAS)
def test_the_era_is_told_from_what_fits(tmp_path: Path, era: str) -> None:
    """All passes are exact in the era that made them, and it is named."""
    path = tmp_path / "file"
    path.write_text("\n".join(recording(era)))
    result = replay_file(path)
    letter, kernels = ERAS[era]
    assert (result.passes, result.exact) == (200, 200)
    assert result.era == letter
    assert result.kernels == kernels
    assert result.shrinkers[0].seeks.lo <= 2 <= result.shrinkers[0].seeks.hi


@pytest.mark.parametrize("era", ERAS)
def test_changed_numbers_are_found_in_every_era(tmp_path: Path, era: str) -> None:
    """A changed total_scan, delta or counter makes a pass inexact in each era."""
    path = tmp_path / "file"
    whole = recording(era, passes=60)
    for word in ("delta", "total_scan", "objects to shrink", "new scan count"):
        for place in range(20, 30):
            before, found, after = whole[place].partition(f" {word} ")
            if not found:
                continue
            number, _, rest = after.partition(" ")
            changed = f"{before}{found}{int(number) + 3} {rest}".rstrip()
            path.write_text("\n".join([*whole[:place], changed, *whole[place + 1 :]]))
            result = replay_file(path)
            faults = result.inexact + result.orphan_starts + result.orphan_ends
            assert faults or word == "total_scan", (word, place)
            assert result.era == ERAS[era][0]


def test_recordings_of_5_10(tmp_path: Path) -> None:
    """Passes of a 5.10 kernel are exact in era B, and hardly any are in era C."""
    result = replay_file(TRACES / "eras" / "5.10_kswapd.txt.xz")
    assert (result.passes, result.exact) == (2187, 2187)
    assert (result.era, result.kernels) == ("B", "4.16 to 5.12")
    assert result.to_json()["era"] == "B"
    forced = replay_file(TRACES / "eras" / "5.10_kswapd.txt.xz", era="C")
    assert forced.era == "C"
    assert forced.exact < 1400
    numa = replay_file(TRACES / "eras" / "5.10_numa_drop_caches.txt.xz")
    assert numa.era == "B"
    assert numa.arithmetic_exact == numa.passes == 1634
    assert "start and end differ in nid" not in numa.inexact_reasons


def test_the_era_of_a_recording_may_be_open(tmp_path: Path) -> None:
    """Passes without deferred work are the same in eras B and C: the era is None."""
    path = tmp_path / "file"
    path.write_text(
        "f 1: nid: 0 objects to shrink 0 gfp_flags none cache items 8192 delta 4"
        " total_scan 4 priority 12\n"
        "f 1: nid: 0 unused scan count 0 new scan count 4 total_scan 4"
        " last shrinker return val 0\n"
    )
    result = replay_file(path)
    assert (result.exact, result.era, result.kernels) == (1, None, "4.16 and later")
    assert replay_file(path, era="B").era == "B"
    nothing = tmp_path / "nothing"
    nothing.write_text("# tracer: nop\n")
    assert replay_file(nothing).to_json()["era"] is None


def test_memory_cgroups_tell_era_c(tmp_path: Path) -> None:
    """Only kernels of era C print a memcg_id."""
    path = tmp_path / "file"
    path.write_text(
        "f 1: nid: 0 pid: 7 memcg_id: 1 objects to shrink 0 gfp_flags none cache items"
        " 8192 delta 4 total_scan 4 priority 12 \n"
    )
    assert replay_file(path).era == "C"
    path.write_text(path.read_text().replace("memcg_id: 1", f"memcg_id: {2**64 - 1}"))
    (event,) = read_events(path)
    assert event.memcg_id == 2**64 - 1


def test_starts_alone_tell_the_era(tmp_path: Path) -> None:
    """A recording of starts only has no pass, but its numbers show the formula."""
    path = tmp_path / "file"
    path.write_text("\n".join(recording("A")[::2]))
    result = replay_file(path)
    assert result.orphan_starts == 200
    assert (result.era, result.passes) == ("A", 0)


def test_lines_before_3_12(tmp_path: Path) -> None:
    """They name no node: it is read as 0, and each shrinker has one counter."""
    path = tmp_path / "file"
    path.write_text("\n".join(recording("A-4.10")).replace(": nid: 0 ", ": "))
    result = replay_file(path)
    assert (result.exact, result.era, result.malformed_lines) == (200, "A", 0)
    assert {event.nid for event in read_events(path)} == {0}


def test_pages_are_read_and_printed() -> None:
    """A start of era A has pages in place of a priority, and prints them back."""
    text = recording("A", passes=1)[0]
    (event,) = read_events([text])
    assert event.pgs_scanned is not None
    assert event.lru_pgs is not None
    assert str(event) == text.partition("mm_shrink_slab_start: ")[2]


def test_ends_of_era_b_say_node_0(tmp_path: Path) -> None:
    """There an end on node 0 shows that the shrinker is not NUMA-aware."""
    path = tmp_path / "file"
    text = "\n".join(recording("B", passes=60))
    path.write_text(
        text.replace("nid: 0 objects", "nid: 1 objects")
        + "\n"
        + recording("B", passes=1, seed=5)[0].replace("kswapd0-45", "late-46")
    )
    result = replay_file(path, era="B")
    assert result.exact == 60
    assert result.shrinkers[0].numa_aware is False
    forced = replay_file(path, era="C")
    assert forced.inexact_reasons["start and end differ in nid"] > 0


def test_another_era_has_other_fields(tmp_path: Path) -> None:
    """A forced era whose starts have other fields says so."""
    path = write_recording(tmp_path / "file")
    result = replay_file(path, era="A")
    assert result.inexact_reasons == {"fields of another era": 71}
    assert len(lines()) > 71


def test_an_unknown_era_is_refused() -> None:
    """replay_file takes A, B and C."""
    with pytest.raises(ValueError, match="era must be one of A, B, C"):
        replay_file(DROP_CACHES, era="B-4.19")
