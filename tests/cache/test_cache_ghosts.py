"""A full ``Cache``, or one under pressure: new keys are on trial."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import Dice

from shrinker.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shrinker import Domain

ENTRIES_PER_TRIAL = 5
JOIN_PER_SET = 2
FEW_ENTRIES = 9
ROTATIONS = 8


def filled(
    domain: Domain, n: int, *, pressed: bool = True, **options: Any
) -> Cache[Any, Any]:
    """Return a cache of n entries, from 0; ``pressed``: memory is short."""
    cache: Cache[Any, Any] = Cache(domain=domain, **{"weigher": None, **options})
    cache.update((k, k) for k in range(n))
    domain.under_pressure = pressed
    return cache


def ask(cache: Cache[Any, Any], key: object) -> bool:
    """Ask for a key, as programs do; return whether it was there."""
    if cache.get(key) is not None:
        return True
    cache[key] = key
    return False


def once(start: int = 1_000_000) -> Iterator[int]:
    """Yield keys that are asked for once."""
    return iter(range(start, 2 * start))


# --- what users get ------------------------------------------------------------------


@pytest.fixture(params=["full", "pressed"])
def bounded(request: pytest.FixtureRequest, domain: Domain) -> Iterator[Any]:
    """Make caches that n entries, from 0, fill: to ``maxsize``, or under pressure."""
    if request.param == "pressed":
        yield functools.partial(filled, domain)
        return

    def full(n: int, **options: Any) -> Cache[Any, Any]:
        return filled(domain, n, maxsize=n, pressed=False, **options)

    yield full


def test_a_working_set_comes_back_while_memory_is_short(domain: Domain) -> None:
    """Its keys are hits again, among ten times as many that are asked for once."""
    pressed = filled(domain, 1_000)
    pressed.registration.scan(900)
    assert len(pressed) == 100
    assert has_working_set_back(pressed, 9) >= 45


def test_a_working_set_comes_into_a_full_cache(domain: Domain) -> None:
    """Among twice as many that are asked for once.  With LRU it would have no hit."""
    cache: Cache[int, int] = Cache(100, weigher=None, domain=domain)
    cache.update((k, k) for k in range(900, 1_000))
    assert has_working_set_back(cache, 2) >= 30


def has_working_set_back(cache: Cache[int, int], nr_others: int) -> int:
    """Ask for 50 keys in turn, and for so many others after each; return the hits."""
    hot, others = range(50), once()
    assert not any(key in cache for key in hot)

    def turn() -> int:
        hits = 0
        for key in hot:
            hits += ask(cache, key)
            for _ in range(nr_others):
                ask(cache, next(others))
            assert cache.weight <= 100
        return hits

    came_back = [turn() for _ in range(20)]
    assert came_back[0] == 0
    assert 30 <= cache.statistics().ghost_hits <= 100
    return min(came_back[5:])


def test_keys_that_are_asked_for_once_push_out_a_fifth(bounded: Any) -> None:
    """However many they are; then they push out each other, the oldest first."""
    cache = bounded(50)
    others = list(range(1000, 1300))
    for key in others:
        ask(cache, key)
        assert key in cache
        assert len(cache) == 50
    assert list(cache) == [*others[-10:], *range(10, 50)]


def test_what_is_used_on_trial_stays(bounded: Any) -> None:
    """It goes to the tail when an eviction meets it."""
    cache = bounded(50)
    others = once()
    for _ in range(20):
        ask(cache, next(others))
    ask(cache, "new")
    assert ask(cache, "new")
    for _ in range(300):
        ask(cache, next(others))
    assert "new" in cache
    assert cache.statistics().ghost_hits == 0


def test_a_heavier_value_is_not_on_trial(domain: Domain) -> None:
    """The key was there: it keeps its place."""
    cache: Cache[int, int] = Cache(weigher=lambda _, v: 10 + v, domain=domain)
    cache.update(dict.fromkeys(range(20), 0))
    domain.under_pressure = True
    cache[19] = 5
    assert list(cache) == list(range(1, 20))


def test_a_small_cache_evicts_in_order(bounded: Any) -> None:
    """One of nine entries has none on trial: it would be the last one each time."""
    for n in range(1, FEW_ENTRIES + 1):
        cache = bounded(n)
        for key in range(100, 130):
            cache[key] = key
            assert list(cache) == [*range(n), *range(100, key + 1)][-n:]
        cache.registration.domain.under_pressure = False
    cache = bounded(FEW_ENTRIES + 1)
    cache.update((key, key) for key in range(100, 130))
    assert list(cache) == [128, 129, *range(2, FEW_ENTRIES + 1)]


def test_all_places_but_one_may_be_in_use(bounded: Any) -> None:
    """What is used stays, however few places there are."""
    for n in range(2, 30):
        cache = bounded(n)
        evicted = 0
        for key in range(100, 300):
            evicted += sum(not ask(cache, used) for used in range(n - 1))
            ask(cache, key)
        assert evicted < 20, n
        cache.registration.domain.under_pressure = False


def test_large_entries_are_tried_too(domain: Domain) -> None:
    """One that pushes out more than those on trial is the next to go all the same."""
    cache: Cache[int, int] = Cache(100, weigher=lambda _, v: v, domain=domain)
    cache.update(dict.fromkeys(range(100), 1))
    cache[1000] = 50
    assert list(cache) == [50, 51, 1000, *range(52, 100)]
    cache[1001] = 3
    assert list(cache) == [52, 53, 1001, *range(54, 100)]


# --- ghosts --------------------------------------------------------------------------


def test_ghosts_are_counted_once(bounded: Any) -> None:
    """A set of a key that was evicted makes it no ghost any more."""
    cache = bounded(40)
    cache[100] = 100
    assert 0 not in cache
    cache[0] = 0
    assert cache.statistics().ghost_hits == 1
    assert list(cache)[-1] == 0
    cache[0] = 1
    del cache[0]
    cache["no ghost"] = 0
    cache[0] = 0
    assert cache.statistics().ghost_hits == 1


def test_new_keys_are_on_trial_after_a_scan(domain: Domain) -> None:
    """Also where the cache may grow again."""
    cache = filled(domain, 40, pressed=False)
    cache.registration.scan(10)
    cache.update((k, k) for k in (100, 101, 0, 102))
    assert cache.statistics().ghost_hits == 1
    assert list(cache) == [10, 11, 100, 12, 13, 101, 102, *range(14, 40), 0]


def test_expired_keys_are_no_ghosts(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They left by their time, not by the pressure."""
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    cache = filled(domain, 40, ttl=10.0)
    now = 11.0
    cache["fresh"] = 1
    assert cache.registration.scan(20) == 20
    assert cache.statistics().expired > 20
    for key in range(20):
        cache[key] = key
    assert cache.statistics().ghost_hits == 0


