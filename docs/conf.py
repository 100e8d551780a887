"""The site: `make docs` builds it with Sphinx, every warning an error.

Pages are plain Markdown that also reads well in a forge.  The reference is made from
docstrings and signatures; a public name that no page has fails the build.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import shrinker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

ROOT = Path(__file__).resolve().parents[1]
URLS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]

project = "shrinker"
author = "the shrinker authors"
copyright = author  # noqa: A001 - Sphinx's name
version = release = shrinker.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_click",
    "sphinx_copybutton",
]
myst_heading_anchors = 3
# Only what is behind a prompt is copied.
copybutton_exclude = ".linenos, .gp, .go"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {
    "members": True,
    "undoc-members": True,
    "imported-members": True,
    "show-inheritance": True,
}
python_use_unqualified_type_names = True
maximum_signature_line_length = 80

html_theme = "furo"
html_title = f"shrinker {version}"
html_static_path = ["_static"]
html_css_files = ["wide_tables.css"]
html_copy_source = False

# Modules that are public beside the packages.
MODULES = (
    "shrinker",
    "shrinker.explain",
    "shrinker.native",
    "shrinker.pressure.prometheus",
    "shrinker.testing",
)
# Packages with no names for programs: commands, and the files that ``shrinker.replay``
# finds.
NOT_PUBLIC = {"shrinker.bench", "shrinker.cli", "shrinker.data"}


def public_names() -> Iterator[str]:
    """Yield the full names of all that programs may use."""
    packages = [
        f"shrinker.{module.name}"
        for module in pkgutil.iter_modules(shrinker.__path__)
        if module.ispkg and not module.name.startswith("_")
    ]
    for module_name in sorted({*MODULES, *packages} - NOT_PUBLIC):
        module = importlib.import_module(module_name)
        for name in getattr(module, "__all__", ()):
            if not inspect.ismodule(getattr(module, name)):
                yield f"{module_name}.{name}"


def missing_names(env: BuildEnvironment) -> list[str]:
    """Return the public names for which the reference has no entry."""
    entries = {name for name, *_ in env.domains["py"].get_objects()}
    return [name for name in public_names() if name not in entries]


def check_names(_: Sphinx, env: BuildEnvironment) -> None:
    """Fail where the reference is not whole."""
    missing = missing_names(env)
    if missing:
        raise SystemExit(f"error: docs/reference has no entry for {', '.join(missing)}")


# A link with a path above docs/: its beginning, and the path.
ABOVE = re.compile(r"(\]\()((?:\.\./)+)([^)\s]+)(?=\))")


def link_files(app: Sphinx, page: str, source: list[str]) -> None:
    """Lead links to files that are no pages to the repository."""

    def absolute(link: re.Match[str]) -> str:
        start, up, path = link.groups()
        target = (Path(app.srcdir) / page).parent / up / path
        inside = target.resolve().relative_to(ROOT)
        if inside.parts[0] == "docs":
            return link[0]
        return f"{start}{URLS['Repository']}/blob/main/{inside.as_posix()}"

    source[0] = ABOVE.sub(absolute, source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the two hooks."""
    app.connect("source-read", link_files)
    app.connect("env-check-consistency", check_names)
    return {"parallel_read_safe": True}
