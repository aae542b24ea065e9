"""Runs `capseal` as a process, the way that people and scripts do."""

import contextlib
import ctypes
import errno
import fcntl
import logging
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import capseal
from capseal.cli import _app as app
from capseal.cli.framework import exit_codes

CAPSEAL = [sys.executable, "-m", "capseal"]
TIMEOUT_S = 60.0

_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2


@dataclass(frozen=True)
class Result:
    """How a process ended. out, err: what it wrote."""

    code: int
    out: bytes
    err: str

    def succeeded(self) -> "Result":
        """Assert that, with nothing on standard error, and return the result."""
        assert (self.code, self.err) == (0, "")
        return self

    def failed_with(self, code: int, fragment: str) -> None:
        """Assert one clear line on standard error, and that exit code."""
        assert (self.code, self.err.count("\n")) == (code, 1), self.err
        assert self.err.startswith("capseal: ")
        assert fragment in self.err
        assert "Traceback" not in self.err


def run(*arguments: object, cwd: Path, stdin: bytes = b"", stdout: int | None = None) -> Result:
    """Run capseal to its end in that folder, inside this process: as a process would, and much quicker.

    stdout: a descriptor, in place of collecting what is written.
    """
    handlers = {number: signal.getsignal(number) for number in exit_codes.SIGNALS}
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(cwd))
        stack.enter_context(_logging_as_it_was())
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        for fd, file in ((0, stack.enter_context(_file_of(stdin))), (1, out if stdout is None else stdout), (2, err)):
            stack.enter_context(_in_place_of(fd, file))
        stack.enter_context(contextlib.redirect_stdout(stack.enter_context(open(1, "w", closefd=False))))
        stack.enter_context(contextlib.redirect_stderr(stack.enter_context(open(2, "w", closefd=False))))
        try:
            code = app.run([str(argument) for argument in arguments])
            sys.stderr.flush()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return Result(code, _content_of(out), _content_of(err).decode())


@contextlib.contextmanager
def _logging_as_it_was() -> Iterator[None]:
    """Take back where a command sent the logs of its process, since this process goes on."""

    def loggers() -> dict[str, logging.Logger]:
        known = logging.root.manager.loggerDict.items()
        return {name: logger for name, logger in known if isinstance(logger, logging.Logger)}

    before = {name: (list(one.handlers), one.propagate, one.level) for name, one in loggers().items()}
    try:
        yield
    finally:
        for name, logger in loggers().items():
            logger.handlers[:], logger.propagate, level = before.get(name, ([], True, logging.NOTSET))
            logger.setLevel(level)


@contextlib.contextmanager
def _in_place_of(fd: int, other: int | BinaryIO) -> Iterator[None]:
    saved = os.dup(fd)
    os.dup2(other if isinstance(other, int) else other.fileno(), fd)
    try:
        yield
    finally:
        os.dup2(saved, fd)
        os.close(saved)


def _file_of(data: bytes) -> BinaryIO:
    file = tempfile.TemporaryFile()
    file.write(data)
    file.seek(0)
    return file


def _content_of(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def spawn(*arguments: object, cwd: Path, **keywords: Any) -> Result:
    """Run capseal to its end in that folder, as a process that has no terminal."""
    settings: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE} | keywords
    done = subprocess.run(
        [*CAPSEAL, *map(str, arguments)],
        cwd=cwd,
        stderr=subprocess.PIPE,
        timeout=TIMEOUT_S,
        start_new_session=True,
        **settings,
    )
    return Result(done.returncode, done.stdout or b"", done.stderr.decode())


def shell(script: str, *, cwd: Path) -> Result:
    """Run a shell script in which `capseal` is the command; it stops at the first line that fails."""
    prelude = f'set -e; capseal() {{ "{sys.executable}" -m capseal "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", prelude + script], cwd=cwd, capture_output=True, timeout=TIMEOUT_S
    )
    return Result(done.returncode, done.stdout, done.stderr.decode())


