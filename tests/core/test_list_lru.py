"""ListLru: order, walks, memory cgroups, threads."""

from __future__ import annotations

import gc
import signal
import threading
import time
import weakref
from typing import Any

import pytest
from tests_support import Cache, Scripted, register, run_threads

from shrinker import (
    CallbackErrors,
    CountObjects,
    Domain,
    ListLru,
    LruStatus,
    ShrinkControl,
    ShrinkerBuilder,
    ShrinkerError,
    ShrinkerFlags,
    _lru_lists,
)

MEMCG = ShrinkerFlags.MEMCG_AWARE


class Thing:
    """An object that can be referred to weakly and is equal to all others of its
    kind."""

    def __init__(self, name: object) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thing)

    def __hash__(self) -> int:
        raise TypeError("unhashable on purpose")

    def __repr__(self) -> str:
        return str(self.name)


def things(names: str) -> list[Thing]:
    return [Thing(name) for name in names]


@pytest.fixture
def lru(machine: Domain) -> Any:
    """An lru that knows no memory cgroups."""
    with ListLru(domain=machine) as made:
        yield made


def order(lru: ListLru, nid: int = 0, memcg: Any = None) -> str:
    """Return the names of the objects on a list, oldest first."""
    seen: list[str] = []

    def look(thing: Thing) -> LruStatus:
        seen.append(str(thing))
        return LruStatus.SKIP

    lru.walk(look, 10**6, nid, memcg)
    return "".join(seen)


def test_fifo(lru: ListLru) -> None:
    """Objects come in the order in which they were added, each once, by identity."""
    objs = things("abc")
    assert [lru.add(obj) for obj in objs] == [True, True, True]
    assert not lru.add(objs[1])
    assert not lru.add(objs[1], nid=1)
    assert order(lru) == "abc"
    assert (lru.count(), lru.count(1), lru.count_node(0), len(lru)) == (3, 0, 3, 3)
    assert lru.remove(objs[1])
    assert not lru.remove(objs[1])
    assert not lru.remove(Thing("a"))
    assert order(lru) == "ac"
    assert lru.add(objs[1])
    assert order(lru) == "acb"


def test_holds_strongly(lru: ListLru) -> None:
    """An object on the list lives; taken off, it goes."""
    obj = Thing("a")
    watch = weakref.ref(obj)
    lru.add(obj)
    del obj
    gc.collect()
    assert watch() is not None
    lru.walk(lambda thing: LruStatus.REMOVED, 1)
    assert watch() is None


def test_walk_isolates(lru: ListLru) -> None:
    """REMOVED takes off and counts; the budget bounds the calls."""
    lru.add_many(things("abcd"))
    assert lru.walk(lambda thing: LruStatus.REMOVED, 2) == 2
    assert order(lru) == "cd"
    assert lru.walk(lambda thing: LruStatus.REMOVED, 0) == 0
    assert lru.walk(lambda thing: LruStatus.REMOVED, 2**64 - 1) == 2
    assert len(lru) == 0


def test_rotate_comes_again(lru: ListLru) -> None:
    """ROTATE puts an object to the tail, where it comes again while there is
    budget."""
    lru.add_many(things("abc"))
    seen: list[str] = []

    def isolate(thing: Thing) -> LruStatus:
        seen.append(str(thing))
        return LruStatus.ROTATE

    assert lru.walk(isolate, 2) == 0
    assert order(lru) == "cab"
    assert lru.walk(isolate, 7) == 0
    assert "".join(seen) == "ab" + "cabcabc"
    assert order(lru) == "abc"


def test_second_chance(lru: ListLru) -> None:
    """Rotated once, removed when it comes again, in the same walk or the next."""
    lru.add_many(things("abc"))
    used = {"a", "b"}

    def isolate(thing: Thing) -> LruStatus:
        if str(thing) in used:
            used.discard(str(thing))
            return LruStatus.ROTATE
        return LruStatus.REMOVED

    assert lru.walk(isolate, 10) == 3


