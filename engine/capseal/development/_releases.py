"""A folder as a ReleaseStore of the server: one release, whose payload is made when it is read."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from ..bundle.opened import accept_detached
from ..embedding import read_verified_async
from ..errors import SourceChangedError, TransferError
from ..format.signed_index import SignedIndex
from ..format.strictjson import Role, shown_time
from ..http.shapes import AppChannel, ReleaseDescription
from ..server import Chunks
from ..trust.expect import Expect
from ..trust.store import TrustStore
from ._bundle import FolderBundle


class FolderPayload:
    """The payload of a bundle that is nowhere.

    Every segment is checked against the signed index before it leaves: that is what keeps a nonce from being
    used twice (FolderBundle).
    """

    def __init__(self, bundle: FolderBundle, index: SignedIndex) -> None:
        self._bundle = bundle
        self._index = index

    async def _read(self, offset: int, size: int) -> memoryview:
        try:
            return await asyncio.to_thread(self._bundle.read, offset, size)
        except SourceChangedError as error:
            raise TransferError(f"folder: {error}") from error

    async def chunks(self, start: int, stop: int) -> Chunks:
        """Yield bytes [start, stop). Raises RejectedError, TransferError where a file changed."""
        async for chunk in read_verified_async(self._index, self._read, start, stop):
            yield chunk


class FolderReleases:
    """What was sealed of a folder: the last bundle can be read, those before it are withdrawn.

    trust: by which each bundle must pass, as it would at its readers.
    """

    def __init__(self, trust: TrustStore) -> None:
        self._trust = trust
        self._releases: list[ReleaseDescription] = []
        self._seal = b""
        self._payload: FolderPayload | None = None

    def show(self, bundle: FolderBundle) -> ReleaseDescription:
        """Make a bundle the latest release, in place of what was. Raises RejectedError where it is not trusted."""
        seal = bundle.seal.encode()
        verified = accept_detached(seal, self._trust, Expect(role=Role.DEVELOPMENT))
        now = datetime.now(UTC)
        release = ReleaseDescription.of(
            verified.statement,
            {},
            published=now,
            seal_bytes=len(seal),
            seal_digest=hashlib.sha256(seal).hexdigest(),
            signers=tuple(signer.key.fingerprint for signer in verified.signers),
        )
        before = [one if one.withdrawn else replace(one, withdrawn=shown_time(now)) for one in self._releases]
        self._releases = [release, *before]
        self._seal, self._payload = seal, FolderPayload(bundle, verified.index)
        return release

    # As a ReleaseStore.

    async def channels(self, *, after: AppChannel | None, most: int) -> Sequence[AppChannel]:
        shown = [one.app_channel for one in self._releases[:1]]
        return [of for of in shown if after is None or of > after][:most]

    async def releases(self, of: AppChannel, *, below: int | None, most: int) -> Sequence[ReleaseDescription]:
        return [one for one in self._all_of(of) if below is None or one.sequence < below][:most]

    async def release(self, of: AppChannel, sequence: int) -> ReleaseDescription | None:
        return next((one for one in self._all_of(of) if one.sequence == sequence), None)

    async def latest(self, of: AppChannel) -> ReleaseDescription | None:
        return next((one for one in self._all_of(of) if one.withdrawn is None), None)

    def _all_of(self, of: AppChannel) -> list[ReleaseDescription]:
        return [one for one in self._releases if one.app_channel == of]

    async def seal(self, release: ReleaseDescription) -> bytes:
        self._check_is_current(release)
        return self._seal

    async def payload(self, release: ReleaseDescription, attachment: str | None) -> FolderPayload:
        self._check_is_current(release)
        if self._payload is None or attachment is not None:
            raise TransferError("folder: has no attachments")
        return self._payload

    async def attachment_index(self, release: ReleaseDescription, name: str) -> bytes:
        raise TransferError("folder: has no attachments")

    def _check_is_current(self, release: ReleaseDescription) -> None:
        if release != self._releases[0]:
            raise TransferError(f"folder: sequence {release.sequence} is of a bundle that is no longer current")
