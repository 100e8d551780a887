"""The reclaimer and the process around it: forks, the interpreter's end, imports."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from pressure_support import FakeMemory, FakeSource, Log, descriptors, make

from shrinker import Domain

HELPERS = str(Path(__file__).parents[1])


SETUP = f"""
import os, sys, threading
sys.path.insert(0, {HELPERS!r})
from pressure_support import *
from tests_support import register
import shrinker
from shrinker import Domain

domain = Domain()
memory = FakeMemory(500)
cache = Pages(100_000, memory)
registration = register(domain, cache)
inside, go_on = threading.Event(), threading.Event()

def hang():
    inside.set()
    go_on.wait()

def made(**options):
    return make(domain, memory, **options)
"""


def run(code: str, *, status: int = 0) -> str:
    """Run in an interpreter of its own; it must end by itself, and say nothing bad."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", SETUP + code],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_nothing_starts_on_import() -> None:
    """Importing makes no thread; neither does making a reclaimer."""
    assert run("made(); print(threading.active_count())") == "1\n"


IN_POLL = """
import ctypes, select, time
from pathlib import Path
import shrinker.pressure.thread as module

# poll and ppoll of x86-64, ppoll of ARM; poll() of later glibcs is the second.
POLLS = {"7", "271", "73"}

def wait_for_poll(reclaimer):
    path = Path(f"/proc/self/task/{thread_of(reclaimer).native_id}/syscall")
    while path.read_text().split()[0] not in POLLS:
        time.sleep(0.001)
"""
"""A fork in C copies the GIL as it is.  With a thread that has just let it go, or that
waits for it, the child may wait for ever: neither Python nor glibc mends that.  In
``poll`` the thread is done with it."""

needs_poll = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "aarch64"}
    or not Path("/proc/self/syscall").exists(),
    reason="nothing tells where the thread is",
)


GO_ON_IN_CHILD = (
    IN_POLL
    + """
usual = module.MIN_PERIOD_SECONDS
fork = os.fork
if IN_C:
    fork = ctypes.PyDLL(None).fork
    module.MIN_PERIOD_SECONDS = 60  # It stays in poll.
reclaimer = made().start()
if IN_C:
    wait_for_poll(reclaimer)
pid = fork()
if not pid:
    module.MIN_PERIOD_SECONDS = usual
    scanned = threading.Event()
    cache.on_scan = scanned.set
    assert not reclaimer.running
    growth_of(domain).grown += LIMIT  # As if all were used up.
    grow(domain)
    assert reclaimer.running, reclaimer
    memory.used = LIMIT - 30 * MIB
    reclaimer.wake()
    assert scanned.wait(SOON)
    reclaimer.stop()
    print("child done", flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert reclaimer.running
reclaimer.stop()
"""
)


@pytest.mark.parametrize("in_c", [False, pytest.param(True, marks=needs_poll)])
def test_it_goes_on_in_a_child(in_c: bool) -> None:
    """From the first insert on, with a thread; also after a fork in C (uWSGI)."""
    assert run(f"IN_C = {in_c}\n{GO_ON_IN_CHILD}") == "child done\n"


FORK_BEFORE_THE_FIRST_LOOK = (
    IN_POLL
    + """
reader, writer = os.pipe()
def hang():
    if memory.reads > 1:  # The first time start() reads.
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        poll.poll()
memory.on_read = hang
reclaimer = made().start()
wait_for_poll(reclaimer)
pid = ctypes.PyDLL(None).fork()
if not pid:
    memory.on_read = lambda: None
    grow(domain, 2 * MIB)
    assert reclaimer.running, reclaimer
    reclaimer.stop()
    print("child done", flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
os.write(writer, b"1")
reclaimer.stop()
"""
)


@needs_poll
def test_it_goes_on_in_a_child_forked_before_the_first_look() -> None:
    """In C, so only an insert can tell; no look has said yet when one is to ask."""
    assert run(FORK_BEFORE_THE_FIRST_LOOK) == "child done\n"


WATCH_IN_CHILD = """
import time
from shrinker.cache import watch
values = {}
watch(values, lock=threading.Lock(), domain=domain)
reclaimer = made(restart_after_fork=RESTART).start()
pid = os.fork()
if not pid:
    end = time.monotonic() + (SOON if RESTART else 0.3)
    while not reclaimer.running and time.monotonic() < end:
        time.sleep(0.001)
    assert reclaimer.running == RESTART, reclaimer
    reclaimer.stop()
    print("child done", flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
reclaimer.stop()
"""


@pytest.mark.parametrize("restart", [True, False])
def test_a_child_with_watched_caches_needs_no_insert(restart: bool) -> None:
    """Inserts into a dict cannot be seen, so it goes on by itself, unless told not
    to."""
    assert run(f"RESTART = {restart}\n{WATCH_IN_CHILD}") == "child done\n"


