"""To which devices a release is offered: shares, native versions, what is passed on; by the plugin's own code, too."""

import io
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import capseal
from capseal import FormatError, UsageError, capgo
from capseal.capgo import Offer, UpdateRequest
from capseal.capgo._choosing import MAX_LOOKED_AT
from capseal.cli.commands.capgo_texts import Offering
from capseal.client import Connection, publish
from capseal.format.requires import Requires
from capseal.server import CapgoUpdates
from support.capgo_devices import DeviceOpener
from support.capgo_pair import make_pair
from support.capgo_requests import NEEDED
from support.command import Result, run
from support.serving import TOKEN, Live, live_server
from support.zips import zip_of

NAME = "game.capgo"
UPDATES = "/v1/capgo/updates"
DEVICES = [str(uuid.UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)) for number in range(10_000)]
"""10,000 ids, always the same."""


def share_of(share: int, salt: str = "1.4.2") -> set[str]:
    return {one for one in DEVICES if Offer(share=share, salt=salt).includes(one)}


# A share.


def test_a_share_of_a_tenth_is_a_tenth_of_ten_thousand_devices() -> None:
    for salt in ("1.4.2", "1.4.3", "böse", "x"):
        assert 900 <= len(share_of(100, salt)) <= 1100, salt


def test_nobody_is_in_no_share_and_everybody_in_the_whole() -> None:
    assert share_of(0) == set()
    assert share_of(1000) == set(DEVICES)
    assert Offer().includes("")


def test_another_salt_chooses_other_devices() -> None:
    both = share_of(100, "1.4.2") & share_of(100, "1.4.3")
    assert 50 <= len(both) <= 160  # a hundredth, by chance


@given(device=st.text(), salt=st.text(min_size=1), shares=st.tuples(st.integers(0, 1000), st.integers(0, 1000)))
def test_raising_a_share_takes_nobody_back(device: str, salt: str, shares: tuple[int, int]) -> None:
    lower, higher = sorted(shares)
    if Offer(share=lower, salt=salt).includes(device):
        assert Offer(share=higher, salt=salt).includes(device)


def test_an_id_in_capitals_is_the_same_device() -> None:
    half = Offer(share=500, salt="a")
    assert all(half.includes(one) == half.includes(one.upper()) for one in DEVICES[:100])


def test_a_device_whose_id_is_no_text_that_utf8_can_write_is_in_or_out() -> None:
    assert Offer(share=500, salt="a").includes("\ud800") in (True, False)


# The member of `custom`.


def test_a_member_says_what_it_was_made_of() -> None:
    whole = Offer(
        share=100,
        salt="1.4.2",
        min_update_version="2.0.0",
        breaking=True,
        link="https://example.com/new",
        comment="faster\nnicer",
    )
    assert Offer.from_json(whole.to_json(), "offer") == whole
    assert Offer().to_json() == {}
    assert Offer.from_json({}, "offer") == Offer()


@pytest.mark.parametrize(
    ("member", "complaint"),
    [
        ([], "expected an object"),
        ({"shares": 1}, "unknown member 'shares'"),
        ({"share": 100}, "share and salt are given together"),
        ({"salt": "a"}, "share and salt are given together"),
        ({"share": 1001, "salt": "a"}, "1001 is not from 0 to 1000"),
        ({"share": -1, "salt": "a"}, "-1 is not from 0 to 1000"),
        ({"share": True, "salt": "a"}, "expected an integer"),
        ({"share": 1, "salt": ""}, "1 to 255 printable"),
        ({"min_update_version": "new"}, "'new' is not a version"),
        ({"min_update_version": 2}, "expected a string"),
        ({"breaking": 1}, "expected a boolean"),
        ({"link": "javascript:alert(1)"}, "is not an http:// or https:// URL"),
        ({"link": "https://"}, "is not an http:// or https:// URL"),
        ({"link": "https://[::1"}, "is not an http:// or https:// URL"),
        ({"link": "https://a.test/\n"}, "is not an http:// or https:// URL"),
        ({"link": "https://a.test/" + "a" * 2048}, "at most 2048 are allowed"),
        ({"comment": ""}, "1 to 2048 are allowed"),
        ({"comment": "a" * 2049}, "1 to 2048 are allowed"),
    ],
)
def test_a_member_is_read_strictly(member: Any, complaint: str) -> None:
    with pytest.raises(FormatError, match=complaint):
        Offer.from_json(member, "offer")


