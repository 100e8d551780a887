"""C callbacks for Python: their structures and type, and how to find an address.

The layouts are those of ``struct shrinker`` and ``struct shrink_control`` in
``<shrinker/shrinker.h>`` (``shrinker.get_include()``).  Of ``struct shrinker`` only the
public head is described; callbacks get pointers to it.
"""

from __future__ import annotations

import ctypes
import re
from typing import Any

from shrinker._ffi import ffi

__all__ = ["Callback", "ShrinkControlStruct", "ShrinkerStruct", "address_of"]


class ShrinkControlStruct(ctypes.Structure):
    """``struct shrink_control``."""

    _fields_ = (
        ("gfp_mask", ctypes.c_uint),
        ("nid", ctypes.c_int),
        ("nr_to_scan", ctypes.c_ulong),
        ("nr_scanned", ctypes.c_ulong),
        ("memcg", ctypes.c_void_p),
    )


class ShrinkerStruct(ctypes.Structure):
    """The public head of ``struct shrinker``."""

    _fields_ = (
        ("count_objects", ctypes.c_void_p),
        ("scan_objects", ctypes.c_void_p),
        ("batch", ctypes.c_long),
        ("seeks", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("private_data", ctypes.c_void_p),
    )


Callback = ctypes.CFUNCTYPE(
    ctypes.c_ulong,
    ctypes.POINTER(ShrinkerStruct),
    ctypes.POINTER(ShrinkControlStruct),
)
"""Type of both callbacks: ``unsigned long (struct shrinker *, struct
shrink_control *)``."""


def address_of(what: str, callback: object) -> int:
    """Return the address of a C function.

    ``callback`` is an ``int``, a cffi or ctypes function pointer, or anything with
    an ``address`` (a numba ``cfunc``).  ``what`` names it in errors: ``TypeError``
    for anything else, ``ValueError`` for NULL and what is no 64-bit number.
    """
    if isinstance(callback, int) and not isinstance(callback, bool):
        address = callback
    elif isinstance(callback, ffi.CData):
        address = int(ffi.cast("uintptr_t", callback))
    elif isinstance(callback, ctypes._CFuncPtr):  # type: ignore[attr-defined]
        address = ctypes.cast(callback, ctypes.c_void_p).value or 0
    elif isinstance(getattr(callback, "address", None), int):
        address = callback.address  # type: ignore[attr-defined]
    else:
        raise TypeError(
            f"{what} must be an address, a cffi or ctypes function pointer, or have"
            f" .address; not {type(callback).__name__}"
        )
    if not 0 < address < 2**64:
        raise ValueError(f"{what} has no usable address: {address:#x}")
    return address


def name_of(callback: Any) -> str | None:
    """Return the callback's own name for trace events; None where it has none."""
    name = getattr(callback, "__qualname__", None) or getattr(
        callback, "__name__", None
    )
    if not isinstance(name, str) or not name:
        return None
    # One word on one line, so that a reader can take the event's text apart.
    return re.sub(r"[\s\x00-\x1f\x7f]", "_", name)
