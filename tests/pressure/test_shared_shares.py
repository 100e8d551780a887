"""How a shortage is divided; pure functions."""

from __future__ import annotations

import dataclasses

import pytest

from shrinker.pressure.shared.shares import (
    CLAIM_SECONDS,
    PROTECTED_SHARE,
    ROUND_SECONDS,
    SETTLE_SECONDS,
    Member,
    Shortage,
    divide,
    is_asked,
    is_protected,
    part_of,
)

NOW = 100.0
D = 1_000_000


def member(pages: int = 1000, *, beat: float = NOW, seeks: float = 2.0) -> Member:
    return Member(beat=beat, pages=pages, seeks=seeks)


def claiming(
    shortage: Shortage, part: int, *, freed: bool = True, me: Member | None = None
) -> Member:
    """A worker that has taken part."""
    return dataclasses.replace(
        me or member(),
        shortage=shortage,
        busy=not freed,
        claimed=part,
        freed=part if freed else 0,
    )


def test_equal_workers_give_equally() -> None:
    """The shares add up to one."""
    assert divide([member()] * 4) == [0.25] * 4


def test_expensive_caches_give_less() -> None:
    """In proportion to what the formula asks of them; seeks 0 give most."""
    dear, cheap = divide([member(seeks=8), member(seeks=2)])
    assert cheap == pytest.approx(4 * dear)
    free, cheap = divide([member(seeks=0), member(seeks=2)])
    assert free == pytest.approx(8 * cheap)


def test_a_part_is_protected() -> None:
    """A worker with little gives nothing, and may grow."""
    small, large = member(100), member(10_000)
    assert divide([small, large]) == [0, 1]
    assert is_protected(small, [large])
    assert not is_protected(large, [small])
    assert not is_protected(small, []), "a lone worker obeys the policy"
    assert PROTECTED_SHARE < 1
    assert divide([member(0), member(0)]) == [0.5, 0.5]


def test_workers_divide_a_shortage() -> None:
    """One opens it, the others join; in all they free what was missing."""
    workers = [member(pages) for pages in (4000, 3000, 2000, 1000)]
    freed = 0
    for index, me in enumerate(workers):
        others = workers[:index] + workers[index + 1 :]
        shortage, part = part_of(
            me, others, D - freed, NOW + index / 100, short=index == 0
        )
        assert shortage.number == 1
        workers[index] = claiming(shortage, part, me=me)
        freed += part
    assert D <= freed <= D + 4
    given = [worker.freed for worker in workers]
    assert given == sorted(given, reverse=True)
    for index, me in enumerate(workers):
        others = workers[:index] + workers[index + 1 :]
        assert not is_asked(me, others, D, NOW + 0.1), "all have given"


def test_two_that_open_at_once_mean_the_same() -> None:
    """Both free their part; a third joins the earlier one."""
    first, part = part_of(member(), [member()] * 2, D, NOW, short=True)
    second, _ = part_of(member(), [member()] * 2, D + 5, NOW + 0.001, short=True)
    assert first.number == second.number == 1
    joined, third = part_of(
        member(), [claiming(second, part), claiming(first, part)], D, NOW, short=True
    )
    assert joined == first
    assert third == pytest.approx(D / 3, abs=3)


def test_claims_count_until_they_are_too_old() -> None:
    """What another worker is about to free is not freed twice; unless it hangs."""
    shortage = Shortage(1, D, NOW, 0)
    busy = claiming(shortage, D, freed=False)
    assert part_of(member(), [busy], D, NOW, short=True)[1] == 0
    later = NOW + CLAIM_SECONDS
    me = member(beat=later)
    assert part_of(me, [busy], D, later, short=True)[1] > 0


def test_no_more_than_is_left_of_a_deficit() -> None:
    """However much seems to be missing: the figures lag behind what was freed."""
    shortage = Shortage(1, D, NOW, 0)
    nearly = claiming(shortage, D - 100)
    assert part_of(member(), [nearly], 3 * D, NOW, short=True) == (shortage, 100)
    busy = claiming(shortage, D - 50, freed=False)
    assert part_of(member(), [busy], 3 * D, NOW, short=True) == (shortage, 50)
    all_of_it = claiming(shortage, D, freed=False)
    assert not is_asked(member(), [all_of_it], 3 * D, NOW)


def test_the_rest_goes_round_again() -> None:
    """Those that did not look since the opening are passed over."""
    shortage = Shortage(1, D, NOW, NOW - 10)
    me = claiming(shortage, D // 4)
    asleep = member(beat=NOW - 1)
    later = NOW + SETTLE_SECONDS
    awake = member(beat=NOW + 0.1)
    again, part = part_of(me, [asleep, awake], D, later, short=True)
    assert again.number == 2
    assert part == pytest.approx(D / 2, abs=1)
    soon, part = part_of(me, [asleep, awake], D, NOW + 0.01, short=True)
    assert soon.number == 2
    assert part == pytest.approx(D / 3, abs=1), "too early to pass one over"


def test_near_exhaustion_one_takes_all() -> None:
    """But not what another is freeing already."""
    others = [member()] * 3
    assert part_of(member(), others, D, NOW, short=True, urgent=True)[1] == D
    busy = claiming(Shortage(1, D, NOW, 0), D // 2, freed=False)
    part = part_of(member(), [busy], D, NOW, short=True, urgent=True)[1]
    assert part == D // 2


def test_old_shortages_are_not_joined() -> None:
    """And a worker that is not short opens none."""
    old = claiming(Shortage(7, D, NOW - ROUND_SECONDS, 0), 1)
    assert not is_asked(member(), [old], D, NOW)
    assert part_of(member(), [old], D, NOW, short=False)[1] == 0
    assert part_of(member(), [old], D, NOW, short=True)[0].number == 8


def test_what_an_allocator_keeps_counts_as_free() -> None:
    """Freed by another worker, and still charged to the group."""
    keeps = dataclasses.replace(member(), kept=D)
    assert part_of(member(), [keeps], D, NOW, short=True)[1] == 0
    assert part_of(member(), [keeps], D, NOW, short=True, urgent=True)[1] == D
