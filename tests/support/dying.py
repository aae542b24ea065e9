"""Processes that run a command line and die at a chosen step: of the disk or of the wire.

As a program: each line of standard input is a job: a folder, the words of a command line, the number of the step to
be killed before, from 1, and 0 or the number of an error that comes in place of the kill. Each is answered with the
wait status of the child that ran it, and with what that wrote to standard error.
What one child had to import the next ones have from the beginning: that takes longer than most commands.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import capseal
from capseal.cli import _app

STEPS = ("link", "rename", "replace", "unlink", "rmdir", "mkdir", "fsync", "write", "ftruncate", "fchmod")
"""What changes the disk through `os`. What is written through a file object is told by its sync."""

Killed = Callable[[Path, list[str], int], int]
"""Of folder, words and step; returns the exit code."""

Failed = Callable[[Path, list[str], int, int], tuple[int, str]]
"""Of folder, words, step and error number; returns the exit code, and what was said."""

_NAMING = ("link", "rename", "replace", "unlink", "rmdir", "mkdir")
"""Calls whose errors name a file, as those on descriptors do not."""


def die_at(number: int, error: int = 0) -> None:
    """Let this process be killed before its step of that number; or have an error in place of it."""
    left = number

    def counting(call: Callable[..., Any], *, naming: bool = False) -> Callable[..., Any]:
        def counted(*arguments: Any, **keywords: Any) -> Any:
            nonlocal left
            left -= 1
            if not left and error:
                raise OSError(error, os.strerror(error), *(arguments[:1] if naming else ()))
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **keywords)

        return counted

    for name in (*STEPS, "pwrite") if error else STEPS:
        setattr(os, name, counting(getattr(os, name), naming=name in _NAMING))
    if error:
        return
    httpx.Client.send = counting(httpx.Client.send)  # type: ignore[method-assign]
    httpx.Response.read = counting(httpx.Response.read)  # type: ignore[method-assign]
    httpx.Response.close = counting(httpx.Response.close)  # type: ignore[method-assign]


@contextmanager
def commands_that_die() -> Iterator[Killed]:
    """Give killed(folder, words, step) -> exit code of a command that is killed before that step."""
    with commands_that_fail() as failed:
        yield lambda folder, words, step: failed(folder, words, step, 0)[0]


@contextmanager
def commands_that_fail() -> Iterator[Failed]:
    """Give failed(folder, words, step, error) -> exit code and message of a command with an error at that step."""
    paths = [str(Path(__file__).parents[1]), str(Path(capseal.__file__).parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen(
        [sys.executable, __file__], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None

        def failed(folder: Path, words: list[str], step: int, error: int) -> tuple[int, str]:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps([str(folder), words, step, error]) + "\n")
            process.stdin.flush()
            status, said = json.loads(process.stdout.readline())
            return os.waitstatus_to_exitcode(status), said

        yield failed
        process.stdin.close()


def _import(names: Iterable[str]) -> None:
    for name in names:
        if name not in sys.modules:
            importlib.import_module(name)


def main() -> None:
    for line in sys.stdin:
        folder, words, step, error = json.loads(line)
        said, imported = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        pid = os.fork()
        if not pid:
            code = 70
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(said.fileno(), 2)
                os.chdir(folder)
                die_at(step, error)
                code = _app.run(words)
            finally:
                if code == 70:
                    traceback.print_exc()
                    sys.stderr.flush()
                imported.write("\n".join(name for name in sys.modules if name.startswith("capseal.")).encode())
                imported.flush()
                os._exit(code)
        status = os.waitpid(pid, 0)[1]
        said.seek(0), imported.seek(0)
        _import(imported.read().decode().split())
        print(json.dumps([status, said.read().decode()]), flush=True)


if __name__ == "__main__":
    main()
