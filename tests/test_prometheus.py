"""The Prometheus collector: names, units, values, registries."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

prometheus = pytest.importorskip("prometheus_client")

from pressure_support import LIMIT, MARKS, FakeMemory, Pages
from tests_support import register

from shrinker.pressure import MemoryLevel, Reclaimer
from shrinker.pressure.prometheus import ReclaimerCollector

if TYPE_CHECKING:
    from shrinker import Domain


def made(domain: Domain, memory: FakeMemory) -> Reclaimer:
    return Reclaimer(domain, memory=memory, source=None, watermarks=MARKS, trim=False)


def test_it_shows_the_statistics(domain: Domain) -> None:
    """Counters end in _total, gauges have units, each has a help text."""
    memory = FakeMemory(90)
    memory.more = (MemoryLevel("machine", 2 * LIMIT, LIMIT, LIMIT),)
    registry = prometheus.CollectorRegistry()
    with register(domain, Pages(100_000, memory), name="mine"):
        reclaimer = made(domain, memory)
        registry.register(ReclaimerCollector(reclaimer, shrinkers=True))
        verdict = reclaimer.look()
        assert verdict is not None
        text = prometheus.generate_latest(registry).decode()
        value = registry.get_sample_value
        assert value("shrinker_looks_total") == 1
        assert value("shrinker_freed_objects_total") == verdict.freed
        assert value("shrinker_reclaims_total", {"by": "background"}) == 1
        assert value("shrinker_reclaims_total", {"by": "insert"}) == 0
        level = {"level": "test"}
        assert value("shrinker_limit_bytes", level) == LIMIT
        assert value("shrinker_used_bytes", level) == memory.used
        assert value("shrinker_free_bytes", level) == LIMIT - memory.used
        for mark in ("min", "low", "high"):
            labels = {**level, "mark": mark}
            assert value("shrinker_watermark_bytes", labels) == getattr(MARKS, mark)
        machine = {"level": "machine"}
        assert value("shrinker_free_bytes", machine) == LIMIT
        assert (
            value("shrinker_watermark_bytes", {**machine, "mark": "low"}) == MARKS.low
        )
        assert value("shrinker_priority") == 12
        assert value("shrinker_under_pressure") == 0
        assert value("shrinker_breaker_open") == 0
        assert value("shrinker_reclaimer_running") == 0
        mine = {"shrinker": "mine"}
        assert value("shrinker_cache_freed_objects_total", mine) == verdict.freed
    helped = {line.split()[2] for line in text.splitlines() if "# HELP" in line}
    samples = {
        line.split("{")[0].split()[0]
        for line in text.splitlines()
        if not line.startswith("#")
    }
    assert samples == helped


def test_shrinkers_of_one_name_are_summed(domain: Domain) -> None:
    """Names need not be unique among shrinkers; series must be."""
    memory = FakeMemory(90)
    registry = prometheus.CollectorRegistry()
    with register(domain, Pages(50_000, memory)), register(domain, Pages(50_000)):
        reclaimer = made(domain, memory)
        registry.register(ReclaimerCollector(reclaimer, shrinkers=True))
        verdict = reclaimer.look()
        assert verdict is not None
        freed = registry.get_sample_value(
            "shrinker_cache_freed_objects_total", {"shrinker": "cache"}
        )
    assert freed == verdict.freed


def test_two_in_one_registry(domain: Domain) -> None:
    """The second needs a prefix of its own; the registry notices at once."""
    registry = prometheus.CollectorRegistry()
    reclaimer = made(domain, FakeMemory(500))
    registry.register(ReclaimerCollector(reclaimer))
    labels = {"domain": "other"}
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(ReclaimerCollector(reclaimer, labels=labels))
    other = ReclaimerCollector(reclaimer, prefix="other", labels=labels)
    registry.register(other)
    assert registry.get_sample_value("other_looks_total", labels) == 0
    assert registry.get_sample_value("shrinker_looks_total") == 0


def test_no_cache_is_called(domain: Domain) -> None:
    """Scraping does not run callbacks, and looks at no memory."""
    memory = FakeMemory(500)
    cache = Pages(10)
    called = []

    def count(sc: object) -> int:
        called.append(sc)
        return 0

    cache.count_objects = count  # type: ignore[assignment, method-assign]
    with register(domain, cache):
        list(ReclaimerCollector(made(domain, memory), shrinkers=True).collect())
    assert not called
    assert not memory.reads


def test_bad_arguments() -> None:
    """Something else than a reclaimer is refused."""
    with pytest.raises(TypeError, match="must be a Reclaimer, not str"):
        ReclaimerCollector("x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"prefix": "a b"}, ValueError),
        ({"prefix": 5}, ValueError),
        ({"labels": ["a"]}, TypeError),
        ({"labels": {"a": 5}}, TypeError),
        ({"labels": {"a b": "c"}}, ValueError),
        ({"labels": {"by": "c"}}, ValueError),
        ({"labels": {"level": "c"}}, ValueError),
    ],
)
def test_names_that_prometheus_refuses(
    domain: Domain, options: dict[str, Any], error: type[Exception]
) -> None:
    """They are refused at once, not at each scrape."""
    with pytest.raises(error, match=r"must be|cannot be"):
        ReclaimerCollector(made(domain, FakeMemory(90)), **options)


def test_without_prometheus_client() -> None:
    """The error names what to install; the rest of the package needs it not."""
    code = """
import sys
sys.modules["prometheus_client"] = None
import shrinker.pressure
try:
    import shrinker.pressure.prometheus
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "pip install 'shrinker[prometheus]'" in done.stdout
