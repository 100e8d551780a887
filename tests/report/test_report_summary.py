"""``summary``: what a recording says, in sentences."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("numpy", reason="the report needs numpy")

from replay_support import TRACES
from report_support import Writer

from shrinker.report import Report
from shrinker.report.summary import summary

if TYPE_CHECKING:
    from pathlib import Path

DISORDER = "end before they begin: the lines are out of order"


def said(path: Path) -> str:
    return summary(Report.read([path]).recordings[0])


def test_shuffled_lines(tmp_path: Path) -> None:
    """Where lines are out of order, what is said of freed objects is called wrong."""
    writer = Writer()
    for n in range(100):
        scanned = 128 * (n % 7)
        writer.add(
            count=100_000, asked=2 * scanned + 10, scanned=scanned, freed=scanned
        )
    assert DISORDER not in said(writer.write(tmp_path))
    random.Random(1).shuffle(writer.lines)  # noqa: S311 - not for secrets
    text = said(writer.write(tmp_path))
    assert DISORDER in text
    assert text.index(DISORDER) < text.index("objects were scanned")
    assert "What was scanned and freed, times and findings are wrong" in text


def test_clocks_that_differ_are_no_disorder(tmp_path: Path) -> None:
    """A pass that another processor's clock ends too early is that pass still."""
    writer = Writer()
    for _ in range(100):
        writer.add(took_us=-1)
    assert DISORDER not in said(writer.write(tmp_path))


@pytest.mark.parametrize("path", sorted(TRACES.rglob("*.xz")), ids=lambda p: p.name)
def test_no_recording_of_a_kernel_is_out_of_order(path: Path) -> None:
    """All that are here are as the kernel wrote them."""
    assert DISORDER not in said(path)


def test_freed_without_scans(tmp_path: Path) -> None:
    """What was freed is said where the scans come to nothing."""
    writer = Writer()
    writer.add(freed=7)
    assert "0 objects were scanned and 7 freed" in said(writer.write(tmp_path))
