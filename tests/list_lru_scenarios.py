"""Replays recorded list_lru sequences on the C list_lru and on Python's ListLru.

``tests/data/vectors/list_lru.jsonl.xz`` has sequences of calls of genuine kernels'
list_lru (6.12 and 7.2; ``kernel`` says which of the two gave this output), with
what each call returned and the state after it: the items of each list in order,
their number, the items of each node, and the shrinkers' bits.

A walk has a *script*, a letter for each callback in turn: d isolate, m isolate and
move, r rotate, s skip, t retry, x stop.  D, M, t and X let go of the list's lock on
the way; the steps under ``during`` are made then.
"""

from __future__ import annotations

import ctypes
import json
import lzma
import os
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shrinker import (
    CountObjects,
    Domain,
    ListLru,
    LruStatus,
    Memcg,
    ShrinkControl,
    ShrinkerBuilder,
    ShrinkerFlags,
    ShrinkerRegistration,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HERE = Path(__file__).parent
FLAGS = {
    "NUMA": ShrinkerFlags.NUMA_AWARE,
    "MEMCG": ShrinkerFlags.MEMCG_AWARE,
    "NONSLAB": ShrinkerFlags.NONSLAB,
}
STATUS = {
    "d": LruStatus.REMOVED,
    "m": LruStatus.REMOVED,
    "D": LruStatus.REMOVED_RETRY,
    "M": LruStatus.REMOVED_RETRY,
    "r": LruStatus.ROTATE,
    "s": LruStatus.SKIP,
    "t": LruStatus.RETRY,
    "T": LruStatus.RETRY,
    "x": LruStatus.STOP,
    "X": LruStatus.STOP,
}
UNLOCKING = "DMtX"
ALL = 100_000
"""A budget that no list uses up."""

Scenario = dict[str, Any]
Step = dict[str, Any]


def load(kernel: str) -> list[Scenario]:
    """Return the sequences whose output a kernel, "6.12" or "7.2", gave."""
    path = HERE / "data" / "vectors" / "list_lru.jsonl.xz"
    with lzma.open(path, "rt", encoding="ascii") as lines:
        scenarios = [json.loads(line) for line in lines]
    return [s for s in scenarios if kernel in s["kernel"].split(", ")]


class Script:
    """The answers of one walk's callbacks, and what they saw."""

    def __init__(self, letters: str, during: dict[str, list[Step]]) -> None:
        self.letters = letters
        self.during = during
        self.visited: list[tuple[int, str]] = []
        self.inner: list[list[Any]] = []

    def answer(self, number: int) -> str:
        letter = self.letters[len(self.visited) % len(self.letters)]
        self.visited.append((number, letter))
        return letter

    def steps(self) -> list[Step]:
        return self.during.get(str(len(self.visited) - 1), [])


class World:
    """The steps of a sequence, on functions that the two faces provide."""

    def __init__(self, scenario: Scenario) -> None:
        self.nodes = range(scenario["nr_nodes"])
        self.groups: dict[str, Any] = {}
        self.online: set[str] = set()
        self.lrus: dict[str, Any] = {}
        self.aware: dict[str, bool] = {}
        self.shrinkers: dict[str, Any] = {}
        self.scripts: list[Script] = []
        self.calls: list[list[Any]] = []
        self.letters = ""
        self.open(scenario["nr_nodes"], scenario["memcg"], scenario["kmem"])

    # --- what a face provides ---------------------------------------------------

    def open(self, nr_nodes: int, memcg: bool, kmem: bool) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def group_new(self, name: str, parent: Any) -> Any:
        raise NotImplementedError

    def group_offline(self, group: Any) -> int:
        raise NotImplementedError

    def shrinker_new(self, name: str, flags: ShrinkerFlags) -> Any:
        raise NotImplementedError

    def lru_new(self, shrinker: Any) -> Any:
        raise NotImplementedError

    def lru_free(self, lru: Any) -> None:
        raise NotImplementedError

    def add(self, lru: Any, item: int, nid: int, group: Any) -> bool:
        raise NotImplementedError

    def delete(self, lru: Any, item: int, nid: int, group: Any) -> bool:
        raise NotImplementedError

    def count_one(self, lru: Any, nid: int, group: Any) -> int:
        raise NotImplementedError

    def count_node(self, lru: Any, nid: int) -> int:
        raise NotImplementedError

    def walk(
        self, kind: str, lru: Any, nid: int, group: Any, budget: int
    ) -> tuple[int, int]:
        raise NotImplementedError

    def moved(self) -> list[int]:
        raise NotImplementedError

    def shrink_slab(self, nid: int, group: Any, priority: int) -> int:
        raise NotImplementedError

    def has_bit(self, shrinker: Any, group: Any, nid: int) -> bool:
        raise NotImplementedError

    # --- steps -----------------------------------------------------------------

    def do(self, step: Step) -> Any:  # noqa: C901, PLR0911 - one for each operation
        """Make one step; return its result as it was recorded."""
        op, nid = step["op"], step.get("nid", 0)
        group = self.groups.get(step.get("memcg", ""))
        lru = self.lrus.get(step.get("lru", ""))
        match op:
            case "memcg_create":
                parent = self.groups[step["parent"]]
                self.groups[step["memcg"]] = self.group_new(step["memcg"], parent)
                self.online.add(step["memcg"])
                return None
            case "memcg_offline":
                self.online.discard(step["memcg"])
                return self.group_offline(group)
            case "lru_init":
                return self.lru_init(step["lru"], step["shrinker"], step["aware"])
            case "lru_destroy":
                return self.lru_free(self.lrus.pop(step["lru"]))
            case "add":
                return self.add(lru, step["item"], nid, group)
            case "del":
                return self.delete(lru, step["item"], nid, group)
            case "count_one":
                return self.count_one(lru, nid, group)
            case "count_node":
                return self.count_node(lru, nid)
            case "count":
                return sum(self.count_node(lru, node) for node in self.nodes)
            case "walk":
                return self.scripted_walk(step, lru, group)
            case "shrink_slab":
                self.calls, self.letters = [], step["script"]
                freed = self.shrink_slab(nid, group, step["priority"])
                return {"ret": freed, "calls": self.calls}
        raise ValueError(op)

    def lru_init(self, name: str, flags: Sequence[str] | None, aware: bool) -> None:
        shrinker = None
        if flags is not None:
            wanted = ShrinkerFlags(0)
            for flag in flags:
                wanted |= FLAGS[flag]
            shrinker = self.shrinkers[name] = self.shrinker_new(name, wanted)
        self.aware[name] = aware
        self.lrus[name] = self.lru_new(shrinker if aware else None)

    def scripted_walk(self, step: Step, lru: Any, group: Any) -> Step:
        kind = step["kind"]
        script = Script(step["script"], step.get("during", {}))
        self.scripts.append(script)
        isolated, left = self.walk(kind, lru, step["nid"], group, step["budget"])
        self.scripts.pop()
        out = {
            "ret": isolated,
            "visited": script.visited,
            "moved": None if self.scripts else self.moved(),
            "inner": script.inner,
        }
        return out if kind == "all" else {**out, "left": left}

    # --- callbacks ---------------------------------------------------------------

    def make_steps_of(self, script: Script) -> None:
        if steps := script.steps():
            script.inner.append([self.do(step) for step in steps])

    def count_objects(self, name: str, nid: int, count: int) -> int:
        self.calls.append(["c", name, nid, count])
        return count or CountObjects.EMPTY.value

    def scan_objects(self, name: str, nid: int, group: Any, nr_to_scan: int) -> int:
        script = Script(self.letters, {})
        self.scripts.append(script)
        freed, left = self.walk("shrink", self.lrus[name], nid, group, nr_to_scan)
        self.scripts.pop()
        seen = [script.visited, self.moved()]
        self.calls.append(["s", name, nid, nr_to_scan, freed, left, *seen])
        return freed

    # --- state -------------------------------------------------------------------

    def order(self, lru: Any, nid: int, group: Any) -> list[int]:
        script = Script("s", {})
        self.scripts.append(script)
        self.walk("one", lru, nid, group, ALL)
        self.scripts.pop()
        return [number for number, _ in script.visited]

    def state(self) -> dict[str, Any]:
        """Return lists, nodes and bits as they were recorded."""
        lists: dict[str, Any] = {}
        nodes: dict[str, int] = {}
        bits: list[str] = []
        for name, lru in sorted(self.lrus.items()):
            groups = self.aware[name] and sorted(self.online)
            for nid in self.nodes:
                if count := self.count_node(lru, nid):
                    nodes[f"{name}/{nid}"] = count
                for at in groups or [None]:
                    group = None if at is None else self.groups[at]
                    order = self.order(lru, nid, group)
                    count = self.count_one(lru, nid, group)
                    if order or count:
                        lists[f"{name}/{nid}/{at}"] = [count, order]
            shrinker = self.shrinkers.get(name)
            bits += [
                f"{name}/{nid}/{at}"
                for at, group in sorted(self.groups.items())
                for nid in self.nodes
                if shrinker is not None and self.has_bit(shrinker, group, nid)
            ]
        return {"lists": lists, "nodes": nodes, "bits": bits}

    def differences(self, scenario: Scenario) -> Iterator[tuple[Step, Any, Any]]:
        """Replay a sequence; yield each step that differs, ours and what was recorded.

        To go on after a difference would compare two different states.
        """
        for step in scenario["steps"]:
            ours = json.loads(json.dumps([self.do(step), self.state()]))
            recorded = [step["out"], step["state"]]
            if ours != recorded:
                yield step, ours, recorded


# --- the two faces --------------------------------------------------------------


def build_library(directory: Path) -> Path | None:
    """Build the core and list_lru_calls.c; None without a C compiler."""
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    if shutil.which(compiler[0]) is None:
        compiler = ["cc"]
    if shutil.which(compiler[0]) is None:
        return None
    library = directory / "list_lru_calls.so"
    core = HERE.parent / "csrc"
    options = ["-std=gnu11", "-O1", "-fPIC", "-shared", "-pthread", f"-I{core}/include"]
    sources = [HERE / "list_lru_calls.c", *core.glob("*.c")]
    subprocess.run(
        [*compiler, *options, f"-I{core}", "-o", library, *sources],
        # A sanitizer's library must not be loaded into the compiler.
        env={k: v for k, v in os.environ.items() if k != "LD_PRELOAD"},
        check=True,
    )
    return library


_P, _I, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_ulong
_BUDGET = ctypes.POINTER(_L)
_COUNT = ctypes.CFUNCTYPE(_L, _P, _I, _P)
_SCAN = ctypes.CFUNCTYPE(_L, _P, _I, _P, _L)
_ITEM = ctypes.CFUNCTYPE(_I, _I, ctypes.c_bool)
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "calls_set": (None, [_COUNT, _SCAN, _ITEM]),
    "domain_new": (_P, [_I, ctypes.c_bool, ctypes.c_bool]),
    "reclaim_domain_root": (_P, [_P]),
    "reclaim_domain_put": (None, [_P]),
    "group_new": (_P, [_P]),
    "mem_cgroup_offline": (_I, [_P]),
    "mem_cgroup_put": (None, [_P]),
    "mem_cgroup_has_bit": (ctypes.c_bool, [_P, _I, _I]),
    "shrinker_new": (_P, [_P, ctypes.c_uint]),
    "shrinker_free": (None, [_P]),
    "shrinker_id": (_I, [_P]),
    "walk_group": (_L, [_P, _I, _P, _I]),
    "lru_new": (_P, [_P, _P]),
    "lru_free": (None, [_P]),
    "item_new": (_P, [_I]),
    "list_lru_add": (ctypes.c_bool, [_P, _P, _I, _P]),
    "list_lru_del": (ctypes.c_bool, [_P, _P, _I, _P]),
    "list_lru_count_one": (_L, [_P, _I, _P]),
    "list_lru_count_node": (_L, [_P, _I]),
    "walk_one": (_L, [_P, _I, _P, _BUDGET]),
    "walk_node": (_L, [_P, _I, _P, _BUDGET]),
    "walk_all": (_L, [_P, _I, _P, _BUDGET]),
    "walk_shrink": (_L, [_P, _I, _P, _BUDGET]),
    "next_moved": (_I, []),
}
_ISOLATE, _MOVE, _UNLOCK = 16, 32, 64


