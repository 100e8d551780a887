"""What recording costs: passes per second with and without ``shrinker record``.

    python benchmarks/record_overhead.py [--rounds 15] [--seconds 2] [--groups 100]

Needs root and tracefs, and memory cgroups of version 1 for ``--groups``.  In each group
a few names of files are looked up that are not there, which leaves as many dentries;
then the kernel drops its slab caches, and asks shrinkers for each group.  A round does
that again and again for ``--seconds``: once while ``shrinker record`` writes a gzip
file, and once without, in turn and in an order that changes.  Only the processor time
inside of ``drop_caches`` counts, so that other work on the machine matters less.  The
passes of a drop are those in the recordings; a drop without recording is taken to make
as many.  Caches are as small as can be, so a pass does little beside its events: it is
the most that recording can cost.

``--idle`` makes no passes: what a recording costs while nothing is reclaimed.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shrinker.kernel.tracefs import find_tracefs
from shrinker.replay import replay_file

if TYPE_CHECKING:
    from collections.abc import Iterator

CGROUPS = Path("/sys/fs/cgroup/memory")
FILES_OF_EACH = 8
DROP_CACHES = "/proc/sys/vm/drop_caches"
STARTS_WITHIN_SECONDS = 30


class Round(NamedTuple):
    """What one round did."""

    drops: int
    inside: float
    """Seconds of processor time inside of drop_caches."""
    passes: int = 0
    lost: int = 0
    cpu: float = 0.0
    """Seconds of processor time of the recorder."""

    @property
    def drops_per_second(self) -> float:
        """Return the rate."""
        return self.drops / self.inside


@contextmanager
def memory_cgroups(number: int) -> Iterator[list[Path]]:
    """Make groups; yield the files that take a thread in, and leave them at the end."""
    groups = [CGROUPS / f"shrinker-record-{os.getpid()}-{i}" for i in range(number)]
    try:
        for group in groups:
            group.mkdir()
        yield [group / "tasks" for group in groups]
    finally:
        (CGROUPS / "tasks").write_text("0")
        for group in groups:
            group.rmdir()


def work(seconds: float, folder: Path, tasks: list[Path]) -> Round:
    """Fill and drop caches again and again."""
    drops, inside = 0, 0.0
    drop = os.open(DROP_CACHES, os.O_WRONLY)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for group, file in enumerate(tasks):
            file.write_text("0")
            for number in range(FILES_OF_EACH):
                with suppress(FileNotFoundError):
                    os.stat(folder / f"none-{group}-{number}")  # noqa: PTH116
        began = time.thread_time()
        os.write(drop, b"2")
        inside += time.thread_time() - began
        drops += 1
    os.close(drop)
    return Round(drops, inside)


def recorded(seconds: float, folder: Path, tasks: list[Path] | None) -> Round:
    """Do the same while a recorder runs; nothing where ``tasks`` is None."""
    name = folder / "r.txt.gz"
    instances = find_tracefs().instances
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-m", "shrinker", "record", "-o", name],
        stderr=subprocess.DEVNULL,
    )
    enable = f"shrinker-{process.pid}-*/events/vmscan/mm_shrink_slab_end/enable"
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while not any(path.read_text() == "1\n" for path in instances.glob(enable)):
        assert process.poll() is None, "shrinker record ended early"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if tasks is None:
        time.sleep(seconds)
        done = Round(0, seconds)
    else:
        done = work(seconds, folder, tasks)
    process.send_signal(signal.SIGINT)
    process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    replayed = replay_file(name)
    return done._replace(passes=replayed.passes, lost=replayed.lost_events, cpu=cpu)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--idle", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = recorded(0.01, folder, None).cpu
        if options.idle:
            done = recorded(options.seconds, folder, None)
            share = 100 * (done.cpu - start) / options.seconds
            print(f"{share:.2f} % of a processor while nothing is reclaimed")
            return
        with memory_cgroups(options.groups) as tasks:
            work(0.5, folder, tasks)
            pairs = []
            for number in range(options.rounds):
                one = work(options.seconds, folder, tasks) if number % 2 else None
                two = recorded(options.seconds, folder, tasks)
                pairs.append((one or work(options.seconds, folder, tasks), two))
    print_pairs(pairs, start)


def print_pairs(pairs: list[tuple[Round, Round]], start: float) -> None:
    """Print medians, and how much the ratio of a pair differs."""
    each = statistics.median(two.passes / two.drops for _, two in pairs)
    for label, place in ("without", 0), ("recorded", 1):
        rate = statistics.median(pair[place].drops_per_second for pair in pairs)
        print(f"{label:9} {rate * each:12,.0f} passes a second inside of drop_caches")
    ratios = sorted(two.drops_per_second / one.drops_per_second for one, two in pairs)
    quarter = len(ratios) // 4
    print(
        f"ratio {statistics.median(ratios):.3f}, half of the {len(ratios)} pairs within"
        f" {ratios[quarter]:.3f} to {ratios[-1 - quarter]:.3f}"
    )
    extra = statistics.median(
        (1 / two.drops_per_second - 1 / one.drops_per_second) / each
        for one, two in pairs
    )
    passes = sum(two.passes for _, two in pairs)
    cpu = sum(max(two.cpu - start, 0) for _, two in pairs) / passes
    print(
        f"{1e6 * extra:.2f} us more a pass; the recorder uses {1e6 * cpu:.1f} us a pass"
    )
    print(f"{passes:,} passes recorded, {each:.0f} a drop; {start:.2f} s to start")
    print(f"{sum(two.lost for _, two in pairs):,} events lost")


if __name__ == "__main__":
    main()
