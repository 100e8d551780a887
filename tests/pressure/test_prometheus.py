"""The Prometheus collector: names, units, values, registries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

prometheus = pytest.importorskip("prometheus_client")

from pressure_support import LIMIT, MARKS, FakeMemory, Pages, make
from tests_support import register

from shrinker.pressure import MemoryLevel
from shrinker.pressure.prometheus import ReclaimerCollector

if TYPE_CHECKING:
    from shrinker import Domain


def test_it_shows_the_statistics(domain: Domain) -> None:
    """Counters end in _total, gauges have units, each has a help text."""
    memory = FakeMemory(90)
    memory.more = (MemoryLevel("machine", 2 * LIMIT, LIMIT, LIMIT),)
    registry = prometheus.CollectorRegistry()
    with register(domain, Pages(100_000, memory), name="mine"):
        reclaimer = make(domain, memory)
        registry.register(ReclaimerCollector(reclaimer, shrinkers=True))
        record = reclaimer.look()
        assert record is not None
        text = prometheus.generate_latest(registry).decode()
        value = registry.get_sample_value
        assert value("shrinker_looks_total") == 1
        assert value("shrinker_freed_objects_total") == record.freed
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
        assert value("shrinker_cache_freed_objects_total", mine) == record.freed
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
        reclaimer = make(domain, memory)
        registry.register(ReclaimerCollector(reclaimer, shrinkers=True))
        record = reclaimer.look()
        assert record is not None
        freed = registry.get_sample_value(
            "shrinker_cache_freed_objects_total", {"shrinker": "cache"}
        )
    assert freed == record.freed


def test_names_that_utf_8_cannot_hold(domain: Domain) -> None:
    """A file's name, as a cache may have, and a cgroup's fail no scrape."""
    memory = FakeMemory(50)
    memory.more = (MemoryLevel("cgroup /\udcff", 2 * LIMIT, LIMIT, LIMIT),)
    registry = prometheus.CollectorRegistry()
    with register(domain, Pages(100, memory), name="\udcff\n"):
        reclaimer = make(domain, memory)
        registry.register(ReclaimerCollector(reclaimer, shrinkers=True))
        reclaimer.look()
        text = prometheus.generate_latest(registry).decode()
    assert r'{shrinker="\\udcff\n"}' in text
    assert r'{level="cgroup /\\udcff"}' in text


def test_two_in_one_registry(domain: Domain) -> None:
    """The second needs a prefix of its own; the registry notices at once."""
    registry = prometheus.CollectorRegistry()
    reclaimer = make(domain, FakeMemory(500))
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
        list(ReclaimerCollector(make(domain, memory), shrinkers=True).collect())
    assert not called
    assert not memory.reads


def test_bad_arguments() -> None:
    """Anything but a reclaimer is refused."""
    with pytest.raises(TypeError, match="must be a Reclaimer, not str"):
        ReclaimerCollector("x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"prefix": "a b"}, ValueError),
        ({"prefix": 5}, ValueError),
        ({"labels": ["a"]}, TypeError),
        ({"labels": {"a": 5}}, TypeError),
        ({"shrinkers": "no"}, TypeError),
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
        ReclaimerCollector(make(domain, FakeMemory(90)), **options)


def test_without_prometheus_client() -> None:
    """The error names what to install; the rest of the package does not need it."""
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


# --- several processes ----------------------------------------------------------------

IN_FILES = f"""
import os, sys, threading, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from pressure_support import *
from tests_support import register
from shrinker import Domain
from shrinker.pressure import MemoryLevel
from shrinker.pressure.prometheus import ReclaimerCollector

domain = Domain()
memory = FakeMemory(90)
memory.more = (MemoryLevel("process (limit=)", 2 * LIMIT, 5, 5),)
registration = register(domain, Pages(100_000, memory), name="mine")
reclaimer = make(domain, memory, cooldown=0.0)
collector = ReclaimerCollector(reclaimer, labels={{"app": "a"}}, shrinkers=True)

def reclaim():
    "Reclaim; return how much was freed."
    memory.used = LIMIT - 30 * MIB
    before = reclaimer.statistics().freed
    reclaimer.look()
    return reclaimer.statistics().freed - before

def scrape():
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    def value(name, **labels):
        return registry.get_sample_value("shrinker_" + name, {{"app": "a", **labels}})
    return value
