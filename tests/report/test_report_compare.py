"""``compare``: what changed between recordings, beyond the noise."""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING

import pytest

np = pytest.importorskip("numpy", reason="the report needs numpy")

from replay_support import DROP_CACHES, NUMA_KSWAPD, TRACES
from report_support import Writer

from shrinker.report import Comparison, Report, compare
from shrinker.report.compare import _mann_whitney

if TYPE_CHECKING:
    from pathlib import Path


def recording(
    directory: Path,
    seed: int,
    *,
    slower: float = 1,
    share: float = 0.8,
    gap_us: int = 20_000,
    pointer: int = 0x1000,
) -> Path:
    """Write 600 passes with noise in every figure."""
    writer = Writer()
    noise = random.Random(seed)  # noqa: S311 - not for secrets
    for _ in range(600):
        scanned = noise.choice((0, 128, 256))
        writer.add(
            pointer=pointer,
            count=5000,
            asked=scanned,
            scanned=scanned,
            freed=round(scanned * noise.uniform(share - 0.1, share + 0.1)),
            took_us=round((20 + scanned) * slower * noise.uniform(0.5, 1.5)),
            gap_us=round(gap_us * noise.uniform(0.5, 1.5)),
        )
    return writer.write(directory, f"{seed}.txt")


def compared(old: Path, *new: Path) -> Comparison:
    return compare(Report.read([old]), Report.read(new))


def figures(comparison: Comparison) -> set[str]:
    return {change.figure for change in comparison.changes}


def test_noise_is_no_change(tmp_path: Path) -> None:
    """Recordings of the same load differ in every value, and in no figure."""
    for seed in range(0, 20, 2):
        comparison = compared(
            recording(tmp_path, seed), recording(tmp_path, seed + 1, pointer=0x2000)
        )
        assert comparison.changes == comparison.mean_changes == ()
        assert comparison.tested == 7
        assert comparison.only_old == comparison.only_new == ()


def test_slower_passes(tmp_path: Path) -> None:
    """Passes that take three times as long are found, as times and not as yields."""
    comparison = compared(recording(tmp_path, 1), recording(tmp_path, 2, slower=3))
    assert figures(comparison) == {
        "µs of an idle pass",
        "µs per object scanned",
        "ns inside/s",
    }
    for change in comparison.changes:
        assert 2 < change.new / change.old < 4
        assert change.larger > 0.9
        assert change.p < 0.001


def test_lower_yield(tmp_path: Path) -> None:
    """A yield that falls is found, and the direction is said; means are of totals."""
    old, new = recording(tmp_path, 1), recording(tmp_path, 2, share=0.5)
    comparison = compared(old, new)
    assert "freed per scanned" in figures(comparison)
    assert all(change.larger < 0.1 for change in comparison.changes)
    (found,) = (c for c in comparison.changes if c.figure == "freed per scanned")
    totals = [row.freed_per_scanned for row in Report.read([old, new]).shrinkers]
    assert [found.old_mean, found.new_mean] == pytest.approx(totals, rel=1e-12)


def test_more_passes(tmp_path: Path) -> None:
    """Reclaim that comes twice as often changes all rates, and no time of a pass."""
    comparison = compared(recording(tmp_path, 1), recording(tmp_path, 2, gap_us=8000))
    assert figures(comparison) == {"passes/s", "scanned/s", "freed/s", "ns inside/s"}


def burst(directory: Path, name: str, *, spread: int, scanned: int) -> Path:
    """Write 400 idle passes in 400 ms; the last ``spread`` of them scan."""
    writer = Writer()
    for n in range(400):
        some = scanned if n >= 400 - spread else 0
        writer.add(
            count=10**6, asked=some, scanned=some, freed=some, took_us=10, gap_us=990
        )
    return writer.write(directory, name)


def test_a_burst_is_in_the_means(tmp_path: Path) -> None:
    """A median of empty slices falls to 0 where more is scanned in all: both are told.

    Half of the old slices scan 1,000 objects in each pass, one of 20 of the new ones
    50,000: five times as many in all.
    """
    old = burst(tmp_path, "old.txt", spread=300, scanned=1000)
    new = burst(tmp_path, "new.txt", spread=20, scanned=75_000)
    changes = {change.figure: change for change in compared(old, new).changes}
    scanned = changes["scanned/s"]
    assert scanned.new == 0 < scanned.old
    assert scanned.larger < 0.3
    assert scanned.new_mean == pytest.approx(5 * scanned.old_mean)
    assert scanned.old_mean == pytest.approx(300_000 / 0.4, rel=0.01)
    assert scanned.comes_in_bursts


def test_means_alone(tmp_path: Path) -> None:
    """One burst that became ten times as large changes no rank, and is told apart."""
    old = burst(tmp_path, "old.txt", spread=5, scanned=1000)
    new = burst(tmp_path, "new.txt", spread=5, scanned=10_000)
    comparison = compared(old, new)
    assert comparison.changes == ()
    means = {change.figure: change for change in comparison.mean_changes}
    assert set(means) == {"scanned/s", "freed/s", "µs per object scanned"}
    for figure in ("scanned/s", "freed/s"):
        assert means[figure].new == pytest.approx(10 * means[figure].old)
    assert means["µs per object scanned"].new == pytest.approx(0.001)
    assert comparison.to_json()["mean_changes"][0]["shrinker"] == "fake_scan"


