"""Run the service under one load and one limit twice: unprotected, then protected.

Unprotected, its caches grow until the OOM killer kills it.  Protected, it serves all
requests.  The service runs in a memory cgroup with a limit, which needs root; the load
runs outside of it.

Ends with status 0 if that is what happened, 1 if not, and 77 where memory cgroups
cannot be made or a package is missing.
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
NEEDED_PACKAGES = ("httpx", "starlette", "uvicorn")

MIN_LIMIT_BYTES = 64 << 20
"""With less, the service does not start, or has no memory for its requests."""

SAMPLE_SECONDS = 0.02

START_SECONDS = 120
"""Time that the service has until it must listen: an emulated machine is slow."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

STATUS_NOT_POSSIBLE = 77
STATUS_STOPPED = 130


class Sample(NamedTuple):
    """Memory in use at one moment."""

    seconds: float
    """Since the start of the load."""
    memory: int
    """Of the cgroup, in bytes."""
    rss: int
    """Of the service, in bytes."""


@dataclasses.dataclass(slots=True)
class Run:
    """One run of the service, and its results."""

    protected: bool
    """Whether ``shrinker.protect()`` was active."""
    limit: int
    """Of the cgroup, in bytes."""
    seconds: float
    """How long the load takes if the service keeps up."""
    started: float
    """Start of the load, as ``time.monotonic()``."""
    outcome: str = ""
    """``finished``, ``killed by OOM``, or another end."""
    load: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The results of load.py."""
    samples: list[Sample] = dataclasses.field(default_factory=list)
    """Memory over time."""

    @property
    def statistics(self) -> dict[str, Any]:
        """The reclaimer's statistics."""
        return (self.load["service"] or {}).get("statistics", {})

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """What the reclaimer found and did, each time."""
        return (self.load["service"] or {}).get("verdicts", [])

    @property
    def good(self) -> bool:
        """Whether the run shows what the example claims."""
        if not self.protected:
            return self.outcome == "killed by OOM"
        return self.outcome == "finished" and self.load["failed"] == 0


class Stopped(Exception):  # noqa: N818 - not an error
    """A signal asked this program to stop."""


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
                    *("--requests", str(int(args.seconds * args.rate))),
                    *("--rate", str(args.rate), "--seed", str(args.seed)),
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
    """Run ``command``, and kill it at the end if it still runs."""
    # A signal waits until the process is known: else nothing would end it.
    waiting: list[int] = []
    for number in SIGNALS:
        signal.signal(number, lambda number, _: waiting.append(number))
    # In a session of its own: Ctrl-C reaches this program alone, which ends the rest.
    started = subprocess.Popen(  # noqa: S603 - our own
        command, start_new_session=True, text=True, **options
    )
    with started:
        try:
            for number in SIGNALS:
                signal.signal(number, stop)
            if waiting:
                stop()
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
    """Sample the memory until the load ends; return what the load printed."""
    statm = Path(f"/proc/{service.pid}/statm")
    page = os.sysconf("SC_PAGESIZE")
    while load.poll() is None:
        if service.poll() is None:
            seconds = time.monotonic() - result.started
            rss = int(statm.read_text().split()[1]) * page
            if rss:  # A process that has just died has none.
                result.samples.append(Sample(seconds, cgroup.memory(), rss))
        time.sleep(SAMPLE_SECONDS)
    return load.communicate()[0]


def outcome(cgroup: Cgroup, service: subprocess.Popen[str]) -> str:
    """Return how the service ended."""
    # The signal tells that it was killed, the counter of the cgroup by what.
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
    if found < MIN_LIMIT_BYTES:
        raise argparse.ArgumentTypeError(
            f"{text} is too small: the service needs {MIN_LIMIT_BYTES >> 20}M at least"
        )
    return found


def about(controller: Controller) -> str:
    """Return where and when the runs are, in one line."""
    return (
        f"cgroup v{controller.version}, Linux {platform.release()},"
        f" Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"
    )


def parse() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(
        description="A service under a memory limit: unprotected, then protected.",
        epilog="Status 77: memory cgroups cannot be made here.",
    )
    parser.add_argument(
        "--limit", type=limit, default="160M", help="of memory: 160M, at least 64M"
    )
    parser.add_argument("--seconds", type=float, default=20, help="of load: 20")
    parser.add_argument(
        "--rate", type=float, default=150, help="requests per second: 150"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the load: 1")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a plot: *.png")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    return parser.parse_args()


def stop(*_: object) -> None:
    """Turn a signal into an exception, so that all is cleaned up."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # Do not interrupt the clean-up.
    raise Stopped


def report(runs: list[Run], args: argparse.Namespace, where: str) -> None:
    """Print the figures of both runs; write the JSON and the plot."""
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
    """Run both, and report."""
    args = parse()
    needed = (*NEEDED_PACKAGES, "matplotlib") if args.plot else NEEDED_PACKAGES
    if missing := [name for name in needed if not importlib.util.find_spec(name)]:
        print(f"missing: pip install {' '.join(missing)}", file=sys.stderr)
        return STATUS_NOT_POSSIBLE
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
        return STATUS_NOT_POSSIBLE
    except RuntimeError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    except Stopped:
        print("stopped")
        return STATUS_STOPPED
    report(runs, args, about(controller))
    return 0 if all(run.good for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
