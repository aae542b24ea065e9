"""Trust by certificate: chains, dates, usage, revocation; and no byte of a certificate that can be altered."""

import io
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

import capseal
from capseal import (
    CertifiedSigner,
    Chain,
    Expect,
    KeyFileError,
    PrivateKey,
    Role,
    SignatureError,
    TrustedCertificate,
    TrustedKey,
    TrustStore,
    load_trust,
)
from capseal.constants import MAX_CERTIFICATES
from capseal.format.dsse import Signature
from capseal.trust.certificates import load_certificates, load_chain, load_crls, make_certificate, make_request
from support.company import DAY, MESSAGE, NOW, Company, issue, revocation_list, signature
from support.tools import require_tool


def check(store, *signatures, role=Role.PRODUCTION, now=NOW):
    return [trusted.key for trusted in store.check(MESSAGE, signatures, role=role, now=now)]


@pytest.fixture(scope="module")
def company(signer2, recipient, signer):
    return Company(signer2, recipient, signer)


@pytest.fixture(scope="module")
def store(company):
    """Trusts the company's root, and no key."""
    return TrustStore(certificates=(TrustedCertificate(company.root),))


def refused(store, company, message, own=None, *, now=NOW, **keywords):
    with pytest.raises(SignatureError, match=message):
        check(store, company.sign(own, **keywords), now=now)


# --- what is accepted


def test_a_ca_vouches_for_the_keys_that_it_certified(store, company):
    assert check(store, company.sign()) == [company.key.public_key]


def test_any_certificate_of_the_chain_can_be_the_trusted_one(company):
    for certificate in (company.root, company.issuing, company.own):
        store = TrustStore(certificates=(TrustedCertificate(certificate),))
        assert check(store, company.sign()) == [company.key.public_key]


def test_a_self_signed_certificate_is_trusted_by_itself_for_as_long_as_it_is_valid(signer):
    chain = make_certificate(signer, name="Ada", days=30, now=NOW)
    store = TrustStore(certificates=(TrustedCertificate(chain.certificates[0]),))
    made = Signature(signer.public_key.fingerprint, signer.sign(MESSAGE), chain.der)
    for now in (NOW - timedelta(hours=1), NOW, NOW + 30 * DAY):
        assert check(store, made, now=now) == [signer.public_key]
    with pytest.raises(
        SignatureError, match=r"'CN=Ada' expired at 2026-12-22T00:00:00Z, it is now 2026-12-22T00:00:01Z"
    ):
        check(store, made, now=NOW + 30 * DAY + timedelta(seconds=1))
    with pytest.raises(SignatureError, match=r"'CN=Ada' is not valid before 2026-11-21T23:00:00Z"):
        check(store, made, now=NOW - timedelta(hours=1, seconds=1))


def test_a_certificate_trusts_in_its_role_only(company):
    store = TrustStore(certificates=(TrustedCertificate(company.root, Role.DEVELOPMENT),))
    assert check(store, company.sign(), role=Role.DEVELOPMENT) == [company.key.public_key]
    with pytest.raises(capseal.NotForUsError, match="development key only"):
        check(store, company.sign())


def test_a_key_that_is_trusted_by_itself_needs_no_valid_certificate(company, trust):
    expired = company.certify(end=NOW - DAY, usages=())
    assert check(trust, company.sign(expired)) == [company.key.public_key]


# --- what is refused, each with its own message


def test_an_expired_certificate_is_refused(store, company):
    refused(store, company, r"'CN=Ada' expired at 2026-11-21T00:00:00Z, it is now", company.certify(end=NOW - DAY))


def test_a_certificate_that_is_not_yet_valid_is_refused(store, company):
    refused(store, company, r"'CN=Ada' is not valid before 2026-11-23T00:00:00Z", company.certify(start=NOW + DAY))


def test_an_expired_ca_is_refused(store, company):
    refused(store, company, "'CN=(Root|Issuing)' expired", company.certify(end=NOW + 99 * DAY), now=NOW + 11 * DAY)


