"""``shrinker top``, on a directory that looks like tracefs."""

from __future__ import annotations

import json
import os
import pty
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line needs rich")

from click.testing import CliRunner, Result
from kernel_support import FakeTracefs, end_line, real_tracefs, start_line
from rich.console import Console

from shrinker.cli import app, top
from shrinker.cli.app import cli
from shrinker.kernel.live import SORT_KEYS, LiveTable, Window
from shrinker.kernel.objects import CgroupPaths, Counts
from shrinker.kernel.stop import Stop
from shrinker.kernel.tracefs import SHRINKER_EVENTS, Instance, KernelError

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
HANGS = 300
"""After so many seconds, what has not ended hangs."""
COUNTS = Counts({"sb-ext4:vda-21": 92186, "rcu-kfree-1": 11}, {1: 11, 7: 92186})


def passes(count: int, **of: Any) -> str:
    # After the window has begun, however late that is.
    began = int(time.monotonic()) + 3600
    return "".join(
        start_line(began + i, pointer=i, **of)
        + end_line(began + i + 0.5, pointer=i, **of)
        for i in range(1, count + 1)
    )


@pytest.fixture
def tracefs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTracefs:
    fake = FakeTracefs(tmp_path / "tracing")
    fake.text = passes(3, memcg=7)
    monkeypatch.setattr(top, "find_tracefs", lambda: fake)
    monkeypatch.setattr(top, "find_debugfs", lambda: None)
    return fake


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["top", "--interval", "0.1", *map(str, arguments)])


def test_once(tracefs: FakeTracefs) -> None:
    """One table, and what was set is put back."""
    done = run("--once", "--sort", "freed")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("shrinker top: the last ")
    assert lines[0].endswith("sorted by freed")
    assert lines[1].split()[:3] == ["shrinker", "passes", "asked"]
    assert len([line for line in lines if line.startswith("super_cache_scan 0")]) == 3
    assert "kswapd0 100 %" in done.stdout
    assert not list(tracefs.instances.iterdir())
    assert tracefs.removed[0]["events/vmscan/mm_shrink_slab_end/enable"] == "1"


