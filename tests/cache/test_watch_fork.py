"""``watch``: dicts that were filled before a fork."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import filled
from processes_support import run

from shrinker.cache import watch

if TYPE_CHECKING:
    from shrinker import Domain


@pytest.mark.parametrize("kind", [dict, OrderedDict])
@pytest.mark.parametrize("entry_bytes", [None, 8192])
def test_inherited_entries_are_kept(
    kind: Any, entry_bytes: int | None, domain: Domain
) -> None:
    """They are not counted, and those after them are evicted first."""
    cache = kind(filled(100))
    watched = watch(
        cache, lock=threading.Lock(), entry_bytes=entry_bytes, domain=domain
    )
    registration, adapter = watched.registration, watched.registration.private_data
    adapter.after_fork()
    assert registration.count() == 0
    assert adapter.inherited_bytes() == 100 * (entry_bytes or 4096)
    assert domain.shrink_slab(priority=0) == 0
    cache.update((n, n) for n in range(100, 110))
    pages = 2 if entry_bytes else 1
    assert registration.count() == 10 * pages
    assert registration.scan(3 * pages) == 3 * pages
    assert list(cache) == [*range(100), *range(103, 110)]
    assert domain.shrink_slab(priority=0) == 7 * pages
    assert list(cache) == list(range(100))


def test_inherited_entries_that_users_delete(domain: Domain) -> None:
    """As many others as they were may be kept in their place, but no more."""
    cache = filled(100)
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    watched.registration.private_data.after_fork()
    for n in range(60):
        del cache[n]
    assert watched.registration.count() == 0
    cache.update((n, n) for n in range(100, 110))
    assert watched.registration.count() == 10


def test_inherited_entries_are_given_at_last(domain: Domain) -> None:
    """Where a reclaimer says so, which has found nothing else."""
    cache = filled(100)
    watched = watch(cache, lock=threading.Lock(), domain=domain)
    adapter = watched.registration.private_data
    assert not adapter.give_inherited()
    adapter.after_fork()
    assert adapter.give_inherited()
    assert not adapter.give_inherited()
    assert adapter.inherited_bytes() == 0
    assert domain.shrink_slab(priority=0) == 100


def test_a_parent_that_has_ended_shares_nothing(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a daemon."""
    watched = watch(filled(100), lock=threading.Lock(), domain=domain)
    watched.registration.private_data.after_fork()
    assert watched.registration.count() == 0
    parent = os.getppid()  # 1 in a container that runs these tests.
    monkeypatch.setattr(os, "getppid", lambda: parent + 1)
    assert watched.registration.count() == 100


def test_a_fork() -> None:
    """The parent goes on as before, and so does a cache that is gone."""
    printed = run("""
from shrinker.cache import watch
cache = {n: n for n in range(100)}
watched = watch(cache, lock=threading.Lock(), domain=domain)
gone = watch(type("Dict", (dict,), {})(), lock=threading.Lock(), domain=domain)
def use():
    assert watched.registration.count() == 0
    cache["new"] = 1
    assert watched.registration.count() == 1
    assert watched.registration.scan(5) == 1
    assert len(cache) == 100
assert child(use) == 0
assert watched.registration.count() == 100
assert watched.registration.scan(5) == 5
print("done")
""")
    assert printed == "done\n"
