"""A cache that works is not worse off with a reclaimer than without one.

Memory that stays between *min* and *low* is no danger, and where the caches hold next
to nothing of it, emptying them does not help.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from shrinker.cache import Cache
from shrinker.pressure import Memory, Reclaimer, turn

if TYPE_CHECKING:
    from pathlib import Path

    from shrinker import Domain

MEMINFO = """\
MemTotal:       25000000 kB
MemFree:        {kib:8} kB
MemAvailable:   {kib:8} kB
Inactive(file):        0 kB
"""


ROUNDS, KEYS, LOOKUPS_BETWEEN_LOOKS = 16, 500, 50


def reclaimer_of(domain: Domain, root: Path, kib: int) -> Reclaimer:
    """Return one that finds so much free of 24 GiB."""
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text(MEMINFO.format(kib=kib))
    return Reclaimer(domain, memory=Memory(root), source=None, cooldown=0, hold=0)


def hits_of(cache: Cache[int, int], reclaimer: Reclaimer) -> int:
    """Look up all keys in turn and insert what is missing; return the hits."""
    hits = 0
    for i in range(ROUNDS * KEYS):
        if i % LOOKUPS_BETWEEN_LOOKS == 0:
            reclaimer.wake()
            reclaimer.look()
        if cache.get(i % KEYS) is None:
            cache[i % KEYS] = 1
        else:
            hits += 1
    return hits


@pytest.fixture(autouse=True)
def _no_turn_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a thread that has the turn does not run."""
    monkeypatch.setattr(turn, "TIMEOUT_SECONDS", 600)


@pytest.mark.parametrize("kib", [1_200_000, 600_000, 9_000_000])
def test_a_short_machine_keeps_its_small_caches(
    kib: int, tmp_path: Path, domain: Domain
) -> None:
    """500 keys in turn, a cache of 1,000: at most 2 % of the hits are lost."""
    cache: Cache[int, int] = Cache(1000, domain=domain)
    reclaimer = reclaimer_of(domain, tmp_path, kib)
    assert hits_of(cache, reclaimer) >= 0.98 * (ROUNDS - 1) * KEYS
    assert len(cache) == KEYS
    assert not domain.under_pressure


@pytest.mark.parametrize("kib", [1_200_000, 600_000, 9_000_000])
def test_beside_the_thread_too(kib: int, tmp_path: Path, domain: Domain) -> None:
    """The first reclaim, by which it learns, is made by one of the two and once."""
    cache: Cache[int, int] = Cache(1000, domain=domain)
    with reclaimer_of(domain, tmp_path, kib) as reclaimer:
        hits = hits_of(cache, reclaimer)
        assert not domain.under_pressure
    assert hits >= 0.98 * (ROUNDS - 1) * KEYS
    assert sum(each.action == "reclaim" for each in reclaimer.history()) <= 1


def test_looks_of_two_threads_are_one_after_the_other(
    tmp_path: Path, domain: Domain
) -> None:
    """A look that begins while another one reclaims knows what that one has freed."""
    inside, go_on = threading.Event(), threading.Event()

    def wait(_key: int, _value: int) -> None:
        if not inside.is_set():
            inside.set()
            go_on.wait(60)

    cache: Cache[int, int] = Cache(1000, weigher=None, domain=domain, on_evict=wait)
    cache.update((key, 1) for key in range(KEYS))
    reclaimer = reclaimer_of(domain, tmp_path, 600_000)
    first = threading.Thread(target=reclaimer.look)
    second = threading.Thread(target=reclaimer.look)
    first.start()
    assert inside.wait(60)
    second.start()
    second.join(0.1)  # It would reclaim in that time.
    go_on.set()
    first.join(60)
    second.join(60)
    assert sum(each.action == "reclaim" for each in reclaimer.history()) == 1
