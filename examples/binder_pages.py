"""Pages that stay until somebody needs the memory: what Rust Binder does.

Binder, Android's way for processes to call each other, gives each process a range
of memory into which the messages to it are copied.  A message needs a few pages for
a moment.  Freeing them afterwards and allocating others for the next message would
be slow; keeping all of them would waste memory.  So it does neither: pages that are
not in use *stay*, on a list, and a shrinker takes them from there when memory is
short.  This is that, in Python, on a real mmap.

A page is in one of three states:

=========  ========  ===========  =================================================
state      resident  on the list  what may happen to it
=========  ========  ===========  =================================================
IN_USE     yes       no           its owner reads and writes it; nobody takes it
UNUSED     yes       yes          its owner uses it again, for free; or it is taken
ABSENT     no        no           using it costs a page fault, and it reads as zero
=========  ========  ===========  =================================================

and these are the four ways between them:

1. ``use_range``, ABSENT to IN_USE: the page is touched, so that the kernel puts a
   page full of zeros there.
2. ``stop_using_range``, IN_USE to UNUSED: the page goes to the tail of the list.
   Nothing else happens: it stays resident, with what is in it.
3. ``use_range``, UNUSED to IN_USE: the page comes off the list.  No page fault, no
   zeroing: this is what the whole thing is for.
4. The shrinker, UNUSED to ABSENT: when memory is short, a walk asks ``count_objects``
   how long the list is, and ``scan_objects`` to look at the oldest pages on it.
   Those it gives back to the kernel with ``madvise(MADV_DONTNEED)``.

**Locks.**  A range has a lock, which guards the states of its pages.  ``use_range``
and ``stop_using_range`` take it, and then touch the list: the range first, the list
second.  The shrinker comes from the other side: it walks the list, finds a page, and
only then knows the range: the list first, the range second.  In the kernel, where
the list has a lock that the walk holds, two threads that come from both sides would
wait for each other for ever.  Our ``ListLru`` holds none while Python runs.  But a
walk starts wherever memory is needed, even in a thread that holds the range's lock
at that moment (use_range faults pages in!), and that thread would wait for itself.
So the shrinker never waits: it *tries* the lock, and where that is taken it says
``SKIP``.  The page stays where it is on the list, and the next walk finds it again.
(If all pages at the head of the list are skipped, that walk gets nowhere: each scan
call begins at the head.  Locks here are held for moments, so that hardly matters.)

**A stay.**  Between the moment at which a walk finds a page and the moment at which
it has the lock, the page may have been used, and be back on the list, as a new entry.
What is on the list is therefore an object for each *stay* of a page there, and the
range knows the present one: if that is not what the walk has found, it is too late.

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


class PageState(enum.Enum):
    """What the table at the top of this file says."""

    IN_USE = "in use"
    UNUSED = "unused"
    ABSENT = "absent"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Stay:
    """One stay of a page on the list, from when it went out of use."""

    pages: PageRange
    index: int


class PageShrinker:
    """The list of unused pages of all ranges, and the shrinker that shortens it."""

    def __init__(self, domain: Domain) -> None:
        self.lru = ListLru(domain=domain)
        self.skipped = 0
        """How often a page was left alone because its range's lock was taken."""
        self._registration = ShrinkerBuilder("binder", domain=domain).register(self)

    def count_objects(self, sc: ShrinkControl) -> CountObjects | int:
        """Say how many pages could be given back."""
        return self.lru.shrink_count(sc) or CountObjects.EMPTY

    def scan_objects(self, sc: ShrinkControl) -> int:
        """Look at the ``sc.nr_to_scan`` oldest pages, and return how many went."""
        return self.lru.shrink_walk(sc, self._isolate)

    def _isolate(self, stay: Stay) -> LruStatus:
        pages = stay.pages
        # The other order: never wait here.
        if not pages.lock.acquire(blocking=False):
            self.skipped += 1
            return LruStatus.SKIP
        try:
            # Used since the walk has found it; it is off the list already.
            if not pages._give_back(stay):
                return LruStatus.SKIP
        finally:
            pages.lock.release()
        return LruStatus.REMOVED

    def close(self) -> None:
        """Unregister, waiting for running callbacks.  Ranges are closed before."""
        self._registration.close()
        self.lru.close()


