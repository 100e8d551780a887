"""Findings that passes one after another show: windup, work without fruit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shrinker.report.finding import (
    Finding,
    batch_of,
    lines_of,
    not_dropping,
    refused,
    took_ns,
)
from shrinker.report.words import duration, number, of_many, percent
from shrinker.values import SHRINK_BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shrinker.report.columns import Array
    from shrinker.report.finding import Thresholds
    from shrinker.report.recording import Recording

__all__ = [
    "called_twice",
    "fruitless_scans",
    "idle_cost",
    "refused_work",
    "small_caches",
    "windup",
]

_NS_OF_MS = 1e6
_DESPERATE_PRIORITY = 6
# Of a shrinker's runs in walks with other shrinkers, so many must be of two calls.
_TWICE_SHARE = 0.8


def windup(recording: Recording, limits: Thresholds) -> Iterator[Finding]:
    """Deferred counters far above what the cache holds."""
    for name, passes in recording.by_shrinker.items():
        above = passes[
            (passes["deferred"] >= limits.windup_objects)
            & (passes["deferred"] >= limits.windup_ratio * passes["count"])
            & (passes["count"] > 0)
        ]
        if not len(above):
            continue
        above = above[np.argsort(-above["deferred"], kind="stable")]
        worst = above[0]
        there = passes["count"][passes["node"] == worst["node"]]
        yield Finding(
            "windup",
            recording.name,
            f"{name}: {len(above):,} of {of_many(len(passes), 'pass')} left a deferred"
            " counter far above the cache; at worst"
            f" {number(int(worst['deferred']))} objects"
            f" deferred for {number(int(worst['count']))} counted"
            f" (at most {number(int(there.max()))} on that node).",
            "Kernels from 4.16 to 5.12 have no cap: the next caller that may scan asks"
            " for half of the cache at any priority. Their memory cgroups share one"
            " counter for each node: a small one pays for what all deferred. Later"
            " kernels cap each pass at twice its count, so here the cache has shrunk"
            " since, or many walkers added.",
            shrinker=name,
            figures={
                "passes": len(above),
                "deferred": int(worst["deferred"]),
                "count": int(worst["count"]),
                "count_max": int(there.max()),
            },
            lines=lines_of(above),
        )


def refused_work(recording: Recording, limits: Thresholds) -> Iterator[Finding]:
    """Work that grows because callers may not enter filesystems."""
    for name, passes in recording.by_shrinker.items():
        # A pass that asked for less than a batch scans nothing with any caller.
        batch = batch_of(recording, name, passes)
        waiting = passes[refused(passes, batch) & (passes["asked"] >= batch)]
        grown = waiting[waiting["deferred"] > waiting["before"]]
        if len(grown) < max(limits.refused_passes, 1):
            continue
        callers, counts = np.unique(waiting["caller"], return_counts=True)
        caller = recording.callers[callers[counts.argmax()]]
        most = int(waiting["deferred"].max())
        yield Finding(
            "refused-work",
            recording.name,
            f"{name}: {len(waiting):,} passes asked for a batch or more and scanned"
            f" nothing, by callers that may not enter filesystems (most by {caller});"
            f" what they deferred grew up to {number(most)} objects.",
            "Where the memory is allocated: GFP_NOFS scopes, and filesystems that"
            " allocate page cache without __GFP_FS. The work waits for kswapd or for"
            " the first caller that may do it.",
            shrinker=name,
            caller=caller,
            figures={"passes": len(waiting), "deferred_max": most},
            lines=lines_of(waiting[np.argsort(-waiting["deferred"], kind="stable")]),
        )


def fruitless_scans(recording: Recording, limits: Thresholds) -> Iterator[Finding]:
    """Scans that free nothing, again and again."""
    for name, passes in recording.by_shrinker.items():
        scanning = _sorted(passes[passes["scanned"] > 0], "node", "memcg")
        if len(scanning) < max(limits.fruitless_passes, 1):
            continue
        barren = scanning["freed"] == 0
        # A run ends where something is freed, and where another group begins.
        begins, ends = _runs(_same(scanning, "node", "memcg") & (np.diff(barren) == 0))
        lengths = (ends - begins) * barren[begins]
        if lengths.max(initial=0) < max(limits.fruitless_passes, 1):
            continue
        place = int(lengths.argmax())
        best = scanning[begins[place] : ends[place]]
        memcg = int(best[0]["memcg"])
        of = f" of memory cgroup {memcg}" if memcg else ""
        scanned = int(best["scanned"].sum())
        yield Finding(
            "fruitless-scans",
            recording.name,
            f"{name}: {len(best):,} scans in a row{of} on node {best[0]['node']} freed"
            f" nothing: {number(scanned)} objects scanned in"
            f" {duration(int(took_ns(best).sum()))}.",
            "What count_objects counts: objects that are in use, or that belong to"
            " other memory cgroups because the cache's lists are not memcg-aware. It"
            " should not count what scan_objects cannot free.",
            shrinker=name,
            figures={
                "passes": len(best),
                "scanned": scanned,
                "time_ns": int(took_ns(best).sum()),
                "memcg": memcg,
            },
            lines=lines_of(best),
        )


def _sorted(passes: Array, *by: str) -> Array:
    """Return the passes group by group, each in their order."""
    grouped: Array = passes[np.lexsort([passes[name] for name in by])]
    return grouped


def _same(passes: Array, *names: str) -> Array:
    """Return whether each pass has the values of the one before; from the second."""
    same = np.ones(max(len(passes) - 1, 0), bool)
    for name in names:
        same &= passes[name][1:] == passes[name][:-1]
    return same


def _runs(same: Array) -> tuple[Array, Array]:
    """Return where runs begin and end, by ``same`` of each pass from the second."""
    borders = np.flatnonzero(~same) + 1
    begins = np.concatenate(([0], borders))
    ends = np.concatenate((borders, [len(same) + 1]))
    return begins, ends


def idle_cost(recording: Recording, limits: Thresholds) -> Iterator[Finding]:
    """Shrinkers that are asked all the time and have never freed anything."""
    for name, passes in recording.by_shrinker.items():
        time_ns = int(took_ns(passes).sum())
        if (
            len(passes) < limits.idle_cost_passes
            or passes["freed"].any()
            or time_ns < limits.idle_cost_ms * _NS_OF_MS
        ):
            continue
        count = int(np.median(passes["count"]))
        yield Finding(
            "idle-cost",
            recording.name,
            f"{name}: {len(passes):,} passes over {of_many(count, 'object')} freed none"
            f" in the whole recording; {duration(time_ns)} inside.",
            "Usual for caches of a few objects; each pass costs a count and an exchange"
            " of the deferred counter. If they are many, let count_objects return"
            " SHRINK_EMPTY when nothing can be freed: memory cgroups then skip it.",
            shrinker=name,
            figures={"passes": len(passes), "time_ns": time_ns, "count": count},
            lines=lines_of(passes[np.argsort(-took_ns(passes), kind="stable")]),
        )


def called_twice(recording: Recording, limits: Thresholds) -> Iterator[Finding]:
    """A shrinker that is called twice in a walk in which others are called once.

    Only where memory cgroups are recorded: else two calls can be two groups' walks.
    """
    passes = recording.passes[recording.passes["memcg"] != 0]
    if not len(passes):
        return
    walk = ("pid", "node", "memcg", "priority")
    passes = _sorted(passes, *walk)
    same_walk = _same(passes, *walk)
    begins, ends = _runs(same_walk & _same(passes, "shrinker"))
    # What stands first or last may be one of two walks that follow each other.
    inner = np.zeros(len(begins), bool)
    inner[1:-1] = same_walk[begins[1:-1] - 1] & same_walk[ends[1:-1] - 1]
    begins, ends = begins[inner], ends[inner]
    called = passes["shrinker"][begins]
    runs = np.bincount(called, minlength=len(recording.shrinkers))
    twice = ends - begins > 1
    pairs = np.bincount(called[twice], minlength=len(recording.shrinkers))
    enough = (pairs >= max(limits.twice_runs, 1)) & (pairs >= _TWICE_SHARE * runs)
    for shrinker in np.flatnonzero(enough).tolist():
        found = passes[begins[twice & (called == shrinker)]]
        name = recording.shrinkers[shrinker]
        yield Finding(
            "called-twice",
            recording.name,
            f"{name}: {len(found):,} of {runs[shrinker]:,} walks called it twice where"
            " others were called once.",
            "Whether it is registered twice, or one callback serves two shrinkers: then"
            " it is under twice the pressure that its seeks asks for.",
            shrinker=name,
            figures={"walks": len(found), "of": int(runs[shrinker])},
            lines=lines_of(found),
        )


def small_caches(recording: Recording, limits: Thresholds) -> Iterator[Finding]:
    """Small caches that are never asked, or asked for all that they have."""
    for name, everyone in recording.by_shrinker.items():
        passes = not_dropping(recording, everyone)
        desperate = (passes["priority"] >= 0) & (
            passes["priority"] <= _DESPERATE_PRIORITY
        )
        if (
            desperate.sum() < max(limits.small_passes, 1)
            or np.median(passes["count"]) < limits.small_objects
        ):
            continue
        count = int(np.median(passes["count"]))
        scanning = passes[passes["scanned"] > 0]
        if not len(scanning):
            how = f"was never asked, in {len(passes):,} passes"
            evidence = passes[desperate]
        elif (
            count < SHRINK_BATCH
            and len(scanning) <= len(passes) / 10
            and (scanning["scanned"] >= scanning["count"]).all()
        ):
            how = (
                f"is asked for nothing ({percent(1 - len(scanning) / len(passes))} of"
                " its passes) or for all that it has"
            )
            evidence = scanning
        else:
            continue
        yield Finding(
            "small-cache",
            recording.name,
            f"{name}: {number(count)} objects; it {how}, even at priority"
            f" {_DESPERATE_PRIORITY} and below.",
            "batch: with the default of 128 a smaller cache is scanned only when its"
            " whole count is asked for. A smaller batch lets it give a little at a"
            " time.",
            shrinker=name,
            figures={
                "passes": len(passes),
                "count": count,
                "scanning_passes": len(scanning),
            },
            lines=lines_of(evidence),
        )