# Answers.


@pytest.fixture(scope="module")
def bundle() -> capgo.Bundle:
    return capgo.encrypt(io.BytesIO(b"zip"), io.BytesIO(), key=capgo.PrivateKey.generate())


def answered(bundle: capgo.Bundle, offer: Offer, requires: Requires | None = None, **changes: Any) -> dict[str, Any]:
    release = capgo.Release(version="1.4.2", url="https://a.test/f", bundle=bundle, offer=offer, requires=requires)
    return capgo.answer(UpdateRequest.parse(json.dumps(NEEDED | changes).encode()), release)


@pytest.mark.parametrize(
    ("native", "taken"),
    [
        ("0.9.9", False),
        ("1.0.0-beta", False),
        ("1.0.0", True),
        ("1.0", True),
        ("1.0.1", True),
        ("1.4.2", True),
        ("odd", False),
    ],
)
def test_a_native_version_below_the_least_is_blocked(bundle: capgo.Bundle, native: str, taken: bool) -> None:
    found = answered(bundle, Offer(min_update_version="1.0.0"), version_build=native, version_name="0.1")
    assert ("url" in found) is taken
    if not taken:
        assert (found["error"], found["kind"]) == ("disable_auto_update_to_metadata", "blocked")
        assert (found["version"], found["old"]) == ("1.4.2", native)
        assert native in found["message"]


def test_an_app_is_told_of_the_store_where_its_native_version_is_too_old_for_what_is_breaking(
    bundle: capgo.Bundle,
) -> None:
    offer = Offer(min_update_version="1.2.0", breaking=True)
    assert answered(bundle, offer)["message"] == "store_update_required"
    assert answered(bundle, offer, version_build="1.3.0")["breaking"] is True


def test_what_the_seal_requires_of_the_native_app_counts_for_the_plugin_too(bundle: capgo.Bundle) -> None:
    for requires, fits in (
        (Requires(native_min="1.0.0"), True),
        (Requires(native_min="1.0.0.1"), False),
        (Requires(native_below="1.0.0"), False),
        (Requires(platforms=("android",)), True),
        (Requires(platforms=("ios",)), False),
    ):
        assert ("url" in answered(bundle, Offer(), requires)) is fits, requires
    assert "url" not in answered(bundle, Offer(), Requires(native_min="0.1"), version_build="odd")
    assert "url" in answered(bundle, Offer(), Requires(native_min="1.1"), version_build="1.2.0-rc.1+5")


# A server, and the plugin.


Releaser = Callable[..., None]


@pytest.fixture
def released(
    live: Live, tmp_path: Path, capgo_key: capgo.PrivateKey, signer: capseal.PrivateKey, recipient: capseal.PrivateKey
) -> Releaser:
    """Return released(sequence, offer, **keywords of capseal.seal): 1.0.SEQUENCE is published."""

    def released(sequence: int, offer: dict[str, Any] | None = None, **keywords: Any) -> None:
        pair = make_pair(
            tmp_path,
            capgo_key,
            signer,
            recipient,
            content=zip_of(("index.html", b"<html>%d" % sequence)),
            sequence=sequence,
            offer=offer,
            **keywords,
        )
        with Connection(live.url, token=TOKEN) as connection:
            publish(pair.folder / "game.sealed", connection, companions={NAME: pair.folder / NAME})

    return released


