"""benchmarks/policies.py: the models of policies, on examples worked by hand."""

from __future__ import annotations

import gzip
import itertools
import lzma
import struct
import sys
from typing import TYPE_CHECKING

import policies
import pytest

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = [
    # 3 takes the place of 2, which was used longest ago; 2 that of 3.
    ("LRU", 2, [1, 2, 1, 3, 1, 2], "..h.h."),
    ("cache", 2, [1, 2, 1, 3, 1, 2], "..h.h."),
    # 3 passes over 1 and 2, which were used, and takes the place of 1; 4 that of 2.
    ("clock", 2, [1, 2, 2, 1, 3, 4, 2], "..hh..."),
    # 4 passes over 1, which was used, and takes the place of 2; 2 that of 3; 3 of 4.
    ("SIEVE", 3, [1, 2, 3, 1, 4, 1, 2, 3, 1], "...h.h..h"),
    # The hand clears 1 and 2, begins again, and 3 takes the place of 1; 1 that of 3.
    ("SIEVE", 2, [1, 2, 1, 2, 3, 2, 1, 2], "..hh.h.h"),
    # The small queue has one place.  1 and 4 leave it, and come back as ghosts; 6 is
    # used twice there.  1, used in the main queue, is passed over for 4.
    (
        "S3-FIFO",
        3,
        [1, 2, 3, 4, 1, 4, 5, 1, 6, 6, 6, 7, 6, 1, 4],
        ".......h.hh.hh.",
    ),
    # The window has one place, each segment one.  4 is admitted for 2 when it was asked
    # for twice; 3, 5 and 6 are not.
    ("W-TinyLFU", 3, [1, 2, 3, 1, 4, 5, 4, 6, 4, 2, 1], "...h....h.h"),
    # 3 is asked for last, so it is not kept.
    ("best", 2, [1, 2, 3, 1, 2, 3], "...hh."),
]


@pytest.mark.parametrize(("policy", "size", "keys", "expected"), EXAMPLES)
def test_examples(policy: str, size: int, keys: list[int], expected: str) -> None:
    """Each request hits or misses as it should."""
    hits = [policies.POLICIES[policy](keys[:n], size) for n in range(len(keys) + 1)]
    if policy == "best":  # It must see all requests.
        assert hits[-1] == expected.count("h")
        return
    gained = [after - before for before, after in itertools.pairwise(hits)]
    assert "".join(".h"[n] for n in gained) == expected


def test_counts_are_halved() -> None:
    """After ten times the size, so that what was popular once does not stay so."""
    counts = policies.Counts(2)
    for key in [1] * 18 + [2]:
        counts.add(key)
    assert counts == {1: 15, 2: 1}
    counts.add(3)
    assert counts == {1: 7}
    for _ in range(20):
        counts.add(4)
    assert counts == {1: 3, 4: 7}


def test_the_best_is_the_best() -> None:
    """No policy has more hits on generated requests; each size helps each policy."""
    keys = list(policies.zipf(4_000, scans=True))
    assert len(keys) == 6_000
    assert keys == list(policies.zipf(4_000, scans=True))
    for size in (1, 2, 40, 400):
        hits = {name: hits(keys, size) for name, hits in policies.POLICIES.items()}
        assert max(hits.values()) == hits["best"]
        assert min(hits.values()) > 0
    everything = len(keys) - len(set(keys))
    assert {hits(keys, len(keys)) for hits in policies.POLICIES.values()} == {
        everything
    }


def test_formats(tmp_path: Path) -> None:
    """The name says what a record is; marks and a record cut off do not count."""
    files = {
        "lirs_x.trace.gz": gzip.compress(b"1\r\n*\n\n2\n3\n"),
        "address_x.gz": gzip.compress(b"s 0x1 8\nl 0x2 8\nl 0x3 8\n"),
        "adapt_size_x": b"10 1 500\n20 2 500\n30 3 500\n",
        "cache2k_x.xz": lzma.compress(struct.pack("3Ib", 1, 2, 3, 4)),
        "corda_x": struct.pack("3Qb", 1, 2, 3, 4),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        assert policies.read(tmp_path / name, 9) == [1, 2, 3], name
        assert policies.read(tmp_path / name, 2) == [1, 2], name
    (tmp_path / "README").write_text("1\n")
    assert policies.read(tmp_path / "README", 9) is None


def test_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints a table for each size, and draws a picture."""
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    (tmp_path / "lirs_small.trace").write_text("1\n2\n1\n2\n" * 10)
    (tmp_path / "notes").write_text("no trace\n")
    plot = tmp_path / "plot.svg"
    arguments = [str(tmp_path), "--requests", "200", "--plot", str(plot)]
    monkeypatch.setattr(sys, "argv", ["policies.py", *arguments])
    policies.main()
    out, err = capsys.readouterr()
    assert out.count("lirs_small ") == out.count("zipf, with scans ") == 3
    assert "notes: not a trace with a known name" in err
    assert "lirs_small" in plot.read_text()
