"""Scrubbing a whole store: every release and companion against its signed index, and whatever nobody needs."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from ..constants import SEGMENT_BYTES
from ..errors import FormatError, UsageError
from ..format import strictjson
from ..format.strictjson import Members, Role
from ..server.storage import layout
from ..server.storage.pointers import MAX_POINTER_BYTES, ChannelPointer
from ..trust.store import TrustStore
from . import _places as places
from ._engines import Engine
from ._jobs import Report, Task, Watch, results
from ._plan import TASK_SEGMENTS
from ._scrub_work import MISSING, SIZE, Finding, Item, Looked, RunCheck, ScrubWork, reached, scrub_releases, scrub_run

POINTER, EXTRA, ORPHAN, MISPLACED = "pointer", "extra", "orphan", "misplaced"

_STATE_TYPE = "capseal-scrub-v1"
_RELEASES_AT_ONCE = 32
_SAVED_EVERY = 64
_GRACE = timedelta(days=7)
"""So old is what nobody needs: a release on its way in puts its bytes long before its record."""

_PAYLOADS = (f"{layout.PAYLOADS}/", f"{layout.PARTS}/")
_OTHERS = (f"{layout.UPLOADS}/", f"{layout.TRUST}/", f"{layout.COLLECTOR}/")


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What a scrub found. releases: that there are; checked: of which all bytes were read."""

    findings: tuple[Finding, ...]
    releases: int
    checked: int
    report: Report

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        found = [one.to_json() for one in self.findings]
        return self.report.to_json() | {"releases": self.releases, "checked": self.checked, "findings": found}


@dataclass(slots=True)
class _Stored:
    """What a store lists, before any record was read."""

    sizes: dict[str, int] = field(default_factory=dict)
    old: set[str] = field(default_factory=set)


def scrub(
    store: str,
    *,
    trust: TrustStore,
    engine: Engine,
    past: Sequence[TrustStore] = (),
    role: Role = Role.PRODUCTION,
    state: str | None = None,
    again_after: timedelta | None = None,
    grace: timedelta = _GRACE,
    now: datetime | None = None,
    task_bytes: int = TASK_SEGMENTS * SEGMENT_BYTES,
    dry_run: bool = False,
    watch: Watch | None = None,
) -> Scrubbed:
    """Check a store, and go on after each finding; nothing is changed. Servers may use it meanwhile.

    store: a folder or URL, the same for every worker. trust, role: whose seals count; past: versions of the
    trust store by which they count as well, since keys have left it. state: a path or URL that keeps
    when each release was found whole, outside of the store: those of less than `again_after` ago are only listed, and a
    scrub that was killed goes on. grace: so old is what is reported as needed by nobody; now: the present by default.
    Raises FormatError where the state cannot be read, TransferError.
    """
    watch, now = watch or Watch(), now or datetime.now(UTC)
    check_apart(store, state)
    work = ScrubWork(places.folder_of(store), trust.to_json(), role, task_bytes, tuple(one.to_json() for one in past))
    reached(work)
    kept = _State.load(state)
    stored = _listed(work.store, now - grace)
    findings: list[Finding] = []
    since = None if again_after is None else (now - again_after).timestamp()
    items = list(_items(work.store, stored, kept, since, findings))
    average = sum(stored.sizes.values()) // max(1, len(items))
    batches = [*_batches(items, average)]
    if dry_run:
        planned = Report.planned("scrub", engine, batches, place=store)
        return Scrubbed(tuple(findings), len(items), sum(item.deep for item in items), planned)
    looked = Looked()
    with closing(results(engine, scrub_releases, [_with(work, one) for one in batches], watch=watch)) as done:
        for count, (_, found) in enumerate(done, 1):
            looked.findings += found.findings
            looked.sizes |= found.sizes
            looked.later += found.later
            looked.unclear += found.unclear
            later = {path for path, _ in found.later}
            kept.note((path for path in found.sound if path not in later), now)
            if count % _SAVED_EVERY == 0:
                kept.save()
    kept.note(_read_later(work, engine, looked, watch), now)
    kept.save()
    findings += looked.findings
    if any(one.kind == POINTER for one in findings):
        looked.unclear += [layout.PAYLOADS, layout.PARTS, layout.RELEASES]
    # What a damaged record or pointer names looks like what nobody needs.
    unclear = tuple(f"{folder}/" for folder in looked.unclear)
    findings += [one for one in _unneeded(stored, looked) if one.kind == MISPLACED or not one.path.startswith(unclear)]
    shallow = {path for item in items if not item.deep for path in [_record_path(item)]}
    findings += _listed_wrong(stored, looked, findings) if shallow else []
    report = Report.of("scrub", engine, watch, place=store)
    return Scrubbed(tuple(sorted(set(findings), key=_by_path)), len(items), len(items) - len(shallow), report)


def _by_path(finding: Finding) -> tuple[str, str]:
    return finding.path, finding.kind


def _record_path(item: Item) -> str:
    return layout.release_object(item.of, item.entry.sequence, item.entry.mark, layout.RECORD)


def _listed(store: str, before: datetime) -> _Stored:
    stored = _Stored()
    growing = set()
    for one in places.listed(store):
        stored.sizes[one.name] = one.size
        if one.modified <= before:
            stored.old.add(one.name)
        elif (part := layout.parse_parts_object(one.name)) is not None:
            growing.add(part[0])
    # A folder of parts ages as one: the job that puts them may take days.
    stored.old = {name for name in stored.old if (layout.parse_parts_object(name) or ("",))[0] not in growing}
    return stored


