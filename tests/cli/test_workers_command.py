"""``shrinker workers``, and the same in ``Domain.report()``."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("click", reason="the command line needs click")

from typing import TYPE_CHECKING

from click.testing import CliRunner

from shrinker.cli.app import cli
from shrinker.pressure.shared import overview
from shrinker.pressure.shared import table as table_module

if TYPE_CHECKING:
    from pathlib import Path

MEMINFO = """\
MemTotal:        1000000 kB
MemFree:          900000 kB
MemAvailable:     900000 kB
"""
SERVICE = """\
import signal, sys, time
from pathlib import Path
from shrinker import Domain
from shrinker.cache import Cache
from shrinker.pressure import Memory, Reclaimer
from shrinker.pressure.shared import table
signal.alarm(300)  # Ends a test that would wait for ever.
place = Path(sys.argv[1])
table.directories = lambda: [place]
domain = Domain()
cache = Cache(weigher=lambda key, value: 1 << 20, domain=domain)
for key in range(int(sys.argv[2])):
    cache[key] = 1
reclaimer = Reclaimer(domain, memory=Memory(place / "root"), source=None)
reclaimer._worker._count_caches()
reclaimer.start()
print("ready", flush=True)
while not reclaimer._worker.seats.have_others():
    time.sleep(0.01)
    reclaimer._worker.reclaim_if_short("test")
print(domain.report(), "end", sep="\\n", flush=True)
sys.stdin.readline()
reclaimer.stop()
"""


def test_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes under one limit are shown, and shown to each other."""
    monkeypatch.setattr(table_module, "directories", lambda: [tmp_path])
    # However long the services do not run, they are shown as they looked last.
    monkeypatch.setattr(overview, "MAX_BEAT_AGE_SECONDS", 3600.0)
    root = tmp_path / "root/proc"
    root.mkdir(parents=True)
    (root / "meminfo").write_text(MEMINFO)
    runner = CliRunner()
    assert runner.invoke(cli, ["workers", "--json"]).output == '{\n  "groups": []\n}\n'
    assert "no process" in runner.invoke(cli, ["workers"]).output
    services = [
        subprocess.Popen(
            [sys.executable, "-c", SERVICE, str(tmp_path), str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for size in (30, 10)
    ]
    try:
        for each in services:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
            report = ""
            while not report.endswith("end\n"):
                line = each.stdout.readline()
                assert line, report
                report += line
            assert "workers under machine\n" in report
            assert all(f"{other.pid} " in report for other in services)
        first = services[0]
        shown = runner.invoke(cli, ["workers"]).output
        (group,) = json.loads(runner.invoke(cli, ["workers", "--json"]).output)[
            "groups"
        ]
        workers = {row["pid"]: row for row in group["workers"]}
        assert workers.keys() == {each.pid for each in services}
        assert workers[first.pid]["held"] == 30 << 20
        assert workers[first.pid]["share"] > 0.75
        assert "workers under machine" in shown
        assert f"{first.pid}" in shown
        for each in services:
            each.communicate("\n", timeout=300)
            assert each.returncode == 0
        assert not list(tmp_path.glob("shrinker-workers-*")), "the last one cleans up"
    finally:
        for each in services:
            each.kill()
            each.communicate()
