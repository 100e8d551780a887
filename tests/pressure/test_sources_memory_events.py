"""memory.events, on ordinary files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shrinker.pressure.sources.memory_events import MemoryEvents

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_that_announces_nothing(tmp_path: Path) -> None:
    """A file on a disk cannot be waited for, and the error says so."""
    file = tmp_path / "memory.events"
    file.write_text("low 0\nhigh 0\n")
    source = MemoryEvents(file)
    with pytest.raises(PermissionError, match="announces no changes"):
        source.open()
    assert not source.is_open
    with pytest.raises(FileNotFoundError):
        MemoryEvents(tmp_path / "missing").open()


def test_counters_of_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``sock_throttled`` is about the network: it is no event."""
    monkeypatch.setattr(MemoryEvents, "_watch_priority", lambda self: None)
    file = tmp_path / "memory.events"
    file.write_text("high 0\nsock_throttled 0\n")
    with MemoryEvents(file) as source:
        file.write_text("high 0\nsock_throttled 5\n")
        assert source.read() is None
        file.write_text("high 2\nsock_throttled 9\n")
        event = source.read()
        assert event is not None
        assert event.detail == "high +2"


def test_wrong_arguments() -> None:
    """A TypeError at once, which says what belongs there."""
    with pytest.raises(TypeError, match="path must be a path, not int"):
        MemoryEvents(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cgroups must be Cgroups"):
        MemoryEvents.of_own_cgroup(cgroups="/")  # type: ignore[arg-type]
