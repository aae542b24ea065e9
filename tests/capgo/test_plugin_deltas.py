"""Capgo's plugin, its own code, fetches the single files that it lacks, and refuses what of them was altered."""

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

import capseal
from capseal import TrustStore, capgo
from capseal.client import Connection, publish
from capseal.constants import SEGMENT_BYTES
from capseal.format.tree import index_entries
from support.capgo_devices import Device, DeviceOpener
from support.capgo_requests import NEEDED
from support.command import run
from support.serving import APP, TOKEN, Bundle, Live, make_bundle
from support.serving_command import serving
from support.zips import zip_of

NOISE = random.Random(11)
UPDATES = "/v1/capgo/updates"
WEB = {
    "index.html": b"<html>game</html>",
    "js/app.js": b"play();" * 3000,
    "data/level.bin": NOISE.randbytes(700_000),
    "data/same.bin": b"<html>game</html>",
    "empty.txt": b"",
    "packed.br": b"a file of the app's own that ends so",
}


@dataclass(frozen=True)
class Released:
    """A release with single files, as it lies in a folder."""

    bundle: Bundle
    folder: Path
    files: capgo.Files

    @property
    def pack(self) -> bytes:
        return (self.folder / "game.capgo.pack").read_bytes()


Releaser = Callable[..., Released]


@pytest.fixture
def verifies_reads() -> bool:
    return True


@pytest.fixture
def made(
    tmp_path: Path, capgo_key: capgo.PrivateKey, signer: capseal.PrivateKey, recipient: capseal.PrivateKey
) -> Releaser:
    """Return made(sequence, files) -> a release 1.0.SEQUENCE of those files, which is not published."""

    def made(sequence: int, files: dict[str, bytes]) -> Released:
        folder = tmp_path / f"release-{sequence}"
        folder.mkdir()
        content = zip_of(*files.items())
        (folder / "www.zip").write_bytes(content)
        whole, pack, listed = (folder / f"game.capgo{end}" for end in ("", ".pack", ".files"))
        record, packed = capgo.encrypt_with_files(
            folder / "www.zip", whole, key=capgo_key, pack=pack, files=listed, quality=5
        )
        companion, member = capgo.attach(record, whole)
        companions, files_member = capgo.attach_files(record, pack, listed)
        custom = {capgo.CUSTOM_MEMBER: member, capgo.FILES_MEMBER: files_member}
        vouched: dict[str, Any] = {"companions": [companion, *companions], "custom": custom}
        bundle = make_bundle(folder, signer, recipient, content=content, sequence=sequence, **vouched)
        (folder / "one.sealed").write_bytes(bundle.seal + bundle.payload)
        return Released(bundle, folder, packed)

    return made


@pytest.fixture
def published(live: Live, made: Releaser) -> Releaser:
    """Return published(sequence, files) -> such a release, which the server offers."""

    def published(sequence: int, files: dict[str, bytes]) -> Released:
        one = made(sequence, files)
        names = ("game.capgo", "game.capgo.pack", "game.capgo.files")
        with Connection(live.url, token=TOKEN) as connection:
            publish(one.folder / "one.sealed", connection, companions={name: one.folder / name for name in names})
        return one

    return published


def files_of(folder: str) -> dict[str, bytes]:
    root = Path(folder)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def sent(live: Live) -> int:
    """Return how many bytes of payloads and attachments the server has sent."""
    metrics = live.client.get("/metrics").text.splitlines()
    (line,) = (line for line in metrics if line.startswith("capseal_sent_bytes_total "))
    return int(float(line.split()[1]))


def updated(live: Live, device: Device) -> tuple[dict[str, Any], int]:
    """Return what came of an update, and the bytes of files that it fetched."""
    before = sent(live)
    done = device.update()
    return done, sent(live) - before


def asked(live: Live, **changes: Any) -> httpx.Response:
    return live.client.post(UPDATES, json=NEEDED | changes)


# What a device fetches.


def test_over_three_releases_the_plugin_fetches_what_changed(
    live: Live, opened: DeviceOpener, published: Releaser
) -> None:
    first = published(1, WEB)
    device = opened(live.url)
    done, fetched = updated(live, device)
    assert files_of(done["folder"]) == WEB
    assert fetched <= first.files.pack_bytes + 2 * 32  # what is in the pack once is fetched once for each name
    assert device.start() == "1.0.1"
    level = NOISE.randbytes(300_000)
    second = WEB | {"data/level.bin": level}
    published(2, second)
    done, fetched = updated(live, device)
    assert files_of(done["folder"]) == second
    assert len(level) <= fetched <= 1.05 * len(level)
    assert device.start() == "1.0.2"
    third = {name: data for name, data in second.items() if name != "js/app.js"} | {"new.txt": b"new"}
    published(3, third)
    missing = device.do("missing", answer=device.latest())
    assert (missing["missingCount"], missing["total"]) == (1, len(third))
    done, fetched = updated(live, device)
    assert files_of(done["folder"]) == third
    assert fetched == 16
    assert device.start() == "1.0.3"