def _items(store: str, stored: _Stored, kept: "_State", since: float | None, findings: list[Finding]) -> Iterator[Item]:
    """Yield the releases that the pointers name, those that were looked at longest ago first."""
    items = []
    listed = (path for path in stored.sizes if path.startswith(f"{layout.CHANNELS}/"))
    for path in sorted({*listed, *places.no_files(store, layout.CHANNELS)}):
        of = layout.parse_channel_pointer(path)
        if of is None:
            continue
        try:
            data = places.get_all(store, path, most=MAX_POINTER_BYTES)
            if data is None:
                continue
            pointer = ChannelPointer.parse(of, data)
        except FormatError as error:
            findings.append(Finding(POINTER, path, str(error)))
            continue
        for entry in pointer.entries.values():
            item = Item(of, entry, deep=True)
            at = kept.at(_record_path(item))
            items.append((at, Item(of, entry, deep=since is None or at <= since)))
    yield from (item for _, item in sorted(items, key=lambda one: one[0]))


def _batches(items: list[Item], average: int) -> Iterator[Task[str]]:
    """Yield tasks of some releases each. average: bytes of a release, since only its record tells more."""
    waiting = iter(items)
    while some := tuple(islice(waiting, _RELEASES_AT_ONCE)):
        yield Task(f"{len(some)} releases", (some,), average * sum(item.deep for item in some))


def _with(work: ScrubWork, task: Task[str]) -> Task[str]:
    return Task(task.what, (work, *task.arguments), task.size)


def _read_later(work: ScrubWork, engine: Engine, looked: Looked, watch: Watch) -> list[str]:
    """Read what was too much for one task; return the records of which all was right."""
    bad, later = set(), {path for path, _ in looked.later}
    sound = later & set(looked.sound)
    tasks = [Task((path, check), (work, check), check.size) for path, check in looked.later]
    found: list[Finding]
    task: Task[tuple[str, RunCheck]]
    with closing(results(engine, scrub_run, tasks, watch=watch)) as done:
        for task, found in done:
            looked.findings += found
            if found:
                bad.add(task.what[0])
    return sorted(sound - bad)


def _unneeded(stored: _Stored, looked: Looked) -> Iterator[Finding]:
    """Yield what no release needs, and what has no place in a store."""
    needed = looked.sizes.keys()
    live = {path.rpartition("/")[0] for path in needed if path.startswith(_PAYLOADS)}
    seals_in_parts = {f"{folder}/{layout.SEAL}" for folder in live if folder.startswith(f"{layout.PARTS}/")}
    for path in stored.old - needed:
        if path == layout.LAYOUT or path.startswith(_OTHERS) or layout.is_unfinished(path):
            continue
        if layout.parse_channel_pointer(path) is not None:
            continue
        if _is_of_payload(path):
            if path in seals_in_parts:
                continue  # the seal as it was made: the release has its own
            if path.rpartition("/")[0] in live:
                yield Finding(EXTRA, path, "is in the folder of a payload that is published, and none of its runs")
            else:
                yield Finding(ORPHAN, path, "is of a payload that no release has")
        elif layout.parse_release_object(path) is not None:
            yield Finding(ORPHAN, path, "is of no release that its channel names")
        else:
            yield Finding(MISPLACED, path, "has no place in a store")


def _is_of_payload(path: str) -> bool:
    """Say whether a path is one that a server, or a fleet that seals into a store, gives to what holds a payload."""
    stored, part = layout.parse_payload_object(path), layout.parse_parts_object(path)
    if stored is not None:
        return layout.parse_run(stored[1]) is not None or layout.parse_index(stored[1]) is not None
    return part is not None and (part[1] == layout.SEAL or layout.parse_part(part[1]) is not None)


def _listed_wrong(stored: _Stored, looked: Looked, findings: list[Finding]) -> Iterator[Finding]:
    """Yield what the listing alone shows of objects that were not read."""
    known = {one.path for one in findings}
    for path, size in looked.sizes.items():
        if path in known:
            continue
        there = stored.sizes.get(path)
        if there is None and size is not None:
            yield Finding(MISSING, path, "is gone")
        elif size is not None and there != size:
            yield Finding(SIZE, path, f"has {there} bytes, {size} are expected")


class _State:
    """When each release was found whole, in seconds since 1970; nothing without a place."""

    def __init__(self, place: str | None, checked: dict[str, float]) -> None:
        self._place = place
        self._checked = checked

    @classmethod
    def load(cls, place: str | None) -> "_State":
        """Read it. Raises FormatError, TransferError."""
        if place is None:
            return cls(None, {})
        folder, name = places.split(places.absolute(place))
        data = places.get_all(folder, name)
        if data is None:
            return cls(place, {})
        members = Members(strictjson.parse(data, place), place, required=("type", "checked"))
        if members.take("type", str) != _STATE_TYPE:
            raise FormatError(f"{place}: not of type {_STATE_TYPE}")
        checked = members.take("checked", dict)
        if not all(type(one) is int for one in checked.values()):
            raise FormatError(f"{place}: expected seconds of each release")
        return cls(place, dict(checked))

    def at(self, path: str) -> float:
        """Return when a release was found whole, 0 where it never was."""
        return self._checked.get(path, 0)

    def note(self, paths: "Iterator[str] | list[str]", now: datetime) -> None:
        """Remember that releases were found whole."""
        self._checked |= dict.fromkeys(paths, int(now.timestamp()))

    def save(self) -> None:
        """Put it in the place of what is there. Raises TransferError."""
        if self._place is not None:
            folder, name = places.split(places.absolute(self._place))
            places.replace(folder, name, strictjson.encode({"type": _STATE_TYPE, "checked": self._checked}))


def check_apart(store: str, state: str | None) -> None:
    """Raise UsageError where a state would lie in the store that it is about."""
    if state is not None and places.absolute(state).startswith(f"{places.absolute(store).rstrip('/')}/"):
        raise UsageError(f"{state}: lies in the store that it is about")
