"""Companions: further payloads that a seal vouches for, each with its own index (docs/format.md, Companions)."""

import io
import os
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from ..constants import DIGEST_BYTES, SEGMENT_BYTES
from ..errors import FormatError, NotForUsError, TamperedError, TruncatedError, UsageError
from ..format.segment_layout import content_bytes_of, plain_offset
from ..format.signed_index import SignedIndex
from ..format.statement import Companion, Payload
from ..format.strictjson import check_name
from ..format.tree import digest, index_entries, segment_count
from ..io.source import PathOrFile, Source, open_source

if TYPE_CHECKING:
    # Imported where a companion is opened: to check one takes neither keys nor cipher.
    from ..crypto.keys import IdentityOrPath
    from ..crypto.segment_cipher import Header
    from .pipeline import Progress, Run
    from .reading_order import Verified

_RUN_BYTES = 4 * SEGMENT_BYTES


def describe_companion(path: str | os.PathLike[str], *, media_type: str, name: str | None = None) -> Companion:
    """Return what makes a seal vouch for a file as it is; give it to capseal.seal().

    name: as which it is published, by default that of the file. Reads the file once. Raises UsageError
    where the name cannot stand in a URL or the file is empty, SourceChangedError, OSError.
    """
    try:
        name = check_name(name or os.path.basename(path), "companion")
    except FormatError as error:
        raise UsageError(str(error)) from None
    with closing(open_source(path)) as source:
        size, entries = _read(source)
    if size == 0:
        raise UsageError(f"{os.fspath(path)!r}: empty, there is nothing to vouch for")
    return Companion(name, media_type, size, digest(entries, size))


def checked_index(companion: Companion, source: Source) -> SignedIndex:
    """Return a companion's index, once all of a source was read and is what the seal vouches for.

    Raises TruncatedError, TamperedError, SourceChangedError, OSError.
    """
    size, entries = _read(source)
    if size != companion.size:
        raise TruncatedError(
            f"{source.name}: {size} bytes, the seal vouches for {companion.size} as {companion.name}",
            expected=companion.size,
            actual=size,
        )
    if digest(entries, size) != companion.digest:
        raise TamperedError(f"{source.name}: not what the seal vouches for as {companion.name}, or altered")
    return SignedIndex(Payload(companion.size, companion.digest), entries)


def read_index(companion: Companion, index: PathOrFile | bytes) -> SignedIndex:
    """Return a companion's index, once it gives the signed digest. index: where it is, or its bytes.

    Raises TruncatedError, TamperedError, OSError.
    """
    most = DIGEST_BYTES * segment_count(companion.size) + 1  # one more shows that it goes on
    entries = bytearray()
    with closing(open_source(io.BytesIO(index) if isinstance(index, bytes) else index)) as source:
        # Memory follows what there is, never what a seal declares.
        buffer = memoryview(bytearray(min(most, _RUN_BYTES)))
        while len(entries) < most and (count := source.read_into(len(entries), buffer[: most - len(entries)])):
            entries += buffer[:count]
    return SignedIndex.checked(companion.payload, bytes(entries))


def unseal_companion(
    stored: PathOrFile,
    sink: PathOrFile,
    *,
    name: str,
    index: PathOrFile | bytes,
    verified: "Verified",
    identity: "IdentityOrPath | Sequence[IdentityOrPath]",
    payload_header: bytes | None = None,
    overwrite: bool = False,
    jobs: int | None = None,
    progress: "Progress | None" = None,
) -> Companion:
    """Check a sealed companion and write its plaintext; return what the seal says of it.

    stored: its stored bytes; index: of 32 bytes per segment, a file or bytes; verified: the verdict on the seal.
    sink, identity: as for unseal(). payload_header: the first 40 bytes of the bundle's own payload, where they
    are at hand: then the session key is checked against its commitment. Raises RejectedError, OSError,
    NotForUsError where the seal vouches for no sealed companion of that name.
    """
    from ..crypto.segment_cipher import Header, SegmentCipher, check_commitment
    from ..io.sink import open_sink
    from .opened import unwrap_session_key
    from .pipeline import Pump, payload_layout

    statement = verified.statement
    companion = next((one for one in statement.companions if one.name == name and one.sealed), None)
    if companion is None:
        raise NotForUsError(f"seal vouches for no sealed companion {name[:64]!r}")
    signed = read_index(companion, index)
    with closing(open_source(stored)) as source:
        if source.size not in (None, companion.size):
            raise signed.payload_ended(source.size or 0)
        header = _read_header(source, signed)
        session_key = unwrap_session_key(verified, identity)
        if payload_header is not None:
            committed = statement.encryption.commitment
            check_commitment(session_key, Header.parse(payload_header), statement.app, committed)
        cipher = SegmentCipher(session_key, header, statement.app, companion=name)

        def open_run(run: "Run", out: memoryview) -> memoryview:
            signed.check_run(run.first, run.data)
            return cipher.decrypt_run(run.first, run.data, run.last, out)

        with open_sink(sink, overwrite=overwrite) as output:
            if source.size is not None:
                output.expect(content_bytes_of(companion.size, name))
            Pump(
                source=source,
                sink=output,
                work=open_run,
                read_layout=payload_layout,
                write_layout=plain_offset,
                total=companion.size,
                ended_early=signed.payload_ended,
                jobs=jobs,
                progress=progress,
            ).run()
            if source.peek(companion.size, 1):
                raise signed.payload_ended(companion.size + 1)
            output.commit()
    return companion


