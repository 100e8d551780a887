"""Threads that meet at a chosen point, each time: test_races.py leaves that to chance.

A hook at the point lets the other thread do its part, and waits until it has.
"""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from processes_support import run
from races_support import Counted, Ledger
from tests_support import Scripted, register

import shrinker.domain
from shrinker import (
    CountObjects,
    Domain,
    ListLru,
    LruStatus,
    Memcg,
    ShrinkerBuilder,
    ShrinkerError,
    ShrinkerFlags,
    _walk_errors,
)
from shrinker._lru_lists import List, Members
from shrinker.native import Callback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker import ShrinkControl

LIMIT = 60
"""Seconds; how long a thread waits for one that is stuck."""


class Window(dict[int, Any]):
    """A domain's table of registrations that calls functions around an insertion."""

    def __init__(
        self,
        before: Callable[[], object] = int,
        after: Callable[[], object] = int,
    ) -> None:
        super().__init__()
        self.before = before
        self.after = after

    def __setitem__(self, key: int, value: Any) -> None:
        self.before()
        super().__setitem__(key, value)
        self.after()


@pytest.mark.parametrize("native", [False, True], ids=["python", "native"])
def test_registered_in_a_domain_that_closes_meanwhile(native: bool) -> None:
    """A domain closes after register() has checked it and before others can find the
    shrinker: the shrinker is closed, its data goes, and register() raises."""
    ledger = Ledger(at_least=1)
    domain = Domain()
    domain._registrations = window = Window(before=domain.close)
    builder = ShrinkerBuilder("cache", domain=domain)

    def publish() -> object:
        if native:
            return builder.register_native(1, 2, keepalive=Counted(ledger))
        return builder.register(Counted(ledger))

    with pytest.raises(ShrinkerError, match="the domain is closed"):
        publish()
    assert window == {}
    ledger.check()


def test_close_sees_what_is_published_while_it_closes() -> None:
    """When close() returns, every shrinker that can be found is closed, also one
    that was published after close() began and whose register() has not returned."""
    may_publish, published, may_return = (threading.Event() for _ in range(3))
    begun = threading.Event()
    raised: list[BaseException] = []
    domain = Domain()

    class LastWish:
        """Lets the other thread publish when the domain closes it."""

        def count_objects(self, sc: object) -> int:
            return 0

        scan_objects = count_objects

        def __del__(self) -> None:
            may_publish.set()
            published.wait(LIMIT)

    first = register(domain, LastWish())

    def before() -> None:
        begun.set()
        may_publish.wait(LIMIT)

    def after() -> None:
        published.set()
        may_return.wait(LIMIT)

    window = Window(before, after)
    window.update(domain._registrations)
    domain._registrations = window

    def late() -> None:
        with pytest.raises(ShrinkerError, match="the domain is closed") as info:
            register(domain, Scripted())
        raised.append(info.value)

    thread = threading.Thread(target=late)
    thread.start()
    try:
        assert begun.wait(LIMIT)
        domain.close()
        assert published.is_set()
        assert domain.shrinkers() == ()
    finally:
        may_return.set()
        thread.join()
    assert first.closed
    assert len(raised) == 1


@pytest.mark.untraced(
    "the child may have a lock of the tracer's that a thread of its parent held"
)
def test_a_child_forgets_the_walks_of_lost_threads() -> None:
    """A callback forks while another thread walks. In the child this walk goes on,
    and its exceptions come out. Nothing is left of the other walk, so that a new
    thread with the same number is not taken for it."""
    out = run(
        """
from shrinker import _walk_errors
mine = threading.get_ident()
inside, leave = threading.Event(), threading.Event()
class Slow(Cache):
    def count_objects(self, sc):
        inside.set()
        leave.wait()
        return 0
other = Domain()
slow = ShrinkerBuilder("slow", domain=other).register(Slow())
walk = threading.Thread(target=other.shrink_slab, daemon=True)
walk.start()
inside.wait()

class Forking(Cache):
    def count_objects(self, sc):
        self.pid = os.fork()
        if not self.pid:
            signal.alarm(200)
            self.under_way = list(_walk_errors._under_way)
        raise OSError("after the fork")
own = Domain()
forking = Forking()
kept = ShrinkerBuilder("forking", domain=own).register(forking)
before = sorted(_walk_errors._under_way)
try:
    own.shrink_slab()
except CallbackErrors as errors:
    raised = [str(error) for error in errors.exceptions]
if not forking.pid:
    good = raised == ["after the fork"] and forking.under_way == [mine]
    os._exit(7 if good else 1)
assert os.waitstatus_to_exitcode(os.waitpid(forking.pid, 0)[1]) == 7
assert raised == ["after the fork"]
assert before == [walk.ident]
leave.set()
walk.join()
assert not _walk_errors._under_way
print("done")
"""
    )
    assert out == "done\n"


