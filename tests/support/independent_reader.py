"""A reader of sealed bundles, written from docs/format.md alone, whose sections comments name; nothing is capseal's."""

import base64
import hashlib
import json
import re
import struct
import unicodedata
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

SEGMENT, BLOCK, MAX = 524288, 4096, 2**53 - 1
PAYLOAD_TYPE = "application/vnd.capseal.seal.v1+json"
MGF = padding.MGF1(hashes.SHA256())


class Rejected(Exception):
    """kind: the error class that docs/format.md, Reject rules, gives this defect."""

    def __init__(self, kind, why):
        super().__init__(f"{kind}: {why}")
        self.kind = kind


def need(condition, kind, why):
    if not condition:
        raise Rejected(kind, why)


# Conventions


def parse_json(data):
    def unique(pairs):
        need(len(dict(pairs)) == len(pairs), "FormatError", "duplicate member")
        return dict(pairs)

    def integer(text):
        need(text != "-0" and len(text) < 18 and abs(int(text)) <= MAX, "FormatError", f"integer {text[:20]}")
        return int(text)

    def number(text):
        raise Rejected("FormatError", f"number {text[:20]} is not an integer")

    def depth(value):
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return isinstance(value, (dict, list)) + max(map(depth, inner), default=0)

    try:
        value = json.loads(
            data.decode(), object_pairs_hook=unique, parse_int=integer, parse_float=number, parse_constant=number
        )
        compact(value)
    except (ValueError, RecursionError) as error:  # lone surrogates do not encode
        raise Rejected("FormatError", error) from None
    need(depth(value) <= 32, "FormatError", "nested too deeply")
    return value


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def unbase64(text):
    data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text, "FormatError", "base64 is not canonical")
    return data


# Seal, Statement: what each member may be. A name with ? is optional.


def pattern(regex):
    return lambda value: isinstance(value, str) and re.fullmatch(regex, value)


def whole(least, most=MAX):
    return lambda value: type(value) is int and least <= value <= most


def encoded(least, most):
    return lambda value: isinstance(value, str) and least <= len(unbase64(value)) <= most


def several(least, most, shape, key=None):
    def check(value):
        return (
            isinstance(value, list)
            and least <= len(value) <= most
            and all(fits(item, shape) for item in value)
            and (key is None or len({item[key] for item in value}) == len(value))
        )

    return check


def printable(value):
    visible = (
        all(c == " " or unicodedata.category(c)[0] not in "CZ" for c in value) if isinstance(value, str) else False
    )
    return visible and 1 <= len(value) <= 255


def file_name(value):
    return printable(value) and value not in (".", "..") and not set(value) & set("/\\")


def moment(value):
    spelling = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z"
    return pattern(spelling)(value) and datetime.fromisoformat(value)


def fits(value, shape):
    if not isinstance(shape, dict):
        return shape(value)
    inner = {name.lstrip("?"): each for name, each in shape.items()}
    return (
        isinstance(value, dict)
        and set(value) <= set(inner)
        and all(name in value or f"?{name}" in shape for name in inner)
        and all(fits(value[name], inner[name]) for name in value)
    )


NAME = pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
TOKEN = r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}"
MEDIA_TYPE = pattern(f"{TOKEN}/{TOKEN}")
HEX = pattern("[0-9a-f]{64}")
ENVELOPE = {
    "payload": encoded(0, MAX),
    "payloadType": MEDIA_TYPE,
    "signatures": several(1, 16, {"keyid": HEX, "sig": encoded(384, 1024), "?x5c": several(1, 8, encoded(0, MAX))}),
}
SCHEME = pattern("tink-aes256-gcm-hkdf-512kb")
VERSION = pattern(r"(0|[1-9][0-9]{0,14})(\.(0|[1-9][0-9]{0,14})){0,3}")
PLATFORMS = several(1, 16, lambda value: NAME(value) and value == value.lower())
REQUIRES = {"?native": {"?min": VERSION, "?below": VERSION}, "?platforms": PLATFORMS}
COMPANION = {"name": NAME, "mediaType": MEDIA_TYPE, "size": whole(1), "digest": {"fsverity-sha256": HEX}}


