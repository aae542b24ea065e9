"""What whoever runs a server lives with: ids and logs, absences that nobody keeps, readiness, and reloading."""

import asyncio
import io
import json
import logging
import os
import re
import shutil
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from capseal import KeyFileError, PrivateKey, Role, TransferError, TrustStore
from capseal.server import Limits, LogFormat, Storage, make_server, replace_trust
from capseal.server._logs import log_to, told
from capseal.server._reloading import CertificatePair
from capseal.server.catalogue.catalogue import Catalogue
from capseal.server.routes.reading import IMMUTABLE
from capseal.server.storage.pace import Pace
from support.serving import APP, CHANNEL, TOKEN, Bundle, Live, listed_files, live_server
from support.tls import expire, make_certificate

HEX_ID = re.compile("[0-9a-f]{32}")


# --- ids and logs


@pytest.mark.parametrize(
    ("came", "kept"),
    [
        ("7f9c2ba4-e88f-11ee", True),
        ("Root=1-67891233-abcdef012345678912345678", True),
        ("short", False),
        ("a" * 129, False),
        ("with space in it", False),
        ("-starts-so", False),
        ("ends with\ttab", False),
        ("seventeen-chars<b>", False),
    ],
)
def test_a_request_has_the_id_that_it_brings_or_a_new_one(published: Live, came: str, kept: bool) -> None:
    id = published.client.get("/v1/apps", headers={"X-Request-Id": came}).headers["x-request-id"]
    assert id == came if kept else HEX_ID.fullmatch(id)
    new = [published.client.get(path).headers["x-request-id"] for path in ("/v1/apps", "/nowhere")]
    assert HEX_ID.fullmatch(new[0]) and HEX_ID.fullmatch(new[1]) and new[0] != new[1]


def test_every_line_of_a_request_has_its_id(store: Path, trust: TrustStore, bundle: Bundle) -> None:
    lines = io.StringIO()
    logger = logging.getLogger("capseal.server")
    handler = log_to(lines)
    before, level = logger.handlers[:], logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    try:
        with live_server(str(store), trust) as live:
            live.client.headers["X-Request-Id"] = "publishing-0001"
            live.publish(bundle).raise_for_status()
    finally:
        logger.handlers[:] = before
        logger.setLevel(level)
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    messages = {one["message"]: one.get("request_id") for one in told}
    assert messages["published"] == messages["request"] == "publishing-0001"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(stream: io.StringIO, format: LogFormat, message: str, **members: object) -> str:
    record = logging.LogRecord("capseal.server", logging.WARNING, "", 0, message, (), None)
    record.members = members
    log_to(stream, format).handle(record)
    return stream.getvalue()


def test_a_terminal_gets_lines_for_people_and_all_else_gets_json() -> None:
    for stream, format, people in (
        (Terminal(), LogFormat.AUTO, True),
        (io.StringIO(), LogFormat.AUTO, False),
        (Terminal(), LogFormat.JSON, False),
        (io.StringIO(), LogFormat.TEXT, True),
    ):
        line = written(stream, format, "request", path="/v1/apps", status=200)
        if people:
            assert re.fullmatch(r"\d\d:\d\d:\d\d warning: request path=/v1/apps status=200\n", line)
        else:
            assert json.loads(line)["path"] == "/v1/apps"


def test_nothing_that_a_client_writes_controls_the_terminal() -> None:
    line = written(Terminal(), LogFormat.AUTO, "odd\x1b[2J\nmessage", path='/\x1b]0;x\x07 a"b=', host="\u202eevil")
    assert line.count("\n") == 1
    assert line.rstrip("\n").isprintable()


def test_what_the_system_and_the_storage_say_is_told_once() -> None:
    assert told(FileNotFoundError(2, "No such file or directory", "trust.json")) == (
        "trust.json: no such file or directory"
    )
    late = TransferError("storage: no answer to a request to read store.json within 30 s")
    late.__cause__ = TimeoutError()
    assert told(late) == "storage: no answer to a request to read store.json within 30 s"
    full = "Generic LocalFileSystem error: Unable to copy data to file: No space left on device (os error 28)"
    failed = TransferError(f"storage: cannot put x: {full}")
    failed.__cause__ = RuntimeError(f'{full}\n\nDebug source:\nGeneric {{ store: "LocalFileSystem" }}')
    assert told(failed) == f"storage: cannot put x: {full}"


def test_an_error_is_told_with_all_its_causes() -> None:
    try:
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError as error:
            raise TransferError("storage: cannot get releases/x") from error
    except TransferError as error:
        assert told(error) == "storage: cannot get releases/x: [Errno 111] Connection refused"


# --- what is not there is not kept