@pytest.mark.parametrize("method", ["clear", "popitem"])
def test_clearing_forgets_ghosts(method: str, domain: Domain) -> None:
    """And what was on trial; taking all entries out one by one does not."""
    cache = filled(domain, 40)
    for key in range(100, 120):
        cache[key] = key
    if method == "clear":
        cache.clear()
    else:
        while cache:
            cache.popitem()
    cache["a"] = 1
    for key in range(10):
        cache[key] = key
    assert (cache.statistics().ghost_hits == 0) == (method == "clear")
    cache.clear()
    domain.under_pressure = False
    cache.update((k, k) for k in range(50))
    domain.under_pressure = True
    for key in range(1000, 1300):
        cache[key] = key
    assert list(cache) == [*range(1290, 1300), *range(10, 50)]
    cache.close()


def test_a_cache_that_has_grown_gets_more_ghosts(domain: Domain) -> None:
    """Old ones are forgotten then."""
    cache = filled(domain, 10)
    cache.registration.scan(5)
    domain.under_pressure = False
    cache.update((k, k) for k in range(1000, 3000))
    domain.under_pressure = True
    evicted = set(cache)
    cache.registration.scan(1000)
    evicted -= set(cache)
    for key in evicted:
        cache[key] = key
    # Those with a place of their own among 2,048, of the last 1,000 and more.
    assert 500 < cache.statistics().ghost_hits < 1000
    cache[0] = 0


class SameHash:
    """Different keys of one hash."""

    def __hash__(self) -> int:
        return 7


def test_a_common_hash_costs_a_place_in_the_order(domain: Domain) -> None:
    """A key that was not there comes in as if it had been; all else is right."""
    cache = filled(domain, 20)
    gone, other = SameHash(), SameHash()
    cache[gone] = 1
    cache.registration.scan(3)
    assert gone not in cache
    cache[other] = 2
    assert cache.statistics().ghost_hits == 1
    assert (cache[other], cache.get(gone)) == (2, None)


# --- forks ---------------------------------------------------------------------------


def after_fork(cache: Cache[Any, Any]) -> Any:
    """Do to one cache what a fork does to all."""
    inherited: Any = cache.registration._keepalive
    inherited.after_fork()
    return inherited


def test_a_child_tries_entries_of_its_own(domain: Domain) -> None:
    """Those from before the fork are kept, whether they were on trial or not."""
    cache = filled(domain, 50)
    for key in range(100, 120):
        cache[key] = key
    inherited = after_fork(cache)
    before = list(cache)
    own = before[:5]  # They were on trial; now they are the child's.
    cache.update(dict.fromkeys(own, -1))
    domain.under_pressure = False
    cache.update((k, k) for k in range(200, 220))
    domain.under_pressure = True
    for key in range(300, 400):
        cache[key] = key
    assert list(cache)[:45] == before[5:]
    # Those that were set again were used, and went to the tail.
    assert list(cache)[45:] == [*range(380, 400), *own]
    assert cache.registration.count() == 25
    del cache[before[5]]
    inherited.give_inherited()
    for key in range(500, 600):
        cache[key] = key
    assert len(cache) == 69
    assert not set(before[6:]) & set(cache)


def test_entries_that_were_given_are_tried(domain: Domain) -> None:
    """They are the child's own then, as others are."""
    cache = filled(domain, 50)
    after_fork(cache).give_inherited()
    for key in range(100, 400):
        cache[key] = key
    assert list(cache) == [*range(390, 400), *range(10, 50)]


