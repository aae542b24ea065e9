"""Of a large index the level above is held, and each block is checked against that whenever it is loaded."""

import random

import pytest

from capseal.constants import BLOCK_BYTES, DIGEST_BYTES, SEGMENT_BYTES
from capseal.errors import TamperedError, TruncatedError
from capseal.format.signed_index import HeldEntries, SignedIndex
from capseal.format.statement import Payload
from capseal.format.tree import digest, level_above

SEGMENTS = 128 * 40 + 3
ENTRIES = random.Random(7).randbytes(SEGMENTS * DIGEST_BYTES)


def payload_of(entries: bytes) -> Payload:
    size = len(entries) // DIGEST_BYTES * SEGMENT_BYTES - 5
    return Payload(size, digest(entries, size))


@pytest.mark.parametrize("segments", [2, 127, 128, 129, 255, 256, 257, SEGMENTS])
def test_every_slice_is_that_of_the_whole_index(segments: int) -> None:
    entries = ENTRIES[: segments * DIGEST_BYTES]
    index = SignedIndex.held(payload_of(entries), level_above(entries), lambda at, size: entries[at : at + size])
    assert isinstance(index.entries, HeldEntries)
    assert index.whole() == entries and len(index.entries) == len(entries)
    rng = random.Random(segments)
    for _ in range(50):
        start = rng.randrange(segments) * DIGEST_BYTES
        stop = start + rng.randrange(1, 200) * DIGEST_BYTES
        assert index.entries[start:stop] == entries[start:stop]
    index.check_entries(1, entries[DIGEST_BYTES : 2 * DIGEST_BYTES])
    with pytest.raises(TamperedError, match="segment 1 "):
        index.check_entries(1, entries[:DIGEST_BYTES])


def test_a_level_that_does_not_give_the_signed_digest_is_refused() -> None:
    level = bytearray(level_above(ENTRIES))
    level[-1] ^= 1
    with pytest.raises(TamperedError, match="index gives digest"):
        SignedIndex.held(payload_of(ENTRIES), bytes(level), lambda at, size: ENTRIES[at : at + size])


def test_a_block_that_was_altered_is_found_whenever_it_is_loaded() -> None:
    there = bytearray(ENTRIES)
    index = SignedIndex.held(payload_of(ENTRIES), level_above(ENTRIES), lambda at, size: bytes(there[at : at + size]))
    two = slice(2 * BLOCK_BYTES, 4 * BLOCK_BYTES)
    assert index.entries[two] == ENTRIES[two]
    there[3 * BLOCK_BYTES + 9] ^= 1
    assert index.entries[two] == ENTRIES[two]  # what was checked and is kept
    for number in range(10, 30):  # until it is not
        assert index.entries[number * BLOCK_BYTES : number * BLOCK_BYTES + 1]
    with pytest.raises(TamperedError, match="index differs from the signed digest"):
        _ = index.entries[two]
    assert index.entries[2 * BLOCK_BYTES : 3 * BLOCK_BYTES] == ENTRIES[2 * BLOCK_BYTES : 3 * BLOCK_BYTES]


def test_an_index_that_ends_early_is_told() -> None:
    short = ENTRIES[:-1]
    index = SignedIndex.held(payload_of(ENTRIES), level_above(ENTRIES), lambda at, size: short[at : at + size])
    with pytest.raises(TruncatedError, match="index ends at byte"):
        index.whole()


def test_what_is_held_is_a_part_in_128_and_some_blocks() -> None:
    entries = bytes(64 * 1024**2)
    index = SignedIndex.held(payload_of(entries), level_above(entries), lambda at, size: entries[at : at + size])
    assert index.memory_bytes == len(entries) // 128 + 16 * BLOCK_BYTES
