"""What a reclaimer costs while all is well: CPU of a process that only protects itself.

    python benchmarks/idle_cost.py [--seconds 30] [--limit MIB] [--no-source]

The process starts a ``shrinker.pressure.Reclaimer`` with its defaults, fills some
memory so that there is something to look at, and sleeps.  What it used of a core
meanwhile is measured by getrusage, in kernel and user mode; the same without a
reclaimer is subtracted.  ``--limit`` runs it in a memory cgroup of version 1 with that
limit, where usage thresholds take the timer's place (needs root).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

from harness import memory_cgroup

if TYPE_CHECKING:
    from collections.abc import Callable


def cpu() -> float:
    """Return the seconds of a core that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(seconds: float, *, protected: bool, source: bool) -> dict[str, object]:
    """Sleep, protected or not, and return what that cost."""
    from shrinker.pressure import Reclaimer  # noqa: PLC0415 - not in the parent

    ballast = bytearray(32 << 20)
    reclaimer = Reclaimer(source="auto" if source else None)
    if protected:
        reclaimer.start()
    time.sleep(2)  # The first looks open files, and learn what a look costs.
    looks, before, began = reclaimer.statistics().looks, cpu(), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    seen = reclaimer.statistics()
    used = cpu() - before
    reclaimer.stop()
    assert ballast is not None
    return {
        "percent": 100 * used / passed,
        "looks": seen.looks - looks,
        "look_us": 1e6 * seen.look_seconds,
        "where": seen.where,
        "source": seen.source,
    }


def child(arguments: list[str], enter: Callable[[], None] | None) -> dict[str, object]:
    """Measure in a process of its own, inside of the group."""
    done = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, __file__, "--child", *arguments],
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=enter,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure without and with a reclaimer, and print both."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--limit", type=int, help="MiB of a cgroup v1 to run in")
    parser.add_argument("--no-source", action="store_true", help="watermarks alone")
    parser.add_argument("--child", choices=("yes", "no"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        protected, source = options.child == "yes", not options.no_source
        found = measure(options.seconds, protected=protected, source=source)
        print(json.dumps(found))
        return
    arguments = ["--seconds", str(options.seconds)]
    arguments += ["--no-source"] if options.no_source else []
    limit = options.limit
    with memory_cgroup(limit) if limit else nullcontext((None, None)) as (_, enter):
        alone = child(["no", *arguments], enter)
        both = child(["yes", *arguments], enter)
    percent = float(str(both["percent"])) - float(str(alone["percent"]))
    print(f"without: {alone['percent']:.4f} % of a core")
    print(f"with:    {both['percent']:.4f} % of a core, {both['looks']} looks of")
    print(f"         {both['look_us']:.0f} us in {options.seconds:g} s")
    print(f"limit:   {both['where']}; source: {both['source'] or 'none'}")
    print(f"cost:    {percent:.4f} % of a core (promised: below 0.1 %)")
    sys.exit(percent >= 0.1)


if __name__ == "__main__":
    main()
