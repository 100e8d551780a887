"""The commands: one function each, which only reads its arguments.

A command imports what it needs when it runs, so that ``--help`` is quick.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from shrinker import __version__
from shrinker._names import printable
from shrinker._number import Number, Real
from shrinker.bench.options import measuring
from shrinker.cli.files import FileCommand, FileName, warn_of_repeats
from shrinker.cli.streams import Commands, print_json
from shrinker.errors import ShrinkerError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cli"]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="shrinker")
def cli() -> None:
    """The Linux kernel's memory shrinker: measured, replayed, explained."""


def _exit_codes(success: str, failure: str) -> str:
    """Return the end of a command's ``--help``, in lines of its own."""
    return (
        f"\b\nExit codes:\n0  {success}\n1  {failure}\n2  the command line is wrong\n"
        "130  Ctrl-C came before there was anything to keep"
    )


_SORT_KEYS = (
    *("time", "passes", "asked", "scanned"),
    *("freed", "longest", "deferred", "counted"),
)
_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object."
)
_era_option = click.option(
    "--era",
    type=click.Choice(["A", "B", "C"]),
    help="The kernels' formula: A is up to 4.15, B 4.16 to 5.12, C 5.13 and later."
    "  Without it, what fits each file.",
)


@cli.command(
    short_help="Put recorded passes of a kernel through the core.",
    epilog=_exit_codes(
        "every file was read to its end and holds passes, with start and end",
        "a file could not be read to its end, or holds no pass,\n"
        "   or the output could not be written;\n"
        "   with --strict also where a pass is inexact, a line malformed, an event\n"
        "   lost, or an event an orphan: a start without an end, or the reverse",
    ),
)
@click.argument("files", nargs=-1, required=True, type=FileName(), metavar="FILE...")
@_json_option
@click.option(
    "--strict",
    is_flag=True,
    help="Exit with 1 also for inexact passes, malformed lines, orphans, lost events.",
)
@_era_option
def replay(
    files: tuple[str, ...], *, as_json: bool, strict: bool, era: str | None
) -> None:
    """Put the passes of a recording through the C core.

    FILE is a recording: the text that ftrace, trace-cmd, perf or a kernel log
    prints for the events mm_shrink_slab_start and mm_shrink_slab_end, plain,
    compressed or in an archive; or perf.data, trace.dat.  - is the standard input.

    Prints how many passes the core computes exactly as the kernel did, which
    ones it does not and why, and what the passes say about each shrinker.
    docs/replay.md says how to make a recording, and what is checked.
    """
    with _complaints():
        from shrinker.cli.replay import print_replay, progress  # noqa: PLC0415
        from shrinker.replay.passes import replay_files  # noqa: PLC0415

        warn_of_repeats(files)
        with progress(files) as advance:
            result = replay_files(files, advance, era=era)
        (print_json if as_json else print_replay)(result)
    if not (result.flawless if strict else result.ok):
        sys.exit(1)


class _Comparing(FileCommand):
    """A command whose arguments after ``--`` are files to compare with."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put what follows ``--`` aside, in ``ctx.obj``."""
        ctx.obj = ()
        if "--" in args:
            place = args.index("--")
            args, ctx.obj = args[:place], tuple(args[place + 1 :])
            if not ctx.obj:
                raise click.UsageError("No file follows --.", ctx)
        return super().parse_args(ctx, args)

    def input_names(self, ctx: click.Context) -> Iterator[str]:
        """Yield also the files to compare with."""
        yield from super().input_names(ctx)
        yield from ctx.obj


