"""Build the wheels that an index takes, for each libc and processor, from one sdist.

``wheels.py SDIST DIRECTORY [PLATFORM...]`` cross-compiles with zig (``ziglang`` on the
index), which has the headers and libraries of each target: no container, no network.
One wheel serves every Python from 3.11 on.  Each must need nothing that its tag does
not promise.  auditwheel says what one of glibc needs; one of musl, which it judges
only on musl, may need no library but musl's, whose symbols have no versions, and no
static TLS, with which musl does not load it.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from elftools.elf.elffile import ELFFile

# The wheel's platform, and zig's name of it.
TARGETS = {
    "manylinux_2_17_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux_2_17_aarch64": "aarch64-linux-gnu.2.17",
    "musllinux_1_2_x86_64": "x86_64-linux-musl",
    "musllinux_1_2_aarch64": "aarch64-linux-musl",
}
# setuptools adds the flags of the Python that runs it; those that only the host's
# compiler knows must not reach another one.
WRAPPER = """#!/bin/sh
for word; do
	shift
	case $word in
	-march=*|-mtune=*|-fcf-protection*|-g|-L/*|-Wl,-rpath*) continue ;;
	esac
	set -- "$@" "$word"
done
exec {python} -m ziglang {what} "$@"
"""
# In the flags of a shared object: thread-local variables that cannot be made later.
STATIC_TLS = 0x10
CONSISTENT = re.compile(r'following\s+platform\s+tag:\s+"(\w+)"')


def write_program(path: Path, what: str) -> str:
    """Write a program that runs a part of zig, and return its path."""
    path.write_text(WRAPPER.format(python=sys.executable, what=what), "utf-8")
    path.chmod(0o755)
    return str(path)


def build(sdist: Path, platform: str, target: str, directory: Path) -> Path:
    """Build one wheel and return its path."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        with tarfile.open(sdist) as archive:
            archive.extractall(top, filter="data")
        (tree,) = top.iterdir()
        # zig adds debug information where nothing says otherwise.
        compiler = write_program(top / "cc", f"cc -g0 -target {target}")
        environment = os.environ | {
            "CC": compiler,
            "LDSHARED": f"{compiler} -shared -s",
            "AR": write_program(top / "ar", "ar"),
        }
        subprocess.run(  # noqa: S603 - the sdist's own build
            [sys.executable, "setup.py", "-q", "bdist_wheel", "--plat-name", platform],
            cwd=tree,
            env=environment,
            check=True,
        )
        (wheel,) = (tree / "dist").glob("*.whl")
        return Path(shutil.copy(wheel, directory))


def needs(wheel: Path, platform: str) -> str:
    """Return the platform that a wheel needs, or what it needs beside it."""
    if platform.startswith("manylinux"):
        shown = subprocess.run(  # noqa: S603 - a tool of our own environment
            [sys.executable, "-m", "auditwheel", "show", wheel],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        found = CONSISTENT.search(shown)
        return found[1] if found else shown
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".so"))
        elf = ELFFile(io.BytesIO(archive.read(name)))
    tags = list(elf.get_section_by_name(".dynamic").iter_tags())
    others = [
        tag.needed
        for tag in tags
        if tag.entry.d_tag == "DT_NEEDED" and tag.needed != "libc.so"
    ]
    flags = [tag.entry.d_val for tag in tags if tag.entry.d_tag == "DT_FLAGS"]
    if any(flag & STATIC_TLS for flag in flags):
        others.append("static TLS, which musl refuses")
    processor = {"x64": "x86_64", "AArch64": "aarch64"}[elf.get_machine_arch()]
    return " ".join(others) or f"musllinux_1_2_{processor}"


def main() -> int:
    """Build all wheels; return 1 where one is not what its name says."""
    sdist, directory = (Path(path).resolve() for path in sys.argv[1:3])
    wrong = 0
    chosen = sys.argv[3:] or TARGETS
    for platform in chosen:
        target = TARGETS[platform]
        wheel = build(sdist, platform, target, directory)
        found = needs(wheel, platform)
        wrong += found != platform
        print(f"{wheel.name}: {wheel.stat().st_size >> 10} KiB, needs {found}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
