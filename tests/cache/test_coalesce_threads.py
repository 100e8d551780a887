"""One computation for all threads that want one result at once."""

from __future__ import annotations

import contextlib
import functools
import gc
import operator
import os
import signal
import sys
import threading
import time
import traceback
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from cache_support import Dice, PythonKey, Value
from fork_support import status_of_child
from processes_support import run
from tests_support import HAS_GIL, run_threads

from shrinker import ShrinkerError
from shrinker.cache import Cache, cached, entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker import Domain

WAIT_SECONDS = 50
"""No wait of these tests takes longer.  Less than ``MAX_WAIT_SECONDS``, after which
each wait for a computation ends."""
# Locks of a free-threaded build yield the core 40 times before they wait, which takes
# long on a busy machine; a signal that comes meanwhile does not end the wait.
SETTLE_SECONDS = 0.01 if HAS_GIL else 1.0


class Gate:
    """A function whose computations wait for ``go``; counts them."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.go = threading.Event()
        self.calls = 0
        self.error: BaseException | None = None
        self.errors = 10**6

    def __call__(self, x: Any = 1) -> Any:
        self.calls += 1
        self.started.release()
        assert self.go.wait(WAIT_SECONDS)
        if self.error is not None and self.errors:
            self.errors -= 1
            raise self.error
        return x * 2

    def wait_started(self) -> None:
        assert self.started.acquire(timeout=WAIT_SECONDS)


class Waits:
    """Counts the waits for computations of other threads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Semaphore(0)
        native = entries.original

        def allocate_lock() -> Any:
            self.begun.release()  # The wait follows with no other thread between.
            return native("_thread", "allocate_lock")()

        monkeypatch.setattr(entries, "original", lambda *_: allocate_lock)

    def wait_for(self, number: int) -> None:
        for _ in range(number):
            assert self.begun.acquire(timeout=WAIT_SECONDS)
        time.sleep(SETTLE_SECONDS)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    return Waits(monkeypatch)


class Calls:
    """Calls in threads of their own, and what came of them."""

    def __init__(self) -> None:
        self.results: list[Any] = []
        self.errors: list[BaseException] = []
        self.threads: list[threading.Thread] = []

    def start(self, number: int, call: Callable[[], Any]) -> None:
        def run() -> None:
            try:
                self.results.append(call())
            except BaseException as error:  # noqa: BLE001 - the test looks at it
                self.errors.append(error)

        for _ in range(number):
            thread = threading.Thread(target=run, daemon=True)
            self.threads.append(thread)
            thread.start()

    def start_behind(
        self, number: int, call: Callable[[], Any], gate: Gate, waits: Waits
    ) -> None:
        """Start a call that computes, and so many that wait for it."""
        self.start(1, call)
        gate.wait_started()
        self.start(number, call)
        waits.wait_for(number)

    def join(self) -> None:
        for thread in self.threads:
            thread.join(WAIT_SECONDS)
            assert not thread.is_alive()


@contextlib.contextmanager
def signal_in_wait(waits: Waits, number: int, handler: Any) -> Iterator[None]:
    """Send this process a signal once the main thread, inside of this, waits."""

    def send() -> None:
        waits.wait_for(1)
        os.kill(os.getpid(), number)

    previous = signal.signal(number, handler)
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        yield
    finally:
        sender.join(2 * WAIT_SECONDS)
        signal.signal(number, previous)
    assert not sender.is_alive()


# --- one computation -----------------------------------------------------------------


def test_threads_share_a_computation(domain: Domain, waits: Waits) -> None:
    """All but the first one wait, and count as hits."""
    gate, calls = Gate(), Calls()
    double = cached(domain=domain)(gate)
    calls.start(1, lambda: double(1))
    gate.wait_started()
    calls.start(9, lambda: double(1))
    calls.start(1, lambda: double(2))
    gate.wait_started()
    waits.wait_for(9)
    gate.go.set()
    calls.join()
    assert sorted(calls.results) == [2] * 10 + [4]
    assert gate.calls == 2
    assert double.cache_info() == (9, 2, None, 2)


