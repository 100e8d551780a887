"""Programs that end, fork and spawn, each in an interpreter of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["run"]

# Far more than each takes, also on a slow machine: only what hangs is ended.
CHILD_SECONDS = 200
PROGRAM_SECONDS = 300

# Released memory reads as rubbish.
ENVIRONMENT = {**os.environ, "MALLOC_PERTURB_": "165"}
# Threads that end with a fork or the interpreter leave behind what they had, which
# LeakSanitizer (make check-asan) may take for a leak.
WITHOUT_LEAKS = {"ASAN_OPTIONS": f"{os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"}

SETUP = f"""
import os, signal, sys, threading, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pressure_support import *
import shrinker.cache
from shrinker import *
from shrinker.cache import cached
from shrinker.pressure import Reclaimer

class Cache:
    def count_objects(self, sc): return 1000
    def scan_objects(self, sc): return sc.nr_to_scan

domain = Domain(nr_nodes=2)
memory = FakeMemory(500)
memory.resident = lambda: 0  # So that the caches are not small beside the process.
registration = ShrinkerBuilder("c", domain=domain).register(Cache())

def child(use):
    "Fork; call use() in the child, which is ended if it hangs; return its status."
    pid = os.fork()
    if not pid:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm({CHILD_SECONDS})
            use()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def run(
    code: str, *, status: int = 0, path: Path | None = None, leaks: bool = False
) -> str:
    """Run a program after SETUP, from a file ``path`` if given; return its output.

    It must end by itself with that exit status and write nothing to stderr.
    ``leaks``: LeakSanitizer, where it is there, looks for leaks.
    """
    program = SETUP + code
    arguments = ["-c", program]
    if path is not None:
        path.write_text(program, encoding="utf-8")
        arguments = [str(path)]
    done = subprocess.run(
        [
            sys.executable,
            *("-W", "ignore::ResourceWarning"),
            # Later Pythons warn of forking beside threads, which these programs do.
            *("-W", "ignore::DeprecationWarning"),
            *arguments,
        ],
        env=ENVIRONMENT if leaks else ENVIRONMENT | WITHOUT_LEAKS,
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (status, ""), (
        f"exit status {done.returncode}\n{done.stderr}"
    )
    return done.stdout
