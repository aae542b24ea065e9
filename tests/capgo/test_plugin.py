"""Capgo's plugin, its own code, against a live server: what it installs, and what it refuses."""

import io
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import capseal
from capseal import capgo
from support.capgo_devices import DeviceOpener, plugin_source
from support.capgo_pair import Pair, make_pair
from support.serving import Live
from support.zips import zip_of

NAME = "game.capgo"
SMALL = {"index.html": b"<html>game</html>", "js/app.js": b"play();" * 3000, "data/level.bin": bytes(range(256)) * 400}


@pytest.fixture
def verifies_reads() -> bool:
    return True


Publisher = Callable[..., Pair]


@pytest.fixture
def published(
    live: Live, tmp_path: Path, capgo_key: capgo.PrivateKey, signer: capseal.PrivateKey, recipient: capseal.PrivateKey
) -> Publisher:
    """Return published(sequence, files) -> a release 1.0.SEQUENCE of those files, which the server offers."""

    def published(sequence: int, files: dict[str, bytes] = SMALL) -> Pair:
        content = zip_of(*files.items())
        pair = make_pair(tmp_path, capgo_key, signer, recipient, content=content, sequence=sequence)
        upload = live.begin(pair.bundle.seal).json()
        live.client.put(upload["links"]["payload"], content=pair.bundle.payload).raise_for_status()
        place = upload["attachments"][NAME]
        live.client.put(place["index_link"], content=pair.index).raise_for_status()
        live.client.put(place["link"], content=pair.ciphertext).raise_for_status()
        live.client.post(upload["links"]["self"]).raise_for_status()
        return pair

    return published


def files_of(folder: str | Path) -> dict[str, bytes]:
    root = Path(folder)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


# Installing.


def test_the_plugin_installs_what_the_server_offers(live: Live, opened: DeviceOpener, published: Publisher) -> None:
    published(1)
    device = opened(live.url)
    done = device.update()
    assert files_of(done["folder"]) == SMALL
    assert device.start() == "1.0.1"
    assert device.update() == {"refused": "no_new_version_available", "kind": "up_to_date"}
    published(2, SMALL | {"index.html": b"<html>newer</html>"})
    assert files_of(device.update()["folder"])["index.html"] == b"<html>newer</html>"
    assert device.start() == "1.0.2"


