"""Sources of pressure: which one ``auto()`` chooses, and what each hears."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from support import (
    BIG_FILE,
    CGROUP2,
    USER,
    Told,
    group,
    inside,
    kernel,
    make_big_file,
    remove,
    thrashing,
    write,
)

if TYPE_CHECKING:
    from support import Checks

# PSI triggers of users, in a group that is theirs: 5.10 lets them have any window,
# later kernels (seen on 6.1.176) windows of 2 s.
SHORT_WINDOW_FOR_USERS = kernel() < (6, 1)
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
EAT = "x = bytearray(b'x') * (80 << 20)"


def delegate(directory: Path) -> None:
    """Give a group to the user, as a service manager does."""
    for name in ("memory.pressure", "cgroup.procs", "."):
        os.chown(directory / name, USER, USER)


def choices(check: Checks) -> None:
    """What ``auto()`` chooses for whom."""
    psi, limits = "PSI {}/memory.pressure", "{}/memory.events"
    with Told() as process:
        check("root, root group", psi.format(CGROUP2), process.ask("chosen()"))
        check(
            "... the reason says that it is the machine's",
            "whole machine",
            reason := process.ask("auto().reason"),
            ok="whole machine" in reason,
        )
    with group("a", max="200M") as a:
        with Told(a) as process:
            check("root, own group", psi.format(a), process.ask("chosen()"))
            with contextlib.suppress(FileNotFoundError):  # Not on 5.10.
                write(a / "cgroup.pressure", 0)
                check(
                    "... PSI turned off in the group",
                    limits.format(a),
                    process.ask("chosen()"),
                )
                write(a / "cgroup.pressure", 1)
        with Told(a, user=USER) as process:
            check("user, group of root", limits.format(a), process.ask("chosen()"))
        delegate(a)
        with Told(a, user=USER) as process:
            check("user, own group", psi.format(a), process.ask("chosen()"))
            said = str(process.ask("PsiTrigger.of_own_cgroup(window=1.0).open()"))
            wanted = "None" if SHORT_WINDOW_FOR_USERS else "CAP_SYS_RESOURCE"
            check(
                "... window of 1 s: works, or the error says what is missing",
                wanted,
                said,
                ok=wanted in said,
            )
    with (
        group("q", max="100M") as q,
        group("q/leaf", memory=False) as leaf,
        Told(leaf, user=USER) as process,
    ):
        check(
            "user, no controller in own group",
            limits.format(q),
            process.ask("chosen()"),
        )


def psi(check: Checks) -> None:
    """PSI of a group hears stalls of that group alone."""
    open_own = "source = PsiTrigger.of_own_cgroup(); source.open()"
    with (
        group("calm", max="200M") as calm_group,
        group("short", max="48M") as short,
        Told(calm_group) as calm,
        Told(short) as process,
    ):
        calm.do(open_own)
        process.do(open_own)
        check("calm", None, process.ask("source.wait(2)"))
        calm.tell("ask", "source.wait(8)")
        process.tell("ask", "source.wait(60).detail")
        with thrashing(short):
            said = str(process.answer())
            check(
                "a process that thrashes in the group",
                "some: stalled ...",
                said,
                ok=said.startswith("some: "),
            )
            process.do(
                "async def first():\n"
                "    async with auto() as source:\n"
                "        async for event in source:\n"
                "            return event.detail\n"
                "import asyncio"
            )
            said = str(process.ask("asyncio.run(asyncio.wait_for(first(), 60))"))
            check(
                "... in asyncio",
                "some: stalled ...",
                said,
                ok=said.startswith("some: "),
            )
            check("... the neighbour hears nothing", None, calm.answer())
            process.do(
                "pid = os.fork()\n"
                "if not pid:\n"
                "    source.close(); source.open(); source.close(); os._exit(0)\n"
                "os.waitpid(pid, 0)"
            )
            said = str(process.ask("source.wait(60).detail"))
            check(
                "... also after a child has closed it",
                "some: stalled ...",
                said,
                ok=said.startswith("some: "),
            )


def memory_events(check: Checks) -> None:
    """``memory.events`` says which limit was met."""
    read = ["dd", f"if={BIG_FILE}", "of=/dev/null", "bs=1M", "status=none"]
    eat = [sys.executable, "-c", EAT]
    for name, limits, command, expected in (
        ("page cache meets memory.high", {"high": "48M"}, read, "high +"),
        ("page cache meets memory.max", {"max": "48M"}, read, "max +"),
        ("a process is killed", {"max": "48M"}, eat, "oom_kill +1"),
    ):
        with group("a", **limits) as a, Told(a) as process:
            process.do("source = MemoryEvents.of_own_cgroup(); source.open()")
            check("memory.events: calm", None, process.ask("source.wait(1)"))
            make_big_file(96)
            # A page cache has several events, a kill ends the last of a row.
            process.tell(
                "ask",
                f"next(x.detail for x in iter(lambda: source.wait(60), None)"
                f" if {expected!r} in x.detail)",
            )
            subprocess.run(inside(a) + command, check=False)
            said = str(process.answer())
            check(f"memory.events: {name}", expected, said, ok=expected in said)


def moves(check: Checks) -> None:
    """Groups are removed, and processes moved, while a source is open."""
    with group("g", max="100M") as g, Told() as process:
        process.do(
            "from shrinker.pressure.sources import memory_events\n"
            "memory_events.CHECK_SECONDS = 1.0\n"
            f"events = MemoryEvents('{g}/memory.events'); events.open()\n"
            f"psi = PsiTrigger('{g}/memory.pressure'); psi.open()"
        )
        g.rmdir()
        for source in ("events", "psi"):
            said = str(process.ask(f"{source}.wait(30)"))
            check(
                f"{source} of a group that is removed",
                "SourceGone",
                said,
                ok=said.startswith("raised SourceGone"),
            )
    with group("h", max="120M") as h:
        for kept in (False, True):
            with group("g", max="100M") as g, Told(g) as process:
                process.do("reclaimer = protect().start()")
                write(h / "cgroup.procs", process.pid)
                if not kept:
                    remove(g)
                name = f"protect() moved, old group {'kept' if kept else 'removed'}"
                process.do(
                    "end = time.monotonic() + 30\n"
                    f"def in_h(): return '{h}/' in reclaimer.statistics().source"
                    " and '/h ' in reclaimer.statistics().where\n"
                    "while not in_h() and time.monotonic() < end:\n"
                    "    reclaimer.wake(); time.sleep(0.05)"
                )
                check(
                    f"{name}: its source",
                    f"PSI {h}/memory.pressure",
                    process.ask("reclaimer.statistics().source"),
                )
                check(
                    f"{name}: its limit",
                    "cgroup v2 /h (memory.max)",
                    process.ask("reclaimer.statistics().where"),
                )
                before = cpu_seconds(process.pid)
                time.sleep(2)
                spent = cpu_seconds(process.pid) - before
                check(
                    f"{name}: no busy loop",
                    "below 1 s of 2 s",
                    f"{spent:.2f} s",
                    ok=spent < 1,
                )
                process.do("reclaimer.stop()")


def cpu_seconds(pid: int) -> float:
    """Return the time that a process has had of processors."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


STEPS = [choices, psi, memory_events, moves]