def test_a_certificate_for_something_else_is_refused(store, company):
    for usages, found in (((), "none"), ((ExtendedKeyUsageOID.SERVER_AUTH,), "1.3.6.1.5.5.7.3.1")):
        refused(store, company, f"not for code signing: .*, found {found}", company.certify(usages=usages))


def test_a_certificate_whose_key_usage_is_not_signing_is_refused(store, company):
    usage = x509.KeyUsage(False, False, True, False, False, False, False, False, False)
    refused(store, company, "lacks digitalSignature", company.certify(extensions=[(usage, True)]))


def test_a_broken_chain_is_refused(store, company, other_recipient):
    stranger = issue("Ada", company.key.rsa, "Issuing", other_recipient.rsa)
    refused(store, company, "broken chain: certificate 'CN=Ada' is not signed by the next one, 'CN=Issuing'", stranger)
    with pytest.raises(SignatureError, match="broken chain: it ends in 'CN=Issuing', which is not self-signed"):
        check(store, signature(company.key, [company.own, company.issuing]))
    with pytest.raises(SignatureError, match="chain goes on after 'CN=Root', which is self-signed"):
        check(store, signature(company.key, [company.own, company.issuing, company.root, company.root]))


def test_a_chain_of_another_ca_is_a_strangers(store, company, other_recipient):
    other = issue("Root", other_recipient.rsa, "Root", other_recipient.rsa, ca=True)
    own = issue("Ada", company.key.rsa, "Root", other_recipient.rsa)
    with pytest.raises(SignatureError, match="which no trusted key matches"):
        check(store, signature(company.key, [own, other]))


def test_a_revoked_certificate_is_refused(store, company):
    crls = (revocation_list("Issuing", company.issuing_key.rsa, 1, company.own.serial_number),)
    refused(replace(store, crls=crls), company, r"'CN=Ada' was revoked at 2026-11-17T00:00:00Z")
    other = (revocation_list("Issuing", company.issuing_key.rsa, 1, company.own.serial_number + 1),)
    assert check(replace(store, crls=other), company.sign()) == [company.key.public_key]


def test_a_revoked_issuing_ca_is_refused(store, company):
    crls = (revocation_list("Root", company.root_key.rsa, company.issuing.serial_number),)
    refused(replace(store, crls=crls), company, "'CN=Issuing' was revoked")


def test_a_revocation_list_must_be_current_and_the_issuers_own(store, company):
    old = (revocation_list("Issuing", company.issuing_key.rsa, end=NOW - DAY),)
    refused(replace(store, crls=old), company, "revocation list of 'CN=Issuing' is out of date: it ended at 2026-11-21")
    forged = (revocation_list("Issuing", company.root_key.rsa),)
    refused(replace(store, crls=forged), company, "revocation list of 'CN=Issuing' is not signed by")


def test_who_is_no_ca_cannot_certify_others(company, other_recipient):
    store = TrustStore(certificates=(TrustedCertificate(company.own), TrustedCertificate(company.root)))
    mallory = issue("Mallory", other_recipient.rsa, "Ada", company.key.rsa)
    made = signature(other_recipient, [mallory, company.own, company.issuing, company.root])
    with pytest.raises(SignatureError, match="chain of 'CN=Mallory' does not lead to 'CN=Ada'"):
        check(store, made)
    with pytest.raises(SignatureError, match=r"does not lead to 'CN=Root': .*basicConstraints"):
        check(TrustStore(certificates=(TrustedCertificate(company.root),)), made)


def test_an_issuer_may_not_exceed_its_path_length(store, company, other_recipient):
    below = issue("Below", other_recipient.rsa, "Issuing", company.issuing_key.rsa, ca=True)
    own = issue("Ada", company.key.rsa, "Below", other_recipient.rsa)
    with pytest.raises(SignatureError, match="path length"):
        check(store, signature(company.key, [own, below, company.issuing, company.root]))


