"""Verifying what arrives in pieces of any length."""

import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import capseal
from capseal import FormatError, RejectedError, SignatureError, TamperedError, TruncatedError, UsageError, Verifier
from capseal.constants import SEGMENT_BYTES

CONTENT = random.Random(1).randbytes(3 * SEGMENT_BYTES + 1000)


@pytest.fixture(scope="module")
def bundle(seal_bytes):
    return seal_bytes(CONTENT)


@pytest.fixture(scope="module")
def seal_size(bundle, trust):
    return len(capseal.verify(io.BytesIO(bundle), trust=trust).seal.encode())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 700_000), max_size=12), st.integers(30_000, 1_000_000))
def test_pieces_of_any_length_give_the_same_verdict(bundle, seal_size, trust, sizes, rest):
    verifier = Verifier(trust=trust)
    released = bytearray()
    at = 0
    while at < len(bundle):
        size = sizes.pop() if sizes else rest
        released += verifier.feed(bundle[at : at + size])
        at = min(at + size, len(bundle))
        assert released == bundle[: len(released)]
        if at >= seal_size:
            whole = at - seal_size if at == len(bundle) else (at - seal_size) // SEGMENT_BYTES * SEGMENT_BYTES
            assert verifier.verified_payload_bytes == whole
            assert len(released) == seal_size + whole
        else:
            assert (verifier.verified, verifier.verified_payload_bytes, released) == (None, 0, b"")
    assert released == bundle
    assert verifier.finish() is verifier.verified


def test_byte_by_byte_through_a_small_bundle(seal_bytes, trust):
    bundle = seal_bytes(b"hello")
    verifier = Verifier(trust=trust)
    released = b"".join(verifier.feed(bundle[i : i + 1]) for i in range(len(bundle)))
    assert released == bundle
    assert verifier.finish().statement.content.size == 5


def test_bytearrays_and_memoryviews_are_taken(seal_bytes, trust):
    bundle = seal_bytes(b"hello")
    verifier = Verifier(trust=trust)
    verifier.feed(bytearray(bundle[:1000]))
    verifier.feed(memoryview(bundle)[1000:])
    verifier.finish()


def test_a_detached_payload_is_fed_alone(bundle, seal_size, trust):
    verifier = Verifier(trust=trust, seal=bundle[:seal_size])
    assert verifier.verified is not None
    assert verifier.feed(bundle[seal_size:]) == bundle[seal_size:]
    verifier.finish()


def test_a_bad_detached_seal_is_rejected_before_the_first_byte(bundle, seal_size, trust):
    with pytest.raises(TruncatedError):
        Verifier(trust=trust, seal=bundle[: seal_size - 1])
    with pytest.raises(SignatureError):
        Verifier(trust=trust, seal=bundle[:400] + b"/" + bundle[401:seal_size])


@pytest.mark.parametrize("segment", [0, 1, 2, 3])
def test_a_bad_segment_is_named_as_it_arrives_and_not_released(bundle, seal_size, trust, segment):
    at = seal_size + segment * SEGMENT_BYTES + 17
    bad = bundle[:at] + bytes([bundle[at] ^ 1]) + bundle[at + 1 :]
    verifier = Verifier(trust=trust)
    released = b""
    with pytest.raises(TamperedError, match=f"segment {segment} at byte {segment * SEGMENT_BYTES}: digest") as caught:
        for i in range(0, len(bad), 4096):
            released += verifier.feed(bad[i : i + 4096])
    assert caught.value.segment == segment
    assert caught.value.offset == segment * SEGMENT_BYTES
    assert released == bundle[: seal_size + segment * SEGMENT_BYTES]
    assert verifier.verified_payload_bytes == segment * SEGMENT_BYTES


def test_a_verifier_that_failed_stays_failed(bundle, trust):
    verifier = Verifier(trust=trust)
    with pytest.raises(FormatError):
        verifier.feed(b"not a bundle")
    for call in (lambda: verifier.feed(bundle), lambda: verifier.feed(b""), verifier.finish):
        with pytest.raises(UsageError, match="after it had failed"):
            call()
    assert verifier.verified is None


def test_finishing_early_is_a_truncation_and_final(bundle, seal_size, trust):
    for size in (0, 5, 12, seal_size - 1, seal_size, seal_size + 1, seal_size + SEGMENT_BYTES, len(bundle) - 1):
        verifier = Verifier(trust=trust)
        verifier.feed(bundle[:size])
        with pytest.raises(TruncatedError, match="ends early") as caught:
            verifier.finish()
        assert caught.value.actual < caught.value.expected
        with pytest.raises(UsageError, match="fed after it had failed"):
            verifier.feed(bundle[size:])


def test_feeding_after_finishing_is_the_callers_mistake(bundle, trust):
    verifier = Verifier(trust=trust)
    verifier.feed(bundle)
    assert verifier.finish() is verifier.finish()
    with pytest.raises(UsageError, match="fed after it had finished"):
        verifier.feed(b"x")


def test_bytes_after_the_end_are_rejected_in_one_piece_or_two(bundle, trust):
    for cut in (len(bundle), len(bundle) - 1, 100):
        verifier = Verifier(trust=trust)
        verifier.feed(bundle[:cut])
        with pytest.raises(TruncatedError, match="goes on after its end"):
            verifier.feed(bundle[cut:] + b"x")


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=5000))
def test_any_bytes_are_rejected_or_wait_for_more(trust, data):
    verifier = Verifier(trust=trust)
    try:
        assert verifier.feed(data) == b""
        verifier.finish()
    except RejectedError:
        return
    raise AssertionError("accepted")
