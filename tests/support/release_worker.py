"""A process whose children release, and die at a chosen step: of the disk or of the wire.

Arguments: folder with signer.pem, device.pub.pem, trust.pem and web. Each line of standard input is a job: the
folder to release in, the server's URL or null, and the number of the step to be killed before, from 1. Each is answered
with the child's wait status.
"""

import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

import capseal
import capseal.client
from capseal.client import Connection
from capseal.project import release as releasing

STEPS = ("link", "rename", "replace", "unlink", "rmdir", "mkdir", "fsync", "write", "ftruncate", "fchmod")
"""What changes the disk through `os`. The log itself is written through a file object, which is told by its sync."""


def _die_at(number: int) -> None:
    """Let this process be killed before its step of that number."""
    left = number

    def counting(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **keywords: Any) -> Any:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **keywords)

        return counted

    for name in STEPS:
        setattr(os, name, counting(getattr(os, name)))
    httpx.Client.send = counting(httpx.Client.send)  # type: ignore[method-assign]
    httpx.Response.read = counting(httpx.Response.read)  # type: ignore[method-assign]
    httpx.Response.close = counting(httpx.Response.close)  # type: ignore[method-assign]


def release(place: Path, folder: Path, url: str | None) -> None:
    """Release in that folder, as the command does."""
    (folder / "releases").mkdir(exist_ok=True)
    with contextlib.nullcontext() if url is None else Connection(url, attempts=1) as connection:
        releasing.release(
            place / "web",
            folder / "releases",
            signers=[capseal.load_private_key(place / "signer.pem")],
            recipients=[capseal.load_public_key(place / "device.pub.pem")],
            app="com.example.game",
            version="1",
            trust=capseal.load_trust(place / "trust.pem"),
            log=folder / "releases.log",
            connection=connection,
            jobs=1,
        )


def main() -> None:
    place = Path(sys.argv[1])
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if not pid:
            if job["kill_at"]:
                _die_at(job["kill_at"])
            code = 1
            try:
                release(place, Path(job["folder"]), job["url"])
                code = 0
            finally:
                if code:
                    traceback.print_exc()
                    sys.stderr.flush()
                os._exit(code)
        print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    main()
