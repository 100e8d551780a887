"""The policy: what is decided, in which state, at which time.  No thread, no clock."""

from __future__ import annotations

from typing import Any

import pytest
from pressure_support import LIMIT, MARKS, MIB, PAGE, level

from shrinker.pressure import Watermarks
from shrinker.pressure.backoff import BreakerState
from shrinker.pressure.decisions import Action, Change, Decision, ReclaimOutcome
from shrinker.pressure.limits.memory import MemoryLevel
from shrinker.pressure.policy import Policy
from shrinker.pressure.watermarks import rule_of

MANY = 200_000
"""Pages that caches hold: 780 MiB."""
T = 1000.0


class Machine:
    """A policy, its clock, and the memory of one level."""

    def __init__(self, free: float = 500, weight: int = MANY) -> None:
        self.policy = Policy(lambda limit: MARKS)
        self.now = T
        self.free = free
        self.weight = weight
        self.changes: list[Change] = []

    def look(self, *, event: str | None = None, resident: int = 0) -> Decision:
        """Look as the worker does: count when asked to."""
        levels = (level(self.free),)
        decision = self.policy.decide(self.now, levels, event=event)
        if decision.action is Action.COUNT:
            decision = self.policy.decide(
                self.now,
                levels,
                event=event,
                weight=self.weight,
                resident=resident,
            )
        self.changes += decision.changes
        return decision

    def done(
        self, decision: Decision, freed: int, fell: float, priority: int = 5
    ) -> None:
        """Tell what came of it: pages freed, MiB by which used fell."""
        self.free += fell
        self.weight -= freed
        outcome = ReclaimOutcome(
            freed, priority, level(self.free), int(fell * MIB), self.weight
        )
        self.changes += self.policy.reclaimed(self.now, decision, outcome)

    def kinds(self) -> list[str]:
        return [change.kind for change in self.changes]


def test_all_is_well() -> None:
    """Above *low* nothing is done or counted, caches may grow, and half may be used."""
    machine = Machine(500)
    assert machine.look().action is Action.NOTHING
    next_look = machine.policy.next_look(T, (level(500),))
    assert next_look.until is None
    assert next_look.distance == 400 * MIB
    assert next_look.allowance == 230 * MIB
    assert not next_look.under_pressure


def test_falling_below_low_reclaims_up_to_high() -> None:
    """The deficit is what is missing to *high*, in pages; the priority starts at 12."""
    machine = Machine(99)
    decision = machine.look()
    assert decision.action is Action.RECLAIM
    assert decision.objects == 51 * MIB // PAGE
    assert decision.priority == 12
    assert "99.0 MiB free, below low (100.0)" in decision.reason


def test_between_low_and_high_nothing_is_done() -> None:
    """Hysteresis: memory above *low* is not brought up to *high*."""
    machine = Machine(100)
    assert machine.look().action is Action.NOTHING
    assert not machine.policy.in_episode


def test_the_shortest_level_decides() -> None:
    """Each level is judged by its own watermarks, not by its bytes."""
    policy = Policy()
    machine = MemoryLevel("machine", 64 << 30, (64 << 30) - (1 << 30), 0)
    small = MemoryLevel("small", 256 << 20, 156 << 20, 0)
    decision = policy.decide(T, (small, machine), weight=MANY)
    assert decision.level is machine
    assert decision.action is Action.RECLAIM
    small = MemoryLevel("small", 256 << 20, 250 << 20, 0)
    assert policy.decide(T, (small, machine), weight=MANY).level is small


def test_no_level() -> None:
    """Memory without any level is an error that says so."""
    with pytest.raises(ValueError, match="at least one level"):
        Policy().decide(T, ())


def test_cool_down() -> None:
    """After a reclaim only falling below min is acted upon for a fifth of a second."""
    machine = Machine(90)
    decision = machine.look()
    machine.done(decision, 1000, 4)
    machine.free = 90
    machine.now += 0.1
    decision = machine.look()
    assert decision.action is Action.NOTHING
    assert decision.reason.endswith("cooling down")
    next_look = machine.policy.next_look(machine.now, (level(90),))
    assert next_look.until == pytest.approx(T + 0.2)
    assert next_look.distance == 50 * MIB, "only min matters"
    machine.free = 39
    assert machine.look().action is Action.RECLAIM
    machine.now = T + 0.5
    machine.free = 90
    assert machine.look().action is Action.RECLAIM


