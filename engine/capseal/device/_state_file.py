"""The state file of a device, strict JSON, and the values that it says (docs/device.md, On disk). No I/O."""

from typing import TYPE_CHECKING, Any

from ..errors import FormatError
from ..format import strictjson
from ..format.strictjson import Members, check_fingerprint, check_name, check_text
from ._state import BY_TRIAL, Download, Failure, InstalledBundle, State, Trial

if TYPE_CHECKING:
    from ._head_memory import HeadMemory
    from ._trust_memory import TrustMemory

STATE_TYPE = "capseal-device-v1"
_MAX_FAILURES = 1_000_000  # each one took a signature by a trusted key
_MAX_CONFIRMED = 100_000

_BY_UNKNOWN = ""
_REASONS_OF_TRIALS = ("rolled back", "not confirmed in ", "confirmed ")
"""How the reasons began in state files that do not say what condemned a bundle."""


def encode_state(state: State) -> bytes:
    """Return the bytes of the state file."""
    pending = state.pending
    value: dict[str, Any] = {
        "type": STATE_TYPE,
        "app": state.app,
        "channel": state.channel,
        "floor": state.floor,
        "highest": state.highest,
        "newest": state.newest,
        "staged": [_bundle_json(state.staged)] if state.staged is not None else [],
        "pending": [
            {
                "bundle": _bundle_json(pending.bundle),
                "starts": pending.starts,
                "started_ms": pending.started_ms,
            }
        ]
        if pending is not None
        else [],
        "confirmed": [_bundle_json(bundle) for bundle in state.confirmed],
        "failed": [
            {"digest": f.digest, "sequence": f.sequence, "version": f.version, "reason": f.reason, "by": f.by}
            for f in state.failed
        ],
    }
    memories = {"heads": state.heads, "trust": state.trust}
    return strictjson.encode(value | {name: one.to_json() for name, one in memories.items() if one is not None})


def parse_state(data: bytes) -> State:
    """Parse a state file strictly. Raises FormatError."""
    names = ("type", "app", "channel", "floor", "highest", "newest", "staged", "pending", "confirmed", "failed")
    members = Members(strictjson.parse(data, "state"), "state", required=names, optional=("heads", "trust"))
    found = members.take("type", str)
    if found != STATE_TYPE:
        raise FormatError(f"state.type: {found[:64]!r} is unknown, expected {STATE_TYPE!r}")
    staged = _bundles(members, "staged", most=1)
    trials = [_parse_trial(value) for value in members.array("pending", least=0, most=1)]
    return State(
        app=members.text("app", check_name),
        channel=members.text("channel", check_name),
        floor=members.integer("floor", least=0),
        highest=members.integer("highest", least=0),
        newest=members.take("newest", str),
        staged=staged[0] if staged else None,
        pending=trials[0] if trials else None,
        confirmed=_bundles(members, "confirmed", most=_MAX_CONFIRMED),
        failed=tuple(_parse_failure(value) for value in members.array("failed", least=0, most=_MAX_FAILURES)),
        heads=_parse_heads(members),
        trust=_parse_trust(members),
    )


def _bundle_json(bundle: InstalledBundle) -> dict[str, Any]:
    value: dict[str, Any] = {
        "digest": bundle.digest,
        "sequence": bundle.sequence,
        "version": bundle.version,
        "created": bundle.created,
        "manifest": bundle.manifest,
    }
    if bundle.permit is not None:
        value["permit"] = bundle.permit
    if bundle.download is not None:
        value["download"] = _download_json(bundle.download)
    return value


def _bundles(members: Members, name: str, *, most: int) -> tuple[InstalledBundle, ...]:
    return tuple(_parse_bundle(value, members.place(name)) for value in members.array(name, least=0, most=most))


def _parse_bundle(value: object, place: str) -> InstalledBundle:
    required = ("digest", "sequence", "version", "created", "manifest")
    members = Members(value, place, required=required, optional=("permit", "download"))
    return InstalledBundle(
        digest=members.text("digest", check_fingerprint),
        sequence=members.integer("sequence", least=1),
        version=members.text("version", check_text),
        created=members.text("created", check_text),
        permit=members.integer("permit", least=0) if "permit" in members else None,
        manifest=members.text("manifest", check_fingerprint),
        download=_parse_download(members.take("download", dict), f"{place}.download")
        if "download" in members
        else None,
    )


def _download_json(download: Download) -> dict[str, Any]:
    # What the problem was is for the log of that day.
    return {"bytes": download.bytes, "of": download.payload_bytes, "source": download.source}


def _parse_download(value: object, place: str) -> Download:
    members = Members(value, place, required=("bytes", "of", "source"))
    return Download(
        members.integer("bytes", least=0), members.integer("of", least=0), members.text("source", check_text)
    )


def _parse_trial(value: object) -> Trial:
    members = Members(value, "state.pending", required=("bundle", "starts", "started_ms"))
    return Trial(
        _parse_bundle(members.take("bundle", dict), "state.pending.bundle"),
        members.integer("starts", least=0),
        members.integer("started_ms", least=0),
    )


def _parse_trust(members: Members) -> "TrustMemory | None":
    if "trust" not in members:
        return None
    from ._trust_memory import TrustMemory

    return TrustMemory.parse(members.take("trust", dict))


def _parse_heads(members: Members) -> "HeadMemory | None":
    if "heads" not in members:
        return None
    from ._head_memory import HeadMemory  # here, since most devices have seen no head yet

    return HeadMemory.parse(members.take("heads", dict))


def _parse_failure(value: object) -> Failure:
    required = ("digest", "sequence", "version", "reason")
    members = Members(value, "state.failed", required=required, optional=("by",))
    reason = members.text("reason", check_text)
    if "by" in members:
        by = members.take("by", str)
    else:  # written when passing faults condemned bundles as well
        by = BY_TRIAL if reason.startswith(_REASONS_OF_TRIALS) else _BY_UNKNOWN
    return Failure(
        members.text("digest", check_fingerprint),
        members.integer("sequence", least=1),
        members.text("version", check_text),
        reason,
        by,
    )
