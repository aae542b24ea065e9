"""capseal capgo on the command line: outputs, exit codes and single lines of complaint."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import capseal
from capseal import capgo
from capseal.cli.framework.titles import sized
from support.capgo_tool import Project
from support.places import VECTORS
from support.zips import streamed, zip_of

CONTENT = zip_of(("index.html", b"a zip, as everybody sees" * 100))


def run(folder: Path, *arguments: str, code: int = 0, stdin: bytes = b"") -> tuple[bytes, str]:
    done = subprocess.run(
        [sys.executable, "-m", "capseal", "capgo", *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        check=False,
    )
    complaint = done.stderr.decode()
    assert done.returncode == code, complaint
    assert "Traceback" not in complaint
    return done.stdout, complaint


@pytest.fixture(scope="module")
def key() -> capgo.PrivateKey:
    return capgo.PrivateKey.generate()


@pytest.fixture
def folder(tmp_path: Path, key: capgo.PrivateKey) -> Path:
    """A folder with a zip and Capgo's two key files."""
    key.save(tmp_path)
    (tmp_path / "a.zip").write_bytes(CONTENT)
    return tmp_path


def test_keygen_makes_two_files_once(tmp_path: Path) -> None:
    out, _ = run(tmp_path, "keygen", "--json")
    assert json.loads(out)["key_id"] == capgo.load_public_key(tmp_path / ".capgo_key_v2.pub").key_id
    _, complaint = run(tmp_path, "keygen", code=2)
    assert complaint == "capseal: ./.capgo_key_v2: exists already, and is not overwritten\n"


def test_encrypt_prints_what_capgos_command_prints(folder: Path) -> None:
    out, _ = run(folder, "encrypt", "a.zip", "--json")
    made = json.loads(out)
    assert set(made) == {"checksum", "filename", "ivSessionKey"}
    assert made["filename"] == "a.zip_encrypted.zip"
    texts = ["--session-key", made["ivSessionKey"], "--checksum", made["checksum"]]
    run(folder, "decrypt", "a.zip_encrypted.zip", *texts)
    assert (folder / "a.zip_encrypted.zip_decrypted.zip").read_bytes() == CONTENT
    out, _ = run(folder, "verify", "a.zip_encrypted.zip", *texts)
    assert out == f"a.zip_encrypted.zip: whole, {sized(len(CONTENT))} of plaintext\n".encode()


def test_record_stands_for_both_texts_and_versions(folder: Path) -> None:
    run(folder, "encrypt", "a.zip", "-o", "out", "--record", "out.json")
    for version in ("v2", "v3"):
        run(folder, "verify", "out", "--record", "out.json", "--format", version)
    plain, complaint = run(folder, "decrypt", "out", "-o", "-", "--record", "out.json")
    assert (plain, complaint) == (CONTENT, "")


def test_pipes_go_through(folder: Path) -> None:
    ciphertext, _ = run(folder, "encrypt", "-", "-o", "-", "--record", "r.json", stdin=CONTENT)
    plain, _ = run(folder, "decrypt", "-", "-o", "-", "--record", "r.json", stdin=ciphertext)
    assert plain == CONTENT


def test_v1_is_read_with_a_warning(folder: Path) -> None:
    vectors = json.loads((VECTORS / "capgo.json").read_text())
    made = vectors["bundles"]["v1"]
    (folder / "old").write_bytes(bytes.fromhex(made["ciphertext"]))
    (folder / "old.key").write_text(vectors["private_key"])
    texts = ["--session-key", made["session_key"], "--checksum", made["checksum"]]
    out, complaint = run(folder, "decrypt", "old", "-o", "-", "-k", "old.key", "--format", "v1", *texts)
    assert out.decode() == vectors["plaintext"]
    assert complaint.startswith("capseal: warning: v1 of Capgo's format vouches for nothing")