def test_skip_and_stop(lru: ListLru) -> None:
    """SKIP leaves in place and goes on; STOP ends the walk."""
    lru.add_many(things("abcde"))
    answers = {
        "a": LruStatus.SKIP,
        "b": LruStatus.REMOVED,
        "c": LruStatus.SKIP,
        "d": LruStatus.STOP,
    }
    assert lru.walk(lambda thing: answers[str(thing)], 10) == 1
    assert order(lru) == "acde"


def test_retry_starts_again(lru: ListLru) -> None:
    """RETRY and REMOVED_RETRY start from the head, and each call costs budget."""
    lru.add_many(things("abc"))
    answers = iter(
        [
            LruStatus.SKIP,  # a
            LruStatus.RETRY,  # b
            LruStatus.SKIP,  # a
            LruStatus.REMOVED_RETRY,  # b
            LruStatus.SKIP,  # a
            LruStatus.SKIP,  # c
        ]
    )
    seen: list[str] = []

    def isolate(thing: Thing) -> LruStatus:
        seen.append(str(thing))
        return next(answers)

    assert lru.walk(isolate, 6) == 1
    assert "".join(seen) == "ababac"
    lru.walk(lambda thing: LruStatus.RETRY, 1000)
    assert order(lru) == "ac"


def test_long_lists_are_walked_once(lru: ListLru) -> None:
    """A budget smaller than the list goes on behind what was skipped."""
    lru.add_many([Thing(i) for i in range(1000)])
    seen: list[int] = []

    def isolate(thing: Thing) -> LruStatus:
        assert isinstance(thing.name, int)
        seen.append(thing.name)
        return LruStatus.REMOVED if thing.name % 3 else LruStatus.SKIP

    lru.walk(isolate, 300)
    assert seen == list(range(300))
    seen.clear()
    lru.walk(isolate, 300)
    left = [i for i in range(300) if i % 3 == 0] + list(range(300, 500))
    assert seen == left


def test_added_during_a_walk(lru: ListLru) -> None:
    """An object that isolate adds is reached if it was added before the last
    object's turn. The walk ends with the object at the tail when isolate is asked
    about it."""
    lru.add_many([Thing(0), Thing(1)])
    seen: list[Any] = []

    def isolate(thing: Thing) -> LruStatus:
        assert isinstance(thing.name, int)
        seen.append(thing.name)
        lru.add(Thing(thing.name + 10))
        return LruStatus.REMOVED

    assert lru.walk(isolate, 5) == 5
    assert seen == [0, 1, 10, 11, 20]
    lru.walk(lambda thing: LruStatus.REMOVED, 100)
    lru.add(Thing(0))
    seen.clear()
    assert lru.walk(isolate, 5) == 1
    assert seen == [0]
    assert len(lru) == 1


def test_rotate_the_last(lru: ListLru) -> None:
    """Rotating what is at the tail already ends the walk."""
    lru.add_many(things("ab"))
    answers = {"a": LruStatus.SKIP, "b": LruStatus.ROTATE}
    seen: list[str] = []

    def isolate(thing: Thing) -> LruStatus:
        seen.append(str(thing))
        return answers[str(thing)]

    lru.walk(isolate, 6)
    assert seen == ["a", "b"]


def test_isolate_removes_others_and_itself(lru: ListLru) -> None:
    """Isolate may take off any object; what it took off itself is not counted."""
    objs = things("abcd")
    lru.add_many(objs)

    def isolate(thing: Thing) -> LruStatus:
        if thing is objs[0]:
            lru.remove(objs[1])
            lru.remove(objs[0])
            return LruStatus.REMOVED
        return LruStatus.SKIP

    assert lru.walk(isolate, 10) == 0
    assert order(lru) == "cd"


def test_put_back_by_isolate(lru: ListLru) -> None:
    """An object taken off and put back during its isolation is another entry."""
    obj = Thing("a")
    lru.add(obj)

    def isolate(thing: Thing) -> LruStatus:
        lru.remove(thing)
        lru.add(thing)
        return LruStatus.REMOVED

    assert lru.walk(isolate, 1) == 0
    assert order(lru) == "a"


