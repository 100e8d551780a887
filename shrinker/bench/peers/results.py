"""What a result of ``--peers`` says.

* a *time* is what a row's benchmark holds: seconds for a callback, one in nine of them
  a count;
* *vs C API* is that divided by the C API's time with the same results, of the same
  round;
* *faster* is the time divided by shrinker's, of the same round: how many times as fast
  shrinker is.

Each is computed round by round, and shown as the median of the rounds with its median
absolute deviation.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from shrinker.bench.peers.points import AT_MOST, FASTER, Peer, PeerRow, Results
from shrinker.bench.results import NS, Figure, by_round, figure

__all__ = ["PeerCosts", "ResultsCosts", "c_api_row", "peers_result"]


@dataclasses.dataclass(frozen=True, slots=True)
class PeerCosts:
    """What a callback costs one way."""

    peer: Peer
    time: Figure
    """ns."""
    vs_c_api: Figure | None
    """Times as long; None for the C API, and where that was not measured."""
    faster: Figure | None
    """Times as fast as this is shrinker; None for shrinker itself, and so on."""

    @property
    def goal(self) -> tuple[str, bool] | None:
        """The goal that this row shows, and whether it is met; None: there is none."""
        if self.peer is Peer.C_API:
            return None
        if self.peer is Peer.SHRINKER:
            if self.vs_c_api is None:
                return None
            return f"at most {AT_MOST:g}x", self.vs_c_api.median <= AT_MOST
        if self.faster is None:
            return None
        return f"at least {FASTER:g}x", self.faster.median >= FASTER


@dataclasses.dataclass(frozen=True, slots=True)
class ResultsCosts:
    """All ways, with one kind of results."""

    results: Results
    costs: list[PeerCosts]


def peers_result(suite: Any) -> list[ResultsCosts]:
    """Return what a suite says."""
    rounds = {benchmark.get_name(): by_round(benchmark) for benchmark in suite}
    return [
        ResultsCosts(
            results,
            [
                _costs(PeerRow(peer, results), rounds)
                for peer in Peer
                if PeerRow(peer, results).name in rounds
            ],
        )
        for results in Results
    ]


def c_api_row(name: str) -> str | None:
    """Return the name of the C API's row with the same results as a row."""
    peer, _, results = name.partition(": ")
    if peer == Peer.C_API:
        return None
    return PeerRow(Peer.C_API, Results(results)).name


_Rounds = dict[str, dict[int, float]]


def _costs(row: PeerRow, rounds: _Rounds) -> PeerCosts:
    def ratio(above: Peer, below: Peer) -> Figure | None:
        names = [PeerRow(peer, row.results).name for peer in (above, below)]
        if above is below or not rounds.keys() >= set(names):
            return None
        top, bottom = (rounds[name] for name in names)
        return figure({n: top[n] / bottom[n] for n in top if n in bottom})

    return PeerCosts(
        peer=row.peer,
        time=figure(rounds[row.name], NS),
        vs_c_api=ratio(row.peer, Peer.C_API),
        faster=ratio(row.peer, Peer.SHRINKER),
    )
