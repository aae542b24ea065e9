"""The command line: arguments, progress, messages and exit codes; the work is done by the library.

Every topic is a module here with its COMMANDS, listed in _app.py. At their top, topics import the standard library
only: the library is imported inside the commands, so that starting up stays quick.
"""

import gc
import os
import signal
import sys
from contextlib import suppress

from .._version import __version__


def main() -> None:
    """Run the command line and end the process.

    Exit codes: 0 done, 1 rejected, 2 usage, 3 environment, 70 a mistake of our own, 128 + n for signal n.
    """
    # A server that is told to read its files again before it can take that has missed nothing, and goes on.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    # What the imports make stays, and to look for garbage in it would cost 10 ms of every start.
    gc.set_threshold(50_000)
    code = 0 if sys.argv[1:] in (["-V"], ["--version"]) and _told_version() else _run()
    # Not by way of the interpreter, which would take 15 ms to tear itself down. Output was flushed by run().
    os._exit(code)


def _told_version() -> bool:
    """Print the version without what it takes to run a command, half of the start; where that fails, say so."""
    try:
        os.write(1, f"capseal {__version__}\n".encode())
    except OSError:  # the way of every command tells why
        return False
    return True


def _run() -> int:
    try:
        from ._app import run
        from .framework.console import replace_closed_streams
    except KeyboardInterrupt:  # before signals are ours
        raise SystemExit(130) from None
    replace_closed_streams()
    code = run()
    with suppress(OSError):  # what cannot be told must not change the exit code
        sys.stderr.flush()
    return code
