"""The developers' benchmarks of caches and of reading recordings: their lines run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("pyperf", reason="the benchmarks measure with pyperf")
pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

import caches
import replay_reading

if TYPE_CHECKING:
    from shrinker.bench.lines import Line


@pytest.mark.parametrize(
    "line", caches.benchmark().lines, ids=lambda line: line.name.replace("/", " ")
)
def test_caches(line: Line) -> None:
    """Each operation, by each library that is there."""
    with line.open() as run:
        assert run(1) > 0
        assert run(2) > 0


def test_hits_are_hits_and_misses_are_misses() -> None:
    """Of ours, by its own count: an insertion evicts, a function's result is known."""
    makers, functions = caches.makers(), caches.decorated()
    cache = makers["shrinker"]()
    before = cache.statistics()
    caches.hit(cache)
    caches.miss(cache)
    after = cache.statistics()
    assert (after.hits - before.hits, after.misses - before.misses) == (1000, 1000)
    caches.insert(cache)
    assert cache.statistics().evicted - after.evicted == 1000
    function = functions["shrinker"]()
    caches.function_hit(function)
    caches.function_hit(function)
    info = function.cache_info()
    assert (info.hits, info.misses) == (1000, 1000)


@pytest.mark.parametrize("stage", ["parse", "replay", "columns", "read"])
def test_reading_recordings(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stage reads every event; here, of one copy."""
    if stage == "columns":
        pytest.importorskip("numpy", reason="the report needs numpy")
    monkeypatch.setattr(replay_reading, "REPEAT", 1)
    monkeypatch.setattr(replay_reading, "EVENTS", 11900)
    (line,) = (
        one for one in replay_reading.benchmark().lines if one.name == f"trace {stage}"
    )
    assert line.steps == 11900
    with line.open() as run:
        assert run(1) > 0
