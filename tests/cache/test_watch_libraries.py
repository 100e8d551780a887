"""``watch`` of caches of other libraries, each as its users use it."""

from __future__ import annotations

import asyncio
import collections
import copy
import itertools
import random
import threading
import weakref
from collections import UserDict
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import Value, filled
from tests_support import run_threads

from shrinker import CallbackErrors, ShrinkerError
from shrinker.cache import Cache, on_loop, watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from shrinker import Domain


def use_while_reclaiming(
    use: Callable[[int], object], domain: Domain, *, freed: int = 3000
) -> None:
    """Call ``use`` with random keys in two threads while another reclaims."""
    done = threading.Event()

    def user(seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - the same in every run
        try:
            while not done.is_set():
                use(dice.randrange(300))
        finally:
            done.set()

    def reclaim() -> None:
        total = 0
        try:
            while total < freed and not done.is_set():
                total += domain.shrink_slab(priority=0)
        finally:
            done.set()
        assert total >= freed

    assert run_threads(lambda: user(1), lambda: user(2), reclaim) == []


# --- popitem -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["LRUCache", "FIFOCache", "LFUCache"])
def test_cachebox(kind: str, domain: Domain) -> None:
    """Evicts by its own policy, under the lock of its users."""
    cachebox = pytest.importorskip("cachebox")
    cache = getattr(cachebox, kind)(1000)
    for n in range(100):
        cache[n] = n
    used = cache[0]
    lock = threading.Lock()
    watched = watch(cache, lock=lock, domain=domain)
    assert watched.registration.count() == 100
    assert watched.registration.scan(10) == 10
    assert (used in cache) is (kind != "FIFOCache")
    with lock:
        assert watched.registration.scan(10) == 0
    assert watched.registration.scan(1000) == 90
    assert len(cache) == 0
    with pytest.raises(TypeError, match=f"^{kind} needs lock="):
        watch(getattr(cachebox, kind)(10), domain=domain)


def test_a_cache_without_a_policy(domain: Domain) -> None:
    """The error of its ``popitem()`` is reported."""
    cachebox = pytest.importorskip("cachebox")
    cache = cachebox.Cache(10)
    cache[1] = 1
    watch(cache, lock=threading.Lock(), domain=domain)
    with pytest.raises(CallbackErrors) as caught:
        domain.shrink_slab(priority=0)
    assert "no algorithm" in str(caught.value.exceptions[0])


def test_lru_dict(domain: Domain) -> None:
    """Evicts the entries used longest ago."""
    lru = pytest.importorskip("lru")
    cache = lru.LRU(1000)
    cache.update(filled(100))
    assert [cache[n] for n in range(5)] == [0] * 5
    watched = watch(cache, lock=threading.Lock(), entry_bytes=4096, domain=domain)
    assert watched.registration.scan(95) == 95
    assert sorted(cache.keys()) == list(range(5))
    assert domain.shrink_slab(priority=0) == 5


def test_a_mapping_with_popitem(domain: Domain) -> None:
    """A ``UserDict`` gives its oldest entries, in whatever order its own ``popitem()``
    takes them: that changed with Python 3.15."""
    cache = UserDict(filled(10))
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    assert watched.registration.scan(3) == 3
    assert list(cache) == list(range(3, 10))
    alive = weakref.ref(cache)
    del cache
    assert alive() is None
    assert watched.closed


# --- zict ----------------------------------------------------------------------------


def test_a_zict_lru(domain: Domain) -> None:
    """Evicts by ``evict()``, so that its callbacks are called."""
    zict = pytest.importorskip("zict")
    gone: list[int] = []
    lru = zict.LRU(1000, {}, on_evict=lambda key, value: gone.append(key))
    lru.update(filled(100))
    assert lru[0] == 0
    with pytest.raises(TypeError, match="LRU needs lock="):
        watch(lru, domain=domain)
    watched = watch(lru, lock=threading.Lock(), domain=domain)
    assert watched.registration.count() == 100
    assert watched.registration.scan(3) == 3
    assert gone == [1, 2, 3]
    assert watched.registration.scan(1000) == 97
    assert len(lru) == 0


def test_a_zict_lru_that_weighs(domain: Domain) -> None:
    """Its weights are bytes, so counts and scans are in pages."""
    zict = pytest.importorskip("zict")
    lru = zict.LRU(1e9, {}, weight=lambda key, value: value)
    lru.update(dict.fromkeys(range(100), 10_000))
    watched = watch(lru, lock=threading.Lock(), domain=domain)
    assert watched.registration.count() == -(-100 * 10_000 // 4096)
    assert watched.registration.scan(5) == 5
    assert len(lru) == 98
    watched.close()
    watched = watch(lru, lock=threading.Lock(), entry_bytes=8192, domain=domain)
    assert watched.registration.count() == 2 * len(lru)


def test_a_zict_lru_in_its_own_call(domain: Domain) -> None:
    """A reclaim inside the weight function evicts nothing: the LRU is being changed."""
    zict = pytest.importorskip("zict")
    found: list[int] = []

    def weigh(key: int, value: int) -> int:
        if key == 10:
            found.append(watched.registration.scan(5))
        return 4096

    lru = zict.LRU(1e9, {}, weight=weigh)
    lru.update(filled(10))
    watched = watch(lru, lock=threading.Lock(), domain=domain)
    lru[10] = 0
    assert found == [0]
    assert len(lru) == 11


def test_a_zict_buffer(domain: Domain) -> None:
    """Moves entries to its slow mapping, where its users find them."""
    zict = pytest.importorskip("zict")
    slow: dict[int, int] = {}
    buffer = zict.Buffer({}, slow, 1000)
    buffer.update(filled(300))
    watched = watch(buffer, lock=threading.Lock(), domain=domain)
    assert watched.registration.scan(200) == 200
    assert sorted(slow) == list(range(200))
    assert len(buffer) == 300
    assert buffer[0] == 0


def test_other_mappings_of_zict_are_refused(domain: Domain) -> None:
    """``popitem()`` of a ``zict.File`` or ``zict.Func`` would delete data."""
    zict = pytest.importorskip("zict")
    with pytest.raises(TypeError, match="cannot evict from an object of type Func"):
        watch(zict.Func(str, int, {}), lock=threading.Lock(), domain=domain)


# --- SQLAlchemy and Jinja ------------------------------------------------------------


def test_sqlalchemy(domain: Domain) -> None:
    """The cache of compiled statements loses the ones used longest ago."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine("sqlite://")
    cache = engine._compiled_cache
    one = sqlalchemy.literal(1)
    with engine.connect() as connection:
        for n in range(100):
            connection.execute(sqlalchemy.select(one.label(f"c{n}")))
        first = next(iter(cache))
        assert cache[first] is not None  # Used last.
        before = len(cache)
        assert before >= 100
        watched = watch(cache, domain=domain)
        assert watched.registration.count() == before
        assert watched.registration.scan(before - 1) == before - 1
        assert list(cache) == [first]
        assert connection.execute(sqlalchemy.select(one)).scalar() == 1
    engine.dispose()


def test_jinja(domain: Domain) -> None:
    """The cache of templates loses the ones used longest ago."""
    jinja2 = pytest.importorskip("jinja2")
    sources = {str(n): f"{n}" for n in range(50)}
    environment = jinja2.Environment(loader=jinja2.DictLoader(sources))
    for name in sources:
        environment.get_template(name)
    environment.get_template("0")
    watched = watch(environment.cache, domain=domain)
    assert watched.registration.count() == 50
    assert watched.registration.scan(49) == 49
    assert [key[1] for key in environment.cache] == ["0"]
    assert environment.get_template("7").render() == "7"
    with environment.cache._wlock:
        assert watched.registration.scan(2) == 0


@pytest.mark.parametrize("module", ["sqlalchemy.util", "jinja2.utils"])
def test_sqlalchemy_and_jinja_in_threads(
    module: str, fast_switching: None, domain: Domain
) -> None:
    """Their users call ``get()``, and need no lock."""
    cache = pytest.importorskip(module).LRUCache(200)

    def use(n: int) -> None:
        if cache.get(n) is None:
            cache[n] = n

    watch(cache, domain=domain)
    use_while_reclaiming(use, domain)
    assert len(cache) == len(list(cache))


def test_errors_name_the_type_without_an_article(domain: Domain) -> None:
    """Whether it is "a" or "an" depends on how the name is spoken."""

    class Own(Cache[int, int]):
        pass

    cases: tuple[tuple[Any, dict[str, Any], str], ...] = (
        (5, {}, r"watch\(\) cannot evict from an object of type int: "),
        (collections.OrderedDict(), {}, "OrderedDict needs lock="),
        (Own(domain=domain), {}, "Own of shrinker.cache is a shrinker already"),
        ({}, {"lock": asyncio.Lock()}, "lock must not be of type Lock, "),
    )
    for wrong, options, start in cases:
        with pytest.raises(TypeError, match=f"^{start}"):
            watch(wrong, domain=domain, **options)
    with pytest.raises(TypeError, match=r"^Domain can be neither copied nor pickled"):
        copy.copy(domain)


def test_a_cache_with_its_own_lock(domain: Domain) -> None:
    """Another one is an error."""
    utils = pytest.importorskip("jinja2.utils")
    with pytest.raises(TypeError, match="lock of its own"):
        watch(utils.LRUCache(10), lock=threading.Lock(), domain=domain)


# --- Django --------------------------------------------------------------------------


@pytest.fixture
def locmem() -> ModuleType:
    return pytest.importorskip("django.core.cache.backends.locmem")  # type: ignore[no-any-return]


_names = itertools.count()
OPTIONS = {"MAX_ENTRIES": 10_000}


def loc_mem_cache(locmem: ModuleType) -> Any:
    return locmem.LocMemCache(f"test-{next(_names)}", {"OPTIONS": OPTIONS})


def test_django_loses_the_entries_used_longest_ago(
    locmem: ModuleType, domain: Domain
) -> None:
    """With their expiry times, so that a lookup is a miss, and not a KeyError."""
    cache = loc_mem_cache(locmem)
    for n in range(1000):
        cache.set(n, n, timeout=None if n % 2 else 60)
    assert cache.get(0) == 0
    watched = watch(cache, domain=domain)
    assert watched.registration.count() == 1000
    assert watched.registration.scan(400) == 400
    found = [n for n in range(1000) if cache.get(n) is not None]
    assert found == [0, *range(401, 1000)]
    assert len(cache._expire_info) == 600


def test_django_in_threads(
    locmem: ModuleType, fast_switching: None, domain: Domain
) -> None:
    """Each thread has its own object for one cache; the cache has one lock."""
    cache = loc_mem_cache(locmem)
    watch(cache, domain=domain)

    def use(n: int) -> None:
        if cache.get_or_set(n, n) != n:
            raise AssertionError
        cache.touch(n)

    use_while_reclaiming(use, domain)


def test_django_is_watched_by_what_its_objects_share(
    locmem: ModuleType, domain: Domain
) -> None:
    """The watch outlives the object of one thread, and a second one is refused."""
    cache = loc_mem_cache(locmem)
    name = next(name for name, x in locmem._caches.items() if x is cache._cache)
    cache.set("a", 1)
    watched = watch(cache, domain=domain)
    del cache
    assert watched.registration.count() == 1
    with pytest.raises(ShrinkerError, match="already"):
        watch(locmem.LocMemCache(name, {}), domain=domain)


def test_the_dict_in_a_django_cache_is_refused(
    locmem: ModuleType, domain: Domain
) -> None:
    """The cache would still look for evicted entries there."""
    cache = loc_mem_cache(locmem)
    with pytest.raises(TypeError, match=r"watch\(caches\['default'\]\)"):
        watch(cache._cache, lock=cache._lock, domain=domain)


def test_a_proxy_of_django(locmem: ModuleType, domain: Domain) -> None:
    """``django.core.cache.cache`` stands for the cache of its alias."""
    connection = pytest.importorskip("django.utils.connection")
    cache = loc_mem_cache(locmem)
    cache.set("a", 1)
    proxy = connection.ConnectionProxy({"default": cache}, "default")
    watched = watch(proxy, domain=domain)
    assert watched.registration.scan(1) == 1
    assert cache.get("a") is None


# --- async_lru -----------------------------------------------------------------------


def test_async_lru(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cleared whole at priority 0, on the loop where it is called."""
    monkeypatch.setattr(on_loop, "WAIT_SECONDS", 60)
    async_lru = pytest.importorskip("async_lru")

    class Squares:
        @async_lru.alru_cache(maxsize=None, ttl=60)
        async def of(self, x: int) -> int:
            return x * x

    squares = Squares()

    async def main() -> None:
        for n in range(100):
            await squares.of(n)
        with pytest.raises(TypeError, match="of needs loop="):
            watch(squares.of, lock=threading.Lock(), domain=domain)
        watched = watch(squares.of, loop=asyncio.get_running_loop(), domain=domain)
        assert watched.name.endswith("of")
        for priority, freed in ((1, 0), (0, 100)):
            result = await asyncio.to_thread(domain.shrink_slab, priority=priority)
            assert result == freed
        assert squares.of.cache_info().currsize == 0
        assert await squares.of(3) == 9
        with pytest.raises(ShrinkerError, match="already"):
            watch(Squares.of, loop=asyncio.get_running_loop(), domain=domain)

    asyncio.run(main())


def test_values_of_libraries_are_dropped_after_the_lock(domain: Domain) -> None:
    """A destructor that takes the lock of the cache does not deadlock."""
    utils = pytest.importorskip("jinja2.utils")
    cache = utils.LRUCache(10)
    free: list[bool] = []

    class TakesTheLock(Value):
        def __del__(self) -> None:
            free.append(cache._wlock.acquire(timeout=60))
            cache._wlock.release()

    cache[1] = TakesTheLock()
    watch(cache, domain=domain)
    assert domain.shrink_slab(priority=0) == 1
    assert free == [True]
