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
_PRIORITY = ffi.new("int[]", [1])


class Attached:
    """Shrinkers in a domain of their own, whose callbacks are a cache's methods.

    Raises ``ImportError`` for a peer that ``directory`` does not have.
    """

    # Invariants: `_shrinkers` are those that are not the package's own, registered
    # until `close`; `_kept` keeps what the callbacks need.

    def __init__(
        self, peer: Peer, cache: Any, batch: int, directory: Path, nr: int = 1
    ) -> None:
        self._domain = Domain()
        self._shrinkers: list[Any] = []
        self._kept: list[object] = []
        try:
            for _ in range(nr):
                if peer is Peer.SHRINKER:
                    builder = ShrinkerBuilder("bench", domain=self._domain)
                    builder.set_batch(batch)
                    self._kept.append(builder.register(cache))
                else:
                    self._attach(peer, cache, batch, directory)
        except BaseException:
            self.close()
            raise

    def _attach(self, peer: Peer, cache: Any, batch: int, directory: Path) -> None:
        # SAFETY: a capsule of the domain's owns what its `_c` points to.
        c_shrinker = lib.reclaim_shrinker_alloc(self._domain._c, 0, b"bench")
        if not c_shrinker:
            raise MemoryError
        try:
            self._kept.append(_set_up(peer, c_shrinker, cache, directory))
        except BaseException:
            lib.shrinker_free(c_shrinker)
            raise
        c_shrinker.batch = batch
        lib.python_host_hold_gil(c_shrinker)
        lib.shrinker_register(c_shrinker)
        self._shrinkers.append(c_shrinker)

    def walk(self, walks: int) -> int:
        """Walk so that each cache is scanned once; return how many objects went."""
        # SAFETY: see above.
        return int(lib.bench_walk(self._domain._c, _PRIORITY, 1, walks))

    def scan_calls(self) -> int:
        """Return the scan calls so far, but for those that returned STOP."""
        return self._domain.statistics().scan_calls

    def close(self) -> None:
        """Free the shrinkers; nothing is called any more."""
        for c_shrinker in self._shrinkers:
            lib.shrinker_free(c_shrinker)
        self._shrinkers.clear()
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
