"""Memory cgroups: the tree, bits, deferred work, and what is refused."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from tests_support import Cache, Scripted, raiser, register, run_threads

from shrinker import (
    CallbackErrors,
    CountObjects,
    Domain,
    Memcg,
    ScanObjects,
    ShrinkControl,
    ShrinkerBuilder,
    ShrinkerError,
    ShrinkerFlags,
    default_domain,
)

MEMCG = ShrinkerFlags.MEMCG_AWARE
NUMA = ShrinkerFlags.NUMA_AWARE


def test_tree(machine: Domain) -> None:
    """memcgs() is in pre-order, children as they were created."""
    a = machine.create_memcg("a")
    b = machine.create_memcg("b")
    a1 = machine.create_memcg("a1", a)
    a2 = machine.create_memcg("a2", parent=a)
    a11 = machine.create_memcg("a11", a1)
    assert machine.memcgs() == (machine.root, a, a1, a11, a2, b)
    assert [memcg.id for memcg in (machine.root, a, b, a1, a2, a11)] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]
    assert (a11.parent, a1.parent, a.parent) == (a1, a, machine.root)
    assert machine.root is not None
    assert machine.root.parent is None
    assert a11.name == "a11"
    assert a11.online


def test_offline_stays_in_the_tree_until_closed(machine: Domain) -> None:
    """An offline group is still enumerated; a closed one is not; ids are not used
    again."""
    a = machine.create_memcg("a")
    a.offline()
    a.offline()
    assert not a.online
    assert machine.memcgs() == (machine.root, a)
    a.close()
    a.close()
    assert machine.memcgs() == (machine.root,)
    assert machine.create_memcg("again").id == a.id + 1


def test_what_is_refused(machine: Domain) -> None:
    """Each misuse is an error, and nothing has changed."""
    a = machine.create_memcg("a")
    a1 = machine.create_memcg("a1", a)
    assert machine.root is not None
    before = machine.memcgs()
    with pytest.raises(ShrinkerError, match="root"):
        machine.root.offline()
    with pytest.raises(ShrinkerError, match="online"):
        machine.root.close()
    with pytest.raises(ShrinkerError, match="online"):
        a.offline()
    with pytest.raises(ShrinkerError, match="online"):
        a1.close()
    a1.offline()
    with pytest.raises(ShrinkerError, match="offline"):
        machine.create_memcg("late", a1)
    a.offline()
    with pytest.raises(ShrinkerError, match="children"):
        a.close()
    assert machine.memcgs() == before
    a1.close()
    a.close()
    with pytest.raises(ShrinkerError, match="closed"):
        machine.create_memcg("late", a)


def test_bits_are_of_shrinkers(machine: Domain) -> None:
    """Only builders and registrations have a bit."""
    group = machine.create_memcg("a")
    with pytest.raises(TypeError, match="no builder or registration"):
        group.has_shrinker_bit(0, object())  # type: ignore[arg-type]


def test_closed_memcg(machine: Domain) -> None:
    """A closed group refuses everything but its name and place."""
    a = machine.create_memcg("a")
    builder = ShrinkerBuilder("c", flags=MEMCG, domain=machine)
    a.offline()
    a.close()
    assert (a.name, a.id, a.parent, a.online) == ("a", 2, machine.root, False)
    for use in (
        a.offline,
        a.reparent_deferred,
        lambda: a.set_shrinker_bit(0, builder),
        lambda: a.has_shrinker_bit(0, builder),
        lambda: a.shrinker_info(0),
        lambda: a.memory,
        lambda: machine.shrink_slab(memcg=a),
        lambda: machine.reclaim(1, memcg=a),
    ):
        with pytest.raises(ShrinkerError, match="closed"):
            use()


def test_other_domains(machine: Domain) -> None:
    """Groups, builders and registrations of another domain are refused."""
    with Domain(nr_nodes=2) as other:
        foreign = other.create_memcg("foreign")
        a = machine.create_memcg("a")
        builder = ShrinkerBuilder("c", flags=MEMCG, domain=other)
        with register(machine, Cache(1), flags=MEMCG) as registration:
            for use in (
                lambda: machine.create_memcg("x", foreign),
                lambda: machine.shrink_slab(memcg=foreign),
                lambda: machine.reclaim(1, memcg=foreign),
                lambda: registration.count(0, foreign),
                lambda: registration.scan(1, 0, foreign),
                lambda: registration.nr_deferred(0, foreign),
                lambda: a.set_shrinker_bit(0, builder),
                lambda: a.has_shrinker_bit(0, builder),
            ):
                with pytest.raises(ValueError, match="another domain"):
                    use()
            for use in (
                lambda: machine.shrink_slab(memcg="a"),  # type: ignore[arg-type]
                lambda: registration.count(0, 5),  # type: ignore[arg-type]
            ):
                with pytest.raises(TypeError, match="Memcg"):
                    use()
            for nid in (-1, 2):
                for use in (
                    lambda nid=nid: a.set_shrinker_bit(nid, registration),
                    lambda nid=nid: a.has_shrinker_bit(nid, registration),
                    lambda nid=nid: a.shrinker_info(nid),
                    lambda nid=nid: registration.nr_deferred(nid, a),
                ):
                    with pytest.raises(ValueError, match="node"):
                        use()


def test_without_memory_cgroups() -> None:
    """memcg=False: no root, no groups, the flag is dropped, sc.memcg is None."""
    seen: list[Any] = []
    with Domain(memcg=False) as domain:
        assert domain.root is None
        assert domain.memcgs() == ()
        with pytest.raises(ShrinkerError, match="no memory cgroups"):
            domain.create_memcg("a")
        shrinker = Scripted(lambda sc: seen.append(sc.memcg) or 0)
        with register(domain, shrinker, flags=MEMCG) as registration:
            assert registration.id is None
            assert registration.flags == ShrinkerFlags(0)
            domain.shrink_slab()
    assert seen == [None]


def test_ids_are_the_lowest_free(machine: Domain) -> None:
    """Memcg-aware shrinkers get the lowest free id; closing gives it back."""
    owners = [ShrinkerBuilder("c", flags=MEMCG, domain=machine) for _ in range(3)]
    plain = ShrinkerBuilder("c", domain=machine)
    assert [owner.id for owner in owners] == [0, 1, 2]
    assert plain.id is None
    registration = owners[1].register(Cache(1))
    assert registration.id == 1
    registration.close()
    owners[0].close()
    again = [ShrinkerBuilder("c", flags=MEMCG, domain=machine) for _ in range(3)]
    assert [owner.id for owner in again] == [0, 1, 3]


def test_maps_grow_in_units(machine: Domain) -> None:
    """Maps have room for 64 ids more at a time, in every group."""
    a = machine.create_memcg("a")
    assert a.shrinker_info(0).nr_max == 0
    owners = [ShrinkerBuilder("c", flags=MEMCG, domain=machine) for _ in range(64)]
    assert a.shrinker_info(0).nr_max == 64
    a.set_shrinker_bit(1, owners[63])
    owners.append(ShrinkerBuilder("c", flags=MEMCG, domain=machine))
    a.set_shrinker_bit(1, owners[64])
    assert a.shrinker_info(1).nr_max == 128
    assert a.shrinker_info(1).bits == (63, 64)
    assert a.shrinker_info(0).bits == ()
    assert machine.create_memcg("b").shrinker_info(0).nr_max == 128
    for owner in owners:
        owner.close()


def test_bits(machine: Domain) -> None:
    """Bits are set on groups, offline ones too, for builders and registrations;
    never on the root or for shrinkers that are not memcg-aware."""
    a = machine.create_memcg("a")
    assert machine.root is not None
    builder = ShrinkerBuilder("c", flags=MEMCG, domain=machine)
    plain = ShrinkerBuilder("c", domain=machine)
    a.offline()
    a.set_shrinker_bit(0, builder)
    a.set_shrinker_bit(0, plain)
    machine.root.set_shrinker_bit(0, builder)
    assert a.has_shrinker_bit(0, builder)
    assert not a.has_shrinker_bit(1, builder)
    assert not a.has_shrinker_bit(0, plain)
    assert a.shrinker_info(0).bits == (0,)
    assert machine.root.shrinker_info(0).bits == ()
    registration = builder.register(Cache(1))
    assert a.has_shrinker_bit(0, registration)
    registration.close()
    with pytest.raises(ShrinkerError, match="closed"):
        a.set_shrinker_bit(0, registration)


def test_walk_of_a_group(machine: Domain) -> None:
    """A walk over a group asks the shrinkers whose bit is set there, in order of id,
    with the group in the control."""
    asked: list[tuple[str, int, str]] = []

    def counter(name: str) -> Any:
        def count(sc: ShrinkControl) -> int:
            assert sc.memcg is not None
            asked.append((name, sc.nid, sc.memcg.name))
            return 0

        return count

    a = machine.create_memcg("a")
    owners = {
        name: register(machine, Scripted(counter(name)), name=name, flags=MEMCG)
        for name in "xyz"
    }
    plain = register(machine, Scripted(counter("plain")))
    a.set_shrinker_bit(1, owners["z"])
    a.set_shrinker_bit(1, owners["x"])
    machine.shrink_slab(memcg=a, nid=1)
    machine.shrink_slab(memcg=a, nid=0)
    assert asked == [("x", 1, "a"), ("z", 1, "a")]
    asked.clear()
    machine.shrink_slab()
    assert asked == [(name, 0, "root") for name in ("x", "y", "z", "plain")]
    for owner in (*owners.values(), plain):
        owner.close()


def test_empty_clears_the_bit(machine: Domain) -> None:
    """EMPTY clears the bit after a second count; 0 keeps it."""
    a = machine.create_memcg("a")
    counts: list[Any] = [CountObjects.EMPTY, CountObjects.EMPTY, 0]
    calls: list[int] = []
    shrinker = Scripted(lambda sc: calls.append(1) or counts[len(calls) - 1])
    with register(machine, shrinker, flags=MEMCG) as registration:
        a.set_shrinker_bit(0, registration)
        assert machine.shrink_slab(memcg=a) == 0
        assert len(calls) == 2
        assert not a.has_shrinker_bit(0, registration)
        machine.shrink_slab(memcg=a)
        assert len(calls) == 2
        a.set_shrinker_bit(0, registration)
        machine.shrink_slab(memcg=a)
        assert len(calls) == 3
        assert a.has_shrinker_bit(0, registration)


def test_object_added_between_the_two_looks(machine: Domain) -> None:
    """Objects that the second count finds are scanned, and the bit is set again."""
    a = machine.create_memcg("a")
    counts = iter([CountObjects.EMPTY, CountObjects.new(128)])
    shrinker = Scripted(lambda sc: next(counts), lambda sc: sc.nr_to_scan)
    with register(machine, shrinker, flags=MEMCG) as registration:
        a.set_shrinker_bit(0, registration)
        assert machine.shrink_slab(memcg=a, priority=1) == 128
        assert a.has_shrinker_bit(0, registration)


def test_bit_without_a_shrinker_is_cleared(machine: Domain) -> None:
    """A walk clears the bits of shrinkers that are gone or not yet registered."""
    a = machine.create_memcg("a")
    builder = ShrinkerBuilder("c", flags=MEMCG, domain=machine)
    a.set_shrinker_bit(0, builder)
    machine.shrink_slab(memcg=a)
    assert a.shrinker_info(0).bits == ()


def test_offline_walk(machine: Domain) -> None:
    """A walk over an offline group returns 0 and asks no shrinker."""
    a = machine.create_memcg("a")
    with register(machine, Cache(1000), flags=MEMCG) as registration:
        a.set_shrinker_bit(0, registration)
        a.offline()
        assert machine.shrink_slab(memcg=a, priority=0) == 0
        assert a.has_shrinker_bit(0, registration)


def test_without_kernel_memory_accounting() -> None:
    """kmem=False: only NONSLAB shrinkers are called; others keep their bit, and can
    be freed."""
    with Domain(kmem=False) as domain:
        a = domain.create_memcg("a")
        slab = register(domain, Cache(1000), flags=MEMCG)
        other = register(domain, Cache(1000), flags=MEMCG | ShrinkerFlags.NONSLAB)
        for registration in (slab, other):
            a.set_shrinker_bit(0, registration)
        assert domain.shrink_slab(memcg=a, priority=0) == 1000
        assert slab.private_data.objects == 1000
        assert a.has_shrinker_bit(0, slab)
        slab.close()
        other.close()


def test_deferred_counters(machine: Domain) -> None:
    """Each group has its own; NUMA-unaware shrinkers use node 0's; the root's are
    used by walks over the whole machine."""
    a = machine.create_memcg("a")
    stuck = Scripted(lambda sc: 100, lambda sc: ScanObjects.STOP)
    unaware = register(machine, stuck, flags=MEMCG)
    aware = register(machine, stuck, flags=MEMCG | NUMA)
    for registration in (unaware, aware):
        a.set_shrinker_bit(1, registration)
    machine.shrink_slab(memcg=a, nid=1, priority=0)
    assert [aware.nr_deferred(nid, a) for nid in (0, 1)] == [0, 200]
    assert [unaware.nr_deferred(nid, a) for nid in (0, 1)] == [200, 200]
    assert aware.nr_deferred(1) == unaware.nr_deferred(0) == 0
    machine.shrink_slab(nid=1, priority=1)
    assert aware.nr_deferred(1) == unaware.nr_deferred() == 100
    assert a.shrinker_info(0).nr_deferred == {0: 200}
    assert a.shrinker_info(1).nr_deferred == {1: 200}
    unaware.close()
    aware.close()


def test_offline_reparents_deferred_work(machine: Domain) -> None:
    """Going offline adds the counters to the parent's; it copies.  The root's are
    added to themselves."""
    a = machine.create_memcg("a")
    a1 = machine.create_memcg("a1", a)
    stuck = Scripted(lambda sc: 100, lambda sc: ScanObjects.STOP)
    with register(machine, stuck, flags=MEMCG) as registration:
        for memcg in (a, a1):
            memcg.set_shrinker_bit(0, registration)
            machine.shrink_slab(memcg=memcg, priority=0)
        a1.offline()
        a1.offline()
        assert registration.nr_deferred(0, a1) == 200
        assert registration.nr_deferred(0, a) == 400
        a1.reparent_deferred()
        assert registration.nr_deferred(0, a) == 600
        assert machine.root is not None
        a.offline()
        assert registration.nr_deferred(0) == 600
        machine.root.reparent_deferred()
        assert registration.nr_deferred(0) == 1200


def test_bits_and_counters_stay_with_the_id(machine: Domain) -> None:
    """Bits and counters belong to the id, and outlive the shrinker."""
    a = machine.create_memcg("a")
    stuck = Scripted(lambda sc: 100, lambda sc: ScanObjects.STOP)
    registration = register(machine, stuck, flags=MEMCG)
    a.set_shrinker_bit(0, registration)
    machine.shrink_slab(memcg=a, priority=0)
    registration.close()
    with register(machine, Cache(100), flags=MEMCG) as heir:
        assert heir.nr_deferred(0, a) == 200
        assert a.has_shrinker_bit(0, heir)


def test_reclaim_and_drop_slab_over_the_tree(machine: Domain) -> None:
    """The ladder walks groups, each on all nodes; drop_slab nodes, and on each the
    groups."""
    asked: list[tuple[str, int]] = []

    def count(sc: ShrinkControl) -> int:
        assert sc.memcg is not None
        asked.append((sc.memcg.name, sc.nid))
        return 0

    a = machine.create_memcg("a")
    b = machine.create_memcg("b")
    a1 = machine.create_memcg("a1", a)
    with register(machine, Scripted(count), flags=MEMCG) as registration:
        for memcg in (a, b, a1):
            for nid in (0, 1):
                memcg.set_shrinker_bit(nid, registration)
        machine.reclaim(1, priority=0)
        names = ["root", "a", "a1", "b"]
        assert asked == [(name, nid) for name in names for nid in (0, 1)]
        asked.clear()
        machine.drop_slab()
        assert asked == [(name, nid) for nid in (0, 1) for name in names]
        asked.clear()
        machine.reclaim(1, memcg=a, nid=1, priority=1)
        assert asked == [("a", 1), ("a1", 1)] * 2


def test_count_and_scan_of_a_group(machine: Domain) -> None:
    """count() and scan() hand the group to the callback; None is the root."""
    seen: list[tuple[Any, int, int]] = []

    def note(sc: ShrinkControl) -> int:
        assert sc.memcg is not None
        seen.append((sc.memcg.name, sc.nid, sc.nr_to_scan))
        return 5

    a = machine.create_memcg("a")
    with register(machine, Scripted(note, note), flags=MEMCG | NUMA) as registration:
        assert registration.count(1, a) == 5
        assert registration.scan(7, 1, a) == 5
        assert registration.count() == 5
        assert seen == [("a", 1, 0), ("a", 1, 7), ("root", 0, 0)]
        a.offline()
        for use in (
            lambda: registration.count(0, a),
            lambda: registration.scan(1, 0, a),
        ):
            with pytest.raises(ShrinkerError, match="offline"):
                use()
    b = machine.create_memcg("b")
    with register(machine, Cache(5)) as plain:
        assert plain.scan(0, 0, b) == 0
        assert plain.scan(0, 0, a) == 0
        with pytest.raises(ValueError, match="node"):
            plain.scan(0, 7, a)
        for use in (
            lambda: plain.count(0, b),
            lambda: plain.scan(1, 0, b),
            lambda: plain.scan(1, 0, machine.root),
        ):
            with pytest.raises(ValueError, match="not memcg-aware"):
                use()


def test_debugfs(machine: Domain) -> None:
    """The text of each count file is the kernel's: a line for each online group
    with objects, all nodes; NUMA-unaware ones read 0 on other nodes; names with
    odd characters; a rename changes the directory."""
    objects = {("root", 0): 3000, ("a", 0): 8000, ("b", 1): 12000, ("c", 0): 7}

    def count(sc: ShrinkControl) -> Any:
        assert sc.memcg is not None
        return objects.get((sc.memcg.name, sc.nid), 0) or CountObjects.EMPTY

    a, b, c = (machine.create_memcg(name) for name in "abc")
    c.offline()
    sb = register(machine, Scripted(count), name="sb-ext4:vda-1", flags=MEMCG | NUMA)
    jbd2 = register(machine, Cache(76), name="jbd2-journal:(254:0)")
    idle = register(machine, Cache(0), name="thp-zero")
    none = register(machine, Scripted(lambda sc: CountObjects.EMPTY), name="n")
    numa = register(machine, Cache(4), name="numa", flags=NUMA)
    numbers = [r.debugfs_id for r in (sb, jbd2, idle, none, numa)]
    assert numbers == [0, 1, 2, 3, 4]
    assert machine.debugfs() == {
        "sb-ext4:vda-1-0": f"1 3000 0\n{a.id} 8000 0\n{b.id} 0 12000\n",
        "jbd2-journal:(254:0)-1": "1 76 0\n",
        "thp-zero-2": "",
        "n-3": "",
        "numa-4": "1 4 4\n",
    }
    sb.rename("renamed")
    assert "renamed-0" in machine.debugfs()
    assert machine.report().splitlines()[1].split()[1] == str(3000 + 8000 + 12000)
    bad = register(machine, Scripted(raiser(OSError())))
    with pytest.raises(CallbackErrors):
        machine.debugfs()
    for registration in (sb, jbd2, idle, none, numa, bad):
        registration.close()


def test_debugfs_numbers_are_reused(machine: Domain) -> None:
    """A registration gets the lowest number that is free; walks keep their order."""
    many = [register(machine, Cache(1), name="c") for _ in range(130)]
    assert [r.debugfs_id for r in many] == list(range(130))
    for i in (70, 3, 129):
        many[i].close()
    with ShrinkerBuilder("waits", domain=machine) as builder:
        late = [register(machine, Cache(1), name="c") for _ in range(4)]
        assert [r.debugfs_id for r in late] == [3, 70, 129, 130]
        late.append(builder.register(Cache(1)))
    assert late[-1].debugfs_id == 131
    assert list(machine.shrinkers()[-5:]) == late
    shown = ["c-3", "c-70", "c-129", "c-130", "waits-131"]
    assert list(machine.debugfs())[-5:] == shown
    for registration in (*many, *late):
        registration.close()


def test_direct_calls_without_awareness(machine: Domain) -> None:
    """Callbacks of shrinkers that are not memcg-aware see the root in walks, and no
    group in count() and scan()."""
    seen: list[Any] = []

    def note(sc: ShrinkControl) -> int:
        seen.append(sc.memcg)
        return 1

    with register(machine, Scripted(note, note)) as registration:
        registration.count()
        registration.scan(1)
        machine.debugfs()
        assert seen == [None] * 3
        seen.clear()
        machine.shrink_slab()
        assert seen == [machine.root]


def test_debugfs_without_memcgs() -> None:
    """Without memory cgroups the id is 0."""
    with Domain(memcg=False) as domain, register(domain, Cache(7), name="c"):
        assert domain.debugfs() == {"c-0": "0 7\n"}


def test_debugfs_names_are_cut(domain: Domain) -> None:
    """A directory's name has at most 127 bytes, with the number."""
    with (
        register(domain, Cache(1), name="x" * 125),
        register(domain, Cache(2), name="y" * 126),
        register(domain, Cache(3), name="\u00e4" * 64),
        register(domain, Cache(4), name="z" * 200),
        register(domain, Cache(5), name="z" * 300),
    ):
        names = list(domain.debugfs())
        assert names[:2] == ["x" * 125 + "-0", "y" * 126 + "-"]
        assert names[2] == ("\u00e4" * 64).encode()[:127].decode(
            errors="surrogateescape"
        )
        assert names[3:] == ["z" * 127]


