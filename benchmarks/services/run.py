"""Services in small containers, unprotected and protected.

    python benchmarks/services/run.py --runs 20 -o docs/services.json

One model of a service (``model.py``) runs under each of several servers, in a memory
cgroup with a limit (needs root), at a fixed rate of work.  Prints for each server in
how many runs a process was killed, how many processes were, which part of the work was
done, and the hit ratio.

Needs gunicorn, uvicorn-worker, granian, celery and uwsgi for all of them; a server that
is missing is left out.  Unprotected runs show the same each time, so ``--unprotected``
says how many of the runs are made without a reclaimer as well.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import importlib.util
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "examples/service"))

from cgroup import Cgroup, CgroupError, Controller, memory_controller  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1 << 20
COUNTS = struct.Struct("QQQ")
"""Of a process, as in ``model.py``."""
START_SECONDS = 120
"""What a server has until it must listen; beside the load, where that is its own.
Far more than it takes, so that only one that hangs is ended."""
REQUEST_SECONDS = 10
"""What a request has until it counts as failed."""
SAMPLE_SECONDS = 0.05
STATUS_NOT_POSSIBLE = 77
STATUS_STOPPED = 130
SCRIPTS = Path(sys.executable).parent
"""Where uWSGI's program is."""


@dataclasses.dataclass(frozen=True)
class Server:
    """A way to run the model."""

    name: str
    needs: str
    """A module, or a program."""
    command: Callable[[Path, Load], list[str]]
    drive: Callable[[Path, Load], None] | None
    """Sends the work; None where the command makes it itself."""
    share: float = 1.0
    """Of the rate.  Three processes that sleep do less; 500 requests must be enough."""


class Load(NamedTuple):
    """What a server is given to do."""

    rate: float
    """Units a second."""
    seconds: float

    @property
    def units(self) -> int:
        """All of them."""
        return int(self.rate * self.seconds)


@dataclasses.dataclass
class Result:
    """What one run had."""

    server: str
    protected: bool
    kills: int
    """Processes that the OOM killer killed."""
    alive: bool
    """Whether the server's first process was there at the end."""
    offered: int
    """Units of work."""
    served: int
    hit_ratio: float
    peak_mib: float
    """Memory of the group, without file cache that can go."""
    shares: list[int]
    """Units that each process did, in the order of their numbers."""


# --- servers ------------------------------------------------------------------


def gunicorn(workers: int, *more: str) -> Callable[[Path, Load], list[str]]:
    """Return the command of gunicorn with uvicorn's workers."""

    def command(folder: Path, _: Load) -> list[str]:
        return [
            *(sys.executable, "-m", "gunicorn", "--workers", str(workers)),
            *("--worker-class", "uvicorn_worker.UvicornWorker"),
            *("--bind", f"unix:{folder}/socket", "--log-level", "error"),
            *more,
            "apps:asgi",
        ]

    return command


def granian(workers: int) -> Callable[[Path, Load], list[str]]:
    """Return the command of Granian."""

    def command(folder: Path, _: Load) -> list[str]:
        return [
            *(sys.executable, "-m", "granian", "--interface", "asgi"),
            *("--uds", f"{folder}/socket", "--workers", str(workers)),
            *("--log-level", "error", "apps:asgi"),
        ]

    return command


def uwsgi(workers: int) -> Callable[[Path, Load], list[str]]:
    """Return the command of uWSGI, with two threads in each process."""

    def command(folder: Path, _: Load) -> list[str]:
        return [
            *(str(SCRIPTS / "uwsgi"), "--http-socket", f"{folder}/socket"),
            *("--master", "--processes", str(workers), "--threads", "4"),
            *("--home", sys.prefix, "--chdir", str(HERE), "--module", "apps:wsgi"),
            *("--disable-logging", "--die-on-term", "--need-app", "--listen", "100"),
        ]

    return command


