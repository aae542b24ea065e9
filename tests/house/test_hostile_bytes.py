"""Whatever bytes a parser is given, only capseal's own errors and OSError come out."""

import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import capseal
from capseal import CapsealError, Envelope, Expect, Statement, TrustedCertificate, TrustedKey, TrustStore, client
from capseal.capgo._endpoint import UpdateRequest
from capseal.capgo._manifest import CapgoManifest
from capseal.capgo._wire import CapgoBundle, ChecksumVersion, SessionKey, parse_crc32, recover_checksum
from capseal.device._manifest import ContentManifest
from capseal.device._state import State
from capseal.device._state_file import encode_state, parse_state
from capseal.format import strictjson
from capseal.http.shapes import AppChannel
from capseal.project.log import ENTRY_TYPE, verify_log
from capseal.server.storage.pointers import ChannelPointer
from capseal.server.storage.records import ReleaseRecord
from capseal.trust.certificates import Chain, load_crls
from capseal.trust.key_sets import HeadPolicy, KeySet, Restart
from capseal.trust.signing import sign
from capseal.trust.store import load_trust, parse_store
from capseal.trust.updates import UPDATE_TYPE, accept_update, make_update, read_update
from support.company import DAY, NOW, Company, revocation_list
from support.hostile import HOSTILE, altered, variants
from support.release_log import append_entry

EXPECTED = (CapsealError, OSError)


@dataclass(frozen=True)
class Target:
    """A parser, and a document that it takes. value: its JSON, where each part shall be replaced."""

    read: Callable[[bytes], Any]
    document: bytes
    value: Any = None

    def survives(self, data: bytes) -> None:
        with suppress(*EXPECTED):
            self.read(data)


