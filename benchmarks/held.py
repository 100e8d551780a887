"""Whether watched caches are protected that are hard to reclaim from.

    python benchmarks/held.py [--case one] [--runs 5] [--seconds 6]

Each run is a process in a memory cgroup of version 1 with a limit (needs root); only
it can meet the OOM killer.  It runs with ``protect()``, and without.  Prints for each
case how many runs were killed, the hit ratio of those that lived, and how full the
group was.

- ``one``: a thread does ``with lock: if k not in d: d[k] = load(k)``, and loading takes
  a millisecond; so the lock is free for a thousandth of the time;
- ``busy``: the same, where loading is work of Python;
- ``four``: four threads fill a watched dict as fast as they can;
- ``models``: models of 40 MiB in a function under ``functools.lru_cache``, beside a
  small ``Cache`` that weighs its entries.
"""

from __future__ import annotations

import argparse
import functools
import random
import statistics
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from harness import memory_cgroup

if TYPE_CHECKING:
    from collections.abc import Callable

VALUE_BYTES = 200_000
MODEL_BYTES = 40 << 20
SMALL_VALUE_BYTES = 1000


def idle(_key: object) -> bytes:
    """Load a value as from a database."""
    time.sleep(0.001)
    return b"x" * VALUE_BYTES


def busy(_key: object) -> bytes:
    """Load a value as from a parser."""
    total = 0
    for number in range(10_000):
        total += number
    return b"x" * VALUE_BYTES


def at_once(_key: object) -> bytes:
    """Load a value by filling it."""
    return b"x" * VALUE_BYTES


def use_dict(load: Callable[[object], bytes], threads: int, seconds: float) -> float:
    """Use a watched dict from several threads; return the hit ratio."""
    from shrinker.cache import watch  # noqa: PLC0415 - not in the parent

    lock = threading.Lock()
    values: dict[object, bytes] = {}
    watch(values, lock=lock)
    end = time.monotonic() + seconds
    hits = [0, 0]

    def use(thread: int) -> None:
        chosen = random.Random(thread)  # noqa: S311 - for keys
        while time.monotonic() < end:
            key = thread, int(chosen.gauss(0, 1000))
            with lock:
                if found := key in values:
                    hits[0] += 1
                else:
                    values[key] = load(key)
            hits[1] += not found

    users = [threading.Thread(target=use, args=(n,)) for n in range(threads)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    return hits[0] / max(1, sum(hits))


def use_models(seconds: float) -> float:
    """Use large models and small pages; return the hit ratio of the pages."""
    from shrinker.cache import Cache, watch  # noqa: PLC0415 - not in the parent

    @functools.cache
    def model(number: int) -> bytes:
        return bytes([number % 255 + 1]) * MODEL_BYTES

    watch(model)
    pages: Cache[int, bytes] = Cache()
    chosen = random.Random(1)  # noqa: S311 - for keys
    hits = uses = models = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(200):
            key = int(chosen.gauss(0, 1000))
            uses += 1
            if pages.get(key) is None:
                pages[key] = b"x" * SMALL_VALUE_BYTES
            else:
                hits += 1
        model(models)
        models += 1
        time.sleep(0.02)
    return hits / max(1, uses)


CASES: dict[str, tuple[int, Callable[[float], float]]] = {
    "one": (128, functools.partial(use_dict, idle, 1)),
    "busy": (128, functools.partial(use_dict, busy, 1)),
    "four": (128, functools.partial(use_dict, at_once, 4)),
    "models": (768, use_models),
}
"""The limit in MiB, and what a run does for so many seconds."""


def be_child(case: str, seconds: float, *, protected: bool, said: bool) -> None:
    """Run a case, and print its hit ratio."""
    import logging  # noqa: PLC0415 - not in the parent

    import shrinker  # noqa: PLC0415

    if said:
        logging.basicConfig(format="%(relativeCreated)6d %(message)s", level="INFO")
    reclaimer = shrinker.protect().start() if protected else None
    print(CASES[case][1](seconds), flush=True)
    if reclaimer is not None:
        reclaimer.stop()


def run(limit: int, command: list[str]) -> tuple[float | None, float]:
    """Return the hit ratio, None where it was killed, and the peak in MiB."""
    with memory_cgroup(limit) as (group, enter):
        found = subprocess.run(  # noqa: S603 - ourselves
            command, check=False, preexec_fn=enter, stdout=subprocess.PIPE
        )
        peak = int((group / "memory.max_usage_in_bytes").read_text())
    hits = float(found.stdout) if found.returncode == 0 else None
    return hits, peak / (1 << 20)


def main() -> None:
    """Run the cases as often as asked."""
    parser = argparse.ArgumentParser(description="Watched caches under pressure.")
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--limit", type=int, help="of the group, in MiB")
    parser.add_argument("--protected-only", action="store_true")
    parser.add_argument("--log", action="store_true", help="print what is logged")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        (case,) = options.case
        protected = options.child == "protected"
        be_child(case, options.seconds, protected=protected, said=options.log)
        return
    for case in options.case or CASES:
        for how in ("unprotected", "protected")[options.protected_only :]:
            command = [sys.executable, __file__, "--case", case, "--child", how]
            command += ["--seconds", str(options.seconds), *["--log"][: options.log]]
            limit = options.limit or CASES[case][0]
            found = [run(limit, command) for _ in range(options.runs)]
            lived = [hits for hits, _ in found if hits is not None]
            said = f"hits {statistics.median(lived):.3f}" if lived else "no hits"
            print(
                f"{case:7} {how:12} {len(found) - len(lived)} of {len(found)} killed,"
                f" {said}, at most {max(peak for _, peak in found):.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