def asked(live: Live, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = live.client.post(UPDATES, json=NEEDED | changes).raise_for_status().json()
    return found


def test_devices_outside_of_a_share_stay_with_the_release_before(live: Live, released: Releaser) -> None:
    released(1)
    released(2, {"share": 500, "salt": "a"})
    inside = share_of(500, "a")
    for device in DEVICES[:60]:
        expected = "1.0.2" if device in inside else "1.0.1"
        assert asked(live, device_id=device).get("version") == expected
        assert asked(live, device_id=device, version_name=expected).get("error") == "no_new_version_available"
    released(3, {"share": 1000, "salt": "a"}, version="1.0.2")  # the same again, for all
    for device in DEVICES[:60]:
        found = asked(live, device_id=device, version_name="1.0.2" if device in inside else "1.0.1")
        assert ("url" not in found) is (device in inside)


def test_a_device_that_has_a_release_keeps_it_whatever_share_it_is_for(live: Live, released: Releaser) -> None:
    released(1)
    released(2, {"share": 0, "salt": "a"})
    assert asked(live, version_name="1.0.2").get("error") == "no_new_version_available"
    assert asked(live).get("version") == "1.0.1"


def test_a_device_is_up_to_date_where_the_only_release_is_for_others(live: Live, released: Releaser) -> None:
    released(1, {"share": 0, "salt": "a"})
    found = asked(live)
    assert (found["error"], found["kind"]) == ("no_new_version_available", "up_to_date")
    assert "share" in found["message"]


def test_an_old_native_app_gets_the_newest_release_that_it_may_have(live: Live, released: Releaser) -> None:
    released(1, {"min_update_version": "0.5.0"})
    released(2, {"min_update_version": "2.0.0", "breaking": True, "link": "https://a.test/new", "comment": "new"})
    released(3, {"min_update_version": "3.0.0"})
    native = {"version_build": "1.0.0"}
    assert asked(live, **native).get("version") == "1.0.1"
    assert asked(live, **native, version_name="1.0.1").get("error") == "no_new_version_available"
    assert asked(live, version_build="0.4.0").get("error") == "disable_auto_update_to_metadata"


def test_a_release_without_a_capgo_file_hides_the_older_ones_from_devices_outside_of_a_share(
    live: Live, released: Releaser
) -> None:
    released(1)
    released(2, custom={})
    released(3, {"share": 0, "salt": "a"})
    assert asked(live).get("error") == "no_new_version_available"


def test_an_offer_that_cannot_be_read_is_no_bundle(live: Live, released: Releaser) -> None:
    released(1)
    released(2, {"share": 100})
    found = asked(live)
    assert (found["error"], found["kind"]) == ("no_bundle", "failed")
    assert "capgo_offer: share and salt are given together" in found["message"]


def test_no_more_than_so_many_releases_are_looked_at_for_one_device(live: Live, released: Releaser) -> None:
    released(1)
    for sequence in range(2, MAX_LOOKED_AT + 1):
        released(sequence, {"share": 0, "salt": "a"})
    assert asked(live).get("version") == "1.0.1"
    released(MAX_LOOKED_AT + 1, {"share": 0, "salt": "a"})
    assert "url" not in asked(live)


def test_the_plugin_passes_on_what_a_release_says_to_the_app(
    live: Live, opened: DeviceOpener, released: Releaser
) -> None:
    offer = {"min_update_version": "2.0.0", "breaking": True, "link": "https://a.test/new", "comment": "faster"}
    released(2, offer, version="2.1.0")
    new = opened(live.url, native="2.0.0")
    answer = new.latest()
    assert {name: answer[name] for name in ("breaking", "link", "comment")} == {
        "breaking": True,
        "link": "https://a.test/new",
        "comment": "faster",
    }
    assert "folder" in new.update()
    assert new.start() == "2.1.0"


def test_the_plugin_tells_its_app_of_the_store_and_keeps_what_it_has(
    live: Live, opened: DeviceOpener, released: Releaser
) -> None:
    released(1)
    old = opened(live.url, native="1.0.0")
    assert "folder" in old.update()
    assert old.start() == "1.0.1"
    released(2, {"min_update_version": "2.0.0", "breaking": True})
    assert old.update() == {"refused": "disable_auto_update_to_metadata", "kind": "blocked", "breaking": "1.0.2"}
    assert old.start() == "1.0.1"


def test_the_plugin_outside_of_a_share_has_nothing_to_do(live: Live, opened: DeviceOpener, released: Releaser) -> None:
    released(1, {"share": 0, "salt": "a"})
    device = opened(live.url)
    assert device.update() == {"refused": "no_new_version_available", "kind": "up_to_date"}
    released(2, {"share": 1000, "salt": "a"})
    assert "folder" in device.update()


# The publisher's options.


def test_options_say_the_offer() -> None:
    assert Offering().offer("1.4.2") == Offer()
    assert Offering(capgo_share=100).offer("1.4.2") == Offer(share=100, salt="1.4.2")
    assert Offering(capgo_share=100, capgo_salt="x").offer("1.4.2") == Offer(share=100, salt="x")
    assert Offering(capgo_breaking=True, capgo_link="https://a.test").offer("1") == Offer(
        breaking=True, link="https://a.test"
    )
    with pytest.raises(UsageError, match="--capgo-salt is for --capgo-share"):
        Offering(capgo_salt="x").offer("1.4.2")
    with pytest.raises(UsageError, match="'new' is not a version"):
        Offering(capgo_min_update_version="new").offer("1.4.2")


def test_release_and_conversion_sign_the_offer(tmp_path: Path) -> None:
    run("init", "--app", "com.example.game", cwd=tmp_path).succeeded()
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "index.html").write_bytes(b"<html>game</html>")
    run("capgo", "keygen", cwd=tmp_path).succeeded()
    options = ["--capgo-share", "100", "--capgo-min-update-version", "2.0.0", "--capgo-comment", "new"]
    expected = {"share": 100, "salt": "1.4.2", "min_update_version": "2.0.0", "comment": "new"}
    line = ["release", "dist", "--version", "1.4.2", "--allow-dirty", "--no-publish", "--json"]
    released = json.loads(run(*line, "--capgo", *options, cwd=tmp_path).succeeded().out)
    assert released["statement"]["custom"]["capgo_offer"] == expected
    run(*line, *options, cwd=tmp_path).failed_with(2, "the options --capgo-… are for --capgo")
    run("capgo", "encrypt", "dist", "-o", "app.capgo", "--record", "app.json", cwd=tmp_path).succeeded()
    to_sealed = ["capgo", "convert", "to-sealed", "app.capgo", "-o", "app.sealed", "--version", "1.4.2"]
    run(*to_sealed, "--record", "app.json", *options, cwd=tmp_path).succeeded()
    shown = json.loads(run("inspect", "app.sealed", "--json", cwd=tmp_path).succeeded().out)
    assert shown["statement"]["custom"]["capgo_offer"] == expected


