"""The seal as a document: header, envelope, index, padding."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import capseal
from capseal import Expect, FormatError, SignatureError, TruncatedError, UsageError
from capseal.constants import MAGIC, MAX_ENVELOPE_BYTES
from capseal.format.seal import Envelope, Signature, pae, parse_header, seal_bytes_of

ENVELOPE = Envelope(b"{}", (Signature("ab" * 32, bytes(384)),))


def test_the_pae_is_that_of_the_dsse_specification():
    # https://github.com/secure-systems-lab/dsse/blob/master/protocol.md, test vector
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_an_envelope_comes_back():
    assert Envelope.parse(ENVELOPE.encode()) == ENVELOPE


def test_an_x5c_chain_comes_back_and_stays_optional():
    signature = Signature("ab" * 32, bytes(384), (b"leaf", b"ca"))
    envelope = Envelope(b"{}", (signature, *ENVELOPE.signatures))
    assert Envelope.parse(envelope.encode()) == envelope
    assert b'"x5c":["bGVhZg==","Y2E="]' in envelope.encode()


@given(
    st.binary(max_size=300),
    st.lists(
        st.tuples(st.binary(min_size=32, max_size=32), st.binary(min_size=384, max_size=1024)), min_size=1, max_size=16
    ),
)
def test_any_envelope_comes_back(payload, pairs):
    envelope = Envelope(payload, tuple(Signature(keyid.hex(), sig) for keyid, sig in pairs))
    assert Envelope.parse(envelope.encode()) == envelope


def _reordered() -> bytes:
    value = json.loads(ENVELOPE.encode())
    return json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "data",
    [
        ENVELOPE.encode() + b"\n",
        b" " + ENVELOPE.encode(),
        ENVELOPE.encode().replace(b":", b": "),
        ENVELOPE.encode().replace(b"payloadType", b"payloadT\\u0079pe"),
        ENVELOPE.encode().replace(b"application/", b"application\\/"),
        _reordered(),
    ],
)
def test_only_the_canonical_encoding_of_an_envelope_is_accepted(data):
    assert json.loads(data) == json.loads(ENVELOPE.encode())
    with pytest.raises(FormatError, match="canonical encoding"):
        Envelope.parse(data)


def _envelope(**changes) -> bytes:
    return json.dumps(json.loads(ENVELOPE.encode()) | changes, separators=(",", ":")).encode()


def _signature(**changes) -> bytes:
    entry = json.loads(ENVELOPE.encode())["signatures"][0] | changes
    return _envelope(signatures=[{k: v for k, v in entry.items() if v is not ...}])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[]", "expected an object"),
        (b"{}", "'payload' is missing"),
        (_envelope(extra=1), "unknown member 'extra'"),
        (_envelope(payload=7), "expected a string"),
        (_envelope(payload="e30"), "base64"),
        (_envelope(payload="e30="[:-1] + "\n"), "base64"),
        (_envelope(payloadType="text"), "not a media type"),
        (_envelope(payloadType=None), "expected a string, found null"),
        (_envelope(signatures={}), "expected an array"),
        (_envelope(signatures=[]), "0 items, from 1 to 16"),
        (_envelope(signatures=json.loads(ENVELOPE.encode())["signatures"] * 17), "17 items, from 1 to 16"),
        (_envelope(signatures=["x"]), r"signatures\[0\]: expected an object"),
        (_signature(keyid=...), "'keyid' is missing"),
        (_signature(sig=...), "'sig' is missing"),
        (_signature(extra=1), "unknown member 'extra'"),
        (_signature(keyid="AB" * 32), "64 hex digits"),
        (_signature(keyid=1), "expected a string, found an integer"),
        (_signature(sig="AAAA"), "3 bytes do not fit any allowed key"),
        (_signature(sig="AAAB==="), "base64"),
        (_signature(x5c=[]), "0 items, from 1 to 8"),
        (_signature(x5c=["AA=="] * 9), "9 items, from 1 to 8"),
        (_signature(x5c=[7]), r"x5c\[0\]: expected a string"),
        (_signature(x5c="AA=="), "expected an array"),
        (_signature(x5c=["A"]), "base64"),
    ],
)
def test_bad_envelopes_are_rejected(data, message):
    with pytest.raises(FormatError, match=message):
        Envelope.parse(data)


def test_an_unknown_payload_type_is_rejected_once_its_signature_is_known_to_be_good(signer, trust, recipient):
    envelope, statement = capseal.inspect(io.BytesIO(_seal(signer, recipient)))
    other = "application/vnd.capseal.seal.v2+json"
    signed = signer.sign(pae(other, envelope.payload))
    for sig, error in ((signed, FormatError), (envelope.signatures[0].sig, SignatureError)):
        new = Envelope(envelope.payload, (Signature(signer.public_key.fingerprint, sig),), other).encode()
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
    monkeypatch.setattr("capseal.format.seal.MAX_ENVELOPE_BYTES", 3000)
    monkeypatch.setattr("capseal.bundle.seal.MAX_ENVELOPE_BYTES", 3000)
    with pytest.raises(UsageError, match="envelope would have"):
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
