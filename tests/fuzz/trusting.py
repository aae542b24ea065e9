"""Who is trusted: certificates of a signature, trust stores, signed updates of them, and the release log."""

import hashlib
import json
import re
import warnings
from base64 import b64decode, b64encode
from functools import cache
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from capseal import Envelope, TrustedCertificate, TrustedKey, TrustStore
from capseal.format import strictjson
from capseal.format.dsse import Signature
from capseal.format.strictjson import Role
from capseal.project import log
from capseal.trust import store as stores
from capseal.trust import updates
from capseal.trust.certificates import Chain
from capseal.trust.key_sets import HeadPolicy, KeySet, Restart
from support import company, independent_reader
from support.independent_reader import ENVELOPE, Rejected, check_chain, check_shape, need, parse_json, unbase64
from support.independent_signatures import message_of, signers_of
from support.places import VECTORS
from vectors.making import dump

from . import der
from .bundles import modules
from .corpus import enveloped, signed
from .keys import Private, fast_key
from .mutating import mutate_bytes, mutate_json, often
from .places import scratch
from .running import Disagreement, Target

# Certificates

_NAMES = {"own": "signer", "issuing": "signer2", "root": "other"}
_SERVER, _SIGNING = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CODE_SIGNING
_ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE


@cache
def _throwaway() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _issued(subject: str, by: str, **keywords: Any) -> bytes:
    """Return a certificate for one of our keys; the signature is replaced by that of the issuer's."""
    holder = {"Ada": "own", "Issuing": "issuing", "Root": "root"}[subject]
    key: Any = Private(fast_key(_NAMES[holder]))
    made = company.issue(subject, key, by, _throwaway(), **keywords)
    issuer = {"Issuing": "issuing", "Root": "root", "Ada": "own"}[by]
    return der.signed_again(made.public_bytes(Encoding.DER), fast_key(_NAMES[issuer]))


def _usage(**flags: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    names += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: flags.get(name, False) for name in names})


@cache
def _certificates() -> dict[str, tuple[bytes, ...]]:
    """Return well-formed certificates of each place in a chain: the usual one first, and unusual ones."""
    san = x509.SubjectAlternativeName([x509.DNSName("ada.example")])
    within = x509.NameConstraints([x509.DNSName("example")], None)
    outside = x509.NameConstraints(None, [x509.DNSName("example")])
    odd = x509.NameConstraints([x509.RFC822Name("example")], None)
    late = {"start": company.NOW + company.DAY, "end": company.NOW + 2 * company.DAY}
    own: list[dict[str, Any]] = [
        {}, {"usages": ()}, {"usages": (_SERVER,)}, {"usages": (_SERVER, _SIGNING)}, {"ca": True}, late,
        {"end": company.NOW - company.DAY}, {"digest": hashes.SHA512()}, {"extensions": [(san, False)]},
        {"extensions": [(_usage(digital_signature=True), True)]}, {"extensions": [(_usage(key_agreement=True), True)]},
    ]  # fmt: skip
    signs = _usage(key_cert_sign=True, digital_signature=True)
    issuing: list[dict[str, Any]] = [
        {"path_length": 0}, {"path_length": 1}, {"ca": False}, {"usages": (_SERVER,)}, {"usages": (_ANY,)}, late,
        {"extensions": [(within, True)]}, {"extensions": [(within, False)]}, {"extensions": [(outside, True)]},
        {"extensions": [(odd, True)]}, {"extensions": [(signs, True)]}, {"extensions": [(_usage(crl_sign=True), True)]},
    ]  # fmt: skip
    authority = {"ca": True, "usages": ()}
    return {
        "own": (*(_issued("Ada", "Issuing", **one) for one in own), _issued("Ada", "Root")),
        "issuing": tuple(_issued("Issuing", "Root", **authority | one) for one in issuing),
        "root": tuple(_issued("Root", "Root", **authority | one) for one in [{}, *issuing[:6]]),
    }


ChainCase = tuple[tuple[bytes, ...], str, int, bool]


