"""The GIL and the core's locks: nobody waits for one with the other in hand."""

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
from tests_support import Scripted, register

if TYPE_CHECKING:
    from shrinker import Domain

HERE = Path(__file__).parent
LIMIT = 300
"""Seconds; how long a test waits for what is stuck, and not for what is slow."""


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program of this folder in an interpreter of its own."""
    program, *others = map(str, arguments)
    return subprocess.run(
        # Later Pythons warn of a fork beside threads, which is what is shown.
        [sys.executable, "-W", "ignore::DeprecationWarning", HERE / program, *others],
        capture_output=True,
        text=True,
        timeout=LIMIT,
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
        # What a sanitizer preloads is not for compilers.
        env={k: v for k, v in os.environ.items() if k != "LD_PRELOAD"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.returncode, made.stderr) == (0, "")
    return library


def watched(watcher: Path, *what: str) -> Any:
    """Return what lock_order.py prints; it has to break no rule."""
    done = run("lock_order.py", watcher, *what)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("what", "broken"),
    [
        ("into Python with a lock", "PyGILState_Ensure(), with registry_lock in hand"),
        (
            "into Python with a lock and the GIL",
            "PyGILState_Ensure(), with tree_lock in hand",
        ),
        (
            "a wait with the GIL",
            "a wait for callbacks with the GIL, with dying_lock in hand",
        ),
        (
            "a wait with another lock",
            "a wait for callbacks, with registry_lock, dying_lock in hand",
        ),
        (
            "a wait with a lock of Python's",
            "a wait for callbacks with a lock of Python's, with dying_lock in hand",
        ),
        ("a lock out of order", "tree_lock out of order, with id_lock in hand"),
        ("a lock twice", "id_lock out of order, with id_lock in hand"),
        ("locks of two domains", "id_lock out of order, with tree_lock in hand"),
        ("an unknown lock", "a lock that is none of domain.h's"),
    ],
)
def test_the_watcher_sees(watcher: Path, what: str, broken: str) -> None:
    """Each rule of lock_order.c, when it is broken: the next tests can fail."""
    done = run("lock_order.py", watcher, "misbehave", what)
    assert (done.returncode, done.stderr) == (3, f"{broken}\n")


def test_nobody_waits_for_the_gil_with_a_lock_in_hand(watcher: Path) -> None:
    """Nor for callbacks, nor calls any; whatever is called takes locks in one order.

    What a walk that stays in Python waits for with the GIL in hand are locks that
    nobody holds for long: tree_lock from group to group, and dying_lock and id_lock
    where it lets go of what was freed.
    """
    seen = watched(watcher, "calls")
    assert all(seen["taken"].values()), seen
    with_gil = {lock for lock, times in seen["taken with the GIL"].items() if times}
    assert with_gil == {"tree_lock", "dying_lock", "id_lock"}
    assert seen["ways into Python"] > 1000
    assert seen["waits"] == 1


@pytest.mark.untraced(
    "the child may have a lock of the tracer's that a thread of its parent held"
)
def test_each_lock_and_the_gil(watcher: Path) -> None:
    """For each lock of the core and each that takes it with the GIL in hand: a thread
    has the lock when the other one wants it, wants the GIL next, and both go on."""
    freeing = ["registry_lock", "dying_lock", "id_lock"]
    assert watched(watcher, "pairs") == {
        "a builder goes": freeing,
        "a registration goes": freeing,
        "a registration goes in its callback": freeing,
        "a memcg goes": ["tree_lock"],
        "a domain goes": ["domains_lock"],
        "a fork": ["domains_lock", "memcg_lock", "tree_lock", *freeing],
    }


def test_each_lock_of_pythons_and_the_gil(watcher: Path) -> None:
    """Whoever waits for a lock of the package's own lets its owner go on."""
    assert watched(watcher, "pairs of Python's") == [
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

    Python shrinkers, native ones whose callbacks take the GIL for themselves, and
    callbacks that enter the library: what waits for a lock has given the GIL up.
    """
    libraries = [request.getfixturevalue("watcher")] if is_watched else []
    done = run("gil_and_locks.py", *libraries)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", "True"], done.stderr


def test_a_python_walk_lets_other_threads_in(domain: Domain) -> None:
    """A callback goes on only when another thread has run: it does, within a walk."""
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

faulthandler.dump_traceback_later(60, exit=True)
signal.signal(signal.SIGUSR1, lambda *_: None)
libc = ctypes.CDLL(None)
with Domain() as domain:
    builder = ShrinkerBuilder("paused", domain=domain)
    with builder.register_native(libc.pause, libc.getpid):
        walk = threading.Thread(target=domain.shrink_slab)
        walk.start()
        sent = 0
        while walk.is_alive():
            signal.pthread_kill(walk.ident, signal.SIGUSR1)
            sent += 1
        entries = domain.statistics().host_entries
print(sent > 0, entries)
"""


def test_a_walk_in_c_does_not_hold_the_gil() -> None:
    """A callback that sleeps in C is woken by a thread in Python.

    ``pause()`` ends with a signal, which nobody could send if the walk held the GIL.
    """
    done = subprocess.run(
        [sys.executable, "-c", PAUSED],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "0"]
