"""Keys change hands: overlap, removal, thresholds, and trust stores that follow by signed updates."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import capseal
from capseal import (
    CertifiedSigner,
    FormatError,
    NotForUsError,
    RollbackError,
    SignatureError,
    TrustedCertificate,
    TrustedKey,
    TrustStore,
    UsageError,
)
from capseal.format.dsse import Envelope
from capseal.format.seal import parse_statement
from capseal.trust.certificates import make_certificate
from capseal.trust.signing import sign
from capseal.trust.updates import UPDATE_TYPE, accept_update, cosign_update, follow, make_update, read_update

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def _stores(signer, signer2):
    """The three stores of a rotation: the old key; the old or the new one; the new one."""
    old, new = TrustedKey(signer.public_key), TrustedKey(signer2.public_key)
    return TrustStore((old,)), TrustStore((old, new), version=2), TrustStore((new,), version=3)


@pytest.fixture(scope="module")
def stores(signer, signer2):
    return _stores(signer, signer2)


@pytest.fixture(scope="module")
def updates(stores, signer, signer2):
    first, second, third = stores
    return make_update(first, second, signers=[signer]), make_update(second, third, signers=[signer, signer2])


def _accepts(store, bundle):
    try:
        capseal.verify(io.BytesIO(bundle), trust=store)
    except SignatureError:
        return False
    return True


def test_a_rotation_leaves_no_device_behind(stores, updates, seal_bytes, signer, signer2):
    before, overlap, after = stores
    both = io.BytesIO()
    by_old, by_new = seal_bytes(b"content", signer=signer), seal_bytes(b"content", signer=signer2)
    capseal.cosign(io.BytesIO(by_old), both, signer=signer2, trust=before)
    # Whoever has followed or not, what both signed is accepted; what one of them signed, as the store says.
    for store, expected in ((before, (True, False)), (overlap, (True, True)), (after, (False, True))):
        assert _accepts(store, both.getvalue())
        assert (_accepts(store, by_old), _accepts(store, by_new)) == expected
    assert follow(before, updates) == after


def test_an_update_is_applied_in_order_and_only_once(stores, updates):
    before, overlap, after = stores
    assert accept_update(before, updates[0]) == overlap
    assert accept_update(overlap, updates[1]) == after
    assert follow(overlap, updates) == after
    assert follow(after, updates) == after
    with pytest.raises(RollbackError, match="brings version 2 of the trust store, version 2 is here already"):
        accept_update(overlap, updates[0])


def test_an_update_cannot_be_skipped(stores, updates, signer, signer2):
    before, _, after = stores
    with pytest.raises(NotForUsError, match="update to version 3 is for trust store"):
        accept_update(before, updates[1])
    with pytest.raises(UsageError, match="new store has version 3, the update of version 1 must be one more"):
        make_update(before, after, signers=[signer, signer2])


def test_an_update_is_for_one_store_only(stores, updates, signer, development_signer):
    development = replace(
        stores[0], keys=(*stores[0].keys, TrustedKey(development_signer.public_key, capseal.Role.DEVELOPMENT))
    )
    with pytest.raises(NotForUsError, match=f"is for trust store {stores[0].digest[:16]}, here is version 1"):
        accept_update(development, updates[0])


def test_the_old_store_must_accept_the_update(stores, signer2):
    with pytest.raises(SignatureError, match="trust store version 1 does not accept the update: signed by"):
        accept_update(stores[0], make_update(stores[0], stores[1], signers=[signer2]))


def test_a_development_key_of_the_present_store_brings_no_update(signer, development_signer, development_trust):
    # It would make itself a production key.
    promoted = TrustStore((TrustedKey(signer.public_key), TrustedKey(development_signer.public_key)), version=2)
    update = make_update(development_trust, promoted, signers=[development_signer])
    with pytest.raises(NotForUsError, match="signed by a development key only"):
        accept_update(development_trust, update)


def test_the_new_store_must_accept_itself(stores, signer):
    with pytest.raises(SignatureError, match="new trust store version 3 does not accept itself"):
        accept_update(stores[1], make_update(stores[1], stores[2], signers=[signer]))


def test_a_threshold_of_the_old_and_of_the_new_store_must_have_signed(signer, signer2, recipient, other_recipient):
    keys = [TrustedKey(key.public_key) for key in (signer, signer2, recipient, other_recipient)]
    old = TrustStore(tuple(keys[:3]), 2)
    new = TrustStore(tuple(keys[1:]), 3, version=2)
    update = make_update(old, new, signers=[signer])
    with pytest.raises(SignatureError, match=r"version 1 does not accept .* by 1 .*, the threshold is 2"):
        accept_update(old, update)
    for one_more, count in ((signer2, 1), (recipient, 2)):
        update = cosign_update(update, one_more)
        with pytest.raises(
            SignatureError, match=rf"version 2 does not accept itself: .* by {count} .*, the threshold is 3"
        ):
            accept_update(old, update)
    assert accept_update(old, cosign_update(update, other_recipient)) == new


def test_two_of_three_signers_are_enough_whichever_they_are(signer, signer2, recipient, seal_bytes):
    keys = (signer, signer2, recipient)
    store = TrustStore.of(*(key.public_key for key in keys), threshold=2)
    for left_out in range(3):
        pair = [key for i, key in enumerate(keys) if i != left_out]
        assert _accepts(store, seal_bytes(b"content", signer=pair))
        assert not _accepts(store, seal_bytes(b"content", signer=keys[left_out]))


def test_a_key_signs_an_update_once(updates, signer):
    with pytest.raises(UsageError, match="has signed this update already"):
        cosign_update(updates[0], signer)


def test_an_update_needs_a_signer(stores):
    with pytest.raises(UsageError, match="no signer"):
        make_update(stores[0], stores[1], signers=[])


def test_no_byte_of_an_update_can_be_altered(stores, updates):
    update = updates[0]
    for position in range(0, len(update), 7):
        altered = bytearray(update)
        altered[position] ^= 1
        with pytest.raises(capseal.RejectedError):
            accept_update(stores[0], bytes(altered))


def test_a_seal_never_passes_for_an_update_nor_an_update_for_a_seal(stores, updates, signer, seal_bytes):
    envelope, _ = capseal.inspect(io.BytesIO(seal_bytes(b"content")))
    with pytest.raises(FormatError, match=r"is unknown, expected 'application/vnd.capseal.trust-update"):
        accept_update(stores[0], envelope.encode())
    with pytest.raises(FormatError, match="payloadType"):
        parse_statement(Envelope.parse(updates[0]))


@pytest.mark.parametrize(
    "statement",
    [
        {},
        {"previous": "0" * 64},
        {"previous": "0" * 63, "store": {}},
        {"previous": "0" * 64, "store": {}},
        {"previous": "0" * 64, "store": {"type": "capseal-trust-v1", "threshold": 1, "keys": []}},
        {"previous": "0" * 64, "store": [], "more": 1},
    ],
)
def test_what_is_no_update_is_refused_even_if_it_is_signed(stores, signer, statement):
    envelope = sign(UPDATE_TYPE, json.dumps(statement).encode(), [signer])
    with pytest.raises(FormatError):
        accept_update(stores[0], envelope.encode())
    with pytest.raises(FormatError):
        read_update(envelope.encode())


def test_an_update_of_absurd_size_is_not_even_parsed(stores):
    with pytest.raises(FormatError, match="envelope of 1048577 bytes"):
        accept_update(stores[0], b" " * (1024 * 1024 + 1))


def test_a_store_that_trusts_by_certificate_follows_too(signer, signer2):
    old, new = (make_certificate(key, name=name, now=NOW) for key, name in ((signer, "old"), (signer2, "new")))
    first = TrustStore(certificates=(TrustedCertificate(old.certificates[0]),))
    second = TrustStore(certificates=(TrustedCertificate(new.certificates[0]),), version=2)
    update = make_update(first, second, signers=[CertifiedSigner(signer, old), CertifiedSigner(signer2, new)])
    assert accept_update(first, update, now=NOW) == second
    with pytest.raises(SignatureError, match="'CN=old' expired"):
        accept_update(first, update, now=NOW + timedelta(days=4000))
