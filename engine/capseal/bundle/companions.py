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
    from ..crypto.keys import Identity
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
    identity: "Identity | Sequence[Identity]",
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
