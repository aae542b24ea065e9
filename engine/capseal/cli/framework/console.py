"""The terminal and the standard streams: what is read, what is printed, and what may not reach a terminal."""

import errno
import fcntl
import io
import os
import sys
from contextlib import suppress
from typing import Any, BinaryIO, TextIO, cast

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


def say(text: str) -> None:
    """Print one line on standard output. Raises OSError."""
    write(printable(text))


def complain(text: str) -> None:
    """Print one line on standard error; what cannot be told there is dropped, since the exit code tells the most."""
    with suppress(OSError):
        _write(sys.stderr, f"capseal: {printable(text)}")


def print_json(value: Any) -> None:
    """Print a JSON value on standard output, in ASCII: safe on a terminal and in any locale. Raises OSError."""
    import json

    write(json.dumps(value, indent=2).replace("\x7f", "\\u007f"))


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
