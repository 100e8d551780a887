"""Recordings as walks that are repeated: which walks, counts, seeks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from shrinker import ShrinkerError
from shrinker.bench import recording
from shrinker.bench.recording import load_recording

if TYPE_CHECKING:
    from pathlib import Path

START = (
    "{task}-{task} [000] .... 1.0: mm_shrink_slab_start: {name}+0x0 {pointer}: nid: 0"
    " objects to shrink {nr} gfp_flags GFP_KERNEL cache items {items} delta {delta}"
    " total_scan {total} priority {priority}\n"
)


def start(
    priority: int,
    items: int = 5,
    *,
    name: str = "f",
    task: int = 1,
    delta: int = 0,
) -> str:
    """Return a line of a trace."""
    return START.format(
        task=task,
        name=name,
        pointer=f"0x{name.encode().hex()}",
        nr=0,
        items=items,
        delta=delta,
        total=delta,
        priority=priority,
    )


def test_the_recording_of_the_package_is_walked_whole() -> None:
    """Each of its passes is one of a loop."""
    workload = load_recording()
    assert workload.passes == 5950
    assert len(workload.shrinkers) == 8
    assert sorted({shrinker.seeks for shrinker in workload.shrinkers}) == [0, 2]
    walks = len(workload.priorities)
    assert {len(shrinker.counts) for shrinker in workload.shrinkers} == {walks}
    assert set(workload.priorities) == {9, 10, 11, 12}


def test_walks_are_passes_of_a_task_at_a_priority(tmp_path: Path) -> None:
    """A walk ends where the priority changes or a shrinker comes again; a shrinker
    without a pass in it counted 0."""
    path = tmp_path / "trace.txt"
    path.write_text(
        start(12, 7, name="f")
        + start(12, 1, name="g", task=2)
        + start(12, 8, name="g")
        + start(12, 9, name="g")
        + start(11, 6, name="g")
    )
    workload = load_recording(str(path))
    assert workload.priorities == (12, 12, 12, 11)
    assert [shrinker.counts for shrinker in workload.shrinkers] == [
        (7, 0, 0, 0),
        (8, 1, 9, 6),
    ]


def test_impossible_priorities_are_left_out(tmp_path: Path) -> None:
    """A damaged line is no walk."""
    path = tmp_path / "trace.txt"
    path.write_text("".join(start(n) for n in (12, 4000, 3)))
    workload = load_recording(str(path))
    assert workload.priorities == (12, 3)
    assert [shrinker.counts for shrinker in workload.shrinkers] == [(5, 5)]


@pytest.mark.parametrize(
    ("items", "delta", "seeks"),
    [
        (1000, 2000, 2),  # The default, wherever it explains what was recorded.
        (1000, 4000, 1),
        (1000, 250, 16),
        (1000, 7, 501),  # 501 to 571: the least that explains it.
        (2**40, 1466, 2**31 - 1),  # 2,997,986,716, which is no int.
    ],
)
def test_seeks_are_those_that_explain_the_events(
    tmp_path: Path, items: int, delta: int, seeks: int
) -> None:
    """Delta is 4 * (items >> priority) / seeks."""
    path = tmp_path / "trace.txt"
    path.write_text(start(0, items, delta=delta))
    (shrinker,) = load_recording(str(path)).shrinkers
    assert shrinker.seeks == seeks


def test_seeks_of_zero(tmp_path: Path) -> None:
    """Half of the cache at any priority has no other explanation."""
    path = tmp_path / "trace.txt"
    path.write_text(start(5, 1000, delta=500) + start(4, 800, delta=400))
    (shrinker,) = load_recording(str(path)).shrinkers
    assert shrinker.seeks == 0


def test_seeks_that_contradict_each_other() -> None:
    """No setting explains all events: the cheapest is taken; the default without any.

    Of a file that is read this is not expected, so it is asked for directly.
    """
    contradictory: Any = SimpleNamespace(lo=9, hi=3, zero=False)
    assert recording._seeks(contradictory) == 0
    assert recording._seeks(None) == 2


def test_files_without_a_pass_are_refused(tmp_path: Path) -> None:
    """One line that names the file."""
    path = tmp_path / "empty.txt"
    path.write_text("")
    with pytest.raises(ShrinkerError, match=r"empty\.txt: no pass of a shrinker"):
        load_recording(str(path))
    with pytest.raises(ShrinkerError, match=r"missing\.txt"):
        load_recording(str(tmp_path / "missing.txt"))
