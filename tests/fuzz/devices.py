"""What a device reads of its own: the state file and the manifests; somebody may have written into its folder."""

import hashlib
import json
import os
from functools import cache
from random import Random
from typing import Any

from capseal import CapsealError
from capseal.device._manifest import ContentManifest
from capseal.device._state import BY_TRIAL, Failure, State
from capseal.device._state_file import encode_state, parse_state
from capseal.format import strictjson
from capseal.server.storage.records import ReleaseRecord
from support.independent_reader import Rejected, parse_json

from .bundles import modules
from .honest import honest_record
from .mutating import mutate_bytes, mutate_json, often
from .places import scratch
from .running import Disagreement, Target

_BUNDLE = {
    "digest": "0" * 64, "sequence": 3, "version": "1.0.3", "created": "2026-11-22T21:30:00Z", "manifest": "1" * 64,
    "permit": 0,
}  # fmt: skip
_STATE = {
    "type": "capseal-device-v1", "app": "com.example.game", "channel": "production", "floor": 2, "highest": 3,
    "newest": "2026-11-22T21:30:00Z", "staged": [_BUNDLE | {"sequence": 9, "digest": "2" * 64}],
    "pending": [{"bundle": _BUNDLE | {"sequence": 8, "digest": "3" * 64}, "starts": 1, "started_ms": 12}],
    "confirmed": [_BUNDLE, _BUNDLE | {"sequence": 2, "digest": "4" * 64}],
    "failed": [{"digest": "5" * 64, "sequence": 4, "version": "1.0.4", "reason": "it crashed", "by": "trial"}],
}  # fmt: skip
_MANIFEST: dict[str, Any] = {
    "type": "capseal-manifest-v1", "folders": ["a", "a/b"],
    "files": [
        ["a/b/c", 12, hashlib.sha256(b"twelve bytes").hexdigest()], ["index.html", 0, hashlib.sha256(b"").hexdigest()],
    ],
}  # fmt: skip


def _drawn(text: str, r: Random) -> bytes:
    if often(r, 0.1):
        return mutate_bytes(r, text.encode())
    if often(r, 0.05):
        return text.encode()
    return mutate_json(r, json.loads(text))


def _independent_json(data: bytes) -> Any:
    try:
        return parse_json(data)
    except Rejected as error:
        raise Disagreement(f"the independent reader refuses the JSON: {error}") from None


def check_state(data: bytes) -> None:
    """Read a state and take every step from it that there is; what is written reads the same."""
    state = parse_state(data)
    value = _independent_json(data)
    if (state.app, state.floor, state.highest) != (value["app"], value["floor"], value["highest"]):
        raise Disagreement("the independent reader reads another state")
    for after in _steps(state):
        if parse_state(encode_state(after)) != after:
            raise Disagreement("the state that is written is not the one that was read")


def _steps(state: State) -> list[State]:
    failure = Failure("8" * 64, 1, "1", "\0 broken \u2028" + "x" * 300, BY_TRIAL)
    found = [state, state.built_in(2, check="zip"), state.keep(1), state.remember(failure)]
    if state.staged is not None:
        found += [
            state.activate(),
            state.activate().start(5).confirm(),
            state.fail(state.staged, "it did not start", by=BY_TRIAL),
        ]
    for bundle in state.bundles():
        try:
            state.check_bundle(bundle)
        except CapsealError:
            continue
        found.append(state.stage(bundle))
    return found


def state_target() -> Target:
    """The state file."""
    text = json.dumps(_STATE)
    return Target(
        name="device state",
        oracle="the independent reader's JSON gives the same; every state that follows reads the same once written",
        modules=modules("device._state", "device._state_file", "format.strictjson"),
        make=lambda r: _drawn(text, r),
        run=check_state,
        gates={"json": (strictjson, "parse")},
    )


def check_manifest(case: tuple[bytes, str]) -> None:
    """Read a manifest of a digest; what is written reads the same."""
    data, digest = case
    manifest = ContentManifest.parse(data, digest=digest)
    value = _independent_json(data)
    if hashlib.sha256(data).hexdigest() != digest or set(value["folders"]) != set(manifest.folders):
        raise Disagreement("the independent reader reads another manifest")
    again = manifest.encode()
    if ContentManifest.parse(again, digest=hashlib.sha256(again).hexdigest()) != manifest:
        raise Disagreement("the manifest that is written is not the one that was read")
    _compare(manifest, value)


@cache
def _unpacked() -> int:
    """Return the open folder that the honest manifest is of."""
    root = scratch() / "content"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "c").write_bytes(b"twelve bytes")
    (root / "index.html").write_bytes(b"")
    return os.open(root, os.O_RDONLY | os.O_DIRECTORY)


def _compare(manifest: ContentManifest, value: Any) -> None:
    """Hold the folder against a manifest: it passes where, and only where, the manifest says what is in it."""
    says = sorted(map(json.dumps, value["files"])), set(value["folders"])
    honest = sorted(map(json.dumps, _MANIFEST["files"])), set(_MANIFEST["folders"])
    try:
        manifest.check(_unpacked())
    except (CapsealError, OSError):
        if says == honest:
            raise Disagreement("a folder that is as the manifest says does not pass") from None
        return
    if {path for path, *_ in value["files"]} != {path for path, *_ in _MANIFEST["files"]} or says[1] != honest[1]:
        raise Disagreement("a folder passes that is not as the manifest says")


def manifest_target() -> Target:
    """Manifests of unpacked content."""
    text = json.dumps(_MANIFEST)

    def make(r: Random) -> tuple[bytes, str]:
        data = _drawn(text, r)
        return data, hashlib.sha256(data if often(r, 0.98) else data + b" ").hexdigest()

    return Target(
        name="device manifest",
        oracle="the independent reader's JSON gives the same; written and read again it is the same",
        modules=("capseal.device._manifest",),
        make=make,
        run=check_manifest,
        gates={"json": (strictjson, "parse")},
    )


def check_record(data: bytes) -> None:
    """Read the record of a release as a server keeps it; what is written reads the same."""
    record = ReleaseRecord.parse(data)
    _independent_json(data)
    if ReleaseRecord.parse(record.encode()) != record:
        raise Disagreement("the record that is written is not the one that was read")


def record_target() -> Target:
    """The records of a server's storage."""
    text = honest_record().decode()
    return Target(
        name="server record",
        oracle="the independent reader's JSON; written and read again it is the same",
        modules=modules("server.storage.records", "format.strictjson"),
        make=lambda r: _drawn(text, r),
        run=check_record,
        gates={"json": (strictjson, "parse")},
    )
