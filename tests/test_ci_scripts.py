"""What CI runs, and its judges: what they must not let pass."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

SCRIPTS = Path(__file__).parents[1] / ".ci"
LEAK = """
=================================================================
==1==ERROR: LeakSanitizer: detected memory leaks

Direct leak of 64 byte(s) in 1 object(s) allocated from:
    #0 0x1 in __interceptor_malloc asan_malloc_linux.cpp:69
    #1 0x2 in {caller}
    #2 0x3 in cfunction_vectorcall_O Objects/methodobject.c:514
"""


def script(name: str) -> ModuleType:
    """Load a script that is no module of a package."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Dataclasses look there.
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (LEAK.format(caller="b_init (/venv/_cffi_backend.so+0x1)"), 0),
        (LEAK.format(caller="reclaim_shrinker_alloc csrc/registry.c:25"), 1),
        (LEAK.format(caller="f (/venv/shrinker/_shrinker.abi3.so+0x1)"), 1),
        ("==1==ERROR: AddressSanitizer: heap-use-after-free", 1),
        ("==1==LeakSanitizer has encountered a fatal error.", 1),
        ("csrc/scan.h:30:9: runtime error: signed integer overflow", 1),
    ],
)
def test_sanitizer_logs(text: str, count: int) -> None:
    """Errors count always, leaks where the library asked for the memory."""
    assert len(script("sanitizer_logs").complaints(text)) == count


