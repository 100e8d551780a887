"""The names that others rely on."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import shrinker
from shrinker import CallbackErrors, Domain, Shrinker, ShrinkerError, StallError

NAMES = set(
    """
    DEFAULT_SEEKS SHRINK_BATCH DEF_PRIORITY GFP ShrinkerFlags CountObjects
    ScanObjects ShrinkControl Shrinker ShrinkerBuilder ShrinkerRegistration
    Domain default_domain run_pass PassResult ShrinkerError StallError
    CallbackErrors get_include
    Memcg ListLru LruStatus
    cache pressure protect noreclaim watch
    """.split()  # noqa: SIM905 - one list of words
)

MEMBERS = {
    "CountObjects": "new EMPTY MAX value",
    "ScanObjects": "from_count STOP MAX value",
    "Shrinker": "count_objects scan_objects",
    "ShrinkControl": "nr_to_scan nr_scanned nid memcg gfp_mask reclaim_fs_allowed"
    " reclaim_io_allowed",
    "ShrinkerBuilder": "new_fmt set_seeks set_batch name flags id register"
    " register_native",
    "ShrinkerRegistration": "close private_data name seeks batch flags id domain closed"
    " nr_deferred count scan rename statistics",
    "Domain": "root create_memcg memcgs shrink_slab drop_slab reclaim shrinkers"
    " statistics report debugfs trace close",
    "Memcg": "name id parent online offline close reparent_deferred set_shrinker_bit"
    " has_shrinker_bit shrinker_info",
    "ListLru": "add remove count count_node add_many remove_many shrink_count"
    " shrink_walk walk __len__",
    "LruStatus": "REMOVED REMOVED_RETRY ROTATE SKIP RETRY STOP",
    "PassResult": "returned nr_deferred delta total_scan total_scan_left nr_before"
    " nr_after scans",
}


PACKAGES = {
    "cache": "Cache cached watch Watched",
    "pressure": "Reclaimer Watermarks Memory MemoryLevel PressureSource PressureEvent"
    " SourceGone PsiTrigger SystemdPressure MemoryEvents UsageThreshold Polling auto"
    " protect ReclaimRecord",
}


def test_names() -> None:
    """Everything that is promised is there, listed, and documented."""
    assert set(shrinker.__all__) >= NAMES
    for name in shrinker.__all__:
        value = getattr(shrinker, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


@pytest.mark.parametrize("package", PACKAGES)
def test_packages(package: str) -> None:
    """The packages above have what is promised, listed and documented."""
    module = getattr(shrinker, package)
    assert set(module.__all__) >= set(PACKAGES[package].split())
    for name in module.__all__:
        assert inspect.getdoc(getattr(module, name)), name


@pytest.mark.parametrize("cls", MEMBERS)
def test_members(cls: str) -> None:
    """Each class has the members that are promised."""
    for member in MEMBERS[cls].split():
        assert hasattr(getattr(shrinker, cls), member), member


def test_constants() -> None:
    """The constants are the kernel's."""
    assert shrinker.DEFAULT_SEEKS == 2
    assert shrinker.SHRINK_BATCH == 128
    assert shrinker.DEF_PRIORITY == 12
    assert shrinker.GFP.KERNEL == 0xCC0


def test_errors() -> None:
    """ShrinkerError is the root; CallbackErrors is also an exception group."""
    assert issubclass(StallError, ShrinkerError)
    assert issubclass(CallbackErrors, ShrinkerError)
    assert issubclass(CallbackErrors, BaseExceptionGroup)


def test_protocol() -> None:
    """Shrinker can be asked whether an object has the two methods."""

    class Cache:
        def count_objects(self, sc: object) -> int:
            return 0

        def scan_objects(self, sc: object) -> int:
            return 0

    assert isinstance(Cache(), Shrinker)
    assert not isinstance(object(), Shrinker)


def test_walk_arguments_are_keywords() -> None:
    """The arguments of walks are given by name."""
    with Domain() as domain, pytest.raises(TypeError):
        domain.shrink_slab(0xCC0, 0)  # type: ignore[misc]


def test_c_files_are_shipped() -> None:
    """get_include() and get_library() name what C programs need, and py.typed is
    there for type checkers."""
    include = Path(shrinker.get_include())
    assert (include / "linux" / "shrinker.h").is_file()
    assert (include / "linux" / "sched" / "mm.h").is_file()
    assert (include / "shrinker" / "domain.h").is_file()
    assert (include / "shrinker_test.h").is_file()
    assert Path(shrinker.get_library()).is_file()
    assert (Path(shrinker.__file__).parent / "py.typed").is_file()


@pytest.mark.no_asan("the program is linked without it, and the library needs it")
def test_pkg_config_finds_both(tmp_path: Path) -> None:
    """shrinker.pc leads to headers and library: a C program is built with it alone."""
    pkg_config, compiler = shutil.which("pkg-config"), shutil.which("cc")
    if pkg_config is None or compiler is None:
        pytest.skip("needs pkg-config and a C compiler")
    program = tmp_path / "program.c"
    program.write_text(
        "#include <shrinker_test.h>\n"
        "int main(void) { return shrinker_test_pressure(0) != 0; }\n"
    )
    environment = {**os.environ, "PKG_CONFIG_PATH": shrinker.get_pkgconfig()}
    flags = subprocess.run(
        [pkg_config, "--cflags", "--libs", "shrinker"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    built = tmp_path / "program"
    subprocess.run([compiler, str(program), *flags, "-o", str(built)], check=True)
    assert subprocess.run([built], check=False).returncode == 0


@pytest.mark.untraced("a tracer imports what it wants")
def test_import_starts_nothing() -> None:
    """Importing starts no thread and needs nothing beside cffi."""
    code = (
        "import sys, threading, shrinker;"
        "assert threading.active_count() == 1;"
        "print(*sorted(m.partition('.')[0] for m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    extras = ("click", "rich", "pyperf", "matplotlib", "numpy", "cffi.api")
    for other in (*extras, "asyncio", "socket", "cachetools", "prometheus_client"):
        assert other not in done.stdout.split()


def test_version() -> None:
    """``__version__`` is the version that was installed."""
    assert shrinker.__version__ == metadata.version("shrinker")


def test_nothing_else_is_public() -> None:
    """What has no underscore is listed, or a module of the package."""
    for name in vars(shrinker):
        if not name.startswith("_") and name not in shrinker.__all__:
            assert f"shrinker.{name}" in sys.modules, name
