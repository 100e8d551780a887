"""Ways from C into a shrinker's methods, side by side; all keep the same contract.

A method gets an object of its own for the call: ``nr_to_scan`` is read only,
``nr_scanned`` takes an ``int`` from 0 to 2**64 - 1 and nothing else, and neither can
be used when the call is over.  It returns an ``int`` or the result class of its own
kind, anything else is an error, and after an error C is told 0 or STOP.

Each way makes a ``struct shrinker`` of the same cache, in walks that hold the GIL all
along.  The others leave out what the package does besides: knowing when a registration
has gone, and bringing exceptions to the caller of the walk.  Nothing waits, so all is
timed by the thread's own clock.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import importlib.util
import sys
import traceback
from functools import partial
from time import thread_time
from typing import TYPE_CHECKING, Any

import harness

from shrinker._ffi import ffi, lib
from shrinker.bench.lines import Benchmark, Column, Line
from shrinker.builder import ShrinkerBuilder
from shrinker.domain import Domain
from shrinker.errors import ShrinkerError, check_int
from shrinker.values import (
    ULONG_MAX,
    CountObjects,
    ScanObjects,
    count_value,
    scan_value,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from shrinker.bench.lines import Run

    _Way = Callable[[Any, Any], object]

SCANS = 8
"""Scan calls of a pass, after one count: that of the default point of the loop."""
SHRINKERS = 20
"""Shrinkers of a walk."""
CALLS = SHRINKERS * (1 + SCANS)
"""Callbacks of a walk."""
_SIGNATURE = "unsigned long(struct shrinker *, struct shrink_control *)"
_STOP = ScanObjects.STOP.value
_SHORT = 2**30 - 1
# A pass scans what was counted, once.
_PRIORITY = ffi.new("int[]", [1])


# --- ways that are written in Python ----------------------------------------------


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


class _Methods:
    """A cache's methods as C can call them, bound once, as the package does."""

    __slots__ = ("count", "scan")

    def __init__(self, cache: Any) -> None:
        self.count = _checked(cache.count_objects, CountObjects, count_value, 0)
        self.scan = _checked(cache.scan_objects, ScanObjects, scan_value, _STOP)


def _checked(
    method: Callable[[Any], Any],
    result_class: type,
    value: Callable[[Any], int],
    failed: int,
) -> Callable[[Any], int]:
    def call(c_control: Any) -> int:
        control = _Control(c_control)
        try:
            result = method(control)
            kind = type(result)
            if kind is int and 0 <= result <= _SHORT:
                return result  # type: ignore[no-any-return]
            if kind is result_class:
                return result.value  # type: ignore[no-any-return]
            return value(result)
        except BaseException:  # noqa: BLE001 - nothing may enter C
            traceback.print_exc()
            return failed
        finally:
            control._c = None

    return call


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
    methods = _Methods(cache)
    functions = (
        _prototype(lambda _, control: methods.count(control.contents)),
        _prototype(lambda _, control: methods.scan(control.contents)),
    )
    _set(c_shrinker, *(ctypes.cast(f, ctypes.c_void_p).value for f in functions))
    return functions


def _callback(c_shrinker: Any, cache: Any) -> object:
    methods = _Methods(cache)
    functions = (
        ffi.callback(_SIGNATURE, lambda _, control: methods.count(control)),
        ffi.callback(_SIGNATURE, lambda _, control: methods.scan(control)),
    )
    _set(c_shrinker, *(int(ffi.cast("uintptr_t", f)) for f in functions))
    return functions


def _set(c_shrinker: Any, count: int | None, scan: int | None) -> None:
    """Set both callbacks, given as addresses."""
    c_shrinker.count_objects = ffi.cast("void *", count)
    c_shrinker.scan_objects = ffi.cast("void *", scan)


# --- ways that need a compiler: a C function for all, and the data behind it ------


def _c_api(c_shrinker: Any, cache: Any) -> object:
    c_api: Any = importlib.import_module(_C_API)
    owner: object = c_api.adopt(int(ffi.cast("uintptr_t", c_shrinker)), cache)
    return owner


def _extern_python(c_shrinker: Any, cache: Any) -> object:
    extern: Any = importlib.import_module(_EXTERN)
    from_handle = extern.ffi.from_handle

    extern.ffi.def_extern(name="extern_count")(
        lambda shrinker, control: from_handle(shrinker.private_data).count(control)
    )
    extern.ffi.def_extern(name="extern_scan")(
        lambda shrinker, control: from_handle(shrinker.private_data).scan(control)
    )
    functions = extern.lib.extern_count, extern.lib.extern_scan
    _set(c_shrinker, *(int(extern.ffi.cast("uintptr_t", f)) for f in functions))
    handle = extern.ffi.new_handle(_Methods(cache))
    address = int(extern.ffi.cast("uintptr_t", handle))
    c_shrinker.private_data = ffi.cast("void *", address)
    return handle


_C_API, _EXTERN = "trampolines_c_api", "trampolines_extern"
_EXTERN_DECLARATIONS = """
struct shrinker {
    void *private_data;
    ...;
};
struct shrink_control {
    unsigned long nr_to_scan;
    unsigned long nr_scanned;
    ...;
};
extern "Python" {
    unsigned long extern_count(struct shrinker *, struct shrink_control *);
    unsigned long extern_scan(struct shrinker *, struct shrink_control *);
}
"""