def test_one_default_domain_for_threads_that_ask_at_once() -> None:
    """Two threads found no default domain before either had the lock: the second one
    gets the first one's."""
    out = run(
        """
import shrinker.domain
class Lock:
    both, lock = threading.Barrier(2, timeout=60), threading.Lock()
    def __enter__(self):
        self.both.wait()
        self.lock.acquire()
    def __exit__(self, *_):
        self.lock.release()
shrinker.domain._default_lock = Lock()
found = []
threads = [threading.Thread(target=lambda: found.append(default_domain()))
           for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(found[0] is found[1] is default_domain(), len(shrinker.domain._default))
"""
    )
    assert out == "True 1\n"


def test_two_threads_enter_one_trace(domain: Domain) -> None:
    """The first to claim it traces; the other one is told, and disturbs nothing."""

    class Claims(dict[str, object]):
        def setdefault(self, key: str, default: object = None) -> Any:
            if first:
                first.pop().__enter__()
            return super().setdefault(key, default)

    trace = domain.trace()
    first = [trace]
    trace._entered_by = Claims()
    with pytest.raises(ShrinkerError, match="entered once"):
        trace.__enter__()
    with register(domain, Scripted(lambda sc: 1000)):
        domain.shrink_slab(priority=0)
    assert len(trace)
    trace.__exit__(None, None, None)
    with domain.trace():
        pass


class Listed:
    """An object for a ListLru that can be referred to weakly."""


@pytest.fixture
def in_group(domain: Domain) -> Iterator[tuple[ListLru, Memcg, Any]]:
    """A memcg-aware lru, a group, and a shrinker that counts what is on the lru."""
    lrus: list[ListLru] = []

    def count(sc: ShrinkControl) -> Any:
        return lrus[0].shrink_count(sc) or CountObjects.EMPTY

    flags = ShrinkerFlags.MEMCG_AWARE
    with register(domain, Scripted(count), flags=flags) as registration:
        lrus.append(ListLru(shrinker=registration))
        group = domain.create_memcg("group")
        yield lrus[0], group, registration
        lrus[0].close()


