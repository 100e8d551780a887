"""Services of a real systemd: its limits and its protocol of memory pressure."""

from __future__ import annotations

import base64
import contextlib
import subprocess
from typing import TYPE_CHECKING

from support import BIG_FILE, USER, Told, make_big_file, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support import Checks

PROTOCOL = "systemd's protocol"
# The service itself thrashes, in a thread.
THRASH = f"""
import mmap, threading
with open("{BIG_FILE}", "rb") as file:
    pages = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
def thrash():
    while True:
        for offset in range(0, len(pages), 4096):
            pages[offset]
threading.Thread(target=thrash, daemon=True).start()
"""
LIMIT = "MemoryMax=100M"
USERS_MANAGER = [
    "setpriv",
    f"--reuid={USER}",
    f"--regid={USER}",
    "--clear-groups",
    "env",
    f"XDG_RUNTIME_DIR=/run/user/{USER}",
    "HOME=/home/user",
]


@contextlib.contextmanager
def service(*properties: str, options: tuple[str, ...] = ()) -> Iterator[Told]:
    """A service with these properties, that does what it is told."""
    command = ["systemd-run", "--pipe", "--wait", "--collect", "-q", *options]
    for each in ("Environment=PYTHONPATH=/project/site", *properties):
        command += ["-p", each]
    with Told(prefix=command) as process:
        yield process


def hears_stalls(check: Checks, name: str, process: Told) -> None:
    """What ``auto()`` chose is systemd's protocol, and stalls come by it."""
    process.do("source = auto()")
    chosen = process.ask("source.name")
    check(f"{name}: source", PROTOCOL, chosen, ok=str(chosen).startswith(PROTOCOL))
    left = process.ask("[key for key in os.environ if 'PRESSURE' in key]")
    check(f"{name}: variables are taken out", [], left)
    check(f"{name}: calm", None, process.ask("source.wait(2)"))
    make_big_file(120)
    process.do(THRASH)
    said = str(process.ask("source.wait(60).detail"))
    check(f"{name}: stalls are heard", "the kernel reports stalls", said)


def watched(check: Checks) -> None:
    """``MemoryPressureWatch=on``."""
    watch = ("MemoryPressureWatch=on", "MemoryPressureThresholdSec=150ms")
    with service(LIMIT, *watch) as process:
        written = process.ask("os.environ.get('MEMORY_PRESSURE_WRITE', '')")
        text = base64.b64decode(written).decode()
        check(
            "systemd asks for stalls of 150 ms",
            "some 150000 2000000",
            text,
            ok=text.rstrip("\0\n") == "some 150000 2000000",
        )
        levels = process.ask("[each.limit // MIB for each in memory.levels()]")
        check("MemoryMax", 100, levels[0])
        hears_stalls(check, "MemoryPressureWatch=on", process)
    for user in ("User=user", "DynamicUser=yes"):
        with service(LIMIT, "MemoryPressureWatch=on", user) as process:
            hears_stalls(check, user, process)


def not_watched(check: Checks) -> None:
    """Where systemd does not set it up, for a user without rights on the group."""
    for value in ("skip", "off"):
        watch = f"MemoryPressureWatch={value}"
        with service(LIMIT, "User=user", watch) as process:
            chosen = str(process.ask("chosen()"))
            check(
                watch,
                "memory.events of the service",
                chosen,
                ok=chosen.endswith(".service/memory.events"),
            )


def changed(check: Checks) -> None:
    """``systemctl set-property`` while ``protect()`` runs."""
    high = "[x.limit // MIB for x in memory.levels() if 'high' in x.where]"
    unit = ("--unit=changed",)
    with service("MemoryHigh=80M", "MemoryPressureWatch=on", options=unit) as process:
        process.do(
            "reclaimer = protect().start()\n"
            "cache = Cache(weigher=lambda key, value: len(value))\n"
            "for n in range(2000): cache[n] = b'x' * 20000"
        )
        check("MemoryHigh", [80], process.ask(high))
        before = process.ask("len(cache)")
        command = ["systemctl", "set-property", "--runtime", "changed.service"]
        subprocess.run([*command, "MemoryHigh=50M"], check=True)
        check("MemoryHigh changed", [50], process.ask(high))
        wait_for(lambda: bool(process.ask("len(cache)") < before))
        check(
            "... the cache gives back",
            f"below {before} entries",
            now := process.ask("len(cache)"),
            ok=now < before,
        )
        process.do("reclaimer.stop()")


def slices(check: Checks) -> None:
    """The limit of a slice, and that of a scope."""
    with service(options=("--slice=vm.slice",)) as process:
        command = ["systemctl", "set-property", "--runtime", "vm.slice"]
        subprocess.run([*command, "MemoryMax=222M"], check=True)
        check(
            "MemoryMax of the slice",
            ["cgroup v2 /vm.slice (memory.max) 222"],
            process.ask("levels()[:-1]"),
        )
    scope = ["systemd-run", "--scope", "-q", "-p", "MemoryMax=150M"]
    with Told(prefix=scope) as process:
        found = process.ask("[x.limit // MIB for x in memory.levels()][0]")
        check("MemoryMax of a scope", 150, found)
        chosen = str(process.ask("chosen()"))
        check(
            "... its own PSI",
            ".scope/memory.pressure",
            chosen,
            ok=chosen.endswith(".scope/memory.pressure"),
        )


def users_manager(check: Checks) -> None:
    """A service of a user's own manager, to which groups are delegated."""
    subprocess.run(["systemctl", "start", f"user@{USER}.service"], check=True)
    command = [*USERS_MANAGER, "systemd-run", "--user", "--pipe", "--wait"]
    command += ["--collect", "-q", "-E", "PYTHONPATH=/project/site"]
    command += ["-p", LIMIT]
    with Told(prefix=command) as process:
        check(
            "user's manager: MemoryMax",
            100,
            process.ask("memory.levels()[0].limit // MIB"),
        )
        hears_stalls(check, "user's manager", process)


def ready(check: Checks) -> None:
    """What systemd.run= does not wait for, and systemd-run and users need."""
    units = ["dbus.socket", "systemd-logind.service"]
    done = subprocess.run(
        ["systemctl", "start", *units],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    check(f"systemctl start {units}", (0, ""), (done.returncode, done.stdout))


STEPS = [ready, watched, not_watched, changed, slices, users_manager]