class OddKey:
    """Equal to others of the same hash, or to none, or it cannot be compared."""

    def __init__(self) -> None:
        self.raises = False

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        if self.raises:
            raise ValueError("not comparable")
        return self is other


def test_keys_of_one_hash(domain: Domain) -> None:
    """Each is a computation of its own, in each cache; what __eq__ raises comes out."""
    gate, other_gate, calls = Gate(), Gate(), Calls()

    def other(x: object) -> object:
        return other_gate(1) and x

    results = cached(domain=domain)(lambda x: gate(1) and x)
    others = cached(domain=domain)(other)
    one, two, three = OddKey(), OddKey(), OddKey()
    for call in (results, others):
        calls.start(1, lambda call=call: call(one))  # type: ignore[misc]
        calls.start(1, lambda call=call: call(two))  # type: ignore[misc]
    for waited in (gate, other_gate):
        waited.wait_started()
        waited.wait_started()
    one.raises = True
    with pytest.raises(ValueError, match="not comparable"):
        results(three)
    with pytest.raises(ValueError, match="not comparable"):
        results.cache_discard(three)
    one.raises = False
    gate.go.set()
    other_gate.go.set()
    calls.join()
    assert len(calls.results) == 4
    assert not calls.errors


class ActingKey:
    """Does something where it is compared with another of its hash."""

    def __init__(self, act: Callable[[], bool] = lambda: False) -> None:
        self.act = act

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        return self is other or self.act()


def test_a_computation_ends_while_its_key_is_compared(domain: Domain) -> None:
    """What the comparison raises comes out; where it says equal, there is a result."""
    for raises in (False, True):
        gate, calls = Gate(), Calls()
        results = cached(domain=domain)(lambda x, gate=gate: gate(1) and x)
        key = ActingKey()

        def act(
            gate: Gate = gate, calls: Calls = calls, *, raises: bool = raises
        ) -> bool:
            gate.go.set()
            calls.join()
            if raises:
                raise ValueError("not comparable")
            return True

        calls.start(1, lambda results=results, key=key: results(key))  # type: ignore[misc]
        gate.wait_started()
        key.act = act
        if raises:
            with pytest.raises(ValueError, match="not comparable"):
                results(ActingKey())
        else:
            assert results(ActingKey()) is key
            assert gate.calls == 1
        assert calls.results == [key]


def test_a_clear_while_a_key_is_compared(domain: Domain) -> None:
    """The call does not wait for the old computation, and computes."""
    gate, calls = Gate(), Calls()
    results = cached(domain=domain)(lambda x: gate(1) and x)
    key, other = ActingKey(), ActingKey()
    calls.start(1, lambda: results(key))
    gate.wait_started()
    key.act = lambda: results.cache_clear() is None
    calls.start(1, lambda: results(other))
    gate.wait_started()
    gate.go.set()
    calls.join()
    assert {*map(id, calls.results)} == {id(key), id(other)}


def test_a_computation_that_a_clear_has_overtaken(domain: Domain) -> None:
    """A call after the clear computes anew, beside the old one."""
    gate, calls = Gate(), Calls()
    double = cached(domain=domain)(gate)
    calls.start(1, lambda: double(1))
    gate.wait_started()
    double.cache_clear()
    calls.start(1, lambda: double(1))
    gate.wait_started()
    gate.go.set()
    calls.join()
    assert calls.results == [2, 2]


def test_not_without_coalesce(domain: Domain) -> None:
    """With ``coalesce=False`` each thread computes."""
    gate, calls = Gate(), Calls()
    double = cached(coalesce=False, domain=domain)(gate)
    calls.start(3, lambda: double(1))
    for _ in range(3):
        gate.wait_started()
    gate.go.set()
    calls.join()
    assert calls.results == [2] * 3
    assert double.cache_info() == (0, 3, None, 1)


