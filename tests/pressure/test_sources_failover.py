"""A source that is lost, and what replaces it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pressure_support import FakeMemory, FakeSource

import shrinker.pressure.sources.failover
from shrinker.pressure import Memory, Polling
from shrinker.pressure.sources.failover import RETRY_SECONDS, SourceFailover

if TYPE_CHECKING:
    from collections.abc import Iterator

    from limits_support import World


@pytest.mark.parametrize("method", ["read", "fileno", "due"])
def test_a_source_that_raises_anything(method: str) -> None:
    """It is lost like one that has gone: reported, tried again, no look is missed."""
    now = 0.0
    said: list[tuple[str, str]] = []
    source = FakeSource()
    failover = SourceFailover(
        source, FakeMemory(500), lambda *what: said.append(what), lambda: now
    )
    failover.open()

    def fail() -> None:
        raise RuntimeError("a bug of its own")

    source.__dict__[method] = fail
    assert getattr(failover, method)() in (None, RETRY_SECONDS)
    assert said == [("source lost", "fake: RuntimeError: a bug of its own")]
    assert failover.fileno() is None
    assert not source.is_open
    del source.__dict__[method]
    now = RETRY_SECONDS + 1
    failover.read()
    assert said[1:] == [("source found", "fake is back")]
    assert source.is_open
    failover.close()


def test_a_source_that_cannot_be_closed() -> None:
    """What its ``close`` raises is reported, and it is lost all the same."""
    said: list[tuple[str, str]] = []
    source = FakeSource()
    failover = SourceFailover(source, FakeMemory(500), lambda *what: said.append(what))
    failover.open()
    descriptor = source.fileno()
    assert descriptor is not None
    os.close(descriptor)  # The source does not know.
    assert failover.read() is None
    assert [kind for kind, _ in said] == ["source lost", "source lost"]
    assert failover.name == ""


def test_a_source_whose_descriptor_is_closed() -> None:
    """A negative number is no descriptor to sleep on."""
    said: list[str] = []
    source = FakeSource()
    failover = SourceFailover(
        source, FakeMemory(500), lambda _, text: said.append(text)
    )
    failover.open()
    source.__dict__["fileno"] = lambda: -1
    assert failover.fileno() is None
    assert said == ["fake: its descriptor is closed"]


def test_no_source_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for a lost source again and again does not fill log and history."""
    now = 0.0
    said: list[tuple[str, str]] = []
    found: list[FakeSource | Polling] = [FakeSource()]

    def choose(**_: object) -> FakeSource | Polling:
        source = found[0]
        source.open()
        return source

    monkeypatch.setattr(shrinker.pressure.sources.failover, "auto", choose)
    memory = FakeMemory(500)
    failover = SourceFailover(
        "auto", memory, lambda *what: said.append(what), lambda: now
    )
    failover.open()
    first, found[0] = found[0], Polling(memory)
    assert isinstance(first, FakeSource)
    first.vanish()
    failover.read()
    for _ in range(5):
        now += RETRY_SECONDS + 1
        failover.read()
    assert [kind for kind, _ in said] == ["source", "source lost", "source"]


class Moved:
    """A process that is moved, and sources named by its group."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.memory = Memory(world.root)
        self.said: list[tuple[str, str]] = []
        self.sources: list[FakeSource] = []

        def choose(*, memory: Memory, exclude: list[str]) -> FakeSource:
            name = str(memory.cgroups.v2[0])
            source = FakeSource("the machine" if name in exclude else name)
            source.open()
            self.sources.append(source)
            return source

        monkeypatch.setattr(shrinker.pressure.sources.failover, "auto", choose)
        self.failover = SourceFailover(
            "auto", self.memory, lambda *what: self.said.append(what)
        )
        self.failover.open()
        assert self.failover.name == "cgroup v2 /app"

    def move(self, group: str) -> None:
        self.world.v2(f"sys/fs/cgroup/{group}")
        self.world.write("proc/self/cgroup", f"0::/{group}\n")


@pytest.fixture
def moved(plain: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Moved]:
    process = Moved(plain, monkeypatch)
    yield process
    process.failover.close()
    process.memory.close()


def test_a_process_that_is_moved(moved: Moved) -> None:
    """Its old group is still there, and tells of the old group: it is left."""
    failover = moved.failover
    assert not failover.follow()
    moved.move("other")
    assert not failover.follow()  # As long as the memory does not know.
    moved.memory.refresh()
    assert failover.follow()
    assert failover.name == "cgroup v2 /other"
    assert not moved.sources[0].is_open
    assert [kind for kind, _ in moved.said] == ["source"] * 3  # At INFO.
    assert moved.said[1][1] == "this process was moved to cgroup v2 /other"
    moved.memory.refresh()
    assert not failover.follow()


def test_a_group_that_is_removed(moved: Moved) -> None:
    """Its source ends, and the next one is that of the group it was moved to."""
    moved.move("other")
    moved.sources[-1].vanish()
    moved.failover.read()
    assert moved.failover.name == "cgroup v2 /other"
    # And back: what was lost there is not excluded for ever.
    moved.move("app")
    moved.memory.refresh()
    assert moved.failover.follow()
    assert moved.failover.name == "cgroup v2 /app"
    # It stays where it is, but the file is lost.
    moved.sources[-1].vanish()
    moved.failover.read()
    assert moved.failover.name == "the machine"


def test_a_given_source_stays(plain: World) -> None:
    """It says itself what it listens to."""
    source = FakeSource()
    memory = Memory(plain.root)
    failover = SourceFailover(source, memory, lambda *_: None)
    failover.open()
    plain.v2("sys/fs/cgroup/other")
    plain.write("proc/self/cgroup", "0::/other\n")
    memory.refresh()
    assert not failover.follow()
    assert source.opened == 1
    failover.close()
    memory.close()


def test_a_moved_source_that_cannot_be_closed(moved: Moved) -> None:
    """It is replaced in any case."""
    source = moved.sources[0]

    def fail() -> None:
        del source.__dict__["close"]
        source.close()
        raise OSError("Bad file descriptor")

    source.__dict__["close"] = fail
    moved.move("other")
    moved.memory.refresh()
    assert moved.failover.follow()
    assert moved.failover.name == "cgroup v2 /other"
    assert ("source lost", "closing it: Bad file descriptor") in moved.said
