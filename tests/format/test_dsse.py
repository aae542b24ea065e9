"""DSSE envelopes: one encoding, one reading, whatever the type of the payload."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capseal import FormatError
from capseal.constants import MAX_ENVELOPE_BYTES
from capseal.format.dsse import Envelope, Signature, pae

TYPE = "application/vnd.capseal.seal.v1+json"
ENVELOPE = Envelope(TYPE, b"{}", (Signature("ab" * 32, bytes(384)),))


def test_the_pae_is_that_of_the_dsse_specification():
    # https://github.com/secure-systems-lab/dsse/blob/master/protocol.md, test vector
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_an_envelope_comes_back():
    assert Envelope.parse(ENVELOPE.encode()) == ENVELOPE


def test_an_x5c_chain_comes_back_and_stays_optional():
    signature = Signature("ab" * 32, bytes(384), (b"leaf", b"ca"))
    envelope = Envelope(TYPE, b"{}", (signature, *ENVELOPE.signatures))
    assert Envelope.parse(envelope.encode()) == envelope
    assert b'"x5c":["bGVhZg==","Y2E="]' in envelope.encode()


@given(
    st.binary(max_size=300),
    st.lists(
        st.tuples(st.binary(min_size=32, max_size=32), st.binary(min_size=384, max_size=1024)), min_size=1, max_size=16
    ),
)
def test_any_envelope_comes_back(payload, pairs):
    envelope = Envelope(TYPE, payload, tuple(Signature(keyid.hex(), sig) for keyid, sig in pairs))
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


def test_an_envelope_of_absurd_size_is_neither_written_nor_parsed():
    with pytest.raises(FormatError, match="envelope of 1048577 bytes, at most 1048576"):
        Envelope.parse(b" " * (MAX_ENVELOPE_BYTES + 1))
    with pytest.raises(FormatError, match=r"envelope of \d+ bytes, at most 1048576"):
        Envelope(TYPE, bytes(MAX_ENVELOPE_BYTES), ENVELOPE.signatures).encode()


def test_a_payload_is_given_out_as_its_own_type_only():
    assert ENVELOPE.payload_of(TYPE) == b"{}"
    with pytest.raises(FormatError, match=r"envelope\.payloadType: .*seal.v1.* is unknown, expected .*seal.v2"):
        ENVELOPE.payload_of(TYPE.replace("v1", "v2"))
