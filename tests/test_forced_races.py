"""Threads that meet where it matters, each time: what test_races.py leaves to chance.

A hook in the window lets the other thread do its part, and waits until it has.
"""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest
from processes_support import run
from races_support import Counted, Ledger
from tests_support import Scripted, register

from shrinker import (
    CountObjects,
    Domain,
    ListLru,
    ShrinkerBuilder,
    ShrinkerError,
    ShrinkerFlags,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker import Memcg, ShrinkControl

LIMIT = 60
"""Seconds; how long a thread waits for one that is stuck."""


class Window(dict[int, Any]):
    """A domain's table of registrations, with something done around an insertion."""

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
    """A domain closes between register()'s first look and the moment in which others
    can find the shrinker: it is closed, its data goes, and register() says why."""
    ledger = Ledger()
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
    ledger.check(at_least=1)


def test_close_sees_what_is_published_while_it_closes() -> None:
    """What can be found when close() returns is closed, also where it was published
    after close() had begun, and its register() has not gone on yet."""
    may_publish, published, may_return = (threading.Event() for _ in range(3))
    begun = threading.Event()
    raised: list[BaseException] = []
    domain = Domain()

    class LastWish:
        """When the domain closes it, the other thread publishes."""

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


@pytest.mark.untraced
def test_a_child_forgets_the_walks_of_lost_threads() -> None:
    """A fork inside of a callback, beside another thread's walk: in the child this walk
    goes on and has its exceptions come out; of the other one nothing is left, so that a
    thread with the same number is not taken for it."""
    out = run(
        """
from shrinker import _outcome
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
            signal.alarm(20)
            self.under_way = list(_outcome._under_way)
        raise OSError("after the fork")
own = Domain()
forking = Forking()
kept = ShrinkerBuilder("forking", domain=own).register(forking)
before = sorted(_outcome._under_way)
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
assert not _outcome._under_way
print("done")
"""
    )
    assert out == "done\n"


def test_one_default_domain_for_threads_that_ask_at_once() -> None:
    """Both found none before either had the lock: the second gets the first one's."""
    out = run(
        """
import shrinker.domain
class Lock:
    both, lock = threading.Barrier(2, timeout=20), threading.Lock()
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


class Listed:
    """Something that can be on a ListLru, and be looked for by a weak reference."""


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


def put_with(
    lru: ListLru, before: Callable[[], object], after: Callable[[], object]
) -> None:
    """Have something done right before and after objects are put on an lru's lists."""
    put = lru._put

    def hooked(*args: Any) -> Any:
        before()
        added = put(*args)
        after()
        return added

    lru._put = hooked  # type: ignore[method-assign]


def test_a_signal_between_an_object_and_its_bit(in_group: Any) -> None:
    """An object whose adding was interrupted is seen by walks where it is on a list."""
    lru, group, registration = in_group

    def signal() -> None:
        raise KeyboardInterrupt

    put_with(lru, int, signal)
    with pytest.raises(KeyboardInterrupt):
        lru.add(Listed(), memcg=group)
    assert len(lru) == 1
    assert group.has_shrinker_bit(0, registration)


def test_a_walk_clears_the_bit_before_the_object_is_there(
    domain: Domain, in_group: Any
) -> None:
    """The bit is there when the object is: a walk that found the list empty, just
    before, has cleared it."""
    lru, group, registration = in_group
    cleared = []

    def walk() -> None:
        domain.shrink_slab(memcg=group)
        cleared.append(not group.has_shrinker_bit(0, registration))

    put_with(lru, walk, int)
    assert lru.add(Listed(), memcg=group)
    assert cleared == [True]
    assert group.has_shrinker_bit(0, registration)


def test_an_lru_closes_before_the_object_is_there(in_group: Any) -> None:
    """The object is not on it afterwards, is free for another lru, and add() says
    why."""
    lru, group, _ = in_group
    put_with(lru, lru.close, int)
    listed = Listed()
    with pytest.raises(ShrinkerError, match="the lru is closed"):
        lru.add(listed, memcg=group)
    assert len(lru) == 0
    with ListLru() as other:
        assert other.add(listed)


def test_another_lru_takes_one_of_many_before_they_are_there(in_group: Any) -> None:
    """None is added: those before it are taken off again."""
    lru, group, _ = in_group
    listed = [Listed() for _ in range(3)]
    with ListLru() as other:
        put_with(lru, lambda: other.add(listed[1]), int)
        with pytest.raises(ShrinkerError, match="on another lru"):
            lru.add_many(listed, memcg=group)
        assert len(lru) == 0
        assert [other.add(each) for each in listed] == [True, False, True]


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("closes", [True, False], ids=["closed", "left"])
def test_moved_on_while_its_lru_is_collected(first: bool, closes: bool) -> None:
    """A finaliser puts an object of a collected lru on another one, before or after
    the lru's own finaliser: it is there, and can be taken off."""
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