def draw_chain(r: Random) -> tuple[bytes, ...]:
    """Draw a chain, mostly with one odd member, each signed by the next one all the same."""
    pool = _certificates()
    # The usual one is drawn often, so that a chain has mostly one odd member.
    chain = [pool[place][0] if often(r, 0.7) else r.choice(pool[place]) for place in ("own", "issuing", "root")]
    everything = [one for several in pool.values() for one in several]
    if often(r, 0.75):
        at = r.randrange(3)
        issuer = ("issuing", "root", "root")[at]
        chain[at] = der.mutate(r, chain[at], fast_key(_NAMES[issuer]), everything)
    if often(r, 0.08):
        chain = r.choice((chain[:1], chain[:2], chain[::-1], chain * 3, [*chain, chain[2]], chain[1:]))
    if often(r, 0.05):
        at = r.randrange(len(chain))
        chain[at] = mutate_bytes(r, chain[at])
    return tuple(chain)


def _draw_case(r: Random) -> ChainCase:
    """Draw a chain, who signs the message, which store judges it, and whether warnings are errors meanwhile."""
    return draw_chain(r), "signer" if often(r, 0.97) else "signer2", r.randrange(4), often(r, 0.3)


@cache
def _store_of_certificates(number: int) -> TrustStore:
    pool = _certificates()
    root, issuing, own = (
        x509.load_der_x509_certificate(pool[place][0]) for place in ("root", "issuing", "own")
    )  # fmt: skip
    made: Any = company.revocation_list("Issuing", _throwaway(), 1, 2, 3, end=company.NOW + company.DAY)
    revoked = der.signed_again(made.public_bytes(Encoding.DER), fast_key(_NAMES["issuing"]))
    return (
        TrustStore(certificates=(TrustedCertificate(root),)),
        TrustStore(certificates=(TrustedCertificate(issuing),), crls=(x509.load_der_x509_crl(revoked),)),
        TrustStore(certificates=(TrustedCertificate(own), TrustedCertificate(root, Role.DEVELOPMENT))),
        TrustStore((TrustedKey(fast_key("signer").public_key),), certificates=(TrustedCertificate(root),)),
    )[number]


@cache
def _signature_of(name: str) -> Signature:
    key = fast_key(name)
    return Signature(key.kid, key.sign(company.MESSAGE))


def check_chain_case(case: ChainCase) -> None:
    """Judge a signature with certificates; a chain that passes must prove itself to the independent reader."""
    chain, name, number, strict = case
    plain = _signature_of(name)
    signature = Signature(plain.keyid, plain.sig, chain)
    role = Role.PRODUCTION if number != 2 else Role.DEVELOPMENT
    store = _store_of_certificates(number)
    with warnings.catch_warnings():
        warnings.simplefilter("error" if strict else "ignore")
        store.check(company.MESSAGE, [signature], role=role, now=company.NOW)
    try:
        check_chain({"x5c": [b64encode(one).decode() for one in chain], "keyid": plain.keyid})
    except Rejected as error:
        raise Disagreement(f"the independent reader refuses: {error}") from None
    own = x509.load_der_x509_certificate(chain[0])
    if number in (0, 1) and not own.not_valid_before_utc <= company.NOW <= own.not_valid_after_utc:
        raise Disagreement(f"a certificate that is not valid now: {own.not_valid_before_utc}")


def x5c_target() -> Target:
    """The certificates that a signature carries, and how they lead to a store's."""
    return Target(
        name="x5c",
        oracle="the independent reader: an accepted chain proves itself",
        modules=modules("trust.certificates", "trust._certificate_path", "trust.store"),
        make=_draw_case,
        run=check_chain_case,
        gates={"chain": (Chain, "parse"), "fits": (Chain, "of"), "trusted": (TrustStore, "_by_certificate")},
    )


# Trust stores and their updates


