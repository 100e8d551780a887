"""Polling: free memory read from time to time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import MIB, SOON, descriptors

from shrinker.errors import ShrinkerError
from shrinker.pressure import Polling
from shrinker.pressure.limits.memory import Memory

if TYPE_CHECKING:
    from shrinker.testing import FakeCgroup

pytest_plugins = ["shrinker.testing"]


def test_events(fake_cgroup: FakeCgroup) -> None:
    """There is one while less than the share of any limit is free."""
    fake_cgroup.set(max=100 * MIB, current=85 * MIB)
    with (
        Memory(fake_cgroup.root) as memory,
        Polling(memory, free_below=0.1, period=0.001) as source,
    ):
        assert source.fileno() is None
        assert source.wait(0.005) is None
        fake_cgroup.set(current=95 * MIB)
        event = source.wait(SOON)
        assert event is not None
        assert "cgroup v2 /app (memory.max): 5242880 of" in event.detail
        assert asyncio.run(source.next_event()).source == "polling"
        fake_cgroup.set(inactive_file=20 * MIB)
        assert source.wait(0.005) is None


def test_a_given_memory_stays_open(fake_cgroup: FakeCgroup) -> None:
    """It is the caller's to close."""
    before = descriptors()
    with Memory(fake_cgroup.root) as memory:
        with Polling(memory) as source:
            source.read()
        assert descriptors() > before
    assert descriptors() == before


def test_bytes(fake_cgroup: FakeCgroup) -> None:
    """An int is bytes."""
    fake_cgroup.set(max=100 * MIB, current=85 * MIB)
    memory = Memory(fake_cgroup.root)
    with Polling(memory, free_below=16 * MIB) as source:
        assert source.wait(SOON) is not None
    with Polling(memory, free_below=15 * MIB) as source:
        assert source.wait(0) is None
    memory.close()


def test_due(fake_cgroup: FakeCgroup) -> None:
    """It is due at once when opened, then a period after each read."""
    source = Polling(Memory(fake_cgroup.root), period=1000)
    assert source.due() is None
    with source:
        assert source.due() == 0
        source.read()
        due = source.due()
        assert due is not None
        assert 900 < due <= 1000
    with pytest.raises(ShrinkerError, match="not open"):
        source.read()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"free_below": 0.0}, ValueError, "a share must be"),
        ({"free_below": 1.0}, ValueError, "a share must be"),
        ({"free_below": 0}, ValueError, "free_below must be at least 1 byte"),
        ({"free_below": "1"}, TypeError, "free_below must be a number, not str"),
        ({"free_below": True}, TypeError, "free_below must be a number, not bool"),
        ({"period": 0}, ValueError, "period must be"),
        ({"period": float("inf")}, ValueError, "period must be"),
        ({"period": float("nan")}, ValueError, "period must be"),
        ({"period": "1"}, TypeError, "period must be a number, not str"),
        ({"memory": 42}, TypeError, "memory must be a Memory, not int"),
        ({"memory": 0.1}, TypeError, "a share is given as free_below=0.1"),
    ],
)
def test_wrong_arguments(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    """They are refused, and the text says why."""
    with pytest.raises(error, match=text):
        Polling(**arguments)


def test_asyncio(fake_cgroup: FakeCgroup) -> None:
    """Without a descriptor, it is read each time that it is due."""

    async def main() -> str:
        fake_cgroup.set(current=10 << 20, max=64 << 20)
        memory = Memory(fake_cgroup.root)
        with Polling(memory, period=0.001, free_below=1 << 40) as source:
            assert source.fileno() is None
            first = await source.next_event()
            second = await source.next_event()
            assert first.source == second.source
            return first.source

    assert asyncio.run(asyncio.wait_for(main(), SOON))
