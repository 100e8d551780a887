"""The command line: one function a command, which only reads its arguments.

What a command needs is imported when it runs, so that ``--help`` is quick.
"""

from __future__ import annotations

import codecs
import contextlib
import dataclasses
import io
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from shrinker import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["cli"]


_SIGNS = {
    "\N{BOX DRAWINGS LIGHT HORIZONTAL}": "-",
    "\N{BOX DRAWINGS HEAVY HORIZONTAL}": "-",
    "\N{EN DASH}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "*",
    "\N{PLUS-MINUS SIGN}": "~",
    "\N{MICRO SIGN}": "u",
}
"""What stands for our signs where they cannot be written, as wide as they are."""
_ERRORS = "shrinker.signs"
_DEFAULT_ERRORS = ("strict", "surrogateescape", "backslashreplace")
"""What Python has by itself; whatever else there is was asked for."""


def _plain_signs(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace our signs; what others wrote is escaped, as on standard error."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    first = error.object[error.start]
    if first in _SIGNS:
        return _SIGNS[first], error.start + 1
    error.end = error.start + 1
    return codecs.lookup_error("backslashreplace")(error)


def _write_anything() -> None:
    """Let no character be an error, whatever the encoding of the streams.

    Names of files may hold bytes that are no characters; they are escaped, too.
    """
    codecs.register_error(_ERRORS, _plain_signs)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in _DEFAULT_ERRORS:
            stream.reconfigure(errors=_ERRORS)


class _Commands(click.Group):
    """Commands whose output may be refused: a full disk, a reader that went away."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line, as click does.

        An OSError is one line on standard error and exit code 1; of a pipe that
        nobody reads any more nothing is said.
        """
        if sys.stdout is None:
            _end("standard output is closed")
        _write_anything()
        try:
            try:
                return super().main(*args, **extra)
            finally:
                # Not at the interpreter's end, where nobody could catch it.
                sys.stdout.flush()
        except BrokenPipeError:
            _end(None)
        except OSError as exc:
            what = exc.filename or "writing the output"
            _end(f"{what}: {exc.strerror or exc}")


def _end(reason: str | None) -> NoReturn:
    if reason is not None:
        with contextlib.suppress(OSError):
            click.echo(f"Error: {reason}", err=True)
    # What is still in the buffer goes where it can be written.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
    sys.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="shrinker")
def cli() -> None:
    """Measure, replay and explain the Linux memory shrinker."""


def _exit_codes(success: str, failure: str) -> str:
    """Return what ``--help`` says at its end, in lines of its own."""
    return f"\b\nExit codes:\n0  {success}\n1  {failure}\n2  the command line is wrong"


@cli.command(
    short_help="Put recorded kernel traces through the core.",
    epilog=_exit_codes(
        "every file was read to its end and holds events of a shrinker",
        "one was not or does not, or the output could not be written; with\n"
        "   --strict also where a pass is inexact, a line malformed, a start or an\n"
        "   end alone, or an event lost",
    ),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--strict",
    is_flag=True,
    help="Exit with 1 where anything is inexact, malformed, alone or lost.",
)
def replay(files: tuple[str, ...], *, as_json: bool, strict: bool) -> None:
    """Put every pass of recorded kernel traces through the C core.

    FILE is a text trace of mm_shrink_slab_start and mm_shrink_slab_end as
    ftrace or perf script print it: plain, gzip or xz, - for standard input.
    Each file is one recording.

    Shows how many passes come out exactly as recorded, which do not and why,
    and what the passes say about each shrinker.  docs/replay.md tells how to
    record a trace, and what is checked.
    """
    from shrinker.trace.printing import print_json, print_replay, progress  # noqa: PLC0415
    from shrinker.trace.replay import replay_files  # noqa: PLC0415

    with progress(files) as advance:
        result = replay_files(files, advance)
    if as_json:
        print_json(result)
    else:
        print_replay(result)
    if not (result.flawless if strict else result.ok):
        sys.exit(1)


