"""Capgo's keys, session keys and checksums: as text, as bytes, and as OpenSSL and Capgo's own command made them."""

import base64
import json
import os
import re
import stat
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from capseal import FormatError, KeyFileError, NotForUsError, SignatureError
from capseal.capgo import Bundle, ChecksumVersion, PrivateKey, SessionKey, load_private_key, load_public_key
from capseal.capgo._wire import parse_crc32, recover_checksum, sign_checksum
from support.places import VECTORS
from support.tools import require_tool

V2, V3 = ChecksumVersion.V2, ChecksumVersion.V3
CAPGO = json.loads((VECTORS / "capgo.json").read_text())
DIGEST = sha256(b"").digest()


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return load_private_key(CAPGO["private_key"].encode())


@pytest.fixture(scope="module")
def other() -> PrivateKey:
    return PrivateKey.generate()


def raw_block(value: bytes, key: PrivateKey) -> bytes:
    """The RSA public operation in plain integers: what stands in the value, padding included."""
    numbers = key.public_key.rsa.public_numbers()
    return pow(int.from_bytes(value, "big"), numbers.e, numbers.n).to_bytes(256, "big")


@pytest.mark.parametrize("case", CAPGO["public_decrypt"], ids=["16 bytes", "32 bytes"])
def test_public_key_recovers_what_openssl_signed(case: dict[str, str], key: PrivateKey) -> None:
    assert key.public_key.recover(bytes.fromhex(case["value"]), "value").hex() == case["plain"]


@pytest.mark.parametrize("plain", [b"", b"x", bytes(16), bytes(range(48)), bytes(245)], ids=len)
def test_signed_values_are_type_1_blocks_without_digest_info(plain: bytes, key: PrivateKey) -> None:
    value = key.sign(plain)
    assert raw_block(value, key) == b"\x00\x01" + b"\xff" * (253 - len(plain)) + b"\x00" + plain
    assert key.public_key.recover(value, "value") == plain


def test_signing_gives_the_bytes_that_openssl_gives(tmp_path: Path, key: PrivateKey) -> None:
    openssl = require_tool("openssl")
    file = tmp_path / "key"
    file.write_bytes(key.pem)
    command = [openssl, "pkeyutl", "-sign", "-inkey", str(file), "-pkeyopt", "rsa_padding_mode:pkcs1"]
    assert subprocess.run(command, input=DIGEST, capture_output=True, check=True).stdout == key.sign(DIGEST)


def test_key_id_is_the_start_of_the_pem_body(key: PrivateKey) -> None:
    assert key.public_key.key_id == CAPGO["key_id"] == key.public_key.pem.split(b"\n")[1][:20].decode()
    assert load_public_key(CAPGO["public_key"].encode()).key_id == CAPGO["key_id"]
    assert key.public_key.key_id.startswith("MIIBCgKCAQEA")


def test_keys_are_written_as_capgo_writes_them(key: PrivateKey) -> None:
    assert key.pem.decode() == CAPGO["private_key"]
    assert key.public_key.pem.decode() == CAPGO["public_key"]


@pytest.mark.parametrize("version", [V2, V3])
def test_checksum_comes_back(version: ChecksumVersion, key: PrivateKey) -> None:
    assert recover_checksum(sign_checksum(DIGEST, key, version), key.public_key, version) == DIGEST


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_an_empty_checksum_is_told_as_that(text: str, key: PrivateKey) -> None:
    for version in ChecksumVersion:
        with pytest.raises(FormatError, match="checksum: empty"):
            recover_checksum(text, key.public_key, version)


def test_v3_checksum_is_hex_of_the_signed_digest(key: PrivateKey) -> None:
    assert raw_block(bytes.fromhex(sign_checksum(DIGEST, key, V3)), key).endswith(b"\x00" + DIGEST)


def test_v2_checksum_signs_the_hex_digits_taken_for_base64(key: PrivateKey) -> None:
    signed = base64.b64decode(sign_checksum(DIGEST, key, V2))
    assert raw_block(signed, key).endswith(b"\x00" + base64.b64decode(DIGEST.hex()))
    assert len(base64.b64decode(DIGEST.hex())) == 48


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_checksum_of_capgos_command_is_read_and_written_alike(version: str, key: PrivateKey) -> None:
    text = CAPGO["bundles"][version]["checksum"]
    digest = sha256(CAPGO["plaintext"].encode()).digest()
    assert recover_checksum(text, key.public_key, ChecksumVersion(version)) == digest
    assert sign_checksum(digest, key, ChecksumVersion(version)) == text


