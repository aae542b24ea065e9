"""The vectors of heads, recalls and rollouts: signed documents with one defect each, and what a reader knows beforehand.

Header lines `name`, `about`, `expect`, `kind` (head or recall), and what the reader has: `keys`, names of keys for
production heads (or, of a recall, for production releases), `development-keys` for development heads, `threshold`,
`app`, `channel`, `role`, `epoch`, `store` (version and digest), `max-age` in seconds, `until`, `now`. Where the reader
has taken a head already, `known` is its number and digest. Then, behind an empty line, the envelope in lines as those
of the other vectors. rollout.txt has a line for each case: salt, secret, share in thousandths, `in` or `out`.
"""

# ruff: noqa: E501 - a vector a line, to be read as a table

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capseal.format.strictjson import to_base64
from vectors.making import APP, DEVELOPMENT, OTHER, SIGNER, SIGNER2, drawn, dump, lines, signed, with_

FOLDER = Path(__file__).parent / "heads"
HEAD_TYPE = "application/vnd.capseal.head.v1+json"
RECALL_TYPE = "application/vnd.capseal.recall.v1+json"
FORMAT, NOT_FOR_US = "FormatError", "NotForUsError"

STORE = hashlib.sha256(b"store").hexdigest()


def digest(number: int) -> str:
    return hashlib.sha256(b"payload %d" % number).hexdigest()


HEAD: dict[str, Any] = {
    "app": APP,
    "channel": "production",
    "role": "production",
    "epoch": 2,
    "number": 12,
    "previous": digest(11),
    "issued": "2026-11-22T21:30:00Z",
    "expires": "2026-11-29T21:30:00Z",
    "trust": {"version": 3, "digest": STORE},
    "current": [
        {"sequence": 142, "digest": digest(142), "requires": {"native": {"min": "2.0"}, "platforms": ["android"]}},
        {"sequence": 140, "digest": digest(140)},
    ],
    "candidate": {
        "sequence": 143,
        "digest": digest(143),
        "share": 100,
        "salt": to_base64(drawn(b"head", 16)),
        "paused": False,
    },
    "withdrawn": [138, 141],
    "recalls": sorted([digest(1), digest(2)]),
    "log": {"number": 7, "digest": digest(7)},
}
RECALL: dict[str, Any] = {
    "app": APP,
    "channel": "production",
    "role": "production",
    "created": "2026-11-22T21:30:00Z",
    "releases": [
        {"sequence": 141, "digest": digest(141), "version": "1.4.1"},
        {"sequence": 138, "digest": digest(138), "version": "1.3.8"},
    ],
}
READER = {
    "kind": "head",
    "keys": "signer",
    "development-keys": "development",
    "threshold": "1",
    "app": APP,
    "channel": "production",
    "role": "production",
    "epoch": "2",
    "store": f"3 {STORE}",
    "max-age": "1209600",
    "until": "2031-01-01T00:00:00Z",
    "now": "2026-11-23T00:00:00Z",
}
RECALL_READER = {name: READER[name] for name in ("keys", "threshold", "app", "channel", "role")} | {"kind": "recall"}


def envelope(document: Any, *keys: Any, payload_type: str = HEAD_TYPE) -> bytes:
    data = document if isinstance(document, bytes) else dump(document)
    signatures = signed(data, *keys, payload_type=payload_type)
    return dump({"payload": to_base64(data), "payloadType": payload_type, "signatures": signatures})


def head(name: str, expect: str, about: str, document: Any = HEAD, *keys: Any, **fields: str) -> tuple[str, str]:
    payload_type = fields.pop("payload_type", HEAD_TYPE)
    told = READER | {field.replace("_", "-"): value for field, value in fields.items()}
    return written(name, expect, about, told, envelope(document, *keys, payload_type=payload_type))


def recall(name: str, expect: str, about: str, document: Any = RECALL, *keys: Any, **fields: str) -> tuple[str, str]:
    payload_type = fields.pop("payload_type", RECALL_TYPE)
    return written(name, expect, about, RECALL_READER | fields, envelope(document, *keys, payload_type=payload_type))


def written(name: str, expect: str, about: str, told: dict[str, str], data: bytes) -> tuple[str, str]:
    header = {"name": name, "about": about, "expect": expect} | told
    return name, "".join(f"{key}: {value}\n" for key, value in header.items()) + "\n" + "".join(lines(data))