@cache
def _pems() -> tuple[str, ...]:
    """Return PEM texts that a store's keys are replaced by."""
    elliptic = ec.generate_private_key(ec.SECP256R1()).public_key()
    texts = [path.read_text() for path in sorted((VECTORS / "keys").glob("*.pem"))]
    texts.append(elliptic.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
    texts.append(texts[0] + texts[1])
    return tuple(texts)


@cache
def _base_store() -> TrustStore:
    root, issuing = (x509.load_der_x509_certificate(_certificates()[place][0]) for place in ("root", "issuing"))
    keys = (("signer", Role.PRODUCTION), ("signer2", Role.PRODUCTION), ("development", Role.DEVELOPMENT))
    return TrustStore(
        tuple(TrustedKey(fast_key(name).public_key, role) for name, role in keys),
        threshold=2,
        certificates=(TrustedCertificate(root), TrustedCertificate(issuing, Role.DEVELOPMENT)),
        crls=_store_of_certificates(1).crls,
        root=_set("root", "root2", "root3", threshold=2),
        heads=HeadPolicy(86400, company.NOW + company.DAY, _set("head"), _set("development head")),
        created=company.NOW,
        restart=Restart(7, company.NOW),
    )


def _set(*names: str, threshold: int = 1) -> KeySet:
    return KeySet.of(*(fast_key(name).public_key for name in names), threshold=threshold)


@cache
def _base_json(with_certificates: bool) -> str:
    value = _base_store().to_value()
    if not with_certificates:
        del value["certificates"], value["crls"]
    return json.dumps(value)


def _draw_store_value(r: Random, *, with_certificates: bool) -> Any:
    value = json.loads(_base_json(with_certificates))
    if often(r, 0.3):
        r.shuffle(value["keys"])
        value["keys"] = value["keys"][: r.randrange(1, 4)]
    if often(r, 0.3):
        value["threshold"] = r.choice((1, 1, 2, 3))
    if often(r, 0.1):
        r.choice(value["keys"])["public_key"] = r.choice(_pems())
    if often(r, 0.1):
        r.choice(value["keys"])["role"] = r.choice(("production", "development"))
    if often(r, 0.3):
        value["root"]["threshold"] = r.choice((0, 1, 1, 2, 3, 4))
    if often(r, 0.2):
        value["root"]["keys"][r.randrange(3)] = r.choice((*_pems(), fast_key("root4").public_key.pem.decode()))
    if often(r, 0.2):
        value["heads"]["production"]["keys"] = [fast_key(r.choice(("head", "head2", "root"))).public_key.pem.decode()]
    if often(r, 0.1):
        del value[r.choice(("root", "heads", "restart", "created"))]
    return value


def _draw_store(r: Random) -> tuple[bytes, bool]:
    """Draw a store's file, and whether it is read from a file."""
    if often(r, 0.05):
        return mutate_bytes(r, r.choice(_pems()).encode()), True
    value = _draw_store_value(r, with_certificates=often(r, 0.5))
    data = mutate_json(r, value) if often(r, 0.7) else dump(value)
    return mutate_bytes(r, data) if often(r, 0.05) else data, often(r, 0.2)


def check_store(case: tuple[bytes, bool]) -> None:
    """Parse a trust store; what is accepted has only keys that may be trusted, and reads the same once written."""
    data, from_file = case
    if from_file:
        path = scratch() / "store"
        path.write_bytes(data)
        store = stores.load_trust(path)
    else:
        store = stores.parse_store(strictjson.parse(data, "trust store"))
    again = stores.parse_store(strictjson.parse(store.to_json(), "trust store"))
    if again != store:
        raise Disagreement("the store that is written is not the one that was read")
    production = _independent_keys(parse_json(store.to_json()), "production")
    _check_purposes(parse_json(store.to_json()))
    if not store.certificates and not 1 <= store.threshold <= max(1, len(production)):
        raise Disagreement(f"threshold {store.threshold} of {len(production)} keys")


def _check_purposes(value: Any) -> None:
    """Raise Disagreement where a key has two purposes, or a set of keys cannot reach its threshold."""
    heads = value.get("heads", {})
    sets = [one for one in (value.get("root"), heads.get("production"), heads.get("development")) if one]
    named = [_independent_set(one) for one in sets]
    if sets or "restart" in value or value.get("epoch", 1) > 1:
        need("created" in value, "KeyFileError", "created")
    releases = {**_independent_keys(value, "production"), **_independent_keys(value, "development")}
    for one, keys in zip(sets, named, strict=True):
        if len(keys) != len(one["keys"]) or not 1 <= one["threshold"] <= len(keys) <= 16:
            raise Disagreement(f"threshold {one['threshold']} of {len(keys)} keys")
    everything = [kid for keys in (*named, releases) for kid in keys]
    if sets and len(set(everything)) != len(everything):
        raise Disagreement("a key has two purposes")


def _independent_set(value: Any) -> dict[str, Any]:
    """Return the keys of a set of bare keys by fingerprint."""
    return {independent_reader.fingerprint(key): key for key in map(_key_in, value["keys"])}


def _independent_keys(value: Any, role: str) -> dict[str, Any]:
    """Return the keys of a store's JSON by fingerprint, each of which must be strong."""
    found = {}
    for entry in value["keys"]:
        key: Any = _key_in(entry["public_key"])
        need(3072 <= key.key_size <= 8192 and key.public_numbers().e == 65537, "KeyFileError", "weak key")
        if entry["role"] == role:
            found[independent_reader.fingerprint(key)] = key
    return found


def _key_in(text: str) -> Any:
    """Return the key of a PEM text, which may be mangled: capseal reads it as CI and Windows keep it."""
    found = re.search(r"BEGIN (RSA )?PUBLIC KEY[ -]*-(.*?)-+\s*END", text, re.DOTALL)
    if found is None:
        return load_pem_public_key(text.encode())
    return load_der_public_key(b64decode(re.sub(r"\\[rn]|[^A-Za-z0-9+/=]", "", found[2])))


def store_target() -> Target:
    """Trust store files."""
    return Target(
        name="trust store",
        oracle="keys parsed by cryptography are strong and enough; written and read again it is the same",
        modules=modules("trust.store", "trust.key_sets", "format.strictjson", "crypto.keys"),
        make=_draw_store,
        run=check_store,
        gates={"json": (strictjson, "parse"), "members": (TrustStore, "__post_init__")},
    )


def _draw_update(r: Random) -> bytes:
    """Draw an update of the base store without certificates."""
    new = _draw_store_value(r, with_certificates=often(r, 0.1))
    new["version"] = 2 if often(r, 0.9) else r.choice((0, 1, 3, 2**53 - 1))
    if often(r, 0.3):
        new["epoch"] = r.choice((1, 2, 2, 2, 3))
    content = {"previous": plain_store().digest if often(r, 0.95) else "0" * 64, "store": new}
    body = mutate_json(r, content) if often(r, 0.3) else dump(content)
    names = r.choice(
        (("root", "root2", "root3"),) * 6
        + (("root", "root2"), ("root",), ("root", "signer", "signer2"), ("other", "root2", "root3"))
    )
    envelope = enveloped(updates.UPDATE_TYPE, body, signed(updates.UPDATE_TYPE, body, names))
    if often(r, 0.03):
        envelope["payloadType"] = log.ENTRY_TYPE
    data = mutate_json(r, envelope, 1) if often(r, 0.1) else dump(envelope)
    return mutate_bytes(r, data) if often(r, 0.04) else data


@cache
def plain_store() -> TrustStore:
    """Return the store that drawn updates are of."""
    return stores.parse_store(json.loads(_base_json(False)))


def check_update(data: bytes) -> None:
    """Accept an update; whoever reads the rules anew must accept it, too."""
    updates.accept_update(plain_store(), data)
    try:
        _accept_independently(data)
    except (Rejected, KeyError, ValueError) as error:
        raise Disagreement(f"the independent check refuses: {error}") from error


def _accept_independently(data: bytes) -> None:
    body, signatures, message = opened_envelope(data, updates.UPDATE_TYPE)
    content = parse_json(body)
    store = content["store"]
    need(content["previous"] == hashlib.sha256(plain_store().to_json()).hexdigest(), "NotForUsError", "previous")
    need(store["version"] == 2, "RollbackError", "version")
    old = json.loads(_base_json(False))
    for root in (old["root"], store["root"]):
        signers = signers_of(signatures, message, _independent_set(root))
        need(len(signers) >= root["threshold"], "SignatureError", "too few")
    _check_purposes(store)
    same = _heads_of(old) == _heads_of(store)
    need(store.get("epoch", 1) == (1 if same else 2), "FormatError", "epoch")


def _heads_of(store: Any) -> Any:
    """Return what of a store's heads belongs to an epoch: keys and thresholds by role."""
    heads = store.get("heads", {})
    roles = [heads[role] for role in ("production", "development") if role in heads]
    return [(one["threshold"], set(_independent_set(one))) for one in roles]


def opened_envelope(data: bytes, payload_type: str) -> tuple[bytes, list[dict[str, Any]], bytes]:
    """Return payload, signatures and signed message of an envelope, by the independent reader's rules."""
    envelope = parse_json(data)
    check_shape(envelope, ENVELOPE, "envelope")
    need(envelope["payloadType"] == payload_type, "FormatError", "payloadType")
    body = unbase64(envelope["payload"])
    return body, envelope["signatures"], message_of(payload_type, body)


def update_target() -> Target:
    """Signed updates of a trust store."""
    return Target(
        name="trust update",
        oracle="an independent check of signatures, thresholds, version and the store before",
        modules=modules("trust.updates", "trust.key_sets", "trust.store", "format.dsse"),
        make=_draw_update,
        run=check_update,
        gates={
            "envelope": (Envelope, "parse"),
            "signature": (KeySet, "check"),
            "content": (updates, "parse_store"),
        },
    )
