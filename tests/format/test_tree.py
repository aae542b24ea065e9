"""The tree against a slow, obvious one written from the fs-verity documentation."""

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capseal import TamperedError
from capseal.constants import SEGMENT_BYTES
from capseal.format import tree
from capseal.format.signed_index import SignedIndex
from capseal.format.statement import Payload
from support.fsverity import PUBLISHED, our_digest, published_bytes

EDGES = sorted(
    {
        max(0, k * SEGMENT_BYTES + d)
        for k in (0, 1, 2, 3)
        for d in (-56, -40, -16, -1, 0, 1, 16, 40, 56, 4095, 4096, 4097)
    }
)


def slow_digest(data: bytes) -> bytes:
    """fs-verity as its documentation tells it: levels of 4096-byte blocks of SHA-256."""

    def blocks(level: bytes) -> list[bytes]:
        return [level[i : i + 4096].ljust(4096, b"\0") for i in range(0, len(level), 4096)]

    level = data
    root = bytes(32)
    if data:
        while True:
            level = b"".join(hashlib.sha256(block).digest() for block in blocks(level))
            if len(level) == 32:
                break
        root = level
    descriptor = struct.pack("<BBBBIQ64s32s144s", 1, 1, 12, 0, 0, len(data), root, b"", b"")
    assert len(descriptor) == 256
    return hashlib.sha256(descriptor).digest()


@pytest.mark.parametrize("size", PUBLISHED)
def test_the_published_vectors_come_out(size):
    assert our_digest(published_bytes(size)).hex() == PUBLISHED[size]
    assert slow_digest(published_bytes(size)).hex() == PUBLISHED[size]


@pytest.mark.parametrize("size", EDGES)
def test_digests_agree_with_the_slow_tree_at_every_edge(size):
    data = published_bytes(size)
    assert our_digest(data) == slow_digest(data)


@pytest.mark.parametrize("segments", [127, 128, 129, 16384, 16385])
def test_roots_over_many_levels_agree_with_the_slow_tree(segments):
    rng = np.random.default_rng(segments)
    index = rng.bytes(32 * segments)
    level = index
    while len(level) > 32:
        level = b"".join(
            hashlib.sha256(level[i : i + 4096].ljust(4096, b"\0")).digest() for i in range(0, len(level), 4096)
        )
    assert tree.root(index, segments * SEGMENT_BYTES) == level


@given(st.integers(1, 5), st.binary(min_size=1, max_size=100))
def test_entries_are_the_same_however_the_payload_is_cut_into_runs(run_segments, tail):
    data = published_bytes(5 * SEGMENT_BYTES) + tail
    whole = tree.index_entries(memoryview(data))
    step = run_segments * SEGMENT_BYTES
    cut = b"".join(tree.index_entries(memoryview(data)[i : i + step]) for i in range(0, len(data), step))
    assert cut == whole


def test_the_digest_binds_the_size():
    assert our_digest(b"a") != our_digest(b"a\0")
    index = tree.index_entries(memoryview(b"a"), whole_payload=True)
    assert tree.digest(index, 1) != tree.digest(index, 2)


def test_differing_entries_are_all_named_in_order() -> None:
    index = bytes(range(256)) * 3
    changed = bytearray(index)
    for entry in (0, 7, 23):
        changed[entry * 32 + 31] ^= 1
    assert tree.differing(bytes(changed), index).tolist() == [0, 7, 23]
    assert tree.differing(index, index).tolist() == []


@pytest.mark.parametrize("at", [0, 8, 31])
def test_a_digest_is_compared_to_its_last_byte(at):
    entries = tree.index_entries(memoryview(b"a"), whole_payload=True)
    signed = bytearray(tree.digest(entries, 1))
    assert SignedIndex.checked(Payload(1, bytes(signed)), entries).entries == entries
    signed[at] ^= 1
    with pytest.raises(TamperedError, match="is signed; it is corrupt or was altered"):
        SignedIndex.checked(Payload(1, bytes(signed)), entries)
