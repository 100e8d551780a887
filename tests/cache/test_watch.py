"""``watch``: the handle, how long a watch lasts, and its arguments."""

from __future__ import annotations

import functools
import gc
import subprocess
import sys
import threading
import weakref
from collections import UserDict
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import CountAndEvict, Value, filled, lru_function
from tests_support import Cache, register, run_threads

from shrinker import (
    CountObjects,
    Domain,
    ScanObjects,
    ShrinkerBuilder,
    ShrinkerError,
    default_domain,
)
from shrinker.cache import Watched, cached, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
# --- the handle ----------------------------------------------------------------------


def test_the_handle(domain: Domain) -> None:
    """``close()`` is idempotent and ends the watch; then a new watch may begin."""
    cache = filled(256)
    lock = threading.Lock()
    watched = watch(cache, lock=lock, domain=domain)
    name = watched.name
    assert repr(watched) == f"<Watched {name!r}, open>"
    with watched as same:
        assert same is watched
        with pytest.raises(ShrinkerError, match="watched in this domain already"):
            watch(cache, lock=lock, domain=domain)
        with Domain() as elsewhere, watch(cache, lock=lock, domain=elsewhere):
            pass
    assert watched.closed
    watched.close()
    assert repr(watched) == f"<Watched {name!r}, closed>"
    assert domain.shrink_slab(priority=0) == 0
    again = watch(cache, lock=lock, domain=domain)
    again.registration.close()  # Ends the watch as well.
    assert again.closed
    assert watch(cache, lock=lock, domain=domain).registration.count() == 256
    with pytest.raises(TypeError, match="made by watch"):
        Watched()


def test_names(domain: Domain) -> None:
    """By default they tell two caches of one type apart; a function has its own."""
    lock = threading.Lock()
    first = watch(filled(3), lock=lock, domain=domain)
    second = watch(filled(3), lock=lock, domain=domain)
    kind, _, line = first.name.rpartition(":")
    assert kind == f"dict@{__name__}"
    assert second.name == f"{kind}:{int(line) + 1}"
    assert second.name in domain.report()
    assert watch(functools.cache(filled), domain=domain).name == "filled"
    assert watch(filled(3), lock=lock, name="mine", domain=domain).name == "mine"


def test_a_watch_goes_on_when_the_handle_is_dropped(domain: Domain) -> None:
    """Users write ``shrinker.watch(cache, lock=lock)`` and keep no handle."""
    cache, entries = filled(256), CountAndEvict(256)
    watch(cache, lock=threading.Lock(), domain=domain)
    watch(entries, domain=domain)
    gc.collect()
    assert domain.shrink_slab(priority=0) == 512


def test_a_second_close_leaves_a_later_watch_alone(domain: Domain) -> None:
    """The second ``close()`` of an earlier watch does not end a later one."""
    cache, lock = filled(10), threading.Lock()
    earlier = watch(cache, domain=domain, lock=lock)
    earlier.close()
    watch(cache, domain=domain, lock=lock)
    earlier.close()
    assert [registration.count() for registration in domain.shrinkers()] == [10]


def test_a_watch_beside_other_shrinkers(domain: Domain) -> None:
    """A walk takes from both."""
    registration = register(domain, Cache(256))
    watch(entries := CountAndEvict(256), domain=domain)
    assert domain.shrink_slab(priority=0) == 512
    assert entries.n == 0
    registration.close()


def test_the_default_domain_is_the_default() -> None:
    """A watch without ``domain`` is in the default domain."""
    with watch(CountAndEvict()) as watched:
        assert watched.registration.domain is default_domain()


# --- how long a watch lasts ----------------------------------------------------------


def test_the_watch_ends_with_the_cache(domain: Domain) -> None:
    """Without a warning; a later object with the same ``id()`` can be watched."""
    for make in (CountAndEvict, functools.partial(lru_function, 10)):
        x: Any = make()
        watched = watch(x, domain=domain)
        assert not watched.closed
        del x
        gc.collect()
        assert watched.closed
        assert domain.shrinkers() == ()
    for _ in range(100):
        x = CountAndEvict()
        watch(x, domain=domain)
        del x
    assert domain.shrinkers() == ()


def test_a_cache_that_is_gone_counts_as_empty(domain: Domain) -> None:
    """A walk may come between the end of the cache and that of its shrinker."""
    cache = CountAndEvict()
    private: Any = watch(cache, domain=domain).registration.private_data
    del cache
    assert domain.shrinkers() == ()
    control: Any = None
    assert private.count_objects(control) is CountObjects.EMPTY
    assert private.scan_objects(control) is ScanObjects.STOP


