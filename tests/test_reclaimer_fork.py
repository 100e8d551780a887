"""The reclaimer and the process around it: forks, the interpreter's end, imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HELPERS = str(Path(__file__).parent)

SETUP = f"""
import os, sys, threading
sys.path.insert(0, {HELPERS!r})
from pressure_support import *
from tests_support import register
import shrinker
from shrinker import Domain
from shrinker.pressure import Reclaimer

domain = Domain()
memory = FakeMemory(500)
cache = Pages(100_000, memory)
registration = register(domain, cache)
inside, go_on = threading.Event(), threading.Event()

def hang():
    inside.set()
    go_on.wait()

def made(**options):
    settings = dict(memory=memory, watermarks=MARKS, source=None, trim=False)
    return Reclaimer(domain, **{{**settings, **options}})
"""


def run(code: str, *, status: int = 0) -> str:
    """Run in an interpreter of its own; it must end by itself, and say nothing bad."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", SETUP + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_nothing_starts_on_import() -> None:
    """Importing makes no thread; neither does making a reclaimer."""
    assert run("made(); print(threading.active_count())") == "1\n"


def test_a_child_has_a_stopped_reclaimer() -> None:
    """In the child nothing watches, and start() works; the parent goes on."""
    out = run("""
source = FakeSource()
reclaimer = made(source=source).start()
descriptors = set(os.listdir("/proc/self/fd"))
pid = os.fork()
if not pid:
    assert not reclaimer.running
    assert domain._growth._watcher is None
    assert domain._growth.allowance == float("inf")
    assert not source.is_open
    assert len(os.listdir("/proc/self/fd")) < len(descriptors)
    memory.used = LIMIT - 30 * MIB
    scanned = threading.Event()
    cache.on_scan = scanned.set
    with reclaimer:
        assert reclaimer.running and source.is_open
        assert scanned.wait(20)
    print("child done", flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert reclaimer.running and source.is_open
scanned = threading.Event()
cache.on_scan = scanned.set
source.say()
memory.used = LIMIT - 30 * MIB
assert scanned.wait(20)
reclaimer.stop()
print("parent done")
""")
    assert out == "child done\nparent done\n"


def test_fork_in_the_middle_of_a_reclaim() -> None:
    """The thread that held everything is gone in the child, and nothing is stuck."""
    out = run("""
memory.used = LIMIT - 30 * MIB
cache.on_scan = hang
reclaimer = made().start()
assert inside.wait(20)
reclaimer._lock.acquire()
reclaimer._worker._busy = True
pid = os.fork()
if not pid:
    cache.on_scan = lambda: None
    reclaimer.stop()
    assert reclaimer.look() is not None
    with reclaimer:
        assert reclaimer.running
    print("child done", flush=True)
    os._exit(0)
reclaimer._worker._busy = False
reclaimer._lock.release()
assert os.waitpid(pid, 0)[1] == 0
go_on.set()
reclaimer.stop()
print("parent done")
""")
    assert out == "child done\nparent done\n"


def test_fork_inside_of_a_direct_reclaim() -> None:
    """A callback on an inserting thread may fork; both go on."""
    out = run("""
memory.used = LIMIT - 30 * MIB
reclaimer = made()
pids = []
def fork():
    if not pids:
        pids.append(os.fork())
reclaimer._worker.watch(reclaimer._direct)
cache.on_scan = fork
domain._growth.exceeded()
assert not reclaimer._worker._busy
if not pids[0]:
    print("child done", flush=True)
    os._exit(0)
assert os.waitpid(pids[0], 0)[1] == 0
print(reclaimer.history()[0].action)
""")
    assert out == "child done\ndirect\n"


def test_the_end_with_a_running_reclaimer() -> None:
    """Nobody has to stop it."""
    assert run("made().start(); print('end')") == "end\n"


def test_the_end_in_the_middle_of_a_reclaim() -> None:
    """A reclaim under way is waited for, and ends in order."""
    out = run("""
memory.used = LIMIT - 30 * MIB
def scan():
    inside.set()
    go_on.wait(0.05)
    go_on.set()
cache.on_scan = scan
made().start()
assert inside.wait(20)
print("end")
""")
    assert out == "end\n"


def test_the_end_with_a_callback_that_hangs() -> None:
    """A callback that never returns does not keep the interpreter."""
    out = run("""
import shrinker.pressure.reclaimer as module
module.AT_EXIT = 0.1
memory.used = LIMIT - 30 * MIB
cache.on_scan = hang
made().start()
assert inside.wait(20)
print("end")
""")
    assert out == "end\n"


def test_sys_exit_under_load() -> None:
    """The exit status is the program's, with inserts and reclaims in all threads."""
    run(
        """
memory.used = LIMIT - 30 * MIB
def insert():
    while True:
        cache.pages += 1000
        memory.used = LIMIT - 30 * MIB
        domain._growth.grown += 1 << 20
        if domain._growth.grown > domain._growth.allowance:
            domain._growth.exceeded()
made(cooldown=0).start()
for _ in range(3):
    threading.Thread(target=insert, daemon=True).start()
registration.count()
sys.exit(7)
""",
        status=7,
    )
