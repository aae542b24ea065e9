"""strace around device_worker.py: a worker whose children are stopped, or see an error, at a chosen system call."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import pytest

import capseal
from support.tools import require_tool

CHANGES = frozenset(
    {
        "openat",
        "write",
        "pwrite64",
        "fsync",
        "syncfs",
        "rename",
        "renameat",
        "mkdir",
        "mkdirat",
        "unlink",
        "unlinkat",
        "rmdir",
        "fchmod",
    }
)
"""Every system call by which the store changes the disk."""

READS = frozenset(
    {
        *("close", "read", "pread64", "preadv", "preadv2", "lseek", "mmap", "fcntl", "ioctl", "flock", "getdents64"),
        *("stat", "lstat", "fstat", "newfstatat", "statx", "fstatfs", "statfs", "access", "getcwd", "readlink", "dup"),
    }
)
"""Those that only read, or hold a lock."""

_FIXED_COUNT = {"openat": 2000, "write": 800}  # starting Python opens many hundreds, and each answer is written
_DEFAULT_COUNT = 300
_JOBS = 200
"""Of one worker, before the next one takes over."""
_TRACED = re.compile(r"(\d+) +(\w+)\((.*)")

_WORKER = Path(__file__).with_name("device_worker.py")


def require_strace(*, kills: bool = False) -> list[str]:
    """Return the words of an strace that follows children and may trace here.

    It stops what it traces only at the calls that it was asked for, where it can: half the time is saved by that. What
    it stops so it cannot kill, so where it `kills` it stops at every call.
    """
    strace = require_tool("strace")
    ways = [[strace, "-f"]] if kills else [[strace, "-f", "--seccomp-bpf"], [strace, "-f"]]
    for way in ways:
        tried = subprocess.run([*way, "-o", os.devnull, "true"], capture_output=True, text=True, timeout=30)
        if not tried.returncode:
            return way
    message = f"strace cannot trace here: {tried.stderr.strip()}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


class Worker:
    """A running device_worker.py."""

    def __init__(self, folder: Path, prefix: Sequence[str] = ()) -> None:
        self._folder = folder
        self._prefix = prefix
        self._start()

    def _start(self) -> None:
        # The capseal that is tested here, wherever it is, is the one that the worker must use.
        paths = [str(_WORKER.parent), str(_WORKER.parent.parent), str(Path(capseal.__file__).parent.parent)]
        self._process = subprocess.Popen(
            [*self._prefix, sys.executable, str(_WORKER), str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def do(self, root: Path, *steps: str, **job: object) -> int:
        """Let a child perform the steps; return its exit code, or minus the signal that ended it."""
        return self._do(root, steps, job)[1]

    def _do(self, root: Path, steps: Sequence[str], job: dict[str, object]) -> tuple[int, int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"root": str(root), "steps": steps} | job) + "\n")
        self._process.stdin.flush()
        pid, status = map(int, self._process.stdout.readline().split())
        return pid, os.waitstatus_to_exitcode(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def _end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


class Tracer(Worker):
    """A worker under strace, whose children's calls are recorded."""

    def __init__(self, folder: Path, log: Path) -> None:
        self._log = log
        self._names: dict[str, str] = {}
        super().__init__(folder, [*require_strace(), "-qq", "-e", "trace=%file,%desc", "-o", str(log)])

    def record(self, name: str, root: Path, *steps: str) -> None:
        """Let a child perform the steps under that name."""
        pid, code = self._do(root, steps, {"counted": True})
        assert code == 0
        self._names[str(pid)] = name

    def calls(self) -> Iterator[tuple[str, str, str]]:
        """Iterate over name, call and arguments of what touched files. Call it after the end: strace buffers."""
        for line in self._log.read_text(errors="replace").splitlines():
            match = _TRACED.match(line)
            if match and match[1] in self._names:
                yield self._names[match[1]], match[2], match[3]


class Injector(Worker):
    """A worker under strace. fault: what happens at the chosen call, as strace spells it."""

    def __init__(self, folder: Path, fault: str) -> None:
        self._jobs = 0
        strace = [*require_strace(kills=fault.startswith("signal")), "-qq", "-e", "signal=none", "-o", os.devnull]
        for call in sorted(CHANGES):  # not every machine has every call
            strace += ["-e", f"inject=?{call}:{fault}:when={_count_of(call)}"]
        super().__init__(folder, strace)

    def do_with_fault(self, call: str, number: int, root: Path, *steps: str) -> int:
        """Let a child perform the steps, with the fault at its call of that kind and number, from 1."""
        self._jobs += 1
        if self._jobs % _JOBS == 0:  # the worker makes calls of its own for each, and must not come to that one
            self._end()
            self._start()
        return self.do(root, *steps, counted=True, call=call, skip=_count_of(call) - number)


def _count_of(call: str) -> int:
    """Return at which call of that kind strace brings the fault about, in each thread."""
    return _FIXED_COUNT.get(call, _DEFAULT_COUNT)
