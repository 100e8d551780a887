"""``watch`` of dicts, of ``functools.lru_cache``, and of ``count`` and ``evict``."""

from __future__ import annotations

import functools
import gc
import threading
import weakref
from collections import Counter, OrderedDict, defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import CountAndEvict, Index, filled, lru_function

from shrinker import CallbackErrors, Domain, ScanObjects, ShrinkerError
from shrinker.cache import adapters, watch

if TYPE_CHECKING:
    from collections.abc import Iterator


# --- dict and OrderedDict ------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [dict, OrderedDict, lambda it: defaultdict(int, it)],
    ids=["dict", "OrderedDict", "defaultdict"],
)
def test_a_dict_loses_its_oldest_entries(kind: Any, domain: Domain) -> None:
    """A scan deletes from the front, and exactly as many as were asked for."""
    cache = kind((n, str(n)) for n in range(1000))
    with watch(cache, lock=threading.Lock(), domain=domain) as watched:
        assert watched.registration.count() == 1000
        assert watched.registration.scan(10) == 10
        assert list(cache) == list(range(10, 1000))
        assert domain.shrink_slab(priority=2) == 480  # Of 494, in batches of 15.
        assert list(cache) == list(range(490, 1000))
        assert watched.registration.scan(1000) == 510
        assert watched.registration.count() == 0


def test_a_counter(domain: Domain) -> None:
    """A subclass of dict from the standard library is a dict."""
    counter = Counter("abracadabra")
    watched = watch(counter, lock=threading.Lock(), domain=domain)
    assert watched.registration.scan(2) == 2
    assert "".join(counter) == "rcd"


def test_an_ordered_dict_loses_entries_in_its_order(domain: Domain) -> None:
    """``move_to_end`` between two scans of a pass keeps an entry."""
    cache = OrderedDict.fromkeys(range(1000))
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    watched.registration.scan(1)
    cache.move_to_end(1)
    watched.registration.scan(2)
    assert 1 in cache
    assert next(iter(cache)) == 4


def test_a_new_pass_reads_the_keys_anew(domain: Domain) -> None:
    """An entry that was deleted and set again is the youngest in the next pass."""
    cache = filled(10_000)
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    watched.registration.scan(1)
    del cache[1]
    cache[1] = 0
    del cache[2]
    watched.registration.count()
    assert watched.registration.scan(5) == 5
    assert next(iter(cache)) == 8
    assert 1 in cache


def test_keys_deleted_between_two_scans_are_passed_over(domain: Domain) -> None:
    """A scan counts only the entries that it has deleted itself."""
    cache = filled(10_000)
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    watched.registration.scan(1)
    for key in range(1, 5):
        del cache[key]
    assert watched.registration.scan(10) == 6
    assert len(cache) == 10_000 - 1 - 4 - 6


