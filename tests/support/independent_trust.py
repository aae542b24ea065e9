"""A reader of trust stores, their updates and release logs, written from docs/format.md alone; nothing is capseal's."""

import hashlib
import json

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from support.independent_reader import (
    ENVELOPE,
    HEX,
    NAME,
    Rejected,
    check_shape,
    compact,
    fingerprint,
    moment,
    need,
    parse_json,
    pattern,
    printable,
    several,
    unbase64,
    whole,
)
from support.independent_signatures import message_of, signers_of

ROLE = pattern("production|development")
YEAR_S = 366 * 24 * 60 * 60


def anything(value):
    return type(value) is str


SET = {"threshold": whole(1), "keys": several(1, 16, anything)}
STORE = {
    "type": pattern("capseal-trust-v1"),
    "?version": whole(1),
    "?epoch": whole(1),
    "?created": moment,
    "threshold": whole(1),
    "keys": several(0, 256, {"role": ROLE, "public_key": anything}),
    "?root": SET,
    "?heads": {"max_age_s": whole(1, YEAR_S), "until": moment, "production": SET, "?development": SET},
    "?restart": {"sequence": whole(0), "created": moment},
}
ENTRY = {"number": whole(1), "previous": HEX, "time": moment, "trust": whole(1)}
RELEASE = ENTRY | {
    "app": NAME,
    "channel": NAME,
    "version": printable,
    "sequence": whole(1),
    "payload": HEX,
    "seal": HEX,
    "signers": several(1, 16, HEX),
    "?replaces": HEX,
}


def read_store(text):
    """Return a store that may be trusted."""
    store = parse_json(text.encode()) if type(text) is str else text
    check_shape(store, STORE, "store")
    heads = store.get("heads", {})
    sets = [store.get("root"), heads.get("production"), heads.get("development")]
    purposes = [keys_of([one["public_key"] for one in store["keys"]])]
    for one in filter(None, sets):
        purposes.append(keys_of(one["keys"]))
        need(one["threshold"] <= len(one["keys"]), "KeyFileError", "threshold")
    named = [kid for purpose in purposes for kid in purpose]
    need(len(set(named)) == len(named), "KeyFileError", "a key has two purposes")
    production = [one for one in store["keys"] if one["role"] == "production"]
    need(store["threshold"] <= max(1, len(production)), "KeyFileError", "threshold of releases")
    later = any(sets) or "restart" in store or store.get("epoch", 1) > 1
    need(not later or "created" in store, "KeyFileError", "created")
    return store


def keys_of(texts):
    keys = [load_pem_public_key(text.encode()) for text in texts]
    found = {fingerprint(key): key for key in keys}
    need(len(found) == len(keys), "KeyFileError", "a key twice")
    return found


def opened(text, kind):
    """Return what an envelope holds, and what checks how many of some keys signed it."""
    envelope = parse_json(text.encode())
    check_shape(envelope, ENVELOPE, "envelope")
    need(compact(envelope) == text.encode(), "FormatError", "not canonical")
    need(envelope["payloadType"] == kind, "FormatError", "payloadType")
    body = unbase64(envelope["payload"])

    def count(keys):
        return len(signers_of(envelope["signatures"], message_of(kind, body), keys))

    return parse_json(body), count


def accept_update(present, text):
    """Return the store that an update brings."""
    old = read_store(present)
    need("root" in old, "NotForUsError", "no root")
    content, count = opened(text, "application/vnd.capseal.trust-update.v1+json")
    need(count(keys_of(old["root"]["keys"])) >= old["root"]["threshold"], "SignatureError", "the old root")
    check_shape(content, {"previous": HEX, "store": lambda value: type(value) is dict}, "update")
    try:
        new = read_store(content["store"])
    except Rejected as error:
        raise Rejected("FormatError", str(error)) from None
    need(new["version"] > old["version"], "RollbackError", "version")
    digest = hashlib.sha256((json.dumps(old, indent=2) + "\n").encode()).hexdigest()
    need((new["version"], content["previous"]) == (old["version"] + 1, digest), "NotForUsError", "not the next")
    need("root" in new, "FormatError", "no root")
    need(count(keys_of(new["root"]["keys"])) >= new["root"]["threshold"], "SignatureError", "the new root")
    same = head_keys(old) == head_keys(new)
    need(new.get("epoch", 1) == old.get("epoch", 1) + (0 if same else 1), "FormatError", "epoch")
    return new


def head_keys(store):
    heads = store.get("heads", {})
    return {
        role: (heads[role]["threshold"], set(keys_of(heads[role]["keys"])))
        for role in ("production", "development")
        if role in heads
    }


def read_log(texts, log):
    """Return the entries of a log under those stores."""
    stores = {store["version"]: store for store in map(read_store, texts)}
    previous, entries, seals = "0" * 64, [], {}
    for number, line in enumerate(log.splitlines(), 1):
        entry, count = opened(line, "application/vnd.capseal.log-entry.v1+json")
        of_release = "app" in entry
        check_shape(entry, RELEASE if of_release else ENTRY, "entry")
        need((entry["number"], entry["previous"]) == (number, previous), "TamperedError", "chain")
        if entries:
            need(entry["time"] >= entries[-1]["time"], "TamperedError", "time")
            need(entry["trust"] >= entries[-1]["trust"], "TamperedError", "version")
            need((entry["trust"] > entries[-1]["trust"]) is not of_release, "TamperedError", "begins")
        if of_release:
            need(
                "replaces" not in entry or seals.get(entry["replaces"]) == entry["payload"], "TamperedError", "replaces"
            )
            seals[entry["seal"]] = entry["payload"]
        need(entry["trust"] in stores, "SignatureError", "no store")
        production = [one for one in stores[entry["trust"]]["keys"] if one["role"] == "production"]
        need(count(keys_of([one["public_key"] for one in production])) >= 1, "SignatureError", "nobody")
        entries.append(entry)
        previous = hashlib.sha256(line.encode()).hexdigest()
    need(not entries or entries[-1]["trust"] >= max(stores), "TruncatedError", "the present version has not begun")
    return entries
