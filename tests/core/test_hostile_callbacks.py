"""Whatever a callback does, the walk ends, and other shrinkers are not affected."""

from __future__ import annotations

import sys
import warnings
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from hostile_callbacks import BEHAVIOURS, Misbehaving
from hostile_exceptions import EXCEPTIONS
from reference_model import SHRINK_EMPTY, model_pass, u64
from tests_support import Cache, Scripted, register

from shrinker import CallbackErrors, Domain, ShrinkControl, ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Callable

STALL_LIMIT = 16
PRIORITIES = (12, 6, 3, 1, 0, 0)


def outcome(walk: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """Return the result of a walk, and what it raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # Of stalled passes.
        try:
            return walk(), None
        except CallbackErrors as errors:
            return errors.result, errors
        except BaseException as error:  # noqa: BLE001 - for the test to see
            return None, error


class Honest(Cache):
    """A cache that is full before each walk, and computes what the walk must do to
    it."""

    deferred = 0

    def expected(self, priority: int) -> int:
        self.objects = 1000
        result = model_pass(1000, self.deferred, priority)
        self.deferred = result.nr_deferred
        return min(1000, result.returned)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_the_walk_ends_and_the_counters_are_right(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """In each walk the other shrinkers have their passes; deferred work and result
    are the model's for what the core is told; and what was raised comes out once."""
    behaviour = BEHAVIOURS[name]
    deferred = 0
    with Domain(stall_limit=STALL_LIMIT) as domain:
        before, after, bad = Honest(0), Honest(0), Misbehaving(domain, behaviour)
        first = register(domain, before)
        bad.registration = register(domain, bad)
        last = register(domain, after)
        for priority in PRIORITIES:
            expected = model_pass(
                behaviour.told_count,
                deferred,
                priority,
                scan=lambda n, _: behaviour.told_scan(n),
                stall_limit=STALL_LIMIT,
            )
            deferred = expected.nr_deferred
            reached = name.startswith("count") or expected.scans
            freed = before.expected(priority)
            if not (behaviour.ends and reached):
                freed += after.expected(priority)
            if expected.returned != SHRINK_EMPTY:
                freed += expected.returned

            result, error = outcome(lambda: domain.shrink_slab(priority=priority))  # noqa: B023
            if not reached or not behaviour.raises:
                assert error is None
            elif behaviour.ends:
                assert issubclass(type(error), (KeyboardInterrupt, SystemExit))
            else:
                assert type(error) is CallbackErrors
                assert len(error.exceptions) == 1
            if result is not None:
                assert result == u64(freed)
            assert bad.registration.nr_deferred() == deferred
            assert first.nr_deferred() == before.deferred
            assert last.nr_deferred() == after.deferred
        bad.registration.close()
        assert domain.shrink_slab() == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("stage", ["count", "scan"])
@pytest.mark.parametrize("name", EXCEPTIONS)
def test_what_was_raised_is_what_comes_out(
    domain: Domain, stage: str, name: str
) -> None:
    """The exception itself comes out, or an error with it as the cause where a group
    cannot hold it; also where reading the exception's attributes raises."""
    raised: list[BaseException] = []

    def act(sc: ShrinkControl) -> None:
        try:
            raise EXCEPTIONS[name]()  # noqa: RSE102, TRY301 - one is a function
        except BaseException as error:
            raised.append(error)
            raise

    with register(domain, Scripted(**{stage: act})):
        _, errors = outcome(lambda: domain.shrink_slab(priority=0))
    assert isinstance(errors, CallbackErrors)
    (error,) = errors.exceptions
    if issubclass(type(raised[0]), Exception):
        assert error is raised[0]
    else:
        assert type(error) is ShrinkerError
        assert error.__cause__ is raised[0]


def test_private_data_goes_although_the_error_is_kept(domain: Domain) -> None:
    """The traceback of a kept error has no frame of the library, even where the
    error's class forbids changing it."""

    def act(sc: ShrinkControl) -> None:
        raise EXCEPTIONS["no traceback"]

    shrinker = Scripted(act)
    gone = weakref.ref(shrinker)
    registration = register(domain, shrinker)
    _, errors = outcome(domain.shrink_slab)
    assert isinstance(errors, CallbackErrors)
    traceback_of = BaseException.__dict__["__traceback__"].__get__
    traceback = traceback_of(errors.exceptions[0])
    assert traceback.tb_frame.f_code is Scripted.count_objects.__code__
    # That one's frame has the shrinker.
    BaseException.with_traceback(errors.exceptions[0], None)
    del shrinker, traceback
    registration.close()
    assert gone() is None


def test_a_shrinker_that_deletes_itself(domain: Domain) -> None:
    """A callback deletes its methods, its registration and its attributes: the walk
    goes on, and the object goes when the callback ends."""

    class Suicidal:
        def count_objects(self, sc: ShrinkControl) -> int:
            return 1000

        def scan_objects(self, sc: ShrinkControl) -> int:
            n = sc.nr_to_scan
            del Suicidal.count_objects, Suicidal.scan_objects
            self.__dict__.clear()
            registrations.pop().close()
            assert gone() is self
            return n

    shrinker = Suicidal()
    gone = weakref.ref(shrinker)
    registrations = [register(domain, shrinker)]
    del shrinker
    with register(domain, Cache(1000)):
        assert domain.shrink_slab(priority=0) == 128 + 1000
        assert gone() is None


@pytest.mark.untraced("a tracer finds no room at the limit either, and is given up")
def test_a_recursion_limit_left_low(
    domain: Domain, capfd: pytest.CaptureFixture[str]
) -> None:
    """After a callback that leaves the interpreter at its recursion limit, callbacks
    that need no further call still run, and later walks work."""
    limit = sys.getrecursionlimit()

    def act(sc: ShrinkControl) -> None:
        low = 1
        while True:
            try:
                sys.setrecursionlimit(low)
            except RecursionError:
                low += 1
            else:
                break
        raise OSError

    class Shallow:
        turns = 0

        def count_objects(self, sc: ShrinkControl) -> int:
            self.turns += 1
            return 0

        scan_objects = count_objects

    shallow = Shallow()
    with register(domain, Scripted(act)) as bad, register(domain, shallow):
        try:
            _, error = outcome(domain.shrink_slab)
        finally:
            sys.setrecursionlimit(limit)
        assert shallow.turns == 1
        assert isinstance(error, (CallbackErrors, RecursionError))
        bad.close()
        assert outcome(domain.shrink_slab) == (0, None)
        assert shallow.turns == 2
    assert capfd.readouterr() == ("", "")
