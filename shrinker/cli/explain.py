"""How ``shrinker explain`` prints: one step of the pass after the other."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from shrinker._terminal import Terminal
from shrinker.cli.files import as_word
from shrinker.eras import ERAS
from shrinker.errors import ShrinkerError
from shrinker.events import ShrinkSlabStart
from shrinker.explain import EMPTY, number
from shrinker.one_pass import run_pass
from shrinker.replay.reader import read_events
from shrinker.replay.session import seeks_of_start
from shrinker.values import (
    DEF_PRIORITY,
    DEFAULT_SEEKS,
    SHRINK_BATCH,
    ULONG_MAX,
    CountObjects,
    ScanObjects,
)

if TYPE_CHECKING:
    from rich.console import Console

    from shrinker.explain import Explanation, ScanCalls, Step
    from shrinker.replay.results import SeeksFit

__all__ = ["print_explanation", "recorded"]

_INDENT = 5
_HANG = 4
_TIE = "\N{NO-BREAK SPACE}"
# Runs of equal scan calls that are listed at the beginning and at the end.
_FIRST_RUNS, _LAST_RUNS = 6, 2


def recorded(
    line: str, era: str | None = None, batch: int = 0
) -> tuple[int, dict[str, Any]]:
    """Return the count, and the other arguments of ``explain``, of a recorded start.

    Its era is ``era``, or else the newest whose formula gives the line's delta and
    total_scan.  Raises ``ShrinkerError`` where the line is no start, or where no
    formula gives its numbers.
    """
    events = [e for e in read_events([line]) if isinstance(e, ShrinkSlabStart)]
    if not events:
        if os.path.isfile(line):  # noqa: PTH113 - False also for too long a name
            raise ShrinkerError(
                f"{line!r} is a file, and LINE is one line of a recording:"
                f" shrinker replay {as_word(line)}  checks each pass in a file"
            )
        raise ShrinkerError("the line has no mm_shrink_slab_start that can be read")
    start = events[0]
    settings: dict[str, Any] = {"deferred": start.nr, "priority": start.priority}
    if start.pgs_scanned is not None:
        settings |= {"pgs_scanned": start.pgs_scanned, "lru_pgs": start.lru_pgs}
        settings["priority"] = DEF_PRIORITY  # As good as none: eras A have none.
    count = start.freeable & ULONG_MAX
    names = [each.name for each in ERAS.values()] if era is None else [era]
    for name in names:
        if name.startswith("A") != (start.pgs_scanned is not None):
            continue
        for seeks in _likely_seeks(seeks_of_start(start, name)):
            settings |= {"era": name, "seeks": seeks}
            delta, total_scan = _beginning(count, settings, batch)
            # What the user asked for is shown also where it computes otherwise.
            if delta == start.delta and (era or total_scan == start.total_scan):
                return count, settings
    of_era = f"no seeks of era {era}" if era else "no seeks of any era"
    fields = f"delta {start.delta:,}"
    if not era:
        fields += f" and total_scan {start.total_scan:,}"
    raise ShrinkerError(f"{of_era} gives {fields} for {start.freeable:,} cache items")


def _beginning(
    count: int, settings: dict[str, Any], batch: int
) -> tuple[int | None, int | None]:
    """Return delta and total_scan of a pass; None where the era cannot compute it."""
    arguments = {key: value for key, value in settings.items() if key != "deferred"}
    try:
        result = run_pass(
            count,
            nr_deferred=settings["deferred"],
            batch=batch,
            scan=lambda _: ScanObjects.STOP,
            **arguments,
        )
    except ValueError:
        return None, None
    return result.delta, result.total_scan


def _likely_seeks(fit: SeeksFit) -> list[int]:
    """Return values of seeks that fit, the usual ones first."""
    divisors = range(fit.lo, fit.hi + 1)
    seeks = [0] if fit.zero else []
    seeks += [fit.lo] if divisors else []
    return [DEFAULT_SEEKS, *seeks] if DEFAULT_SEEKS in divisors else seeks


def print_explanation(explanation: Explanation, console: Console | None = None) -> None:
    """Print the pass step by step."""
    terminal = Terminal(console)
    batch = explanation.batch
    default = f" (means {SHRINK_BATCH})" if batch == 0 else ""
    urgency = f"priority {explanation.priority}"
    if explanation.pgs_scanned is not None:
        urgency = f"pgs_scanned {explanation.pgs_scanned:,}, lru_pgs"
        urgency += f" {explanation.lru_pgs:,}"
    era = "" if explanation.era == "C" else f", era {explanation.era}"
    terminal.print_paragraph(
        f"One pass: count {_count(explanation.count)}, deferred"
        f" {explanation.deferred:,}, {urgency}, seeks"
        f" {explanation.seeks}, batch {batch:,}{default}{era}",
        style="bold",
    )
    if not explanation.steps:
        terminal.print_paragraph("")
        terminal.print_paragraph(_nothing(explanation))
        return
    for place, step in enumerate(explanation.steps, 1):
        terminal.print_paragraph("")
        terminal.print_paragraph(f"{place}. {step.title}", hang=3)
        _print_step(terminal, step, explanation)
    for warning in explanation.warnings:
        terminal.print_paragraph("")
        terminal.print_paragraph(f"! {_tied(warning, '*')}", hang=2, style="red")


def _count(count: int) -> str:
    names = {
        EMPTY: "EMPTY",
        CountObjects.MAX.value: "MAX",
    }
    return f"{names[count]} = {count:,}" if count in names else f"{count:,}"


def _nothing(explanation: Explanation) -> str:
    answer = (
        "count_objects() returned EMPTY: the cache is empty."
        if explanation.count == EMPTY
        else "count_objects() returned 0: the count is not known, or the cache takes no"
        " part this time."
    )
    return (
        f"{answer} The pass ends here. Nothing is scanned, there is no trace event, and"
        f" the deferred counter stays at {explanation.result.nr_deferred:,}, for a"
        " later pass."
    )


def _print_step(terminal: Terminal, step: Step, explanation: Explanation) -> None:
    """Print the formula of a step, the formula with numbers, and the remark."""
    value = f"{step.value:,}"
    for line in step.formula.splitlines():
        body = line.lstrip()
        indent = _INDENT + len(line) - len(body)
        terminal.print_paragraph(_tied(body), indent=indent, hang=_HANG, style="dim")
    if step.name == "total_scan_left":
        terminal.print_paragraph(step.filled_in, indent=_INDENT)
        for call in _calls(explanation):
            terminal.print_paragraph(call, indent=_INDENT)
        terminal.print_paragraph(
            f"total_scan is now {value}", indent=_INDENT, bold=value
        )
    else:
        terms = [step.name, step.filled_in, value]
        if step.filled_in == number(step.value):
            del terms[1]
        terminal.print_paragraph(
            _tied(" = ".join(terms)),
            indent=_INDENT,
            hang=len(f"{step.name} = "),
            bold=value,
        )
    if step.remark:
        terminal.print_paragraph(step.remark, indent=_INDENT, style="italic")


def _tied(text: str, *operators: str) -> str:
    """Return a formula that is wrapped only after commas and before =, + and -.

    With ``operators``, for prose: it is not wrapped around these.
    """
    for operator in operators or ("*", "/", ">>"):
        text = text.replace(f" {operator} ", f"{_TIE}{operator}{_TIE}")
    for operator in () if operators else ("=", "+", "-"):
        text = text.replace(f" {operator} ", f" {operator}{_TIE}")
    return text


def _calls(explanation: Explanation) -> list[str]:
    """Return a line for each run of equal scan calls."""
    runs = explanation.scans
    if not runs:
        return ["(no scan call)"]
    hidden = runs[_FIRST_RUNS : len(runs) - _LAST_RUNS]
    if len(hidden) < 2:  # noqa: PLR2004 - the summary would take a line too
        return [_call(run) for run in runs]
    calls = sum(run.times for run in hidden)
    return [
        *(_call(run) for run in runs[:_FIRST_RUNS]),
        f"... {calls:,} more calls ...",
        *(_call(run) for run in runs[-_LAST_RUNS:]),
    ]


def _call(run: ScanCalls) -> str:
    times = f"{run.times:,} x " if run.times > 1 else ""
    return f"{times}scan_objects({number(run.nr_to_scan)})"