def test_a_child_that_inserts_nothing_has_no_thread() -> None:
    """stop() there cancels the start, and so does leaving the parent's block."""
    out = run("""
with made() as reclaimer:
    pid = os.fork()
    if not pid:
        assert "first insert after a fork" in repr(reclaimer)
if not pid:
    assert not is_watched(domain)
    grow(domain)
    assert threading.active_count() == 1 and not reclaimer.running
    print("child done", flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
""")
    assert out == "child done\n"


@pytest.mark.parametrize("first", ["", "grow(domain)"])
def test_one_started_in_the_child_takes_over(first: str) -> None:
    """As in gunicorn's post_fork: the parent's gives way, whether it went on or not."""
    out = run(f"""
parents = made().start()
pid = os.fork()
if not pid:
    {first}
    with made() as own:
        assert own.running and not parents.running
        grow(domain)
        assert not parents.running
    print("child done", flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
parents.stop()
""")
    assert out == "child done\n"


DAEMON = """
reclaimer = made().start()
if os.fork():
    os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
if os.fork():  # Without an insert before.
    os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
growth_of(domain).grown += 1
grow(domain)
print(reclaimer.running, flush=True)
reclaimer.stop()
os._exit(0)
"""


def test_it_goes_on_in_the_child_of_a_child() -> None:
    """As where a program becomes a daemon by two forks."""
    assert run(DAEMON) == "True\n"


IN_UWSGI = """
import ctypes, types
state = types.SimpleNamespace(worker=0)
uwsgi = sys.modules["uwsgi"] = types.ModuleType("uwsgi")
uwsgi.opt = {{"threads": b"2"}}
uwsgi.worker_id = lambda: state.worker
uwsgi.mule_id = lambda: 0
uwsgi.masterpid = lambda: {master}
reclaimer = made().start()
assert not reclaimer.running
assert threading.active_count() == 1
for _ in range(3):
    memory.used = used = LIMIT - 5 * MIB  # Below min: the master fills a cache.
    growth_of(domain).grown += 1
    grow(domain)
    assert memory.used < used
    assert not reclaimer.running
pid = {fork}()
if not pid:
    state.worker = 1
    growth_of(domain).grown += 1
    grow(domain)
    assert reclaimer.running, reclaimer
    reclaimer.stop()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert threading.active_count() == 1
reclaimer.stop()
grow(domain)
print(reclaimer)
"""


@pytest.mark.parametrize("fork", ["os.fork", "ctypes.PyDLL(None).fork"])
@pytest.mark.parametrize("master", ["os.getpid()", "0"])
def test_no_thread_in_the_master_of_uwsgi(master: str, fork: str) -> None:
    """It forks without the GIL, which a thread may have.  Each worker starts one.

    Also where uWSGI is told to run Python's hooks around a fork.
    """
    assert run(IN_UWSGI.format(master=master, fork=fork)) == "<Reclaimer stopped>\n"


@pytest.mark.parametrize(
    ("worker", "mule", "master"), [(1, 0, 0), (0, 1, 0), (0, 0, -1)]
)
def test_other_processes_of_uwsgi_start_at_once(
    worker: int, mule: int, master: int, domain: Domain, monkeypatch: Any
) -> None:
    """A worker that loads the program itself, a mule, a spooler."""
    uwsgi = types.ModuleType("uwsgi")
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    with make(domain, FakeMemory(500)) as reclaimer:  # Another module of that name.
        assert reclaimer.running
    for name, value in (
        ("worker_id", worker),
        ("mule_id", mule),
        ("masterpid", master),
    ):
        setattr(uwsgi, name, lambda value=value: value)
    with make(domain, FakeMemory(500)) as reclaimer:
        assert reclaimer.running


def test_uwsgi_without_threads_is_said(log: Log, monkeypatch: Any) -> None:
    """There the thread never runs."""
    uwsgi = types.ModuleType("uwsgi")
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)
    for options, said in (({b"enable-threads": b"true"}, 0), ({b"master": b"1"}, 1)):
        uwsgi.opt = options  # type: ignore[attr-defined]
        with Domain() as domain, make(domain):
            assert log.count("uWSGI runs without threads") == said


