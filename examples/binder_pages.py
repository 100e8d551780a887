"""Pages that stay until the memory is needed: what Rust Binder does.

Binder is Android's way for processes to call each other.  It gives each process a
range of memory, into which it copies the messages to that process.  A message needs a
few pages for a moment.  To free them after each message and allocate others for the
next one would be slow; to keep all of them would waste memory.  So pages that are not
in use *stay*, on a list, and a shrinker takes them from there when memory is short.
This example does the same in Python, on a real mmap.

A page is in one of three states:

=========  ========  ===========  =================================================
state      resident  on the list  what may happen to it
=========  ========  ===========  =================================================
IN_USE     yes       no           its owner reads and writes it; it is never taken
UNUSED     yes       yes          its owner uses it again at no cost, or it is taken
ABSENT     no        no           using it costs a page fault, and it reads as zero
=========  ========  ===========  =================================================

There are four ways from one state to another:

1. ``use_range``, ABSENT to IN_USE: writes to the page, so that the kernel provides a
   page of zeros.
2. ``stop_using_range``, IN_USE to UNUSED: puts the page at the tail of the list.  The
   page stays resident, with its content.
3. ``use_range``, UNUSED to IN_USE: takes the page off the list.  No page fault and no
   zeroing: this is what all of it is for.
4. The shrinker, UNUSED to ABSENT.  When memory is short, a walk calls
   ``count_objects`` for the length of the list, and ``scan_objects`` to go through the
   oldest pages on it.  Those are given back to the kernel with
   ``madvise(MADV_DONTNEED)``.

**Locks.**  Each range has a lock for the states of its pages.  ``use_range`` and
``stop_using_range`` take it first and use the list second.  The shrinker has the
opposite order: it finds a page on the list first, and learns only from that which
range to lock.  If both waited, two threads could wait for each other for ever.  (The
kernel's list has a lock that the walk holds; our ``ListLru`` holds none while Python
runs.  But a walk may start wherever memory is needed, also in a thread that holds the
range's lock, since ``use_range`` causes page faults.  That thread would wait for
itself.)  So the shrinker only *tries* the range's lock, and returns ``SKIP`` where it
is taken.  The page keeps its place on the list, and the next walk finds it again.
(Each scan begins at the head of the list.  So a walk frees nothing if all pages there
are skipped; but these locks are held only for moments.)

**Stays.**  A walk finds a page, and gets the range's lock a moment later.  By then the
page may have been used, and may even be back on the list.  So an entry of the list is
an object for one *stay* of a page there, and the range knows the current stay of each
page.  An entry that is not the current stay is too old, and is skipped.

Run it: ``python examples/binder_pages.py``.
"""

from __future__ import annotations

import ctypes
import dataclasses
import enum
import mmap
import os
import random
import sys
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from shrinker import (
    DEF_PRIORITY,
    CountObjects,
    Domain,
    ListLru,
    LruStatus,
    ShrinkerBuilder,
)

if TYPE_CHECKING:
    from shrinker import ShrinkControl

PAGE = mmap.PAGESIZE
"""Bytes of a page."""


class PageState(enum.Enum):
    """The states of the table at the top of this file."""

    IN_USE = "in use"
    UNUSED = "unused"
    ABSENT = "absent"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Stay:
    """One stay of a page on the list, since it went out of use."""

    pages: PageRange
    index: int


class PageShrinker:
    """The list of the unused pages of all ranges, and its shrinker."""

    def __init__(self, domain: Domain) -> None:
        self.lru = ListLru(domain=domain)
        self.skipped = 0
        """How often a page was skipped because its range's lock was taken."""
        self._registration = ShrinkerBuilder("binder", domain=domain).register(self)

    def count_objects(self, sc: ShrinkControl) -> CountObjects | int:
        """Return how many pages could be given back."""
        return self.lru.shrink_count(sc) or CountObjects.EMPTY

    def scan_objects(self, sc: ShrinkControl) -> int:
        """Give back up to ``sc.nr_to_scan`` of the oldest pages; return how many."""
        return self.lru.shrink_walk(sc, self._isolate)

    def _isolate(self, stay: Stay) -> LruStatus:
        pages = stay.pages
        # The list came first here, so do not wait for the lock.
        if not pages.lock.acquire(blocking=False):
            self.skipped += 1
            return LruStatus.SKIP
        try:
            # Not given back: it was used meanwhile, and is off the list already.
            if not pages._give_back(stay):
                return LruStatus.SKIP
        finally:
            pages.lock.release()
        return LruStatus.REMOVED

    def close(self) -> None:
        """Unregister, after running callbacks.  Close all ranges before."""
        self._registration.close()
        self.lru.close()


