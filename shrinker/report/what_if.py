"""What would have been if a shrinker or the priorities were others.

The recorded passes are run again by the core, one after the other, each deferred
counter carried from pass to pass.  The counts are those of the recording.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from shrinker.errors import check_bool
from shrinker.gfp import GFP
from shrinker.one_pass import StallError, run_pass
from shrinker.report.finding import batch_of, refused, took_ns
from shrinker.report.walks import ROOT, requests_of, with_groups, without_groups
from shrinker.values import (
    DEF_PRIORITY,
    DEFAULT_SEEKS,
    ULONG_MAX,
    ScanObjects,
)

if TYPE_CHECKING:
    from shrinker.report.columns import Array
    from shrinker.report.recording import Recording

__all__ = ["Outcome", "WhatIf", "what_if"]

_MAX_SCAN_CALLS = 100_000
# Standard errors to each side, of a range that holds 90 %.
_ERRORS_OF_90_PERCENT = 1.645
_THREAD = "thread"
_REMEMBERED_PASSES = 100_000

_NO_GROUPS = (
    "Not memcg-aware: walks for the limits of groups no longer ask it; a walk of the"
    " whole machine asks it once, for the sum of the counts that its groups had in that"
    " walk. A walk is taken to be of the whole machine where it asks the root, and"
    " where kswapd or drop_caches makes it."
)
_EVEN_GROUPS = (
    "Memcg-aware: which group owns which objects cannot be known. They are spread"
    " evenly over the groups that the recording names; walks for limits ask a group's"
    " share of the latest count, less what was freed of it since. A walk that asked no"
    " shrinker is not recorded."
)
_OWN_THREAD = (
    "A thread of its own: callers only wake it, and it may enter filesystems for"
    " them. It serves requests one by one, none merged, at the recorded time for each"
    " object. What it scans is an upper bound: counts stay as recorded although it"
    " frees more. Whether callers would have to wait for its memory all the same cannot"
    " be known."
)


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What the passes of a shrinker did, or would do."""

    scan_calls: int | None
    """None of a recording, which does not tell."""
    scanned: int
    idle_passes: int
    longest: int
    """Objects that the largest pass scanned."""
    deferred_max: int
    freed: float
    """Of a model: ``scanned`` times the recorded yield."""
    freed_range: tuple[float, float]
    """Where that lies at 90 %, by how much the yield differs from pass to pass."""
    longest_ns: float | None
    """Of a model: ``longest`` times the recorded median time for each object."""
    payers: dict[str, int]
    """Objects scanned, by caller; by ``thread`` if the shrinker has its own."""
    passes: int
    callers_ns: float | None
    """Time that callers spend in all passes, in nanoseconds; None without times.

    Of a model: at the recorded mean time for each object, and for an idle pass; 0 with
    a thread of its own.
    """
    late_ns: float | None
    """The longest time from a request until its objects are freed, in nanoseconds.

    None without times; ``longest_ns`` where callers make the passes themselves.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class WhatIf:
    """A shrinker as recorded, as modelled, and as modelled with what is changed.

    ``model`` should be near ``recorded``: how far they are apart is how far ``changed``
    can be trusted.  Where memory cgroups are not recorded, the counters of all groups
    are one in the model.

    What cannot be known: how the counts would have changed, because more or less would
    have been freed; how reclaim would have gone on, because a priority that frees
    enough is the last one; and the yield of objects that were not scanned.
    """

    shrinker: str
    recorded: Outcome
    model: Outcome
    changed: Outcome
    assumptions: tuple[str, ...] = ()
    """Sentences: what ``changed`` takes for granted besides, and cannot know."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return dataclasses.asdict(self)


