"""``Store``: the entries of a cache and their order, without a lock.

A lock would be held where Python code of others runs (the ``__eq__`` of a key, a
finaliser), and whoever that code waits for may want the lock.  So there is none.
What the store relies on is CPython's GIL, and that the interpreter turns to other
threads and to signals at two places only: at the end of a call, and where a loop
jumps back.  A row of bytecode without calls is done in one go, and so is a row that
ends with one call into C.  Each step below is such a row, and says so.

- ``entries`` is a dictionary from keys to entries.  ``order`` is a deque of entries,
  the next to be evicted first.  ``weight`` is the sum of what they weigh.
- An entry is *live* from the row that puts it in to the row that takes key and value
  out, and leaves ``GONE`` in place of the key.  Who does the latter subtracts the
  weight, in the same row; so it happens once, and ``weight`` cannot drift.  A hit on
  an entry without a value is an ``AttributeError``, and pays nothing for the check.
- Live entries are in ``order``.  So each can be evicted.
- A key that is set again keeps its entry, which gets the new value and a mark.
- A deleted entry stays in ``order``, empty, until an eviction meets it or until
  more than half are such.

Strings, numbers, bytes and tuples of them are hashed and compared in C, as part of
a row.  A key with ``__hash__`` or ``__eq__`` in Python lets other threads in at
each look into the dictionary.  Then a row is cut there, and this is what may come
of it: two threads that set the same new key at once both put an entry in; the
later one is found, the earlier one counts until it is evicted.  And a look may find
an entry that is gone; it is a miss, or is replaced.

The values and keys that a step takes out are kept in local variables until it is
complete, since dropping them may run finalisers, which may use the store.

All of this is so in compiled C tracers (``coverage``), too; a tracer written in
Python (``sys.settrace``, ``pdb``) runs between any two lines, and lets others in.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from shrinker.errors import ShrinkerError, check_int
from shrinker.growth import PAGE_SIZE
from shrinker.values import ULONG_MAX, CountObjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from shrinker.cache.terms import Terms
    from shrinker.control import ShrinkControl
    from shrinker.growth import Growth

__all__ = ["GONE", "MAX_NESTED", "MAX_WEIGHT", "ROTATIONS", "Entry", "Store"]

ROTATIONS = 8
"""Used entries that one insert puts to the tail at most, before it takes any."""
MAX_WEIGHT = 2**62
"""Of an entry, and of ``maxsize``."""
MAX_NESTED = 16
"""Eviction callbacks that one thread runs inside each other."""
_ALL = 2**63
# Empty entries in `order` that are not worth looking for.
_FEW = 64
# How often an insert passes over its own entry.  Meeting it a third time takes
# other threads that clear the cache meanwhile.
_KEEPS = 2
# In how many eviction callbacks, of whichever caches, this thread is.
_nested = threading.local()


class _Gone:
    """The key of an entry that is not in the cache any more."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<gone>"


GONE: Any = _Gone()


class Entry:
    """A key and its value.  Made without ``__init__``, which would be a call."""

    __slots__ = ("born", "key", "used", "value", "weight")

    key: Any
    """``GONE`` where it is not live."""
    value: Any
    """Not set where it is not live."""
    weight: int
    used: bool
    """Whether it was used since an eviction came by."""
    born: float
    """When it was set, where there is a minimum age."""


