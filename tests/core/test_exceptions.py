"""What callbacks raise, wrong results, and how the walk goes on."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import pickle
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests_support import Cache, Scripted, raiser, register

from shrinker import (
    CallbackErrors,
    CountObjects,
    Domain,
    ScanObjects,
    ShrinkControl,
    ShrinkerError,
    StallError,
    default_domain,
    native,
    run_pass,
)
from shrinker._ffi import lib

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_others_get_their_turn(domain: Domain) -> None:
    """A callback that raises ends its own pass only; the walk's result is kept."""
    before, after = Cache(1000), Cache(1000)
    error = OSError("lost")
    registrations = [
        register(domain, before),
        register(domain, Scripted(raiser(error))),
        register(domain, Scripted(scan=raiser(error))),
        register(domain, after),
    ]
    with pytest.raises(CallbackErrors) as caught:
        domain.shrink_slab(priority=0)
    assert before.objects == after.objects == 0
    assert caught.value.result == 2000
    assert caught.value.exceptions == (error, error)
    assert isinstance(caught.value, ShrinkerError)
    assert isinstance(caught.value, ExceptionGroup)
    for registration in registrations:
        registration.close()


def test_caught_as_an_exception_group(domain: Domain) -> None:
    """``except ExceptionGroup`` and ``except*`` catch what callbacks raised, as do
    parts of it; a group of anything but exceptions cannot be made."""
    with register(domain, Scripted(raiser(OSError("lost")))):
        try:
            domain.shrink_slab()
        except ExceptionGroup as group:
            part = group.subgroup(OSError)
        assert isinstance(part, CallbackErrors)
        assert isinstance(part, ExceptionGroup)
        caught = []
        try:
            domain.shrink_slab()
        except* OSError as group:
            caught.append(group)
        assert isinstance(caught[0], CallbackErrors)
    with pytest.raises(TypeError, match="BaseException"):
        CallbackErrors("no", [KeyboardInterrupt()])  # type: ignore[list-item]


def test_first_of_each_and_a_count(domain: Domain) -> None:
    """Of several exceptions of one shrinker the first is raised, with a note."""
    numbers = iter(range(100))

    def count(sc: ShrinkControl) -> int:
        raise ValueError(next(numbers))

    with register(domain, Scripted(count)):
        with pytest.raises(CallbackErrors) as caught:
            domain.reclaim(1)
        (error,) = caught.value.exceptions
        assert error.args == (0,)
        assert error.__notes__ == [
            "in count_objects of shrinker 'cache'",
            "and 12 more from the same shrinker in this walk",
        ]
        assert caught.value.result.priority == 0


def test_note_says_where(domain: Domain) -> None:
    """Each exception names its callback and shrinker, once however often raised."""
    error = OSError()
    with register(domain, Scripted(scan=raiser(error)), name="old") as registration:
        registration.rename("users")
        for _ in range(3):
            with pytest.raises(CallbackErrors):
                domain.shrink_slab(priority=0)
        assert error.__notes__ == ["in scan_objects of shrinker 'users'"]


def test_group_can_be_split(domain: Domain) -> None:
    """except* works, and parts keep the result."""
    bad = [register(domain, Scripted(raiser(e))) for e in (OSError(), ValueError())]
    good = register(domain, Cache(1000))
    try:
        domain.shrink_slab(priority=0)
    except* OSError as part:
        assert isinstance(part, CallbackErrors)
        assert part.result == 1000
    except* ValueError as part:
        assert len(part.exceptions) == 1
    for registration in (*bad, good):
        registration.close()


def test_traceback_starts_in_the_callback(domain: Domain) -> None:
    """The traceback shows the owner's code, not ours."""
    with register(domain, Scripted(raiser(OSError()))):
        with pytest.raises(CallbackErrors) as caught:
            domain.shrink_slab()
        traceback = caught.value.exceptions[0].__traceback__
        assert traceback is not None
        assert traceback.tb_frame.f_code.co_name == "count_objects"