def test_the_plugin_goes_on_with_a_download(
    live: Live, opened: DeviceOpener, published: Publisher, tmp_path: Path
) -> None:
    pair = published(1)
    for there in (0, 1, len(pair.ciphertext) // 2, len(pair.ciphertext) - 1):
        (tmp_path / "begun").write_bytes(pair.ciphertext[:there])
        device = opened(live.url)
        done = device.do("resumed", answer=device.latest(), begun=str(tmp_path / "begun"))
        assert done["kind"] == "success"
        assert Path(done["file"]).read_bytes() == pair.ciphertext


def test_the_plugin_goes_back_to_the_apps_own_bundle_where_all_was_withdrawn(
    live: Live, opened: DeviceOpener, published: Publisher
) -> None:
    published(1)
    published(2, SMALL | {"index.html": b"bad"})
    device = opened(live.url)
    device.update()
    assert device.start() == "1.0.2"
    live.client.delete(live.release_url(2)).raise_for_status()
    assert "folder" in device.update()
    assert device.start() == "1.0.1"
    live.client.delete(live.release_url(1)).raise_for_status()
    assert device.update() == {"builtin": True}
    assert device.start() == "builtin"
    assert device.update() == {"refused": "already_on_builtin", "kind": "up_to_date"}
    published(3)
    assert "folder" in device.update()
    assert device.start() == "1.0.3"


def test_the_plugin_is_answered_at_a_url_that_ends_with_a_slash(
    live: Live, opened: DeviceOpener, published: Publisher
) -> None:
    published(1)
    device = opened(live.url)
    assert device.latest("/v1/capgo/updates/") == device.latest()


# What was tampered with.


class _Altered(BaseHTTPRequestHandler):
    """Serves one file to whoever asks."""

    content = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def altered() -> Iterator[tuple[type[_Altered], str]]:
    """A server that somebody else has: what it serves, and where."""
    handler = type("Altered", (_Altered,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}/file"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_plugin_installs_no_altered_file(
    live: Live, opened: DeviceOpener, published: Publisher, altered: tuple[type[_Altered], str]
) -> None:
    whole = published(1).ciphertext
    handler, url = altered
    device = opened(live.url)
    answer = device.latest()
    for place in (0, len(whole) // 2, len(whole) - 1):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        handler.content = bytes(flipped)
        assert "failed" in device.do("offered", answer=answer | {"url": url}), place
    for content in (whole[:-16], whole[:-1], b""):
        handler.content = content
        assert "failed" in device.do("offered", answer=answer | {"url": url}), len(content)
    assert device.start() == "builtin"
    handler.content = whole
    assert "folder" in device.do("offered", answer=answer | {"url": url})


def test_the_plugin_installs_nothing_whose_texts_were_altered(
    live: Live, opened: DeviceOpener, published: Publisher
) -> None:
    published(1)
    device = opened(live.url)
    answer = device.latest()
    flipped = {"0": "1"}.get(answer["checksum"][40], "0")
    other = {"A": "B"}.get(answer["sessionKey"][0], "A")
    for changes in (
        {"checksum": answer["checksum"][:40] + flipped + answer["checksum"][41:]},
        {"checksum": ""},
        {"sessionKey": ""},
        {"sessionKey": other + answer["sessionKey"][1:]},
    ):
        done = device.do("offered", answer=answer | changes)
        assert "failed" in done, changes
    assert "folder" in device.do("offered", answer=answer)


def test_the_plugin_installs_nothing_of_another_key(
    live: Live, opened: DeviceOpener, published: Publisher, tmp_path: Path
) -> None:
    published(1)
    other = capgo.PrivateKey.generate()
    device = opened(live.url, key=other.public_key.pem.decode())
    assert device.update() == {"refused": "key_id_mismatch", "kind": "blocked"}
    capgo.encrypt(io.BytesIO(zip_of(*SMALL.items())), tmp_path / "other", key=other)
    answer = opened(live.url).latest()
    assert "failed" in device.do("offered", answer=answer)


def test_rot_in_the_servers_storage_is_not_installed(
    live: Live, store: Path, opened: DeviceOpener, published: Publisher
) -> None:
    pair = published(1)
    (run,) = (store / "payloads" / pair.digest).glob("0*")
    data = bytearray(run.read_bytes())
    data[len(data) // 2] ^= 1
    run.write_bytes(data)
    assert "failed" in opened(live.url).update()


# What the driver repeats of the plugin's Capacitor class.


def test_the_driver_decides_on_an_answer_as_the_plugin_does() -> None:
    text = plugin_source("CapacitorUpdaterPlugin")
    answered = text[text.index("implementation.getLatest(CapacitorUpdaterPlugin.this.updateUrl, null, (res) -> {") :]
    breaking = (
        'if (response.optBoolean("breaking", false)) {',
        '"disable_auto_update_to_major".equals(error) || "store_update_required".equals(message)',
    )
    assert all(words in text for words in breaking)
    in_order = (
        'if (jsRes.has("error") || jsRes.has("kind")) {',
        "notifyBreakingEventsIfNeeded(",
        'if ("builtin".equals(latestVersionName)) {',
        "implementation.setNextBundle(BundleInfo.ID_BUILTIN)",
        'if (!jsRes.has("url")',
        'jsRes.has("sessionKey") ? jsRes.getString("sessionKey") : ""',
        'jsRes.has("checksum") ? jsRes.getString("checksum") : ""',
        'if (jsRes.has("manifest")) {',
        "implementation.downloadBackground(",
    )
    place = 0
    for words in in_order:
        place = answered.index(words, place)
