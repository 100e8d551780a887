"""The interpreter ends while the library is in use: exit status 0, nothing on
stderr."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from processes_support import run

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = int(os.environ.get("SHRINKER_STRESS_SECONDS", "1"))
WALKER = """
def walk():
    try:
        while True:
            domain.shrink_slab(priority=0)
            domain.reclaim(10)
    except ShrinkerError:
        assert domain.closed
def start(target):
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread
"""


@pytest.mark.parametrize(
    "code",
    {
        "threads in passes": "for _ in range(3): start(walk)\ntime.sleep(0.05)",
        "a thread asleep in a callback": """
inside = threading.Event()
class Sleeper(Cache):
    def count_objects(self, sc):
        inside.set()
        time.sleep(3600)
sleeper = ShrinkerBuilder("s", domain=domain).register(Sleeper())
start(walk)
inside.wait()
""",
        "a thread that waits in close() for one asleep": """
inside = threading.Event()
class Sleeper(Cache):
    def count_objects(self, sc):
        inside.set()
        time.sleep(3600)
sleeper = ShrinkerBuilder("s", domain=domain).register(Sleeper())
start(walk)
inside.wait()
start(sleeper.close)
while not sleeper.closed: time.sleep(0.001)
""",
        "threads that register and close": """
def owner():
    while True:
        ShrinkerBuilder("o", domain=domain).register(Cache()).close()
start(walk); start(owner); start(owner)
time.sleep(0.05)
""",
        "threads that make and end groups": """
def owner():
    while True:
        group = domain.create_memcg("g")
        domain.shrink_slab(memcg=group)
        group.offline()
        group.close()
start(walk); start(owner)
time.sleep(0.05)
""",
        "a thread that reads a trace": """
def reader():
    with domain.trace() as trace:
        while True: len(trace)
start(walk); start(reader)
time.sleep(0.05)
""",
        "a registration closed at exit": """
import atexit
atexit.register(registration.close)
atexit.register(domain.close)
start(walk)
time.sleep(0.05)
""",
        "a walk at exit, after threads": """
import atexit
atexit.register(lambda: domain.reclaim(10))
start(walk)
""",
        "finalisers of modules that walk and close": """
class Last:
    def __init__(self): self.parts = domain, registration
    def __del__(self):
        self.parts[0].shrink_slab(priority=0)
        self.parts[1].close()
last = Last()
sys.modules["last"] = last
start(walk)
""",
        "a thread that is no daemon": """
def some():
    for _ in range(50): domain.shrink_slab(priority=0)
threading.Thread(target=some).start()
""",
        "caches and a reclaimer in mid reclaim": """
inside = threading.Event()
class Slow(Cache):
    def scan_objects(self, sc):
        inside.set()
        time.sleep(0.001)
        return 1
slow = ShrinkerBuilder("slow", domain=domain).register(Slow())
memory.used = LIMIT - 30 * MIB
lru = shrinker.cache.Cache(domain=domain)
lru["a"] = 1
Reclaimer(domain, memory=memory, watermarks=MARKS, source=None, trim=False).start()
inside.wait()
start(walk)
""",
    }.items(),
    ids=lambda item: item[0],
)
def test_the_end(code: tuple[str, str]) -> None:
    """With live registrations, whatever the threads are doing."""
    for _ in range(ROUNDS):
        assert run(f"{WALKER}sys.setswitchinterval(1e-6)\n{code[1]}") == ""


def test_exit_status_is_kept() -> None:
    """sys.exit() sets the status, in a callback and beside running walks."""
    run(f"{WALKER}start(walk)\nsys.exit(7)", status=7)
    code = """
class Exiting(Cache):
    def count_objects(self, sc): sys.exit(7)
exiting = ShrinkerBuilder("e", domain=domain).register(Exiting())
start(walk)
domain.shrink_slab()
"""
    run(WALKER + code, status=7)


OUTLIVES = """
#include <unistd.h>
volatile int inside;
unsigned long count(void *shrinker, void *control)
{
	inside = 1;
	usleep(500000);
	return 0;
}
unsigned long scan(void *shrinker, void *control) { return 0; }
void linger(void) { usleep(1500000); }
"""


def test_a_walk_that_outlives_the_interpreter(tmp_path: Path) -> None:
    """A thread is in a native callback when the interpreter goes, and wants it next."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source, library = tmp_path / "outlives.c", tmp_path / "outlives.so"
    source.write_text(OUTLIVES, encoding="ascii")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", library, source], check=True, timeout=120
    )
    program = f"""
import ctypes
native = ctypes.CDLL({str(library)!r})
registration.close()
first = ShrinkerBuilder("n", domain=domain).register_native(native.count, native.scan)
second = ShrinkerBuilder("p", domain=domain).register(Cache())
# The process lives on when the interpreter is gone.
ctypes.pythonapi.Py_AtExit(native.linger)
start(walk)
while not ctypes.c_int.in_dll(native, "inside").value: time.sleep(0.001)
"""
    assert run(WALKER + program) == ""