def open_library(path: Path) -> ctypes.CDLL:
    """Load what ``build_library`` made."""
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class CWorld(World):
    """The C list_lru."""

    def __init__(self, library: ctypes.CDLL, scenario: Scenario) -> None:
        self.lib = library
        self.items: dict[int, Any] = {}
        self.names: dict[int, str] = {}
        super().__init__(scenario)

    def open(self, nr_nodes: int, memcg: bool, kmem: bool) -> None:
        def count(shrinker: int, nid: int, group: Any) -> int:
            name = self.names[shrinker]
            return self.count_objects(
                name, nid, self.count_one(self.lrus[name], nid, group)
            )

        def scan(shrinker: int, nid: int, group: Any, nr_to_scan: int) -> int:
            return self.scan_objects(self.names[shrinker], nid, group, nr_to_scan)

        self.callbacks = _COUNT(count), _SCAN(scan), _ITEM(self.item)
        self.lib.calls_set(*self.callbacks)
        self.domain = self.lib.domain_new(nr_nodes, memcg, kmem)
        if memcg:
            self.groups["root"] = self.lib.reclaim_domain_root(self.domain)
            self.online.add("root")

    def close(self) -> None:
        for lru in self.lrus.values():
            self.lib.lru_free(lru)
        for shrinker in self.shrinkers.values():
            self.lib.shrinker_free(shrinker)
        for name, group in self.groups.items():
            if name != "root":
                self.lib.mem_cgroup_put(group)
        self.lib.reclaim_domain_put(self.domain)

    def item(self, number: int, unlocked: bool) -> int:
        script = self.scripts[-1]
        if unlocked:
            self.make_steps_of(script)
            return 0
        letter = script.answer(number)
        status = list(LruStatus).index(STATUS[letter])
        status |= _ISOLATE if letter in "dD" else _MOVE if letter in "mM" else 0
        return status | (_UNLOCK if letter in UNLOCKING else 0)

    def group_new(self, name: str, parent: Any) -> Any:
        return self.lib.group_new(parent)

    def group_offline(self, group: Any) -> int:
        return int(self.lib.mem_cgroup_offline(group))

    def shrinker_new(self, name: str, flags: ShrinkerFlags) -> Any:
        shrinker = self.lib.shrinker_new(self.domain, int(flags))
        self.names[shrinker] = name
        return shrinker

    def lru_new(self, shrinker: Any) -> Any:
        return self.lib.lru_new(self.domain, shrinker)

    def lru_free(self, lru: Any) -> None:
        self.lib.lru_free(lru)

    def head(self, item: int) -> Any:
        if item not in self.items:
            self.items[item] = self.lib.item_new(item)
        return self.items[item]

    def add(self, lru: Any, item: int, nid: int, group: Any) -> bool:
        return bool(self.lib.list_lru_add(lru, self.head(item), nid, group))

    def delete(self, lru: Any, item: int, nid: int, group: Any) -> bool:
        return bool(self.lib.list_lru_del(lru, self.head(item), nid, group))

    def count_one(self, lru: Any, nid: int, group: Any) -> int:
        return int(self.lib.list_lru_count_one(lru, nid, group))

    def count_node(self, lru: Any, nid: int) -> int:
        return int(self.lib.list_lru_count_node(lru, nid))

    def walk(
        self, kind: str, lru: Any, nid: int, group: Any, budget: int
    ) -> tuple[int, int]:
        left = _L(budget)
        name = "walk_one" if kind == "one_irq" else f"walk_{kind}"
        isolated = getattr(self.lib, name)(lru, nid, group, ctypes.byref(left))
        return isolated, left.value

    def moved(self) -> list[int]:
        return list(iter(self.lib.next_moved, -1))

    def shrink_slab(self, nid: int, group: Any, priority: int) -> int:
        return int(self.lib.walk_group(self.domain, nid, group, priority))

    def has_bit(self, shrinker: Any, group: Any, nid: int) -> bool:
        number = self.lib.shrinker_id(shrinker)
        return bool(self.lib.mem_cgroup_has_bit(group, nid, number))


