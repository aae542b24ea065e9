"""Companions: sealed and foreign payloads beside a bundle, each checked as the bundle's own is."""

import io
import os
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

import capseal
from capseal import (
    Companion,
    CompanionSource,
    Detached,
    NotForUsError,
    TamperedError,
    TruncatedError,
    UsageError,
    describe_companion,
    unseal_companion,
)
from capseal.bundle.companions import checked_index, read_index
from capseal.constants import SEGMENT_BYTES
from capseal.format.segment_layout import payload_bytes_of
from capseal.io.source import open_source
from support.tools import require_tool

SIZES = [0, 1, 524_231, 524_232, 524_233, 3 * SEGMENT_BYTES + 5]


class Made:
    """A bundle with one sealed companion `a.delta`, and where its files are."""

    def __init__(self, folder: Path, seal_bytes, content: bytes, name: str = "a.delta", **keywords) -> None:
        self.stored, self.index, self.name = folder / f"{name}.stored", folder / f"{name}.index", name
        self.source = CompanionSource(
            name=name, media_type="application/x", source=io.BytesIO(content), payload=self.stored, index=self.index
        )
        self.bundle = seal_bytes(b"zip", companions=[self.source], **keywords)

    def unseal(self, trust, recipient, stored=None, index=None, name=None, **keywords) -> bytes:
        output = io.BytesIO()
        verified = capseal.verify(io.BytesIO(self.bundle), trust=trust)
        unseal_companion(
            io.BytesIO(self.stored.read_bytes()) if stored is None else stored,
            output,
            name=name or self.name,
            index=self.index if index is None else index,
            verified=verified,
            identity=recipient,
            payload_header=self.bundle[4096:4136],
            **keywords,
        )
        return output.getvalue()