class CompanionContent:
    """The plaintext of a sealed companion, as a source that is read in order.

    Each segment is checked against its index, then decrypted, and used from the same buffer. read_bytes: how much of
    what is stored was read.
    """

    ordered = True
    seekable = False

    def __init__(self, stored: Source, companion: Companion, index: bytes, *, session_key: bytes, app: str) -> None:
        """stored: its stored bytes, read in order; index: 32 bytes per segment. Raises RejectedError, OSError."""
        from ..crypto.segment_cipher import Header, SegmentCipher

        self.name = companion.name
        self.read_bytes = 0
        self._stored = stored
        self._signed = SignedIndex.checked(companion.payload, index)
        self.size: int | None = content_bytes_of(companion.size, companion.name)
        if stored.size not in (None, companion.size):
            raise self._signed.payload_ended(stored.size or 0)
        self._data = memoryview(bytearray(min(SEGMENT_BYTES, companion.size)))
        self._plain = memoryview(bytearray(len(self._data)))
        self._segment = 0
        self._at = 0  # of what is left, in the plaintext
        self._left = self._plain[:0]
        header = self._take()
        self._cipher = SegmentCipher(session_key, Header.parse(header), app, companion=companion.name)
        self._open(header)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill the buffer from that offset, which must be where the last read ended. Raises RejectedError, OSError."""
        if offset != self._at:
            raise UsageError(f"{self.name}: is at byte {self._at}, and read in order; asked for {offset}")
        done = 0
        while done < len(buffer) and (self._left or self._next()):
            count = min(len(buffer) - done, len(self._left))
            buffer[done : done + count] = self._left[:count]
            self._left = self._left[count:]
            done += count
        self._at += done
        return done

    def peek(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from where the last read ended: of the same segment only."""
        if offset != self._at:
            raise UsageError(f"{self.name}: is at byte {self._at}, and read in order; asked for {offset}")
        return bytes(self._left[:size]) if self._left or self._next() else b""

    def rebase(self, offset: int) -> None:
        """It starts at its first byte. Raises UsageError for any other."""
        if offset:
            raise UsageError(f"{self.name}: starts at byte 0, not {offset}")

    def check_unchanged(self) -> None:
        """Each segment is compared with its index when it is read."""

    def close(self) -> None:
        """Close what is stored."""
        self._stored.close()

    def _next(self) -> bool:
        if self.read_bytes == self._signed.payload.size:
            return False
        self._open(self._take())
        return bool(self._left) or self._next()

    def _take(self) -> memoryview:
        """Return the next segment as it is stored, checked."""
        data = self._data[: self._signed.payload.size - self.read_bytes]
        count = self._stored.read_into(self.read_bytes, data)
        self.read_bytes += count
        if count < len(data):
            raise self._signed.payload_ended(self.read_bytes)
        self._signed.check_run(self._segment, data)
        return data

    def _open(self, data: memoryview) -> None:
        last = self.read_bytes == self._signed.payload.size
        self._left = self._cipher.decrypt_run(self._segment, data, last, self._plain)
        self._segment += 1


def _read_header(source: Source, signed: SignedIndex) -> "Header":
    """Return the header of a stream from its first segment, which is checked first."""
    from ..crypto.segment_cipher import Header

    wanted = min(SEGMENT_BYTES, signed.payload.size)
    segment = source.peek(0, wanted)
    if len(segment) < wanted:
        raise signed.payload_ended(len(segment))
    signed.check_run(0, memoryview(segment))
    return Header.parse(segment)


def _read(source: Source) -> tuple[int, bytes]:
    """Read a source to its end and return its size and index."""
    buffer = memoryview(bytearray(_RUN_BYTES))
    size, entries = 0, bytearray()
    while count := source.read_into(size, buffer):
        entries += index_entries(buffer[:count], whole_payload=not entries)
        size += count
    source.check_unchanged()
    return size, bytes(entries)
