"""Bits without a name, as trace events print them."""

from __future__ import annotations

import pytest

from shrinker.gfp import format_gfp


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (1 << 31, "0x80000000"),
        (1 << 31 | 1 << 6, "__GFP_IO|0x80000000"),
        (1 << 25 | 0xCC0, "GFP_KERNEL|0x2000000"),
        (1 << 9 | 1 << 6, "__GFP_IO|0x200"),
    ],
)
def test_the_rest_is_hexadecimal(mask: int, text: str) -> None:
    """It stands behind the names, above the highest of them as well as between."""
    assert format_gfp(mask) == text
