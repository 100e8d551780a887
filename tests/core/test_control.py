"""ShrinkControl inside and after its callback."""

from __future__ import annotations

from typing import Any

import pytest
from tests_support import Cache, Scripted, register

from shrinker import GFP, Domain, ShrinkControl, ShrinkerError

FIELDS = (
    "nr_to_scan",
    "nr_scanned",
    "nid",
    "memcg",
    "gfp_mask",
    "reclaim_fs_allowed",
    "reclaim_io_allowed",
)


@pytest.mark.parametrize("memcg", [False, True])
def test_fields(memcg: bool) -> None:
    """A callback sees the walk's node, gfp mask and memory cgroup (the root in a
    walk over everything), and the batch that it is asked for."""
    seen: list[tuple[Any, ...]] = []

    def look(sc: ShrinkControl) -> int:
        seen.append(tuple(getattr(sc, field) for field in FIELDS))
        return 300 if sc.nr_to_scan == 0 else sc.nr_to_scan

    with Domain(nr_nodes=3, memcg=memcg) as domain:
        registration = register(domain, Scripted(look, look), batch=200)
        domain.shrink_slab(nid=2, gfp_mask=GFP.NOFS, priority=1)
        registration.close()
    assert seen == [
        (0, 0, 2, domain.root, GFP.NOFS, False, True),
        (200, 200, 2, domain.root, GFP.NOFS, False, True),
    ]


@pytest.mark.parametrize(
    ("mask", "fs", "io"),
    [(GFP.KERNEL, True, True), (GFP.NOFS, False, True), (GFP.NOIO, False, False)],
)
def test_what_is_allowed(domain: Domain, mask: GFP, fs: bool, io: bool) -> None:
    """reclaim_fs_allowed and reclaim_io_allowed are __GFP_FS and __GFP_IO."""
    seen = []

    def count(sc: ShrinkControl) -> int:
        seen.append((sc.reclaim_fs_allowed, sc.reclaim_io_allowed))
        return 0

    with register(domain, Scripted(count)):
        domain.shrink_slab(gfp_mask=mask)
    assert seen == [(fs, io)]


@pytest.mark.filterwarnings("ignore:.*stall limit:RuntimeWarning")
@pytest.mark.parametrize("nr_scanned", [1, 1000, 2**64 - 1])
def test_nr_scanned_is_not_clamped(domain: Domain, nr_scanned: int) -> None:
    """What the callback writes to nr_scanned counts, also beyond nr_to_scan."""

    def scan(sc: ShrinkControl) -> int:
        sc.nr_scanned = nr_scanned
        assert sc.nr_scanned == nr_scanned
        return 1

    with register(domain, Scripted(lambda sc: 100, scan)) as registration:
        domain.shrink_slab(priority=0)
        scans = registration.statistics()
        assert scans.scanned == nr_scanned * scans.scan_calls % 2**64


def test_nr_scanned_set_before_raising_does_not_count(domain: Domain) -> None:
    """A scan that raises is STOP: nothing of it is accounted."""

    def scan(sc: ShrinkControl) -> int:
        sc.nr_scanned = 7
        raise OSError

    with register(domain, Scripted(lambda sc: 100, scan)) as registration:
        with pytest.raises(BaseExceptionGroup):
            domain.shrink_slab(priority=0)
        assert registration.statistics().scanned == 0
        assert registration.nr_deferred() == 200


@pytest.mark.parametrize("value", [-1, 2**64])
def test_nr_scanned_range(domain: Domain, value: int) -> None:
    """nr_scanned outside 64 bits is a ValueError and changes nothing."""

    def scan(sc: ShrinkControl) -> int:
        with pytest.raises(ValueError, match="nr_scanned"):
            sc.nr_scanned = value
        assert sc.nr_scanned == sc.nr_to_scan
        return 0

    with register(domain, Scripted(scan=scan)) as registration:
        domain.shrink_slab(priority=0)
        assert registration.statistics().scanned == 128


