"""Findings that single passes show: stalls, absurd counts, too much at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shrinker.one_pass import StallError, run_pass
from shrinker.report.finding import (
    Finding,
    lines_of,
    not_dropping,
    took_ns,
)
from shrinker.report.words import duration, number, of_many
from shrinker.values import DEFAULT_SEEKS, SHRINK_BATCH, ULONG_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shrinker.report.columns import Array
    from shrinker.report.finding import Thresholds
    from shrinker.report.recording import Recording

__all__ = ["absurd_counts", "half_at_once", "landed_work", "long_passes"]

_NS_OF_MS = 1e6
# Enough to tell that a pass would go on for ever; a real one makes fewer calls.
_MAX_SCAN_CALLS = 1000
# Objects of a pass, so that sums over all passes do not wrap.
_MAX_SUMMED = 2**40


def long_passes(recording: Recording, limits: Thresholds) -> Iterator[Finding]:
    """Passes that took long: what asked for memory waited."""
    drops = np.array([caller == "drop_caches" for caller in recording.callers], bool)
    for name, passes in recording.by_shrinker.items():
        limit = np.where(
            drops[passes["caller"]], limits.long_drop_ms, limits.long_pass_ms
        )
        long = passes[took_ns(passes) >= limit * _NS_OF_MS]
        if not len(long):
            continue
        long = long[np.argsort(-took_ns(long), kind="stable")]
        worst = long[0]
        caller = recording.callers[worst["caller"]]
        took = int(took_ns(long)[0])
        yield Finding(
            "long-pass",
            recording.name,
            f"{name}: {of_many(len(long), 'pass')} took long; the longest"
            f" {duration(took)} for {number(int(worst['scanned']))} objects scanned, by"
            f" {caller} at priority {_priority(worst)}.",
            "Where the time goes: perf record -g on that task, or function_graph on the"
            " scan function. Locks that it shares with the workload, objects that are"
            " expensive to free, a batch that is too large; deferred work that came"
            " with it (deferred before:"
            f" {number(int(worst['before']))}). Preemption counts, too.",
            shrinker=name,
            caller=caller,
            figures={
                "passes": len(long),
                "longest_ns": took,
                "scanned": int(worst["scanned"]),
                "freed": int(worst["freed"]),
                "before": int(worst["before"]),
            },
            lines=lines_of(long),
        )


def _priority(one: Array) -> str:
    return "unknown" if one["priority"] < 0 else str(one["priority"])


def landed_work(recording: Recording, limits: Thresholds) -> Iterator[Finding]:
    """Deferred work of many that one poor caller has to do."""
    for name, passes in recording.by_shrinker.items():
        # Of the work that was deferred, a task's own part does not come from others.
        part = np.minimum(_put_off(passes) / np.maximum(passes["before"], 1), 1)
        own = np.maximum(passes["delta"] + part * passes["scanned"], SHRINK_BATCH)
        direct = np.array([c.startswith("direct: ") for c in recording.callers], bool)
        hit = passes[
            direct[passes["caller"]]
            & (passes["scanned"] >= limits.landed_ratio * own)
            & (passes["scanned"] >= limits.landed_objects)
            & (passes["before"] >= passes["scanned"] - passes["delta"])
        ]
        if not len(hit):
            continue
        hit = hit[np.argsort(-hit["scanned"], kind="stable")]
        worst = hit[0]
        caller = recording.callers[worst["caller"]]
        yield Finding(
            "landed-work",
            recording.name,
            f"{name}: deferred work of others fell on one caller, in"
            f" {of_many(len(hit), 'pass')}; at worst {caller} scanned"
            f" {number(int(worst['scanned']))} objects in"
            f" {duration(int(took_ns(hit)[0]))}, where its own pressure asked for"
            f" {number(int(worst['delta']))}.",
            "Who left the work behind: callers without __GFP_FS, or priorities at which"
            " a share is below a batch (see idle passes by caller). Kernels before 5.13"
            " hand all of it to the first that can.",
            shrinker=name,
            caller=caller,
            figures={
                "passes": len(hit),
                "scanned": int(worst["scanned"]),
                "delta": int(worst["delta"]),
                "before": int(worst["before"]),
            },
            lines=lines_of(hit),
        )


def _put_off(passes: Array) -> Array:
    """Return how much of what a pass's own task has deferred is still to be done.

    ``passes`` are of one shrinker.  Each node and memory cgroup counts by itself.
    """
    where = ["memcg", "node", "pid"]
    order = np.lexsort([passes[name] for name in where])
    grouped = passes[order]
    added = grouped["delta"].clip(0, _MAX_SUMMED)
    added -= grouped["scanned"].clip(0, _MAX_SUMMED)
    before = np.cumsum(added) - added
    new = np.flatnonzero(grouped[where][1:] != grouped[where][:-1]) + 1
    for own in np.split(before, new):
        # Below 0 it has done the work of others.
        np.subtract(own, np.minimum.accumulate(own), out=own)
    put_off = np.empty(len(grouped), "i8")
    put_off[order] = before
    return put_off


def absurd_counts(recording: Recording, limits: Thresholds) -> Iterator[Finding]:
    """Counts that no cache has: negative ones, and near 2**31 or 2**62."""
    for name, passes in recording.by_shrinker.items():
        counts = passes["count"]
        absurd = passes[(counts < 0) | (counts >= limits.absurd_count)]
        if not len(absurd):
            continue
        first = absurd[0]
        count = int(first["count"])
        yield Finding(
            "absurd-count",
            recording.name,
            f"{name}: {of_many(len(absurd), 'pass')} with a count that no cache has,"
            f" first {count:,}. {_core_does(recording, first)}",
            "count_objects: a counter that goes below 0, an int that overflows, a"
            " difference of two counters read at different times, an error code"
            " returned as a count. It should return 0 or SHRINK_EMPTY instead.",
            shrinker=name,
            figures={"passes": len(absurd), "count": count},
            lines=lines_of(absurd),
        )


def _core_does(recording: Recording, one: Array) -> str:
    """Return what a pass with that count does, by the core of this package."""
    priority = int(one["priority"])
    if priority < 0:
        return "The formula of this kernel takes such a count as it is."
    era = recording.replay.era or "C"
    try:
        run = run_pass(
            int(one["count"]) & ULONG_MAX,
            nr_deferred=int(one["before"]),
            priority=priority,
            seeks=recording.seeks(int(one["shrinker"]), DEFAULT_SEEKS),
            max_calls=_MAX_SCAN_CALLS,
            era=era,
        )
    except StallError:
        return (
            f"The formula makes more than {_MAX_SCAN_CALLS:,} scan calls of it, unless"
            " the callback stops: the pass may never end."
        )
    calls = f"{len(run.scans):,} scan calls" if run.scans else "no scan call at all"
    return (
        f"The formula makes {calls} of it, and leaves a deferred counter of"
        f" {run.nr_deferred:,}."
    )


def half_at_once(recording: Recording, limits: Thresholds) -> Iterator[Finding]:
    """Half a large cache scanned in one pass that did not have to drop it."""
    for name, passes in recording.by_shrinker.items():
        tasks = not_dropping(recording, passes)
        half = tasks[
            (tasks["count"] >= limits.half_objects)
            & (tasks["scanned"] >= tasks["count"] // 2)
        ]
        if not len(half):
            continue
        half = half[np.argsort(-half["scanned"], kind="stable")]
        worst = half[0]
        cheap = recording.seeks(int(worst["shrinker"]), DEFAULT_SEEKS) == 0
        late = not cheap and worst["delta"] < worst["count"] // 2
        if cheap:
            why = "seeks is 0"
        elif late:
            why = f"{number(int(worst['before']))} were deferred before"
        else:
            why = f"the priority was {_priority(worst)}"
        yield Finding(
            "half-at-once",
            recording.name,
            f"{name}: {of_many(len(half), 'pass')} scanned half of the cache or more at"
            f" once; at worst {number(int(worst['scanned']))} for"
            f" {number(int(worst['count']))} objects counted, because {why}.",
            "seeks 0 means that an object costs nothing to make again: is that so?"
            if cheap
            else "Who left the work behind: callers without __GFP_FS, or priorities at"
            " which a share is below a batch."
            if late
            else "Why reclaim got so desperate: page cache and anonymous memory gave"
            " too little (swap, mlock, memory.low), or a memory cgroup is small.",
            shrinker=name,
            caller=recording.callers[worst["caller"]],
            figures={
                "passes": len(half),
                "scanned": int(worst["scanned"]),
                "count": int(worst["count"]),
                "priority": int(worst["priority"]),
            },
            lines=lines_of(half),
        )
