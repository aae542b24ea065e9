"""Writes the test vectors: PYTHONPATH=tests python -m vectors.generate. See making.py for what a vector is."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from capseal import Attachment, Companion, Requires, Role
from capseal.constants import SEGMENT_BYTES
from capseal.crypto.segment_cipher import Header, SegmentCipher, commitment
from capseal.format.dsse import pae
from capseal.format.strictjson import to_base64
from capseal.format.tree import digest, index_entries
from vectors import making_heads, making_recipes, making_trust
from vectors.companions import companions
from vectors.making import (
    APP,
    DEVELOPMENT,
    OTHER,
    RECIPIENT,
    SIGNER,
    SIGNER2,
    Parts,
    Vector,
    assemble,
    drawn,
    dump,
    filled,
    make,
    oaep,
    pss,
    read,
    signed,
    with_,
    xor,
)

FOLDER = Path(__file__).parent
BUNDLE, HELLO = make(b"hello")
STATEMENT = dump(HELLO.statement)
PLAIN = SEGMENT_BYTES - 16


def certificate(key: Any, issuer: Any, name: str, digest: Any = None) -> bytes:
    """Return a certificate in DER, the same at every call; its signature ends in a bit that is zero."""
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)]) for common in (name, "root")]
    for serial in count(1):
        made = (
            x509.CertificateBuilder()
            .subject_name(names[0])
            .issuer_name(names[1])
            .public_key(key.private.rsa.public_key())
            .serial_number(serial)
            .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
            .add_extension(x509.BasicConstraints(ca=key is issuer, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .sign(issuer.private.rsa, digest or hashes.SHA256())
        )
        if made.signature[-1] % 2 == 0:
            return made.public_bytes(Encoding.DER)
    raise AssertionError


def flipped(der: bytes) -> bytes:
    """Return a certificate with one bit of its signature altered."""
    return der[:-1] + bytes([der[-1] ^ 2])


def with_unused_bit(der: bytes) -> bytes:
    """Return a certificate whose last BIT STRING, the signature, says that it is one bit shorter."""
    at = len(der) - len(x509.load_der_x509_certificate(der).signature) - 1
    return der[:at] + b"\1" + der[at + 1 :]


LEAF, ROOT = certificate(SIGNER, SIGNER2, "signer"), certificate(SIGNER2, SIGNER2, "root")


def valid() -> Iterator[Vector]:
    def ok(name: str, about: str, content: bytes, bundle: bytes = b"", **fields: str) -> Vector:
        found = bundle or make(content, name.encode())[0]
        size = f"{len(content)} {hashlib.sha256(content).hexdigest()}"
        return Vector(name, "ok", about, found, fields | {"content": size})

    yield ok("valid-empty", "no plaintext: one segment that is only a tag", b"")
    yield ok("valid-one-byte", "one byte of plaintext", b"\x2a")
    yield ok("valid-hello", "five bytes; the worked example of docs/format.md", b"hello", BUNDLE)
    for name, size in (
        ("one-block", 4096 - 56),
        ("two-blocks", 4097 - 56),
        ("segment-less-1", PLAIN - 41),
        ("segment-exactly", PLAIN - 40),
        ("segment-and-1", PLAIN - 39),
        ("two-segments-exactly", 2 * PLAIN - 40),
        ("three-segments", 2 * PLAIN + 1000),
    ):
        content = filled(size, b"valid-" + name.encode())
        yield ok(f"valid-{name}", f"{size} bytes of plaintext", content)

    def hello(name: str, about: str, seal: dict[str, Any] | None = None, **fields: str) -> Vector:
        return ok(f"valid-{name}", about, b"hello", make(b"hello", name.encode(), **(seal or {}))[0], **fields)

    keys = [OTHER.public_key, RECIPIENT.public_key]
    yield hello("two-recipients", "the first recipient is another one, of 4096 bits", {"recipients": keys})
    yield hello("other-recipient", "read by the first recipient", {"recipients": keys}, identity="other")
    both = {"signer": [SIGNER, SIGNER2]}
    yield hello("two-signatures", "a threshold of two is met", both, trust="signer signer2", threshold="2")
    yield hello("unknown-cosigner", "a second signature by a key that nobody trusts", both)
    yield hello("unknown-signer-first", "the first signature is a stranger's", {"signer": [SIGNER2, SIGNER]})
    yield hello(
        "development", "a development build takes a development key", {"signer": DEVELOPMENT, "role": Role.DEVELOPMENT},
        trust="signer development/development", role="development",
    )  # fmt: skip
    meant = {"role": Role.DEVELOPMENT}
    yield hello("role-development", "a development build takes what was meant for it", meant, role="development")
    yield hello("development-reads-production", "a development build takes what was meant for all", role="development")
    fits = {"requires": Requires(native_min="1.4", native_below="2", platforms=("android", "ios"))}
    for name, about, told in (
        ("requires-lowest", "the lowest native version that will do", {"native": "1.4.0.0", "platform": "ios"}),
        ("requires-highest", "the last native version that will do", {"native": "1.999999999999999"}),
        ("requires-numbers", "1.10 is above 1.4", {"native": "1.10", "platform": "android"}),
        ("requires-nothing-told", "the reader is told of no native app", {}),
    ):
        yield hello(name, about, fits, **told)
    web = {"requires": Requires(platforms=("web",))}
    yield hello("requires-platforms", "a bundle for one platform, whatever the version", web, native="0")
    yield hello("channel", "the channel that the reader expects", {"channel": "beta"}, channel="beta")
    yield hello("floor", "the sequence is just above the floor", floor="141")
    yield hello("permit", "a signed permit lowers the floor", {"allow_downgrade_to": 141}, floor="200")
    attachment = Attachment("notes.txt", "text/plain", 5, hashlib.sha256(b"hello").digest())
    yield hello("attachments", "one attachment", {"attachments": [attachment]})
    found = digest(index_entries(memoryview(b"hello"), whole_payload=True), 5)
    foreign = Companion("game.capgo", "application/vnd.capgo.bundle", 5, found)
    yield hello(
        "companion-foreign", "an attachment and a companion", {"attachments": [attachment], "companions": [foreign]}
    )
    largest = Companion("pack", "application/octet-stream", 2**51 - 61, bytes(32))
    yield hello("companion-largest", "payload and companion have 2 PiB together", {"companions": [largest]})
    many = [Companion(f"c{i}", "application/octet-stream", 1, bytes(32)) for i in range(64)]
    yield hello("companion-64", "as many companions as are allowed", {"companions": many})
    custom = {"notes": ["\N{GRINNING FACE}", -1, None, True, {"é": {}}], "most": 2**53 - 1}
    yield hello("custom", "custom data with other scripts and the largest integer", {"custom": custom})
    deep: Any = "deep"
    for _ in range(30):
        deep = [deep]
    yield hello("nested-32", "custom data nested as deep as is allowed", {"custom": {"x": deep}})
    yield hello("custom-64-kib", "as much custom data as is allowed", {"custom": {"x": "U" * (65536 - 8)}})
    spaced = b" " + STATEMENT.replace(b'":', b'"\n\t: ').replace(b"com.example", b"c\\u006fm.example")
    yield ok(
        "valid-statement-spelling", "signed JSON may have white space", b"hello", assemble(HELLO, statement=spaced)
    )
    chain = [signed(STATEMENT)[0] | {"x5c": [to_base64(LEAF), to_base64(ROOT)]}]
    yield ok("valid-x5c", "a signature with certificates", b"hello", assemble(HELLO, signatures=chain))
    yield ok("valid-detached", "seal and payload apart", b"hello", BUNDLE, **{"seal-bytes": "4096"})


def seals() -> Iterator[Vector]:
    """Defects of header, envelope, index and padding."""

    def cut(name: str, size: int) -> Vector:
        return Vector(f"truncated-{name}", "TruncatedError", f"the input ends after {size} bytes", BUNDLE[:size])

    length = int.from_bytes(BUNDLE[8:12], "big")
    end = 12 + length
    for name, size in (
        ("empty", 0), ("magic", 7), ("length", 11), ("envelope", end - 1),
        ("index", end + 31), ("padding", 4095), ("payload", len(BUNDLE) - 1), ("no-payload", 4096),
    ):  # fmt: skip
        yield cut(name, size)

    def bad(name: str, about: str, bundle: bytes, expect: str = "FormatError", **fields: str) -> Vector:
        return Vector(name, expect, about, bundle, fields)

    yield bad("magic-wrong", "the last letter of the magic differs", BUNDLE[:7] + b"M" + BUNDLE[8:])
    yield bad("magic-zip", "a plain zip file", b"PK\x05\x06" + bytes(18))
    yield bad("length-zero", "an envelope of no bytes", BUNDLE[:8] + bytes(4) + BUNDLE[12:])
    over = (2**20 + 1).to_bytes(4, "big")
    yield bad("length-over-cap", "an envelope of 1 MiB and a byte", BUNDLE[:8] + over + BUNDLE[12:])
    yield bad(
        "length-less-1",
        "the length cuts the envelope's last byte",
        BUNDLE[:8] + (length - 1).to_bytes(4, "big") + BUNDLE[12:],
    )
    yield bad("trailing-byte", "a byte after the payload", BUNDLE + b"\0", "TruncatedError")
    yield bad(
        "detached-seal-trailing-byte",
        "a byte after the detached seal",
        BUNDLE[:4096] + b"\0" + BUNDLE[4096:],
        "TruncatedError",
        **{"seal-bytes": "4097"},
    )
    yield bad("padding-not-zero", "the seal's last byte is not zero", BUNDLE[:4095] + b"\1" + BUNDLE[4096:])
    yield bad(
        "padding-first-byte", "the byte after the index is not zero", BUNDLE[: end + 32] + b"\x80" + BUNDLE[end + 33 :]
    )
    index = xor(HELLO.index, b"\1" + bytes(31))
    yield bad("index-altered", "a bit of the index differs", assemble(HELLO, index=index), "TamperedError")

    def envelope(name: str, about: str, edit: Callable[[bytes], bytes]) -> Vector:
        return bad(f"envelope-{name}", about, assemble(HELLO, envelope=edit))

    def sub(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
        def edit(data: bytes) -> bytes:
            assert old in data, old
            return data.replace(old, new, 1)

        return edit

    yield envelope("not-utf8", "a byte that is not UTF-8", sub(b"application/", b"applicati\xffn/"))
    yield envelope("not-json", "a comma too many", sub(b'"signatures"', b',"signatures"'))
    yield envelope("array", "an array around it", lambda data: b"[" + data + b"]")
    yield envelope("trailing-newline", "not canonical: a newline at the end", lambda data: data + b"\n")
    yield envelope("leading-space", "not canonical: a space in front", lambda data: b" " + data)
    yield envelope("inner-space", "not canonical: a space after a colon", sub(b'"payloadType":', b'"payloadType": '))
    yield envelope("escape", "not canonical: an escaped letter", sub(b"payloadType", b"payloadT\\u0079pe"))
    yield envelope(
        "order",
        "not canonical: payloadType comes last",
        lambda data: re.sub(
            rb'"payloadType":"[^"]*",(.*)}$', rb'\1,"payloadType":"application/vnd.capseal.seal.v1+json"}', data
        ),
    )
    yield envelope(
        "signature-order",
        "not canonical: sig comes before keyid",
        lambda data: re.sub(rb'("keyid":"[^"]*"),("sig":"[^"]*")', rb"\2,\1", data),
    )
    yield envelope("member-missing", "no payloadType", lambda data: re.sub(rb'"payloadType":"[^"]*",', b"", data))
    yield envelope("member-extra", "a member that is not in the format", lambda data: data[:-1] + b',"extra":1}')
    yield envelope("member-twice", "payloadType twice", sub(b'"payloadType"', b'"payloadType":"x/y","payloadType"'))
    yield envelope(
        "member-mistyped", "payloadType is null", lambda data: re.sub(rb'("payloadType":)"[^"]*"', rb"\1null", data)
    )
    yield envelope(
        "base64-unpadded", "the payload's base64 lacks its padding", _respelled(lambda text: text.rstrip("="))
    )
    yield envelope("base64-stray-bits", "bits of the base64 that belong to no byte are set", _respelled(_stray))
    yield envelope("base64-url", "base64 with - and _", lambda data: re.sub(rb'("sig":")[^"]{2}', rb"\1-_", data))

    def signature(name: str, about: str, entries: Any, expect: str = "FormatError", **fields: str) -> Vector:
        return bad(f"signature-{name}", about, assemble(HELLO, signatures=entries), expect, **fields)

    [entry] = signed(STATEMENT)
    yield signature("none", "no signature", [])
    yield signature("17", "seventeen signatures", [entry] * 17)
    yield signature("string", "a signature that is not an object", ["x"])
    yield signature("no-keyid", "a signature without keyid", [{"sig": entry["sig"]}])
    yield signature("no-sig", "a signature without sig", [{"keyid": entry["keyid"]}])
    yield signature("extra-member", "a signature with a member too many", [entry | {"alg": "none"}])
    yield signature("keyid-upper-case", "keyid in upper case", [entry | {"keyid": entry["keyid"].upper()}])
    yield signature("256-bytes", "a signature as short as of a 2048-bit key", [entry | {"sig": to_base64(bytes(256))}])
    yield signature("x5c-empty", "a certificate chain of none", [entry | {"x5c": []}])
    yield signature("x5c-9", "nine certificates", [entry | {"x5c": [to_base64(b"x")] * 9}])
    yield signature("x5c-number", "a certificate that is a number", [entry | {"x5c": [1]}])

    weak = certificate(SIGNER, SIGNER2, "signer", hashes.SHA224())
    for name, about, chain in (
        ("not-a-certificate", "a certificate that is none", [b"leaf", ROOT]),
        (
            "altered",
            "a bit of the first certificate's signature differs",
            [flipped(LEAF), ROOT],
        ),
        (
            "root-altered",
            "a bit of the last certificate's signature differs",
            [LEAF, flipped(ROOT)],
        ),
        ("unused-bits", "a certificate's signature claims an unused bit", [with_unused_bit(LEAF), ROOT]),
        ("incomplete", "the chain does not end in a self-signed certificate", [LEAF]),
        ("other-key", "a chain for another key than keyid's", [ROOT]),
        ("order", "the issuer first", [ROOT, LEAF]),
        ("after-the-root", "a certificate after the self-signed one", [LEAF, ROOT, ROOT]),
        ("sha-224", "a certificate signed with SHA-224", [weak, ROOT]),
    ):
        x5c = [to_base64(der) for der in chain]
        yield signature(f"x5c-{name}", about, [entry | {"x5c": x5c}], "SignatureError")

    message = pae("application/vnd.capseal.seal.v1+json", STATEMENT)

    def by(key: Any, sig: bytes) -> dict[str, str]:
        return {"keyid": key.kid, "sig": to_base64(sig)}

    wrong = "SignatureError"
    good = SIGNER.sign(message)
    yield signature("altered", "a bit of the signature differs", [by(SIGNER, xor(good, bytes(383) + b"\1"))], wrong)
    yield signature("zero", "a signature of zeros", [by(SIGNER, bytes(384))], wrong)
    yield signature("untrusted", "signed by a key that nobody trusts", signed(STATEMENT, SIGNER2), wrong)
    yield signature(
        "other-keyid", "a trusted keyid on a stranger's signature", [by(SIGNER, SIGNER2.sign(message))], wrong
    )
    yield signature("unknown-keyid", "a stranger's keyid on a trusted signature", [by(SIGNER2, good)], wrong)
    yield signature("salt-20", "RSA-PSS with a salt of 20 bytes", [by(SIGNER, pss(SIGNER.private, message, 20))], wrong)
    yield signature("salt-0", "RSA-PSS without salt", [by(SIGNER, pss(SIGNER.private, message, 0))], wrong)
    yield signature("salt-64", "RSA-PSS with a salt of 64 bytes", [by(SIGNER, pss(SIGNER.private, message, 64))], wrong)
    yield signature(
        "no-pae",
        "the statement was signed without the pre-authentication encoding",
        [by(SIGNER, SIGNER.sign(STATEMENT))],
        wrong,
    )
    yield signature(
        "good-and-bad",
        "two trusted keys signed, one of them something else",
        [entry, by(SIGNER2, SIGNER2.sign(b"x"))],
        wrong,
        trust="signer signer2",
    )
    yield bad(
        "statement-altered",
        "the version was altered after signing",
        assemble(HELLO, statement=STATEMENT.replace(b"1.4.2", b"1.4.3"), signatures=[entry]),
        wrong,
    )
    yield bad(
        "payload-type-altered",
        "the payloadType was altered after signing",
        assemble(HELLO, payload_type="application/vnd.capseal.seal.v2+json", signatures=[entry]),
        wrong,
    )
    yield bad(
        "payload-type-unknown",
        "a payloadType of a version to come, signed",
        assemble(HELLO, payload_type="application/vnd.capseal.seal.v2+json"),
    )
    yield signature(
        "threshold", "one of two demanded signatures", [entry], wrong, trust="signer signer2", threshold="2"
    )
    yield signature(
        "one-key-twice",
        "one key signed twice, two are demanded",
        [entry, entry],
        wrong,
        trust="signer signer2",
        threshold="2",
    )
    yield signature(
        "development",
        "a development key, production is demanded",
        signed(STATEMENT, DEVELOPMENT),
        "NotForUsError",
        trust="signer development/development",
    )
    yield bad("key-2048-bits", "the trusted key has 2048 bits", BUNDLE, "KeyFileError", trust="weak-2048")
    yield bad("key-exponent-3", "the trusted key has the exponent 3", BUNDLE, "KeyFileError", trust="weak-exponent-3")


def _respelled(edit: Callable[[str], str]) -> Callable[[bytes], bytes]:
    """Spell the envelope's payload otherwise; a space in the statement makes its base64 end in padding."""

    def respell(data: bytes) -> bytes:
        statement = STATEMENT + b" " * (-len(STATEMENT) % 3 + 1)
        spelled = edit(to_base64(statement)).encode()
        return re.sub(rb'("payload":")[^"]*', rb"\g<1>" + spelled, data)

    return respell