def numbers(version):
    found = [int(number) for number in version.split(".")]
    return found + [0] * (4 - len(found))


def requires(value):
    if not fits(value, REQUIRES) or not value or not value.get("native", True):
        return False
    platforms, native = value.get("platforms", []), value.get("native", {})
    ordered = len(native) < 2 or numbers(native["min"]) < numbers(native["below"])
    return ordered and len(set(platforms)) == len(platforms)


def attachment(value):
    plain = {"name": file_name, "mediaType": MEDIA_TYPE, "size": whole(0), "digest": {"sha256": HEX}}
    sealed = COMPANION | {"encryption": {"scheme": SCHEME}}
    if fits(value, sealed):
        segments = -(-value["size"] // SEGMENT)
        content = value["size"] - 40 - 16 * segments
        return content >= 0 and segments == -(-(content + 40) // (SEGMENT - 16))
    return fits(value, plain) or fits(value, COMPANION)


STATEMENT = {
    "app": NAME,
    "version": printable,
    "sequence": whole(1),
    "channel": NAME,
    "role": pattern("production|development"),
    "created": moment,
    "content": {"name": file_name, "mediaType": MEDIA_TYPE, "size": whole(0, 2**32 * (SEGMENT - 16) - 40)},
    "payload": {"size": whole(1), "digest": {"fsverity-sha256": HEX}},
    "encryption": {
        "scheme": SCHEME,
        "commitment": encoded(32, 32),
        "recipients": several(
            1, 1024, {"kid": HEX, "alg": pattern("RSA-OAEP-256"), "encrypted_key": encoded(384, 1024)}, "kid"
        ),
    },
    "?policy": {"allow_downgrade_to": whole(0)},
    "?requires": requires,
    "?attachments": several(1, 256, attachment, "name"),
    "?custom": lambda value: isinstance(value, dict) and len(compact(value)) <= 65536,
}


def check_shape(value, shape, what):
    try:
        need(fits(value, shape), "FormatError", f"{what} has not the right members")
    except ValueError as error:
        raise Rejected("FormatError", error) from None


# Tree


def blocks(data):
    return [hashlib.sha256(data[i : i + BLOCK].ljust(BLOCK, b"\0")).digest() for i in range(0, len(data), BLOCK)]


def index_entry(segment, alone):
    leaves = blocks(segment)
    return leaves[0] if alone and len(leaves) == 1 else blocks(b"".join(leaves))[0]


def payload_digest(index, size):
    while len(index) > 32:
        index = b"".join(blocks(index))
    return hashlib.sha256(struct.pack("<BBBBIQ64s32s144s", 1, 1, 12, 0, 0, size, index, b"", b"")).digest()


def fingerprint(public):
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def hkdf(key, salt, info):
    return HKDF(hashes.SHA256(), 32, salt, info).derive(key)


# Certificates


def issued(certificate, issuer):
    try:
        return certificate.verify_directly_issued_by(issuer) is None
    except (ValueError, TypeError, InvalidSignature):
        return False


def check_chain(signature):
    """Return the first certificate's key: a chain must prove itself, whoever trusts it."""
    ders = [unbase64(text) for text in signature["x5c"]]
    try:
        chain = [x509.load_der_x509_certificate(der) for der in ders]
        for der, certificate, issuer in zip(ders, chain, [*chain[1:], chain[-1]], strict=True):
            need(certificate.public_key().key_size >= 3072, "SignatureError", "weak key in a chain")
            need(certificate.signature_hash_algorithm.digest_size >= 32, "SignatureError", "weak digest in a chain")
            need(der.endswith(b"\0" + certificate.signature), "SignatureError", "unused bits in a chain")
            need(issued(certificate, issuer), "SignatureError", "broken chain")
    except (ValueError, TypeError) as error:
        raise Rejected("SignatureError", f"chain: {error}") from None
    need(not any(issued(c, c) for c in chain[:-1]), "SignatureError", "chain goes on after its root")
    need(fingerprint(chain[0].public_key()) == signature["keyid"], "SignatureError", "chain is for another key")
    return chain[0].public_key()


def read_statement(body):
    """Return what a statement says, its number of segments, and its permit."""
    statement = parse_json(body)
    check_shape(statement, STATEMENT, "statement")
    size, content = statement["payload"]["size"], statement["content"]["size"]
    segments = -(-(content + 40) // (SEGMENT - 16))
    need(size == 40 + content + 16 * segments, "FormatError", "sizes disagree")
    companions = [a for a in statement.get("attachments", []) if "sha256" not in a["digest"]]
    need(len(companions) <= 64, "FormatError", "too many companions")
    need(size + sum(c["size"] for c in companions) <= 2**51, "FormatError", "more than 2 PiB together")
    permit = statement.get("policy", {}).get("allow_downgrade_to")
    need(permit is None or permit < statement["sequence"], "FormatError", "permit is not below the sequence")
    return statement, segments, permit


# Reading order


def verify(bundle, trusted, *, threshold=1, role="production", app=None, channel=None, floor=None,
           native=None, platform=None, seal_bytes=None):  # fmt: skip
    """Return (statement, payload). trusted: pairs of role and PEM public key; seal_bytes: of a detached seal."""
    keys = {}
    for its_role, pem in trusted:
        key = load_pem_public_key(pem)
        need(3072 <= key.key_size <= 8192 and key.public_numbers().e == 65537, "KeyFileError", "weak key")
        keys[fingerprint(key)] = (its_role, key)

    def take(start, size):
        need(start + size <= len(seal), "TruncatedError", f"seal ends within bytes {start} to {start + size}")
        return seal[start : start + size]

    seal = bundle[:seal_bytes]
    head = take(0, 12)
    need(head[:8] == b"\x89CAPSEAL", "FormatError", "magic")
    length = int.from_bytes(head[8:], "big")
    need(1 <= length <= 2**20, "FormatError", f"envelope of {length} bytes")
    envelope_bytes = take(12, length)
    envelope = parse_json(envelope_bytes)
    check_shape(envelope, ENVELOPE, "envelope")
    order = {"payload": 0, "payloadType": 0, "signatures": [{"keyid": 0, "sig": 0, "x5c": 0}]}
    signatures = [{k: s[k] for k in order["signatures"][0] if k in s} for s in envelope["signatures"]]
    canonical = compact({k: signatures if k == "signatures" else envelope[k] for k in order})
    need(canonical == envelope_bytes, "FormatError", "envelope is not in the canonical encoding")

    payload_type, body = envelope["payloadType"].encode(), unbase64(envelope["payload"])
    message = b"DSSEv1 %d %b %d %b" % (len(payload_type), payload_type, len(body), body)
    signers = {}
    for signature in signatures:
        certified = check_chain(signature) if "x5c" in signature else None
        its_role, key = keys.get(signature["keyid"], (None, certified))
        if key is not None:
            try:
                key.verify(unbase64(signature["sig"]), message, padding.PSS(MGF, 32), hashes.SHA256())
            except InvalidSignature:
                raise Rejected("SignatureError", "a signature does not fit") from None
        if its_role is not None:
            signers[signature["keyid"]] = its_role
    need(signers, "SignatureError", "no trusted signature")
    roles = list(signers.values())
    if not (role == "development" and "development" in roles):
        need("production" in roles, "NotForUsError", "signed for development only")
        need(roles.count("production") >= threshold, "SignatureError", "threshold")

    need(envelope["payloadType"] == PAYLOAD_TYPE, "FormatError", "payloadType")
    statement, segments, permit = read_statement(body)
    need(app in (None, statement["app"]) and channel in (None, statement["channel"]), "NotForUsError", "app, channel")
    need(role == "development" or statement["role"] == "production", "NotForUsError", "meant for development")
    lowest = 0 if floor is None else floor if permit is None else min(floor, permit)
    need(statement["sequence"] > lowest, "RollbackError", "sequence")
    bounds = statement.get("requires", {}).get("native", {})
    platforms = statement.get("requires", {}).get("platforms", [platform])
    if native is not None:
        need(numbers(bounds.get("min", "0")) <= numbers(native), "NotForUsError", "native app is too old")
        need("below" not in bounds or numbers(native) < numbers(bounds["below"]), "NotForUsError", "too new")
    need(platform is None or platform in platforms, "NotForUsError", "platform")

    size, digest = statement["payload"]["size"], statement["payload"]["digest"]["fsverity-sha256"]
    index = take(12 + length, 32 * segments)
    need(payload_digest(index, size).hex() == digest, "TamperedError", "index")
    end = 12 + length + len(index)
    need(not any(take(end, -end % BLOCK)), "FormatError", "padding")
    end += -end % BLOCK
    need(seal_bytes in (None, end), "TruncatedError", "bytes after the seal")

    payload = bundle[end:] if seal_bytes is None else bundle[seal_bytes:]
    check_segments(payload, size, index)
    return statement, payload


def check_segments(payload, size, index):
    need(len(payload) == size, "TruncatedError", f"payload of {len(payload)} bytes, not {size}")
    for i in range(-(-size // SEGMENT)):
        entry = index_entry(payload[i * SEGMENT : (i + 1) * SEGMENT], size <= BLOCK)
        need(entry == index[32 * i : 32 * i + 32], "TamperedError", f"segment {i}")


# Companions


def verify_companion(statement, name, index, stored):
    [found] = [a for a in statement["attachments"] if a["name"] == name and "sha256" not in a["digest"]]
    size, digest = found["size"], found["digest"]["fsverity-sha256"]
    need(len(index) == 32 * -(-size // SEGMENT), "TruncatedError", "index")
    need(payload_digest(index, size).hex() == digest, "TamperedError", "index")
    check_segments(stored, size, index)


def decrypt_companion(statement, payload, name, stored, private):
    """Return the plaintext of a sealed companion that was verified."""
    info = b"capseal/v1 companion %b %b" % (statement["app"].encode(), name.encode())
    return decrypt_stream(session_key_of(statement, payload, private), info, stored)


def decrypt(statement, payload, private):
    """Return the plaintext of a payload that was verified."""
    session_key = session_key_of(statement, payload, private)
    return decrypt_stream(session_key, b"capseal/v1 " + statement["app"].encode(), payload)


def session_key_of(statement, payload, private):
    need(payload[0] == 40, "FormatError", "payload header")
    ours = fingerprint(private.public_key())
    wrapped = [r["encrypted_key"] for r in statement["encryption"]["recipients"] if r["kid"] == ours]
    need(wrapped, "NotForUsError", "no recipient matches")
    try:
        session_key = private.decrypt(unbase64(wrapped[0]), padding.OAEP(MGF, hashes.SHA256(), None))
    except ValueError:
        session_key = b""
    need(len(session_key) == 32, "NotForUsError", "wrapped key does not open")
    commitment = hkdf(session_key, payload[1:33], b"capseal/v1 commitment " + statement["app"].encode())
    need(commitment == unbase64(statement["encryption"]["commitment"]), "TamperedError", "commitment")
    return session_key


def decrypt_stream(session_key, info, payload):
    need(payload[0] == 40, "FormatError", "header")
    prefix, aead = payload[33:40], AESGCM(hkdf(session_key, payload[1:33], info))
    plain = b""
    for i, start in enumerate(range(0, len(payload), SEGMENT)):
        last = start + SEGMENT >= len(payload)
        nonce = prefix + i.to_bytes(4, "big") + bytes([last])
        try:
            plain += aead.decrypt(nonce, payload[start or 40 : start + SEGMENT], None)
        except InvalidTag:
            raise Rejected("TamperedError", f"tag of segment {i}") from None
    return plain
