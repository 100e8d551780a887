"""Build the extension ``shrinker._shrinker`` with cffi.

Python's view of the C core is derived from the headers that C programs use:
the preprocessor, told ``SHRINKER_CDEF``, leaves the declarations that cffi
can read, and its list of macros gives the constants.  Nothing is copied by
hand, so nothing can drift apart.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NoReturn

from cffi import FFI

ROOT = Path(__file__).resolve().parent
INCLUDES = ("csrc/include", "csrc")
HEADERS = (
    "shrinker/types.h",
    "shrinker/shrinker.h",
    "shrinker/domain.h",
    "shrinker/memcg.h",
    "shrinker/events.h",
    "shrinker/one_pass.h",
    "shrinker/trace_text.h",
    "replay/replay.h",
    "replay/pairs.h",
    "python/control.h",
    "python/host.h",
    "python/growth.h",
    "python/lru_lists.h",
    "python/walks.h",
    "python/cache.h",
    "python/sizeof.h",
    "python/bench_callbacks.h",
)
PYTHON_H = Path(sysconfig.get_path("include"), "Python.h")
# What the core calls in Python (csrc/python/host.c).
CALLBACKS = """
extern "Python+C" {
    bool shrinker_py_run(int, unsigned long, bool);
    unsigned long shrinker_py_pass_scan(
        unsigned long, unsigned long, unsigned long *);
}
"""
# A macro with a value and without arguments.
CONSTANT = re.compile(
    r"#define ((?!SHRINKER_CDEF)(?:SHRINK|DEF|RECLAIM|MEMCG|TRACE|GFP|__GFP)\w*) \S"
)


def stop(problem: str) -> NoReturn:
    """End the build with one line: a traceback would hide what to do."""
    sys.exit(
        f"error: {problem}. Install what builds C extensions"
        " (Debian, Ubuntu: apt install build-essential python3-dev;"
        " Fedora: dnf install gcc python3-devel;"
        " Alpine: apk add build-base linux-headers python3-dev),"
        " or name another compiler in CC."
    )


def preprocess(*options: str) -> str:
    """Return all headers as the preprocessor leaves them for cffi."""
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    command = [*shlex.split(compiler), "-E", "-P", "-DSHRINKER_CDEF", *options]
    command += [f"-I{ROOT / path}" for path in INCLUDES]
    try:
        return subprocess.run(
            [*command, "-x", "c", "-"],
            input="".join(f"#include <{header}>\n" for header in HEADERS),
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout
    except OSError as error:
        stop(f"no C compiler: cannot run {command[0]} ({error.strerror})")
    except subprocess.CalledProcessError:
        stop(f"the C compiler {command[0]} failed on our headers, see above")


def constants() -> str:
    """Return a declaration for each constant; the C compiler fills in values."""
    names = CONSTANT.findall(preprocess("-dM"))
    return "".join(f"#define {name} ...\n" for name in sorted(names))


FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
if FREE_THREADED and sys.version_info[:2] != (3, 14):
    sys.exit(
        "error: of free-threaded Pythons shrinker supports 3.14;"
        f" {sys.executable} is {sys.version_info[0]}.{sys.version_info[1]}."
    )
if FREE_THREADED and os.environ.get("SHRINKER_FREE_THREADED") != "1":
    sys.exit(
        "error: shrinker's free-threaded build is for trials only: a child that is"
        " forked beside busy threads may hang. SHRINKER_FREE_THREADED=1 builds it."
    )
if not PYTHON_H.is_file():
    stop(f"no Python headers: {PYTHON_H} does not exist")

ffibuilder = FFI()
ffibuilder.cdef(preprocess() + constants() + CALLBACKS)
ffibuilder.set_source(
    "shrinker._shrinker",
    "".join(f"#include <{header}>\n" for header in HEADERS),
    sources=[
        "csrc/python/control.c",
        "csrc/python/host.c",
        "csrc/python/growth.c",
        "csrc/python/lru_lists.c",
        "csrc/python/walks.c",
        "csrc/python/cache.c",
        "csrc/python/cache_fork.c",
        "csrc/python/cache_ghosts.c",
        "csrc/python/cache_sampling.c",
        "csrc/python/cache_seeks.c",
        "csrc/python/cache_shrinker.c",
        "csrc/python/cache_sizes.c",
        "csrc/python/cache_ttl.c",
        "csrc/python/cache_types.c",
        "csrc/python/cached.c",
        "csrc/python/computations.c",
        "csrc/python/sizeof.c",
        "csrc/python/bench_callbacks.c",
    ],
    include_dirs=list(INCLUDES),
    # The library is linked in, so its sources make the extension out of date too.
    depends=sorted(
        str(path.relative_to(ROOT))
        for part in (".", "kit", "python", "replay", "include/shrinker")
        for path in (ROOT / "csrc" / part).glob("*.[ch]")
    ),
    # The stable ABI of the oldest Python that is supported: one wheel for all.  It has
    # no free-threaded Python.
    define_macros=[] if FREE_THREADED else [("Py_LIMITED_API", "0x030b0000")],
    libraries=["m"],
    # Each step of a cache calls Python: -fno-plt saves a jump for each call.
    extra_compile_args=["-std=c11", "-O2", "-fno-plt"],
    py_limited_api=not FREE_THREADED,
)

if __name__ == "__main__":
    print(preprocess() + constants() + CALLBACKS)
