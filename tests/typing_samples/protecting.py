"""``protect`` has the arguments of ``Reclaimer``: what mypy must accept and refuse."""

from __future__ import annotations

from typing import assert_type

from shrinker import Domain, protect
from shrinker.pressure import Reclaimer, Watermarks

assert_type(protect(), Reclaimer)
with protect(Domain(), limit=0.5, trim=False, source=None) as running:
    assert_type(running, Reclaimer)
protect(limit="half")  # type: ignore[arg-type]
protect(limits=0.5)  # type: ignore[call-arg]
protect(None, Watermarks(1, 2, 3))  # type: ignore[call-arg]
