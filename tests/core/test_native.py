"""Shrinkers whose callbacks are C."""

from __future__ import annotations

import ctypes
import gc
import threading
import weakref
from typing import Any

import pytest
from tests_support import Cache, Scripted, make_callbacks, register

from shrinker import Domain, ShrinkerBuilder, native
from shrinker._ffi import ffi


def cffi_pointer(function: Any) -> Any:
    return ffi.cast("void *", ctypes.cast(function, ctypes.c_void_p).value)


class WithAddress:
    """Has an address, as a numba cfunc does."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.address = ctypes.cast(function, ctypes.c_void_p).value


@pytest.mark.parametrize(
    "form",
    [
        lambda f: f,
        lambda f: ctypes.cast(f, ctypes.c_void_p).value,
        cffi_pointer,
        WithAddress,
    ],
    ids=["ctypes", "int", "cffi", "address"],
)
def test_forms_of_an_address(domain: Domain, form: Any) -> None:
    """An int, a ctypes or cffi function pointer, or .address all work."""
    count, scan, asked = make_callbacks(1000)
    builder = ShrinkerBuilder("native", domain=domain).set_batch(500)
    with builder.register_native(form(count), form(scan), 77) as registration:
        assert domain.shrink_slab(priority=1) == 1000
        assert asked == [500, 500]
        assert registration.private_data == 77
        assert registration.count() == 1000
        assert registration.scan(7) == 7


@pytest.mark.parametrize("bad", [None, "f", 1.5, True, object()])
def test_no_address(domain: Domain, bad: object) -> None:
    """What has no address is a TypeError, and the builder stays usable."""
    count, scan, _ = make_callbacks(1)
    builder = ShrinkerBuilder("native", domain=domain)
    for pair in ((bad, scan), (count, bad)):
        with pytest.raises(TypeError, match="must be an address"):
            builder.register_native(*pair)
    builder.register_native(count, scan).close()


@pytest.mark.parametrize("bad", [0, -1, 2**64])
def test_bad_address(domain: Domain, bad: int) -> None:
    """NULL and what is no 64-bit number are a ValueError."""
    _, scan, _ = make_callbacks(1)
    with pytest.raises(ValueError, match="no usable address"):
        ShrinkerBuilder("native", domain=domain).register_native(bad, scan)


@pytest.mark.parametrize("bad", [-1, 2**64])
def test_bad_private_data(domain: Domain, bad: int) -> None:
    """private_data must fit 64 bits."""
    count, scan, _ = make_callbacks(1)
    with pytest.raises(ValueError, match="private_data"):
        ShrinkerBuilder("native", domain=domain).register_native(count, scan, bad)


def test_callback_sees_the_structures(domain: Domain) -> None:
    """The ctypes structures are what the callbacks are handed."""
    seen: list[tuple[int, ...]] = []

    def count(shrinker: Any, sc: Any) -> int:
        s, c = shrinker.contents, sc.contents
        seen.append((s.private_data, s.batch, s.seeks, c.nid, c.gfp_mask))
        return 0

    function = native.Callback(count)
    builder = ShrinkerBuilder("native", domain=domain).set_batch(5).set_seeks(6)
    with builder.register_native(function, function, 99):
        domain.shrink_slab(gfp_mask=0xCC0)
    assert seen == [(99, 5, 6, 0, 0xCC0)]


@pytest.mark.parametrize(
    ("c_name", "structure"),
    [
        ("struct shrinker", native.ShrinkerStruct),
        ("struct shrink_control", native.ShrinkControlStruct),
    ],
)
def test_layouts(c_name: str, structure: Any) -> None:
    """The ctypes structures have the offsets that the compiler gave the C ones."""
    for field, _ in structure._fields_:
        ours = getattr(structure, field)
        assert ours.offset == ffi.offsetof(c_name, field)
        c_type = dict(ffi.typeof(c_name).fields)[field].type
        assert ours.size == ffi.sizeof(c_type)


def test_no_interpreter_for_native(domain: Domain) -> None:
    """A walk over native shrinkers alone does not enter the interpreter."""
    libc = ctypes.CDLL(None)
    # Any C function serves that takes two words or fewer.
    function = ctypes.cast(libc.getpid, ctypes.c_void_p).value
    builder = ShrinkerBuilder("native", domain=domain)
    with builder.register_native(function, function):
        domain.shrink_slab(priority=12)
        assert domain.statistics().host_entries == 0
        assert domain.statistics().passes == 1


def test_keepalive(domain: Domain) -> None:
    """Callbacks and keepalive are held until closing, and not longer."""
    count, scan, _ = make_callbacks(1)
    held = Cache(1)
    watches = [weakref.ref(held), weakref.ref(count)]
    builder = ShrinkerBuilder("native", domain=domain)
    registration = builder.register_native(count, scan, keepalive=held)
    del held, count, scan
    assert all(watch() for watch in watches)
    domain.shrink_slab(priority=0)
    registration.close()
    gc.collect()
    assert not any(watch() for watch in watches)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("how", ["close in a callback", "drop"])
def test_keepalive_outlives_running_callbacks(domain: Domain, how: str) -> None:
    """While a native callback runs in another thread, its code is kept, whether the
    registration is closed or dropped; afterwards it goes."""
    inside, leave = threading.Event(), threading.Event()

    def count(shrinker: Any, sc: Any) -> int:
        inside.set()
        assert leave.wait(30)
        return 0

    function = native.Callback(count)
    watch = weakref.ref(function)
    builder = ShrinkerBuilder("native", domain=domain)
    registrations = [builder.register_native(function, function)]
    del function, count
    walker = threading.Thread(target=domain.shrink_slab)
    walker.start()
    assert inside.wait(30)
    if how == "drop":
        registrations.clear()
    else:
        with Domain() as other:
            closing = Scripted(lambda sc: registrations[0].close() or 0)
            with register(other, closing):
                other.shrink_slab()
    gc.collect()
    assert watch() is not None
    leave.set()
    walker.join()
    domain.shrink_slab()
    gc.collect()
    assert watch() is None
