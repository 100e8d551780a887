"""examples/service: unprotected it is killed, protected it serves all requests."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).parents[2] / "examples" / "service"

LIMIT_BYTES = 96 << 20
# The load fills this limit several times.
SHORT_RUN = ("--limit", "96M", "--seconds", "4")

pytestmark = [
    pytest.mark.skipif(
        not EXAMPLE.exists(),
        reason="the examples are not part of this source distribution",
    ),
    pytest.mark.alone("its memory cgroups have fixed names; its load wants both cores"),
]
no_asan = pytest.mark.no_asan("the limit has no room for quarantine and shadows")


@pytest.fixture(scope="module")
def cgroup() -> Iterator[Any]:
    """examples/service/cgroup.py."""
    spec = importlib.util.spec_from_file_location("cgroup", EXAMPLE / "cgroup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def controller(cgroup: Any) -> Iterator[Any]:
    """The memory controller; skips where memory cgroups cannot be made."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(cgroup.memory_controller())
            with cgroup.Cgroup(found, "shrinker-test", LIMIT_BYTES):
                pass
        except cgroup.CgroupError as error:
            pytest.skip(str(error))
        yield found


@pytest.fixture(scope="module")
def runs(controller: Any, tmp_path_factory: Any) -> tuple[dict[str, Any], ...]:
    """Both runs, a few seconds each, as the example writes them with --json."""
    for package in ("httpx", "starlette", "uvicorn"):
        pytest.importorskip(package)
    directory = tmp_path_factory.mktemp("service")
    path = directory / "runs.json"
    command = [sys.executable, str(EXAMPLE / "run.py"), *SHORT_RUN, "--json", str(path)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=directory,
    ) as started:
        output, _ = started.communicate()
    assert started.returncode == 0, output
    assert not group_of(controller, started).exists()
    return tuple(json.loads(path.read_text()))


def group_of(controller: Any, runner: subprocess.Popen[str]) -> Path:
    found: Path = controller.path / f"shrinker-service-{runner.pid}"
    return found


@no_asan
def test_unprotected_is_killed(runs: Any) -> None:
    """Caches that only grow lead to an OOM kill, and requests fail."""
    unprotected, _ = runs
    assert unprotected["outcome"] == "killed by OOM"
    assert unprotected["load"]["failed"] > 0


@no_asan
def test_protected_serves_everything(runs: Any) -> None:
    """The same load under the same limit, and no request fails."""
    _, protected = runs
    assert protected["outcome"] == "finished"
    assert protected["load"]["failed"] == 0
    assert protected["load"]["served"] == protected["load"]["requests"]


@no_asan
def test_protected_reclaims(runs: Any) -> None:
    """Its caches give memory back, and still have hits."""
    _, protected = runs
    service = protected["load"]["service"]
    assert service["statistics"]["reclaims"] > 0
    assert service["statistics"]["freed"] > 0
    assert service["statistics"]["limit"] == LIMIT_BYTES
    assert max(memory for _, memory, _ in protected["samples"]) < LIMIT_BYTES
    assert min(protected["load"]["hit_ratio"].values()) > 0.1


@no_asan
def test_same_load(runs: Any) -> None:
    """Both runs get the same requests under the same limit."""
    unprotected, protected = runs
    assert unprotected["load"]["requests"] == protected["load"]["requests"]
    assert unprotected["limit"] == protected["limit"] == LIMIT_BYTES


@no_asan
def test_two_processes_share(controller: Any, tmp_path: Path) -> None:
    """Both live under one limit that the load fills; none is killed, all is served."""
    for package in ("httpx", "starlette", "uvicorn"):
        pytest.importorskip(package)
    path = tmp_path / "runs.json"
    command = [sys.executable, str(EXAMPLE / "workers.py"), "--json", str(path)]
    command += ["--ways", "shared", "--workers", "2", "--limit", "128M"]
    command += ["--seconds", "4", "--rate", "100"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=150, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (shared,) = json.loads(path.read_text())
    assert shared["load"]["served"] == shared["load"]["requests"] == 400
    assert shared["kills"] == 0
    most = max(sample["memory"] for sample in shared["samples"])
    assert (128 - 45) << 20 < most < 128 << 20, "it reached high, and not the limit"
    assert {len(sample["own"]) for sample in shared["samples"]} == {2}


def test_interrupted(controller: Any, tmp_path: Path) -> None:
    """Ctrl-C leaves no process and no cgroup."""
    for package in ("httpx", "starlette", "uvicorn"):
        pytest.importorskip(package)
    command = [sys.executable, str(EXAMPLE / "run.py"), *SHORT_RUN]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as started:
        processes: list[str] = []
        group = group_of(controller, started)
        while not processes:
            assert started.poll() is None
            with contextlib.suppress(FileNotFoundError):
                processes = (group / "cgroup.procs").read_text().split()
        started.send_signal(signal.SIGINT)
        output, _ = started.communicate()
    assert started.returncode == 130
    assert "stopped" in output
    assert not group.exists()
    assert not any(Path("/proc", process).exists() for process in processes)


def test_interrupted_while_a_process_is_started() -> None:
    """A signal before Popen() has returned leaves no process behind either."""
    code = f"""if 1:
        import os, signal, subprocess, sys
        sys.path.insert(0, {str(EXAMPLE)!r})
        import run
        start = subprocess.Popen
        def start_and_interrupt(*args, **options):
            started = start(*args, **options)
            print(started.pid, flush=True)
            os.kill(os.getpid(), signal.SIGINT)
            return started
        subprocess.Popen = start_and_interrupt
        for number in run.SIGNALS:
            signal.signal(number, run.stop)
        try:
            with run.process(["sleep", "60"]):
                print("not stopped")
        except run.Stopped:
            print("stopped")
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    process, *said = done.stdout.split()
    assert said == ["stopped"], done.stderr
    assert not Path("/proc", process).exists()


def test_only_the_cgroup_is_limited(cgroup: Any, controller: Any) -> None:
    """Only the command runs in the group; it is killed when the group is removed."""
    with cgroup.Cgroup(controller, "shrinker-test", LIMIT_BYTES) as group:
        with subprocess.Popen(group.entered(["sleep", "20"])) as sleeper:
            processes = group.path / "cgroup.procs"
            while not processes.read_text().strip():
                assert sleeper.poll() is None
            assert processes.read_text().split() == [str(sleeper.pid)]
            assert group.memory() < LIMIT_BYTES
            assert group.oom_kills() == 0
            group.remove()
        assert sleeper.returncode == -signal.SIGKILL
    assert not group.path.exists()


def test_mounted_temporarily(controller: Any) -> None:
    """Where the v1 controller is not mounted, it is mounted for the run."""
    if controller.version != 1 or shutil.which("unshare") is None:
        pytest.skip("needs the v1 controller and a mount namespace")
    code = (
        "import cgroup\n"
        "with cgroup.memory_controller() as found:\n"
        "    with cgroup.Cgroup(found, 'shrinker-test', 1 << 26) as group:\n"
        "        print(found.version, group.oom_kills())\n"
        "print(found.path.exists())\n"
    )
    script = 'umount "$0" && exec "$@"'
    done = subprocess.run(
        [
            *("unshare", "--mount", "sh", "-c", script, str(controller.path)),
            *(sys.executable, "-c", code),
        ],
        check=False,
        capture_output=True,
        text=True,
        cwd=EXAMPLE,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stdout == "1 0\nFalse\n", done.stderr
    assert not Path("/proc/mounts").read_text().count("memory-cgroups-")


def test_not_root(cgroup: Any, monkeypatch: Any) -> None:
    """A user who may not make cgroups gets an error that says so."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with (
        pytest.raises(cgroup.CgroupError, match="only root"),
        cgroup.memory_controller(),
    ):
        pass


