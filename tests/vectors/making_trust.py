"""The vectors of trust stores, of their updates and of release logs: one defect each, and what a reader has beforehand.

JSON files: `name`, `about`, `expect` (an error class, or `ok`), `kind`, and by that `store` (the text of a store's
file); `present` and `update` (the text of the store that is in force, and of the update's envelope); or `stores` and
`log` (the texts of the stores that are given, the present one among them, and the text of the log).
"""

# ruff: noqa: E501 - a vector a line, to be read as a table

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from capseal.format.strictjson import to_base64
from vectors.making import APP, DEVELOPMENT, OTHER, RECIPIENT, SIGNER, SIGNER2, dump, signed, with_

FOLDER = Path(__file__).parent / "trust"
UPDATE_TYPE = "application/vnd.capseal.trust-update.v1+json"
ENTRY_TYPE = "application/vnd.capseal.log-entry.v1+json"
FORMAT, KEY, SIGNATURE = "FormatError", "KeyFileError", "SignatureError"
NOT_FOR_US, ROLLBACK, TAMPERED, TRUNCATED = "NotForUsError", "RollbackError", "TamperedError", "TruncatedError"


def pem(key: Any) -> str:
    return key.public_key.pem.decode()


STORE: dict[str, Any] = {
    "type": "capseal-trust-v1",
    "version": 3,
    "epoch": 2,
    "created": "2026-11-28T00:00:00Z",
    "threshold": 1,
    "keys": [{"role": "production", "public_key": pem(SIGNER)}],
    "root": {"threshold": 1, "keys": [pem(SIGNER2), pem(OTHER)]},
    "heads": {
        "max_age_s": 1209600,
        "until": "2031-01-01T00:00:00Z",
        "production": {"threshold": 1, "keys": [pem(RECIPIENT)]},
        "development": {"threshold": 1, "keys": [pem(DEVELOPMENT)]},
    },
    "restart": {"sequence": 7, "created": "2026-11-28T00:00:00Z"},
}


def without(value: Any, *names: str) -> Any:
    return {name: part for name, part in value.items() if name not in names}


def text(store: Any) -> str:
    """Return the text of a store's file, which its digest is of."""
    return json.dumps(store, indent=2) + "\n"


def written(name: str, expect: str, about: str, kind: str, **parts: Any) -> tuple[str, str]:
    value = {"name": name, "about": about, "expect": expect, "kind": kind} | parts
    return name, json.dumps(value, indent=1) + "\n"


def vectors() -> Iterator[tuple[str, str]]:
    yield from _stores()
    yield from _updates()
    yield from _logs()


def _stores() -> Iterator[tuple[str, str]]:
    heads = STORE["heads"]
    bare = without(STORE, "epoch", "created", "root", "heads", "restart")
    for name, about, store in (
        ("store-full", "every purpose", STORE),
        ("store-bare", "releases only, as a store without purposes is", bare),
        ("store-root", "a root, and no heads", without(STORE, "heads", "restart")),
        ("store-production-heads", "no development heads", with_(STORE, "heads", without(heads, "development"))),
        ("store-root-two-of-two", "both must sign", with_(STORE, "root.threshold", 2)),
    ):
        yield written(f"valid-{name}", "ok", about, "store", store=text(store))
    for name, expect, about, path, new in (
        ("root-threshold-zero", FORMAT, "a threshold of nobody", "root.threshold", 0),
        ("root-threshold-above", KEY, "more than there are keys", "root.threshold", 3),
        ("root-keys-none", FORMAT, "a root of nobody", "root.keys", []),
        ("root-key-twice", KEY, "one key would count as two", "root.keys", [pem(SIGNER2)] * 2),
        ("root-key-mistyped", FORMAT, "a key is no text", "root.keys", [7]),
        ("root-member-extra", FORMAT, "a member that a root has not", "root.more", 1),
        ("root-signs-releases", KEY, "a root key is a release key", "root.keys", [pem(SIGNER)]),
        ("root-signs-heads", KEY, "a root key is a head key", "root.keys", [pem(RECIPIENT)]),
        ("head-signs-releases", KEY, "a head key is a release key", "heads.production.keys", [pem(SIGNER)]),
        ("head-of-both-roles", KEY, "a head key has two roles", "heads.development.keys", [pem(RECIPIENT)]),
        ("heads-without-production", FORMAT, "heads of development only", "heads", without(heads, "production")),
        ("heads-for-ever", FORMAT, "valid for more than a year", "heads.max_age_s", 366 * 86400 + 1),
        ("heads-until-fraction", FORMAT, "not in whole seconds", "heads.until", "2031-01-01T00:00:00.5Z"),
        ("epoch-zero", FORMAT, "epochs begin with 1", "epoch", 0),
        ("created-offset", FORMAT, "a time that is not UTC", "created", "2026-11-28T00:00:00+01:00"),
        ("restart-negative", FORMAT, "no sequence", "restart.sequence", -1),
    ):
        yield written(f"store-{name}", expect, about, "store", store=text(with_(STORE, path, new)))
    undated = text(without(STORE, "created"))
    yield written("store-not-dated", KEY, "purposes without a time of creation", "store", store=undated)
    staging = text(STORE | {"staging": {}})
    yield written("store-member-extra", FORMAT, "a member that a store has not", "store", store=staging)