@pytest.mark.parametrize(("written", "expected"), [(V2, V3), (V3, V2)])
def test_checksum_of_the_other_version_is_a_format_error(
    written: ChecksumVersion, expected: ChecksumVersion, key: PrivateKey
) -> None:
    with pytest.raises(FormatError, match=f"as {written}, expected .* as {expected}"):
        recover_checksum(sign_checksum(DIGEST, key, written), key.public_key, expected)


@pytest.mark.parametrize("version", [V2, V3])
def test_checksum_by_another_key_is_a_signature_error(
    version: ChecksumVersion, key: PrivateKey, other: PrivateKey
) -> None:
    with pytest.raises(SignatureError, match=re.escape(other.public_key.key_id)):
        recover_checksum(sign_checksum(DIGEST, key, version), other.public_key, version)


@pytest.mark.parametrize("size", [0, 1, 254, 255, 257, 512])
def test_checksum_of_any_other_size_is_rejected(size: int, key: PrivateKey) -> None:
    with pytest.raises(FormatError):
        recover_checksum(bytes(size).hex(), key.public_key, V3)


@pytest.mark.parametrize("value", [bytes(256), b"\xff" * 256, b"\x00" * 255 + b"\x01"], ids=["0", "ff", "1"])
def test_value_that_is_no_type_1_block_is_a_signature_error(value: bytes, key: PrivateKey) -> None:
    with pytest.raises(SignatureError):
        recover_checksum(value.hex(), key.public_key, V3)


@pytest.mark.parametrize("plain", [b"", bytes(4), bytes(31), bytes(33), bytes(48)], ids=len)
def test_v3_checksum_that_holds_no_digest_is_rejected(plain: bytes, key: PrivateKey) -> None:
    with pytest.raises(FormatError, match=f"holds {len(plain)} bytes"):
        recover_checksum(key.sign(plain).hex(), key.public_key, V3)


@pytest.mark.parametrize("plain", [b"", DIGEST, b"\xff" * 48], ids=["empty", "raw digest", "no hex"])
def test_v2_checksum_that_holds_no_hex_digest_is_rejected(plain: bytes, key: PrivateKey) -> None:
    with pytest.raises(FormatError, match="no SHA-256 as v2 writes it"):
        recover_checksum(base64.b64encode(key.sign(plain)).decode(), key.public_key, V2)


@pytest.mark.parametrize("text", ["", "g" * 512, "a" * 511, "é" * 344, "====", "a b"])
def test_text_that_is_no_checksum_is_a_format_error(text: str, key: PrivateKey) -> None:
    for version in (V2, V3):
        with pytest.raises(FormatError):
            recover_checksum(text, key.public_key, version)


def test_session_key_comes_back(key: PrivateKey) -> None:
    made = SessionKey.generate()
    assert SessionKey.recover(made.sign(key), key.public_key) == made


def test_session_key_text_is_iv_and_signed_key_in_base64(key: PrivateKey) -> None:
    made = SessionKey(iv=bytes(range(16)), key=bytes(range(16, 32)))
    iv, value = made.sign(key).split(":")
    assert base64.b64decode(iv) == made.iv
    assert raw_block(base64.b64decode(value), key).endswith(b"\x00" + made.key)


def test_session_key_of_another_key_is_a_signature_error(key: PrivateKey, other: PrivateKey) -> None:
    with pytest.raises(SignatureError, match="session key"):
        SessionKey.recover(SessionKey.generate().sign(key), other.public_key)


@pytest.mark.parametrize("text", ["", ":", "abc", "a:b:c", "AAAA:", ":AAAA", "AAAA:AAAA", "!!!!:AAAA", "aXY=:a2V5"])
def test_malformed_session_key_is_a_format_error(text: str, key: PrivateKey) -> None:
    with pytest.raises(FormatError, match="session key"):
        SessionKey.recover(text, key.public_key)