def test_nested_walks(lru: ListLru) -> None:
    """A walk inside isolate is handed everything but the object at hand."""
    lru.add_many(things("abc"))
    inner: list[str] = []

    def look(thing: Thing) -> LruStatus:
        inner.append(str(thing))
        return LruStatus.SKIP

    def isolate(thing: Thing) -> LruStatus:
        lru.walk(look, 10)
        return LruStatus.STOP

    lru.walk(isolate, 1)
    assert inner == ["b", "c"]


def test_finaliser_touches_the_lru(lru: ListLru) -> None:
    """An object finalised by an isolate callback may itself use the lru."""

    class Last(Thing):
        def __del__(self) -> None:
            lru.add(Thing("z"))
            lru.remove(other)

    other = Thing("o")
    lru.add(Last("l"))
    lru.add(other)
    assert lru.walk(lambda thing: LruStatus.REMOVED, 1) == 1
    assert order(lru) == "z"


def test_finaliser_between_two_steps_of_a_move() -> None:
    """An object that a finaliser takes off while it moves to another list is on
    neither: a collection does not begin inside of the move."""

    class Garbage:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            members.take_off(entry)

    members = _lru_lists.Members()
    before, after = (_lru_lists.List(0, None, None) for _ in range(2))
    (entry,) = members.put([Thing("x")], before)
    thresholds = gc.get_threshold()
    gc.collect()
    Garbage()
    gc.set_threshold(1)
    try:
        # The first object that the collector knows is made in here.
        _lru_lists.move(entry, before, after)
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert not members.live
    assert not before.entries
    assert not after.entries


@pytest.mark.parametrize("bad", [None, True, 1, "removed"])
def test_wrong_status(lru: ListLru, bad: Any) -> None:
    """Anything but an LruStatus is a TypeError, and the object stays."""
    lru.add_many(things("ab"))
    with pytest.raises(TypeError, match="LruStatus"):
        lru.walk(lambda thing: bad, 5)
    assert order(lru) == "ab"


def test_isolate_raises(lru: ListLru) -> None:
    """What isolate raises comes out; its object stays and can be walked again."""
    lru.add_many(things("ab"))

    def isolate(thing: Thing) -> LruStatus:
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - raised by the line above
        lru.walk(isolate, 5)
    assert order(lru) == "ab"


def test_many(lru: ListLru) -> None:
    """add_many and remove_many return how many; duplicates count once."""
    objs = things("abc")
    assert lru.add_many([*objs, objs[0]]) == 3
    assert lru.add_many(objs) == 0
    assert lru.add_many([]) == 0
    assert lru.remove_many([*objs[:2], objs[0], Thing("x")]) == 2
    assert order(lru) == "c"


def test_what_is_refused(machine: Domain, lru: ListLru) -> None:
    """Each misuse is an error, and nothing has changed."""
    obj, fresh = things("af")
    lru.add(obj)
    with ListLru(domain=machine) as other:
        for use in (lambda: other.add(obj), lambda: other.add_many([fresh, obj])):
            with pytest.raises(ShrinkerError, match="another lru"):
                use()
        assert not other.remove(obj)
        assert len(other) == 0
    with Domain() as elsewhere, pytest.raises(ValueError, match="another domain"):
        lru.add(fresh, memcg=elsewhere.create_memcg("a"))
    for nid in (-1, 2):
        for use in (
            lambda nid=nid: lru.add(fresh, nid),
            lambda nid=nid: lru.count(nid),
            lambda nid=nid: lru.count_node(nid),
            lambda nid=nid: lru.walk(lambda thing: LruStatus.SKIP, 1, nid),
        ):
            with pytest.raises(ValueError, match="node"):
                use()
    for budget, error in ((-1, ValueError), (1.5, TypeError), (True, TypeError)):
        with pytest.raises(error):
            lru.walk(lambda thing: LruStatus.SKIP, budget)  # type: ignore[arg-type]
    assert order(lru) == "a"
    assert lru.add(fresh)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"shrinker": object()}, "no builder or registration"),
        ({"domain": 3}, "domain must be a Domain"),
    ],
)
def test_arguments_of_other_types(arguments: dict[str, Any], text: str) -> None:
    """An lru is made for a domain, a builder or a registration only."""
    with pytest.raises(TypeError, match=text):
        ListLru(**arguments)


