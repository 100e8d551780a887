"""Run the service as four processes under one limit, in four ways, under one load.

- *unprotected*: caches only grow; the OOM killer kills processes, which are started
  again, as gunicorn does;
- *maxsize*: each cache has a fixed size, chosen by hand for this limit;
- *alone*: each process is protected, but knows nothing of the others;
- *shared*: each process calls ``shrinker.protect()``, and they share a shortage.

Ends with status 0 if the shared run served everything without a kill, 1 if not, and 77
where memory cgroups cannot be made or a package is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgroup import Cgroup, CgroupError, Controller, memory_controller
from run import (
    NEEDED_PACKAGES,
    SIGNALS,
    STATUS_NOT_POSSIBLE,
    STATUS_STOPPED,
    Stopped,
    about,
    limit,
    process,
    stop,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
WAYS = ("unprotected", "maxsize", "alone", "shared")
MAXSIZE_BYTES = 12 << 20
"""Of each of two caches in each of four processes: what 256 MiB have room for."""
SAMPLE_SECONDS = 0.05
START_SECONDS = 30
"""Time that the processes have until they must answer."""
BACKLOG = 128


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """Memory in use at one moment."""

    seconds: float
    """Since the start of the load."""
    memory: int
    """Of the cgroup, in bytes."""
    own: list[int]
    """What each process has for itself, in bytes."""


@dataclasses.dataclass(slots=True)
class WorkersRun:
    """One run of the service, and its results."""

    way: str
    limit: int
    """Of the cgroup, in bytes."""
    kills: int = 0
    """Processes that the OOM killer killed."""
    load: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The results of load.py."""
    samples: list[Sample] = dataclasses.field(default_factory=list)
    """Memory over time."""

    @property
    def between(self) -> float:
        """Part of the time with free memory from *low* to *high*, once it was filled.

        An image beyond counts, too: one is freed as a whole, and has up to 4 MiB.
        """
        from shrinker.pressure import Watermarks  # noqa: PLC0415 - may be missing

        marks, slack = Watermarks.of(self.limit), 4 << 20
        free = [self.limit - sample.memory for sample in self.samples]
        filled = next((i for i, each in enumerate(free) if each < marks.low), len(free))
        inside = [marks.low - slack <= each <= marks.high + slack for each in free]
        return sum(inside[filled:]) / max(1, len(free) - filled)


def serve(descriptor: int, way: str) -> None:
    """Be one of the processes: serve from a socket that all have."""
    import app  # noqa: PLC0415 - only in these processes
    import uvicorn  # noqa: PLC0415

    import shrinker  # noqa: PLC0415
    from shrinker.cache import Cache  # noqa: PLC0415
    from shrinker.pressure import Memory  # noqa: PLC0415

    class OwnMemory(Memory):
        """Reads the same, but a subclass shares nothing with other processes."""

    if way == "maxsize":
        app.profiles = Cache(MAXSIZE_BYTES, weigher=app.weigh)
        app.images = Cache(MAXSIZE_BYTES, weigher=lambda _, image: len(image))
    elif way == "alone":
        protect = shrinker.protect
        shrinker.protect = lambda: protect(memory=OwnMemory())
    uvicorn.run(
        app.app,
        fd=descriptor,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=60,  # Seconds; longer than clients keep idle connections.
    )


class Workers:
    """The processes of the service, started again when they end."""

    def __init__(
        self, stack: contextlib.ExitStack, cgroup: Cgroup, way: str, number: int
    ) -> None:
        self._stack = stack
        self._cgroup = cgroup
        self._way = way
        self._listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        self.address = f"{directory}/socket"
        self._listener.bind(self.address)
        self._listener.listen(BACKLOG)
        self._processes = [self._start() for _ in range(number)]

    def _start(self) -> subprocess.Popen[str]:
        descriptor = self._listener.fileno()
        command = [sys.executable, "-P", str(HERE / "workers.py")]
        command += ["--serve", str(descriptor), self._way]
        environment = os.environ | {
            "PROTECT": str(int(self._way in ("alone", "shared")))
        }
        return self._stack.enter_context(
            process(
                self._cgroup.entered(command),
                env=environment | {"PYTHONPATH": _path()},
                pass_fds=(descriptor,),
            )
        )

    def own_bytes(self) -> list[int]:
        """Return what each has for itself; starts those again that have ended."""
        page, sizes = os.sysconf("SC_PAGESIZE"), []
        for index, started in enumerate(self._processes):
            if started.poll() is not None:
                self._processes[index] = self._start()
        for each in self._processes:
            with contextlib.suppress(OSError):
                statm = Path(f"/proc/{each.pid}/statm").read_text()
                _, resident, shared = map(int, statm.split()[:3])
                sizes.append((resident - shared) * page)
        return sizes


def _path() -> str:
    """Return where the processes find the example and the package."""
    return os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])