def test_the_watch_ends_with_a_cycle_that_holds_the_cache(domain: Domain) -> None:
    """A cache that references its own handle is collected."""
    entries: Any = CountAndEvict()
    entries.watched = watch(entries, domain=domain)
    registration = weakref.ref(entries.watched.registration)
    del entries
    gc.collect()
    assert domain.shrinkers() == ()
    assert registration() is None


def test_caches_may_go_during_a_walk(domain: Domain) -> None:
    """In their own scan, and in that of another cache."""
    caches: dict[int, Any] = {}

    class Mortal(CountAndEvict):
        def evict(self, n: int) -> int:
            caches.clear()
            return super().evict(n)

    for n in range(3):
        caches[n] = Mortal(128)
        watch(caches[n], domain=domain)
    assert domain.shrink_slab(priority=0) == 2  # A batch of the first.
    assert domain.shrinkers() == ()


def test_a_dict_is_kept_until_the_watch_ends(domain: Domain) -> None:
    """The watch keeps a dict, which cannot be referenced weakly."""
    for ends in ("watch", "domain"):
        short = Domain()
        value = CountAndEvict()
        dead = weakref.ref(value)
        watched = watch({1: value}, lock=threading.Lock(), domain=short)
        del value
        gc.collect()
        assert dead() is not None
        {"watch": watched, "domain": short}[ends].close()
        assert dead() is None


# --- domains -------------------------------------------------------------------------


def test_a_dropped_domain_is_freed_with_its_watches() -> None:
    """Nothing else keeps them, and no registration warns that it was not closed."""
    entries = CountAndEvict()
    cache = {1: CountAndEvict()}
    dead = [weakref.ref(cache[1])]
    for _ in range(20):
        domain = Domain()
        handles = [
            watch(entries, domain=domain),
            watch(cache, lock=threading.Lock(), domain=domain),
        ]
        dead += [weakref.ref(domain), weakref.ref(handles[0].registration)]
        del domain, handles
    del cache
    gc.collect()  # Warnings are errors in these tests.
    assert [ref() for ref in dead] == [None] * 41


def test_a_cache_may_outlive_the_domain() -> None:
    """The end of the cache finds no watch to close."""
    domain = Domain()
    kept = CountAndEvict()
    gone = weakref.ref(domain)
    watch(kept, domain=domain)
    domain.close()
    del domain
    gc.collect()
    assert gone() is None
    alive = weakref.ref(kept)
    del kept
    assert alive() is None


def test_a_closed_domain_refuses_a_watch() -> None:
    """And references nothing of the cache."""
    domain = Domain()
    entries, cache = CountAndEvict(), {1: Value()}
    watch(entries, domain=domain)
    domain.close()
    with pytest.raises(ShrinkerError, match="closed"):
        watch(entries, domain=domain)
    with pytest.raises(ShrinkerError, match="closed"):
        watch(cache, lock=threading.Lock(), domain=domain)
    alive = weakref.ref(cache[1])
    del cache
    assert alive() is None


