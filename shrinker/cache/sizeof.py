"""``sizeof``: what objects take of memory, in bounded time (csrc/python/sizeof.c).

C follows containers.  Objects of a few libraries keep their memory where it cannot see
it; this module says how to ask them.  It imports none of these libraries.
"""

from __future__ import annotations

import enum
import gc
import sys
import types
from typing import TYPE_CHECKING, Any

from shrinker._ffi import object_function

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["sampled_sizeof", "sizeof"]

Measured = tuple[float, list[Any], float]
"""Bytes, some of the objects that it holds, and how many it holds."""

NUMPY_HEAD_BYTES = 112
"""An array without its data."""
ARROW_HEAD_BYTES = 200
"""The objects of Python and of C++ around a buffer."""
IMAGE_HEAD_BYTES = 1000
"""An image without its pixels: its attributes, and a struct of C."""
PANDAS_HEAD_BYTES = 200
"""A frame, a series or an index without what it holds."""
MAX_SAMPLED_ELEMENTS = 64

_BASES = (bytes, bytearray, memoryview)

# Objects that entries refer to, but that belong to the program.
_OPAQUE = (
    enum.Enum,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.CodeType,
    types.FrameType,
    types.TracebackType,
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
)


def _array(array: Any) -> Measured:
    base = array.base
    if isinstance(base, _BASES) or type(base) is type(array):
        return NUMPY_HEAD_BYTES, [base], 1  # A view; it keeps all of that.
    size = NUMPY_HEAD_BYTES + array.nbytes
    if array.dtype.kind != "O":
        return size, [], 0
    some = array.ravel()[:: array.size // MAX_SAMPLED_ELEMENTS + 1].tolist()
    return size, some, array.size


def _arrow(data: Any) -> Measured:
    return ARROW_HEAD_BYTES + data.nbytes, [], 0


def _buffer(buffer: Any) -> Measured:
    return ARROW_HEAD_BYTES + buffer.size, [], 0


def _image(image: Any) -> Measured:
    # Pixels have 4 bytes, but for those of one band of 8 or 16 bits.  They are there
    # once the image was loaded.
    if getattr(image, "_im", None) is None and "im" not in vars(image):
        return IMAGE_HEAD_BYTES, [], 0
    mode = image.mode
    width, height = image.size
    pixel = 1 if mode in {"1", "L", "P"} else 2 if mode.startswith("I;16") else 4
    return IMAGE_HEAD_BYTES + pixel * width * height, [], 0


def _pandas(data: Any) -> Measured:
    # Its __sizeof__() looks at all elements.
    held = gc.get_referents(data)
    return PANDAS_HEAD_BYTES, held, len(held)


# By module and type.
_LIBRARIES: dict[str, dict[str, Callable[[Any], Measured]]] = {
    "numpy": {"ndarray": _array},
    "pandas": {"DataFrame": _pandas, "Series": _pandas, "Index": _pandas},
    "pyarrow": {
        "Array": _arrow,
        "ChunkedArray": _arrow,
        "RecordBatch": _arrow,
        "Table": _arrow,
        "Buffer": _buffer,
    },
    "PIL.Image": {"Image": _image},
}


def _find_libraries() -> tuple[tuple[type, Callable[[Any], Measured]], ...]:
    """Return the types of those that the program has imported so far."""
    found = []
    for name, functions in _LIBRARIES.items():
        # Without a call of the module's own __getattr__.
        attributes = getattr(sys.modules.get(name), "__dict__", {})
        for kind, function in functions.items():
            if isinstance(attributes.get(kind), type):
                found.append((attributes[kind], function))
    return tuple(found)


_sizeof: Callable[..., int] = object_function("python_sizeof_function", 2)(
    _find_libraries, _OPAQUE
)


def sizeof(*objects: object) -> int:
    """Return about how many bytes of memory objects take, with all that they hold.

    The objects are measured together: what they share counts once.  What many other
    objects refer to, too, counts by its share of references: the names of fields, an
    enumeration's members, a session.  Classes, modules, functions and what generators
    hold are not counted.

    An object's own bytes are those of its ``__sizeof__()``, with what the allocator
    adds.  They are taken for 64 where that raises an ``Exception``, or returns anything
    but an ``int`` of 0 to 2**46 (64 TiB), which is the largest result, too.  A buffer
    counts at least the bytes that it shows.  Arrays of numpy, frames of pandas, data of
    pyarrow and images of PIL are known.

    At most 512 objects are looked at, 16 levels deep: of a large container some members
    are taken at random and stand for all.  So results for it vary.

    Given as ``weigher`` to ``Cache`` or ``cached``, it measures each entry, and
    ``maxsize`` is in bytes.  An ``Exception`` of an object's own code is dropped;
    others, such as ``KeyboardInterrupt``, come out.  ``MemoryError`` is raised where
    there is no memory to begin.
    """
    return _sizeof(*objects)


def sampled_sizeof(key: object, value: object = None) -> int:
    """Return ``sizeof`` of an entry; as the default weigher it stands for sampling."""
    return _sizeof(key, value)