def test_group_goes_offline_during_a_listing(machine: Domain) -> None:
    """A group that goes offline while debugfs() or report() counts is left out, as
    in the kernel; what was counted before stays."""
    groups = [machine.create_memcg(name) for name in "ab"]

    def count(sc: ShrinkControl) -> int:
        groups[1].offline()
        return 5

    with register(machine, Scripted(count), name="c", flags=MEMCG) as registration:
        assert machine.debugfs() == {
            f"c-{registration.debugfs_id}": f"1 5 0\n{groups[0].id} 5 0\n"
        }
        groups[1] = machine.create_memcg("late")
        assert machine.report().splitlines()[1].split()[:2] == ["c", "10"]


def test_default_domain_has_memory_cgroups() -> None:
    """The default domain is a machine with memory cgroups."""
    root = default_domain().root
    assert root is not None
    assert root.id == 1
    memcg = default_domain().create_memcg("a")
    memcg.offline()
    memcg.close()


def test_lifetime() -> None:
    """A group keeps its domain; both go when dropped, in any order."""
    memcg = Domain().create_memcg("a").domain.create_memcg("b")
    assert len(memcg.domain.memcgs()) == 3
    watch = weakref.ref(memcg.domain)
    del memcg
    gc.collect()
    assert watch() is None


