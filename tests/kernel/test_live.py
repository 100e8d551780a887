"""Adding up passes as they happen."""

from __future__ import annotations

from typing import Any

import pytest
from kernel_support import end_line, start_line

from shrinker.data import bundled_recording
from shrinker.kernel import live as module
from shrinker.kernel.live import BY, SORT_KEYS, LiveTable, Row
from shrinker.replay import replay_file
from shrinker.replay.files import open_recording, read_chunks

S = 1_000_000_000


def table_of(*lines: str, began: int = 0) -> LiveTable:
    table = LiveTable(began)
    table.feed("".join(lines).encode())
    return table


def only(rows: list[Row]) -> Row:
    (row,) = rows
    return row


def test_a_pass() -> None:
    """Each number of a row comes from the events of its passes."""
    table = table_of(
        start_line(1, total=300, freeable=1000, priority=12),
        end_line(1.5, left=100, freed=150, new=70),
        start_line(2, total=10, freeable=900, priority=4),
        end_line(2.25, left=10, freed=0, new=80),
        "# a comment\n",
        "tar-8 [000] ..... 2.5: mm_vmscan_direct_reclaim_end: nr_reclaimed=3\n",
    )
    window = table.take(4 * S)[0].window()
    assert only(window.rows) == Row(
        function="super_cache_scan",
        pointer=0xAB,
        memcg_id=None,
        passes=2,
        empty=1,
        asked=310,
        scanned=200,
        freed=150,
        seconds=0.75,
        longest=0.5,
        deferred=80,
        counted=900,
        priority=4,
        running=0,
    )
    assert (window.seconds, window.passes, window.lost_events) == (4.0, 2, 0)
    assert window.callers == {"kswapd0": 0.75}


def test_windows_and_the_whole() -> None:
    """Each window has what came in it, the whole has all."""
    table = table_of(start_line(1), end_line(2, freed=5))
    table.take(10 * S)
    table.feed((start_line(11) + end_line(14, freed=7)).encode())
    last, whole = table.take(20 * S)
    assert (only(last.window().rows).freed, last.window().seconds) == (7, 10.0)
    row = only(whole.window().rows)
    assert (row.freed, row.passes, row.seconds, row.longest) == (12, 2, 4.0, 3.0)
    assert whole.window().seconds == 20.0
    assert whole.window().callers == {"kswapd0": 4.0}
    last, again = table.take(30 * S)
    assert last.window().rows == []
    assert again.window().rows == whole.window().rows


def test_a_pass_that_hangs_is_seen_while_it_does() -> None:
    """Its time counts in each window, once, and its length from its start."""
    table = table_of(start_line(6, comm="tar"))
    last, whole = table.take(10 * S)
    for snapshot in last, whole:
        row = only(snapshot.window().rows)
        assert (row.running, row.seconds, row.longest, row.passes) == (1, 4.0, 4.0, 0)
        assert snapshot.window().callers == {"tar": 4.0}
    last, whole = table.take(20 * S)
    row = only(last.window().rows)
    assert (row.running, row.seconds, row.longest) == (1, 10.0, 14.0)
    assert only(whole.window().rows).seconds == 14.0
    table.feed(end_line(21).encode())
    last, whole = table.take(30 * S)
    row = only(last.window().rows)
    assert (row.running, row.passes, row.seconds, row.longest) == (0, 1, 1.0, 15.0)
    row = only(whole.window().rows)
    assert (row.seconds, row.longest) == (15.0, 15.0)
    assert whole.window().callers == {"tar": 15.0}


def test_where_events_were_lost() -> None:
    """A start whose end may be among them does not seem to hang."""
    table = table_of(start_line(1), "CPU:0 [LOST 40 EVENTS]\n", end_line(3, pid=9))
    last, whole = table.take(10 * S)
    row = only(last.window().rows)
    assert (row.running, row.passes, row.seconds, row.freed) == (0, 1, 0.0, 100)
    assert last.window().lost_events == whole.window().lost_events == 40
    last, whole = table.take(20 * S)
    assert (last.window().lost_events, whole.window().lost_events) == (0, 40)


