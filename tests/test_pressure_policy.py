"""The policy: what is decided, in which state, at which time.  No thread, no clock."""

from __future__ import annotations

import pytest
from pressure_support import LIMIT, MARKS, MIB, PAGE, level

from shrinker.pressure import MemoryLevel, Watermarks
from shrinker.pressure.breaker import Breaker, BreakerState
from shrinker.pressure.pace import HALF_LIFE, LONGEST, SHORTEST, Pace
from shrinker.pressure.policy import Action, Decision, News, Outcome, Policy

MANY = 100_000
"""Pages that caches hold: 390 MiB."""
T = 1000.0


class Machine:
    """A policy, its clock, and the memory of one level."""

    def __init__(self, free: float = 500, weight: int = MANY) -> None:
        self.policy = Policy(lambda limit: MARKS)
        self.now = T
        self.free = free
        self.weight = weight
        self.news: list[News] = []

    def look(self, *, event: str | None = None, resident: int = 0) -> Decision:
        """Look as the worker does: count when asked to."""
        levels = (level(self.free),)
        decision = self.policy.look(self.now, levels, event=event)
        if decision.action is Action.WEIGH:
            decision = self.policy.look(
                self.now,
                levels,
                event=event,
                weight=self.weight,
                resident=resident,
            )
        self.news += decision.news
        return decision

    def done(
        self, decision: Decision, freed: int, fell: float, priority: int = 5
    ) -> None:
        """Tell what came of it: pages freed, MiB by which used fell."""
        self.free += fell
        self.weight -= freed
        outcome = Outcome(freed, priority, level(self.free), self.weight)
        self.news += self.policy.reclaimed(self.now, decision, outcome)

    def kinds(self) -> list[str]:
        return [news.kind for news in self.news]


def test_all_is_well() -> None:
    """Above low nothing is done, counted or held back, and half may be used."""
    machine = Machine(500)
    assert machine.look().action is Action.NOTHING
    rest = machine.policy.rest(T, (level(500),))
    assert rest.until is None
    assert rest.distance == 400 * MIB
    assert rest.allowance == 230 * MIB
    assert not rest.under_pressure


def test_falling_below_low_reclaims_up_to_high() -> None:
    """The deficit is what is missing to high, in pages; the ladder starts at 12."""
    machine = Machine(99)
    decision = machine.look()
    assert decision.action is Action.RECLAIM
    assert decision.pages == 51 * MIB // PAGE
    assert decision.priority == 12
    assert "99.0 MiB free, below low (100.0)" in decision.reason


def test_between_low_and_high_nothing_is_done() -> None:
    """Hysteresis: whoever is above low is not pushed up to high."""
    machine = Machine(100)
    assert machine.look().action is Action.NOTHING
    assert not machine.policy.in_episode


def test_the_shortest_level_decides() -> None:
    """Each level is judged by its own watermarks, not by its bytes."""
    policy = Policy()
    machine = MemoryLevel("machine", 64 << 30, (64 << 30) - (1 << 30), 0)
    small = MemoryLevel("small", 256 << 20, 156 << 20, 0)
    decision = policy.look(T, (small, machine), weight=MANY)
    assert decision.level is machine
    assert decision.action is Action.RECLAIM
    small = MemoryLevel("small", 256 << 20, 250 << 20, 0)
    assert policy.look(T, (small, machine), weight=MANY).level is small


def test_no_level() -> None:
    """Memory without any level is an error that says so."""
    with pytest.raises(ValueError, match="at least one level"):
        Policy().look(T, ())


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
    rest = machine.policy.rest(machine.now, (level(90),))
    assert rest.until == pytest.approx(T + 0.2)
    assert rest.distance == 50 * MIB, "only min matters"
    machine.free = 39
    assert machine.look().action is Action.RECLAIM
    machine.now = T + 0.5
    machine.free = 90
    assert machine.look().action is Action.RECLAIM


