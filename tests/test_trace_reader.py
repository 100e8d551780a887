"""Reading recorded events: the forms of a line, of a file, and damage."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import re
import sys
from pathlib import Path

import pytest

from shrinker.events import ShrinkSlabEnd, ShrinkSlabStart
from shrinker.gfp import GFP
from shrinker.trace import (
    READ_ERRORS,
    TraceReader,
    bundled_recording,
    read_events,
    replay_file,
)

TRACES = Path(__file__).parent / "data" / "traces"
HEADER = "            sh-2292    [001] .....   338.056654: "
START = ShrinkSlabStart(
    scan_function="super_cache_scan+0x0/0x210",
    pointer=0xBAE2D7FC,
    nid=1,
    nr=44,
    gfp_mask=GFP.NOFS | GFP.HIGHMEM,
    freeable=90345,
    delta=(1 << 64) - 3,
    total_scan=47,
    priority=12,
)
END = ShrinkSlabEnd(
    scan_function="tests.x.<locals>.Cache.scan_objects",
    pointer=0xFFFF88810004A300,
    nid=0,
    nr=-1,
    new_nr=88,
    total_scan=-5,
    retval=-1,
)


def lines() -> list[str]:
    with lzma.open(TRACES / "drop_caches.txt.xz", "rt") as file:
        return file.readlines()


def test_events_read_back() -> None:
    """What str() of an event writes is read as the same event, bare or named."""
    for event in (START, END):
        assert list(read_events([str(event)])) == [event]
        assert list(read_events([f"{HEADER}{event.name}: {event}"])) == [event]
        assert list(read_events([f"{event.name}: {event}\n".encode()])) == [event]


def test_events_of_newer_kernels_read_back() -> None:
    """The task and memory cgroup that newer kernels print survive a round trip."""
    event = ShrinkSlabEnd("f", 1, 0, 0, 0, 0, 0, pid=7, memcg_id=9)
    assert str(event).startswith("f 0000000000000001: nid: 0 pid: 7 memcg_id: 9 unused")
    assert list(read_events([str(event)])) == [event]


def test_record_has_the_header() -> None:
    """Task, processor and time are those of the line; None where it has none."""
    named = f"{START.name}: {START}"
    first, second = TraceReader([HEADER + named, named])
    assert (first.comm, first.pid, first.cpu) == ("sh", 2292, 1)
    assert first.time == 338_056_654_000
    assert (second.comm, second.pid, second.cpu, second.time) == ("", None, None, None)
    assert (first.line, second.line) == (1, 2)


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("drop_caches.txt.xz", 142),
        ("perf_script.txt.xz", 120),
        ("kswapd.txt.xz", 11900),
        ("memcg.txt.xz", 20000),
        ("hard/numa_drop_caches_6.12.txt.xz", 304),
        ("hard/numa_kswapd_6.1.txt.xz", 39888),
        ("hard/numa_memcg_6.12.txt.xz", 62518),
    ],
)
def test_every_line_of_real_recordings_is_read(name: str, events: int) -> None:
    """No line of a real recording is malformed, unknown or passed over."""
    reader = TraceReader(TRACES / name)
    assert sum(1 for _ in reader) == events
    counts = reader.counts
    assert counts.starts == counts.ends == events // 2
    assert counts.malformed_lines == counts.unknown_lines == counts.other_events == 0


@pytest.mark.parametrize("name", ["kswapd.txt.xz", "hard/numa_kswapd_6.1.txt.xz"])
def test_text_of_real_events_is_reproduced(name: str) -> None:
    """str() of what was read is the kernel's text, letter for letter.

    But for the order of flags: an older kernel numbers them in another way.
    """
    with lzma.open(TRACES / name, "rt") as file:
        payloads = [line.split(": ", 2)[2].rstrip() for line in file if line[0] != "#"]

    def plain(payload: str) -> str:
        before, flags, after = payload.partition(" gfp_flags ")
        names, _, rest = after.partition(" ")
        return f"{before}{flags}{'|'.join(sorted(names.split('|')))} {rest}"

    events = [plain(str(event)) for event in read_events(TRACES / name)]
    assert events == [plain(payload) for payload in payloads]


def test_compressed_files_are_recognised_by_content(tmp_path: Path) -> None:
    """Plain, gzip and xz files give the same events, whatever their names."""
    text = "".join(lines()).encode()
    files = {"a": text, "b.xz": gzip.compress(text), "c.gz": lzma.compress(text)}
    expected = list(read_events(lines()))
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        assert list(read_events(tmp_path / name)) == expected


COMPRESS = {"gzip": gzip.compress, "xz": lzma.compress}
CUT = "Compressed file ended before the end-of-stream marker was reached"


@pytest.mark.parametrize("form", COMPRESS)
def test_cut_compressed_file_is_an_error(tmp_path: Path, form: str) -> None:
    """Wherever it breaks off: in the header, the data, the checksum, a second stream.

    What precedes the cut is replayed all the same.
    """
    text = "".join(lines()).encode()
    one, two = (COMPRESS[form](half) for half in (text[:5000], text[5000:]))
    path = tmp_path / "cut"
    for data, start in ((one, 0), (one + two, len(one))):
        for end in {1, 2, 3, 7, 20, len(data) // 2, *range(len(data) - 30, len(data))}:
            if not start < end < len(data):
                continue
            path.write_bytes(data[:end])
            result = replay_file(path)
            assert result.error == CUT, end
            assert result.problems[0].reason == CUT
            assert not start or result.exact > 5
    path.write_bytes(one + two)
    assert replay_file(path).exact == 71


@pytest.mark.parametrize("form", COMPRESS)
def test_streams_may_stand_one_behind_the_other(tmp_path: Path, form: str) -> None:
    """As ``cat a.xz b.xz`` makes them, with the padding that xz allows."""
    text = "".join(lines()).encode()
    parts = [COMPRESS[form](text[i : i + 3000]) for i in range(0, len(text), 3000)]
    expected = list(read_events(lines()))
    for padding in (b"", b"\0" * 4, b"\0" * 100_000):
        (tmp_path / "file").write_bytes(b"".join(part + padding for part in parts))
        assert list(read_events(tmp_path / "file")) == expected


@pytest.mark.parametrize("form", COMPRESS)
def test_what_follows_a_stream_is_not_passed_over(tmp_path: Path, form: str) -> None:
    """Behind the compressed text stands more text: it is said, not dropped."""
    text = "".join(lines()).encode()
    (tmp_path / "file").write_bytes(COMPRESS[form](text) + text)
    result = replay_file(tmp_path / "file")
    assert result.exact == 71
    assert "what follows the compressed data" in str(result.error)


@pytest.mark.parametrize(
    ("beginning", "reason"),
    [
        (b"\x28\xb5\x2f\xfd\x24\x10", "compressed with zstd; unpack it first"),
        (bz2.compress(b"x"), "compressed with bzip2; unpack it first"),
        (b"\x04\x22\x4d\x18\x64", "compressed with lz4; unpack it first"),
        (b"PERFILE2\x68", "perf's own format; print it with `perf script` first"),
        (b"\x17\x08\x44tracing6", "trace-cmd's own format"),
    ],
)
def test_other_forms_are_named(tmp_path: Path, beginning: bytes, reason: str) -> None:
    """A recording that must be unpacked or printed first says so."""
    (tmp_path / "file").write_bytes(beginning + bytes(100))
    assert reason in str(replay_file(tmp_path / "file").error)


def names_of_flags() -> dict[str, int]:
    """Return what a kernel's own description of the event says of its flags."""
    text = (TRACES.parent / "tracefs" / "mm_shrink_slab_start-6.18.txt").read_text()
    found = re.findall(r"\{\( unsigned long\)(\([^{}]*\)), \"(\w+)\"\}", text)
    plain = re.compile(r"\( gfp_t\)|UL")
    return {name: eval(plain.sub("", value)) for value, name in found}