def wait_until_ready(workers: Workers, number: int) -> None:
    """Wait until all processes have imported what they need."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(START_SECONDS)
            client.connect(workers.address)
            client.sendall(b"GET /statistics HTTP/1.0\r\n\r\n")
            if client.recv(1):
                break
    # One answers; the others started at the same time.
    time.sleep(number / 2)


def run(controller: Controller, args: argparse.Namespace, way: str) -> WorkersRun:
    """Run the service in a cgroup under the load."""
    result = WorkersRun(way, args.limit)
    with contextlib.ExitStack() as stack:
        cgroup = stack.enter_context(Cgroup(controller, "shrinker-workers", args.limit))
        workers = Workers(stack, cgroup, way, args.workers)
        wait_until_ready(workers, args.workers)
        load = stack.enter_context(
            process(
                [
                    *(sys.executable, "-P", str(HERE / "load.py"), workers.address),
                    *("--requests", str(int(args.seconds * args.rate))),
                    *("--rate", str(args.rate), "--seed", str(args.seed)),
                ],
                stdout=subprocess.PIPE,
            )
        )
        started = time.monotonic()
        while load.poll() is None:
            own = workers.own_bytes()
            seconds = time.monotonic() - started
            result.samples.append(Sample(seconds, cgroup.memory(), own))
            time.sleep(SAMPLE_SECONDS)
        answer = load.communicate()[0]
        if load.returncode:
            raise RuntimeError("the load generator failed")
        result.load = json.loads(answer)
        result.kills = cgroup.oom_kills()
    return result


def rows(runs: Sequence[WorkersRun]) -> list[list[str]]:
    """Return the figures as lines of cells."""
    lines = [["", *(run.way for run in runs)]]
    mib = 1 << 20
    for name, cell in (
        ("killed by OOM", lambda run: run.kills),
        ("requests served", lambda run: f"{run.load['served']:,}"),
        ("requests failed", lambda run: f"{run.load['failed']:,}"),
        ("hit ratio, profiles", lambda run: _ratio(run, "profiles")),
        ("hit ratio, images", lambda run: _ratio(run, "images")),
        ("latency, median", lambda run: _latency(run, "median")),
        ("latency, 99 %", lambda run: _latency(run, "p99")),
        (
            "memory, peak",
            lambda run: f"{max(each.memory for each in run.samples) / mib:.0f} MiB",
        ),
        ("time from low to high", lambda run: f"{run.between:.0%}"),
        ("processes at the end", _own_at_the_end),
    ):
        lines.append([name, *(str(cell(run)) for run in runs)])
    return lines


def _ratio(run: WorkersRun, cache: str) -> str:
    return f"{run.load['hit_ratio'].get(cache, 0):.1%}"


def _latency(run: WorkersRun, name: str) -> str:
    return f"{run.load['latency_ms'].get(name, 0):.0f} ms"


def _own_at_the_end(run: WorkersRun) -> str:
    return "/".join(f"{each / (1 << 20):.0f}" for each in run.samples[-1].own) + " MiB"


def print_rows(lines: Sequence[Sequence[str]]) -> None:
    """Print them in columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for name, *cells in lines:
        numbers = (
            cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)
        )
        print(name.ljust(widths[0]), *numbers, sep="   ")


def parse() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description="Several processes under one limit.")
    parser.add_argument("--limit", type=limit, default="256M", help="of memory: 256M")
    parser.add_argument("--workers", type=int, default=4, help="processes: 4")
    parser.add_argument("--seconds", type=float, default=30, help="of load: 30")
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument("--seed", type=int, default=1, help="of the load: 1")
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, default=WAYS, help="of running: all"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write a plot: *.png")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Run all ways, and report."""
    args = parse()
    if args.serve:
        serve(int(args.serve[0]), args.serve[1])
        return 0
    needed = (*NEEDED_PACKAGES, "matplotlib") if args.plot else NEEDED_PACKAGES
    if missing := [name for name in needed if not importlib.util.find_spec(name)]:
        print(f"missing: pip install {' '.join(missing)}", file=sys.stderr)
        return STATUS_NOT_POSSIBLE
    for number in SIGNALS:
        signal.signal(number, stop)
    runs = []
    try:
        with memory_controller() as controller:
            for way in args.ways:
                print(f"{way}: {args.seconds:g} s of load ...", flush=True)
                runs.append(run(controller, args, way))
    except CgroupError as error:
        print(f"not possible here: {error}", file=sys.stderr)
        return STATUS_NOT_POSSIBLE
    except RuntimeError as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    except Stopped:
        print("stopped")
        return STATUS_STOPPED
    print_rows(rows(runs))
    if args.json:
        args.json.write_text(json.dumps([dataclasses.asdict(run) for run in runs]))
    if args.plot:
        from workers_plot import save_plot  # noqa: PLC0415 - matplotlib is optional

        save_plot(runs, args.plot, about(controller))
        print(f"memory over time: {args.plot}")
    shared = [run for run in runs if run.way == "shared"]
    return int(any(run.kills or run.load["failed"] for run in shared))


if __name__ == "__main__":
    sys.exit(main())
