"""How a command ends: one line for every expected error, an exit code for each kind, and signals."""

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TextIO

from ...errors import CapsealError, KeyFileError, RejectedError, UsageError
from .console import complain

EXIT_CODES = (
    "0 done; 1 rejected: what was looked at is not acceptable, was withdrawn, or has findings; 2 usage: the command "
    "line, capseal.toml or a key named there asks for what cannot be; 3 environment: a file that is not there or "
    "cannot be read, whatever it is for, I/O, network; 70 a mistake of capseal's own; 130 interrupted; 143 terminated"
)
"""What scripts go by, for help and docs/commands.md."""

DONE = 0
REJECTED = 1
USAGE = 2
ENVIRONMENT = 3
BUG = 70  # EX_SOFTWARE of sysexits.h
SIGNALLED = 128

TIDYING_S = 1.0
"""How long after a first signal another one is of no effect; later it ends the process as it is."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# The caller named something that is there already, or is not a file: no fault of the machine.
_USAGE_ERRNOS = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR)


# A file that is not there, or not ours to read: nothing is known of what is in it.
_UNREAD_ERRNOS = (errno.ENOENT, errno.EACCES)

DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What a disk says that is full, or broken: by itself it tells neither which file, nor what that was wanted for."""

_MAX_TOLD_CHARS = 400

_NAMES_OF_SECRETS = ("CAPSEAL_TOKEN_FILE", "CAPSEAL_PASSPHRASE_FILE")
"""Variables that name files of secrets which cannot be told from names."""

FROM_A_FILE = "passphrase from "
"""What stands in front of the name of a passphrase's file where that cannot be read."""


class Interrupted(BaseException):
    """A signal asked the process to end. number: of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def code_for(error: CapsealError | OSError) -> int:
    """Return the exit code of an error: of a file that is not there or cannot be read the same, whatever it is for."""
    if isinstance(error, RejectedError):
        return REJECTED
    cause = error.__cause__
    if isinstance(error, KeyFileError) and isinstance(cause, OSError) and cause.errno in _UNREAD_ERRNOS:
        return ENVIRONMENT  # as for every other file
    if isinstance(error, UsageError | KeyFileError):
        return USAGE
    if isinstance(error, OSError) and error.errno in _USAGE_ERRNOS:
        return USAGE
    return ENVIRONMENT


def line_of(error: CapsealError | OSError) -> str:
    """Return what to tell about an error: what and where, in one line."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    reason = error.strerror[:1].lower() + error.strerror[1:]
    if error.errno == errno.EEXIST:
        reason = "exists already; -f replaces it"
    # What a longer work was at is noted by who did it.
    reason = ", ".join([reason, *getattr(error, "__notes__", ())])
    return reason if error.filename is None else f"{os.fsdecode(error.filename)}: {reason}"


def note_step(error: OSError, step: str, *, file: str | None = None) -> None:
    """Let a fault of a disk say at which step it came, unless it does, and of which file, where it names none."""
    if error.errno in DISK_FAULTS and error.strerror:
        if not getattr(error, "__notes__", ()):
            error.add_note(step)
        if error.filename is None:
            error.filename = file


class Hangups:
    """What handles SIGHUP while a command that goes by it is not ready for that: it notes that one came.

    A terminal that was closed says so by the same signal, which ends the command.
    """

    def __init__(self) -> None:
        self.came = False
        self._had_terminal = sys.stderr.isatty()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        if self._had_terminal and not sys.stderr.isatty():
            _interrupt(number, frame)


def catch_signals(hangups: Hangups | None = None) -> None:
    """Let SIGINT, SIGTERM and SIGHUP unwind the command, so that it leaves nothing half-made.

    hangups: gets SIGHUP in place of that.
    """
    for number in SIGNALS:
        # Whoever started us with a signal ignored (nohup, a job in the background) wants it ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, hangups if hangups and number == signal.SIGHUP else _interrupt)
    # It was held back since the process began (capseal.cli.main).
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])


def _interrupt(number: int, frame: FrameType | None) -> None:
    _let_later_ones_end(_interrupt)
    raise Interrupted(number)


@contextmanager
def signals_given_to(heed: Callable[[int], None]) -> Iterator[None]:
    """Call heed with the number of the first signal, in place of unwinding what happens to run at that moment."""

    def first(number: int, frame: FrameType | None) -> None:
        _let_later_ones_end(first)
        heed(number)

    heeded = [number for number in SIGNALS if signal.getsignal(number) is _interrupt]
    for number in heeded:
        signal.signal(number, first)
    try:
        yield
    finally:
        for number in heeded:
            if signal.getsignal(number) is first:
                signal.signal(number, _interrupt)


def _let_later_ones_end(handler: Callable[[int, FrameType | None], None]) -> None:
    """Let what a handler handled end the process as it is, but not at once."""
    first_s = time.monotonic()

    def end(number: int, frame: FrameType | None) -> None:
        # Not at once: a shell and what it runs may each pass the same Ctrl-C on, and tidying up has to have its time.
        if time.monotonic() - first_s >= TIDYING_S:
            os._exit(SIGNALLED + number)

    for other in SIGNALS:
        if signal.getsignal(other) is handler:
            signal.signal(other, end)


def code_of(run: Callable[[], int | None], output: TextIO, *, verbose: bool = False) -> int:
    """Run a command and return its exit code; its output is flushed, and a failure of that is told.

    verbose: what nobody expected is told with its traceback.
    """
    try:
        code = _run(run, verbose)
        try:
            output.flush()
        except OSError as error:
            # Python flushes once more at exit, and would fail with a message of its own.
            os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
            if code == DONE:
                complain(f"standard output: {line_of(error)}")
                code = ENVIRONMENT
    except Interrupted as interrupted:
        complain("interrupted" if interrupted.number == signal.SIGINT else "terminated")
        return SIGNALLED + interrupted.number
    return code


def _run(run: Callable[[], int | None], verbose: bool) -> int:
    try:
        return run() or DONE
    except (CapsealError, OSError) as error:
        complain(_without_secret(line_of(error)))
        return code_for(error)
    except MemoryError as error:
        complain(f"not enough memory: {error}" if str(error) else "not enough memory")
        return ENVIRONMENT
    except (Interrupted, SystemExit, KeyboardInterrupt):
        raise
    # All others, and the panics of Rust code, which are no Exception: Python would exit with 1, which means rejected.
    except BaseException as error:  # noqa: BLE001
        from .extras import missing_extra

        missing = missing_extra(error)
        if missing is not None:
            complain(missing)
            return USAGE
        _tell_bug(error, verbose)
        return BUG


def _without_secret(line: str) -> str:
    """Return the line without a token or passphrase that stands where the name of its file belongs: logs are read."""
    for variable in _NAMES_OF_SECRETS:
        value = os.environ.get(variable)
        if not value or os.path.lexists(value):
            continue
        before, found, reason = line.partition(f"{value}: ")
        if found and before in ("", FROM_A_FILE):
            return f"{before}{variable}, which is to name a file and is not shown here: {reason}"
    return line


def _tell_bug(error: BaseException, verbose: bool) -> None:
    if verbose:
        import traceback

        with suppress(OSError):
            sys.stderr.write("".join(traceback.format_exception(error)).encode("ascii", "backslashreplace").decode())
    what = " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_TOLD_CHARS]
    hint = "the traceback is above" if verbose else "run it again with -v for the traceback"
    complain(f"unexpected {what}; nothing is known to be wrong with your files: report it as a bug, {hint}")
