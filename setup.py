"""What pyproject.toml cannot say: the C library, the extension, the wheel's tag, and a
description whose links lead to the repository.
"""

from __future__ import annotations

import re
import shutil
import sysconfig
import tomllib
from pathlib import Path

from setuptools import setup
from setuptools.command.build_clib import build_clib

SOURCES = sorted(
    str(path)
    for part in (".", "kit", "replay")
    for path in Path("csrc", part).glob("*.c")
)
HEADERS = sorted(str(path) for path in Path("csrc").rglob("*.h"))
# No stable ABI has it.
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
# A link or a picture with a path in the repository: its mark and text, and the path.
LINK = re.compile(r"(!?)(\[[^\]]*\]\()(?!https?:|#)([^)]+)")


def description() -> str:
    """Return README.md as an index shows it, where no file of the repository is near.

    Links lead to the files as they are at the release's tag.
    """
    text = Path("pyproject.toml").read_text(encoding="utf-8")
    repository = tomllib.loads(text)["project"]["urls"]["Repository"]
    (version,) = re.findall(
        r'^__version__ = "(.+)"$',
        Path("shrinker/__init__.py").read_text(encoding="utf-8"),
        re.MULTILINE,
    )

    def absolute(link: re.Match[str]) -> str:
        picture, start, path = link.groups()
        form = "raw" if picture else "blob"
        return f"{picture}{start}{repository}/{form}/v{version}/{path}"

    return LINK.sub(absolute, Path("README.md").read_text(encoding="utf-8"))


class BuildLibrary(build_clib):
    """Build libshrinker.a and ship it, for C programs (``get_library()``)."""

    editable_mode = False  # Set by `pip install -e`.

    def run(self) -> None:
        super().run()
        in_place = self.editable_mode or self.get_finalized_command("build_ext").inplace
        parent = "" if in_place else self.get_finalized_command("build_py").build_lib
        target = Path(parent, "shrinker", "lib")
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(Path(self.build_clib, "libshrinker.a"), target)
        # For pkg-config, which finds headers and library from where the file lies.
        found_from = target / "pkgconfig"
        found_from.mkdir(exist_ok=True)
        template = Path("csrc/shrinker.pc.in").read_text(encoding="utf-8")
        include = "../../../csrc/include" if in_place else "../../include"
        text = template.replace("@INCLUDE@", include).replace(
            "@VERSION@", self.distribution.get_version()
        )
        (found_from / "shrinker.pc").write_text(text, encoding="utf-8")


setup(
    long_description=description(),
    long_description_content_type="text/markdown",
    cffi_modules=["build_ffi.py:ffibuilder"],
    libraries=[
        (
            "shrinker",
            {
                "sources": SOURCES,
                "obj_deps": {"": HEADERS},
                "include_dirs": ["csrc/include", "csrc"],
                "cflags": ["-std=c11", "-O2", "-fPIC"],
            },
        )
    ],
    cmdclass={"build_clib": BuildLibrary},
    options={} if FREE_THREADED else {"bdist_wheel": {"py_limited_api": "cp311"}},
)
