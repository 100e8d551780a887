"""Whether workers keep the hits of a cache that was warmed before they were forked.

    python benchmarks/forked.py [--kind cache] [--workers 4] [--limit 384] [--runs 3]

A parent fills a watched dict (or, with ``--kind cache``, a ``Cache``) with a quarter of
all values and forks workers, each of which looks for random values and keeps those that
it loads, under ``protect()``.  All of them are in one memory cgroup of version 1 (needs
root).  The values of the parent are the same memory for all, so a worker that evicts
them frees nothing.  Prints the hit ratio of all workers, and how many were killed; what
the parent warmed is 0.25.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from harness import memory_cgroup

if TYPE_CHECKING:
    from collections.abc import MutableMapping

VALUE_BYTES = 20_000
WARMED_BYTES = 244 << 20
ALL_VALUES = 4 * WARMED_BYTES // VALUE_BYTES


def work(
    values: MutableMapping[int, bytes], lock: threading.Lock, seconds: float
) -> float:
    """Look values up for a while; return the hit ratio."""
    chosen = random.Random(os.getpid())  # noqa: S311 - for keys
    hits = uses = 0
    end = time.monotonic() + seconds
    parent = os.getppid()
    while time.monotonic() < end:
        if os.getppid() != parent:
            os._exit(1)  # It was killed.
        key = chosen.randrange(ALL_VALUES)
        uses += 1
        with lock:
            if values.get(key) is not None:
                hits += 1
                continue
        time.sleep(0.0002)  # It is loaded.
        with lock:
            values[key] = b"x" * VALUE_BYTES
    return hits / uses


def weigh(_key: int, value: bytes) -> int:
    """Return the bytes of an entry."""
    return len(value) + 150


def be_parent(workers: int, seconds: float, kind: str, *, protected: bool) -> None:
    """Warm a cache, fork workers, and print their hit ratios."""
    import shrinker  # noqa: PLC0415 - not in the parent of this process
    from shrinker.cache import Cache  # noqa: PLC0415

    lock = threading.Lock()
    values: MutableMapping[int, bytes] = {}
    if kind == "dict":
        shrinker.watch(values, lock=lock, entry_bytes=VALUE_BYTES + 150)
    else:
        values = Cache(weigher=weigh)
    for key in range(ALL_VALUES // 4):
        values[key] = b"x" * VALUE_BYTES
    children = []
    for _ in range(workers):
        child = os.fork()
        if child == 0:
            reclaimer = shrinker.protect().start() if protected else None
            print(work(values, lock, seconds), flush=True)
            if reclaimer is not None:
                reclaimer.stop()
            os._exit(0)
        children.append(child)
    for child in children:
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            print(f"killed by {signal.Signals(os.WTERMSIG(status)).name}", flush=True)


def main() -> None:
    """Run it as often as asked."""
    parser = argparse.ArgumentParser(description="Workers of a parent that was warmed.")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--limit", type=int, default=384, help="of all, in MiB")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--kind", choices=("dict", "cache"), default="dict")
    parser.add_argument("--parent", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.parent:
        protected = options.parent == "protected"
        workers, seconds = options.workers, options.seconds
        be_parent(workers, seconds, options.kind, protected=protected)
        return
    for how in ("unprotected", "protected"):
        ratios, killed = [], 0
        for _ in range(options.runs):
            with memory_cgroup(options.limit) as (group, enter):
                found = subprocess.run(  # noqa: S603 - ourselves
                    [sys.executable, *sys.argv, "--parent", how],
                    check=False,
                    preexec_fn=enter,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                while (group / "cgroup.procs").read_text():
                    time.sleep(0.1)  # Workers whose parent was killed.
            lines = found.stdout.splitlines()
            lived = [float(line) for line in lines if line[0].isdigit()]
            ratios += lived
            killed += options.workers - len(lived)
        said = f"hits {statistics.mean(ratios):.3f}" if ratios else "no hits"
        print(f"{how:12} {said}, {killed} of {options.runs * options.workers} killed")


if __name__ == "__main__":
    main()