class PageRange:
    """``nr_pages`` pages of memory, each of them in use or not.

    Only pages in use may be read and written; others may become zeros at any moment.
    Any thread may call any method.
    """

    # Invariants, under `lock`: a page is in `_in_use`, a key of `_unused`, or absent.
    # What is in `_unused` is on the lru.  (A page that was given back leaves the lru a
    # moment later, when `_isolate` has returned.)
    def __init__(self, shrinker: PageShrinker, nr_pages: int) -> None:
        self.nr_pages = nr_pages
        self.lock = threading.Lock()
        self.memory = mmap.mmap(
            -1, nr_pages * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        )
        # Otherwise one write may make 512 pages resident at once.
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            self.memory.madvise(mmap.MADV_NOHUGEPAGE)
        self._lru = shrinker.lru
        self._in_use: set[int] = set()
        self._unused: dict[int, Stay] = {}
        self.faulted_in = 0
        """How often an absent page was used: way 1."""
        self.used_again = 0
        """How often an unused page was used: way 3."""
        self.given_back = 0
        """How often the shrinker has taken a page: way 4."""

    def use_range(self, start: int, stop: int) -> None:
        """Take the pages from ``start`` up to ``stop`` into use.

        A page has its old content, or zeros if it was given back.  Raises
        ``ValueError``, and changes nothing, if one of them is in use already.
        """
        with self.lock:
            wanted = self._check(start, stop, in_use=False)
            for index in wanted:
                stay = self._unused.pop(index, None)
                if stay is not None:
                    self._lru.remove(stay)
                    self.used_again += 1
                else:
                    # Write: a read would only map the page of zeros that all
                    # processes share.
                    self.memory[index * PAGE] = 0
                    self.faulted_in += 1
                self._in_use.add(index)

    def stop_using_range(self, start: int, stop: int) -> None:
        """Leave the pages from ``start`` up to ``stop`` to the shrinker.

        Raises ``ValueError``, and changes nothing, if one of them is not in use.
        """
        with self.lock:
            stays = [
                Stay(self, index) for index in self._check(start, stop, in_use=True)
            ]
            self._lru.add_many(stays)
            for stay in stays:
                self._in_use.remove(stay.index)
                self._unused[stay.index] = stay

    def read(self, index: int, size: int) -> bytes:
        """Return the first ``size`` bytes of a page in use."""
        self._check(index, index + 1, in_use=True)
        return self.memory[index * PAGE : index * PAGE + size]

    def write(self, index: int, content: bytes) -> None:
        """Write to the beginning of a page in use."""
        self._check(index, index + 1, in_use=True)
        self.memory[index * PAGE : index * PAGE + len(content)] = content

    def _give_back(self, stay: Stay) -> bool:
        """Give a page back, if ``stay`` is current.  Call it under ``lock``."""
        if self._unused.get(stay.index) is not stay:
            return False
        self.memory.madvise(mmap.MADV_DONTNEED, stay.index * PAGE, PAGE)
        del self._unused[stay.index]
        self.given_back += 1
        return True

    @property
    def nr_in_use(self) -> int:
        """Number of pages in use."""
        return len(self._in_use)

    def state(self, index: int) -> PageState:
        """Return the state of a page."""
        with self.lock:
            if index in self._in_use:
                return PageState.IN_USE
            return PageState.UNUSED if index in self._unused else PageState.ABSENT

    def close(self) -> None:
        """Give back all pages, in use or not, and the range itself."""
        with self.lock:
            self._lru.remove_many(self._unused.values())
            self._unused.clear()
            self._in_use.clear()
            self.memory.close()

    def _check(self, start: int, stop: int, *, in_use: bool) -> range:
        if not 0 <= start <= stop <= self.nr_pages:
            raise ValueError(f"no such pages: {start} to {stop} of {self.nr_pages}")
        for index in range(start, stop):
            if (index in self._in_use) is not in_use:
                raise ValueError(f"page {index} is {'not ' * in_use}in use")
        return range(start, stop)