NEXT = STORE | {"version": 4, "created": "2026-12-01T00:00:00Z"}


def update(new: Any, *keys: Any, previous: str | None = None, payload_type: str = UPDATE_TYPE) -> str:
    digest = previous or hashlib.sha256(text(STORE).encode()).hexdigest()
    return enveloped({"previous": digest, "store": new}, *(keys or (SIGNER2,)), payload_type=payload_type)


def enveloped(value: Any, *keys: Any, payload_type: str) -> str:
    data = dump(value)
    signatures = signed(data, *keys, payload_type=payload_type)
    return dump({"payload": to_base64(data), "payloadType": payload_type, "signatures": signatures}).decode()


def _updates() -> Iterator[tuple[str, str]]:
    other = with_(NEXT, "root", {"threshold": 1, "keys": [pem(OTHER)]})
    both = with_(STORE, "root.threshold", 2)
    new_heads = with_(NEXT, "heads.production.threshold", 1)
    new_heads = with_(new_heads, "heads", without(new_heads["heads"], "development"))
    for name, expect, about, document in (
        ("valid-update", "ok", "the next version, signed by a root key", update(NEXT)),
        ("valid-update-root", "ok", "another root, by a key of both", update(other, OTHER)),
        ("valid-update-epoch", "ok", "fewer head keys, and the next epoch", update(new_heads | {"epoch": 3})),
        ("update-by-release-key", SIGNATURE, "a release key changes no store", update(NEXT, SIGNER)),
        ("update-by-head-key", SIGNATURE, "a head key changes no store", update(NEXT, RECIPIENT)),
        ("update-new-root-missing", SIGNATURE, "the new root has not signed", update(other, SIGNER2)),
        ("update-altered", SIGNATURE, "a signature of another document", _swapped(update(NEXT), update(other))),
        ("update-skipped", NOT_FOR_US, "two versions on", update(NEXT | {"version": 5})),
        ("update-replayed", ROLLBACK, "the version that is here", update(NEXT | {"version": 3})),
        ("update-forked", NOT_FOR_US, "of another store of that version", update(NEXT, previous="0" * 64)),
        ("update-without-root", FORMAT, "nobody could change it again", update(without(NEXT, "root"))),
        ("update-epoch-kept", FORMAT, "head keys change within an epoch", update(new_heads)),
        ("update-epoch-risen", FORMAT, "an epoch for nothing", update(NEXT | {"epoch": 3})),
        ("update-epoch-skipped", FORMAT, "two epochs on", update(new_heads | {"epoch": 4})),
        ("update-payload-type", FORMAT, "another kind of document", update(NEXT, payload_type=ENTRY_TYPE)),
    ):
        yield written(name, expect, about, "update", present=text(STORE), update=document)
    yield written("update-threshold", SIGNATURE, "one of two", "update", present=text(both), update=update(NEXT))
    bare = without(STORE, "epoch", "created", "root", "heads", "restart")
    yield written(
        "update-of-a-store-without-root",
        NOT_FOR_US,
        "nobody may change it",
        "update",
        present=text(bare),
        update=update(NEXT),
    )