def test_priority_gets_more_urgent_and_relaxes() -> None:
    """One more urgent after each deficit not covered; one less in 5 quiet seconds."""
    machine = Machine(90)
    seen = []
    for _ in range(15):
        decision = machine.look()
        seen.append(decision.priority)
        machine.done(decision, 10, 0)
        machine.now += 2
    assert seen == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]
    machine.free = 500
    machine.look()
    trouble = machine.now - 2
    for seconds, priority in ((4.9, 0), (5, 1), (9.9, 1), (24, 4), (24.9, 4), (99, 12)):
        machine.now = trouble + seconds
        machine.look()
        assert machine.policy.priority == priority, seconds


def test_a_deficit_that_was_covered_is_no_reason_for_urgency() -> None:
    """The walk gets more urgent by itself: the next shortage starts at 12 again."""
    machine = Machine(90)
    for _ in range(3):
        decision = machine.look()
        machine.done(decision, 10, 0)
        machine.now += 2
    assert machine.policy.priority == 9
    decision = machine.look()
    assert decision.priority == 9
    machine.done(decision, decision.objects, 0)
    assert machine.policy.priority == 12


def test_what_an_insert_frees_covers_no_deficit() -> None:
    """It asks for a part only, and does not reset the background's urgency."""
    machine = Machine(30)
    machine.done(machine.look(), 10, 0)
    direct = machine.policy.decide_direct(T, (level(30),))
    assert direct.priority == 11
    machine.done(direct, direct.objects, 0)
    assert machine.policy.priority == 11


def test_shortages_and_events_have_their_own_urgency() -> None:
    """Repeated events do not make the next shortage more urgent, nor it them."""
    machine = Machine(500)
    for _ in range(5):
        machine.done(machine.look(event="e"), 1, 0)
        machine.now += 1
    machine.free = 90
    decision = machine.look()
    assert (decision.action, decision.priority) == (Action.RECLAIM, 12)
    machine.done(decision, decision.objects, 410)
    machine.now += 1
    assert machine.look(event="e").priority == 7


def test_events_walk_one_priority() -> None:
    """While memory is free an event frees one object, each one more urgently."""
    machine = Machine(500)
    seen = []
    for _ in range(3):
        decision = machine.look(event="PSI: stalled")
        seen.append((decision.action, decision.objects, decision.priority))
        assert decision.reason.startswith("PSI: stalled; 500.0 MiB free")
        machine.done(decision, 0, 0, priority=decision.priority)
        machine.now += 2
    assert seen == [(Action.EASE, 1, p) for p in (12, 11, 10)]
    assert machine.policy.breaker(machine.now) is BreakerState.CLOSED


@pytest.mark.parametrize(("free", "pressed"), [(150, False), (149, True)])
def test_events_above_high_begin_no_episode(free: int, pressed: bool) -> None:
    """Other processes may stall: caches give a little, and may grow."""
    machine = Machine(free)
    machine.done(machine.look(event="e"), 1, 0)
    assert machine.policy.in_episode is pressed
    next_look = machine.policy.next_look(machine.now, (level(free),))
    assert next_look.under_pressure is pressed


def test_events_above_high_do_not_make_an_episode_longer() -> None:
    """It ends once *high* is reached, whatever the events."""
    machine = Machine(90)
    machine.done(machine.look(event="e"), 15_360, 60)
    for _ in range(9):
        machine.now += 0.1
        machine.look(event="e")
    assert not machine.policy.in_episode
    assert not machine.policy.next_look(machine.now, (level(150),)).under_pressure


def test_events_during_the_cool_down_are_not_acted_upon() -> None:
    """A flood of events leads to five walks a second."""
    machine = Machine(500)
    machine.done(machine.look(event="e"), 0, 0, priority=12)
    for _ in range(9):
        machine.now += 0.02
        assert machine.look(event="e").action is Action.NOTHING
    machine.now += 0.03
    assert machine.look(event="e").priority == 11


def test_an_event_below_low_is_a_shortage() -> None:
    """The figures count more than the event: the deficit is reclaimed."""
    assert Machine(50).look(event="e").action is Action.RECLAIM


def test_under_pressure_from_entering_to_a_while_after_leaving() -> None:
    """Caches do not grow from the shortage until 0.5 s after *high* is reached."""
    machine = Machine(90)
    decision = machine.look()

    def pressed() -> bool:
        next_look = machine.policy.next_look(machine.now, (level(machine.free),))
        assert next_look.until is None or next_look.until >= machine.now
        return next_look.under_pressure

    assert pressed()
    machine.done(decision, 15_360, 60)
    machine.now += 0.1
    machine.look()
    assert not machine.policy.in_episode
    assert pressed()
    machine.now += 0.45
    machine.look()
    assert pressed()
    machine.now += 0.1
    machine.look()
    assert not pressed()