def test_draining_a_large_dict_is_not_quadratic(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slots of deleted entries at the front are seldom iterated over."""
    iterations: list[int] = []
    first = adapters._first

    def counting(keys: Any, n: int) -> list[Any]:
        iterations.append(n)
        return first(keys, n)

    monkeypatch.setattr(adapters, "_first", counting)
    cache = filled(200_000)
    watch(cache, lock=threading.Lock(), domain=domain)
    domain.shrink_slab(priority=0)
    assert not cache
    assert len(iterations) < 120  # In more than 1,500 scans.


def test_a_subclass_is_told_of_its_evictions(domain: Domain) -> None:
    """Its ``__delitem__`` is called, and its ``__len__`` is not."""

    class Booked(dict[int, int]):
        def __delitem__(self, key: int) -> None:
            super().__delitem__(key)
            gone.append(key)

        def __len__(self) -> int:
            raise AssertionError("a count calls no code of the user")

    gone: list[int] = []
    watched = watch(Booked(filled()), lock=threading.Lock(), domain=domain)
    assert watched.closed  # Nothing but the watch referenced it, and that weakly.
    booked = Booked(filled())
    watched = watch(booked, lock=threading.Lock(), domain=domain)
    assert watched.registration.count() == 1000
    assert watched.registration.scan(3) == 3
    assert gone == [0, 1, 2]


def test_a_subclass_that_deletes_more_than_it_is_told_to(domain: Domain) -> None:
    """Only the entries that were still there count as evicted."""

    class Twins(dict[int, int]):
        """A dict that deletes its entries in pairs."""

        def __delitem__(self, key: int) -> None:
            for twin in (key, key ^ 1):
                dict.pop(self, twin, None)

    cache = Twins({n: n for n in range(10)})
    with watch(cache, domain=domain, lock=threading.Lock()) as watched:
        assert watched.registration.scan(4) == 2
        assert len(cache) == 6


def test_a_dict_that_is_changed_without_its_lock(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scan evicts nothing and is no error; the next one works."""

    def changed(keys: Iterator[int], n: int) -> Iterator[int]:
        yield next(keys)
        raise RuntimeError("dictionary changed size during iteration")

    cache = OrderedDict.fromkeys(range(256))
    watch(cache, lock=threading.Lock(), domain=domain)
    with monkeypatch.context() as patch:
        patch.setattr(adapters.itertools, "islice", changed)
        assert domain.shrink_slab(priority=0) == 0
    assert domain.shrink_slab(priority=0) == 256


# --- functools.lru_cache -------------------------------------------------------------


def test_an_lru_function_is_cleared_at_priority_0(domain: Domain) -> None:
    """Milder passes do not scan it; priority 0 clears it whole."""
    square = lru_function(1000)
    watched = watch(square, domain=domain)
    for priority in range(12, 0, -1):
        assert domain.shrink_slab(priority=priority) == 0
    assert watched.registration.statistics().scan_calls == 0
    assert domain.shrink_slab(priority=0) == 1000
    assert square.cache_info().currsize == 0
    assert watched.registration.statistics().scan_calls == 1


def test_an_lru_function_is_cleared_by_the_third_pass_at_priority_1(
    domain: Domain,
) -> None:
    """The deferred work of the first two adds up to the whole cache."""
    square = lru_function(1024)
    watch(square, domain=domain)
    assert [domain.shrink_slab(priority=1) for _ in range(3)] == [0, 0, 1024]
    square = lru_function(1024)
    watch(square, domain=domain)
    assert [domain.shrink_slab(priority=2) for _ in range(20)] == [0] * 20


def test_an_lru_function_is_not_cleared_for_a_few_results(domain: Domain) -> None:
    """A scan of 10 does not clear 1,000."""
    square = lru_function(1000)
    watched = watch(square, domain=domain)
    assert watched.registration.scan(10) == 0
    assert square.cache_info().currsize == 1000
    assert watched.registration.scan(1000) == 1000


def test_a_method_stands_for_its_function(domain: Domain) -> None:
    """``watch(obj.method)`` is ``watch(Class.method)``, and lasts as long as that."""

    class Squares:
        @functools.cache  # noqa: B019
        def of(self, n: int) -> int:
            return n * n

    squares = Squares()
    squares.of(1)
    watched = watch(squares.of, domain=domain)
    assert not watched.closed
    assert domain.shrink_slab(priority=0) == 1
    with pytest.raises(ShrinkerError, match="already"):
        watch(Squares.of, domain=domain)


def test_a_weighed_lru_function_is_cleared_whole(domain: Domain) -> None:
    """Also where its results are counted in pages."""
    square = lru_function(1000)
    watch(square, entry_bytes=10_000, domain=domain)
    assert domain.shrink_slab(priority=1) == 0
    assert domain.shrink_slab(priority=0) == -(-1000 * 10_000 // 4096)


# --- count and evict -----------------------------------------------------------------


def test_an_object_with_count_and_evict(domain: Domain) -> None:
    """``evict`` is called in batches, and its results are the shrinker's."""
    entries = CountAndEvict()
    watched = watch(entries, name="mine", seeks=4, domain=domain)
    assert (watched.name, watched.registration.seeks) == ("mine", 4)
    assert domain.shrink_slab(priority=1) == 495
    assert entries.asked == [1000 // 64] * 33
    assert entries.n == 505


def test_two_functions_count_and_evict(domain: Domain) -> None:
    """The watch keeps them, and is named after ``evict``."""
    entries = CountAndEvict(5)
    dead = weakref.ref(entries)
    watched = watch(count=entries.count, evict=entries.evict, domain=domain)
    del entries
    gc.collect()
    assert watched.registration.count() == 5
    assert watched.name == "CountAndEvict.evict"
    watched.close()
    assert dead() is None


@pytest.mark.parametrize("entry_bytes", [None, 100])
@pytest.mark.parametrize(
    ("count", "evicted", "error"),
    [("many", 0, TypeError), (-1, 0, ValueError), (500, None, TypeError),
     (500, -1, ValueError), (True, 0, TypeError), (500, 1.0, TypeError)],
)  # fmt: skip
def test_bad_results_of_count_and_evict_are_reported(
    count: Any, evicted: Any, error: type[Exception], entry_bytes: int | None
) -> None:
    """They do not enter the arithmetic, and the walk goes on to other caches."""
    with Domain() as domain:
        watch(
            count=lambda: count,
            evict=lambda n: evicted,
            domain=domain,
            entry_bytes=entry_bytes,
        )
        other = CountAndEvict(256)
        watch(other, domain=domain)
        with pytest.raises(CallbackErrors) as caught:
            domain.shrink_slab(priority=0)
        assert isinstance(caught.value.exceptions[0], error)
        assert other.n == 0


def test_an_evict_that_raises_does_not_stop_the_walk(domain: Domain) -> None:
    """The walk raises the error at its end, with its result, and later tries again."""
    fail = True

    def evict(n: int) -> int:
        if fail:
            raise OSError("disk on fire")
        return entries.evict(n)

    entries, other = CountAndEvict(256), CountAndEvict(256)
    watched = watch(count=entries.count, evict=evict, name="burning", domain=domain)
    watch(other, domain=domain)
    with pytest.raises(CallbackErrors) as caught:
        domain.shrink_slab(priority=0)
    assert caught.value.result == 256
    (error,) = caught.value.exceptions
    assert isinstance(error, OSError)
    assert "burning" in error.__notes__[0]
    assert (entries.n, other.n) == (256, 0)
    assert watched.registration.nr_deferred() == 512
    fail = False
    assert domain.shrink_slab(priority=0) == 256


def test_evict_may_return_stop(domain: Domain) -> None:
    """As a scan callback may; the work is deferred."""
    for entry_bytes in (None, 8192):
        watched = watch(
            count=lambda: 100,
            evict=lambda n: ScanObjects.STOP,  # type: ignore[arg-type, return-value]
            entry_bytes=entry_bytes,
            domain=domain,
        )
        assert domain.shrink_slab(priority=0) == 0
        assert watched.registration.statistics().scan_calls == 0
        watched.close()


@pytest.mark.parametrize("entry_bytes", [None, Index(8192)])
def test_count_and_evict_may_return_integers_of_other_types(
    entry_bytes: Any, domain: Domain
) -> None:
    """As numpy's; and ``entry_bytes`` may be one."""
    entries = CountAndEvict(256)
    watched = watch(
        count=lambda: Index(entries.count()),  # type: ignore[arg-type, return-value]
        evict=lambda n: Index(entries.evict(n)),  # type: ignore[arg-type, return-value]
        entry_bytes=entry_bytes,
        domain=domain,
    )
    pages = 256 if entry_bytes is None else 512
    assert watched.registration.count() == pages
    assert domain.shrink_slab(priority=0) == pages


# --- weights -------------------------------------------------------------------------


@pytest.mark.parametrize("entry_bytes", [1, 100, 4096, 5000, 100_000])
def test_weighed_counts_and_scans_are_in_pages(
    entry_bytes: int, domain: Domain
) -> None:
    """Scans free exactly the pages that were counted."""
    cache = filled(3000)
    watched = watch(
        cache, lock=threading.Lock(), entry_bytes=entry_bytes, domain=domain
    )
    pages = watched.registration.count()
    assert pages == -(-3000 * entry_bytes // 4096)
    freed = 0
    while cache:
        before = len(cache)
        freed += watched.registration.scan(7)
        # At least what was asked, and less than one entry more.
        assert (before - len(cache)) * entry_bytes < 7 * 4096 + 4096 + entry_bytes
        assert watched.registration.count() == pages - freed
    assert freed == pages
