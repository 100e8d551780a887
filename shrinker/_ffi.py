"""The one importer of the compiled extension.

``lib`` has the C functions and constants of ``csrc/include``; ``ffi`` makes and
reads C data.  Every call through ``lib`` gives the GIL up.  Beside a busy thread
that can cost a switch interval (5 ms), so no callback's path makes such a call.
"""

import ctypes
import sys
from pathlib import Path
from typing import Any

if "t" in sys.abiflags and sys.version_info[:2] != (3, 14):
    raise ImportError(
        "of free-threaded Pythons shrinker supports 3.14;"
        f" {sys.executable} is {sys.version_info[0]}.{sys.version_info[1]}"
    )

try:
    # Only the extension needs it, and from C.  Tools that collect what a program
    # imports, such as PyInstaller, must see it here.
    import _cffi_backend  # type: ignore[import-untyped,unused-ignore]  # noqa: F401

    import shrinker._shrinker as _extension
except ModuleNotFoundError as error:
    if getattr(sys, "frozen", False):
        advice = (
            f"this frozen program was made without {error.name}, which shrinker needs:"
            f" add it as a hidden import (PyInstaller: --hidden-import {error.name})"
        )
    elif error.name == "shrinker._shrinker":
        advice = (
            f"shrinker is imported from {Path(__file__).parent}, a source tree whose C"
            " extension is not built: run `make` or `pip install -e .` there,"
            " or start Python with -P to import an installed shrinker"
        )
    else:
        raise
    raise ModuleNotFoundError(advice, name=error.name) from None

__all__ = ["ffi", "lib", "object_function"]

ffi: Any = _extension.ffi
lib: Any = _extension.lib


def object_function(name: str, arguments: int) -> Any:
    """Return a C function of ours that takes and returns Python objects.

    cffi has no type for them.  The function keeps the GIL.
    """
    address = int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))
    kinds = [ctypes.py_object] * (1 + arguments)
    return ctypes.PYFUNCTYPE(*kinds)(address)
