"""What may be registered with the server: paths of one's own, answered from what is published."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute

from ..format.statement import Statement


class SignedReleases(Protocol):
    """What the seals of published releases say."""

    async def latest_signed(
        self, app: str, channel: str, *, below: int | None = None
    ) -> tuple[Statement, Mapping[str, str]] | None:
        """Return the statement of the latest release, and the path of each companion; None where there is none.

        app, channel: any text; nothing but a name is ever found. below: of lower sequences only, those too that a head
        does not name any more, but not what it takes back. Raises TransferError where storage lost or altered the seal.
        """

    async def attachment(self, app: str, channel: str, sequence: int, name: str) -> bytes:
        """Return all of an attachment of a release that latest_signed() told of, checked against its signed index.

        It is read into memory: whoever asks has looked at its size. Raises TransferError where the release is gone, or
        storage lost or altered what it has of it.
        """

    async def all_withdrawn(self, app: str, channel: str) -> bool:
        """Return whether there were releases, none is offered any more, and each was withdrawn or is kept no more.

        A release that storage lost or altered was not withdrawn. Raises TransferError.
        """


class Extension(Protocol):
    """Something that answers under paths of its own."""

    def routes(self, releases: SignedReleases, registry: CollectorRegistry) -> Sequence[BaseRoute]:
        """Return what it answers. registry: for its own metrics.

        What shows as much as /metrics does calls `request.app.state.check_metrics_right(request)` first, which raises
        what is answered to whoever may not read that.
        """
