"""The peers that are written in Python, and how each makes a shrinker of a cache."""

from __future__ import annotations

import ctypes
import importlib
import sys
import traceback
from typing import TYPE_CHECKING, Any

from shrinker._ffi import ffi, lib
from shrinker.bench.peers.points import Peer
from shrinker.builder import ShrinkerBuilder
from shrinker.domain import Domain
from shrinker.errors import check_int
from shrinker.values import (
    ULONG_MAX,
    CountObjects,
    ScanObjects,
    count_value,
    scan_value,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Attached"]

_SIGNATURE = "unsigned long(struct shrinker *, struct shrink_control *)"
_STOP = ScanObjects.STOP.value
_SHORT = 2**30 - 1
# Where a pass wants what was counted, once.
_PRIORITY = 1


class Attached:
    """A shrinker in a domain of its own, whose callbacks are a cache's methods.

    Raises ``ImportError`` for a peer that ``directory`` does not have.
    """

    # Invariants: `c` is registered until `close`; `_keep` keeps what its callbacks
    # need.

    def __init__(self, peer: Peer, cache: Any, batch: int, directory: Path) -> None:
        self._domain = Domain()
        if peer is Peer.SHRINKER:
            builder = ShrinkerBuilder("bench", domain=self._domain)
            builder.set_batch(batch)
            registration = builder.register(cache)
            self._keep: object = registration
            self.c: Any = registration._c
            return
        # SAFETY: a capsule of the domain's owns what its `_c` points to.
        self.c = lib.reclaim_shrinker_alloc(self._domain._c, 0, b"bench")
        if not self.c:
            raise MemoryError
        self.c.batch = batch
        try:
            self._keep = _set_up(peer, self.c, cache, directory)
        except BaseException:
            lib.shrinker_free(self.c)
            raise
        lib.python_host_hold_gil(self.c)
        lib.shrinker_register(self.c)

    def run(self, passes: int) -> int:
        """Make passes that scan the whole cache; return how many objects went."""
        # SAFETY: see the invariants; before `close` only.
        return int(lib.bench_pass(self.c, _PRIORITY, 1, passes))

    def scan_calls(self) -> int:
        """Return the scan calls so far, but for those that returned STOP."""
        statistics = ffi.new("struct shrinker_statistics *")
        lib.shrinker_get_statistics(self.c, statistics)
        return int(statistics.scan_calls)

    def close(self) -> None:
        """Free the shrinker; nothing is called any more."""
        if not hasattr(self._keep, "close"):
            lib.shrinker_free(self.c)
        self._domain.close()


def _set_up(peer: Peer, c_shrinker: Any, cache: Any, directory: Path) -> object:
    if peer is Peer.CTYPES:
        return _ctypes(c_shrinker, cache)
    if peer is Peer.CALLBACK:
        return _callback(c_shrinker, cache)
    # Last, so that nothing else is found there.
    sys.path.append(str(directory))
    try:
        return _compiled(peer, c_shrinker, cache)
    finally:
        sys.path.remove(str(directory))


class _Control:
    """What a method is handed: C's structure, until the call is over."""

    __slots__ = ("_c",)

    def __init__(self, c_control: Any) -> None:
        self._c = c_control

    @property
    def nr_to_scan(self) -> int:
        return self._c.nr_to_scan  # type: ignore[no-any-return]

    @property
    def nr_scanned(self) -> int:
        return self._c.nr_scanned  # type: ignore[no-any-return]

    @nr_scanned.setter
    def nr_scanned(self, value: int) -> None:
        if type(value) is not int or not 0 <= value <= _SHORT:
            value = check_int("nr_scanned", value, 0, ULONG_MAX)
        self._c.nr_scanned = value


def _count(method: Callable[[Any], Any], c_control: Any) -> int:
    control = _Control(c_control)
    try:
        result = method(control)
        kind = type(result)
        if kind is int and 0 <= result <= _SHORT:
            return result  # type: ignore[no-any-return]
        if kind is CountObjects:
            return result.value  # type: ignore[no-any-return]
        return count_value(result)
    except BaseException:  # noqa: BLE001 - nothing may enter C
        traceback.print_exc()
        return 0
    finally:
        control._c = None


def _scan(method: Callable[[Any], Any], c_control: Any) -> int:
    control = _Control(c_control)
    try:
        result = method(control)
        kind = type(result)
        if kind is int and 0 <= result <= _SHORT:
            return result  # type: ignore[no-any-return]
        if kind is ScanObjects:
            return result.value  # type: ignore[no-any-return]
        return scan_value(result)
    except BaseException:  # noqa: BLE001 - nothing may enter C
        traceback.print_exc()
        return _STOP
    finally:
        control._c = None


# --- ctypes and ffi.callback: a C function made for each method ----------------------


class _CControl(ctypes.Structure):
    _fields_ = (
        ("gfp_mask", ctypes.c_uint),
        ("nid", ctypes.c_int),
        ("nr_to_scan", ctypes.c_ulong),
        ("nr_scanned", ctypes.c_ulong),
        ("memcg", ctypes.c_void_p),
    )


_prototype = ctypes.CFUNCTYPE(
    ctypes.c_ulong, ctypes.c_void_p, ctypes.POINTER(_CControl)
)


def _ctypes(c_shrinker: Any, cache: Any) -> object:
    count_objects, scan_objects = cache.count_objects, cache.scan_objects

    def count(_shrinker: int, c_control: Any) -> int:
        return _count(count_objects, c_control.contents)

    def scan(_shrinker: int, c_control: Any) -> int:
        return _scan(scan_objects, c_control.contents)

    functions = _prototype(count), _prototype(scan)
    _set(c_shrinker, *(ctypes.cast(f, ctypes.c_void_p).value for f in functions))
    return functions


def _callback(c_shrinker: Any, cache: Any) -> object:
    count_objects, scan_objects = cache.count_objects, cache.scan_objects

    def count(_shrinker: Any, c_control: Any) -> int:
        return _count(count_objects, c_control)

    def scan(_shrinker: Any, c_control: Any) -> int:
        return _scan(scan_objects, c_control)

    functions = ffi.callback(_SIGNATURE, count), ffi.callback(_SIGNATURE, scan)
    _set(c_shrinker, *(int(ffi.cast("uintptr_t", f)) for f in functions))
    return functions


def _set(c_shrinker: Any, count: int | None, scan: int | None) -> None:
    c_shrinker.count_objects = ffi.cast("void *", count)
    c_shrinker.scan_objects = ffi.cast("void *", scan)


# --- extern "Python" and the C API: a C function for all, and the data behind it -----


def _compiled(peer: Peer, c_shrinker: Any, cache: Any) -> object:
    if peer is Peer.C_API:
        c_api = importlib.import_module("c_api")
        owner: object = c_api.adopt(int(ffi.cast("uintptr_t", c_shrinker)), cache)
        return owner
    return _extern(importlib.import_module("extern_python"), c_shrinker, cache)


class _Methods:
    """What a handle leads to: bound once, as the package does."""

    __slots__ = ("count_objects", "scan_objects")

    def __init__(self, cache: Any) -> None:
        self.count_objects = cache.count_objects
        self.scan_objects = cache.scan_objects


def _extern(peer: Any, c_shrinker: Any, cache: Any) -> object:
    from_handle = peer.ffi.from_handle

    def count(shrinker: Any, c_control: Any) -> int:
        return _count(from_handle(shrinker.private_data).count_objects, c_control)

    def scan(shrinker: Any, c_control: Any) -> int:
        return _scan(from_handle(shrinker.private_data).scan_objects, c_control)

    peer.ffi.def_extern(name="peer_count")(count)
    peer.ffi.def_extern(name="peer_scan")(scan)
    functions = peer.lib.peer_count, peer.lib.peer_scan
    _set(c_shrinker, *(int(peer.ffi.cast("uintptr_t", f)) for f in functions))
    handle = peer.ffi.new_handle(_Methods(cache))
    c_shrinker.private_data = ffi.cast(
        "void *", int(peer.ffi.cast("uintptr_t", handle))
    )
    return handle