@cli.command(
    cls=_Comparing,
    short_help="Say what recordings say: figures for each shrinker and caller.",
    epilog=_exit_codes(
        "every file was read to its end and holds passes, with start and end",
        "a file could not be read to its end, or holds no pass,\n"
        "   or the output could not be written",
    ),
)
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=FileName(),
    metavar="FILE... [-- NEW...]",
)
@_json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print the rows as CSV.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True),
    metavar="FILE.html",
    help="Write one HTML file with all of it and timelines; print nothing else.",
)
@click.option(
    "--jobs",
    type=Number(1),
    help="Processes that read files side by side, 1 or more.  [default: one for each"
    " processor, at most one for each file and for each 4 MB]",
)
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="Read the files on a Dask cluster, such as tcp://HOST:8786; its workers open"
    " them.",
)
@click.option(
    "--what-if",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Run the recorded passes with another seeks or batch (0 or more), era (B or"
    " C), with priority_change (-12 to 12) added to each priority, with memcg_aware or"
    " own_thread (yes or no), and print a table of that instead; may be given several"
    " times.",
)
@click.option(
    "--trace-events",
    type=click.Path(dir_okay=False, writable=True),
    metavar="FILE.json",
    help="Also write the passes as a timeline for ui.perfetto.dev.",
)
@click.option(
    "--parquet",
    type=click.Path(dir_okay=False, writable=True),
    metavar="FILE.parquet",
    help="Also write all passes as a table, with pyarrow.",
)
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(["shrinker", "node", "memcg", "caller"]),
    help="Group passes by this; may be given several times.  Without it, tables by"
    " shrinker and by caller, and rows by shrinker.",
)
@_era_option
@click.option(
    "--threshold",
    "thresholds",
    multiple=True,
    metavar="NAME=NUMBER",
    help="What is worth a finding, such as long_pass_ms=50; may be given several times."
    "  docs/report.md has the names and their defaults.",
)
@click.pass_context
def report(context: click.Context, /, files: tuple[str, ...], **options: Any) -> None:
    """Say what recordings of reclaim say.

    FILE is a recording, as `shrinker replay` reads them.

    What is worth a look, with the lines that show it.  Then for each shrinker and
    each caller (kswapd, drop_caches, direct reclaim by task): passes, objects
    counted, asked for, scanned and freed, and the time inside.  docs/report.md says
    what each finding and figure is.

    With -- NEW..., what changed from the files before to those after it, beyond the
    noise: rates, yields, times, and findings.
    """
    with _complaints():
        from shrinker.cli.report import Options, run  # noqa: PLC0415

        ok = run(files, context.obj, Options(**options))
    if not ok:
        sys.exit(1)


@cli.command(
    short_help="Measure the reclaim loop.",
    epilog=_exit_codes(
        "measured", "something is missing or failed, or ended before two rounds"
    ),
)
@measuring
@click.option(
    "--recording",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Take cache sizes, seeks and priorities from this trace, not from the one"
    " in the package.",
)
def bench(*, recording: str | None, **options: Any) -> None:
    """Measure what a pass costs: with native callbacks, Python ones, in pure Python.

    Around a default point (100 shrinkers of 4,096 objects, priority 3, batch
    128) the priority, the batch size and the number of shrinkers are varied, one
    at a time; and a real recording is walked.  Ctrl-C ends it early: what was
    measured is kept when two rounds are complete.  docs/benchmark.md tells how
    to read it.

    On a machine that is otherwise idle 20 rounds end within 2 minutes, the 5 of
    --fast within 10 to 20 seconds; a busy one takes longer, because two rounds
    are always made.
    """
    with _complaints():
        from shrinker.bench import loop, run  # noqa: PLC0415

        run.run(loop.benchmark(recording), **options)


