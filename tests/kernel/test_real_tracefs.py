"""``record`` and ``top`` on the machine's own kernel: needs root and tracefs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line needs rich")

from cli_support import run
from kernel_support import DROP_CACHES, drop_caches, real_tracefs

from shrinker.kernel.tracefs import (
    SHRINKER_EVENTS,
    Instance,
    KernelError,
    Tracefs,
    find_tracefs,
)
from shrinker.replay import replay_file

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.alone("the kernel drops the caches of the whole machine")
LONG = 300.0  # Seconds; for what takes a fraction of one.
TRIES = 100
MIB = 1 << 20


@pytest.fixture
def tracefs() -> Iterator[Tracefs]:
    found = real_tracefs()
    yield found
    assert ours(found) == [], "nothing stays"


def ours(tracefs: Tracefs) -> list[str]:
    """Return the instances of this process, its children, and processes that ended.

    Not those of others on this machine: they come and go meanwhile.
    """
    found = []
    for path in tracefs.instances.glob("shrinker-*"):
        pid = int(path.name.split("-")[1])
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/stat").read_text()
            parent = int(text.rpartition(")")[2].split()[1])
            if os.getpid() not in {pid, parent}:
                continue
        found.append(path.name)
    return found


def settings(tracefs: Tracefs) -> dict[str, str]:
    """Return what others have set, in the global buffer and in their instances."""
    files = (
        "set_event",
        "buffer_size_kb",
        "tracing_on",
        "trace_clock",
        "current_tracer",
        "events/vmscan/enable",
    )
    places = [tracefs.root, *sorted(tracefs.instances.glob("[!s]*"))]
    return {
        str(place / file): (place / file).read_text()
        for place in places
        for file in files
    }


@pytest.fixture
def started(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A recording in ``r.txt.gz`` that has begun, with no end in sight."""
    real = real_tracefs()
    process = subprocess.Popen(
        [sys.executable, "-m", "shrinker", "record", "-o", tmp_path / "r.txt.gz"],
        stderr=subprocess.PIPE,
        text=True,
        # Under nohup, tests are started with SIGHUP ignored.  No other thread runs.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert process.stderr is not None
    try:
        on = f"shrinker-{process.pid}-*/events/vmscan/{SHRINKER_EVENTS[1]}/enable"
        deadline = time.monotonic() + LONG
        while not any(p.read_text() == "1\n" for p in real.instances.glob(on)):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.parametrize("name", ["r.txt.gz", "r.txt.xz"])
def test_passes_are_recorded(name: str, tmp_path: Path, tracefs: Tracefs) -> None:
    """All that drop_caches asks is in the file, and the core computes the same."""
    drop_caches()
    command = ["sh", "-c", f"echo 2 > {DROP_CACHES}; exit 3"]
    done = run("record", "-o", tmp_path / name, "--", *command, timeout=LONG)
    assert done.returncode == 3, "the command's own"
    result = replay_file(tmp_path / name)
    assert result.passes > 10
    assert result.exact == result.passes
    assert f"{result.passes:,} passes" in done.stderr
    assert (result.malformed_lines, result.unknown_lines) == (0, 0)
    assert tracefs.has_event("mm_shrink_slab_start")


def test_tracing_of_others_goes_on(tmp_path: Path, tracefs: Tracefs) -> None:
    """Their settings stay, and their events reach them."""
    other = tracefs.instances / f"another-{os.getpid()}"
    other.mkdir()
    try:
        (other / "buffer_size_kb").write_text("256")
        (other / "events/vmscan/mm_shrink_slab_start/enable").write_text("1")
        before = settings(tracefs)
        command = ["sh", "-c", f"echo 2 > {DROP_CACHES}"]
        drop_caches()
        done = run("record", "-o", tmp_path / "r", "--", *command, timeout=LONG)
        assert done.returncode == 0
        assert settings(tracefs) == before
        assert "mm_shrink_slab_start" in (other / "trace").read_text()
        assert not (tmp_path / "r").read_text().count("[LOST")
    finally:
        other.rmdir()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals(
    number: int, started: subprocess.Popen[str], tmp_path: Path, tracefs: Tracefs
) -> None:
    """Everything is put back, and the file has all passes until then."""
    drop_caches()
    started.send_signal(number)
    _, said = started.communicate(timeout=LONG)
    assert started.returncode == 0
    assert "Traceback" not in said
    result = replay_file(tmp_path / "r.txt.gz")
    assert result.error is None
    assert f"{result.passes:,} passes" in said
    assert result.passes > 0
    assert ours(tracefs) == []


def test_after_sigkill(
    started: subprocess.Popen[str], tmp_path: Path, tracefs: Tracefs
) -> None:
    """The next start removes what it left, but nothing of one that runs."""
    living = ours(tracefs)
    done = run("record", "-o", tmp_path / "2", "--seconds", 0.1, timeout=LONG)
    assert "removed" not in done.stderr
    assert ours(tracefs) == living, "one that runs is left alone"
    started.kill()
    started.wait()
    assert ours(tracefs) == living
    done = run("record", "-o", tmp_path / "2", "--seconds", 0.1, timeout=LONG)
    assert f"removed {living[0]}" in done.stderr
    assert ours(tracefs) == []


def test_what_somebody_reads_cannot_be_removed(tracefs: Tracefs) -> None:
    """So a reader in a pid namespace of its own, whose pids we take for dead, stays."""
    with Instance(tracefs, SHRINKER_EVENTS, MIB) as instance:
        with pytest.raises(OSError, match="busy"):
            tracefs._remove(instance.path)
        assert (instance.path / "trace_clock").read_text().count("[mono]")


def test_losses_are_counted(tmp_path: Path, tracefs: Tracefs) -> None:
    """A buffer of one page cannot hold a burst; what replay counts is what was lost."""
    assert not ours(tracefs)
    drop_caches()
    # Nothing is read meanwhile, however slow this machine is.
    burst = (
        "kill -STOP $PPID;"
        f" for i in $(seq 64); do echo 2 > {DROP_CACHES}; done;"
        " kill -CONT $PPID"
    )
    command = ("--", "sh", "-c", burst)
    name = tmp_path / "r.txt"
    done = run("record", "-o", name, "--buffer", 4, *command, timeout=LONG)
    assert done.returncode == 0
    lost = replay_file(name).lost_events
    assert lost > 0
    assert f"{lost:,} events were lost: try --buffer 16" in done.stderr


def test_top(tracefs: Tracefs) -> None:
    """It sees the passes that happen meanwhile: who asked, and what was freed.

    On a busy machine the shell may not run for the whole second.
    """
    drop_caches()
    again = f"while sleep 0.05; do echo 2 > {DROP_CACHES}; done"
    with subprocess.Popen(["/bin/sh", "-c", again]) as asking:
        try:
            for _ in range(TRIES):
                done = run("top", "--json", "--interval", 1, timeout=LONG)
                assert done.returncode == 0
                seen = json.loads(done.stdout)
                assert seen["passes"] == sum(row["passes"] for row in seen["rows"])
                assert all(
                    row["seconds"] <= seen["seconds"] * 1.01 for row in seen["rows"]
                )
                if seen["passes"] > 10:
                    break
        finally:
            asking.kill()
    assert seen["passes"] > 10
    assert seen["callers"]["sh"] > 0
    assert ours(tracefs) == []


def test_without_permission() -> None:
    """Another user is told what it takes."""
    real_tracefs()
    if os.geteuid():
        pytest.skip("needs root, to become another user")
    os.seteuid(65534)
    try:
        with pytest.raises(KernelError, match="not permitted; run as root"):
            find_tracefs()
    finally:
        os.seteuid(0)