def test_priority_gets_more_urgent_and_relaxes() -> None:
    """One more urgent after each that fell short; back by one in 5 quiet seconds."""
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
    """The ladder gets urgent by itself: the next shortage starts at 12 again."""
    machine = Machine(90)
    for _ in range(3):
        decision = machine.look()
        machine.done(decision, 10, 0)
        machine.now += 2
    assert machine.policy.priority == 9
    decision = machine.look()
    assert decision.priority == 9
    machine.done(decision, decision.pages, 0)
    assert machine.policy.priority == 12


def test_what_an_insert_frees_covers_no_deficit() -> None:
    """It asks for a part only, and takes no urgency from the background."""
    machine = Machine(30)
    machine.done(machine.look(), 10, 0)
    direct = machine.policy.look_direct(T, (level(30),))
    assert direct.priority == 11
    machine.done(direct, direct.pages, 0)
    assert machine.policy.priority == 11


def test_shortages_and_events_have_their_own_urgency() -> None:
    """Events that keep coming do not make the next shortage overshoot, nor it them."""
    machine = Machine(500)
    for _ in range(5):
        machine.done(machine.look(event="e"), 1, 0)
        machine.now += 1
    machine.free = 90
    decision = machine.look()
    assert (decision.action, decision.priority) == (Action.RECLAIM, 12)
    machine.done(decision, decision.pages, 410)
    machine.now += 1
    assert machine.look(event="e").priority == 7


def test_events_walk_one_priority() -> None:
    """A source that speaks while memory is free gets one object, then more urgently."""
    machine = Machine(500)
    seen = []
    for _ in range(3):
        decision = machine.look(event="PSI: stalled")
        seen.append((decision.action, decision.pages, decision.priority))
        assert decision.reason.startswith("PSI: stalled; 500.0 MiB free")
        machine.done(decision, 0, 0, priority=decision.priority)
        machine.now += 2
    assert seen == [(Action.EASE, 1, p) for p in (12, 11, 10)]
    assert machine.policy.breaker(machine.now) is BreakerState.CLOSED


@pytest.mark.parametrize(("free", "pressed"), [(150, False), (149, True)])
def test_events_above_high_begin_no_episode(free: int, pressed: bool) -> None:
    """The machine may stall where we are fine: caches give a little, and may grow."""
    machine = Machine(free)
    machine.done(machine.look(event="e"), 1, 0)
    assert machine.policy.in_episode is pressed
    rest = machine.policy.rest(machine.now, (level(free),))
    assert rest.under_pressure is pressed


def test_events_above_high_do_not_make_an_episode_longer() -> None:
    """It ends once high is reached, whatever others say."""
    machine = Machine(90)
    machine.done(machine.look(event="e"), 15_360, 60)
    for _ in range(9):
        machine.now += 0.1
        machine.look(event="e")
    assert not machine.policy.in_episode
    assert not machine.policy.rest(machine.now, (level(150),)).under_pressure


def test_events_during_the_cool_down_are_not_acted_upon() -> None:
    """A flood of events is five events a second."""
    machine = Machine(500)
    machine.done(machine.look(event="e"), 0, 0, priority=12)
    for _ in range(9):
        machine.now += 0.02
        assert machine.look(event="e").action is Action.NOTHING
    machine.now += 0.03
    assert machine.look(event="e").priority == 11


def test_an_event_below_low_is_a_shortage() -> None:
    """Figures say more than events: the deficit is reclaimed."""
    assert Machine(50).look(event="e").action is Action.RECLAIM


def test_under_pressure_from_entering_to_a_while_after_leaving() -> None:
    """Caches stay as they are from the shortage until 0.5 s after high is reached."""
    machine = Machine(90)
    decision = machine.look()

    def pressed() -> bool:
        rest = machine.policy.rest(machine.now, (level(machine.free),))
        assert rest.until is None or rest.until >= machine.now
        return rest.under_pressure

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
    """What cannot reach high is not held back for ever."""
    machine = Machine(90)
    machine.done(machine.look(), 2560, 10)
    machine.free = 120
    machine.now += 0.4
    machine.look()
    assert machine.policy.in_episode
    machine.now += 0.2
    machine.look()
    assert not machine.policy.in_episode
    assert not machine.policy.rest(machine.now, (level(120),)).under_pressure