def test_rejected_bundle_exits_1_with_one_line_and_no_file(folder: Path) -> None:
    run(folder, "encrypt", "a.zip", "-o", "out", "--record", "out.json")
    with open(folder / "out", "r+b") as file:
        file.truncate(32)
    before = sorted(os.listdir(folder))
    _, complaint = run(folder, "decrypt", "out", "-o", "back", "--record", "out.json", code=1)
    assert complaint.startswith("capseal: ciphertext at byte 16: the last block has no padding")
    assert complaint.count("\n") == 1
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["encrypt", "a.zip", "-k", ".capgo_key_v2.pub"], "this is a public key"),
        (["encrypt", "a.zip", "-o", "a.zip"], "is also a.zip, which is read"),
        (["verify", "a.zip"], "give --session-key TEXT and --checksum TEXT, or --record FILE.json"),
        (["verify", "a.zip", "--record", "a.zip"], "a.zip at byte"),
        (["verify", "a.zip", "--record", "x", "--checksum", "y"], "not both"),
        (["encrypt", "-"], "give -o FILE"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value),
)
def test_callers_mistake_exits_2_with_one_line(arguments: list[str], message: str, folder: Path) -> None:
    _, complaint = run(folder, *arguments, code=2)
    assert complaint.startswith("capseal: ")
    assert message in complaint
    assert complaint.count("\n") == 1


def test_a_key_that_is_not_there_is_like_every_other_file(folder: Path) -> None:
    _, complaint = run(folder, "encrypt", "a.zip", "-k", "none", code=3)
    assert complaint == "capseal: none: no such file or directory\n"


def test_manifest_prints_what_the_plugin_reads(folder: Path) -> None:
    (folder / "dist").mkdir()
    (folder / "dist" / "index.html").write_bytes(b"<p>" * 5000)
    (folder / "dist" / "empty").touch()
    out, complaint = run(folder, "manifest", "dist", "-o", "files", "--base-url", "https://example.com/f", "--json")
    entry = json.loads(out)["manifest"][0]
    assert (entry["file_name"], entry["download_url"]) == ("index.html.br", "https://example.com/f/index.html.br")
    assert complaint == "capseal: skipped empty\n"
    assert (folder / "files" / "files" / "index.html.br").is_file()
    _, complaint = run(folder, "manifest", "dist", "-o", "files", "--base-url", "https://example.com/f", code=2)
    assert complaint == "capseal: files: exists already, and is not overwritten\n"


def test_bundles_are_converted_both_ways(
    folder: Path, signer: capseal.PrivateKey, recipient: capseal.PrivateKey
) -> None:
    for name, key in (("signer", signer), ("recipient", recipient)):
        key.save(folder / f"{name}.pem")
        (folder / f"{name}.pub.pem").write_bytes(key.public_key.pem)
    run(folder, "encrypt", "a.zip", "-o", "a.capgo", "--record", "a.json")
    sealing = ["-s", "signer.pem", "-r", "recipient.pub.pem", "--app", "com.example.game", "--version", "1.2.3"]
    run(folder, "convert", "to-sealed", "a.capgo", "-o", "a.sealed", "--record", "a.json", *sealing)
    _, statement = capseal.inspect(folder / "a.sealed")
    found: Any = capgo.attached(statement)
    assert found.companion.name == "a.capgo"
    opening = ["-i", "recipient.pem", "--trust", "signer.pub.pem"]
    run(folder, "convert", "to-capgo", "a.sealed", "-o", "b.capgo", "--record", "b.json", *opening)
    plain, _ = run(folder, "decrypt", "b.capgo", "-o", "-", "--record", "b.json")
    assert plain == CONTENT


def test_capgos_command_reads_a_file_of_the_manifest(tmp_path: Path) -> None:
    project = Project.make(tmp_path, plugin="7.30.0")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "a.txt").write_bytes(CONTENT[:4000])
    out, _ = run(tmp_path, "manifest", "dist", "-o", "files", "--base-url", "https://example.com/f", "--json")
    made = json.loads(out)
    found = project.decrypt(
        tmp_path / "files" / "files" / "a.txt", made["session_key"], made["manifest"][0]["file_hash"]
    )
    assert found == CONTENT[:4000]


def test_a_zip_that_java_cannot_read_in_order_is_refused_with_what_to_do(tmp_path: Path, key: capgo.PrivateKey) -> None:
    key.save(tmp_path)
    for name, data in (("folder/", b""), ("index.html", b"x" * 100)):
        (tmp_path / "dist.zip").write_bytes(streamed((name, data), method=zipfile.ZIP_STORED))
        complaint = run(tmp_path, "encrypt", "dist.zip", "-o", "out.zip", code=2)[1]
        assert f"entry '{name.rstrip('/')}': stored with its size behind it" in complaint
        assert "zip it again with the method deflate" in complaint
        assert not (tmp_path / "out.zip").exists()
    (tmp_path / "dist.zip").write_bytes(streamed(("index.html", b"x" * 100)))
    run(tmp_path, "encrypt", "dist.zip", "-o", "out.zip")
