"""The server under load: 64 range readers and 4 publishers, every byte verified by its client; and two ratios.

    python bench/server_load.py --seconds 60              the load run of docs/server.md
    python bench/server_load.py --stalls --seconds 60     the same, every callback of the event loop timed
    python bench/server_load.py --stalls --seconds 60 --releases 10000 --apps 500
                                                          the same, in a store with so many releases of one channel and
                                                          with so many apps of 20, listed and collected all the time
    python bench/server_load.py --ratios --seconds 5      verified against unverified, reads and uploads

The server is a process of its own on loopback; the store is a folder, by default in memory (/dev/shm),
so that no disk is measured. Prints one JSON object.
"""

import argparse
import asyncio
import contextlib
import http.client
import io
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

if __package__:
    from . import many_releases
    from .loop_watch import LoopWatch
else:
    import many_releases
    from loop_watch import LoopWatch

APP = "com.example.load"
READ_BYTES = 8 * 1024**2
PUT_BYTES = 8 * 1024**2
MIB = 1024**2


# The server's side: `--serve STORE TRUST VERIFY TOKEN STALLS COLLECT_S`.


def serve(store: str, trust: str, verify: str, token: str, stalls_wanted: str, collect_s: str) -> None:
    """Serve until SIGTERM, then print what held the event loop.

    beat_late_ms: how late a timer of 1 ms came, whoever was to blame: on busy cores mostly the kernel's
    scheduler. With stalls, what loop_watch.py sees; it needs asyncio's own loop in place of uvloop.
    collect_s: seconds from one collection to the next, 0: as by default.
    """
    import socket

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from capseal import load_trust
    from capseal.cli.commands.serve import pause_briefly
    from capseal.server import Limits, Storage, create_app, make_server

    storage = Storage.open(store)
    limits = Limits(uploads=64, **({"collect_interval_s": float(collect_s)} if float(collect_s) else {}))
    app = create_app(storage, load_trust(trust), verify_reads=verify == "1", token=token, limits=limits)

    async def put_plain(request: Request) -> Response:
        """The same upload with no seal and no check: what publishing is compared with."""
        buffer, filled = bytearray(int(request.headers["content-length"])), 0
        async for chunk in request.stream():
            buffer[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
        path = f"plain/{request.path_params['name']}"
        await storage.put(path, memoryview(buffer))
        return Response(b"{}")

    async def sync_plain(request: Request) -> Response:
        names = [one.path async for one in storage.list(f"plain/{request.path_params['name']}")]
        await storage.sync(names)
        await storage.delete(names)
        return Response(b"{}")

    app.router.routes.append(Route("/plain/{name:path}", put_plain, methods=["PUT"]))
    app.router.routes.append(Route("/plain/{name:path}", sync_plain, methods=["POST"]))
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    server = make_server(app, host="127.0.0.1", port=0, limits=limits)
    stalls: dict[str, Any] = {"beat_late_ms": 0.0}
    watch = LoopWatch()

    async def beat() -> None:
        await asyncio.sleep(1)  # the start-up is not load
        if stalls_wanted == "1":
            watch.begin()
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            late_ms = (time.perf_counter() - before - 0.001) * 1e3
            stalls["beat_late_ms"] = max(stalls["beat_late_ms"], round(late_ms, 1))

    # uvicorn raises the signal again once it has stopped, and that would be the end of this process.
    signal.signal(signal.SIGTERM, lambda number, frame: None)

    async def main() -> None:
        beating = asyncio.create_task(beat())
        print(listener.getsockname()[1], flush=True)
        await server.serve(sockets=[listener])
        beating.cancel()

    pause_briefly()
    if stalls_wanted == "1":
        asyncio.run(main())
        stalls |= watch.result()
    else:
        import uvloop

        uvloop.run(main())
    print(json.dumps(stalls), flush=True)


@dataclass
class Server:
    """A running server. port: on loopback; stalls: filled in at the end."""

    port: int
    process: subprocess.Popen[str]
    token: str
    stalls: dict[str, Any]

    def rss_bytes(self) -> int:
        """Return its resident memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def server(folder: Path, *, verify: bool, stalls: bool = False, collect_s: float = 0) -> Iterator[Server]:
    """Run a server process over FOLDER/store."""
    token = secrets.token_hex(16)
    arguments = ["--serve", str(folder / "store"), str(folder / "trust"), "01"[verify], token, "01"[stalls]]
    arguments.append(str(collect_s))
    process = subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True)
    one = Server(int(process.stdout.readline()), process, token, {})
    wait_until_up(one.port)
    try:
        yield one
    finally:
        process.send_signal(signal.SIGTERM)
        one.stalls.update(json.loads(process.stdout.read() or "{}"))
        process.wait()


def wait_until_up(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/healthz")
            if connection.getresponse().read() == b"ok\n":
                connection.close()
                return
        time.sleep(0.05)
    raise SystemExit("the server did not start")


# The clients' side.


def read_ranges(
    one: Server, path: str, size: int, stop: threading.Event, check: Callable[[int, memoryview], None]
) -> int:
    """Read ranges at random until told to stop; return the bytes that passed the check."""
    buffer = memoryview(bytearray(READ_BYTES))
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=60)
    total = 0
    while not stop.is_set():
        start = random.randrange(-(-size // READ_BYTES)) * READ_BYTES
        wanted = min(READ_BYTES, size - start)
        connection.request("GET", path, headers={"Range": f"bytes={start}-{start + wanted - 1}"})
        response = connection.getresponse()
        if response.status != 206:
            raise SystemExit(f"status {response.status}: {response.read(300)!r}")
        done = 0
        while done < wanted:
            count = response.readinto(buffer[done:wanted])
            if count == 0:
                raise SystemExit(f"response ended after {done} of {wanted} bytes")
            done += count
        response.read()
        check(start, buffer[:wanted])
        total += wanted
    connection.close()
    return total


def read_lists(one: Server, stop: threading.Event) -> int:
    """Read the largest pages of all that is listed until told to stop; return their bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=60)
    first = ["/v1/apps?limit=1000", "/v1/apps/com.example.many0/channels/production/releases?limit=1000"]
    total, here = 0, 0
    wanted: list[str] = []
    while not stop.is_set():
        if not wanted:
            wanted.append(first[here % len(first)])
            here += 1
        connection.request("GET", wanted.pop())
        response = connection.getresponse()
        data = response.read()
        if response.status != 200:
            raise SystemExit(f"status {response.status}: {data[:300]!r}")
        total += len(data)
        following = json.loads(data).get("next")
        if following:
            wanted.append(following)
        stop.wait(0.1)
    connection.close()
    return total