def test_an_episode_ends_below_high_when_it_is_quiet() -> None:
    """Where *high* cannot be reached, caches may grow again."""
    machine = Machine(90)
    machine.done(machine.look(), 2560, 10)
    machine.free = 120
    machine.now += 0.4
    machine.look()
    assert machine.policy.in_episode
    machine.now += 0.2
    machine.look()
    assert not machine.policy.in_episode
    assert not machine.policy.next_look(machine.now, (level(120),)).under_pressure


def test_what_the_allocator_keeps_counts_as_free() -> None:
    """A million small entries are reclaimed once, not once a second."""
    machine = Machine(90, weight=190_000)
    decision = machine.look()
    machine.done(decision, 67_500, 3)  # 264 MiB freed, 3 MiB came back.
    for _ in range(60):
        machine.now += 1
        decision = machine.look()
        assert decision.action is Action.NOTHING, decision.reason
    assert machine.policy.shortest((level(93),))[2] == 57 * MIB, "up to high, not more"
    assert not machine.policy.in_episode


def test_credit_shrinks_by_what_caches_grow() -> None:
    """New entries go into the gaps; when those are full, reclaim goes on."""
    machine = Machine(90, weight=190_000)
    machine.done(machine.look(), 67_500, 0)
    machine.now += 2
    machine.weight += 40 * MIB // PAGE
    assert machine.look().action is Action.NOTHING
    machine.now += 2
    machine.weight += 11 * MIB // PAGE
    decision = machine.look()
    assert decision.action is Action.RECLAIM
    assert decision.credit == 9 * MIB


def test_credit_shrinks_by_what_is_given_back() -> None:
    """Memory that goes back to the system is free, and does not count twice."""
    machine = Machine(90)
    machine.done(machine.look(), 67_500, 0)
    for free, credit in ((90, 60), (110, 40), (100, 40), (150, 0), (90, 0)):
        assert machine.policy.shortest((level(free),))[2] == credit * MIB, free


def test_credit_is_void_once_the_process_grows() -> None:
    """A process that grew by a quarter of *min* did not grow into the gaps."""
    machine = Machine(90)
    machine.done(machine.look(), 67_500, 0)
    machine.free -= 10
    machine.now += 2
    assert machine.look().action is Action.NOTHING
    machine.free -= 1
    decision = machine.look()
    assert decision.action is Action.RECLAIM
    assert decision.credit == 0


def test_no_credit_in_real_danger() -> None:
    """While less than half of *min* is really free, the credit counts for nothing."""
    machine = Machine(25)
    machine.done(machine.look(), 67_500, 0)
    credit = machine.policy.shortest((level(25),))[2]
    assert credit == 125 * MIB
    machine.free = 19
    decision = machine.look()
    assert decision.action is Action.RECLAIM
    assert decision.deficit == 131 * MIB
    assert machine.policy.shortest((level(20),))[2] == credit


def test_the_credit_is_that_of_one_limit() -> None:
    """It does not count for another group."""
    machine = Machine(90)
    machine.done(machine.look(), 67_500, 0)
    assert machine.policy.shortest((level(90, where="other"),))[2] == 0


def test_what_is_credited_is_not_given_away() -> None:
    """Threads together may use half of what is really free; none grows below *min*."""
    policy = Policy(lambda _limit: MARKS)
    levels = (level(25),)
    decision = policy.decide(T, levels, weight=MANY)
    freed = 125 * MIB // PAGE
    policy.reclaimed(T, decision, ReclaimOutcome(freed, 5, levels[0], 0, MANY - freed))
    later = T + 10
    assert policy.decide(later, levels, weight=MANY - freed).action is Action.NOTHING
    assert not policy.in_episode
    next_look = policy.next_look(later, levels)
    assert next_look.distance == 50 * MIB
    assert next_look.allowance == 25 * MIB // 4
    assert next_look.under_pressure