# --- what the kernel reports ----------------------------------------------------


def resident(pages: PageRange) -> list[bool]:
    """Return for each page whether it is in memory, by ``mincore``."""
    libc = ctypes.CDLL(None, use_errno=True)
    vector = (ctypes.c_ubyte * pages.nr_pages)()
    # While this view exists, the mmap cannot be closed.
    view = ctypes.c_char.from_buffer(pages.memory)
    try:
        address = ctypes.c_void_p(ctypes.addressof(view))
        length = ctypes.c_size_t(pages.nr_pages * PAGE)
        if libc.mincore(address, length, vector):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        del view
    return [bool(page & 1) for page in vector]


# --- the demonstration --------------------------------------------------------------

NR_RANGES = 3
NR_PAGES = 2048


def stamp(owner: int, index: int) -> bytes:
    """Return what the owner of a page writes there."""
    return f"page {index} of range {owner}".encode().ljust(PAGE, b".")


def show(step: str, ranges: list[PageRange], shrinker: PageShrinker) -> None:
    """Print how many pages are resident (by the kernel), in use, and on the list."""
    numbers = (
        sum(sum(resident(pages)) for pages in ranges),
        sum(pages.nr_in_use for pages in ranges),
        len(shrinker.lru),
    )
    print(f"{step:<46}" + "".join(f"{number:>10,}" for number in numbers))


def check(what: str, *, passed: bool) -> None:
    """Print that the check passed, or end the program if it did not."""
    if not passed:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}")


def step_through(
    ranges: list[PageRange], shrinker: PageShrinker, domain: Domain
) -> None:
    """Go through all states one after the other, and check the pages' contents."""
    half, messages = NR_PAGES // 2, NR_PAGES // 16
    kept, taken = range(half + messages), range(half + messages, NR_PAGES)
    print(f"{'':46}{'resident':>10}{'in use':>10}{'on list':>10}")
    show(f"{NR_RANGES} ranges of {NR_PAGES:,} pages", ranges, shrinker)

    for owner, pages in enumerate(ranges):
        pages.use_range(0, NR_PAGES)
        for index in range(NR_PAGES):
            pages.write(index, stamp(owner, index))
    show("use_range: all pages; then written to", ranges, shrinker)

    for pages in ranges:
        pages.stop_using_range(half, NR_PAGES)
    show("stop_using_range: the upper halves; they stay", ranges, shrinker)

    for pages in ranges:
        pages.use_range(half, half + messages)
    again = sum(pages.used_again for pages in ranges)
    show(f"use_range: {again} of those, without a page fault", ranges, shrinker)

    print("shrink_slab, with rising urgency:")
    for priority in range(DEF_PRIORITY, -1, -1):
        freed = domain.shrink_slab(priority=priority)
        show(f"  priority {priority:>2}: {freed:>5,} given back", ranges, shrinker)
    held = all(
        pages.read(index, PAGE) == stamp(owner, index)
        for owner, pages in enumerate(ranges)
        for index in kept
    )
    check("pages in use hold what was written", passed=held)

    gone = [(p, i) for p in ranges for i in taken if p.state(i) is PageState.ABSENT]
    for pages in ranges:
        pages.use_range(taken.start, taken.stop)
    zeros = all(pages.read(index, PAGE) == bytes(PAGE) for pages, index in gone)
    check(f"the {len(gone):,} pages given back read as zero", passed=zeros)
    show("use_range: those, with page faults", ranges, shrinker)

    for pages in ranges:
        pages.stop_using_range(0, NR_PAGES)
    show("stop_using_range: all pages", ranges, shrinker)
    held_range = ranges[-1]
    with held_range.lock:
        print("shrink_slab while the lock of the last range is held:")
        freed = domain.shrink_slab(priority=0)
    show(f"  priority  0: {freed:>5,} given back", ranges, shrinker)
    check(
        f"its {NR_PAGES:,} pages were skipped, without waiting",
        passed=shrinker.skipped > 0 and sum(resident(held_range)) == NR_PAGES,
    )
    freed = domain.shrink_slab(priority=0)
    show(f"  priority  0: {freed:>5,} given back", ranges, shrinker)