def test_every_flag_of_a_real_kernel_is_read() -> None:
    """Linux 6.18 prints these names for these values, some of which we never print."""
    names = names_of_flags()
    assert len(names) == 38
    assert {"GFP_TRANSHUGE", "GFP_TRANSHUGE_LIGHT", "GFP_DMA", "GFP_DMA32"} <= set(
        names
    )
    for name, value in names.items():
        text = f"f 1: nid: 0 objects to shrink 0 gfp_flags {name} cache items 1 delta 0"
        (event,) = read_events([f"{text} total_scan 0 priority 0"])
        assert isinstance(event, ShrinkSlabStart)
        assert event.gfp_mask == value, name


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """``-`` reads the standard input, decompressed too, and leaves it open."""
    data = lzma.compress("".join(lines()).encode())
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(data)))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stdin", stdin)
    assert len(list(read_events("-"))) == 142
    assert not stdin.closed


def test_what_precedes_damage_is_read(tmp_path: Path) -> None:
    """A compressed file that breaks off yields what was there, then raises."""
    data = (TRACES / "kswapd.txt.xz").read_bytes()
    data = data[: len(data) // 2]
    (tmp_path / "cut.xz").write_bytes(data)
    reader = TraceReader(tmp_path / "cut.xz")
    with pytest.raises(READ_ERRORS):
        list(reader)
    whole_lines = lzma.LZMADecompressor().decompress(data).count(b"\n")
    assert whole_lines > 1000
    assert reader.counts.lines == whole_lines


def test_last_line_needs_no_line_feed(tmp_path: Path) -> None:
    """The last line of a file counts with and without its line feed."""
    for ending in ("", "\n", "\r\n"):
        (tmp_path / "file").write_text(f"{HEADER}{END.name}: {END}{ending}")
        assert list(read_events(tmp_path / "file")) == [END]


def test_missing_file_raises(tmp_path: Path) -> None:
    """A file that is not there is an OSError, when it is read."""
    reader = TraceReader(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        list(reader)


def test_losses_and_strangers_are_counted() -> None:
    """Lost, other, unknown and malformed lines are counted each for itself."""
    text = [
        "# tracer: nop",
        "CPU:1 [LOST 42 EVENTS]",
        HEADER + "sched_switch: prev_comm=sh",
        "hello",
        "",
        HEADER + "mm_shrink_slab_end: cut",
        HEADER + f"{END.name}: {END}",
    ]
    reader = TraceReader(text)
    assert [record.line for record in reader] == [7]
    counts = reader.counts
    assert (counts.lost_events, counts.other_events) == (42, 1)
    assert (counts.unknown_lines, counts.malformed_lines) == (1, 1)
    assert (counts.lines, counts.starts, counts.ends) == (7, 0, 1)


def test_binary_garbage_is_harmless(tmp_path: Path) -> None:
    """Random bytes, with and without line feeds, read as no event at all."""
    noise = random.Random(1).randbytes(3_000_000)  # noqa: S311
    (tmp_path / "noise").write_bytes(noise)
    (tmp_path / "long").write_bytes(noise.replace(b"\n", b"x") + b"\n")
    for name in ("noise", "long"):
        assert list(read_events(tmp_path / name)) == []


def test_overlong_line_is_one_malformed_line(tmp_path: Path) -> None:
    """A line without end is skipped in pieces; what follows it is read."""
    good = f"{HEADER}{END.name}: {END}\n".encode()
    (tmp_path / "long").write_bytes(b"x" * 3_000_000 + b"\n" + good)
    reader = TraceReader(tmp_path / "long")
    assert [record.line for record in reader] == [2]
    assert reader.counts.malformed_lines == 1


def test_bundled_recording_ships() -> None:
    """The package holds a recording that can be read."""
    recording = bundled_recording()
    assert recording.is_file()
    assert isinstance(recording, Path)
    assert sum(1 for _ in read_events(recording)) == 11900
