"""What a worker does of a scrub: some releases of a store, or some runs of one payload. It finds, and goes on."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..bundle.opened import accept_detached
from ..bundle.reading_order import Verified
from ..constants import DIGEST_BYTES
from ..errors import FormatError, RejectedError, SignatureError, TamperedError, TransferError
from ..format import strictjson
from ..format.signed_index import SignedIndex, compare_entries
from ..format.statement import Payload
from ..format.strictjson import Role
from ..format.tree import index_entries, segment_count
from ..http.limits import DEFAULT_SEAL_BYTES
from ..http.shapes import AppChannel
from ..server.storage import layout
from ..server.storage.pointers import Entry
from ..server.storage.records import MAX_RECORD_BYTES, ReleaseRecord
from ..server.storage.stored_runs import StoredPayload
from ..trust.expect import Expect
from ..trust.store import TrustStore, parse_store
from . import _places as places

RECORD, SEAL, INDEX = "record", "seal", "index"
DAMAGED, MISSING, SIZE = "damaged", "missing", "size"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a store. kind: in a word; path: of the object; text: for people."""

    kind: str
    path: str
    text: str

    def to_json(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {"kind": self.kind, "path": self.path, "text": self.text}


@dataclass(frozen=True, slots=True)
class ScrubWork:
    """A store, and whose seals count there. most_bytes: read in the same task.

    trust: a trust store's document; past: those of versions before it, by which seals may have been published.
    """

    store: str
    trust: bytes
    role: Role
    most_bytes: int
    past: tuple[bytes, ...] = ()

    def trust_store(self) -> TrustStore:
        """Return whose seals count."""
        return _store_of(self.trust)

    def past_stores(self) -> Iterator[TrustStore]:
        """Yield by whom seals were taken before."""
        return map(_store_of, self.past)

    def expect(self, of: AppChannel) -> Expect:
        """Return what a seal must be of, as of now."""
        return Expect(app=of.app, channel=of.channel, role=self.role, now=datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Item:
    """A release to look at. deep: read all of its bytes."""

    of: AppChannel
    entry: Entry
    deep: bool


@dataclass(frozen=True, slots=True)
class RunCheck:
    """A run of a payload that is to be read. expected: its entries in the signed index; whole: it is all of it."""

    path: str
    first: int
    size: int
    whole: bool
    expected: bytes


@dataclass(slots=True)
class Looked:
    """What became of some releases. sizes: the objects that they need, and how many bytes those must have.

    sound: records of releases of which all that was read in this task was right; later: what is still to be read, with
    its record. unclear: folders of which nobody can say any more what is needed there.
    """

    findings: list[Finding] = field(default_factory=list)
    sizes: dict[str, int | None] = field(default_factory=dict)
    sound: list[str] = field(default_factory=list)
    later: list[tuple[str, RunCheck]] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    bytes: int = 0


def scrub_releases(work: ScrubWork, items: Sequence[Item]) -> Looked:
    """Hold releases against their signed indexes. Raises TransferError where the store cannot be reached."""
    looked = Looked()
    for item in items:
        found = len(looked.findings)
        path = layout.release_object(item.of, item.entry.sequence, item.entry.mark, layout.RECORD)
        looked.sizes[path] = None
        record = _record(work, item, path, looked)
        if record is None:
            _note_unclear(work, item, looked)
            continue
        looked.sizes[record.seal_path] = None
        looked.sizes.update(_needed(record))
        if item.entry.withdrawn is not None or not item.deep:
            continue  # of what was withdrawn, the bytes may be gone
        checks = _checks(work, item, record, looked)
        if sum(check.size for check in checks) > work.most_bytes:
            looked.later += [(path, check) for check in checks]
        else:
            looked.findings += [finding for check in checks for finding in scrub_run(work, check)]
            looked.bytes += sum(check.size for check in checks)
        if len(looked.findings) == found:
            looked.sound.append(path)
    return looked


def scrub_run(work: ScrubWork, check: RunCheck) -> list[Finding]:
    """Read a run and return what is wrong with it. Raises TransferError."""
    try:
        found = places.get_within(work.store, check.path, most=check.size)
    except FormatError as error:
        return [Finding(DAMAGED, check.path, str(error))]
    if found is None:
        return [Finding(MISSING, check.path, "is gone")]
    size, data = found
    if data is None or size != check.size:
        return [Finding(SIZE, check.path, f"has {size} bytes, {check.size} are expected")]
    try:
        compare_entries(check.first, index_entries(memoryview(data), whole_payload=check.whole), check.expected)
    except TamperedError as error:
        return [Finding(DAMAGED, check.path, str(error))]
    return []


def _record(work: ScrubWork, item: Item, path: str, looked: Looked) -> ReleaseRecord | None:
    try:
        data = places.get_all(work.store, path, most=MAX_RECORD_BYTES)
        if data is None:
            raise FormatError("is gone")
        record = ReleaseRecord.parse(data)
        if record.path != path or record.release.seal_digest != item.entry.seal:
            raise FormatError(f"is the record of {record.path}")
    except FormatError as error:
        looked.findings.append(Finding(RECORD, path, str(error)))
        return None
    return record


def _note_unclear(work: ScrubWork, item: Item, looked: Looked) -> None:
    """Note where the objects of a release lie whose record is damaged: by its seal, or anywhere."""
    seal_path = layout.release_object(item.of, item.entry.sequence, item.entry.mark, layout.SEAL)
    looked.sizes[seal_path] = None
    try:
        statement = verdict_on(work, item, seal_path, most=DEFAULT_SEAL_BYTES).statement
    except RejectedError:
        looked.unclear += [layout.PAYLOADS, layout.PARTS]
        return
    payloads = (statement.payload, *(one.payload for one in statement.companions))
    looked.unclear += [layout.payload_folder(one.digest.hex()) for one in payloads]
    looked.unclear.append(layout.parts_folder(statement.encryption.commitment.hex()))


def _needed(record: ReleaseRecord) -> Iterator[tuple[str, int | None]]:
    """Yield the objects of a release's payloads, and how many bytes they must have, where the record says so."""
    for payload in (record.payload, *record.companions.values()):
        for run in payload.runs:
            yield run.path(payload.digest), run.bytes_of(payload.size)
    for name in record.stored:
        yield record.index_path(name), None


def _checks(work: ScrubWork, item: Item, record: ReleaseRecord, looked: Looked) -> list[RunCheck]:
    """Return what is to be read of a release's payloads, by indexes that its seal vouches for."""
    try:
        verified = verdict_on(work, item, record.seal_path, most=record.release.seal_bytes)
        statement = verified.statement
        payload = statement.payload
        if (payload.digest.hex(), payload.size) != (record.payload.digest, record.payload.size):
            raise TamperedError("vouches for another payload than the record names")
    except RejectedError as error:
        looked.findings.append(Finding(SEAL, record.seal_path, str(error)))
        return []
    folder, commitment = record.parts_folder, statement.encryption.commitment.hex()
    if folder not in (None, commitment):
        text = f"names the parts of {folder}, its seal is of those of {commitment}"
        looked.findings.append(Finding(RECORD, record.path, text))
        looked.unclear.append(layout.parts_folder(commitment))
        return []
    checks = [*_run_checks(record.payload, verified.seal.index)]
    signed = {one.name: one.payload for one in statement.companions}
    for name, stored in record.companions.items():
        companion = signed.get(name)
        if companion is None or (companion.digest.hex(), companion.size) != (stored.digest, stored.size):
            looked.findings.append(Finding(RECORD, record.path, f"names an attachment {name} that its seal does not"))
            continue
        entries = _index(work, record.index_path(name), companion, looked)
        if entries is not None:
            checks += _run_checks(stored, entries)
    return checks


def verdict_on(work: ScrubWork, item: Item, seal_path: str, *, most: int) -> Verified:
    """Return the verdict on a release's seal, of at most so many bytes. Raises RejectedError, TransferError."""
    data = places.get_all(work.store, seal_path, most=most)
    if data is None:
        raise FormatError("is gone")
    found = hashlib.sha256(data).hexdigest()
    if found != item.entry.seal:
        raise TamperedError(f"has digest {found[:16]}, {item.entry.seal[:16]} was published")
    verified = _accepted(data, work, work.expect(item.of))
    if verified.statement.sequence != item.entry.sequence:
        raise TamperedError(f"is of sequence {verified.statement.sequence}, not {item.entry.sequence}")
    return verified


def _accepted(data: bytes, work: ScrubWork, expect: Expect) -> Verified:
    """Return the verdict of the first store that accepts a seal, or raise that of the present one."""
    try:
        return accept_detached(data, work.trust_store(), expect)
    except SignatureError:
        for store in work.past_stores():
            with suppress(SignatureError):
                return accept_detached(data, store, expect)
        raise


def _store_of(document: bytes) -> TrustStore:
    return parse_store(strictjson.parse(document, "trust store"))


def _index(work: ScrubWork, path: str, payload: Payload, looked: Looked) -> bytes | None:
    try:
        data = places.get_all(work.store, path, most=DIGEST_BYTES * segment_count(payload.size))
        if data is None:
            raise FormatError("is gone")
        return SignedIndex.checked(payload, data).whole()
    except RejectedError as error:
        looked.findings.append(Finding(INDEX, path, str(error)))
        return None


def _run_checks(stored: StoredPayload, entries: bytes) -> Iterator[RunCheck]:
    for run in stored.runs:
        size = run.bytes_of(stored.size)
        expected = entries[run.first * DIGEST_BYTES : run.stop * DIGEST_BYTES]
        yield RunCheck(run.path(stored.digest), run.first, size, size == stored.size, expected)


def reached(work: ScrubWork) -> None:
    """Raise TransferError unless the place is a store."""
    if places.size_of(work.store, layout.LAYOUT) is None:
        raise TransferError(f"{work.store}: has no {layout.LAYOUT}; it is no store, or is not mounted")
