"""Thresholds of cgroup v1, and the alarms made of them, on groups of ordinary files.

The kernel's part, ringing an eventfd, is the test's; with a real kernel that is in
``test_pressure_sources_kernel.py``.
"""

from __future__ import annotations

import errno
import os
import select
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pressure_support import LIMIT, MARKS, MIB, FakeMemory, Pages
from tests_support import register

from shrinker.errors import ShrinkerError
from shrinker.pressure import MemoryLevel, Reclaimer, SourceGone
from shrinker.pressure.alarms import FAR, Alarms
from shrinker.pressure.cgroups import Cgroup
from shrinker.pressure.policy import Policy
from shrinker.pressure.thresholds import UsageThreshold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shrinker import Domain

SOON = 20.0


def ring(eventfd: int | None) -> None:
    """Do what the kernel does where a threshold is crossed."""
    assert eventfd is not None
    os.eventfd_write(eventfd, 1)


class Group:
    """A memory cgroup of version 1, as far as thresholds see it."""

    def __init__(self, directory: Path, version: int = 1) -> None:
        directory.mkdir()
        self.directory = directory
        self.cgroup = Cgroup(version, f"/{directory.name}", directory)
        self.control = directory / "cgroup.event_control"
        self.control.touch()
        self.use(0)

    def use(self, size: int) -> None:
        (self.directory / "memory.usage_in_bytes").write_text(f"{size}\n")

    def asked(self) -> tuple[int, int]:
        """The eventfd and the threshold that were written last."""
        eventfd, _, threshold = self.control.read_text().split()
        return int(eventfd), int(threshold)

    def ring(self) -> None:
        ring(self.asked()[0])

    def level(self, free: int, *, limit: int = LIMIT, cache: int = 0) -> MemoryLevel:
        """Its level, with so many bytes free and so many of file cache."""
        used = limit - free
        return MemoryLevel("test", limit, used, used + cache, self.cgroup)


@pytest.fixture
def group(tmp_path: Path) -> Group:
    return Group(tmp_path / "app")


@pytest.fixture
def alarms() -> Iterator[Alarms]:
    made = Alarms(Policy(lambda _: MARKS))
    yield made
    made.close()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# --- thresholds -----------------------------------------------------------------------


def test_what_was_crossed_is_said(group: Group) -> None:
    """Up, down, or there and back; nothing where nobody has rung."""
    with UsageThreshold(group.directory, 200, 100, 200) as source:
        source.open()
        assert source.thresholds == (100, 200)
        assert source.read() is None
        for used, said in [
            (150, "rose above 100 bytes; 150 bytes"),
            (150, "crossed a threshold and came back; 150 bytes"),
            (900, "rose above 200 bytes; 900 bytes"),
            (50, "fell below 100 bytes; 50 bytes"),
        ]:
            group.use(used)
            ring(source.fileno())
            event = source.read()
            assert event is not None
            assert event.detail.startswith(said)
            assert source.read() is None
    assert repr(source).endswith("closed>")
    with pytest.raises(ShrinkerError, match="is not open"):
        source.read()


def test_other_thresholds_take_the_place_of_the_old(group: Group) -> None:
    """Under the same descriptor, that somebody may be waiting for; before it is open
    they are the ones that it opens with."""
    source = UsageThreshold(group.directory, 100)
    source.rearm(300)
    with source:
        descriptor = source.fileno()
        assert group.asked()[1] == 300
        open_now = descriptors()
        source.rearm(500)
        assert source.fileno() == descriptor
        assert source.thresholds == (500,)
        assert group.asked()[1] == 500
        assert descriptors() == open_now


def test_refused_thresholds_leave_the_old_ones(group: Group) -> None:
    """Still armed, and without a descriptor more."""
    with UsageThreshold(group.directory, 100) as source:
        open_now = descriptors()
        group.control.unlink()
        with pytest.raises(FileNotFoundError):
            source.rearm(200)
        assert source.thresholds == (100,)
        assert source.is_open
        assert descriptors() == open_now


@pytest.mark.parametrize(
    ("spoil", "number", "said"),
    [
        (lambda group: group.control.unlink(), errno.ENOENT, "of version 1"),
        (lambda group: group.use("nothing"), errno.EINVAL, "nothing"),  # type: ignore[arg-type]
        (
            lambda group: (group.control.unlink(), group.control.mkdir()),
            errno.EISDIR,
            "directory",
        ),
    ],
)
def test_groups_without_thresholds(
    group: Group, spoil: object, number: int, said: str
) -> None:
    """An error that says why, and nothing stays open."""
    spoil(group)  # type: ignore[operator]
    open_now = descriptors()
    source = UsageThreshold(group.directory, 100)
    with pytest.raises(OSError, match=said) as caught:
        source.open()
    assert caught.value.errno == number
    assert not source.is_open
    del caught  # Whose traceback has the file of what is used.
    source.close()
    assert descriptors() == open_now


