"""Every layer of a sealed bundle, checked with a tool that somebody else wrote."""

import io
import json
import subprocess

import pytest
import tink
from securesystemslib.dsse import Envelope as DsseEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
from tink import secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

import capseal
from capseal.constants import SEGMENT_BYTES
from capseal.crypto.keys import PublicKey
from capseal.crypto.segment_cipher import Header, SegmentCipher, check_commitment
from capseal.format.segment_layout import payload_bytes_of
from capseal.format.strictjson import from_base64
from support.fsverity import PUBLISHED, our_digest, published_bytes
from support.tools import require_tool

APP = "com.example.game"
SIZES = sorted(
    {0, 1, 4095, 4096, 4097, 5_000_000}
    | {SEGMENT_BYTES + d for d in (-56, -40, -16, -1, 0, 1, 16, 40, 56)}
    | {full + d for full in (2 * SEGMENT_BYTES - 72, 3 * SEGMENT_BYTES - 88) for d in (-1, 0, 1)}
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tools")


@pytest.fixture(scope="module")
def sealed(seal_bytes, trust):
    """Return a function from a content to (seal, payload)."""

    def sealed(content: bytes):
        bundle = seal_bytes(content)
        seal = capseal.verify(io.BytesIO(bundle), trust=trust).seal
        return seal, bundle[len(seal.encode()) :]

    return sealed


def _tink(session_key: bytes):
    streaming_aead.register()
    key = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(
        version=0,
        key_value=session_key,
        params=aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
            ciphertext_segment_size=524288, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
        ),
    )
    keyset = tink_pb2.Keyset(primary_key_id=1)
    keyset.key.add(
        key_data=tink_pb2.KeyData(
            type_url="type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey",
            value=key.SerializeToString(),
            key_material_type=tink_pb2.KeyData.SYMMETRIC,
        ),
        status=tink_pb2.ENABLED,
        key_id=1,
        output_prefix_type=tink_pb2.RAW,
    )
    handle = tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
    return handle.primitive(streaming_aead.StreamingAead)


class Kept(io.BytesIO):
    """Keeps its bytes when it is closed, which Tink does to it."""

    def close(self):
        self.kept = self.getvalue()
        super().close()


@pytest.mark.parametrize("size", SIZES)
def test_tink_decrypts_the_payload(sealed, recipient, size):
    content = published_bytes(size)
    seal, payload = sealed(content)
    session_key = recipient.unwrap(seal.statement.encryption.recipients[0].encrypted_key)
    with _tink(session_key).new_decrypting_stream(io.BytesIO(payload), f"capseal/v1 {APP}".encode()) as stream:
        assert stream.read() == content


def test_tink_refuses_the_payload_for_another_app(sealed, recipient):
    seal, payload = sealed(b"hello")
    session_key = recipient.unwrap(seal.statement.encryption.recipients[0].encrypted_key)
    with (
        _tink(session_key).new_decrypting_stream(io.BytesIO(payload), b"capseal/v1 other") as stream,
        pytest.raises(tink.TinkError),
    ):
        stream.read()


def test_tink_decrypts_a_sealed_companion_as_a_stream_of_its_own(tmp_path, signer, recipient):
    content = published_bytes(700_000)
    (tmp_path / "new").write_bytes(content)
    source = capseal.CompanionSource(
        name="a.delta", media_type="a/b", source=tmp_path / "new", payload=tmp_path / "p", index=tmp_path / "i"
    )
    seal = capseal.seal(
        io.BytesIO(b"zip"), io.BytesIO(), signer=signer, recipients=[recipient.public_key], app=APP, version="1",
        companions=[source],
    )  # fmt: skip
    session_key = recipient.unwrap(seal.statement.encryption.recipients[0].encrypted_key)
    stored = io.BytesIO((tmp_path / "p").read_bytes())
    info = f"capseal/v1 companion {APP} a.delta".encode()
    with _tink(session_key).new_decrypting_stream(stored, info) as stream:
        assert stream.read() == content


