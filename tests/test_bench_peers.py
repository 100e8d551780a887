"""``shrinker bench --peers``: what the peers keep, measure and say."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line needs rich")
pyperf = pytest.importorskip("pyperf", reason="shrinker bench needs pyperf")
pytest.importorskip("setuptools", reason="peers are built with setuptools")

from click.testing import CliRunner

from shrinker import CountObjects, ScanObjects
from shrinker.bench.peers.build import build
from shrinker.bench.peers.points import ROWS, SCANS, Peer, PeerRow, Results
from shrinker.bench.peers.results import peers_result
from shrinker.bench.peers.table import print_peers_result
from shrinker.bench.peers.ways import Attached
from shrinker.bench.peers.workloads import cache
from shrinker.cli import cli
from shrinker.trace.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the peers that need a compiler are."""
    directory: Path = tmp_path_factory.mktemp("peers")
    assert build(directory) == {}
    return directory


@pytest.fixture(params=list(Peer))
def peer(request: pytest.FixtureRequest) -> Peer:
    """Each of them."""
    return request.param  # type: ignore[no-any-return]


class Asked:
    """Counts 20, and scans as it is told."""

    def __init__(self, scan: Callable[[Any], Any], count: Any = 20) -> None:
        self.scan_objects = scan
        self.count = count
        self.counts = 0

    def count_objects(self, _sc: Any) -> Any:
        self.counts += 1
        return self.count


def call_back(peer: Peer, asked: Asked, built: Path) -> int:
    """Make one pass with a batch of 10; return its callbacks but those that stopped."""
    attached = Attached(peer, asked, 10, built)
    try:
        attached.walk(1)
        return asked.counts + attached.scan_calls()
    finally:
        attached.close()


# --- the contract ----------------------------------------------------------------


@pytest.mark.parametrize("results", list(Results))
def test_every_way_makes_the_same_calls(
    peer: Peer, results: Results, built: Path
) -> None:
    """A count and eight scans a pass, of the benchmark's own caches."""
    attached = Attached(peer, cache(results), results.batch, built, 2)
    assert attached.walk(3) == 2 * 3 * SCANS * results.batch
    assert attached.scan_calls() == 2 * 3 * SCANS
    attached.close()


@pytest.mark.parametrize("scanned", [10, 4, 2**64 - 1])
def test_what_is_asked_and_told(peer: Peer, scanned: int, built: Path) -> None:
    """nr_to_scan is the batch, and nr_scanned counts as it was set."""
    seen: list[tuple[int, int]] = []

    def scan(sc: Any) -> int:
        seen.append((sc.nr_to_scan, sc.nr_scanned))
        sc.nr_scanned = scanned
        assert sc.nr_scanned == scanned
        return 1 if len(seen) < 5 else ScanObjects.STOP  # type: ignore[return-value]

    # 20 less 4 at a time is below 10 after three; less -1 it never is.
    assert call_back(peer, Asked(scan), built) == 1 + {10: 2, 4: 3}.get(scanned, 4)
    assert set(seen) == {(10, 10)}


@pytest.mark.parametrize(
    ("value", "error"),
    [(-1, ValueError), (2**64, ValueError), (True, TypeError), (1.5, TypeError)],
)
def test_nr_scanned_is_checked(
    peer: Peer, value: Any, error: type[Exception], built: Path
) -> None:
    """Setting anything but a number of 64 bits raises, and changes nothing."""
    raised = []

    def scan(sc: Any) -> int:
        try:
            sc.nr_scanned = value
        except error as caught:
            raised.append(caught)
        return int(sc.nr_scanned == 10)

    assert call_back(peer, Asked(scan), built) == 3
    assert len(raised) == 2


def test_nr_to_scan_is_read_only(peer: Peer, built: Path) -> None:
    """Setting nr_to_scan raises AttributeError."""

    def scan(sc: Any) -> int:
        with pytest.raises(AttributeError):
            sc.nr_to_scan = 1
        return 1

    assert call_back(peer, Asked(scan), built) == 3


def test_controls_expire(peer: Peer, built: Path) -> None:
    """After its call a control that was kept can be neither read nor set."""
    kept: list[Any] = []
    assert call_back(peer, Asked(lambda sc: kept.append(sc) or 1), built) == 3
    for control in kept:
        with pytest.raises(Exception):  # noqa: B017, PT011 - each its own
            _ = control.nr_to_scan
        with pytest.raises(Exception):  # noqa: B017, PT011
            control.nr_scanned = 1