def test_a_child_can_have_a_stopped_reclaimer() -> None:
    """Without a restart nothing watches there; start() works, the parent goes on."""
    out = run("""
source = FakeSource()
reclaimer = made(source=source, restart_after_fork=False).start()
descriptors = set(os.listdir("/proc/self/fd"))
pid = os.fork()
if not pid:
    assert not reclaimer.running
    assert not is_watched(domain)
    assert growth_of(domain).allowance == float("inf")
    assert not source.is_open
    assert len(os.listdir("/proc/self/fd")) < len(descriptors)
    memory.used = LIMIT - 30 * MIB
    scanned = threading.Event()
    cache.on_scan = scanned.set
    with reclaimer:
        assert reclaimer.running and source.is_open
        assert scanned.wait(SOON)
    print("child done", flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert reclaimer.running and source.is_open
scanned = threading.Event()
cache.on_scan = scanned.set
source.say()
memory.used = LIMIT - 30 * MIB
assert scanned.wait(SOON)
reclaimer.stop()
print("parent done")
""")
    assert out == "child done\nparent done\n"


def test_fork_in_the_middle_of_a_reclaim() -> None:
    """The thread that held the locks does not exist in the child; nothing is stuck."""
    out = run("""
memory.used = LIMIT - 30 * MIB
cache.on_scan = hang
reclaimer = made().start()
assert inside.wait(SOON)
reclaimer._lock.acquire()
worker_of(reclaimer).policy_turn.owner = -1
pid = os.fork()
if not pid:
    cache.on_scan = lambda: None
    reclaimer.stop()
    assert reclaimer.look() is not None
    with reclaimer:
        assert reclaimer.running
    print("child done", flush=True)
    os._exit(0)
worker_of(reclaimer).policy_turn.owner = None
reclaimer._lock.release()
assert os.waitpid(pid, 0)[1] == 0
go_on.set()
reclaimer.stop()
print("parent done")
""")
    assert out == "child done\nparent done\n"


def test_fork_inside_of_a_direct_reclaim() -> None:
    """A callback on a thread that inserts may fork; both processes go on."""
    out = run("""
memory.used = LIMIT - 30 * MIB
pids = []
def fork():
    if not pids:
        pids.append(os.fork())
cache.on_scan = fork
reclaimer = made()
worker_of(reclaimer).watch(reclaimer._direct)
use_up(domain)
assert worker_of(reclaimer).policy_turn.owner is None
if not pids[0]:
    print("child done", flush=True)
    os._exit(0)
assert os.waitpid(pids[0], 0)[1] == 0
print(reclaimer.history()[0].action)
""")
    assert out == "child done\ndirect\n"


def test_fork_beside_one_that_is_not_running() -> None:
    """Locks that another thread held at the fork do not stop the child."""
    out = run("""
import signal
reclaimer = made()
def hold():
    with reclaimer._lock, reclaimer._journal._lock:
        hang()
threading.Thread(target=hold).start()
inside.wait()
pid = os.fork()
if not pid:
    signal.alarm(200)
    reclaimer.history()
    with reclaimer:
        assert reclaimer.running
    print("child done", flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
go_on.set()
""")
    assert out == "child done\n"


def test_children_keep_no_descriptor(domain: Domain) -> None:
    """Not the source's, nor the waker's, whose thread's frame is never freed."""
    source = FakeSource()
    before = descriptors()
    with make(domain, source=source):
        pid = os.fork()
        if not pid:
            # Fewer where it has closed what other tests have left to be collected.
            os._exit(max(0, descriptors() - before))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert source.is_open


def test_the_end_with_a_running_reclaimer() -> None:
    """The interpreter's end stops it."""
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
assert inside.wait(SOON)
print("end")
""")
    assert out == "end\n"


def test_the_end_with_a_callback_that_hangs() -> None:
    """A callback that never returns does not hold the interpreter."""
    out = run("""
import shrinker.pressure.reclaimer as module
module.EXIT_SECONDS = 0.1
memory.used = LIMIT - 30 * MIB
cache.on_scan = hang
made().start()
assert inside.wait(SOON)
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
        grow(domain, 1 << 20)
made(cooldown=0).start()
for _ in range(3):
    threading.Thread(target=insert, daemon=True).start()
registration.count()
sys.exit(7)
""",
        status=7,
    )


def test_a_child_has_the_programs_switch_interval() -> None:
    """The thread that would restore it does not exist there."""
    code = """
from shrinker._switching import NUDGE_SWITCH_SECONDS, SwitchInterval, switching

def nudge():
    with switching(NUDGE_SWITCH_SECONDS):
        hang()

before = sys.getswitchinterval()
thread = threading.Thread(target=nudge, daemon=True)
thread.start()
assert inside.wait(SOON)
assert sys.getswitchinterval() < before
child = os.fork()
if not child:
    after = sys.getswitchinterval()
    interval = SwitchInterval()
    interval.begin(0.001)
    begun = sys.getswitchinterval()
    interval.end()
    os._exit([after, begun, sys.getswitchinterval()] != [before, 0.001, before])
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
go_on.set()
thread.join(SOON)
print(sys.getswitchinterval() == before)
"""
    assert run(code) == "0\nTrue\n"