def test_counting_is_rare() -> None:
    """Caches are counted only where that decides, and then once a second."""
    machine = Machine(90, weight=190_000)
    machine.done(machine.look(), 67_500, 0)
    machine.now += 2
    levels = (level(90),)
    assert machine.policy.decide(machine.now, levels).action is Action.COUNT
    machine.look()
    for _ in range(9):
        machine.now += 0.1
        assert machine.policy.decide(machine.now, levels).action is Action.NOTHING
    machine.now += 0.2
    assert machine.policy.decide(machine.now, levels).action is Action.COUNT
    machine.free = 500
    assert machine.policy.decide(machine.now, (level(500),)).action is Action.NOTHING


def test_a_decision_to_count_changes_nothing() -> None:
    """The caller may never come back with the weight, or twice."""
    machine = Machine(90)
    for _ in range(3):
        decision = machine.policy.decide(machine.now, (level(90),), event="e")
        assert decision.action is Action.COUNT
    assert not machine.policy.in_episode
    assert machine.look().priority == 12


def test_fruitless_reclaims_open_the_breaker() -> None:
    """Three in a row that asked all caches for everything, and freed nothing."""
    machine = Machine(30)
    for _ in range(3):
        decision = machine.look()
        assert decision.action is Action.RECLAIM
        machine.done(decision, 0, 0, priority=0)
    assert machine.kinds() == ["breaker opened"]
    decision = machine.look()
    assert decision.action is Action.NOTHING
    assert decision.reason.endswith("the breaker is open")
    next_look = machine.policy.next_look(machine.now, (level(30),))
    assert next_look.until == T + 1
    assert next_look.distance is None, "no looks in between"
    next_look = machine.policy.next_look(machine.now, (level(50),))
    assert next_look.distance == 10 * MIB, "caches may fill meanwhile"


def test_the_breaker_tries_again_more_and_more_rarely() -> None:
    """Half-open after 1, 2, 4 ... 60 s; told once; closed by the first success."""
    machine = Machine(30)
    pauses = []
    for _ in range(3):
        machine.done(machine.look(), 0, 0, priority=0)
    opened = machine.now
    for _ in range(8):
        next_look = machine.policy.next_look(machine.now, (level(30),))
        assert next_look.until is not None
        machine.now = next_look.until
        pauses.append(machine.now - opened)
        machine.done(machine.look(), 0, 0, priority=0)
        opened = machine.now
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert machine.kinds() == ["breaker opened"]
    machine.now += 60
    machine.done(machine.look(), 1000, 4)
    assert machine.kinds() == ["breaker opened", "breaker closed"]
    assert machine.look().action is Action.RECLAIM


def test_mild_walks_that_free_nothing_prove_nothing() -> None:
    """At priority 12 a cache may be asked for nothing; that is no failure."""
    machine = Machine(500)
    for _ in range(6):
        decision = machine.look(event="e")
        assert decision.action is Action.EASE
        machine.done(decision, 0, 0, priority=decision.priority)
        machine.now += 2
    assert not machine.changes


def test_empty_caches() -> None:
    """There is nothing left to give: told once, and no cache is called."""
    machine = Machine(30, weight=0)
    assert machine.look().action is Action.NOTHING
    assert "nothing left to give" in machine.changes[-1].text
    for _ in range(20):
        machine.now += 1
        assert machine.look().action is Action.NOTHING
    assert machine.kinds() == ["watermarks", "breaker opened"]


def test_small_caches_are_left_alone_above_min() -> None:
    """Beside 600 MiB, caches of 4 MiB cannot help: a quarter is freed to find out, and
    then they may grow, as long as memory is above *min*."""
    machine = Machine(90, weight=1000)
    decision = machine.look(resident=600 * MIB)
    assert (decision.action, decision.objects) == (Action.RECLAIM, 250)
    machine.done(decision, 250, 1, priority=0)
    machine.weight = 1000
    for _ in range(100):
        machine.now += 1
        machine.free = 60
        decision = machine.look(resident=600 * MIB)
        assert decision.action is Action.NOTHING, decision.reason
    next_look = machine.policy.next_look(machine.now, (level(60),))
    assert not next_look.under_pressure
    assert next_look.allowance > 1 * MIB
    assert "watermarks" in machine.kinds()


def test_small_caches_give_all_below_min() -> None:
    """Below *min* they are asked for everything once before the breaker opens."""
    machine = Machine(30, weight=1000)
    decision = machine.look(resident=600 * MIB)
    assert (decision.action, decision.priority) == (Action.RECLAIM, 12)
    assert decision.objects == decision.deficit // PAGE > 1000
    machine.done(decision, 1000, 4, priority=0)
    assert machine.kinds()[-1] == "breaker opened"
    assert machine.policy.next_look(machine.now, (level(34),)).under_pressure


