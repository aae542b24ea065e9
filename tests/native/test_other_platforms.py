"""The C compiles where nobody has run it; the Python runs without what Linux alone has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "csrc").glob("**/*.c"))

# As Python's own build of each platform would: with the platform's C library, warnings as errors.
TARGETS = [
    "aarch64-linux-gnu",
    "x86_64-linux-musl",
    "x86_64-macos",
    "aarch64-macos",
    "x86_64-windows-gnu",
]

CORE = [
    "tests/bundle/test_round_trip.py",
    "tests/bundle/test_reader.py",
    "tests/bundle/test_detach.py",
    "tests/io/test_sink.py",
    "tests/device/test_store.py",
]


@pytest.mark.parametrize("target", TARGETS)
def test_the_c_compiles_without_a_warning_for(
    target: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", target]
    flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-I", ROOT / "csrc", "-c"]
    cache = os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(tmp_path_factory.getbasetemp() / "zig")}
    for source in SOURCES:
        command = [*zig, *flags, source, "-o", tmp_path / f"{source.stem}.o"]
        done = subprocess.run(command, env=cache, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        assert (tmp_path / f"{source.stem}.o").stat().st_size


def test_the_core_works_without_what_linux_alone_has() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "support.no_linux_calls", *CORE],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


def test_windows_is_told_at_once_what_to_do() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.platform = 'win32'; import capseal"], capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1].startswith(
        "ImportError: capseal runs on Linux and macOS; on Windows it runs in WSL"
    )
