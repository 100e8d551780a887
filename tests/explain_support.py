"""Passes that ``explain`` is tested with."""

from __future__ import annotations

from typing import NamedTuple

MAX = 2**63 - 1
EMPTY = 2**64 - 2


class Arguments(NamedTuple):
    """What a pass is given, in the order of ``shrinker explain --help``."""

    count: int
    deferred: int = 0
    priority: int = 12
    seeks: int = 2
    batch: int = 0


INPUTS = [
    Arguments(1000, priority=0),
    Arguments(4095),
    Arguments(4095, deferred=8190),
    Arguments(262144),
    Arguments(101, priority=1),
    Arguments(1000, seeks=0),
    Arguments(1000, deferred=-2, priority=0),
    Arguments(100, deferred=10**6, priority=0),
    Arguments(100, priority=0, batch=1024),
    Arguments(10**6, priority=0, seeks=-1),
    Arguments(123457, deferred=99, priority=3, seeks=7, batch=1000),
    Arguments(0, deferred=77),
    Arguments(EMPTY, deferred=77),
    Arguments(MAX, priority=0),
    Arguments(2**62, deferred=10**15, priority=0, seeks=1),
    Arguments(2**61, deferred=2**62, priority=0, batch=2**62),
    Arguments(2**63 + 2**61, priority=0, seeks=1),
    Arguments(2**64 - 1),
    Arguments(2**32, priority=0, batch=2**20),
]
ENDLESS = [
    Arguments(2**63),
    Arguments(2**63 + 32, priority=0),
    Arguments(2**63 + 10**9, priority=0),
    Arguments(1000, priority=0, batch=-128),
]