class Store:
    """What a cache registers.  Does not know the cache, which may be dropped."""

    __slots__ = (
        "__weakref__",
        "_compacting",
        "closed",
        "dead",
        "entries",
        "errors",
        "evicted",
        "failures",
        "generation",
        "growth",
        "growth_unit",
        "maxsize",
        "min_age",
        "name",
        "on_evict",
        "order",
        "page",
        "strays",
        "terms",
        "weigher",
        "weight",
    )

    def __init__(
        self,
        name: str,
        growth: Growth,
        terms: Terms,
        maxsize: int | None,
        weigher: Callable[[Any, Any], int] | None,
        min_age: float,
        on_evict: Callable[[Any, Any], object] | None,
    ) -> None:
        self.entries: dict[Any, Entry] = {}
        self.order: deque[Entry] = deque()
        self.weight = 0
        self.dead = 0
        """Empty entries in ``order``."""
        self.strays: list[tuple[Any, Entry]] = []
        """Empty entries in ``entries``: the key's ``__eq__`` raised on the way out."""
        self.evicted = 0
        self.errors = 0
        self.failures: dict[str, int] = {}
        """The same by what has failed."""
        self.generation = 0
        """How often it was cleared."""
        self.closed = False
        self.name = name
        self.growth = growth
        self.terms = terms
        self.maxsize = _ALL if maxsize is None else maxsize
        self.weigher = weigher
        self.min_age = min_age
        self.on_evict = on_evict
        # What the shrinker counts in, in units of weight.
        self.page = 1 if weigher is None else PAGE_SIZE
        self.growth_unit = PAGE_SIZE if weigher is None else 1
        # The process that does; a child of a fork has none of its parent's threads.
        self._compacting = 0

    # --- the shrinker -------------------------------------------------------

    def count_objects(self, _: ShrinkControl) -> CountObjects | int:
        """Return the weight in pages, or the number of entries."""
        count = -(-self.weight // self.page)
        if count == 0:
            return CountObjects.EMPTY
        self.terms.update(count, len(self.entries))
        return count

    def scan_objects(self, sc: ShrinkControl) -> int:
        """Evict the oldest entries, and give those in use a second chance.

        At most two turns around all entries, after which none is in use.
        ``nr_scanned`` is raised to what was looked at, for an entry may have more
        pages than were asked for.
        """
        if self.strays:
            self._find_strays()
        asked = sc.nr_to_scan
        turn = len(self.order)
        before = time.monotonic() - self.min_age if self.min_age else None
        _, pages, looked = self._evict(
            -1, asked * self.page, 2 * turn, turn, before, None
        )
        # Rounded down: a part of a page each call would add up to many.
        looked = max(pages, looked // self.page)
        if looked > asked:
            sc.nr_scanned = min(looked, ULONG_MAX)
        return pages

    # --- the cache ----------------------------------------------------------

    def put(  # noqa: C901, PLR0912, PLR0915 - a helper would cut the row
        self,
        key: Any,
        value: Any,
        replace: bool = True,
        generation: int | None = None,
    ) -> Any:
        """Set a value; return it, or the one that was there with ``replace`` off.

        Then makes room for what was added, and accounts for it.  With a ``generation``
        nothing is set once that is over.
        """
        weight = 1 if self.weigher is None else self._weigh(key, value)
        if weight > self.maxsize:
            return self._refuse(key, value, replace)
        born = time.monotonic() if self.min_age else 0.0
        entries, order = self.entries, self.order
        new: Entry | None = None
        while True:
            entry: Entry | None = None
            # From here to the end of the loop: a row without calls, but for the end
            # of the first turn.
            if self.closed:
                raise ShrinkerError("the cache is closed")
            before = self.weight
            if key in entries:
                try:
                    entry = entries[key]
                except KeyError:  # Not a row, with this key.
                    entry = None
            if generation is not None and generation != self.generation:
                return value
            if entry is not None and entry.key is not GONE:
                old = entry.value
                entry.used = True
                if not replace:
                    return old
                entry.value = value
                entry.born = born
                grown = weight - entry.weight
                entry.weight = weight
                self.weight += grown
                break
            if new is not None:
                entry = entries[key] = new
                old = None
                grown = weight
                self.weight += weight
                try:
                    order.append(new)
                except BaseException:
                    # No memory; or a signal, and then it is in `order`, empty.
                    self._withdraw(new)
                    raise
                break
            new = Entry()
            new.key = key
            new.value = value
            new.weight = weight
            new.used = False
            new.born = born
        old = None
        if grown <= 0:
            return value
        growth, limit = self.growth, self.maxsize
        if growth.under_pressure:
            limit = min(limit, max(before, weight))
        if self.weight > limit:
            self._evict(limit, _ALL, _ALL, ROTATIONS, None, entry)
        # All of it, whatever went for it: the memory of what went may not be free
        # for what comes, since each thread's allocator has its own.
        growth.grown += grown * self.growth_unit
        if growth.grown > growth.allowance:
            growth.exceeded()
        return value

    def remove(self, key: Any) -> Any:
        """Take an entry out, and return its value; ``KeyError`` as from a dict.

        What else a key's ``__eq__`` raises comes out, and nothing has changed then.
        """
        entries = self.entries
        # A row without calls.
        entry = entries[key]
        if entry.key is not GONE and entries[key] is entry:
            # First, since it may raise.
            del entries[key]
        stored = entry.key
        if stored is GONE:  # Maybe just now: this is not a row, with such a key.
            raise KeyError(key)
        value = entry.value
        entry.key = GONE
        del entry.value
        self.weight -= entry.weight
        self.dead += 1
        del stored
        if self.dead > _FEW and self.dead * 2 > len(self.order):
            self._compact()
        return value

    def pop_oldest(self) -> tuple[Any, Any]:
        """Take out the entry that is next in order, whether it was used or not."""
        while True:
            entry = key = None
            # A row without calls.
            try:
                entry = self.order[0]
            except IndexError:
                break
            key = entry.key
            try:
                return key, self.remove(key)
            except KeyError:
                # Gone, or not to be found; let nobody meet it again.
                self._drop(entry)
        raise KeyError("the cache is empty")

    def clear(self) -> None:
        """Take out all entries that are in it now."""
        self.generation += 1
        entries, order = self.entries, self.order
        # In C: a copy that nobody can change meanwhile, and that keeps the keys.
        for entry in list(order):
            # A row without calls.
            key = entry.key
            if key is not GONE:
                value = entry.value
                entry.key = GONE
                del entry.value
                self.weight -= entry.weight
                self.dead += 1
                try:
                    if key in entries and entries[key] is entry:
                        del entries[key]
                except KeyError:  # Not a row, with this key.
                    pass
                except Exception as error:  # noqa: BLE001 - somebody else's key
                    self.strays.append((key, entry))
                    self._failed("a key could not be looked up to be cleared", error)
            key = value = None  # noqa: F841 - kept till here
        self._compact()
        # A row with one call at its end.  What is in no order is not live.
        if not order:
            entries.clear()
        if self.strays:
            self._find_strays()

    # --- inside -------------------------------------------------------------

    def _weigh(self, key: Any, value: Any) -> int:
        weight = self.weigher(key, value)  # type: ignore[misc]
        return check_int("what a weigher returns", weight, 0, MAX_WEIGHT)

    def _refuse(self, key: Any, value: Any, replace: bool) -> Any:
        """Evict at once what alone is heavier than the cache may be."""
        if self.closed:
            raise ShrinkerError("the cache is closed")
        if not replace:
            entry = self.entries.get(key)
            if entry is not None and entry.key is not GONE:
                return entry.value
        with contextlib.suppress(KeyError):
            self.remove(key)
        self.evicted += 1
        if self.on_evict is not None:
            self._tell(key, value)
        return value

    def _withdraw(self, entry: Entry) -> None:
        # A row without calls.
        key = entry.key
        if key is GONE:
            return
        value = entry.value  # noqa: F841 - kept to the end
        entry.key = GONE
        del entry.value
        self.weight -= entry.weight
        if entry in self.order:
            self.dead += 1
        if key in self.entries and self.entries[key] is entry:
            del self.entries[key]

    def _find_strays(self) -> None:
        """Take out of the dictionary what could not be found there when it went."""
        entries, strays = self.entries, self.strays
        while strays:
            # A row without calls.
            key, entry = strays[-1]
            try:
                if key in entries and entries[key] is entry:
                    del entries[key]
            except Exception:  # noqa: BLE001 - somebody else's key, still
                break
            if strays and strays[-1][1] is entry:
                del strays[-1]

    def _drop(self, entry: Entry) -> None:
        """Take an entry off the head of the order, if it is still there."""
        # A row without calls.
        order = self.order
        if order and order[0] is entry:
            del order[0]
            key = entry.key
            if key is GONE:
                self.dead -= 1
            else:
                value = entry.value
                entry.key = GONE
                del entry.value
                self.weight -= entry.weight
                self.strays.append((key, entry))
                del key, value
                self._find_strays()

    def _evict(  # noqa: C901, PLR0915 - a helper would cut the row
        self,
        limit: int,
        budget: int,
        steps: int,
        spare: int,
        before: float | None,
        keep: Entry | None,
    ) -> tuple[int, int, int]:
        """Evict from the head of the order while the weight is above ``limit``.

        Looks at entries that weigh ``budget`` and a bit, ``steps`` at most.  Up to
        ``spare`` entries that were used lose their mark and go to the tail; so do
        those set after ``before``, and ``keep``.  Returns the weight freed, the
        pages freed (for a scan, whose ``limit`` is negative) and the weight of the
        entries looked at.
        """
        entries, order, page = self.entries, self.order, self.page
        keeps = _KEEPS
        counted = limit < 0  # By a scan.
        freed = pages = looked = 0
        while self.weight > limit and looked < budget and steps:
            steps -= 1
            # Finalisers may run here, and nowhere below.
            entry = key = value = None
            # From here to the next call, or the next turn: a row without calls.
            try:
                entry = order[0]
            except IndexError:
                break
            key = entry.key
            if key is GONE:
                del order[0]
                self.dead -= 1
                continue
            if entry is keep and keeps:
                keeps -= 1
                order.rotate(-1)
                continue
            if entry.used and spare:
                spare -= 1
                entry.used = False
                looked += entry.weight
                order.rotate(-1)
                continue
            if before is not None and entry.born > before:
                looked += entry.weight
                order.rotate(-1)
                continue
            del order[0]
            value = entry.value
            entry.key = GONE
            del entry.value
            weight = entry.weight
            total = self.weight
            self.weight = total - weight
            if counted:
                # Differences of what is counted, so that they add up to it.
                pages += -(-total // page) + (weight - total) // page
            freed += weight
            looked += weight
            self.evicted += 1
            try:
                if key in entries and entries[key] is entry:
                    del entries[key]
            except KeyError:  # Not a row, with this key; or the key's own.
                self.strays.append((key, entry))
            except Exception as error:  # noqa: BLE001 - somebody else's key
                self.strays.append((key, entry))
                self._failed("a key could not be looked up to be evicted", error)
            if self.on_evict is not None:
                self._tell(key, value)
        entry = key = value = None  # A logged traceback may keep this frame.
        return freed, pages, looked

    def _compact(self) -> None:
        """Take the empty entries out of the order, in one turn around it."""
        process = os.getpid()
        if self._compacting == process:
            return
        self._compacting = process
        order = self.order
        try:
            for _ in range(len(order)):
                entry = None
                # A row without calls, but for its end.
                try:
                    entry = order[0]
                except IndexError:
                    break
                if entry.key is GONE:
                    del order[0]
                    self.dead -= 1
                else:
                    order.rotate(-1)
        finally:
            self._compacting = 0

    def _tell(self, key: Any, value: Any) -> None:
        depth: int = getattr(_nested, "depth", 0)
        if depth >= MAX_NESTED:
            # At the interpreter's own limit a set may fail between adding and
            # evicting; then whoever evicts has more to do after than before.
            error = RecursionError(f"in {depth} eviction callbacks already")
            self._failed("on_evict was not called", error)
            return
        _nested.depth = depth + 1
        try:
            self.on_evict(key, value)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - goes to the log
            self._failed("on_evict raised", error)
        finally:
            _nested.depth = depth

    def _failed(self, what: str, error: Exception) -> None:
        """Count what somebody else's code raised; log the first, then ever fewer."""
        import logging  # noqa: PLC0415 - hardly ever needed

        failures = self.failures
        # A row without calls.
        self.errors += 1
        try:
            times = failures[what] + 1
        except KeyError:
            times = 1
        failures[what] = times
        log = logging.getLogger("shrinker.cache")
        if times == 1:
            log.error("cache %r: %s", self.name, what, exc_info=error)
        elif str(times).strip("0") == "1":  # 10, 100, 1,000 ...
            log.error("cache %r: %s, %d times so far", self.name, what, times)
