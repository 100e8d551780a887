"""The headers for drivers: the guide lists each one, and each compiles alone."""

from __future__ import annotations

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INCLUDE = ROOT / "csrc" / "include"
GUIDE = ROOT / "docs" / "test-your-driver.md"
# What these headers share, and the library's own.
NOT_FOR_DRIVERS = {"linux/kit.h", "linux/kit_locks.h", "shrinker_test.h"}
COMPILERS = {
    "c": ["cc", "-std=gnu11", "-x", "c"],
    "c++": ["c++", "-std=gnu++17", "-x", "c++"],
}
COMPILE_SECONDS = 300

HEADERS = sorted(
    name
    for path in INCLUDE.rglob("*.h")
    if not (name := path.relative_to(INCLUDE).as_posix()).startswith("shrinker/")
    and name not in NOT_FOR_DRIVERS
)


def test_guide_lists_each_header() -> None:
    """The guide names every header once, and none that is missing."""
    text = GUIDE.read_text(encoding="utf-8")
    section = text.partition("## Headers, and what each leaves out")[2]
    table = section.partition("Compile drivers as gnu11")[0]
    named = [
        name if (INCLUDE / name).is_file() else f"linux/{name}"
        for name in re.findall(r"`([\w./-]+\.h)`", table)
    ]
    assert sorted(named) == HEADERS


@pytest.mark.parametrize("language", COMPILERS)
def test_each_header_compiles_alone(language: str) -> None:
    """Each header, included twice and nothing else, is a whole program's beginning."""
    command = COMPILERS[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")

    def complaints_of(header: str) -> str:
        done = subprocess.run(
            [*command, "-Wall", "-fsyntax-only", f"-I{INCLUDE}", "-"],
            input=f"#include <{header}>\n#include <{header}>\n",
            capture_output=True,
            text=True,
            timeout=COMPILE_SECONDS,
            check=False,
        )
        return done.stderr

    with ThreadPoolExecutor(2) as pool:
        complaints = dict(zip(HEADERS, pool.map(complaints_of, HEADERS), strict=True))
    assert {name: text for name, text in complaints.items() if text} == {}