def test_what_the_allocator_keeps_counts_as_free() -> None:
    """The story of a million small entries: one wipe, not one each second."""
    machine = Machine(90, weight=90_000)
    decision = machine.look()
    machine.done(decision, 67_500, 3)  # 264 MiB freed, 3 MiB came back.
    for _ in range(60):
        machine.now += 1
        decision = machine.look()
        assert decision.action is Action.NOTHING, decision.reason
    assert machine.policy.judge((level(93),))[2] == 57 * MIB, "up to high, not more"
    assert not machine.policy.in_episode


def test_credit_shrinks_by_what_caches_grow() -> None:
    """New entries go into the gaps; when those are full, it is time again."""
    machine = Machine(90, weight=90_000)
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
    """Memory that goes back to the system is free indeed, and not free twice."""
    machine = Machine(90)
    machine.done(machine.look(), 67_500, 0)
    for free, credit in ((90, 60), (110, 40), (100, 40), (150, 0), (90, 0)):
        assert machine.policy.judge((level(free),))[2] == credit * MIB, free


def test_credit_is_void_once_the_process_grows() -> None:
    """Whoever grows by a quarter of min is not served from what was kept."""
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
    """With less than half of min really free nothing is believed, for as long."""
    machine = Machine(25)
    machine.done(machine.look(), 67_500, 0)
    credit = machine.policy.judge((level(25),))[2]
    assert credit == 125 * MIB
    machine.free = 19
    decision = machine.look()
    assert decision.action is Action.RECLAIM
    assert decision.deficit == 131 * MIB
    assert machine.policy.judge((level(20),))[2] == credit


def test_the_credit_is_that_of_one_limit() -> None:
    """What is charged to one group says nothing of another."""
    machine = Machine(90)
    machine.done(machine.look(), 67_500, 0)
    assert machine.policy.judge((level(90, where="other"),))[2] == 0


def test_counting_is_rare() -> None:
    """Caches are counted only where that decides, and then once a second."""
    machine = Machine(90, weight=90_000)
    machine.done(machine.look(), 67_500, 0)
    machine.now += 2
    levels = (level(90),)
    assert machine.policy.look(machine.now, levels).action is Action.WEIGH
    machine.look()
    for _ in range(9):
        machine.now += 0.1
        assert machine.policy.look(machine.now, levels).action is Action.NOTHING
    machine.now += 0.2
    assert machine.policy.look(machine.now, levels).action is Action.WEIGH
    machine.free = 500
    assert machine.policy.look(machine.now, (level(500),)).action is Action.NOTHING


def test_weighing_changes_nothing() -> None:
    """Who is told to count may never come back, or twice."""
    machine = Machine(90)
    for _ in range(3):
        decision = machine.policy.look(machine.now, (level(90),), event="e")
        assert decision.action is Action.WEIGH
    assert not machine.policy.in_episode
    assert machine.look().priority == 12


def test_fruitless_reclaims_open_the_breaker() -> None:
    """Three in a row that asked everybody for everything, and got nothing."""
    machine = Machine(30)
    for _ in range(3):
        decision = machine.look()
        assert decision.action is Action.RECLAIM
        machine.done(decision, 0, 0, priority=0)
    assert machine.kinds() == ["breaker opened"]
    decision = machine.look()
    assert decision.action is Action.NOTHING
    assert decision.reason.endswith("the breaker is open")
    rest = machine.policy.rest(machine.now, (level(30),))
    assert rest.until == T + 1
    assert rest.distance is None, "no looks in between"


