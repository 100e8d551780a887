"""What the benchmarks of this directory share: a command, a compiler, a machine in C.

Each is a module with a function ``benchmark()`` that returns lines and tables
(``shrinker.bench.lines``), and is measured, shown, drawn and compared as ``shrinker
bench`` is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import multiprocessing
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import threading
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click
from cffi import FFI

from shrinker._ffi import lib as package
from shrinker.bench.lines import NS, Row, Table
from shrinker.bench.options import measuring
from shrinker.bench.run import run
from shrinker.cli.streams import Commands
from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from shrinker.bench.lines import Benchmark, Column, Line, Run

HERE = Path(__file__).resolve().parent
CSRC = HERE.parent / "csrc"
INCLUDES = (CSRC / "include", CSRC, HERE)
_LOOPS = "native_loops"
_COMPILER_SECONDS = 120
_CGROUPS = Path("/sys/fs/cgroup/memory")


def command(
    benchmark: Callable[[], Benchmark],
    built: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
) -> click.Command:
    """Return the command of a benchmark; its module's docstring is the help.

    ``built`` compiles what the benchmark needs, and keeps it until the end.
    """

    @click.group(
        cls=Commands,
        help=sys.modules[benchmark.__module__].__doc__,
        invoke_without_command=True,
        subcommand_metavar="",
    )
    @measuring
    def command(**options: Any) -> None:
        try:
            with built():
                run(benchmark(), **options)
        except ShrinkerError as exc:
            raise click.ClickException(str(exc)) from exc

    return command


def compared(lines: Mapping[str, Line]) -> dict[str, Line]:
    """Compare all lines, each with its label, with the first."""
    first, *others = lines
    against = lines[first]
    return {first: against} | {
        label: dataclasses.replace(lines[label], against=against) for label in others
    }


def column_table(
    title: str, column: Column, lines: Mapping[str, Line], scale: float = NS
) -> Table:
    """Return a table with one column, and a row for each line and its label."""
    rows = [Row(label, [line]) for label, line in lines.items()]
    return Table(title, [column], rows, scale=scale)


def named(*lines: Line) -> dict[str, Line]:
    """Return lines, each with its name as the label."""
    return {line.name: line for line in lines}


# --- compiling --------------------------------------------------------------------


def _compile(*arguments: str | Path, text: str | None = None) -> str:
    """Run the C compiler; return its output.

    Raises ``ShrinkerError`` where there is none, or with the last line that it said.
    """
    name = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    compiler = shlex.split(name)
    try:
        done = subprocess.run(  # noqa: S603 - the compiler
            [*compiler, *(f"-I{path}" for path in INCLUDES), *arguments],
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMPILER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ShrinkerError(f"{compiler[0]}: {exc}") from exc
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ShrinkerError(f"{compiler[0]}: {said[-1]}")
    return done.stdout


def compile_module(directory: Path, name: str, *sources: Path) -> None:
    """Compile an extension module into a directory, with the flags of the package."""
    target = directory / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    python = f"-I{sysconfig.get_path('include')}"
    flags = ("-std=c11", "-O2", "-DNDEBUG", "-fPIC", "-shared")
    _compile(*flags, python, "-o", target, *sources)


def compile_cffi(
    directory: Path, name: str, declarations: str, header: str, *sources: Path
) -> None:
    """Compile a module of cffi's: ``declarations``, which ``header`` has, too."""
    ffi = FFI()
    ffi.cdef(declarations)
    ffi.set_source(name, header, compiler_verbose=0)
    emitted = directory / f"{name}.c"
    ffi.emit_c_code(str(emitted))
    compile_module(directory, name, emitted, *sources)


@contextlib.contextmanager
def built() -> Iterator[Path]:
    """Yield a directory for compiled modules, which this process and rounds import."""
    with tempfile.TemporaryDirectory(prefix="shrinker-benchmarks-") as directory:
        # Last, so that nothing else is found there.
        sys.path.append(directory)
        try:
            yield Path(directory)
        finally:
            sys.path.remove(directory)


@contextlib.contextmanager
def native_loops() -> Iterator[None]:
    """Have the loops in C compiled, with a core of their own."""
    names = [f"shrinker/{name}.h" for name in ("types", "shrinker", "domain", "memcg")]
    includes = "".join(f"#include <{name}>\n" for name in (*names, f"{_LOOPS}.h"))
    with built() as directory:
        flags = ("-E", "-P", "-DSHRINKER_CDEF", "-x", "c", "-")
        declarations = _compile(*flags, text=includes)
        sources = [HERE / f"{_LOOPS}.c", *sorted(CSRC.glob("*.c"))]
        compile_cffi(directory, _LOOPS, declarations, includes, *sources)
        yield


