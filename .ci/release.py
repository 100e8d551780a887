"""Say what stands in the way of a release, and tag it.

``release.py`` prints what is not ready and returns 1 where there is something.
``release.py --tag`` makes the tag, with the release's part of CHANGELOG.md as its text,
and says what is left: pushing and uploading are for a person.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]


def git(root: Path, *arguments: str) -> str:
    """Return what git prints."""
    return subprocess.run(  # noqa: S603 - our own arguments
        ["git", *arguments],  # noqa: S607 - git as everywhere
        cwd=root,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout


def version_of(root: Path) -> str:
    """Return the version, from the one place that has it."""
    text = (root / "shrinker" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return str(version)


def notes(root: Path, version: str) -> str | None:
    """Return the dated part of CHANGELOG.md for a version; None without one."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    head = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## \[|\Z)"
    found = re.search(head, text, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else None


def problems(root: Path) -> list[str]:
    """Return what a release has to wait for."""
    version = version_of(root)
    found = []
    if not notes(root, version):
        found.append(
            f"CHANGELOG.md has no dated part for {version}: rename [Unreleased] to"
            f" [{version}] - YEAR-MONTH-DAY"
        )
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    host = urlsplit(project["project"]["urls"]["Repository"]).hostname or ""
    if host.endswith(".example"):
        found.append(
            f"{host} is a placeholder: put the repository's address into [project.urls]"
            " of pyproject.toml"
        )
    if git(root, "status", "--porcelain"):
        found.append("git status shows changes: commit them")
    if git(root, "tag", "--list", f"v{version}"):
        found.append(
            f"the tag v{version} exists: raise __version__ in shrinker/__init__.py"
        )
    return found


def main() -> int:
    """Print what is wrong, or tag."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tag", action="store_true", help="make the tag")
    parser.add_argument("--root", type=Path, default=ROOT, help="the source tree")
    options = parser.parse_args()
    found = problems(options.root)
    for text in found:
        print(f"not ready: {text}", file=sys.stderr)
    if found:
        return 1
    tag = f"v{version_of(options.root)}"
    if not options.tag:
        print(f"{tag} is ready to be built")
        return 0
    text = notes(options.root, tag[1:])
    git(options.root, "tag", "-a", tag, "--cleanup=verbatim", "-m", f"{tag}\n\n{text}")
    print(f"tagged {tag}; then: git push origin {tag} && twine upload build/wheels/*")
    return 0


if __name__ == "__main__":
    sys.exit(main())