def celery(workers: int) -> Callable[[Path, Load], list[str]]:
    """Return the command of a Celery worker with a pool of processes."""

    def command(_: Path, load: Load) -> list[str]:
        return [
            *("env", f"RATE={load.rate}", f"SECONDS={load.seconds}"),
            *(sys.executable, "-m", "celery", "--app", "tasks", "worker"),
            *("--pool", "prefork", "--concurrency", str(workers)),
            *("--loglevel", "error", "--without-gossip", "--without-mingle"),
            "--without-heartbeat",
        ]

    return command


def pool(workers: int) -> Callable[[Path, Load], list[str]]:
    """Return the command of a pool of processes."""

    def command(_: Path, load: Load) -> list[str]:
        numbers = (workers, load.rate, load.seconds)
        return [sys.executable, str(HERE / "apps.py"), *map(str, numbers)]

    return command


def send_requests(folder: Path, load: Load) -> None:
    """Send requests at a fixed rate, each by a connection of its own."""
    asyncio.run(_send_requests(folder / "socket", load))


async def _send_requests(path: Path, load: Load) -> None:
    async def send(seed: int) -> None:
        with contextlib.suppress(OSError, TimeoutError):  # Counted as not served.
            async with asyncio.timeout(REQUEST_SECONDS):
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    request = (
                        f"GET /{seed} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    )
                    writer.write(f"{request}\r\n".encode())
                    await reader.read()
                finally:
                    writer.close()

    async with asyncio.TaskGroup() as group:
        begin = time.monotonic()
        for seed in range(load.units):
            await asyncio.sleep(begin + seed / load.rate - time.monotonic())
            group.create_task(send(seed))


SERVERS = (
    Server("gunicorn x2", "uvicorn_worker", gunicorn(2), send_requests),
    Server("gunicorn x4", "uvicorn_worker", gunicorn(4), send_requests),
    Server(
        "gunicorn x4 --preload",
        "uvicorn_worker",
        gunicorn(4, "--preload"),
        send_requests,
    ),
    Server(
        "gunicorn x4 --max-requests 500",
        "uvicorn_worker",
        gunicorn(4, "--max-requests", "500"),
        send_requests,
        share=1.5,
    ),
    Server("Granian x2", "granian", granian(2), send_requests),
    Server("Celery x3", "celery", celery(3), None, share=0.5),
    Server("multiprocessing.Pool x8", "multiprocessing", pool(8), None),
    Server("uWSGI x2", "uwsgi", uwsgi(2), send_requests),
)


# --- one run ------------------------------------------------------------------


def _environment(folder: Path, *, protected: bool) -> dict[str, str]:
    return os.environ | {
        "PROTECT": str(int(protected)),
        "FOLDER": str(folder),
        "PYTHONPATH": os.pathsep.join(
            [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
    }


def run(
    server: Server,
    controller: Controller,
    options: argparse.Namespace,
    *,
    protected: bool,
) -> Result:
    """Run a server in a group, and give it work."""
    load = Load(options.rate * server.share, options.seconds)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "counts").mkdir()
        group = stack.enter_context(
            Cgroup(controller, "shrinker-services", options.limit * MIB)
        )
        log = stack.enter_context((folder / "log").open("wb"))
        process = stack.enter_context(
            _started(
                group.entered(server.command(folder, load)),
                cwd=HERE,
                env=_environment(folder, protected=protected),
                stdout=log,
                stderr=log,
            )
        )
        peak = stack.enter_context(_peak(group))
        try:
            answered = 0
            if server.drive is None:
                process.wait(options.seconds + START_SECONDS)
            else:
                answered = _wait_for(folder / "socket", process)
                server.drive(folder, load)
            alive = process.poll() in {None, 0}
        except subprocess.SubprocessError as error:
            raise RuntimeError(f"{server.name}: {error}") from error
        finally:
            if options.log:
                shutil.copy(folder / "log", options.log)
        shares, lookups, hits = _counts(folder / "counts")
        return Result(
            server=server.name,
            protected=protected,
            kills=group.oom_kills(),
            alive=alive,
            offered=load.units + answered,
            served=sum(shares),
            hit_ratio=hits / lookups if lookups else 0.0,
            peak_mib=peak[0] / MIB,
            shares=shares,
        )


@contextlib.contextmanager
def _started(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command; kill it at the end.  The group kills what it has started."""
    with subprocess.Popen(command, start_new_session=True, **options) as process:  # noqa: S603 - ours
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def _peak(group: Cgroup) -> Iterator[list[int]]:
    """Sample the memory of a group; the list has the most that was seen."""
    peak = [0]
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            peak[0] = max(peak[0], group.memory())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> int:
    """Wait until a request is answered; return how many were sent."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.settimeout(START_SECONDS)
            client.connect(str(path))
            client.sendall(b"GET /0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            if client.recv(1):
                return 1
        time.sleep(SAMPLE_SECONDS)
    raise RuntimeError(f"the server did not start: status {process.returncode}")


def _counts(folder: Path) -> tuple[list[int], int, int]:
    """Return the units of each process, and the sums of lookups and hits."""
    paths = sorted(folder.iterdir(), key=lambda path: int(path.name))
    found = [COUNTS.unpack(path.read_bytes()) for path in paths]
    units = [one[0] for one in found]
    return units, sum(one[1] for one in found), sum(one[2] for one in found)


# --- all of them --------------------------------------------------------------


def table(results: list[Result]) -> str:
    """Return the results as a table in Markdown."""
    lines = [
        (
            "| server | reclaimer | runs | with a kill | kills | served | hit ratio"
            " | peak, MiB |"
        ),
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name in dict.fromkeys(one.server for one in results):
        for protected in (False, True):
            some = [x for x in results if (x.server, x.protected) == (name, protected)]
            if not some:
                continue
            served = sum(x.served for x in some) / sum(x.offered for x in some)
            ratios = [x.hit_ratio for x in some]
            cells = (
                name,
                "protected" if protected else "unprotected",
                len(some),
                sum(x.kills > 0 or not x.alive for x in some),
                sum(x.kills for x in some),
                f"{served:.1%}",
                f"{statistics.median(ratios):.3f}",
                f"{max(x.peak_mib for x in some):.0f}",
            )
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(
        description="Services in small containers, unprotected and protected.",
        epilog="Status 77: memory cgroups cannot be made here.",
    )
    parser.add_argument("--runs", type=int, default=20, help="of each server: 20")
    parser.add_argument("--unprotected", type=int, help="of them also unprotected: all")
    parser.add_argument("--only", default="", help="servers with this in their name")
    parser.add_argument("--limit", type=int, default=256, help="of memory, in MiB: 256")
    parser.add_argument("--seconds", type=float, default=15, help="of work: 15")
    parser.add_argument("--rate", type=float, default=160, help="units a second: 160")
    parser.add_argument("--log", type=Path, help="keep the last server's output")
    parser.add_argument("-o", type=Path, metavar="FILE", help="write all results: JSON")
    return parser.parse_args()


def main() -> int:
    """Make the runs one by one; each round has each server."""
    options = parse()
    # Not killed by it: the group and its processes are removed on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STATUS_STOPPED))
    unprotected = options.runs if options.unprotected is None else options.unprotected
    servers = []
    for server in SERVERS:
        if options.only not in server.name:
            continue
        if importlib.util.find_spec(server.needs) or (SCRIPTS / server.needs).exists():
            servers.append(server)
        else:
            print(
                f"{server.name}: left out, {server.needs} is missing", file=sys.stderr
            )
    results: list[Result] = []
    try:
        with memory_controller() as controller:
            where = (
                f"{options.limit} MiB, cgroup v{controller.version}, Linux"
                f" {platform.release()}, Python {platform.python_version()},"
                f" {os.cpu_count()} cores"
            )
            for number in range(options.runs):
                for server in servers:
                    for protected in (False, True):
                        if not protected and number >= unprotected:
                            continue
                        one = run(server, controller, options, protected=protected)
                        results.append(one)
                        print(one, file=sys.stderr, flush=True)
                if options.o:
                    found = [dataclasses.asdict(one) for one in results]
                    text = json.dumps({"where": where, "runs": found}, indent=1)
                    options.o.write_text(text + "\n")
    except CgroupError as error:
        print(f"not possible here: {error}", file=sys.stderr)
        return STATUS_NOT_POSSIBLE
    print(where, table(results), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