def test_repr(machine: Domain) -> None:
    """repr() has the number of objects, or that it is closed."""
    lru = ListLru(domain=machine)
    assert repr(lru) == "<ListLru, 0 objects>"
    lru.close()
    assert repr(lru) == "<ListLru, closed>"


def test_isolate_must_be_callable(lru: ListLru) -> None:
    """A walk refuses another isolate before it takes any object."""
    (obj,) = things("a")
    lru.add(obj)
    with pytest.raises(TypeError, match="isolate must be callable"):
        lru.walk(3, 1)  # type: ignore[arg-type]
    assert order(lru) == "a"


def test_closed(machine: Domain) -> None:
    """A closed lru has let go of its objects, and takes no more."""
    lru = ListLru(domain=machine)
    obj = Thing("a")
    watch = weakref.ref(obj)
    lru.add(obj)
    del obj
    lru.close()
    lru.close()
    assert watch() is None
    assert len(lru) == 0
    for use in (
        lambda: lru.add(Thing("b")),
        lru.count,
        lambda: lru.count_node(0),
        lambda: lru.walk(lambda thing: LruStatus.SKIP, 1),
        lambda: lru.walk_node(lambda thing: LruStatus.SKIP, 1),
        lru.__enter__,
    ):
        with pytest.raises(ShrinkerError, match="closed"):
            use()
    assert not lru.remove(Thing("a"))


def test_dropped_lru(machine: Domain) -> None:
    """The objects of a dropped lru can go on another."""
    obj = Thing("a")
    lru = ListLru(domain=machine)
    lru.add(obj)
    del lru
    with ListLru(domain=machine) as other:
        assert other.add(obj)


def test_dropped_lru_in_a_cycle(machine: Domain) -> None:
    """An lru whose objects know it is ordinary garbage."""
    lru = ListLru(domain=machine)
    obj: Any = Thing("a")
    obj.lru = lru
    lru.add(obj)
    watch = weakref.ref(obj)
    del lru, obj
    gc.collect()
    assert watch() is None


def test_shrinker_with_an_lru(machine: Domain) -> None:
    """shrink_count and shrink_walk are all that a shrinker's callbacks need, and
    adding to an empty list sets the bit of its memory cgroup."""

    class Pages:
        def __init__(self) -> None:
            builder = ShrinkerBuilder(
                "pages", flags=MEMCG | ShrinkerFlags.NUMA_AWARE, domain=machine
            )
            self.lru = ListLru(shrinker=builder)
            self.registration = builder.register(self)

        def count_objects(self, sc: ShrinkControl) -> CountObjects | int:
            return self.lru.shrink_count(sc) or CountObjects.EMPTY

        def scan_objects(self, sc: ShrinkControl) -> int:
            return self.lru.shrink_walk(sc, lambda thing: LruStatus.REMOVED)

    pages = Pages()
    a = machine.create_memcg("a")
    assert machine.root is not None
    pages.lru.add_many([Thing(i) for i in range(300)], 1, a)
    pages.lru.add(Thing("r"))
    assert pages.lru.count_node(1) == 300
    assert pages.lru.count(0) == pages.lru.count(0, machine.root) == 1
    assert a.has_shrinker_bit(1, pages.registration)
    assert not a.has_shrinker_bit(0, pages.registration)
    assert machine.shrink_slab(memcg=a, nid=1, priority=0) == 300
    machine.shrink_slab(memcg=a, nid=1, priority=0)
    assert not a.has_shrinker_bit(1, pages.registration)
    pages.lru.add(Thing("b"), 1, a)
    assert a.has_shrinker_bit(1, pages.registration)
    assert machine.drop_slab() == 2
    pages.registration.close()
    pages.lru.close()