@pytest.mark.parametrize(("iv", "aes"), [(15, 16), (17, 16), (16, 15), (16, 24), (16, 32), (16, 0)])
def test_session_key_of_another_size_is_a_format_error(iv: int, aes: int, key: PrivateKey) -> None:
    with pytest.raises(FormatError, match=r"session key: .* bytes, expected 16"):
        SessionKey.recover(SessionKey(iv=bytes(iv), key=bytes(aes)).sign(key), key.public_key)


def test_session_key_of_v1_needs_the_private_key_that_it_was_wrapped_for(key: PrivateKey, other: PrivateKey) -> None:
    text = CAPGO["bundles"]["v1"]["session_key"]
    assert len(SessionKey.unwrap_v1(text, key).key) == 16
    with pytest.raises(NotForUsError, match=re.escape(other.public_key.key_id)):
        SessionKey.unwrap_v1(text, other)


@pytest.mark.parametrize("text", ["", "123456789", "xyz", "-1", "0x12", "12 34", "\u0661"])
def test_text_that_is_no_crc32_is_a_format_error(text: str) -> None:
    with pytest.raises(FormatError, match="CRC32"):
        parse_crc32(text)


@pytest.mark.parametrize("blank", [" ", "\n", "\t\r\n", "\x1f", "\x1c", "\u3000", "\x85"])
def test_a_crc32_may_stand_between_blanks_of_every_kind(blank: str) -> None:
    assert parse_crc32(f"{blank}00C0ffee{blank}") == 0xC0FFEE


def test_nothing_secret_shows_in_a_repr(key: PrivateKey) -> None:
    made = SessionKey(iv=bytes(16), key=b"sixteen secrets!")
    assert "secret" not in repr(made)
    assert "RSAPrivateKey" not in repr(key)


def test_saved_keys_load_and_the_private_one_is_for_its_owner_only(tmp_path: Path, other: PrivateKey) -> None:
    private, public = other.save(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".capgo_key_v2", ".capgo_key_v2.pub"]
    assert stat.S_IMODE(os.stat(private).st_mode) == 0o600
    assert load_private_key(private).public_key == load_public_key(public) == other.public_key


@pytest.mark.parametrize("name", [".capgo_key_v2", ".capgo_key_v2.pub"])
def test_saving_keys_replaces_nothing_and_leaves_no_half_pair(name: str, tmp_path: Path, key: PrivateKey) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(FileExistsError):
        key.save(tmp_path)
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_other_pem_forms_of_the_same_key_are_read(key: PrivateKey) -> None:
    pkcs8 = key.rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    spki = key.public_key.rsa.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert load_private_key(pkcs8).public_key == load_public_key(spki) == key.public_key


def test_key_that_the_plugin_cannot_read_is_refused() -> None:
    big = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    pem = big.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    with pytest.raises(KeyFileError, match="3072 bits, Capgo's plugin reads 2048"):
        load_private_key(pem)


@pytest.mark.parametrize(
    "data", [b"", b"not a key", b"-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----\n"]
)
def test_damaged_key_is_a_key_file_error(data: bytes) -> None:
    with pytest.raises(KeyFileError):
        load_public_key(data)
    with pytest.raises(KeyFileError):
        load_private_key(data)


def test_key_of_the_wrong_half_is_named(key: PrivateKey) -> None:
    with pytest.raises(KeyFileError, match="private key is needed"):
        load_private_key(key.public_key.pem)
    with pytest.raises(KeyFileError, match="public key is needed"):
        load_public_key(key.pem)


def test_record_comes_back_and_strictly(key: PrivateKey) -> None:
    bundle = Bundle(
        session_key=SessionKey.generate().sign(key),
        checksum_v2=sign_checksum(DIGEST, key, V2),
        checksum_v3=sign_checksum(DIGEST, key, V3),
        key_id=key.public_key.key_id,
        size=0,
        digest=DIGEST,
    )
    value = bundle.to_json()
    assert Bundle.from_json(value, "record") == bundle
    assert (bundle.checksum(V2), bundle.checksum(V3)) == (bundle.checksum_v2, bundle.checksum_v3)
    for name in value:
        with pytest.raises(FormatError, match=name):
            Bundle.from_json({**value, name: "?"}, "record")
        with pytest.raises(FormatError, match=name):
            Bundle.from_json({other: value[other] for other in value if other != name}, "record")
    with pytest.raises(FormatError, match="extra"):
        Bundle.from_json({**value, "extra": 1}, "record")
