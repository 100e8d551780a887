"""The report as one HTML file: what is in it, and what a browser makes of it."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

np = pytest.importorskip("numpy", reason="the report needs numpy")
pytest.importorskip("jinja2", reason="the HTML is made with jinja2")

from cli_support import run
from replay_support import DROP_CACHES, TRACES
from report_support import Writer

from shrinker.report import Report

if TYPE_CHECKING:
    from pathlib import Path

NUMA_MEMCG = TRACES / "hard" / "numa_memcg_6.12.txt.xz"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(BROWSER is None, reason="there is no chromium")
MAX_BYTES = 5 * 10**6


def words_of(html: str) -> str:
    """Return the text of a page, without tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_what_is_in_it() -> None:
    """Summary, findings, three timelines with captions, tables."""
    html = Report.read([NUMA_MEMCG]).to_html()
    words = words_of(html)
    for text in (
        "31,259 passes in 42.4 s, of Linux 5.13 and later; 99.8 % of them scanned",
        "long-pass super_cache_scan 3cbb13d0: 3 passes took long",
        "Passes that start in line 16443, 16435, 16747.",
        "Tall bars are stalls",
        "By shrinker and caller",
    ):
        assert text in words
    assert html.count("<figcaption>") == html.count("<figure>") == 3
    assert html.count("<svg") >= 6


def test_it_needs_nothing_else() -> None:
    """No address, no file: the page's policy forbids what it does not have."""
    html = Report.read([DROP_CACHES]).to_html()
    assert not re.findall(r"https?:|\bsrc=|url\(|@import|<link", html)
    assert "default-src 'none'" in html


def test_names_cannot_break_out(tmp_path: Path) -> None:
    """Names of tasks and functions are text, whatever they are."""
    writer = Writer()
    writer.add("<script>f", comm="<b>&x", scanned=128, took_us=200_000)
    html = Report.read([writer.write(tmp_path, "<i>.txt")]).to_html()
    for name in ("<script>f", "<b>&x", "<i>.txt"):
        assert name not in html
    assert "&lt;script&gt;f" in html


def test_several_recordings_and_a_bad_one(tmp_path: Path) -> None:
    """Each has a section, and a link to it; an unreadable one says why."""
    html = Report.read([DROP_CACHES, tmp_path / "missing"]).to_html()
    assert 'href="#r2"' in html
    assert 'id="r2"' in html
    assert "No such file or directory" in html
    assert "Nothing in it is worth a finding." in html


def test_without_times(tmp_path: Path) -> None:
    """A recording without times has no timeline, and says so."""
    writer = Writer()
    writer.add()
    lines = [line.partition("mm_")[1:] for line in writer.lines]
    path = tmp_path / "bare.txt"
    path.write_text("".join("".join(parts) + "\n" for parts in lines))
    html = Report.read([path]).to_html()
    assert "<svg" not in html
    assert "Its lines have no time" in html


def test_a_large_recording_makes_a_small_file() -> None:
    """Passes of 1,000 shrinkers and 5,000 groups: below 5 MB.

    However many passes there are: tables have 200 rows, timelines 240 bars.
    """
    report = Report.read([NUMA_MEMCG])
    (recording,) = report.recordings
    passes = np.tile(recording.passes, 4)
    place = np.arange(len(passes))
    passes["start_ns"] += place * 1000
    passes["end_ns"] += place * 1000
    passes["shrinker"] = place % 1000
    passes["memcg"] = place % 5000
    many = dataclasses.replace(
        recording,
        passes=passes,
        shrinkers=tuple(f"some_cache_scan {n:x}" for n in range(1000)),
        keys=tuple(("some_cache_scan", n) for n in range(1000)),
    )
    html = Report((many,)).to_html()
    assert len(html.encode()) < MAX_BYTES
    assert "And 800 more: shrinker report --csv has all." in html
    assert "992 more have less of it." in html


def test_command(tmp_path: Path) -> None:
    """-o writes the file and prints nothing; beside --json it is refused."""
    path = tmp_path / "report.html"
    result = run("report", "-o", path, DROP_CACHES)
    assert (result.returncode, result.stdout) == (0, "")
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert run("report", "-o", path, "--json", DROP_CACHES).returncode == 2
    missing = tmp_path / "missing" / "report.html"
    assert run("report", "-o", missing, DROP_CACHES).returncode == 1


def in_browser(html: str, script: str, directory: Path, *options: str) -> str:
    """Return what ``script`` leaves in the page's title."""
    path = directory / "page.html"
    path.write_text(html.replace("</body>", f"<script>{script}</script></body>"))
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={directory / 'profile'}",
            *options,
            "--dump-dom",
            path.as_uri(),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
        # The browser hangs with a sanitizer's library in it (make check-asan).
        env={name: os.environ[name] for name in os.environ if name != "LD_PRELOAD"},
    )
    (title,) = re.findall("<title>(.*)</title>", done.stdout)
    return str(title)


@needs_browser
@pytest.mark.parametrize("width", [400, 1280])
def test_it_fits_the_window(tmp_path: Path, width: int) -> None:
    """Nothing is wider than the window but tables, which scroll by themselves."""
    html = json.dumps(Report.read([NUMA_MEMCG]).to_html()).replace("</", "<\\/")
    # In a frame, because the browser's own window is never as narrow as a phone.
    script = f"""
        const frame = document.createElement("iframe");
        frame.style.width = "{width}px";
        frame.style.border = 0;
        frame.srcdoc = {html};
        frame.onload = () => {{
            const page = frame.contentDocument;
            document.title = [frame.contentWindow.innerWidth,
                page.documentElement.scrollWidth,
                page.querySelectorAll("svg").length].join();
        }};
        document.body.append(frame);"""
    page = "<!DOCTYPE html><title></title><body></body>"
    title = in_browser(page, script, tmp_path, "--virtual-time-budget=10000")
    inner, scroll, pictures = map(int, title.split(","))
    assert inner == width
    assert scroll <= inner
    assert pictures >= 6


@needs_browser
def test_tables_sort(tmp_path: Path) -> None:
    """A click sorts by numbers, the largest first; a second one turns it round."""
    writer = Writer()
    for name, count in (("b", 9), ("c", 1000), ("a", 50)):
        writer.add(name, count=count)
    html = Report.read([writer.write(tmp_path)]).to_html()
    script = """
        const table = document.querySelector("table");
        const button = name => [...table.querySelectorAll("button")]
            .find(each => each.textContent === name);
        const names = () => [...table.tBodies[0].rows]
            .map(row => row.cells[0].textContent).join("");
        const seen = [];
        for (const name of ["count", "count", "shrinker"]) {
            button(name).click();
            seen.push(names());
        }
        document.title = seen.join();"""
    assert in_browser(html, script, tmp_path) == "cab,bac,abc"
