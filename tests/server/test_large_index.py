"""Bundles of more than 128 GiB: their seals are taken, and of their indexes the level above is held."""

import io
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from capseal import Expect, PrivateKey, TrustStore, UsageError
from capseal.bundle import reader
from capseal.bundle.opened import accept_detached, open_bundle
from capseal.bundle.plan import OPEN_ENCRYPTION, OPEN_PAYLOAD, SealingPlan
from capseal.client import Connection, publish, publish_stored
from capseal.constants import ANY_MEDIA_TYPE, DIGEST_BYTES, SEGMENT_BYTES
from capseal.errors import TamperedError
from capseal.format.segment_layout import plain_offset
from capseal.format.signed_index import HeldEntries, SignedIndex
from capseal.format.statement import Content, Statement
from capseal.format.strictjson import Role
from capseal.format.tree import index_entries
from capseal.http.limits import DEFAULT_SEAL_BYTES
from capseal.server import Limits, Storage
from support.serving import APP, CHANNEL, Bundle, Live, live_server, make_bundle

S = SEGMENT_BYTES
GIB = 1024**3
PART_SEGMENTS = 128
SMALL = Limits(index_bytes=DIGEST_BYTES, verified_bytes=0)
"""Of every index of more than one entry the level above is held."""


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("verify_reads", [False, True])
def test_a_bundle_whose_index_is_not_held_goes_in_and_out_as_any_other(
    tmp_path: Path, store: Path, trust: TrustStore, bundle: Bundle, verify_reads: bool
) -> None:
    (tmp_path / "x.payload").write_bytes(bundle.payload)
    (tmp_path / "x.seal").write_bytes(bundle.seal)
    with live_server(str(store), trust, limits=SMALL, verify_reads=verify_reads) as live:
        with Connection(live.url) as connection:
            publish(tmp_path / "x.payload", connection, seal=tmp_path / "x.seal")
        url = live.release_url(7)
        assert live.client.get(f"{url}/payload").content == bundle.payload
        assert live.client.get(f"{url}/seal").content == bundle.seal
        span = {"Range": f"bytes={3 * S + 1}-{5 * S}"}
        assert live.client.get(f"{url}/payload", headers=span).content == bundle.payload[3 * S + 1 : 5 * S + 1]


def test_an_index_of_one_entry_is_always_held(tmp_path: Path, store: Path, trust: TrustStore, signer: Any) -> None:
    small = make_bundle(tmp_path, signer, signer, content=b"x", sequence=7)
    with live_server(str(store), trust, limits=Limits(index_bytes=0), verify_reads=True) as live:
        live.publish(small).raise_for_status()
        assert live.client.get(f"{live.release_url(7)}/payload").content == small.payload


def test_a_bad_segment_is_refused_by_an_index_that_is_not_held(store: Path, trust: TrustStore, bundle: Bundle) -> None:
    with live_server(str(store), trust, limits=SMALL) as live:
        begun = live.begin(bundle.seal)
        bad = bytearray(bundle.payload)
        bad[5 * S] ^= 1
        answer = live.client.put(begun.json()["links"]["payload"], content=bytes(bad))
        assert (answer.status_code, answer.json()["error"]) == (422, "TamperedError")


def test_an_index_that_is_altered_in_storage_lets_nothing_be_served(
    store: Path, trust: TrustStore, bundle: Bundle
) -> None:
    with live_server(str(store), trust, limits=SMALL, verify_reads=True) as live:
        live.publish(bundle).raise_for_status()
        url = f"{live.release_url(7)}/payload"
        assert live.client.get(url, headers={"Range": "bytes=0-0"}).status_code == 206
        (seal,) = (store / "releases").rglob("seal")
        flip(seal, bundle.seal.index(bundle.parsed.index) + DIGEST_BYTES * 3)
        with live_server(str(store), trust, limits=SMALL, verify_reads=True) as other:
            assert other.client.get(url, headers={"Range": f"bytes={3 * S}-{4 * S}"}).status_code == 503


def test_the_reader_holds_the_level_above_a_large_index(
    tmp_path: Path, signer: PrivateKey, recipient: PrivateKey, trust: TrustStore, bundle: Bundle
) -> None:
    (tmp_path / "attached").write_bytes(bundle.seal + bundle.payload)
    (tmp_path / "x.payload").write_bytes(bundle.payload)
    (tmp_path / "x.seal").write_bytes(bundle.seal)
    for place, seal in (("attached", None), ("x.payload", tmp_path / "x.seal")):
        with open_bundle(tmp_path / place, trust=trust, seal=seal, whole_index_bytes=DIGEST_BYTES) as opened:
            assert isinstance(opened.verified.index.entries, HeldEntries)
            assert opened.verified.index.whole() == bundle.parsed.index
            with pytest.raises(UsageError, match="cannot be written"):
                opened.verified.seal.encode()
            with reader.SealedFile(opened, identity=recipient) as plain:
                whole = plain.read()
            with reader.open(tmp_path / place, identity=recipient, trust=trust, seal=seal) as plain:
                assert plain.read() == whole
    with open_bundle(tmp_path / "attached", trust=trust, whole_index_bytes=DIGEST_BYTES) as opened:
        flip(tmp_path / "attached", bundle.seal.index(bundle.parsed.index) + DIGEST_BYTES * 3)
        with pytest.raises(TamperedError, match="index differs from the signed digest"):
            reader.SealedFile(opened, identity=recipient)


