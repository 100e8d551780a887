"""Shrinker events of this kernel, recorded by tracefs and replayed by the core."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from support import BIG_FILE, CGROUP2, MIB, group, inside, make_big_file, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import Checks

TRACEFS = Path("/sys/kernel/tracing")
EVENTS = [
    TRACEFS / "events" / "vmscan" / f"mm_shrink_slab_{half}" / "enable"
    for half in ("start", "end")
]
BUFFER_KIB = 32768
FILES = 5000
FILES_SECONDS = 120.0
"""When making files ends at the latest: reclaim in a small group can be very slow."""
# Makes files: each costs an inode, an entry, and the entry of a missing file.
MAKE_FILES = """
n=0
while [ $n -lt $2 ]; do
    : > $1-$n
    [ -e $1-missing-$n ]
    n=$((n + 1))
done
"""
# Takes most of the memory that is free, and reads more of the disk than is left.
TAKE = """
import sys
pages = [bytearray(b"x") * (4 << 20) for _ in range(int(sys.argv[1]) // 4)]
with open("/dev/vda", "rb", buffering=0) as disk:
    for _ in range(150):
        disk.read(1 << 20)
"""


def record(check: Checks, name: str, work: Callable[[], None]) -> None:
    """Record while work is done, and replay: each pass must be the kernel's."""
    write(TRACEFS / "buffer_size_kb", BUFFER_KIB)
    (TRACEFS / "trace").write_text("")
    for file in EVENTS:
        write(file, 1)
    work()
    for file in reversed(EVENTS):
        write(file, 0)
    recording = Path("/var/tmp/recording.txt")
    recording.write_bytes((TRACEFS / "trace").read_bytes())
    command = [sys.executable, "-m", "shrinker", "replay", "--json", str(recording)]
    done = subprocess.run(command, capture_output=True, check=False)
    said = json.loads(done.stdout)
    check(
        f"{name}: passes recorded", "1 or more", said["passes"], ok=said["passes"] > 0
    )
    wrong = {
        key: said[key]
        for key in ("inexact", "malformed_lines", "unknown_lines", "lost_events")
        if said[key]
    }
    (file,) = said["files"]
    got = f"{said['exact']} of {said['passes']}, {file['kernels']}, {wrong}"
    check(
        f"{name}: replayed exactly",
        "all",
        got,
        ok=said["exact"] == said["passes"] and not wrong,
    )


def dropped(check: Checks) -> None:
    """drop_caches."""
    subprocess.run(
        ["find", "/usr", "-size", "+1000k"], stdout=subprocess.DEVNULL, check=True
    )
    record(check, "drop_caches", lambda: write(Path("/proc/sys/vm/drop_caches"), 2))


def in_groups(check: Checks) -> None:
    """Three groups make files under limits, beside each other."""
    names = ["r1", "r2", "r3"]

    def make_files() -> None:
        started = []
        for name in names:
            command = [*inside(CGROUP2 / name), "sh", "-c", MAKE_FILES, "sh"]
            command += [f"/var/tmp/{name}", str(FILES)]
            started.append(subprocess.Popen(command))
        end = time.monotonic() + FILES_SECONDS
        for process in started:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    limits = {"max": "6M"}
    with group("r1", **limits), group("r2", **limits), group("r3", **limits):
        record(check, "memory cgroups", make_files)


def machine(check: Checks) -> None:
    """The whole machine is short: kswapd and direct reclaim."""

    def take_memory() -> None:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MIB
        command = [sys.executable, "-c", TAKE, str(free - 50)]
        subprocess.run(command, check=True)

    make_big_file(120)
    with BIG_FILE.open("rb", buffering=0) as file:
        while file.read(MIB):
            pass
    record(check, "whole machine", take_memory)


STEPS = [dropped, in_groups, machine]
