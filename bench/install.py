"""What it takes to have capseal: python -m bench.install measures set-up, size on disk, and start.

Clones the tree that it is a part of, installs it into new virtual environments, without pip's cache, and seals and
verifies a bundle of 1 MiB. Prints a JSON object. It takes a few minutes, most of them pip's.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .machine import MIB

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("", "[server]", "[all]")
"""Of pyproject.toml: library and command line alone; with client and server; with all but what only tests need."""


def main() -> int:
    """Run what the command line asks for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.install", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="starts of each program; default: 20")
    parser.add_argument("--here", action="store_true", help="only the starts, with this Python and its capseal")
    told = parser.parse_args()
    # Written once, and read by every start after it, as wherever it is installed by pip.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with TemporaryDirectory(prefix="capseal-install-") as folder:
        if told.here:
            found: dict[str, Any] = starts(sys.executable, folder, told.rounds, environment)
        else:
            found = whole(folder, told.rounds, environment)
    print(json.dumps(found, indent=2))
    return 0


def whole(folder: str, rounds: int, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return seconds from clone to a verified bundle, bytes of each extra, and start times in milliseconds."""
    clone = os.path.join(folder, "capseal")
    environment = {**environment, "PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    start_s, started_cpu_s = time.perf_counter(), _cpu_s()
    _run("git", "clone", "-q", str(ROOT), clone, environment=environment)
    after: dict[str, float] = {"cloned": time.perf_counter() - start_s}
    sizes: dict[str, dict[str, int]] = {}
    python = ""
    for extra in EXTRAS:
        home = os.path.join(folder, f"venv{extra}")
        _run(sys.executable, "-m", "venv", home, environment=environment)
        programs = os.path.join(home, "bin")
        packages = _site_packages(programs, environment)
        pip_alone, brought = _bytes_in(packages), _distributions(packages)
        _run(os.path.join(programs, "pip"), "install", "-q", f"{clone}{extra}", environment=environment)
        sizes[extra or "default"] = {
            "bytes": _bytes_in(packages) - pip_alone,
            "packages": _distributions(packages) - brought,
        }
        if not python:
            python = os.path.join(programs, "python")
            after["installed"] = time.perf_counter() - start_s
            _first_bundle(python, folder, environment)
            after["verified"] = time.perf_counter() - start_s
            after["processor"] = _cpu_s() - started_cpu_s
    return {"after_s": after, "installed": sizes, "starts_ms": starts(python, folder, rounds, environment)}


def starts(python: str, folder: str, rounds: int, environment: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return the median and least wall time, and the median processor time, of each start, in milliseconds."""
    bundle = os.path.join(folder, "bundle.sealed")
    if not os.path.exists(bundle):
        _first_bundle(python, folder, environment)
    programs = {
        "python -I -S -c pass": (python, "-I", "-S", "-c", "pass"),
        "python -c pass": (python, "-c", "pass"),
        "import capseal": (python, "-c", "import capseal"),
        "capseal --version": (_capseal(python), "--version"),
        "capseal verify, 1 MiB": (_capseal(python), "verify", bundle, "--trust", f"{folder}/signer.pub.pem"),
    }
    taken_ms: dict[str, list[float]] = {name: [] for name in programs}
    processor_ms: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds + 1):
        for name, words in programs.items():
            start_s, start_cpu_s = time.perf_counter(), _cpu_s()
            _run(*words, environment=environment)
            taken_ms[name].append((time.perf_counter() - start_s) * 1000)
            processor_ms[name].append((_cpu_s() - start_cpu_s) * 1000)
    # The first of each writes what Python compiles, and is left out.
    return {
        name: {
            "median": round(statistics.median(took[1:]), 1),
            "min": round(min(took[1:]), 1),
            "processor": round(statistics.median(processor_ms[name][1:]), 1),
        }
        for name, took in taken_ms.items()
    }


def _first_bundle(python: str, folder: str, environment: Mapping[str, str]) -> None:
    path = os.path.join(folder, "bundle")
    signer, recipient = os.path.join(folder, "signer"), os.path.join(folder, "recipient")
    with open(path, "wb") as file:
        file.write(os.urandom(MIB))
    about = ("--app", "com.example.game", "--version", "1")
    for words in (
        ("key", "generate", "signing", "-o", signer),
        ("key", "generate", "recipient", "-o", recipient),
        ("seal", path, "-o", f"{path}.sealed", "-s", f"{signer}.pem", "-r", f"{recipient}.pub.pem", *about),
        ("verify", f"{path}.sealed", "--trust", f"{signer}.pub.pem"),
    ):
        _run(_capseal(python), *words, environment=environment)


def _capseal(python: str) -> str:
    return os.path.join(os.path.dirname(python), "capseal")


def _run(*command: str, environment: Mapping[str, str]) -> str:
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd="/").stdout


def _site_packages(programs: str, environment: Mapping[str, str]) -> str:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return _run(os.path.join(programs, "python"), "-c", code, environment=environment).strip()


def _distributions(packages: str) -> int:
    return sum(entry.name.endswith(".dist-info") for entry in os.scandir(packages))


def _bytes_in(folder: str) -> int:
    """Return what lies in a folder, in bytes on the disk, as du says."""
    return sum(
        os.lstat(os.path.join(where, name)).st_blocks * 512 for where, _, names in os.walk(folder) for name in names
    )


def _cpu_s() -> float:
    taken = resource.getrusage(resource.RUSAGE_CHILDREN)  # os.times() counts in hundredths of a second
    return taken.ru_utime + taken.ru_stime


if __name__ == "__main__":
    sys.exit(main())
