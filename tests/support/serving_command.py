"""`capseal serve` as a process."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from support.command import CAPSEAL, heed_signals


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(
    folder: Path,
    *options: object,
    code: int = 0,
    end: Sequence[str] = ("SIGTERM",),
    under: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """`capseal serve store` in that folder.

    end: the signals that end it, one after the other; under: a command that runs it; environment: variables
    besides those of this process.
    """
    port = free_port()
    command = [*under, *CAPSEAL, "serve", "store", "--trust", "trust.json", "--port", str(port), *map(str, options)]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stderr=log,
            stdout=log,
            env={**os.environ, **(environment or {})},
            preexec_fn=heed_signals,
        )
    try:
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        for number in end:
            process.send_signal(signal.Signals[number])
            time.sleep(0.05)
        assert process.wait(20) == code, (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()


def serving_pid(folder: Path) -> int:
    """Return the process that serves from a folder."""
    line = next(line for line in (folder / "log").read_text().splitlines() if "Started server process" in line)
    return int(re.findall(r"\[([0-9]+)\]", line)[0])
