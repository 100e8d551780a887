"""What caches cost, beside others: ``python benchmarks/caches.py``.

Measures ``shrinker.cache`` against functools, cachetools, lru-dict and cachebox, in
one thread of one process.  All of them take turns in each round, so that a busy
machine is so for all; shown are medians over the rounds, with the loop that makes the
calls (some 5 ns), as timeit has it.  Those that are not
installed are left out.  ``--json`` prints the same as JSON.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import json
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

from shrinker import Domain
from shrinker.cache import LruCache, cached

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 1_000
KEYS = [f"key-{n}" for n in range(SIZE)]
ABSENT = [f"absent-{n}" for n in range(SIZE)]
OURS = "shrinker"
# What is promised: row, peer, at most so many times its cost.
GOALS = [
    ("hit", "cachetools", 0.7),
    ("hit", "lru-dict", 4.0),
    ("overwrite", "cachetools", 1.5),
    ("insert, evict", "cachetools", 1.5),
    ("function, hit", "cachetools", 0.5),
    ("function, hit", "functools", 4.0),
]


def makers() -> dict[str, Callable[[int], Any]]:
    """Return what makes an LRU mapping of a size, by library."""
    domain = Domain()
    found: dict[str, Callable[[int], Any]] = {
        OURS: lambda size: LruCache(size, domain=domain)
    }
    for library, module, name in (
        ("cachetools", "cachetools", "LRUCache"),
        ("lru-dict", "lru", "LRU"),
        ("cachebox", "cachebox", "LRUCache"),
    ):
        try:
            found[library] = getattr(importlib.import_module(module), name)
        except ImportError:
            print(f"{library} is not installed", file=sys.stderr)
    return found


def decorators() -> dict[str, Callable[[Any], Any]]:
    """Return decorators that keep ``SIZE`` results in LRU order, by library."""
    found: dict[str, Callable[[Any], Any]] = {
        OURS: cached(maxsize=SIZE, domain=Domain()),
        "functools": functools.lru_cache(SIZE),
    }
    try:
        cachetools = importlib.import_module("cachetools")
        found["cachetools"] = cachetools.cached(cachetools.LRUCache(SIZE))
    except ImportError:
        pass
    try:
        cachebox = importlib.import_module("cachebox")
        found["cachebox"] = cachebox.cached(cachebox.LRUCache(SIZE))
    except ImportError:
        pass
    return found


def filled(make: Callable[[int], Any]) -> Any:
    """Return a full cache."""
    cache = make(SIZE)
    for key in KEYS:
        cache[key] = key
    return cache


def hit(cache: Any) -> Callable[[], None]:
    """Look each key up once."""

    def run() -> None:
        for key in KEYS:
            cache[key]

    return run


def miss(cache: Any) -> Callable[[], None]:
    """Look keys up that are not there, with ``get``."""
    get = cache.get

    def run() -> None:
        for key in ABSENT:
            get(key)

    return run


def overwrite(cache: Any) -> Callable[[], None]:
    """Set each key again."""

    def run() -> None:
        for key in KEYS:
            cache[key] = key

    return run


def insert(cache: Any) -> Callable[[], None]:
    """Set keys that are not there, each of which evicts another one."""
    rounds = [[f"{kind}-{n}" for n in range(SIZE)] for kind in "ab"]

    def run() -> None:
        rounds.reverse()
        for key in rounds[0]:
            cache[key] = key

    return run


def insert_used(cache: Any) -> Callable[[], None]:
    """Do the same, and look each key up once after it was set."""
    rounds = [[f"{kind}-{n}" for n in range(SIZE)] for kind in "ab"]

    def run() -> None:
        rounds.reverse()
        for key in rounds[0]:
            cache[key] = key
            cache[key]

    return run


def function_hit(decorate: Callable[[Any], Any]) -> Callable[[], None]:
    """Call a decorated function, all of whose results are known."""

    @decorate
    def function(key: str) -> str:
        return key

    def run() -> None:
        for key in KEYS:
            function(key)

    run()
    return run


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Return nanoseconds for each operation: by row, by library."""
    runs: dict[tuple[str, str], Callable[[], None]] = {}
    for library, make in makers().items():
        for row, setup in (
            ("hit", hit),
            ("miss", miss),
            ("overwrite", overwrite),
            ("insert, evict", insert),
            ("insert, hit, evict", insert_used),
        ):
            runs[row, library] = setup(filled(make))
    for library, decorate in decorators().items():
        runs["function, hit", library] = function_hit(decorate)
    times: dict[tuple[str, str], list[int]] = {what: [] for what in runs}
    for run in runs.values():
        run()
    gc.disable()
    for _ in range(rounds):
        for what, run in runs.items():
            start = time.perf_counter_ns()
            run()
            times[what].append(time.perf_counter_ns() - start)
        gc.collect()
    gc.enable()
    rows: dict[str, dict[str, float]] = {}
    for (row, library), seen in times.items():
        rows.setdefault(row, {})[library] = round(statistics.median(seen) / SIZE, 1)
    return rows


def goals(rows: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Return each promise and what was measured."""
    return [
        {
            "row": row,
            "peer": peer,
            "at_most": limit,
            "ratio": round(rows[row][OURS] / rows[row][peer], 2),
        }
        for row, peer, limit in GOALS
        if peer in rows[row]
    ]


def show(rows: dict[str, dict[str, float]]) -> None:
    """Print nanoseconds, and in brackets how often ours goes into them."""
    libraries = [OURS, "cachetools", "functools", "lru-dict", "cachebox"]
    lines = [["ns (ours/theirs)", *libraries]]
    for row, seen in rows.items():
        cells = [row]
        for library in libraries:
            spent = seen.get(library)
            if spent is None:
                cells.append("-")
            elif library == OURS:
                cells.append(f"{spent:.0f}")
            else:
                cells.append(f"{spent:.0f} ({seen[OURS] / spent:.2f})")
        lines.append(cells)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for name, *cells in lines:
        columns = zip(cells, widths[1:], strict=True)
        print(name.ljust(widths[0]), *(cell.rjust(x) for cell, x in columns), sep="  ")
    print()
    for goal in goals(rows):
        verdict = "met" if goal["ratio"] <= goal["at_most"] else "MISSED"
        print(
            f"{goal['row']}: {goal['ratio']:.2f} of {goal['peer']}'s,"
            f" at most {goal['at_most']} promised: {verdict}"
        )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="300 take some 5 s")
    parser.add_argument("--json", action="store_true", help="print one object")
    options = parser.parse_args()
    rows = measure(options.rounds)
    if options.json:
        print(json.dumps({"nanoseconds": rows, "goals": goals(rows)}, indent=2))
    else:
        show(rows)


if __name__ == "__main__":
    main()
