"""Who may vouch: thresholds of unique keys, roles, trust store files."""

import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from capseal import Expect, KeyFileError, NotForUsError, Role, SignatureError, TrustedKey, TrustStore, load_trust
from capseal.format.dsse import Signature

MESSAGE = b"message"
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def _signed(*keys):
    return [Signature(key.public_key.fingerprint, key.sign(MESSAGE)) for key in keys]


def _check(store, pairs, role=Role.PRODUCTION):
    return [trusted.key for trusted in store.check(MESSAGE, pairs, role=role, now=NOW)]


def test_one_trusted_signature_is_enough_for_threshold_1(trust, signer, signer2):
    assert _check(trust, _signed(signer)) == [signer.public_key]
    assert _check(trust, _signed(signer2, signer)) == [signer.public_key]


def test_untrusted_signatures_alone_are_refused(trust, signer2, recipient):
    with pytest.raises(SignatureError, match="which no trusted key matches"):
        _check(trust, _signed(signer2, recipient))


def test_a_threshold_counts_different_keys(trust_both, signer, signer2):
    assert _check(trust_both, _signed(signer, signer2)) == [signer.public_key, signer2.public_key]
    with pytest.raises(SignatureError, match="1 trusted production keys, the threshold is 2"):
        _check(trust_both, _signed(signer))


def test_one_key_signing_many_times_counts_once(trust_both, signer):
    with pytest.raises(SignatureError, match="1 trusted production keys, the threshold is 2"):
        _check(trust_both, _signed(*[signer] * 16))


def test_a_bad_signature_by_a_trusted_key_is_refused_even_beside_good_ones(trust_both, trust, signer, signer2):
    bad = Signature(signer2.public_key.fingerprint, signer2.sign(b"other"))
    with pytest.raises(SignatureError, match="does not fit the signed bytes"):
        _check(trust_both, [*_signed(signer), bad])
    # For a store that does not know signer2, that signature is a stranger's: it decides nothing.
    assert _check(trust, [*_signed(signer), bad]) == [signer.public_key]


def test_a_keyid_selects_the_key_and_another_keys_signature_does_not_fit_it(trust_both, signer, signer2):
    swapped = [
        Signature(signer.public_key.fingerprint, signer2.sign(MESSAGE)),
        Signature(signer2.public_key.fingerprint, signer.sign(MESSAGE)),
    ]
    with pytest.raises(SignatureError):
        _check(trust_both, swapped)


def test_a_pss_salt_of_another_length_is_refused(trust, signer):
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 20)
    signature = signer.rsa.sign(MESSAGE, scheme, hashes.SHA256())
    with pytest.raises(SignatureError):
        _check(trust, [Signature(signer.public_key.fingerprint, signature)])


def test_a_development_key_is_refused_where_production_is_demanded(development_trust, development_signer):
    with pytest.raises(NotForUsError, match="development key only"):
        _check(development_trust, _signed(development_signer))
    assert _check(development_trust, _signed(development_signer), Role.DEVELOPMENT) == [development_signer.public_key]


def test_production_signatures_satisfy_a_development_reader(development_trust, trust_both, signer):
    assert _check(development_trust, _signed(signer), Role.DEVELOPMENT) == [signer.public_key]
    with pytest.raises(SignatureError, match="threshold"):
        _check(trust_both, _signed(signer), Role.DEVELOPMENT)


def test_development_keys_do_not_count_for_the_production_threshold(signer, signer2, development_signer):
    store = TrustStore(
        (
            TrustedKey(signer.public_key),
            TrustedKey(signer2.public_key),
            TrustedKey(development_signer.public_key, Role.DEVELOPMENT),
        ),
        threshold=2,
    )
    pairs = _signed(signer, development_signer)
    with pytest.raises(SignatureError, match="1 trusted production keys, the threshold is 2"):
        _check(store, pairs)
    assert len(_check(store, pairs, Role.DEVELOPMENT)) == 2
    assert len(_check(store, _signed(signer, signer2, development_signer))) == 3


def test_stores_that_could_never_be_satisfied_are_refused(signer, signer2, development_signer):
    one = TrustedKey(signer.public_key)
    development = TrustedKey(development_signer.public_key, Role.DEVELOPMENT)
    for keys, threshold in (((), 1), ((one,), 0), ((one,), -1), ((one,), 2), ((one, development), 2)):
        with pytest.raises(KeyFileError, match="threshold"):
            TrustStore(keys, threshold)
    with pytest.raises(KeyFileError, match="the same key twice"):
        TrustStore((one, TrustedKey(signer.public_key, Role.DEVELOPMENT)))
    TrustStore((development,), 1)


def test_a_store_file_comes_back_equal(tmp_path, development_trust, trust_both):
    for i, store in enumerate((development_trust, trust_both)):
        store.save(tmp_path / f"{i}.json")
        assert load_trust(tmp_path / f"{i}.json") == store
    with pytest.raises(FileExistsError):
        trust_both.save(tmp_path / "0.json")


def test_a_pem_file_is_a_store_of_production_keys(tmp_path, signer, signer2):
    path = tmp_path / "keys.pem"
    path.write_bytes(signer.public_key.pem + signer2.public_key.pem)
    assert load_trust(path) == TrustStore.of(signer.public_key, signer2.public_key)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "capseal-trust-v2"},
        {"threshold": "1"},
        {"threshold": True},
        {"threshold": 1.0},
        {"threshold": 3},
        {"keys": []},
        {"keys": [{"role": "root", "public_key": ""}]},
        {"keys": [{"public_key": ""}]},
        {"keys": [7]},
        {"keys": 7},
        {"keys": [{"role": "production", "public_key": "ü"}]},
        {"surprise": 1},
    ],
)
def test_unusable_store_files_are_refused_and_named(tmp_path, trust_both, change):
    path = tmp_path / "trust.json"
    path.write_text(json.dumps(json.loads(trust_both.to_json()) | change))
    with pytest.raises(KeyFileError, match=r"trust\.json: "):
        load_trust(path)


@pytest.mark.parametrize("data", [b"", b"{", b"{}", b"{" * 200_000, b'{"type": 1}', b"\xff{", b'{"a":\xff}'])
def test_junk_is_no_trust_store(tmp_path, data):
    path = tmp_path / "trust.json"
    path.write_bytes(data)
    with pytest.raises(KeyFileError, match=r"trust\.json: "):
        load_trust(path)


def test_a_store_with_a_private_key_is_refused(tmp_path, signer):
    path = tmp_path / "trust.pem"
    path.write_bytes(signer.pem())
    with pytest.raises(KeyFileError, match="private key"):
        load_trust(path)


def test_reading_with_a_threshold_of_two(seal_bytes, unseal_bytes, trust_both, signer, signer2):
    assert unseal_bytes(seal_bytes(b"x", signer=[signer, signer2]), trust=trust_both) == b"x"
    with pytest.raises(SignatureError):
        unseal_bytes(seal_bytes(b"x"), trust=trust_both)


def test_a_development_bundle_is_for_development_readers(
    seal_bytes, unseal_bytes, development_signer, development_trust, trust
):
    bundle = seal_bytes(b"x", signer=development_signer)
    assert unseal_bytes(bundle, trust=development_trust, expect=Expect(role=Role.DEVELOPMENT)) == b"x"
    with pytest.raises(NotForUsError):
        unseal_bytes(bundle, trust=development_trust)
    for role in Role:
        with pytest.raises(SignatureError):
            unseal_bytes(bundle, trust=trust, expect=Expect(role=role))