@cli.command(
    short_help="Measure the reclaim loop.",
    epilog=_exit_codes(
        "measured", "something is missing or failed, or ended before two rounds"
    ),
)
@click.option(
    "--scenario",
    type=click.Choice(["loop", "native", "memcg", "neighbours", "threads"]),
    default="loop",
    show_default=True,
    help="The reclaim loop; native passes by two C loops; 10 to 10,000 memory cgroups;"
    " busy neighbours; two threads.",
)
@click.option(
    "--peers",
    is_flag=True,
    help="Ways from C into Python methods side by side, shrinker's among them; needs"
    " a C compiler.",
)
@click.option(
    "--fast", is_flag=True, help="About 10 seconds instead of 80, on an idle machine."
)
@click.option(
    "--rounds",
    type=click.IntRange(min=2),
    help="At most so many rounds of all rows; 20, or 5 with --fast.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the result goes, in pyperf's JSON; bench-results/<time>.json.  The"
    " directory must exist, but for bench-results.",
)
@click.option(
    "--recording",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Take cache sizes, seeks and priorities from this trace, not from the one"
    " in the package.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Where the plots go, as PATH.png and PATH.svg; beside the result.",
)
@click.option("--no-plot", is_flag=True, help="Draw nothing.")
@click.option(
    "--compare",
    "compare_with",
    type=click.Path(exists=True, dir_okay=False),
    metavar="OLD.json",
    help="Name the rows that are slower or faster than in an older result.",
)
def bench(
    *,
    scenario: str,
    peers: bool,
    fast: bool,
    rounds: int | None,
    output: Path | None,
    recording: str | None,
    plot: Path | None,
    no_plot: bool,
    compare_with: str | None,
) -> None:
    """Measure what a pass costs: with native callbacks, Python ones, in pure Python.

    Around a default point (100 shrinkers of 4,096 objects, priority 3, batch
    128) the priority, the batch size and the number of shrinkers are varied, one
    at a time; and a real recording is walked.  Ctrl-C ends it early: what was
    measured is kept when two rounds are complete.  docs/benchmark.md tells how
    to read it.

    On a machine that is otherwise idle it ends within 2 minutes, with --fast
    within 20 seconds, and so do the others within the times below; a busy one
    takes longer, because two rounds are always made.

    --scenario memcg measures instead what creating a memory cgroup, setting
    shrinkers' bits in it and walking it costs, and the memory of one, with more
    and more groups, shrinkers and bits; within 70 seconds, 15 with --fast.

    --scenario native measures native passes and walks by two loops in C, neighbours
    walks beside busy Python threads, threads walks in two threads and shrinkers that
    come and go; each within 90 seconds, and each with goals: docs/performance.md.

    --peers measures what a callback into Python costs, by shrinker's trampoline, one
    written in CPython's C API, cffi's other ways and ctypes; within a minute.
    """
    if plot is not None and no_plot:
        raise click.UsageError("--plot and --no-plot exclude each other")
    if peers:
        if scenario != "loop":
            raise click.UsageError("--peers and --scenario exclude each other")
        scenario = "peers"
    if scenario != "loop" and recording:
        raise click.UsageError("--recording is for --scenario loop")
    with _complaints():
        from shrinker.bench import measure, run  # noqa: PLC0415
        from shrinker.bench.scenario import ScenarioName  # noqa: PLC0415

        name = ScenarioName(scenario)
        effort = measure.ALL_EFFORTS[name][fast]
        if rounds is not None:
            effort = dataclasses.replace(effort, rounds=rounds)
        output = output or run.default_output()
        if plot is None and not no_plot:
            if find_spec("matplotlib"):
                plot = output
            else:
                click.echo("no plot: pip install 'shrinker[plot]'", err=True)
        if name is ScenarioName.PEERS:
            run.bench_peers(effort, output=output, plot=plot, compare_with=compare_with)
            return
        if name is not ScenarioName.LOOP:
            run.bench_scenario(
                name, effort, output=output, plot=plot, compare_with=compare_with
            )
            return
        run.bench(
            effort,
            output=output,
            recording=recording,
            plot=plot,
            compare_with=compare_with,
        )


