"""What passes between C and the trampolines: frames, order, and the recursion limit."""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from tests_support import Scripted, raiser, register, run_threads

from shrinker import (
    GFP,
    CallbackErrors,
    Domain,
    ShrinkControl,
    ShrinkerFlags,
    _trampolines,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_LIMIT = 400


def test_one_shrinker_then_another(domain: Domain) -> None:
    """A direct scan reaches its own shrinker, whichever was called last."""
    calls: list[str] = []

    def caller(name: str) -> Any:
        return lambda sc: calls.append(name) or 7

    first = register(domain, Scripted(caller("a counts"), caller("a scans")))
    second = register(domain, Scripted(caller("b counts"), caller("b scans")))
    first.count()
    second.scan(5)
    first.scan(5)
    second.count()
    first.scan(5)
    assert calls == ["a counts", "b scans", "a scans", "b counts", "a scans"]
    first.close()
    second.close()


@pytest.mark.parametrize("outcome", [0, OSError()])
def test_scan_after_a_count_without_a_result(
    domain: Domain, outcome: int | OSError
) -> None:
    """After a count that gave 0 or raised, a scan of another shrinker reaches that
    one."""
    scans: list[int] = []
    good = register(domain, Scripted(scan=lambda sc: scans.append(sc.nr_to_scan) or 1))
    count = raiser(outcome) if isinstance(outcome, OSError) else lambda sc: 0
    bad = register(domain, Scripted(count, lambda sc: pytest.fail("scanned")))
    good.count()
    for _ in range(2):
        if outcome == 0:
            assert bad.count() == 0
        else:
            with pytest.raises(CallbackErrors):
                bad.count()
        assert good.scan(3) == 1
    assert scans == [3, 3]
    good.close()
    bad.close()


def test_count_that_does_not_begin(domain: Domain) -> None:
    """An exception at the entry of a trampoline, as from a signal's handler, comes
    out. The next scan does not go to the shrinker before."""
    scans: list[str] = []
    first = register(domain, Scripted(scan=lambda sc: scans.append("first") or 1))
    second = register(domain, Scripted(scan=lambda sc: scans.append("second") or 1))
    first.count()

    def interrupt(frame: Any, event: str, _arg: object) -> None:
        if event == "call" and frame.f_code.co_name == "shrinker_py_run":
            raise InterruptedError

    old = sys.getprofile()
    sys.setprofile(interrupt)
    try:
        with pytest.raises(CallbackErrors) as caught:
            second.count()
    finally:
        sys.setprofile(old)
    assert kinds(caught.value) == {InterruptedError}
    second.scan(1)
    assert scans == ["second"]
    first.close()
    second.close()


def test_place_changes() -> None:
    """Node, gfp mask and group are those of each call, whether they changed or not."""
    seen: list[Any] = []
    with Domain(nr_nodes=2, memcg=True) as domain:
        group = domain.create_memcg("group")
        flags = ShrinkerFlags.NUMA_AWARE | ShrinkerFlags.MEMCG_AWARE
        registration = register(
            domain,
            Scripted(lambda sc: seen.append((sc.nid, sc.gfp_mask, sc.memcg)) or 0),
            flags=flags,
        )
        for nid, memcg in ((0, None), (0, None), (1, None), (1, group), (0, group)):
            registration.count(nid, memcg)
        domain.shrink_slab(nid=1, gfp_mask=GFP.NOFS)
        domain.shrink_slab(nid=1, gfp_mask=GFP.KERNEL)
        root = domain.root
        assert seen == [
            (0, GFP.KERNEL, root),
            (0, GFP.KERNEL, root),
            (1, GFP.KERNEL, root),
            (1, GFP.KERNEL, group),
            (0, GFP.KERNEL, group),
            (1, GFP.NOFS, root),
            (1, GFP.KERNEL, root),
        ]
        registration.close()


def test_domains_take_turns() -> None:
    """A control leads to the groups of its own walk's domain."""
    seen: list[Any] = []
    look = Scripted(lambda sc: seen.append(sc.memcg) or 0)
    with Domain(memcg=True) as one, Domain(memcg=True) as other:
        registrations = [register(one, look), register(other, look)]
        for _ in range(2):
            one.shrink_slab()
            other.shrink_slab()
            registrations[0].scan(1)
            registrations[1].scan(1)
        assert seen == [one.root, other.root] * 2
        for registration in registrations:
            registration.close()


def test_callback_inside_a_callback(domain: Domain) -> None:
    """The control and the result of an inner call do not mix with the outer one's."""
    controls: list[ShrinkControl] = []

    def inside(sc: ShrinkControl) -> int:
        controls.append(sc)
        assert (sc.nr_to_scan, sc.gfp_mask) == (5, GFP.KERNEL)
        sc.nr_scanned = 2
        return 2

    def outside(sc: ShrinkControl) -> int:
        sc.nr_scanned = 100
        assert inner.scan(5) == 2
        assert (sc.nr_to_scan, sc.nr_scanned, sc.nid) == (128, 100, 1)
        assert controls.pop() is not sc
        return 1

    with (
        Domain(nr_nodes=2) as other,
        register(domain, Scripted(scan=inside)) as inner,
        register(other, Scripted(lambda sc: 64, outside)) as outer,
    ):
        other.shrink_slab(nid=1, gfp_mask=GFP.NOFS, priority=0)
        assert outer.statistics().scanned == 100


def test_the_walk_goes_on_behind_an_inner_call(domain: Domain) -> None:
    """A walk whose count callback counts another shrinker then scans its own."""
    scans: list[int] = []
    other = register(domain, Scripted(lambda sc: 3))
    with register(
        domain,
        Scripted(
            lambda sc: 100 + other.count(),
            lambda sc: scans.append(sc.nr_to_scan) or sc.nr_to_scan,
        ),
    ):
        domain.shrink_slab(priority=0)
    assert scans == [128]
    other.close()


def test_a_row_of_shrinkers(domain: Domain) -> None:
    """One call of Python makes the passes of a row. Each gets its count and its
    scans, whatever the callbacks before it kept, raised or closed."""
    seen: list[str] = []
    kept: list[ShrinkControl] = []

    def cache(name: str, scan: Callable[[ShrinkControl], int]) -> Scripted:
        def count(sc: ShrinkControl) -> int:
            seen.append(f"{name} counts {sc.nr_to_scan}")
            return 256

        def noted(sc: ShrinkControl) -> int:
            seen.append(f"{name} scans {sc.nr_to_scan}")
            return scan(sc)

        return Scripted(count, noted)

    def keeps(sc: ShrinkControl) -> int:
        kept.append(sc)
        return sc.nr_to_scan

    def closes(_sc: ShrinkControl) -> int:
        shrinkers[1].close()
        return 1

    callbacks = [keeps, closes, raiser(OSError()), lambda sc: 0, keeps]
    shrinkers = [
        register(domain, cache(name, callback))
        for name, callback in zip("abcde", callbacks, strict=True)
    ]
    calls = 0

    def note(frame: Any, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_name == "shrinker_py_run"

    sys.setprofile(note)
    try:
        with pytest.raises(CallbackErrors) as caught:
            domain.shrink_slab(priority=1)
    finally:
        sys.setprofile(None)
    assert kinds(caught.value) == {OSError}
    full = ["counts 0", "scans 128", "scans 128"]
    assert seen == [
        *(f"a {what}" for what in full),
        *(f"b {what}" for what in full[:2]),
        *(f"c {what}" for what in full[:2]),
        *(f"d {what}" for what in full),
        *(f"e {what}" for what in full),
    ]
    # Once, and once more for each control that was kept for another scan.
    assert calls == 3
    assert len({id(sc) for sc in kept}) == 4
    for shrinker in shrinkers:
        shrinker.close()


def test_a_row_keeps_nothing_of_a_pass(domain: Domain) -> None:
    """When the walk goes on to the next shrinker, the trampoline keeps nothing of
    the last one, so that closing it then frees it."""
    left: list[dict[str, Any]] = []

    def watch(frame: Any, event: str, arg: Any) -> None:
        if event == "c_call" and arg is _trampolines.next_pass:
            left.append(dict(frame.f_locals))

    data = Scripted(lambda sc: 256, lambda sc: 128)
    gone = weakref.ref(data)
    first = register(domain, data)
    del data

    def close_first(_sc: ShrinkControl) -> int:
        first.close()
        seen.append(gone())
        return 0

    seen: list[Any] = []
    second = register(domain, Scripted(close_first))
    old = sys.getprofile()
    sys.setprofile(watch)
    try:
        domain.shrink_slab(priority=0)
    finally:
        sys.setprofile(old)
    assert seen == [None]
    assert len(left) == 2
    for names in left:
        kept = names.keys() - {"index", "number", "scanning"}
        assert {"record", "result", "scan_objects"} <= kept
        assert [names[name] for name in kept] == [None] * len(kept)
    second.close()


@pytest.mark.parametrize("keeps", [True, False])
def test_an_exception_behind_a_scan_ends_the_pass(domain: Domain, keeps: bool) -> None:
    """An exception right after a scan's result was told, as from a signal's handler,
    ends the pass, also where the scan kept its control."""
    kept: list[ShrinkControl] = []
    scans = 0

    def scan(sc: ShrinkControl) -> int:
        nonlocal scans
        scans += 1
        if keeps:
            kept.append(sc)
        return sc.nr_to_scan

    def interrupt(_frame: Any, event: str, arg: Any) -> None:
        if event == "c_return" and arg is _trampolines.called and scans:
            sys.setprofile(None)
            raise InterruptedError

    registration = register(domain, Scripted(lambda sc: 1000, scan))
    sys.setprofile(interrupt)
    try:
        with pytest.raises(CallbackErrors) as caught:
            domain.shrink_slab(priority=0)
    finally:
        sys.setprofile(None)
    assert kinds(caught.value) == {InterruptedError}
    assert scans == 1
    assert registration.statistics().scanned == 128
    assert registration.nr_deferred() == 2000 - 128
    registration.close()


def test_a_control_of_another_class_is_not_handed_out(domain: Domain) -> None:
    """A control whose class a callback changed is not given to other callbacks."""

    class Mine(ShrinkControl):
        __slots__ = ()

    def change(sc: ShrinkControl) -> int:
        kinds_seen.append(type(sc))
        sc.__class__ = Mine
        return 128

    kinds_seen: list[type] = []
    with (
        register(domain, Scripted(change, change)),
        register(domain, Scripted(lambda sc: kinds_seen.append(type(sc)) or 0)),
    ):
        domain.shrink_slab(priority=1)
    assert kinds_seen == [ShrinkControl] * 3


def test_threads_keep_their_own_place(fast_switching: None) -> None:
    """In walks of several threads each callback sees its own walk's node, and each
    walk gets its own nr_scanned."""
    wrong: list[Any] = []

    def scan(sc: ShrinkControl) -> int:
        nid, nr_to_scan = sc.nid, sc.nr_to_scan
        sc.nr_scanned = nr_to_scan - nid
        sum(range(50))
        if (sc.nid, sc.nr_to_scan, sc.nr_scanned) != (nid, 10, 10 - nid):
            wrong.append(sc)
        return nid

    with Domain(nr_nodes=4) as domain:
        shrinkers = [
            register(domain, Scripted(lambda sc: 100, scan), batch=10, seeks=1)
            for _ in range(2)
        ]

        def walker(nid: int) -> Callable[[], None]:
            def walk() -> None:
                for _ in range(200):
                    freed = domain.shrink_slab(nid=nid, priority=0)
                    if freed % max(nid, 1) or bool(freed) != bool(nid):
                        wrong.append((nid, freed))

            return walk

        wrong += run_threads(*(walker(nid) for nid in range(4)))
        for shrinker in shrinkers:
            shrinker.close()
    assert wrong == []


@pytest.fixture
def low_limit() -> Any:
    """A recursion limit that is soon reached."""
    old = sys.getrecursionlimit()
    sys.setrecursionlimit(_LIMIT)
    yield
    sys.setrecursionlimit(old)


def kinds(error: BaseException) -> set[type[BaseException]]:
    """Return the types in an exception group, at any depth."""
    if isinstance(error, BaseExceptionGroup):
        return set().union(*(kinds(inner) for inner in error.exceptions))
    return {type(error)}


def at_depth(depth: int, call: Callable[[], object]) -> object:
    """Make a call ``depth`` calls down; return its result or what it raised."""
    if depth:
        return at_depth(depth - 1, call)
    try:
        return call()
    except BaseException as error:  # noqa: BLE001 - for the test to see
        return error


@pytest.mark.parametrize("error", [None, ValueError("x"), KeyboardInterrupt("x")])
def test_near_the_recursion_limit(
    domain: Domain,
    low_limit: None,
    error: BaseException | None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """However deep a walk starts, its result or what was raised comes out."""
    callback = (lambda sc: 77) if error is None else raiser(error)
    registration = register(domain, Scripted(callback, callback))
    calls = (
        registration.count,
        lambda: registration.scan(9),
        lambda: domain.shrink_slab(priority=12),
    )
    results: list[set[Any]] = [set(), set(), set()]
    for call, seen in zip(calls, results, strict=True):
        for depth in range(_LIMIT):
            try:
                result = at_depth(depth, call)
            except RecursionError as caught:
                result = caught
            seen.update(
                kinds(result) if isinstance(result, BaseException) else {result}
            )
    if error is None:
        assert results == [
            {77, RecursionError},
            {77, RecursionError},
            {0, RecursionError},
        ]
    else:
        assert results == [{type(error), RecursionError}] * 3
    assert capfd.readouterr().err == ""
    registration.close()


def test_recursion_into_its_own_count(domain: Domain, low_limit: None) -> None:
    """A callback that counts its own shrinker until the limit gets RecursionError,
    not 0."""
    registration = register(domain, Scripted(lambda sc: registration.count() + 1))
    with pytest.raises(CallbackErrors) as caught:
        registration.count()
    assert kinds(caught.value) == {RecursionError}
    registration.close()


def test_missing_record(domain: Domain) -> None:
    """Where the record of a shrinker is gone, it counts as 0 and its scan is STOP."""
    with register(domain, Scripted(scan=lambda sc: 3)) as registration:
        assert registration.count()
        assert registration.scan(1) == 3
        record = _trampolines.records.pop(registration._number)
        assert registration.count() == 0
        assert registration.scan(1) == 0
        assert domain.shrink_slab(priority=0) == 0
        assert registration.statistics().passes == 0
        _trampolines.records[registration._number] = record


def test_answers_outside_a_callback(domain: Domain) -> None:
    """The functions that C calls between callbacks refuse frames that do not exist, and
    find nothing due in one that is idle."""
    index = len(_trampolines.controls)
    for wrong in (-1, index):
        with pytest.raises(IndexError, match="no such frame"):
            _trampolines.called(wrong, 3)
        with pytest.raises(IndexError, match="no such frame"):
            _trampolines.next_pass(wrong)
    with pytest.raises(TypeError):
        _trampolines.called(0)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        _trampolines.next_pass("0")  # type: ignore[arg-type]
    with register(domain, Scripted(lambda sc: 1)) as registration:
        registration.count()
        assert not _trampolines.called(0, 3)
        assert not _trampolines.called(0, None)
        assert _trampolines.next_pass(0) == 0