def _stray(text: str) -> str:
    assert text.endswith("=")
    at = len(text.rstrip("=")) - 1
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    return text[:at] + alphabet[alphabet.index(text[at]) | 1] + text[at + 1 :]


def statements() -> Iterator[Vector]:
    """Defects of the statement, all of them signed."""

    def raw(name: str, about: str, data: bytes, expect: str = "FormatError", **fields: str) -> Vector:
        return Vector(f"statement-{name}", expect, about, assemble(HELLO, statement=data), fields)

    def sub(name: str, about: str, old: bytes, new: bytes) -> Vector:
        assert old in STATEMENT, old
        return raw(name, about, STATEMENT.replace(old, new, 1))

    def put(name: str, about: str, path: str, value: Any) -> Vector:
        return raw(name, about, dump(with_(HELLO.statement, path, value)))

    yield raw("array", "an array around it", b"[" + STATEMENT + b"]")
    yield raw("empty", "no bytes", b"")
    yield raw("not-json", "a comma too many", STATEMENT[:-1] + b",}")
    yield raw("not-utf8", "a byte that is not UTF-8", STATEMENT.replace(b"1.4.2", b"1.4.\xff"))
    yield raw("byte-order-mark", "a byte order mark in front", b"\xef\xbb\xbf" + STATEMENT)
    yield raw("two", "one statement after another", STATEMENT * 2)
    yield put("member-missing", "no app", "app", ...)
    yield put("inner-member-missing", "no size in content", "content.size", ...)
    yield put("member-extra", "a member that is not in the format", "extra", 1)
    yield put("inner-member-extra", "a member too many in payload", "payload.extra", 1)
    yield sub("member-twice", "app twice", b'"version"', b'"app":"com.example.game","version"')
    yield sub(
        "inner-member-twice", "size twice in content, once escaped", b'"mediaType"', b'"s\\u0069ze":5,"mediaType"'
    )
    yield put("member-mistyped", "sequence is a string", "sequence", "142")
    yield put("boolean-as-integer", "sequence is true", "sequence", True)
    yield put("object-mistyped", "content is null", "content", None)
    yield sub("number-with-point", "sequence is 142.0", b'"sequence":142', b'"sequence":142.0')
    yield sub("number-with-exponent", "sequence is 142e0", b'"sequence":142', b'"sequence":142e0')
    yield sub("number-minus-zero", "a size is -0", b'"size":5', b'"size":-0')
    yield sub("number-nan", "sequence is NaN", b'"sequence":142', b'"sequence":NaN')
    yield put("integer-2-53", "custom data with the integer 2^53", "custom", {"x": 2**53})
    yield put("custom-number-with-point", "custom data with a number that is no integer", "custom", {"x": 0.5})
    yield sub("lone-surrogate", "a string with half a surrogate pair", b'"1.4.2"', b'"1.4.2\\ud800"')
    deep: Any = "deep"
    for _ in range(31):
        deep = [deep]
    yield put("nested-33", "custom data nested a level too deep", "custom", {"x": deep})
    yield put("custom-over-64-kib", "a byte more of custom data than is allowed", "custom", {"x": "U" * (65536 - 7)})
    yield put("custom-array", "custom data that is an array", "custom", [])
    yield put("app-empty", "an app without name", "app", "")
    yield put("app-space", "an app with a space in its name", "app", "com example")
    yield put("app-129", "an app id of 129 letters", "app", "a" * 129)
    yield put("channel-slash", "a channel with a slash", "channel", "a/b")
    yield put("version-control-character", "a version with a newline", "version", "1.4.2\n")
    yield put("version-right-to-left", "a version with an invisible character", "version", "1.4.\u202e2")
    yield put("version-256", "a version of 256 characters", "version", "1" * 256)
    yield put("role-missing", "no role", "role", ...)
    yield put("role-unknown", "a role that is neither", "role", "staging")
    yield put("role-upper-case", "a role in upper case", "role", "Production")
    for name, about, required in (
        ("empty", "nothing required", {}),
        ("extra-member", "something unknown required", {"native": {"min": "1"}, "memory": 1}),
        ("native-empty", "native versions without bounds", {"native": {}}),
        ("version-empty", "a version of no letters", {"native": {"min": ""}}),
        ("leading-zero", "a version with a leading zero", {"native": {"min": "1.04"}}),
        ("five-parts", "a version of five integers", {"native": {"below": "1.2.3.4.5"}}),
        ("16-digits", "a version's integer of 16 digits", {"native": {"below": "1000000000000000"}}),
        ("letters", "a version that is more than integers", {"native": {"min": "1.4-beta"}}),
        ("number", "a version that is a number", {"native": {"min": 1}}),
        ("nothing-between", "no version is between 1.4 and 1.4.0", {"native": {"min": "1.4", "below": "1.4.0"}}),
        ("min-above-below", "the lowest version is above the last", {"native": {"min": "1.10", "below": "1.9"}}),
        ("platforms-empty", "an array of no platforms", {"platforms": []}),
        ("platforms-17", "seventeen platforms", {"platforms": [f"p{i}" for i in range(17)]}),
        ("platform-twice", "a platform twice", {"platforms": ["ios", "ios"]}),
        ("platform-upper-case", "a platform in upper case", {"platforms": ["iOS"]}),
    ):
        yield put(f"requires-{name}", about, "requires", required)
    yield put("sequence-zero", "sequence 0", "sequence", 0)
    yield put("created-no-zone", "a time without Z", "created", "2026-11-22T21:30:00")
    yield put("created-fraction", "a time with a fraction", "created", "2026-11-22T21:30:00.0Z")
    yield put("created-february-30", "a day that does not exist", "created", "2026-02-30T21:30:00Z")
    yield put("content-name-slash", "a content name with a folder", "content.name", "a/dist.zip")
    yield put("content-name-dots", "a content name that is ..", "content.name", "..")
    yield put("media-type-upper-case", "a media type in upper case", "content.mediaType", "Application/zip")
    yield put("media-type-parameter", "a media type with a parameter", "content.mediaType", "text/plain;x=y")
    yield put("content-size-negative", "a content of -1 bytes", "content.size", -1)
    huge = with_(HELLO.statement, "content.size", 2**32 * PLAIN - 39)
    yield raw(
        "content-size-over-cap", "more content than 2^32 segments hold", dump(with_(huge, "payload.size", 2**51 + 17))
    )
    yield put("sizes-disagree", "content of 6 bytes in a payload for 5", "content.size", 6)
    yield put("payload-size-disagrees", "a payload of 62 bytes for content of 5", "payload.size", 62)
    hex64 = HELLO.statement["payload"]["digest"]["fsverity-sha256"]
    yield put("digest-upper-case", "a digest in upper case", "payload.digest.fsverity-sha256", hex64.upper())
    yield put("digest-short", "a digest of 63 digits", "payload.digest.fsverity-sha256", hex64[:-1])
    yield put("digest-unknown", "a digest of an unknown kind", "payload.digest", {"sha256": hex64})
    yield put("digest-two", "a digest of an unknown kind beside the known one", "payload.digest.sha256", hex64)
    yield put(
        "scheme-unknown",
        "an encryption scheme of another segment size",
        "encryption.scheme",
        "tink-aes256-gcm-hkdf-1mb",
    )
    yield put("commitment-31", "a commitment of 31 bytes", "encryption.commitment", to_base64(bytes(31)))
    yield put(
        "commitment-base64",
        "base64 with bits set that belong to no byte",
        "encryption.commitment",
        to_base64(bytes(32))[:-2] + "B=",
    )
    yield put("recipients-none", "no recipient", "encryption.recipients", [])
    recipient = HELLO.statement["encryption"]["recipients"][0]
    yield put("recipient-twice", "the same recipient twice", "encryption.recipients", [recipient, recipient])
    yield put("recipient-extra-member", "a recipient with a member too many", "encryption.recipients.0.x", 1)
    yield put("kid-short", "a kid of 62 digits", "encryption.recipients.0.kid", recipient["kid"][:-2])
    yield put("alg-unknown", "RSA-OAEP with SHA-1 announced", "encryption.recipients.0.alg", "RSA-OAEP")
    yield put(
        "wrapped-key-256",
        "a wrapped key as short as of a 2048-bit key",
        "encryption.recipients.0.encrypted_key",
        to_base64(bytes(256)),
    )
    yield put("policy-empty", "a policy without its member", "policy", {})
    yield put("permit-not-lower", "a permit for the sequence itself", "policy", {"allow_downgrade_to": 142})
    attachment = {"name": "a", "mediaType": "text/plain", "size": 1, "digest": {"sha256": "00" * 32}}
    yield put("attachments-none", "an array of no attachments", "attachments", [])
    yield put("attachment-twice", "two attachments of one name", "attachments", [attachment, attachment])
    yield put(
        "attachment-name", "an attachment with a folder in its name", "attachments", [attachment | {"name": "../a"}]
    )
    yield put(
        "attachment-digest",
        "an attachment with another kind of digest",
        "attachments",
        [attachment | {"digest": {"md5": ""}}],
    )
    yield put(
        "attachment-encryption",
        "encryption of an attachment that is no companion",
        "attachments",
        [attachment | {"encryption": {"scheme": "tink-aes256-gcm-hkdf-512kb"}}],
    )
    companion = attachment | {"digest": {"fsverity-sha256": "00" * 32}}
    scheme = {"scheme": "tink-aes256-gcm-hkdf-512kb"}
    sealed = companion | {"size": 56, "encryption": scheme}
    pebibyte = companion | {"size": 2**50}
    both, own = companion["digest"] | attachment["digest"], scheme | {"commitment": to_base64(bytes(32))}
    for name, about, items in (
        ("both-digests", "a companion with both digests", [companion | {"digest": both}]),
        ("name-space", "a companion with a space in its name", [companion | {"name": "a b"}]),
        ("name-percent", "a companion with a percent sign in its name", [companion | {"name": "a%20b"}]),
        ("name-non-ascii", "a companion with an umlaut in its name", [companion | {"name": "\u00e4"}]),
        ("empty", "a companion of no bytes", [companion | {"size": 0}]),
        ("over-cap", "a byte more than 2 PiB, all together", [companion | {"size": 2**51 - 60}]),
        ("over-cap-together", "two of 1 PiB beside the payload", [pebibyte, pebibyte | {"name": "b"}]),
        ("65", "sixty-five companions", [companion | {"name": f"c{i}"} for i in range(65)]),
        ("twice", "an attachment and a companion of one name", [attachment, companion]),
        ("no-stream", "a sealed companion too small for header and tag", [sealed | {"size": 55}]),
        ("empty-last-segment", "a sealed companion that ends in a tag alone", [sealed | {"size": 524288 + 16}]),
        ("scheme-unknown", "a companion sealed in another way", [sealed | {"encryption": {"scheme": "none"}}]),
        ("commitment", "a sealed companion with a commitment of its own", [sealed | {"encryption": own}]),
    ):
        yield put(f"companion-{name}", about, "attachments", items)
    other = "1" + hex64[1:] if hex64[0] != "1" else "2" + hex64[1:]
    yield Vector(
        "statement-digest-wrong",
        "TamperedError",
        "the signed digest is not that of the index",
        assemble(HELLO, statement=with_(HELLO.statement, "payload.digest.fsverity-sha256", other)),
    )

    def honest(name: str, expect: str, about: str, **fields: str) -> Vector:
        return Vector(name, expect, about, BUNDLE, fields)

    yield honest("app-wrong", "NotForUsError", "sealed for another app than expected", app="com.example.other")
    yield honest("app-prefix", "NotForUsError", "the expected app's name goes on", app=APP + "s")
    yield honest("channel-wrong", "NotForUsError", "sealed for another channel than expected", channel="beta")
    meant = make(b"hello", b"meant", role=Role.DEVELOPMENT)[0]
    yield Vector("role-development", "NotForUsError", "meant for development, production demanded", meant)
    required = Requires(native_min="1.4", native_below="2", platforms=("android", "ios"))
    bundle = make(b"hello", b"required", requires=required)[0]
    for name, about, told in (
        ("native-too-old", "the native app is older than required", {"native": "1.3.9"}),
        ("native-too-new", "the native app is newer than will do", {"native": "2.0.0.0"}),
        ("platform-other", "the reader runs on another platform", {"native": "1.5", "platform": "web"}),
    ):
        yield Vector(name, "NotForUsError", about, bundle, told)
    yield honest("floor-equal", "RollbackError", "the sequence is the floor", floor="142")
    yield honest("floor-above", "RollbackError", "the sequence is below the floor", floor="143")