def test_the_breaker_tries_again_more_and_more_rarely() -> None:
    """Half-open after 1, 2, 4 ... 60 s; said once; closed by the first success."""
    machine = Machine(30)
    pauses = []
    for _ in range(3):
        machine.done(machine.look(), 0, 0, priority=0)
    opened = machine.now
    for _ in range(8):
        rest = machine.policy.rest(machine.now, (level(30),))
        assert rest.until is not None
        machine.now = rest.until
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
    """At priority 12 a cache is asked for nothing; that is no failure."""
    machine = Machine(500)
    for _ in range(6):
        decision = machine.look(event="e")
        assert decision.action is Action.EASE
        machine.done(decision, 0, 0, priority=decision.priority)
        machine.now += 2
    assert not machine.news


def test_empty_caches() -> None:
    """There is nothing left to give: said once, and nobody is called."""
    machine = Machine(30, weight=0)
    assert machine.look().action is Action.NOTHING
    assert "nothing left to give" in machine.news[0].text
    for _ in range(20):
        machine.now += 1
        assert machine.look().action is Action.NOTHING
    assert machine.kinds() == ["breaker opened"]


def test_small_caches_are_probed_and_left_alone() -> None:
    """Beside 600 MiB, caches of 4 MiB save nobody: a quarter goes to find that out."""
    machine = Machine(90, weight=1000)
    decision = machine.look(resident=600 * MIB)
    assert decision.action is Action.PROBE
    assert decision.pages == 250
    machine.done(decision, 250, 1)
    assert machine.kinds() == ["breaker opened"]
    machine.now += 0.5
    machine.free = 20
    assert machine.look(resident=600 * MIB).action is Action.NOTHING


def test_few_heavy_objects_are_found_out() -> None:
    """A cache of 500 objects of 1 MiB counts 500; the probe shows what it holds."""
    machine = Machine(90, weight=500)
    decision = machine.look(resident=600 * MIB)
    assert decision.action is Action.PROBE
    machine.done(decision, 25, 25)
    assert not machine.news
    assert machine.policy.bytes_per_object > 400_000
    machine.free = 50
    machine.now += 2
    decision = machine.look(resident=600 * MIB)
    assert decision.action is Action.RECLAIM
    assert 100 <= decision.pages <= 200, "objects, not pages"


def test_a_probe_that_frees_nothing_shows_nothing() -> None:
    """Three of them open the breaker, which says what happened."""
    machine = Machine(30, weight=53)
    for _ in range(3):
        assert not machine.news
        decision = machine.look(resident=600 * MIB)
        assert decision.action is Action.PROBE
        machine.done(decision, 0, 0, priority=0)
    (news,) = machine.news
    assert "freed nothing of 53 objects (give unweighed caches a weigher)" in news.text
    assert "small" not in news.text


def test_events_ask_little_of_small_caches() -> None:
    """Stalls elsewhere cost them an object each; none, once they are known as small."""
    machine = Machine(500, weight=1000)
    for _ in range(15):
        decision = machine.look(event="e", resident=600 * MIB)
        assert (decision.action, decision.priority) == (Action.EASE, 12)
        machine.done(decision, 1, 0, priority=8)
        machine.now += 1
    assert not machine.news
    machine.free = 90
    machine.done(machine.look(resident=600 * MIB), 250, 1)
    machine.free = 500
    machine.now += 2
    assert machine.look(event="e", resident=600 * MIB).action is Action.NOTHING


def test_events_that_bring_nothing_do_not_open_the_breaker() -> None:
    """A shortage that comes later finds it closed; empty caches are not walked."""
    machine = Machine(500)
    for _ in range(5):
        machine.done(machine.look(event="e"), 0, 0, priority=0)
        machine.now += 1
    machine.weight = 0
    assert machine.look(event="e").action is Action.NOTHING
    assert not machine.news
    assert machine.policy.breaker(machine.now) is BreakerState.CLOSED


def test_direct() -> None:
    """Below min a bounded number of pages; below low a wake; else nothing."""
    policy = Policy(lambda limit: MARKS)
    for free, action in (
        (100, Action.NOTHING),
        (99, Action.WAKE),
        (40, Action.WAKE),
        (39, Action.RECLAIM),
    ):
        assert policy.look_direct(T, (level(free),)).action is action, free
    assert policy.look_direct(T, (level(39),)).pages == 2048
    assert not policy.in_episode


