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
import sysconfig
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent
INCLUDES = ("csrc/include", "csrc", "csrc/python")
HEADERS = (
    "shrinker/types.h",
    "shrinker/shrinker.h",
    "shrinker/domain.h",
    "shrinker/memcg.h",
    "shrinker/trace.h",
    "shrinker/one_pass.h",
    "shrinker/trace_text.h",
    "trace_replay.h",
    "python_control.h",
    "python_host.h",
    "bench_callbacks.h",
)
# What the core calls in Python (csrc/python/python_host.c).
CALLBACKS = """
extern "Python+C" {
    void shrinker_py_run(int, unsigned long, bool);
    unsigned long shrinker_py_pass_scan(
        unsigned long, unsigned long, unsigned long *);
}
"""
# A macro with a value and without arguments.
CONSTANT = re.compile(
    r"#define ((?!SHRINKER_CDEF)(?:SHRINK|DEF|RECLAIM|MEMCG|TRACE|GFP|__GFP)\w*) \S"
)


def preprocess(*options: str) -> str:
    """Return all headers as the preprocessor leaves them for cffi."""
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    command = [*shlex.split(compiler), "-E", "-P", "-DSHRINKER_CDEF", *options]
    command += [f"-I{ROOT / path}" for path in INCLUDES]
    return subprocess.run(
        [*command, "-x", "c", "-"],
        input="".join(f"#include <{header}>\n" for header in HEADERS),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout


def constants() -> str:
    """Return a declaration for each constant; the C compiler fills in values."""
    names = CONSTANT.findall(preprocess("-dM"))
    return "".join(f"#define {name} ...\n" for name in sorted(names))


ffibuilder = FFI()
ffibuilder.cdef(preprocess() + constants() + CALLBACKS)
ffibuilder.set_source(
    "shrinker._shrinker",
    "".join(f"#include <{header}>\n" for header in HEADERS),
    sources=[
        "csrc/python/python_control.c",
        "csrc/python/python_host.c",
        "csrc/python/bench_callbacks.c",
    ],
    include_dirs=list(INCLUDES),
    # The stable ABI of the oldest Python that is supported: one wheel for all.
    define_macros=[("Py_LIMITED_API", "0x030b0000")],
    extra_compile_args=["-std=c11", "-O2"],
    py_limited_api=True,
)

if __name__ == "__main__":
    print(preprocess() + constants() + CALLBACKS)
