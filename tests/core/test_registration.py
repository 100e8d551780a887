"""ShrinkerRegistration: direct calls, figures, names, closing."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from typing import Any

import pytest
from tests_support import Cache, Scripted, register

from shrinker import (
    CountObjects,
    Domain,
    ScanObjects,
    ShrinkControl,
    ShrinkerBuilder,
    ShrinkerError,
    ShrinkerFlags,
    ShrinkerRegistration,
)
from shrinker._ffi import lib


def test_count_and_scan(domain: Domain) -> None:
    """count() and scan() call once, as debugfs does, and leave deferred work."""
    with register(domain, Cache(1000)) as registration:
        assert registration.count() == 1000
        assert registration.scan(300) == 300
        assert registration.count() == 700
        assert registration.scan(0) == 0
        assert registration.nr_deferred() == 0
        assert registration.statistics().passes == 0


def test_count_on_other_nodes() -> None:
    """Not NUMA-aware, all objects are shown on node 0, as debugfs does."""
    with Domain(nr_nodes=2) as domain:
        unaware = register(domain, Cache(7))
        aware = register(domain, Cache(7), flags=ShrinkerFlags.NUMA_AWARE)
        assert [unaware.count(nid) for nid in range(2)] == [7, 0]
        assert [aware.count(nid) for nid in range(2)] == [7, 7]
        assert [line.split()[1] for line in domain.report().splitlines()[1:]] == [
            "7",
            "14",
        ]
        unaware.close()
        aware.close()


def test_count_and_scan_special(domain: Domain) -> None:
    """EMPTY and STOP read as 0; scanning 0 objects calls nothing."""
    calls = []

    def scan(sc: ShrinkControl) -> ScanObjects:
        calls.append(sc.nr_to_scan)
        return ScanObjects.STOP

    shrinker = Scripted(lambda sc: CountObjects.EMPTY, scan)
    with register(domain, shrinker) as registration:
        assert registration.count() == 0
        assert registration.scan(0) == 0
        assert calls == []
        assert registration.scan(7) == 0
        assert calls == [7]


def test_rename(domain: Domain) -> None:
    """Rename changes the name; a bad one changes nothing."""
    with register(domain, Cache(1), name="old") as registration:
        registration.rename("new")
        assert registration.name == "new"
        with pytest.raises(ValueError, match="name"):
            registration.rename("")
        assert registration.name == "new"


def test_debugfs_ids_are_the_lowest_free(domain: Domain) -> None:
    """A directory's number is the lowest that no registered shrinker has; a closed
    registration still says which it had."""
    first, second = register(domain, Cache(1)), register(domain, Cache(1))
    first.close()
    third = register(domain, Cache(1))
    assert [r.debugfs_id for r in (first, second, third)] == [0, 1, 0]
    assert domain.shrinkers() == (second, third)
    second.close()
    third.close()


def test_closed_registration(domain: Domain) -> None:
    """After close nothing is called, private data is let go, figures remain."""
    registration = register(domain, Cache(1000), name="gone")
    domain.shrink_slab(priority=0)
    registration.close()
    registration.close()
    assert registration.closed
    assert domain.shrinkers() == ()
    assert domain.shrink_slab(priority=0) == 0
    assert registration.name == "gone"
    assert registration.statistics().passes == 1
    for use in (
        lambda: registration.private_data,
        registration.count,
        lambda: registration.scan(1),
        lambda: registration.scan(0),
        registration.nr_deferred,
        lambda: registration.rename("x"),
        registration.__enter__,
    ):
        with pytest.raises(ShrinkerError, match="closed"):
            use()


def test_constructor_is_closed() -> None:
    """Only builders make registrations."""
    with pytest.raises(TypeError, match="made by ShrinkerBuilder"):
        ShrinkerRegistration()


def test_repr(domain: Domain) -> None:
    """repr() has the kind, the name and the state, for logs and debuggers."""
    builder = ShrinkerBuilder("pages", domain=domain)
    assert repr(builder) == "<ShrinkerBuilder 'pages'>"
    registration = builder.register(Scripted())
    assert repr(builder) == "<ShrinkerBuilder used up>"
    assert repr(registration) == "<ShrinkerRegistration 'pages', open>"
    registration.close()
    assert repr(registration) == "<ShrinkerRegistration 'pages', closed>"


def test_close_waits_for_its_own_callbacks(domain: Domain) -> None:
    """close() returns only when the callback that runs has returned."""
    inside, leave = threading.Event(), threading.Event()
    over = []

    def sleep(sc: ShrinkControl) -> int:
        inside.set()
        assert leave.wait(30)
        over.append("callback")
        return 0

    registration = register(domain, Scripted(sleep))
    walker = threading.Thread(target=domain.shrink_slab)
    walker.start()
    assert inside.wait(30)

    def close() -> None:
        registration.close()
        over.append("close")

    closer = threading.Thread(target=close)
    closer.start()
    while not registration.closed:
        time.sleep(0.001)
    time.sleep(0.05)
    assert over == []
    leave.set()
    closer.join()
    walker.join()
    assert over == ["callback", "close"]


def test_concurrent_use_and_close(domain: Domain, fast_switching: None) -> None:
    """count() beside close() gives a number or ShrinkerError, never a crash."""
    for _ in range(200):
        registration = register(domain, Cache(5))
        builder = threading.Barrier(3)
        wrong: list[object] = []

        def use(r: Any = registration, b: Any = builder, w: Any = wrong) -> None:
            b.wait()
            try:
                for _ in range(20):
                    if r.count() != 5:
                        w.append("count")
            except ShrinkerError:
                pass

        def close(r: Any = registration, b: Any = builder) -> None:
            b.wait()
            r.close()

        threads = [threading.Thread(target=t) for t in (use, use, close)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_no_copies(domain: Domain) -> None:
    """What owns something in C is neither copied nor pickled."""
    with register(domain, Cache(1)) as registration:
        builder = ShrinkerBuilder("b", domain=domain)
        for owner in (domain, builder, registration, domain.trace()):
            for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
                with pytest.raises(TypeError, match="neither copied nor pickled"):
                    attempt(owner)
        assert registration.count() == 1


def test_name_that_grows_while_it_is_read(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is read whole, also where it was shorter when its length was asked."""

    class Shorter:
        """The core, which first gives the length of an older name."""

        def __getattr__(self, name: str) -> Any:
            return getattr(lib, name)

        def shrinker_copy_name(self, c: Any, buffer: Any, size: int) -> Any:
            return lib.shrinker_copy_name(c, buffer, size) if size else 3

    with (
        register(domain, Cache(1), name="a much longer name") as registration,
        monkeypatch.context() as patched,
    ):
        patched.setattr("shrinker.registration.lib", Shorter())
        assert registration.name == "a much longer name"
