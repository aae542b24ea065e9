"""What is sealed, released or encrypted for Capgo can be installed; the rest is refused before it is signed."""

import io
import os
import zipfile
from pathlib import Path

import pytest

import capseal
from capseal import UsageError, capgo
from support.command import run
from support.zips import streamed, zip_of

REFUSED = {
    "page.zip": (b"<html>404 not found</html>", "as a web page does"),
    "empty.zip": (b"", "an empty file"),
    "back.zip": (zip_of(("index.html", b"x"), ("a_b", b"x")).replace(b"a_b", b"a\\b"), "backslash; zip it again"),
    "deep.zip": (zip_of(("/".join("d" * 70) + "/f", b"x")), "71 levels"),
    "case.zip": (zip_of(("Index.html", b"1"), ("index.html", b"2")), "same name as 'Index.html'"),
    "bzip2.zip": (zip_of(("a", b"x" * 100), method=zipfile.ZIP_BZIP2), "bzip2; zip it again"),
    "bomb.zip": (zip_of(("a", bytes(1_000_000)), method=zipfile.ZIP_DEFLATED), "100 times as many"),
    "damaged.zip": (zip_of(("a", b"hello")).replace(b"hello", b"jello"), "the archive is damaged"),
    "behind.zip": (zip_of(("a", b"x")) + b"junk", "4 bytes follow its end"),
}


@pytest.fixture
def keys(tmp_path, signer, recipient):
    signer.save(tmp_path / "s.pem")
    (tmp_path / "r.pub.pem").write_bytes(recipient.public_key.pem)
    (tmp_path / "s.pub.pem").write_bytes(signer.public_key.pem)
    return ["-s", "s.pem", "-r", "r.pub.pem", "--app", "com.example.game", "--version", "1"]


def _seal(source, signer, recipient, **keywords):
    output = io.BytesIO()
    capseal.seal(source, output, signer=signer, recipients=[recipient.public_key], app="a", version="1", **keywords)
    return output.getvalue()


KEY = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIFNjcmVlbnNob3Rz\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("key", [KEY, KEY.decode().encode("utf-16"), os.urandom(3_000_000) + KEY])
def test_a_private_key_in_a_ready_zip_is_refused(key, method, tmp_path, signer, recipient):
    (tmp_path / "web.zip").write_bytes(zip_of(("index.html", b"x"), ("js/notes.txt", key), method=method))
    with pytest.raises(UsageError, match=r"web\.zip: entry 'js/notes\.txt': a private key, which would be shipped"):
        _seal(tmp_path / "web.zip", signer, recipient)
    with pytest.raises(UsageError, match="a private key, which would be shipped"):
        capgo.encrypt(tmp_path / "web.zip", tmp_path / "out", key=capgo.PrivateKey.generate())


@pytest.mark.parametrize("name", ["recipient.pem", "id.key", "notes.txt", "no-ending"])
@pytest.mark.parametrize("key", [KEY, KEY.decode().encode("utf-16"), b"x\n" + KEY], ids=["alone", "wide", "behind"])
def test_a_private_key_is_not_sealed_as_a_single_file(key, name, tmp_path, signer, recipient):
    (tmp_path / name).write_bytes(key)
    with pytest.raises(UsageError, match=f"{name}: a private key, which would be shipped"):
        _seal(tmp_path / name, signer, recipient)


@pytest.mark.parametrize("key", [KEY, KEY.replace(b"PRIVATE KEY", b"PGP PRIVATE KEY BLOCK")], ids=["PKCS8", "PGP"])
def test_a_private_key_is_not_sealed_from_a_pipe(key, tmp_path, signer, recipient):
    coming, going = os.pipe()
    os.write(going, key)
    os.close(going)
    with (
        open(coming, "rb", buffering=0) as pipe,
        pytest.raises(UsageError, match="a private key, which would be shipped"),
    ):
        _seal(pipe, signer, recipient, media_type="application/octet-stream")


def test_a_single_file_that_only_speaks_of_keys_is_sealed(tmp_path, signer, recipient):
    (tmp_path / "notes.txt").write_bytes(b"it begins with -----BEGIN PRIVATE KEY-----, and then?\n")
    assert _seal(tmp_path / "notes.txt", signer, recipient)
    (tmp_path / "signer.pub.pem").write_bytes(signer.public_key.pem)
    assert _seal(tmp_path / "signer.pub.pem", signer, recipient)


@pytest.mark.parametrize("name", REFUSED)
def test_what_devices_refuse_is_not_sealed(name, tmp_path, signer, recipient):
    data, message = REFUSED[name]
    (tmp_path / name).write_bytes(data)
    for source, keywords in ((tmp_path / name, {}), (io.BytesIO(data), {"name": name})):
        with pytest.raises(UsageError, match=message) as caught:
            _seal(source, signer, recipient, **keywords)
        assert "devices would refuse it" in str(caught.value)
    _seal(tmp_path / name, signer, recipient, media_type="application/octet-stream")
    _seal(tmp_path / name, signer, recipient, unpackable=False)


@pytest.mark.parametrize("name", REFUSED)
def test_what_devices_refuse_is_not_encrypted_for_capgo(name, tmp_path):
    data, message = REFUSED[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match=message):
        capgo.encrypt(tmp_path / name, tmp_path / "out", key=capgo.PrivateKey.generate())
    assert not (tmp_path / "out").exists()


