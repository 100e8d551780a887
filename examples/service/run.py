"""The same service under the same load and the same limit, twice.

Unprotected, its caches grow until the OOM killer comes.  Protected, it serves
everything.  Needs root, for a memory cgroup with a limit, in which the service runs;
all else, the load too, stays outside.

Ends with status 0 if that is what happened, 1 if not, and 77 where memory cgroups
cannot be made.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cgroup import Cgroup, CgroupError, Controller, memory_controller
from table import print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
NEEDED = ("httpx", "starlette", "uvicorn")

RATE = 150
"""Requests per second."""

LEAST = 64 << 20
"""Bytes: in less, the service does not start, or has no room for its requests."""

SAMPLE_SECONDS = 0.02

START_SECONDS = 30
"""How long the service may take until it listens."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

NOT_POSSIBLE_HERE = 77


class Sample(NamedTuple):
    """How much memory there was in use."""

    seconds: float
    """Since the load began."""
    memory: int
    """Of the cgroup, in bytes."""
    rss: int
    """Of the service, in bytes."""


@dataclasses.dataclass(slots=True)
class Run:
    """What happened to the service, once."""

    protected: bool
    """Whether ``shrinker.protect()`` was on."""
    limit: int
    """Of the cgroup, in bytes."""
    seconds: float
    """What the load takes where the service keeps up."""
    started: float
    """When the load began, by the clock ``time.monotonic``."""
    outcome: str = ""
    """``finished``, ``killed by OOM``, or what else there was."""
    load: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What load.py saw."""
    samples: list[Sample] = dataclasses.field(default_factory=list)
    """The memory, all the time."""

    @property
    def statistics(self) -> dict[str, Any]:
        """What the reclaimer did, as ``ReclaimerStatistics``."""
        return (self.load["service"] or {}).get("statistics", {})

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """What it did each time, as ``Verdict``."""
        return (self.load["service"] or {}).get("verdicts", [])

    @property
    def good(self) -> bool:
        """Whether that is what was to be shown."""
        if not self.protected:
            return self.outcome == "killed by OOM"
        return self.outcome == "finished" and self.load["failed"] == 0


class Stopped(Exception):  # noqa: N818 - nothing is wrong
    """Somebody wants us to stop."""


def run(controller: Controller, args: argparse.Namespace, *, protected: bool) -> Run:
    """Run the service in a cgroup under the load."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        cgroup = stack.enter_context(Cgroup(controller, "shrinker-service", args.limit))
        uds = f"{directory}/socket"
        service = stack.enter_context(
            process(
                cgroup.entered([sys.executable, "-P", str(HERE / "app.py"), uds]),
                env=os.environ | {"PROTECT": str(int(protected))},
            )
        )
        wait_for(uds, service)
        load = stack.enter_context(
            process(
                [
                    *(sys.executable, "-P", str(HERE / "load.py"), uds),
                    *("--requests", str(int(args.seconds * RATE))),
                    *("--rate", str(RATE), "--seed", str(args.seed)),
                ],
                stdout=subprocess.PIPE,
            )
        )
        result = Run(protected, cgroup.limit, args.seconds, time.monotonic())
        answer = watch(cgroup, service, load, result)
        if load.returncode:
            raise RuntimeError("the load generator failed")
        result.load = json.loads(answer)
        result.outcome = outcome(cgroup, service)
    return result


