"""``shrinker record``, on a directory that looks like tracefs."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line needs rich")

from click.testing import CliRunner, Result
from kernel_support import NO_PROCESS, FakeTracefs, end_line, start_line

from shrinker.cli import record as printing
from shrinker.cli.app import cli
from shrinker.kernel import recorder as module
from shrinker.kernel.recorder import Recorded, record
from shrinker.kernel.stop import Stop
from shrinker.kernel.tracefs import SHRINKER_EVENTS, Instance, KernelError
from shrinker.kernel.writer import Writer
from shrinker.replay import replay_file

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
OTHER = "tar-8 [000] ..... 1.5: mm_vmscan_direct_reclaim_end: nr_reclaimed=3\n"
LOST = "CPU:0 [LOST 5 EVENTS]\n"
PASS = start_line(1) + end_line(2)


@pytest.fixture
def tracefs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTracefs:
    fake = FakeTracefs(tmp_path / "tracing")
    fake.text = PASS + OTHER
    monkeypatch.setattr(printing, "find_tracefs", lambda: fake)
    monkeypatch.chdir(tmp_path)
    return fake


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["record", *map(str, arguments)])


@pytest.mark.parametrize("name", ["r.txt", "r.txt.gz", "r.txt.xz", "r.XZ"])
def test_recording(name: str, tracefs: FakeTracefs, tmp_path: Path) -> None:
    """What the kernel printed is in the file, in each form, and replay reads it."""
    done = run("-o", name, "--seconds", 0.01)
    assert done.exit_code == 0, done.output
    assert f"{name}: 1 passes and 1 other events in " in done.stderr
    assert f"shrinker replay {name}" in done.stderr
    assert done.stdout == ""
    result = replay_file(tmp_path / name)
    assert (result.passes, result.other_events) == (1, 1)
    assert result.error is None
    assert not result.unknown_lines, "the head is a comment"
    assert not list(tracefs.instances.iterdir())
    assert not (tmp_path / name).stat().st_mode & 0o77, "only for its owner"


def test_the_default_name(tracefs: FakeTracefs, tmp_path: Path) -> None:
    """It has the time, and is compressed."""
    assert run("--seconds", 0.01).exit_code == 0
    (path,) = tmp_path.glob("shrinker-*.txt.gz")
    assert replay_file(path).passes == 1


def test_standard_output(tmp_path: Path) -> None:
    """``-o -`` writes text, with nothing of ours between; for a pipe from ssh."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from kernel_support import FakeTracefs, start_line, end_line\n"
        "from shrinker.cli import record\n"
        "from shrinker.cli.app import cli\n"
        "fake = FakeTracefs(Path(sys.argv[2]))\n"
        "fake.text = start_line(1) + end_line(2)\n"
        "record.find_tracefs = lambda: fake\n"
        "cli(['record', '-o', '-', '--seconds', '0.01'])\n"
    )
    support = os.path.dirname(sys.modules["kernel_support"].__file__ or "")  # noqa: PTH120
    done = subprocess.run(
        [sys.executable, "-c", code, support, str(tmp_path / "tracing")],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    lines = done.stdout.splitlines(keepends=True)
    assert all(line.startswith("#") for line in lines[:2])
    assert "".join(lines[2:]) == PASS
    assert done.stderr.startswith("standard output: 1 passes")
    assert "replay" not in done.stderr


@pytest.mark.parametrize("name", ["r.bz2", "r.txt.zst", "r.tar"])
def test_a_name_that_promises_another_format(name: str, tracefs: FakeTracefs) -> None:
    """It is refused before anything is made."""
    done = run("-o", name)
    assert done.exit_code == 2
    assert "cannot be written: name it .txt, .txt.gz or .txt.xz" in done.output
    assert not tracefs.removed


def test_losses_are_said(tracefs: FakeTracefs, tmp_path: Path) -> None:
    """Their number, and a buffer that may do; replay knows of them too."""
    tracefs.stats = "overrun: 5\ncommit overrun: 0\ndropped events: 0\n"
    tracefs.text = LOST + PASS
    done = run("-o", "r.gz", "--seconds", 0.01, "--buffer", 1024)
    assert "10 events were lost: try --buffer 4096" in done.stderr
    assert replay_file(tmp_path / "r.gz").lost_events == 5


def test_nothing_happened(tracefs: FakeTracefs) -> None:
    """No pass is no failure, and it is said."""
    tracefs.text = ""
    done = run("--seconds", 0.01)
    assert done.exit_code == 0
    assert "no shrinker was asked for anything" in done.stderr


def test_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--context`` switches on what the kernel has of it."""
    events = (*SHRINKER_EVENTS, "mm_vmscan_balance_pgdat_begin")
    fake = FakeTracefs(tmp_path / "tracing", events)
    monkeypatch.setattr(printing, "find_tracefs", lambda: fake)
    for option, value in ((), "0"), (("--context",), "1"):
        assert run("-o", tmp_path / "r", "--seconds", 0.01, *option).exit_code == 0
        files = fake.removed[-1]
        assert files["events/vmscan/mm_vmscan_balance_pgdat_begin/enable"] == value


def test_a_stale_instance_is_removed_and_said(tracefs: FakeTracefs) -> None:
    """Whose it was, that this had ended, and that nothing else was touched."""
    stale = tracefs.instances / f"shrinker-{NO_PROCESS}-1"
    stale.mkdir()
    done = run("--seconds", 0.01)
    words = " ".join(done.stderr.split())
    assert f"removed {stale.name}: shrinker record or top, pid {NO_PROCESS}," in words
    assert "was killed and had left this trace instance behind" in words
    assert "nothing that runs was touched" in words
    assert not stale.exists()


def test_one_that_stays_is_said(
    tracefs: FakeTracefs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recording is whole, and what to remove later is named."""
    monkeypatch.setattr("shrinker.kernel.tracefs._REMOVE_ATTEMPTS", 1)
    with Instance(tracefs, SHRINKER_EVENTS, MIB) as instance:
        pass
    tracefs.busy.add(instance.path.name)
    done = run("--seconds", 0.01)
    assert done.exit_code == 0
    assert f"later: rmdir {instance.path}" in done.stderr.replace("\n", "")
    assert "1 passes" in done.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("pass", 0),
        ("raise SystemExit(7)", 7),
        ("import os; os.kill(os.getpid(), 9)", 137),
    ],
)
def test_a_command(command: str, code: int, tracefs: FakeTracefs) -> None:
    """It is recorded until it ends, and its exit code is passed on."""
    done = run("-o", "r.gz", "--", sys.executable, "-c", command)
    assert done.exit_code == code
    assert "1 passes" in done.stderr
    assert len(tracefs.removed) == 1


