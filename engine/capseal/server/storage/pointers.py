"""A channel's pointer: the one object that says which releases of an app and channel there are. No I/O.

It is replaced only as a whole and only by who has seen it last, so each change of it is decided on what is true.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ...constants import MAX_INTEGER
from ...errors import FormatError, RollbackError
from ...format import strictjson
from ...format.statement import Statement
from ...format.strictjson import Members, check_fingerprint, check_name, from_base64, shown_time, to_base64
from ...http.shapes import AppChannel
from ...trust.expect import Succession
from ...trust.heads import forbidden_by, read_head, read_recall
from ...trust.key_sets import Restart
from ...trust.store import TrustStore
from .._several import batched
from .layout import channel_pointer, is_mark

POINTER_TYPE = "capseal-channel-v1"
MAX_POINTER_BYTES = 256 * 1024 * 1024
_MAX_RELEASES = 1_000_000
_ENTRIES_AT_ONCE = 256


class Entry(NamedTuple):
    """A release in a pointer.

    seal: SHA-256 of its seal, in hex; mark: of its record; published, withdrawn: when, as in a statement; withdrawn
    is None where it was not.
    """

    sequence: int
    seal: str
    mark: str
    published: str
    withdrawn: str | None


class Entries(Mapping[int, Entry]):
    """Releases by ascending sequence.

    They are kept as bare tuples of texts and numbers, the one thing that the interpreter's own collection does not look
    at again and again: of ten thousand of whatever else it would hold up all threads for milliseconds.
    """

    __slots__ = ("_bare",)

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._bare: dict[int, tuple[Any, ...]] = {one[0]: tuple(one) for one in sorted(entries)}

    def __getitem__(self, sequence: int) -> Entry:
        return Entry._make(self._bare[sequence])

    def __iter__(self) -> Iterator[int]:
        return iter(self._bare)

    def __len__(self) -> int:
        return len(self._bare)

    def __contains__(self, sequence: object) -> bool:
        return sequence in self._bare

    def newest_first(self, *, below: int | None = None) -> Iterator[Entry]:
        """Yield them by descending sequence, those below that one."""
        return (Entry._make(one) for one in reversed(self._bare.values()) if below is None or one[0] < below)

    def listed(self, *, seal: str | None = None) -> Iterator[Entry]:
        """Yield those that were not withdrawn, by descending sequence. seal: of them, those with that seal."""
        bare = reversed(self._bare.values())
        return (Entry._make(one) for one in bare if one[4] is None and (seal is None or one[1] == seal))

    def count_listed(self) -> int:
        """Return how many were not withdrawn."""
        return sum(one[4] is None for one in self._bare.values())

    def with_one(self, entry: Entry) -> "Entries":
        """Return them with one that is new, or in place of the one with its sequence."""
        changed = Entries()
        changed._bare = {**self._bare, entry.sequence: tuple(entry)}
        if entry.sequence not in self._bare and entry.sequence < max(self._bare, default=0):
            changed._bare = dict(sorted(changed._bare.items()))
        return changed

    def without(self, sequences: Collection[int]) -> "Entries":
        """Return them without some."""
        changed = Entries()
        changed._bare = {sequence: one for sequence, one in self._bare.items() if sequence not in sequences}
        return changed


@dataclass(frozen=True, slots=True)
class ChannelPointer:
    """Which releases of an app and channel there are, and which may follow.

    revision: counts the changes. entries: by ascending sequence. removed: sequences that were published and are kept
    no more. head: the channel's, in its envelope; recalls: those that heads may name, in theirs, by digest. restarted:
    the last restart that a trust store brought, which counts once. trust_version: of the trust store that the last
    release, head or recall was taken by; 0 where no update had been.
    """

    of: AppChannel
    revision: int = 0
    trusted: Succession = field(default_factory=Succession)
    entries: Entries = field(default_factory=Entries)
    removed: frozenset[int] = frozenset()
    head: bytes | None = None
    recalls: Mapping[str, bytes] = field(default_factory=dict)
    restarted: Restart | None = None
    trust_version: int = 0

    @property
    def path(self) -> str:
        """Where it is itself."""
        return channel_pointer(self.of)

    def listed(self) -> Iterator[Entry]:
        """Yield the releases that were not withdrawn, by descending sequence."""
        return self.entries.listed()

    def latest(self) -> Entry | None:
        """Return the release with the highest sequence that was not withdrawn."""
        return next(self.listed(), None)

    def with_seal(self, digest: str) -> Entry | None:
        """Return the release that has a seal, unless it was withdrawn. digest: its SHA-256, in hex."""
        return next(self.entries.listed(seal=digest), None)

    def under(self, store: TrustStore) -> "ChannelPointer":
        """Return it as a trust store has it: what may follow begins again where that says so, once, as on devices."""
        if store.restart is None or store.restart == self.restarted:
            return self
        return replace(self, trusted=self.trusted.restarted(store.restart), restarted=store.restart)

    def taken_by(self, store: TrustStore) -> "ChannelPointer":
        """Return it as changed by what a trust store accepts."""
        return replace(self, trust_version=store.version if store.version > 1 else 0)

    def is_past(self, store: TrustStore, *, known: int) -> bool:
        """Tell whether a server that knows a later version of the trust store than that one changed it meanwhile.

        known: the pointer's version before updates were looked for: what was there then and was not followed is of
        another line, over which a server's own store wins.
        """
        return self.trust_version > max(store.version, known)

    def check(self, statement: Statement) -> None:
        """Raise RollbackError where a bundle may not be published after all that was.

        Raises NotForUsError for what its head withdraws, or a recall that the head names. Neither withdrawing nor
        removing gives back the floor or a sequence.
        """
        sequence = statement.sequence
        if sequence in self.entries or sequence in self.removed:
            entry = self.entries.get(sequence)
            since = "" if entry is None or entry.withdrawn is None else f", and withdrawn at {entry.withdrawn}"
            raise RollbackError(
                f"sequence {sequence} of {self.of.app} on {self.of.channel} was published before{since}",
                floor=sequence,
                sequence=sequence,
            )
        self.trusted.check_statement(statement)
        if self.head is not None:
            head = read_head(self.head).head
            recalls = (read_recall(self.recalls[digest]) for digest in head.recalls if digest in self.recalls)
            forbidden_by(head, recalls).check(statement)

    def check_or_has(self, statement: Statement, seal: str) -> None:
        """Do what check() does, but for a release that has that very seal."""
        if self.with_seal(seal) is None:
            self.check(statement)

    def published(self, statement: Statement, entry: Entry) -> "ChannelPointer":
        """Return it with one release more. Raises RollbackError, as check() does."""
        self.check(statement)
        trusted = self.trusted.after(statement.sequence, shown_time(statement.created))
        return replace(self, revision=self.revision + 1, trusted=trusted, entries=self.entries.with_one(entry))

    def withdrawn(self, sequence: int, when: str) -> "ChannelPointer":
        """Return it with one of its releases withdrawn."""
        entry = self.entries[sequence]._replace(withdrawn=when)
        return replace(self, revision=self.revision + 1, entries=self.entries.with_one(entry))

    def resealed(self, other: Mapping[Entry, Entry]) -> "ChannelPointer | None":
        """Return it with other seals of some of its releases; None where none of them is as it was.

        other: what stands for an entry that is still there.
        """
        entries = self.entries
        for before, after in other.items():
            if entries.get(before.sequence) == before:
                entries = entries.with_one(after)
        return None if entries is self.entries else replace(self, revision=self.revision + 1, entries=entries)

    def unpublished(self, entry: Entry, *, before: "ChannelPointer") -> "ChannelPointer | None":
        """Return it without a release that nobody was told of; None where it has none such.

        before: as it was before that release. Where others published since, the floor stays where they put it.
        """
        if self.entries.get(entry.sequence) != entry:
            return None
        entries = self.entries.without((entry.sequence,))
        trusted = before.trusted if self.revision == before.revision + 1 else self.trusted
        return replace(self, revision=self.revision + 1, trusted=trusted, entries=entries)

    def without(self, sequences: Collection[int]) -> "ChannelPointer":
        """Return it without those releases, whose sequences stay used."""
        entries, removed = self.entries.without(sequences), self.removed | frozenset(sequences)
        return replace(self, revision=self.revision + 1, entries=entries, removed=removed)

    def with_head(self, head: bytes) -> "ChannelPointer":
        """Return it with another head."""
        return replace(self, revision=self.revision + 1, head=head)

    def with_recall(self, digest: str, recall: bytes) -> "ChannelPointer":
        """Return it with a recall, in place of what it had under that digest."""
        return replace(self, revision=self.revision + 1, recalls={**self.recalls, digest: recall})

    def encode(self) -> bytes:
        """Return the pointer."""
        heads: dict[str, object] = {} if self.head is None else {"head": to_base64(self.head)}
        if self.recalls:
            heads |= {"recalls": {digest: to_base64(recall) for digest, recall in self.recalls.items()}}
        restarted = {} if self.restarted is None else {"restarted": self.restarted.to_value()}
        head = strictjson.encode(
            {
                "type": POINTER_TYPE,
                "app": self.of.app,
                "channel": self.of.channel,
                "revision": self.revision,
                "floor": self.trusted.floor,
                "highest": self.trusted.highest,
                "newest": self.trusted.newest,
                **restarted,
                **({"trust_version": self.trust_version} if self.trust_version else {}),
                **heads,
            }
        )
        # By parts: the encoder lets go of the interpreter's lock only in between.
        entries = [strictjson.encode(some)[1:-1] for some in batched(self.entries.values(), _ENTRIES_AT_ONCE)]
        removed = strictjson.encode(sorted(self.removed))
        return b'%s,"releases":[%s],"removed":%s}' % (head[:-1], b",".join(entries), removed)

    @classmethod
    def parse(cls, of: AppChannel, data: bytes) -> "ChannelPointer":
        """Parse the pointer of an app and channel. Raises FormatError."""
        required = ("type", "app", "channel", "revision", "floor", "highest", "newest", "releases", "removed")
        optional = ("head", "recalls", "restarted", "trust_version")
        members = Members(strictjson.parse(data, "pointer"), "pointer", required=required, optional=optional)
        if members.take("type", str) != POINTER_TYPE:
            raise FormatError(f"pointer: not of type {POINTER_TYPE}")
        if (members.text("app", check_name), members.text("channel", check_name)) != of:
            raise FormatError(f"pointer: is not that of {of.app} on {of.channel}")
        entries = [_parse_entry(one) for one in members.array("releases", least=0, most=_MAX_RELEASES)]
        removed = members.array("removed", least=0, most=_MAX_RELEASES)
        if not all(type(one) is int and one >= 1 for one in removed):
            raise FormatError("pointer.removed: expected sequences")
        sequences = [one.sequence for one in entries]
        if sequences != sorted(set(sequences)):
            raise FormatError("pointer.releases: sequences do not ascend")
        return cls(
            of,
            members.integer("revision", least=1),
            Succession(
                members.integer("floor", least=0), members.integer("highest", least=0), members.take("newest", str)
            ),
            Entries(entries),
            frozenset(removed),
            members.base64("head") if "head" in members else None,
            _parse_recalls(members.take("recalls", dict)) if "recalls" in members else {},
            Restart.parse(members.take("restarted", dict), "pointer.restarted") if "restarted" in members else None,
            members.integer("trust_version", least=2) if "trust_version" in members else 0,
        )


def _parse_recalls(value: Mapping[str, object]) -> dict[str, bytes]:
    place = "pointer.recalls"
    return {check_fingerprint(digest, place): from_base64(str(recall), place) for digest, recall in value.items()}


_ENTRY_KINDS = [int, str, str, str]


def _parse_entry(value: object) -> Entry:
    if type(value) is not list or len(value) != len(Entry._fields) or [type(one) for one in value[:4]] != _ENTRY_KINDS:
        raise FormatError(
            "pointer.releases: expected a sequence, a seal, a mark, and when it was published or withdrawn"
        )
    entry = Entry(*value)
    check_fingerprint(entry.seal, "pointer.releases")
    if not 1 <= entry.sequence <= MAX_INTEGER or not is_mark(entry.mark):
        raise FormatError(f"pointer.releases: sequence {entry.sequence} and mark {entry.mark[:64]!r} name no record")
    if entry.withdrawn is not None and type(entry.withdrawn) is not str:
        raise FormatError("pointer.releases: expected when a release was withdrawn")
    return entry
