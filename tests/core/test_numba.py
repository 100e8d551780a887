"""A shrinker compiled by numba, through register_native."""

from __future__ import annotations

from typing import Any

import pytest

numba = pytest.importorskip("numba", reason="this shrinker is compiled by numba")

import numpy as np

from shrinker import Domain, ShrinkerBuilder, native, run_pass

# The structures as arrays of words: numba follows pointers to words.
WORD = 8
PRIVATE_DATA = native.ShrinkerStruct.private_data.offset // WORD
NR_TO_SCAN = native.ShrinkControlStruct.nr_to_scan.offset // WORD
WORDS = numba.types.CPointer(numba.types.uint64)


def compile_shrinker(objects: Any) -> tuple[Any, Any]:
    """Return count and scan for a cache whose number of objects is ``objects[0]``."""

    @numba.cfunc(numba.types.uint64(WORDS, WORDS))
    def count(shrinker: Any, sc: Any) -> Any:
        cache = numba.carray(address_as_words(shrinker[PRIVATE_DATA]), 1)
        return cache[0]

    @numba.cfunc(numba.types.uint64(WORDS, WORDS))
    def scan(shrinker: Any, sc: Any) -> Any:
        cache = numba.carray(address_as_words(shrinker[PRIVATE_DATA]), 1)
        freed = min(cache[0], sc[NR_TO_SCAN])
        cache[0] -= freed
        return freed

    return count, scan


@numba.extending.intrinsic
def address_as_words(typing_context: Any, address: Any) -> Any:
    """Turn a number into a pointer to words."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(WORDS))

    return WORDS(numba.types.uint64), generate


def test_numba_shrinker(domain: Domain) -> None:
    """Compiled callbacks are called without the interpreter, and free objects."""
    objects = np.array([100_000], dtype=np.uint64)
    count, scan = compile_shrinker(objects)
    builder = ShrinkerBuilder("numba", domain=domain)
    with builder.register_native(
        count, scan, objects.ctypes.data, keepalive=objects
    ) as registration:
        assert registration.count() == 100_000
        expected = run_pass(100_000, priority=3)
        assert domain.shrink_slab(priority=3) == expected.returned
        assert objects[0] == 100_000 - expected.returned
        assert domain.statistics().host_entries == 0
        domain.drop_slab()
        assert objects[0] == 0