def test_several_recordings_are_one_side(tmp_path: Path) -> None:
    """Values of all recordings of a side count."""
    new = [recording(tmp_path, seed, slower=3) for seed in (2, 3)]
    assert "µs per object scanned" in figures(compared(recording(tmp_path, 1), *new))


def test_findings_and_shrinkers(tmp_path: Path) -> None:
    """Findings that are new or gone are told, and shrinkers that one side has."""
    old, new = Writer(), Writer()
    for n in range(10):
        old.add("a", 1, took_us=5)
        new.add("a", 2, took_us=200_000 if n == 5 else 5)
    old.add("b")
    new.add("c", took_us=200_000)
    paths = old.write(tmp_path, "old.txt"), new.write(tmp_path, "new.txt")
    comparison = compared(*paths)
    assert [(f.kind, f.shrinker) for f in comparison.new_findings] == [
        ("long-pass", "a"),
        ("long-pass", "c"),
    ]
    assert (comparison.only_old, comparison.only_new) == (("b",), ("c",))
    back = compared(*paths[::-1])
    assert back.gone_findings == comparison.new_findings
    assert back.new_findings == ()


@pytest.mark.parametrize("path", [DROP_CACHES, NUMA_KSWAPD, TRACES / "memcg.txt.xz"])
def test_a_recording_does_not_differ_from_itself(path: Path) -> None:
    """No figure and no finding."""
    comparison = compared(path, path)
    assert comparison.changes == comparison.new_findings == ()
    assert comparison.gone_findings == ()


def test_rank_test_against_known_values() -> None:
    """Ranks, ties and the correction for continuity are as in textbooks."""
    # All of 5 above all of 5: U = 25, sigma**2 = 25 * 11 / 12.
    p, larger = _mann_whitney(np.arange(5), np.arange(10, 15))
    assert larger == 1
    assert p == pytest.approx(0.0121857, rel=1e-4)
    p, larger = _mann_whitney(np.array([1, 2, 2, 3]), np.array([2, 2, 4, 4]))
    assert larger == (3 * 0 + 2 * (1 + 0.5 * 2) + 2 * 4) / 16
    # U = 12, sigma**2 = 16 / 12 * (9 - (60 + 6) / 56): z = 3.5 / 3.22933.
    assert p == pytest.approx(0.278446, rel=1e-4)
    assert _mann_whitney(np.ones(9), np.ones(9)) == (1, 0.5)


def test_shares_are_checked(tmp_path: Path) -> None:
    """A chance or a share of pairs outside 0 to 1 is refused."""
    report = Report.read([DROP_CACHES])
    for wrong in ({"chance": 2}, {"larger": -0.1}):
        with pytest.raises(ValueError, match="0 to 1"):
            compare(report, report, **wrong)


def test_recordings_without_times(tmp_path: Path) -> None:
    """They have no rates, so there is nothing to test."""
    path = tmp_path / "bare.txt"
    writer = Writer()
    writer.add()
    path.write_text(
        "".join(f"mm_{line.partition('mm_')[2]}\n" for line in writer.lines)
    )
    assert compared(path, path).tested == 0


def test_command(tmp_path: Path) -> None:
    """OLD -- NEW as text within 80 columns and as JSON; other formats are refused."""
    pytest.importorskip("click", reason="the command line needs click")
    pytest.importorskip("rich", reason="the command line prints with rich")
    from cli_support import run  # noqa: PLC0415 - only here

    old, new = recording(tmp_path, 1), recording(tmp_path, 2, slower=3)
    text = run("report", old, "--", new)
    assert text.returncode == 0
    assert "3 of 7 figures changed beyond the noise." in text.stdout
    assert max(map(len, text.stdout.splitlines())) <= 80
    means = run("report", old, "--", recording(tmp_path, 4, gap_us=200_000))
    assert "mean: over all of them, so with the burst" in " ".join(means.stdout.split())
    bursts = [
        burst(tmp_path, "b0.txt", spread=5, scanned=1000),
        burst(tmp_path, "b1.txt", spread=5, scanned=90_000),
        burst(tmp_path, "b2.txt", spread=300, scanned=1000),
    ]
    alone = run("report", bursts[0], "--", bursts[1]).stdout
    assert "Only the mean doubled or halved" in alone
    assert re.search(r"scanned/s +12\.5k +1\.13M\n", alone)
    assert "median and mean went" in run("report", bursts[2], "--", bursts[1]).stdout
    same = run("report", old, "--", old)
    assert "0 of 7 figures changed" in same.stdout
    result = json.loads(run("report", "--json", old, "--", new).stdout)
    assert (len(result["changes"]), result["tested"]) == (3, 7)
    assert run("report", "--csv", old, "--", new).returncode == 2
    assert run("report", old, "--").returncode == 2
    assert run("report", old, "--", tmp_path / "missing").returncode == 1
