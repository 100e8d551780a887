"""Memory that runs out in the core is MemoryError in Python, and nothing is left.

The core's own tests fail each allocation in turn (csrc/tests/test_no_memory*.c); here
the core says that it has failed.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest
from tests_support import Cache, register

import shrinker
from shrinker import Domain, ShrinkerBuilder
from shrinker._ffi import ffi, lib
from shrinker.trace.replay import replay_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Short:
    """The core, some of whose functions say that memory has run out."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def __getattr__(self, name: str) -> Any:
        if name in self.answers:
            return lambda *_: self.answers[name]
        return getattr(lib, name)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``short(module, function=answer)``: what the module's calls get."""

    def patch(module: str, **answers: Any) -> None:
        monkeypatch.setattr(f"shrinker.{module}.lib", Short(**answers))

    return patch


def test_a_domain(short: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """No domain, and none for the kernel-named functions."""
    short("domain", reclaim_domain_create=ffi.NULL, reclaim_default_domain=ffi.NULL)
    with pytest.raises(MemoryError, match="no memory for a domain"):
        Domain()
    monkeypatch.setattr("shrinker.domain._default", [])
    with pytest.raises(MemoryError, match="no memory for the default domain"):
        shrinker.default_domain()


def test_a_memory_cgroup(domain: Domain) -> None:
    """The tree is as before, and the next attempt works."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shrinker.domain.lib", Short(mem_cgroup_create=-errno.ENOMEM))
        with pytest.raises(MemoryError, match="no memory for a memory cgroup"):
            domain.create_memcg("tenant")
    assert [memcg.name for memcg in domain.memcgs()] == [domain.root.name]
    assert domain.create_memcg("tenant").online


def test_a_shrinker(short: Callable[..., None], domain: Domain) -> None:
    """Nothing is registered, half or whole."""
    short("builder", reclaim_shrinker_alloc=ffi.NULL)
    with pytest.raises(MemoryError, match="no memory for a shrinker"):
        ShrinkerBuilder("cache", domain=domain)
    assert domain.shrinkers() == ()


def test_a_name(short: Callable[..., None], domain: Domain) -> None:
    """The old name stays."""
    with register(domain, Cache(3), name="old") as registration:
        short("builder", shrinker_rename=False)
        with pytest.raises(MemoryError, match="no memory for a name"):
            registration.rename("new")
        assert registration.name == "old"


def test_a_trace(domain: Domain) -> None:
    """The trace can be entered later."""
    trace = domain.trace()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shrinker.tracing.lib", Short(reclaim_trace_start=-errno.ENOMEM))
        with pytest.raises(MemoryError, match="no memory for a trace"):
            trace.__enter__()
    with trace:
        assert trace.lost == 0


@pytest.mark.parametrize(
    "answers", [{"trace_replay_new": ffi.NULL}, {"trace_replay_feed": -1}]
)
def test_a_replay(
    short: Callable[..., None], tmp_path: Path, answers: dict[str, Any]
) -> None:
    """No findings rather than some."""
    file = tmp_path / "trace.txt"
    file.write_text(
        "f+0x0 0x1: nid: 0 unused scan count 0 new scan count 0 total_scan 0"
        " last shrinker return val 0\n",
        encoding="utf-8",
    )
    short("trace.replay", **answers)
    with pytest.raises(MemoryError):
        replay_files([str(file)])


def test_a_fifth_walk(short: Callable[..., None], domain: Domain) -> None:
    """A single call says so too; the shrinker stays registered."""
    with register(domain, Cache(3)) as registration:
        short("builder", shrinker_count_objects=False)
        with pytest.raises(MemoryError, match="no memory for another walk"):
            registration.count()
        assert not registration.closed


def test_groups_of_a_benchmark(short: Callable[..., None]) -> None:
    """A row without its groups is not measured."""
    pytest.importorskip("pyperf")
    from shrinker.bench import memcg_points, memcg_workloads  # noqa: PLC0415

    row = next(
        row
        for row in memcg_points.ROWS
        if row.operation is not memcg_points.Operation.MEMORY and row.point.memcgs
    )
    machine = memcg_workloads.Machine(row.point)
    short("bench.memcg_workloads", bench_create_memcgs=0)
    with pytest.raises(MemoryError, match="no memory for memory cgroups"):
        machine.populate()
    machine.close()
