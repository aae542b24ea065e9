"""Segments: sizes, offsets, keys, nonces."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from capseal import FormatError, TamperedError
from capseal.constants import SEGMENT_BYTES
from capseal.crypto.segment_cipher import Header, SegmentCipher, check_commitment, commitment
from capseal.format.segment_layout import (
    FIRST_PLAIN_BYTES,
    MAX_CONTENT_BYTES,
    PLAIN_BYTES,
    payload_bytes_of,
    plain_offset,
    segment_at,
)
from capseal.format.tree import segment_count

HEADER = Header(bytes(range(32)), bytes(range(7)))
KEY = bytes(range(100, 132))
CIPHER = SegmentCipher(KEY, HEADER, "a.b")
EDGES = sorted(
    {
        max(0, k * PLAIN_BYTES - 40 + d)
        for k in (0, 1, 2, 3)
        for d in (-57, -56, -41, -40, -17, -16, -1, 0, 1, 16, 17, 40, 41, 56, 57)
    }
)


def test_the_constants_are_those_of_the_format():
    assert (SEGMENT_BYTES, FIRST_PLAIN_BYTES, PLAIN_BYTES) == (524288, 524288 - 40 - 16, 524288 - 16)
    assert segment_count(payload_bytes_of(MAX_CONTENT_BYTES)) == 2**32
    assert payload_bytes_of(MAX_CONTENT_BYTES) == 2**32 * SEGMENT_BYTES


def _payload_bytes(content: int) -> int:
    """Count the segments one by one."""
    payload, room = 40, FIRST_PLAIN_BYTES
    while True:
        piece = min(room, content)
        payload, content, room = payload + piece + 16, content - piece, PLAIN_BYTES
        if content == 0:
            return payload


@pytest.mark.parametrize("content", EDGES)
def test_payload_sizes_agree_with_counting_at_every_edge(content):
    assert payload_bytes_of(content) == _payload_bytes(content)


@given(st.integers(0, 2**25))
def test_payload_sizes_agree_with_counting(content):
    assert payload_bytes_of(content) == _payload_bytes(content)


@given(st.integers(0, MAX_CONTENT_BYTES))
def test_a_payload_has_no_empty_last_segment_but_the_only_one(content):
    payload = payload_bytes_of(content)
    rest = payload % SEGMENT_BYTES
    if payload > SEGMENT_BYTES:
        assert rest == 0 or rest > 16
    else:
        assert payload >= 56


@given(st.integers(0, MAX_CONTENT_BYTES - 1))
def test_every_position_lies_in_the_segment_that_segment_at_names(position):
    segment = segment_at(position)
    assert plain_offset(segment) <= position < plain_offset(segment + 1)


def test_a_header_comes_back_and_bad_ones_are_rejected():
    assert Header.parse(HEADER.encode() + b"rest") == HEADER
    assert HEADER.encode()[0] == 0x28
    assert len(HEADER.encode()) == 40
    for bad in (b"", HEADER.encode()[:39], b"\x29" + HEADER.encode()[1:], bytes(40)):
        with pytest.raises(FormatError, match="payload header at byte 0"):
            Header.parse(bad)
    with pytest.raises(ValueError, match="32 and 7"):
        Header(bytes(31), bytes(7))


def _encrypt(first: int, plain: bytes, last: bool) -> bytes:
    out = memoryview(bytearray(len(plain) + 4096 + SEGMENT_BYTES))
    return bytes(CIPHER.encrypt_run(first, memoryview(plain), last, out))


@pytest.mark.parametrize("content", EDGES)
def test_a_run_decrypts_to_what_was_encrypted(content):
    plain = (b"0123456789abcdef" * (content // 16 + 1))[:content]
    payload = _encrypt(0, plain, True)
    assert len(payload) == payload_bytes_of(content)
    out = memoryview(bytearray(content + 4096))
    assert bytes(CIPHER.decrypt_run(0, memoryview(payload), True, out)) == plain


def test_runs_encrypt_the_same_however_they_are_cut():
    plain = bytes(range(256)) * (7 * 1024 * 4)  # 14 segments
    whole = _encrypt(0, plain, True)
    for cut in (1, 2, 5, 13):
        at = plain_offset(cut)
        assert _encrypt(0, plain[:at], False) + _encrypt(cut, plain[at:], True) == whole


def test_nonces_are_prefix_counter_and_end_mark():
    payload = _encrypt(258, b"hello", True)
    for key in (CIPHER._aead,):
        assert isinstance(key, AESGCM)
        assert key.decrypt(bytes(range(7)) + b"\x00\x00\x01\x02\x01", payload, None) == b"hello"


@pytest.mark.parametrize(("first", "last"), [(1, False), (2, True), (0, True)])
def test_a_segment_opens_only_at_its_own_place(first, last):
    payload = _encrypt(1, bytes(PLAIN_BYTES), True)
    out = memoryview(bytearray(SEGMENT_BYTES))
    assert bytes(CIPHER.decrypt_run(1, memoryview(payload), True, out)) == bytes(PLAIN_BYTES)
    with pytest.raises(
        TamperedError, match=f"segment {first} at byte {first * SEGMENT_BYTES}: authentication tag"
    ) as caught:
        CIPHER.decrypt_run(first, memoryview(payload), last, out)
    assert (caught.value.segment, caught.value.offset) == (first, first * SEGMENT_BYTES)


def test_another_app_or_salt_gives_other_keys():
    payload = _encrypt(0, b"hello", True)
    out = memoryview(bytearray(4096))
    for cipher in (
        SegmentCipher(KEY, HEADER, "a.c"),
        SegmentCipher(KEY, Header(bytes(32), HEADER.nonce_prefix), "a.b"),
        SegmentCipher(bytes(32), HEADER, "a.b"),
    ):
        with pytest.raises(TamperedError):
            cipher.decrypt_run(0, memoryview(payload), True, out)


def test_another_companion_gives_other_keys():
    out = memoryview(bytearray(4096))
    cipher = SegmentCipher(KEY, HEADER, "a.b", companion="x")
    payload = bytes(cipher.encrypt_run(0, memoryview(b"hello"), True, out))
    for other in (CIPHER, SegmentCipher(KEY, HEADER, "a.b", companion="y"), SegmentCipher(KEY, HEADER, "a.b x")):
        with pytest.raises(TamperedError):
            other.decrypt_run(0, memoryview(payload), True, out)


def test_the_commitment_depends_on_key_salt_and_app():
    expected = commitment(KEY, HEADER, "a.b")
    check_commitment(KEY, HEADER, "a.b", expected)
    for key, header, app in (
        (bytes(32), HEADER, "a.b"),
        (KEY, Header(bytes(32), bytes(7)), "a.b"),
        (KEY, HEADER, "a.c"),
    ):
        with pytest.raises(TamperedError, match="commitment"):
            check_commitment(key, header, app, expected)


@pytest.mark.parametrize("at", [0, 4, 31])
def test_a_commitment_is_compared_to_its_last_byte(at):
    expected = bytearray(commitment(KEY, HEADER, "a.b"))
    expected[at] ^= 1
    with pytest.raises(TamperedError, match="commitment"):
        check_commitment(KEY, HEADER, "a.b", bytes(expected))
