"""benchmarks/replay_sensitivity.py: the replay finds damaged fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replay_sensitivity import FIELDS, Found, Recording, main, negative_control
from replay_support import DROP_CACHES

if TYPE_CHECKING:
    import pytest


def test_negative_control() -> None:
    """Damage is found in every field but the two on which no check depends.

    docs/replay.md says why it is found in some fields only sometimes.
    """
    recording = Recording(DROP_CACHES)
    found: dict[tuple[str, str], list[bool]] = {}
    for event, field, _, hit in negative_control(recording, sample=20, seed=3):
        found.setdefault((event, field), []).append(hit)
    assert set(found) == {(e, f) for e, fields in FIELDS.items() for f in fields}
    for (event, field), hits in found.items():
        share = sum(hits) / len(hits)
        if field in ("gfp_mask", "retval"):
            assert share == 0
        elif (event, field) in {
            ("start", "freeable"),
            ("start", "priority"),
            ("end", "total_scan"),
        }:
            assert share > 0.3, (event, field)
        else:
            assert share == 1, (event, field)


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has a row for each field, and says how many changes were found."""
    assert main([str(DROP_CACHES), "--sample=2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + sum(map(len, FIELDS.values()))
    assert all(" of " in line for line in lines[2:])
    assert Found().share == 0.0
