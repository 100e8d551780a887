"""The public interface against a model of a whole domain, in any order of calls."""

from __future__ import annotations

import itertools
import os
import warnings
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from domain_model import (
    Group,
    MachineModel,
    Raised,
    Refused,
    ShrinkerModel,
    Store,
)
from domain_values import COUNTS, SPEC, STALL_LIMIT, Cache
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from reference_model import SHRINK_EMPTY, SHRINK_STOP

from shrinker import (
    CallbackErrors,
    Domain,
    Memcg,
    ShrinkerBuilder,
    ShrinkerError,
    ShrinkerFlags,
    ShrinkerRegistration,
)

# How many times more than usual.
LONGER = max(1, int(os.environ.get("SHRINKER_STRESS_SECONDS", "0")))


class DomainMachine(RuleBasedStateMachine):
    """Does the same to a domain and to its model."""

    @initialize(
        nr_nodes=st.integers(1, 2),
        memcg=st.sampled_from([True, True, True, False]),
        kmem=st.sampled_from([True, True, False]),
        specs=st.lists(st.fixed_dictionaries(SPEC), min_size=2, max_size=5),
        objects=st.lists(COUNTS, min_size=5, max_size=5),
    )
    def begin(
        self, nr_nodes: int, memcg: bool, kmem: bool, specs: Any, objects: Any
    ) -> None:
        self.domain = Domain(
            nr_nodes=nr_nodes, memcg=memcg, kmem=kmem, stall_limit=STALL_LIMIT
        )
        self.model = MachineModel(nr_nodes, STALL_LIMIT, memcg=memcg, kmem=kmem)
        self.builders: list[tuple[ShrinkerModel, ShrinkerBuilder]] = []
        self.open: list[tuple[ShrinkerModel, ShrinkerRegistration[Cache]]] = []
        self.closed: list[tuple[ShrinkerModel, ShrinkerRegistration[Cache]]] = []
        self.groups: list[tuple[Group | None, Memcg | None]] = [(None, None)]
        if memcg:
            self.groups.append((self.model.root, self.domain.root))
        for j in (1, 2, 1)[: 3 * memcg]:
            self.create_group(j)
        for i, spec in enumerate(specs):
            self.allocate(**spec)
            self.register(0)
            self.fill(i, objects[i])

    def teardown(self) -> None:
        if hasattr(self, "domain"):
            self.domain.close()

    def same(self, call: Any, expected: Any) -> None:
        """Compare what ``call`` returns or raises with the model's answer."""
        self.model.raised = False
        try:
            wanted = expected()
        except Refused:
            with pytest.raises((ShrinkerError, ValueError)):
                call()
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # Of stalled passes.
            try:
                found = call()
            except CallbackErrors as errors:
                assert self.model.raised
                assert all(type(error) is Raised for error in errors.exceptions)
                found = errors.result
            else:
                assert not self.model.raised
        if self.model.raised and found in (SHRINK_STOP, SHRINK_EMPTY):
            found = 0  # A direct call's own result is the core's.
        assert found == wanted

    # --- shrinkers ------------------------------------------------------------

    @rule(**SPEC)
    @precondition(lambda self: len(self.model.allocated) < 8)
    def allocate(
        self,
        seeks: int,
        batch: int,
        flags: int,
        policy: str,
        empty_is_known: bool,
        refills: list[int],
    ) -> None:
        numa, memcg, nonslab = (bool(flags >> i & 1) for i in range(3))
        theirs, ours = (Store(policy, empty_is_known, refills[:]) for _ in range(2))
        name = f"cache {len(self.model.allocated)}"
        model = ShrinkerModel(name, seeks, max(batch, 0), numa, memcg, nonslab, ours)
        self.model.allocate(model)
        wanted = (
            ShrinkerFlags.NUMA_AWARE * numa
            | ShrinkerFlags.MEMCG_AWARE * memcg
            | ShrinkerFlags.NONSLAB * nonslab
        )
        builder = ShrinkerBuilder(name, flags=ShrinkerFlags(wanted), domain=self.domain)
        builder.set_seeks(seeks).set_batch(batch)
        builder.cache = Cache(theirs)  # type: ignore[attr-defined]
        assert builder.id == model.id
        self.builders.append((model, builder))

    @rule(i=st.integers(0, 7))
    @precondition(lambda self: self.builders)
    def register(self, i: int) -> None:
        model, builder = self.builders.pop(i % len(self.builders))
        cache = builder.cache  # type: ignore[attr-defined]
        registration = builder.register(cache)
        self.model.registered.append(model)
        self.open.append((model, registration))
        assert registration.id == model.id
        used = {r.debugfs_id for _, r in self.open[:-1]}
        free = next(number for number in itertools.count() if number not in used)
        assert registration.debugfs_id == free

    @rule(i=st.integers(0, 7))
    @precondition(lambda self: self.builders)
    def give_builder_up(self, i: int) -> None:
        model, builder = self.builders.pop(i % len(self.builders))
        builder.close()
        self.model.free(model)

    @rule(i=st.integers(0, 7))
    @precondition(lambda self: self.open)
    def close(self, i: int) -> None:
        model, registration = self.open.pop(i % len(self.open))
        registration.close()
        self.model.free(model)
        self.closed.append((model, registration))

    @rule(i=st.integers(0, 7), name=st.text("ab{%s:", min_size=1, max_size=3))
    @precondition(lambda self: self.open)
    def rename(self, i: int, name: str) -> None:
        model, registration = self.open[i % len(self.open)]
        registration.rename(name)
        model.name = name

    @rule(i=st.integers(0, 7), objects=COUNTS)
    @precondition(lambda self: self.open)
    def fill(self, i: int, objects: int) -> None:
        """Put objects everywhere, a different number in each place, and set the
        bits."""
        model, registration = self.open[i % len(self.open)]
        places = itertools.product(range(self.model.nr_nodes), self.groups)
        for more, (nid, (group, memcg)) in enumerate(places):
            place = nid, group.id if group else 0
            for store in (model.store, registration.private_data.store):
                store.objects[place] = objects + more
            if group is not None and memcg is not None:
                memcg.set_shrinker_bit(nid, registration)
                self.model.set_bit(group, nid, model)

    # --- walks ----------------------------------------------------------------

    def pick(self, j: int) -> tuple[Group | None, Memcg | None]:
        return self.groups[j % len(self.groups)]

    @rule(nid=st.integers(0, 1), j=st.integers(0, 7), priority=st.integers(0, 12))
    def shrink_slab(self, nid: int, j: int, priority: int) -> None:
        group, memcg = self.pick(j)
        nid %= self.model.nr_nodes
        self.same(
            lambda: self.domain.shrink_slab(nid=nid, memcg=memcg, priority=priority),
            lambda: self.model.walk(nid, group, priority),
        )

    @rule(
        wanted=st.integers(0, 5000),
        nid=st.none() | st.integers(0, 1),
        j=st.integers(0, 7),
        priority=st.integers(0, 12),
    )
    def reclaim(self, wanted: int, nid: int | None, j: int, priority: int) -> None:
        group, memcg = self.pick(j)
        nid = None if nid is None else nid % self.model.nr_nodes

        def call() -> tuple[int, int, int, int]:
            try:
                result = self.domain.reclaim(
                    wanted, nid=nid, memcg=memcg, priority=priority
                )
            except CallbackErrors as errors:
                result = errors.result
                assert self.model.raised
                self.model.raised = False
            return (
                result.nr_reclaimed,
                result.nr_scanned,
                result.passes,
                result.priority,
            )

        self.same(call, lambda: self.model.reclaim(wanted, nid, group, priority))

    @rule()
    def drop_slab(self) -> None:
        self.same(self.domain.drop_slab, self.model.drop_slab)

    @rule(i=st.integers(0, 7), nid=st.integers(0, 1), j=st.integers(0, 7))
    @precondition(lambda self: self.open)
    def count(self, i: int, nid: int, j: int) -> None:
        model, registration = self.open[i % len(self.open)]
        group, memcg = self.pick(j)
        nid %= self.model.nr_nodes
        self.same(
            lambda: registration.count(nid, memcg),
            lambda: self.model.count(model, nid, group),
        )

    @rule(
        i=st.integers(0, 7),
        nr_to_scan=st.integers(0, 300),
        nid=st.integers(0, 1),
        j=st.integers(0, 7),
    )
    @precondition(lambda self: self.open)
    def scan(self, i: int, nr_to_scan: int, nid: int, j: int) -> None:
        model, registration = self.open[i % len(self.open)]
        group, memcg = self.pick(j)
        nid %= self.model.nr_nodes
        self.same(
            lambda: registration.scan(nr_to_scan, nid, memcg),
            lambda: self.model.scan(model, nr_to_scan, nid, group),
        )

    @rule()
    def debugfs(self) -> None:
        if any(model.store.policy == "count raises" for model, _ in self.open):
            return  # The listing ends there.
        found = self.domain.debugfs()
        wanted = {
            f"{model.name}-{registration.debugfs_id}": self.model.debugfs(model)
            for model, registration in self.open
        }
        assert found == wanted

    # --- memory cgroups -------------------------------------------------------

    @rule(j=st.integers(0, 7))
    @precondition(lambda self: 1 < len(self.groups) < 7)
    def create_group(self, j: int) -> None:
        group, memcg = self.pick(j)
        root = self.model.root
        assert root is not None
        try:
            new = self.model.create_group(group or root)
        except Refused:
            with pytest.raises(ShrinkerError):
                self.domain.create_memcg("group", memcg)
            return
        made = self.domain.create_memcg("group", memcg)
        assert made.id == new.id
        self.groups.append((new, made))

    @rule(nid=st.integers(0, 1), j=st.integers(0, 7), i=st.integers(0, 15))
    @precondition(lambda self: self.builders or self.open)
    def set_bit(self, nid: int, j: int, i: int) -> None:
        both: list[Any] = [*self.builders, *self.open]
        model, shrinker = both[i % len(both)]
        group, memcg = self.pick(j)
        nid %= self.model.nr_nodes
        if memcg is not None and group is not None:
            memcg.set_shrinker_bit(nid, shrinker)
            self.model.set_bit(group, nid, model)

    @rule(j=st.integers(0, 7), what=st.sampled_from(["offline", "close", "reparent"]))
    @precondition(lambda self: len(self.groups) > 1)
    def end_group(self, j: int, what: str) -> None:
        group, memcg = self.pick(j)
        if group is None or memcg is None:
            return
        calls = {
            "offline": (memcg.offline, self.model.offline),
            "close": (memcg.close, self.model.close_group),
            "reparent": (memcg.reparent_deferred, self.model.reparent),
        }
        call, expected = calls[what]
        try:
            expected(group)
        except Refused:
            with pytest.raises(ShrinkerError):
                call()
            return
        call()
        if what == "close":
            self.groups.remove((group, memcg))

    # --- what holds at all times ----------------------------------------------

    @invariant()
    def counters_are_the_models(self) -> None:
        for model, registration in self.open:
            for group, memcg in self.groups:
                for nid in range(self.model.nr_nodes):
                    found = registration.nr_deferred(nid, memcg)
                    assert found == self.model.nr_deferred(model, nid, group)

    @invariant()
    def figures_are_the_models(self) -> None:
        for model, registration in [*self.open, *self.closed]:
            seen = registration.statistics()
            assert (seen.passes, seen.scan_calls) == (model.passes, model.scan_calls)
            assert (seen.scanned, seen.freed) == (model.scanned, model.freed)
            assert seen.stalled == model.stalled
        seen_in_all = self.domain.statistics()
        assert seen_in_all.passes == self.model.passes
        assert seen_in_all.slabs_scanned == self.model.scanned

    @invariant()
    def stores_are_the_models(self) -> None:
        for model, registration in self.open:
            assert registration.private_data.store == model.store

    @invariant()
    def order_and_names_are_the_models(self) -> None:
        assert self.domain.shrinkers() == tuple(r for _, r in self.open)
        assert [m for m, _ in self.open] == self.model.registered
        assert [r.name for _, r in self.open] == [m.name for m, _ in self.open]

    @invariant()
    def maps_are_the_models(self) -> None:
        if self.model.root is None:
            assert self.domain.memcgs() == ()
            return
        memcgs = dict(self.groups[1:])
        wanted = [memcgs[group] for group in self.model.root.preorder()]
        assert list(self.domain.memcgs()) == wanted
        for group, memcg in self.groups[1:]:
            assert group is not None
            assert memcg is not None
            assert memcg.online == group.online
            for nid in range(self.model.nr_nodes):
                info = memcg.shrinker_info(nid)
                assert info.bits == tuple(sorted(i for n, i in group.bits if n == nid))
                assert info.nr_deferred == {
                    i: number
                    for (n, i), number in group.deferred.items()
                    if n == nid and number
                }


DomainMachine.TestCase.settings = settings(
    max_examples=150 * LONGER,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestDomain = DomainMachine.TestCase
