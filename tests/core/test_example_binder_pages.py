"""examples/binder_pages.py: unused pages stay until they are taken; none is lost."""

from __future__ import annotations

import ctypes
import importlib.util
import mmap
import re
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shrinker import Domain, LruStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parents[2] / "examples" / "binder_pages.py"


def missing() -> str:
    if not hasattr(mmap, "MADV_DONTNEED"):
        return "no madvise(MADV_DONTNEED), which gives pages back"
    if not hasattr(ctypes.CDLL(None), "mincore"):
        return "no mincore, which tells which pages are resident"
    if not EXAMPLE.exists():
        return "the examples are not part of this source distribution"
    return ""


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "-")


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("binder_pages", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def shrinker(example: Any, domain: Domain) -> Iterator[Any]:
    made = example.PageShrinker(domain)
    yield made
    made.close()


@pytest.fixture
def pages(example: Any, shrinker: Any) -> Iterator[Any]:
    made = example.PageRange(shrinker, 512)
    yield made
    made.close()


def states(pages: Any) -> str:
    """A letter for each page: u(sed), s(tays unused), a(bsent)."""
    letters = {"in use": "u", "unused": "s", "absent": "a"}
    return "".join(letters[pages.state(i).value] for i in range(pages.nr_pages))


def resident(example: Any, pages: Any) -> str:
    """A letter for each page, by ``mincore``: r(esident) or -."""
    return "".join("-r"[there] for there in example.resident(pages))


def on_list(shrinker: Any) -> list[Any]:
    """The entries of the lru, oldest first."""
    found: list[Any] = []

    def look(stay: Any) -> LruStatus:
        found.append(stay)
        return LruStatus.SKIP

    shrinker.lru.walk(look, len(shrinker.lru))
    return found


def test_it_runs_as_a_script() -> None:
    """All its checks pass, and its figures are those of its docstring."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    rows = [
        [int(number.replace(",", "")) for number in found.groups()]
        for line in lines
        if (found := re.search(r"([\d,]+) +([\d,]+) +([\d,]+)$", line))
    ]
    assert rows[0] == [0, 0, 0]
    # After each step a resident page is in use or on the list.
    assert all(there == used + listed for there, used, listed in rows)
    ladder = [line for line in lines if line.startswith("  priority")][:13]
    assert [int(line.split()[1][:-1]) for line in ladder] == list(range(12, -1, -1))
    assert sum(line.startswith("ok: ") for line in lines) == 5
    assert not done.stderr


def test_unused_pages_stay_resident_until_they_are_taken(
    example: Any, domain: Domain, shrinker: Any, pages: Any
) -> None:
    """By ``mincore``, used and unused pages are resident, and absent ones are not."""
    assert resident(example, pages) == "-" * 512
    pages.use_range(100, 400)
    expected = "-" * 100 + "r" * 300 + "-" * 112
    assert resident(example, pages) == expected
    assert domain.drop_slab() == 0
    pages.stop_using_range(200, 300)
    assert states(pages) == "a" * 100 + "u" * 100 + "s" * 100 + "u" * 100 + "a" * 112
    assert resident(example, pages) == expected
    assert len(shrinker.lru) == 100
    assert domain.drop_slab() == 100
    assert states(pages) == "a" * 100 + "u" * 100 + "a" * 100 + "u" * 100 + "a" * 112
    assert resident(example, pages) == states(pages).replace("a", "-").replace("u", "r")
    assert len(shrinker.lru) == 0


def test_the_oldest_pages_are_taken_first(
    example: Any, domain: Domain, shrinker: Any, pages: Any
) -> None:
    """In the order in which they went out of use, and no more than asked for."""
    pages.use_range(0, 512)
    for start in (384, 0, 128, 256):
        pages.stop_using_range(start, start + 128)
    # 512 at priority 2: 256 are asked for, two batches.
    assert domain.shrink_slab(priority=2) == 256
    assert states(pages) == "a" * 128 + "s" * 256 + "a" * 128
    assert resident(example, pages) == "-" * 128 + "r" * 256 + "-" * 128


def test_a_page_that_was_not_taken_keeps_its_content(
    domain: Domain, shrinker: Any, pages: Any
) -> None:
    """Using it again costs no page fault; a page given back reads as zero."""
    pages.use_range(0, 200)
    for index in range(200):
        pages.write(index, b"%d" % index)
    pages.stop_using_range(0, 150)
    pages.use_range(0, 50)
    assert (pages.faulted_in, pages.used_again) == (200, 50)
    assert domain.drop_slab() == pages.given_back == 100
    pages.use_range(50, 150)
    assert (pages.faulted_in, pages.used_again) == (300, 50)
    for index in range(200):
        expected = bytes(8) if 50 <= index < 150 else (b"%d" % index).ljust(8, b"\0")
        assert pages.read(index, 8) == expected


def test_writing_to_pages_in_use_causes_no_fault(pages: Any) -> None:
    """``use_range`` has caused the faults already."""
    pages.use_range(0, 512)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for index in range(512):
        pages.write(index, b"x")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 256


def test_several_ranges_share_a_shrinker(
    example: Any, domain: Domain, shrinker: Any, pages: Any
) -> None:
    """They have one list; a range that is closed takes its pages off."""
    other = example.PageRange(shrinker, 64)
    for both in (pages, other):
        both.use_range(0, 64)
        both.stop_using_range(0, 64)
    (registration,) = domain.shrinkers()
    assert registration.count() == 128
    other.close()
    assert registration.count() == 64
    assert domain.drop_slab() == pages.given_back == 64


def test_bad_ranges_change_nothing(shrinker: Any, pages: Any) -> None:
    """A range with one page in the wrong state, or that does not exist, is refused."""
    pages.use_range(10, 20)
    before = states(pages)
    for method, start, stop in (
        (pages.use_range, 5, 11),
        (pages.use_range, 510, 513),
        (pages.use_range, -1, 3),
        (pages.stop_using_range, 15, 21),
        (pages.stop_using_range, 12, 11),
    ):
        with pytest.raises(ValueError, match="page"):
            method(start, stop)
        assert states(pages) == before
        assert len(shrinker.lru) == 0
    with pytest.raises(ValueError, match="page 9 is not in use"):
        pages.read(9, 1)


def test_a_held_lock_leads_to_skip_and_not_to_waiting(
    example: Any, domain: Domain, shrinker: Any, pages: Any
) -> None:
    """The walk ends while the lock is held, in any thread; pages stay on the list."""
    pages.use_range(0, 256)
    pages.stop_using_range(0, 256)
    freed: list[int] = []
    other = threading.Thread(
        target=lambda: freed.append(domain.drop_slab()), daemon=True
    )
    with pages.lock:
        other.start()
        other.join(60)
        assert not other.is_alive(), "the shrinker waits for the range's lock"
        # In this thread it would wait for itself.
        freed.append(domain.drop_slab())
    assert freed == [0, 0]
    assert shrinker.skipped >= 256
    assert states(pages) == "s" * 256 + "a" * 256
    assert resident(example, pages) == "r" * 256 + "-" * 256
    assert len(on_list(shrinker)) == 256
    assert domain.drop_slab() == 256


def test_a_page_that_was_used_meanwhile_is_not_taken(
    domain: Domain, shrinker: Any, pages: Any
) -> None:
    """A walk with an old stay of the page leaves the current one alone."""
    pages.use_range(0, 2)
    pages.write(0, b"kept")
    pages.stop_using_range(0, 2)
    first, _ = on_list(shrinker)
    pages.use_range(0, 1)
    assert shrinker._isolate(first) is LruStatus.SKIP
    pages.stop_using_range(0, 1)
    assert shrinker._isolate(first) is LruStatus.SKIP
    assert len(shrinker.lru) == 2
    assert pages.given_back == 0
    pages.use_range(0, 1)
    assert pages.read(0, 4) == b"kept"


@pytest.mark.usefixtures("fast_switching")
def test_threads_lose_no_page(example: Any, domain: Domain, shrinker: Any) -> None:
    """Each page is in use, or on the list, or given back, and counted once."""
    ranges = [example.PageRange(shrinker, example.NR_PAGES) for _ in range(2)]
    used = example.PageRange(shrinker, 64)
    used.use_range(0, 64)
    for index in range(64):
        used.write(index, example.stamp(2, index))
    messages = freed = 0
    for _ in range(60):  # Once is enough, unless threads hardly run.
        sent, given_back = example.use_and_reclaim(ranges, domain, 2.0)
        messages += sent
        freed += given_back
        if messages > 100 and freed > 100:
            break
    assert messages > 100
    assert freed > 100
    assert all(used.read(i, example.PAGE) == example.stamp(2, i) for i in range(64))
    assert used.given_back == 0
    # Some are in use at the end.
    for pages in ranges:
        pages.use_range(100, 200)
    listed = [(stay.pages, stay.index) for stay in on_list(shrinker)]
    assert len(set(listed)) == len(listed) == len(shrinker.lru)
    for pages in ranges:
        mine = {index for owner, index in listed if owner is pages}
        found = states(pages)
        assert {i for i, letter in enumerate(found) if letter == "s"} == mine
        assert found.count("u") == 100
        there = found.replace("a", "-").replace("u", "r").replace("s", "r")
        assert resident(example, pages) == there
        # Pages that came are given back or still there.
        assert pages.faulted_in == pages.given_back + len(mine) + 100
    assert freed == sum(pages.given_back for pages in ranges)
    for pages in (*ranges, used):
        pages.close()
    assert len(shrinker.lru) == 0