class PageRange:
    """``nr_pages`` pages of memory, each of which is in use or not.

    Only pages in use may be read and written: others become zeros at any moment.
    Any thread may call any method.
    """

    # Invariants, under `lock`: a page is in `_in_use`, or it is a key of `_unused`, or
    # it is absent.  What is in `_unused` is on the lru.  (Not the other way round: what
    # was given back leaves the lru a moment later, when the walk hears of it.)
    def __init__(self, shrinker: PageShrinker, nr_pages: int) -> None:
        self.nr_pages = nr_pages
        self.lock = threading.Lock()
        self.memory = mmap.mmap(
            -1, nr_pages * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        )
        # Or the kernel may put 512 pages there where one was touched.
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            self.memory.madvise(mmap.MADV_NOHUGEPAGE)
        self._lru = shrinker.lru
        self._in_use: set[int] = set()
        self._unused: dict[int, Stay] = {}
        self.faulted_in = 0
        """How often an absent page was used (1.)."""
        self.used_again = 0
        """How often an unused page was used (3.)."""
        self.given_back = 0
        """How often the shrinker has taken a page (4.)."""

    def use_range(self, start: int, stop: int) -> None:
        """Take the pages from ``start`` up to ``stop`` into use.

        A page holds what was there when it went out of use, or zeros.  Raises
        ``ValueError``, and nothing has changed, where one is in use already.
        """
        with self.lock:
            wanted = self._check(start, stop, in_use=False)
            for index in wanted:
                stay = self._unused.pop(index, None)
                if stay is not None:
                    self._lru.remove(stay)
                    self.used_again += 1
                else:
                    # Writing makes it ours; reading would show a page of zeros
                    # that all processes share.
                    self.memory[index * PAGE] = 0
                    self.faulted_in += 1
                self._in_use.add(index)

    def stop_using_range(self, start: int, stop: int) -> None:
        """Leave the pages from ``start`` up to ``stop`` to whoever needs memory.

        Raises ``ValueError``, and nothing has changed, where one is not in use.
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
        """Give a page back to the kernel, unless it was used; called under ``lock``."""
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


# --- the kernel's own word ------------------------------------------------------


def resident(pages: PageRange) -> list[bool]:
    """Ask the kernel which pages of a range are in memory (``mincore``)."""
    libc = ctypes.CDLL(None, use_errno=True)
    vector = (ctypes.c_ubyte * pages.nr_pages)()
    # The mmap is not closed while somebody looks at it; we have had a look.
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


# --- the story --------------------------------------------------------------------

NR_RANGES = 3
NR_PAGES = 2048


def stamp(owner: int, index: int) -> bytes:
    """Return what the owner of a page has written there."""
    return f"page {index} of range {owner}".encode().ljust(PAGE, b".")


def show(step: str, ranges: list[PageRange], shrinker: PageShrinker) -> None:
    """Print a line: resident pages by the kernel, pages in use, pages on the list."""
    numbers = (
        sum(sum(resident(pages)) for pages in ranges),
        sum(pages.nr_in_use for pages in ranges),
        len(shrinker.lru),
    )
    print(f"{step:<46}" + "".join(f"{number:>10,}" for number in numbers))


def check(what: str, *, true: bool) -> None:
    """Say what is true, or end the program where it is not."""
    if not true:
        sys.exit(f"NOT TRUE: {what}")
    print(f"true: {what}")


def story(ranges: list[PageRange], shrinker: PageShrinker, domain: Domain) -> None:
    """Go through all states and ways, and check what is in the pages."""
    half, messages = NR_PAGES // 2, NR_PAGES // 16
    kept, taken = range(half + messages), range(half + messages, NR_PAGES)
    print(f"{'':46}{'resident':>10}{'in use':>10}{'on list':>10}")
    show(f"{NR_RANGES} ranges of {NR_PAGES:,} pages", ranges, shrinker)

    for owner, pages in enumerate(ranges):
        pages.use_range(0, NR_PAGES)
        for index in range(NR_PAGES):
            pages.write(index, stamp(owner, index))
    show("use_range: all pages, and written", ranges, shrinker)

    for pages in ranges:
        pages.stop_using_range(half, NR_PAGES)
    show("stop_using_range: the upper halves; they stay", ranges, shrinker)

    for pages in ranges:
        pages.use_range(half, half + messages)
    again = sum(pages.used_again for pages in ranges)
    show(f"use_range: {again} of those; no page fault", ranges, shrinker)

    print("memory is short, more and more urgently:")
    for priority in range(DEF_PRIORITY, -1, -1):
        freed = domain.shrink_slab(priority=priority)
        show(f"  priority {priority:>2}: {freed:>5,} given back", ranges, shrinker)
    held = all(
        pages.read(index, PAGE) == stamp(owner, index)
        for owner, pages in enumerate(ranges)
        for index in kept
    )
    check("pages in use hold what was written", true=held)

    gone = [(p, i) for p in ranges for i in taken if p.state(i) is PageState.ABSENT]
    for pages in ranges:
        pages.use_range(taken.start, taken.stop)
    zeros = all(pages.read(index, PAGE) == bytes(PAGE) for pages, index in gone)
    check(f"the {len(gone):,} pages given back read as zero", true=zeros)
    show("use_range: those, by page faults", ranges, shrinker)

    for pages in ranges:
        pages.stop_using_range(0, NR_PAGES)
    show("stop_using_range: all pages", ranges, shrinker)
    held_range = ranges[-1]
    with held_range.lock:
        print("somebody holds the lock of the last range while memory is short:")
        freed = domain.shrink_slab(priority=0)
    show(f"  priority  0: {freed:>5,} given back", ranges, shrinker)
    check(
        f"its {NR_PAGES:,} pages were left alone, and nobody waited",
        true=shrinker.skipped > 0 and sum(resident(held_range)) == NR_PAGES,
    )
    freed = domain.shrink_slab(priority=0)
    show(f"  priority  0: {freed:>5,} given back", ranges, shrinker)


def use_pages(
    ranges: list[PageRange], share: range, seed: int, enough: threading.Event
) -> int:
    """Use pages of ``share`` in all ranges, again and again, until it is enough.

    Returns how often; raises ``RuntimeError`` where a page does not hold what it
    should.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    times = 0
    while not enough.is_set():
        owner = rng.randrange(len(ranges))
        pages = ranges[owner]
        start = rng.randrange(share.start, share.stop - 7)
        message = range(start, start + 8)
        pages.use_range(message.start, message.stop)
        for index in message:
            content = stamp(owner, index)
            found = pages.read(index, PAGE)
            if found not in (content, bytes(PAGE)):
                raise RuntimeError(f"page {index} of range {owner} is not its own")
            pages.write(index, content)
        for index in message:
            if pages.read(index, PAGE) != stamp(owner, index):
                raise RuntimeError(f"page {index} of range {owner} was taken in use")
        pages.stop_using_range(message.start, message.stop)
        times += 1
    return times


