"""Recordings as tools print them: each is read, or named with what to do instead."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING, Any

import pytest
from replay_support import DROP_CACHES, lines, write_recording

from shrinker.replay import TraceReader, read_events, replay_file

if TYPE_CHECKING:
    from pathlib import Path

START = (
    "shr=0xff48e43941 shrink=0xffffffffadf6 nr_objects_to_shrink=40 gfp_flags=0xcc0"
    " cache_items=0x64 delta=0xc8 total_scan=0xc8 priority=0 nid=0 memcg_id=1"
)
END = (
    "shr=0xff48e43941 shrink=0xffffffffadf6 unused_scan=40 new_scan=40 total_scan=0"
    " nid=0 retval=100 memcg_id=1"
)
START_NAME, END_NAME = "mm_shrink_slab_start", "mm_shrink_slab_end"


@pytest.mark.parametrize(
    "header",
    [
        "              sh     407 [000]   146.286596: vmscan:{}: ",
        "              sh     407 [000]   146.286596:          1 vmscan:{}: ",
        "     sh     407/407     [000] K       146.286596:       1   vmscan:{}: ",
        "[000]   146.286596: vmscan:{}: ",
        "              sh     407   146.286596: vmscan:{}: ",
        "              sh     407 [000] vmscan:{}: ",
        "vmscan:{}: ",
        "              sh-342   [000] .....    67.863119: {}: ",
        "              sh-342   [000]-0x0    67.863119: {}:  ",
        "      sh-342     0.....    67.863119: {}: ",
        "              sh-342   [000] .....    67.863119: (+1221)  {}: ",
        "      sh-126       1..... 721515us!: {}: ",
        "[   64.162951]       sh-126       0..... 549700us : {}: ",
        "<6>[   64.162951][  T126] {}: ",
        " 0)               |  /* {}: ",
        "> kswapd0-45    [005] .... 49736.760169: {}: ",
    ],
)
@pytest.mark.parametrize("mark", ["", "[FAILED TO PARSE] "])
def test_names_and_values_under_every_header(
    tmp_path: Path, header: str, mark: str
) -> None:
    """A pass whose payload is names and values is paired and exact."""
    path = tmp_path / "file"
    path.write_text(
        "cpus=2\n"
        f"{header.format(START_NAME)}{mark}{START}\n"
        f"{header.format(END_NAME)}{mark}{END}\n"
    )
    result = replay_file(path)
    assert (result.passes, result.exact, result.era) == (1, 1, "C")
    assert result.malformed_lines == result.unknown_lines == result.other_events == 0
    start, end = read_events(path)
    assert (start.nr, start.freeable, start.delta) == (40, 100, 200)
    assert start.memcg_id == end.memcg_id == 1
    assert start.scan_function == "0xffffffffadf6"
    assert start.pointer == 0xFF48E43941


def test_without_the_event_s_name() -> None:
    """The fields tell a start from an end, where perf script leaves the name out."""
    header = "  sh     407 [000]   146.286596: "
    names = [
        event.name
        for event in read_events([header + START, header + END, START, f" {END}"])
    ]
    assert names == [START_NAME, END_NAME] * 2


def test_groups_of_events_are_named(tmp_path: Path) -> None:
    """A start's payload under an end's name, as perf script prints it, is no end."""
    path = tmp_path / "file"
    header = "  sh 407 [000]   146.286596: vmscan:"
    path.write_text(f"{header}{START_NAME}: {START}\n{header}{END_NAME}: {START}\n")
    result = replay_file(path)
    assert (result.malformed_lines, result.orphan_starts) == (1, 1)
    reason = result.problems[-1].reason
    assert "which perf script prints for a group of events" in reason
    assert reason.endswith(
        "record again with -e EVENT,EVENT in place of {EVENT,EVENT}:S"
    )


def test_records_have_what_the_header_has() -> None:
    """A header without processor or time gives None for it."""
    full, no_time, no_cpu = TraceReader(
        [
            f"  a b     407 [003]   146.5:      1 vmscan:{END_NAME}: {END}",
            f"  a b     407 [003] vmscan:{END_NAME}: {END}",
            f"  a b     407   146.5: vmscan:{END_NAME}: {END}",
        ]
    )
    assert (full.comm, full.pid, full.cpu, full.time) == (
        "a b",
        407,
        3,
        146_500_000_000,
    )
    assert (no_time.comm, no_time.pid, no_time.cpu, no_time.time) == (
        "a b",
        407,
        3,
        None,
    )
    assert (no_cpu.comm, no_cpu.pid, no_cpu.cpu) == ("a b", 407, None)


def wrapped(line: str, width: int, mark: str) -> str:
    """Return a line wrapped at blanks, with ``mark`` at the end of all but the last."""
    rows = [""]
    for word in line.split():
        if rows[-1] and len(rows[-1]) + len(word) >= width:
            rows.append("")
        rows[-1] += f"{word} "
    return f"{mark}\n".join(f"  {row}" for row in rows)


@pytest.mark.parametrize(("width", "mark"), [(72, ""), (60, "  \\"), (50, "\t\\")])
@pytest.mark.parametrize("quote", ["", "> ", ">> "])
def test_wrapped_mails(tmp_path: Path, width: int, mark: str, quote: str) -> None:
    """A recording in a mail is read as it was before, whatever the chunks are."""
    whole = [line for line in lines() if not line.startswith("#")]
    text = "\n".join(wrapped(line, width, mark) for line in whole)
    path = tmp_path / "file"
    path.write_text("".join(f"{quote}{row}\n" for row in text.splitlines()))
    result = replay_file(path)
    assert (result.passes, result.exact) == (71, 71)
    assert result.malformed_lines == result.unknown_lines == 0
    assert list(read_events(path)) == list(read_events(DROP_CACHES))
    assert list(read_events(path.read_text().splitlines())) == list(
        read_events(DROP_CACHES)
    )


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-16-le", b""),
        ("utf-8", codecs.BOM_UTF8),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, mark: bytes) -> None:
    """UTF-16, as some shells redirect it, and UTF-8 with its mark are read."""
    path = tmp_path / "file"
    path.write_bytes(mark + "".join(lines()).replace("\n", "\r\n").encode(encoding))
    result = replay_file(path)
    assert (result.exact, result.malformed_lines, result.unknown_lines) == (71, 0, 0)


def sample(fields: str, **header: Any) -> dict[str, Any]:
    """Return a sample as ``perf data convert --to-json`` writes it."""
    return {
        **header,
        "callchain": [{"ip": "0xffffffffade85ecf", "symbol": "do_shrink_slab"}],
        **dict(field.split("=") for field in fields.split()),
    }


def test_json_of_perf(tmp_path: Path) -> None:
    """What ``perf data convert --to-json`` writes is read like perf script's text."""
    header = {"timestamp": 146286596115, "pid": 7, "tid": 8, "cpu": 1, "comm": "a b"}
    samples = [sample(START, **header), sample(END, **header)] * 2000
    path = tmp_path / "file"
    whole = {"linux-perf-json-version": 1, "headers": {"x": 1}, "samples": samples}
    path.write_text(json.dumps(whole, indent="\t"))
    result = replay_file(path)
    assert (result.passes, result.exact, result.unknown_lines) == (2000, 2000, 0)
    record = next(iter(TraceReader(path)))
    assert (record.comm, record.pid, record.cpu) == ("a b", 8, 1)
    assert record.time == 146286596115
    path.write_text(path.read_text()[:-500])
    assert replay_file(path).error == "the JSON is cut off inside a sample"


