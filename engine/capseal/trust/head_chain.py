"""The chain of a channel's heads: what the next one may say, and how it is made from the one before.

Pure, as heads.py. Who signs a head builds it here, and the server takes only what passes check_successor().
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from ..constants import MAX_CURRENT, MAX_RECALLS, MAX_WITHDRAWN
from ..errors import NotForUsError, RollbackError, UsageError
from ..format.head import Candidate, Head, LogReference, NamedRelease
from ..format.recall import Recall
from ..format.requires import Requires, version_numbers
from ..format.strictjson import Role
from .heads import SignedHead, check_follows, policy_of, reference_to
from .store import TrustStore


def check_successor(before: SignedHead | None, after: SignedHead, *, restored: Collection[int] = ()) -> None:
    """Raise unless a head is the very next of a chain, and takes nothing back unasked.

    before: None where there is none. restored: sequences whose withdrawal may be dropped. Of the releases that were
    current and are neither withdrawn nor restored, none is lowered: the highest stays or gives way to a higher one,
    and what is new is above them all. Raises RollbackError, TamperedError, NotForUsError.
    """
    new = after.head
    begins = before is None or before.head.epoch < new.epoch
    if begins and new.number != 1:
        raise NotForUsError(f"head {new.number} of epoch {new.epoch}: the first one has to be here before")
    check_follows(before, after)
    if before is None or begins:
        return
    old = before.head
    if new.number != old.number + 1:
        raise RollbackError(
            f"head {new.number} does not follow head {old.number}, which is here", floor=old.number, sequence=new.number
        )
    dropped = sorted(set(old.withdrawn) - set(new.withdrawn) - set(restored))
    if dropped:
        raise RollbackError(
            f"head {new.number} drops the withdrawal of {', '.join(map(str, dropped[:10]))}, which nobody asked for",
            floor=old.number,
            sequence=new.number,
        )
    _check_current(old, new)


def _check_current(old: Head, new: Head) -> None:
    kept = [release for release in old.current if release.sequence not in new.withdrawn]
    known = {release.digest for release in old.releases}
    if not kept:
        return
    highest = kept[0].sequence
    for release in new.current:
        if release.digest not in known and release.sequence <= highest:
            raise _lowered(release.sequence, highest, old, new)
    if new.current[0].sequence < highest:
        raise _lowered(new.current[0].sequence, highest, old, new)


def _lowered(sequence: int, highest: int, old: Head, new: Head) -> RollbackError:
    return RollbackError(
        f"head {new.number} lowers what is current: to {sequence}, head {old.number} names {highest} and {highest} is "
        "not withdrawn",
        floor=highest,
        sequence=sequence,
    )


def first_head(
    store: TrustStore, current: Iterable[NamedRelease], *, app: str, channel: str, role: Role, now: datetime, age_s: int
) -> Head:
    """Return the first head of a chain. age_s: how long it is valid, in seconds. Raises NotForUsError, UsageError."""
    listed = _ordered(current)
    if not listed:
        raise UsageError("no release is current, and a head names at least one: say which, with --current SEQUENCE")
    issued, expires = _validity(store, now, None, age_s)
    return Head(
        app=app,
        channel=channel,
        role=role,
        epoch=store.epoch,
        number=1,
        previous=None,
        issued=issued,
        expires=expires,
        store=reference_to(store),
        current=listed,
    )


def next_head(before: SignedHead, store: TrustStore, *, now: datetime, age_s: int) -> Head:
    """Return the head after one, which says the same anew; number 1 where the store has a later epoch.

    Raises NotForUsError where the store has an earlier epoch, or allows no such head any more.
    """
    old = before.head
    if store.epoch < old.epoch:
        raise NotForUsError(f"head {old.number} is of epoch {old.epoch}, the trust store of epoch {store.epoch}")
    same = store.epoch == old.epoch
    issued, expires = _validity(store, now, old.issued if same else None, age_s)
    return replace(
        old,
        epoch=store.epoch,
        number=old.number + 1 if same else 1,
        previous=before.digest if same else None,
        issued=issued,
        expires=expires,
        store=reference_to(store),
    )


def _validity(store: TrustStore, now: datetime, after: datetime | None, age_s: int) -> tuple[datetime, datetime]:
    policy = policy_of(store)
    if not 1 <= age_s <= policy.max_age_s:
        raise UsageError(f"head of {age_s} s, the trust store allows from 1 to {policy.max_age_s}")
    issued = max(now.replace(microsecond=0), after or now.replace(microsecond=0))
    expires = min(issued + timedelta(seconds=age_s), policy.until)
    if expires <= issued:
        raise NotForUsError(f"trust store version {store.version} ends heads at {policy.until:%Y-%m-%dT%H:%M:%SZ}")
    return issued, expires


def with_release(head: Head, release: NamedRelease) -> Head:
    """Return a head in which a release is current, and those it makes needless are not.

    Nothing is lowered: where something at or above it is current that serves the same apps, the head stays as it is.
    """
    candidate = head.candidate
    if any(old.sequence >= release.sequence and covers(old, release) for old in head.current):
        return head
    current = _ordered([release, *(old for old in head.current if not covers(release, old))])
    if len(current) > MAX_CURRENT:
        raise UsageError(f"{len(current)} releases would be current, at most {MAX_CURRENT} may be")
    if candidate is not None and candidate.release.sequence <= current[0].sequence:
        candidate = None
    return replace(head, current=current, candidate=candidate)


def with_candidate(head: Head, release: NamedRelease, *, share: int, salt: bytes) -> Head:
    """Return a head with a release as its candidate, for a share in thousandths; the same candidate keeps its salt."""
    old = head.candidate
    if old is not None and old.release.digest == release.digest:
        salt = old.salt
    return replace(head, candidate=Candidate(release, share, salt))


def paused(head: Head, *, paused: bool) -> Head:
    """Return a head whose candidate nobody gets any more, or is given again. Raises UsageError where it has none."""
    if head.candidate is None:
        raise UsageError(f"head {head.number} has no candidate")
    return replace(head, candidate=replace(head.candidate, paused=paused))


def promoted(head: Head) -> Head:
    """Return a head whose candidate is current. Raises UsageError where it has none."""
    if head.candidate is None:
        raise UsageError(f"head {head.number} has no candidate")
    return with_release(replace(head, candidate=None), head.candidate.release)


def withdrawing(head: Head, sequences: Iterable[int], *, instead: Iterable[NamedRelease] = ()) -> Head:
    """Return a head that withdraws sequences, too. instead: what is current where nothing else is left."""
    gone = {*head.withdrawn, *sequences}
    if len(gone) > MAX_WITHDRAWN:
        raise UsageError(f"{len(gone)} withdrawn sequences, at most {MAX_WITHDRAWN} are allowed: restore old ones")
    current = _ordered(release for release in head.current if release.sequence not in gone) or _ordered(instead)
    if not current:
        raise UsageError("nothing is left that is current: say what is, with --current SEQUENCE")
    candidate = head.candidate
    if candidate is not None and candidate.release.sequence in gone:
        candidate = None
    return replace(head, current=current, candidate=candidate, withdrawn=tuple(sorted(gone)))


def restoring(head: Head, sequences: Iterable[int]) -> Head:
    """Return a head without the withdrawals of some sequences."""
    return replace(head, withdrawn=tuple(sorted(set(head.withdrawn) - set(sequences))))


def with_recall(head: Head, digest: str) -> Head:
    """Return a head that names a recall, too."""
    recalls = tuple(sorted({*head.recalls, digest}))
    if len(recalls) > MAX_RECALLS:
        raise UsageError(f"{len(recalls)} recalls, at most {MAX_RECALLS} are allowed")
    return replace(head, recalls=recalls)


def check_spared(head: Head, recall: Recall) -> None:
    """Raise UsageError where a recall names the payload of a release that the head names.

    Who had a release key may have sealed that payload anew, under the sequence that is recalled.
    """
    gone = {release.digest: release.sequence for release in recall.releases}
    for named in head.releases:
        if named.digest in gone:
            raise UsageError(
                f"sequence {gone[named.digest]} has the payload of sequence {named.sequence}, which is current: both "
                "would fail for good; withdraw it instead, with 'capseal head sign --withdraw'"
            )


def check_unshared(recall: Recall, others: Iterable[tuple[int, str]], where: str) -> None:
    """Raise UsageError where a recall names the payload of a release that it does not name.

    others: sequences and payload digests of the releases that are known; where: by whom, for messages. Devices go by
    the payload alone, so that both would fail: see check_spared().
    """
    gone = {release.digest: release.sequence for release in recall.releases}
    recalled = {release.sequence for release in recall.releases}
    for sequence, digest in others:
        if digest in gone and sequence not in recalled:
            raise UsageError(
                f"sequence {gone[digest]} has the payload of sequence {sequence}, {where}: both would fail for good; "
                "withdraw it instead, with 'capseal head sign --withdraw', or recall both, with --shared"
            )


def with_log(head: Head, log: LogReference | None) -> Head:
    """Return a head that names the end of a release log, unless it names a later one."""
    if log is None or (head.log is not None and head.log.number >= log.number):
        return head
    return replace(head, log=log)


def covers(one: NamedRelease, other: NamedRelease) -> bool:
    """Say whether every app that a release fits is fit by another one, too: the first serves all of the second's."""
    mine, its = one.requires or Requires(), other.requires or Requires()
    lowest = mine.native_min is None or (
        its.native_min is not None and version_numbers(mine.native_min) <= version_numbers(its.native_min)
    )
    highest = mine.native_below is None or (
        its.native_below is not None and version_numbers(its.native_below) <= version_numbers(mine.native_below)
    )
    platforms = not mine.platforms or (bool(its.platforms) and set(its.platforms) <= set(mine.platforms))
    return lowest and highest and platforms


def _ordered(releases: Iterable[NamedRelease]) -> tuple[NamedRelease, ...]:
    return tuple(sorted(releases, key=lambda release: -release.sequence))
