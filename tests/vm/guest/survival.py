"""A process whose cache outgrows its limit: killed alone, alive under protect()."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from support import events, group, inside

if TYPE_CHECKING:
    from support import Checks

FILL = Path(__file__).with_name("fill.py")
ENTRIES = 7_500
"""What fill.py puts: 300 MB."""
LIMIT_SECONDS = 180.0
"""Many times what filling takes."""
SLOW_SECONDS = 15.0
KILLED = -9


def fill(
    directory: Path, kind: str, *, protect: bool, seconds: float = LIMIT_SECONDS
) -> tuple[int, int]:
    """Fill a cache in a group; return the exit status and how many entries it put."""
    command = [*inside(directory), sys.executable, str(FILL)]
    command += [kind, str(int(protect)), str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    return done.returncode, int(done.stdout or 0)


def memory_max(check: Checks) -> None:
    """memory.max alone."""
    for kind in ("cache", "dict"):
        with group("s", max="120M") as s:
            status, _ = fill(s, kind, protect=False)
            kills = events(s).get("oom_kill", 0)
            check(f"{kind}, alone: status, OOM kills", (KILLED, 1), (status, kills))
        with group("s", max="120M") as s:
            status, put = fill(s, kind, protect=True)
            kills = events(s).get("oom_kill", 0)
            check(
                f"{kind}, protected: status, OOM kills, entries",
                (0, 0, ENTRIES),
                (status, kills, put),
            )


def memory_high(check: Checks) -> None:
    """memory.high alone: no kill, but the kernel slows down a process above it."""
    with group("s", high="100M") as s:
        status, put = fill(s, "cache", protect=False, seconds=SLOW_SECONDS)
        check(
            "memory.high, alone: alive, but slowed down",
            f"0, below {ENTRIES} entries",
            f"{status}, {put}",
            ok=status == 0 and put < ENTRIES,
        )
    with group("s", high="100M") as s:
        check(
            "memory.high, protected: status, entries",
            (0, ENTRIES),
            fill(s, "cache", protect=True),
        )


def oom_group(check: Checks) -> None:
    """memory.oom.group: a kill takes all of the group."""
    for protect in (False, True):
        name = "protected" if protect else "alone"
        with group("s", max="120M", oom_group=1) as s:
            neighbour = subprocess.Popen([*inside(s), "sleep", "1000"])
            status, _ = fill(s, "cache", protect=protect)
            if not protect:
                neighbour.wait(LIMIT_SECONDS)
            lives = neighbour.poll() is None
            neighbour.kill()
            neighbour.wait()
            check(
                f"oom.group, {name}: status, the neighbour lives",
                (0 if protect else KILLED, protect),
                (status, lives),
            )


STEPS = [memory_max, memory_high, oom_group]
