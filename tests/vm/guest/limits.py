"""Limits of cgroup v2, as ``Memory`` finds them in processes that live under them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from support import (
    CGROUP2,
    MIB,
    Told,
    enable_memory,
    group,
    machine,
    wait_for,
    write,
)

if TYPE_CHECKING:
    from support import Checks

NEW_MOUNT = "mount -t cgroup2 cgroup2 /sys/fs/cgroup"
OWN_BIND_MOUNT = (
    "mkdir -p /tmp/own; mount --bind /sys/fs/cgroup/outer/inner /tmp/own;"
    "umount -l /sys/fs/cgroup; mount --move /tmp/own /sys/fs/cgroup"
)


def own(check: Checks) -> None:
    """The limit of the process's own group, as it is changed."""
    with Told() as process:
        check("root group: no limit", [machine()], process.ask("levels()"))
    with group("a", max="200M") as a, Told(a) as process:
        check(
            "memory.max of own group",
            ["cgroup v2 /a (memory.max) 200", machine()],
            process.ask("levels()"),
        )
        process.do("taken = bytearray(b'x') * (50 * MIB)")
        used, charged = process.ask(
            "(lambda own: [own.used, own.charged])(memory.levels()[0])"
        )
        check(
            "anonymous memory is used",
            "50 to 99 MiB",
            used // MIB,
            ok=50 * MIB <= used < 100 * MIB,
        )
        current = int((a / "memory.current").read_text("ascii"))
        check(
            "charged is memory.current",
            f"{current // MIB} MiB",
            charged // MIB,
            ok=abs(charged - current) < MIB,
        )
        for file, value, expected in (
            ("memory.max", "150M", "cgroup v2 /a (memory.max) 150"),
            ("memory.high", "120M", "cgroup v2 /a (memory.high) 120"),
            ("memory.low", "30M", "cgroup v2 /a (memory.high) 120"),
            ("memory.high", "0", "cgroup v2 /a (memory.high) 0"),
            ("memory.high", "max", "cgroup v2 /a (memory.max) 150"),
            ("memory.max", "max", machine()),
        ):
            write(a / file, value)
            check(f"{file} set to {value}", expected, process.ask("levels()[0]"))


def above(check: Checks) -> None:
    """Limits of groups above."""
    with (
        group("p", max="300M") as p,
        group("p/q") as q,
        group("p/q/c") as c,
        Told(c) as process,
    ):
        check(
            "limit of an ancestor",
            ["cgroup v2 /p (memory.max) 300", machine()],
            process.ask("levels()"),
        )
        write(c / "memory.max", "250M")
        write(q / "memory.high", "280M")
        write(p / "memory.high", "100M")
        process.do("taken = bytearray(b'x') * (40 * MIB)")
        check(
            "limits of all ancestors, changed while running",
            [
                "cgroup v2 /p/q/c (memory.max) 250",
                "cgroup v2 /p/q (memory.high) 280",
                "cgroup v2 /p (memory.high) 100",
                machine(),
            ],
            process.ask("levels()"),
        )
        check(
            "the shortest is above",
            "cgroup v2 /p (memory.high)",
            process.ask("memory.shortest().where"),
        )
    with group("t", max="128M") as t, Told(t) as process:
        threads = t / "threads"
        threads.mkdir()
        write(threads / "cgroup.type", "threaded")
        write(threads / "cgroup.threads", process.pid)
        check(
            "threaded group",
            ["cgroup v2 /t (memory.max) 128", machine()],
            process.ask("levels()"),
        )
        write(t / "cgroup.threads", process.pid)
        threads.rmdir()


def controller(check: Checks) -> None:
    """The memory controller is enabled and disabled below a running process."""
    outer = ["cgroup v2 /q (memory.max) 250", machine()]
    with (
        group("q", max="250M") as q,
        group("q/leaf", memory=False) as leaf,
        Told(leaf) as process,
    ):
        check("no controller in own group", outer, process.ask("levels()"))
        check(
            "its events are those above",
            f"{q}/memory.events",
            process.ask("MemoryEvents.of_own_cgroup().name"),
        )
        enable_memory(q)
        write(leaf / "memory.max", "99M")
        inner = ["cgroup v2 /q/leaf (memory.max) 99", *outer]
        wait_for(lambda: bool(process.ask("levels()") == inner))
        check("enabled while running", inner, process.ask("levels()"))
        write(q / "cgroup.subtree_control", "-memory")
        wait_for(lambda: bool(process.ask("levels()") == outer))
        check("disabled while running", outer, process.ask("levels()"))