@cli.command(
    short_help="Show the arithmetic of one pass, step by step.",
    epilog=_exit_codes(
        "explained", "the line cannot be read, or the output could not be written"
    ),
)
@click.argument("line", nargs=-1, metavar="[LINE]")
@click.option(
    "--count",
    type=Number(0, 2**64 - 1, {"EMPTY": 2**64 - 2, "MAX": 2**63 - 1}, wraps=True),
    help="Objects that count_objects returns: 0 to 2**64-1, EMPTY or MAX.  Negative as"
    " traces print it: -1 is 2**64-1.",
)
@click.option(
    "--deferred",
    type=Number(-(2**63), 2**63 - 1),
    default=0,
    help="Objects that earlier passes deferred.",
    show_default=True,
)
@click.option(
    "--priority",
    type=Number(0, 63),
    default=12,
    help="From 12, where reclaim begins, down to 0, the most urgent; at most 63.",
    show_default=True,
)
@click.option(
    "--era",
    type=click.Choice(["A-4.10", "A", "B", "B-4.19", "C"]),
    help="The kernels' formula: A-4.10 is up to 4.10, A 4.11 to 4.15, B 4.16 to 5.12"
    " (B-4.19 in 4.19.y), C 5.13 and later.  [default: C; with LINE, what fits it]",
)
@click.option(
    "--pgs-scanned",
    type=Number(-(2**63), 2**63 - 1),
    help="Pages that the walk scanned: for eras A, in place of the priority.",
)
@click.option(
    "--lru-pgs",
    type=Number(-(2**63), 2**63 - 1),
    help="Pages that the walk could have scanned: for eras A, too.",
)
@click.option(
    "--seeks",
    type=Number(-(2**31), 2**31 - 1),
    default=2,
    help="Cost of recreating an object; 0 is cheap.",
    show_default=True,
)
@click.option(
    "--batch",
    type=Number(-(2**63), 2**63 - 1),
    default=0,
    help="Objects in one scan call; 0 means 128.  A long of the kernel, so it can be"
    " negative.",
    show_default=True,
)
@_json_option
@click.pass_context
def explain(
    context: click.Context,
    /,
    line: tuple[str, ...],
    *,
    count: int | None,
    era: str | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Show one pass over one shrinker, step by step, with its numbers.

    Numbers may be written 4096, 10k, 1e6, 0x1000, 262,144, 3*2**61 or 2**62-1.
    The callback is assumed to free all that it is asked for.

    LINE is a line with mm_shrink_slab_start from a recording.  It gives the count,
    deferred, priority (or pages) and seeks, in place of these options.  Of whole
    files `shrinker replay` checks each pass.
    """
    if (count is None) == (not line):
        raise click.UsageError("Give either --count or a line of a recording.")
    for name in ("deferred", "priority", "seeks", "pgs_scanned", "lru_pgs"):
        if line and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = "--" + name.replace("_", "-")
            raise click.UsageError(f"The line gives {option} already: leave it out.")
    with _complaints():
        from shrinker.cli.explain import print_explanation, recorded  # noqa: PLC0415
        from shrinker.explain import explain as explained  # noqa: PLC0415

        settings["era"] = era or "C"
        if count is None:
            count, found = recorded(" ".join(line), era, settings["batch"])
            settings |= found
        try:
            explanation = explained(count, **settings)
        except ValueError as exc:
            raise click.UsageError(str(exc)) from exc
        (print_json if as_json else print_explanation)(explanation)


@cli.command(
    short_help="Show the processes that share a limit, and what each gave.",
    epilog=_exit_codes("the tables were read", "the output could not be written"),
)
@_json_option
def workers(*, as_json: bool) -> None:
    """Show which processes of this user share a limit on memory.

    For each: what its caches hold, what they cost to make anew (seeks), its share of
    the next shortage, what it has freed since it started (given), in how many
    shortages that it shared with others, and when it looked at the memory last. One
    that is alone under its limit shares no shortage, so it counts none. Limits with
    the same name are told apart by the files of their tables.
    """
    from shrinker.cli.workers import (  # noqa: PLC0415
        find_groups,
        print_groups,
        print_json,
    )

    (print_json if as_json else print_groups)(find_groups())


@cli.command(
    short_help="Record what the kernel's shrinkers are asked for.",
    context_settings={"allow_interspersed_args": False},
    epilog=_exit_codes(
        "recorded, until Ctrl-C, SIGTERM, --seconds or the end of COMMAND",
        "tracefs is missing or not permitted, the file could not be written,\n"
        "   or COMMAND not started",
    )
    + "\n*  that of COMMAND where it fails by itself; after a signal 128 more than"
    " its number",
)
@click.option(
    "-o",
    "output",
    type=FileName(readable=False, writable=True),
    metavar="FILE",
    help="The file, compressed by its name: .gz, .xz, else text; - is the standard"
    " output.  [default: shrinker-DATE-TIME.txt.gz]",
)
@click.option(
    "--seconds",
    type=Real(min=0, min_open=True),
    help="End after this time.  [default: at Ctrl-C, or when COMMAND ends]",
)
@click.option(
    "--buffer",
    "buffer_kib",
    type=Number(4, 1 << 22),
    metavar="KIB",
    help="The ring buffer of each processor, 4 to 4,194,304.  [default: 1 % of memory"
    " in all, at least 512 and at most 8192 each]",
)
@click.option(
    "--context",
    is_flag=True,
    help="Also record who woke kswapd, who was throttled, and, where the kernel has"
    " them, the rounds of kswapd (balance_pgdat).",
)
@click.argument("command", nargs=-1, type=FileName(), metavar="[-- COMMAND...]")
def record(output: str | None, **options: Any) -> None:
    """Record the kernel's shrinker events in a file, for `shrinker replay`.

    Needs root and tracefs.  The events go to a buffer of their own, so other
    tracing is not disturbed, and everything is put back at the end.  Beside the
    two events of a pass it records on whose behalf shrinkers are asked: direct
    reclaim, kswapd, memory cgroups.

    With COMMAND it records the whole machine while COMMAND runs.
    """
    with _complaints():
        from shrinker.cli.record import record_and_print  # noqa: PLC0415
        from shrinker.kernel.writer import check_name  # noqa: PLC0415

        try:
            check_name(output or "")
        except ValueError as exc:
            raise click.UsageError(str(exc)) from exc
        code = record_and_print(output, **options)
    sys.exit(code)


@cli.command(
    short_help="Watch what the kernel's shrinkers are asked for, live.",
    epilog=_exit_codes(
        "shown, until q, Ctrl-C or SIGTERM", "tracefs is missing or not permitted"
    ),
)
@click.option(
    "--sort",
    type=click.Choice(_SORT_KEYS),
    default="time",
    show_default=True,
    help="Largest first.",
)
@click.option(
    "--by",
    type=click.Choice(["shrinker", "memcg", "both"]),
    default="shrinker",
    show_default=True,
    help="What a row is.  Linux 7.2 and later name the memory cgroup.",
)
@click.option(
    "--interval",
    type=Real(min=0.1),
    default=2.0,
    show_default=True,
    help="Seconds that are added up.",
)
@click.option("--once", is_flag=True, help="Print one table, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and end.")
def top(**options: Any) -> None:
    """Show what the kernel's shrinkers are asked for, as it happens.

    Needs root and tracefs; other tracing is not disturbed.  A row has the passes of
    the last seconds, the objects that they wanted to scan (asked), scanned and
    freed, the time inside, the longest pass, what was deferred to later passes, and
    the objects that were counted.  A row in bold has a pass that is not over.  Where
    debugfs has the kernel's shrinkers, what they hold now is shown too.
    """
    with _complaints():
        from shrinker.cli.top import top as show  # noqa: PLC0415

        show(**options)


@contextlib.contextmanager
def _complaints() -> Iterator[None]:
    """Turn an error that the user can mend into one line on standard error."""
    try:
        yield
    except ShrinkerError as exc:
        raise click.ClickException(printable(str(exc))) from exc
    except ModuleNotFoundError as exc:
        package = (exc.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        raise click.ClickException(
            f"this needs {package}: pip install 'shrinker[{_EXTRAS[package]}]'"
        ) from exc


_EXTRAS = {
    "pyperf": "cli",
    "rich": "cli",
    "matplotlib": "plot",
    "numpy": "report",
    "jinja2": "report",
    "pyarrow": "parquet",
    "distributed": "dask",
}