@pytest.mark.parametrize(
    ("callback", "result", "error"),
    [
        ("count", None, TypeError),
        ("count", True, TypeError),
        ("count", 5.0, TypeError),
        ("count", "5", TypeError),
        ("count", -1, ValueError),
        ("count", ScanObjects.STOP, TypeError),
        ("count", ScanObjects.from_count(5), TypeError),
        ("scan", None, TypeError),
        ("scan", False, TypeError),
        ("scan", 5.0, TypeError),
        ("scan", -1, ValueError),
        ("scan", CountObjects.EMPTY, TypeError),
        ("scan", CountObjects.new(5), TypeError),
    ],
)
def test_wrong_results(
    domain: Domain, callback: str, result: Any, error: type[Exception]
) -> None:
    """A wrong result is handled like an exception: skip, or STOP."""
    shrinker = Scripted(**{callback: lambda sc: result})
    with register(domain, shrinker) as registration:
        with pytest.raises(CallbackErrors) as caught:
            domain.shrink_slab(priority=0)
        assert [type(e) for e in caught.value.exceptions] == [error]
        assert caught.value.result == 0
        assert registration.nr_deferred() == (0 if callback == "count" else 200)


class Number(int):
    """A subclass of int."""


@pytest.mark.parametrize("plain", [10, Number(10)])
def test_plain_ints(domain: Domain, plain: int) -> None:
    """A plain int, or a subclass, means the same as new() or from_count()."""
    shrinker = Scripted(lambda sc: plain, lambda sc: plain)
    with register(domain, shrinker) as registration:
        assert domain.shrink_slab(priority=0) == 10
        assert registration.nr_deferred() == 0


def test_large_ints_saturate(domain: Domain) -> None:
    """An int beyond the maxima saturates, and never becomes EMPTY or STOP."""
    shrinker = Scripted(lambda sc: 2**64 - 2, lambda sc: 2**64 - 1)
    with register(domain, shrinker) as registration:
        assert domain.shrink_slab(priority=0) == 0
        assert registration.nr_deferred() == -2  # MAX itself reclaims nothing.
    shrinker = Scripted(lambda sc: 100, lambda sc: 2**64 - 1)
    with register(domain, shrinker) as registration:
        # A sum of 2**64 - 2 is taken for EMPTY by the walk, as in the kernel.
        assert domain.shrink_slab(priority=0) == 0
        assert registration.statistics().freed == 2**64 - 2
        assert registration.statistics().scan_calls == 1


