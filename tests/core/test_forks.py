"""fork() beside threads that use the library: the child can use, close and make
domains, and nothing changes for the parent."""

from __future__ import annotations

import os

import pytest
from processes_support import run

pytestmark = pytest.mark.untraced(
    "the child may have a lock of the tracer's that a thread of its parent held"
)

FORKS = 20 * int(os.environ.get("SHRINKER_STRESS_SECONDS", "1"))

THREADS = """
sys.setswitchinterval(1e-6)
stop, failures = threading.Event(), []
def start(target):
    def guarded():
        try:
            while not stop.is_set(): target()
        except BaseException as error: failures.append(error)
    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    return thread

def use():
    registration.count()
    assert registration.scan(5) == 5
    assert domain.shrink_slab(priority=0) >= 1000
    assert domain.reclaim(10).nr_reclaimed >= 10
    with domain.trace() as trace:
        domain.shrink_slab(priority=0)
        assert len(trace) >= 2
    more = ShrinkerBuilder("more", domain=domain).register(Cache())
    group = domain.create_memcg("child's")
    domain.shrink_slab(memcg=group)
    group.offline()
    group.close()
    registration.close()
    assert domain.shrink_slab(priority=0) >= 1000
    domain.close()
    assert more.closed
    with Domain() as own, ShrinkerBuilder("n", domain=own).register(Cache()):
        assert own.shrink_slab(priority=0) >= 1000
        assert child(own.drop_slab) == 0  # A child of the child's.
    with ShrinkerBuilder("d").register(Cache()):
        assert default_domain().shrink_slab(priority=0) >= 1000
"""


@pytest.mark.parametrize(
    "threads",
    [
        pytest.param(
            ["lambda: domain.shrink_slab(priority=0)", "lambda: domain.reclaim(9)"],
            id="walks",
        ),
        pytest.param(
            ["come_and_go", "come_and_go", "domain.drop_slab"], id="registrations"
        ),
        pytest.param(["groups", "lambda: domain.reclaim(9)"], id="groups"),
        pytest.param(
            ["traced", "lambda: domain.reclaim(9)"],
            id="traces",
            marks=pytest.mark.no_asan(
                "a walk takes 32 KiB for events, and the child may have the lock of the"
                " sanitizer's allocator, which does not care for forks"
            ),
        ),
        pytest.param(
            ["registration.count", "lambda: registration.scan(3)"], id="direct calls"
        ),
    ],
)
def test_forks_beside_threads(threads: list[str]) -> None:
    """Many forks, at whatever point the threads are."""
    out = run(
        f"""{THREADS}
def come_and_go():
    ShrinkerBuilder("o", domain=domain).register(Cache()).close()
def groups():
    group = domain.create_memcg("g")
    domain.shrink_slab(memcg=group)
    group.offline()
    group.close()
def traced():
    try:
        with domain.trace(limit=5000) as trace:
            len(trace)
    except ShrinkerError: pass  # The other thread's.
running = [start(target) for target in [{", ".join(threads)}]]
for _ in range({FORKS}):
    assert child(use) == 0
stop.set()
for thread in running: thread.join()
assert failures == [], failures
use()
print("done")
"""
    )
    assert out == "done\n"


def test_locks_that_a_lost_thread_held() -> None:
    """A thread holds the lock of the default domain and that of a trace at the fork:
    in the child, which lacks the thread, both are free."""
    out = run(
        """
import shrinker.domain
trace = domain.trace()
trace.__enter__()
domain.shrink_slab(priority=0)
held, leave = threading.Event(), threading.Event()
def hold():
    with shrinker.domain._default_lock, trace._lock:
        held.set()
        leave.wait()
thread = threading.Thread(target=hold, daemon=True)
thread.start()
held.wait()
def use():
    assert not len(trace) and not trace.lost  # It ended here.
    trace.__exit__(None, None, None)
    default_domain().drop_slab()
    with domain.trace() as own:
        domain.shrink_slab(priority=0)
        assert len(own) == 2
assert child(use) == 0
leave.set()
thread.join()
assert len(trace) == 2
default_domain()
print("done")
"""
    )
    assert out == "done\n"


def test_preloaded_by_a_server() -> None:
    """As under gunicorn's preload: caches are filled, a reclaimer is started and a
    walk runs before the workers are forked. Each worker starts its own reclaimer, and
    gives back what it has added itself: the rest is shared by all."""
    out = run(
        f"""{THREADS}
lru = shrinker.cache.Cache(domain=domain)
@cached(domain=domain)
def square(n): return n * n
for n in range(1000): lru[n] = square(n)
reclaimer = Reclaimer(domain, memory=memory, watermarks=MARKS, source=None,
                      trim=False).start()
inside, leave = threading.Event(), threading.Event()
class Slow(Cache):
    def count_objects(self, sc):
        inside.set()
        leave.wait()
        return 0
slow = ShrinkerBuilder("slow", domain=domain).register(Slow())
running = threading.Thread(target=domain.shrink_slab, daemon=True)
running.start()
inside.wait()
def worker():
    leave.set()
    assert not reclaimer.running
    assert lru[7] == 49 and square(8) == 64
    for n in range(1000, 2000): lru[n] = n
    memory.used = LIMIT - 30 * MIB
    with reclaimer:
        while not reclaimer.statistics().reclaims: time.sleep(0.001)
    assert 1000 <= len(lru) < 2000
    slow.close()
    domain.drop_slab()
    assert len(lru) == 1000
    lru["new"] = 1
    domain.close()
for _ in range(3): assert child(worker) == 0
leave.set()
running.join()
for n in range(1000): lru[n] = n
memory.used = LIMIT - 30 * MIB
reclaimer.wake()
while len(lru) == 1000: time.sleep(0.001)
reclaimer.stop()
print("done")
"""
    )
    assert out == "done\n"
