"""``cached``: what functions, arguments and finalisers may do during a call.

Some of it would crash the interpreter, so that runs in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from shrinker.cache import cached

if TYPE_CHECKING:
    from shrinker import Domain

SECONDS = 300


def run(code: str) -> str:
    """Return what the code prints; raises where it crashes or hangs."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-P", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_function_may_drop_itself() -> None:
    """A defaultdict holds no reference to the factory that it calls."""
    code = """
import gc
from collections import defaultdict
from shrinker.cache import Cache, cached
seen = []
def make():
    table.default_factory = None
    gc.collect()
    seen.append([c for c in gc.get_objects() if isinstance(c, Cache)])
    return [1]
table = defaultdict(cached(make))
print(table[1], len(seen[0]))
"""
    assert run(code) == "[1] 1\n"


RECURSIONS = {
    "function": """
part = functools.partial(print)
call = cached(part)
part.__setstate__((call, (), {}, {}))
""",
    "hash": """
class Key:
    __hash__ = cached(lambda self: 1)
call = functools.partial(hash, Key())
""",
}


@pytest.mark.parametrize("what", RECURSIONS)
def test_calls_without_frames_of_python_end(what: str) -> None:
    """A recursion that only C sees raises RecursionError, too."""
    code = f"""
import functools
from shrinker.cache import cached
{RECURSIONS[what]}
try:
    call()
except RecursionError:
    print("RecursionError")
"""
    assert run(code) == "RecursionError\n"


@pytest.mark.parametrize(
    "change", ["update({f'n{i}': i for i in range(9999)})", "clear()"]
)
@pytest.mark.parametrize("method", ["__call__", "cache_discard"])
def test_keywords_may_change_under_a_call(change: str, method: str) -> None:
    """A finaliser changes the dict of keyword arguments that C passes on."""
    code = f"""
import _thread, gc, time
from shrinker.cache import cached
names = {{f"k{{i}}": object() for i in range(40)}}
@cached
def function(**names):
    return 1
class Changes:
    def __del__(self):
        names.{change}
call = function.{method}
for allocations in range(1, 30):
    names.clear()
    names.update((f"k{{i}}", object()) for i in range(40))
    gc.disable()
    gc.collect()
    cycle = Changes()
    cycle.me = cycle
    del cycle
    gc.set_threshold(allocations)
    gc.enable()
    _thread.start_new_thread(call, (), names)
    time.sleep(0.01)
    gc.disable()
print("done")
"""
    assert run(code) == "done\n"


def test_results_of_instances_that_are_gone_do_not_gather(domain: Domain) -> None:
    """A new instance at the address of an old one evicts the old one's result."""
    evicted: list[int] = []

    class Short:
        @cached(domain=domain, on_evict=evicted.append)
        def number(self, of: int) -> int:
            return of

    addresses = set()
    for _ in range(2000):
        short = Short()
        addresses.add(id(short))
        assert short.number(1) == 1
        assert short.number(1) == 1
        del short
    info = Short.number.cache_info()
    assert info == (2000, 2000, None, len(addresses))
    assert len(evicted) == 2000 - info.currsize
    assert Short.number.cache.statistics().evicted == len(evicted)


@pytest.mark.parametrize("end", ["close", "clear"])
def test_a_call_returns_what_is_too_heavy_for_a_cache_that_ends(
    end: str, domain: Domain
) -> None:
    """Closed or cleared by a key that the result is being set for."""

    class Key:
        comparisons = 0

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: object) -> bool:
            Key.comparisons += 1
            if Key.comparisons == 2:
                getattr(weight.cache, end)()
            return False

    evicted: list[int] = []

    @cached(maxsize=10, weigher=int, on_evict=evicted.append, domain=domain)
    def weight(key: object) -> int:
        return results.pop()

    results = [100, 1]
    weight(Key())
    assert weight(Key()) == 100
    assert Key.comparisons == 2
    assert evicted == []
