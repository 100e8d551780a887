"""A model of a whole domain, to compare the library's public interface with.

It is written from docs/specification.md alone ("Life of a shrinker", "Walks", "Memory
cgroups", "Shrinker debugfs") on lists and dictionaries; single passes are those of
``reference_model``. It knows no threads: one thing happens at a time.

A ``Store`` is the cache behind a shrinker. Library and model get one each, made from
the same values, so that they differ only where the walks differ.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

from reference_model import SHRINK_EMPTY, SHRINK_STOP, i64, model_pass, u64

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Group", "MachineModel", "Refused", "ShrinkerModel", "Store"]

Place = tuple[int, int]
"""A node and a memory cgroup's id, 0 without one."""


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The call is not allowed; nothing has changed."""


class Raised(Exception):  # noqa: N818 - as above
    """A callback raises."""


@dataclasses.dataclass
class Store:
    """Objects by place, and a policy for scans.

    ``policy`` says how a scan answers. ``refills`` are numbers of objects that come in,
    one after the other, each time a place is found and reported empty.
    """

    policy: str = "all"
    empty_is_known: bool = True
    refills: list[int] = dataclasses.field(default_factory=list)
    objects: dict[Place, int] = dataclasses.field(default_factory=dict)
    calls: int = 0

    def count(self, place: Place) -> int:
        """Return the number for the core; EMPTY and 0 are not the same."""
        if self.policy == "count raises":
            raise Raised
        here = self.objects.get(place, 0)
        if here:
            return here
        if self.refills:
            self.objects[place] = self.refills.pop()
        return SHRINK_EMPTY if self.empty_is_known else 0

    def scan(self, place: Place, nr_to_scan: int) -> tuple[int, int]:
        """Return how many were freed, or STOP, and how many were looked at."""
        self.calls += 1
        here = self.objects.get(place, 0)
        asked = min(here, nr_to_scan)
        if self.policy == "scan raises":
            raise Raised
        if self.policy == "stop" or (self.policy == "often" and self.calls % 3 == 0):
            return SHRINK_STOP, nr_to_scan
        freed = {"half": asked // 2, "none": 0, "stuck": 0}.get(self.policy, asked)
        self.objects[place] = here - freed
        looked = {"stuck": 0, "eager": 2 * nr_to_scan}.get(self.policy, nr_to_scan)
        return freed, looked


@dataclasses.dataclass(eq=False)
class Group:
    """A memory cgroup."""

    id: int
    parent: Group | None
    online: bool = True
    children: list[Group] = dataclasses.field(default_factory=list)
    bits: set[Place] = dataclasses.field(default_factory=set)
    """Node and shrinker id."""
    deferred: dict[Place, int] = dataclasses.field(default_factory=dict)

    def preorder(self) -> Iterator[Group]:
        yield self
        for child in self.children:
            yield from child.preorder()

    def add_deferred(self, place: Place, number: int) -> None:
        self.deferred[place] = i64(self.deferred.get(place, 0) + number)


@dataclasses.dataclass(eq=False)
class ShrinkerModel:
    """A shrinker, allocated, registered or closed."""

    name: str
    seeks: int
    batch: int
    numa: bool
    memcg: bool
    nonslab: bool
    store: Store
    id: int | None = None
    own_deferred: dict[int, int] = dataclasses.field(default_factory=dict)
    passes: int = 0
    scan_calls: int = 0
    scanned: int = 0
    freed: int = 0
    stalled: int = 0


class MachineModel:
    """A domain: nodes, memory cgroups, and shrinkers in the order of registration."""

    def __init__(
        self, nr_nodes: int, stall_limit: int, *, memcg: bool, kmem: bool
    ) -> None:
        self.nr_nodes = nr_nodes
        self.stall_limit = stall_limit
        self.kmem = kmem
        self.ids = itertools.count(1)
        self.root = Group(next(self.ids), None) if memcg else None
        self.allocated: list[ShrinkerModel] = []
        self.registered: list[ShrinkerModel] = []
        self.passes = self.scanned = 0
        self.raised = False
        """Whether a callback has raised since this was set to False."""

    # --- shrinkers ------------------------------------------------------------

    def allocate(self, shrinker: ShrinkerModel) -> None:
        shrinker.memcg = shrinker.memcg and self.root is not None
        if shrinker.memcg:
            taken = {other.id for other in self.allocated}
            shrinker.id = next(i for i in itertools.count() if i not in taken)
        self.allocated.append(shrinker)

    def free(self, shrinker: ShrinkerModel) -> None:
        self.allocated.remove(shrinker)
        if shrinker in self.registered:
            self.registered.remove(shrinker)

    def nr_deferred(
        self, shrinker: ShrinkerModel, nid: int, group: Group | None
    ) -> int:
        node = nid if shrinker.numa else 0
        if shrinker.memcg:
            group = group or self.root
            assert group is not None
            assert shrinker.id is not None
            return group.deferred.get((node, shrinker.id), 0)
        return shrinker.own_deferred.get(node, 0)

    def _exchange(
        self, shrinker: ShrinkerModel, nid: int, group: Group | None, number: int
    ) -> None:
        node = nid if shrinker.numa else 0
        if shrinker.memcg:
            assert group is not None
            assert shrinker.id is not None
            group.deferred[node, shrinker.id] = number
        else:
            shrinker.own_deferred[node] = number

    # --- callbacks, passes and walks ------------------------------------------

    def _place(self, nid: int, group: Group | None) -> Place:
        return nid, 0 if group is None else group.id

    def _count(self, shrinker: ShrinkerModel, nid: int, group: Group | None) -> int:
        try:
            return shrinker.store.count(self._place(nid, group))
        except Raised:
            self.raised = True
            return 0

    def _scan(
        self, shrinker: ShrinkerModel, nid: int, group: Group | None, nr_to_scan: int
    ) -> tuple[int, int]:
        try:
            return shrinker.store.scan(self._place(nid, group), nr_to_scan)
        except Raised:
            self.raised = True
            return SHRINK_STOP, nr_to_scan

    def _one_pass(
        self, shrinker: ShrinkerModel, nid: int, group: Group | None, priority: int
    ) -> int:
        count = self._count(shrinker, nid, group)
        accounted: list[tuple[int, int]] = []

        def scan(nr_to_scan: int, _: int) -> tuple[int, int]:
            answer = self._scan(shrinker, nid, group, nr_to_scan)
            if answer[0] != SHRINK_STOP:
                accounted.append(answer)
            return answer

        result = model_pass(
            count,
            self.nr_deferred(shrinker, nid, group),
            priority,
            shrinker.seeks,
            shrinker.batch,
            scan,
            stall_limit=self.stall_limit,
        )
        if result.freeable is not None:
            self._exchange(shrinker, nid, group, result.nr_deferred)
            self.passes += 1
            shrinker.passes += 1
        shrinker.scan_calls += len(accounted)
        shrinker.freed += sum(freed for freed, _ in accounted)
        shrinker.scanned += sum(scanned for _, scanned in accounted)
        self.scanned += sum(scanned for _, scanned in accounted)
        shrinker.stalled += result.stalled
        return result.returned

    def walk(self, nid: int, group: Group | None, priority: int) -> int:
        group = group or self.root
        if group is self.root:
            results = [
                self._one_pass(shrinker, nid, group, priority)
                for shrinker in list(self.registered)
            ]
            return u64(sum(r for r in results if r != SHRINK_EMPTY))
        assert group is not None
        return self._walk_group(nid, group, priority) if group.online else 0

    def _walk_group(self, nid: int, group: Group, priority: int) -> int:
        freed = 0
        by_id = {shrinker.id: shrinker for shrinker in self.registered}
        for number in sorted(i for node, i in group.bits if node == nid):
            shrinker = by_id.get(number)
            if shrinker is None:
                group.bits.discard((nid, number))
            elif self.kmem or shrinker.nonslab:
                result = self._one_pass(shrinker, nid, group, priority)
                if result == SHRINK_EMPTY:
                    group.bits.discard((nid, number))
                    result = self._one_pass(shrinker, nid, group, priority)
                    if result == SHRINK_EMPTY:
                        continue
                    group.bits.add((nid, number))
                freed += result
        return u64(freed)

    def _under(self, group: Group | None) -> list[Group | None]:
        group = group or self.root
        return [None] if group is None else list(group.preorder())

    def reclaim(
        self, wanted: int, nid: int | None, group: Group | None, priority: int
    ) -> tuple[int, int, int, int]:
        """Return objects freed and scanned, passes, and the last priority."""
        passes, scanned, freed = self.passes, self.scanned, 0
        nodes = range(self.nr_nodes) if nid is None else (nid,)
        for at in range(priority, -1, -1):
            for each in self._under(group):
                for node in nodes:
                    freed += self.walk(node, each, at)
            if freed >= wanted:
                break
        return u64(freed), u64(self.scanned - scanned), self.passes - passes, at

    def drop_slab(self) -> int:
        total = 0
        for round_number in range(64):
            freed = 0
            for node in range(self.nr_nodes):
                freed += sum(self.walk(node, each, 0) for each in self._under(None))
            total += freed
            if freed >> round_number <= 1:
                break
        return u64(total)

    # --- one shrinker by itself -----------------------------------------------

    def _check_direct(self, shrinker: ShrinkerModel, group: Group | None) -> None:
        if group is not None and not (shrinker.memcg and group.online):
            raise Refused

    def _shown(self, shrinker: ShrinkerModel, group: Group | None) -> Group | None:
        """Return the group that callbacks get in direct calls."""
        return (group or self.root) if shrinker.memcg else None

    def count(self, shrinker: ShrinkerModel, nid: int, group: Group | None) -> int:
        self._check_direct(shrinker, group)
        if nid and not shrinker.numa:
            return 0
        count = self._count(shrinker, nid, self._shown(shrinker, group))
        return 0 if count == SHRINK_EMPTY else count

    def scan(
        self, shrinker: ShrinkerModel, nr_to_scan: int, nid: int, group: Group | None
    ) -> int:
        if not nr_to_scan:
            return 0
        self._check_direct(shrinker, group)
        shown = self._shown(shrinker, group)
        freed, _ = self._scan(shrinker, nid, shown, nr_to_scan)
        return 0 if freed == SHRINK_STOP else freed

    def debugfs(self, shrinker: ShrinkerModel) -> str:
        groups = self._under(None) if shrinker.memcg else [None]
        lines = []
        for group in groups:
            if group is None or group.online:
                counts = [self.count(shrinker, n, group) for n in range(self.nr_nodes)]
                if any(counts):
                    number = group.id if group else 1 if self.root else 0
                    lines.append(" ".join(map(str, (number, *counts))) + "\n")
        return "".join(lines)

    # --- memory cgroups -------------------------------------------------------

    def create_group(self, parent: Group) -> Group:
        if not parent.online:
            raise Refused
        group = Group(next(self.ids), parent)
        parent.children.append(group)
        return group

    def set_bit(self, group: Group, nid: int, shrinker: ShrinkerModel) -> None:
        if group is not self.root and shrinker.id is not None:
            group.bits.add((nid, shrinker.id))

    def reparent(self, group: Group) -> None:
        heir = group if group.parent is None else group.parent
        for place, number in list(group.deferred.items()):
            heir.add_deferred(place, number)

    def offline(self, group: Group) -> None:
        if group is self.root or any(child.online for child in group.children):
            raise Refused
        if group.online:
            group.online = False
            self.reparent(group)

    def close_group(self, group: Group) -> None:
        if group.online or group.children:
            raise Refused
        assert group.parent is not None
        group.parent.children.remove(group)