def test_offline_moves_to_the_parent(machine: Domain) -> None:
    """Going offline, a group's objects move to the head of the parent's list, and
    the parent's bit is set.  So do objects that are added with it later, at the
    tail."""
    with register(machine, Cache(0), flags=MEMCG) as registration:
        lru = ListLru(shrinker=registration)
        a = machine.create_memcg("a")
        a1 = machine.create_memcg("a1", a)
        lru.add_many(things("xy"), 0, a)
        lru.add_many(things("pq"), 0, a1)
        lru.add(Thing("n"), 1, a1)
        a1.offline()
        assert order(lru, 0, a) == "pqxy"
        assert order(lru, 1, a) == "n"
        assert lru.count(0, a1) == 0
        assert a.has_shrinker_bit(1, registration)
        assert lru.add(Thing("l"), 0, a1)
        assert order(lru, 0, a) == "pqxyl"
        assert order(lru, 0, a1) == ""
        a.offline()
        assert order(lru, 0) == "pqxyl"
        a1.close()
        a.close()
        assert len(lru) == 6
        lru.close()


def test_not_memcg_aware(machine: Domain, lru: ListLru) -> None:
    """Without a memcg-aware shrinker, memory cgroups are ignored."""
    a = machine.create_memcg("a")
    lru.add(Thing("a"), memcg=a)
    lru.add(Thing("b"))
    assert order(lru) == order(lru, memcg=a) == "ab"
    a.offline()
    assert lru.add(Thing("c"), memcg=a)
    assert order(lru) == "abc"


def test_walk_node(machine: Domain) -> None:
    """The root's list first, then each group's in order of id, in one budget."""
    with (
        register(machine, Cache(0), flags=MEMCG) as registration,
        ListLru(shrinker=registration) as lru,
    ):
        a, b = machine.create_memcg("a"), machine.create_memcg("b")
        lru.add_many(things("56"), 0, b)
        lru.add_many(things("34"), 0, a)
        lru.add_many(things("12"), 0)
        seen: list[str] = []

        def isolate(thing: Thing) -> LruStatus:
            seen.append(str(thing))
            return LruStatus.REMOVED

        assert lru.walk_node(isolate, 5) == 5
        assert "".join(seen) == "12345"
        assert lru.count_node(0) == 1


def test_stop_ends_the_walk_of_one_list(machine: Domain) -> None:
    """The walk of a node goes on with the next list, and ends with its budget."""
    with (
        register(machine, Cache(0), flags=MEMCG) as registration,
        ListLru(shrinker=registration) as lru,
    ):
        a, b = machine.create_memcg("a"), machine.create_memcg("b")
        lru.add_many(things("12"), 0)
        lru.add_many(things("34"), 0, a)
        lru.add_many(things("56"), 0, b)
        seen: list[str] = []

        def isolate(thing: Thing) -> LruStatus:
            seen.append(str(thing))
            return LruStatus.STOP

        assert lru.walk_node(isolate, 100) == 0
        assert "".join(seen) == "135"
        assert lru.walk_node(isolate, 2) == 0
        assert "".join(seen) == "13513"
        assert lru.count_node(0) == 6


def test_shrinker_of_another_domain(machine: Domain) -> None:
    """Lru and shrinker are of one domain."""
    with Domain() as other:
        builder = ShrinkerBuilder("c", flags=MEMCG, domain=other)
        with pytest.raises(ValueError, match="another domain"):
            ListLru(domain=machine, shrinker=builder)