def test_results_that_are_not_kept(domain: Domain, waits: Waits) -> None:
    """Those who wait get them: where the cache is closed, or they are too heavy."""
    for close in (False, True):
        gate, calls = Gate(), Calls()
        double = cached(maxsize=1, weigher=lambda _: 5, domain=domain)(gate)
        call = functools.partial(double, 1)
        calls.start_behind(2, call, gate, waits)
        if close:
            double.cache.close()
        gate.go.set()
        calls.join()
        assert calls.results == [2] * 3
        assert gate.calls == 1


@pytest.mark.parametrize("error", [ValueError("no"), ShrinkerError("no")])
def test_exceptions_reach_all(domain: Domain, waits: Waits, error: Exception) -> None:
    """An exception is raised in all threads that wait, and is not cached."""
    gate, calls = Gate(), Calls()
    gate.error = error
    double = cached(domain=domain)(gate)
    calls.start_behind(3, lambda: double(1), gate, waits)
    gate.go.set()
    calls.join()
    assert calls.errors == [error] * 4
    gate.error = None
    assert double(1) == 2
    assert gate.calls == 2


def frames_of(error: BaseException) -> list[str]:
    """Return the names of the functions in its traceback."""
    return [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]


class Handling:
    """Calls a function while it handles an exception; notes the traceback it gets."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.seen: list[list[str]] = []

    def __call__(self) -> None:
        try:
            raise OSError("the caller handles this")  # noqa: TRY301 - is handled
        except OSError:
            self.call()

    def call(self) -> None:
        try:
            self.function()
        except ValueError as error:
            self.seen.append(frames_of(error))
            raise


def test_the_traceback_of_a_shared_exception(domain: Domain, waits: Waits) -> None:
    """A thread that waited adds its frames to those of the computation alone.

    Cause and context are those that the computation has set.
    """
    gate, calls = Gate(), Calls()
    gate.error = error = ValueError("no")
    error.__cause__ = cause = KeyError("cause")
    double = cached(domain=domain)(gate)
    handling = Handling(functools.partial(double, 1))
    calls.start(1, functools.partial(double, 1))
    gate.wait_started()
    calls.start(1, handling)
    waits.wait_for(1)
    gate.go.set()
    calls.join()
    assert calls.errors == [error] * 2
    assert handling.seen == [["call", "__call__"]]
    assert error.__cause__ is cause
    assert error.__context__ is None


def test_tracebacks_do_not_add_up(
    no_switching: None, domain: Domain, waits: Waits
) -> None:
    """All raise one object, and each adds its frames; 50 threads had 101 in the end.

    Threads that are at it at once add theirs to those of each other.  So each has to
    come to its end before the next one goes on.
    """
    gate, calls = Gate(), Calls()
    gate.error = error = ValueError("no")
    double = cached(domain=domain)(gate)
    handling = Handling(functools.partial(double, 1))
    calls.start_behind(50, handling, gate, waits)
    gate.go.set()
    calls.join()
    assert calls.errors == [error] * 51
    assert handling.seen == [["call", "__call__"]] * 51
    assert frames_of(error) == ["run", "__call__", "call", "__call__"]


def test_an_exception_without_a_traceback(
    no_switching: None, domain: Domain, waits: Waits
) -> None:
    """One that C raises, with no frame of Python below, has those of its callers."""
    lock, calls = threading.Lock(), Calls()
    cache = Cache[int, bool](weigher=operator.concat, domain=domain)

    def call() -> bool:
        return cache.get_or_set(1, lock.acquire)

    with lock:
        calls.start(1, call)
        while not cache.statistics().misses:  # It computes now.
            time.sleep(0.001)
        calls.start(2, call)
        waits.wait_for(2)
    calls.join()
    first, *others = calls.errors
    assert type(first) is TypeError
    assert others == [first] * 2
    assert frames_of(first) == ["run", "call", "get_or_set"]


@pytest.mark.parametrize("error", [MemoryError, ValueError])
def test_a_wait_that_cannot_begin_is_no_hit(
    domain: Domain, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """What is raised there comes out of the call."""
    gate, calls = Gate(), Calls()
    double = cached(domain=domain)(gate)
    calls.start(1, lambda: double(1))
    gate.wait_started()

    def fail(*_: object) -> Any:
        raise error("no lock")

    with monkeypatch.context() as patch:
        patch.setattr(entries, "original", fail)
        with pytest.raises(error, match="no lock"):
            double(1)
    assert double.cache_info() == (0, 1, None, 0)
    gate.go.set()
    calls.join()
    assert double(1) == 2
    assert double.cache_info() == (1, 1, None, 1)


def test_an_exception_of_a_signal_handler_in_a_wait_is_no_hit(
    domain: Domain, waits: Waits
) -> None:
    """It is of the thread that waits, not of the computation."""
    gate, calls = Gate(), Calls()
    double = cached(domain=domain)(gate)
    calls.start(1, lambda: double(1))
    gate.wait_started()

    def expire(*_: object) -> None:
        raise TimeoutError("too long")

    with (
        signal_in_wait(waits, signal.SIGUSR1, expire),
        pytest.raises(TimeoutError, match="too long"),
    ):
        double(1)
    gate.go.set()
    calls.join()
    assert double.cache_info() == (0, 1, None, 1)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_an_interrupted_computation(
    domain: Domain, waits: Waits, error: BaseException
) -> None:
    """Its thread gets that; one of those who wait computes anew, the rest wait on."""
    gate, calls = Gate(), Calls()
    gate.error, gate.errors = error, 1
    double = cached(domain=domain)(gate)
    calls.start_behind(4, lambda: double(1), gate, waits)
    gate.go.set()
    calls.join()
    assert calls.errors == [error]
    assert calls.results == [2] * 4
    assert gate.calls == 2


def test_a_weigher_that_raises(domain: Domain, waits: Waits) -> None:
    """That is an exception of the computation."""
    gate, calls = Gate(), Calls()
    double = cached(weigher=lambda _: -1, domain=domain)(gate)
    calls.start_behind(1, lambda: double(1), gate, waits)
    gate.go.set()
    calls.join()
    assert [type(error) for error in calls.errors] == [ValueError] * 2


def test_keyboard_interrupt_in_a_thread_that_waits(
    domain: Domain, waits: Waits
) -> None:
    """It leaves the computation and the others alone."""
    gate, calls = Gate(), Calls()
    double = cached(domain=domain)(gate)
    calls.start_behind(1, lambda: double(1), gate, waits)

    with (
        signal_in_wait(waits, signal.SIGINT, signal.default_int_handler),
        pytest.raises(KeyboardInterrupt),
    ):
        double(1)
    gate.go.set()
    calls.join()
    assert calls.results == [2, 2]
    assert double.cache_info() == (1, 1, None, 1)


# --- clearing and discarding ---------------------------------------------------------


@pytest.mark.parametrize("way", ["clear", "discard"])
def test_overtaken_computations(domain: Domain, waits: Waits, way: str) -> None:
    """Their callers get the result; it is not cached, and later callers compute."""
    gate, calls, late = Gate(), Calls(), Calls()
    double = cached(domain=domain)(gate)
    calls.start_behind(1, lambda: double(1), gate, waits)
    if way == "clear":
        double.cache_clear()
    else:
        assert not double.cache_discard(2)
        assert not double.cache_discard(1)
    late.start(1, lambda: double(1))
    gate.wait_started()
    if way == "clear":
        double.cache_clear()
    else:
        assert not double.cache_discard(1)
    gate.go.set()
    calls.join()
    late.join()
    assert calls.results + late.results == [2] * 3
    assert double.cache_info().currsize == 0
    assert gate.calls == 2


# --- calls of itself, and rings ------------------------------------------------------


def test_a_thread_does_not_wait_for_itself(domain: Domain, waits: Waits) -> None:
    """A function that calls itself with the same arguments computes."""
    depth = 0

    @cached(domain=domain)
    def deep(x: int) -> int:
        nonlocal depth
        depth += 1
        return x if depth == 3 else deep(x) + 1

    assert deep(1) == 3
    assert deep.cache_info() == (0, 3, None, 1)
    assert not waits.begun.acquire(blocking=False)

    @cached(domain=domain)
    def endless(x: int) -> int:
        return endless(x)

    with pytest.raises(RecursionError):
        endless(1)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_rings(domain: Domain, waits: Waits, size: int) -> None:
    """Threads that want each other's results: the last one computes, all go on."""
    barrier = threading.Barrier(size)
    first = threading.local()

    @cached(domain=domain)
    def ring(n: int) -> int:
        if getattr(first, "done", False):
            return n
        first.done = True
        barrier.wait(WAIT_SECONDS)
        return n + 10 * ring((n + 1) % size)

    calls = Calls()
    for n in range(size):
        calls.start(1, lambda n=n: ring(n))  # type: ignore[misc]
    calls.join()
    assert calls.errors == []
    assert len(calls.results) == size


