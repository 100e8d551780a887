"""What an index shows of a release, and what a release waits for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
RELEASE = ROOT / ".ci" / "release.py"
GIT = shutil.which("git") or ""
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-28\n\n- A thing.\n"


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The description that an index gets, by setup.py."""
    pytest.importorskip("setuptools", reason="builds need setuptools")
    pytest.importorskip("cffi", reason="builds need cffi")
    made: Path = tmp_path_factory.mktemp("metadata")
    subprocess.run(
        [sys.executable, "setup.py", "-q", "egg_info", "-e", made],
        cwd=ROOT,
        check=True,
        timeout=300,
        capture_output=True,
    )
    text = (made / "shrinker.egg-info" / "PKG-INFO").read_text("utf-8")
    return text.partition("\n\n")[2]


def test_links_of_the_description_are_absolute(description: str) -> None:
    """Nothing leads to a file beside the page: an index has none."""
    links = [part.partition(")")[0] for part in description.split("](")[1:]]
    assert links
    assert all(link.startswith(("https://", "#")) for link in links), links
    assert "![" in description
    repository = PROJECT["urls"]["Repository"]
    assert f"]({repository}/raw/v" in description  # Pictures.
    assert f"]({repository}/blob/v" in description  # Pages.


def test_the_description_renders(description: str) -> None:
    """An index can show it."""
    markdown = pytest.importorskip("readme_renderer.markdown")
    html = markdown.render(description)
    assert html is not None
    assert "<img" in html
    assert "<table" in html


def test_one_address() -> None:
    """A person who moves the project changes one text: all addresses begin with it."""
    urls = PROJECT["urls"]
    assert all(url.startswith(urls["Repository"]) for url in urls.values())
    blob = f"{urls['Repository']}/blob/main/"
    for url in urls.values():
        if url.startswith(blob):
            assert (ROOT / url.removeprefix(blob)).is_file(), url


def test_one_version() -> None:
    """The version stands in one place, from which the build reads it."""
    assert "version" not in PROJECT
    assert "version" in PROJECT["dynamic"]


def git(tree: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@a.example")
    subprocess.run(
        [GIT, *identity, *arguments], cwd=tree, check=True, capture_output=True
    )


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source tree that is ready."""
    if not GIT:
        pytest.skip("needs git")
    (tmp_path / "shrinker").mkdir()
    (tmp_path / "shrinker" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "pyproject.toml").write_text(
        '[project.urls]\nRepository = "https://forge.test/shrinker"\n'
    )
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "a")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "a@a.example")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def release(tree: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, RELEASE, "--root", tree, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_tag(tree: Path) -> None:
    """The tag's text is the release's part of the changelog; once only."""
    assert release(tree).stdout == "v1.2.3 is ready to be built\n"
    assert "tagged v1.2.3" in release(tree, "--tag").stdout
    shown = subprocess.run(
        [GIT, "tag", "--list", "--format=%(contents)", "v1.2.3"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == "v1.2.3\n\n- A thing."
    again = release(tree, "--tag")
    assert again.returncode == 1
    assert "the tag v1.2.3 exists" in again.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("CHANGELOG.md", "[1.2.3] - 2026-11-28", "[1.2.2]", "no dated part for 1.2.3"),
        ("pyproject.toml", "forge.test", "forge.example", "is a placeholder"),
        ("shrinker/__init__.py", "\n", "\n# Changed.\n", "git status shows changes"),
    ],
)
def test_not_ready(tree: Path, file: str, old: str, new: str, problem: str) -> None:
    """What is missing is named, and no tag is made."""
    path = tree / file
    path.write_text(path.read_text().replace(old, new))
    done = release(tree, "--tag")
    assert done.returncode == 1
    assert problem in done.stderr
    assert not list((tree / ".git" / "refs" / "tags").iterdir())


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGET = re.compile(r"make ([a-z-]+)(?: [A-Z_]+=\S+)*")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_only_call_make(workflow: Path) -> None:
    """A workflow sets a machine up and calls make targets, which run here too."""
    makefiles = "".join(path.read_text() for path in ROOT.glob("*.mk"))
    makefiles += (ROOT / "Makefile").read_text()
    commands = re.findall(r"^\s+- run: (.+)$", workflow.read_text(), re.MULTILINE)
    assert commands
    for command in commands:
        if command.startswith("sudo apt-get install "):
            continue
        target = TARGET.fullmatch(command.replace("${{ matrix.python }}", "3"))
        assert target, command
        assert re.search(rf"^{target[1]}:", makefiles, re.MULTILINE), command
