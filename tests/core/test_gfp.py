"""Allocation contexts: their bits, and how trace events print them."""

from __future__ import annotations

import pytest

from shrinker import GFP
from shrinker._ffi import lib
from shrinker.gfp import format_gfp


def test_gfp_values_are_the_headers() -> None:
    """Each member of GFP has the value of the C header."""
    for flag, value in GFP.__members__.items():
        c_name = f"__GFP_{flag}" if hasattr(lib, f"__GFP_{flag}") else f"GFP_{flag}"
        assert getattr(lib, c_name) == value


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (0, "none"),
        (1 << 31, "0x80000000"),
        (1 << 31 | 1 << 6, "__GFP_IO|0x80000000"),
        (1 << 25 | 0xCC0, "GFP_KERNEL|0x2000000"),
        (1 << 9 | 1 << 6, "__GFP_IO|0x200"),
    ],
)
def test_format_of_bits_without_a_name(mask: int, text: str) -> None:
    """They come last, in hexadecimal, above the named bits or between; 0 is "none"."""
    assert format_gfp(mask) == text
