"""How bytes leave: files by sendfile(2), verified runs once for many, and nobody holds a connection for nothing."""

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from capseal import TamperedError, TrustStore
from capseal.constants import SEGMENT_BYTES
from capseal.format.signed_index import SignedIndex
from capseal.native import filehints
from capseal.server import Limits
from capseal.server._outlet import PIECE, Outlet
from capseal.server.storage.verified_cache import VerifiedCache
from support.serving import Bundle, Live, live_server, payload_file
from support.tools import require_tool


@pytest.fixture
def sent_files(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What sendfile(2) sent, in bytes."""
    sent: list[int] = []
    sendfile = os.sendfile

    def counted(*arguments: int) -> int:
        sent.append(sendfile(*arguments))
        return sent[-1]

    monkeypatch.setattr(os, "sendfile", counted)
    return sent


def payload_of(live: Live, *, span: tuple[int, int] | None = None) -> bytes:
    headers = {} if span is None else {"Range": f"bytes={span[0]}-{span[1] - 1}"}
    answer = live.client.get(live.release_url(7) + "/payload", headers=headers)
    assert answer.status_code == (200 if span is None else 206)
    return answer.content


def test_a_payload_in_a_folder_leaves_by_sendfile(live: Live, bundle: Bundle, sent_files: list[int]) -> None:
    live.publish(bundle).raise_for_status()
    assert payload_of(live) == bundle.payload
    assert sum(sent_files) == len(bundle.payload)
    span = 15 * SEGMENT_BYTES + 7, 17 * SEGMENT_BYTES + 1  # of two objects
    for _ in range(3):  # on one connection
        assert payload_of(live, span=span) == bundle.payload[slice(*span)]


def test_what_is_not_in_the_page_cache_is_read_by_threads(
    live: Live, bundle: Bundle, sent_files: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    live.publish(bundle).raise_for_status()
    monkeypatch.setattr(filehints, "is_in_memory", lambda fd: False)
    monkeypatch.setattr(filehints, "is_cached", lambda fd, offset, size: False)
    assert payload_of(live) == bundle.payload
    assert not sent_files


def test_over_tls_nothing_leaves_unencrypted(
    store: Path, tmp_path: Path, trust: TrustStore, bundle: Bundle, sent_files: list[int]
) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    request = [
        require_tool("openssl"),
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ]
    request += ["-days", "2", "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(request, check=True, capture_output=True)
    with live_server(str(store), trust, certificate=certificate, key=key) as live:
        live.publish(bundle).raise_for_status()
        content = b""
        with contextlib.suppress(httpx.HTTPError):
            content = payload_of(live)
    assert not sent_files
    assert content == bundle.payload


def test_a_file_that_was_cut_aborts_the_answer(live: Live, store: Path, bundle: Bundle) -> None:
    live.publish(bundle).raise_for_status()
    object_ = payload_file(store, bundle.digest, "0000000000-16")
    os.truncate(object_, 9 * SEGMENT_BYTES)
    with pytest.raises(httpx.RemoteProtocolError):
        payload_of(live)
    object_.unlink()
    assert live.client.get(live.release_url(7) + "/payload").status_code == 503


@pytest.mark.parametrize("verify_reads", [False, True])
def test_who_takes_slowly_but_goes_on_taking_is_served(
    store: Path, trust: TrustStore, bundle: Bundle, verify_reads: bool
) -> None:
    limits = Limits(idle_s=1)
    with live_server(str(store), trust, limits=limits, verify_reads=verify_reads) as live:
        live.publish(bundle).raise_for_status()
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
            connection.connect(("127.0.0.1", live.port))
            connection.settimeout(10)
            connection.sendall(f"GET {live.release_url(7)}/payload HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            taken = b""
            until = time.monotonic() + 3.5  # longer than a peer may take nothing
            while time.monotonic() < until:
                taken += connection.recv(32 * 1024)
                time.sleep(0.05)
            while len(taken.partition(b"\r\n\r\n")[2]) < len(bundle.payload):
                data = connection.recv(1024 * 1024)
                assert data, f"closed after {len(taken)} bytes"
                taken += data
        assert taken.partition(b"\r\n\r\n")[2] == bundle.payload


@pytest.mark.parametrize("verify_reads", [False, True])
def test_who_goes_away_in_the_middle_is_no_mistake_of_ours(
    store: Path, trust: TrustStore, bundle: Bundle, verify_reads: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with live_server(str(store), trust, verify_reads=verify_reads) as live:
        live.publish(bundle).raise_for_status()
        for header in ("", "Range: bytes=0-8388607\r\n") * 5:
            with socket.create_connection(("127.0.0.1", live.port)) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it resets
                request = f"GET {live.release_url(7)}/payload HTTP/1.1\r\nHost: x\r\n{header}\r\n"
                connection.sendall(request.encode())
                connection.recv(100)
        assert live.client.get(live.release_url(7) + "/payload").content == bundle.payload
        deadline = time.monotonic() + 10
        while len(live.server.server_state.tasks) and time.monotonic() < deadline:
            time.sleep(0.02)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("verify_reads", [False, True])
def test_who_takes_nothing_is_dropped(store: Path, trust: TrustStore, bundle: Bundle, verify_reads: bool) -> None:
    with live_server(str(store), trust) as live:  # the first one in a process opens what stays open
        live.publish(bundle).raise_for_status()
    before = len(os.listdir("/proc/self/fd"))
    with (
        live_server(str(store), trust, limits=Limits(idle_s=0.3), verify_reads=verify_reads) as live,
        socket.socket() as connection,
    ):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        connection.connect(("127.0.0.1", live.port))
        connection.sendall(f"GET {live.release_url(7)}/payload HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        deadline = time.monotonic() + 10
        while len(live.server.server_state.connections) > 1:  # the other is the client of the test
            assert time.monotonic() < deadline, "still connected"
            time.sleep(0.05)
    assert len(os.listdir("/proc/self/fd")) <= before  # no descriptor is left


def test_an_outlet_that_is_closed_meanwhile_sends_no_more_and_leaves_no_descriptor() -> None:
    async def run() -> int:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
            outlet = Outlet(transport, asyncio.get_running_loop(), idle_s=30)
            sending = asyncio.create_task(outlet.send({"type": PIECE, "body": bytes(8 * 1024 * 1024)}))
            await asyncio.sleep(0.05)
            outlet.close()
            sent = await sending
            transport.abort()
            await asyncio.sleep(0)
        return sent

    before = os.listdir("/proc/self/fd")
    assert 0 < asyncio.run(run()) < 8 * 1024 * 1024
    assert len(os.listdir("/proc/self/fd")) <= len(before)


def test_what_many_ask_for_at_once_is_verified_once(
    store: Path, trust: TrustStore, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[int] = []
    check_run = SignedIndex.check_run

    def counted(index: SignedIndex, first: int, data: memoryview) -> None:
        checked.append(first)
        check_run(index, first, data)

    with live_server(str(store), trust, verify_reads=True) as live:
        live.publish(bundle).raise_for_status()
        monkeypatch.setattr(SignedIndex, "check_run", counted)

        async def ask() -> list[bytes]:
            async with httpx.AsyncClient(base_url=live.url, timeout=30) as client:
                asked = [client.get(live.release_url(7) + "/payload") for _ in range(8)]
                return [one.content for one in await asyncio.gather(*asked)]

        assert asyncio.run(ask()) == [bundle.payload] * 8
    assert sorted(checked) == list(range(0, 21, 2))


def made(cache: VerifiedCache, *, key: int, make: Callable[[], Awaitable[memoryview]]) -> Awaitable[memoryview]:
    return cache.get(("digest", key), make)


def test_a_cache_holds_what_was_asked_for_last_and_no_more_than_it_may() -> None:
    async def run() -> list[int]:
        calls: list[int] = []
        cache = VerifiedCache(30)

        async def get(key: int) -> None:
            async def make() -> memoryview:
                calls.append(key)
                return memoryview(bytes(10))

            assert len(await made(cache, key=key, make=make)) == 10

        for key in (1, 2, 3, 1, 4, 1, 2):
            await get(key)
        assert cache._held_bytes == 30
        return calls

    assert asyncio.run(run()) == [1, 2, 3, 4, 2]


def test_a_cache_keeps_nothing_of_what_failed_and_a_waiter_survives_who_asked_first() -> None:
    async def run() -> None:
        cache = VerifiedCache(100)
        may_end = asyncio.Event()

        async def bad() -> memoryview:
            raise TamperedError("segment 0")

        async def good() -> memoryview:
            await may_end.wait()
            return memoryview(b"good")

        for _ in range(2):
            with pytest.raises(TamperedError):
                await made(cache, key=0, make=bad)
        first = asyncio.create_task(made(cache, key=0, make=good))
        await asyncio.sleep(0)
        second = asyncio.create_task(made(cache, key=0, make=bad))
        await asyncio.sleep(0)
        first.cancel()
        may_end.set()
        assert await second == b"good"

    asyncio.run(run())