def what_if(
    recording: Recording,
    shrinker: str,
    *,
    seeks: int | None = None,
    batch: int | None = None,
    era: str | None = None,
    priority_change: int = 0,
    memcg_aware: bool | None = None,
    own_thread: bool = False,
) -> WhatIf:
    """Return what a shrinker's passes would have done with other settings.

    ``seeks``, ``batch`` and ``era`` (B or C) replace what fits the recording;
    ``priority_change`` is added to each priority, -1 being more urgent, and what comes
    out is kept within 0 to 12.  A pass that was recorded as refused (no ``__GFP_FS``,
    a batch or more asked for, nothing scanned) scans nothing in the models either.

    ``memcg_aware`` says whether the shrinker is asked for each memory cgroup; nothing
    changes where that is so in the recording.  With ``own_thread`` callers wake a
    thread that makes the passes.  ``WhatIf.assumptions`` says how both are modelled.

    Raises KeyError where the recording has no passes of that shrinker; ValueError for
    settings that ``run_pass`` refuses, where the recording has no priorities (kernels
    up to 4.15), and for ``memcg_aware`` where it does not name memory cgroups (kernels
    up to 7.1).
    """
    check_bool("own_thread", own_thread)
    if memcg_aware is not None:
        check_bool("memcg_aware", memcg_aware)
    passes = recording.by_shrinker[shrinker]
    if (passes["priority"] < 0).any():
        raise ValueError("this recording has pages in place of priorities (era A)")
    number = recording.shrinkers.index(shrinker)
    own_batch = batch_of(recording, shrinker, passes)
    usual: dict[str, Any] = {
        "seeks": recording.seeks(number, DEFAULT_SEEKS),
        "batch": own_batch,
        "era": recording.replay.era or "C",
    }
    given = {"seeks": seeks, "batch": batch, "era": era}
    other = usual | {name: value for name, value in given.items() if value is not None}
    stops = refused(passes, own_batch)
    model = _Model(recording.callers, passes, own_batch)
    requests = requests_of(passes)
    as_recorded = model.run(requests, stops, usual)

    assumptions: tuple[str, ...] = ()
    if memcg_aware is not None and memcg_aware != _is_aware(recording, passes):
        walks = recording.walks
        places = np.flatnonzero(recording.passes["shrinker"] == number)
        if memcg_aware:
            requests = with_groups(recording.passes, walks, places, requests)
        else:
            requests = without_groups(walks, places, requests)
        stops = ~requests["enters"] & model.refuses
        assumptions += (_EVEN_GROUPS if memcg_aware else _NO_GROUPS,)
    if own_thread:
        stops = np.zeros(len(requests), bool)
        assumptions += (_OWN_THREAD,)
    recorded = requests["priority"]
    # A kernel begins at DEF_PRIORITY, and has none above it.
    most = np.maximum(recorded, DEF_PRIORITY)
    requests["priority"] = np.clip(recorded.astype(int) + priority_change, 0, most)
    return WhatIf(
        shrinker,
        model.recorded(),
        as_recorded,
        model.run(requests, stops, other, own_thread=own_thread),
        assumptions,
    )


def _is_aware(recording: Recording, passes: Array) -> bool:
    """Return whether a shrinker was asked for memory cgroups below the root."""
    if not (recording.passes["memcg"] != 0).any():
        raise ValueError(
            "this recording does not name memory cgroups (kernels up to 7.1)"
        )
    return bool((passes["memcg"] > ROOT).any())


class _Yield:
    """How much is freed for each object scanned, and how long that takes."""

    def __init__(self, passes: Array) -> None:
        timed = passes[passes["timed"]]
        idle = timed[timed["scanned"] <= 0]
        self.idle_ns = float(took_ns(idle).mean()) if len(idle) else 0.0
        scanning = passes[passes["scanned"] > 0]
        scanned, freed = scanning["scanned"].astype(float), scanning["freed"]
        self.median_ns: float | None = None
        self.mean_ns = 0.0
        if not len(scanning):
            self.share, self.range = 0.0, (0.0, 0.0)
            return
        self.share = float(freed.sum() / scanned.sum())
        # The error of a ratio of sums, from what each pass freed above its share.
        off = freed - self.share * scanned
        error = _ERRORS_OF_90_PERCENT * math.sqrt(float(off @ off)) / scanned.sum()
        self.range = (max(self.share - error, 0.0), self.share + error)
        timed = scanning[scanning["timed"]]
        if len(timed):
            took = took_ns(timed)
            self.median_ns = float(np.median(took / timed["scanned"]))
            self.mean_ns = float(took.sum() / timed["scanned"].sum())