def test_the_cap_of_seals_grows_with_that_of_bundles() -> None:
    assert Limits().seal_bytes == DEFAULT_SEAL_BYTES
    assert Limits(bundle_bytes=128 * GIB).seal_bytes > DEFAULT_SEAL_BYTES
    assert Limits(bundle_bytes=1024 * GIB).seal_bytes >= 64 * 1024**2 + 1024**2
    assert Limits(bundle_bytes=1024 * GIB, seal_bytes=5 * 1024**2).seal_bytes == 5 * 1024**2
    assert Limits(bundle_bytes=GIB).seal_bytes == DEFAULT_SEAL_BYTES


def sparse_bundle(
    store: Path, signer: PrivateKey, recipient: PrivateKey, segments: int, filled: dict[int, bytes]
) -> tuple[bytes, int]:
    """Put parts of a bundle into a store of which almost all is holes; return its seal and the payload's size.

    What is in the holes is nothing that was encrypted, but no server knows that, and the index vouches for it. filled:
    plaintext of some segments.
    """
    size = segments * S
    statement = Statement(
        app=APP,
        version="1",
        sequence=7,
        channel=CHANNEL,
        role=Role.PRODUCTION,
        created=datetime(2026, 1, 2, tzinfo=UTC),
        content=Content("content", ANY_MEDIA_TYPE, plain_offset(segments)),
        payload=OPEN_PAYLOAD,
        encryption=OPEN_ENCRYPTION,
    )
    plan = SealingPlan.make(statement, recipients=[recipient.public_key])
    assert plan.statement.payload.size == size
    folder = store / "parts" / plan.statement.encryption.commitment.hex()
    folder.mkdir(parents=True)
    index = bytearray(index_entries(memoryview(bytes(S))) * segments)
    for first in range(0, segments, PART_SEGMENTS):
        count = min(PART_SEGMENTS, segments - first)
        path = folder / f"{first:010d}-{count:02d}"
        with path.open("wb") as part:
            part.truncate(count * S)
            for number in range(first, first + count):
                if number in filled:
                    out = memoryview(bytearray(S))
                    sealed = plan.cipher.encrypt_run(number, memoryview(filled[number]), number == segments - 1, out)
                    assert len(sealed) == S
                    part.seek((number - first) * S)
                    part.write(sealed)
                    index[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES] = index_entries(sealed)
    return plan.sign(bytes(index), statement.content.size, [signer]).encode(), size


def held_by(live: Live) -> SignedIndex:
    """Return the index that a server holds of its one release."""
    (kept,) = live.app.state.publishing.catalogue.seals._verdicts.values()
    index: SignedIndex = kept.verified.index
    return index


def room(segment: int) -> int:
    return plain_offset(segment + 1) - plain_offset(segment)


class Payload(io.RawIOBase):
    """The payload that parts in a store are, as a file."""

    name = "payload"

    def __init__(self, store: Path, size: int) -> None:
        self._parts = {int(path.name[:10]): path for path in (store / "parts").glob("*/*-*")}
        self._at, self._size = 0, size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        first, offset = divmod(self._at, PART_SEGMENTS * S)
        with self._parts[first * PART_SEGMENTS].open("rb") as part:
            part.seek(offset)
            count = part.readinto(buffer)
        self._at += count
        return count


def test_a_bundle_of_more_than_128_gib_is_served_and_read(
    tmp_path: Path,
    store: Path,
    signer: PrivateKey,
    recipient: PrivateKey,
    trust: TrustStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segments = 129 * GIB // S
    rng = random.Random(1)
    filled = {number: rng.randbytes(room(number)) for number in (0, 100_000, segments - 1)}
    seal, size = sparse_bundle(store, signer, recipient, segments, filled)
    assert len(seal) > DEFAULT_SEAL_BYTES
    with live_server(str(store), trust) as live:
        assert live.begin(seal).status_code == 413

    async def no_sync(*_: object) -> None:
        """What 2,000 files take to be on disk is not what this is about."""

    monkeypatch.setattr(Storage, "sync", no_sync)
    limits = Limits(bundle_bytes=256 * GIB, verified_bytes=0)
    with live_server(str(store), trust, limits=limits) as live, Connection(live.url) as one:
        publish_stored(seal, one)
        for number in filled:
            span = {"Range": f"bytes={number * S}-{(number + 1) * S - 1}"}
            got = live.client.get(f"{live.release_url(7)}/payload", headers=span)
            assert got.status_code == 206
            verified = accept_detached(seal, trust, Expect())
            verified.check_run(number, memoryview(got.content))
        index = held_by(live)
        assert isinstance(index.entries, HeldEntries)
        assert index.memory_bytes < len(seal) // 64
        (part,) = (store / "parts").glob(f"*/{100_000 // PART_SEGMENTS * PART_SEGMENTS:010d}-128")
        flip(part, (100_000 % PART_SEGMENTS) * S + 7)
        span = {"Range": f"bytes={100_000 * S}-{100_001 * S - 1}"}
        assert live.client.get(f"{live.release_url(7)}/payload", headers=span).status_code == 503
        flip(part, (100_000 % PART_SEGMENTS) * S + 7)
    (tmp_path / "x.seal").write_bytes(seal)
    payload = cast(BinaryIO, io.BufferedReader(Payload(store, size)))
    with reader.open(payload, identity=recipient, trust=trust, seal=tmp_path / "x.seal") as plain:
        assert isinstance(plain.verified.index.entries, HeldEntries)
        for number, content in filled.items():
            plain.seek(plain_offset(number))
            assert plain.read(room(number)) == content
        plain.seek(plain_offset(5))
        with pytest.raises(TamperedError, match="authentication tag"):
            plain.read(1)
