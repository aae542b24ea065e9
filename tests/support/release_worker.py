"""A process whose children release, and die at a chosen step: of the disk or of the wire.

Arguments: folder with signer.pem, device.pub.pem, trust.pem and web. Each line of standard input is a job: the
folder to release in, the server's URL or null, and the number of the step to be killed before, from 1. Each is answered
with the child's wait status.
"""

import contextlib
import json
import os
import secrets
import sys
import traceback
from pathlib import Path

import capseal
import capseal.client
from capseal.client import Connection
from capseal.project import release as releasing
from support.dying import die_at
from support.forking import import_rooms


def release(
    place: Path,
    folder: Path,
    url: str | None,
    *,
    sequence: int | None = None,
    log: bool = True,
    web: str = "web",
    recipes: bool = False,
) -> None:
    """Release in that folder, as the command does. recipes: with one from nothing."""
    (folder / "releases").mkdir(exist_ok=True)
    with contextlib.nullcontext() if url is None else Connection(url, attempts=1) as connection:
        releasing.release(
            place / web,
            folder / "releases",
            signers=[capseal.load_private_key(place / "signer.pem")],
            recipients=[capseal.load_public_key(place / "device.pub.pem")],
            app="com.example.game",
            version=f"1.{secrets.token_hex(4)}",
            trust=capseal.load_trust(place / "trust.pem"),
            sequence=sequence,
            log=folder / "releases.log" if log else None,
            bases=() if recipes else None,
            connection=connection,
            jobs=1,
        )


def main() -> None:
    place = Path(sys.argv[1])
    import_rooms("archive", "bundle", "client", "crypto", "delta", "http", "io", "native", "project", "trust")
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if not pid:
            if job["kill_at"]:
                die_at(job["kill_at"])
            code = 1
            try:
                asked = {name: job[name] for name in ("sequence", "log", "web", "recipes")}
                release(place, Path(job["folder"]), job["url"], **asked)
                code = 0
            finally:
                if code:
                    traceback.print_exc()
                    sys.stderr.flush()
                os._exit(code)
        print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    main()
