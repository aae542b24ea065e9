"""What is verified and not kept: threads read, check and send it, segment by segment."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from capseal import TrustStore
from capseal.constants import SEGMENT_BYTES
from capseal.format.signed_index import SignedIndex
from capseal.format.statement import Payload
from capseal.format.tree import digest
from capseal.native.hashing import segment_digests
from capseal.server import Limits
from capseal.server._outlet import PIECE, Outlet
from capseal.server.storage._checked_run import CheckedRun
from capseal.server.storage.buffers import Buffers
from capseal.server.storage.stored_runs import StoredRun
from capseal.server.storage.verified_cache import VerifiedCache
from support.serving import Bundle, Live, live_server, payload_file

S = SEGMENT_BYTES
MIB = 1024**2


@pytest.fixture
def keeping_nothing(store: Path, trust: TrustStore, bundle: Bundle) -> Iterator[Live]:
    with live_server(str(store), trust, verify_reads=True, limits=Limits(verified_bytes=0, idle_s=1)) as live:
        live.publish(bundle).raise_for_status()
        yield live


def payload_url(live: Live) -> str:
    return live.release_url(7) + "/payload"


def test_every_range_is_served_as_it_was_published(keeping_nothing: Live, bundle: Bundle) -> None:
    size = len(bundle.payload)
    assert keeping_nothing.client.get(payload_url(keeping_nothing)).content == bundle.payload
    for start, stop in ((0, 1), (S - 1, S + 1), (15 * S + 7, 17 * S + 1), (size - 1, size), (S, 2 * S), (3, size)):
        span = {"Range": f"bytes={start}-{stop - 1}"}
        answer = keeping_nothing.client.get(payload_url(keeping_nothing), headers=span)
        assert (answer.status_code, answer.content) == (206, bundle.payload[start:stop])


def test_of_what_was_altered_no_byte_is_sent(keeping_nothing: Live, store: Path, bundle: Bundle) -> None:
    path = payload_file(store, bundle.digest, "0000000000-16")
    data = bytearray(path.read_bytes())
    data[9 * S + 5] ^= 1
    path.write_bytes(data)
    bad = keeping_nothing.client.get(payload_url(keeping_nothing), headers={"Range": f"bytes={9 * S + 7}-{10 * S}"})
    assert bad.status_code == 503
    with socket.create_connection(("127.0.0.1", keeping_nothing.port)) as connection:
        connection.sendall(f"GET {payload_url(keeping_nothing)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        came = b""
        while data := connection.recv(MIB):
            came += data
    assert came.partition(b"\r\n\r\n")[2] == bundle.payload[: 9 * S]
    good = keeping_nothing.client.get(payload_url(keeping_nothing), headers={"Range": f"bytes={10 * S}-{11 * S - 1}"})
    assert good.content == bundle.payload[10 * S : 11 * S]


def test_a_file_that_was_cut_aborts_the_answer(keeping_nothing: Live, store: Path, bundle: Bundle) -> None:
    object_ = payload_file(store, bundle.digest, "0000000000-16")
    os.truncate(object_, 9 * S + 1)
    with pytest.raises(httpx.RemoteProtocolError):
        keeping_nothing.client.get(payload_url(keeping_nothing))
    object_.unlink()
    assert keeping_nothing.client.get(payload_url(keeping_nothing)).status_code == 503


@pytest.mark.parametrize("verify_reads", [False, True])
@pytest.mark.parametrize("planted", ["link", "pipe", "folder"])
def test_what_is_planted_in_place_of_an_object_is_neither_read_nor_waited_for(
    planted: str, verify_reads: bool, tmp_path: Path, store: Path, trust: TrustStore, bundle: Bundle
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"nobody's to read" * S)
    limits = Limits(verified_bytes=0)
    with live_server(str(store), trust, verify_reads=verify_reads, limits=limits) as live:
        live.publish(bundle).raise_for_status()
        (seal,) = store.glob("releases/*/*/*/*/seal")
        whole, ranges = {}, {"Range": "bytes=0-9,4000000-4000009"}
        for path, url, asked in (
            (payload_file(store, bundle.digest, "0000000000-16"), payload_url(live), [whole, ranges]),
            (seal, live.release_url(7) + "/seal", [whole]),
        ):
            path.unlink()
            if planted == "link":
                path.symlink_to(secret)
            elif planted == "pipe":
                os.mkfifo(path)
            else:
                path.mkdir()
            for headers in asked:
                answer = live.client.get(url, headers=headers, timeout=20)
                assert answer.status_code == 503
                assert b"nobody" not in answer.content
        assert live.client.get("/livez").status_code == 200


def test_who_takes_slowly_is_served_and_who_takes_nothing_is_dropped(keeping_nothing: Live, bundle: Bundle) -> None:
    request = f"GET {payload_url(keeping_nothing)} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    before = len(os.listdir("/proc/self/fd"))
    with socket.socket() as slow, socket.socket() as idle:
        for one in (slow, idle):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
            one.connect(("127.0.0.1", keeping_nothing.port))
            one.settimeout(10)
            one.sendall(request)
        taken = b""
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            taken += slow.recv(16 * 1024)
            time.sleep(0.05)
        assert len(keeping_nothing.server.server_state.connections) == 2  # it, and the client of the test
        while len(taken.partition(b"\r\n\r\n")[2]) < len(bundle.payload):
            data = slow.recv(MIB)
            assert data, f"closed after {len(taken)} bytes"
            taken += data
        assert taken.partition(b"\r\n\r\n")[2] == bundle.payload
    deadline = time.monotonic() + 10
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_an_outlet_that_is_closed_while_a_thread_sends_keeps_its_descriptor_until_that_has_ended() -> None:
    making, may_go_on = threading.Event(), threading.Event()

    def push(to: int) -> int:
        os.write(to, bytes(10))
        making.set()
        may_go_on.wait(10)
        os.fstat(to)  # it is open still
        return 10

    async def run() -> tuple[int, bool, bytes]:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
            outlet = Outlet(transport, asyncio.get_running_loop(), idle_s=30)
            sending = asyncio.create_task(outlet.send({"type": PIECE, "push": push, "count": 20}))
            await asyncio.to_thread(making.wait, 10)
            sending.cancel()
            await asyncio.wait([sending])
            outlet.close()
            was_open = outlet._fd >= 0
            may_go_on.set()
            while outlet._fd >= 0:
                await asyncio.sleep(0.01)
            transport.abort()
            came = theirs.recv(100)
        return len(came), was_open, came

    before = os.listdir("/proc/self/fd")
    count, was_open, _ = asyncio.run(run())
    assert was_open
    assert count == 10  # nothing after it was closed
    assert len(os.listdir("/proc/self/fd")) <= len(before)


def test_a_full_cache_takes_in_only_what_is_asked_for_more_than_what_it_would_displace() -> None:
    async def run() -> None:
        cache = VerifiedCache(2 * MIB)

        async def make() -> memoryview:
            return memoryview(bytes(MIB))

        for number in (0, 1):
            assert cache.is_worth(("digest", number))
            await cache.get(("digest", number), make)
        asked = [cache.is_worth(("digest", 2)) for _ in range(4)]
        assert asked == [False, False, True, True]
        assert not cache.is_worth(("digest", 3))
        assert cache.is_worth(("digest", 0))  # it is here

    asyncio.run(run())
    assert not VerifiedCache(0).is_worth(("digest", 0))


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_a_checked_run_that_is_closed_while_a_thread_sends_lets_go_of_file_and_buffer_afterwards(
    tmp_path: Path,
) -> None:
    content = os.urandom(2 * S)
    path = tmp_path / "run"
    path.write_bytes(content)
    entries = segment_digests(content)
    index = SignedIndex(Payload(2 * S, digest(entries, 2 * S)), entries)
    buffers = Buffers(S, most=4)
    fd = os.open(path, os.O_RDONLY)
    checked = CheckedRun(index, StoredRun(0, 2, "m"), fd, buffers, start=0, stop=2 * S)
    checked.check_first()
    sending, may_go_on = threading.Event(), threading.Event()
    send = checked._span.send

    def held_up(to: int) -> int:
        sending.set()
        may_go_on.wait(10)
        return send(to)

    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.MonkeyPatch.context() as patch:
        ours.setblocking(False)
        patch.setattr(checked._span, "send", held_up, raising=True)
        thread = threading.Thread(target=checked.push, args=(ours.fileno(),))
        thread.start()
        assert sending.wait(10)
        checked.close()
        assert is_open(fd)
        assert not buffers._spare
        may_go_on.set()
        thread.join()
        assert len(buffers._spare) == 1
        assert not is_open(fd)
        assert checked.push(ours.fileno()) == 0
        checked.close()
    assert len(buffers._spare) == 1