class Item:
    """An object on a ``ListLru``."""

    def __init__(self, number: int) -> None:
        self.number = number


class PythonWorld(World):
    """``ListLru``.

    It has no walk of all nodes and no ``isolate_move``; what ``isolate`` answers m for
    is collected here.
    """

    def open(self, nr_nodes: int, memcg: bool, kmem: bool) -> None:
        self.domain = Domain(nr_nodes=nr_nodes, memcg=memcg, kmem=kmem, stall_limit=0)
        self.items: dict[int, Item] = {}
        self.taken: list[int] = []
        if memcg:
            self.groups["root"] = self.domain.root
            self.online.add("root")

    def close(self) -> None:
        self.domain.close()

    def isolate(self, item: Item) -> LruStatus:
        script = self.scripts[-1]
        letter = script.answer(item.number)
        if letter in UNLOCKING:
            self.make_steps_of(script)
        if letter in "mM":
            self.taken.insert(0, item.number)
        return STATUS[letter]

    def group_new(self, name: str, parent: Memcg) -> Memcg:
        return self.domain.create_memcg(name, parent)

    def group_offline(self, group: Memcg) -> int:
        group.offline()
        return 0

    def shrinker_new(self, name: str, flags: ShrinkerFlags) -> Any:
        world = self

        class Cache:
            def count_objects(self, sc: ShrinkControl) -> CountObjects | int:
                count = world.lrus[name].shrink_count(sc)
                world.count_objects(name, sc.nid, count)
                return count or CountObjects.EMPTY

            def scan_objects(self, sc: ShrinkControl) -> int:
                return world.scan_objects(name, sc.nid, sc.memcg, sc.nr_to_scan)

        builder = ShrinkerBuilder(name, flags=flags, domain=self.domain)
        return builder.register(Cache())

    def lru_new(self, shrinker: ShrinkerRegistration[Any] | None) -> ListLru:
        return ListLru(domain=self.domain, shrinker=shrinker)

    def lru_free(self, lru: ListLru) -> None:
        lru.close()

    def head(self, item: int) -> Item:
        return self.items.setdefault(item, Item(item))

    def add(self, lru: ListLru, item: int, nid: int, group: Any) -> bool:
        return lru.add(self.head(item), nid, group)

    def delete(self, lru: ListLru, item: int, nid: int, group: Any) -> bool:
        return lru.remove(self.head(item))

    def count_one(self, lru: ListLru, nid: int, group: Any) -> int:
        return lru.count(nid, group)

    def count_node(self, lru: ListLru, nid: int) -> int:
        return lru.count_node(nid)

    def walk(
        self, kind: str, lru: ListLru, nid: int, group: Any, budget: int
    ) -> tuple[int, int]:
        visited = self.scripts[-1].visited
        if kind == "all":
            isolated = sum(
                lru.walk_node(self.isolate, budget - len(visited), node)
                for node in self.nodes
            )
        elif kind == "node":
            isolated = lru.walk_node(self.isolate, budget, nid)
        else:
            isolated = lru.walk(self.isolate, budget, nid, group)
        return isolated, budget - len(visited)

    def moved(self) -> list[int]:
        taken, self.taken = self.taken, []
        return taken

    def shrink_slab(self, nid: int, group: Any, priority: int) -> int:
        return self.domain.shrink_slab(nid=nid, memcg=group, priority=priority)

    def has_bit(
        self, shrinker: ShrinkerRegistration[Any], group: Memcg, nid: int
    ) -> bool:
        return group.has_shrinker_bit(nid, shrinker)


def python_can(scenario: Scenario) -> bool:
    """Whether ``ListLru`` has all operations of a sequence.

    It takes an object off when ``isolate`` is back: where that is what ``isolate``
    will answer, a step inside that looks at numbers or at this object has another
    result.  It has no list of moved objects either.
    """

    def plain(step: Step, visited: list[list[Any]], at: int) -> bool:
        number, letter = visited[at]
        moved = [n for n, earlier in visited[:at] if earlier in "mM"]
        if letter in "DM":
            counts = step["op"].startswith("count") or step["op"] == "memcg_offline"
            return not counts and step.get("item") not in [number, *moved]
        return step.get("item") not in moved

    return all(
        plain(inner, step["out"]["visited"], int(at))
        for step in scenario["steps"]
        for at, steps in step.get("during", {}).items()
        if int(at) < len(step["out"]["visited"])
        for inner in steps
    )


def first_difference(
    make: Callable[[Scenario], World], scenario: Scenario
) -> tuple[Step, Any, Any] | None:
    """Replay a sequence; return the first step that differs, with both results."""
    world = make(scenario)
    try:
        return next(world.differences(scenario), None)
    finally:
        world.close()