def test_an_issuer_whose_key_usage_forbids_it_is_refused(store, company):
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    middle = issue(
        "Issuing", company.issuing_key.rsa, "Root", company.root_key.rsa, ca=True, extensions=[(usage, True)]
    )
    refused(store, company, "keyCertSign", middle=middle)


def test_an_unknown_critical_extension_is_refused(store, company):
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    refused(store, company, "unaccounted-for critical extensions", company.certify(extensions=[(unknown, True)]))


def test_weak_keys_and_digests_are_refused_anywhere_in_the_chain(store, company):
    small = rsa.generate_private_key(65537, 2048)
    middle = issue("Issuing", small, "Root", company.root_key.rsa, ca=True)
    own = issue("Ada", company.key.rsa, "Issuing", small)
    refused(store, company, "'CN=Issuing': RSA key has 2048 bits", own, middle=middle)
    curve = ec.generate_private_key(ec.SECP256R1())
    middle = issue("Issuing", curve, "Root", company.root_key.rsa, ca=True)
    refused(
        store,
        company,
        "'CN=Issuing' does not hold an RSA key",
        issue("Ada", company.key.rsa, "Issuing", curve),
        middle=middle,
    )
    sha224 = company.certify(digest=hashes.SHA224())
    refused(store, company, "'CN=Ada' is not signed with SHA-256", sha224)


def test_a_certificate_for_another_key_is_refused(store, company, other_recipient):
    own = issue("Ada", other_recipient.rsa, "Issuing", company.issuing_key.rsa)
    refused(store, company, "is for key .*, the signature says", own)


def test_a_signature_by_another_key_than_the_certified_one_is_refused(store, company):
    made = replace(company.sign(), sig=company.root_key.sign(MESSAGE))
    with pytest.raises(SignatureError, match="does not fit the signed bytes"):
        check(store, made)


def test_one_key_with_two_certificates_counts_once(company):
    store = TrustStore(certificates=(TrustedCertificate(company.root),), threshold=2)
    with pytest.raises(SignatureError, match="1 trusted production keys, the threshold is 2"):
        check(store, company.sign(), company.sign(company.certify()))


def test_one_key_trusted_by_itself_and_by_a_ca_counts_once(company):
    store = TrustStore((TrustedKey(company.key.public_key),), 2, (TrustedCertificate(company.root),))
    with pytest.raises(SignatureError, match="1 trusted production keys, the threshold is 2"):
        check(store, company.sign(), Signature(company.key.public_key.fingerprint, company.key.sign(MESSAGE)))


def test_an_expired_certificate_does_not_spoil_a_bundle_that_others_vouch_for(company, other_recipient):
    store = TrustStore((TrustedKey(other_recipient.public_key),), 1, (TrustedCertificate(company.root),))
    good = Signature(other_recipient.public_key.fingerprint, other_recipient.sign(MESSAGE))
    assert check(store, company.sign(company.certify(end=NOW - DAY)), good) == [other_recipient.public_key]


# --- nothing that no signature covers can be altered unnoticed


def test_no_byte_of_any_certificate_can_be_altered_even_if_the_key_is_trusted_by_itself(trust, company):
    whole = company.sign()
    for i, der in enumerate(whole.x5c):
        for position in range(i, len(der), 3):  # the soak test takes every bit
            altered = bytearray(der)
            altered[position] ^= 1 << (position % 8)
            x5c = (*whole.x5c[:i], bytes(altered), *whole.x5c[i + 1 :])
            with pytest.raises(SignatureError):
                check(trust, replace(whole, x5c=x5c))