def test_json(
    tracefs: FakeTracefs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """All numbers, with the paths of cgroups, and what debugfs counts."""
    monkeypatch.setattr(top, "find_debugfs", lambda: tmp_path)
    monkeypatch.setattr(top, "count_objects", lambda _: COUNTS)
    result = json.loads(run("--json", "--by", "both").stdout)
    assert (result["passes"], result["lost_events"]) == (3, 0)
    assert result["callers"] == {"kswapd0": pytest.approx(1.5)}
    row = result["rows"][0]
    assert (row["function"], row["memcg_id"]) == ("super_cache_scan", 7)
    assert row["seconds"] == pytest.approx(0.5)
    assert "memcg" in row
    assert result["objects"]["by_shrinker"] == COUNTS.by_shrinker


def test_nothing_happened(tracefs: FakeTracefs) -> None:
    """It says so, without an empty table."""
    tracefs.text = ""
    assert run("--once").stdout.splitlines()[1] == "no pass"
    result = json.loads(run("--json").stdout)
    assert (result["rows"], result["objects"]) == ([], None)


def test_no_terminal(tracefs: FakeTracefs) -> None:
    """A pipe gets no screen, but advice."""
    done = run()
    assert done.exit_code == 2
    assert "use --once or --json" in done.output
    assert not tracefs.removed


def test_no_tracefs(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with what to do, and no traceback."""

    def missing() -> None:
        raise KernelError("tracefs is not mounted: mount it")

    monkeypatch.setattr(top, "find_tracefs", missing)
    done = run("--once")
    assert done.exit_code == 1
    assert done.stderr == "Error: tracefs is not mounted: mount it\n"


def test_a_kernel_that_does_not_name_cgroups(tracefs: FakeTracefs) -> None:
    """It is said before waiting for events."""
    for event in SHRINKER_EVENTS:
        (tracefs.root / "events/vmscan" / event / "format").write_text("field:int nid;")
    done = run("--once", "--by", "memcg")
    assert done.exit_code == 1
    assert "do not name memory cgroups" in done.stderr


def test_keys_of_the_help_are_the_tables() -> None:
    """The command line names them itself, so that --help imports nothing."""
    assert app._SORT_KEYS == SORT_KEYS
    assert len({key[0] for key in SORT_KEYS} | set("mwq")) == len(SORT_KEYS) + 3


def screen(window: Window, view: top._View, width: int, height: int) -> list[str]:
    console = Console(
        width=width, height=height, force_terminal=True, color_system=None
    )
    with console.capture() as capture:
        counts = None if view.by == "both" else COUNTS
        console.print(top._screen(window, view, CgroupPaths(), counts, console))
    return capture.get().splitlines()


@pytest.mark.parametrize("by", ["shrinker", "memcg", "both"])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 10), (200, 60)])
def test_the_screen_fits(by: str, width: int, height: int) -> None:
    """No line is wider, no screen higher than the terminal."""
    table = LiveTable(0)
    for pointer in range(1, 100):
        of = {"pointer": 0xDEAD000000 + pointer, "memcg": pointer, "pid": pointer}
        huge = {"total": 2**60, "freeable": 2**60, "priority": 0}
        name = "a_function_with_a_very_long_name_scan"
        table.feed(start_line(1, function=name, **of, **huge).encode())
        if pointer % 2:
            line = end_line(99, function=name, new=2**60, freed=2**31 - 1, **of)
            table.feed(line.encode())
    window = table.take(100_000_000_000)[0].window(by)
    lines = screen(window, top._View(by, "asked", names_memcg=True), width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "more rows" in text
    assert "sort: t=time" in text
    assert ("priority" in text) == (width == 200)
    if by != "both":
        assert "held now: " in text
    if width >= 80:
        assert "1.2E" in text or "1153P" in text
        assert "98.0s" in text


def test_short_numbers() -> None:
    """Numbers take at most 5 characters, times 6."""
    assert [top._short(n) for n in (0, 999, 1000, 12_345, 999_999, -5_000, 2.5e6)] == [
        *("0", "999", "1.0k", "12.3k", "1.0M", "-5.0k", "2.5M")
    ]
    times = (0, 2e-6, 0.0123, 3.21, 0.9999)
    assert [top._time(t) for t in times] == ["0", "2us", "12ms", "3.2s", "1.0s"]


class FakeScreen:
    """Notes what is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[Window, str, str, bool]] = []

    def __call__(self, window: Window, view: top._View) -> None:
        self.shown.append((window, view.by, view.sort, view.whole))


@pytest.mark.parametrize("names_memcg", [True, False])
def test_keys(names_memcg: bool, tracefs: FakeTracefs) -> None:
    """They sort, group, show the whole time, and quit; others do nothing.

    Rows cannot be memory cgroups where the kernel does not name them.
    """
    reader, writer = os.pipe()
    shown = FakeScreen()
    keys = iter("fmwx?q")

    def show(window: Window, view: top._View) -> None:
        shown(window, view)
        os.write(writer, next(keys).encode())

    with Stop() as stop, Instance(tracefs, SHRINKER_EVENTS, MIB) as instance:
        watch = top._Watch(instance, LiveTable(0), stop, reader)
        top._run(watch, 0.05, top._View("shrinker", "time", names_memcg), show)
    os.close(reader)
    os.close(writer)
    views = [view for _, *view in shown.shown]
    after = [view for i, view in enumerate(views) if not i or view != views[i - 1]]
    by = "memcg" if names_memcg else "shrinker"
    expected = [
        ["shrinker", "time", False],
        ["shrinker", "freed", False],
        [by, "freed", False],
        [by, "freed", True],
    ]
    assert after == (expected if names_memcg else [*expected[:2], expected[3]])
    assert shown.shown[0][0].passes == 3
    ids = [row.memcg_id for row in shown.shown[2][0].rows]
    assert ids == ([7] if names_memcg else [None, None, None]), "of the same window"
    assert shown.shown[-1][0].passes == 3, "of the whole time"


@pytest.mark.parametrize("why", ["signal", "keyboard gone"])
def test_it_ends(why: str, tracefs: FakeTracefs) -> None:
    """SIGTERM ends it, and so does a terminal that has gone."""
    reader, writer = os.pipe()
    with Stop() as stop, Instance(tracefs, SHRINKER_EVENTS, MIB) as instance:
        if why == "signal":
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            os.close(writer)
        watch = top._Watch(instance, LiveTable(0), stop, reader)
        assert watch.until(time.monotonic() + HANGS) == "q"
    os.close(reader)


def test_events_that_come_faster_than_they_are_added_up(tracefs: FakeTracefs) -> None:
    """The time and signals count all the same."""
    with Stop() as stop, Instance(tracefs, SHRINKER_EVENTS, MIB) as instance:
        watch = top._Watch(instance, LiveTable(0), stop, None)
        endless = [b"# comment\n"]
        instance.read = lambda: iter(lambda: endless[0], b"")  # type: ignore[method-assign]
        assert watch.until(time.monotonic() + 0.05) is None


def test_on_a_terminal() -> None:
    """The machine's own kernel, on a terminal: shown until q, then put back."""
    tracefs = real_tracefs()
    pid, terminal = pty.fork()
    if not pid:  # pragma: no cover - the child
        os.environ.update(TERM="xterm", COLUMNS="80", LINES="24")
        command = [sys.executable, "-m", "shrinker", "top", "--interval", "0.2"]
        os.execv(sys.executable, command)  # noqa: S606 - ourselves
    text = bytearray()
    watchdog = threading.Timer(HANGS, os.kill, (pid, signal.SIGKILL))
    watchdog.start()
    try:
        pressed = False
        while True:
            try:
                text += os.read(terminal, 4096)
            except OSError:
                break
            if b"q=quit" in text and not pressed:
                pressed = True
                os.write(terminal, b"q")
        _, status = os.waitpid(pid, 0)
    finally:
        watchdog.cancel()
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0, text.decode()
    assert b"passes/s, sorted by time" in text
    assert not list(tracefs.instances.glob(f"shrinker-{pid}-*"))
