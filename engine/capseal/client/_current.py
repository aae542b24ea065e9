"""What a head says to a reader that remembers nothing: the same rule as on devices, without a share and a last head."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from ..errors import NotForUsError, RejectedError, StaleError, UsageError
from ..format.head import Head
from ..format.recall import Recall
from ..trust.expect import Expect
from ..trust.heads import HeadUse, accept_head, accept_named_recall, check_fresh, current_for, forbidden_by, time_of
from ..trust.store import TrustStore
from ._connection import Connection
from ._heads import fetch_head, fetch_recall


@dataclass(frozen=True, slots=True)
class Said:
    """What is fetched. sequence: None for what the server calls the latest; uncertain: why nobody knows that it is."""

    expect: Expect
    sequence: int | None
    uncertain: str | None = None


def follow_head(
    connection: Connection,
    *,
    app: str,
    channel: str,
    trust: TrustStore,
    expect: Expect,
    use: HeadUse,
    now: datetime,
    sequence: int | None = None,
) -> Said:
    """Return what to fetch as a channel's head says, and what to demand of it.

    sequence: of a release that is asked for by its number, which need not be current, but must not be withdrawn.
    Raises StaleError where a head is required and none is fresh, NotForUsError where it names nothing that fits,
    RejectedError where a served head is not acceptable and one is required, TamperedError where a recall is withheld,
    TransferError, UsageError.
    """
    if use is HeadUse.IGNORED or (use is HeadUse.USED and trust.heads is None):
        return Said(expect, sequence)
    asked = {"app": app, "channel": channel}

    def recall_of(digest: str) -> Recall:
        data = fetch_recall(connection, digest, **asked)
        return accept_named_recall(trust, digest, data, role=expect.role, now=now, **asked)

    try:
        data = fetch_head(connection, **asked)
        if data is None:
            raise StaleError(f"{connection.url} has no head of {app} on {channel}")
        head = accept_head(trust, data, role=expect.role, **asked).head
    except (RejectedError, UsageError) as error:  # UsageError: a tree of files, which may have none
        if use is HeadUse.REQUIRED:
            raise
        return Said(expect, sequence, str(error))
    return _said(head, recall_of, trust, expect, use, now, sequence)


def _said(
    head: Head,
    recall_of: Callable[[str], Recall],
    trust: TrustStore,
    expect: Expect,
    use: HeadUse,
    now: datetime,
    sequence: int | None,
) -> Said:
    forbidden = forbidden_by(head, map(recall_of, head.recalls))
    uncertain = None
    try:
        check_fresh(head, time_of(trust, head, now))
    except StaleError as error:
        if use is HeadUse.REQUIRED:
            raise
        uncertain = str(error)
    if sequence is not None or uncertain is not None:
        return Said(replace(expect, head=forbidden), sequence, uncertain)
    current = current_for(head, secret=None, native=expect.native, platform=expect.platform)
    named = tuple(one for one in current.releases if one.digest not in forbidden.digests)
    if not named:
        raise NotForUsError(f"head {head.number} names no release that fits here")
    return Said(replace(expect, head=replace(current, releases=named)), named[0].sequence)
