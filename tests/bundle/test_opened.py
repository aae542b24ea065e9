"""An opened bundle: one verdict, whatever is done with the payload."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import capseal
from capseal import NotForUsError, TamperedError, TruncatedError, TrustStore, UsageError
from capseal.bundle.opened import open_bundle
from capseal.constants import SEGMENT_BYTES
from capseal.format.seal import SEAL_TYPE, Seal
from capseal.trust.signing import sign
from support.counted import count_authentications

CONTENT = bytes(range(256)) * 4100  # three segments


@pytest.fixture(scope="module")
def bundle(seal_bytes: Callable[..., bytes]) -> bytes:
    return seal_bytes(CONTENT)


@pytest.fixture(scope="module")
def verbs(signer, signer2, recipient, trust) -> dict[str, Callable[..., Any]]:
    def read(source: Any, **keywords: Any) -> None:
        with capseal.open(source, identity=recipient, trust=trust, **keywords) as plain:
            assert plain.read() == CONTENT

    return {
        "verify": lambda source, **keywords: capseal.verify(source, trust=trust, **keywords),
        "unseal": lambda source, **keywords: capseal.unseal(
            source, io.BytesIO(), identity=recipient, trust=trust, **keywords
        ),
        "open": read,
        "rewrap": lambda source, **keywords: capseal.rewrap(
            source, io.BytesIO(), identity=recipient, signer=signer, recipients=[recipient.public_key], trust=trust,
            **keywords,
        ),
        "cosign": lambda source, **keywords: capseal.cosign(
            source, io.BytesIO(), signer=signer2, trust=trust, **keywords
        ),
    }  # fmt: skip


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("verb", ["verify", "unseal", "open", "rewrap", "cosign"])
def test_each_verb_authenticates_the_seal_once(bundle, verbs, verb, detached, monkeypatch):
    seal = bundle[: len(bundle) - capseal.inspect(io.BytesIO(bundle))[1].payload.size]
    counts = count_authentications(monkeypatch)
    if detached:
        verbs[verb](io.BytesIO(bundle[len(seal) :]), seal=seal)
    else:
        verbs[verb](io.BytesIO(bundle))
    # What rewrap signs is parsed once more, as a reader would, before it is signed.
    assert counts.of_seals() == (1, 2 if verb == "rewrap" else 1, 1)


def test_a_payload_of_another_size_is_refused_before_it_is_read(bundle, trust, recipient, monkeypatch):
    with open_bundle(io.BytesIO(bundle[:-1]), trust=trust) as opened:
        monkeypatch.setattr(opened.source, "read_into", lambda *_: pytest.fail("was read"))
        for use in (opened.check_payload, lambda: opened.open_cipher(recipient)):
            with pytest.raises(TruncatedError, match="payload ends early"):
                use()


def test_opening_says_nothing_of_the_payload_and_checking_does(bundle, trust):
    bad = bytearray(bundle)
    bad[-1] ^= 1
    with open_bundle(io.BytesIO(bad), trust=trust) as opened:
        assert opened.verified.statement.content.size == len(CONTENT)
        with pytest.raises(TamperedError, match="segment 2 "):
            opened.check_payload()


def test_a_checked_payload_can_be_read_again_under_the_same_verdict(bundle, trust, recipient):
    with open_bundle(io.BytesIO(bundle), trust=trust) as opened:
        opened.check_payload()
        key, header = opened.open_session_key(recipient)
        assert len(key) == 32
        assert opened.open_cipher([recipient]).header == header
        opened.check_payload()


def test_a_key_that_was_not_wrapped_for_is_told_from_a_first_segment_that_was_altered(
    bundle, trust, other_recipient, recipient
):
    with open_bundle(io.BytesIO(bundle), trust=trust) as opened, pytest.raises(NotForUsError):
        opened.open_cipher(other_recipient)
    bad = bytearray(bundle)
    bad[-2 * SEGMENT_BYTES] ^= 1
    with open_bundle(io.BytesIO(bad), trust=trust) as opened, pytest.raises(TamperedError):
        opened.open_cipher(recipient)


@pytest.mark.parametrize("verb", ["unseal", "open", "rewrap"])
def test_a_session_key_that_was_not_committed_to_opens_nothing(bundle, signer, verbs, verb):
    seal = capseal.verify(io.BytesIO(bundle), trust=TrustStore.of(signer.public_key)).seal
    encryption = replace(seal.statement.encryption, commitment=bytes(32))
    statement = replace(seal.statement, encryption=encryption)
    other = Seal(sign(SEAL_TYPE, statement.encode(), [signer]), statement, seal.index).encode()
    with pytest.raises(TamperedError, match="session key does not match the signed commitment"):
        verbs[verb](io.BytesIO(bundle[len(seal.encode()) :]), seal=other)


@pytest.mark.parametrize("fault", ["seal", "payload", "identity"])
def test_what_cannot_be_opened_is_closed(bundle, trust, recipient, other_recipient, tmp_path, fault):
    path = tmp_path / "bundle"
    path.write_bytes({"seal": b"x" + bundle[1:], "payload": bundle[:-1], "identity": bundle}[fault])
    with pytest.raises(capseal.RejectedError):  # a file that is left open makes pytest fail
        capseal.open(path, identity=other_recipient, trust=trust)


def test_a_stream_that_cannot_seek_is_not_opened_for_reading(bundle, trust, recipient):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    with pytest.raises(UsageError, match="cannot seek"):
        capseal.open(Pipe(bundle), identity=recipient, trust=trust)
