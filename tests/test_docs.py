"""The pages name tests, files and pages that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
TEST = re.compile(r"((?:tests/)?(?:\w+/)*test_\w+\.py)::(\w+)")
TEST_ALONE = re.compile(r"`(test_\w+)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
NAME = re.compile(r"`([A-Za-z]*_\w+)(?:\(\))?`")
FILE = re.compile(r"`((?:csrc|shrinker|tests|docs|benchmarks|examples)/[\w./-]*\.\w+)`")

TESTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for folder in ("tests", "csrc/tests")
    for path in (ROOT / folder).rglob("*.[cp]*")
    if path.suffix in {".c", ".py"}
}

SOURCES = [
    path
    for folder in ("csrc", "shrinker", "tests", "benchmarks", ".ci")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".c", ".h", ".py"}
]


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_tests_exist(page: Path) -> None:
    """Each test that a page names is there; without a folder, in tests/core."""
    for path, name in TEST.findall(text_of(page)):
        file = ROOT / path if path.startswith("tests/") else ROOT / "tests/core" / path
        assert f"def {name}(" in text_of(file), f"{path}::{name}"
    for name in TEST_ALONE.findall(text_of(page)):
        assert any(
            f"def {name}(" in text or Path(file).stem == name
            for file, text in TESTS.items()
        ), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path) -> None:
    """Each file of the project that a page names is there."""
    for path in FILE.findall(text_of(page)):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", ["architecture", "performance", "reliability"])
def test_named_functions_exist(page: str) -> None:
    """What a page of the design names in the code is there."""
    words = {path.stem for path in SOURCES}
    for path in SOURCES:
        words.update(re.findall(r"\w+", text_of(path)))
    named = NAME.findall(text_of(ROOT / "docs" / f"{page}.md"))
    assert named
    assert [name for name in named if name not in words] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link has a target."""
    for target in LINK.findall(text_of(page)):
        assert (page.parent / target).exists(), target


def test_rust_map_is_complete() -> None:
    """Every row of the map names a test, or says why there is none."""
    rows = [
        row
        for row in text_of(ROOT / "docs" / "rust-map.md").splitlines()
        if row.startswith("| ")
    ]
    assert len(rows) > 40
    for row in rows:
        last = row.rstrip(" |").rpartition(" | ")[2]
        assert "::" in last or last in {"shown by", "by reading"}, row


def test_every_page_is_in_the_site() -> None:
    """Each page is in a table of contents: of docs/, or of docs/reference/."""
    for folder in (ROOT / "docs", ROOT / "docs" / "reference"):
        contents = text_of(folder / "index.md").partition("{toctree}")[2].splitlines()
        for page in folder.glob("*.md"):
            assert page.stem in {*contents, "index"}, f"{page.name} is in no toctree"
