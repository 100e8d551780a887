"""multiprocessing with each start method, from a parent that has caches, a started
reclaimer and a running walk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from processes_support import run

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
import multiprocessing

inherited = None

def new_reclaimer():
    return Reclaimer(domain, memory=memory, watermarks=MARKS, source=None, trim=False)

def work(n):
    "Run in the child; everything the parent has set up is a module's global."
    assert registration.count() == 1000
    assert domain.shrink_slab(priority=0) >= 1000
    lru = shrinker.cache.Cache(domain=domain)
    lru[n] = n
    own = ShrinkerBuilder("own", domain=domain).register(Cache())
    memory.used = LIMIT - 30 * MIB
    # A forked child has the parent's, which goes on there.
    reclaimer = inherited or new_reclaimer()
    with reclaimer:
        while not reclaimer.statistics().reclaims: time.sleep(0.001)
    own.close()
    with Domain() as other, ShrinkerBuilder("n", domain=other).register(Cache()):
        assert other.shrink_slab(priority=0) >= 1000
    domain.drop_slab()
    try: raise CallbackErrors("callbacks raised", [OSError(n)], ScanObjects.STOP)
    except CallbackErrors as error: return error

def main(method):
    sys.setswitchinterval(1e-4)
    context = multiprocessing.get_context(method)
    lru = shrinker.cache.Cache(domain=domain)
    for n in range(1000): lru[n] = n
    global inherited
    inherited = reclaimer = new_reclaimer().start()
    stop = threading.Event()
    def walk():
        while not stop.is_set(): domain.shrink_slab(priority=0)
    thread = threading.Thread(target=walk)
    thread.start()
    with context.Pool(2) as pool:
        errors = pool.map_async(work, range(4)).get(250)
    assert [error.exceptions[0].args for error in errors] == [(0,), (1,), (2,), (3,)]
    assert errors[0].result is not None
    process = context.Process(target=work, args=(9,))
    process.start()
    process.join()
    assert process.exitcode == 0
    stop.set()
    thread.join()
    assert registration.count() == 1000 and reclaimer.running
    reclaimer.stop()
    print("done")

if __name__ == "__main__":
    main(sys.argv[1])
"""


pytestmark = pytest.mark.untraced(
    "a child may have a lock of the tracer's that a thread of its parent held"
)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes(method: str, tmp_path: Path) -> None:
    """Children use what they inherit or import, make their own domains, and end
    normally; the parent's walk and reclaimer go on."""
    code = CODE.replace("sys.argv[1]", repr(method))
    assert run(code, path=tmp_path / "program.py") == "done\n"
