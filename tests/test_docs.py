"""The pages name tests, files and pages that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEST = re.compile(r"(tests/test_\w+\.py)::(\w+)")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_tests_exist(page: Path) -> None:
    """Each test that a page names is there."""
    for path, name in TEST.findall(page.read_text(encoding="utf-8")):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert f"def {name}(" in text, f"{path}::{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link has a target."""
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_rust_map_is_complete() -> None:
    """Every row of the map names a test, a C test, or says why there is none."""
    text = (ROOT / "docs" / "rust-map.md").read_text(encoding="utf-8")
    rows = [row for row in text.splitlines() if row.startswith("| ")]
    assert len(rows) > 40
    for row in rows:
        last = row.rstrip(" |").rpartition(" | ")[2]
        assert "::" in last or last in {"shown by", "by reading"}, row
