"""Results of a replay: intervals, sums over files, JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from replay_support import DROP_CACHES, PRINT_ORDER, TRACES, replace_line

from shrinker.replay import SeeksFit, replay_files

if TYPE_CHECKING:
    from pathlib import Path


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
    """Divisors and the seeks 0 become one closed interval."""
    assert fit.interval == interval


def test_flawless_is_stricter_than_ok(tmp_path: Path) -> None:
    """A file that was read is ok; with an inexact pass or a loss it is not flawless."""
    good = replay_files([DROP_CACHES])
    assert good.ok
    assert good.flawless
    lossy = replace_line(tmp_path / "file", "CPU:0 [LOST 17 EVENTS]")
    for path in (PRINT_ORDER, lossy):
        result = replay_files([path])
        assert result.ok
        assert not result.flawless
    assert not replay_files([tmp_path / "none"]).flawless


def test_files_are_added_up() -> None:
    """The total is the sum over the files; each is a recording of its own."""
    result = replay_files([DROP_CACHES, DROP_CACHES, TRACES / "perf_script.txt.xz"])
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
        "passes", "exact", "inexact", "overlaps", "adopted", "reordered", "merged",
        "orphan_starts", "orphan_ends", "other_events", "malformed_lines",
        "lost_events", "events_per_second", "shrinkers",
    }  # fmt: skip
    assert counts | {"files", "problems"} <= data.keys()
    assert counts | {"file"} <= data["files"][0].keys()
    shrinker = data["shrinkers"][0]
    keys = {"scan_function", "pointer", "passes", "seeks", "batch"}
    assert keys <= shrinker.keys()
    assert shrinker["pointer"] == "0000000021243ffe"
    assert len(shrinker["seeks"]) == len(shrinker["batch"]) == 2
