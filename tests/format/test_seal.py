"""The seal as a document: header, index, padding, and the statement in its envelope."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

import capseal
from capseal import Expect, FormatError, SignatureError, TruncatedError, UsageError, embedding
from capseal.constants import MAGIC, MAX_ENVELOPE_BYTES
from capseal.format.dsse import Envelope, Signature, pae
from capseal.format.seal import parse_header, seal_bytes_of


def test_an_unknown_payload_type_is_rejected_once_its_signature_is_known_to_be_good(signer, trust, recipient):
    envelope, statement = capseal.inspect(io.BytesIO(_seal(signer, recipient)))
    other = "application/vnd.capseal.seal.v2+json"
    signed = signer.sign(pae(other, envelope.payload))
    for sig, error in ((signed, FormatError), (envelope.signatures[0].sig, SignatureError)):
        new = Envelope(other, envelope.payload, (Signature(signer.public_key.fingerprint, sig),)).encode()
        with pytest.raises(error):
            capseal.verify(io.BytesIO(_document(new, bytes(32), statement.payload.size)), trust=trust)


def _seal(signer, recipient) -> bytes:
    output = io.BytesIO()
    capseal.seal(
        io.BytesIO(b"hi"), output, signer=signer, recipients=[recipient.public_key], app="a", version="1", sequence=1
    )
    return output.getvalue()


def _document(envelope: bytes, index: bytes, payload_bytes: int) -> bytes:
    head = MAGIC + len(envelope).to_bytes(4, "big") + envelope + index
    return head.ljust(seal_bytes_of(len(envelope), payload_bytes), b"\0")


@pytest.mark.parametrize("size", [0, MAX_ENVELOPE_BYTES + 1, 2**32 - 1])
def test_envelope_lengths_out_of_bounds_are_rejected(size):
    with pytest.raises(FormatError, match=f"envelope of {size} bytes, from 1 to 1048576") as caught:
        parse_header(MAGIC + size.to_bytes(4, "big"))
    assert caught.value.offset == 8


def test_the_largest_envelope_is_allowed():
    assert parse_header(MAGIC + MAX_ENVELOPE_BYTES.to_bytes(4, "big")) == MAX_ENVELOPE_BYTES


@pytest.mark.parametrize("start", [b"PK\x03\x04" + bytes(8), b"\x89CAPSEAM" + bytes(4), b"capseal/v1  "])
def test_another_magic_is_rejected(start):
    with pytest.raises(FormatError, match="byte 0: not a sealed bundle"):
        parse_header(start)


@given(st.integers(1, MAX_ENVELOPE_BYTES), st.integers(1, 2**51))
def test_a_seal_is_a_multiple_of_4096_with_less_than_4096_of_padding(envelope, payload):
    used = 12 + envelope + 32 * -(-payload // (512 * 1024))
    size = seal_bytes_of(envelope, payload)
    assert size % 4096 == 0
    assert 0 <= size - used < 4096


def test_every_byte_of_the_padding_must_be_zero(seal_bytes, trust):
    bundle = bytearray(seal_bytes(b"hi"))
    end = 12 + int.from_bytes(bundle[8:12], "big") + 32
    assert end < 4096
    for at in (end, end + 1, 4095):
        bundle[at] = 1
        with pytest.raises(FormatError, match=f"byte {end}: padding"):
            capseal.verify(io.BytesIO(bundle), trust=trust)
        bundle[at] = 0
    capseal.verify(io.BytesIO(bundle), trust=trust)


def test_a_seal_encodes_to_the_bytes_it_was_read_from(seal_bytes, trust):
    for size in (0, 4096, 3 * 2**19):
        bundle = seal_bytes(bytes(size))
        seal = capseal.verify(io.BytesIO(bundle), trust=trust).seal
        encoded = seal.encode()
        assert bundle.startswith(encoded)
        assert len(bundle) - len(encoded) == seal.statement.payload.size


@pytest.mark.parametrize("size", [0, 1, 7, 11])
def test_an_input_shorter_than_the_header_is_truncated(size, trust):
    with pytest.raises(TruncatedError, match=f"seal ends early: {size} bytes, at least 12") as caught:
        capseal.verify(io.BytesIO((MAGIC + bytes(4))[:size]), trust=trust)
    assert (caught.value.actual, caught.value.expected) == (size, 12)


def test_a_detached_seal_must_be_the_whole_of_its_file(seal_bytes, trust):
    bundle = seal_bytes(b"hi")
    seal, payload = bundle[:4096], bundle[4096:]
    capseal.verify(io.BytesIO(payload), seal=seal, trust=trust)
    with pytest.raises(TruncatedError, match="seal goes on after its end at byte 4096"):
        capseal.verify(io.BytesIO(payload), seal=seal + b"\0", trust=trust)
    with pytest.raises(TruncatedError, match="payload goes on after its end"):
        capseal.verify(io.BytesIO(bundle), seal=seal, trust=trust)


def test_a_seal_that_is_accepted_without_its_payload_must_be_the_whole_of_its_file(seal_bytes, trust):
    seal = seal_bytes(b"hi")[:4096]
    embedding.accept(seal, trust=trust)
    with pytest.raises(TruncatedError, match="seal goes on after its end at byte 4096"):
        embedding.accept(seal + b"\0", trust=trust)


def test_inspect_reads_attached_and_detached_seals_and_believes_neither(seal_bytes):
    bundle = seal_bytes(b"hi")
    for data in (bundle, bundle[:4096]):
        envelope, statement = capseal.inspect(io.BytesIO(data))
        assert statement.version == "1.2.3"
        assert Envelope.parse(envelope.encode()) == envelope


def test_too_many_recipients_for_one_envelope_is_the_callers_mistake(
    seal_bytes, trust, signer, signer2, recipient, other_recipient, monkeypatch
):
    recipients = [key.public_key for key in (recipient, other_recipient, signer, signer2)]
    monkeypatch.setattr("capseal.format.dsse.MAX_ENVELOPE_BYTES", 3000)
    with pytest.raises(UsageError, match=r"envelope of \d+ bytes, at most 3000"):
        seal_bytes(b"hi", recipients=recipients)
    bundle = io.BytesIO(seal_bytes(b"hi"))
    with pytest.raises(UsageError, match=r"envelope of \d+ bytes, at most 3000"):
        capseal.rewrap(bundle, io.BytesIO(), identity=recipient, signer=signer, recipients=recipients, trust=trust)


def test_what_a_reader_expects_is_checked(seal_bytes, trust):
    bundle = seal_bytes(b"hi", channel="beta", allow_downgrade_to=3)

    def read(**expect):
        return capseal.verify(io.BytesIO(bundle), trust=trust, expect=Expect(**expect)).statement

    assert read(app="com.example.game", channel="beta", floor=6).sequence == 7
    for wrong in ({"app": "com.example.gam"}, {"channel": "production"}):
        with pytest.raises(capseal.NotForUsError):
            read(**wrong)
    assert read(floor=100).allow_downgrade_to == 3  # the signed permit lowers the floor to 3


@pytest.mark.parametrize(
    ("floor", "permit", "accepted"), [(6, None, 1), (7, None, 0), (8, None, 0), (99, 6, 1), (0, 6, 1)]
)
def test_the_sequence_must_be_above_the_floor(seal_bytes, trust, floor, permit, accepted):
    bundle = io.BytesIO(seal_bytes(b"hi", allow_downgrade_to=permit))
    if accepted:
        capseal.verify(bundle, trust=trust, expect=Expect(floor=floor))
        return
    with pytest.raises(capseal.RollbackError) as caught:
        capseal.verify(bundle, trust=trust, expect=Expect(floor=floor))
    assert (caught.value.sequence, caught.value.floor) == (7, floor)
