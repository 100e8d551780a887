"""Memory of the C core, released at the very end of its Python owner.

``ffi.gc`` does not serve: the cycle collector runs its destructors among the
finalisers, in any order, so that a ``__del__`` could find its pointer released.
A capsule has no finaliser.  It goes when its owner is torn down, after all
finalisers have run and when nothing can use the owner any more.
"""

from __future__ import annotations

import ctypes
from typing import Any, NoReturn

from shrinker._ffi import ffi

__all__ = ["NotCopied", "own"]

_new_capsule = ctypes.PYFUNCTYPE(
    ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
)(("PyCapsule_New", ctypes.pythonapi))


def own(pointer: Any, release: Any) -> object:
    """Return an object that calls ``release`` for ``pointer`` when it goes.

    ``release`` is one of the functions of ``csrc/python/host.h`` that take a
    capsule.
    """

    def address(cdata: Any) -> int:
        return int(ffi.cast("uintptr_t", cdata))

    capsule: object = _new_capsule(address(pointer), None, address(release))
    return capsule


class NotCopied:
    """Base of what owns something in C: it can be neither copied nor pickled."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} can be neither copied nor pickled")