def changed(path: str, new: Any) -> Any:
    return with_(HEAD, path, new)


def vectors() -> Iterator[tuple[str, str]]:
    yield from _valid()
    yield from _documents()
    yield from _judged()
    yield from _recalls()


def _valid() -> Iterator[tuple[str, str]]:
    optional = ("previous", "candidate", "withdrawn", "recalls", "log")
    least = {name: value for name, value in HEAD.items() if name not in optional}
    least |= {"number": 1, "current": HEAD["current"][1:]}
    yield head("valid-head", "ok", "a head with every member")
    yield head("valid-head-least", "ok", "an epoch's first head, and no more than it needs", least)
    yield head(
        "valid-head-spelling",
        "ok",
        "white space in the document, members in another order",
        b" " + dump(dict(reversed(HEAD.items()))) + b"\n",
    )
    yield head(
        "valid-head-two-keys",
        "ok",
        "signed by both keys that a threshold of two needs",
        HEAD,
        SIGNER,
        SIGNER2,
        keys="signer signer2",
        threshold="2",
    )
    yield head("valid-head-stranger", "ok", "signed by a stranger, too", HEAD, OTHER, SIGNER)
    yield head(
        "valid-head-development",
        "ok",
        "a development head, for a development build",
        changed("role", "development"),
        DEVELOPMENT,
        role="development",
    )
    yield head(
        "valid-head-development-reads-production",
        "ok",
        "a production head, for a development build",
        role="development",
    )
    yield head("valid-head-last-second", "ok", "one second before it expires", now="2026-11-29T21:29:59Z")
    yield head("valid-head-longest", "ok", "as long as the store allows", changed("expires", "2026-12-06T21:30:00Z"))
    yield head(
        "valid-head-issued-ahead",
        "ok",
        "issued ahead of the reader's clock, whose lower bound it is",
        now="2026-11-01T00:00:00Z",
    )
    yield head("valid-head-successor", "ok", "the successor of the one that the reader has", known=f"11 {digest(11)}")
    yield head("valid-head-later", "ok", "two after the one that the reader has", known=f"10 {digest(10)}")
    yield head(
        "valid-head-again", "ok", "the one that the reader has", known=f"12 {hashlib.sha256(dump(HEAD)).hexdigest()}"
    )
    full = changed("current", [{"sequence": 142 - i, "digest": digest(142 - i)} for i in range(16)])
    full = with_(full, "withdrawn", list(range(1, 126)) + list(range(1000, 1899)))
    yield head("valid-head-full", "ok", "16 current releases and 1024 withdrawn", full)
    yield recall("valid-recall", "ok", "a recall of two releases")