@pytest.mark.soak
def test_no_bit_of_any_certificate_can_be_altered(trust, company):
    whole = company.sign()
    for i, der in enumerate(whole.x5c):
        for bit in range(8 * len(der)):
            altered = bytearray(der)
            altered[bit // 8] ^= 1 << (bit % 8)
            x5c = (*whole.x5c[:i], bytes(altered), *whole.x5c[i + 1 :])
            with pytest.raises(SignatureError):
                check(trust, replace(whole, x5c=x5c))


def test_certificates_cannot_be_reordered_dropped_or_added_in_a_chain(trust, company):
    own, middle, root = company.sign().x5c
    for x5c in (
        (root,),
        (own,),
        (own, root),
        (middle, own, root),
        (own, middle),
        (own, middle, root, own),
        (own + b"\0", middle, root),
    ):
        with pytest.raises(SignatureError):
            check(trust, replace(company.sign(), x5c=x5c))


def test_a_chain_ends_with_its_first_self_signed_certificate(trust, company):
    whole = company.sign()
    with pytest.raises(SignatureError, match="chain goes on after 'CN=Root', which is self-signed"):
        check(trust, replace(whole, x5c=(*whole.x5c, whole.x5c[-1])))


def test_the_signature_of_a_certificate_is_whole_bytes(trust, company):
    # Where its last bit is 0, a count of one unused bit is well-formed, and no signature covers the count.
    own = next(one for one in iter(company.certify, None) if one.signature[-1] % 2 == 0)
    whole = company.sign(own)
    altered = bytearray(whole.x5c[0])
    altered[-len(own.signature) - 1] = 1
    assert check(trust, whole) == [company.key.public_key]
    with pytest.raises(SignatureError, match="is not whole bytes"):
        check(trust, replace(whole, x5c=(bytes(altered), *whole.x5c[1:])))


def test_the_certificates_of_a_stranger_must_be_whole_as_well(store, trust, company, other_recipient):
    root = issue("Root", other_recipient.rsa, "Root", other_recipient.rsa, ca=True)
    stranger = signature(other_recipient, [root])
    good = Signature(company.key.public_key.fingerprint, company.key.sign(MESSAGE))
    assert check(trust, good, stranger) == [company.key.public_key]
    with pytest.raises(SignatureError, match="cannot be parsed"):
        check(trust, good, replace(stranger, x5c=(stranger.x5c[0][:-1],)))
    with pytest.raises(SignatureError, match="does not fit the signed bytes"):
        check(trust, good, replace(stranger, sig=other_recipient.sign(b"other")))


@pytest.mark.parametrize(
    ("found", "altered"),
    [
        (b"\x0c\x07Issuing", b"\x03\x07\0ssuing"),  # a bit string for a name: cryptography raises TypeError
        (b"0\x0e\x06\x03U\x04\x03\x0c\x07Issuing", b"0\x0e\x06\x03U\x04\x03\x0c\0\x04\x05Issui"),
        (b"\x0c\x07Issuing", b"\x1e\x07Issuing"),  # half a character of UTF-16
        (b"\x0c\x07Issuing", b"\x0c\x07\xff\xffuing"),
    ],
)
def test_a_name_that_cannot_be_parsed_is_a_refused_chain_whatever_parsing_it_raises(company, found, altered):
    own = company.own.public_bytes(Encoding.DER)
    assert found in own
    with pytest.raises(SignatureError):
        Chain.parse([own.replace(found, altered)])


def test_a_warning_about_a_certificate_is_a_refusal_where_warnings_are_errors(company):
    """pytest makes errors of warnings here, as applications may; cryptography warns of a name without characters."""
    with pytest.warns(UserWarning, match="must be >= 1"):
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "", _validate=False)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(company.issuing.subject)
    builder = builder.public_key(company.key.rsa.public_key()).serial_number(1)
    builder = builder.not_valid_before(NOW - DAY).not_valid_after(NOW + DAY)
    own = builder.sign(company.issuing_key.rsa, hashes.SHA256())
    with pytest.raises(SignatureError, match="must be >= 1"):
        Chain.parse(
            [own.public_bytes(Encoding.DER), *(c.public_bytes(Encoding.DER) for c in (company.issuing, company.root))]
        )


# --- in a bundle


@pytest.fixture(scope="module")
def certified_bundle(company, seal_bytes):
    chain = Chain.of([company.own, company.issuing, company.root])
    return seal_bytes(b"content", signer=CertifiedSigner(company.key, chain), created=NOW)