@pytest.fixture(scope="module")
def targets(tmp_path_factory, signer, signer2, recipient, roots, head_signer, capgo_key, pair) -> dict[str, Target]:
    folder = tmp_path_factory.mktemp("hostile")
    company = Company(signer2, recipient, signer)
    chain = Chain.of([company.own, company.issuing, company.root])
    output = io.BytesIO()
    seal = capseal.seal(
        io.BytesIO(b"content" * 999),
        output,
        signer=capseal.CertifiedSigner(signer, chain),
        recipients=[recipient.public_key],
        app="com.example.game",
        version="1.2.3",
        sequence=7,
        name="dist.zip",
        unpackable=False,
        allow_downgrade_to=3,
        custom={"a": [1, {"b": None}]},
        created=NOW,
    )
    bundle = output.getvalue()
    store = TrustStore(
        (TrustedKey(signer.public_key),),
        certificates=(TrustedCertificate(company.root),),
        crls=(revocation_list("Issuing", company.issuing_key.rsa, 1),),
    )
    found: dict[str, Target] = {}

    def add(name: str, read: Callable[[bytes], Any], document: bytes) -> None:
        try:
            value = json.loads(document)
        except ValueError:
            value = None
        found[name] = Target(read, document, value)

    def file(read: Callable[[Any], Any]) -> Callable[[bytes], Any]:
        def from_file(data: bytes) -> Any:
            (folder / "file").write_bytes(data)
            return read(folder / "file")

        return from_file

    add("seal", lambda data: capseal.inspect(io.BytesIO(data)), bundle)
    expect = Expect(now=NOW)
    add("bundle", lambda data: capseal.verify(io.BytesIO(data), trust=store, expect=expect), bundle)
    add("envelope", Envelope.parse, seal.envelope.encode())
    add("statement", Statement.parse, seal.statement.encode())
    add("trust store", lambda data: parse_store(strictjson.parse(data, "store")), store.to_json())
    add("trust store file", file(load_trust), store.to_json())
    add("trusted certificate file", file(load_trust), company.root.public_bytes(Encoding.PEM))

    def revoking(data: bytes) -> None:
        changed = TrustStore(certificates=(TrustedCertificate(company.root),), crls=load_crls(data))
        changed.check(seal.envelope.message, seal.envelope.signatures, role=capseal.Role.PRODUCTION, now=NOW)

    add("revocation list", revoking, store.crls[0].public_bytes(Encoding.PEM))
    add("chain", lambda data: Chain.parse([data, *chain.der[1:]]), chain.der[0])
    add("root", lambda data: Chain.parse([data]), chain.der[-1])
    heads = HeadPolicy(86400, NOW + DAY, KeySet.of(head_signer.public_key))
    rooted = replace(store, root=KeySet.of(roots[0].public_key), heads=heads, created=NOW)
    new = replace(rooted, keys=(TrustedKey(signer.public_key),), version=2, restart=Restart(3, NOW))
    update = make_update(rooted, new, signers=[roots[0]])
    add("trust store by purpose", lambda data: parse_store(strictjson.parse(data, "store")), new.to_json())
    add("update", lambda data: (read_update(data), accept_update(rooted, data)), update)

    def signed_update(data: bytes) -> None:
        made = sign(UPDATE_TYPE, data, [roots[0]]).encode()
        accept_update(rooted, made)

    add("content of an update", signed_update, Envelope.parse(update).payload)
    log = folder / "log"
    append_entry(log, seal, signer=signer, now=NOW)
    line = log.read_bytes()

    def read_log(path: Any) -> None:
        try:
            verify_log(path, trust=[store])
        finally:
            append_entry(path, seal, signer=signer, now=NOW + DAY)

    add("log", file(read_log), line)
    logged = file(lambda path: verify_log(path, trust=[store]))
    entry = Envelope.parse(line.rstrip(b"\n")).payload
    add("log entry", lambda data: logged(sign(ENTRY_TYPE, data, [signer]).encode() + b"\n"), entry)

    bundle_json = {"digest": "0" * 64, "sequence": 1, "version": "1", "created": "", "manifest": "1" * 64}
    bundle_json = bundle_json | {"created": "2026-11-22T21:30:00Z", "permit": 0}
    state = encode_state(State(app="a.b", channel="production"))
    state = json.dumps(
        json.loads(state)
        | {"newest": "2026-11-22T21:30:00Z", "staged": [bundle_json], "confirmed": [bundle_json]}
        | {"pending": [{"bundle": bundle_json, "starts": 1, "started_ms": 1}]}
        | {"failed": [{"digest": "0" * 64, "sequence": 1, "version": "1", "reason": "r"}]}
    ).encode()
    add("device state", parse_state, state)
    manifest = {"type": "capseal-manifest-v1", "folders": ["a"], "files": [["a/b", 1, "0" * 64]]}
    add(
        "device manifest",
        lambda data: ContentManifest.parse(data, digest=sha256(data).hexdigest()),
        json.dumps(manifest).encode(),
    )

    record = pair.record.to_json()
    add(
        "capgo record",
        lambda data: CapgoBundle.from_json(strictjson.parse(data, "x"), "x"),
        json.dumps(record).encode(),
    )
    files = {
        "session_key": "a",
        "key_id": "b",
        "entries": [{"name": "a", "checksum_v2": "b", "checksum_v3": "c", "url": "d"}],
    }
    add("capgo manifest", CapgoManifest.parse, json.dumps(files).encode())
    request = {"app_id": "a.b", "device_id": "x", "platform": "ios", "version_name": "1.0.0", "version_build": "1.0.0"}
    add("capgo request", UpdateRequest.parse, json.dumps(request | {"plugin_version": "7.1.2", "key_id": "x"}).encode())

    def wire(data: bytes) -> None:
        text, key = data.decode("utf-8", "surrogateescape"), capgo_key.public_key
        for read in (
            lambda: SessionKey.recover(text, key),
            lambda: recover_checksum(text, key, ChecksumVersion.V2),
            lambda: recover_checksum(text, key, ChecksumVersion.V3),
            lambda: parse_crc32(text),
        ):
            with suppress(*EXPECTED):
                read()

    add("capgo wire", wire, record["session_key"].encode())
    add("capgo checksum", wire, record["checksum_v3"].encode())

    payload = {"size": 100, "digest": {"fsverity-sha256": "0" * 64}}
    record_of_release = {
        "type": "capseal-release-v2",
        "mark": "0" * 16,
        "release": {
            "app": "a.b",
            "channel": "c",
            "sequence": 1,
            "version": "1",
            "created": "2026-11-22T21:30:00Z",
            "published": "2026-11-22T21:30:00Z",
            "withdrawn": None,
            "content": {"name": "x", "size": 1},
            "payload": payload,
            "attachments": {"game.capgo": payload},
            "seal": {"size": 4096, "digest": {"sha256": "0" * 64}},
            "signers": ["0" * 64],
        },
        "runs": [[0, 1, "0" * 16]],
        "attachments": {"game.capgo": {"index": "0" * 16, "runs": [[0, 1, "0" * 16]]}},
    }
    add("server record", ReleaseRecord.parse, json.dumps(record_of_release).encode())
    pointer = {
        "type": "capseal-channel-v1",
        "app": "a.b",
        "channel": "c",
        "revision": 1,
        "floor": 1,
        "highest": 1,
        "newest": "2026-11-22T21:30:00Z",
        "removed": [3],
        "releases": [[1, "0" * 64, "0" * 16, "2026-11-22T21:30:00Z", None]],
    }
    of = AppChannel("a.b", "c")
    add("server pointer", lambda data: ChannelPointer.parse(of, data), json.dumps(pointer).encode())

    def answering(data: bytes, kind: str, status: int) -> httpx.MockTransport:
        return httpx.MockTransport(lambda _: httpx.Response(status, content=data, headers={"content-type": kind}))

    def ask(data: bytes) -> None:
        for status, kind in ((200, "application/json"), (400, "application/problem+json")):
            transport = answering(data, kind, status)
            with client.Connection("http://a.test", attempts=1, transport=transport) as connection:
                for act in (
                    lambda: client.fetch(connection, folder=folder, trust=store, app="a.b", channel="c"),
                    lambda: client.withdraw(connection, app="a.b", channel="c", sequence=1),
                    lambda: client.publish(folder / "bundle", connection),
                ):
                    with suppress(*EXPECTED):
                        act()

    (folder / "bundle").write_bytes(bundle)
    # A release and an upload at once, and a problem: each is read from it.
    answer = record_of_release["release"] | {"id": "0" * 64, "sequence": 7, "missing": [[0, 100]], "attachments": {}}
    add("answers", ask, json.dumps(answer | {"error": "TruncatedError", "detail": "d", "expected": 1}).encode())
    return found