def test_no_cache_keeps_an_answer_that_something_is_not_there(published: Live) -> None:
    release = published.release_url(7)
    for path, headers, status in (
        (published.release_url(8), {}, 404),
        (release + "/attachments/none", {}, 404),
        (release.replace("production/releases/7", "beta/latest"), {}, 404),
        ("/nowhere", {}, 404),
        ("/v1/apps/-x/channels/y/latest", {}, 400),
        (release + "/payload", {"Range": "bytes=999999999-"}, 416),
        (release + "/payload", {"If-Match": '"other"'}, 412),
        (release + "/seal", {"If-Match": '"other"'}, 412),
        (release, {"If-Match": '"other"'}, 412),
    ):
        for method in ("GET", "HEAD"):
            answer = published.client.request(method, path, headers=headers)
            if (method, status) != ("HEAD", 416):
                assert (answer.status_code, answer.headers["cache-control"]) == (status, "no-store"), (method, path)
    assert published.client.get(release + "/payload").headers["cache-control"] == IMMUTABLE
    assert published.client.delete("/v1/apps").headers["cache-control"] == "no-store"


# --- readiness


def test_a_server_is_ready_while_its_folder_is_there(store: Path, trust: TrustStore) -> None:
    with live_server(str(store), trust) as live:
        assert live.client.get("/readyz").status_code == 200
        store.rename(store.with_name("gone"))
        time.sleep(1.1)
        answer = live.client.get("/readyz")
        assert (answer.status_code, answer.headers["cache-control"]) == (503, "no-store")
        assert answer.headers["retry-after"]
        assert live.client.get("/livez").text == "ok\n"
        store.with_name("gone").rename(store)
        time.sleep(1.1)
        assert live.client.get("/readyz").text == "ok\n"


def writable(live: Live) -> str:
    """Return what the metrics say of the last write."""
    return live.client.get("/metrics").text.partition("\ncapseal_storage_writable ")[2].partition("\n")[0]


def test_a_store_that_cannot_be_written_is_ready_for_readers_and_the_metrics_say_it(
    store: Path, trust: TrustStore, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capseal.server._app._collect_now_and_then", never)  # which writes whenever it likes
    with live_server(str(store), trust) as live:
        assert writable(live) == "1.0"
        monkeypatch.setattr(Storage, "_own", full)  # what put() and put_new() begin with
        assert live.begin(bundle.seal).status_code == 503
        assert writable(live) == "0.0"
        assert live.client.get("/readyz").text == "ok\n"
        monkeypatch.undo()
        live.publish(bundle).raise_for_status()
        assert writable(live) == "1.0"


async def never(*words: object) -> None:
    """Collect nothing."""


def full(storage: Storage, data: object) -> bytes:
    raise OSError(28, "No space left on device")


def test_a_name_that_was_taken_says_nothing_of_whether_the_store_can_be_written() -> None:
    told: list[bool] = []
    storage = Storage.open("memory://")
    storage.pace = Pace(wrote=told.append)

    async def write() -> None:
        assert await storage.put_new("a", b"1") and not await storage.put_new("a", b"2")
        assert await storage.swap("b", b"1", None) and not await storage.swap("b", b"2", None)
        await storage.put("c", b"1")

    asyncio.run(write())
    assert told == [True, True, True]


# --- reloading


def asked(live: Live, logged: pytest.LogCaptureFixture) -> str:
    """Have it reload, and return what the log says then."""
    logged.clear()
    live.server._reloading.ask()  # what SIGHUP does
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for record in list(logged.records):
            if "reloaded" in record.message:
                return f"{record.message}: {getattr(record, 'members', {}).get('error', '')}"
        time.sleep(0.01)
    raise AssertionError("nothing was reloaded")


def test_a_reload_changes_whom_the_server_trusts_and_a_bad_file_nothing(
    store: Path,
    trust: TrustStore,
    bundle: Bundle,
    sealed: Callable[..., Bundle],
    signer2: PrivateKey,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "capseal.server")
    other = sealed(sequence=8, by=signer2)
    wider = TrustStore((*trust.keys, *TrustStore.of(signer2.public_key).keys))
    now: dict[str, object] = {"trust": trust, "token": None}

    def reload() -> None:
        if isinstance(now["trust"], Exception):
            raise now["trust"]
        replace_trust(live.app, now["trust"], token=now["token"])  # type: ignore[arg-type]

    with live_server(str(store), trust, reload=reload) as live:
        live.publish(bundle).raise_for_status()
        assert live.begin(other.seal).status_code == 403
        now["trust"] = KeyFileError("trust.json: not a trust store")
        assert asked(live, caplog) == "not reloaded, all stays as it was: trust.json: not a trust store"
        assert live.begin(other.seal).status_code == 403
        now.update(trust=wider, token=TOKEN)
        assert asked(live, caplog) == "reloaded: "
        assert live.begin(other.seal).status_code == 401
        live.client.headers["Authorization"] = f"Bearer {TOKEN}"
        assert live.publish(other).status_code == 201
        assert live.client.delete(live.release_url(8)).status_code == 200


def shown_certificate(port: int) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))