def test_a_share_is_raised_by_the_same_release_again_and_a_head_hides_no_older_one(tmp_path: Path) -> None:
    run("init", "--app", "com.example.game", cwd=tmp_path).succeeded()
    (tmp_path / "dist").mkdir()
    run("capgo", "keygen", cwd=tmp_path).succeeded()
    trusted = capseal.load_trust(tmp_path / "keys" / "trust.json")
    with live_server(str(tmp_path / "store"), trusted, extensions=[CapgoUpdates()]) as live:
        line = ["release", "dist", "--allow-dirty", "--capgo", "--no-recipes", "--server", live.url]

        def release(sequence: int, version: str, *options: str) -> Result:
            (tmp_path / "dist" / "index.html").write_bytes(f"<html>{sequence}</html>".encode())
            numbers = ["--sequence", str(sequence), "--version", version]
            return run(*line, *numbers, *options, cwd=tmp_path)

        release(1, "1.4.1").succeeded()
        release(2, "1.4.2").succeeded()
        release(3, "1.5.0", "--capgo-share", "0").succeeded()  # the head names it alone
        assert asked(live).get("version") == "1.4.2"
        release(4, "1.5.0").failed_with(2, "was released before")
        run("head", "sign", "--withdraw", "2", "--server", live.url, cwd=tmp_path).succeeded()
        assert asked(live).get("version") == "1.4.1"
        release(4, "1.5.0", "--capgo-share", "1000").succeeded()
        assert asked(live).get("version") == "1.5.0"
        assert asked(live, version_name="1.5.0").get("error") == "no_new_version_available"
