"""What /proc/meminfo says of the machine's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shrinker.pressure import Memory, Reclaimer

if TYPE_CHECKING:
    from pathlib import Path

    from shrinker import Domain


@pytest.mark.parametrize(
    "total", ["99999999999999999999", str(2**53), "9" * 4000, str(2**64)]
)
def test_absurd_totals(domain: Domain, tmp_path: Path, total: str) -> None:
    """A total that no machine can have is ignored, as any other garbage is."""
    (tmp_path / "proc/self").mkdir(parents=True)
    for name in ("cgroup", "mountinfo"):
        (tmp_path / "proc/self" / name).write_text("")
    meminfo = tmp_path / "proc/meminfo"
    meminfo.write_text(f"MemTotal: {total} kB\nMemFree: 1 kB\n")
    with Memory(root=tmp_path) as memory:
        (level,) = memory.levels()
        assert level.limit == Memory().levels()[-1].limit
        Reclaimer(domain, memory=memory, source=None).look()
