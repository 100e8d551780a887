"""The one importer of the compiled extension.

``lib`` has the C functions and constants of ``csrc/include``, ``ffi`` makes
and reads C data.  Every call through ``lib`` gives the GIL up, which beside a
busy thread can cost a switch interval: nothing in a callback's path makes one.
"""

from typing import Any

import shrinker._shrinker as _extension

__all__ = ["ffi", "lib"]

ffi: Any = _extension.ffi
lib: Any = _extension.lib