def publish_bundles(one: Server, folder: Path, keys: Any, channel: str, size: int, stop: threading.Event) -> int:
    """Seal, publish and withdraw bundle after bundle, at least one; return the payload bytes published."""
    import capseal
    from capseal.client import Connection, publish, withdraw

    signer, recipient = keys
    content = os.urandom(size)
    file = folder / f"{channel}.sealed"
    total, sequence = 0, 0
    with Connection(one.url, token=one.token) as connection:
        while not sequence or not stop.is_set():  # on a busy machine the time may be over before the first
            sequence += 1
            seal = capseal.seal(
                io.BytesIO(content), file, signer=signer, recipients=[recipient.public_key], app=APP, version="1",
                sequence=sequence, channel=channel, name="x", overwrite=True, jobs=1,
            )  # fmt: skip
            release = publish(file, connection, jobs=2)
            if release["sequence"] != sequence:
                raise SystemExit(f"published sequence {release['sequence']}, not {sequence}")
            withdraw(connection, app=APP, channel=channel, sequence=sequence)
            total += seal.statement.payload.size
    file.unlink(missing_ok=True)
    return total


def on_threads(count: int, work: Callable[[int], int]) -> tuple[list[threading.Thread], list[int], list[BaseException]]:
    """Start threads; results and errors appear in the lists."""
    results: list[int] = []
    errors: list[BaseException] = []

    def run(i: int) -> None:
        try:
            results.append(work(i))
        except BaseException as error:  # noqa: BLE001 - reported by the main thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    return threads, results, errors


def prepare(folder: Path, size: int) -> tuple[Any, Any]:
    """Make keys, a trust file and FOLDER/big.sealed, a bundle for the readers."""
    import capseal
    from capseal import PrivateKey, TrustStore

    signer, recipient = PrivateKey.generate(3072), PrivateKey.generate(3072)
    TrustStore.of(signer.public_key).save(folder / "trust")
    with open(folder / "content", "wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    capseal.seal(
        folder / "content", folder / "big.sealed", signer=signer, recipients=[recipient.public_key], app=APP,
        version="1", sequence=1, channel="readers",
    )  # fmt: skip
    (folder / "content").unlink()
    return signer, recipient


