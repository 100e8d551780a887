"""Arguments, files and keys that nobody has in mind: refused at once, or harmless."""

from __future__ import annotations

import logging
import math
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pressure_support import FakeMemory

from shrinker import Domain
from shrinker.cache import LruCache
from shrinker.pressure import Memory, Reclaimer

if TYPE_CHECKING:
    from pathlib import Path


def make(domain: Domain, memory: Memory) -> Reclaimer:
    """Return a reclaimer that goes by the watermarks alone."""
    return Reclaimer(domain, memory=memory, source=None)


def test_a_caller_without_a_name(domain: Domain) -> None:
    """Code whose globals have no ``__name__`` of text can start a reclaimer."""
    reclaimer = make(domain, FakeMemory(500))
    exec("r.start()", {"__name__": None, "r": reclaimer})  # noqa: S102 - the attack
    assert reclaimer.running
    assert "started at" in repr(reclaimer)
    reclaimer.stop()


@pytest.mark.parametrize(
    ("timeout", "error"),
    [(math.nan, ValueError), ("x", TypeError), (True, TypeError), ([], TypeError)],
)
def test_stop_with_a_bad_timeout(domain: Domain, timeout: Any, error: Any) -> None:
    """It is refused before anything is stopped."""
    with make(domain, FakeMemory(500)) as reclaimer:
        with pytest.raises(error, match="timeout"):
            reclaimer.stop(timeout)
        assert reclaimer.running
        assert reclaimer._thread is not None
        assert reclaimer._thread.is_alive()


@pytest.mark.parametrize("timeout", [10**400, math.inf, 1e300, None])
def test_stop_with_a_long_timeout(domain: Domain, timeout: Any) -> None:
    """What is longer than threads can wait is as long as they can."""
    reclaimer = make(domain, FakeMemory(500)).start()
    thread = reclaimer._thread
    assert thread is not None
    reclaimer.stop(timeout)
    assert not thread.is_alive()


