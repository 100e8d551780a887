"""Usage thresholds of cgroup v1, on groups of ordinary files.

The kernel's part, signalling an eventfd, is the test's; with a real kernel that is in
``test_real_kernel.py``.
"""

from __future__ import annotations

import errno
import os
import select
import time
from typing import TYPE_CHECKING

import pytest
from pressure_support import (
    LIMIT,
    MARKS,
    MIB,
    SOON,
    FakeMemory,
    Pages,
    descriptors,
    make,
)
from tests_support import register

from shrinker.errors import ShrinkerError
from shrinker.pressure import SourceGone
from shrinker.pressure.limits.cgroups import Cgroup
from shrinker.pressure.limits.memory import MemoryLevel
from shrinker.pressure.sources.thresholds import (
    FAR_ABOVE_LOW,
    ThresholdSet,
    UsageThreshold,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shrinker import Domain


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
        eventfd, _, threshold = self.control.read_text().splitlines()[-1].split()
        return int(eventfd), int(threshold)

    def all_asked(self) -> list[int]:
        """All thresholds that were written."""
        lines = self.control.read_text().splitlines()
        return [int(line.split()[2]) for line in lines]

    def ring(self) -> None:
        ring(self.asked()[0])

    def level(self, free: int, *, limit: int = LIMIT, cache: int = 0) -> MemoryLevel:
        """Its level, with so many bytes free and so many of file cache."""
        used = limit - free
        return MemoryLevel("test", limit, used, used + cache, self.cgroup)


@pytest.fixture
def group(tmp_path: Path) -> Group:
    return Group(tmp_path / "app")


def test_what_was_crossed(group: Group) -> None:
    """Up, down, or there and back; no event without a signal."""
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


def test_rearm(group: Group) -> None:
    """New thresholds keep the descriptor, which a thread may sleep on; a closed source
    opens with them."""
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
    """They are still armed, and no descriptor is left over."""
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
    del caught  # Its traceback holds the file.
    source.close()
    assert descriptors() == open_now


def test_a_directory_of_another_kind(tmp_path: Path) -> None:
    """A directory that is not a version 1 group has no thresholds."""
    with pytest.raises(FileNotFoundError, match="memory cgroup of version 1"):
        UsageThreshold(tmp_path, 1).open()
    (tmp_path / "memory.usage_in_bytes").write_text("much\n")
    with pytest.raises(OSError, match="expected a number"):
        UsageThreshold(tmp_path, 1).open()


def test_a_forgotten_directory() -> None:
    """The error says so, instead of one from ``pathlib``."""
    with pytest.raises(TypeError, match="directory must be a path, not int"):
        UsageThreshold(1 << 20)  # type: ignore[arg-type]


@pytest.mark.parametrize("thresholds", [(), (0,), (-1,), (1, 1 << 63)])
def test_wrong_thresholds(thresholds: tuple[int, ...]) -> None:
    """There must be at least one, and each above 0."""
    with pytest.raises(ValueError, match="threshold"):
        UsageThreshold("/", *thresholds)
    with pytest.raises(TypeError, match="threshold"):
        UsageThreshold("/", 1.5)  # type: ignore[arg-type]


@pytest.fixture
def thresholds() -> Iterator[ThresholdSet]:
    made = ThresholdSet(lambda _: MARKS.low)
    yield made
    made.close()


def test_thresholds_are_at_the_watermarks(
    group: Group, tmp_path: Path, thresholds: ThresholdSet
) -> None:
    """At *low* of each group of version 1, and one before that shows how fast memory
    fills; they follow its limit."""
    second = Group(tmp_path / "v2", version=2)
    machine = MemoryLevel("machine", LIMIT, 0, 0)
    levels = [group.level(LIMIT), second.level(LIMIT), machine]
    thresholds.arm(levels)
    assert group.all_asked() == [LIMIT - 2 * MARKS.low, LIMIT - MARKS.low]
    assert second.control.read_text() == ""
    (descriptor,) = thresholds.filenos()
    group.control.write_text("")
    thresholds.arm(levels)
    assert group.control.read_text() == "", "it is not armed again"
    thresholds.arm([group.level(LIMIT, limit=2 * LIMIT)])
    assert group.asked()[1] == 2 * LIMIT - MARKS.low
    assert thresholds.filenos() == [descriptor]
    group.control.write_text("")
    small = MARKS.low + MIB
    thresholds.arm([group.level(small, limit=small)])
    assert group.all_asked() == [MIB], "none below zero"
    thresholds.arm([machine])
    assert thresholds.filenos() == []


def test_a_refused_threshold_is_not_tried_again(
    group: Group, thresholds: ThresholdSet
) -> None:
    """A timer is used instead; after ``close`` it is tried anew."""
    group.control.unlink()
    open_now = descriptors()
    levels = [group.level(LIMIT)]
    thresholds.arm(levels)
    group.control.touch()
    thresholds.arm(levels)
    assert thresholds.filenos() == []
    assert descriptors() == open_now
    assert not thresholds.suffice([group.level(0)])
    thresholds.close()
    thresholds.arm(levels)
    assert len(thresholds.filenos()) == 1


def test_a_threshold_that_cannot_be_moved_is_dropped(
    group: Group, thresholds: ThresholdSet
) -> None:
    """One at the wrong number is worse than a timer."""
    thresholds.arm([group.level(LIMIT)])
    group.control.unlink()
    thresholds.arm([group.level(LIMIT, limit=2 * LIMIT)])
    assert thresholds.filenos() == []


def test_drain(
    group: Group, thresholds: ThresholdSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A descriptor is readable from the crossing until ``drain``; a group that was
    removed has no threshold any more."""
    thresholds.arm([group.level(LIMIT)])
    (descriptor,) = thresholds.filenos()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(0) == []
    group.ring()
    assert poll.poll(0)
    thresholds.drain()
    assert poll.poll(0) == []
    assert thresholds.filenos() == [descriptor]

    def gone(_: object) -> None:
        raise SourceGone("the cgroup was removed")

    monkeypatch.setattr(UsageThreshold, "read", gone)
    thresholds.drain()
    assert thresholds.filenos() == []


def test_when_thresholds_suffice(group: Group, thresholds: ThresholdSet) -> None:
    """One is armed and was not crossed, and no other level is near its *low*."""
    far = MemoryLevel("machine", LIMIT, LIMIT - FAR_ABOVE_LOW * MARKS.low, 0)
    near = MemoryLevel("machine", LIMIT, LIMIT - FAR_ABOVE_LOW * MARKS.low + 1, 0)
    assert not thresholds.suffice([far])
    thresholds.arm([group.level(LIMIT)])
    calm = group.level(MARKS.low + 1)
    assert thresholds.suffice([calm])
    assert thresholds.suffice([calm, far])
    assert not thresholds.suffice([calm, near])
    # The kernel counts file cache, too: this one was crossed.
    assert not thresholds.suffice([group.level(MARKS.low + 1, cache=1)])


def test_a_threshold_wakes_the_reclaimer(domain: Domain, group: Group) -> None:
    """Crossing it is the trigger of a look."""

    class Memory(FakeMemory):
        def levels(self) -> tuple[MemoryLevel, ...]:
            self.reads += 1
            return (group.level(self.limit - self.used),)

    memory = Memory(900)
    cache = Pages(200_000, memory)
    with (
        register(domain, cache),
        make(domain, memory, cooldown=0) as reclaimer,
    ):
        end = time.monotonic() + SOON
        while not group.control.read_text() and time.monotonic() < end:
            time.sleep(0.001)
        triggers: list[str] = []
        # Another look may come between the two.
        while "threshold" not in triggers and time.monotonic() < end:
            before = len(triggers)
            memory.used = LIMIT - 50 * MIB
            group.ring()
            while len(triggers) == before and time.monotonic() < end:
                time.sleep(0.001)
                triggers = [record.trigger for record in reclaimer.history()]
    assert "threshold" in triggers
    assert cache.pages < 200_000