@contextlib.contextmanager
def process(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run ``command``; whatever happens, it does not outlive us."""
    # A session of its own: Ctrl-C is for us, who then end the others.
    started = subprocess.Popen(  # noqa: S603 - our own
        command, start_new_session=True, text=True, **options
    )
    with started:
        try:
            yield started
        finally:
            started.kill()


def wait_for(uds: str, service: subprocess.Popen[str]) -> None:
    """Wait until the service listens."""
    deadline = time.monotonic() + START_SECONDS
    while service.poll() is None and time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as client:
            if client.connect_ex(uds) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the service did not start: status {service.returncode}")


def watch(
    cgroup: Cgroup,
    service: subprocess.Popen[str],
    load: subprocess.Popen[str],
    result: Run,
) -> str:
    """Write down the memory until the load ends; return what it printed."""
    statm = Path(f"/proc/{service.pid}/statm")
    page = os.sysconf("SC_PAGESIZE")
    while load.poll() is None:
        if service.poll() is None:
            seconds = time.monotonic() - result.started
            rss = int(statm.read_text().split()[1]) * page
            if rss:  # Else it is dead, and we are about to hear of it.
                result.samples.append(Sample(seconds, cgroup.memory(), rss))
        time.sleep(SAMPLE_SECONDS)
    return load.communicate()[0]


def outcome(cgroup: Cgroup, service: subprocess.Popen[str]) -> str:
    """Say what became of the service."""
    # The signal says that it was killed, the cgroup's counter by whom.
    if service.poll() is None:
        return "finished"
    if service.returncode == -signal.SIGKILL and cgroup.oom_kills():
        return "killed by OOM"
    return f"ended with status {service.returncode}"


def size(text: str) -> int:
    """Return the bytes of a size such as 160M."""
    found = re.fullmatch(r"(\d+)([KMG]?)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"not a size such as 160M: {text!r}")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]]


def limit(text: str) -> int:
    """Return the bytes of a limit in which the service can run."""
    found = size(text)
    if found < LEAST:
        raise argparse.ArgumentTypeError(
            f"{text} is too small: the service needs {LEAST >> 20}M at least"
        )
    return found


def about(controller: Controller) -> str:
    """Say where and when this is."""
    return (
        f"cgroup v{controller.version}, Linux {platform.release()},"
        f" Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    )


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="A service under a memory limit: unprotected, then protected.",
        epilog="Status 77: memory cgroups cannot be made here.",
    )
    parser.add_argument(
        "--limit", type=limit, default="160M", help="of memory: 160M, at least 64M"
    )
    parser.add_argument("--seconds", type=float, default=20, help="of load: 20")
    parser.add_argument("--seed", type=int, default=1, help="of the load: 1")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it: *.png")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all figures")
    return parser.parse_args()


def stop(*_: object) -> None:
    """Turn a signal into an exception, so that everything is cleaned up."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # Cleaning up is not to be stopped.
    raise Stopped


def tell(runs: list[Run], args: argparse.Namespace, where: str) -> None:
    """Print the figures of both, and write and draw what was asked for."""
    print_table(runs)
    for one in runs:
        if one.protected and one.load["failed"]:
            print(f"protected, but failed: {one.load['failures']}")
    if args.json:
        args.json.write_text(json.dumps([dataclasses.asdict(run) for run in runs]))
    if args.plot:
        from plot import save_plot  # noqa: PLC0415 - matplotlib is optional

        save_plot(runs, args.plot, where)
        print(f"memory over time: {args.plot}")


def main() -> int:
    """Run both, and say what happened."""
    args = parse()
    needed = (*NEEDED, "matplotlib") if args.plot else NEEDED
    if missing := [name for name in needed if not importlib.util.find_spec(name)]:
        print(f"missing: pip install {' '.join(missing)}", file=sys.stderr)
        return NOT_POSSIBLE_HERE
    for number in SIGNALS:
        signal.signal(number, stop)
    runs = []
    try:
        with memory_controller() as controller:
            for protected in (False, True):
                name = "protected" if protected else "unprotected"
                print(f"{name}: {args.seconds:g} s of load ... ", end="", flush=True)
                runs.append(run(controller, args, protected=protected))
                print(runs[-1].outcome)
    except CgroupError as error:
        print(f"not possible here: {error}", file=sys.stderr)
        return NOT_POSSIBLE_HERE
    except RuntimeError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    except Stopped:
        print("stopped")
        return 130
    tell(runs, args, about(controller))
    return 0 if all(run.good for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
