"""Compiling the peers that need it, when they are wanted, into a directory.

By the means that packages are built with: setuptools for the C API, cffi's
``FFI.compile`` for ``extern "Python"``.  Each is built by a process of its own, since
compilers speak to standard error and setuptools changes the process that it is in.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import shrinker
from shrinker.bench.child import command, environment
from shrinker.bench.peers.points import Peer

__all__ = ["build", "main"]

_NAMES = {Peer.C_API: "c_api", Peer.EXTERN: "extern_python"}
_SECONDS = 120
_DECLARATIONS = """
struct shrinker {
    void *private_data;
    ...;
};
struct shrink_control {
    unsigned long nr_to_scan;
    unsigned long nr_scanned;
    ...;
};
extern "Python" {
    unsigned long peer_count(struct shrinker *, struct shrink_control *);
    unsigned long peer_scan(struct shrinker *, struct shrink_control *);
}
"""


def build(directory: Path) -> dict[Peer, str]:
    """Compile what needs compiling into ``directory``, which must exist.

    Returns why peers could not be built; empty where all were.
    """
    reasons = {}
    for peer, name in _NAMES.items():
        try:
            done = subprocess.run(  # noqa: S603 - our own module
                command("shrinker.bench.peers.build", name),
                cwd=directory,
                env=environment(),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            reasons[peer] = f"not built within {_SECONDS} seconds"
            continue
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            reasons[peer] = lines[-1] if lines else f"exit code {done.returncode}"
    return reasons


def main(name: str) -> None:
    """Build one peer into the current directory.  Raises whatever stops it."""
    if name == _NAMES[Peer.C_API]:
        _build_c_api(name)
    else:
        _build_extern_python(name)


def _build_c_api(name: str) -> None:
    from setuptools import Distribution, Extension  # noqa: PLC0415 - see above

    source = Path(__file__).with_name(f"{name}.c")
    # Beside the result, not in the package, which may be read only.
    copy = Path(source.name)
    copy.write_bytes(source.read_bytes())
    extension = Extension(
        name,
        [str(copy)],
        include_dirs=[shrinker.get_include()],
        extra_compile_args=["-std=c11", "-O2"],
    )
    building = Distribution({"ext_modules": [extension]}).get_command_obj("build_ext")
    building.build_lib = "."
    building.build_temp = "build"
    building.ensure_finalized()
    building.run()


def _build_extern_python(name: str) -> None:
    from cffi import FFI  # noqa: PLC0415

    ffi = FFI()
    ffi.cdef(_DECLARATIONS)
    ffi.set_source(
        name,
        "#include <shrinker/shrinker.h>",
        include_dirs=[shrinker.get_include()],
        extra_compile_args=["-std=c11", "-O2"],
    )
    ffi.compile(tmpdir=".")


if __name__ == "__main__":
    main(sys.argv[1])
