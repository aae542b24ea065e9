"""A storage that does not answer keeps nobody waiting, and the metrics say how it does."""

import asyncio
import re
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from capseal import TransferError, TrustStore
from capseal.server import Limits, Storage
from capseal.server.storage import objects
from capseal.server.storage.pace import Pace
from support.command import CAPSEAL
from support.proxy import Proxy, proxy
from support.s3 import point_at, s3_server
from support.scripted import scripted
from support.serving import Bundle, live_server


class SilentPages:
    def __aiter__(self) -> "SilentPages":
        return self

    async def __anext__(self) -> list[object]:
        await never()
        return []


HASTE = Limits(storage_s=1.0)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch):
    """A place in a bucket, and the wire to it."""
    with s3_server("bundles") as url, proxy(int(url.rpartition(":")[2])) as wire:
        point_at(wire.url, monkeypatch)
        yield "s3://bundles/silent", wire


def test_a_silent_bucket_is_told_as_503_in_time_and_goes_on_where_it_answers_again(
    bucket: tuple[str, Proxy], trust: TrustStore, bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    place, wire = bucket
    with live_server(place, trust, limits=HASTE, verify_reads=True) as live:
        live.publish(bundle).raise_for_status()
        assert live.client.get("/readyz").status_code == 200
        release = live.release_url(7)
        wire.silent.set()
        for path in (release + "/payload", release + "/seal"):
            began = time.monotonic()
            answer = live.client.get(path)
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:capseal:problem:storage"), path
            assert answer.headers["retry-after"]
            assert time.monotonic() - began < 8
        began = time.monotonic()
        assert live.client.get("/readyz").status_code == 503
        assert time.monotonic() - began < 7
        assert live.client.get("/livez").status_code == 200
        assert "storage: no answer to" in str([getattr(record, "members", "") for record in caplog.records])
        wire.silent.clear()
        time.sleep(1.1)
        assert live.client.get("/readyz").status_code == 200
        assert live.client.get(release + "/payload").content == bundle.payload


def test_a_server_does_not_start_on_a_silent_bucket_and_says_so(
    bucket: tuple[str, Proxy], tmp_path: Path, trust: TrustStore
) -> None:
    place, wire = bucket
    trust.save(tmp_path / "trust.json")
    wire.silent.set()
    command = [*CAPSEAL, "serve", place, "--trust", "trust.json", "--port", "0", "--storage-s", "1"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 3
    assert ended.stderr.splitlines()[-1].startswith("capseal: storage: no answer to ")
    assert ended.stderr.splitlines()[-1].endswith(" within 1 s")


async def never(*words: object, **keywords: object) -> None:
    await asyncio.Event().wait()


async def listed(storage: Storage) -> None:
    async for _ in storage.list("payloads"):
        pass


async def begun() -> AsyncIterator[bytes]:
    yield b"a"


# What is asked for in words, and calls that ask for it.
WISHES: dict[str, list[Callable[[Storage], Awaitable[object]]]] = {
    "look whether it is there": [lambda storage: storage.probe()],
    "read a/b": [
        lambda storage: storage.get("a/b", most=1),
        lambda storage: storage.see("a/b", most=1),
        lambda storage: storage.read("a/b", 0, 1),
    ],
    "write a/b": [
        lambda storage: storage.put("a/b", b""),
        lambda storage: storage.put_new("a/b", b""),
        lambda storage: storage.swap("a/b", b"", None),
        lambda storage: storage.put_stream("a/b", begun(), size=1, headers={}),
    ],
    "delete a/b": [lambda storage: storage.delete(["a/b"])],
    "list payloads": [listed],
}


@pytest.mark.parametrize("wish", WISHES)
def test_a_storage_that_is_late_is_told_with_what_it_was_asked_for_in_words(
    monkeypatch: pytest.MonkeyPatch, wish: str
) -> None:
    for name in ("head_async", "get_async", "get_range_async", "put_async", "delete_async"):
        monkeypatch.setattr(objects.obstore, name, never)
    monkeypatch.setattr(objects.obstore, "list", lambda *words, **keywords: SilentPages())
    storage = Storage.open("memory://")
    storage.pace = Pace(0.01)

    async def asked(call: Callable[[Storage], Awaitable[object]]) -> None:
        await call(storage)

    for call in WISHES[wish]:
        with pytest.raises(TransferError, match=f"^storage: no answer to a request to {wish} within 0.01 s$"):
            asyncio.run(asked(call))


def test_a_bucket_that_cannot_be_reached_is_told_with_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    point_at("http://127.0.0.1:9", monkeypatch)
    storage = Storage.open("s3://bundles/x")
    with pytest.raises(TransferError, match=r"cannot get a: .*: Connection refused|no answer"):
        asyncio.run(storage.get("a", most=1))


def test_an_endpoint_of_plain_http_is_told_with_the_variable_that_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    point_at("http://127.0.0.1:9", monkeypatch)
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with pytest.raises(TransferError, match=r"cannot get a: .*plain http, .* AWS_ALLOW_HTTP=true allows"):
        asyncio.run(Storage.open("s3://bundles/x").get("a", most=1))


def test_a_bucket_that_is_not_there_is_named_with_what_the_store_says(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'<?xml version="1.0"?>\n<Error><Code>NoSuchBucket</Code><Message>none</Message></Error>'

    async def listed() -> None:
        async for _ in Storage.open("s3://bundles/x").list(""):
            pass

    with scripted(lambda request: request.answer(body, status=404)) as server:
        point_at(server.url, monkeypatch)
        with pytest.raises(TransferError, match=r"cannot list s3://bundles/x: [^<]*404 Not Found: NoSuchBucket$"):
            asyncio.run(listed())


def test_metrics_tell_of_storage_process_and_latency(store: Path, trust: TrustStore, bundle: Bundle) -> None:
    with live_server(str(store), trust) as live:
        live.publish(bundle).raise_for_status()
    with live_server(str(store), trust, limits=Limits(collect_interval_s=0.1)) as live:
        assert live.client.get(live.release_url(7) + "/seal").status_code == 200
        text = live.client.get("/metrics").text
        deadline = time.monotonic() + 30
        while (
            "capseal_stored_bytes 0.0" in text and time.monotonic() < deadline
        ):  # it is added up where it is collected
            time.sleep(0.05)
            text = live.client.get("/metrics").text
    lines = re.findall(r"^([a-z_]+(?:\{.*\})?) ([0-9.e+]+)$", text, re.MULTILINE)
    found = {name: float(value) for name, value in lines}
    assert found["capseal_stored_bytes"] == len(bundle.payload)
    assert found['capseal_storage_seconds_count{call="get"}'] >= 1
    assert found['capseal_storage_seconds_count{call="list"}'] >= 1
    assert found["process_resident_memory_bytes"] > 10**7
    assert found["process_open_fds"] > 3
    route = "/v1/apps/{app}/channels/{channel}/releases/{sequence}/seal"
    assert found[f'capseal_request_seconds_count{{route="{route}"}}'] == 1