def loops() -> Any:
    """Return the compiled loops: a module with ``lib`` and ``ffi``."""
    return importlib.import_module(_LOOPS)


# --- machines in C ----------------------------------------------------------------


class NativeMachine(contextlib.AbstractContextManager["NativeMachine"]):
    """A domain with ``nr`` shrinkers in C, of the loops' core.  A context manager."""

    # Invariants: the first `_made` of `shrinkers` are registered in `domain`.
    def __init__(
        self, nr: int, *, nr_nodes: int = 1, memcg_aware: bool = False
    ) -> None:
        self.lib, self.ffi = loops().lib, loops().ffi
        flags = package.RECLAIM_MEMCG | package.RECLAIM_KMEM
        self.domain = self.lib.reclaim_domain_create(
            nr_nodes, package.RECLAIM_STALL_LIMIT, flags
        )
        if not self.domain:
            raise MemoryError("no memory for a domain")
        self.shrinkers: Any = self.ffi.new("struct shrinker *[]", nr)
        self._made = self.lib.register_shrinkers(
            self.domain, memcg_aware, self.shrinkers, nr
        )
        if self._made < nr:
            self.close()
            raise MemoryError("no memory for shrinkers")

    def walk(self, priority: int, walks: int) -> int:
        """Walk so often; return nanoseconds of the thread's processor time."""
        return int(self.lib.make_walks(self.domain, priority, walks))

    def statistics(self) -> Any:
        """Return the domain's ``struct reclaim_statistics``."""
        statistics = self.ffi.new("struct reclaim_statistics *")
        self.lib.reclaim_domain_get_statistics(self.domain, statistics)
        return statistics

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free them and the domain; no walk is under way any more."""
        self.lib.free_shrinkers(self.shrinkers, self._made)
        self.lib.reclaim_domain_put(self.domain)
        self._made = 0


def timed(
    function: Callable[[int], object], clock: Callable[[], float] = perf_counter
) -> Run:
    """Return what runs a function with a number of loops, and times it."""

    def run(loops: int) -> float:
        start = clock()
        function(loops)
        return clock() - start

    return run


@contextlib.contextmanager
def again_and_again(work: Callable[[], object], threads: int = 1) -> Iterator[None]:
    """Have threads do something again and again; each has done it once before."""
    over = False
    running = threading.Barrier(threads + 1)

    def loop() -> None:
        work()
        running.wait()
        while not over:
            work()

    started = [threading.Thread(target=loop, daemon=True) for _ in range(threads)]
    for thread in started:
        thread.start()
    running.wait()
    try:
        yield
    finally:
        over = True
        for thread in started:
            thread.join()


def half_timed(
    nr: int, make: Callable[[], int], remove: Callable[[int], object], *, second: bool
) -> float:
    """Make ``nr`` things and remove them; return the seconds of one of the two.

    ``make`` returns how many it has made.
    """
    start = perf_counter()
    made = make()
    between = perf_counter()
    remove(made)
    end = perf_counter()
    if made < nr:
        raise MemoryError(f"no memory for {nr}")
    return end - between if second else between - start


# --- memory -----------------------------------------------------------------------


def resident() -> int:
    """Return the bytes of this process that are in memory, exactly."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/smaps_rollup has no Rss")


@contextlib.contextmanager
def in_a_fork(function: Callable[[], float]) -> Iterator[Run]:
    """Yield a run that calls a function in a fork, and returns its result.

    Memory that the fork gets is not what something else has given back.
    """

    def run(_loops: int) -> float:
        with multiprocessing.get_context("fork").Pool(1) as pool:
            return pool.apply(function)

    yield run


@contextlib.contextmanager
def memory_cgroup(limit: int) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Make a memory cgroup of version 1 with a limit in MiB.  Needs root.

    Yields its directory, and what a child process calls to enter it.
    """
    if not os.access(_CGROUPS, os.W_OK):
        sys.exit(f"{_CGROUPS}: no memory cgroup can be made here")
    directory = _CGROUPS / f"shrinker-benchmark-{os.getpid()}"
    directory.mkdir()

    def enter() -> None:
        (directory / "cgroup.procs").write_text(str(os.getpid()))

    try:
        (directory / "memory.limit_in_bytes").write_text(str(limit << 20))
        yield directory, enter
    finally:
        directory.rmdir()
