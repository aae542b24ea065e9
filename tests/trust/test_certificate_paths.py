"""Paths to a trusted certificate: the store's copy decides, roles hang on keys, what limits a CA is honoured."""

import io
import ipaddress
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

import capseal
from capseal import CertifiedSigner, Chain, Expect, NotForUsError, Role, SignatureError
from capseal.trust.store import TrustedCertificate, TrustedKey, TrustStore
from support.company import DAY, MESSAGE, NOW, Company, issue, revocation_list, signature

SERVER_AUTH = (ExtendedKeyUsageOID.SERVER_AUTH,)
ANY = (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)


@pytest.fixture(scope="module")
def company(signer2, recipient, signer):
    return Company(signer2, recipient, signer)


def trusting(*certificates, keys=(), **roles):
    return TrustStore(keys, certificates=tuple(TrustedCertificate(c) for c in certificates), **roles)


def check(store, made, *, role=Role.PRODUCTION):
    return [trusted.key for trusted in store.check(MESSAGE, [made], role=role, now=NOW)]


def again(company, certificate="issuing", **keywords):
    """Issue the root's or the issuing CA's certificate once more: same name, same key."""
    keywords = {"ca": True, "usages": ()} | keywords
    if certificate == "root":
        return issue("Root", company.root_key.rsa, "Root", company.root_key.rsa, **keywords)
    return issue("Issuing", company.issuing_key.rsa, "Root", company.root_key.rsa, **keywords)


# --- the store's copy, whatever copy is shown


def test_swapping_the_unsigned_certificates_makes_no_production_signature_of_a_development_one(company, recipient):
    """Nobody signs x5c: a stranger put the renewed certificate of the development CA there."""
    store = TrustStore(
        certificates=(TrustedCertificate(company.root), TrustedCertificate(company.issuing, Role.DEVELOPMENT))
    )
    output = io.BytesIO()
    seal = capseal.seal(
        io.BytesIO(b"content"),
        output,
        signer=CertifiedSigner(company.key, Chain.of([company.own, company.issuing, company.root])),
        recipients=[recipient.public_key],
        app="com.example.game",
        version="1.2.3",
        sequence=7,
        name="dist.zip",
        unpackable=False,
        created=NOW,
    )
    payload = output.getvalue()[len(seal.encode()) :]
    for middle in (company.issuing, again(company), again(company, end=NOW + 99 * DAY, path_length=0)):
        made = replace(seal.envelope.signatures[0], x5c=company.sign(middle=middle).x5c)
        bundle = replace(seal, envelope=replace(seal.envelope, signatures=(made,))).encode() + payload
        with pytest.raises(NotForUsError, match="development key only"):
            capseal.verify(io.BytesIO(bundle), trust=store, expect=Expect(now=NOW))
        development = Expect(now=NOW, role=Role.DEVELOPMENT)
        (found,) = capseal.verify(io.BytesIO(bundle), trust=store, expect=development).signers
        assert found.role is Role.DEVELOPMENT


@pytest.mark.parametrize("place", ["own", "issuing", "root", "bare"])
def test_a_key_that_is_for_development_anywhere_in_the_chain_is_for_development_only(company, place, other_recipient):
    """Wherever a development key stands, and whoever else vouches for what is above or below it."""
    development = {
        "own": issue("Somebody", company.key.rsa, "Somebody", company.key.rsa),
        "issuing": issue("Other name", company.issuing_key.rsa, "Else", other_recipient.rsa, ca=True, end=NOW - DAY),
        "root": again(company, "root", end=NOW - DAY),
    }
    keys = (TrustedKey(company.issuing_key.public_key, Role.DEVELOPMENT),) if place == "bare" else ()
    weak = () if place == "bare" else (TrustedCertificate(development[place], Role.DEVELOPMENT),)
    for trusted in (company.root, company.issuing, company.own):
        for certificates in ((*weak, TrustedCertificate(trusted)), (TrustedCertificate(trusted), *weak)):
            store = TrustStore(keys, certificates=certificates)
            with pytest.raises(NotForUsError, match="development key only"):
                check(store, company.sign())


def test_a_renewed_certificate_of_a_trusted_ca_is_trusted_by_its_name_and_key(company):
    renewed = again(company, "root", end=NOW + 99 * DAY)
    assert check(trusting(company.root), company.sign(root=renewed)) == [company.key.public_key]
    own = company.certify(end=NOW + 99 * DAY)
    assert check(trusting(company.own), company.sign(own)) == [company.key.public_key]