def _documents() -> Iterator[tuple[str, str]]:
    for name in ("app", "channel", "role", "epoch", "number", "issued", "expires", "trust", "current"):
        yield head(f"head-{name}-missing", FORMAT, f"no member {name}", changed(name, ...))
    yield head("head-member-extra", FORMAT, "a member that is not the format's", HEAD | {"note": "x"})
    yield head(
        "head-member-twice", FORMAT, "the member app twice", dump(HEAD).replace(b'"app":', b'"app":"x","app":', 1)
    )
    yield head("head-not-json", FORMAT, "not JSON", b"head")
    yield head("head-over-cap", FORMAT, "65537 bytes", dump(HEAD).ljust(65537))
    yield head("head-app-space", FORMAT, "an app that is no name", changed("app", "a b"))
    yield head("head-role-unknown", FORMAT, "an unknown role", changed("role", "release"))
    yield head("head-epoch-zero", FORMAT, "epoch 0", changed("epoch", 0))
    yield head("head-number-zero", FORMAT, "number 0", with_(changed("number", 0), "previous", ...))
    yield head("head-number-2-53", FORMAT, "a number beyond 2^53-1", changed("number", 2**53))
    yield head("head-first-with-previous", FORMAT, "number 1, and one before it", changed("number", 1))
    yield head("head-previous-missing", FORMAT, "number 12, and none before it", changed("previous", ...))
    yield head("head-previous-short", FORMAT, "63 digits", changed("previous", digest(11)[1:]))
    yield head("head-issued-fraction", FORMAT, "a fraction of a second", changed("issued", "2026-11-22T21:30:00.5Z"))
    yield head("head-expires-when-issued", FORMAT, "expires when it was issued", changed("expires", HEAD["issued"]))
    yield head("head-trust-digest-upper-case", FORMAT, "a digest in upper case", changed("trust.digest", STORE.upper()))
    yield head("head-trust-extra", FORMAT, "a member more in trust", changed("trust.epoch", 2))
    yield head("head-current-none", FORMAT, "no current release", changed("current", []))
    yield head(
        "head-current-17",
        FORMAT,
        "17 current releases",
        changed("current", [{"sequence": 99 - i, "digest": digest(99 - i)} for i in range(17)]),
    )
    yield head(
        "head-current-ascending",
        FORMAT,
        "current releases by ascending sequence",
        changed("current", HEAD["current"][::-1]),
    )
    yield head("head-current-twice", FORMAT, "two current releases of one sequence", changed("current.1.sequence", 142))
    yield head(
        "head-current-one-payload",
        FORMAT,
        "two current releases of one payload",
        changed("current.1.digest", digest(142)),
    )
    yield head("head-current-requires-empty", FORMAT, "an empty requires", changed("current.1.requires", {}))
    yield head(
        "head-candidate-current",
        FORMAT,
        "a candidate with the sequence of what is current",
        changed("candidate.sequence", 142),
    )
    yield head("head-candidate-share-1001", FORMAT, "a share of 1001 thousandths", changed("candidate.share", 1001))
    yield head(
        "head-candidate-salt-15", FORMAT, "a salt of 15 bytes", changed("candidate.salt", to_base64(drawn(b"head", 15)))
    )
    yield head("head-candidate-paused-0", FORMAT, "0 for false", changed("candidate.paused", 0))
    yield head("head-candidate-salt-missing", FORMAT, "a candidate without salt", changed("candidate.salt", ...))
    yield head("head-withdrawn-empty", FORMAT, "an empty list of withdrawn sequences", changed("withdrawn", []))
    yield head("head-withdrawn-1025", FORMAT, "1025 withdrawn sequences", changed("withdrawn", list(range(1000, 2025))))
    yield head(
        "head-withdrawn-order", FORMAT, "withdrawn sequences that do not ascend", changed("withdrawn", [141, 138])
    )
    yield head("head-withdrawn-current", FORMAT, "what is current is withdrawn as well", changed("withdrawn", [140]))
    yield head("head-withdrawn-true", FORMAT, "true for a sequence", changed("withdrawn", [True]))
    yield head("head-recalls-65", FORMAT, "65 recalls", changed("recalls", sorted(digest(i) for i in range(65))))
    yield head("head-recalls-order", FORMAT, "recalls that do not ascend", changed("recalls", HEAD["recalls"][::-1]))
    yield head("head-log-zero", FORMAT, "a log that ends with entry 0", changed("log.number", 0))


