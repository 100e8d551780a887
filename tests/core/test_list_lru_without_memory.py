"""``ListLru`` where Python's memory runs out inside a step, or a step is misused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from no_memory_support import shortages

from shrinker import Domain, ListLru, LruStatus, ShrinkerBuilder, ShrinkerFlags
from shrinker import _lru_lists as lists

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.one_thread("it fails allocations of all threads"),
    pytest.mark.untraced("a tracer asks for memory as well"),
]


class Thing:
    """An object for an lru."""


def in_turn(*answers: LruStatus) -> Callable[[Any], LruStatus]:
    """Return an isolate function that answers with these, then skips."""
    left = list(reversed(answers))
    return lambda _obj: left.pop() if left else LruStatus.SKIP


OPERATIONS: dict[str, Callable[[ListLru, Thing], object]] = {
    "add": lambda lru, one: lru.add(Thing()),
    "add again": lambda lru, one: lru.add(one),
    "add many": lambda lru, one: lru.add_many([Thing(), one, Thing()]),
    "remove": lambda lru, one: lru.remove(one),
    "walk": lambda lru, one: lru.walk(
        in_turn(LruStatus.REMOVED, LruStatus.ROTATE, LruStatus.REMOVED_RETRY), 8
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("all_fail", [False, True])
def test_operations(domain: Domain, operation: str, *, all_fail: bool) -> None:
    """After each failure counts and lists agree, and what is there can be walked."""
    for short_of_memory in shortages(all_fail=all_fail):
        with ListLru(domain=domain) as lru:
            one = Thing()
            lru.add_many([Thing(), one, Thing(), Thing()])
            short_of_memory(lambda: OPERATIONS[operation](lru, one))  # noqa: B023
            seen: list[Any] = []
            lru.walk(lambda obj: (seen.append(obj), LruStatus.REMOVED)[1], 100)  # noqa: B023
            assert len(seen) == len(set(map(id, seen)))
            assert len(lru) == lru.count() == 0
            assert lru.add(one)


def test_a_group_that_goes_offline(domain: Domain) -> None:
    """What could not be moved to the parent's list is still on its own or there."""
    for short_of_memory in shortages():
        builder = ShrinkerBuilder("c", flags=ShrinkerFlags.MEMCG_AWARE, domain=domain)
        with ListLru(shrinker=builder) as lru:
            memcg = domain.create_memcg("a")
            lru.add_many([Thing(), Thing()], memcg=memcg)
            short_of_memory(memcg.offline)
            assert len(lru) == 2


def misused() -> dict[str, Callable[[], object]]:
    """Return calls of steps with arguments that are none of theirs."""
    entry = lists.Entry(Thing(), object(), lists.List(0, None, None))
    put, forget, take_off = lists._put, lists._forget, lists._take_off
    visit: Any = lists._visit
    move: Any = lists.move
    on, frozen = entry.list, frozenset({0})

    class Refuses(dict[Any, Any]):
        def __delitem__(self, key: object) -> None:
            raise ValueError(key)

    class Half:
        """As an entry, with some of its attributes."""

        def __init__(self, **attributes: Any) -> None:
            vars(self).update(attributes)

    class Fixed:
        """An entry that stays on its list."""

        key = entry.key

        @property
        def list(self) -> Any:
            return on

    refusing = Refuses({entry.key: entry})
    refuser = Half(entries=refusing)
    plain = Half(entries={entry.key: entry})
    known = {"key": entry.key, "ref": entry.ref, "obj": entry.obj}
    rotating = in_turn(LruStatus.ROTATE)
    answer = in_turn(LruStatus.REMOVED)
    on.entries[entry.key] = entry
    return {
        "put: nothing": put,  # type: ignore[call-arg]
        "put: no entry": lambda: put(object(), {}),  # type: ignore[arg-type]
        "put: no order": lambda: put(Half(**known, list=5), {}),  # type: ignore[arg-type]
        "put: no key": lambda: put(Half(**{**known, "key": []}, list=on), {}),  # type: ignore[arg-type]
        "put: no table": lambda: put(entry, 5),  # type: ignore[arg-type]
        "forget: no entry": lambda: forget(5),  # type: ignore[arg-type]
        "forget: nothing": forget,  # type: ignore[call-arg]
        "take_off: nothing": take_off,  # type: ignore[call-arg]
        "take_off: no entry": lambda: take_off(5, {}),  # type: ignore[arg-type]
        "take_off: refuses": lambda: take_off(entry, refusing),
        "take_off: stays": lambda: take_off(
            Half(**known, list=refuser),  # type: ignore[arg-type]
            {entry.key: entry},
        ),
        "visit: nothing": visit,
        "visit: no entry": lambda: visit(5, on, {}, set(), answer),
        "visit: no set": lambda: visit(entry, on, {}, 5, answer),
        "visit: no list": lambda: visit(entry, 5, {}, set(), answer),
        "visit: no status": lambda: visit(entry, on, {}, set(), lambda _obj: 5),
        "visit: raises": lambda: visit(entry, on, {}, set(), 5),
        "visit: frozen": lambda: visit(entry, on, {}, frozen, answer),
        "visit: no object": lambda: visit(Half(key=1), on, {}, set(), answer),
        "visit: half": lambda: visit(
            Half(key=entry.key, obj=1), on, {}, set(), rotating
        ),
        "visit: no tail": lambda: visit(
            Half(**known, list=plain), on, {}, set(), rotating
        ),
        "move: stays": lambda: move(entry, refuser, lists.List(0, None, None)),
        "move: nowhere": lambda: move(entry, on, Half(entries=Refuses())),
        "move: refused": lambda: move(entry, on, Half(entries=())),
        "move: fixed": lambda: move(Fixed(), on, lists.List(0, None, None)),
        "move: nothing": move,
        "move: no entry": lambda: move(5, on, on),
        "move: no list": lambda: move(entry, 5, on),
        "move: no other": lambda: move(entry, on, 5),
    }


@pytest.mark.parametrize("call", misused())
def test_steps_refuse_what_is_none_of_theirs(call: str) -> None:
    """They raise, as any code of C may be called wrongly once; nothing crashes."""
    with pytest.raises((TypeError, AttributeError, SystemError, ValueError)):
        misused()[call]()