def test_a_ca_of_the_same_name_with_another_key_is_a_stranger(company, other_recipient):
    root = issue("Root", other_recipient.rsa, "Root", other_recipient.rsa, ca=True)
    own = issue("Ada", company.key.rsa, "Root", other_recipient.rsa)
    with pytest.raises(SignatureError, match="which no trusted key matches"):
        check(trusting(company.root), signature(company.key, [own, root]))


def test_the_same_key_under_another_name_is_a_stranger(company):
    other = issue("Other", company.root_key.rsa, "Other", company.root_key.rsa, ca=True)
    with pytest.raises(SignatureError, match="which no trusted key matches"):
        check(trusting(other), company.sign())


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"end": NOW - DAY}, "'CN=Issuing' expired at"),
        ({"start": NOW + DAY}, "'CN=Issuing' is not valid before"),
        ({"usages": SERVER_AUTH}, "'CN=Issuing' may not certify code signers: its usages are 1.3.6.1.5.5.7.3.1"),
        ({"ca": False}, "basicConstraints.cA must be asserted"),
        (
            {"extensions": [(x509.NameConstraints([x509.DNSName("a.test")], None), True)]},
            "name constraints for DNSName, and 'CN=Ada' has no such name",
        ),
    ],
)
def test_the_stored_certificate_limits_its_ca_whatever_copy_of_it_is_shown(company, stored, message):
    """Dates, usages, constraints of the store's copy; the copy that was shown has none of them."""
    store = trusting(again(company, **stored))
    with pytest.raises(SignatureError, match=message):
        check(store, company.sign())
    # And the other way round: the store's copy is free of what is in the copy that is shown.
    assert check(trusting(company.issuing), company.sign(middle=again(company, **stored))) == [company.key.public_key]


def test_the_path_length_of_the_stored_certificate_applies(company, other_recipient):
    below = issue("Below", other_recipient.rsa, "Issuing", company.issuing_key.rsa, ca=True)
    own = issue("Ada", company.key.rsa, "Below", other_recipient.rsa)
    shown = [own, below, again(company, path_length=7), company.root]
    with pytest.raises(SignatureError, match="path length"):
        check(trusting(company.issuing), signature(company.key, shown))


def test_the_dates_of_the_stored_certificate_applied_when_the_bundle_was_made(company):
    stored = again(company, start=NOW - 2 * DAY)
    store = trusting(stored)
    signers = store.check(MESSAGE, [company.sign()], role=Role.PRODUCTION, now=NOW)
    store.check_signed_at(signers, NOW - DAY, role=Role.PRODUCTION)
    with pytest.raises(SignatureError, match=r"'CN=Issuing' is not valid before .*, the bundle was made at"):
        store.check_signed_at(signers, NOW - 3 * DAY, role=Role.PRODUCTION)


def test_an_old_and_a_renewed_certificate_of_one_ca_vouch_side_by_side(company):
    """A bundle from before the renewal needs the old one, one from after the end of the old one the new one."""
    old, new = again(company, end=NOW + 2 * DAY), again(company, start=NOW - DAY)
    for store in (trusting(old, new), trusting(new, old)):
        signers = store.check(MESSAGE, [company.sign()], role=Role.PRODUCTION, now=NOW)
        assert len(store.check_signed_at(signers, NOW - 5 * DAY, role=Role.PRODUCTION)) == 1
        later = store.check(MESSAGE, [company.sign()], role=Role.PRODUCTION, now=NOW + 3 * DAY)
        assert [trusted.anchor for trusted in later] == [new]


def test_a_trusted_certificate_that_a_list_in_the_store_names_is_revoked(company):
    """Its thief can show it as the end of a chain of one, where no issuer is at hand."""
    alone = issue("Ada", company.key.rsa, "Ada", company.key.rsa)
    store = trusting(company.own)
    made = signature(company.key, [alone])
    assert check(store, made) == [company.key.public_key]
    crls = (revocation_list("Issuing", company.issuing_key.rsa, company.own.serial_number),)
    for shown in (made, company.sign()):
        with pytest.raises(SignatureError, match="'CN=Ada' was revoked"):
            check(replace(store, crls=crls), shown)


# --- what a CA may vouch for


