"""Walks: which passes of a recording belong to one walk over memory cgroups.

From them, the passes that a shrinker would have if it were memcg-aware, or were not.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from shrinker.gfp import GFP

if TYPE_CHECKING:
    from shrinker.report.columns import Array

__all__ = [
    "REQUEST",
    "ROOT",
    "Walks",
    "requests_of",
    "walks_of",
    "with_groups",
    "without_groups",
]

ROOT = 1
"""The root memory cgroup's id in a recording; 0 is none recorded."""

REQUEST = np.dtype(
    [
        ("node", "i4"),
        ("memcg", "u8"),
        ("count", "i8"),
        ("before", "i8"),
        ("priority", "i2"),
        ("caller", "i4"),
        ("start_ns", "i8"),
        ("timed", "?"),
        ("enters", "?"),
        ("counted", "i8"),
    ]
)
"""What the core has to know of a pass, and who asks for it.

``enters``: the caller may enter filesystems.  ``counted``: the place of the recorded
pass that the count is of; what is freed of one group since then is not counted again.
"""

# Their walks begin at the root.
_MACHINE_CALLERS = ("kswapd", "drop_caches")


@dataclasses.dataclass(slots=True)
class _Walk:
    """A walk of one task that may go on with its next pass."""

    number: int
    at: tuple[int, int]
    """Node and priority."""
    asked: set[tuple[int, int]] = dataclasses.field(default_factory=set)
    """Shrinkers and memory cgroups."""
    below_root: bool = False


@dataclasses.dataclass(frozen=True)
class Walks:
    """The walks of a recording, in the order of their first passes."""

    of_pass: Array
    """The number of each pass' walk."""
    machine: Array
    """Whether each walk is for the whole machine, and not for a group's limit."""


def requests_of(passes: Array) -> Array:
    """Return a request for each recorded pass."""
    requests: Array = np.empty(len(passes), REQUEST)
    for name in REQUEST.names or ():
        if name in (passes.dtype.names or ()):
            requests[name] = passes[name]
    requests["counted"] = np.arange(len(passes))
    requests["enters"] = (passes["gfp_mask"] & int(GFP.FS)) != 0
    return requests


def walks_of(passes: Array, callers: tuple[str, ...]) -> Walks:
    """Tell the walks of a recording apart.

    A walk is of one task, node and priority, begins at the root where that is asked,
    and asks each shrinker once in each group.  It is for the whole machine where it
    asks the root, and where kswapd or drop_caches makes it.
    """
    of_pass: list[int] = []
    machine: list[bool] = []
    current: dict[int, _Walk] = {}
    columns = ("pid", "caller", "shrinker", "memcg", "node", "priority")
    rows = zip(*(passes[name].tolist() for name in columns), strict=True)
    for pid, caller, shrinker, memcg, node, priority in rows:
        walk = current.get(pid)
        if (
            walk is None
            or walk.at != (node, priority)
            or (shrinker, memcg) in walk.asked
            or (memcg == ROOT and walk.below_root)
        ):
            walk = current[pid] = _Walk(len(machine), (node, priority))
            machine.append(callers[caller] in _MACHINE_CALLERS)
        walk.asked.add((shrinker, memcg))
        walk.below_root |= memcg != ROOT
        machine[walk.number] |= memcg == ROOT
        of_pass.append(walk.number)
    return Walks(np.array(of_pass, "i8"), np.array(machine, bool))


def without_groups(walks: Walks, places: Array, requests: Array) -> Array:
    """Return what is left of a memcg-aware shrinker's requests if it were not.

    One for each walk of the whole machine, with the sums over its groups.  Walks for
    the limits of groups do not ask it.  ``places`` are those of the requests in the
    recording.
    """
    walk = walks.of_pass[places]
    stay = walks.machine[walk]
    requests = requests[stay]
    _, first, place = np.unique(walk[stay], return_index=True, return_inverse=True)
    merged: Array = requests[first]
    merged["memcg"] = ROOT
    for name in ("count", "before"):
        merged[name] = 0
        np.add.at(merged[name], place, requests[name])
    return merged


def with_groups(passes: Array, walks: Walks, places: Array, requests: Array) -> Array:
    """Return the requests of a shrinker that is not memcg-aware, if it were.

    Its objects are spread evenly over all groups that the recording names.  A walk of
    the whole machine asks each of them, one for a limit the groups that it names.
    ``passes`` are those of the whole recording.
    """
    groups = np.unique(passes["memcg"])
    groups = groups[groups != 0]  # 0: the line names none.
    wide = np.repeat(requests, len(groups))
    wide["memcg"] = np.tile(groups, len(requests))

    limited = np.flatnonzero(~walks.machine[walks.of_pass])
    pairs = np.empty(len(limited), [("walk", "i8"), ("memcg", "u8")])
    pairs["walk"], pairs["memcg"] = walks.of_pass[limited], passes["memcg"][limited]
    _, first = np.unique(pairs, return_index=True)
    asks = np.sort(limited[first])
    narrow = requests_of(passes[asks])
    counted = np.zeros(len(narrow), bool)
    for node in np.unique(requests["node"]):
        here = np.flatnonzero(requests["node"] == node)
        asking = np.flatnonzero(narrow["node"] == node)
        # The count of the latest pass there, or of the first one.
        latest = np.searchsorted(places[here], asks[asking]) - 1
        latest = here[np.maximum(latest, 0)]
        for name in ("count", "before", "counted"):
            narrow[name][asking] = requests[name][latest]
        counted[asking] = True

    both = np.concatenate((wide, narrow[counted]))
    for name in ("count", "before"):
        both[name] //= len(groups)
    at = np.concatenate((np.repeat(places, len(groups)), asks[counted]))
    spread: Array = both[np.argsort(at, kind="stable")]
    # A pass over nothing does not happen.
    happens: Array = spread[spread["count"] != 0]
    return happens