def test_a_zip_of_good_form_is_sealed_byte_by_byte(tmp_path, signer, recipient, trust):
    for data in (streamed(("index.html", b"x" * 1000)), zip_of(("./index.html", b"x"))):
        sealed = _seal(io.BytesIO(data), signer, recipient, name="dist.zip")
        output = io.BytesIO()
        capseal.unseal(io.BytesIO(sealed), output, identity=recipient, trust=trust)
        assert output.getvalue() == data


def test_a_stream_is_sealed_as_one_file_and_not_as_a_zip(signer, recipient):
    reading, writing = os.pipe()
    with open(writing, "wb") as file:
        file.write(zip_of(("a", b"x")))
    with open(reading, "rb", buffering=0) as file:
        with pytest.raises(UsageError, match=r"a stream cannot be read twice; seal a file, or .*octet-stream"):
            _seal(file, signer, recipient, name="dist.zip")
        assert _seal(file, signer, recipient, name="dist.bin")


def test_a_single_file_needs_a_name_that_devices_can_store(tmp_path, signer, recipient):
    (tmp_path / "aux.bin").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"devices would refuse it: entry 'aux.bin'.*device on Windows"):
        _seal(tmp_path / "aux.bin", signer, recipient)
    assert _seal(tmp_path / "aux.bin", signer, recipient, name="model.bin")


def test_the_command_refuses_with_exit_code_2_and_says_how_to_ship_it_anyway(tmp_path, keys):
    (tmp_path / "page.zip").write_bytes(b"<html>")
    refused = run("seal", "page.zip", *keys, cwd=tmp_path)
    assert refused.code == 2
    assert "page.zip: devices would refuse it" in refused.err
    assert not (tmp_path / "page.sealed").exists()
    run("seal", "page.zip", "--content-type", "application/octet-stream", *keys, cwd=tmp_path).succeeded()


def test_a_zip_on_standard_input_that_is_a_file_is_checked(tmp_path, keys):
    typed = ["--content-type", "application/zip"]
    run("seal", "-", "-o", "a", *typed, *keys, cwd=tmp_path, stdin=zip_of(("a", b"x"))).succeeded()
    refused = run("seal", "-", "-o", "b", *typed, *keys, cwd=tmp_path, stdin=b"<html>")
    assert (refused.code, (tmp_path / "b").exists()) == (2, False)


def test_the_folder_one_is_in_gives_its_own_name_and_does_not_ship_itself(tmp_path, keys, recipient, trust):
    here = tmp_path / "game"
    here.mkdir()
    for name in ("s.pem", "r.pub.pem", "s.pub.pem"):
        (tmp_path / name).rename(tmp_path / "game" / name)
    (here / "web").mkdir()
    (here / "web" / "index.html").write_text("<p>")
    refused = run("seal", ".", *keys, cwd=here)
    assert (refused.code, "s.pem: a private key, which would be shipped" in refused.err) == (2, True)
    (here / "s.pem").rename(tmp_path / "s.pem")
    keys = ["-s", "../s.pem", *keys[2:]]
    for _ in range(2):
        said = run("seal", ".", "-f", *keys, "--exclude", "*.pub.pem", cwd=here)
        assert said.code == 0
        capseal.unseal(here / "game.sealed", tmp_path / "out.zip", identity=recipient, trust=trust, overwrite=True)
        assert zipfile.ZipFile(tmp_path / "out.zip").namelist() == ["web/", "web/index.html"]
    assert "left out of .: game.sealed, r.pub.pem, s.pub.pem" in said.err


def test_node_modules_is_warned_of(tmp_path, keys):
    (tmp_path / "dist" / "node_modules").mkdir(parents=True)
    (tmp_path / "dist" / "index.html").touch()
    said = run("seal", "dist", *keys, cwd=tmp_path)
    assert said.code == 0
    assert "warning: node_modules/ ships with dist; --exclude node_modules/ leaves it out" in said.err
    assert (tmp_path / "dist.sealed").exists()


def test_exclude_is_for_folders(tmp_path, keys):
    (tmp_path / "a.bin").touch()
    refused = run("seal", "a.bin", "--exclude", "*.map", *keys, cwd=tmp_path)
    assert (refused.code, "a.bin is no folder" in refused.err) == (2, True)


def test_a_release_ships_neither_releases_nor_the_log(tmp_path, keys, recipient, trust):
    (tmp_path / "s.pem").chmod(0o600)
    here = tmp_path / "web"
    here.mkdir()
    (here / "index.html").write_text("<p>")
    for sequence in ("1", "2"):
        done = run(
            "release", ".", "--no-publish", "--log", "release.log", "--sequence", sequence, "-o", "out",
            "-s", "../s.pem", "-r", "../r.pub.pem", "--trust", "../s.pub.pem", *keys[4:],
            "--version", sequence, cwd=here,
        )  # fmt: skip
        assert done.code == 0
    [payload] = (here / "out").glob("*-2.payload")
    capseal.unseal(
        payload, tmp_path / "out.zip", seal=Path(f"{payload}".removesuffix(".payload") + ".seal"),
        identity=recipient, trust=trust,
    )  # fmt: skip
    assert zipfile.ZipFile(tmp_path / "out.zip").namelist() == ["index.html"]