"""


def run_in_files(code: str, folder: Path) -> str:
    """Run a program that has Prometheus's files in a folder; return its output."""
    done = subprocess.run(
        [sys.executable, "-c", IN_FILES + code],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_processes_and_a_fork(tmp_path: Path) -> None:
    """Counters are summed, what was done before the fork once; gauges are merged."""
    first = run_in_files("print(reclaim(), os.getpid())", tmp_path)
    other, other_pid = map(int, first.split())
    code = f"""
own = reclaim()
memory.used = LIMIT - 30 * MIB
own += reclaimer._worker.reclaim_if_short("look").freed  # Not yet written.
read, write = os.pipe()
pid = os.fork()
if not pid:
    # Counted before the fork, and once more here.
    os.write(write, b"%d" % reclaim())
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
child = int(os.read(read, 20))
collector._write()
value = scrape()
all_freed = {other} + own + child
assert min({other}, own, child) > 0
assert value("looks_total") == 4
assert value("freed_objects_total") == all_freed
assert value("cache_freed_objects_total", shrinker="mine") == all_freed
assert value("reclaims_total", by="background") == 4
assert value("reclaims_total", by="insert") == 0
assert value("limit_bytes", level="test") == LIMIT
assert value("used_bytes", level="test") == reclaimer._levels()[0][0].used
for each in (os.getpid(), pid, {other_pid}):
    assert value("used_bytes", level=f"process {{each}} (limit=)") == 5
assert value("watermark_bytes", level="test", mark="low") == MARKS.low
assert value("reclaimer_running") == 0
with reclaimer:
    end = time.monotonic() + SOON  # Until its thread has looked.
    while scrape()("reclaimer_running") != 1:
        assert time.monotonic() < end
        time.sleep(0.01)
assert scrape()("reclaimer_running") == 0
for each in (pid, {other_pid}):
    mark_process_dead(each)
assert scrape()("used_bytes", level=f"process {{pid}} (limit=)") is None
assert scrape()("freed_objects_total") >= all_freed
"""
    run_in_files(code, tmp_path)


def test_a_child_that_wrote_nothing_shows_nothing(tmp_path: Path) -> None:
    """Its files are full of zeros once it has another metric; none is a priority."""
    code = """
from prometheus_client import Counter
others = Counter("others", "Of the program.", registry=None)
reclaim()
reclaimer.look()
priority = scrape()("priority")
assert priority > 0
pid = os.fork()
if not pid:
    others.inc()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
value = scrape()
assert value("priority") == priority
assert value("limit_bytes", level="test") == LIMIT
"""
    run_in_files(code, tmp_path)


def test_a_fork_waits_until_the_figures_are_written(tmp_path: Path) -> None:
    """A child is not forked with prometheus_client's lock taken."""
    code = """
inside, done = threading.Event(), threading.Event()
write = collector._files.write

def write_slowly(families):
    inside.set()
    done.wait(0.3)  # It is not set: a fork comes meanwhile.
    write(families)
    done.set()

collector._files.write = write_slowly
writer = threading.Thread(target=collector._write)
writer.start()
assert inside.wait(SOON)
pid = os.fork()
if not pid:
    collector._files.write = write
    collector._write()
    os._exit(not done.is_set())
assert os.waitpid(pid, 0)[1] == 0
writer.join(SOON)
"""
    run_in_files(code, tmp_path)


def test_figures_that_cannot_be_written_fail_no_look(tmp_path: Path) -> None:
    """The log says so once."""
    code = """
import logging
logging.basicConfig(stream=sys.stdout, format="%(message)s")
def fail(families):
    raise OSError("disk full")
collector._files.write = fail
for _ in range(3):
    assert reclaim() > 0
reclaimer.look()
"""
    said = run_in_files(code, tmp_path).splitlines()
    assert [line for line in said if line.endswith(": disk full")] == [
        "figures cannot be shown: OSError: disk full",
        "OSError: disk full",  # Of the traceback.
    ]


def test_a_closed_cache_lowers_no_counter(tmp_path: Path) -> None:
    """What it had freed stays in the sum."""
    code = """
freed = reclaim()
other = register(domain, Pages(100_000, memory), name="mine")
registration.close()
collector._write()
freed += reclaim()
assert scrape()("cache_freed_objects_total", shrinker="mine") == freed
other.close()
"""
    run_in_files(code, tmp_path)