def test_version_2(cgroup: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """The memory controller is enabled for the run, and disabled after it."""
    control = tmp_path / "cgroup.subtree_control"
    control.write_text("cpu\n")
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    monkeypatch.setattr(cgroup, "_mounted", fake_mounts(cgroup2=tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with cgroup.memory_controller() as controller:
        assert controller.version == 2
        assert control.read_text() == "+memory"
        group = cgroup.Cgroup(controller, "fake", LIMIT_BYTES)
        group.path.mkdir()
        for name, content in {
            "memory.current": "5000\n",
            "memory.stat": "anon 1\ninactive_file 2000\n",
            "memory.events": "oom 2\noom_kill 1\n",
        }.items():
            (group.path / name).write_text(content)
        assert group.memory() == 3000
        assert group.oom_kills() == 1
    assert control.read_text() == "-memory"


def fake_mounts(**mounts: Path) -> Any:
    return lambda kind, option="": mounts.get(kind)


def test_no_controller(cgroup: Any, monkeypatch: Any) -> None:
    """The error says that the kernel has no memory controller."""
    monkeypatch.setattr(cgroup, "_mounted", fake_mounts())
    monkeypatch.setattr(cgroup, "_hierarchy_number", lambda name: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with (
        pytest.raises(cgroup.CgroupError, match="no memory controller"),
        cgroup.memory_controller(),
    ):
        pass


def test_same_seed_same_requests() -> None:
    """The load depends on nothing but its seed."""
    pytest.importorskip("httpx")
    code = "import load; print(*load.requests(50, 10, 7))"
    first, second = (in_example(code).stdout for _ in range(2))
    assert first == second
    assert first.count("Request(") == 50


def in_example(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        cwd=EXAMPLE,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.mark.parametrize("limit", ["10", "0", "40M", "65535K"])
def test_limits_that_are_too_small(limit: str) -> None:
    """They are refused before anything runs, and the smallest limit is named."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "run.py"), "--limit", limit],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.endswith(
        f"--limit: {limit} is too small: the service needs 64M at least\n"
    )
    assert done.stdout == ""


def test_a_service_that_does_not_start() -> None:
    """The program prints one line and ends with status 1."""
    done = in_example(
        "import contextlib, sys, run\n"
        "def broken(*_, **__): raise RuntimeError('the service did not start')\n"
        "run.run, run.NEEDED_PACKAGES = broken, ()\n"
        "run.memory_controller = contextlib.nullcontext\n"
        "sys.exit(run.main())\n"
    )
    assert done.returncode == 1
    assert done.stderr == "failed: the service did not start\n"


@pytest.mark.parametrize("rich", [True, False])
def test_the_table_has_no_blanks_at_its_edges(rich: bool) -> None:
    """With and without rich: no line begins or ends with spaces, but the header."""
    if rich:
        pytest.importorskip("rich")
    done = in_example(
        "import sys\n"
        f"if not {rich}: sys.modules['rich'] = None\n"
        "from run import Run, Sample\n"
        "from table import print_table\n"
        "load = dict(served=1, failed=2, hit_ratio={}, latency_ms={}, service=None)\n"
        "sample = Sample(1.0, 1 << 20, 1 << 21)\n"
        "print_table([Run(p, 1 << 26, 1.0, 0.0, 'finished', load, [sample])"
        " for p in (False, True)])\n"
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    assert [line for line in lines if line.startswith(" ")] == [
        line for line in lines if line.split() == ["unprotected", "protected"]
    ]
    assert any(line.startswith("requests served  ") for line in lines)
