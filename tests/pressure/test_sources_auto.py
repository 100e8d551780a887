"""auto(): which source it chooses, and why."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from limits_support import CGROUP2, MEMORY1, World
from pressure_support import MIB, SOON

from shrinker.pressure import Polling, PsiTrigger, SystemdPressure, auto
from shrinker.pressure.limits.memory import Memory
from shrinker.pressure.sources.memory_events import MemoryEvents
from shrinker.pressure.sources.systemd import WATCH, WRITE

if TYPE_CHECKING:
    from shrinker.testing import FakeCgroup, PressureSocket

pytest_plugins = ["shrinker.testing"]


def test_systemd_comes_first(memory_pressure_socket: PressureSocket) -> None:
    """What the service manager has set up wins."""
    with auto() as source:
        assert type(source) is SystemdPressure
        assert source.is_open
        assert source.reason == "systemd's protocol works"


def test_why_not_the_others(fake_cgroup: FakeCgroup) -> None:
    """The reason names each that was passed over, and why."""
    # No PSI in the fake group, and the machine's is excluded by its name.
    name = PsiTrigger().name
    memory = Memory(fake_cgroup.root)
    (fake_cgroup.directory / "memory.events").write_text("low 0\n")
    with auto(memory=memory, environ={}, exclude=[name]) as source:
        assert type(source) is Polling
        fake_cgroup.set(max=MIB, current=MIB)
        assert source.wait(SOON) is not None
    for part in (
        "polling works",
        "systemd's protocol: not set up (MEMORY_PRESSURE_WATCH)",
        "memory.pressure of this process's cgroup: No such file or directory: no such",
        "memory.events of this process's cgroup: ",
        "PSI of the machine: excluded",
    ):
        assert part in source.reason
    memory.close()


def test_the_root_is_the_whole_machine(fake_cgroup: FakeCgroup) -> None:
    """In the root group anything on the machine may stall; the reason says so."""
    (fake_cgroup.root / "proc/self/cgroup").write_text("0::/\n")
    said = "cgroup (the root of version 2: the whole machine's)"
    root = fake_cgroup.directory.parent
    with Memory(fake_cgroup.root) as memory:
        with auto(memory=memory, environ={}) as source:
            assert said in source.reason
        (root / "cgroup.type").write_text("domain\n")  # Of a namespace only.
        with auto(memory=memory, environ={}) as source:
            assert said not in source.reason


@pytest.mark.parametrize(
    ("v2", "whose"),
    [("", "the machine"), ("/", "the machine"), ("/x", "cgroup v2 /x")],
)
def test_whose_stalls_under_a_limit_of_version_1(
    v2: str, whose: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason says whose stalls PSI counts, and what looks at the limit instead.

    Version 2 may be there as well, without memory.
    """
    monkeypatch.setattr(PsiTrigger, "open", lambda _: None)
    world.v1("sys/fs/cgroup/memory/app", limit=64 * MIB)
    world.write("sys/fs/cgroup/unified/cgroup.procs", "")
    world.write("sys/fs/cgroup/unified/x/cgroup.procs", "")
    mounts = (
        MEMORY1.format(root="/", point="/sys/fs/cgroup/memory"),
        CGROUP2.format(root="/", point="/sys/fs/cgroup/unified"),
    )
    lines = f"7:memory:/app\n0::{v2}\n" if v2 else "7:memory:/app\n"
    world.process(lines, *mounts)
    with Memory(world.root) as memory, auto(memory=memory, environ={}) as source:
        assert type(source) is PsiTrigger
        assert (
            f" works (it tells of stalls of {whose}, not of cgroup v1 /app; a limit"
            " of that is looked at by watermarks and thresholds of usage)"
        ) in source.reason


def test_exclude_types() -> None:
    """Types that have failed before are not tried; polling is always there."""
    everything = [SystemdPressure, PsiTrigger, MemoryEvents, Polling]
    with auto(environ={}, exclude=everything) as source:
        assert type(source) is Polling


@pytest.mark.parametrize(
    "environ",
    [{WATCH: "relative"}, {WATCH: "/nowhere/at/all"}, {WATCH: "/", WRITE: "eA=="}],
)
def test_garbage_in_the_environment(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged and named in the reason, and another source is found."""
    with auto(environ=environ) as source:
        assert type(source) is not SystemdPressure
        assert "passed over: systemd's protocol: MEMORY_PRESSURE_WATCH" in (
            source.reason.replace("No such file or directory: ", "")
        )
    (record,) = caplog.records
    assert "MEMORY_PRESSURE_WATCH" in record.getMessage()


def test_wrong_arguments() -> None:
    """They are refused before anything is tried."""
    with pytest.raises(TypeError, match="exclude must be a collection"):
        auto(exclude="PSI")
    with pytest.raises(TypeError, match="memory must be a Memory, not int"):
        auto(memory=3)  # type: ignore[arg-type]


def test_the_examples_of_the_docs_run() -> None:
    """The programs in docs/pressure-sources.md run (the fixtures' are no programs)."""
    page = Path(__file__).parents[2] / "docs" / "pressure-sources.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    programs = [x for x in blocks if "import" in x and "def test_" not in x]
    assert len(programs) == 3
    run_each = "import sys\nfor program in sys.argv[1:]: exec(program, {})"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", run_each, *programs],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "MiB free\nshortest: " in done.stdout
    assert " works" in done.stdout
