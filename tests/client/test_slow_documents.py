"""Small documents that come a byte now and then: nobody waits for them for hours."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from capseal import CapsealError, DeviceStore, PrivateKey, TransferError, TrustStore
from capseal.cli.commands.capgo_statistics import statistics
from capseal.client import Connection, channel_head, fetch, fetch_head, fetch_recall, fetch_update
from capseal.client._deadline import within
from capseal.format.seal import MAGIC
from support.scripted import Act, Request, scripted
from support.serving import APP, CHANNEL

_SHORT_S = 0.3
_OF = {"app": APP, "channel": CHANNEL}
_LATE = f"did not come in {_SHORT_S:g} s"


def trickling(begin: Callable[[Request], object]) -> Act:
    """Return what answers with a byte every few milliseconds, for seconds."""

    def act(request: Request) -> None:
        begin(request)
        request.handler.close_connection = True
        for _ in range(500):
            request.handler.wfile.write(b" ")
            time.sleep(0.01)

    return act


def _in_the_body(request: Request) -> None:
    request.begin(200, content_length="1000000", content_type="application/json")


def _in_the_envelope(request: Request) -> None:
    _in_the_body(request)
    request.handler.wfile.write(MAGIC + (400).to_bytes(4, "big"))


def _in_a_body_without_a_length(request: Request) -> None:
    request.begin(200, connection="close")


def _in_the_headers(request: Request) -> None:
    request.handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Header: ")


def _in_an_error(request: Request) -> None:
    request.begin(400, content_length="10000", content_type="application/problem+json")


BEGINNINGS = (_in_the_body, _in_a_body_without_a_length, _in_the_headers, _in_an_error)

ASKING: dict[str, Callable[[Connection], object]] = {
    "head": lambda connection: fetch_head(connection, **_OF),
    "recall": lambda connection: fetch_recall(connection, "a" * 64, **_OF),
    "trust update": lambda connection: fetch_update(connection, app=APP, version=2),
    "seal": lambda connection: fetch(
        connection, **_OF, sequence=1, folder=".", trust=TrustStore.of(PrivateKey.generate(3072).public_key)
    ),
    "what says which release is the latest": lambda connection: fetch(
        connection, **_OF, folder=".", trust=TrustStore.of(PrivateKey.generate(3072).public_key)
    ),
}


@pytest.mark.parametrize("begin", BEGINNINGS)
def test_a_head_that_trickles_is_given_up_wherever_it_trickles(begin: Callable[[Request], None]) -> None:
    with scripted(trickling(begin)) as server, Connection(server.url, document_s=_SHORT_S) as connection:  # noqa: SIM117
        with pytest.raises(TransferError, match=f"head {_LATE}"):
            fetch_head(connection, **_OF)


@pytest.mark.parametrize("what", ASKING)
def test_whatever_small_document_trickles_is_given_up(what: str) -> None:
    begin = _in_the_envelope if what == "seal" else _in_the_body
    with scripted(trickling(begin)) as server, Connection(server.url, document_s=_SHORT_S) as connection:  # noqa: SIM117
        with pytest.raises(CapsealError) as raised:
            ASKING[what](connection)
    assert isinstance(raised.value, TransferError)
    assert f"{what} {_LATE}" in str(raised.value)


def test_attempts_count_together() -> None:
    def breaks_off(request: Request) -> None:
        _in_the_body(request)
        request.handler.close_connection = True

    with scripted(breaks_off) as server, Connection(server.url, document_s=_SHORT_S, attempts=10**9) as connection:  # noqa: SIM117
        with pytest.raises(TransferError, match=f"head {_LATE}"):
            fetch_head(connection, **_OF)


def test_a_device_does_not_hang_on_a_server_that_trickles(
    tmp_path: Path, recipient: PrivateKey, trust: TrustStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Connection.__init__.__kwdefaults__
    assert settings["document_s"] == 120
    monkeypatch.setitem(settings, "document_s", _SHORT_S)
    device = DeviceStore(tmp_path / "device", trust=trust, identity=recipient, app=APP, builtin=tmp_path)
    with scripted(trickling(_in_the_body)) as server:
        with pytest.raises(TransferError, match=_LATE):
            device.install(server.url)
        with pytest.raises(TransferError, match=f"head {_LATE}"), channel_head(server.url, **_OF):
            pass
    assert device.boot().bundle is None


def test_a_server_whose_statistics_trickle_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Connection.__init__.__kwdefaults__, "document_s", _SHORT_S)
    with scripted(trickling(_in_the_body)) as server, pytest.raises(TransferError, match=f"statistics {_LATE}"):
        statistics([server.url])


def test_what_comes_after_a_document_that_was_in_time_is_not_ended() -> None:
    ended = threading.Event()
    with within(10**6, ended.set) as late:
        assert not late.is_set()
    threads = [thread.name for thread in threading.enumerate()]
    assert "capseal-deadline" not in threads
    with within(0, ended.set) as late:
        assert ended.wait(30)
        assert late.is_set()


def test_transfers_are_ended_again_until_the_block_is_left() -> None:
    enough, count = threading.Event(), 0

    def end() -> None:
        nonlocal count
        count += 1
        if count == 2:
            enough.set()

    with within(0, end):
        assert enough.wait(30)


def test_where_no_thread_can_be_had_to_look_at_the_time_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with scripted(trickling(_in_the_body)) as server, Connection(server.url, attempts=1) as connection:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(TransferError, match="can't start new thread"):
            fetch_head(connection, **_OF)
        monkeypatch.undo()
        assert server.seen == []
