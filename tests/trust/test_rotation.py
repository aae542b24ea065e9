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
from capseal.format import strictjson
from capseal.format.dsse import Envelope
from capseal.format.seal import parse_statement
from capseal.trust.certificates import make_certificate
from capseal.trust.key_sets import HeadPolicy, KeySet
from capseal.trust.signing import sign
from capseal.trust.updates import (
    UPDATE_TYPE,
    accept_update,
    cosign_update,
    follow,
    make_update,
    next_epoch,
    read_update,
    signed_by,
    stores_before,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def _set(*keys, threshold=1):
    return KeySet(tuple(key.public_key for key in keys), threshold)


@pytest.fixture(scope="module")
def root(roots):
    return roots[0]


@pytest.fixture(scope="module")
def stores(signer, signer2, root, head_signer):
    """The three stores of a rotation: the old key; the old or the new one; the new one."""
    old, new = TrustedKey(signer.public_key), TrustedKey(signer2.public_key)
    heads = HeadPolicy(86400, NOW + timedelta(days=1000), _set(head_signer))
    first = TrustStore((old,), root=_set(root), heads=heads, created=NOW)
    return first, replace(first, keys=(old, new), version=2), replace(first, keys=(new,), version=3)


@pytest.fixture(scope="module")
def updates(stores, root):
    first, second, third = stores
    return make_update(first, second, signers=[root]), make_update(second, third, signers=[root])


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


def test_an_update_cannot_be_skipped(stores, updates, root):
    before, _, after = stores
    with pytest.raises(NotForUsError, match="update to version 3 is for trust store"):
        accept_update(before, updates[1])
    with pytest.raises(UsageError, match="new store has version 3, the update of version 1 must be one more"):
        make_update(before, after, signers=[root])


def test_an_update_is_for_one_store_only(stores, updates, development_signer):
    development = replace(
        stores[0], keys=(*stores[0].keys, TrustedKey(development_signer.public_key, capseal.Role.DEVELOPMENT))
    )
    with pytest.raises(NotForUsError, match=f"is for trust store {stores[0].digest[:16]}, here is version 1"):
        accept_update(development, updates[0])


def test_no_key_but_a_root_changes_the_store(stores, signer, head_signer, signer2):
    # The thief of every other key at once: releases, heads, and one of his own.
    taken = replace(stores[0], keys=(TrustedKey(signer2.public_key),), version=2)
    update = make_update(stores[0], taken, signers=[signer, head_signer, signer2])
    with pytest.raises(SignatureError, match="version 1, whose root: signed by 0 of its 1 keys, the threshold is 1"):
        accept_update(stores[0], update)


def test_a_store_without_a_root_takes_no_update(stores, root, signer):
    bare = TrustStore.of(signer.public_key)
    with pytest.raises(UsageError, match="has no root, which signs updates"):
        make_update(bare, replace(stores[1]), signers=[root])
    content = strictjson.encode({"previous": bare.digest, "store": stores[1].to_value()})
    with pytest.raises(NotForUsError, match="trust store version 1 has no root, so nobody may change it"):
        accept_update(bare, sign(UPDATE_TYPE, content, [root, signer]).encode())


def test_an_update_must_leave_a_root(stores, root):
    bare = replace(stores[1], root=None)
    with pytest.raises(UsageError, match="has no root, which signs updates"):
        make_update(stores[0], bare, signers=[root])
    content = strictjson.encode({"previous": stores[0].digest, "store": bare.to_value()})
    with pytest.raises(FormatError, match="version 2 has no root, and could never be changed again"):
        accept_update(stores[0], sign(UPDATE_TYPE, content, [root]).encode())


def test_a_threshold_of_the_old_root_and_of_the_new_one_must_have_signed(stores, roots, recipient):
    old = replace(stores[0], root=_set(*roots, threshold=2))
    new = replace(old, root=_set(*roots[1:], recipient, threshold=3), version=2)
    update = make_update(old, new, signers=[roots[0]])
    with pytest.raises(SignatureError, match="version 1, whose root: signed by 1 of its 3 keys, the threshold is 2"):
        accept_update(old, update)
    for one_more, count in ((roots[1], 1), (roots[2], 2)):
        update = cosign_update(update, one_more)
        with pytest.raises(SignatureError, match=f"version 2, whose root: signed by {count} of its 3 .* is 3"):
            accept_update(old, update)
    assert accept_update(old, cosign_update(update, recipient)) == new


def test_an_update_of_the_new_roots_alone_is_refused(stores, signer, signer2):
    # It would make its maker the root.
    taken = replace(stores[0], root=_set(signer2), version=2)
    with pytest.raises(SignatureError, match="update of trust store version 1, whose root: signed by 0 of its 1 keys"):
        accept_update(stores[0], make_update(stores[0], taken, signers=[signer2, signer]))


def test_the_epoch_rises_by_one_with_the_keys_of_heads_and_with_nothing_else(
    stores, root, roots, head_signer, development_head_signer, signer2
):
    first, heads = stores[0], stores[0].heads
    policies = {
        "other key": (replace(heads, production=_set(signer2)), 2),
        "one key more": (replace(heads, production=_set(head_signer, signer2)), 2),
        "development": (replace(heads, development=_set(development_head_signer)), 2),
        "none": (None, 2),
        "longer": (replace(heads, max_age_s=2 * heads.max_age_s), 1),
        "later": (replace(heads, until=NOW + timedelta(days=2000)), 1),
    }
    for name, (policy, epoch) in policies.items():
        for tried in (1, 2, 3):
            new = replace(first, heads=policy, epoch=tried, version=2, created=NOW + timedelta(days=tried))
            content = strictjson.encode({"previous": first.digest, "store": new.to_value()})
            update = sign(UPDATE_TYPE, content, [root]).encode()
            if tried == epoch:
                assert accept_update(first, update) == new, name
                assert make_update(first, new, signers=[root])
                continue
            with pytest.raises(FormatError, match=f"epoch {tried} follows epoch 1, expected {epoch}"):
                accept_update(first, update)
            with pytest.raises(UsageError, match=f"has epoch {tried}, after this change it must be {epoch}"):
                make_update(first, new, signers=[root])


def test_the_threshold_of_heads_is_part_of_their_keys_and_their_order_is_not(stores, head_signer, signer2):
    two = replace(stores[0], heads=replace(stores[0].heads, production=_set(head_signer, signer2)))
    turned = replace(two, heads=replace(two.heads, production=_set(signer2, head_signer)))
    both = replace(two, heads=replace(two.heads, production=_set(head_signer, signer2, threshold=2)))
    assert [next_epoch(two, other) for other in (two, turned, both)] == [1, 1, 2]


def test_two_of_three_signers_are_enough_whichever_they_are(signer, signer2, recipient, seal_bytes):
    keys = (signer, signer2, recipient)
    store = TrustStore.of(*(key.public_key for key in keys), threshold=2)
    for left_out in range(3):
        pair = [key for i, key in enumerate(keys) if i != left_out]
        assert _accepts(store, seal_bytes(b"content", signer=pair))
        assert not _accepts(store, seal_bytes(b"content", signer=keys[left_out]))


def test_a_key_signs_an_update_once(updates, root):
    with pytest.raises(UsageError, match="has signed this update already"):
        cosign_update(updates[0], root)


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
    with pytest.raises(FormatError, match="payloadType"):
        parse_statement(Envelope.parse(updates[0]))
    with pytest.raises(FormatError, match=r"is unknown, expected 'application/vnd.capseal.trust-update"):
        accept_update(stores[0], envelope.encode())


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
def test_what_is_no_update_is_refused_even_if_it_is_signed(stores, root, statement):
    envelope = sign(UPDATE_TYPE, json.dumps(statement).encode(), [root])
    with pytest.raises(FormatError):
        accept_update(stores[0], envelope.encode())
    with pytest.raises(FormatError):
        read_update(envelope.encode())


def test_an_update_of_absurd_size_is_not_even_parsed(stores):
    with pytest.raises(FormatError, match="envelope of 1048577 bytes"):
        accept_update(stores[0], b" " * (1024 * 1024 + 1))


def test_a_store_that_trusts_by_certificate_follows_whatever_the_date(stores, root, signer, signer2):
    # What the root signs is judged by no clock: a device may have none that is right.
    past = datetime(2001, 1, 1, tzinfo=UTC)
    old, new = (make_certificate(key, name=name, days=1, now=past) for key, name in ((signer, "old"), (signer2, "new")))
    first = replace(stores[0], keys=(), certificates=(TrustedCertificate(old.certificates[0]),))
    second = replace(first, certificates=(TrustedCertificate(new.certificates[0]),), version=2)
    assert accept_update(first, make_update(first, second, signers=[root])) == second


def test_a_roots_signature_carries_no_certificate(stores, root):
    certified = CertifiedSigner(root, make_certificate(root, name="root", now=NOW))
    with pytest.raises(SignatureError, match="carries certificates, bare keys sign it"):
        accept_update(stores[0], make_update(stores[0], stores[1], signers=[certified]))


def test_the_stores_of_before_are_those_whose_digests_the_updates_name(stores, root, signer2):
    first, second, third = stores
    documents = {
        1: first.to_json(),
        2: make_update(first, second, signers=[root]),
        3: make_update(second, third, signers=[root]),
    }
    assert list(stores_before(third, documents.get)) == [second, first]
    assert list(stores_before(second, documents.get)) == [first]
    assert list(stores_before(first, documents.get)) == []
    # Whoever hands them on can hold some back, and put nothing else in their place.
    assert list(stores_before(third, {**documents, 1: None}.get)) == [second]
    assert list(stores_before(third, {**documents, 2: None}.get)) == []
    forged = replace(second, keys=(TrustedKey(signer2.public_key),))
    assert list(stores_before(third, {**documents, 2: make_update(first, forged, signers=[signer2])}.get)) == []
    elsewhere = make_update(
        first, replace(second, keys=first.keys, root=KeySet.of(signer2.public_key)), signers=[signer2]
    )
    assert list(stores_before(third, {**documents, 2: elsewhere}.get)) == []
    assert list(stores_before(third, {**documents, 1: forged.to_json()}.get)) == [second]


def test_what_an_update_says_of_the_store_before_is_believed_if_the_root_signed_it(stores, root, signer2):
    first, second, third = stores
    forged = replace(second, keys=(TrustedKey(signer2.public_key),))
    statement = json.dumps({"previous": forged.digest, "store": third.to_value()}).encode()
    documents = {
        1: first.to_json(),
        2: make_update(first, forged, signers=[signer2]),
        3: sign(UPDATE_TYPE, statement, [signer2]).encode(),
    }
    assert list(stores_before(third, documents.get)) == []
    assert list(stores_before(third, {**documents, 2: forged.to_json()}.get)) == []
    documents[3] = make_update(second, third, signers=[root])
    documents[2] = sign(
        UPDATE_TYPE, json.dumps({"previous": first.digest, "store": second.to_value()}).encode(), [signer2]
    ).encode()
    assert list(stores_before(third, documents.get)) == []


def test_an_update_says_how_many_of_a_root_signed_it(stores, root, roots, signer):
    first, second, _ = stores
    update = make_update(first, second, signers=[root])
    both = _set(root, roots[1], threshold=2)
    assert (signed_by(update, first.root), signed_by(update, both), signed_by(update, _set(signer))) == (1, 1, 0)
    assert signed_by(cosign_update(update, roots[1]), both) == 2