@pytest.mark.parametrize("stage", ["count", "scan"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_interrupts_end_the_walk(
    domain: Domain, stage: str, kind: type[BaseException]
) -> None:
    """KeyboardInterrupt and SystemExit come out as themselves, at once."""
    first, last = Cache(1000), Cache(1000)
    registrations = [
        register(domain, first),
        register(domain, Scripted(**{stage: raiser(kind())})),
        register(domain, last),
    ]
    with pytest.raises(kind) as caught:
        domain.drop_slab()
    assert (first.objects, last.objects) == (0, 1000)
    assert "the walk was ended early; result: 1000" in caught.value.__notes__
    for registration in registrations:
        registration.close()


def test_interrupt_ends_the_ladder(domain: Domain) -> None:
    """After an interrupt no further priority is walked."""
    calls = []

    def count(sc: ShrinkControl) -> int:
        calls.append(1)
        raise KeyboardInterrupt

    with register(domain, Scripted(count)):
        with pytest.raises(KeyboardInterrupt):
            domain.reclaim(1)
        assert len(calls) == 1


def test_interrupt_beside_errors(domain: Domain) -> None:
    """The cause of the interrupt is what other callbacks raised before."""
    bad = register(domain, Scripted(raiser(OSError())))
    interrupting = register(domain, Scripted(raiser(KeyboardInterrupt())))
    with pytest.raises(KeyboardInterrupt) as caught:
        domain.shrink_slab()
    assert isinstance(caught.value.__cause__, CallbackErrors)
    bad.close()
    interrupting.close()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises, also where the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_signal_during_a_walk(domain: Domain) -> None:
    """A real SIGINT in a callback comes out as KeyboardInterrupt."""

    def scan(sc: ShrinkControl) -> int:
        signal.raise_signal(signal.SIGINT)
        return sum(range(1000)) * 0

    with register(domain, Scripted(scan=scan)), pytest.raises(KeyboardInterrupt):
        domain.shrink_slab(priority=0)
    assert domain.shrink_slab() == 0


@pytest.mark.parametrize("error", [GeneratorExit(), asyncio.CancelledError()])
def test_other_base_exceptions(domain: Domain, error: BaseException) -> None:
    """After any other BaseException the walk goes on, and it is reported."""
    bad, good = register(domain, Scripted(raiser(error))), register(domain, Cache(1000))
    with pytest.raises(CallbackErrors) as caught:
        domain.shrink_slab(priority=0)
    assert caught.value.result == 1000
    assert caught.value.exceptions[0].__cause__ is error
    bad.close()
    good.close()


def test_errors_of_direct_calls(domain: Domain) -> None:
    """count() and scan() report like walks."""
    with register(domain, Scripted(raiser(OSError()), raiser(OSError()))) as r:
        for call in (r.count, lambda: r.scan(5)):
            with pytest.raises(CallbackErrors) as caught:
                call()
            assert caught.value.result in (0, 2**64 - 1)


def test_nested_direct_calls(domain: Domain) -> None:
    """A callback may count another shrinker; each call reports its own errors."""
    inner = register(domain, Scripted(raiser(OSError())))
    seen = []

    def count(sc: ShrinkControl) -> int:
        try:
            inner.count()
        except CallbackErrors as errors:
            seen.append(errors)
        return 0

    outer = register(domain, Scripted(count))
    inner_pass = pytest.raises(CallbackErrors)
    with inner_pass as caught:
        domain.shrink_slab()
    assert len(caught.value.exceptions) == 1
    assert len(seen) == 1
    inner.close()
    outer.close()


def test_reclaim_inside_a_callback(domain: Domain) -> None:
    """Reclaim inside a callback, in any domain, returns 0 and is counted."""
    with Domain() as other:
        victim = register(other, Cache(1000))
        inside = []

        def scan(sc: ShrinkControl) -> int:
            inside.append(other.shrink_slab(priority=0))
            inside.append(other.drop_slab())
            inside.append(other.reclaim(5).nr_reclaimed)
            inside.append(domain.shrink_slab(priority=0))
            return sc.nr_to_scan

        with register(domain, Scripted(lambda sc: 128, scan)):
            domain.shrink_slab(priority=1)
        assert inside == [0, 0, 0, 0]
        assert victim.private_data.objects == 1000
        assert other.statistics().nested == 3
        assert domain.statistics().nested == 1
        victim.close()


def test_walk_started_by_c(capsys: pytest.CaptureFixture[str]) -> None:
    """A walk that no Python method started reports to sys.unraisablehook."""
    caught: list[Any] = []
    hook = sys.unraisablehook
    sys.unraisablehook = lambda args: caught.append(args.exc_value)
    try:
        with register(default_domain(), Scripted(raiser(OSError("lost")))):
            lib.shrink_slab(lib.GFP_KERNEL, 0, native.ffi.NULL, 12)
    finally:
        sys.unraisablehook = hook
    assert [str(args) for args in caught] == ["lost"]
    assert capsys.readouterr().err == ""


def test_walk_in_a_foreign_thread() -> None:
    """A thread that Python did not start can walk over Python shrinkers."""
    libc = ctypes.CDLL(None)
    # A C thread whose body is the kernel-named function itself.
    drop_slab = int(
        native.ffi.cast("uintptr_t", native.ffi.addressof(lib, "drop_slab"))
    )
    cache = Cache(1000)
    with register(default_domain(), cache):
        thread = ctypes.c_ulong()
        start = ctypes.c_void_p(drop_slab)
        assert libc.pthread_create(ctypes.byref(thread), None, start, None) == 0
        assert libc.pthread_join(thread, None) == 0
    assert cache.objects == 0


def test_stalled_pass_warns_once(domain: Domain) -> None:
    """A pass without progress ends at the limit, with one warning for each shrinker."""

    def scan(sc: ShrinkControl) -> int:
        sc.nr_scanned = 0
        return 0

    with register(domain, Scripted(scan=scan), name="stuck") as registration:
        with pytest.warns(RuntimeWarning, match="'stuck' made no progress") as warned:
            domain.shrink_slab(priority=0)
        assert warned[0].filename == __file__
        domain.shrink_slab(priority=0)
        seen = registration.statistics()
        assert (seen.scan_calls, seen.stalled) == (2048, 2)
        assert domain.statistics().stalled == 2
        with (
            register(domain, Scripted(scan=scan), name="other"),
            pytest.warns(RuntimeWarning, match="'other'"),
        ):
            domain.shrink_slab(priority=0)


def test_stall_limit_is_a_setting() -> None:
    """The limit is the domain's."""

    def scan(sc: ShrinkControl) -> int:
        sc.nr_scanned = 0
        return 0

    with (
        Domain(stall_limit=5) as domain,
        register(domain, Scripted(scan=scan)) as registration,
    ):
        with pytest.warns(RuntimeWarning):
            domain.shrink_slab(priority=0)
        assert registration.statistics().scan_calls == 5


def test_stall_limit_off() -> None:
    """0 turns the guard off: only the callback's STOP ends the pass."""
    calls = []

    def scan(sc: ShrinkControl) -> Any:
        calls.append(1)
        sc.nr_scanned = 0
        return ScanObjects.STOP if len(calls) == 5000 else 0

    with Domain(stall_limit=0) as domain, register(domain, Scripted(scan=scan)):
        domain.shrink_slab(priority=0)
    assert len(calls) == 5000


def test_errors_can_be_pickled() -> None:
    """Exceptions keep their extra attributes when they are pickled."""
    errors = CallbackErrors("callbacks raised", [OSError("x")], 7)
    copy = pickle.loads(pickle.dumps(errors))  # noqa: S301
    assert (copy.result, str(copy)) == (7, str(errors))
    with pytest.raises(StallError) as caught:
        run_pass(100, priority=0, scan=lambda n: (0, 0), max_calls=3)
    assert pickle.loads(pickle.dumps(caught.value)).partial == caught.value.partial  # noqa: S301


def test_threads_keep_their_own_errors(domain: Domain, fast_switching: None) -> None:
    """Each of several walks raises what its own callbacks raised."""
    failures: list[str] = []

    def count(sc: ShrinkControl) -> int:
        raise ValueError(threading.get_ident())

    def walk() -> None:
        for _ in range(200):
            try:
                domain.shrink_slab()
            except CallbackErrors as errors:
                if errors.exceptions[0].args != (threading.get_ident(),):
                    failures.append("foreign error")
                if len(errors.exceptions[0].__notes__) > 1:
                    failures.append("foreign count")
            else:
                failures.append("no error")

    with register(domain, Scripted(count)):
        threads = [threading.Thread(target=walk) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_stall_warning_as_error(domain: Domain) -> None:
    """Where warnings are errors, the walk's errors still come out, and its result is
    in a note."""

    def stuck(sc: ShrinkControl) -> int:
        sc.nr_scanned = 0
        return 0

    first = register(domain, Scripted(scan=stuck), name="one")
    with pytest.raises(RuntimeWarning, match="'one'") as warned:
        domain.shrink_slab(priority=0)
    assert warned.value.__notes__ == ["result of the walk: 0"]
    second = register(domain, Scripted(scan=stuck), name="two")
    bad = register(domain, Scripted(raiser(OSError())))
    with pytest.raises(CallbackErrors) as caught:
        domain.shrink_slab(priority=0)
    assert isinstance(caught.value.__context__, RuntimeWarning)
    for registration in (first, second, bad):
        registration.close()


def test_frozen_exception(domain: Domain) -> None:
    """An exception that allows no changes comes out as it is."""

    class FrozenError(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    error = FrozenError()
    with register(domain, Scripted(raiser(error))):
        with pytest.raises(CallbackErrors) as caught:
            domain.shrink_slab()
        assert caught.value.exceptions == (error,)


@pytest.mark.untraced("the handler would raise in the tracer's code as well")
def test_signals_lose_no_result() -> None:
    """A signal at any moment of run_pass interrupts it; none is lost."""
    expected = run_pass(100_000, priority=0, scan=lambda n: n)
    fired = interrupted = 0

    def handler(*_: object) -> None:
        nonlocal fired
        fired += 1
        raise KeyboardInterrupt

    # What the handler raises in a finaliser would be swallowed.
    gc.collect()
    gc.disable()
    old = signal.signal(signal.SIGALRM, handler)
    try:
        while interrupted < 300:
            try:
                signal.setitimer(signal.ITIMER_REAL, 2e-4)
                result = run_pass(100_000, priority=0, scan=lambda n: n)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            else:
                assert result == expected
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        gc.enable()
    assert interrupted == fired