def test_a_bundle_carries_its_signers_certificates(certified_bundle, store, company, unseal_bytes):
    envelope, _ = capseal.inspect(io.BytesIO(certified_bundle))
    assert envelope.signatures[0].x5c == company.sign().x5c
    assert unseal_bytes(certified_bundle, trust=store, expect=Expect(now=NOW)) == b"content"
    verified = capseal.verify(io.BytesIO(certified_bundle), trust=store, expect=Expect(now=NOW))
    assert verified.signers[0].chain.subject == "CN=Ada"
    assert verified.signers[0].anchor == company.root


def test_a_certificate_must_have_been_valid_when_the_bundle_was_made(store, company, seal_bytes):
    chain = Chain.of([company.own, company.issuing, company.root])
    signer = CertifiedSigner(company.key, chain)
    for created, message in ((NOW - 11 * DAY, "is not valid before"), (NOW + 11 * DAY, "expired at")):
        bundle = seal_bytes(b"content", signer=signer, created=created)
        with pytest.raises(SignatureError, match=f"{message}.*, the bundle was made at {created:%Y-%m-%d}"):
            capseal.verify(io.BytesIO(bundle), trust=store, expect=Expect(now=NOW))


def test_the_clock_is_the_systems_where_none_is_given(company, seal_bytes, signer):
    chain = make_certificate(signer, name="Ada", days=1)
    bundle = seal_bytes(b"content", signer=CertifiedSigner(signer, chain))
    store = TrustStore(certificates=(TrustedCertificate(chain.certificates[0]),))
    assert capseal.verify(io.BytesIO(bundle), trust=store).signers[0].key == signer.public_key
    with pytest.raises(SignatureError, match="expired"):
        capseal.verify(io.BytesIO(bundle), trust=store, expect=Expect(now=datetime.now(UTC) + 2 * DAY))


def test_cosign_adds_certificates_too(certified_bundle, store, company, signer2):
    chain = make_certificate(signer2, name="Bob", now=NOW)
    output = io.BytesIO()
    capseal.cosign(
        io.BytesIO(certified_bundle),
        output,
        signer=CertifiedSigner(signer2, chain),
        trust=store,
        expect=Expect(now=NOW),
    )
    both = replace(store, certificates=(*store.certificates, TrustedCertificate(chain.certificates[0])), threshold=2)
    verified = capseal.verify(io.BytesIO(output.getvalue()), trust=both, expect=Expect(now=NOW))
    assert len(verified.signers) == 2


def test_a_signer_cannot_have_another_keys_certificate(company, other_recipient):
    with pytest.raises(KeyFileError, match=r"is for key .*, the signer is"):
        CertifiedSigner(other_recipient, Chain.of([company.own, company.issuing, company.root]))


# --- files


def test_a_store_with_certificates_and_lists_comes_back_equal(tmp_path, company, signer2):
    crl = revocation_list("Issuing", company.issuing_key.rsa, 1)
    store = TrustStore(
        (TrustedKey(signer2.public_key),),
        2,
        (TrustedCertificate(company.root), TrustedCertificate(company.own, Role.DEVELOPMENT)),
        (crl,),
        version=7,
    )
    store.save(tmp_path / "trust.json")
    assert load_trust(tmp_path / "trust.json") == store


def test_a_pem_file_of_one_certificate_is_a_store_and_one_of_a_chain_is_not(tmp_path, company):
    path = tmp_path / "root.pem"
    path.write_bytes(company.root.public_bytes(Encoding.PEM))
    assert load_trust(path) == TrustStore(certificates=(TrustedCertificate(company.root),))
    path.write_bytes(Chain.of([company.own, company.issuing, company.root]).pem)
    with pytest.raises(KeyFileError, match=r"root\.pem: 3 certificates; which one is trusted"):
        load_trust(path)


