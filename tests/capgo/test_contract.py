"""The contract of docs/capgo.md: every answer of the table, by the plugin's own code, and what it says of statuses."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import capseal
from capseal import capgo
from capseal.capgo._endpoint import _KINDS
from capseal.capgo._events import _ACTIONS
from capseal.client import Connection, publish
from support import npm_tools
from support.capgo_devices import _LOCKED, _PACKAGE, Device, DeviceOpener, Driver
from support.capgo_pair import make_pair
from support.places import ROOT
from support.serving import TOKEN, Live
from support.zips import zip_of

NAME = "game.capgo"
DOCUMENT = (ROOT / "docs" / "capgo.md").read_text()


Releaser = Callable[..., None]


@pytest.fixture
def released(
    live: Live, tmp_path: Path, capgo_key: capgo.PrivateKey, signer: capseal.PrivateKey, recipient: capseal.PrivateKey
) -> Releaser:
    """Return released(sequence, **keywords of make_pair)."""

    def released(sequence: int, **keywords: Any) -> None:
        content = zip_of(("index.html", b"<html>%d" % sequence))
        pair = make_pair(tmp_path, capgo_key, signer, recipient, content=content, sequence=sequence, **keywords)
        with Connection(live.url, token=TOKEN) as connection:
            publish(pair.folder / "game.sealed", connection, companions={NAME: pair.folder / NAME})

    return released


def test_the_table_has_every_refusal_and_its_kind() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| `([a-z_]+)` \|", DOCUMENT, re.MULTILINE)
    assert dict(rows) == _KINDS


def test_the_plugin_is_refused_in_every_way_of_the_table(live: Live, opened: DeviceOpener, released: Releaser) -> None:
    seen: dict[str, str] = {}

    def refused(**settings: Any) -> None:
        done = opened(live.url, **settings).update()
        seen[done["refused"]] = done["kind"]

    refused()  # nothing was released
    refused(app=" ")  # what is said of no app
    released(1)
    installed = opened(live.url)
    assert "folder" in installed.update()
    assert installed.start() == "1.0.1"
    seen[installed.update()["refused"]] = "up_to_date"
    refused(key=capgo.PrivateKey.generate().public_key.pem.decode())
    refused(native="2.0.0")
    refused(plugin="4.99.0")
    refused(native="")  # a member that is needed
    released(2, offer={"min_update_version": "9.0.0"}, channel="new")
    refused(channel="new")
    released(3, custom={}, channel="sealed")
    refused(channel="sealed")
    live.client.delete(live.release_url(1)).raise_for_status()
    refused()
    old = Device.opened(installed.driver, installed.root, live.url, key="", plugin="6.1.0")
    old.do("latest", url=f"{live.url}/v1/capgo/updates")
    answer = live.client.post(
        "/v1/capgo/updates",
        json={
            "app_id": "com.example.game",
            "device_id": "a",
            "platform": "android",
            "version_name": "1.0.1",
            "version_build": "1.0.0",
            "plugin_version": "6.1.9",
            "defaultChannel": "production",
        },
    ).json()
    seen[answer["error"]] = answer["kind"]
    assert seen == _KINDS


class _Recorder(BaseHTTPRequestHandler):
    """Answers with one status, and remembers what it was asked."""

    asked: list[str]
    events: list[int]
    status: int
    headers_out: dict[str, str]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.events.append(len(body) if type(body) is list else 1)
        self.asked.append(self.path)
        answer = json.dumps({"error": "too_many_requests"}).encode() if self.status == 429 else b"{}"
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(answer)))
        for name, value in self.headers_out.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def recorder() -> Iterator[tuple[type[_Recorder], str]]:
    """A server of somebody else: what it answers, and where."""
    handler = type("Recorder", (_Recorder,), {"asked": [], "events": [], "status": 200, "headers_out": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_plugin_asks_nobody_for_as_long_as_a_429_says(
    drivers: Callable[[], AbstractContextManager[Driver]],
    recorder: tuple[type[_Recorder], str],
    tmp_path: Path,
    capgo_key: capgo.PrivateKey,
) -> None:
    handler, url = recorder
    handler.status, handler.headers_out = 429, {"Retry-After": "3600"}
    with drivers() as alone:  # the plugin keeps the time for the whole process
        device = Device.opened(alone, tmp_path / "device", url, key=capgo_key.public_key.pem.decode())
        assert device.update() == {"refused": "too_many_requests", "kind": "failed"}
        handler.status = 200
        assert device.update() == {"refused": "too_many_requests", "kind": "failed"}
    assert handler.asked == ["/v1/capgo/updates"]


def test_the_plugin_sends_again_what_a_503_did_not_take(
    opened: DeviceOpener, recorder: tuple[type[_Recorder], str]
) -> None:
    handler, url = recorder
    handler.status = 503
    device = opened(url, stats=f"{url}/stats")
    device.do("event", action="set", version="1.0.1", details={}, wait_s=1)
    deadline = time.monotonic() + 60
    while len(handler.asked) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert handler.asked[:2] == ["/stats", "/stats"]


def test_the_plugin_drops_what_a_400_refuses(opened: DeviceOpener, recorder: tuple[type[_Recorder], str]) -> None:
    handler, url = recorder
    handler.status = 400
    device = opened(url, stats=f"{url}/stats")
    for number in (1, 2):  # the second one would take the first along, if that were still there
        device.do("event", action="set", version="1.0.1", details={}, wait_s=1)
        deadline = time.monotonic() + 60
        while len(handler.asked) < number and time.monotonic() < deadline:
            time.sleep(0.1)
    assert handler.events[:2] == [1, 1]


def test_the_plugin_sends_nothing_to_an_empty_url(opened: DeviceOpener, recorder: tuple[type[_Recorder], str]) -> None:
    handler, url = recorder
    device = opened(url, stats="", channels="")
    device.do("event", action="set", version="1.0.1", details={}, wait_s=1)
    for asked in ("channels", "channel"):
        assert device.do(asked)["error"] == "missing_config"
    assert device.do("set channel", channel="beta")["error"] == "missing_config"
    assert handler.asked == []


def test_every_action_of_the_plugin_is_known() -> None:
    home = npm_tools.installed(_LOCKED, _PACKAGE) / _PACKAGE
    sources = [*(home / "android" / "src" / "main").rglob("*.java"), *(home / "ios" / "Sources").rglob("*.swift")]
    assert sources
    said = {name for path in sources for name in re.findall(r'sendStats\(\s*(?:action: )?"(\w+)"', path.read_text())}
    assert said - {"download_"} <= _ACTIONS
