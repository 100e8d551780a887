"""Native passes and walks, as ratios to two loops in C that are measured beside them.

Two loops are the measure, whatever the machine (native_loops.h): C2, one indirect call
that returns a constant, one atomic exchange and one atomic addition, is about what a
pass cannot do without; C4, with an atomic increment and a decrement more, the same for
a walk that counts references.

Callbacks count 1,000 objects and free what they are asked for: at priority 12, 3 and 0
a pass makes 0, 1 and 15 scan calls where nothing was deferred.  Nothing waits, so it is
timed by the thread's own clock, which stands while another program has the processor.
"""

from __future__ import annotations

import contextlib
from time import thread_time
from typing import TYPE_CHECKING

import harness

from shrinker.bench.lines import Benchmark, Column, Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shrinker.bench.lines import Run

# Of a loop; enough that calling C from Python does not matter.
STEPS = 1000


def line(
    name: str,
    work: Callable[[harness.NativeMachine, int], object],
    against: Line | None = None,
    shrinkers: int = 1,
) -> Line:
    """``work(machine, number)`` does something so often, on so many shrinkers."""
    steps = max(STEPS // shrinkers, 1)

    @contextlib.contextmanager
    def opened() -> Iterator[Run]:
        with harness.NativeMachine(shrinkers) as machine:
            yield harness.timed(lambda loops: work(machine, loops * steps), thread_time)

    return Line(name, opened, steps * shrinkers, against=against)


C2 = line("loop: C2", lambda machine, number: machine.lib.loop_c2(number))
C4 = line("loop: C4", lambda machine, number: machine.lib.loop_c4(number))


def calls(what: str, scans: int) -> Line:
    """Callbacks of a pass without a pass around them."""
    return line(
        f"calls: {what}",
        lambda machine, number: machine.lib.bare_calls(
            machine.shrinkers[0], scans, number
        ),
        C2,
    )


def passes(kind: str, priority: int, deferred: int = 0) -> Line:
    """Passes; "reset": deferred work is forgotten before each, "carried": it is not."""

    def work(machine: harness.NativeMachine, number: int) -> None:
        shrinker = machine.shrinkers[0]
        if deferred and not machine.statistics().passes:
            machine.lib.set_deferred(shrinker, deferred)
        machine.lib.make_passes(shrinker, priority, kind == "reset", number)

    start = f", from {deferred}" if deferred else ""
    return line(f"{kind}: priority {priority}{start}", work, C2)


def lists(what: str, use: str, *, grouped: bool = False) -> Line:
    """Uses of one list_lru list."""
    where = " in a group" if grouped else ""
    steps = 1024

    @contextlib.contextmanager
    def opened() -> Iterator[Run]:
        with harness.NativeMachine(1, memcg_aware=True) as machine:
            lib, shrinker = machine.lib, machine.shrinkers[0]
            kind = getattr(lib, use)
            yield harness.timed(
                lambda loops: lib.use_lists(
                    machine.domain, shrinker, grouped, kind, loops * steps
                ),
                thread_time,
            )

    return Line(f"list: {what}{where}", opened, steps, against=C2)


def walk(priority: int, shrinkers: int) -> Line:
    """Walks of so many shrinkers."""
    return line(
        f"walk: {shrinkers:,} at priority {priority}",
        lambda machine, number: machine.walk(priority, number),
        C4,
        shrinkers,
    )


def benchmark() -> Benchmark:
    """Return the lines, each loop in the middle of what it is compared with."""
    all_passes = [
        calls("a count", 0),
        calls("a count, 1 scan", 1),
        calls("a count, 15 scans", 15),
        *(passes("reset", priority) for priority in (12, 3, 0)),
        passes("carried", 12),
        passes("carried", 12, deferred=100),
        passes("carried", 3),
        passes("carried", 0),
    ]
    walks = [walk(12, n) for n in (1, 10, 100, 1000, 10_000)]
    walks += [walk(0, n) for n in (1, 100, 1000)]
    uses = [
        lists(what, use, grouped=grouped)
        for what, use in (
            ("add and delete", "LIST_ADD_DEL"),
            ("add and isolate", "LIST_ADD_ISOLATE"),
            ("count", "LIST_COUNT"),
            ("step of a walk", "LIST_SKIP"),
        )
        for grouped in (False, True)
    ]
    return Benchmark(
        module="native",
        title="Native passes and walks, as ratios to C2 and C4",
        order=[*all_passes[:5], C2, *all_passes[5:], *uses, *walks[:4], C4, *walks[4:]],
        tables=[
            harness.column_table(
                "ns for a pass", Column("ns", "by C2"), harness.named(C2, *all_passes)
            ),
            harness.column_table(
                "ns for an item of a list_lru",
                Column("ns", "by C2"),
                harness.named(C2, *uses),
            ),
            harness.column_table(
                "ns for a shrinker of a walk",
                Column("ns", "by C4"),
                harness.named(C4, *walks),
            ),
        ],
        legend="C2: an indirect call, an atomic exchange, an addition. C4: two atomic"
        " operations more. calls: a pass's callbacks from an empty loop. reset: passes,"
        " the deferred work forgotten before each. carried: carried over. ns of"
        " processor time.",
    )


if __name__ == "__main__":
    harness.command(benchmark, harness.native_loops)()
