"""Ways from C into a shrinker's methods: the contract of all, and the command."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

pyperf = pytest.importorskip("pyperf", reason="the benchmarks measure with pyperf")
pytest.importorskip("click", reason="the command line needs click")
pytest.importorskip("rich", reason="the command line prints with rich")

import harness
import trampolines
from trampolines import RESULTS, SCANS, WAYS, attached, build, walk

from shrinker import CountObjects, ScanObjects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def built() -> Iterator[dict[str, str]]:
    """The ways that need a compiler, compiled."""
    with harness.built() as directory:
        reasons = build(directory)
        assert reasons == {}
        yield reasons


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> str:
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


def call_back(way: str, asked: Asked) -> int:
    """Make one pass with a batch of 10; return its callbacks but those that stopped."""
    with attached(way, asked, 10) as domain:
        walk(domain, 1)
        return asked.counts + domain.statistics().scan_calls


# --- the contract ----------------------------------------------------------------


@pytest.mark.parametrize("results", RESULTS)
def test_every_way_makes_the_same_calls(
    way: str, results: str, built: dict[str, str]
) -> None:
    """A count and eight scans a pass, of the benchmark's own caches."""
    cache, batch = RESULTS[results]
    with attached(way, cache(batch), batch, 2) as domain:
        assert walk(domain, 3) == 2 * 3 * SCANS * batch
        assert domain.statistics().scan_calls == 2 * 3 * SCANS


@pytest.mark.parametrize("scanned", [10, 4, 2**64 - 1])
def test_what_is_asked_and_told(way: str, scanned: int, built: dict[str, str]) -> None:
    """nr_to_scan is the batch, and nr_scanned counts as it was set."""
    seen: list[tuple[int, int]] = []

    def scan(sc: Any) -> int:
        seen.append((sc.nr_to_scan, sc.nr_scanned))
        sc.nr_scanned = scanned
        assert sc.nr_scanned == scanned
        return 1 if len(seen) < 5 else ScanObjects.STOP  # type: ignore[return-value]

    # 20 less 4 at a time is below 10 after three; less -1 it never is.
    assert call_back(way, Asked(scan)) == 1 + {10: 2, 4: 3}.get(scanned, 4)
    assert set(seen) == {(10, 10)}


@pytest.mark.parametrize(
    ("value", "error"),
    [(-1, ValueError), (2**64, ValueError), (True, TypeError), (1.5, TypeError)],
)
def test_nr_scanned_is_checked(
    way: str, value: Any, error: type[Exception], built: dict[str, str]
) -> None:
    """Setting anything but a number of 64 bits raises, and changes nothing."""
    raised = []

    def scan(sc: Any) -> int:
        try:
            sc.nr_scanned = value
        except error as caught:
            raised.append(caught)
        return int(sc.nr_scanned == 10)

    assert call_back(way, Asked(scan)) == 3
    assert len(raised) == 2


def test_nr_to_scan_is_read_only(way: str, built: dict[str, str]) -> None:
    """Setting nr_to_scan raises AttributeError."""

    def scan(sc: Any) -> int:
        with pytest.raises(AttributeError):
            sc.nr_to_scan = 1
        return 1

    assert call_back(way, Asked(scan)) == 3


def test_controls_expire(way: str, built: dict[str, str]) -> None:
    """After its call a control that was kept can be neither read nor set."""
    kept: list[Any] = []
    assert call_back(way, Asked(lambda sc: kept.append(sc) or 1)) == 3
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
    way: str,
    count: Any,
    scan: Any,
    calls: int,
    built: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Ints and results of the right kind count; others are 0 or STOP."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    assert call_back(way, Asked(lambda _sc: scan, count)) == calls


def test_exceptions_are_stop(
    way: str,
    built: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A scan that raises ends the pass."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)

    def scan(_sc: Any) -> int:
        raise OSError("lost")

    assert call_back(way, Asked(scan)) == 1


# --- lines and the command ----------------------------------------------------------


def test_lines_are_by_callback_and_beside_the_c_api(built: dict[str, str]) -> None:
    """Of each way with each kind of results; a callback in nine is a count."""
    lines = trampolines.benchmark().lines
    assert [line.name for line in lines] == [
        f"{way}: {results}" for results in RESULTS for way in WAYS
    ]
    for line in lines:
        way, _, results = line.name.partition(": ")
        expected = None if way == "C API" else f"C API: {results}"
        assert (line.against and line.against.name) == expected
        assert line.steps == 20 * 9
        with line.open() as run:
            assert run(1) > 0


def test_a_way_that_frees_too_little_is_not_measured(
    built: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be measured as fast."""
    monkeypatch.setitem(
        trampolines.RESULTS, "ints", (lambda _: Asked(lambda _: 1), 128)
    )
    with (
        pytest.raises(ValueError, match="ctypes, ints: 20 objects freed in a walk"),
        trampolines.opened("ctypes", "ints"),
    ):
        pass


def run(directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script as ``make bench-trampolines`` does, as briefly as it can.

    It finds nothing that tests have compiled.
    """
    paths = [path for path in sys.path if "shrinker-benchmarks" not in path]
    done = subprocess.run(
        [sys.executable, harness.HERE / "trampolines.py", "--fast", "--rounds=2",
         "--no-plot", "-o", "out.json"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


def test_the_script(tmp_path: Path) -> None:
    """All lines in the file, with a value a round, and on the screen."""
    done = run(tmp_path)
    suite = pyperf.BenchmarkSuite.load(str(tmp_path / "out.json"))
    assert suite.get_benchmark_names() == [
        f"{way}: {results}" for results in RESULTS for way in WAYS
    ]
    assert {benchmark.get_nvalue() for benchmark in suite} == {2}
    for way in WAYS:
        assert done.stdout.count(f"\n{way} ") == len(RESULTS)
    assert "could not be built" not in done.stderr


def test_the_script_without_a_compiler(tmp_path: Path) -> None:
    """What cannot be built is named with the reason; the others are measured."""
    done = run(tmp_path, CC="/bin/false")
    for way in ("C API", 'extern "Python"'):
        assert f"{way} could not be built: /bin/false: exit code 1" in done.stderr
    suite = pyperf.BenchmarkSuite.load(str(tmp_path / "out.json"))
    assert suite.get_benchmark_names() == [
        f"{way}: {results}"
        for results in RESULTS
        for way in ("shrinker", "ffi.callback", "ctypes")
    ]
    # Without the C API there is nothing to compare with.
    assert "x " not in done.stdout.partition("result objects")[2].partition("A call")[0]
