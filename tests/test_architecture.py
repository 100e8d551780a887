"""The house: which module may import which (docs/architecture.md, "Rules").

An import counts wherever it stands: at the top, in a function, under TYPE_CHECKING.
Each rule is also tried on the house with one import planted that breaks it.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

import shrinker

ROOT = Path(__file__).parents[1]
PACKAGE = Path(shrinker.__file__).parent

# From the ground up.  Modules of one floor do not import each other, but those of a
# package within it do.
FLOORS = (
    ("_ffi", "_interrupted", "_names", "_switching", "errors"),
    (
        "_capsule",
        "_unpatched",
        "_walk_errors",
        "data",
        "demand",
        "eras",
        "gfp",
        "growth",
        "native",
        "values",
    ),
    ("events", "one_pass"),
    ("memcg",),
    ("registered",),
    ("domain",),
    ("_lru_lists", "control"),
    ("_trampolines", "protocols"),
    ("registration",),
    ("builder",),
    ("list_lru",),
    ("cache", "explain", "pressure", "replay"),
    ("__init__",),
    # A report reads recordings by replay/.
    # Of several commands: their numbers, how they print, where they may write.
    ("_number", "_target", "_terminal", "contrib", "kernel", "report", "testing"),
    ("bench",),
    ("cli",),
    ("__main__",),
)
FLOOR_OF = {name: i for i, floor in enumerate(FLOORS) for name in floor}
# A domain hands its children out, and they know to which domain they belong.
PARENT_OF = {"memcg": "domain", "registered": "domain"}
# The room of pressure/, and the rooms that its modules may import.
ROOMS = {
    "limits": {"limits"},
    "shared": {"shared", "limits"},
    "sources": {"sources", "limits"},
}

Imports = dict[str, set[str]]
"""For each module of the package, as ``shrinker.cache.cache``, what it imports."""


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path.read_text(encoding="utf-8")
    for path in PACKAGE.rglob("*.py")
}


def imports_of(source: str) -> set[str]:
    """Return what a module imports: modules, where it names one, with their package."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if is_module(name) else str(node.module))
    return found


def is_module(name: str) -> bool:
    return name in SOURCES or name == "shrinker._shrinker"


HOUSE: Imports = {name: imports_of(source) for name, source in SOURCES.items()}


def floor_name(module: str) -> str:
    """Return a module's name in FLOORS: its first name below the package."""
    _, _, rest = module.partition(".")
    return rest.partition(".")[0] or "__init__"


def edges(house: Imports) -> list[tuple[str, str]]:
    """Return the pairs of a module of the package and another that it imports."""
    return [
        (module, name)
        for module, names in house.items()
        for name in sorted(names)
        if name in SOURCES and name != module
    ]


def is_child(module: str, name: str) -> bool:
    """Return whether ``module`` belongs to the objects that ``name`` hands out."""
    return PARENT_OF.get(floor_name(module)) == floor_name(name)


def is_in_package(module: str, name: str) -> bool:
    """Return whether ``name`` is a package within shrinker that has ``module``."""
    return name != "shrinker" and module.startswith(f"{name}.")


# --- the rules; each returns what breaks it -----------------------------------------


def every_module_has_a_floor(house: Imports) -> list[str]:
    """A new module is given a place in FLOORS."""
    return sorted({floor_name(module) for module in house} ^ set(FLOOR_OF))


def imports_go_down(house: Imports) -> list[str]:
    """Each floor imports only floors below; within a package see the other rules."""
    return [
        f"{module} imports {name}"
        for module, name in edges(house)
        if floor_name(module) != floor_name(name)
        and FLOOR_OF[floor_name(name)] >= FLOOR_OF[floor_name(module)]
        and not is_child(module, name)
    ]


def siblings_do_not_know_each_other(house: Imports) -> list[str]:
    """cache/, pressure/ and replay/ meet below, and do not import each other."""
    siblings = {"cache", "pressure", "replay"}
    return [
        f"{module} imports {name}"
        for module, name in edges(house)
        if len({floor_name(module), floor_name(name)} & siblings) == 2
    ]


def only_parent_and_child_make_circles(house: Imports) -> list[str]:
    """No module leads back to itself, once children do not name their parents."""
    targets: dict[str, list[str]] = {}
    for module, name in edges(house):
        if not is_child(module, name) and not is_in_package(module, name):
            targets.setdefault(module, []).append(name)
    circles = []
    done: set[str] = set()
    trail: list[str] = []

    def follow(module: str) -> None:
        if module in trail:
            circles.append(" -> ".join([*trail[trail.index(module) :], module]))
        elif module not in done:
            trail.append(module)
            for name in targets.get(module, ()):
                follow(name)
            done.add(trail.pop())

    for module in house:
        follow(module)
    return circles


def rooms_of_pressure(house: Imports) -> list[str]:
    """limits/ imports no other part of pressure/; sources/, shared/ only limits/."""

    def room(name: str) -> str:
        return name.removeprefix("shrinker.pressure.").partition(".")[0]

    return [
        f"{module} imports {name}"
        for module, name in edges(house)
        if floor_name(module) == floor_name(name) == "pressure"
        and room(name) not in ROOMS.get(room(module), {room(name)})
    ]


