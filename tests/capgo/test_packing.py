"""A release as a pack of its single files: what stands in it, what a seal says of it, and what does not fit."""

import hashlib
import io
import json
import random
from pathlib import Path
from typing import Any

import brotli
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from hypothesis import given
from hypothesis import strategies as st

from capseal import FormatError, UsageError, capgo
from capseal.capgo._pack import CapgoFiles
from capseal.capgo._wire import ChecksumVersion, SessionKey, recover_checksum
from support.zips import zip_of

NOISE = random.Random(7).randbytes(20_000)
FILES = {
    "index.html": b"<html>",
    "again/index.html": b"<html>",
    "empty.txt": b"",
    "also-empty.txt": b"",
    "js/app.js": b"play();" * 3000,
    "noise.bin": NOISE,
    "old.br": b"as it is",
    "least.txt": b"a" * 8192,
    "under.txt": b"a" * 8191,
}


def decrypt_cbc(data: bytes, session: SessionKey) -> bytes:
    decryptor = Cipher(algorithms.AES(session.key), modes.CBC(session.iv)).decryptor()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(decryptor.update(data)) + unpadder.finalize()


def web(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, data in files.items():
        (folder / "www" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "www" / name).write_bytes(data)
    return folder / "www"


def packed(folder: Path, source: Any, key: capgo.PrivateKey, **options: Any) -> tuple[capgo.Bundle, capgo.Files]:
    return capgo.encrypt_with_files(
        source, folder / "a.capgo", key=key, pack=folder / "a.pack", files=folder / "a.files", **options
    )


def unpacked(pack: bytes, files: capgo.Files, key: capgo.PublicKey) -> dict[str, bytes]:
    """Return what a device would make of a pack: Brotli by name, as the plugin does."""
    session = SessionKey.recover(files.session_key, key)
    found = {}
    for one in files.files:
        plain = decrypt_cbc(pack[one.offset : one.offset + one.size], session)
        name = one.name.removesuffix(".br")
        if one.name.endswith(".br"):
            plain = b"" if plain == b"\x1b\x00\x06" else brotli.decompress(plain)
        for version, text in ((ChecksumVersion.V2, one.checksum_v2), (ChecksumVersion.V3, one.checksum_v3)):
            assert recover_checksum(text, key, version) == hashlib.sha256(plain).digest()
        found[name] = plain
    return found


@pytest.mark.parametrize("kind", ["folder", "deflated", "zip"])
def test_a_pack_holds_every_file_of_the_zip(kind: str, tmp_path: Path, capgo_key: capgo.PrivateKey) -> None:
    source: Any = web(tmp_path)
    if kind == "zip":
        (tmp_path / "www.zip").write_bytes(zip_of(*FILES.items()))
        source = tmp_path / "www.zip"
    bundle, files = packed(tmp_path, source, capgo_key, deflate=kind == "deflated")
    pack = (tmp_path / "a.pack").read_bytes()
    assert files.pack_bytes == len(pack)
    assert CapgoFiles.parse((tmp_path / "a.files").read_bytes()) == files
    assert unpacked(pack, files, capgo_key.public_key) == FILES
    assert files.session_key == bundle.session_key
    plain = io.BytesIO()
    capgo.decrypt(
        tmp_path / "a.capgo",
        plain,
        key=capgo_key.public_key,
        session_key=bundle.session_key,
        checksum=bundle.checksum_v3,
    )
    assert len(plain.getvalue()) == bundle.size


def test_each_content_is_in_a_pack_once(tmp_path: Path, capgo_key: capgo.PrivateKey) -> None:
    _, files = packed(tmp_path, web(tmp_path), capgo_key)
    place = {one.name: (one.offset, one.size) for one in files.files}
    assert place["index.html"] == place["again/index.html"]
    assert place["empty.txt.br"] == place["also-empty.txt.br"]
    spans = sorted(set(place.values()))
    assert spans[0][0] == 0
    assert [offset + size for offset, size in spans] == [*[offset for offset, _ in spans[1:]], files.pack_bytes]
    assert "least.txt.br" in place and "under.txt" in place and "noise.bin" in place and "old.br.br" in place


@pytest.mark.parametrize("name", ["with space.js", "back\\slash.js"])
def test_a_name_that_the_plugin_cannot_take_leaves_nothing(
    name: str, tmp_path: Path, capgo_key: capgo.PrivateKey
) -> None:
    source = web(tmp_path, {"index.html": b"x", name: b"y"})
    with pytest.raises(UsageError):
        packed(tmp_path, source, capgo_key)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["www"]


def test_a_stream_has_no_single_files(tmp_path: Path, capgo_key: capgo.PrivateKey) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(UsageError, match="stream"):
        packed(tmp_path, Pipe(zip_of(("index.html", b"x"))), capgo_key)


def test_what_is_beside_another_bundle_is_not_attached(tmp_path: Path, capgo_key: capgo.PrivateKey) -> None:
    source = web(tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, _ = packed(tmp_path / "one", source, capgo_key)
    packed(tmp_path / "two", source, capgo_key)
    first, second = tmp_path / "one", tmp_path / "two"
    with pytest.raises(UsageError, match="another session key"):
        capgo.attach_files(one, second / "a.pack", second / "a.files")
    (first / "longer").write_bytes((first / "a.pack").read_bytes() + bytes(16))
    with pytest.raises(UsageError, match="of a pack of"):
        capgo.attach_files(one, first / "longer", first / "a.files")
    with pytest.raises(UsageError, match="not of type"):
        (first / "other").write_text('{"type":"x","session_key":"","pack_bytes":16,"files":[]}')
        capgo.attach_files(one, first / "a.pack", first / "other")


GOOD = {"name": "a.js", "offset": 16, "size": 32}


@pytest.mark.parametrize(
    "changes",
    [
        {"offset": -16},
        {"offset": 17},
        {"size": 0},
        {"size": 31},
        {"size": 48},
        {"name": ""},
        {"name": "/etc/passwd"},
        {"name": "../a"},
        {"name": "a/../b"},
        {"name": "a//b"},
        {"name": "a\nb"},
        {"offset": True},
    ],
)
def test_a_list_that_points_out_of_its_pack_or_folder_is_refused(
    changes: dict[str, object], tmp_path: Path, capgo_key: capgo.PrivateKey
) -> None:
    _, files = packed(tmp_path, web(tmp_path, {"index.html": b"x"}), capgo_key)
    (one,) = files.files

    def of(entry: dict[str, object]) -> bytes:
        values = [entry["name"], entry["offset"], entry["size"], one.checksum_v2, one.checksum_v3]
        value = {"type": "capseal-capgo-files-v1", "session_key": files.session_key, "pack_bytes": 48}
        return json.dumps(value | {"files": [values]}).encode()

    assert CapgoFiles.parse(of(GOOD)).files[0].offset == 16
    with pytest.raises(FormatError, match=r"files\.files\[0\]"):
        CapgoFiles.parse(of(GOOD | changes))


def test_a_list_with_a_name_twice_is_refused(tmp_path: Path, capgo_key: capgo.PrivateKey) -> None:
    packed(tmp_path, web(tmp_path, {"index.html": b"x"}), capgo_key)
    value = json.loads((tmp_path / "a.files").read_bytes())
    value["files"] *= 2
    with pytest.raises(FormatError, match="same name"):
        CapgoFiles.parse(json.dumps(value).encode())


@given(data=st.binary(max_size=200))
def test_no_bytes_are_a_list_by_chance(data: bytes) -> None:
    with pytest.raises(FormatError):
        CapgoFiles.parse(data)