def test_a_reload_takes_a_new_certificate_and_keeps_the_old_one_where_that_is_bad(
    store: Path, tmp_path: Path, trust: TrustStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "capseal.server")
    certificate, key = make_certificate(tmp_path)
    (tmp_path / "new").mkdir()
    new_certificate, new_key = make_certificate(tmp_path / "new")
    first = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    second = ssl.PEM_cert_to_DER_cert(new_certificate.read_text())
    assert first != second
    tls = {"certificate": certificate, "key": key}
    reloads: list[str] = []
    with (
        live_server(str(store), trust, reload=lambda: reloads.append("trust"), **tls) as live,
        httpx.Client(verify=False, base_url=live.url) as kept,
    ):
        assert kept.get("/livez").status_code == 200
        assert shown_certificate(live.port) == first
        certificate.write_bytes(new_certificate.read_bytes())  # the key is not there yet
        assert "not a usable certificate and key: KEY_VALUES_MISMATCH" in asked(live, caplog)
        assert shown_certificate(live.port) == first
        assert reloads == []  # all of it or nothing
        key.write_bytes(new_key.read_bytes())
        assert asked(live, caplog) == "reloaded: "
        assert shown_certificate(live.port) == second
        certificate.unlink()
        assert f"{certificate}: no such file" in asked(live, caplog)
        assert shown_certificate(live.port) == second
        assert kept.get("/livez").status_code == 200  # nobody's connection was touched


def test_a_certificate_that_has_expired_is_used_and_told_of(
    store: Path, tmp_path: Path, trust: TrustStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "capseal.server")
    certificate, key = make_certificate(tmp_path)
    told_of = "the TLS certificate is not valid now"
    with live_server(str(store), trust, reload=lambda: None, certificate=certificate, key=key) as live:
        assert told_of not in caplog.messages
        expire(certificate, key)
        asked(live, caplog)
        assert shown_certificate(live.port) == ssl.PEM_cert_to_DER_cert(certificate.read_text())
    caplog.clear()
    with live_server(str(store), trust, reload=lambda: None, certificate=certificate, key=key):
        warned = [record for record in caplog.records if record.message == told_of]
        assert [record.members["file"] for record in warned] == [str(certificate)]  # type: ignore[attr-defined]


def test_a_certificate_and_a_key_that_were_mixed_up_are_told_of(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    with pytest.raises(KeyFileError, match=r"no certificate in PEM is in the first, or no key in the second$"):
        CertificatePair(key, certificate)


def test_an_empty_place_that_becomes_a_store_is_told_of_once(
    store: Path, trust: TrustStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Where there should be releases, the disk is not mounted."""
    caplog.set_level("INFO", "capseal.server")
    for _ in range(2):
        with live_server(str(store), trust):
            pass
    made = [record for record in caplog.records if record.message == "made a new store"]
    assert [record.members["place"] for record in made] == [str(store)]  # type: ignore[attr-defined]


def test_a_server_without_anything_to_reload_says_so_by_ending(store: Path) -> None:
    async def nothing(*_: object) -> None: ...

    assert make_server(nothing, host="127.0.0.1", port=0)._reloading is None


# --- a store that goes away


@pytest.mark.parametrize("gone", ["the folder", "what is in it", "store.json"])
def test_nothing_is_written_where_the_store_was(
    tmp_path: Path, trust: TrustStore, sealed: Callable[..., Bundle], gone: str
) -> None:
    store = tmp_path / "disk"
    one, two = sealed(sequence=7), sealed(sequence=8)
    with live_server(str(store), trust) as live:
        live.publish(one).raise_for_status()
        begun = live.begin(two.seal).json()["links"]
        store.rename(tmp_path / "elsewhere")  # as unmounting does
        left = []
        if gone == "what is in it":
            store.mkdir()
        if gone == "store.json":
            shutil.copytree(tmp_path / "elsewhere", store)
            (store / "store.json").unlink()
            left = listed_files(store)
        refused = [
            live.begin(two.seal),
            live.client.put(begun["payload"], content=two.payload),
            live.client.post(begun["self"]),
            live.client.delete(live.release_url(7)),
        ]
        assert {answer.status_code for answer in refused[:3]} == {503}
        assert live.client.get("/readyz").status_code == 503
        assert (listed_files(store) if store.exists() else []) == left
        assert store.exists() == (gone != "the folder")
        if gone != "store.json":
            time.sleep(1.1)  # for so long, a pointer may be known
            assert live.client.get(f"/v1/apps/{APP}/channels/{CHANNEL}/latest").status_code == 503
            (tmp_path / "elsewhere").rename(store)
            time.sleep(1.1)
            assert live.client.get("/readyz").status_code == 200
            assert live.publish(two).json()["release"]["sequence"] == 8


def test_who_follows_makes_no_store_where_there_was_one(tmp_path: Path, trust: TrustStore) -> None:
    for place, text in ((tmp_path / "gone", "gone: no such folder"), (tmp_path, "any more; is it mounted")):
        with pytest.raises(TransferError, match=text):
            check(Storage.open(str(place), may_be_new=False), trust)
    assert os.listdir(tmp_path) == []


def check(storage: Storage, trust: TrustStore) -> None:
    log = logging.getLogger("capseal.server")
    limits = Limits()
    catalogue = Catalogue(storage, trust, role=Role.PRODUCTION, limits=limits, log=log, verify_reads=False)
    asyncio.run(catalogue.check_layout())
