"""The one importer of the compiled extension.

``lib`` has the C functions and constants of ``csrc/include``, ``ffi`` makes
and reads C data.  Every call through ``lib`` gives the GIL up, which beside a
busy thread can cost a switch interval: nothing in a callback's path makes one.
"""

from typing import Any

try:
    import shrinker._shrinker as _extension
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "shrinker's C extension is not beside it; this is the source tree:"
        " install it, and start Python elsewhere or with -P",
        name=error.name,
    ) from None

__all__ = ["ffi", "lib"]

ffi: Any = _extension.ffi
lib: Any = _extension.lib
