"""The GIL and the core's locks: no thread waits for one while it holds the other."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests_support import HAS_GIL, Scripted, register

if TYPE_CHECKING:
    from shrinker import Domain

HERE = Path(__file__).parents[1]
LIMIT_SECONDS = 300
"""Long enough for a slow machine: only a program that hangs meets it."""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program of ``tests`` in a new interpreter."""
    program, *others = map(str, arguments)
    return subprocess.run(
        # From 3.12 on Python warns of a fork beside threads; here it is the test.
        [sys.executable, "-W", "ignore::DeprecationWarning", HERE / program, *others],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def watcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that watches in which order locks and the GIL are taken."""
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    if shutil.which(compiler[0]) is None:
        compiler = ["cc"]
    if shutil.which(compiler[0]) is None:
        pytest.skip("no C compiler to make lock_order.c with")
    library = tmp_path_factory.mktemp("watcher") / "lock_order.so"
    core = HERE.parent / "csrc"
    options = [
        "-std=gnu11",
        "-O1",
        "-fPIC",
        "-shared",
        f"-I{core}",
        f"-I{core}/include",
    ]
    made = subprocess.run(
        [*compiler, *options, "-o", library, HERE / "lock_order.c", "-ldl"],
        # A sanitizer's library must not be loaded into the compiler.
        env={k: v for k, v in os.environ.items() if k != "LD_PRELOAD"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.returncode, made.stderr) == (0, "")
    return library


def watched(watcher: Path, *what: str) -> Any:
    """Return what lock_order.py prints; it must break no rule."""
    done = run("lock_order.py", watcher, *what)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("what", "broken"),
    [
        ("into Python with a lock", "PyGILState_Ensure(), with registry_lock held"),
        (
            "into Python with a lock and the GIL",
            "PyGILState_Ensure(), with tree_lock held",
        ),
        (
            "a wait with the GIL",
            "a wait for callbacks with the GIL, with dying_lock held",
        ),
        (
            "a wait with another lock",
            "a wait for callbacks, with registry_lock, dying_lock held",
        ),
        (
            "a wait with a lock of the Python code",
            "a wait for callbacks with a lock of the Python code, with dying_lock held",
        ),
        ("a lock out of order", "tree_lock out of order, with id_lock held"),
        ("a lock twice", "id_lock out of order, with id_lock held"),
        ("locks of two domains", "id_lock out of order, with tree_lock held"),
        ("an unknown lock", "a lock that csrc/domain.h does not name"),
    ],
)
def test_the_watcher_sees(watcher: Path, what: str, broken: str) -> None:
    """It finds each rule of lock_order.c broken, so the next tests can fail."""
    done = run("lock_order.py", watcher, "misbehave", what)
    assert (done.returncode, done.stderr) == (3, f"{broken}\n")


def test_no_thread_waits_for_the_gil_with_a_lock_held(watcher: Path) -> None:
    """All calls keep the rules of lock_order.c.

    A walk that stays in Python takes only three locks with the GIL held, each for a few
    instructions: tree_lock between groups, and dying_lock and id_lock when it releases
    a shrinker that was freed.
    """
    seen = watched(watcher, "calls")
    assert all(seen["taken"].values()), seen
    with_gil = {lock for lock, times in seen["taken with the GIL"].items() if times}
    if not HAS_GIL:
        with_gil.discard("domains_lock")  # Domains may go meanwhile: another such lock.
    assert with_gil == {"tree_lock", "dying_lock", "id_lock"}
    assert seen["ways into Python"] > 1000
    assert seen["waits"] == 1


@pytest.mark.untraced(
    "the child may have a lock of the tracer's that a thread of its parent held"
)
def test_each_lock_and_the_gil(watcher: Path) -> None:
    """For each call and each lock that it takes with the GIL held: another thread holds
    the lock, the call wants it, the thread wants the GIL, and both go on."""
    freeing = ["registry_lock", "dying_lock", "id_lock"]
    assert watched(watcher, "pairs") == {
        "a builder goes": freeing,
        "a registration goes": freeing,
        "a registration goes in its callback": freeing,
        "a memcg goes": ["tree_lock"],
        "a domain goes": ["domains_lock"],
        "a fork": ["domains_lock", "memcg_lock", "tree_lock", *freeing],
    }


def test_each_lock_of_the_python_code_and_the_gil(watcher: Path) -> None:
    """A thread that waits for a lock of the Python code lets its holder go on."""
    assert watched(watcher, "pairs in Python") == [
        "the default domain's",
        "a trace's",
        "a reclaimer's",
        "a journal's",
    ]


@pytest.mark.parametrize("is_watched", [False, True], ids=["alone", "watched"])
def test_no_deadlock_between_the_gil_and_our_locks(
    is_watched: bool, request: pytest.FixtureRequest
) -> None:
    """Registering, freeing, walking, groups and traces beside each other end.

    With shrinkers in Python, native ones whose callbacks take the GIL, and callbacks
    that call the library.
    """
    libraries = [request.getfixturevalue("watcher")] if is_watched else []
    done = run("gil_and_locks.py", *libraries)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "True"], done.stderr


def test_a_python_walk_lets_other_threads_in(domain: Domain) -> None:
    """Each callback waits in Python until another thread has run, and it has."""
    asked, ran = 0, 0
    over = threading.Event()

    def other() -> None:
        nonlocal ran
        while not over.is_set():
            ran = asked

    def count(_sc: object) -> int:
        nonlocal asked
        asked += 1
        turns = 0
        while ran != asked and turns < 10**9:
            turns += 1
        return 0

    thread = threading.Thread(target=other)
    thread.start()
    try:
        registrations = [register(domain, Scripted(count)) for _ in range(3)]
        domain.shrink_slab()
        assert asked == 3
        assert ran == 3
    finally:
        over.set()
        thread.join()
    for registration in registrations:
        registration.close()


PAUSED = """
import ctypes, faulthandler, signal, threading
from shrinker import Domain, ShrinkerBuilder

faulthandler.dump_traceback_later(240, exit=True)
signal.signal(signal.SIGUSR1, lambda *_: None)
libc = ctypes.CDLL(None)
with Domain() as domain:
    builder = ShrinkerBuilder("paused", domain=domain)
    with builder.register_native(libc.pause, libc.getpid):
        walked, leave = threading.Event(), threading.Event()
        def shrink():
            domain.shrink_slab()
            walked.set()
            leave.wait()  # No signal goes to a thread that has ended.
        walk = threading.Thread(target=shrink)
        walk.start()
        sent = 0
        while not walked.is_set():
            signal.pthread_kill(walk.ident, signal.SIGUSR1)
            sent += 1
        leave.set()
        walk.join()
        entries = domain.statistics().host_entries
print(sent > 0, entries)
"""


def test_a_walk_in_c_does_not_hold_the_gil() -> None:
    """A thread in Python wakes a callback that sleeps in C.

    ``pause()`` ends with a signal, which no thread could send if the walk held the GIL.
    """
    done = subprocess.run(
        [sys.executable, "-c", PAUSED],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "0"]