@pytest.mark.parametrize("size", SIZES)
def test_a_sealed_companion_comes_back(size, tmp_path, seal_bytes, trust, recipient):
    content = os.urandom(size)
    made = Made(tmp_path, seal_bytes, content)
    [companion] = capseal.inspect(io.BytesIO(made.bundle))[1].companions
    assert (companion.name, companion.size, companion.sealed) == ("a.delta", payload_bytes_of(size), True)
    assert made.stored.stat().st_size == companion.size
    assert made.index.stat().st_size == 32 * -(-companion.size // SEGMENT_BYTES)
    for jobs in (1, 3):
        assert made.unseal(trust, recipient, jobs=jobs) == content
    assert made.unseal(trust, recipient, stored=str(made.stored), index=made.index.read_bytes()) == content


def test_a_companions_key_is_that_of_the_format(tmp_path, seal_bytes, recipient):
    made = Made(tmp_path, seal_bytes, b"hello")
    statement = capseal.inspect(io.BytesIO(made.bundle))[1]
    session_key = recipient.unwrap(statement.encryption.recipients[0].encrypted_key)
    stored = made.stored.read_bytes()
    info = b"capseal/v1 companion com.example.game a.delta"
    key = HKDF(SHA256(), 32, stored[1:33], info).derive(session_key)
    nonce = stored[33:40] + bytes(4) + b"\x01"
    assert AESGCM(key).decrypt(nonce, stored[40:], None) == b"hello"


def test_a_companion_is_never_made_twice_with_one_salt(tmp_path, seal_bytes):
    headers = []
    for i in range(2):
        for name in ("a.delta", "b.delta"):
            folder = tmp_path / f"{i}{name}"
            folder.mkdir()
            made = Made(folder, seal_bytes, b"same", name=name)
            headers += [made.bundle[4096:4136], made.stored.read_bytes()[:40]]
    assert len({header[1:33] for header in headers}) == len({header[33:] for header in headers}) == 8


def test_companions_appear_with_the_bundle_or_not_at_all(tmp_path, seal_bytes, signer, recipient):
    settings = {"signer": signer, "recipients": [recipient.public_key], "app": "a", "version": "1"}

    def source(name, **changes):
        given = {"name": name, "media_type": "a/b", "source": io.BytesIO(b"x"), "payload": tmp_path / "p"}
        return CompanionSource(**given | {"index": tmp_path / "i"} | changes)

    class Broken(io.BytesIO):
        def readinto(self, buffer):
            raise OSError("broken")

    for companions in (
        [source("a"), source("b", source=Broken(b"x"), payload=tmp_path / "q", index=tmp_path / "j")],
        [source("a b")],
        [source("a"), Companion("a", "a/b", 1, bytes(32))],
    ):
        with pytest.raises((UsageError, OSError)):
            capseal.seal(io.BytesIO(b"zip"), tmp_path / "bundle", companions=companions, **settings)
        assert list(tmp_path.iterdir()) == []
    both = Detached(seal=tmp_path / "seal", payload=tmp_path / "payload")
    capseal.seal(io.BytesIO(b"zip"), both, companions=[source("a")], **settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["i", "p", "payload", "seal"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, seal_bytes):
    return Made(tmp_path_factory.mktemp("made"), seal_bytes, os.urandom(2 * SEGMENT_BYTES))


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


ALTERED = {
    "header": (lambda stored: flip(stored, 0), TamperedError),
    "second segment": (lambda stored: flip(stored, SEGMENT_BYTES), TamperedError),
    "last byte": (lambda stored: flip(stored, len(stored) - 1), TamperedError),
    "order": (lambda stored: stored[SEGMENT_BYTES:] + stored[:SEGMENT_BYTES], TamperedError),
    "less a byte": (lambda stored: stored[:-1], TruncatedError),
    "one segment": (lambda stored: stored[:SEGMENT_BYTES], TruncatedError),
    "nothing": (lambda stored: b"", TruncatedError),
    "a byte more": (lambda stored: stored + b"\0", TruncatedError),
}


@pytest.mark.parametrize(("alter", "error"), ALTERED.values(), ids=ALTERED)
@pytest.mark.parametrize("seekable", [True, False])
def test_an_altered_companion_is_refused_and_leaves_no_file(alter, error, seekable, made, tmp_path, trust, recipient):
    class Pipe(io.BytesIO):
        def seekable(self):
            return seekable

    verified = capseal.verify(io.BytesIO(made.bundle), trust=trust)
    # Before any secret is used: it is the signed digest that differs, or the size.
    with pytest.raises(error, match=r"digest .* differs from|payload ends early|goes on after its end"):
        unseal_companion(
            Pipe(alter(made.stored.read_bytes())),
            tmp_path / "out",
            name="a.delta",
            index=made.index,
            verified=verified,
            identity=recipient,
        )
    assert list(tmp_path.iterdir()) == []


def test_an_index_that_does_not_give_the_signed_digest_is_refused(made, trust, recipient):
    index = made.index.read_bytes()
    for bad, error in ((flip(index, 0), TamperedError), (index[:-32], TruncatedError), (index + b"\0", TruncatedError)):
        with pytest.raises(error):
            made.unseal(trust, recipient, index=bad)


def test_a_companion_of_another_name_app_or_bundle_does_not_open(made, tmp_path, seal_bytes, trust, recipient):
    """Each of these seals vouches for the bytes of `made`, under a key that they were not made with."""
    [companion] = capseal.inspect(io.BytesIO(made.bundle))[1].companions
    renamed = Companion("b.delta", companion.media_type, companion.size, companion.digest, sealed=True)
    for one in (companion, renamed):
        other = seal_bytes(b"zip", companions=[one])
        verified = capseal.verify(io.BytesIO(other), trust=trust)
        with pytest.raises(TamperedError, match="segment 0 at byte 0: authentication tag fails"):
            unseal_companion(
                io.BytesIO(made.stored.read_bytes()), io.BytesIO(), name=one.name, index=made.index,
                verified=verified, identity=recipient,
            )  # fmt: skip


def test_only_what_the_seal_calls_sealed_is_opened(tmp_path, seal_bytes, made, trust, recipient, other_recipient):
    with pytest.raises(NotForUsError, match="vouches for no sealed companion 'c'"):
        made.unseal(trust, recipient, name="c")
    with pytest.raises(NotForUsError, match="no identity fits"):
        made.unseal(trust, other_recipient)
    (tmp_path / "pack").write_bytes(b"plain")
    foreign = seal_bytes(b"zip", companions=[describe_companion(tmp_path / "pack", media_type="a/b")])
    with pytest.raises(NotForUsError, match="vouches for no sealed companion 'pack'"):
        unseal_companion(
            tmp_path / "pack", io.BytesIO(), name="pack", index=b"",
            verified=capseal.verify(io.BytesIO(foreign), trust=trust), identity=recipient,
        )  # fmt: skip


def test_a_companion_that_the_seal_calls_foreign_is_not_opened_although_its_bytes_would_open(
    tmp_path, seal_bytes, trust, recipient
):
    key = {"entropy": lambda size: bytes(range(size))}
    made = Made(tmp_path, seal_bytes, b"hello", **key)
    assert made.unseal(trust, recipient) == b"hello"
    foreign = describe_companion(made.stored, media_type="a/b", name=made.name)
    verified = capseal.verify(io.BytesIO(seal_bytes(b"zip", companions=[foreign], **key)), trust=trust)
    with pytest.raises(NotForUsError, match=r"vouches for no sealed companion 'a\.delta'"):
        unseal_companion(
            made.stored, io.BytesIO(), name=made.name, index=made.index, verified=verified, identity=recipient
        )


def test_a_session_key_that_was_not_committed_to_opens_no_companion(made, trust, recipient):
    verified = capseal.verify(io.BytesIO(made.bundle), trust=trust)
    header = made.bundle[4096:4136]
    with pytest.raises(TamperedError, match="does not match the signed commitment"):
        unseal_companion(
            io.BytesIO(made.stored.read_bytes()), io.BytesIO(), name="a.delta", index=made.index,
            verified=verified, identity=recipient, payload_header=flip(header, 5),
        )  # fmt: skip


@pytest.mark.parametrize("size", [1, 4096, 4097, SEGMENT_BYTES, 2 * SEGMENT_BYTES + 1])
def test_a_foreign_companion_is_described_as_fsverity_does(size, tmp_path):
    path = tmp_path / "a.pack"
    path.write_bytes(os.urandom(size))
    companion = describe_companion(path, media_type="application/x")
    assert companion == Companion("a.pack", "application/x", size, companion.digest)
    done = subprocess.run([require_tool("fsverity"), "digest", "--compact", path], capture_output=True, check=True)
    assert companion.digest.hex() == done.stdout.decode().strip()
    with closing(open_source(path)) as source:
        index = checked_index(companion, source)
    assert read_index(companion, index.entries) == index


def test_what_cannot_be_a_companion_is_not_described(tmp_path):
    for name, content, complaint in (("a b", b"x", "is not a name"), ("a", b"", "empty")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=complaint):
            describe_companion(tmp_path / name, media_type="a/b")
    assert describe_companion(tmp_path / "a b", media_type="a/b", name="ab").name == "ab"