def moved(check: Checks) -> None:
    """The process is moved to another group."""
    with group("b", max="123M") as b, group("a", max="200M") as a, Told(a) as process:
        process.ask("levels()")
        write(b / "cgroup.procs", process.pid)
        there = ["cgroup v2 /b (memory.max) 123", machine()]
        wait_for(lambda: bool(process.ask("levels()") == there))
        check("moved to another group", there, process.ask("levels()"))
        write(a / "cgroup.procs", process.pid)
        process.do("memory.refresh()")
        check(
            "moved back, refresh()",
            "cgroup v2 /a (memory.max) 200",
            process.ask("levels()[0]"),
        )
        process.do("limits.REFRESH_SECONDS = 1000; memory.refresh(); levels()")
        write(b / "cgroup.procs", process.pid)
        a.rmdir()
        check("moved, old group removed: seen at once", there, process.ask("levels()"))


def namespaces(check: Checks) -> None:
    """Namespaces of cgroups, processes and mounts."""

    def with_mounts(commands: str) -> list[str]:
        return ["unshare", "-C", "-m", "sh", "-c", f'{commands}; exec "$@"', "sh"]

    unmount = "umount -l /sys/fs/cgroup"
    with group("outer", max="400M"), group("outer/inner", max="180M") as inner:
        for name, prefix, expected in (
            ("cgroup namespace, old mount", ["unshare", "-C"], [180, 400]),
            (
                "... and a pid namespace",
                ["unshare", "-C", "-p", "-f", "--mount-proc"],
                [180, 400],
            ),
            (
                "as in a container: own namespaces, own mount",
                with_mounts(f"{unmount}; {NEW_MOUNT}"),
                [180],
            ),
            (
                "bind mount of the own group",
                ["unshare", "-m", "sh", "-c", f'{OWN_BIND_MOUNT}; exec "$@"', "sh"],
                [180],
            ),
            ("no cgroup2 mounted", with_mounts(unmount), []),
        ):
            with Told(inner, prefix=prefix) as process:
                found = process.ask("[each.limit // MIB for each in memory.levels()]")
                total = int(machine().split()[1])
                check(name, [*expected, total], found)
        with Told(inner, prefix=with_mounts(f"{unmount}; {NEW_MOUNT}")) as process:
            check(
                "in a container: its PSI, not the machine's",
                f"PSI {CGROUP2}/memory.pressure",
                process.ask("chosen()"),
            )


def names(check: Checks) -> None:
    """Names that /proc/self/cgroup shows with care."""
    with (
        group("a b", max="99M"),
        group("a b/c\\d:é (deleted)", max="88M") as odd,
        Told(odd) as process,
    ):
        check(
            "blank, backslash, colon, é, (deleted)",
            [88, 99],
            process.ask("[x.limit // MIB for x in memory.levels()][:2]"),
        )


def kinds(check: Checks) -> None:
    """What of the memory in a group counts as used."""
    used = "memory.levels()[0].used // MIB"
    file = "/var/tmp/once"
    with group("a", max="160M") as a, Told(a) as process:
        before = process.ask(used)
        process.do(
            f"file = open({file!r}, 'wb', buffering=0)\n"
            "for _ in range(100): file.write(bytes(MIB))\n"
            "os.fsync(file.fileno())"
        )
        check(
            "a file written once is not used",
            f"{before} MiB, 20 more at most",
            process.ask(used),
            ok=process.ask(used) <= before + 20,
        )
        process.do("taken = bytearray(b'x') * (110 * MIB)")
        check("... its pages can be had", 110, process.ask("len(taken) // MIB"))
        process.do(
            "taken = None\n"
            "file = open('/dev/shm/kept', 'wb')\n"
            "file.write(bytes(60 * MIB)); file.flush()"
        )
        check(
            "shared memory is used",
            f"{before + 60} MiB or more",
            process.ask(used),
            ok=process.ask(used) >= before + 60,
        )
        Path("/dev/shm/kept").unlink()
    Path(file).unlink()


STEPS = [own, above, controller, moved, namespaces, names, kinds]