def _judged() -> Iterator[tuple[str, str]]:
    yield head("head-payload-type", FORMAT, "the type of a recall", payload_type=RECALL_TYPE)
    yield head("head-signature-none-trusted", "SignatureError", "signed by a stranger only", HEAD, OTHER)
    yield head(
        "head-signature-threshold",
        "SignatureError",
        "one signature, the threshold is two",
        keys="signer signer2",
        threshold="2",
    )
    altered = envelope(HEAD).replace(b'"sig":"', b'"sig":"AAAA', 1)
    at = altered.index(b'"sig":"') + 11
    yield written(
        "head-signature-altered",
        "SignatureError",
        "a signature with three bytes altered",
        READER,
        altered[:at] + altered[at + 4 :],
    )
    yield head(
        "head-signature-development",
        "SignatureError",
        "a production head by a key for development heads",
        HEAD,
        DEVELOPMENT,
    )
    yield head(
        "head-role-of-the-key",
        NOT_FOR_US,
        "a development head by a key for production heads",
        changed("role", "development"),
        role="development",
    )
    yield head(
        "head-role-production-by-development",
        NOT_FOR_US,
        "a production head by a key for development heads, in a development build",
        HEAD,
        DEVELOPMENT,
        role="development",
    )
    yield head("head-app-other", NOT_FOR_US, "another app's", changed("app", "com.example.other"))
    yield head("head-channel-other", NOT_FOR_US, "another channel's", changed("channel", "beta"))
    yield head("head-epoch-before", NOT_FOR_US, "of the epoch before", changed("epoch", 1))
    yield head("head-epoch-after", NOT_FOR_US, "of the epoch after", changed("epoch", 3))
    yield head("head-trust-older", "RollbackError", "names an older store", changed("trust.version", 2))
    yield head(
        "head-trust-newer", NOT_FOR_US, "names a newer store: its update is withheld", changed("trust.version", 4)
    )
    yield head(
        "head-trust-other", NOT_FOR_US, "names another store of the same version", changed("trust.digest", digest(0))
    )
    yield head(
        "head-too-long", NOT_FOR_US, "a second longer than the store allows", changed("expires", "2026-12-06T21:30:01Z")
    )
    yield head(
        "head-past-until", NOT_FOR_US, "expires a second after the store's heads end", until="2026-11-29T21:29:59Z"
    )
    yield head("head-expired", "StaleError", "expired a moment ago", now="2026-11-29T21:30:00Z")
    yield head("head-number-lower", "RollbackError", "the reader has a later one", known=f"13 {digest(13)}")
    yield head(
        "head-number-same", "TamperedError", "another of the number that the reader has", known=f"12 {digest(12)}"
    )
    yield head(
        "head-previous-other", "TamperedError", "does not follow the one that the reader has", known=f"11 {digest(0)}"
    )


def _recalls() -> Iterator[tuple[str, str]]:
    def other(path: str, new: Any) -> Any:
        return with_(RECALL, path, new)

    for name in RECALL:
        yield recall(f"recall-{name}-missing", FORMAT, f"no member {name}", other(name, ...))
    yield recall("recall-member-extra", FORMAT, "a member that is not the format's", RECALL | {"reason": "x"})
    yield recall("recall-releases-none", FORMAT, "of nothing", other("releases", []))
    many = [{"sequence": 99 - i, "digest": digest(i), "version": "1"} for i in range(65)]
    yield recall("recall-releases-65", FORMAT, "of 65 releases", other("releases", many))
    yield recall(
        "recall-releases-ascending",
        FORMAT,
        "releases by ascending sequence",
        other("releases", RECALL["releases"][::-1]),
    )
    yield recall("recall-version-empty", FORMAT, "an empty version", other("releases.0.version", ""))
    yield recall("recall-over-cap", FORMAT, "65537 bytes", dump(RECALL).ljust(65537))
    yield recall("recall-payload-type", FORMAT, "the type of a head", payload_type=HEAD_TYPE)
    yield recall("recall-signature-none-trusted", "SignatureError", "signed by a stranger only", RECALL, OTHER)
    yield recall(
        "recall-signature-threshold",
        "SignatureError",
        "one signature, the threshold is two",
        keys="signer signer2",
        threshold="2",
    )
    yield recall("recall-app-other", NOT_FOR_US, "another app's", other("app", "com.example.other"))
    yield recall("recall-channel-other", NOT_FOR_US, "another channel's", other("channel", "beta"))
    yield recall(
        "recall-role-development", NOT_FOR_US, "of development, production is demanded", other("role", "development")
    )


def rollout() -> str:
    """Return the cases of rollout.txt, whose places are worked out here again."""
    found = ["# salt, secret, share in thousandths, in or out"]
    for i in range(40):
        salt, secret = drawn(b"salt %d" % (i // 8), 16), drawn(b"secret %d" % i, 32)
        place = int(hashlib.sha256(b"capseal/v1 rollout " + salt + secret).hexdigest()[:8], 16) * 1000 / 2**32
        shares = {0, int(place), min(1000, int(place) + 1), (i * 37) % 1001, 1000}
        found += [f"{salt.hex()} {secret.hex()} {share} {'in' if place < share else 'out'}" for share in shares]
    return "\n".join([found[0], *sorted(set(found[1:]))]) + "\n"


def generate() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.txt"):
        old.unlink()
    for name, text in vectors():
        path = FOLDER / f"{name}.txt"
        assert not path.exists(), name
        path.write_text(text, encoding="ascii")
    (FOLDER / "rollout.txt").write_text(rollout(), encoding="ascii")


if __name__ == "__main__":
    generate()