def test_a_task_is_in_one_pass() -> None:
    """A new start of the task replaces one without an end; another's end ends none."""
    table = table_of(start_line(1), start_line(2, pointer=0xCD), end_line(3))
    rows = {row.pointer: row for row in table.take(4 * S)[0].window().rows}
    assert rows.keys() == {0xAB}
    assert (rows[0xAB].running, rows[0xAB].seconds) == (0, 0.0)


@pytest.mark.parametrize("by", BY)
def test_rows_by(by: str) -> None:
    """Rows are shrinkers, memory cgroups, or pairs of them; deferred work adds up."""
    table = table_of(
        *(
            start_line(1, pointer=pointer, memcg=memcg, nid=nid)
            + end_line(2, pointer=pointer, memcg=memcg, nid=nid, new=new)
            for pointer, memcg, nid, new in [
                (1, 50, 0, 3),
                (1, 50, 1, 4),
                (1, 60, 0, 10),
                (2, 50, 0, 100),
                (2, 50, 0, 200),
            ]
        )
    )
    found = {
        (row.pointer, row.memcg_id): (row.passes, row.deferred)
        for row in table.take(9 * S)[0].window(by).rows
    }
    expected: dict[str, dict[Any, Any]] = {
        "shrinker": {(1, None): (3, 17), (2, None): (2, 200)},
        "memcg": {(None, 50): (4, 207), (None, 60): (1, 10)},
        "both": {(1, 50): (2, 7), (1, 60): (1, 10), (2, 50): (2, 200)},
    }
    assert found == expected[by]


@pytest.mark.parametrize("key", SORT_KEYS)
def test_sorting(key: str) -> None:
    """Each key sorts by its own number, the largest first."""
    small = {"total": 10, "freeable": 10}
    large = {"total": 90, "freeable": 90}
    lines = [
        start_line(1, pointer=1, **small),
        end_line(2, pointer=1, left=5, freed=5, new=5),
        start_line(3, pointer=2, **large),
        end_line(5, pointer=2, left=5, freed=50, new=50),
        start_line(6, pointer=2, **large),
        end_line(6, pointer=2, left=5, freed=50, new=50),
    ]
    window = table_of(*lines).take(9 * S)[0].window()
    assert [row.pointer for row in window.sorted_by(key)] == [2, 1]


def test_a_recording_adds_up_to_what_replay_says() -> None:
    """The passes of each shrinker are those that replay counts."""
    table = LiveTable(0)
    with open_recording(bundled_recording()) as (text, _):
        for chunk in read_chunks(text, 1000):
            table.feed(chunk)
    rows = table.take(1 << 62)[0].window().rows
    replayed = replay_file(bundled_recording())
    assert {row.pointer: row.passes for row in rows} == {
        shrinker.pointer: shrinker.passes for shrinker in replayed.shrinkers
    }
    assert all(row.function and "+0x" not in row.function for row in rows)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was touched longest ago is forgotten first."""
    monkeypatch.setattr(module, "_MAX_ROWS", 3)
    monkeypatch.setattr(module, "_MAX_RUNNING", 2)
    monkeypatch.setattr(module, "_MAX_CALLERS", 2)
    order = (1, 2, 3, 1, 4)
    table = table_of(
        *(
            start_line(i, pointer=i, comm=f"c{i}") + end_line(i + 1, pointer=i)
            for i in order
        )
    )
    last, whole = table.take(9 * S)
    for snapshot in last, whole:
        window = snapshot.window()
        assert {row.pointer for row in window.rows} == {1, 3, 4}
        assert window.callers.keys() == {"c1", "c2"}
    table.feed("".join(start_line(10, pid=pid) for pid in (1, 2, 3)).encode())
    assert only(table.take(11 * S)[0].window().rows).running == 2


def test_a_module_is_named() -> None:
    """Offset and size of the function are left out, a module's name is kept."""
    line = start_line(1, function="scan").replace("/0x10 ", "/0x10 [zram] ")
    row = only(table_of(line).take(2 * S)[0].window().rows)
    assert row.function == "scan [zram]"
