"""The building blocks: what they pass on is verified, what they raise comes at the first bad segment."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from capseal import (
    Expect,
    NotForUsError,
    RejectedError,
    RollbackError,
    SignatureError,
    TamperedError,
    TruncatedError,
    TrustStore,
    UsageError,
    Verified,
)
from capseal.constants import SEGMENT_BYTES
from capseal.embedding import (
    AsyncVerifiedStream,
    BundleFile,
    Replacement,
    VerifiedStream,
    accept,
    read_verified,
    read_verified_async,
)
from capseal.format.signed_index import SignedIndex
from support.server_fixtures import BundleMaker
from support.serving import Bundle

CHUNK_BYTES = [1000, 65536, SEGMENT_BYTES, 3 * SEGMENT_BYTES + 1, 10**9]

Collect = Callable[..., tuple[bytes, Exception | None]]


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def collect_plain(data: bytes, size: int, **keywords: Any) -> tuple[bytes, Exception | None]:
    released = bytearray()
    try:
        for piece in VerifiedStream(cut(data, size), **keywords):
            released += piece
    except Exception as error:  # noqa: BLE001
        return bytes(released), error
    return bytes(released), None


def collect_async(data: bytes, size: int, **keywords: Any) -> tuple[bytes, Exception | None]:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in cut(data, size):
            yield chunk

    async def run() -> tuple[bytes, Exception | None]:
        released = bytearray()
        try:
            async for piece in AsyncVerifiedStream(chunks(), **keywords):
                released += piece
        except Exception as error:  # noqa: BLE001
            return bytes(released), error
        return bytes(released), None

    return asyncio.run(run())


@pytest.fixture(params=[collect_plain, collect_async])
def collect(request: pytest.FixtureRequest) -> Collect:
    """Both twins."""
    return request.param


@pytest.mark.parametrize("size", CHUNK_BYTES)
def test_a_good_bundle_passes_whole(collect: Collect, bundle: Bundle, trust: TrustStore, size: int) -> None:
    attached = bundle.seal + bundle.payload
    assert collect(attached, size, trust=trust) == (attached, None)
    assert collect(bundle.payload, size, trust=trust, seal=bundle.seal) == (bundle.payload, None)


@pytest.mark.parametrize("size", CHUNK_BYTES)
@pytest.mark.parametrize("segment", [0, 1, 13, 20])
def test_nothing_of_a_bad_segment_is_passed_on(
    collect: Collect, bundle: Bundle, trust: TrustStore, size: int, segment: int
) -> None:
    bad = bytearray(bundle.payload)
    bad[segment * SEGMENT_BYTES + 5] ^= 0x10
    released, error = collect(bundle.seal + bytes(bad), size, trust=trust)
    assert isinstance(error, TamperedError)
    assert error.segment == segment
    assert len(released) <= len(bundle.seal) + segment * SEGMENT_BYTES
    assert (bundle.seal + bundle.payload).startswith(released)


def test_a_bad_seal_is_refused_before_a_byte_is_passed_on(
    collect: Collect, bundle: Bundle, trust: TrustStore, signer2: Any
) -> None:
    other = TrustStore.of(signer2.public_key)
    attached = bundle.seal + bundle.payload
    released, error = collect(attached, 65536, trust=other)
    assert (released, type(error)) == (b"", SignatureError)
    released, error = collect(attached, 65536, trust=trust, expect=Expect(channel="beta"))
    assert (released, type(error)) == (b"", NotForUsError)


@pytest.mark.parametrize("change", [-1, 1])
def test_an_early_or_a_late_end_is_refused(collect: Collect, bundle: Bundle, trust: TrustStore, change: int) -> None:
    payload = bundle.payload[:-1] if change < 0 else bundle.payload + b"x"
    _, error = collect(payload, 65536, trust=trust, seal=bundle.seal)
    assert isinstance(error, TruncatedError)
    assert error.expected == len(bundle.payload)


def test_what_the_chunks_raise_passes_through(bundle: Bundle, trust: TrustStore) -> None:
    def broken() -> Iterator[bytes]:
        yield bundle.seal
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        list(VerifiedStream(broken(), trust=trust))


def test_the_verdict_is_known_with_the_first_piece(bundle: Bundle, trust: TrustStore) -> None:
    stream = VerifiedStream(cut(bundle.seal + bundle.payload, 65536), trust=trust)
    assert stream.verified is None
    next(iter(stream))
    assert stream.verified is not None
    assert stream.verified.statement.sequence == 7


S = SEGMENT_BYTES
SPANS = [(0, 0), (0, 1), (S - 1, S + 1), (S, 2 * S), (5, 20 * S), (20 * S, -1), (0, -1), (-1, -1)]


@pytest.mark.parametrize(("start", "stop"), SPANS)
def test_a_range_gives_exactly_its_bytes(bundle: Bundle, trust: TrustStore, start: int, stop: int) -> None:
    size = len(bundle.payload)
    start, stop = (size if start < 0 else start), (size if stop < 0 else stop)
    verified = accept(bundle.seal, trust=trust)

    async def read(at: int, count: int) -> bytes:
        return bundle.payload[at : at + count]

    async def run() -> bytes:
        return b"".join([bytes(piece) async for piece in read_verified_async(verified, read, start, stop)])

    plain = b"".join(read_verified(verified, lambda at, count: bundle.payload[at : at + count], start, stop))
    assert plain == bundle.payload[start:stop]
    assert asyncio.run(run()) == plain


def test_a_range_of_altered_storage_gives_no_byte_of_the_bad_segment(bundle: Bundle, trust: TrustStore) -> None:
    stored = bytearray(bundle.payload)
    stored[9 * S + 3] ^= 1
    verified = accept(bundle.seal, trust=trust)
    released = bytearray()
    with pytest.raises(TamperedError) as caught:
        for piece in read_verified(verified, lambda at, count: stored[at : at + count], 4 * S + 7, 12 * S):
            released += piece
    assert caught.value.segment == 9
    assert bundle.payload[4 * S + 7 : 9 * S].startswith(released)


def test_a_range_of_short_storage_is_refused(bundle: Bundle, trust: TrustStore) -> None:
    verified = accept(bundle.seal, trust=trust)
    stored = bundle.payload[: 3 * S + 9]
    with pytest.raises(TruncatedError):
        list(read_verified(verified, lambda at, count: stored[at : at + count], 3 * S, 4 * S))


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (6, 5), (0, 10**12)])
def test_a_range_outside_the_payload_is_the_callers_mistake(
    bundle: Bundle, trust: TrustStore, start: int, stop: int
) -> None:
    with pytest.raises(ValueError, match="not inside a payload"):
        list(read_verified(accept(bundle.seal, trust=trust), lambda at, count: b"", start, stop))


def test_the_event_loop_stays_free_while_a_stream_is_verified(
    bundle: Bundle, trust: TrustStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed_by: set[int] = set()
    check_run = SignedIndex.check_run

    def watched(index: SignedIndex, first: int, data: memoryview) -> None:
        hashed_by.add(threading.get_ident())
        check_run(index, first, data)

    monkeypatch.setattr(SignedIndex, "check_run", watched)

    async def chunks() -> AsyncIterator[bytes]:
        yield bundle.seal + bundle.payload  # 10 MiB at once: 10 to 40 ms of hashing if it were done here

    async def run() -> tuple[float, int]:
        longest, turns = 0.0, 0
        done = asyncio.Event()

        async def watch() -> None:
            nonlocal longest, turns
            while not done.is_set():
                before = time.thread_time()  # of this thread alone: other processes share the cores
                await asyncio.sleep(0)
                longest = max(longest, time.thread_time() - before)
                turns += 1

        watcher = asyncio.create_task(watch())
        await asyncio.sleep(0)
        async for _ in AsyncVerifiedStream(chunks(), trust=trust):
            pass
        done.set()
        await watcher
        return longest, turns

    runs = [asyncio.run(run()) for _ in range(5)]
    assert hashed_by
    assert threading.get_ident() not in hashed_by
    # The best of several: the first touch of memory is the kernel's work, and counts as ours.
    assert min(longest for longest, _ in runs) < 0.01
    # Were the interpreter held while others hash, there would be a turn or two for each of the 11 runs.
    assert max(turns for _, turns in runs) > 100


def incoming(target: BundleFile, bundle: Bundle, trust: TrustStore) -> tuple[Replacement, Verified]:
    """Write a bundle to where it waits to be committed."""
    stream = VerifiedStream([bundle.seal + bundle.payload], trust=trust, expect=target.expect())
    replacement = target.replacing()
    for piece in stream:
        replacement.write(piece)
    return replacement, stream.verified


def test_an_upload_that_was_overtaken_replaces_nothing(tmp_path: Path, trust: TrustStore, sealed: BundleMaker) -> None:
    target = BundleFile(tmp_path / "stored", trust=trust)
    with pytest.raises(FileNotFoundError):
        target.open()
    first, second = (incoming(target, sealed(sequence=one), trust) for one in (8, 9))
    with first[0] as slow, second[0] as quick:
        quick.commit(second[1])
        with pytest.raises(RollbackError, match="sequence 8 is not above 9"):
            slow.commit(first[1])
    with target.open() as stored:
        assert stored.verified.statement.sequence == 9
    assert target.expect().floor == 9
    assert sorted(path.name for path in tmp_path.glob("*stored*")) == ["stored", "stored.floor", "stored.lock"]


def test_a_permit_goes_below_the_bundle_that_is_stored(tmp_path: Path, trust: TrustStore, sealed: BundleMaker) -> None:
    target = BundleFile(tmp_path / "stored", trust=trust, expect=Expect(floor=3))
    assert target.expect().floor == 3
    for one in (sealed(sequence=9), sealed(sequence=5, allow_downgrade_to=4)):
        replacement, verified = incoming(target, one, trust)
        with replacement:
            replacement.commit(verified)
    assert target.expect().floor == 5


def test_what_is_open_stays_what_it_is_while_it_is_replaced(
    tmp_path: Path, trust: TrustStore, sealed: BundleMaker
) -> None:
    target = BundleFile(tmp_path / "stored", trust=trust)
    old, new = sealed(sequence=1, content=b"old"), sealed(sequence=2, content=b"new, and longer")
    for one in (old, new):
        replacement, verified = incoming(target, one, trust)
        with replacement:
            if one is new:
                stored = target.open()
            replacement.commit(verified)
    with stored:
        pieces = read_verified(stored.verified, stored.read, 0, len(old.payload))
        assert b"".join(map(bytes, pieces)) == old.payload


def test_nothing_is_committed_before_the_stream_has_ended(tmp_path: Path, trust: TrustStore) -> None:
    target = BundleFile(tmp_path / "stored", trust=trust)
    with target.replacing() as replacement, pytest.raises(UsageError, match="has not ended"):
        replacement.commit(None)
    assert list(tmp_path.iterdir()) == []


def store(target: BundleFile, bundle: Bundle, trust: TrustStore) -> None:
    replacement, verified = incoming(target, bundle, trust)
    with replacement:
        replacement.commit(verified)


def test_a_stored_bundle_that_was_altered_is_told(tmp_path: Path, trust: TrustStore, bundle: Bundle) -> None:
    target = BundleFile(tmp_path / "stored", trust=trust)
    (tmp_path / "stored").write_bytes(bundle.seal[:100] + b"x" + bundle.seal[101:] + bundle.payload)
    with pytest.raises(RejectedError):
        target.open()


@pytest.mark.parametrize("damage", ["cut", "empty", "altered", "untrusted"])
def test_a_stored_bundle_that_no_longer_verifies_is_replaced_by_a_newer_one_and_by_no_older_one(
    tmp_path: Path, trust: TrustStore, signer2: Any, sealed: BundleMaker, damage: str
) -> None:
    path = tmp_path / "stored"
    old, stored, new = sealed(sequence=6), sealed(sequence=7), sealed(sequence=8)
    if damage == "untrusted":
        both = TrustStore.of(signer2.public_key)
        store(BundleFile(path, trust=both), sealed(sequence=7, by=signer2), both)
    else:
        store(BundleFile(path, trust=trust), stored, trust)
        whole = stored.seal + stored.payload
        path.write_bytes({"cut": whole[:50], "empty": b"", "altered": whole[:100] + b"x" + whole[101:]}[damage])
    target = BundleFile(path, trust=trust)
    assert target.expect().floor == 7
    for refused in (old, stored):
        with pytest.raises(RollbackError):
            incoming(target, refused, trust)
    store(target, new, trust)
    with target.open() as now:
        assert now.verified.statement.sequence == 8


def test_a_file_that_never_verified_and_has_no_record_sets_no_floor(
    tmp_path: Path, trust: TrustStore, sealed: BundleMaker
) -> None:
    (tmp_path / "stored").write_bytes(b"from elsewhere")
    target = BundleFile(tmp_path / "stored", trust=trust, expect=Expect(floor=3))
    assert target.expect() == Expect(floor=3)
    store(target, sealed(sequence=4), trust)
    assert (tmp_path / "stored.floor").read_bytes() == b"4\n"


def test_a_record_of_the_sequence_that_is_none_is_told(tmp_path: Path, trust: TrustStore) -> None:
    (tmp_path / "stored").write_bytes(b"")
    for text in (b"", b"7", b"7\n8\n", b"-7\n", b"9" * 30 + b"\n"):
        (tmp_path / "stored.floor").write_bytes(text)
        with pytest.raises(UsageError, match="holds no sequence"):
            BundleFile(tmp_path / "stored", trust=trust).expect()


def test_a_record_that_cannot_be_written_leaves_the_stored_bundle(
    tmp_path: Path, trust: TrustStore, sealed: BundleMaker
) -> None:
    target = BundleFile(tmp_path / "stored", trust=trust)
    store(target, sealed(sequence=1), trust)
    (tmp_path / "stored.floor").unlink()
    (tmp_path / "stored.floor").mkdir()
    with pytest.raises(OSError, match=r"stored\.floor"):
        store(target, sealed(sequence=2), trust)
    assert target.expect().floor == 1
