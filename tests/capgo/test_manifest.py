"""write_manifest(): single files for delta updates, as the plugin reads them."""

import io
import os
import random
from hashlib import sha256
from pathlib import Path

import brotli
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from capseal import FormatError, SignatureError, UsageError, capgo
from capseal.capgo import ChecksumVersion, Manifest, ManifestEntry, PrivateKey, SessionKey
from capseal.capgo._wire import recover_checksum

URL = "https://updates.example.com/game/42/files"
TEXT = b"function f() { return 'the same again and again' }\n" * 400
NOISE = random.Random(8).randbytes(20_000)


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return PrivateKey.generate()


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    files = {
        "index.html": b"<h1>hello</h1>",
        "js/app.js": TEXT,
        "js/exactly.js": b"a" * 8192,
        "js/just-below.js": b"a" * 8191,
        "img/noise.png": NOISE,
        "img/é+@.svg": b"<svg/>",
        "fonts/packed.woff.br": b"small, and compressed or not: the plugin will decompress it",
        "empty.txt": b"",
        ".gitignore": b"x",
        "node_modules/x/y.js": b"x",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def opened(entry: ManifestEntry, manifest: Manifest, out: Path, key: PrivateKey) -> tuple[str, bytes]:
    """Do what the plugin does: decrypt, decompress what ends in .br, compare the hash; return target and content."""
    session = SessionKey.recover(manifest.session_key, key.public_key)
    decryptor = Cipher(algorithms.AES(session.key), modes.CBC(session.iv)).decryptor()
    content = decryptor.update((out / "files" / entry.name).read_bytes())
    content = content[: -content[-1]]
    if entry.name.endswith(".br"):
        content = brotli.decompress(content)
    for version in ChecksumVersion:
        checksum = entry.to_json(version)["file_hash"]
        assert recover_checksum(checksum, key.public_key, version) == sha256(content).digest()
    return entry.name.removesuffix(".br"), content


def test_plugin_gets_every_file_back(dist: Path, tmp_path: Path, key: PrivateKey) -> None:
    made = capgo.write_manifest(dist, tmp_path / "out", key=key, base_url=f"{URL}/")
    contents = dict(opened(entry, made, tmp_path / "out", key) for entry in made.entries)
    assert contents == {
        name: (dist / name).read_bytes()
        for name in (
            "index.html",
            "js/app.js",
            "js/exactly.js",
            "js/just-below.js",
            "img/noise.png",
            "img/é+@.svg",
            "fonts/packed.woff.br",
        )
    }
    assert sorted(made.skipped) == [".gitignore", "empty.txt", "node_modules"]
    assert made.key_id == key.public_key.key_id


def test_what_gains_from_it_is_compressed_and_nothing_else(dist: Path, tmp_path: Path, key: PrivateKey) -> None:
    made = capgo.write_manifest(dist, tmp_path / "out", key=key, base_url=URL)
    assert {entry.name for entry in made.entries} == {
        "index.html",
        "js/app.js.br",
        "js/exactly.js.br",
        "js/just-below.js",
        "img/noise.png",
        "img/é+@.svg",
        "fonts/packed.woff.br.br",
    }
    assert (tmp_path / "out" / "files" / "js" / "app.js.br").stat().st_size < len(TEXT) / 10
    files = tmp_path / "out" / "files"
    found = {str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()}
    assert found == {entry.name for entry in made.entries}


def test_entries_have_the_members_that_the_plugin_reads(dist: Path, tmp_path: Path, key: PrivateKey) -> None:
    made = capgo.write_manifest(dist, tmp_path / "out", key=key, base_url=URL)
    entry = next(entry for entry in made.entries if entry.name.startswith("img/é"))
    value = entry.to_json(ChecksumVersion.V3)
    assert set(value) == {"file_name", "file_hash", "download_url"}
    assert value["download_url"] == f"{URL}/img/%C3%A9%2B%40.svg"
    assert (tmp_path / "out" / "manifest.json").read_bytes() == made.encode()
    parsed = Manifest.parse(made.encode())
    assert (parsed.entries, parsed.session_key, parsed.key_id) == (made.entries, made.session_key, made.key_id)


def test_manifest_shares_the_session_key_of_the_zip(dist: Path, tmp_path: Path, key: PrivateKey) -> None:
    bundle = capgo.encrypt(dist, io.BytesIO(), key=key)
    made = capgo.write_manifest(dist, tmp_path / "out", key=key, base_url=URL, session_key=bundle.session_key)
    assert made.session_key == bundle.session_key
    assert all(opened(entry, made, tmp_path / "out", key) for entry in made.entries)


def test_quality_is_the_compressors(dist: Path, tmp_path: Path, key: PrivateKey) -> None:
    (dist / "words.txt").write_bytes(b" ".join(b"%d" % number for number in random.Random(1).sample(range(9999), 3000)))
    sizes = []
    for quality in (0, 11):
        capgo.write_manifest(dist, tmp_path / f"out{quality}", key=key, base_url=URL, quality=quality)
        sizes.append((tmp_path / f"out{quality}" / "files" / "words.txt.br").stat().st_size)
    assert sizes[0] > sizes[1]


@pytest.mark.parametrize("name", ["a b.js", "a\\b.js", "a\nb.js"])
def test_name_that_the_plugin_cannot_take_leaves_no_folder(
    name: str, dist: Path, tmp_path: Path, key: PrivateKey
) -> None:
    (dist / name).write_bytes(b"x")
    with pytest.raises(UsageError, match="no room for"):
        capgo.write_manifest(dist, tmp_path / "out", key=key, base_url=URL)
    assert os.listdir(tmp_path) == ["dist"]


def test_links_are_refused(dist: Path, tmp_path: Path, key: PrivateKey) -> None:
    (dist / "link").symlink_to("index.html")
    with pytest.raises(UsageError, match="links are not followed"):
        capgo.write_manifest(dist, tmp_path / "out", key=key, base_url=URL)
    assert os.listdir(tmp_path) == ["dist"]


def test_session_key_by_another_key_leaves_no_folder(dist: Path, tmp_path: Path, key: PrivateKey) -> None:
    foreign = SessionKey.generate().sign(PrivateKey.generate())
    with pytest.raises(SignatureError):
        capgo.write_manifest(dist, tmp_path / "out", key=key, base_url=URL, session_key=foreign)
    assert os.listdir(tmp_path) == ["dist"]


def test_existing_folder_is_kept(dist: Path, tmp_path: Path, key: PrivateKey) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError):
        capgo.write_manifest(dist, tmp_path / "out", key=key, base_url=URL)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"session_key":"","key_id":"x","entries":[{}]}'])
def test_record_that_is_no_manifest_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError, match="manifest"):
        Manifest.parse(data)


def test_the_bytes_of_every_file_are_told(dist: Path, key: PrivateKey, tmp_path: Path) -> None:
    told: list[int] = []
    made = capgo.write_manifest(dist, tmp_path / "out", key=key, base_url=URL, progress=told.append)
    shipped = [entry.name if (dist / entry.name).exists() else entry.name.removesuffix(".br") for entry in made.entries]
    assert told == [os.path.getsize(dist / name) for name in shipped]


@pytest.mark.parametrize("name", ["keys/signing.pem", "js/app.js"])
@pytest.mark.parametrize("before", [b"", b"// a key\n", NOISE * 60], ids=["first", "behind", "far behind"])
def test_a_private_key_is_no_file_of_a_manifest(dist: Path, key: PrivateKey, tmp_path: Path, name, before) -> None:
    (dist / name).parent.mkdir(exist_ok=True)
    (dist / name).write_bytes(before + key.pem)
    with pytest.raises(UsageError, match=f"{name}: a private key, which would be shipped; move it out of the folder"):
        capgo.write_manifest(dist, tmp_path / "out", key=key, base_url=URL)
    assert not (tmp_path / "out").exists()
