"""Starting and stopping a reclaimer: who may start it, and how long stop() waits."""

from __future__ import annotations

import logging
import math
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import SOON, FakeMemory

from shrinker.pressure import Reclaimer

if TYPE_CHECKING:
    from shrinker import Domain


@pytest.fixture
def reclaimer(domain: Domain) -> Reclaimer:
    """A reclaimer that goes by the watermarks alone."""
    return Reclaimer(domain, memory=FakeMemory(500), source=None)


def start(reclaimer: Reclaimer) -> threading.Thread:
    """Start a reclaimer; return its thread."""
    before = set(threading.enumerate())
    reclaimer.start()
    (thread,) = set(threading.enumerate()) - before
    return thread


def test_start_by_code_without_a_name(reclaimer: Reclaimer) -> None:
    """Code whose globals have no ``__name__`` of text can start a reclaimer."""
    exec("r.start()", {"__name__": None, "r": reclaimer})  # noqa: S102
    assert reclaimer.running
    assert "started at" in repr(reclaimer)
    reclaimer.stop()


@pytest.mark.parametrize(
    ("timeout", "error"),
    [(math.nan, ValueError), ("x", TypeError), (True, TypeError), ([], TypeError)],
)
def test_bad_timeout(reclaimer: Reclaimer, timeout: Any, error: Any) -> None:
    """A bad timeout is refused before anything is stopped."""
    thread = start(reclaimer)
    with pytest.raises(error, match="timeout"):
        reclaimer.stop(timeout)
    assert reclaimer.running
    assert thread.is_alive()
    reclaimer.stop()


@pytest.mark.parametrize("timeout", [10**400, math.inf, 1e300, None])
def test_long_timeout(reclaimer: Reclaimer, timeout: Any) -> None:
    """A timeout longer than threads can wait is the longest that they can."""
    thread = start(reclaimer)
    reclaimer.stop(timeout)
    assert not thread.is_alive()


@pytest.mark.parametrize("timeout", [0, -1, -math.inf])
def test_timeout_that_does_not_wait(
    reclaimer: Reclaimer,
    timeout: float,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The log says that the thread goes on, and does not blame a callback, since none
    is known to run."""
    go_on = threading.Event()
    monkeypatch.setattr(
        "shrinker.pressure.thread.Background._log", lambda _: go_on.wait(SOON)
    )
    thread = start(reclaimer)
    with caplog.at_level(logging.WARNING, "shrinker.pressure"):
        reclaimer.stop(timeout)
    go_on.set()
    thread.join(SOON)
    assert "has not ended yet" in caplog.text
    assert "callback" not in caplog.text


def test_join_that_fails(reclaimer: Reclaimer, monkeypatch: pytest.MonkeyPatch) -> None:
    """stop() goes on where ``Thread.join`` raises AssertionError, as CPython 3.11 does
    at times when several threads join one."""
    thread = start(reclaimer)

    def join(_: float | None) -> None:
        raise AssertionError

    monkeypatch.setattr(thread, "join", join)
    reclaimer.stop()
    assert not reclaimer.running
    monkeypatch.undo()
    thread.join(SOON)
    assert not thread.is_alive()