@pytest.mark.parametrize("where", ["root", "issuing"])
def test_a_ca_that_may_not_certify_code_signers_vouches_for_none(company, where):
    for usages, good in ((SERVER_AUTH, False), (ANY, True), ((*SERVER_AUTH, ExtendedKeyUsageOID.CODE_SIGNING), True)):
        limited = again(company, where, usages=usages)
        made = company.sign(**{"middle" if where == "issuing" else "root": limited})
        store = trusting(limited if where == "root" else company.root)
        if good:
            assert check(store, made) == [company.key.public_key]
        else:
            with pytest.raises(SignatureError, match=r"may not certify code signers: its usages are 1\.3\.6"):
                check(store, made)


def test_a_ca_does_not_sign_bundles_itself(company):
    for trusted in (company.root, company.certify(ca=True)):
        with pytest.raises(SignatureError, match="'CN=Ada' is a CA's, which may sign certificates, and no bundles"):
            check(trusting(trusted), company.sign(company.certify(ca=True)))


def test_any_usage_is_no_usage_for_code_signing(company):
    with pytest.raises(SignatureError, match=r"not for code signing: .*found 2\.5\.29\.37\.0"):
        check(trusting(company.root), company.sign(company.certify(usages=ANY)))


PERMITTED = x509.NameConstraints([x509.DNSName("acme.test")], None)
EXCLUDED = x509.NameConstraints(None, [x509.DNSName("evil.test")])
DIRECTORY = x509.DirectoryName(x509.Name([]))


def named(*names):
    return [(x509.SubjectAlternativeName(names), False)]


@pytest.mark.parametrize(
    ("constraints", "names", "message"),
    [
        (PERMITTED, [x509.DNSName("a.acme.test")], None),
        (PERMITTED, [x509.DNSName("a.evil.test")], "no permitted name constraints matched"),
        (PERMITTED, [x509.DNSName("a.acme.test"), x509.DNSName("a.evil.test")], "no permitted name constraints"),
        (PERMITTED, [x509.RFC822Name("ada@evil.test")], "name constraints for DNSName, and 'CN=Ada' has no such name"),
        (PERMITTED, [], "name constraints for DNSName, and 'CN=Ada' has no such name"),
        (EXCLUDED, [x509.DNSName("a.acme.test")], None),
        (EXCLUDED, [x509.DNSName("a.evil.test")], "excluded name constraint matched"),
        (EXCLUDED, [], "has no such name"),
        (x509.NameConstraints([DIRECTORY], None), [x509.DNSName("a.acme.test")], "cannot be applied: DirectoryName"),
        (x509.NameConstraints(None, [DIRECTORY]), [], "cannot be applied: DirectoryName"),
        (
            x509.NameConstraints([x509.UniformResourceIdentifier("acme.test")], None),
            [x509.UniformResourceIdentifier("https://acme.test/")],
            "cannot be applied: UniformResourceIdentifier",
        ),
        (
            x509.NameConstraints([x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))], None),
            [x509.IPAddress(ipaddress.ip_address("11.0.0.1"))],
            "no permitted name constraints",
        ),
        (
            x509.NameConstraints([x509.RFC822Name("acme.test")], None),
            [x509.RFC822Name("ada@evil.test")],
            "no permitted name constraints",
        ),
    ],
)
@pytest.mark.parametrize("where", ["root", "issuing"])
def test_name_constraints_are_enforced_or_the_path_is_refused(company, where, constraints, names, message):
    limited = again(company, where, extensions=[(constraints, True)])
    own = company.certify(extensions=named(*names) if names else ())
    made = company.sign(own, **{"middle" if where == "issuing" else "root": limited})
    store = trusting(limited if where == "root" else company.root)
    if message is None:
        assert check(store, made) == [company.key.public_key]
    else:
        with pytest.raises(SignatureError, match=message):
            check(store, made)


def test_name_constraints_that_are_not_critical_are_refused(company):
    """RFC 5280, section 4.2.1.10: they must be, for otherwise they may be passed over."""
    limited = again(company, extensions=[(PERMITTED, False)])
    own = company.certify(extensions=named(x509.DNSName("a.acme.test")))
    with pytest.raises(SignatureError, match=r"2\.5\.29\.30: .*criticality"):
        check(trusting(company.root), company.sign(own, middle=limited))


def test_a_trusted_certificate_of_a_signer_is_judged_like_any_other(company):
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    own = company.certify(extensions=[(unknown, True)])
    with pytest.raises(SignatureError, match="unaccounted-for critical extensions"):
        check(trusting(own), company.sign(own))