@pytest.mark.parametrize("size", SIZES)
def test_we_decrypt_what_tink_encrypted(size):
    content = published_bytes(size)
    session_key = bytes(range(32))
    output = Kept()
    with _tink(session_key).new_encrypting_stream(output, f"capseal/v1 {APP}".encode()) as stream:
        stream.write(content)
    payload = output.kept
    assert len(payload) == payload_bytes_of(size)
    cipher = SegmentCipher(session_key, Header.parse(payload), APP)
    plain = bytearray()
    for at in range(0, len(payload), SEGMENT_BYTES):
        piece = memoryview(payload)[at : at + SEGMENT_BYTES]
        out = memoryview(bytearray(SEGMENT_BYTES))
        plain += cipher.decrypt_run(at // SEGMENT_BYTES, piece, at + SEGMENT_BYTES >= len(payload), out)
    assert plain == content


@pytest.mark.parametrize("jobs", [1, 2])
def test_tink_encrypts_to_the_same_bytes_under_the_same_header(jobs, signer, recipient, trust):
    """Tink draws its own salt; given that salt and key, capseal.seal writes the same payload."""
    content = published_bytes(3 * SEGMENT_BYTES)
    output = Kept()
    session_key = bytes(range(32))
    with _tink(session_key).new_encrypting_stream(output, f"capseal/v1 {APP}".encode()) as stream:
        stream.write(content)
    header = Header.parse(output.kept)
    drawn = iter([header.salt, header.nonce_prefix, session_key])
    bundle = io.BytesIO()
    seal = capseal.seal(
        io.BytesIO(content), bundle, signer=signer, recipients=[recipient.public_key],
        app=APP, version="1", entropy=lambda _: next(drawn), jobs=jobs,
    )  # fmt: skip
    assert bundle.getvalue()[len(seal.encode()) :] == output.kept


def _fsverity(path) -> str:
    done = subprocess.run(
        [require_tool("fsverity"), "digest", "--compact", path], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("size", sorted({*SIZES, *PUBLISHED}))
def test_fsverity_gives_the_same_digest_for_any_file(folder, size):
    path = folder / "file"
    data = published_bytes(size)
    path.write_bytes(data)
    assert _fsverity(path) == our_digest(data).hex()
    if size in PUBLISHED:
        assert _fsverity(path) == PUBLISHED[size]


@pytest.mark.parametrize("size", SIZES)
def test_fsverity_gives_the_payload_digest_in_the_statement(folder, sealed, size):
    seal, payload = sealed(published_bytes(size))
    path = folder / "payload"
    path.write_bytes(payload)
    assert _fsverity(path) == seal.statement.payload.digest.hex()


def _dsse(seal) -> DsseEnvelope:
    value = json.loads(seal.envelope.encode())
    return DsseEnvelope.from_dict(value)


def _sslib_key(key: PublicKey) -> SSlibKey:
    return SSlibKey.from_crypto(key.rsa, keyid=key.fingerprint, scheme="rsassa-pss-sha256")


def test_securesystemslib_verifies_the_envelope(seal_bytes, trust_both, signer, signer2, recipient):
    bundle = seal_bytes(b"hello", signer=[signer, signer2])
    seal = capseal.verify(io.BytesIO(bundle), trust=trust_both).seal
    keys = [_sslib_key(signer.public_key), _sslib_key(signer2.public_key)]
    assert len(_dsse(seal).verify(keys, 2)) == 2
    with pytest.raises(VerificationError):
        _dsse(seal).verify([_sslib_key(recipient.public_key)], 1)
    altered = _dsse(seal)
    altered.payload += b" "
    with pytest.raises(VerificationError):
        altered.verify(keys, 1)


def test_securesystemslib_agrees_on_the_signed_bytes(sealed):
    seal, _ = sealed(b"hello")
    assert _dsse(seal).pae() == seal.envelope.message


def _openssl(*arguments, **keywords):
    return subprocess.run([require_tool("openssl"), *arguments], capture_output=True, check=False, **keywords)


def test_openssl_verifies_the_signature_over_the_pae(folder, sealed, signer):
    seal, _ = sealed(b"hello")
    (folder / "pae").write_bytes(seal.envelope.message)
    (folder / "sig").write_bytes(seal.envelope.signatures[0].sig)
    (folder / "pub.pem").write_bytes(signer.public_key.pem)

    def verify(salt: int):
        return _openssl(
            "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", f"rsa_pss_saltlen:{salt}",
            "-verify", folder / "pub.pem", "-signature", folder / "sig", folder / "pae",
        ).stdout  # fmt: skip

    assert verify(32) == b"Verified OK\n"
    assert verify(20) == b"Verification failure\n"
    (folder / "pae").write_bytes(seal.envelope.message + b" ")
    assert verify(32) == b"Verification failure\n"


def test_we_verify_what_openssl_signed(folder, signer):
    (folder / "key.pem").write_bytes(signer.pem())
    (folder / "message").write_bytes(b"message")
    done = _openssl(
        "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32",
        "-sign", folder / "key.pem", folder / "message",
    )  # fmt: skip
    signer.public_key.verify(done.stdout, b"message")


OAEP = ("-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256")


def test_openssl_opens_the_wrapped_key(folder, sealed, recipient):
    seal, payload = sealed(b"hello")
    (folder / "device.pem").write_bytes(recipient.pem())
    wrapped = seal.statement.encryption.recipients[0].encrypted_key
    done = _openssl("pkeyutl", "-decrypt", "-inkey", folder / "device.pem", *OAEP, input=wrapped)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) == 32
    check_commitment(done.stdout, Header.parse(payload), APP, seal.statement.encryption.commitment)


def test_we_open_what_openssl_wrapped(folder, recipient):
    (folder / "device.pub.pem").write_bytes(recipient.public_key.pem)
    done = _openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", folder / "device.pub.pem", *OAEP, input=bytes(range(32)))
    assert recipient.unwrap(done.stdout) == bytes(range(32))


def test_openssl_reads_our_encrypted_private_keys(folder, signer):
    (folder / "locked.pem").write_bytes(signer.pem(passphrase=b"open sesame"))
    done = _openssl("pkey", "-in", folder / "locked.pem", "-passin", "pass:open sesame", "-pubout")
    assert done.stdout == signer.public_key.pem
    assert _openssl("pkey", "-in", folder / "locked.pem", "-passin", "pass:other", "-pubout").returncode != 0


def test_we_read_openssls_pkcs1_keys(folder, signer):
    (folder / "key8.pem").write_bytes(signer.pem())
    traditional = _openssl("rsa", "-in", folder / "key8.pem", "-traditional").stdout
    assert traditional.startswith(b"-----BEGIN RSA PRIVATE KEY-----")
    assert capseal.load_private_key(traditional).public_key == signer.public_key
    public = _openssl("rsa", "-in", folder / "key8.pem", "-RSAPublicKey_out").stdout
    assert public.startswith(b"-----BEGIN RSA PUBLIC KEY-----")
    assert capseal.load_public_key(public) == signer.public_key


def test_the_commitment_is_plain_hkdf(sealed, recipient):
    """Against OpenSSL's own KDF program."""
    seal, payload = sealed(b"hello")
    session_key = recipient.unwrap(seal.statement.encryption.recipients[0].encrypted_key)
    done = _openssl(
        "kdf", "-binary", "-keylen", "32", "-kdfopt", "digest:SHA256", "-kdfopt", f"hexkey:{session_key.hex()}",
        "-kdfopt", f"hexsalt:{payload[1:33].hex()}", "-kdfopt", f"info:capseal/v1 commitment {APP}", "HKDF",
    )  # fmt: skip
    assert done.stdout == seal.statement.encryption.commitment
    assert from_base64(seal.statement.to_json()["encryption"]["commitment"], "x") == done.stdout