def _swapped(update: str, other: str) -> str:
    one, two = json.loads(update), json.loads(other)
    return dump(one | {"signatures": two["signatures"]}).decode()


RELEASE = {
    "app": APP, "channel": "production", "version": "1.4.2", "sequence": 142, "payload": "1" * 64, "seal": "2" * 64,
    "signers": ["3" * 64],
}  # fmt: skip
OLD = without(STORE, "epoch", "created", "root", "heads", "restart") | {"version": 1}
NEW = OLD | {"version": 2, "keys": [{"role": "production", "public_key": pem(SIGNER2)}]}


def log(*entries: tuple[dict[str, Any], Any]) -> str:
    """Return a log of entries, each with its signer, chained and numbered unless they say otherwise."""
    previous, lines = "0" * 64, []
    for number, (entry, key) in enumerate(entries, 1):
        value = {"number": number, "previous": previous, "time": f"2026-11-28T00:00:{number:02}Z"} | entry
        lines.append(enveloped(value, key, payload_type=ENTRY_TYPE) + "\n")
        previous = hashlib.sha256(lines[-1].rstrip("\n").encode()).hexdigest()
    return "".join(lines)


def _logs() -> Iterator[tuple[str, str]]:
    begins = ({"trust": 2}, SIGNER2)
    old, new = ({"trust": 1} | RELEASE, SIGNER), ({"trust": 2} | RELEASE, SIGNER2)
    replacing = {"trust": 1} | RELEASE | {"seal": "4" * 64, "replaces": "2" * 64}
    for name, expect, about, document, stores in (
        ("valid-log", "ok", "a release under each of two versions", log(old, begins, new), (OLD, NEW)),
        ("valid-log-replaces", "ok", "a seal in place of another", log(old, (replacing, SIGNER)), (OLD,)),
        ("valid-log-empty", "ok", "nothing", "", (OLD, NEW)),
        ("log-old-key-old-version", TAMPERED, "back under the old version", log(old, begins, old), (OLD, NEW)),
        ("log-old-key-new-version", SIGNATURE, "by a key that is out", log(begins, ({**new[0]}, SIGNER)), (OLD, NEW)),
        ("log-version-not-begun", TAMPERED, "a release is the first under a version", log(old, new), (OLD, NEW)),
        ("log-version-begun-twice", TAMPERED, "a version begins once", log(old, begins, begins), (OLD, NEW)),
        ("log-update-missing", TRUNCATED, "the present version has not begun", log(old), (OLD, NEW)),
        ("log-store-not-given", SIGNATURE, "a version that nobody has", log(old, ({"trust": 9}, SIGNER2)), (OLD, NEW)),
        (
            "log-replaces-nothing", TAMPERED, "a seal in place of one that was never there",
            log((replacing, SIGNER)), (OLD,),
        ),
        (
            "log-replaces-other-payload", TAMPERED, "a seal of another payload",
            log(old, (replacing | {"payload": "5" * 64}, SIGNER)), (OLD,),
        ),
        ("log-time-backwards", TAMPERED, "earlier than before", log(old, ({**old[0], "time": "2026-11-27T00:00:00Z"}, SIGNER)), (OLD,)),
        ("log-chain", TAMPERED, "after another line", log(old, ({**old[0], "previous": "6" * 64}, SIGNER)), (OLD,)),
        ("log-trust-zero", FORMAT, "versions begin with 1", log(({**old[0], "trust": 0}, SIGNER)), (OLD,)),
        ("log-trust-missing", FORMAT, "under no version", log((RELEASE, SIGNER)), (OLD,)),
        ("log-store-with-more", FORMAT, "neither a release nor a store", log(({"trust": 1, "seal": "2" * 64}, SIGNER)), (OLD,)),
    ):  # fmt: skip
        yield written(name, expect, about, "log", stores=[text(store) for store in stores], log=document)


def generate() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    for name, value in vectors():
        (FOLDER / f"{name}.json").write_text(value, encoding="ascii")
