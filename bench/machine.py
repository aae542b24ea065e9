"""What the figures were measured on, and making it ready: no host names, no paths."""

import contextlib
import mmap
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from typing import Any

MIB = 2**20
GIB = 2**30


def describe() -> dict[str, Any]:
    """Return the machine and the versions of what capseal stands on."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "cpu_flags": [flag for flag in ("aes", "vaes", "sha_ni", "avx2", "avx512f") if flag in _cpu_flags()],
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "kernel": platform.release().partition("-")[0],
        "system": platform.system(),
        "architecture": platform.machine(),
        "virtual": "hypervisor" in _cpu_flags(),
        "tcp_congestion_control": _congestion_control(),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python, of capseal and of its dependencies."""
    found = {"python": platform.python_version(), "python_compiler": platform.python_compiler()}
    for name in ("capseal", "cryptography", "numpy", "cffi"):
        found[name] = metadata.version(name)
    # In a process of its own, so that the driver stays small.
    code = "from cryptography.hazmat.backends.openssl import backend; print(backend.openssl_version_text())"
    found["openssl_in_cryptography"] = _output([sys.executable, "-c", code])
    code = "from capseal.native import hashing; print(hashing.kernel())"
    found["hash_kernel"] = _output([sys.executable, "-c", code])
    found["commit"] = _output(["git", "describe", "--always", "--dirty", "--abbrev=12"])
    return found


def warm_memory(size_bytes: int) -> None:
    """Touch and free that much memory, as far as the machine has it to spare.

    A virtual machine may give freed pages back to its host; the first writes to them then look up to ten
    times slower than memory is. In huge pages, so that what is freed is whole ones again, for whoever takes
    either kind.
    """
    size_bytes = min(size_bytes, available_bytes() - GIB)
    if size_bytes <= 0:
        return
    memory = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    for start in range(0, size_bytes, mmap.PAGESIZE):
        memory[start] = 1
    memory.close()


def available_bytes() -> int:
    """Return how much memory can be had without swapping."""
    with open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def wait_until_quiet(timeout_s: float) -> float:
    """Wait until others use less than a tenth of one core for a second; return what they used last."""
    end = time.monotonic() + timeout_s
    while True:
        before = _busy_s()
        time.sleep(1)
        used = _busy_s() - before
        if used < 0.1 or time.monotonic() >= end:
            return used


def _busy_s() -> float:
    with open("/proc/stat") as file:
        numbers = [int(x) for x in file.readline().split()[1:9]]
    return (sum(numbers) - numbers[3] - numbers[4]) / os.sysconf("SC_CLK_TCK")


def _cpu_model() -> str:
    for line in _cpuinfo():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cpu_flags() -> list[str]:
    for line in _cpuinfo():
        if line.startswith(("flags", "Features")):
            return line.partition(":")[2].split()
    return []


def _congestion_control() -> str:
    try:
        with open("/proc/sys/net/ipv4/tcp_congestion_control") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def _cpuinfo() -> list[str]:
    with open("/proc/cpuinfo") as file:
        return file.read().splitlines()


def _output(argv: list[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=os.path.dirname(__file__))
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"