def test_isolated_object_is_skipped_by_other_walks(lru: ListLru) -> None:
    """While one walk isolates an object, another walk skips it."""
    objs = things("ab")
    lru.add_many(objs)
    inside, leave = threading.Event(), threading.Event()

    def slow(thing: Thing) -> LruStatus:
        inside.set()
        assert leave.wait(30)
        return LruStatus.REMOVED

    walker = threading.Thread(target=lambda: lru.walk(slow, 1))
    walker.start()
    assert inside.wait(30)
    assert order(lru) == "b"
    leave.set()
    walker.join()
    assert len(lru) == 1


@pytest.mark.usefixtures("fast_switching")
def test_threads_lose_nothing() -> None:  # noqa: C901, PLR0915 - five threads
    """Threads add, remove, walk and take groups offline: at the end each object is
    on a list, or was isolated or removed exactly once."""
    failures: list[BaseException] = []
    taken: list[Thing] = []
    made: list[Thing] = []
    begun = time.monotonic()

    def goes_on() -> bool:
        seconds = time.monotonic() - begun
        return seconds < 3 or (len(made) <= 100 and seconds < 60)

    with Domain(nr_nodes=2) as domain:
        full = Scripted(lambda sc: 0)
        with register(domain, full, flags=MEMCG) as registration:
            lru = ListLru(shrinker=registration)
            groups = [domain.create_memcg("g") for _ in range(3)]

            def adder() -> None:
                while goes_on():
                    objs = [Thing(0) for _ in range(5)]
                    try:
                        lru.add_many(objs, 1, groups[-1])
                    except ShrinkerError:
                        continue  # It went offline meanwhile.
                    made.extend(objs)
                    if lru.remove(objs[0]):
                        taken.append(objs[0])

            def walker() -> None:
                def isolate(thing: Thing) -> LruStatus:
                    thing.name += 1  # type: ignore[operator]
                    if thing.name == 3:
                        isolated.append(thing)
                        return LruStatus.REMOVED
                    return LruStatus.ROTATE

                while goes_on():
                    isolated: list[Thing] = []
                    count = lru.walk_node(isolate, 50, 1)
                    # Another may have removed what we were isolating.
                    if count > len(isolated):
                        failures.append(AssertionError("isolated too many"))
                    taken.extend(thing for thing in isolated if count == len(isolated))
                    if count != len(isolated):
                        doubtful.extend(isolated)

            doubtful: list[Thing] = []

            def reaper() -> None:
                while goes_on():
                    groups.append(domain.create_memcg("g"))
                    old = groups.pop(0)
                    time.sleep(0.001)
                    old.offline()
                    old.close()

            failures += run_threads(adder, adder, walker, walker, reaper)
            assert failures == []
            left: list[Thing] = []

            def collect(thing: Thing) -> LruStatus:
                left.append(thing)
                return LruStatus.REMOVED

            lru.walk_node(collect, 10**9, 1)
            assert len(lru) == 0
            ended = {id(thing) for thing in (*left, *taken, *doubtful)}
            assert ended == {id(thing) for thing in made}
            once = [id(thing) for thing in (*left, *taken)]
            assert len(once) == len(set(once))
            assert len(made) > 100
            lru.close()


@pytest.mark.usefixtures("fast_switching")
def test_child_and_parent_go_offline_at_once() -> None:
    """Objects end on the list of a group that is online, whatever the order."""
    with Domain() as domain, register(domain, Cache(0), flags=MEMCG) as registration:
        for _ in range(30):
            with ListLru(shrinker=registration) as lru:
                parent = domain.create_memcg("parent")
                child = domain.create_memcg("child", parent)
                lru.add_many([Thing(i) for i in range(500)], 0, child)

                def parent_next(parent: Any = parent) -> None:
                    while True:
                        try:
                            parent.offline()
                        except ShrinkerError:
                            continue
                        return

                thread = threading.Thread(target=parent_next)
                thread.start()
                child.offline()
                thread.join()
                assert lru.count() == len(lru) == 500
                child.close()
                parent.close()


