"""Programs from npm that the tests use, each by a lock of its own, installed once into a cache folder."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.tools import require_tool


def installed(locked: Path, package: str) -> Path:
    """Return the folder `node_modules` with a package, whose lock and version the folder `locked` has.

    Skips the test where it cannot be had; in CI that is a failure.
    """
    version = json.loads((locked / "package.json").read_text())["dependencies"][package]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "capseal-tests"
    cache = home / f"{locked.name.replace('_', '-')}-{version}"
    if not (cache / "node_modules" / package).is_dir():
        _install(require_tool("npm"), locked, cache, f"{package}@{version}")
    return cache / "node_modules"


def _install(npm: str, locked: Path, cache: Path, what: str) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=cache.parent))
    try:
        shutil.copytree(locked, part, dirs_exist_ok=True)
        command = [npm, "ci", "--prefix", str(part), "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            message = f"npm cannot install {what}: {done.stderr.strip()[-300:]}"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        if not cache.exists():  # another process may have been faster
            part.rename(cache)
    finally:
        shutil.rmtree(part, ignore_errors=True)