@contextlib.contextmanager
def started(*arguments: object, cwd: Path, **keywords: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start capseal; whatever happens, it has ended afterwards."""
    process = subprocess.Popen(
        [*CAPSEAL, *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=heed_signals,
        **keywords,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def heed_signals() -> None:
    """For preexec_fn: undo an ignored SIGINT or SIGHUP, which jobs in the background and those of nohup inherit."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Capabilities(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@contextlib.contextmanager
def permissions_obeyed() -> Iterator[None]:
    """Without root's right to read and write whatever it likes, which this thread has back afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = _CapabilityHeader(0x20080522, 0), (_Capabilities * 2)()  # capget(2), version 3
    if libc.capget(ctypes.byref(header), data) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    before = data[0].effective
    data[0].effective = before & ~(1 << _CAP_DAC_OVERRIDE | 1 << _CAP_DAC_READ_SEARCH)
    if libc.capset(ctypes.byref(header), data) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    try:
        yield
    finally:
        data[0].effective = before
        libc.capset(ctypes.byref(header), data)


@contextlib.contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """No file may grow beyond that many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something holds. Raises TimeoutError."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.01)


def names(folder: Path) -> list[str]:
    """Return everything that is in a folder, hidden files too."""
    return sorted(os.listdir(folder))


class Terminal:
    """A pseudo-terminal of our own, for prompts and progress bars. screen: all that was written to it."""

    def __init__(self) -> None:
        self.screen = ""
        self._ours, self.theirs = pty.openpty()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._ours)
        os.close(self.theirs)

    def control(self) -> None:
        """For preexec_fn: make this the controlling terminal, where passphrases are asked for."""
        os.setsid()
        fcntl.ioctl(self.theirs, termios.TIOCSCTTY, 0)

    def resize(self, *, columns: int, rows: int = 24) -> None:
        """Say how large it is."""
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._ours, text.encode())

    def expect(self, text: str) -> None:
        """Read until the text is on the screen. Raises TimeoutError."""
        deadline = time.monotonic() + TIMEOUT_S
        while text not in self.screen:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{text!r} is not in {self.screen!r}")
            self.read(timeout_s=0.1)

    def read(self, *, timeout_s: float = 0.0) -> None:
        """Read what is there."""
        while select.select([self._ours], [], [], timeout_s)[0]:
            try:
                self.screen += os.read(self._ours, 65536).decode(errors="replace")
            except OSError as error:  # nobody has the other side open any more
                if error.errno != errno.EIO:
                    raise
                return

    def run(self, *arguments: object, cwd: Path, answers: Sequence[tuple[str, str]]) -> int:
        """Run capseal with this as its terminal and type an answer at each prompt; return its exit code."""
        with subprocess.Popen(
            [*CAPSEAL, *map(str, arguments)],
            cwd=cwd,
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            preexec_fn=self.control,
        ) as process:
            try:
                for prompt, answer in answers:
                    self.expect(prompt)
                    self.screen = self.screen.partition(prompt)[2]
                    self.type(answer + "\n")
                while process.poll() is None:
                    self.read(timeout_s=0.05)
                self.read()
            finally:
                process.kill()
            return process.returncode


@dataclass(frozen=True)
class Desk:
    """A folder with keys and bundles, where commands are run. Nothing in it is changed by tests."""

    folder: Path

    def path(self, name: str) -> Path:
        """Return the path of a file on the desk."""
        return self.folder / name

    @property
    def sealing(self) -> list[object]:
        """The options that seal needs when there is no configuration."""
        return [
            "-s", self.path("signer.pem"), "-r", self.path("device.pub.pem"),
            "--app", "com.example.game", "--version", "1.2.3",
        ]  # fmt: skip

    @property
    def trusting(self) -> list[object]:
        """The options that verify needs."""
        return ["--trust", self.path("signer.pub.pem")]

    @property
    def opening(self) -> list[object]:
        """The options that unseal needs, but for the output."""
        return [*self.trusting, "-i", self.path("device.pem")]


PASSPHRASE = "correct horse"


def lay_out(folder: Path, keys: dict[str, capseal.PrivateKey], content: bytes, sealed: bytes) -> Desk:
    """Put keys, a bundle and its sealed form on a new desk."""
    for name, key in keys.items():
        key.save(folder / f"{name}.pem")
        (folder / f"{name}.pub.pem").write_bytes(key.public_key.pem)
    keys["device"].save(folder / "locked.pem", passphrase=PASSPHRASE.encode())
    (folder / "dist.zip").write_bytes(content)
    (folder / "dist.sealed").write_bytes(sealed)
    return Desk(folder)