def test_offline_during_a_walk(machine: Domain) -> None:
    """Objects that come from a child while their new list is walked stand before
    the walk's place."""
    with (
        register(machine, Cache(0), flags=MEMCG) as registration,
        ListLru(shrinker=registration) as lru,
    ):
        child = machine.create_memcg("child")
        lru.add_many(things("123"), 0, child)
        lru.add_many(things("456"))
        seen: list[str] = []

        def isolate(thing: Thing) -> LruStatus:
            seen.append(str(thing))
            child.offline()
            return LruStatus.SKIP

        lru.walk(isolate, 100)
        assert "".join(seen) == "456"
        assert order(lru, 0) == "123456"


def test_any_shrinker_makes_an_lru_aware(machine: Domain) -> None:
    """An lru of a shrinker has a list for each group, whatever the shrinker's flags."""
    with (
        register(machine, Cache(0)) as registration,
        ListLru(shrinker=registration) as lru,
    ):
        a = machine.create_memcg("a")
        lru.add(Thing("a"), 0, a)
        lru.add(Thing("r"))
        assert order(lru, 0) == "r"
        assert order(lru, 0, a) == "a"
        a.offline()
        assert order(lru, 0) == "ar"


@pytest.mark.parametrize("nonslab", [False, True])
def test_without_kmem(nonslab: bool) -> None:
    """Without kernel-memory accounting all groups share a list; the first object
    sets the bit of the group that it names, for a NONSLAB shrinker."""
    flags = MEMCG | ShrinkerFlags.NONSLAB if nonslab else MEMCG
    with (
        Domain(kmem=False) as domain,
        register(domain, Cache(0), flags=flags) as registration,
        ListLru(shrinker=registration) as lru,
    ):
        a, b = domain.create_memcg("a"), domain.create_memcg("b")
        lru.add(Thing("x"), 0, a)
        lru.add(Thing("y"), 0, b)
        assert order(lru, 0) == order(lru, 0, a) == order(lru, 0, b) == "xy"
        assert a.has_shrinker_bit(0, registration) == nonslab
        assert not b.has_shrinker_bit(0, registration)


def test_nodes_are_walked_in_order_of_places(machine: Domain) -> None:
    """A new group takes the place of one that went offline; lists that are made
    during the walk are walked, if their place is still to come."""
    with (
        register(machine, Cache(0), flags=MEMCG) as registration,
        ListLru(shrinker=registration) as lru,
    ):
        a, b = machine.create_memcg("a"), machine.create_memcg("b")
        a.offline()
        c, d = machine.create_memcg("c"), machine.create_memcg("d")
        for memcg in (d, b, c):
            lru.add(Thing(memcg.name), 0, memcg)
        lru.add(Thing("r"))
        seen: list[str] = []

        def isolate(thing: Thing) -> LruStatus:
            seen.append(str(thing))
            if str(thing) == "b":
                lru.add(Thing("e"), 0, machine.create_memcg("e"))
            if str(thing) == "d":
                c.offline()
                lru.add(Thing("f"), 0, machine.create_memcg("f"))
            return LruStatus.SKIP

        assert lru.walk_node(isolate, 100) == 0
        assert "".join(seen) == "rcbde"
        seen.clear()
        assert lru.walk_node(isolate, 5) == 0
        assert "".join(seen) == "crfbd"


def test_only_the_first_object_sets_the_bit(machine: Domain) -> None:
    """An addition to a list that is not empty leaves a bit alone that a walk has
    cleared."""

    def empty(sc: ShrinkControl) -> CountObjects:
        return CountObjects.EMPTY

    with (
        register(machine, Scripted(empty), flags=MEMCG) as registration,
        ListLru(shrinker=registration) as lru,
    ):
        a = machine.create_memcg("a")
        lru.add(Thing("1"), 0, a)
        assert machine.shrink_slab(memcg=a, priority=0) == 0
        assert not a.has_shrinker_bit(0, registration)
        lru.add(Thing("2"), 0, a)
        assert not a.has_shrinker_bit(0, registration)


