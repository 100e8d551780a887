"""The recorded vectors (``tests/data/vectors``), and results in their form."""

from __future__ import annotations

import functools
import json
import lzma
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reference_model import ModelResult

    from shrinker import PassResult

__all__ = ["end_event", "start_event", "vectors"]

VECTORS = Path(__file__).parent / "data" / "vectors"


@functools.cache
def vectors(name: str) -> tuple[dict[str, Any], ...]:
    """Return the rows of a file."""
    with lzma.open(VECTORS / f"{name}.jsonl.xz", "rt", encoding="ascii") as lines:
        return tuple(json.loads(line) for line in lines)


def start_event(result: PassResult | ModelResult) -> dict[str, Any] | None:
    """Return a result's start event as a row has it; None where there is none."""
    if result.delta is None:
        return None
    return {
        "nr": result.nr_before,
        "freeable": result.freeable,
        "delta": result.delta,
        "total_scan": result.total_scan,
    }


def end_event(result: PassResult | ModelResult) -> dict[str, Any] | None:
    """Return a result's end event as a row has it; None where there is none."""
    if result.delta is None:
        return None
    return {
        "retval": result.retval,
        "unused": result.nr_before,
        "new": result.nr_after,
        "total_scan": result.total_scan_left,
    }