@pytest.mark.parametrize(
    ("count", "scan", "calls"),
    [
        (20, ScanObjects.from_count(9), 3),
        (CountObjects.new(20), 2**63, 3),
        (CountObjects.EMPTY, 1, 1),
        (20, ScanObjects.STOP, 1),
        (20, CountObjects.new(1), 1),
        (20, -1, 1),
        (20, True, 1),
        (20, None, 1),
        (ScanObjects.STOP, 1, 1),
        (None, 1, 1),
    ],
)
def test_results(
    peer: Peer,
    count: Any,
    scan: Any,
    calls: int,
    built: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Ints and results of the right kind count; others are 0 or STOP."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    assert call_back(peer, Asked(lambda _sc: scan, count), built) == calls


def test_exceptions_are_stop(
    peer: Peer,
    built: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A scan that raises ends the pass."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)

    def scan(_sc: Any) -> int:
        raise OSError("lost")

    assert call_back(peer, Asked(scan), built) == 1


# --- results ---------------------------------------------------------------------


def suite(seconds: dict[PeerRow, list[float]]) -> Any:
    """A result with these values by round."""
    return pyperf.BenchmarkSuite(
        [
            pyperf.Benchmark(
                [
                    pyperf.Run(
                        [value],
                        metadata={"name": row.name, "round": number},
                        collect_metadata=False,
                    )
                    for number, value in enumerate(values)
                ]
            )
            for row, values in seconds.items()
        ]
    )


INTS = {
    PeerRow(Peer.C_API, Results.INTS): [1e-7, 2e-7, 1e-7],
    PeerRow(Peer.SHRINKER, Results.INTS): [2e-7, 4e-7, 3e-7],
    PeerRow(Peer.CTYPES, Results.INTS): [3e-7, 6e-7, 6e-7],
}


def test_ratios_are_of_the_same_round() -> None:
    """A round in which the machine was slow does not show in ratios."""
    ints = peers_result(suite(INTS))[list(Results).index(Results.INTS)]
    c_api, ours, ctypes = ints.costs
    assert (c_api.vs_c_api, ours.faster) == (None, None)
    assert ours.vs_c_api is not None
    assert ours.vs_c_api.median == pytest.approx(2)
    assert ctypes.faster is not None
    assert ctypes.faster.median == pytest.approx(1.5)
    assert ours.time.median == pytest.approx(300)


def test_goals() -> None:
    """Ours at most 2.5 C API; the others 1.8 times ours, or it is missed."""
    c_api, ours, ctypes = peers_result(suite(INTS))[2].costs
    assert c_api.goal is None
    assert ours.goal == ("at most 2.5x", True)
    assert ctypes.goal == ("at least 1.8x", False)


def test_without_the_c_api_there_is_no_ratio_to_it() -> None:
    """A peer that was not built takes its ratios with it, and no more."""
    seconds = {row: v for row, v in INTS.items() if row.peer is not Peer.C_API}
    ours, ctypes = peers_result(suite(seconds))[2].costs
    assert ours.vs_c_api is None
    assert ours.goal is None
    assert ctypes.faster is not None


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    """80 columns; goals beside the rows; a peer that was not built has a row."""
    unbuilt = {Peer.EXTERN: "no compiler [here]"}
    print_peers_result(Terminal(), peers_result(suite(INTS)), unbuilt)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    ints = text[text.index("returning ints") :].splitlines()
    rows = {line.split("  ")[0].strip(): line for line in ints if line.strip()}
    assert "at most 2.5x: met" in rows["shrinker"]
    assert "at least 1.8x: missed" in rows["ctypes"]
    assert "not built" in rows['extern "Python"']
    assert 'extern "Python" could not be built: no compiler [here]' in text


# --- the command -----------------------------------------------------------------


def test_the_command(tmp_path: Path) -> None:
    """All rows in the file, the goals on the screen."""
    output = tmp_path / "out.json"
    args = ["bench", "--peers", "--fast", "--rounds", "2", "--no-plot"]
    result = CliRunner().invoke(cli, [*args, "-o", str(output)])
    assert result.exit_code == 0, result.output
    found = json.loads(output.read_text())["benchmarks"]
    names = [
        benchmark.get("metadata", {}).get("name") or benchmark["runs"][0]["metadata"]
        for benchmark in found
    ]
    assert names == [row.name for row in ROWS]
    assert result.output.count("at most 2.5x") == len(Results)
    assert "not built" not in result.output


def test_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be built is named with the reason; the others are measured."""
    monkeypatch.setenv("CC", "/bin/false")
    output = tmp_path / "out.json"
    args = ["bench", "--peers", "--fast", "--rounds", "2", "--no-plot"]
    result = CliRunner().invoke(cli, [*args, "-o", str(output)])
    assert result.exit_code == 0, result.output
    assert "C API could not be built: " in result.output
    assert 'extern "Python" could not be built: ' in result.output
    assert "/bin/false" in result.output
    names = set(pyperf.BenchmarkSuite.load(str(output)).get_benchmark_names())
    assert names == {
        row.name for row in ROWS if row.peer not in (Peer.C_API, Peer.EXTERN)
    }


def test_plot(tmp_path: Path) -> None:
    """A PNG and an SVG, with and without the C API."""
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    from shrinker.bench.peers.plot import save_peers_plots  # noqa: PLC0415

    some = {row: v for row, v in INTS.items() if row.peer is not Peer.C_API}
    for seconds in (INTS, some):
        found = [one for one in peers_result(suite(seconds)) if one.costs]
        paths = save_peers_plots(found, tmp_path / "plot", "here & now")
        assert [path.suffix for path in paths] == [".png", ".svg"]
        assert "ctypes" in paths[1].read_text() or paths[1].stat().st_size > 5000


@pytest.mark.parametrize("args", [["--scenario", "memcg"], ["--recording", "x"]])
def test_options_of_other_scenarios_are_refused(
    args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is built or measured."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_text("")
    result = CliRunner().invoke(cli, ["bench", "--peers", *args])
    assert result.exit_code == 2
    assert "--scenario" in result.output
