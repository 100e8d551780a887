"""The examples of README.md and the pages run, and print what they say.

A block of ``python`` runs in a fresh interpreter.  One of ``py`` needs what is not
here, such as Django: it is compiled, and the names of ours that it uses are there.
"""

from __future__ import annotations

import ast
import importlib.util
import operator
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import shrinker

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# A block of code, and the block of text behind it, if there is one.
BLOCK = re.compile(
    r"^```(python|py)\n(.*?)^```\n(?:\n```text\n(.*?)```)?", re.MULTILINE | re.DOTALL
)


class Example(NamedTuple):
    """A block of a page, and what it prints; empty where nothing is said."""

    place: str
    language: str
    code: str
    output: str


EXAMPLES = [
    Example(
        f"{page.name}:{text[: block.start()].count(chr(10)) + 1}", *block.groups("")
    )
    for page in PAGES
    for text in [page.read_text(encoding="utf-8")]
    for block in BLOCK.finditer(text)
]


def examples(language: str) -> pytest.MarkDecorator:
    """Parametrize by the blocks of one language."""
    chosen = [example for example in EXAMPLES if example.language == language]
    assert chosen
    return pytest.mark.parametrize("example", chosen, ids=lambda each: each.place)


def skip_without_others(example: Example) -> None:
    """Skip one that imports a package that is not here."""
    for node in ast.walk(ast.parse(example.code)):
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            package = name.partition(".")[0]
            if importlib.util.find_spec(package) is None:
                pytest.skip(f"needs {package}")


def test_the_readme_has_examples() -> None:
    """It shows Python with its output."""
    shown = [each for each in EXAMPLES if each.place.startswith("README.md")]
    assert any(each.output for each in shown)


@examples("python")
def test_example(example: Example, tmp_path: Path) -> None:
    """It runs without a warning, and prints the text behind it."""
    skip_without_others(example)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example.code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=300,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    if example.output:
        assert done.stdout == example.output


@examples("py")
def test_example_of_others(example: Example) -> None:
    """It is Python, and what it takes from this package is there."""
    for node in ast.walk(ast.parse(example.code)):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module.partition(".")[0] != "shrinker":
                continue
            try:
                module = importlib.import_module(node.module)
            except ImportError:
                skip_without_others(example)
                raise
            assert all(hasattr(module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if re.fullmatch(r"shrinker[.\w]+", name):
                operator.attrgetter(name.removeprefix("shrinker."))(shrinker)