NAMES = (
    "seal", "bundle", "envelope", "statement", "trust store", "trust store file", "trusted certificate file",
    "revocation list", "chain", "root", "trust store by purpose", "update", "content of an update", "log",
    "log entry", "device state", "device manifest", "capgo record", "capgo manifest", "capgo request", "capgo wire",
    "capgo checksum", "server record", "server pointer", "answers",
)  # fmt: skip


def test_every_target_takes_its_own_document(targets):
    assert set(targets) == set(NAMES)
    for name, target in targets.items():
        if name not in ("answers", "capgo wire", "capgo checksum", "log"):
            target.read(target.document)


DEAR = {"answers": 8, "content of an update": 4, "log entry": 4}
"""Targets that sign, or ask a server, for each variant, and of how many variants the short run takes one.

The number of hostile texts is odd: each of them still comes to many parts, and each part gets many of them.
"""


@pytest.mark.parametrize(
    ("name", "one_of"),
    [(name, DEAR.get(name, 1)) for name in NAMES] + [pytest.param(name, 1, marks=pytest.mark.soak) for name in DEAR],
)
def test_no_replaced_part_of_a_document_brings_out_anything_but_an_expected_error(targets, name, one_of):
    if targets[name].value is None:
        pytest.skip("not JSON")
    assert len(HOSTILE) % 2
    for data in islice(variants(targets[name].value), None, None, one_of):
        targets[name].survives(data)


@pytest.mark.parametrize("name", NAMES)
def test_no_altered_bytes_bring_out_anything_but_an_expected_error(targets, name):
    target = targets[name]

    @settings(max_examples=60, suppress_health_check=list(HealthCheck), database=None)
    @given(st.one_of(altered(target.document), st.binary(max_size=200)))
    def check(data: bytes) -> None:
        target.survives(data)

    check()