def changed_of_many(count: int, live: Live, opened: DeviceOpener, published: Releaser) -> None:
    many = {f"assets/{number:04}/chunk.js": NOISE.randbytes(200) + b"x" * (number % 50) for number in range(count)}
    many |= {"index.html": b"<html>", "data/level.bin": NOISE.randbytes(100_000)}
    published(1, many)
    device = opened(live.url)
    assert files_of(device.update()["folder"]) == many
    device.start()
    level = NOISE.randbytes(100_000)
    published(2, many | {"data/level.bin": level})
    done, fetched = updated(live, device)
    assert files_of(done["folder"]) == many | {"data/level.bin": level}
    assert fetched <= 1.05 * len(level)
    with live.client.stream("POST", UPDATES, content=asked(live).request.content) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(packed))["manifest"]) == count + 2
    print(f"{count + 2} files, one of 100000 bytes changed: {fetched} bytes fetched, answer {len(packed)} bytes")
    assert len(packed) <= 1_200_000 * (count + 2) / 3000


def test_of_many_files_the_plugin_fetches_the_one_that_changed(
    live: Live, opened: DeviceOpener, published: Releaser
) -> None:
    changed_of_many(148, live, opened, published)


@pytest.mark.soak
def test_of_3000_files_the_plugin_fetches_the_one_that_changed(
    live: Live, opened: DeviceOpener, published: Releaser
) -> None:
    changed_of_many(2998, live, opened, published)


def test_the_plugin_goes_on_with_a_file(live: Live, opened: DeviceOpener, published: Releaser) -> None:
    pack = published(1, WEB).pack
    answer = asked(live).json()
    (level,) = (one for one in answer["manifest"] if one["file_name"].startswith("data/level"))
    start, stop = map(int, level["download_url"].rpartition("/")[2].split("-"))
    for begin in (0, 1, 500_000, stop - start - 1):
        rest = live.client.get(level["download_url"], headers={"Range": f"bytes={begin}-"})
        assert (rest.status_code, rest.content) == (206, pack[start + begin : stop])
        assert rest.headers["content-range"] == f"bytes {begin}-{stop - start - 1}/{stop - start}"
    past = live.client.get(level["download_url"], headers={"Range": f"bytes={stop - start}-"})
    assert past.status_code == 416


# The answer.


def test_a_plugin_that_reads_no_manifests_gets_none(live: Live, published: Releaser) -> None:
    published(1, WEB)
    assert "manifest" not in asked(live, plugin_version="6.24.9").json()
    old, new = asked(live, plugin_version="6.25.0").json(), asked(live).json()
    assert [one["file_name"] for one in old["manifest"]] == [one["file_name"] for one in new["manifest"]]
    assert all(len(one["file_hash"]) == 344 for one in old["manifest"])
    assert all(len(one["file_hash"]) == 512 for one in new["manifest"])
    assert asked(live, version_name="1.0.1").json()["error"] == "no_new_version_available"


def test_whoever_takes_no_gzip_gets_none(live: Live, published: Releaser) -> None:
    published(1, WEB)
    body = asked(live).request.content
    for header in ("", "identity", "br", "gzip;q=0", "gzip; q=0.0"):
        answer = live.client.post(UPDATES, content=body, headers={"Accept-Encoding": header})
        assert "content-encoding" not in answer.headers
        assert answer.json() == asked(live).json()
    for header in ("gzip", "br, GZIP;q=0.5", "*"):
        answer = live.client.post(UPDATES, content=body, headers={"Accept-Encoding": header})
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "Accept-Encoding"


def test_the_plugin_learns_how_much_there_is_to_fetch(live: Live, opened: DeviceOpener, published: Releaser) -> None:
    released = published(1, WEB)
    device = opened(live.url)
    answer = device.latest()
    answer["manifest"].append({"file_name": "x", "file_hash": "aa", "download_url": "https://elsewhere.example/x"})
    for path in (UPDATES, f"{UPDATES}/"):
        found = device.do("size", answer=answer, url=live.url + path)
        assert found["totalSize"] == sum(one.size for one in released.files.files)
        assert (found["knownFiles"], found["unknownFiles"]) == (len(WEB), 1)
        assert [one["file_name"] for one in found["files"]][-1] == "x"
        assert found["files"][-1]["error"] == "unknown"
    for body in (b"", b"[]", b"{}", b'{"manifest":[1]}', b'{"manifest":{}}'):
        assert live.client.post(f"{UPDATES}/manifest_size", content=body).status_code == 400