def test_a_store_cannot_name_a_certificate_twice(company):
    with pytest.raises(KeyFileError, match="the same certificate twice"):
        TrustStore(certificates=(TrustedCertificate(company.root), TrustedCertificate(company.root, Role.DEVELOPMENT)))


def test_an_issued_chain_is_put_in_order_and_must_be_complete(company):
    pem = [c.public_bytes(Encoding.PEM) for c in (company.root, company.issuing, company.own)]
    key = company.key.public_key
    assert load_chain(b"".join(pem), key).certificates == (company.own, company.issuing, company.root)
    with pytest.raises(KeyFileError, match="the certificate of 'CN=Issuing', which issued 'CN=Ada', is missing"):
        load_chain(pem[0] + pem[2], key)
    with pytest.raises(KeyFileError, match="none of 2 certificates is for key"):
        load_chain(pem[0] + pem[1], key)
    with pytest.raises(KeyFileError, match="not for code signing"):
        load_chain(pem[0] + pem[1] + company.certify(usages=()).public_bytes(Encoding.PEM), key)


def test_chains_are_limited_in_length(company):
    with pytest.raises(SignatureError, match=f"chain of {MAX_CERTIFICATES + 1} certificates"):
        Chain.of([company.root] * (MAX_CERTIFICATES + 1))


def test_unusable_files_are_refused_and_named(tmp_path, company):
    path = tmp_path / "file.pem"
    delta = revocation_list("Issuing", company.issuing_key.rsa, extensions=[x509.DeltaCRLIndicator(1)])
    for data, load, message in (
        (b"", load_certificates, "no usable PEM certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", load_certificates, "no usable PEM"),
        (b"x" * 70000, load_certificates, "larger than"),
        (b"", load_crls, "no PEM revocation list"),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", load_crls, "unusable revocation list"),
        (delta.public_bytes(Encoding.PEM), load_crls, "revocation list with critical extension 2.5.29.27"),
    ):
        path.write_bytes(data)
        with pytest.raises(KeyFileError, match=rf"file\.pem: {message}"):
            load(path)


def test_a_certificate_cannot_be_made_for_no_time_or_for_ever(signer):
    for days in (0, 36526):
        with pytest.raises(KeyFileError, match=f"{days} days asked for"):
            make_certificate(signer, name="Ada", days=days)
    with pytest.raises(KeyFileError, match="common name"):
        make_certificate(signer, name="x" * 65)


# --- held against openssl


def test_openssl_accepts_our_certificate_and_issues_one_for_our_request(tmp_path, signer, signer2):
    openssl = require_tool("openssl")

    def run(*arguments):
        return subprocess.run([openssl, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    (tmp_path / "own.pem").write_bytes(make_certificate(signer, name="com.example.game").pem)
    shown = run("x509", "-in", "own.pem", "-noout", "-text")
    assert "Code Signing" in shown and "Digital Signature" in shown and "CA:FALSE" in shown
    (tmp_path / "ca.pem").write_bytes(signer2.pem())
    (tmp_path / "request.pem").write_bytes(make_request(signer, name="Ada"))
    run("req", "-x509", "-key", "ca.pem", "-subj", "/CN=Company", "-days", "9", "-out", "ca.crt.pem")
    run(
        *("x509", "-req", "-in", "request.pem", "-CA", "ca.crt.pem", "-CAkey", "ca.pem", "-days", "5"),
        *("-copy_extensions", "copy", "-out", "issued.pem"),
    )
    issued = (tmp_path / "issued.pem").read_bytes() + (tmp_path / "ca.crt.pem").read_bytes()
    chain = load_chain(issued, signer.public_key)
    store = load_trust(tmp_path / "ca.crt.pem")
    made = Signature(signer.public_key.fingerprint, signer.sign(MESSAGE), chain.der)
    assert check(store, made, now=datetime.now(UTC)) == [signer.public_key]


def test_a_private_key_is_not_in_what_a_chain_shows(signer):
    assert "BEGIN" not in repr(make_certificate(signer, name="Ada"))
    assert isinstance(signer, PrivateKey)
