"""Fixtures of the tests of ``shrinker.pressure``."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING

import pytest
from limits_support import CGROUP2, World
from pressure_support import MIB, Log

from shrinker.pressure import SystemdPressure
from shrinker.pressure.thread import Background, Waker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def log() -> Iterator[Log]:
    """What the reclaimer logs."""
    handler = Log()
    logger = logging.getLogger("shrinker.pressure")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A background thread that does nothing; returns the wakes."""
    wakes: list[str] = []
    monkeypatch.setattr(Background, "run", lambda self: None)
    monkeypatch.setattr(Waker, "wake", lambda self: wakes.append("wake"))
    return wakes


@pytest.fixture
def trims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What malloc_trim is called with; nothing is trimmed really."""
    calls: list[int] = []

    class Library:
        def __init__(self, name: None) -> None:
            # A function on which ctypes' attributes can be set.
            self.malloc_trim = functools.partial(calls.append)

    monkeypatch.setattr(pytest.importorskip("ctypes"), "CDLL", Library)
    return calls


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A machine in files."""
    return World(tmp_path)


@pytest.fixture
def plain(world: World) -> World:
    """A process in /app of version 2, 100 MiB of which 30 are used."""
    world.process("0::/app\n", CGROUP2.format(root="/", point="/sys/fs/cgroup"))
    world.write("sys/fs/cgroup/cgroup.procs", "")
    world.v2("sys/fs/cgroup/app", most=100 * MIB, current=40 * MIB, inactive=10 * MIB)
    return world


@pytest.fixture(autouse=True)
def _settings_forgotten() -> Iterator[None]:
    """No test knows what another one has taken out of the environment."""
    yield
    SystemdPressure.forget()
