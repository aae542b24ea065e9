"""The collector of what nobody needs: orphans, and uploads that went stale."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from logging import Logger

from ..storage import layout
from ..storage.objects import Storage
from ._releases import Releases
from .arriving import Upload


class Collector:
    """Deletes what no release and no upload points to.

    changing: the lock under which releases and uploads change.
    """

    def __init__(
        self, storage: Storage, releases: Releases, uploads: Mapping[str, Upload], changing: asyncio.Lock, log: Logger
    ) -> None:
        self._storage = storage
        self._releases = releases
        self._uploads = uploads
        self._changing = changing
        self._log = log

    async def stale_uploads(self, before: datetime) -> list[Upload]:
        """Return the uploads that received nothing since then."""
        last_put: dict[str, datetime] = {}
        async for one in self._storage.list(layout.PAYLOADS):
            named = layout.parse_payload_object(one.path)
            if named:
                last_put[named[0]] = max(last_put.get(named[0], one.modified), one.modified)
        stale = []
        async for one in self._storage.list(layout.UPLOADS):
            upload = self._uploads.get(layout.parse_upload_seal(one.path) or "")
            if upload is None or upload.receivers:
                continue
            if max(one.modified, *(last_put.get(digest, one.modified) for digest in upload.digests)) < before:
                stale.append(upload)
        return stale

    async def collect(self) -> int:
        """Delete orphans; return how many objects."""
        named = [layout.parse_payload_object(one.path) async for one in self._storage.list(layout.PAYLOADS)]
        deleted = 0
        for digest in {one[0] for one in named if one}:
            async with self._changing:
                deleted += await self.delete_unneeded(digest)
        return deleted + await self._collect_beside_records()

    async def _collect_beside_records(self) -> int:
        deleted = 0
        async for one in self._storage.list(layout.RELEASES):
            named = layout.parse_release_object(one.path)
            if named is None or named[2] == layout.RECORD:
                continue
            async with self._changing:
                # Under the lock: a release without a record now is not one that is just being published.
                record = self._releases.get(named[0], named[1])
                if record is None or record.release.withdrawn is not None:
                    await self._storage.delete([one.path])
                    deleted += 1
        return deleted

    async def delete_unneeded(self, digest: str) -> int:
        """Delete what is stored of a payload, but what a release or an upload needs. Only under the lock."""
        if any(digest in upload.digests for upload in self._uploads.values()):
            return 0
        records = [record for record in self._releases.not_withdrawn() if digest in record.digests]
        needed = {path for record in records for path in record.paths}
        orphans = [
            one.path async for one in self._storage.list(layout.payload_folder(digest)) if one.path not in needed
        ]
        await self._storage.delete(orphans)
        return len(orphans)
