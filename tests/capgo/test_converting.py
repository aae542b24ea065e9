"""Between sealed bundles and Capgo bundles, both ways."""

import io
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import capseal
from capseal import Expect, NotForUsError, TamperedError, TruncatedError, TrustStore, capgo
from capseal.capgo import PrivateKey
from capseal.capgo._cbc import Sha256Check
from capseal.capgo._chunk_threads import CHUNK_BYTES
from capseal.capgo._conversion import PlainFile

APP = "com.example.game"
SealBytes = Callable[..., bytes]
UnsealBytes = Callable[..., bytes]


SIZES = [0, 1, 16, 4096, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES + 9]


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return PrivateKey.generate()


@pytest.fixture
def sealing(signer: capseal.PrivateKey, recipient: capseal.PrivateKey) -> dict[str, Any]:
    return {"signer": signer, "recipients": [recipient.public_key], "app": APP, "version": "1.2.3"}


class Stream(io.BytesIO):
    """A pipe: it cannot seek."""

    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [io.BytesIO, Stream])
def test_capgo_bundle_becomes_a_sealed_bundle(
    size: int, kind: type[io.BytesIO], key: PrivateKey, sealing: dict[str, Any], unseal_bytes: UnsealBytes
) -> None:
    content = os.urandom(size)
    ciphertext, sealed = io.BytesIO(), io.BytesIO()
    bundle = capgo.encrypt(io.BytesIO(content), ciphertext, key=key)
    seal = capgo.to_sealed(
        kind(ciphertext.getvalue()),
        sealed,
        key=key.public_key,
        session_key=bundle.session_key,
        checksum=bundle.checksum_v3,
        name="dist.zip",
        **sealing,
    )
    assert seal.statement.content.size == size
    assert unseal_bytes(sealed.getvalue()) == content


@pytest.mark.parametrize("size", SIZES)
def test_sealed_bundle_becomes_a_capgo_bundle(
    size: int, key: PrivateKey, seal_bytes: SealBytes, trust: TrustStore, recipient: capseal.PrivateKey
) -> None:
    content = os.urandom(size)
    ciphertext, back = io.BytesIO(), io.BytesIO()
    bundle = capgo.to_capgo(
        io.BytesIO(seal_bytes(content)), ciphertext, key=key, identity=recipient, trust=trust, expect=Expect(app=APP)
    )
    assert (bundle.size, bundle.digest) == (size, sha256(content).digest())
    capgo.decrypt(
        io.BytesIO(ciphertext.getvalue()),
        back,
        key=key.public_key,
        session_key=bundle.session_key,
        checksum=bundle.checksum_v3,
    )
    assert back.getvalue() == content


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [io.BytesIO, Stream])
def test_nothing_is_sealed_before_the_checksum_passed(
    size: int, kind: type[io.BytesIO], key: PrivateKey, sealing: dict[str, Any], tmp_path: Path
) -> None:
    ciphertext = io.BytesIO()
    bundle = capgo.encrypt(io.BytesIO(os.urandom(size)), ciphertext, key=key)
    wrong = capgo.encrypt(io.BytesIO(b"something else"), io.BytesIO(), key=key).checksum_v3
    with pytest.raises(TamperedError, match="the checksum says"):
        capgo.to_sealed(
            kind(ciphertext.getvalue()),
            tmp_path / "out",
            key=key.public_key,
            session_key=bundle.session_key,
            checksum=wrong,
            name="dist.zip",
            **sealing,
        )
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("keep", "error"), [(slice(0, -1), TruncatedError), (slice(0, -16), TamperedError)])
def test_cut_capgo_bundle_is_not_sealed(
    keep: slice, error: type[Exception], key: PrivateKey, sealing: dict[str, Any], tmp_path: Path
) -> None:
    ciphertext = io.BytesIO()
    bundle = capgo.encrypt(io.BytesIO(bytes(100_000)), ciphertext, key=key)
    with pytest.raises(error):
        capgo.to_sealed(
            io.BytesIO(ciphertext.getvalue()[keep]),
            tmp_path / "out",
            key=key.public_key,
            session_key=bundle.session_key,
            checksum=bundle.checksum_v3,
            **sealing,
        )
    assert os.listdir(tmp_path) == []


def test_altered_sealed_bundle_becomes_nothing(
    key: PrivateKey, seal_bytes: SealBytes, trust: TrustStore, recipient: capseal.PrivateKey, tmp_path: Path
) -> None:
    sealed = bytearray(seal_bytes(os.urandom(3 * CHUNK_BYTES)))
    sealed[-1] ^= 1
    with pytest.raises(TamperedError):
        capgo.to_capgo(io.BytesIO(sealed), tmp_path / "out", key=key, identity=recipient, trust=trust)
    assert os.listdir(tmp_path) == []


def test_sealed_bundle_of_another_app_becomes_nothing(
    key: PrivateKey, seal_bytes: SealBytes, trust: TrustStore, recipient: capseal.PrivateKey, tmp_path: Path
) -> None:
    with pytest.raises(NotForUsError):
        capgo.to_capgo(
            io.BytesIO(seal_bytes(b"x")),
            tmp_path / "out",
            key=key,
            identity=recipient,
            trust=trust,
            expect=Expect(app="com.example.other"),
        )
    assert os.listdir(tmp_path) == []


def test_sealed_name_is_that_of_the_file(key: PrivateKey, sealing: dict[str, Any], tmp_path: Path) -> None:
    bundle = capgo.encrypt(io.BytesIO(b"zip"), tmp_path / "dist.zip", key=key)
    seal = capgo.to_sealed(
        tmp_path / "dist.zip",
        tmp_path / "out",
        key=key.public_key,
        session_key=bundle.session_key,
        checksum=bundle.checksum_v2,
        checksum_version=capgo.ChecksumVersion.V2,
        **sealing,
    )
    assert (seal.statement.content.name, seal.statement.content.media_type) == ("dist.zip", "application/zip")


def test_plaintext_is_read_in_order_only(key: PrivateKey) -> None:
    ciphertext = io.BytesIO()
    bundle = capgo.encrypt(io.BytesIO(b"plaintext"), ciphertext, key=key)
    check = Sha256Check(bundle.digest)
    session = capgo.SessionKey.recover(bundle.session_key, key.public_key)
    with PlainFile(io.BytesIO(ciphertext.getvalue()), session_key=session, check=check) as file:
        assert file.seek(0, os.SEEK_END) == 9
        with pytest.raises(io.UnsupportedOperation, match="cannot read at 9"):
            file.read(1)
        file.seek(0)
        assert file.readall() == b"plaintext"