def one_importer_of_the_extension(house: Imports) -> list[str]:
    """Only _ffi.py knows the compiled module."""
    return [
        module
        for module, names in house.items()
        if "shrinker._shrinker" in names and module != "shrinker._ffi"
    ]


def nothing_imports_benchmarks(house: Imports) -> list[str]:
    """What is shipped does without benchmarks/, which is for developers."""
    developers = {path.stem for path in (ROOT / "benchmarks").rglob("*.py")}
    developers.add("benchmarks")
    return [
        f"{module} imports {name}"
        for module, names in house.items()
        for name in names
        if name.partition(".")[0] in developers
    ]


def frameworks_are_in_contrib(house: Imports) -> list[str]:
    """Only contrib/django.py imports Django, and nothing imports contrib/."""
    frameworks = {path.stem for path in (PACKAGE / "contrib").glob("[!_]*.py")}
    return [
        f"{module} imports {name}"
        for module, names in house.items()
        for name in names
        if (
            name.partition(".")[0] in frameworks
            and module != f"shrinker.contrib.{name.partition('.')[0]}"
        )
        or (floor_name(name) == "contrib" and floor_name(module) != "contrib")
    ]


RULES = (
    every_module_has_a_floor,
    imports_go_down,
    siblings_do_not_know_each_other,
    only_parent_and_child_make_circles,
    rooms_of_pressure,
    one_importer_of_the_extension,
    nothing_imports_benchmarks,
    frameworks_are_in_contrib,
)
Rule = Callable[[Imports], list[str]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Rule) -> None:
    """The house keeps the rule."""
    assert rule(HOUSE) == [], rule.__doc__


@pytest.mark.parametrize(
    ("rule", "module", "line"),
    [
        (every_module_has_a_floor, "shrinker.attic", ""),
        (imports_go_down, "shrinker.errors", "from shrinker.domain import Domain"),
        (imports_go_down, "shrinker.values", "from shrinker import gfp"),
        (imports_go_down, "shrinker.memcg", "from shrinker import ShrinkerBuilder"),
        (
            siblings_do_not_know_each_other,
            "shrinker.cache.cache",
            "from shrinker.pressure.watermarks import Watermarks",
        ),
        (
            only_parent_and_child_make_circles,
            "shrinker.domain",
            "if TYPE_CHECKING:\n    from shrinker.registration import T",
        ),
        (
            only_parent_and_child_make_circles,
            "shrinker.pressure.watermarks",
            "def f():\n    import shrinker.pressure.policy",
        ),
        (
            rooms_of_pressure,
            "shrinker.pressure.limits.cgroups",
            "from shrinker.pressure.sources import psi",
        ),
        (
            rooms_of_pressure,
            "shrinker.pressure.sources.psi",
            "from shrinker.pressure.policy import Policy",
        ),
        (
            one_importer_of_the_extension,
            "shrinker.domain",
            "from shrinker import _shrinker",
        ),
        (nothing_imports_benchmarks, "shrinker.cli.app", "from benchmarks import fill"),
        (nothing_imports_benchmarks, "shrinker.bench.run", "import fill"),
        (
            frameworks_are_in_contrib,
            "shrinker.cache.libraries",
            "from django.core.cache.backends.locmem import LocMemCache",
        ),
        (
            frameworks_are_in_contrib,
            "shrinker.cli.app",
            "import shrinker.contrib.django",
        ),
    ],
)
def test_a_planted_import_breaks_the_rule(rule: Rule, module: str, line: str) -> None:
    """Each rule notices an import that it forbids, whatever form it has."""
    planted = imports_of(line) | HOUSE.get(module, set())
    assert len(rule({**HOUSE, module: planted})) > len(rule(HOUSE))


def test_children_name_their_parents() -> None:
    """The exceptions to the rules are in use; one that is not should go."""
    for child, parent in PARENT_OF.items():
        assert f"shrinker.{parent}" in HOUSE[f"shrinker.{child}"]
        assert f"shrinker.{child}" in HOUSE[f"shrinker.{parent}"]


def test_what_the_wheel_holds() -> None:
    """The wheel has each package of shrinker/ and the headers, and nothing else."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    setuptools = tomllib.loads(text)["tool"]["setuptools"]
    folders = setuptools["package-dir"]
    code = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "shrinker").rglob("__init__.py")
    }
    assert folders == {"shrinker.include": "csrc/include"}
    headers = {
        ".".join(("shrinker", *path.parent.relative_to(ROOT / "csrc").parts))
        for path in (ROOT / "csrc/include").rglob("*.h")
    }
    assert set(setuptools["packages"]) == code | headers
    assert set(setuptools["package-data"]) <= set(setuptools["packages"])


def test_each_file_of_tests_has_its_own_name() -> None:
    """Pytest imports them by name alone, so a second one of that name would not run."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))