def load(
    folder: Path, *, seconds: float, readers: int, publishers: int, size: int, stalls: bool, releases: int, apps: int
) -> dict[str, Any]:
    """Readers and publishers at once; every client verifies.

    releases, apps: of one channel, and with 20 each, that are there besides, are listed and collected.
    """
    from capseal import load_trust
    from capseal.client import Connection, open_release, publish
    from capseal.constants import SEGMENT_BYTES
    from capseal.embedding import accept

    keys = prepare(folder, size)
    is_full = bool(releases or apps)
    if is_full:
        many_releases.write(folder / "store", channels=1, releases=releases)
        many_releases.write(folder / "store", channels=apps, releases=20, app="com.example.of20.")
    with server(folder, verify=True, stalls=stalls, collect_s=5 if is_full else 0) as one:
        with Connection(one.url, token=one.token) as connection:
            publish(folder / "big.sealed", connection)
        (folder / "big.sealed").unlink()
        with open_release(one.url, app=APP, channel="readers") as (seal, _):
            verified = accept(seal, trust=load_trust(folder / "trust"))
        path = f"/v1/apps/{APP}/channels/readers/releases/1/payload"
        payload_bytes = verified.statement.payload.size
        stop = threading.Event()

        def check(start: int, data: memoryview) -> None:
            verified.check_run(start // SEGMENT_BYTES, data)

        began = time.perf_counter()
        reading = on_threads(readers, lambda i: read_ranges(one, path, payload_bytes, stop, check))
        publishing = on_threads(publishers, lambda i: publish_bundles(one, folder, keys, f"p{i}", 24 * MIB, stop))
        listing = on_threads(1 if releases else 0, lambda i: read_lists(one, stop))
        memory: list[int] = []
        while time.perf_counter() - began < seconds:
            time.sleep(min(1.0, seconds / 5))
            memory.append(one.rss_bytes())
            if reading[2] or publishing[2] or listing[2]:
                break
        stop.set()
        for thread in [*reading[0], *publishing[0], *listing[0]]:
            thread.join(60)
        elapsed = time.perf_counter() - began
    errors = [repr(error) for error in [*reading[2], *publishing[2], *listing[2]]]
    settled = memory[len(memory) // 4 :]
    return {
        "seconds": round(elapsed, 1),
        "readers": readers,
        "publishers": publishers,
        "errors": errors,
        "verified_read_MBps": round(sum(reading[1]) / elapsed / 1e6),
        "published_MBps": round(sum(publishing[1]) / elapsed / 1e6, 1),
        "listed_MB": round(sum(listing[1]) / 1e6, 1),
        "server_rss_MiB": {
            "after_a_quarter": settled[0] // MIB, "end": memory[-1] // MIB, "most": max(memory) // MIB
        },
        "longest_stall": one.stalls,
    }  # fmt: skip


def ratios(folder: Path, *, seconds: float, readers: int, rounds: int, size: int) -> dict[str, Any]:
    """Reads and uploads, verified against unverified, in turns, medians compared; clients check nothing."""
    import capseal
    from capseal.client import Connection, publish

    signer, recipient = prepare(folder, size)
    reads: dict[bool, list[float]] = {True: [], False: []}
    with server(folder, verify=True) as one, Connection(one.url, token=one.token) as connection:
        publish(folder / "big.sealed", connection)
    payload_bytes = capseal.inspect(folder / "big.sealed")[1].payload.size
    (folder / "big.sealed").unlink()
    path = f"/v1/apps/{APP}/channels/readers/releases/1/payload"
    for _ in range(rounds):
        for verify in (True, False):
            with server(folder, verify=verify) as one:
                stop = threading.Event()
                began = time.perf_counter()
                threads, results, errors = on_threads(
                    readers, lambda i: read_ranges(one, path, payload_bytes, stop, lambda start, data: None)
                )
                time.sleep(seconds)
                stop.set()
                for thread in threads:
                    thread.join(60)
                if errors:
                    raise errors[0]
                reads[verify].append(sum(results) / (time.perf_counter() - began) / 1e6)

    uploads: dict[bool, list[float]] = {True: [], False: []}
    content = os.urandom(192 * MIB)
    with server(folder, verify=False) as one:
        for sequence in range(1, 3 * rounds + 1):
            detached = capseal.Detached(folder / "seal", folder / "payload")
            capseal.seal(
                io.BytesIO(content), detached, signer=signer, recipients=[recipient.public_key], app=APP, version="1",
                sequence=sequence, channel="up", name="x", overwrite=True,
            )  # fmt: skip
            payload, seal = (folder / "payload").read_bytes(), (folder / "seal").read_bytes()
            for verified in (True, False):
                uploads[verified].append(len(payload) / upload(one, payload, seal if verified else None) / 1e6)
            with Connection(one.url, token=one.token) as connection:
                capseal.client.withdraw(connection, app=APP, channel="up", sequence=sequence)
    return {
        "read_MBps": {name: [round(one) for one in reads[key]] for name, key in (("verified", True), ("plain", False))},
        "read_ratio": round(median(reads[True]) / median(reads[False]), 2),
        "upload_MBps": {
            name: [round(one) for one in uploads[key]] for name, key in (("verified", True), ("plain", False))
        },
        "upload_ratio": round(median(uploads[True]) / median(uploads[False]), 2),
    }  # fmt: skip


def upload(one: Server, payload: bytes, seal: bytes | None) -> float:
    """Upload in pieces on 4 connections, published and synced at the end; return the seconds."""
    view = memoryview(payload)
    starts = iter(range(0, len(payload), PUT_BYTES))
    lock = threading.Lock()
    began = time.perf_counter()
    first = http.client.HTTPConnection("127.0.0.1", one.port, timeout=60)
    authorization = {"Authorization": f"Bearer {one.token}"}
    name = f"/plain/{secrets.token_hex(8)}"
    if seal is not None:
        first.request("POST", "/v1/uploads", body=seal, headers=authorization)
        name = json.loads(first.getresponse().read())["links"]["self"]

    def put(i: int) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=60)
        connection.blocksize = MIB
        done = 0
        while True:
            with lock:
                start = next(starts, None)
            if start is None:
                connection.close()
                return done
            piece = view[start : start + PUT_BYTES]
            span = {"Content-Range": f"bytes {start}-{start + len(piece) - 1}/{len(payload)}"}
            target = f"{name}/payload" if seal is not None else f"{name}/{start:020d}"
            connection.request("PUT", target, body=piece, headers=authorization | span)
            response = connection.getresponse()
            answer = response.read()
            if response.status != 200:
                raise SystemExit(f"status {response.status}: {answer[:300]!r}")
            done += len(piece)

    threads, _, errors = on_threads(4, put)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    first.request("POST", name, headers=authorization)
    response = first.getresponse()
    answer = response.read()
    if response.status not in (200, 201):
        raise SystemExit(f"status {response.status}: {answer[:300]!r}")
    first.close()
    return time.perf_counter() - began


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--readers", type=int, default=64)
    parser.add_argument("--publishers", type=int, default=4)
    parser.add_argument("--size-mib", type=int, default=256, help="of the bundle that is read")
    parser.add_argument("--ratios", action="store_true", help="compare with no verification instead")
    parser.add_argument("--stalls", action="store_true", help="time every callback of the event loop")
    parser.add_argument("--releases", type=int, default=0, help="of one channel, in the store besides")
    parser.add_argument("--apps", type=int, default=0, help="with 20 releases each, in the store besides")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where the store is made; default: in /dev/shm if there is one")
    options = parser.parse_args()
    place = options.folder or ("/dev/shm" if os.path.isdir("/dev/shm") else None)
    folder = Path(tempfile.mkdtemp(prefix="capseal-load-", dir=place))
    try:
        if options.ratios:
            result = ratios(
                folder, seconds=options.seconds, readers=options.readers, rounds=options.rounds,
                size=options.size_mib * MIB,
            )  # fmt: skip
        else:
            result = load(
                folder, seconds=options.seconds, readers=options.readers, publishers=options.publishers,
                size=options.size_mib * MIB, stalls=options.stalls, releases=options.releases, apps=options.apps,
            )  # fmt: skip
    finally:
        shutil.rmtree(folder)
    print(json.dumps(result))
    if result.get("errors"):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
