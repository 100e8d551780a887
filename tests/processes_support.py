"""Programs that end, fork and spawn, each in an interpreter of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["run"]

ENVIRONMENT = {
    # Memory that was released reads as rubbish.
    "MALLOC_PERTURB_": "165",
    # make check-asan: threads that a fork or the interpreter's end loses take with
    # them what they had, and LeakSanitizer may meet them in the midst of it.  Its
    # errors are seen here, leaks in the programs that keep their threads.
    "ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0",
}

SETUP = f"""
import os, signal, sys, threading, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pressure_support import *
from shrinker import *
from shrinker.cache import LruCache, cached
from shrinker.pressure import Reclaimer

class Cache:
    def count_objects(self, sc): return 1000
    def scan_objects(self, sc): return sc.nr_to_scan

domain = Domain(nr_nodes=2)
memory = FakeMemory(500)
registration = ShrinkerBuilder("c", domain=domain).register(Cache())

def child(use):
    "Fork; the child does as told, in time; return its exit status."
    pid = os.fork()
    if not pid:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(20)
            use()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def run(code: str, *, status: int = 0, path: Path | None = None) -> str:
    """Run it; it has to end by itself with that status, and say nothing on stderr."""
    program = SETUP + code
    arguments = ["-c", program]
    if path is not None:
        path.write_text(program, encoding="utf-8")
        arguments = [str(path)]
    done = subprocess.run(
        [
            sys.executable,
            *("-W", "ignore::ResourceWarning"),
            # Forking beside threads, of which later Pythons warn, is what is shown.
            *("-W", "ignore::DeprecationWarning"),
            *arguments,
        ],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (status, "")
    return done.stdout
