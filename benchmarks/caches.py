"""What caches cost beside others, in one thread of one process.

``shrinker.cache`` against functools, cachetools, lru-dict and cachebox; those that are
not installed are left out.  Entries weigh themselves; the line ``weigher=None`` counts
them.  A value includes the loop that makes the calls, some 5 ns, as timeit has it.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import sys
from typing import TYPE_CHECKING, Any

from harness import column_table, command, compared, timed

from shrinker import Domain
from shrinker.bench.lines import Benchmark, Column, Line
from shrinker.cache import Cache, cached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.bench.lines import Run

SIZE = 1_000
KEYS = [f"key-{n}" for n in range(SIZE)]
ABSENT = [f"absent-{n}" for n in range(SIZE)]
# Two sets of keys that are inserted in turn.
NEW_KEYS = [[f"{kind}-{n}" for n in range(SIZE)] for kind in "ab"]
OTHERS = {
    "cachetools": ("cachetools", "LRUCache"),
    "lru-dict": ("lru", "LRU"),
    "cachebox": ("cachebox", "LRUCache"),
}


def makers() -> dict[str, Callable[[], Any]]:
    """Return what makes a full LRU mapping of ``SIZE`` entries, by library."""
    domain = Domain()
    classes: dict[str, Any] = {
        "shrinker": functools.partial(Cache, domain=domain),
        "weigher=None": functools.partial(Cache, weigher=None, domain=domain),
    }
    for library, (module, name) in OTHERS.items():
        with contextlib.suppress(ImportError):
            classes[library] = getattr(importlib.import_module(module), name)

    def filled(cache_class: Any) -> Any:
        cache = cache_class(SIZE)
        overwrite(cache)
        return cache

    return {name: functools.partial(filled, one) for name, one in classes.items()}


def decorated() -> dict[str, Callable[[], Any]]:
    """Return what makes a function that keeps ``SIZE`` results, by library."""
    domain = Domain()
    decorators: dict[str, Any] = {
        "shrinker": cached(maxsize=SIZE, domain=domain),
        "functools": functools.lru_cache(SIZE),
    }
    for library in ("cachetools", "cachebox"):
        with contextlib.suppress(ImportError):
            module = importlib.import_module(library)
            decorators[library] = module.cached(module.LRUCache(SIZE))
    return {
        name: functools.partial(decorator, lambda key: key)
        for name, decorator in decorators.items()
    }


# --- what is done to them, once for each key --------------------------------------


def hit(cache: Any) -> None:
    """Look each key up."""
    for key in KEYS:
        cache[key]


def miss(cache: Any) -> None:
    """Look keys up that are not there, with ``get``."""
    get = cache.get
    for key in ABSENT:
        get(key)


def overwrite(cache: Any) -> None:
    """Set each key again."""
    for key in KEYS:
        cache[key] = key


def insert(cache: Any) -> None:
    """Set keys that are not there, each of which evicts another one."""
    NEW_KEYS.reverse()
    for key in NEW_KEYS[0]:
        cache[key] = key


def insert_used(cache: Any) -> None:
    """Do the same, and look each key up once after it was set."""
    NEW_KEYS.reverse()
    for key in NEW_KEYS[0]:
        cache[key] = key
        cache[key]


def function_hit(function: Callable[[str], str]) -> None:
    """Call a decorated function, all of whose results are known."""
    for key in KEYS:
        function(key)


OPERATIONS = {
    "hit": (hit, makers),
    "miss": (miss, makers),
    "overwrite": (overwrite, makers),
    "insert, evict": (insert, makers),
    "insert, hit, evict": (insert_used, makers),
    "function, hit": (function_hit, decorated),
}


@contextlib.contextmanager
def opened(operation: str, library: str) -> Iterator[Run]:
    """Set a cache up, and warm it; the cycle collector would run now and then."""
    once, libraries = OPERATIONS[operation]
    cache = libraries()[library]()
    once(cache)

    def repeat(loops: int) -> None:
        for _ in range(loops):
            once(cache)

    gc.disable()
    yield timed(repeat)
    gc.enable()


def benchmark() -> Benchmark:
    """Return the lines; ratios are ours by theirs."""
    tables = []
    for operation, (_, libraries) in OPERATIONS.items():
        lines = {}
        for library in libraries():
            opening = functools.partial(opened, operation, library)
            lines[library] = Line(f"{operation}: {library}", opening, SIZE, rate=True)
        column = Column("ns", "ours by it")
        tables.append(column_table(f"ns, {operation}", column, compared(lines)))
    return Benchmark(
        module="caches",
        title="What caches cost",
        machine_is="",
        tables=tables,
        legend=f"Caches of {SIZE:,} entries. ours by it: shrinker's time by that of the"
        " line, so below 1 shrinker is faster.",
    )


if __name__ == "__main__":
    for missing in OTHERS.keys() - makers().keys():
        print(f"{missing} is not installed", file=sys.stderr)
    command(benchmark)()