def test_a_ring_by_a_lock_of_the_program(
    domain: Domain, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not seen, but the wait ends, and the thread computes."""
    monkeypatch.setattr(entries, "MAX_WAIT_SECONDS", 0.05)
    lock = threading.RLock()
    started = threading.Event()

    @cached(domain=domain)
    def read(x: int) -> int:
        started.set()
        with lock:
            return x

    calls = Calls()
    with lock:
        calls.start(1, lambda: read(1))
        assert started.wait(WAIT_SECONDS)
        assert read(1) == 1
    calls.join()
    assert calls.results == [1]
    assert read.cache_info() == (0, 2, None, 1)


def test_nothing_waits_inside_a_walk(domain: Domain, waits: Waits) -> None:
    """An eviction callback computes what another thread is at."""
    gate, calls = Gate(), Calls()
    in_walk = False
    double = cached(domain=domain)(lambda x: x * 3 if in_walk else gate(x))
    results: list[int] = []
    cache = Cache[int, int](
        on_evict=lambda *_: results.append(double(1)), domain=domain
    )
    cache[1] = 1
    calls.start(1, lambda: double(1))
    gate.wait_started()
    in_walk = True
    assert domain.shrink_slab(priority=0) == 1
    assert results == [3]
    assert not waits.begun.acquire(blocking=False)
    gate.go.set()
    calls.join()


# --- keys ----------------------------------------------------------------------------


def test_keys_that_python_compares(domain: Domain, waits: Waits) -> None:
    """Equal keys share, others of the same hash do not."""
    gate, calls = Gate(), Calls()
    double = cached(domain=domain)(lambda key: gate(key.number))
    calls.start(1, lambda: double(PythonKey(1)))
    gate.wait_started()
    calls.start(1, lambda: double(PythonKey(8)))
    gate.wait_started()
    calls.start(2, lambda: double(PythonKey(1)))
    calls.start(2, lambda: double(PythonKey(8)))
    waits.wait_for(4)
    gate.go.set()
    calls.join()
    assert sorted(calls.results) == [2] * 3 + [16] * 3
    assert gate.calls == 2


def test_keys_that_raise_or_end_the_computation(domain: Domain) -> None:
    """Comparing raises, or lets the other computation end: the call raises, or hits."""
    gate, calls = Gate(), Calls()
    compare: list[Callable[[], bool]] = []

    class Key:
        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            return compare[0]()

    def broken() -> bool:
        raise ZeroDivisionError

    def ends(answer: bool) -> bool:
        gate.go.set()
        calls.join()
        return answer

    double = cached(domain=domain)(lambda key: gate(1))
    for answer in (False, True):
        double.cache_clear()
        gate.go.clear()
        calls.start(1, lambda: double(Key()))
        gate.wait_started()
        compare[:] = [broken]
        with pytest.raises(ZeroDivisionError):
            double(Key())
        compare[:] = [functools.partial(ends, answer)]
        assert double(Key()) == 2
    assert double.cache_info() == (1, 1, None, 1)


def test_nothing_is_kept_alive(domain: Domain, waits: Waits) -> None:
    """Keys, results and exceptions go when the last caller has them."""
    gate, calls = Gate(), Calls()

    class Error(Exception):
        pass

    error = Error()
    alive = weakref.ref(error)
    gate.error = error
    double = cached(domain=domain)(lambda key: gate(1))
    key = Value()
    key_alive = weakref.ref(key)
    calls.start(1, lambda key=key: double(key))  # type: ignore[misc]
    gate.wait_started()
    calls.start(2, lambda key=key: double(key))  # type: ignore[misc]
    waits.wait_for(2)
    gate.go.set()
    calls.join()
    assert len(calls.errors) == 3
    calls.errors.clear()
    calls.threads.clear()
    gate.error = None
    del error, key
    gc.collect()
    assert alive() is None
    assert key_alive() is None


# --- get_or_set ----------------------------------------------------------------------


def test_get_or_set(domain: Domain) -> None:
    """It makes what is not there; a hit or a miss; what ``make`` raises comes out."""
    made: list[str] = []

    def make() -> int:
        made.append("")
        return len(made)

    cache = Cache[str, int](domain=domain)
    assert [cache.get_or_set("a", make), cache.get_or_set("a", make)] == [1, 1]
    assert cache.get_or_set("b", make) == 2
    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("c", lambda: 1 // 0)
    assert "c" not in cache
    statistics = cache.statistics()
    assert (statistics.hits, statistics.misses) == (1, 3)
    for wrong in ((), ("a",), ("a", make, 1)):
        with pytest.raises(TypeError):
            cache._store.get_or_set(*wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        cache.get_or_set([], make)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        cache.get_or_set("d", 3)  # type: ignore[arg-type]


def test_get_or_set_by_threads(domain: Domain, waits: Waits) -> None:
    """One makes, the others wait for it."""
    gate, calls = Gate(), Calls()
    cache = Cache[int, int](domain=domain)
    calls.start_behind(3, lambda: cache.get_or_set(1, gate), gate, waits)
    gate.go.set()
    calls.join()
    assert calls.results == [2] * 4
    assert gate.calls == 1


def test_what_happens_while_make_runs(domain: Domain) -> None:
    """A value that is set meanwhile stays; after a delete or clear none is set."""
    cache = Cache[int, int](domain=domain)
    acts: list[tuple[Callable[[], Any], int, dict[int, int]]] = [
        (lambda: cache.__setitem__(1, 5), 5, {1: 5}),
        (lambda: cache.pop(1, None), 7, {}),
        (lambda: cache.pop(2, None), 7, {1: 7}),
        (cache.clear, 7, {}),
        (lambda: cache.get_or_set(1, lambda: 6), 6, {1: 6}),
        (cache.close, 7, {}),
    ]
    for act, result, left in acts:
        cache.clear()

        def make(act: Callable[[], Any] = act) -> int:
            act()
            return 7

        assert cache.get_or_set(1, make) == result
        assert dict(cache.items()) == left
    assert cache.get_or_set(1, lambda: 8) == 8
    assert len(cache) == 0


def test_get_or_set_under_pressure(domain: Domain) -> None:
    """It evicts as much as it adds, as any set; what is too heavy does not stay."""
    gone: list[int] = []
    cache = Cache[int, int](
        10,
        weigher=lambda _, value: value,
        on_evict=lambda key, _: gone.append(key),
        domain=domain,
    )
    cache[1] = 3
    domain.under_pressure = True
    try:
        assert cache.get_or_set(2, lambda: 3) == 3
        assert set(cache) == {2}
        assert cache.get_or_set(3, lambda: 11) == cache.setdefault(4, 11) == 11
        assert set(cache) == {2}
        assert gone == [1, 3, 4]
    finally:
        domain.under_pressure = False


# --- forks and many threads ----------------------------------------------------------


def test_forked_children_do_not_wait_for_threads_of_the_parent(
    domain: Domain, waits: Waits
) -> None:
    """A child computes what they were at, and its own computation goes on."""
    gate, calls = Gate(), Calls()
    double = cached(domain=domain)(gate)
    calls.start_behind(1, lambda: double(1), gate, waits)

    def child() -> None:
        gate.go.set()
        assert double(1) == 2
        results: list[int] = []
        thread = threading.Thread(target=lambda: results.append(double(3)))
        thread.start()
        thread.join(WAIT_SECONDS)
        assert results == [6]
        assert gate.calls == 3

    assert status_of_child(child) == 0

    @cached(domain=domain)
    def forks(x: int) -> int:
        return status_of_child(lambda: _equal(double(x), 2)) + forked(x)

    def forked(x: int) -> int:
        return x

    gate_go = gate.go
    gate_go.set()
    calls.join()
    assert forks(1) == 1
    assert calls.results == [2, 2]


def test_a_child_that_ends_as_programs_do() -> None:
    """It computes what threads of its parent were at, and nothing waits for them."""
    out = run("""
go, inside = threading.Event(), threading.Semaphore(0)
@cached(domain=domain)
def double(x):
    inside.release()
    go.wait(20)
    return 2 * x
threads = [threading.Thread(target=double, args=(x,)) for x in (1, 2, 1)]
for thread in threads: thread.start()
for _ in range(2): inside.acquire()
time.sleep(0.05)
pid = os.fork()
go.set()
assert double(1) == 2 and double(2) == 4
if not pid: sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
for thread in threads: thread.join()
print("done")
""")
    assert out == "done\n"


def _equal(one: object, other: object) -> None:
    assert one == other


def test_a_fork_in_a_signal_handler_of_a_thread_that_waits(
    domain: Domain, waits: Waits
) -> None:
    """The child's call looks again, and computes."""
    gate, calls = Gate(), Calls()
    double = cached(domain=domain)(gate)
    calls.start(1, lambda: double(1))
    gate.wait_started()
    status: list[int] = []
    in_child = False

    def handler(*_: object) -> None:
        nonlocal in_child
        pid = os.fork()
        if not pid:
            in_child = True
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(WAIT_SECONDS)
            gate.go.set()
            return
        status.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        gate.go.set()

    with signal_in_wait(waits, signal.SIGUSR1, handler):
        try:
            result = double(1)
            if in_child:
                os._exit(0 if (result, gate.calls) == (2, 2) else 1)
        except BaseException:
            if in_child:
                os._exit(2)
            raise
    calls.join()
    assert status == [0]
    assert (result, gate.calls) == (2, 1)


def test_many_threads(fast_switching: None, domain: Domain) -> None:
    """Calls have right results while others end, raise, clear and discard."""

    class Unlucky(Exception):  # noqa: N818
        pass

    dice = Dice(3)

    @cached(maxsize=8, domain=domain)
    def work(key: PythonKey) -> int:
        if key.number % 5 == 0 and dice.random() < 0.3:
            raise Unlucky
        if key.number > 20:
            return work(PythonKey(key.number - 13)) + 13
        sys.getswitchinterval()
        return key.number

    def ask(seed: int) -> Callable[[], None]:
        own = Dice(seed)

        def run() -> None:
            for _ in range(1_500):
                n = own.randrange(40)
                with contextlib.suppress(Unlucky):
                    assert work(PythonKey(n)) == n
                if own.random() < 0.05:
                    work.cache_discard(PythonKey(n))
                if own.random() < 0.01:
                    work.cache_clear()

        return run

    assert run_threads(*(ask(n) for n in range(4))) == []
