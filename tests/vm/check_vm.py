"""`make check-vm`: what the library says of kernels, checked on kernels under qemu.

``check_vm.py DIRECTORY WHEEL`` boots each kernel that images.sh has made in DIRECTORY,
one after another and without KVM, has it run jobs (guest/) with the wheel, and prints a
table.  It ends with 1 where a check fails.  The emulator itself fails now and then: a
VM that does not come to its end is booted again, BOOTS times at most; one that does is
not, whatever its checks say.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
BOOTS = 3
VM_SECONDS = 2700
"""A VM that runs longer hangs."""
VM_MIB = 1024
# Python of the VM and what the wheel and its tests want there.
PYTHON = "3.13"
PACKAGES = ["cffi", "pytest", "click", "rich", "httpx", "starlette", "uvicorn"]
# Mitigations cost much where each change of page tables is emulated; PSI may be off.
KERNEL_ARGUMENTS = "console=ttyS0 quiet panic=-1 mitigations=off psi=1"
# Arguments of the kernel for each kind of VM, and its jobs.
INIT = "/project/tests/vm/guest/init.sh"
VMS = {
    f"init={INIT}": [
        "limits",
        "sources",
        "survival",
        "suite",
        "recordings",
        "service",
    ],
    f"init={INIT} vm.hybrid": ["hybrid"],
    "init=/sbin/init systemd.run=/project/tests/vm/guest/jobs.sh"
    " systemd.run_success_action=poweroff-force"
    " systemd.run_failure_action=poweroff-force systemd.show_status=0": ["systemd"],
}
JOBS = [job for jobs in VMS.values() for job in jobs]
# By default one kernel runs all jobs, and each those that depend on it most.
EACH = ["limits", "sources", "survival", "recordings"]
KERNELS = {"5.10": [*EACH, "hybrid"], "6.1": EACH, "6.12": JOBS, "7.x": EACH}


@dataclasses.dataclass
class Result:
    """What one job on one kernel has found."""

    checks: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    seconds: float | None = None

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The checks that do not hold."""
        return [check for check in self.checks if not check["ok"]]

    @property
    def passed(self) -> bool:
        """It came to its end, checked something, and all holds."""
        return self.seconds is not None and bool(self.checks) and not self.failed

    def __str__(self) -> str:
        if self.seconds is None:
            return "no end"
        right = len(self.checks) - len(self.failed)
        return f"{right}/{len(self.checks)}, {self.seconds:.0f} s"


