"""Capgo's update endpoint: what devices ask, and what they are answered."""

import io
import json
from typing import Any

import pytest

from capseal import FormatError, capgo
from capseal.capgo import Bundle, ManifestEntry, PrivateKey, Release, UpdateRequest
from support.capgo_requests import WHOLE

URL = "https://updates.example.com/game/42.zip"
REQUEST = WHOLE | {"version_name": "1.3.0"}


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return capgo.encrypt(io.BytesIO(b"zip"), io.BytesIO(), key=PrivateKey.generate())


@pytest.fixture(scope="module")
def release(bundle: Bundle) -> Release:
    entry = ManifestEntry(name="a.js.br", checksum_v2="two", checksum_v3="three", url=f"{URL}/a.js.br")
    return Release(version="1.4.2", url=URL, bundle=bundle, manifest=[entry])


def request(**changes: Any) -> UpdateRequest:
    return UpdateRequest.parse(json.dumps(REQUEST | changes).encode())


def test_request_is_read() -> None:
    assert request() == UpdateRequest(
        app="com.example.game",
        channel="production",
        device_id="00009999-0000-4000-8000-000000000000",
        platform="android",
        version_name="1.3.0",
        version_build="1.0.0",
        plugin_version=(7, 30, 0),
        key_id=None,
    )


def test_device_gets_what_it_has_not(release: Release, bundle: Bundle) -> None:
    assert capgo.answer(request(), release) == {
        "version": "1.4.2",
        "url": URL,
        "session_key": bundle.session_key,
        "checksum": bundle.checksum_v3,
        "manifest": [{"file_name": "a.js.br", "file_hash": "three", "download_url": f"{URL}/a.js.br"}],
    }


@pytest.mark.parametrize(
    ("plugin", "version"),
    [
        ("5.29.9", "v2"),
        ("5.30.0", "v3"),
        ("6.29.0", "v2"),
        ("6.30.0", "v3"),
        ("7.29.99", "v2"),
        ("7.30.0", "v3"),
        ("8.0.0", "v3"),
        ("10.1.0", "v3"),
    ],
)
def test_plugin_gets_the_checksum_that_it_can_read(plugin: str, version: str, release: Release, bundle: Bundle) -> None:
    found = capgo.answer(request(plugin_version=plugin), release)
    assert found["checksum"] == bundle.checksum(capgo.ChecksumVersion(version))
    assert found["manifest"][0]["file_hash"] == {"v2": "two", "v3": "three"}[version]


@pytest.mark.parametrize(
    ("plugin", "wanted"),
    [("5.9.9", False), ("5.10.0", True), ("6.24.0", False), ("6.25.0", True), ("7.0.34", False), ("7.0.35", True)],
)
def test_manifest_goes_to_plugins_that_can_read_it(plugin: str, wanted: bool, release: Release) -> None:
    assert ("manifest" in capgo.answer(request(plugin_version=plugin), release)) is wanted


def test_release_of_one_file_has_no_manifest(bundle: Bundle) -> None:
    assert "manifest" not in capgo.answer(request(), Release(version="2", url=URL, bundle=bundle))


def refused(found: dict[str, Any]) -> tuple[str, str]:
    assert found["message"]
    assert "url" not in found
    return found["error"], found["kind"]


def test_device_that_has_it_is_up_to_date(release: Release) -> None:
    found = capgo.answer(request(version_name="1.4.2"), release)
    assert refused(found) == ("no_new_version_available", "up_to_date")


def test_builtin_stands_for_the_native_version(release: Release) -> None:
    assert request(version_name="builtin").version_name == "1.0.0"
    found = capgo.answer(request(version_name="builtin", version_build="1.4.2"), release)
    assert refused(found) == ("no_new_version_available", "up_to_date")
    assert capgo.answer(request(version_name="builtin"), release)["version"] == "1.4.2"


def test_app_with_another_public_key_is_blocked(release: Release, bundle: Bundle) -> None:
    found = capgo.answer(request(key_id="MIIBCgKCAQEAAAAAAAAA"), release)
    assert refused(found) == ("key_id_mismatch", "blocked")
    assert (found["deviceKeyId"], found["bundleKeyId"]) == ("MIIBCgKCAQEAAAAAAAAA", bundle.key_id)


@pytest.mark.parametrize("key_id", ["ours", "", "MIIB"])
def test_app_with_our_key_or_an_id_of_the_old_kind_is_served(key_id: str, release: Release, bundle: Bundle) -> None:
    key_id = bundle.key_id if key_id == "ours" else key_id
    assert "url" in capgo.answer(request(key_id=key_id), release)


@pytest.mark.parametrize(
    ("native", "below"),
    [
        ("1.4.1", False),
        ("1.4.2", False),
        ("1.4.3", True),
        ("1.5", True),
        ("2", True),
        ("1.10.0", True),
        ("1.4.2-beta.1", False),
        ("unknown", False),
    ],
)
def test_release_below_the_native_app_is_blocked(native: str, below: bool, release: Release) -> None:
    found = capgo.answer(request(version_build=native), release)
    if below:
        assert refused(found) == ("disable_auto_update_under_native", "blocked")
    else:
        assert "url" in found


def test_pre_release_is_below_its_release(bundle: Bundle) -> None:
    found = capgo.answer(request(version_build="1.4.2"), Release(version="1.4.2-rc.1", url=URL, bundle=bundle))
    assert found.get("error") == "disable_auto_update_under_native"


def test_nothing_released_is_a_failure() -> None:
    assert refused(capgo.answer(request(), None)) == ("no_channel", "failed")


def test_plugin_that_is_too_old_is_refused(release: Release) -> None:
    found = capgo.answer(request(plugin_version="4.61.0"), release)
    assert refused(found) == ("unsupported_plugin_version", "failed")


@pytest.mark.parametrize("channel", ["", None])
def test_no_channel_is_the_default_one(channel: str | None) -> None:
    assert request(defaultChannel=channel).channel is None


def test_members_to_come_are_ignored() -> None:
    assert request(battery=0.5, nested={"a": [1]}) == request()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 60_000,
        b"{" + b" " * 70_000 + b"}",
        b'{"app_id": "x"}',
    ],
    ids=range(8),
)
def test_body_that_is_no_request_is_refused_with_an_answer(body: bytes) -> None:
    with pytest.raises(FormatError, match="request") as error:
        UpdateRequest.parse(body)
    assert refused(capgo.bad_request(error.value)) == ("invalid_json_body", "failed")


@pytest.mark.parametrize(
    "changes",
    [
        {"app_id": ""},
        {"app_id": 1},
        {"device_id": None},
        {"platform": "windows"},
        {"plugin_version": "new"},
        {"plugin_version": "7." + "9" * 5000},
        {"version_name": ["x"]},
        {"version_build": ""},
        {"key_id": 7},
        {"defaultChannel": {}},
    ],
    ids=str,
)
def test_mistyped_member_is_a_format_error(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match=f"request.{next(iter(changes))}"):
        request(**changes)
