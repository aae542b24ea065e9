"""Keys by purpose: thresholds of root and head keys, no key with two purposes, and what a store says of heads."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from capseal import FormatError, KeyFileError, NotForUsError, Role, SignatureError, TrustedKey, TrustStore
from capseal.format.dsse import Signature
from capseal.trust.certificates import make_certificate
from capseal.trust.key_sets import HeadPolicy, KeySet, Restart
from capseal.trust.store import TrustedCertificate, parse_store
from support.company import NOW, Company

MESSAGE = b"message"
UNTIL = NOW + timedelta(days=1000)


def _signed(*keys):
    return [Signature(key.public_key.fingerprint, key.sign(MESSAGE)) for key in keys]


@pytest.fixture(scope="module")
def two_of_three(roots):
    return KeySet.of(*(key.public_key for key in roots), threshold=2)


@pytest.fixture(scope="module")
def store(signer, roots, head_signer, development_head_signer):
    heads = HeadPolicy(86400, UNTIL, KeySet.of(head_signer.public_key), KeySet.of(development_head_signer.public_key))
    return TrustStore(
        (TrustedKey(signer.public_key),),
        root=KeySet.of(*(key.public_key for key in roots), threshold=2),
        heads=heads,
        created=NOW,
        restart=Restart(7, NOW),
    )


def test_a_threshold_of_different_keys_must_have_signed(two_of_three, roots):
    for pair in (roots[:2], roots[1:], (roots[2], roots[0]), roots):
        assert two_of_three.check(MESSAGE, _signed(*pair), what="it") == tuple(key.public_key for key in pair)
    for few in (roots[:1], [roots[0]] * 16):
        with pytest.raises(SignatureError, match="it: signed by 1 of its 3 keys, the threshold is 2 different ones"):
            two_of_three.check(MESSAGE, _signed(*few), what="it")


def test_a_strangers_signature_counts_for_nothing_and_does_no_harm(two_of_three, roots, signer):
    stranger = Signature(signer.public_key.fingerprint, signer.sign(b"other"))
    with pytest.raises(SignatureError, match="signed by 1 of its 3"):
        two_of_three.check(MESSAGE, [*_signed(roots[0]), stranger], what="it")
    assert len(two_of_three.check(MESSAGE, [stranger, *_signed(*roots[:2])], what="it")) == 2


def test_a_signature_that_names_a_key_of_the_set_must_verify_or_all_are_refused(two_of_three, roots):
    bad = Signature(roots[2].public_key.fingerprint, roots[2].sign(b"other"))
    with pytest.raises(SignatureError, match="does not fit the signed bytes"):
        two_of_three.check(MESSAGE, [*_signed(*roots[:2]), bad], what="it")


@pytest.mark.parametrize(("count", "threshold"), [(0, 1), (1, 0), (1, 2), (3, 4)])
def test_a_set_demands_no_more_signatures_than_it_has_keys_and_at_least_one(roots, count, threshold):
    with pytest.raises(KeyFileError, match=f"has threshold {threshold} and {count} keys"):
        KeySet(tuple(key.public_key for key in roots[:count]), threshold)


def test_a_set_names_a_key_once(roots):
    with pytest.raises(KeyFileError, match="names the same key twice"):
        KeySet.of(roots[0].public_key, roots[0].public_key)


@pytest.mark.parametrize("max_age_s", [0, 366 * 86400 + 1])
def test_heads_are_valid_for_a_year_at_most(head_signer, max_age_s):
    with pytest.raises(KeyFileError, match=f"heads of {max_age_s} s, from 1 to 31622400 are allowed"):
        HeadPolicy(max_age_s, UNTIL, KeySet.of(head_signer.public_key))


def test_heads_of_a_role_have_keys_of_their_own_or_none(store, head_signer, development_head_signer):
    assert store.heads.keys(Role.PRODUCTION).keys == (head_signer.public_key,)
    assert store.heads.keys(Role.DEVELOPMENT).keys == (development_head_signer.public_key,)
    with pytest.raises(NotForUsError, match="no head keys for development"):
        replace(store.heads, development=None).keys(Role.DEVELOPMENT)


def test_a_store_with_every_purpose_is_read_as_it_was_written(store):
    text = store.to_json()
    again = parse_store(json.loads(text))
    assert again == store
    assert (again.to_json(), again.digest) == (text, store.digest)
    assert (again.epoch, again.created, again.restart) == (1, NOW, Restart(7, NOW))


def test_a_store_without_purposes_is_written_as_ever(trust):
    assert list(json.loads(trust.to_json())) == ["type", "version", "threshold", "keys"]


def test_no_key_has_two_purposes(store, signer, roots, head_signer, development_head_signer):
    heads = store.heads
    for broken, names in (
        ({"keys": (TrustedKey(roots[0].public_key),)}, "for releases and for root"),
        ({"keys": (TrustedKey(head_signer.public_key),)}, "for releases and for production heads"),
        (
            {"keys": (*store.keys, TrustedKey(development_head_signer.public_key, Role.DEVELOPMENT))},
            "for releases and for development heads",
        ),
        ({"root": KeySet.of(head_signer.public_key)}, "for root and for production heads"),
        ({"root": KeySet.of(development_head_signer.public_key)}, "for root and for development heads"),
        (
            {"heads": replace(heads, development=heads.production)},
            "for production heads and for development heads",
        ),
    ):
        with pytest.raises(KeyFileError, match=f"is {names}; no key has two purposes"):
            replace(store, **broken)


def test_the_key_of_a_trusted_certificate_has_no_other_purpose(store, roots):
    certificate = make_certificate(roots[0], name="root", now=NOW).certificates[0]
    with pytest.raises(KeyFileError, match="for releases and for root"):
        replace(store, certificates=(TrustedCertificate(certificate),))


def test_a_key_that_a_ca_certifies_vouches_for_no_release_where_the_store_has_it_for_something_else(
    store, signer2, recipient, head_signer
):
    # The CA is trusted for releases, and has certified the key that says what is current.
    company = Company(signer2, recipient, head_signer)
    signature = company.sign()
    trusting = replace(store, certificates=(TrustedCertificate(company.root),))
    with pytest.raises(SignatureError, match="is for a key that is for production heads here"):
        trusting.check(MESSAGE, [signature], role=Role.PRODUCTION, now=NOW)
    without = replace(trusting, heads=None)
    assert without.check(MESSAGE, [signature], role=Role.PRODUCTION, now=NOW)


@pytest.mark.parametrize("part", ["root", "heads", "restart", "epoch"])
def test_a_store_with_a_purpose_says_when_it_was_created(store, part):
    bare = {"root": None, "heads": None, "restart": None, "epoch": 1, "created": None}
    assert replace(store, **bare)
    with pytest.raises(KeyFileError, match="but not when it was created"):
        replace(store, **bare | {part: 2 if part == "epoch" else getattr(store, part)})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("root.threshold", 0, "trust store.root.threshold: 0 is not from 1"),
        ("root.threshold", 4, "trust store.root: set of keys has threshold 4 and 3 keys"),
        ("root.keys", [], "trust store.root.keys: 0 items, from 1 to 16 are allowed"),
        ("root.keys", [7], r"trust store.root.keys\[0\]: expected a string"),
        ("root.more", 1, "trust store.root: unknown member 'more'"),
        ("root", None, "trust store.root: expected an object, found null"),
        ("heads.max_age_s", 0, "trust store.heads.max_age_s: 0 is not from 1 to 31622400"),
        ("heads.until", "2031", "trust store.heads.until: '2031' is not a time"),
        ("heads.production", {}, "trust store.heads.production: member 'threshold' is missing"),
        ("heads.staging", {}, "trust store.heads: unknown member 'staging'"),
        ("epoch", 0, "trust store.epoch: 0 is not from 1"),
        ("created", "2026-11-28T00:00:00+00:00", "trust store.created: .* is not a time"),
        ("restart.sequence", -1, "trust store.restart.sequence: -1 is not from 0"),
        ("restart.created", "now", "trust store.restart.created: 'now' is not a time"),
    ],
)
def test_a_store_with_one_defect_is_refused_at_its_place(store, path, value, message):
    whole = json.loads(store.to_json())
    *parents, name = path.split(".")
    part = whole
    for parent in parents:
        part = part[parent]
    part[name] = value
    with pytest.raises((FormatError, KeyFileError), match=message):
        parse_store(whole)
