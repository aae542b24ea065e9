"""Channels that a device may choose: asked for and kept by the plugin's own code; what others are told."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capseal import FormatError, TrustStore, UsageError, capgo
from capseal.capgo._channels import parse_choice
from capseal.server import CapgoUpdates
from support.capgo_devices import DeviceOpener
from support.capgo_pair import make_pair
from support.capgo_requests import NEEDED
from support.command import run
from support.serving import APP, Live, live_server

CHANNELS = "/v1/capgo/channel_self"
UPDATES = "/v1/capgo/updates"
FILE = f"""
[apps."{APP}"]
selectable = ["beta", "internal"]
[[apps."{APP}".defaults]]
channel = "tablets"
platform = "ios"
native = "2.0.0"
[[apps."{APP}".defaults]]
channel = "apple"
platform = "ios"
"""
REQUEST = NEEDED | {"defaultChannel": ""}


@pytest.fixture
def live(store: Path, trust: TrustStore) -> Iterator[Live]:
    channels = capgo.Channels.parse(FILE.encode(), "channels.toml")
    with live_server(str(store), trust, extensions=[CapgoUpdates(channels=channels)]) as live:
        yield live


def test_the_plugin_lists_chooses_and_leaves_channels(live: Live, opened: DeviceOpener) -> None:
    device = opened(live.url, channels=live.url + CHANNELS, channel="")
    listed = device.do("channels")["channels"]
    assert [(one["name"], one["public"], one["allow_self_set"]) for one in listed] == [
        ("production", True, True),
        ("beta", False, True),
        ("internal", False, True),
    ]
    assert device.do("set channel", channel="beta")["status"] == "ok"
    assert device.do("default channel")["channel"] == "beta"
    found = device.do("channel")
    assert (found["channel"], found["status"], found["allowSet"]) == ("beta", "override", True)
    refused = device.do("set channel", channel="secret")
    assert refused["error"] == "channel_self_set_not_allowed"
    assert "secret" in refused["message"]
    assert device.do("default channel")["channel"] == "beta"
    assert device.do("set channel", channel="production")["unset"] is True
    assert device.do("default channel")["channel"] == ""


def test_what_a_device_chose_is_what_it_is_offered(
    live: Live, opened: DeviceOpener, tmp_path: Path, capgo_key: Any, signer: Any, recipient: Any
) -> None:
    for sequence, channel in ((1, "production"), (2, "beta")):
        pair = make_pair(tmp_path, capgo_key, signer, recipient, content=b"x", sequence=sequence, channel=channel)
        upload = live.begin(pair.bundle.seal).json()
        live.client.put(upload["links"]["payload"], content=pair.bundle.payload).raise_for_status()
        place = upload["attachments"]["game.capgo"]
        live.client.put(place["index_link"], content=pair.index).raise_for_status()
        live.client.put(place["link"], content=pair.ciphertext).raise_for_status()
        live.client.post(upload["links"]["self"]).raise_for_status()
    device = opened(live.url, channels=live.url + CHANNELS, channel="")
    assert device.latest()["version"] == "1.0.1"
    device.do("set channel", channel="beta")
    assert device.latest()["version"] == "1.0.2"


def test_the_first_default_that_fits_counts(live: Live) -> None:
    cases = {
        ("android", "9.0.0"): "production",
        ("ios", "1.9.9"): "apple",
        ("ios", "2.0.0-beta.1"): "apple",
        ("ios", "2.0.0"): "tablets",
        ("ios", "2.0"): "tablets",
        ("ios", "whatever"): "apple",
    }
    for (platform, native), channel in cases.items():
        request = REQUEST | {"platform": platform, "version_build": native}
        assert live.client.put(CHANNELS, json=request).json()["channel"] == channel
        message = live.client.post(UPDATES, json=request).json()
        assert message["error"] == "no_channel"


def test_of_an_app_that_is_not_named_only_the_default_is_there(live: Live) -> None:
    request = REQUEST | {"app_id": "com.example.other"}
    listed = live.client.get(CHANNELS, params=request).json()
    assert [one["name"] for one in listed] == ["production"]
    assert live.client.put(CHANNELS, json=request).json()["allowSet"] is False
    answer = live.client.post(CHANNELS, json=request | {"channel": "beta"}).json()
    assert answer["error"] == "channel_self_set_not_allowed"


def test_without_the_file_there_is_no_such_place(store: Path, trust: TrustStore) -> None:
    with live_server(str(store), trust, extensions=[CapgoUpdates()]) as live:
        for method in ("GET", "POST", "PUT"):
            assert live.client.request(method, CHANNELS).status_code == 404


@given(body=st.binary(max_size=200))
def test_no_bytes_are_a_choice(body: bytes) -> None:
    with pytest.raises(FormatError):
        parse_choice(body)


@pytest.mark.parametrize("channel", [None, 1, [], {}, "x" * 60_000, "../x"])
def test_a_strange_choice_is_refused(channel: Any, live: Live) -> None:
    answer = live.client.post(CHANNELS, json=REQUEST | {"channel": channel})
    assert (answer.status_code, answer.json()["error"]) == (200, "channel_self_set_not_allowed")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x", "channels.toml"),
        ("[apps]\na = 1", "channels.toml: a: expected a table"),
        ("[apps.a]\nother = 1", "'other' is unknown"),
        ("[apps.a]\nselectable = 'x'", "expected lists"),
        ("[apps.a]\nselectable = ['../x']", r"selectable: '\.\./x'"),
        ("[apps.a]\nselectable = [1]", "expected the name of a channel"),
        ("[[apps.a.defaults]]\nplatform = 'ios'", "expected the name of a channel"),
        ("[[apps.a.defaults]]\nchannel = 'x'\nplatform = 'windows'", "'windows' is none of"),
        ("[[apps.a.defaults]]\nchannel = 'x'\nnative = 'new'", "'new' is not a version"),
        ("[other]", "'other' is unknown"),
    ],
)
def test_a_file_that_is_wrong_says_where(text: str, says: str, tmp_path: Path, trust: TrustStore) -> None:
    with pytest.raises(UsageError, match=says):
        capgo.Channels.parse(text.encode(), "channels.toml")


def test_the_command_says_what_is_wrong(tmp_path: Path, trust: TrustStore) -> None:
    trust.save(tmp_path / "trust.json")
    (tmp_path / "channels.toml").write_text("x")
    serve = ("serve", "store", "--trust", "trust.json", "--capgo-channels", "channels.toml")
    run(*serve, cwd=tmp_path).failed_with(2, "are for --capgo")
    run(*serve, "--capgo", cwd=tmp_path).failed_with(2, "channels.toml")