def test_a_list_of_another_pack_offers_the_whole_file_only(
    live: Live, made: Releaser, signer: capseal.PrivateKey, recipient: capseal.PrivateKey
) -> None:
    one, two = made(1, WEB), made(2, WEB)
    record = json.loads(json.dumps(one.bundle.parsed.statement.custom[capgo.CUSTOM_MEMBER]))  # type: ignore[index]
    listed = two.folder / "game.capgo.files"
    companions = [capgo.attach(capgo.Bundle.from_json(record["bundle"], "x"), one.folder / "game.capgo")[0]]
    for path in (one.folder / "game.capgo.pack", listed):
        from capseal.bundle.companions import describe_companion

        companions.append(describe_companion(path, media_type="x/y"))
    custom = {
        capgo.CUSTOM_MEMBER: record,
        capgo.FILES_MEMBER: {"pack": "game.capgo.pack", "files": "game.capgo.files"},
    }
    bundle = make_bundle(two.folder, signer, recipient, content=b"x", sequence=3, companions=companions, custom=custom)
    (two.folder / "three.sealed").write_bytes(bundle.seal + bundle.payload)
    files = {name: one.folder / name for name in ("game.capgo", "game.capgo.pack")} | {"game.capgo.files": listed}
    with Connection(live.url, token=TOKEN) as connection:
        publish(two.folder / "three.sealed", connection, companions=files)
    found = asked(live).json()
    assert found["version"] == "1.0.3"
    assert "manifest" not in found


# Slices.