def test_a_domain_that_closes_while_a_watch_begins(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch is an error, and keeps nothing."""
    real: Callable[..., Any] = ShrinkerBuilder.register

    def closing(builder: Any, private_data: Any) -> Any:
        registration = real(builder, private_data)
        domain.close()
        return registration

    monkeypatch.setattr(ShrinkerBuilder, "register", closing)
    cache = {1: Value()}
    alive = weakref.ref(cache[1])
    with pytest.raises(ShrinkerError, match="the domain is closed"):
        watch(cache, domain=domain, lock=threading.Lock())
    del cache
    assert alive() is None


def test_a_registration_that_failed_can_be_repeated(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache does not count as watched."""
    cache, lock = filled(1), threading.Lock()

    def out_of_memory(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(ShrinkerBuilder, "register", out_of_memory)
        with pytest.raises(MemoryError):
            watch(cache, domain=domain, lock=lock)
    with watch(cache, domain=domain, lock=lock) as watched:
        assert watched.registration.count() == 1


# --- many watches --------------------------------------------------------------------


def test_ten_thousand_watches(domain: Domain) -> None:
    """All are scanned, some caches go, and the domain frees the rest."""
    caches: list[dict[int, Any]] = [filled(2) for _ in range(5000)]
    entries = [CountAndEvict(2) for _ in range(5000)]
    lock = threading.Lock()
    for cache in caches:
        watch(cache, lock=lock, domain=domain)
    for one in entries:
        watch(one, domain=domain)
    assert domain.shrink_slab(priority=0) == 20_000
    del one, entries[:2500]
    assert len(domain.shrinkers()) == 7500
    for cache in caches:
        cache[0] = Value()
    alive = [weakref.ref(cache[0]) for cache in caches]
    del cache, caches
    domain.close()
    assert not any(value() for value in alive)


def test_threads_that_watch_the_same_cache(
    fast_switching: None, domain: Domain
) -> None:
    """One of them succeeds; the others get an error."""
    for _ in range(20):
        entries = CountAndEvict()
        refused: list[BaseException] = run_threads(
            *[functools.partial(watch, entries, domain=domain)] * 4
        )
        assert [type(error) for error in refused] == [ShrinkerError] * 3
        assert len(domain.shrinkers()) == 1
        del entries, refused
        gc.collect()


def test_watches_come_and_go_during_reclaim(
    fast_switching: None, domain: Domain
) -> None:
    """Caches that are watched, closed and dropped while others reclaim."""
    done = threading.Event()

    def churn() -> None:
        try:
            for n in range(300):
                entries = CountAndEvict(128)
                watched = watch(entries, domain=domain)
                cache = filled(128)
                with watch(cache, lock=threading.Lock(), domain=domain):
                    if n % 2:
                        watched.close()
                    del entries
        finally:
            done.set()

    def reclaim() -> None:
        while not done.is_set():
            domain.shrink_slab(priority=0)

    assert run_threads(churn, churn, reclaim, reclaim) == []
    assert domain.shrinkers() == ()


# --- arguments -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({}, "give a cache to watch, or both count= and evict="),
        ({"x": 5}, r"of type int: give it methods count\(\) and evict\(n\)"),
        ({"x": []}, "list"),
        ({"x": UserDict()}, "UserDict"),
        ({"x": {1}}, "set"),
        ({"x": CountAndEvict(), "count": len, "evict": len}, "not both"),
        ({"count": len}, "give both count= and evict="),
        ({"evict": len}, "give both count= and evict="),
        ({"count": 5, "evict": len}, "count must be callable, not 5"),
        ({"x": CountAndEvict(), "domain": 5}, "domain must be a Domain"),
        ({"x": CountAndEvict(), "name": 5}, "name must be a str"),
        ({"x": CountAndEvict(), "seeks": "2"}, "seeks must be an int"),
        ({"x": CountAndEvict(), "entry_bytes": 1.5}, "entry_bytes must be an int"),
        (
            {"x": CountAndEvict(), "rebuild_seconds": "1"},
            "rebuild_seconds must be a number",
        ),
        ({"x": CountAndEvict(), "seeks": 2, "rebuild_seconds": 1}, "give one"),
    ],
)
def test_wrong_types_are_refused(args: dict[str, Any], message: str) -> None:
    """The message says what is expected, and nothing is registered."""
    before = default_domain().shrinkers()
    with pytest.raises(TypeError, match=message):
        watch(**args)
    assert default_domain().shrinkers() == before


@pytest.mark.parametrize(
    "args",
    [
        {"entry_bytes": 0},
        {"entry_bytes": 2**41},
        {"seeks": -1},
        {"rebuild_seconds": -1},
        {"name": ""},
    ],
)
def test_wrong_values_are_refused(args: dict[str, Any]) -> None:
    """Then the object can be watched with right arguments."""
    entries = CountAndEvict()
    with Domain() as domain:
        with pytest.raises(ValueError, match=next(iter(args))):
            watch(entries, domain=domain, **args)
        watch(entries, domain=domain)


def test_caches_of_shrinker_are_refused(domain: Domain) -> None:
    """They are shrinkers already, and the message says so."""
    function = cached(domain=domain)(len)
    for x in (function.cache, function):
        with pytest.raises(TypeError, match="already"):
            watch(x, domain=domain)


def test_no_library_is_imported() -> None:
    """A program that does not use cachetools or asyncio does not load them."""
    code = (
        "import sys, threading\n"
        "from shrinker.cache.watch import watch\n"
        "watch({}, lock=threading.Lock())\n"
        "assert not {'cachetools', 'asyncio'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_a_cachedmethod_up_to_cachetools_6() -> None:
    """Its ``cache`` and ``cache_lock`` are functions of the object."""

    def price(self: object) -> None: ...

    price.cache = price.cache_lock = lambda self: self  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"price .*cachedmethod.* watch\(self.cache"):
        watch(price)


@pytest.fixture(autouse=True)
def _default_domain_is_left_as_it_was() -> Iterator[None]:
    before = set(default_domain().shrinkers())
    yield
    assert set(default_domain().shrinkers()) <= before
