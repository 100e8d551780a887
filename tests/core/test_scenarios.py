"""Whole walks as a genuine kernel made them: callbacks, counters, bits.

``tests/data/vectors/scenarios.jsonl.xz`` has recorded scenarios with several shrinkers,
nodes and memory cgroups, with registering, freeing and going offline in between. They
are replayed on the public API. After each step the callbacks, the result and the whole
state must be as recorded.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from vectors_support import vectors

from shrinker import (
    CountObjects,
    Domain,
    Memcg,
    ScanObjects,
    ShrinkControl,
    ShrinkerBuilder,
    ShrinkerFlags,
    ShrinkerRegistration,
)

FLAGS = {
    "NUMA": ShrinkerFlags.NUMA_AWARE,
    "MEMCG": ShrinkerFlags.MEMCG_AWARE,
    "NONSLAB": ShrinkerFlags.NONSLAB,
}


class Cache:
    """A cache that counts and scans as the recorded ones did."""

    def __init__(self, world: World, name: str, zero: str, scan: str) -> None:
        self.world = world
        self.name = name
        self.zero = zero
        self.scan = scan
        self.pushed: list[int] = []
        self.objects: defaultdict[tuple[int, str | None], int] = defaultdict(int)
        # Bits that a callback sets: (on, memcg, nid, target).
        self.arms: list[tuple[str, str, int, str]] = []

    def count_objects(self, sc: ShrinkControl) -> CountObjects | int:
        self.fire("count")
        if self.pushed:
            value = self.pushed.pop(0)
        else:
            value = self.objects[place(sc)]
            if value == 0 and self.zero == "empty":
                value = CountObjects.EMPTY.value
        nid, memcg = place(sc)
        self.world.calls.append(["c", self.name, nid, memcg, value])
        return CountObjects.EMPTY if value == CountObjects.EMPTY.value else value

    def scan_objects(self, sc: ShrinkControl) -> ScanObjects | int:
        self.fire("scan")
        nid, memcg = place(sc)
        asked, have = sc.nr_to_scan, self.objects[nid, memcg]
        freed = {
            "consume": min(asked, have),
            "none": 0,
            "half": min(asked // 2, have),
            "stop": ScanObjects.STOP.value,
            "exact": min(asked, have) or ScanObjects.STOP.value,
        }[self.scan]
        stopped = freed == ScanObjects.STOP.value
        if self.scan == "exact" and not stopped:
            sc.nr_scanned = freed
        if not stopped:
            self.objects[nid, memcg] -= freed
        self.world.calls.append(
            ["s", self.name, nid, memcg, asked, freed, sc.nr_scanned]
        )
        return ScanObjects.STOP if stopped else freed

    def fire(self, on: str) -> None:
        """Set the bits that were armed for this callback, in the order of arming."""
        due = [arm for arm in self.arms if arm[0] == on]
        self.arms = [arm for arm in self.arms if arm[0] != on]
        for _, memcg, nid, target in due:
            self.world.memcgs[memcg].set_shrinker_bit(nid, self.world.owners[target])


def place(sc: ShrinkControl) -> tuple[int, str | None]:
    return sc.nid, None if sc.memcg is None else sc.memcg.name


class World:
    """A domain, and the recorded operations on it."""

    def __init__(self, scenario: dict[str, Any]) -> None:
        self.domain = Domain(
            nr_nodes=scenario["nr_nodes"],
            memcg=not scenario["memcg_disabled"],
            kmem=scenario["kmem_online"],
            stall_limit=0,
        )
        self.calls: list[list[Any]] = []
        self.caches: dict[str, Cache] = {}
        self.owners: dict[str, ShrinkerBuilder | ShrinkerRegistration[Cache]] = {}
        self.memcgs: dict[str, Memcg] = {}
        if self.domain.root is not None:
            self.memcgs["root"] = self.domain.root

    def close(self) -> None:
        for owner in self.owners.values():
            owner.close()
        self.domain.close()

    # --- operations; each returns what the recording calls `out`, without state

    def memcg_create(self, memcg: str, parent: str) -> dict[str, Any]:
        self.memcgs[memcg] = self.domain.create_memcg(memcg, self.memcgs[parent])
        return {}

    def memcg_offline(self, memcg: str) -> dict[str, Any]:
        self.memcgs[memcg].offline()
        return {}

    def reparent_only(self, memcg: str) -> dict[str, Any]:
        self.memcgs[memcg].reparent_deferred()
        return {}

    def memcg_free(self, memcg: str) -> dict[str, Any]:
        self.memcgs.pop(memcg).close()
        return {}

    def shrinker_alloc(
        self,
        shrinker: str,
        flags: list[str],
        seeks: int,
        batch: int,
        zero: str,
        scan: str,
    ) -> dict[str, Any]:
        wanted = ShrinkerFlags(0)
        for flag in flags:
            wanted |= FLAGS[flag]
        builder = ShrinkerBuilder(shrinker, flags=wanted, domain=self.domain)
        self.owners[shrinker] = builder.set_seeks(seeks).set_batch(batch)
        self.caches[shrinker] = Cache(self, shrinker, zero, scan)
        return {"id": builder.id}

    def shrinker_register(self, shrinker: str) -> dict[str, Any]:
        builder = self.owners[shrinker]
        assert isinstance(builder, ShrinkerBuilder)
        self.owners[shrinker] = builder.register(self.caches[shrinker])
        return {}

    def shrinker_free(self, shrinker: str) -> dict[str, Any]:
        self.owners.pop(shrinker).close()
        del self.caches[shrinker]
        return {}

    def alloc_many(
        self, prefix: str, n: int, register: bool, **how: Any
    ) -> dict[str, Any]:
        ids = []
        for i in range(n):
            name = f"{prefix}{i}"
            ids.append(self.shrinker_alloc(name, **how)["id"])
            if register:
                self.shrinker_register(name)
        return {"ids": ids}

    def free_many(self, shrinkers: list[str]) -> dict[str, Any]:
        for shrinker in shrinkers:
            self.shrinker_free(shrinker)
        return {}

    def set_objects(
        self, shrinker: str, nid: int, memcg: str | None, value: int
    ) -> dict[str, Any]:
        self.caches[shrinker].objects[nid, memcg] = value
        return {}

    def populate(self, entries: list[list[Any]]) -> dict[str, Any]:
        for shrinker, nid, memcg, value, bit in entries:
            self.set_objects(shrinker, nid, memcg, value)
            if bit:
                self.set_shrinker_bit(memcg, nid, shrinker)
        return {}

    def push_counts(self, shrinker: str, values: list[int]) -> dict[str, Any]:
        self.caches[shrinker].pushed += values
        return {}

    def set_shrinker_bit(self, memcg: str, nid: int, shrinker: str) -> dict[str, Any]:
        self.memcgs[memcg].set_shrinker_bit(nid, self.owners[shrinker])
        return {}

    def arm_set_bit(
        self, shrinker: str, on: str, memcg: str, nid: int, target: str
    ) -> dict[str, Any]:
        self.caches[shrinker].arms.append((on, memcg, nid, target))
        return {}

    def shrink_slab(self, nid: int, memcg: str | None, priority: int) -> dict[str, Any]:
        target = None if memcg is None else self.memcgs.get(memcg)
        return self.walked(
            self.domain.shrink_slab(nid=nid, memcg=target, priority=priority)
        )

    def shrink_node(self, nid: int, priority: int) -> dict[str, Any]:
        targets: tuple[Memcg | None, ...] = self.domain.memcgs() or (None,)
        freed = sum(
            self.domain.shrink_slab(nid=nid, memcg=target, priority=priority)
            for target in targets
        )
        return self.walked(freed % 2**64)

    def walked(self, freed: int) -> dict[str, Any]:
        for cache in self.caches.values():
            cache.arms.clear()
        calls, self.calls = self.calls, []
        return {"ret": freed, "calls": calls}

    # --- state, as the recording has it

    def state(self) -> dict[str, Any]:
        deferred: list[list[Any]] = []
        bits: list[list[Any]] = []
        nr_max = 0
        nodes = range(self.domain.nr_nodes)
        for name, owner in sorted(self.owners.items()):
            if owner.id is None and isinstance(owner, ShrinkerRegistration):
                aware = owner.flags & ShrinkerFlags.NUMA_AWARE
                deferred += [
                    ["g", name, nid, value]
                    for nid in (nodes if aware else range(1))
                    if (value := owner.nr_deferred(nid))
                ]
        for memcg in sorted(self.memcgs.values(), key=lambda memcg: memcg.id):
            for nid in nodes:
                info = memcg.shrinker_info(nid)
                nr_max = info.nr_max
                deferred += [
                    ["m", memcg.name, nid, number, value]
                    for number, value in sorted(info.nr_deferred.items())
                ]
                if info.bits:
                    bits.append([memcg.name, nid, list(info.bits)])
        return {"deferred": deferred, "bits": bits, "nr_max": nr_max}


# A leak of the kernel's and its reference counts, which we do not have.
KERNEL_ONLY = {"refcount_before", "hang"}


@pytest.mark.parametrize(
    "scenario", vectors("scenarios"), ids=lambda scenario: str(scenario["id"])
)
def test_scenario(scenario: dict[str, Any]) -> None:
    """Each step gives the recorded result and leaves the recorded state."""
    world = World(scenario)
    for number, step in enumerate(scenario["steps"]):
        given = {key: step[key] for key in step if key not in {"op", "out"}}
        out = getattr(world, step["op"])(**given)
        out["state"] = world.state()
        expected = {k: v for k, v in step["out"].items() if k not in KERNEL_ONLY}
        assert {key: out.get(key) for key in expected} == expected, (number, step)
    world.close()


def test_all_operations_are_there() -> None:
    """The file has each operation, so each is tried."""
    seen = {
        step["op"] for scenario in vectors("scenarios") for step in scenario["steps"]
    }
    operations = {
        name
        for name, value in vars(World).items()
        if not name.startswith("_") and callable(value)
    }
    assert seen == operations - {"close", "walked", "state"}