def test_few_heavy_objects() -> None:
    """A cache of 500 objects of 1 MiB counts 500; a quarter shows what it holds."""
    machine = Machine(90, weight=500)
    decision = machine.look(resident=600 * MIB)
    assert (decision.action, decision.objects) == (Action.RECLAIM, 125)
    machine.done(decision, 25, 25)
    assert not machine.changes
    assert machine.policy.bytes_per_object > 400_000
    machine.free = 50
    machine.now += 2
    decision = machine.look(resident=600 * MIB)
    assert decision.action is Action.RECLAIM
    assert 100 <= decision.objects <= 250, "objects, not pages"


def test_a_reclaim_that_frees_nothing_shows_nothing() -> None:
    """Three of them open the breaker, and the text says what happened."""
    machine = Machine(30, weight=53)
    for _ in range(3):
        assert "breaker opened" not in machine.kinds()
        decision = machine.look(resident=600 * MIB)
        assert decision.action is Action.RECLAIM
        machine.done(decision, 0, 0, priority=0)
    change = machine.changes[-1]
    assert (
        "freed nothing of 53 objects (give unweighed caches a weigher)" in change.text
    )
    assert "small" not in change.text


def test_caches_live_in_what_is_left_above_min() -> None:
    """Where *high* is out of reach, caches keep at least half of what there is.

    40 MiB are free without caches, watermarks are 16, 32 and 48 MiB (the defaults for
    256 MiB): a reclaim up to 48 MiB would empty the caches each time.
    """
    policy = Policy(lambda _limit: Watermarks(16 * MIB, 32 * MIB, 48 * MIB))

    def now_free() -> MemoryLevel:
        used = 216 * MIB + held
        return MemoryLevel("test", 256 * MIB, used, used)

    now, held, least = T, 0, 40 * MIB
    for step in range(2000):
        now += 0.5
        decision = policy.decide(now, (now_free(),))
        if decision.action is Action.COUNT:
            pages = held // PAGE
            decision = policy.decide(now, (now_free(),), weight=pages)
        if decision.action is Action.RECLAIM:
            freed = min(decision.objects, held // PAGE)
            held -= freed * PAGE
            after = now_free()
            outcome = ReclaimOutcome(freed, 5, after, freed * PAGE, held // PAGE)
            policy.reclaimed(now, decision, outcome)
        if step > 100:
            least = min(least, held)
        next_look = policy.next_look(now, (now_free(),))
        if not next_look.under_pressure:
            held += min(next_look.allowance, MIB // 2)
    assert least >= 11 * MIB


def test_lowered_watermarks_are_said_once() -> None:
    """However often they come and go; and once that they are back for a minute."""
    machine = Machine(90)
    for step in range(100):
        machine.weight = 0 if step % 2 == 0 else MANY
        machine.look()
        machine.now += 1.1
    texts = [each.text for each in machine.changes if each.kind == "watermarks"]
    assert len(texts) == 1
    assert "too little for high" in texts[0]
    for _ in range(60):
        machine.look()
        machine.now += 1.1
    texts = [each.text for each in machine.changes if each.kind == "watermarks"]
    assert len(texts) == 2
    assert texts[1].endswith("MiB again")


def test_events_ask_little_of_small_caches() -> None:
    """Stalls elsewhere cost them an object each, and none once they are known to be
    small."""
    machine = Machine(500, weight=1000)
    for _ in range(15):
        decision = machine.look(event="e", resident=600 * MIB)
        assert (decision.action, decision.priority) == (Action.EASE, 12)
        machine.done(decision, 1, 0, priority=8)
        machine.now += 1
    assert not machine.changes
    machine.free = 90
    machine.done(machine.look(resident=600 * MIB), 250, 1)
    machine.free = 500
    machine.now += 2
    assert machine.look(event="e", resident=600 * MIB).action is Action.NOTHING


def test_events_that_bring_nothing_do_not_open_the_breaker() -> None:
    """It is closed for a later shortage; empty caches are not walked."""
    machine = Machine(500)
    for _ in range(5):
        machine.done(machine.look(event="e"), 0, 0, priority=0)
        machine.now += 1
    machine.weight = 0
    assert machine.look(event="e").action is Action.NOTHING
    assert not machine.changes
    assert machine.policy.breaker(machine.now) is BreakerState.CLOSED


def test_direct() -> None:
    """Below *min* a bounded number of pages, below *low* a wake, else nothing."""
    policy = Policy(lambda limit: MARKS)
    for free, action in (
        (100, Action.NOTHING),
        (99, Action.WAKE),
        (40, Action.WAKE),
        (39, Action.RECLAIM),
    ):
        assert policy.decide_direct(T, (level(free),)).action is action, free
    assert policy.decide_direct(T, (level(39),)).objects == 2048
    assert not policy.in_episode


def test_direct_heeds_the_breaker() -> None:
    """While it is open, inserts do not reclaim."""
    machine = Machine(30)
    for _ in range(3):
        decision = machine.policy.decide_direct(T, (level(30),))
        machine.done(decision, 0, 0, priority=0)
    assert machine.policy.decide_direct(T, (level(30),)).action is Action.NOTHING


def test_allowance_below_min() -> None:
    """Inserts look again after little growth: 64 KiB to 1 MiB."""
    policy = Policy(lambda limit: MARKS)
    assert policy.next_look(T, (level(10),)).allowance == MIB
    tiny = MemoryLevel("tiny", 1 << 20, 1 << 20, 0)
    assert Policy().next_look(T, (tiny,)).allowance == 1 << 16


def test_limits_that_change() -> None:
    """A lowered limit counts at once, with its own watermarks."""
    policy = Policy()
    used = 800 * MIB
    wide = MemoryLevel("a", 4096 * MIB, used, used)
    assert policy.decide(T, (wide,), weight=MANY).action is Action.NOTHING
    tight = MemoryLevel("a", 850 * MIB, used, used)
    decision = policy.decide(T + 1, (tight,), weight=MANY)
    assert decision.action is Action.RECLAIM
    assert decision.marks == Watermarks.of(850 * MIB)
    for limit in range(850, 950):
        policy.decide(T + 2, (MemoryLevel("a", limit * MIB, 0, 0),))
    over = MemoryLevel("a", 700 * MIB, used, used)
    assert over.free == 0
    assert policy.decide(T + 4, (over,), weight=MANY).action is Action.RECLAIM


def test_limits_that_change_without_end() -> None:
    """Watermarks are kept for a few limits, the latest among them."""
    policy = Policy()
    for limit in range(10**9, 10**9 + 100):
        policy.decide(T, [level(500, limit=limit)])
    latest = level(500, limit=10**9 + 99)
    assert policy.known_watermarks(latest) == policy.watermarks(latest)
    known = [policy.known_watermarks(level(500, limit=10**9 + n)) for n in range(100)]
    assert sum(marks is not None for marks in known) <= 16


def test_watermarks_that_do_not_fit() -> None:
    """For a limit below the watermarks the defaults are used, and that is told."""
    policy = Policy(lambda limit: MARKS)
    small = MemoryLevel("small", 100 * MIB, 50 * MIB, 0)
    decision = policy.decide(T, (small,))
    assert decision.marks == Watermarks.of(100 * MIB)
    assert [change.kind for change in decision.changes] == ["watermarks"]
    assert not policy.decide(T, (small,)).changes


def failing(limit: int) -> Any:
    """A rule that does not work."""
    raise ZeroDivisionError(f"of {limit}")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda _: None, "returned NoneType"),
        (lambda _: (1, 2, 3), "returned tuple"),
        (failing, "raised ZeroDivisionError"),
    ],
)
def test_rules_that_return_no_watermarks(rule: Any, said: str) -> None:
    """The defaults are used, and that is told; the service is protected."""
    policy = Policy(rule)
    short = [level(30)]
    decision = policy.decide(0.0, short, weight=100_000)
    assert decision.marks == Watermarks.of(LIMIT)
    assert [change.kind for change in decision.changes] == ["watermarks"]
    assert said in decision.changes[0].text
    assert policy.decide(1.0, short, weight=100_000).changes == ()


@pytest.mark.parametrize(
    ("given", "whose"), [(None, "usual"), (MARKS, "given"), (lambda _: MARKS, "given")]
)
def test_whose_watermarks_do_not_fit(given: Any, whose: str) -> None:
    """The text names watermarks as given only where they were."""
    policy = Policy(rule_of(given))
    small = (MemoryLevel("process (limit=)", 1, 0, 0),)
    changes = policy.decide(T, small, weight=MANY, resident=0).changes
    texts = [change.text for change in changes]
    assert any(f"the {whose} watermarks do not fit process" in text for text in texts)
