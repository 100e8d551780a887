"""examples/service: unprotected it is killed, protected it serves everything."""

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

EXAMPLE = Path(__file__).parents[1] / "examples" / "service"

LIMIT = 96 << 20
# Enough to fill the limit several times over.
SHORT = ("--limit", "96M", "--seconds", "4")

pytestmark = pytest.mark.skipif(
    not EXAMPLE.exists(),
    reason="the examples are not part of this source distribution",
)


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
    """Where memory cgroups can be made; skips where they cannot."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(cgroup.memory_controller())
            with cgroup.Cgroup(found, "shrinker-test", LIMIT):
                pass
        except cgroup.CgroupError as error:
            pytest.skip(str(error))
        yield found


@pytest.fixture(scope="module")
def runs(controller: Any, tmp_path_factory: Any) -> tuple[dict[str, Any], ...]:
    """Run both, a few seconds each; return what is known of the two."""
    for package in ("httpx", "starlette", "uvicorn"):
        pytest.importorskip(package)
    directory = tmp_path_factory.mktemp("service")
    path = directory / "runs.json"
    command = [sys.executable, str(EXAMPLE / "run.py"), *SHORT, "--json", str(path)]
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


def test_unprotected_is_killed(runs: Any) -> None:
    """Caches that only grow meet the OOM killer, and requests are lost."""
    unprotected, _ = runs
    assert unprotected["outcome"] == "killed by OOM"
    assert unprotected["load"]["failed"] > 0


def test_protected_serves_everything(runs: Any) -> None:
    """The same load under the same limit, and no request fails."""
    _, protected = runs
    assert protected["outcome"] == "finished"
    assert protected["load"]["failed"] == 0
    assert protected["load"]["served"] == protected["load"]["requests"]


def test_protected_reclaims(runs: Any) -> None:
    """It lives because its caches give memory back, and they are still of use."""
    _, protected = runs
    service = protected["load"]["service"]
    assert service["statistics"]["reclaims"] > 0
    assert service["statistics"]["freed"] > 0
    assert service["statistics"]["limit"] == LIMIT
    assert max(memory for _, memory, _ in protected["samples"]) < LIMIT
    assert min(protected["load"]["hit_ratio"].values()) > 0.1


def test_same_load(runs: Any) -> None:
    """Both runs are asked for the same."""
    unprotected, protected = runs
    assert unprotected["load"]["requests"] == protected["load"]["requests"]
    assert unprotected["limit"] == protected["limit"] == LIMIT


def test_interrupted(controller: Any, tmp_path: Path) -> None:
    """Ctrl-C leaves no process and no cgroup."""
    for package in ("httpx", "starlette", "uvicorn"):
        pytest.importorskip(package)
    command = [sys.executable, str(EXAMPLE / "run.py"), *SHORT]
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


def test_only_the_cgroup_is_limited(cgroup: Any, controller: Any) -> None:
    """A command enters the group; we stay outside; what it leaves behind goes."""
    with cgroup.Cgroup(controller, "shrinker-test", LIMIT) as group:
        with subprocess.Popen(group.entered(["sleep", "20"])) as sleeper:
            processes = group.path / "cgroup.procs"
            while not processes.read_text().strip():
                assert sleeper.poll() is None
            assert processes.read_text().split() == [str(sleeper.pid)]
            assert group.memory() < LIMIT
            assert group.oom_kills() == 0
            group.remove()
        assert sleeper.returncode == -signal.SIGKILL
    assert not group.path.exists()


def test_mounted_for_now(controller: Any) -> None:
    """Where the v1 controller is not mounted it is, for the time being."""
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
    """Who may not make cgroups is told so."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with (
        pytest.raises(cgroup.CgroupError, match="only root"),
        cgroup.memory_controller(),
    ):
        pass


def test_version_2(cgroup: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """In the unified hierarchy memory is handed down, and taken back."""
    control = tmp_path / "cgroup.subtree_control"
    control.write_text("cpu\n")
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    monkeypatch.setattr(cgroup, "_mounted", fake_mounts(cgroup2=tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with cgroup.memory_controller() as controller:
        assert controller.version == 2
        assert control.read_text() == "+memory"
        group = cgroup.Cgroup(controller, "fake", LIMIT)
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
    """A kernel without the memory controller is named as the reason."""
    monkeypatch.setattr(cgroup, "_mounted", fake_mounts())
    monkeypatch.setattr(cgroup, "_number_of_hierarchy", lambda name: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with (
        pytest.raises(cgroup.CgroupError, match="no memory controller"),
        cgroup.memory_controller(),
    ):
        pass


def test_same_seed_same_requests() -> None:
    """The load is made from its seed alone."""
    pytest.importorskip("httpx")
    code = "import load; print(*load.requests(50, 10, 7))"
    first, second = (
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            cwd=EXAMPLE,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        ).stdout
        for _ in range(2)
    )
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
    """They are refused, with the least that will do, before anything is run."""
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
    """One line, and status 1."""
    done = in_example(
        "import contextlib, sys, run\n"
        "def broken(*_, **__): raise RuntimeError('the service did not start')\n"
        "run.run, run.NEEDED = broken, ()\n"
        "run.memory_controller = contextlib.nullcontext\n"
        "sys.exit(run.main())\n"
    )
    assert done.returncode == 1
    assert done.stderr == "failed: the service did not start\n"


@pytest.mark.parametrize("rich", [True, False])
def test_the_table_has_no_blanks_at_its_edges(rich: bool) -> None:
    """With and without rich: names begin in the first column, lines end in figures."""
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