@pytest.mark.parametrize(
    "damaged",
    [
        '{"timestamp": null}',
        '{"timestamp": 1e999}',
        '{"cpu": "x"}',
        '{"comm": "\\ud800"}',
        '{"x": ' + "[" * 100_000,
        '{"comm": "' + "x" * (1 << 20),
    ],
)
def test_damaged_json_of_perf(tmp_path: Path, damaged: str) -> None:
    """It is an error of the file, and what comes before it is replayed."""
    path = tmp_path / "file"
    head = (
        '{"linux-perf-json-version": 1, "headers": "'
        + "x" * 200_000
        + '", "samples": ['
    )
    samples = [json.dumps(sample(each, tid=1)) for each in (START, END)]
    path.write_text(head + ",".join([*samples, damaged]))
    result = replay_file(path)
    assert (result.exact, result.error) == (1, "a sample of the JSON is damaged")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("# tracer: nop\n126 1 27219792426 type: 598\n", "echo 0 > options/raw"),
        (
            "# tracer: nop\n0000007e 00000001 000000068e82edb1 type: 598\n",
            "echo 0 > options/hex",
        ),
        ("# tracer: nop\n~\0\0\0\x01\0\0\0\x05F\0type: 598\n", "echo 0 > options/bin"),
        ("0x2 [0x38]: event: 79\n.\n. ... raw event: size 56 bytes\n", "without -D"),
        ("\n Tracing meta data in file t.dat:\n", "use trace-cmd report"),
        ("cpus=2\n\nKernel buffer statistics:\n", "without --stat"),
    ],
)
def test_printings_without_a_payload_are_named(
    tmp_path: Path, text: str, remedy: str
) -> None:
    """Where no event can be read, the error says what printed it and what to do."""
    path = tmp_path / "file"
    path.write_text(text)
    assert remedy in (replay_file(path).error or "")


@pytest.mark.parametrize(
    "text",
    [
        "# tracer: nop\n#\n# entries-in-buffer/entries-written: 14/14   #P:2\n",
        "# tracer: wakeup\n#\n    find-252       0dN.h4.. 2401us!: <stack trace>\n",
        "cpus=2\n",
    ],
)
def test_recordings_without_events_are_named(tmp_path: Path, text: str) -> None:
    """What ftrace and trace-cmd print where nothing was recorded is a recording."""
    path = tmp_path / "file"
    path.write_text(text)
    error = str(replay_file(path).error)
    assert error.startswith("a recording without shrinker events: were mm_shrink_slab_")


def test_stack_traces_are_no_events(tmp_path: Path) -> None:
    """Functions that are named after an event are lines of a stack trace."""
    path = write_recording(
        tmp_path / "file",
        " => trace_event_raw_event_mm_shrink_slab_start",
        " => do_shrink_slab",
    )
    result = replay_file(path)
    assert (result.exact, result.malformed_lines, result.unknown_lines) == (71, 0, 2)
