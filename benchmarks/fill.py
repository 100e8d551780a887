"""Whether a reclaimer keeps up with threads that do nothing but fill a cache.

    python benchmarks/fill.py [--bytes 200000] [--weigher default|own|none]
                              [--threads 4] [--limit 128] [--runs 12]

Each run is a process in a memory cgroup of version 1 with a limit (needs root); only
it can meet the OOM killer.  Prints how many runs were killed, and how full the group
was at most.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from harness import memory_cgroup

SECONDS = 4.0


def fill(size: int, threads: int, weigher: str) -> None:
    """Fill one cache from several threads, protected by the defaults."""
    import threading  # noqa: PLC0415 - not in the parent
    import time  # noqa: PLC0415

    import shrinker  # noqa: PLC0415
    from shrinker.cache import Cache  # noqa: PLC0415

    # 150 bytes: the entry, its key and its place in the table.
    own = {"own": lambda _, value: len(value) + 150, "none": None}
    options = {"weigher": own[weigher]} if weigher in own else {}
    cache: Cache[tuple[int, int], bytes] = Cache(**options)
    end = time.monotonic() + SECONDS

    def insert(thread: int) -> None:
        number = 0
        while time.monotonic() < end:
            cache[thread, number] = b"x" * size
            number += 1

    with shrinker.protect():
        fillers = [threading.Thread(target=insert, args=(n,)) for n in range(threads)]
        for filler in fillers:
            filler.start()
        for filler in fillers:
            filler.join()


def run(command: list[str], limit: int) -> tuple[int, float]:
    """Run a command in a group of its own; return its status and the peak in MiB."""
    with memory_cgroup(limit) as (group, enter):
        status = subprocess.run(  # noqa: S603 - ourselves
            command, check=False, preexec_fn=enter
        ).returncode
        peak = int((group / "memory.max_usage_in_bytes").read_text())
    return status, peak / (1 << 20)


def main() -> None:
    """Run it as often as asked."""
    parser = argparse.ArgumentParser(description="Fill a cache as fast as possible.")
    parser.add_argument("--bytes", type=int, default=200_000, help="of a value")
    weighers = ("default", "own", "none")
    parser.add_argument("--weigher", choices=weighers, default="default")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--limit", type=int, default=128, help="of the group, in MiB")
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        fill(options.bytes, options.threads, options.weigher)
        return
    command = [sys.executable, *sys.argv, "--child"]
    found = [run(command, options.limit) for _ in range(options.runs)]
    killed = sum(status != 0 for status, _ in found)
    fullest = max(peak for _, peak in found)
    print(f"{killed} of {len(found)} runs killed; at most {fullest:.0f} MiB")


if __name__ == "__main__":
    main()