def make_project_disk(directory: Path, wheel: Path) -> Path:
    """Make the second disk: the wheel, what it needs, and the tests."""
    root = directory / "root"
    stage = root / "project"
    site = stage / "site"
    wanted = stage / "packages.txt"
    if not wanted.exists() or wanted.read_text("utf-8").split() != PACKAGES:
        shutil.rmtree(site, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--target", str(site)]
        pip += ["--python-version", PYTHON, "--only-binary=:all:", *PACKAGES]
        subprocess.run(pip, check=True)
        wanted.write_text("\n".join(PACKAGES), "utf-8")
    shutil.rmtree(site / "shrinker", ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for part in ("tests", "examples"):
        shutil.rmtree(stage / part, ignore_errors=True)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / part, stage / part, ignore=ignored)
    shutil.copy(PROJECT / "pyproject.toml", stage)
    # Compiled once here, not by each process on the emulated processor.
    subprocess.run(
        ["chroot", str(root), "python3", "-m", "compileall", "-q", "/project"],
        check=True,
    )
    disk = directory / "project.img"
    disk.unlink(missing_ok=True)
    command = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(stage)]
    command += [str(disk), "300M"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return disk


def run_vm(directory: Path, kernel: str, arguments: str, name: str) -> Path:
    """Run a VM to its end, and return the file with the lines of its jobs."""
    logs = directory / "logs"
    logs.mkdir(exist_ok=True)
    console, lines = logs / f"{name}.console", logs / f"{name}.jsonl"
    lines.unlink(missing_ok=True)
    files = directory / "kernels" / kernel
    command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi"]
    command += ["-cpu", "max,-cx16", "-smp", "2", "-m", str(VM_MIB), "-nic", "none"]
    command += ["-display", "none", "-monitor", "none", "-no-reboot"]
    command += ["-serial", f"file:{console}", "-serial", f"file:{lines}"]
    command += ["-kernel", str(files / "vmlinuz"), "-initrd", str(files / "initrd")]
    for disk in ("root", "project"):
        path = directory / f"{disk}.img"
        command += ["-drive", f"file={path},format=raw,if=virtio,snapshot=on"]
    command += ["-append", f"{KERNEL_ARGUMENTS} {arguments}"]
    try:
        subprocess.run(command, check=True, timeout=VM_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"{name}: ended after {VM_SECONDS} s", flush=True)
    return lines


def read_results(lines: Path, jobs: list[str]) -> tuple[dict[str, Result], bool]:
    """Return what each job has found, and whether all came to their end."""
    results = {job: Result() for job in jobs}
    ended = False
    text = lines.read_text("utf-8", "replace") if lines.exists() else ""
    for line in text.splitlines():
        try:
            said = json.loads(line)
        except ValueError:  # Cut off where the emulator failed.
            continue
        if said.get("ended"):
            ended = True
        elif "seconds" in said:
            results[said["job"]].seconds = said["seconds"]
        else:
            results[said["job"]].checks.append(said)
    return results, ended


def run_jobs(
    directory: Path, kernel: str, mode: str, jobs: list[str]
) -> dict[str, Result]:
    """Run the jobs in a VM, again where it has not come to its end."""
    for boot in range(1, BOOTS + 1):
        began = time.monotonic()
        name = f"{kernel}-{jobs[0]}-{boot}"
        lines = run_vm(directory, kernel, f"{mode} vm.jobs={','.join(jobs)}", name)
        results, ended = read_results(lines, jobs)
        took = time.monotonic() - began
        said = ", ".join(f"{job} {result}" for job, result in results.items())
        print(f"{kernel}: {said}; {took:.0f} s with its boot", flush=True)
        if ended:
            break
        print(f"{kernel}: no end; {directory}/logs/{name}.console", flush=True)
    return results


def print_table(results: dict[str, dict[str, Result]]) -> None:
    """Print kernel by job: checks that hold of all, and the time that they took."""
    jobs = [job for job in JOBS if any(job in found for found in results.values())]
    print("| kernel | " + " | ".join(jobs) + " |")
    print("|---" * (len(jobs) + 1) + "|")
    for kernel, found in results.items():
        cells = [str(found[job]) if job in found else "-" for job in jobs]
        print(f"| {kernel} | " + " | ".join(cells) + " |")


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="where images.sh has made images")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--kernels", nargs="+", choices=KERNELS, default=[*KERNELS])
    parser.add_argument("--jobs", nargs="+", choices=JOBS)
    options = parser.parse_args()
    directory = options.directory.resolve()
    make_project_disk(directory, options.wheel)
    results: dict[str, dict[str, Result]] = {}
    for kernel in options.kernels:
        found = results[kernel] = {}
        for mode, jobs in VMS.items():
            chosen = options.jobs or KERNELS[kernel]
            wanted = [job for job in jobs if job in chosen]
            if wanted:
                found |= run_jobs(directory, kernel, mode, wanted)
    wrong = [
        (kernel, job, check)
        for kernel, found in results.items()
        for job, result in found.items()
        for check in result.failed
    ]
    for kernel, job, check in wrong:
        print(f"\n{kernel}, {job}: {check['name']}")
        print(f"    expected {check['expected']}\n    got      {check['got']}")
    print()
    print_table(results)
    whole = all(x.passed for found in results.values() for x in found.values())
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