def use_pages(
    ranges: list[PageRange], share: range, seed: int, stop: threading.Event
) -> int:
    """Put messages into pages of ``share`` in all ranges, until ``stop`` is set.

    Returns the number of messages.  Raises ``RuntimeError`` if a page has a wrong
    content.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    messages = 0
    while not stop.is_set():
        owner = rng.randrange(len(ranges))
        pages = ranges[owner]
        start = rng.randrange(share.start, share.stop - 7)
        message = range(start, start + 8)
        pages.use_range(message.start, message.stop)
        for index in message:
            content = stamp(owner, index)
            found = pages.read(index, PAGE)
            if found not in (content, bytes(PAGE)):
                raise RuntimeError(
                    f"page {index} of range {owner} has another's content"
                )
            pages.write(index, content)
        for index in message:
            if pages.read(index, PAGE) != stamp(owner, index):
                raise RuntimeError(
                    f"page {index} of range {owner} was taken while in use"
                )
        pages.stop_using_range(message.start, message.stop)
        messages += 1
    return messages


def reclaim(domain: Domain, seed: int, stop: threading.Event) -> int:
    """Walk at random priorities until ``stop`` is set; return the pages freed."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    freed = 0
    while not stop.is_set():
        freed += domain.shrink_slab(priority=rng.randrange(DEF_PRIORITY + 1))
        time.sleep(0.001)
    return freed


def use_and_reclaim(
    ranges: list[PageRange], domain: Domain, seconds: float, nr_users: int = 4
) -> tuple[int, int]:
    """Use pages in ``nr_users`` threads while two others reclaim.

    Returns the number of messages, and of pages given back.
    """
    stop = threading.Event()
    each = NR_PAGES // nr_users
    with ThreadPoolExecutor(nr_users + 2) as threads:
        users = [
            threads.submit(use_pages, ranges, range(i * each, (i + 1) * each), i, stop)
            for i in range(nr_users)
        ]
        reclaimers = [threads.submit(reclaim, domain, i, stop) for i in range(2)]
        wait([*users, *reclaimers], seconds, FIRST_EXCEPTION)
        stop.set()
    messages = sum(user.result() for user in users)
    return messages, sum(reclaimer.result() for reclaimer in reclaimers)


def stress(ranges: list[PageRange], shrinker: PageShrinker, domain: Domain) -> None:
    """Use and reclaim at once for a second, and check that no page was lost."""
    before = sum(pages.given_back for pages in ranges)
    messages, freed = use_and_reclaim(ranges, domain, 1.0)
    show("after 1 s: 4 threads use pages, 2 reclaim", ranges, shrinker)
    given_back = sum(pages.given_back for pages in ranges) - before
    check(
        f"{messages:,} messages; {freed:,} pages given back, each counted once",
        passed=freed == given_back,
    )
    check(
        "what is resident is on the list",
        passed=sum(sum(resident(pages)) for pages in ranges) == len(shrinker.lru),
    )


def main() -> None:
    """Run both parts."""
    with Domain() as domain:
        shrinker = PageShrinker(domain)
        ranges = [PageRange(shrinker, NR_PAGES) for _ in range(NR_RANGES)]
        step_through(ranges, shrinker, domain)
        stress(ranges, shrinker, domain)
        for pages in ranges:
            pages.close()
        shrinker.close()


if __name__ == "__main__":
    main()
