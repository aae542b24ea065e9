"""The terminal and the standard streams: what is read, what is printed, and what may not reach a terminal."""

import errno
import fcntl
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, BinaryIO, NamedTuple, TextIO, cast

from ...errors import UsageError

STANDARD = "-"
_ALIASES = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def replace_closed_streams() -> None:
    """Open the null device for every standard stream that we were started without, as by '>&-'.

    Otherwise the first file that is opened would get the number of that stream, and messages would go into it. What
    is written to standard output is refused, so that its loss is told; so is reading standard input, which would be
    taken for an empty one.
    """
    for fd, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest number that is free, which is this one
    sys.stdout = sys.stdout or open(1, "w", closefd=False)
    sys.stderr = sys.stderr or open(2, "w", closefd=False)


def printable(text: str) -> str:
    """Return text with everything escaped that could steer a terminal (C0, C1, bidi, lone surrogates)."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


class Telling(NamedTuple):
    """How a command tells of its work. json: its answer alone, as JSON; quiet: nothing that nobody asked for."""

    json: bool = False
    quiet: bool = False


_TELLING: ContextVar[Telling | None] = ContextVar("telling", default=None)


@contextmanager
def telling(how: Telling) -> Iterator[None]:
    """Let a command tell of its work in some way."""
    token = _TELLING.set(how)
    try:
        yield
    finally:
        _TELLING.reset(token)


def _how() -> Telling:
    return _TELLING.get() or Telling()


def is_json() -> bool:
    """Say whether the answer is wanted as JSON, so that nobody reads the lines."""
    return _how().json


def is_quiet() -> bool:
    """Say whether nothing shall be told that nobody asked for."""
    return _how().quiet


def is_watched() -> bool:
    """Say whether somebody sees what goes on, and wants to: a terminal, without --quiet."""
    return sys.stderr.isatty() and not is_quiet()


def say(text: str) -> None:
    """Print one line of what was done on standard output; nothing with --json or --quiet. Raises OSError."""
    if not is_quiet():
        print_line(text)


def print_line(text: str) -> None:
    """Print one line of what was asked for on standard output; nothing with --json. Raises OSError."""
    if not is_json():
        write(printable(text))


def answer(value: Any) -> None:
    """Print what a command did or found as a JSON value on standard output, with --json alone. Raises OSError.

    It is ASCII: safe on a terminal and in any locale. A command does it once, at its end.
    """
    if is_json():
        import json

        write(json.dumps(value, indent=2).replace("\x7f", "\\u007f"))


def complain(text: str) -> None:
    """Print one line on standard error; what cannot be told there is dropped, since the exit code tells the most."""
    with suppress(OSError):
        _write(sys.stderr, f"capseal: {printable(text)}")


def note(text: str) -> None:
    """Print one line on standard error of what is no mistake, but good to know; nothing with --quiet."""
    if not is_quiet():
        complain(text)


def write(text: str) -> None:
    """Print a text of our own, which may be many lines, on standard output. Raises OSError."""
    try:
        _write(sys.stdout, text)
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None


def _write(stream: TextIO, text: str) -> None:
    # What a locale has no character for is escaped: better than nothing, and better than a traceback.
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def open_input(path: str) -> str | BinaryIO:
    """Return the path, or standard input for '-'. Raises OSError where that is closed, by whatever name."""
    if path != STANDARD and not _is_standard_input(path):
        return path
    # What replace_closed_streams() opened in its place cannot be read; by its path it could, and would be empty.
    if fcntl.fcntl(0, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
        raise OSError(errno.EBADF, "closed, or open for writing only", "standard input")
    if path != STANDARD:
        return path
    # Raw: a thread that is blocked in a buffered reader would crash the interpreter's shutdown.
    return cast(BinaryIO, io.FileIO(0, "rb", closefd=False))


def _is_standard_input(path: str) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(0))
    except (OSError, ValueError):  # whoever opens it will tell
        return False


def output_path(text: str) -> str:
    """Return the path of an output as it was given, or '-' for the other names of standard output."""
    return STANDARD if text in _ALIASES else text


def open_output(path: str) -> str | BinaryIO:
    """Return the path, or standard output for '-'. Raises UsageError where that is a terminal."""
    if path != STANDARD:
        return path
    if sys.stdout.isatty():
        raise UsageError("standard output is a terminal, and this is binary data; use -o FILE or a pipe")
    appends = fcntl.fcntl(1, fcntl.F_GETFL) & os.O_APPEND
    return cast(BinaryIO, (_Unseekable if appends else io.FileIO)(1, "wb", closefd=False))


class _Unseekable(io.FileIO):
    """A file opened with '>>': what is written lands at its end, wherever one seeks."""

    def seekable(self) -> bool:
        return False