def test_name_type(machine: Domain) -> None:
    """A name is a str."""
    with pytest.raises(TypeError, match="name"):
        machine.create_memcg(5)  # type: ignore[arg-type]


def test_repr(machine: Domain) -> None:
    """repr() has the name, the id and the state."""
    a = machine.create_memcg("a")
    assert repr(a) == "<Memcg 'a' id=2, online>"
    a.offline()
    assert repr(a) == "<Memcg 'a' id=2, offline>"
    a.close()
    assert repr(a) == "<Memcg 'a' id=2, closed>"


def test_threads(fast_switching: None) -> None:
    """Threads that create, walk, take offline and close groups, and register and
    close shrinkers, get no error and leave an empty tree."""
    failures: list[BaseException] = []
    with Domain(nr_nodes=2) as domain:

        def groups() -> None:
            for _ in range(150):
                a = domain.create_memcg("a")
                b = domain.create_memcg("b", a)
                for registration in domain.shrinkers():
                    try:
                        b.set_shrinker_bit(1, registration)
                    except ShrinkerError:
                        continue  # Closed meanwhile.
                domain.shrink_slab(memcg=b, nid=1, priority=0)
                b.offline()
                a.offline()
                b.close()
                a.close()

        def shrinkers() -> None:
            for _ in range(150):
                full = Scripted(lambda sc: 1000, lambda sc: sc.nr_to_scan)
                register(domain, full, flags=MEMCG | NUMA).close()

        def walker() -> None:
            for _ in range(100):
                domain.reclaim(10, priority=2)
                domain.memcgs()

        with register(
            domain, Scripted(lambda sc: 50, lambda sc: sc.nr_to_scan), flags=MEMCG
        ):
            failures += run_threads(groups, groups, shrinkers, walker)
        assert failures == []
        assert domain.memcgs() == (domain.root,)
        assert isinstance(domain.root, Memcg)
