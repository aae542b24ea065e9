"""chosen_release(): which of a channel's releases a device is offered, and what it is answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..errors import FormatError
from ..format.statement import Statement
from ._attaching import attached, attached_files
from ._endpoint import (
    STORE_UPDATE,
    UP_TO_DATE,
    CapgoRelease,
    UpdateRequest,
    answer,
    back_to_builtin,
    is_held_back,
    refusal,
)
from ._offer import offered

MAX_LOOKED_AT = 16
"""Releases that are looked at, one after the other, for a device that may not have the newest ones."""


class SignedReleases(Protocol):
    """What the server offers to extensions (capseal.server.Extension), as far as it is needed here."""

    async def latest_signed(
        self, app: str, channel: str, *, below: int | None = None
    ) -> tuple[Statement, Mapping[str, str]] | None: ...

    async def all_withdrawn(self, app: str, channel: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a device is answered. release, statement, paths: what it is about, where there is one.

    held_back: whether that is not for this device.
    """

    found: dict[str, Any]
    held_back: bool = False
    release: CapgoRelease | None = None
    statement: Statement | None = None
    paths: Mapping[str, str] = field(default_factory=dict)


async def chosen_release(asked: UpdateRequest, channel: str, releases: SignedReleases, base: str) -> Chosen:
    """Return what a device is answered: the newest release that is not held back from it, or why there is none.

    base: what URLs begin with. Raises TransferError where the storage failed.
    """
    latest = await releases.latest_signed(asked.app, channel)
    if latest is None:
        if await releases.all_withdrawn(asked.app, channel):
            return Chosen(back_to_builtin(asked))
        return Chosen(answer(asked, None))
    newest = chosen = _chosen(asked, *latest, base)
    for _ in range(MAX_LOOKED_AT - 1):
        if not chosen.held_back:
            break
        latest = await releases.latest_signed(asked.app, channel, below=latest[0].sequence)
        if latest is None:
            break
        chosen = _chosen(asked, *latest, base)
    return newest if chosen.held_back or chosen is newest else _instead(newest, chosen)


def _chosen(asked: UpdateRequest, statement: Statement, paths: Mapping[str, str], base: str) -> Chosen:
    try:
        attachment = attached(statement)
        attached_files(statement)
        offer = offered(statement)
    except FormatError as error:
        message = f"what the latest release says of its Capgo file cannot be read: {error}"
        return Chosen(refusal("no_bundle", message))
    if attachment is None:
        return Chosen(refusal("no_bundle", "the latest release has no Capgo file"))
    release = CapgoRelease(
        version=statement.version,
        url=base + paths[attachment.companion.name],
        bundle=attachment.bundle,
        offer=offer,
        requires=statement.requires,
    )
    return Chosen(answer(asked, release), is_held_back(asked, release), release, statement, paths)


def _instead(held: Chosen, older: Chosen) -> Chosen:
    """Return the answer with an older release where a newer one is held back.

    A device that has the older one is up to date, unless it is to be told of something in the store.
    """
    if "url" in older.found:
        return older
    has_older = older.found["error"] == UP_TO_DATE
    return older if has_older and held.found["message"] != STORE_UPDATE else held