def build(directory: Path) -> dict[str, str]:
    """Compile what needs compiling; return why ways could not be built."""
    c_api = partial(
        harness.compile_module, directory, _C_API, harness.HERE / f"{_C_API}.c"
    )
    header = "#include <shrinker/shrinker.h>"
    extern = partial(
        harness.compile_cffi, directory, _EXTERN, _EXTERN_DECLARATIONS, header
    )
    reasons = {}
    for way, compiled in (("C API", c_api), ('extern "Python"', extern)):
        try:
            compiled()
        except ShrinkerError as exc:
            reasons[way] = str(exc)
    return reasons


@contextlib.contextmanager
def building() -> Iterator[None]:
    """Compile; say why ways could not be built, which are left out then."""
    with harness.built() as directory:
        for way, reason in build(directory).items():
            print(f"{way} could not be built: {reason}", file=sys.stderr)
        yield


# --- attaching a cache ------------------------------------------------------------

WAYS: dict[str, _Way | None] = {
    "C API": _c_api,
    "shrinker": None,
    'extern "Python"': _extern_python,
    "ffi.callback": _callback,
    "ctypes": _ctypes,
}
"""What each does with a C shrinker and a cache; returns what must be kept.

None is the package's own: ``shrinker._trampolines``.
"""


@contextlib.contextmanager
def attached(way: str, cache: Any, batch: int, nr: int = 1) -> Iterator[Domain]:
    """Yield a domain with shrinkers whose callbacks are a cache's methods."""
    kept: list[object] = []
    with Domain() as domain, contextlib.ExitStack() as stack:
        for _ in range(nr):
            attach = WAYS[way]
            if attach is None:
                builder = ShrinkerBuilder("bench", domain=domain).set_batch(batch)
                kept.append(builder.register(cache))
                continue
            # SAFETY: the domain is open; a shrinker is freed while its callbacks are
            # kept.
            c_shrinker = lib.reclaim_shrinker_alloc(domain._c, 0, b"bench")
            if not c_shrinker:
                raise MemoryError
            stack.callback(lib.shrinker_free, c_shrinker)
            kept.append(attach(c_shrinker, cache))
            c_shrinker.batch = batch
            lib.python_host_hold_gil(c_shrinker)
            lib.shrinker_register(c_shrinker)
        yield domain


def walk(domain: Domain, walks: int) -> int:
    """Walk so that each cache is scanned once; return how many objects went."""
    # SAFETY: as in `attached`.
    return int(lib.bench_walk(domain._c, _PRIORITY, 1, walks))


# --- caches and lines -------------------------------------------------------------


class _Ints:
    """A cache of constant size, for ``SCANS`` scan calls of a batch."""

    __slots__ = ("objects",)

    def __init__(self, batch: int) -> None:
        self.objects = SCANS * batch

    def count_objects(self, _sc: Any) -> Any:
        return self.objects

    def scan_objects(self, sc: Any) -> Any:
        looked_at = sc.nr_to_scan
        sc.nr_scanned = looked_at
        return looked_at


class _Objects(_Ints):
    """The same with result objects."""

    __slots__ = ()

    def count_objects(self, _sc: Any) -> Any:
        return CountObjects.new(self.objects)

    def scan_objects(self, sc: Any) -> Any:
        looked_at = sc.nr_to_scan
        sc.nr_scanned = looked_at
        return ScanObjects.from_count(looked_at)


RESULTS = {
    # Below 4,096, of which there is one each; and above, made for each call.
    "result objects": (_Objects, 128),
    "fresh result objects": (_Objects, 8192),
    "ints": (_Ints, 128),
}
"""What the methods return: a cache, and its batch."""


@contextlib.contextmanager
def opened(way: str, results: str) -> Iterator[Run]:
    """Walk over so many shrinkers."""
    cache, batch = RESULTS[results]
    with attached(way, cache(batch), batch, SHRINKERS) as domain:
        freed = walk(domain, 1)
        if freed != SHRINKERS * SCANS * batch:
            raise ValueError(f"{way}, {results}: {freed} objects freed in a walk")
        yield harness.timed(partial(walk, domain), thread_time)


def benchmark() -> Benchmark:
    """Return the lines of those ways that have been built."""
    compiled = {"C API": _C_API, 'extern "Python"': _EXTERN}
    ways = [
        way for way in WAYS if importlib.util.find_spec(compiled.get(way, "ctypes"))
    ]
    tables = []
    for results in RESULTS:
        lines = {
            way: Line(f"{way}: {results}", partial(opened, way, results), CALLS)
            for way in ways
        }
        tables.append(
            harness.column_table(
                f"ns a callback, returning {results}",
                Column("ns", "vs C API"),
                harness.compared(lines) if "C API" in ways else lines,
            )
        )
    return Benchmark(
        module="trampolines",
        title="What a callback into Python costs",
        tables=tables,
        legend="A callback reads nr_to_scan, sets nr_scanned and returns how many; one"
        f" in nine counts. All are called in the same walks of {SHRINKERS} shrinkers,"
        " with the GIL held; ns of processor time. vs C API: times as long.",
    )


if __name__ == "__main__":
    harness.command(benchmark, building)()