@pytest.mark.parametrize(
    ("logs", "code"),
    [
        ([], 1),
        ([("f libc.so", 0)], 1),
        ([("f libc.so", 0)] * 2, 0),
        ([("f libc.so", 0), ("f csrc/a.c:1", 1)], 1),
    ],
)
def test_sanitizer_logs_of_a_run(
    logs: list[tuple[str, int]],
    code: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One complaint of any process fails a run, and so does a process without log."""
    for number, (caller, _) in enumerate(logs):
        (tmp_path / f"log.{number}").write_text(LEAK.format(caller=caller))
    monkeypatch.setattr("sys.argv", ["sanitizer_logs.py", str(tmp_path), "2"])
    assert script("sanitizer_logs").main() == code
    said = f"{len(logs)} logs of sanitizers, {sum(bad for _, bad in logs)} complaints"
    assert said in capsys.readouterr().out


def c_line(number: int, count: int, branches: list[int]) -> dict[str, Any]:
    return {
        "line_number": number,
        "count": count,
        "branches": [{"count": taken} for taken in branches],
    }


@pytest.mark.parametrize(
    ("lines", "code", "missing"),
    [
        ([c_line(1, 1, [1, 1]), c_line(2, 1, [])], 0, ""),
        # One branch of two.
        ([c_line(1, 1, [1, 0]), c_line(2, 1, [])], 1, "x.c: 1:1"),
        # One line of two.
        ([c_line(1, 1, [1, 1]), c_line(2, 0, [])], 1, "x.c: 2"),
        # Reached in one of two copies of an inline function.
        ([c_line(1, 1, [1, 0]), c_line(1, 1, [0, 1])], 0, ""),
    ],
)
def test_coverage_report(
    lines: list[dict[str, Any]],
    code: int,
    missing: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lines and branches are looked at apart, and what is missing is named."""
    python, c = tmp_path / "python.json", tmp_path / "c.json"
    python.write_text(json.dumps({"files": {}}), encoding="utf-8")
    c.write_text(json.dumps({"files": [{"file": "x.c", "lines": lines}]}))
    monkeypatch.setattr("sys.argv", ["coverage_report.py", str(python), str(c)])
    assert script("coverage_report").main() == code
    assert missing in capsys.readouterr().out


# --- what CI runs -----------------------------------------------------------------

PARTS = (
    "test",
    "docs",
    "test-core",
    "test-dist",
    "coverage",
    "check-asan",
    "check-tsan",
)
CLANG = """#!/bin/sh
case "$*" in *fuzzer*) exit {fuzzer};; esac
exit {sanitizers}
"""
ROOT = "#!/bin/sh\necho 0\n"
NOBODY = "#!/bin/sh\necho 1000\n"


class Machine:
    """A machine with a shell, and nothing else but what it is given."""

    def __init__(self, path: Path) -> None:
        self.bin, self.calls, tree = path / "bin", path / "calls", path / "tree"
        (tree / ".ci").mkdir(parents=True)
        self.run_path = Path(shutil.copy(SCRIPTS / "run", tree / ".ci"))
        shutil.copy(SCRIPTS / "steps", tree / ".ci")
        self.bin.mkdir()
        for name in ("bash", "sh", "dirname", "mktemp", "rm", "cat", "chmod"):
            found = shutil.which(name)
            assert found is not None
            (self.bin / name).symlink_to(found)
        self.add_make()

    def add(self, name: str, text: str = "#!/bin/sh\n") -> None:
        """Put a program on the machine."""
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def add_make(self, then: str = "") -> None:
        """Put a make on it that writes down how it was called."""
        self.add("make", f'#!/bin/sh\nshift\necho "$*" >> {self.calls}\n{then}\n')

    def run(self, *options: str) -> tuple[int, list[str], str]:
        """Return the exit status, how make was called, and the report."""
        done = subprocess.run(
            [self.run_path, *options],
            env={"PATH": str(self.bin)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, self.calls.read_text().splitlines(), done.stdout


def test_ci_on_a_machine_that_has_everything(tmp_path: Path) -> None:
    """All parts run, without a package being installed; each says its time."""
    machine = Machine(tmp_path)
    machine.add("clang")
    machine.add("valgrind")
    machine.add("id", ROOT)
    machine.add("apt-get", "#!/bin/sh\nexit 1\n")
    status, calls, report = machine.run()
    assert status == 0
    assert calls == [*PARTS, "check-valgrind", "fuzz SECONDS=30"]
    assert report.count(" s: make ") == len(calls)
    assert "LEFT OUT" not in report


@pytest.mark.parametrize("root", [False, True])
def test_ci_on_a_bare_machine(root: bool, tmp_path: Path) -> None:
    """What cannot be installed is left out and named; gcc runs what it can."""
    machine = Machine(tmp_path)
    machine.add("id", ROOT if root else NOBODY)
    if root:
        machine.add("apt-get", "#!/bin/sh\necho no network >&2\nexit 100\n")
    status, calls, report = machine.run()
    assert status == 0
    assert calls == [*PARTS[:5], *(f"{part} COMPILERS=gcc" for part in PARTS[5:])]
    for what in ("clang in check-asan", "make check-valgrind", "make fuzz"):
        assert f"LEFT OUT: {what}" in report


@pytest.mark.parametrize("missing", ["sanitizers", "libFuzzer", "valgrind"])
def test_ci_installs_what_is_missing(missing: str, tmp_path: Path) -> None:
    """A clang alone is not enough: its libraries and valgrind come as packages."""
    machine = Machine(tmp_path)
    machine.add("id", ROOT)
    lacks = {"sanitizers": (1, 1), "libFuzzer": (1, 0), "valgrind": (0, 0)}
    fuzzer, sanitizers = lacks[missing]
    machine.add("clang", CLANG.format(fuzzer=fuzzer, sanitizers=sanitizers))
    if missing != "valgrind":
        machine.add("valgrind")
    machine.add(
        "apt-get",
        f"""#!/bin/sh
case "$*" in
*libclang-rt-dev*) echo exit 0 > {machine.bin}/clang;;
*valgrind*) echo exit 0 > {machine.bin}/valgrind; chmod +x {machine.bin}/valgrind;;
esac
""",
    )
    status, calls, report = machine.run()
    assert (status, len(calls)) == (0, len(PARTS) + 2)
    assert "LEFT OUT" not in report


def test_make_check_installs_nothing(tmp_path: Path) -> None:
    """With --as-is root's machine stays as it is."""
    machine = Machine(tmp_path)
    machine.add("id", ROOT)
    machine.add("apt-get", f"#!/bin/sh\necho apt-get >> {machine.calls}\n")
    _, calls, report = machine.run("--as-is")
    assert "apt-get" not in calls
    assert "LEFT OUT: make fuzz" in report


def test_ci_without_libfuzzer(tmp_path: Path) -> None:
    """A clang that links sanitizers runs them, also where it lacks other things."""
    machine = Machine(tmp_path)
    machine.add("id", NOBODY)
    machine.add("clang", CLANG.format(fuzzer=1, sanitizers=0))
    machine.add("valgrind")
    status, calls, report = machine.run()
    assert (status, calls) == (0, [*PARTS, "check-valgrind"])
    assert "LEFT OUT: make fuzz" in report


@pytest.mark.parametrize("part", [*PARTS, "check-valgrind", "fuzz SECONDS=30"])
def test_ci_fails_with_any_of_its_parts(part: str, tmp_path: Path) -> None:
    """Nothing runs after a part that fails, which is named."""
    machine = Machine(tmp_path)
    machine.add("clang")
    machine.add("valgrind")
    machine.add("id", NOBODY)
    machine.add_make(f'[ "$*" != "{part}" ] || exit 3')
    status, calls, report = machine.run()
    assert status == 3
    assert calls[-1] == part
    assert report.splitlines()[-2] == f"FAILED: make {part}"
    assert report.rstrip().endswith(" s in all")