def test_all_own_entries_of_a_child_are_on_trial(domain: Domain) -> None:
    """Where they are few beside those from before the fork."""
    cache = filled(domain, 100)
    after_fork(cache)
    domain.under_pressure = False
    cache.update((k, k) for k in range(200, 204))
    domain.under_pressure = True
    for key in range(300, 320):
        cache[key] = key
    assert list(cache) == [*range(100), *range(316, 320)]


def test_a_fork_in_an_eviction_callback(domain: Domain) -> None:
    """In the child the entry that is being set is kept."""

    def on_evict(key: int, _: int) -> None:
        if key == 1:
            after_fork(cache)

    cache = filled(domain, 20, on_evict=on_evict)
    cache[100] = 100
    cache[101] = 101
    assert cache.registration.count() == 0
    assert list(cache)[-1] == 101
    cache[102] = 102
    cache[103] = 103
    assert list(cache)[-2:] == [101, 103]


def test_a_callback_that_takes_the_new_entry_out(domain: Domain) -> None:
    """Then nothing is put on trial."""

    def on_evict(key: int, _: int) -> None:
        if key == 0:
            cache.clear()

    cache = filled(domain, 20, on_evict=on_evict)
    cache[100] = 100
    assert not cache
    cache[101] = 101
    assert list(cache) == [101]


# --- the order, beside a model -------------------------------------------------------


class Model:
    """The order of a cache, with entries of weight 1."""

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self.order: list[int] = []
        self.used: set[int] = set()
        self.trial: set[int] = set()
        self.pressure = False
        self.evicted: set[int] = set()

    def unlink(self, key: int) -> None:
        self.trial.discard(key)
        self.order.remove(key)

    def remove(self, key: int) -> None:
        self.unlink(key)
        self.used.discard(key)

    def evict(self, key: int) -> None:
        self.remove(key)
        self.evicted.add(key)

    def to_tail(self, key: int) -> None:
        self.unlink(key)
        self.order.append(key)

    def add(self, key: int, *, ghost: bool = False) -> None:
        self.order.append(key)
        if len(self.order) > self.maxsize or (self.pressure and len(self.order) > 1):
            self.make_room(key)
        if self.evicted and not ghost and len(self.order) > FEW_ENTRIES:
            self.put_on_trial(key)

    def make_room(self, key: int) -> None:
        spare = ROTATIONS
        while True:
            head = self.order[0]
            if head == key:
                self.to_tail(key)
            elif head in self.used and spare:
                spare -= 1
                self.used.discard(head)
                self.to_tail(head)
            else:
                break
        self.evict(head)

    def put_on_trial(self, key: int) -> None:
        wanted = len(self.order) // ENTRIES_PER_TRIAL
        self.unlink(key)
        assert self.trial == set(self.order[: len(self.trial)])
        for _ in range(JOIN_PER_SET):
            if len(self.trial) + 1 < wanted:
                self.trial.add(self.order[len(self.trial)])
        self.order.insert(len(self.trial), key)
        self.trial.add(key)

    def scan(self, n: int) -> None:
        turn = spare = len(self.order)
        steps = 2 * turn
        while n and steps and self.order:
            n, steps, head = n - 1, steps - 1, self.order[0]
            if head in self.used and spare:
                spare -= 1
                self.used.discard(head)
                self.to_tail(head)
            else:
                self.evict(head)


def change(cache: Cache[int, int], model: Model, dice: Dice) -> None:
    """Do something to a cache and its model."""
    key = dice.choice((dice.randrange(150), dice.randrange(10_000)))
    match dice.choices(range(6), (800, 50, 20, 20, 10, 1))[0]:
        case 0 if cache.get(key) is not None:
            model.used.add(key)
        case 0:
            ghosts = cache.statistics().ghost_hits
            cache[key] = key
            ghost = cache.statistics().ghost_hits > ghosts
            assert not ghost or key in model.evicted
            model.add(key, ghost=ghost)
        case 1 if cache.pop(key, None) is not None:
            model.remove(key)
        case 2 if cache:
            model.remove(cache.popitem()[0])
        case 3:
            n = dice.randrange(1, 6)
            cache.registration.scan(n)
            model.scan(n)
        case 4:
            model.pressure = dice.random() < 0.9
            cache.registration.domain.under_pressure = model.pressure
        case 5:
            while cache:
                model.remove(cache.popitem()[0])


@pytest.mark.parametrize("maxsize", [10**6, 60, 12, 5])
@pytest.mark.parametrize("seed", range(8))
def test_the_order_is_that_of_a_model(seed: int, maxsize: int, domain: Domain) -> None:
    """After any operations; only a key that was there comes in without a trial."""
    dice = Dice(seed)
    cache: Cache[int, int] = Cache(maxsize, weigher=None, domain=domain)
    model = Model(maxsize)
    for key in range(60):
        cache[key] = key
        model.add(key)
    for _ in range(1_500):
        change(cache, model, dice)
        assert list(cache) == model.order
    assert cache.statistics().ghost_hits > 0
