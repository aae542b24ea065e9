"""One bundle in a file, replaced only by newer ones, and served verified."""

import asyncio
import os
import re
from collections.abc import AsyncIterable, Mapping
from dataclasses import replace
from typing import Protocol, Self

from ..bundle.opened import OpenedBundle, open_bundle
from ..bundle.reading_order import Verified
from ..errors import RejectedError, UsageError
from ..io import drafts, durable
from ..trust.expect import Expect
from ..trust.store import TrustStore
from ._answers import AsyncRangeAnswer, RangeAnswer, answer_range, answer_range_async, no_bundle
from ._uploads import Upload

_READ_BYTES = 256 * 1024
_RECORD_BYTES = 20
_RECORD = re.compile(rb"[0-9]{1,19}\n")


def _record_of(path: str) -> str:
    return f"{path}.floor"


class Body(Protocol):
    """The body of a request, as WSGI frameworks give it."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes, none at the end."""


class BundleFile:
    """A file that holds one sealed bundle, or none yet, and is only ever replaced by a newer one: whole and for good.

    Uploads may be under way at once, of threads and of processes: each writes a file of its own, and of two that end
    one after the other the newer one stays. Beside it lie `PATH.lock` and `PATH.floor`, which holds the sequence of the
    last one taken: where what is there no longer verifies, since its signer is not trusted any more or the file was
    damaged, that stays the floor, and a newer one replaces it. Without PATH, the next one is the first.
    """

    def __init__(self, path: str | os.PathLike[str], *, trust: TrustStore, expect: Expect = Expect()) -> None:
        """expect: of every bundle; its floor is that of the first."""
        self._path = os.fspath(path)
        self._trust = trust
        self._expect = expect

    def expect(self) -> Expect:
        """Return what the next bundle has to be: above the sequence of the one that is there.

        Raises UsageError where neither that nor the record of its sequence can be read, OSError.
        """
        try:
            with self.open() as stored:
                floor = stored.verified.statement.sequence
        except FileNotFoundError:
            return self._expect
        except RejectedError:
            # It says of itself what anybody may have written. What was taken when it verified is on record.
            recorded = self._recorded_floor()
            if recorded is None:
                return self._expect
            floor = recorded
        return replace(self._expect, floor=max(floor, self._expect.floor or 0))

    def _recorded_floor(self) -> int | None:
        """Return the sequence of the last bundle taken, None where no record was kept. Raises UsageError, OSError."""
        try:
            with open(_record_of(self._path), "rb") as record:
                text = record.read(_RECORD_BYTES + 1)
        except FileNotFoundError:
            return None
        if not _RECORD.fullmatch(text):
            raise UsageError(f"{_record_of(self._path)}: holds no sequence, but {text[:_RECORD_BYTES]!r}")
        return int(text)

    def open(self) -> "StoredBundle":
        """Open the bundle that is there; what replaces it meanwhile changes nothing of this one.

        Raises FileNotFoundError where there is none, RejectedError, OSError.
        """
        # Its sequence was above the floor when it came.
        opened = open_bundle(self._path, trust=self._trust, expect=replace(self._expect, floor=None))
        return StoredBundle(opened)

    def take(self, body: Body, upload: Upload) -> Verified:
        """Store the bundle of an upload that a middleware verifies, in place of the one that is there.

        body: gives the upload's verified bytes. Raises RollbackError where what is there came meanwhile and is not
        older, whatever reading the body does, OSError: nothing was replaced then.
        """
        with self.replacing() as incoming:
            while piece := body.read(_READ_BYTES):
                incoming.write(piece)
            incoming.commit(upload)
        return upload.verified

    async def take_async(self, pieces: AsyncIterable[bytes], upload: Upload) -> Verified:
        """take() for asyncio. pieces: the upload's verified bytes."""
        with self.replacing() as incoming:
            async for piece in pieces:
                incoming.write(piece)
            await asyncio.to_thread(incoming.commit, upload)
        return upload.verified

    def answer(self, method: str, headers: Mapping[str, str]) -> RangeAnswer:
        """Return the answer to a request for the payload: verified, by range, as RFC 9110 has it. Raises OSError.

        Raises RejectedError where the seal of what is there does not verify.
        """
        try:
            stored = self.open()
        except FileNotFoundError:
            return RangeAnswer(*no_bundle())
        return answer_range(stored.verified, stored.read, method, headers, close=stored.close)

    async def answer_async(self, method: str, headers: Mapping[str, str]) -> AsyncRangeAnswer:
        """answer() for asyncio."""
        try:
            stored = await asyncio.to_thread(self.open)
        except FileNotFoundError:
            return AsyncRangeAnswer(*no_bundle())

        async def read(offset: int, size: int) -> memoryview:
            return await asyncio.to_thread(stored.read, offset, size)

        return await answer_range_async(stored.verified, read, method, headers, close=stored.close)

    def replacing(self) -> "Replacement":
        """Begin an upload, to be left as a context manager: what was not committed then is gone. Raises OSError."""
        return Replacement(self, self._path)


class StoredBundle:
    """The bundle of a BundleFile, open: close() it, or leave its context. verified: the verdict on its seal."""

    def __init__(self, opened: OpenedBundle) -> None:
        self._opened = opened
        self.verified = opened.verified

    def read(self, offset: int, size: int) -> memoryview:
        """Return bytes of the payload as they are stored: for read_verified(), which checks them. Raises OSError."""
        buffer = bytearray(size)
        return memoryview(buffer)[: self._opened.source.read_into(offset, memoryview(buffer))]

    def close(self) -> None:
        """Close the file."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Replacement:
    """A bundle on its way into a BundleFile, in a file of its own that nobody else knows."""

    def __init__(self, bundle: BundleFile, path: str) -> None:
        self._bundle = bundle
        self._path = path
        self._draft = drafts.Draft(path, overwrite=True)

    def write(self, data: bytes) -> None:
        """Add bytes that were verified. Raises OSError."""
        self._draft.write(data)

    def commit(self, verified: Verified | Upload | None) -> None:
        """Let the bundle appear, synced, in place of the one that is there.

        verified: the verdict of the stream, or its upload, after all of it was written. Raises RollbackError where
        what is there came meanwhile and is not older, UsageError where the stream did not end, OSError; the last also
        where it did appear, and only the record of its sequence did not.
        """
        if verified is None:
            raise UsageError(f"{self._path}: the stream that was written has not ended")
        statement = (verified.verified if isinstance(verified, Upload) else verified).statement
        with durable.appending(f"{self._path}.lock", mode=0o666):
            try:
                self._bundle.expect().check(statement)
            except RejectedError as refusal:
                if isinstance(verified, Upload):
                    verified.refuse(refusal)
                raise
            with drafts.Draft(_record_of(self._path), overwrite=True) as record:
                record.write(b"%d\n" % statement.sequence)
                record.sync()  # so that a full disk is met before anything is replaced
                # Not at once: a record without its bundle would refuse that for good, and nobody was told of it.
                drafts.commit_all([self._draft])
                drafts.commit_all([record])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._draft.__exit__(*exception)