def payloads() -> Iterator[Vector]:
    """Defects of the payload and of what opens it."""

    def bad(name: str, about: str, bundle: bytes, expect: str = "TamperedError", **fields: str) -> Vector:
        return Vector(name, expect, about, bundle, fields)

    altered = HELLO.payload[:45] + xor(HELLO.payload[45:46], b"\x10") + HELLO.payload[46:]
    yield bad("payload-altered", "a bit of the ciphertext differs", assemble(HELLO, payload=altered))
    yield bad(
        "payload-zero-tail",
        "the last byte, cut; the tree pads with zeros",
        assemble(HELLO, payload=HELLO.payload[:-1]),
        "TruncatedError",
    )
    _, parts = make(filled(2 * PLAIN + 1000, b"segments"), b"segments")
    size = SEGMENT_BYTES
    first, second, third = parts.payload[:size], parts.payload[size : 2 * size], parts.payload[2 * size :]
    for name, payload, about in (
        ("first-altered", xor(first[:1], b"\1") + first[1:] + second + third, "the first byte of segment 0"),
        ("second-altered", first + second[:-1] + xor(second[-1:], b"\x80") + third, "the last byte of segment 1"),
        ("last-altered", first + second + third[:-1] + xor(third[-1:], b"\1"), "the last byte of the last segment"),
        ("swapped", second + first + third, "the first two segments, swapped"),
        ("doubled", first + first + third, "segment 0 in place of segment 1"),
    ):
        yield bad(f"segment-{name}", f"altered: {about}", assemble(parts, payload=payload))
    yield bad("segment-dropped", "segment 1 is missing", assemble(parts, payload=first + third), "TruncatedError")
    yield bad(
        "segment-added",
        "segment 1 comes again after the last",
        assemble(parts, payload=first + second + third + second),
        "TruncatedError",
    )
    _, twin = make(filled(2 * PLAIN + 1000, b"twin"), b"twin")
    spliced = first + twin.payload[size : 2 * size] + third
    yield bad("segment-spliced", "segment 1 of another bundle of the same key", assemble(parts, payload=spliced))
    yield bad(
        "payload-of-another-bundle",
        "the payload of another bundle of the same size",
        assemble(parts, payload=twin.payload),
    )

    # From here on the seal is honest about a bad payload: only the holder of the key finds it.

    def resealed(parts: Parts, payload: bytes) -> Parts:
        index = index_entries(memoryview(payload), whole_payload=True)
        signed_digest = digest(index, len(payload)).hex()
        statement = with_(parts.statement, "payload.digest.fsverity-sha256", signed_digest)
        return replace(parts, statement=statement, index=index, payload=payload)

    def secret(name: str, about: str, parts: Parts, expect: str = "TamperedError", **fields: str) -> Vector:
        return bad(name, about, assemble(parts), expect, stage="unseal", **fields)

    yield secret(
        "header-length", "the payload's first byte is 0x29", resealed(HELLO, b"\x29" + HELLO.payload[1:]), "FormatError"
    )
    yield secret("tag-altered", "ciphertext altered before the tree was made", resealed(HELLO, altered))
    swapped = resealed(parts, first[:40] + second[40:] + second[:40] + first[40:] + third)
    yield secret("tag-segments-swapped", "segments swapped before the tree was made", swapped)

    def encrypted(app: str = APP, first: int = 0, last: bool = True, nonce: bytes | None = None) -> bytes:
        header = Header(HELLO.header.salt, nonce or HELLO.header.nonce_prefix)
        out = memoryview(bytearray(4096))
        run = SegmentCipher(HELLO.session_key, header, app).encrypt_run(first, memoryview(b"hello"), last, out)
        return HELLO.payload[:40] + bytes(run)[0 if first else 40 :]

    assert encrypted() == HELLO.payload
    yield secret("tag-not-last", "the last segment is not marked as the last", resealed(HELLO, encrypted(last=False)))
    yield secret("tag-wrong-number", "segment 0 was encrypted as segment 1", resealed(HELLO, encrypted(first=1)))
    yield secret("tag-wrong-app", "encrypted for another app", resealed(HELLO, encrypted(app="com.example.other")))
    yield secret("tag-wrong-nonce", "encrypted with another nonce prefix", resealed(HELLO, encrypted(nonce=bytes(7))))

    def wrapped(key: bytes) -> Parts:
        value = with_(HELLO.statement, "encryption.recipients.0.encrypted_key", to_base64(key))
        return replace(HELLO, statement=value)

    public, none = RECIPIENT.public_key, "NotForUsError"
    yield Vector(
        "recipient-other",
        none,
        "sealed for another recipient",
        make(b"hello", recipients=[OTHER.public_key])[0],
        {"stage": "unseal"},
    )
    yield secret("wrapped-key-short", "a wrapped key of 31 bytes", wrapped(oaep(public, HELLO.session_key[:31])), none)
    yield secret("wrapped-key-long", "a wrapped key of 33 bytes", wrapped(oaep(public, HELLO.session_key + b"x")), none)
    yield secret("wrapped-key-sha1", "RSA-OAEP with SHA-1", wrapped(oaep(public, HELLO.session_key, hash="sha1")), none)
    yield secret(
        "wrapped-key-label", "RSA-OAEP with a label", wrapped(oaep(public, HELLO.session_key, label=b"x")), none
    )
    yield secret(
        "wrapped-key-for-another",
        "wrapped for another key than the kid says",
        wrapped(oaep(SIGNER.public_key, HELLO.session_key)),
        none,
    )
    yield secret("wrapped-key-zero", "a wrapped key of zeros", wrapped(bytes(384)), none)
    yield secret(
        "commitment-other-key", "another session key than was committed to", wrapped(oaep(public, drawn(b"other", 32)))
    )
    other_app = commitment(HELLO.session_key, HELLO.header, "com.example.other")
    value = with_(HELLO.statement, "encryption.commitment", to_base64(other_app))
    yield secret("commitment-other-app", "a commitment for another app", replace(HELLO, statement=value))


def vectors() -> list[Vector]:
    """Return every vector, in order of file."""
    found = [*valid(), *seals(), *statements(), *payloads(), *companions()]
    names = [vector.name for vector in found]
    assert len(set(names)) == len(names), sorted(name for name in names if names.count(name) > 1)
    return found


def main() -> None:
    for old in FOLDER.glob("*.txt"):
        old.unlink()
    total = 0
    for vector in vectors():
        text = vector.text()
        assert read(text)[1] == vector.bundle, vector.name
        (FOLDER / f"{vector.name}.txt").write_text(text, encoding="ascii")
        total += 1
    making_trust.generate()
    making_heads.generate()
    making_recipes.generate()
    print(f"{total} vectors, {sum(path.stat().st_size for path in FOLDER.glob('*.txt')) // 1024} KiB")


if __name__ == "__main__":
    main()