class _Model:
    """Runs the passes of one shrinker."""

    def __init__(self, callers: tuple[str, ...], passes: Array, batch: int) -> None:
        self._callers = callers
        self._passes = passes
        self._yields = _Yield(passes)
        forbidden = passes[(passes["gfp_mask"] & int(GFP.FS)) == 0]
        self.refuses = bool(
            refused(forbidden, batch).any() and not (forbidden["scanned"] > 0).any()
        )
        """Whether it scans nothing for callers that may not enter filesystems."""

    def recorded(self) -> Outcome:
        """Return what the recording says."""
        passes, took = self._passes, took_ns(self._passes)
        timed = bool(passes["timed"].any())
        freed = float(passes["freed"].sum())
        longest_ns = float(took.max()) if self._yields.median_ns else None
        return Outcome(
            scan_calls=None,
            scanned=int(passes["scanned"].sum()),
            idle_passes=int((passes["scanned"] == 0).sum()),
            longest=int(passes["scanned"].max()),
            deferred_max=int(passes["deferred"].max()),
            freed=freed,
            freed_range=(freed, freed),
            longest_ns=longest_ns,
            payers=self._payers(passes["caller"], passes["scanned"]),
            passes=len(passes),
            callers_ns=float(took.sum()) if timed else None,
            late_ns=longest_ns,
        )

    def run(
        self,
        requests: Array,
        stops: Array,
        settings: dict[str, Any],
        *,
        own_thread: bool = False,
    ) -> Outcome:
        """Run the passes; where ``stops`` is true the shrinker scans nothing."""
        scans, happened, calls, most = _run_all(
            requests, stops, settings, self._yields.share
        )
        requests = requests[happened]
        scanned = np.array(scans, float)
        total, longest = sum(scans), max(scans, default=0)
        yields = self._yields
        low, high = yields.range
        longest_ns = yields.median_ns and longest * yields.median_ns
        took = np.where(scanned > 0, scanned * yields.mean_ns, yields.idle_ns)
        known = self._passes["timed"].any() and (yields.median_ns or not total)
        if own_thread:
            payers = {_THREAD: total} if total else {}
            callers_ns: float | None = 0.0
            late_ns = _latest_ns(requests, took) if known else None
        else:
            payers = self._payers(requests["caller"], scanned)
            callers_ns = float(took.sum()) if known else None
            late_ns = longest_ns
        return Outcome(
            scan_calls=calls,
            scanned=total,
            idle_passes=scans.count(0),
            longest=longest,
            deferred_max=most,
            freed=total * yields.share,
            freed_range=(total * low, total * high),
            longest_ns=longest_ns,
            payers=payers,
            passes=len(scans),
            callers_ns=callers_ns,
            late_ns=late_ns,
        )

    def _payers(self, callers: Array, scanned: Array) -> dict[str, int]:
        sums = np.bincount(callers, weights=scanned, minlength=len(self._callers))
        return {
            name: int(value)
            for name, value in zip(self._callers, sums, strict=True)
            if value
        }


def _run_all(
    requests: Array, stops: Array, settings: dict[str, Any], freed_share: float
) -> tuple[list[int], list[int], int, int]:
    """Return what each pass scanned, which, all scan calls, and the largest counter."""

    @functools.lru_cache(_REMEMBERED_PASSES)
    def one(count: int, nr: int, priority: int, *, stops: bool) -> tuple[int, int, int]:
        try:
            run = run_pass(
                count & ULONG_MAX,
                nr_deferred=nr,
                priority=priority,
                scan=_stop if stops else None,
                max_calls=_MAX_SCAN_CALLS,
                **settings,
            )
        except StallError as exc:
            run = exc.partial
        scanned = (run.total_scan or 0) - (run.total_scan_left or 0)
        return scanned, len(run.scans), run.nr_deferred

    rows = zip(
        *(
            requests[name].tolist()
            for name in ("node", "memcg", "count", "before", "priority", "counted")
        ),
        stops.tolist(),
        strict=True,
    )
    counters: dict[tuple[int, int], int] = {}
    scanned: list[int] = []
    happened: list[int] = []
    calls, most = 0, 0
    gone: dict[tuple[int, int], tuple[int, float]] = {}
    for place, row in enumerate(rows):
        node, memcg, count, before, priority, counted, stop = row
        group = node, memcg
        since, freed = gone.get(group, (counted, 0.0))
        if since != counted:
            freed = 0.0
        remaining = count if count < 0 else max(count - int(freed), 0)
        if not remaining:
            continue
        # What was deferred before the recording is taken from its first pass.
        nr = counters.get(group, before)
        some, called, left = one(remaining, nr, priority, stops=stop)
        gone[group] = counted, freed + some * freed_share
        counters[group] = left
        most = max(most, left)
        calls += called
        scanned.append(some)
        happened.append(place)
    return scanned, happened, calls, most


def _stop(_nr_to_scan: int) -> ScanObjects:
    return ScanObjects.STOP


def _latest_ns(requests: Array, took: Array) -> float | None:
    """Return how late a thread ends a request that callers make, at worst."""
    if not requests["timed"].all():
        return None
    free, latest = 0.0, 0.0
    for asked, lasts in zip(requests["start_ns"].tolist(), took.tolist(), strict=True):
        free = max(free, asked) + lasts
        latest = max(latest, free - asked)
    return latest
