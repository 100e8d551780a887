"""What those see who build it: in place, and without a compiler."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What a build that is not a sanitizer's or coverage's has around it.
ENVIRONMENT = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}

# Bytecode may be written, under another name first, while it is copied.
SOURCES_ONLY = shutil.ignore_patterns("*.so", "*.a", "__pycache__")


def run(
    *command: object, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=ENVIRONMENT | {"SHRINKER_FREE_THREADED": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"PATH": "/nonexistent"}, "no C compiler: cannot run "),
        (
            {"CC": "/nonexistent/cc"},
            "no C compiler: cannot run /nonexistent/cc (No such",
        ),
        ({"CC": "false"}, "the C compiler false failed on our headers, see above"),
    ],
)
def test_without_a_compiler(environment: dict[str, str], problem: str) -> None:
    """One line says what is missing and what to install."""
    done = run(sys.executable, "build_ffi.py", **environment)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {problem}")
    for distribution in ("Debian", "Fedora", "Alpine"):
        assert distribution in line


def test_without_the_headers_of_python(tmp_path: Path) -> None:
    """They are missed before anything is compiled."""
    code = (
        f"import sysconfig; sysconfig.get_path = lambda _: {str(tmp_path)!r};"
        "import build_ffi"
    )
    done = run(sys.executable, "-c", code)
    (line,) = done.stderr.splitlines()
    problem = f"no Python headers: {tmp_path}/Python.h does not exist"
    assert line.startswith(f"error: {problem}")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source tree whose extension is built in place, fast rather than well."""
    pytest.importorskip("setuptools", reason="builds need setuptools")
    tree: Path = tmp_path_factory.mktemp("tree")
    for name in ("setup.py", "build_ffi.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for name in ("csrc", "shrinker"):
        shutil.copytree(ROOT / name, tree / name, ignore=SOURCES_ONLY)
    compiler = tree / "cc"
    compiler.write_text('#!/bin/sh\nexec gcc "$@" -O0\n')
    compiler.chmod(0o755)
    build_in_place(tree)
    return tree


def build_in_place(tree: Path) -> None:
    """Build as plain ``make`` does."""
    commands = ("setup.py", "-q", "build_clib", "build_ext", "--inplace")
    done = run(sys.executable, *commands, cwd=tree, CC=str(tree / "cc"))
    assert done.returncode == 0, done.stderr


PROGRAM = """
#include <shrinker/shrinker.h>
#include <linux/shrinker.h>
int main(void) { return (int)shrink_slab(GFP_KERNEL, 0, 0, 0); }
"""


def test_import_in_the_source_tree(tree: Path) -> None:
    """What stands beside the sources is imported, and serves C programs too."""
    done = run(
        sys.executable,
        "-c",
        "import shrinker as s; print(s.__file__, s.get_include(), s.get_library())",
        cwd=tree,
    )
    assert done.stderr == ""
    package, include, library = map(Path, done.stdout.split())
    assert package.is_relative_to(tree)
    (tree / "main.c").write_text(PROGRAM)
    options = ("-I", include, "-o", "main", "main.c", library, "-lpthread")
    done = run("gcc", *options, cwd=tree)
    assert done.returncode == 0, done.stderr
    assert run("./main", cwd=tree).returncode == 0


def test_the_extension_follows_the_library(tree: Path) -> None:
    """A change below the glue makes the extension anew, as one of the glue does."""
    (extension,) = (tree / "shrinker").glob("_shrinker*.so")
    built = extension.stat().st_mtime_ns
    os.utime(tree / "csrc" / "pass.c")
    build_in_place(tree)
    assert extension.stat().st_mtime_ns > built


def test_import_before_the_build(tmp_path: Path) -> None:
    """A tree that is not built says so, and what to do."""
    shutil.copytree(ROOT / "shrinker", tmp_path / "shrinker", ignore=SOURCES_ONLY)
    done = run(sys.executable, "-c", "import shrinker", cwd=tmp_path)
    last = done.stderr.splitlines()[-1]
    assert f"{tmp_path}/shrinker, a source tree whose C extension is not built" in last
    assert "make" in last


@pytest.mark.parametrize("missing", ["shrinker._shrinker", "_cffi_backend"])
def test_import_in_a_frozen_program(missing: str) -> None:
    """It is no source tree: what helps is to tell the tool that made the program."""
    program = (
        f"import sys; sys.frozen = True; sys.modules[{missing!r}] = None;"
        "import shrinker"
    )
    done = run(sys.executable, "-c", program)
    last = done.stderr.splitlines()[-1]
    assert f"made without {missing}" in last
    assert f"--hidden-import {missing}" in last
    assert "source tree" not in last


def test_tools_that_freeze_programs_see_what_is_needed() -> None:
    """They read imports from the source; that of the extension is in C."""
    tree = ast.parse((ROOT / "shrinker" / "_ffi.py").read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    names = {alias.name for node in imports for alias in node.names}
    assert {"_cffi_backend", "shrinker._shrinker"} <= names


def test_import_in_a_free_threaded_build() -> None:
    """It fails, and says why, before any C is loaded; as if this were such a build."""
    if sys.version_info[:2] == (3, 14):
        pytest.skip("that of this version is supported")
    program = (
        "import sys; sys.abiflags += 't'\n"
        "try: import shrinker\n"
        "finally: assert not {'_cffi_backend', 'shrinker._shrinker'} & {*sys.modules}"
    )
    done = run(sys.executable, "-c", program)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        "ImportError: of free-threaded Pythons shrinker supports 3.14"
    )
    assert last.endswith(f"{sys.executable} is 3.{sys.version_info[1]}")


def test_a_build_for_a_free_threaded_python() -> None:
    """pip, which finds no wheel for it, builds; one line says why that ends."""
    if sys.version_info[:2] == (3, 14):
        pytest.skip("that of this version is supported")
    code = """
import sysconfig
found = sysconfig.get_config_var
sysconfig.get_config_var = lambda name: 1 if name == "Py_GIL_DISABLED" else found(name)
import build_ffi
"""
    done = run(sys.executable, "-c", code)
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: of free-threaded Pythons shrinker supports 3.14")


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL"
)
def test_a_build_for_a_free_threaded_python_is_asked_for() -> None:
    """It is for trials, so no one gets it by chance."""
    done = run(sys.executable, "build_ffi.py", SHRINKER_FREE_THREADED="")
    assert done.returncode == 1
    assert "SHRINKER_FREE_THREADED=1 builds it" in done.stderr


@pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL"
)
def test_the_extension_says_that_it_needs_no_gil() -> None:
    """Otherwise the import would turn the GIL on, with a warning."""
    program = "import shrinker, sys; assert not sys._is_gil_enabled()"
    done = run(sys.executable, "-W", "error", "-c", program)
    assert (done.returncode, done.stderr) == (0, "")


def test_import_without_cffi(tree: Path) -> None:
    """Nor is a missing cffi taken for a missing extension."""
    code = "import sys; sys.modules['_cffi_backend'] = None; import shrinker"
    done = run(sys.executable, "-c", code, cwd=tree)
    last = done.stderr.splitlines()[-1]
    assert "_cffi_backend" in last
    assert "not built" not in last