def test_a_command_on_an_old_kernel(
    tracefs: FakeTracefs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux before 5.3 has no pidfd_open()."""

    def missing(*_: object) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "pidfd_open", missing)
    done = run("-o", "r.gz", "--", sys.executable, "-c", "raise SystemExit(7)")
    assert done.exit_code == 7, done.output


def test_a_command_that_does_not_exist(tracefs: FakeTracefs) -> None:
    """One line, exit code 1, and everything is put back."""
    done = run("-o", "r.gz", "--", "/no/such/program")
    assert done.exit_code == 1
    assert done.stderr == "Error: /no/such/program: No such file or directory\n"
    assert not list(tracefs.instances.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it(number: int, tracefs: FakeTracefs) -> None:
    """The file is whole, what was set is put back, and so are the handlers."""

    def before(*_: object) -> None:
        pytest.fail("a signal came that nothing had sent")

    def send(_: Recorded) -> None:
        os.kill(os.getpid(), number)

    # Under nohup, tests are started with SIGHUP ignored.
    inherited = signal.signal(number, before)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_FLUSH_SECONDS", 0.0)
            instance = Instance(tracefs, SHRINKER_EVENTS, MIB)
            state = record("r.gz", instance, progress=send)
        assert signal.getsignal(number) is before
    finally:
        signal.signal(number, inherited)
    assert state.passes == 1
    assert replay_file("r.gz").passes == 1
    assert not list(tracefs.instances.iterdir())


def test_nohup_is_respected() -> None:
    """An ignored SIGHUP stays ignored; an ignored SIGINT, as of a script, does not."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Stop() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.signal is None
            assert stop.wait(0) == []
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            stop.wait(120)
            assert stop.signal == signal.SIGINT, "the first"
    finally:
        signal.signal(signal.SIGHUP, before)
        signal.signal(signal.SIGINT, interrupt)


PATIENT = "open('ready', 'w').close(); import time; time.sleep(600)"
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
open("ready", "w").close()
time.sleep(600)
"""


# One that goes on outlives its object.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("command", "number", "stays"),
    [
        (PATIENT, signal.SIGINT, False),
        (PATIENT, signal.SIGTERM, False),
        (STUBBORN, signal.SIGINT, True),
    ],
    ids=["only we got SIGINT", "SIGTERM", "stubborn"],
)
def test_a_command_is_asked_to_end(
    command: str,
    number: int,
    stays: bool,
    tracefs: FakeTracefs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SIGTERM follows where it goes on; one that ignores it is named, not killed."""
    monkeypatch.setattr(module, "_COMMAND_ENDS_WITHIN_SECONDS", 0.5)
    monkeypatch.setattr(module, "_FLUSH_SECONDS", 0.1)
    terminate = subprocess.Popen.terminate

    def terminating(process: subprocess.Popen[bytes]) -> None:
        """One that will end is waited for until it has."""
        if not stays:
            monkeypatch.setattr(module, "_COMMAND_ENDS_WITHIN_SECONDS", 300)
        terminate(process)

    monkeypatch.setattr(subprocess.Popen, "terminate", terminating)

    def send(_: Recorded) -> None:
        if os.path.exists("ready"):  # noqa: PTH110 - in the test's folder
            os.kill(os.getpid(), number)

    state = record(
        "r.gz",
        Instance(tracefs, SHRINKER_EVENTS, MIB),
        command=[sys.executable, "-c", command],
        progress=send,
    )
    assert state.returncode is None
    assert (state.still_running is not None) == stays
    if state.still_running is not None:
        os.kill(state.still_running, signal.SIGKILL)
        os.waitpid(state.still_running, 0)
    assert not list(tracefs.instances.iterdir())


def test_a_full_disk(tracefs: FakeTracefs) -> None:
    """One line, exit code 1, and everything is put back."""
    done = run("-o", "/dev/full", "--seconds", 0.01)
    assert done.exit_code == 1
    assert done.stderr == "Error: /dev/full: No space left on device\n"
    assert not list(tracefs.instances.iterdir())


def test_a_file_that_cannot_be_made(tracefs: FakeTracefs) -> None:
    """It is known before the kernel is touched."""
    done = run("-o", "no/such/folder.gz", "--seconds", 0.01)
    assert done.exit_code == 1
    assert done.stderr == "Error: no/such/folder.gz: No such file or directory\n"
    assert not tracefs.removed


def test_no_tracefs(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with what to do, and no traceback."""

    def missing() -> None:
        raise KernelError("tracefs is not mounted: mount it")

    monkeypatch.setattr(printing, "find_tracefs", missing)
    done = run()
    assert done.exit_code == 1
    assert done.stderr == "Error: tracefs is not mounted: mount it\n"


def test_killed_gzip_has_all_but_the_last_second(tmp_path: Path) -> None:
    """What was flushed is read back, though the file has no end."""
    writer = Writer(str(tmp_path / "r.gz"))
    writer.write(PASS.encode())
    writer.flush()
    result = replay_file(tmp_path / "r.gz")
    assert result.passes == 1
    assert "cut off" in str(result.error)
    with writer:
        pass
    assert replay_file(tmp_path / "r.gz").error is None


def test_the_progress_line(
    tracefs: FakeTracefs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal it says what is in the file so far; it has gone at the end."""
    import io  # noqa: PLC0415

    from rich.console import Console  # noqa: PLC0415

    text = io.StringIO()

    def console(**_: Any) -> Console:
        return Console(file=text, force_terminal=True, width=80, highlight=False)

    monkeypatch.setattr(printing, "Console", console)
    with printing._progress() as progress:
        assert progress is not None
        state = Recorded("r", seconds=12, passes=3456, stored_bytes=2_340_000)
        progress(state)
        assert "12 s: 3,456 passes, 2.34 MB; Ctrl-C ends it" in text.getvalue()
        progress(dataclasses.replace(state, lost_events=7, stored_bytes=5 * 10**9))
        assert "7 events lost, 5 GB" in text.getvalue()
