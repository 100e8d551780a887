"""Where the core has no memory, Python raises MemoryError, and nothing is left behind.

The core's own tests fail each allocation in turn (csrc/tests/test_no_memory*.c).  Here
the core's functions return what they return then.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest
from tests_support import Cache, register

import shrinker
from shrinker import Domain, ShrinkerBuilder
from shrinker._ffi import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Callable


class Short:
    """The core, where some functions return that there is no memory."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def __getattr__(self, name: str) -> Any:
        if name in self.answers:
            return lambda *_: self.answers[name]
        return getattr(lib, name)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``short(module, function=answer)``: what that module's calls return."""

    def patch(module: str, **answers: Any) -> None:
        monkeypatch.setattr(f"shrinker.{module}.lib", Short(**answers))

    return patch


def test_a_domain(short: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a new domain nor the default one is made."""
    short("domain", reclaim_domain_create=ffi.NULL, reclaim_default_domain=ffi.NULL)
    with pytest.raises(MemoryError, match="no memory for a domain"):
        Domain()
    monkeypatch.setattr("shrinker.domain._default", [])
    with pytest.raises(MemoryError, match="no memory for the default domain"):
        shrinker.default_domain()


def test_a_memory_cgroup(domain: Domain) -> None:
    """The tree is as before, and the next attempt works."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shrinker.memcg.lib", Short(mem_cgroup_create=-errno.ENOMEM))
        with pytest.raises(MemoryError, match="no memory for a memory cgroup"):
            domain.create_memcg("tenant")
    assert [memcg.name for memcg in domain.memcgs()] == [domain.root.name]
    assert domain.create_memcg("tenant").online


def test_a_shrinker(short: Callable[..., None], domain: Domain) -> None:
    """Nothing is registered."""
    short("builder", reclaim_shrinker_alloc=ffi.NULL)
    with pytest.raises(MemoryError, match="no memory for a shrinker"):
        ShrinkerBuilder("cache", domain=domain)
    assert domain.shrinkers() == ()


def test_a_name(short: Callable[..., None], domain: Domain) -> None:
    """The old name stays."""
    with register(domain, Cache(3), name="old") as registration:
        short("registration", shrinker_rename=False)
        with pytest.raises(MemoryError, match="no memory for a name"):
            registration.rename("new")
        assert registration.name == "old"


def test_a_trace(domain: Domain) -> None:
    """The trace can be entered later."""
    trace = domain.trace()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shrinker.events.lib", Short(reclaim_trace_start=-errno.ENOMEM))
        with pytest.raises(MemoryError, match="no memory for a trace"):
            trace.__enter__()
    with trace:
        assert trace.lost == 0


def test_a_fifth_walk(short: Callable[..., None], domain: Domain) -> None:
    """A direct count needs a walk's record too; the shrinker stays registered."""
    with register(domain, Cache(3)) as registration:
        short("registration", shrinker_count_objects=False)
        with pytest.raises(MemoryError, match="no memory for another walk"):
            registration.count()
        assert not registration.closed