def test_direct_heeds_the_breaker() -> None:
    """Where reclaim brings nothing, inserts do not pay for it."""
    machine = Machine(30)
    for _ in range(3):
        decision = machine.policy.look_direct(T, (level(30),))
        machine.done(decision, 0, 0, priority=0)
    assert machine.policy.look_direct(T, (level(30),)).action is Action.NOTHING


def test_allowance_below_min_is_small_but_something() -> None:
    """Inserts look again after little: between 64 KiB and 1 MiB."""
    policy = Policy(lambda limit: MARKS)
    assert policy.rest(T, (level(10),)).allowance == MIB
    tiny = MemoryLevel("tiny", 1 << 20, 1 << 20, 0)
    assert Policy().rest(T, (tiny,)).allowance == 1 << 16


def test_limits_that_change() -> None:
    """A limit that is lowered is judged by what follows from it, at once."""
    policy = Policy()
    used = 800 * MIB
    wide = MemoryLevel("a", 4096 * MIB, used, used)
    assert policy.look(T, (wide,), weight=MANY).action is Action.NOTHING
    tight = MemoryLevel("a", 850 * MIB, used, used)
    decision = policy.look(T + 1, (tight,), weight=MANY)
    assert decision.action is Action.RECLAIM
    assert decision.marks == Watermarks.of(850 * MIB)
    for limit in range(850, 950):
        policy.look(T + 2, (MemoryLevel("a", limit * MIB, 0, 0),))
    over = MemoryLevel("a", 700 * MIB, used, used)
    assert over.free == 0
    assert policy.look(T + 4, (over,), weight=MANY).action is Action.RECLAIM


def test_watermarks_that_do_not_fit() -> None:
    """A limit below the watermarks is judged by the defaults, and that is said."""
    policy = Policy(lambda limit: MARKS)
    small = MemoryLevel("small", 100 * MIB, 50 * MIB, 0)
    decision = policy.look(T, (small,))
    assert decision.marks == Watermarks.of(100 * MIB)
    assert [news.kind for news in decision.news] == ["watermarks"]
    assert not policy.look(T, (small,)).news


def test_breaker_alone() -> None:
    """A late failure of an attempt made before it opened does not count twice."""
    breaker = Breaker()
    assert breaker.trip(T)
    assert not breaker.trip(T + 0.5)
    assert breaker.backoff == 2
    assert breaker.state(T + 0.9) is BreakerState.OPEN
    assert breaker.state(T + 1) is BreakerState.HALF_OPEN
    assert breaker.succeeded()
    assert not breaker.succeeded()
    assert not breaker.failed(T)


def test_pace_follows_the_fill_rate() -> None:
    """Half of the time in which memory fills at the highest rate seen, bounded."""
    pace = Pace()
    assert pace.period(100 * MIB) == LONGEST
    pace.saw(T, 0)
    pace.saw(T + 1, 100 * MIB)
    assert pace.rate == 100 * MIB
    assert pace.period(100 * MIB) == pytest.approx(0.5)
    assert pace.period(1 * MIB) == SHORTEST
    assert pace.period(-5) == SHORTEST
    assert pace.period(LIMIT) == LONGEST
    pace.saw(T + 1 + HALF_LIFE, 0)
    assert pace.rate == pytest.approx(50 * MIB)
    pace.elsewhere()
    pace.saw(T + 12, LIMIT)
    assert pace.rate == pytest.approx(50 * MIB), "another limit's figures are no growth"


def test_pace_heeds_what_looks_cost() -> None:
    """Dear looks are rare while all is well, and only then."""
    pace = Pace()
    pace.took(0.001)
    assert pace.period(LIMIT) == pytest.approx(2.0)
    pace.saw(T, 0)
    pace.saw(T + 1, 100 * MIB)
    assert pace.period(20 * MIB) == pytest.approx(0.1)