@pytest.mark.parametrize("timeout", [0, -1, -math.inf])
def test_stop_that_does_not_wait(
    domain: Domain,
    timeout: float,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The log says no more than is known: nobody has been in a callback."""
    reclaimer = make(domain, FakeMemory(500))
    go_on = threading.Event()
    monkeypatch.setattr(
        "shrinker.pressure.background.Background._log", lambda _: go_on.wait(10)
    )
    reclaimer.start()
    thread = reclaimer._thread
    assert thread is not None
    with caplog.at_level(logging.WARNING, "shrinker.pressure"):
        reclaimer.stop(timeout)
    go_on.set()
    thread.join(10)
    assert "has not ended yet" in caplog.text
    assert "callback" not in caplog.text


def test_a_thread_that_several_wait_for(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The assertion that CPython 3.11 meets in ``join`` now and then stays there."""
    reclaimer = make(domain, FakeMemory(500)).start()
    thread = reclaimer._thread
    assert thread is not None

    def join(_: float | None) -> None:
        raise AssertionError

    monkeypatch.setattr(thread, "join", join)
    reclaimer.stop()
    assert not reclaimer.running
    monkeypatch.undo()
    thread.join(10)
    assert not thread.is_alive()


def test_an_endless_rebuild(domain: Domain) -> None:
    """An integer beyond all floats is infinity, as for all seconds."""
    for seconds in (math.inf, 10**400):
        with LruCache(rebuild_seconds=seconds, domain=domain) as cache:
            cache[1] = 1
            assert cache.registration.count() == 1
            assert cache.registration.seeks == 4


@pytest.mark.parametrize(
    "total", ["99999999999999999999", str(2**53), "9" * 4000, str(2**64)]
)
def test_a_machine_larger_than_any(tmp_path: Path, total: str) -> None:
    """Garbage in meminfo is passed over, as other garbage is."""
    (tmp_path / "proc/self").mkdir(parents=True)
    for name in ("cgroup", "mountinfo"):
        (tmp_path / "proc/self" / name).write_text("")
    meminfo = tmp_path / "proc/meminfo"
    meminfo.write_text(f"MemTotal: {total} kB\nMemFree: 1 kB\n")
    with Domain() as domain, Memory(root=tmp_path) as memory:
        (level,) = memory.levels()
        assert level.limit == Memory().levels()[-1].limit
        make(domain, memory).look()


class Key:
    """A key that all others are compared with, and that raises at a comparison."""

    error: type[Exception] | None = None
    left = -1
    """Comparisons until it raises."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        Key.left -= 1
        if Key.error is not None and Key.left <= 0:
            raise Key.error("in __eq__")
        return isinstance(other, Key) and self.n == other.n


@pytest.fixture
def keys(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> LruCache[Key, int]:
    """A cache of three keys in one bucket."""
    monkeypatch.setattr(Key, "error", None)
    cache: LruCache[Key, int] = LruCache(domain=domain)
    for n in range(3):
        cache[Key(n)] = n
    return cache


def consistent(cache: LruCache[Key, int]) -> bool:
    """Return whether entries, order and weight agree."""
    shown = dict(cache.items())
    return len(shown) == len(cache) == len(list(cache)) == cache.weight


@pytest.mark.parametrize("error", [OSError, KeyError, RecursionError])
@pytest.mark.parametrize("how", ["del", "pop", "popitem"])
def test_a_key_that_raises_on_its_way_out(
    keys: LruCache[Key, int],
    how: str,
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever comparison raises: all of the entry goes, or nothing."""
    ways = {
        "del": lambda: keys.__delitem__(Key(2)),
        "pop": lambda: keys.pop(Key(2)),
        "popitem": keys.popitem,
    }
    raised = 0
    for left in range(1, 12):
        Key.error, Key.left = error, left
        before = len(keys)
        try:
            ways[how]()
        except error:
            raised += 1
            gone = False
        else:
            gone = True
        monkeypatch.setattr(Key, "error", None)
        if error is KeyError:  # As if it were missing; the next scan knows better.
            keys._store._find_strays()
        assert consistent(keys)
        assert len(keys) == before - gone or error is KeyError
        if len(keys) < before:
            for n in range(3):
                keys[Key(n)] = n
    assert raised or (error is KeyError and how == "popitem")  # It takes another.
    assert (Key(1) in keys) is True
    keys.clear()


def test_a_key_that_raises_when_evicted(
    keys: LruCache[Key, int], domain: Domain, caplog: pytest.LogCaptureFixture
) -> None:
    """It is found and taken out by a later pass, and no value is shown meanwhile."""
    next(iter(keys))
    keys.get(Key(0))  # A second chance: the others, which are compared, go first.
    Key.error, Key.left = OSError, 1
    domain.shrink_slab(priority=0)
    Key.error = None
    assert keys.weight == len(dict(keys.items()))
    stayed = len(keys)
    assert stayed > keys.weight
    keys[Key(7)] = 7
    domain.drop_slab()
    assert len(keys) == keys.weight == 0
    assert list(keys) == []
    assert "could not be looked up" in caplog.text


def test_a_key_that_raises_when_cleared(
    keys: LruCache[Key, int], caplog: pytest.LogCaptureFixture
) -> None:
    """A clear takes it out all the same."""
    keys._store.order.rotate(1)  # The last one first, which others come before.
    Key.error, Key.left = OSError, 1
    keys.clear()
    Key.error = None
    assert len(keys) == keys.weight == 0
    assert "could not be looked up" in caplog.text


def test_a_key_that_is_set_again_before_it_is_found(
    keys: LruCache[Key, int], domain: Domain
) -> None:
    """The new entry stays; only the one that went is taken out."""
    keys.get(Key(0))
    Key.error, Key.left = OSError, 1
    domain.shrink_slab(priority=0)
    Key.error = None
    for n in range(3):
        keys[Key(n)] = n + 10
    keys._store._find_strays()
    assert sorted(keys.values()) == [10, 11, 12]
    assert consistent(keys)
