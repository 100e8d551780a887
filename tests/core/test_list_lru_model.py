"""ListLru against a plain model of the kernel's list_lru, on random operations."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from shrinker import (
    Domain,
    ListLru,
    LruStatus,
    Memcg,
    ShrinkerBuilder,
    ShrinkerFlags,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Model:
    """Lists of numbers by (node, memcg id), with the kernel's loop."""

    def __init__(self, memcgs: list[Memcg]) -> None:
        self.memcgs = memcgs
        self.lists: dict[tuple[int, int], list[int]] = {
            (nid, memcg.id): [] for nid in range(2) for memcg in memcgs
        }
        self.bits: set[tuple[int, int]] = set()

    def find(self, number: int) -> list[int] | None:
        return next((at for at in self.lists.values() if number in at), None)

    def touch(self, nid: int, memcg: Memcg) -> None:
        if memcg.parent is not None:
            self.bits.add((nid, memcg.id))

    def add(self, nid: int, memcg: Memcg, number: int) -> None:
        while not memcg.online and memcg.parent is not None:
            memcg = memcg.parent
        items = self.lists[nid, memcg.id]
        if not items:
            self.touch(nid, memcg)
        items.append(number)

    def walk(
        self, nid: int, memcg: Memcg, isolate: Callable[[int], LruStatus], budget: int
    ) -> tuple[int, int]:
        items = self.lists[nid, memcg.id]
        isolated = 0
        current = items[0] if items else None
        while current is not None and budget:
            place = items.index(current)
            following = items[place + 1] if place + 1 < len(items) else None
            budget -= 1
            status = isolate(current)
            if status in {LruStatus.REMOVED, LruStatus.REMOVED_RETRY}:
                items.remove(current)
                isolated += 1
            elif status is LruStatus.ROTATE:
                items.remove(current)
                items.append(current)
            elif status is LruStatus.STOP:
                break
            if status in {LruStatus.RETRY, LruStatus.REMOVED_RETRY}:
                following = items[0] if items else None
            current = following
        return isolated, budget


class Thing:
    """An object with a number."""

    def __init__(self, number: int) -> None:
        self.number = number


@pytest.mark.parametrize("seed", range(300))
def test_random_operations(seed: int) -> None:
    """Any sequence of operations gives the model's answers, lists, bits and calls."""
    rng = random.Random(seed)  # noqa: S311
    domain = Domain(nr_nodes=2)
    builder = ShrinkerBuilder("x", flags=ShrinkerFlags.MEMCG_AWARE, domain=domain)
    lru = ListLru(shrinker=builder)
    assert domain.root is not None
    memcgs = [domain.root, *(domain.create_memcg("m") for _ in range(2))]
    memcgs.append(domain.create_memcg("child", memcgs[1]))
    model = Model(memcgs)
    objs = [Thing(i) for i in range(8)]
    for _ in range(40):
        memcg, nid, obj = rng.choice(memcgs), rng.randrange(2), rng.choice(objs)
        operation = rng.choice(["add", "add", "remove", "walk", "walk_node", "offline"])
        at = model.find(obj.number)
        if operation == "add":
            assert lru.add(obj, nid, memcg) == (at is None)
            if at is None:
                model.add(nid, memcg, obj.number)
        elif operation == "remove":
            assert lru.remove(obj) == (at is not None)
            if at is not None:
                at.remove(obj.number)
        elif operation == "offline":
            offline(memcg, memcgs, model)
        else:
            walk(rng, lru, model, operation, nid, memcg)
        for (node, number), items in model.lists.items():
            found = next(m for m in memcgs if m.id == number)
            assert lru.count(node, found) == len(items)
            bit = (node, number) in model.bits
            assert found.has_shrinker_bit(node, builder) == bit
    lru.close()
    domain.close()


def offline(memcg: Memcg, memcgs: list[Memcg], model: Model) -> None:
    children = [m for m in memcgs if m.parent is memcg and m.online]
    if memcg.parent is None or children or not memcg.online:
        return
    memcg.offline()
    for nid in range(2):
        items = model.lists[nid, memcg.id]
        if items:
            model.lists[nid, memcg.parent.id][:0] = items
            items.clear()
            model.touch(nid, memcg.parent)


def walk(
    rng: random.Random,
    lru: ListLru,
    model: Model,
    operation: str,
    nid: int,
    memcg: Memcg,
) -> None:
    answers = [rng.choice(list(LruStatus)) for _ in range(30)]
    budget = rng.choice([0, 1, 2, 3, 5, 20])
    seen: list[int] = []
    expected: list[int] = []

    def ours(thing: Thing) -> LruStatus:
        seen.append(thing.number)
        return answers[len(seen) - 1]

    def models(number: int) -> LruStatus:
        expected.append(number)
        return answers[len(expected) - 1]

    if operation == "walk":
        isolated, _ = model.walk(nid, memcg, models, budget)
        assert lru.walk(ours, budget, nid, memcg) == isolated
    else:
        isolated, left = 0, budget
        for group in sorted(model.memcgs, key=lambda group: group.id):
            more, left = model.walk(nid, group, models, left)
            isolated += more
        assert lru.walk_node(ours, budget, nid) == isolated
    assert seen == expected
