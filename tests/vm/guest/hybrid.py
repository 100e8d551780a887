"""Version 1 beside version 2: limits and sources where memory is in either."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support import CGROUP2, MIB, Told, machine, remove, write

if TYPE_CHECKING:
    from support import Checks

V1 = CGROUP2 / "memory"
V2 = CGROUP2 / "unified"
LIMIT_FILE = "memory.limit_in_bytes"
HIERARCHY_FILE = "memory.use_hierarchy"
# 120 MB through a cache.
FILL = """
reclaimer = protect().start()
cache = Cache(weigher=lambda key, value: len(value))
for n in range(6000):
    cache[n] = b"x" * 20000
"""


def roots(check: Checks) -> None:
    """In the root group of each hierarchy."""
    with Told() as process:
        check("no limit", [machine()], process.ask("levels()"))
        check(
            "the machine's PSI",
            "whole machine",
            reason := process.ask("auto().reason"),
            ok="whole machine" in reason,
        )


def not_hierarchical(check: Checks) -> None:
    """Before Linux 5.11 a group of version 1 counts for itself until told otherwise."""
    hierarchy = V1 / HIERARCHY_FILE
    if not hierarchy.exists() or hierarchy.read_text("ascii") == "1\n":
        return
    a, below = V1 / "a", V1 / "a" / "below"
    for directory in (a, below):
        directory.mkdir()
    write(a / LIMIT_FILE, 100 * MIB)
    with Told(below) as process:
        name = "version 1: not hierarchical"
        check(name, [machine()], process.ask("levels()"))
    for directory in (below, a):
        remove(directory)


def in_version_1(check: Checks) -> None:
    """Memory is in version 1."""
    if not (V1 / LIMIT_FILE).exists():
        return
    a, below, beside = V1 / "a", V1 / "a" / "below", V2 / "beside"
    a.mkdir()
    if (a / HIERARCHY_FILE).exists():
        write(a / HIERARCHY_FILE, 1)  # As systemd does at the root.
    for directory in (below, beside):
        directory.mkdir()
    write(a / LIMIT_FILE, 100 * MIB)
    expected = ["cgroup v1 /a 100", machine()]
    for name, groups in (
        ("own group", [a]),
        ("group below", [below]),
        ("also in a group of version 2", [below, beside]),
    ):
        with Told(*groups) as process:
            found = [each.split()[-1] for each in process.ask("levels()")]
            check(f"version 1: {name}", [each.split()[-1] for each in expected], found)
    with Told(below) as process:
        process.do(FILL)
        check(
            "version 1: protect() lives",
            "reclaims",
            reclaims := process.ask("reclaimer.statistics().reclaims"),
            ok=isinstance(reclaims, int) and reclaims > 0,
        )
        process.do("reclaimer.stop()")
    with Told(a) as process:
        process.do(f"source = UsageThreshold('{a}', 50 * MIB); source.open()")
        process.do("taken = bytearray(b'x') * (60 * MIB)")
        said = str(process.ask("source.wait(30).detail"))
        check(
            "version 1: a threshold is met", "rose above", said, ok="rose above" in said
        )
    for directory in (below, a, beside):
        remove(directory)


def in_version_2(check: Checks) -> None:
    """Memory is in version 2, beside hierarchies of version 1."""
    if (V1 / LIMIT_FILE).exists():
        return
    write(V2 / "cgroup.subtree_control", "+memory")
    a = V2 / "a"
    a.mkdir()
    write(a / "memory.max", "100M")
    with Told(a) as process:
        check(
            "version 2: own group",
            ["cgroup v2 /a (memory.max) 100", machine()],
            process.ask("levels()"),
        )
        check("version 2: source", f"PSI {a}/memory.pressure", process.ask("chosen()"))
    remove(a)


STEPS = [roots, not_hierarchical, in_version_1, in_version_2]