def test_a_slice_is_a_resource_of_its_own(live: Live, published: Releaser) -> None:
    pack = published(1, WEB).pack
    base = live.release_url(1) + "/slices/game.capgo.pack/"
    for start, stop in ((0, 1), (0, len(pack)), (SEGMENT_BYTES - 1, SEGMENT_BYTES + 1), (len(pack) - 1, len(pack))):
        answer = live.client.get(f"{base}{start}-{stop}")
        assert (answer.status_code, answer.content) == (200, pack[start:stop])
        assert "immutable" in answer.headers["cache-control"]
        again = live.client.get(f"{base}{start}-{stop}", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
        head = live.client.head(f"{base}{start}-{stop}")
        assert head.headers["content-length"] == str(stop - start)
    tags = {live.client.head(f"{base}{span}").headers["etag"] for span in ("0-1", "0-2", "1-2")}
    assert len(tags) == 3
    several = live.client.get(f"{base}100-200", headers={"Range": "bytes=0-1,98-99"})
    assert pack[100:102] in several.content and pack[198:200] in several.content
    for span in (f"0-{len(pack) + 1}", "5-5", "6-5", "-1", "1-", "a-b", "00-1", "0-01", "+0-1", "0-1-2"):
        assert live.client.get(base + span).status_code == 404
    live.client.delete(live.release_url(1)).raise_for_status()
    assert live.client.get(f"{base}0-1").status_code == 410


# What was altered.


def test_a_flipped_byte_anywhere_in_the_pack_is_refused(live: Live, made: Releaser) -> None:
    one = made(1, WEB)
    places = [0, 15, SEGMENT_BYTES - 1, SEGMENT_BYTES, len(one.pack) - 1]
    places += [random.Random(3).randrange(len(one.pack)) for _ in range(15)]
    for place in places:
        data = bytearray(one.pack)
        data[place] ^= 1
        there = live.begin(one.bundle.seal).json()["attachments"]["game.capgo.pack"]
        live.client.put(there["index_link"], content=index_entries(memoryview(one.pack), whole_payload=True))
        answer = live.client.put(there["link"], content=bytes(data))
        assert (answer.status_code, answer.json()["segment"]) == (422, place // SEGMENT_BYTES)


@pytest.mark.parametrize("what", ["game.capgo.pack", "game.capgo.files"])
def test_rot_of_pack_or_list_in_the_servers_storage_is_not_installed(
    what: str, live: Live, store: Path, opened: DeviceOpener, published: Releaser
) -> None:
    released = published(1, WEB)
    device = opened(live.url)
    described = live.client.get(live.release_url(1)).json()["attachments"][what]
    for stored in (store / "payloads" / described["digest"]["fsverity-sha256"]).glob("0*"):
        data = bytearray(stored.read_bytes())
        data[len(data) // 2] ^= 1
        stored.write_bytes(data)
    if what == "game.capgo.files":
        assert asked(live).status_code == 503
        assert device.latest()["error"] == "response_error"
    else:
        done = device.update()
        assert "failed" in done
        assert released.files.pack_bytes > 0
    assert device.start() == "builtin"


def test_the_plugin_installs_no_altered_single_file(live: Live, opened: DeviceOpener, published: Releaser) -> None:
    published(1, WEB)
    device = opened(live.url)
    answer = device.latest()
    entries = {one["file_name"]: one for one in answer["manifest"]}
    script, level = entries["js/app.js.br"], entries["data/level.bin"]

    def outcome(name: str, **changes: str) -> dict[str, Any]:
        manifest = [one | (changes if one["file_name"] == name else {}) for one in answer["manifest"]]
        return device.do("offered", answer=answer | {"manifest": manifest})

    assert "failed" in outcome("js/app.js.br", download_url=level["download_url"])
    assert "failed" in outcome("js/app.js.br", file_hash=level["file_hash"])
    assert "failed" in outcome("js/app.js.br", file_hash="")
    assert "failed" in outcome("js/app.js.br", file_name="../app.js")
    assert "failed" in device.do("offered", answer=answer | {"sessionKey": ""})
    assert device.start() == "builtin"
    # What the device cannot check, as docs/capgo.md says: names, and the set.
    renamed = outcome("js/app.js.br", file_name="js/other.js.br", file_hash=script["file_hash"])
    assert "js/other.js" in files_of(renamed["folder"])


# The commands.


def web(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def test_the_plugin_fetches_what_the_commands_made(
    tmp_path: Path, opened: DeviceOpener, signer: capseal.PrivateKey, recipient: capseal.PrivateKey, trust: TrustStore
) -> None:
    signer.save(tmp_path / "signer.pem")
    (tmp_path / "recipient.pub.pem").write_bytes(recipient.public_key.pem)
    trust.save(tmp_path / "trust.json")
    run("capgo", "keygen", cwd=tmp_path).succeeded()
    web(tmp_path / "www", WEB)
    run("capgo", "encrypt", "www", "-o", "app.capgo", "--record", "app.json", "--files", cwd=tmp_path).succeeded()
    again = ("capgo", "encrypt", "www", "-o", "app.capgo", "--files")
    run(*again, cwd=tmp_path).failed_with(2, "app.capgo")
    run("capgo", "encrypt", "-", "-o", "x.capgo", "--files", cwd=tmp_path).failed_with(2, "must be files")
    sealing = ("-s", "signer.pem", "-r", "recipient.pub.pem", "--app", APP, "--version", "1.4.2", "-o", "app.sealed")
    converting = ("capgo", "convert", "to-sealed", "app.capgo", "--record", "app.json", *sealing)
    (tmp_path / "app.capgo.files").rename(tmp_path / "moved")
    run(*converting, cwd=tmp_path).failed_with(3, "app.capgo.files")
    (tmp_path / "moved").rename(tmp_path / "app.capgo.files")
    run(*converting, cwd=tmp_path).succeeded()
    with serving(tmp_path, "--capgo") as url:
        run("publish", "app.sealed", url, cwd=tmp_path).succeeded()
        device = opened(url, key=(tmp_path / ".capgo_key_v2.pub").read_text())
        answer = device.latest()
        assert len(answer["manifest"]) == len(WEB)
        assert files_of(device.do("offered", answer=answer)["folder"]) == WEB


def test_a_release_for_the_plugin_is_one_command(tmp_path: Path, opened: DeviceOpener) -> None:
    web(tmp_path / "www", WEB)
    run("init", "--app", APP, "--web", "www", cwd=tmp_path).succeeded()
    run("capgo", "keygen", cwd=tmp_path).succeeded()
    (tmp_path / "trust.json").write_bytes((tmp_path / "keys" / "trust.json").read_bytes())
    releasing = ("release", "--allow-dirty", "--no-recipes", "--no-head", "--capgo")
    run(*releasing, "--version", "1.1.0", "--capgo-key", "gone", "--no-publish", cwd=tmp_path).failed_with(3, "gone")
    with serving(tmp_path, "--capgo") as url:
        run(*releasing, "--version", "1.1.0", "--server", url, cwd=tmp_path).succeeded()
        device = opened(url, key=(tmp_path / ".capgo_key_v2.pub").read_text())
        assert files_of(device.update()["folder"]) == WEB
        assert device.start() == "1.1.0"
        web(tmp_path / "www", {"js/app.js": b"other();"})
        run(*releasing, "--version", "1.2.0", "--server", url, cwd=tmp_path).succeeded()
        assert device.do("missing", answer=device.latest())["missingCount"] == 1
        assert files_of(device.update()["folder"]) == WEB | {"js/app.js": b"other();"}
    names = [path.name for path in (tmp_path / "releases").iterdir() if "attachment" in path.name]
    assert len(names) == 6