_TERM = re.compile(
    r"([+-]?)(0x[0-9a-f]{1,99}|[0-9]{1,99})(?:(?:\*\*|\^)([0-9]{1,3}))?", re.IGNORECASE
)


class Number(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """An integer from ``low`` to ``high``, in the ways in which large ones are written.

    Decimal or 0x hexadecimal, with ``_`` or ``,`` between digits, powers and sums
    of these (``2**62-1``, ``2^62``), or one of ``names``.
    """

    name = "number"

    def __init__(
        self, low: int, high: int, names: Mapping[str, int] | None = None
    ) -> None:
        self._low = low
        self._high = high
        self._names = dict(names or {})

    def convert(
        self,
        value: str | int,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Return the integer.  Fails as click's own types do."""
        number = value if isinstance(value, int) else self._parse(value)
        if number is None:
            names = "".join(f", {name}" for name in self._names)
            self.fail(
                f"{value!r} is not a number: try 4096, 0x1000, 2**62-1{names}",
                param,
                ctx,
            )
        if not self._low <= number <= self._high:
            self.fail(f"{value} is not {self._low} to {self._high}", param, ctx)
        return number

    def _parse(self, value: str) -> int | None:
        text = re.sub(r"[,_\s]", "", value)
        if text.upper() in self._names:
            return self._names[text.upper()]
        total, end = 0, 0
        while term := _TERM.match(text, end):
            sign, digits, exponent = term.groups()
            if end and not sign:
                return None
            # In base 10 unless it says 0x: a leading 0 is no octal number.
            number = int(digits, 16 if digits[1:2] in "xX" and digits[1:] else 10)
            total += number ** int(exponent or 1) * (-1 if sign == "-" else 1)
            end = term.end()
        return total if text and end == len(text) else None


@cli.command(
    short_help="Show one pass on paper.",
    epilog=_exit_codes("explained", "the output could not be written"),
)
@click.option(
    "--count",
    type=Number(0, 2**64 - 1, {"EMPTY": 2**64 - 2, "MAX": 2**63 - 1}),
    required=True,
    help="What count_objects returns, 0 to 2**64-1, EMPTY or MAX.",
)
@click.option(
    "--deferred",
    type=Number(-(2**63), 2**63 - 1),
    default=0,
    help="What earlier passes put off.",
    show_default=True,
)
@click.option(
    "--priority",
    type=Number(0, 63),
    default=12,
    help="0 is the most urgent, reclaim begins at 12; up to 63.",
    show_default=True,
)
@click.option(
    "--seeks",
    type=Number(-(2**31), 2**31 - 1),
    default=2,
    help="What it costs to recreate an object; 0 is cheap.",
    show_default=True,
)
@click.option(
    "--batch",
    type=Number(-(2**63), 2**63 - 1),
    default=0,
    help="Objects in one scan call; 0 stands for 128.",
    show_default=True,
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(
    *, count: int, deferred: int, priority: int, seeks: int, batch: int, as_json: bool
) -> None:
    """Show one pass over one shrinker, step by step, with its numbers.

    Numbers may be written 4096, 0x1000, 262,144 or 2**62-1.  The callback is
    taken to free all that it is asked for.
    """
    with _complaints():
        from shrinker.explain import explain as explained  # noqa: PLC0415
        from shrinker.explain_text import print_explanation, print_json  # noqa: PLC0415

        explanation = explained(
            count, deferred=deferred, priority=priority, seeks=seeks, batch=batch
        )
        if as_json:
            print_json(explanation)
        else:
            print_explanation(explanation)


@contextlib.contextmanager
def _complaints() -> Iterator[None]:
    """Turn what a command may run into into a line on standard error."""
    # Imported here for the same reason as everything else.
    from shrinker.errors import ShrinkerError  # noqa: PLC0415

    try:
        yield
    except ShrinkerError as exc:
        raise click.ClickException(str(exc)) from exc
    except ModuleNotFoundError as exc:
        package = (exc.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        raise click.ClickException(
            f"this needs {package}: pip install 'shrinker[{_EXTRAS[package]}]'"
        ) from exc


_EXTRAS = {"pyperf": "cli", "rich": "cli", "matplotlib": "plot"}