@pytest.fixture
def around_put(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``around_put(before, after)``: have the two called around the next time that
    objects are put on an lru's lists."""
    put = Members.put

    def patch(
        before: Callable[[], object] = int, after: Callable[[], object] = int
    ) -> None:
        def hooked(*args: Any) -> Any:
            monkeypatch.undo()
            before()
            added = put(*args)
            after()
            return added

        monkeypatch.setattr(Members, "put", hooked)

    return patch


def test_a_signal_between_an_object_and_its_bit(
    in_group: Any, around_put: Callable[..., None]
) -> None:
    """After an interrupted add(), an object that is on a list has its bit, so that
    walks see it."""
    lru, group, registration = in_group

    def signal() -> None:
        raise KeyboardInterrupt

    around_put(after=signal)
    with pytest.raises(KeyboardInterrupt):
        lru.add(Listed(), memcg=group)
    assert len(lru) == 1
    assert group.has_shrinker_bit(0, registration)


def test_a_walk_clears_the_bit_before_the_object_is_there(
    domain: Domain, in_group: Any, around_put: Callable[..., None]
) -> None:
    """The bit is set when the object is there, although a walk that found the list
    empty cleared it just before."""
    lru, group, registration = in_group
    cleared = []

    def walk() -> None:
        domain.shrink_slab(memcg=group)
        cleared.append(not group.has_shrinker_bit(0, registration))

    around_put(walk)
    assert lru.add(Listed(), memcg=group)
    assert cleared == [True]
    assert group.has_shrinker_bit(0, registration)


def test_an_lru_closes_before_the_object_is_there(
    in_group: Any, around_put: Callable[..., None]
) -> None:
    """The object is then not on the lru and can go on another; add() raises."""
    lru, group, _ = in_group
    around_put(lru.close)
    listed = Listed()
    with pytest.raises(ShrinkerError, match="the lru is closed"):
        lru.add(listed, memcg=group)
    assert len(lru) == 0
    with ListLru() as other:
        assert other.add(listed)


def test_another_lru_takes_one_of_many_before_they_are_there(
    in_group: Any, around_put: Callable[..., None]
) -> None:
    """None is added: those before it are taken off again."""
    lru, group, _ = in_group
    listed = [Listed() for _ in range(3)]
    with ListLru() as other:
        around_put(lambda: other.add(listed[1]))
        with pytest.raises(ShrinkerError, match="on another lru"):
            lru.add_many(listed, memcg=group)
        assert len(lru) == 0
        assert [other.add(each) for each in listed] == [True, False, True]


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("closes", [True, False], ids=["closed", "left"])
def test_moved_on_while_its_lru_is_collected(first: bool, closes: bool) -> None:
    """A finaliser puts an object of a collected lru on another one, before or after
    the lru's own finaliser: the object is there, and can be taken off."""
    listed = Listed()

    class Mover:
        def __del__(self) -> None:
            moved.append(other.add(listed))
            if closes:
                self.lru.close()

        lru: ListLru

    moved: list[bool] = []
    with ListLru() as other:
        # Finalisers of a cycle run in the order in which the objects were made.
        made: list[Any] = [Mover(), ListLru()] if first else [ListLru(), Mover()]
        mover, lru = made if first else reversed(made)
        mover.lru, lru.mover = lru, mover
        lru.add(listed)
        del made, mover, lru
        gc.collect()
        assert moved == [True]
        assert len(other) == 1
        assert not other.add(listed)
        assert other.remove(listed)


def test_interrupted_between_an_offline_group_and_its_parent(
    in_group: Any, around_put: Callable[..., None]
) -> None:
    """An object was put on the list of a group that went offline meanwhile, and a
    signal kept it from being moved: it moves up when the group is closed."""
    lru, group, _ = in_group

    def signal() -> None:
        raise KeyboardInterrupt

    assert lru.add(Listed(), memcg=group)
    around_put(group.offline, signal)
    with pytest.raises(KeyboardInterrupt):
        lru.add(Listed(), memcg=group)
    assert (lru.count(), len(lru)) == (1, 2)
    group.close()
    assert (lru.count(), len(lru)) == (2, 2)


def test_a_parent_goes_offline_while_objects_move_to_it(
    domain: Domain, in_group: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The objects end on the list of the next ancestor that is online."""
    lru, parent, _ = in_group
    child = domain.create_memcg("child", parent)
    lru.add(Listed(), memcg=child)
    look = List.first

    def first(self: List, n: int) -> Any:
        entries = look(self, n)
        if self.memcg is child and parent.online:
            parent.offline()
        return entries

    monkeypatch.setattr(List, "first", first)
    child.offline()
    assert not parent.online
    assert (lru.count(), len(lru)) == (1, 1)


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_objects_that_left_the_list_are_not_isolated(in_group: Any, how: str) -> None:
    """Objects that were taken off or moved to a parent after the walk copied their
    entries are not handed to isolate."""
    lru, group, _ = in_group
    listed = [Listed() for _ in range(3)]
    lru.add_many(listed, memcg=group)
    handed = []

    def isolate(obj: Any) -> LruStatus:
        handed.append(listed.index(obj))
        if how == "removed":
            lru.remove(listed[1])
        else:
            group.offline()
        return LruStatus.SKIP

    assert lru.walk(isolate, 10, memcg=group) == 0
    assert handed == ([0, 2] if how == "removed" else [0])


def test_rotating_what_is_off_the_list(in_group: Any) -> None:
    """An isolate callback may take its object off and answer ROTATE."""
    lru, group, _ = in_group
    lru.add(Listed(), memcg=group)

    def isolate(obj: Any) -> LruStatus:
        assert lru.remove(obj)
        return LruStatus.ROTATE

    assert lru.walk(isolate, 1, memcg=group) == 0
    assert len(lru) == 0


def test_two_register_one_builder(domain: Domain) -> None:
    """The second of two register() calls raises, however close they are."""
    builder = ShrinkerBuilder("cache", domain=domain)
    check = domain._check_open
    registered: list[Any] = []

    def check_open() -> None:
        check()
        domain._check_open = check  # type: ignore[method-assign]
        registered.append(builder.register(Scripted()))

    domain._check_open = check_open  # type: ignore[method-assign]
    with pytest.raises(ShrinkerError, match="the builder was used up"):
        builder.register(Scripted())
    assert domain.shrinkers() == tuple(registered)
    registered[0].close()


def test_debugfs_beside_a_close_and_an_offline_group(domain: Domain) -> None:
    """A shrinker that is closed while its groups are counted is not shown, not even
    with the count of the first group."""

    def count(_sc: ShrinkControl) -> int:
        group.offline()
        registration.close()
        return 5

    flags = ShrinkerFlags.MEMCG_AWARE
    registration = register(domain, Scripted(count), flags=flags)
    group = domain.create_memcg("group")
    assert domain.debugfs() == {}
    assert registration.closed


def test_private_data_is_read_beside_a_close(domain: Domain) -> None:
    """private_data is what was registered, or raises; it is never None."""
    data = Scripted()
    registration = register(domain, data)
    check = registration._check_open

    def check_open() -> None:
        check()
        registration.close()

    registration._check_open = check_open  # type: ignore[method-assign]
    assert registration.private_data is data


def test_a_signal_while_a_group_is_made(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group whose creation was interrupted is not in the tree: its parent can be
    closed."""
    parent = domain.create_memcg("parent")

    def signal(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Memcg, "__init__", signal)
        with pytest.raises(KeyboardInterrupt):
            domain.create_memcg("group", parent)
    assert domain.memcgs() == (domain.root, parent)
    parent.offline()
    parent.close()


def test_shrinkers_are_in_the_order_of_walks(domain: Domain) -> None:
    """shrinkers() is in walk order, also where a shrinker that was registered later
    entered the table first."""
    others: list[Any] = []

    def another() -> None:
        if not others:
            others.append(None)
            others[0] = register(domain, Scripted(), name="second")

    domain._registrations = Window(before=another)
    first = register(domain, Scripted(), name="first")
    assert domain.shrinkers() == (first, others[0])
    assert list(domain.debugfs()) == ["first-0", "second-1"]
    first.close()
    others[0].close()


class Needed:
    """An object that native callbacks need."""


def test_what_running_native_callbacks_need_is_kept(domain: Domain) -> None:
    """A callback closes a native shrinker whose callback runs in another thread:
    what that callback needs is kept through other walks, and goes when it returns."""
    begun, leave = threading.Event(), threading.Event()

    @Callback
    def count(_shrinker: Any, _sc: Any) -> int:
        begun.set()
        leave.wait(LIMIT)
        return 0

    needed = Needed()
    gone = weakref.ref(needed)
    builder = ShrinkerBuilder("native", domain=domain)
    native = builder.register_native(count, count, keepalive=needed)
    del needed
    walk = threading.Thread(target=domain.shrink_slab)
    walk.start()
    try:
        assert begun.wait(LIMIT)

        def close(_sc: ShrinkControl) -> int:
            native.close()
            return 0

        with register(domain, Scripted(close)) as other:
            other.count()
            domain.shrink_slab()
            domain.shrink_slab()
        assert native.closed
        assert gone() is not None
    finally:
        leave.set()
        walk.join()
    assert gone() is None


def test_closing_a_domain_releases_what_was_needed() -> None:
    """Outside any walk, a native callback closes its own shrinker: what it needs
    goes when the domain closes."""
    domain = Domain()

    @Callback
    def count(_shrinker: Any, _sc: Any) -> int:
        native.close()
        return 7

    needed = Needed()
    gone = weakref.ref(needed)
    builder = ShrinkerBuilder("native", domain=domain)
    native = builder.register_native(count, count, keepalive=needed)
    del needed
    assert native.count() == 7
    assert native.closed
    assert gone() is not None
    domain.close()
    assert gone() is None


def test_needed_objects_added_during_a_release(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is added while another walk checks for running callbacks is kept as well."""

    class Lib:
        def reclaim_domain_nr_lingering(self, _: object) -> int:
            domain._lingering.append("later")
            return 1

    domain._lingering.append("before")
    with monkeypatch.context() as patched:
        patched.setattr(shrinker.domain, "lib", Lib())
        domain._release_lingering()
    assert sorted(domain._lingering) == ["before", "later"]  # type: ignore[type-var]


def test_the_first_interrupt_comes_out() -> None:
    """Of two interrupts in one walk the first is raised."""
    with _walk_errors.WalkErrors() as errors:
        errors.add(1, "here", KeyboardInterrupt("first"))
        errors.add(2, "there", SystemExit("second"))
    with pytest.raises(KeyboardInterrupt, match="first"):
        errors.deliver(0)


def test_a_signal_while_an_exception_is_noted(domain: Domain) -> None:
    """A signal's exception that comes while a note is added comes out; it is not
    taken for an exception that allows no notes."""

    class LookedAtError(Exception):
        looks = 0

        @property
        def __notes__(self) -> list[str]:
            self.looks += 1
            if self.looks == 1:
                raise KeyboardInterrupt("a signal's")
            return []

    def count(_sc: ShrinkControl) -> int:
        raise LookedAtError

    with (
        register(domain, Scripted(count)),
        pytest.raises(KeyboardInterrupt, match="a signal's"),
    ):
        domain.shrink_slab()


def test_a_signal_between_offline_and_its_objects(
    domain: Domain, in_group: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """offline() was interrupted before it moved the objects: close() moves them,
    although it is refused since the group has a child."""
    lru, group, _ = in_group
    child = domain.create_memcg("child", group)
    child.offline()
    lru.add(Listed(), memcg=group)

    def signal(_: Memcg) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Memcg, "_move_objects", signal)
        with pytest.raises(KeyboardInterrupt):
            group.offline()
    assert lru.count() == 0
    with pytest.raises(ShrinkerError, match="has children"):
        group.close()
    assert lru.count() == 1


def test_the_first_stall_comes_out_where_warnings_are_errors() -> None:
    """Of two shrinkers that stalled in a walk, the warning of the first is raised,
    with the walk's result in a note."""

    def stall(sc: ShrinkControl) -> int:
        sc.nr_scanned = 0
        return 0

    with Domain(stall_limit=2) as domain:
        stuck = [
            register(domain, Scripted(lambda _: 10_000, stall), name=name)
            for name in ("first", "second")
        ]
        with pytest.raises(RuntimeWarning, match="'first'") as info:
            domain.shrink_slab(priority=0)
    assert info.value.__notes__ == ["result of the walk: 0"]
    assert [registration.closed for registration in stuck] == [True, True]


def test_entry_of_an_interrupted_walk_is_removed(domain: Domain) -> None:
    """A signal kept a walk's entry from being removed: the thread's next walk is not
    taken for a nested one, and removes it."""
    thread = threading.get_ident()
    _walk_errors._under_way[thread] = _walk_errors.WalkErrors()
    domain.shrink_slab()
    assert thread not in _walk_errors._under_way