# --- alarms ---------------------------------------------------------------------------


def test_alarms_are_where_the_watermarks_are(
    group: Group, tmp_path: Path, alarms: Alarms
) -> None:
    """At *low* of each group of version 1, wherever its limit goes."""
    second = Group(tmp_path / "v2", version=2)
    machine = MemoryLevel("machine", LIMIT, 0, 0)
    levels = [group.level(LIMIT), second.level(LIMIT), machine]
    alarms.set(levels)
    assert group.asked()[1] == LIMIT - MARKS.low
    assert second.control.read_text() == ""
    (descriptor,) = alarms.filenos()
    group.control.write_text("")
    alarms.set(levels)
    assert group.control.read_text() == "", "it was where it should be"
    alarms.set([group.level(LIMIT, limit=2 * LIMIT)])
    assert group.asked()[1] == 2 * LIMIT - MARKS.low
    assert alarms.filenos() == [descriptor]
    alarms.set([machine])
    assert alarms.filenos() == []


def test_a_refused_alarm_is_not_asked_for_again(group: Group, alarms: Alarms) -> None:
    """A timer does instead; after close() it may be tried anew."""
    group.control.unlink()
    open_now = descriptors()
    levels = [group.level(LIMIT)]
    alarms.set(levels)
    group.control.touch()
    alarms.set(levels)
    assert alarms.filenos() == []
    assert descriptors() == open_now
    assert not alarms.cover([group.level(0)])
    alarms.close()
    alarms.set(levels)
    assert len(alarms.filenos()) == 1


def test_an_alarm_that_cannot_be_moved_is_dropped(group: Group, alarms: Alarms) -> None:
    """One at the wrong place is worse than a timer."""
    alarms.set([group.level(LIMIT)])
    group.control.unlink()
    alarms.set([group.level(LIMIT, limit=2 * LIMIT)])
    assert alarms.filenos() == []


def test_alarms_are_noted_and_fall_silent(
    group: Group, alarms: Alarms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readable when one was crossed, until it is noted; a group that has been removed
    has none any more."""
    alarms.set([group.level(LIMIT)])
    (descriptor,) = alarms.filenos()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(0) == []
    group.ring()
    assert poll.poll(0)
    alarms.still()
    assert poll.poll(0) == []
    assert alarms.filenos() == [descriptor]

    def gone(_: object) -> None:
        raise SourceGone("the cgroup was removed")

    monkeypatch.setattr(UsageThreshold, "read", gone)
    alarms.still()
    assert alarms.filenos() == []


def test_when_alarms_are_enough(group: Group, alarms: Alarms) -> None:
    """Where one is set and has not been given, and nothing else is near."""
    far = MemoryLevel("machine", LIMIT, LIMIT - FAR * MARKS.low, 0)
    near = MemoryLevel("machine", LIMIT, LIMIT - FAR * MARKS.low + 1, 0)
    assert not alarms.cover([far])
    alarms.set([group.level(LIMIT)])
    calm = group.level(MARKS.low + 1)
    assert alarms.cover([calm])
    assert alarms.cover([calm, far])
    assert not alarms.cover([calm, near])
    # The kernel counts file cache, too: this alarm is over.
    assert not alarms.cover([group.level(MARKS.low + 1, cache=1)])


def test_an_alarm_wakes_the_reclaimer(domain: Domain, group: Group) -> None:
    """What crosses the threshold is looked at, as what it is."""

    class Memory(FakeMemory):
        def levels(self) -> tuple[MemoryLevel, ...]:
            self.reads += 1
            return (group.level(self.limit - self.used),)

    memory = Memory(900)
    cache = Pages(200_000, memory)
    with (
        register(domain, cache),
        Reclaimer(
            domain, memory=memory, watermarks=MARKS, source=None, trim=False
        ) as reclaimer,
    ):
        end = time.monotonic() + SOON
        while not group.control.read_text() and time.monotonic() < end:
            time.sleep(0.001)
        memory.used = LIMIT - 50 * MIB
        group.ring()
        while not reclaimer.statistics().reclaims and time.monotonic() < end:
            time.sleep(0.001)
        triggers = [verdict.trigger for verdict in reclaimer.history()]
    assert "threshold" in triggers
    assert cache.pages < 200_000
