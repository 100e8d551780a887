"""The house: each floor knows only the floors below it (docs/architecture.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import shrinker

PACKAGE = Path(shrinker.__file__).parent
# From the ground up.  Modules of one floor do not know each other, but those of a
# package within it do.
FLOORS = (
    ("_ffi",),
    ("_memory",),
    ("errors",),
    ("gfp", "values"),
    ("_outcome", "events", "growth"),
    ("memcg", "tracing"),
    ("domain",),
    ("control",),
    ("_trampolines", "native"),
    ("builder",),
    ("list_lru", "one_pass"),
    ("cache", "pressure", "trace", "explain"),
    ("testing",),
    ("bench", "explain_text"),
    ("cli",),
    ("__main__",),
)
FLOOR_OF = {name: i for i, floor in enumerate(FLOORS) for name in floor}
# Not part of the house: what it shows to the street, and files.
OUTSIDE = {"__init__", "data", "include", "lib", "_shrinker"}


def modules() -> list[Path]:
    return [p for p in PACKAGE.rglob("*.py") if part(p) not in OUTSIDE]


def part(path: Path) -> str:
    """The name of a module's floor: its first name below the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


class Imports(ast.NodeVisitor):
    """Collects what a module imports from the package, TYPE_CHECKING apart."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, "imports are absolute"
        if node.module == "shrinker":
            for alias in node.names:
                self.add(f"shrinker.{alias.name}")
        else:
            self.add(node.module or "")

    def add(self, name: str) -> None:
        top, _, rest = name.partition(".")
        if top == "shrinker" and rest:
            self.found.add(rest.partition(".")[0])


def test_every_module_has_its_floor() -> None:
    """A new module must be given a place."""
    assert {part(path) for path in modules()} == set(FLOOR_OF)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    """Imports lead to lower floors, or within one package."""
    imports = Imports()
    imports.visit(ast.parse(path.read_text(encoding="utf-8")))
    own = part(path)
    for name in imports.found:
        if not (PACKAGE / name).exists() and not (PACKAGE / f"{name}.py").exists():
            continue  # A name that the package re-exports, or the extension.
        assert name == own or FLOOR_OF[name] < FLOOR_OF[own], f"{own} imports {name}"


def test_one_importer_of_the_extension() -> None:
    """Only _ffi knows the compiled module."""
    importers = []
    for path in modules():
        imports = Imports()
        imports.visit(ast.parse(path.read_text(encoding="utf-8")))
        if "_shrinker" in imports.found:
            importers.append(part(path))
    assert importers == ["_ffi"]
