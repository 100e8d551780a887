"""Findings about who does the work: storms, one cache or one caller for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shrinker.report.finding import (
    Finding,
    lines_of,
    not_dropping,
    took_ns,
)
from shrinker.report.words import duration, number, of_many, percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shrinker.report.finding import Thresholds
    from shrinker.report.recording import Recording

__all__ = ["one_cache_pays", "one_caller_pays", "storms"]

_SECOND_NS = 1_000_000_000
_NS_OF_MS = 1e6
# A task is one of several that reclaim, and a cache one of several that hold objects.
_SEVERAL = 3


def storms(recording: Recording, limits: Thresholds) -> Iterator[Finding]:
    """Walks over many groups and shrinkers that have nothing to give."""
    passes = recording.passes[recording.passes["timed"]]
    passes = passes[np.argsort(passes["start_ns"], kind="stable")]
    if not len(passes):
        return
    starts = passes["start_ns"]
    ends = np.searchsorted(starts, starts + _SECOND_NS)
    place = int((ends - np.arange(len(passes))).argmax())
    second = passes[place : ends[place]]
    idle = 1 - np.count_nonzero(second["freed"]) / len(second)
    if len(second) < limits.storm_passes or idle < limits.storm_idle_share:
        return
    groups = len(np.unique(second["memcg"]))
    shrinkers = len(np.unique(second["shrinker"]))
    among = (
        f"{of_many(groups, 'memory cgroup')} and {of_many(shrinkers, 'shrinker')}"
        if second["memcg"].any()
        else f"{of_many(shrinkers, 'shrinker')} (memory cgroups are not recorded)"
    )
    yield Finding(
        "storm",
        recording.name,
        f"Within one second {len(second):,} passes over {among}; {percent(idle)} of"
        f" them freed nothing. They took {duration(int(took_ns(second).sum()))}.",
        "How many memory cgroups there are, with those that were removed and are still"
        " held by a few objects (nr_dying_descendants in cgroup.stat): each is walked"
        " at each priority. Who reclaims that often: memory.high or memory.max too"
        " close to the working set.",
        figures={
            "passes": len(second),
            "memcgs": groups,
            "shrinkers": shrinkers,
            "time_ns": int(took_ns(second).sum()),
        },
        lines=lines_of(second),
    )


def one_cache_pays(recording: Recording, limits: Thresholds) -> Iterator[Finding]:
    """A cache that gives nearly all, though others hold as much."""
    series = {
        name: not_dropping(recording, passes)
        for name, passes in recording.by_shrinker.items()
    }
    freed = {name: int(passes["freed"].sum()) for name, passes in series.items()}
    held = {
        name: int(passes["count"].clip(0, limits.absurd_count).max(initial=0))
        for name, passes in series.items()
    }
    if len(series) < _SEVERAL or sum(freed.values()) < limits.pays_objects:
        return
    name = max(freed, key=freed.__getitem__)
    share, owns = (
        freed[name] / max(sum(freed.values()), 1),
        held[name] / max(sum(held.values()), 1),
    )
    if share < limits.pays_share or owns > limits.pays_owns:
        return
    passes = series[name]
    yield Finding(
        "one-cache-pays",
        recording.name,
        f"{name} gave {percent(share)} of the {number(sum(freed.values()))} objects"
        f" freed, though it holds {percent(owns)} of what all caches count.",
        "seeks and batch of the others: a larger seeks spares a cache, a batch above"
        " its share defers it. Objects in use that the others count and cannot free.",
        shrinker=name,
        figures={"freed": freed[name], "share": share, "owns": owns},
        lines=lines_of(passes[np.argsort(-passes["freed"], kind="stable")]),
    )


def one_caller_pays(recording: Recording, limits: Thresholds) -> Iterator[Finding]:
    """A task that waits inside of shrinkers for memory that others use, too."""
    direct = np.array([c.startswith("direct: ") for c in recording.callers], bool)
    passes = recording.passes[direct[recording.passes["caller"]]]
    tasks, task = np.unique(passes["pid"], return_inverse=True)
    if len(tasks) < _SEVERAL:
        return
    took = np.bincount(task, weights=took_ns(passes), minlength=len(tasks))
    payer = int(took.argmax())
    share = float(took[payer] / took.sum()) if took.sum() else 0.0
    if share < limits.payer_share or took[payer] < limits.payer_ms * _NS_OF_MS:
        return
    own = passes[task == payer]
    caller = recording.callers[own[0]["caller"]]
    yield Finding(
        "one-caller-pays",
        recording.name,
        f"{caller} (pid {int(tasks[payer])}) spent {duration(int(took[payer]))} inside"
        f" of shrinkers, {percent(share)} of what {len(tasks):,} tasks did, and freed"
        f" {number(int(own['freed'].sum()))} objects.",
        "Whether it fills the caches itself, or allocates at the wrong moment: then"
        " kswapd comes too late (watermark_scale_factor), or its memory cgroup pays for"
        " what is charged to it (memory.high).",
        caller=caller,
        figures={
            "pid": int(tasks[payer]),
            "time_ns": int(took[payer]),
            "share": share,
            "freed": int(own["freed"].sum()),
        },
        lines=lines_of(own[np.argsort(-took_ns(own), kind="stable")]),
    )
