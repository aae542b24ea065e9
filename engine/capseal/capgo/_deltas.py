"""DeltaAnswers: the answers that list a release's single files, made once and kept packed."""

import asyncio
import gzip
import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

from ..errors import FormatError
from ..format.statement import Statement
from ..http.paths import slice_of
from ._attaching import AttachedFiles
from ._pack import MAX_FILES_BYTES, CapgoFiles
from ._wire import CapgoBundle, ChecksumVersion

_KEPT_BYTES = 32 * 1024 * 1024
_LEVEL = 6
"""Of what is packed, most is signatures, of which no level makes less."""


class _Attachments(Protocol):
    async def attachment(self, app: str, channel: str, sequence: int, name: str) -> bytes: ...


class DeltaAnswers:
    """Answers with a manifest, as gzip; of those for one release and one address each is made once.

    A request can carry any address, and so want an answer of its own: one is made at a time, in a thread.
    """

    def __init__(self, releases: _Attachments) -> None:
        self._releases = releases
        self._kept: OrderedDict[tuple[bytes, ChecksumVersion, str], bytes] = OrderedDict()
        self._kept_bytes = 0
        self._making = asyncio.Lock()

    async def packed(
        self,
        found: Mapping[str, Any],
        statement: Statement,
        files: AttachedFiles,
        bundle: CapgoBundle,
        *,
        version: ChecksumVersion,
        pack_url: str,
    ) -> bytes | None:
        """Return an answer with the manifest added, as gzip; None where the signed list is none of this pack.

        found: the answer so far; version: of its checksums; pack_url: where the pack is. Raises TransferError.
        """
        key = (files.files.digest, version, json.dumps(found))
        if (kept := self._found(key)) is not None:  # at once, whoever waits for one of his own
            return kept
        async with self._making:
            if (kept := self._found(key)) is not None:
                return kept
            if files.files.size > MAX_FILES_BYTES:
                return None
            data = await self._releases.attachment(
                statement.app, statement.channel, statement.sequence, files.files.name
            )
            packed = await asyncio.to_thread(_pack, data, found, files, bundle, version, pack_url)
            if packed is not None:
                self._keep(key, packed)
            return packed

    def _found(self, key: tuple[bytes, ChecksumVersion, str]) -> bytes | None:
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
        return kept

    def _keep(self, key: tuple[bytes, ChecksumVersion, str], packed: bytes) -> None:
        self._kept[key] = packed
        self._kept_bytes += len(packed)
        while self._kept_bytes > _KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1])


def _pack(
    data: bytes,
    found: Mapping[str, Any],
    attached: AttachedFiles,
    bundle: CapgoBundle,
    version: ChecksumVersion,
    pack_url: str,
) -> bytes | None:
    try:
        files = CapgoFiles.parse(data)
        attached.check(files, bundle)
    except FormatError:
        return None
    urls = [slice_of(pack_url, one.offset, one.offset + one.size) for one in files.files]
    manifest = [entry.to_json(version) for entry in files.entries(urls)]
    return gzip.compress(json.dumps({**found, "manifest": manifest}).encode(), _LEVEL, mtime=0)
