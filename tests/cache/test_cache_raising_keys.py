"""Cache with keys whose comparison raises: entries go whole, or stay whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shrinker.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker import Domain


class Key:
    """A key in one bucket with all others; its comparisons can be made to raise."""

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
def keys(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> Cache[Key, int]:
    """A cache of three keys in one bucket."""
    monkeypatch.setattr(Key, "error", None)
    cache: Cache[Key, int] = Cache(weigher=None, domain=domain)
    for n in range(3):
        cache[Key(n)] = n
    return cache


def consistent(cache: Cache[Key, int]) -> bool:
    """Return whether entries, order and weight agree."""
    shown = dict(cache.items())
    return len(shown) == len(cache) == len(list(cache)) == cache.weight


@pytest.mark.parametrize("error", [OSError, KeyError, RecursionError])
@pytest.mark.parametrize("how", ["del", "pop", "pop with a default"])
def test_a_key_that_raises_on_its_way_out(
    keys: Cache[Key, int],
    how: str,
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever comparison raises, that comes out, and the entry stays whole."""
    ways = {
        "del": lambda: keys.__delitem__(Key(2)),
        "pop": lambda: keys.pop(Key(2)),
        "pop with a default": lambda: keys.pop(Key(2), None),
    }
    raised = 0
    for left in range(1, 12):
        Key.error, Key.left = error, left
        before = len(keys)
        try:
            ways[how]()
        except error as caught:
            assert caught.args == ("in __eq__",)
            raised += 1
            gone = False
        else:
            gone = True
        monkeypatch.setattr(Key, "error", None)
        assert consistent(keys)
        assert len(keys) == before - gone
        if gone:
            keys[Key(2)] = 2
    assert raised
    assert Key(1) in keys
    keys.clear()


def evict(keys: Cache[Key, int]) -> None:
    keys.registration.domain.shrink_slab(priority=0)


def pop_all(keys: Cache[Key, int]) -> None:
    for _ in range(len(keys)):
        keys.popitem()


@pytest.mark.parametrize("how", [evict, pop_all, Cache.clear, Cache.close])
def test_what_takes_entries_in_order_compares_no_keys(
    keys: Cache[Key, int],
    how: Callable[[Cache[Key, int]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So it cannot fail: entries keep the hashes of their keys, and go by place."""
    keys.get(Key(0))  # A second chance, so that the order is not that of the bucket.
    Key.error, Key.left = OSError, 1
    monkeypatch.setattr(Key, "__hash__", None)
    how(keys)
    assert Key.left == 1
    assert len(keys) == keys.weight == 0
    assert list(keys) == list(keys.items()) == []
    assert keys.statistics().evict_errors == 0


def test_a_set_whose_comparison_raises(keys: Cache[Key, int]) -> None:
    """Nothing has changed then; a later set finds the entry."""
    for left in (1, 2, 3):
        Key.error, Key.left = OSError, left
        with pytest.raises(OSError, match="in __eq__"):
            keys[Key(3)] = 3
        Key.error = None
        assert consistent(keys)
        assert len(keys) == 3
    for n in range(3):
        keys[Key(n)] = n + 10
    assert sorted(keys.values()) == [10, 11, 12]
    assert consistent(keys)