def reclaim(domain: Domain, seed: int, enough: threading.Event) -> int:
    """Be short of memory, until it is enough; return how many pages came of it."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    freed = 0
    while not enough.is_set():
        freed += domain.shrink_slab(priority=rng.randrange(DEF_PRIORITY + 1))
        time.sleep(0.001)
    return freed


def together(
    ranges: list[PageRange], domain: Domain, seconds: float, nr_users: int = 4
) -> tuple[int, int]:
    """Let threads use pages, while two others are short of memory.

    Returns how many messages there were, and how many pages were given back.
    """
    enough = threading.Event()
    each = NR_PAGES // nr_users
    with ThreadPoolExecutor(nr_users + 2) as threads:
        users = [
            threads.submit(
                use_pages, ranges, range(i * each, (i + 1) * each), i, enough
            )
            for i in range(nr_users)
        ]
        reclaimers = [threads.submit(reclaim, domain, i, enough) for i in range(2)]
        wait([*users, *reclaimers], seconds, FIRST_EXCEPTION)
        enough.set()
    messages = sum(user.result() for user in users)
    return messages, sum(reclaimer.result() for reclaimer in reclaimers)


def busy(ranges: list[PageRange], shrinker: PageShrinker, domain: Domain) -> None:
    """Do everything at once for a second, and see that no page was lost."""
    before = sum(pages.given_back for pages in ranges)
    messages, freed = together(ranges, domain, 1.0)
    show("four threads use pages, two reclaim: afterwards", ranges, shrinker)
    given_back = sum(pages.given_back for pages in ranges) - before
    check(
        f"{messages:,} messages; {freed:,} pages given back, each once",
        true=freed == given_back,
    )
    check(
        "what is resident is on the list",
        true=sum(sum(resident(pages)) for pages in ranges) == len(shrinker.lru),
    )


def main() -> None:
    """Tell the story."""
    with Domain() as domain:
        shrinker = PageShrinker(domain)
        ranges = [PageRange(shrinker, NR_PAGES) for _ in range(NR_RANGES)]
        story(ranges, shrinker, domain)
        busy(ranges, shrinker, domain)
        for pages in ranges:
            pages.close()
        shrinker.close()


if __name__ == "__main__":
    main()