@pytest.mark.parametrize("value", [True, 1.5, None])
def test_nr_scanned_type(domain: Domain, value: object) -> None:
    """nr_scanned takes ints only."""

    def scan(sc: ShrinkControl) -> int:
        with pytest.raises(TypeError, match="nr_scanned"):
            sc.nr_scanned = value  # type: ignore[assignment]
        return 0

    with register(domain, Scripted(scan=scan)):
        domain.shrink_slab(priority=0)


def test_read_only(domain: Domain) -> None:
    """nr_to_scan and the rest cannot be set."""

    def scan(sc: ShrinkControl) -> int:
        for field in set(FIELDS) - {"nr_scanned"}:
            with pytest.raises(AttributeError):
                setattr(sc, field, 1)
        with pytest.raises(AttributeError):
            sc.other = 1  # type: ignore[attr-defined]
        return 0

    with register(domain, Scripted(scan=scan)):
        domain.shrink_slab(priority=0)


def test_expires(domain: Domain) -> None:
    """After its callback every use raises, also after other callbacks have run."""
    kept: list[ShrinkControl] = []

    def keep(sc: ShrinkControl) -> int:
        kept.append(sc)
        return 300

    with register(domain, Scripted(keep, keep)), register(domain, Cache(1000)):
        for _ in range(3):
            domain.shrink_slab(priority=0)
            for sc in kept:
                for field in FIELDS:
                    with pytest.raises(ShrinkerError, match="callback is over"):
                        getattr(sc, field)
                with pytest.raises(ShrinkerError, match="callback is over"):
                    sc.nr_scanned = 1
                assert "expired" in repr(sc)
    assert len({id(sc) for sc in kept}) == len(kept) >= 6


def test_expires_within_a_pass(domain: Domain) -> None:
    """A control that a scan call kept has expired in the next call of the same pass.
    That call has another control, and the pass goes on."""
    kept: list[ShrinkControl] = []
    asked: list[int] = []

    def scan(sc: ShrinkControl) -> int:
        for old in kept:
            with pytest.raises(ShrinkerError, match="callback is over"):
                _ = old.nr_to_scan
        asked.append(sc.nr_to_scan)
        assert sc.memcg is domain.root
        assert sc.gfp_mask is GFP.NOFS
        if len(asked) % 3:
            kept.append(sc)
        return 1

    with register(domain, Scripted(lambda sc: 1000, scan)) as registration:
        assert domain.shrink_slab(priority=0, gfp_mask=GFP.NOFS) == 15
        assert asked == [128] * 15
        assert len({id(sc) for sc in kept}) == len(kept) == 10
        assert registration.nr_deferred() == 2000 - 15 * 128


def test_expires_after_an_exception(domain: Domain) -> None:
    """A control that a traceback refers to is not used again."""

    def scan(sc: ShrinkControl) -> int:
        raise OSError

    with register(domain, Scripted(scan=scan)), register(domain, Cache(1000)):
        with pytest.raises(BaseExceptionGroup) as caught:
            domain.shrink_slab(priority=0)
        traceback = caught.value.exceptions[0].__traceback__
        while traceback.tb_next:
            traceback = traceback.tb_next
        control = traceback.tb_frame.f_locals["sc"]
        with pytest.raises(BaseExceptionGroup):
            domain.shrink_slab(priority=0)
        with pytest.raises(ShrinkerError):
            _ = control.nid


def test_not_kept_is_used_again(domain: Domain) -> None:
    """A control that no callback kept serves later callbacks."""
    seen = set()

    def look(sc: ShrinkControl) -> int:
        seen.add(id(sc))
        return 300

    with register(domain, Scripted(look, look)):
        for _ in range(20):
            domain.shrink_slab(priority=0)
    assert len(seen) == 1


def test_cannot_be_made() -> None:
    """Only walks make controls."""
    with pytest.raises(TypeError, match="walks"):
        ShrinkControl()


def test_repr(domain: Domain) -> None:
    """A valid control shows its numbers."""
    seen = []

    def scan(sc: ShrinkControl) -> int:
        seen.append(repr(sc))
        return sc.nr_to_scan

    with register(domain, Scripted(lambda sc: 64, scan)):
        domain.shrink_slab(priority=0, gfp_mask=GFP.KERNEL)
    assert seen[0].startswith("<ShrinkControl nr_to_scan=128 nr_scanned=128 nid=0")
