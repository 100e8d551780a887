"""What pyproject.toml cannot say: the C library, the extension, the wheel's tag."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_clib import build_clib

SOURCES = sorted(str(path) for path in Path("csrc").glob("*.c"))
HEADERS = sorted(str(path) for path in Path("csrc").rglob("*.h"))


class BuildLibrary(build_clib):
    """Build libshrinker.a and ship it, for C programs (``get_library()``)."""

    def run(self) -> None:
        super().run()
        package = Path(self.get_finalized_command("build_py").build_lib, "shrinker")
        target = package / "lib"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(Path(self.build_clib, "libshrinker.a"), target)


setup(
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
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