def test_lists_of_closed_groups_go(machine: Domain) -> None:
    """An lru keeps nothing of a group that was closed."""
    with (
        register(machine, Cache(0), flags=MEMCG) as registration,
        ListLru(shrinker=registration) as lru,
    ):
        memcg = machine.create_memcg("a")
        lru.add(Thing("a"), 0, memcg)
        watch = weakref.ref(memcg)
        memcg.offline()
        memcg.close()
        with pytest.raises(ShrinkerError, match="closed"):
            lru.count(0, memcg)
        del memcg
        gc.collect()
        assert watch() is None
        assert lru.count() == 1


def test_closed_during_its_own_walk(machine: Domain) -> None:
    """A group that is closed in its own walk is not taken for the root."""
    lru: ListLru
    frees: list[str] = []

    def count(sc: ShrinkControl) -> int:
        memcg = sc.memcg
        assert memcg is not None
        if memcg.parent is not None and memcg.online:
            memcg.offline()
            memcg.close()
        return 5

    def scan(sc: ShrinkControl) -> int:
        def isolate(thing: Thing) -> LruStatus:
            frees.append(str(thing))
            return LruStatus.REMOVED

        return lru.shrink_walk(sc, isolate)

    with register(machine, Scripted(count, scan), flags=MEMCG) as registration:
        lru = ListLru(shrinker=registration)
        lru.add(Thing("r"))
        memcg = machine.create_memcg("a")
        memcg.set_shrinker_bit(0, registration)
        with pytest.raises(CallbackErrors):
            machine.shrink_slab(memcg=memcg, priority=0)
        assert frees == []
        lru.close()


@pytest.mark.untraced("the handler would raise in the tracer's code as well")
def test_signals_leave_the_lru_whole() -> None:
    """Signals at any moment of add, walk and remove lose no object: one that is on
    the lru can be walked, one that is not can be added again."""

    class Alarm(Exception):  # noqa: N818
        pass

    def handler(*_: object) -> None:
        raise Alarm

    old = signal.signal(signal.SIGALRM, handler)
    gc.collect()
    gc.disable()
    interrupted = 0
    try:
        with Domain() as domain:
            full = Scripted(lambda sc: 0)
            with register(domain, full, flags=MEMCG) as registration:
                lru = ListLru(shrinker=registration)
                objs = [Thing(i) for i in range(20)]
                while interrupted < 500:
                    memcg = domain.create_memcg("a")  # Its bit is clear.
                    try:
                        signal.setitimer(signal.ITIMER_REAL, 1e-4)
                        while True:
                            lru.add_many(objs, 0, memcg)
                            lru.walk(lambda thing: LruStatus.ROTATE, 10, 0, memcg)
                            lru.walk(lambda thing: LruStatus.REMOVED, 5, 0, memcg)
                            lru.remove_many(objs)
                    except Alarm:
                        interrupted += 1
                    assert not lru._members.claims
                    # The signal may come before the first add() is so far.
                    assert not len(lru) or memcg.has_shrinker_bit(0, registration)
                    lru.walk(lambda thing: LruStatus.REMOVED, 10**6, 0, memcg)
                    assert len(lru) == lru.count(0, memcg) == 0
                    assert lru.add_many(objs, 0, memcg) == len(objs)
                    assert lru.remove_many(objs) == len(objs)
                    memcg.offline()
                    memcg.close()
                lru.close()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        gc.enable()


@pytest.mark.parametrize("name", ["_put", "_forget", "_take_off", "_visit", "move"])
def test_the_steps_in_c_check_their_arguments(name: str) -> None:
    """Wrong ones, of which C would make anything, are refused."""
    step = getattr(_lru_lists, name)
    with pytest.raises(TypeError, match="arguments"):
        step()
    entry, live = _lru_lists.Entry(Thing(1), None, None), {}  # type: ignore[arg-type]
    arguments: dict[str, tuple[object, ...]] = {
        "_put": (entry, live),
        "_forget": (object(),),
        "_take_off": (object(), live),
        "_visit": (entry, None, live, set(), None),
        "move": (entry, None, None),
    }
    with pytest.raises(AttributeError):
        step(*arguments[name])
