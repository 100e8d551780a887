"""Texts from which no event can be read: what they are, and what to do instead."""

from __future__ import annotations

import re

__all__ = ["BEGINNING_BYTES", "is_recording", "unreadable"]

BEGINNING_BYTES = 16 * 1024
"""How much of a text is looked at."""

_OPTION = (
    "ftrace printed it with its option {0}, which leaves the names and values out;"
    " record again after: echo 0 > options/{0}"
)
_KNOWN = (
    (
        rb"\A\0{1024,}\Z",
        "an archive without files: only zero bytes, as in an empty tar archive",
    ),
    (rb"(?m)^\d+ \d+ \d+ type: \d+\r?$", _OPTION.format("raw")),
    (rb"(?m)^[0-9a-f]{8} [0-9a-f]{8} [0-9a-f]{16} type: ", _OPTION.format("hex")),
    (rb"\0[^\n]*type: \d+\n", _OPTION.format("bin")),
    (
        rb"\.\.\. raw event: size \d+ bytes",
        "perf script -D printed it; use perf script without -D",
    ),
    (
        rb"Tracing meta data in file",
        "trace-cmd dump printed it; use trace-cmd report",
    ),
    (
        rb"Kernel buffer statistics:",
        "trace-cmd report --stat printed it; use trace-cmd report without --stat",
    ),
)
# What ftrace and trace-cmd report print first.
_FIRST_LINE = re.compile(rb"\s*(?:# tracer: |cpus=\d)")


def unreadable(beginning: bytes) -> str | None:
    """Return what printed a text without events; None where that is not known."""
    for pattern, reason in _KNOWN:
        if re.search(pattern, beginning):
            return reason
    return None


def is_recording(beginning: bytes) -> bool:
    """Return whether a tracer has printed a text, with events or without any."""
    return _FIRST_LINE.match(beginning) is not None
