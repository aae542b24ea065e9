"""seal(): encrypt, hash and sign a bundle in one pass over it."""

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from ..constants import ANY_MEDIA_TYPE, DIGEST_BYTES, NONCE_PREFIX_BYTES, SALT_BYTES, SEGMENT_BYTES, ZIP_MEDIA_TYPE
from ..crypto.keys import FilePath, PublicKey
from ..crypto.segment_cipher import Header, SegmentCipher
from ..errors import SourceChangedError, UsageError
from ..format.seal import Seal
from ..format.segment_layout import payload_bytes_of, plain_offset
from ..format.statement import Attachment, Companion, Content, Statement
from ..format.strictjson import Role
from ..format.tree import digest, index_entries
from ..io.sink import Detached, FileSink, PathOrFile, Sink, StreamSink, commit_all, open_part, open_sink
from ..io.source import PathFileOrBytes, Source, open_source
from ..trust.signing import SignerOrReference, signers_of
from .pipeline import Progress, Pump, Run
from .plan import OPEN_ENCRYPTION, OPEN_PAYLOAD, SealingPlan

if TYPE_CHECKING:
    from ..format.requires import Requires

_COPY_BYTES = 1024 * 1024
_MAX_KEY_BYTES = 64 * 1024
_PRIVATE_KEY = b"PRIVATE KEY"

_EASY_NAME = re.compile(r"[A-Za-z0-9_-]{5,64}(\.[A-Za-z0-9_-]{1,16}){0,4}").fullmatch
"""Names of single files that every device can hold: without looking, since its rules would have to be loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanionSource:
    """What is to be sealed beside a bundle, under its session key (docs/format.md, Companions).

    source: a path or a readable binary file object; payload, index: the files that take its stored bytes and
    their index, 32 bytes per segment; they get their names together with the bundle. Without `index` none is written:
    whoever has the stored bytes can make it again.
    """

    name: str
    media_type: str
    source: PathOrFile
    payload: str | os.PathLike[str]
    index: str | os.PathLike[str] | None = None


CompanionMaker = Callable[[bytes, Source], Iterable[CompanionSource]]
"""Makes companions of what is sealed: is given the payload's 40-byte header and the content, before that is read."""


def seal(
    source: PathFileOrBytes | Source,
    sink: PathOrFile | Detached,
    *,
    signer: SignerOrReference | Sequence[SignerOrReference],
    recipients: Sequence[PublicKey | FilePath],
    app: str,
    version: str,
    sequence: int | None = None,
    channel: str = "production",
    name: str | None = None,
    media_type: str | None = None,
    role: Role = Role.PRODUCTION,
    requires: "Requires | None" = None,
    allow_downgrade_to: int | None = None,
    attachments: Sequence[Attachment] = (),
    companions: "Sequence[Companion | CompanionSource | CompanionMaker]" = (),
    custom: Mapping[str, Any] | None = None,
    created: datetime | None = None,
    entropy: Callable[[int], bytes] = os.urandom,
    deflate: bool = False,
    unpackable: bool = True,
    overwrite: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Seal:
    """Encrypt a bundle for its recipients, sign it, and return its seal.

    source: a path, a readable binary file object, or a folder (sealed as a zip, its entries stored, or
    deflated; FolderZip says what of it ships). unpackable: refuse, before it is signed, what a device would
    refuse to unpack. sink: a path or a writable binary file object for the attached form, or Detached of two
    such. Where the size of the source is unknown or the sink cannot seek, the attached form is spooled through
    a temporary file, since the seal comes first.

    app, channel: names; version: for people; sequence: for machines, strictly increasing, by default
    the Unix time of `created`; created: by default now. companions: foreign ones as describe_companion()
    gives them, the sources of those that are sealed along with the bundle, and what makes such sources. Every other
    keyword is a member of the statement (docs/format.md, Statement). Raises UsageError, SourceChangedError, OSError.
    """
    try:
        created = (created or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    except (OverflowError, ValueError) as error:
        raise UsageError(f"created: {created} is no time that UTC has: {error}") from None
    signers = signers_of(signer)
    outputs = [sink.seal, sink.payload] if isinstance(sink, Detached) else [sink]
    leave_out = [os.fspath(path) for path in outputs if isinstance(path, str | os.PathLike)]
    with closing(_open(source, deflate, leave_out, overwrite=overwrite)) as opened, ExitStack() as stack:
        name = name or opened.name.rstrip("/").rpartition("/")[2]
        media_type = media_type or (ZIP_MEDIA_TYPE if name.lower().endswith(".zip") else ANY_MEDIA_TYPE)
        if unpackable and not (media_type != ZIP_MEDIA_TYPE and _EASY_NAME(name)):
            from ..archive.content import check_content

            check_content(opened, name, media_type)
        if unpackable:
            _check_key_file(opened)
        plan = SealingPlan.make(
            Statement(
                app=app,
                version=version,
                sequence=int(created.timestamp()) if sequence is None else sequence,
                channel=channel,
                role=role,
                created=created,
                content=Content(name, media_type, opened.size or 0),
                payload=OPEN_PAYLOAD,
                encryption=OPEN_ENCRYPTION,
                requires=requires,
                allow_downgrade_to=allow_downgrade_to,
                attachments=tuple(attachments),
                companions=tuple(one for one in companions if isinstance(one, Companion)),
                custom=custom,
            ),
            recipients=recipients,
            entropy=entropy,
        )
        beside: list[FileSink] = []
        for one in _sources_of(companions, plan.header.encode(), opened):
            paths = [one.payload] if one.index is None else [one.payload, one.index]
            files = [stack.enter_context(FileSink(path, overwrite=overwrite)) for path in paths]
            plan = plan.with_companions([_seal_companion(one, plan, *files, entropy=entropy, jobs=jobs)])
            beside += files
        seal_bytes = plan.seal_bytes(signers)

        def fill(output: Sink, start: int) -> Seal:
            if opened.size is not None:
                output.expect(start + plan.statement.payload.size)
            index, content_bytes = encrypt_payload(
                opened, plan.cipher, sink=output, start=start, jobs=jobs, progress=progress
            )
            return plan.sign(index, content_bytes, signers)

        if isinstance(sink, Detached):
            payload_file = open_part(sink.payload, overwrite=overwrite)
            stack.enter_context(payload_file)
            seal_file = open_part(sink.seal, overwrite=overwrite)
            stack.enter_context(seal_file)
            result = fill(payload_file, 0)
            seal_file.write_at(0, result.encode())
            commit_all([*beside, payload_file, seal_file])
            return result

        output = stack.enter_context(open_sink(sink, overwrite=overwrite))
        if opened.size is not None and output.seekable:
            result = fill(output, seal_bytes)
            output.write_at(0, result.encode())
        else:
            import tempfile  # here, since few bundles need it

            folder = output.folder or tempfile.gettempdir()
            spool = stack.enter_context(tempfile.TemporaryFile(dir=folder, buffering=0))
            result = fill(StreamSink(spool, name=f"temporary file in {folder}"), 0)
            spool.seek(0)
            _write_attached(result, spool, output)
        if isinstance(output, FileSink):
            commit_all([*beside, output])
        else:
            commit_all(beside)
            output.commit()
        return result


def _check_key_file(source: Source) -> None:
    """Refuse a small file that is a private key, by whatever name. Raises UsageError, OSError."""
    if (source.size or 0) > _MAX_KEY_BYTES or hasattr(source, "left_out"):
        return
    start = source.peek(0, _MAX_KEY_BYTES + 1)  # of a stream, too, whose size nobody knows before
    if len(start) <= _MAX_KEY_BYTES and _PRIVATE_KEY in start.replace(b"\0", b""):
        from ..archive.content import refuse_key_file  # here, since few files speak of keys

        refuse_key_file(source)


def _open(source: PathFileOrBytes | Source, deflate: bool, leave_out: Sequence[str], *, overwrite: bool) -> Source:
    if isinstance(source, Source):
        return source
    if not (isinstance(source, str | os.PathLike) and os.path.isdir(source)):
        return open_source(source)
    from ..archive.content import check_outputs, open_content

    if overwrite:
        check_outputs(source, leave_out)
    return open_content(source, deflate=deflate, leave_out=leave_out)


def _sources_of(
    companions: "Sequence[Companion | CompanionSource | CompanionMaker]", header: bytes, content: Source
) -> Iterator[CompanionSource]:
    for one in companions:
        if isinstance(one, CompanionSource):
            yield one
        elif not isinstance(one, Companion):
            yield from one(header, content)


def _seal_companion(
    companion: CompanionSource,
    plan: SealingPlan,
    payload: FileSink,
    index: FileSink | None = None,
    *,
    entropy: Callable[[int], bytes],
    jobs: int | None,
) -> Companion:
    """Write a companion's stored bytes and their index, and return what the seal says of it."""
    # Refused before anything is encrypted: a name or type that no reader would accept.
    plan.with_companions(
        [Companion(companion.name, companion.media_type, payload_bytes_of(0), bytes(DIGEST_BYTES), True)]
    )
    # Fresh even if the same companion is made again: a salt that comes back would be the same key twice.
    header = Header(entropy(SALT_BYTES), entropy(NONCE_PREFIX_BYTES))
    cipher = SegmentCipher(plan.session_key, header, plan.statement.app, companion=companion.name)
    with closing(open_source(companion.source)) as source:
        entries, content_bytes = encrypt_payload(source, cipher, sink=payload, jobs=jobs)
    if index is not None:
        index.write_at(0, entries)
    size = payload_bytes_of(content_bytes)
    return Companion(companion.name, companion.media_type, size, digest(entries, size), sealed=True)


def _write_attached(seal: Seal, payload: IO[bytes], output: Sink) -> None:
    """Write the attached form: the seal, then all of the spooled payload."""
    position = 0
    piece = seal.encode()
    while piece:
        output.write_at(position, piece)
        position += len(piece)
        piece = payload.read(_COPY_BYTES)


def encrypt_payload(
    source: Source,
    cipher: SegmentCipher,
    *,
    sink: Sink | None = None,
    start: int = 0,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> tuple[bytes, int]:
    """Encrypt all of a source; return the payload's index, 32 bytes per segment, and the plaintext's size.

    sink: takes the payload, from its offset `start` on; without one, only the index remains. Raises
    SourceChangedError, and what source or sink raise.
    """
    lock = threading.Lock()
    index = bytearray()
    content_bytes = 0

    def work(run: Run, out: memoryview) -> memoryview:
        nonlocal content_bytes
        payload = cipher.encrypt_run(run.first, run.data, run.last, out)
        entries = index_entries(payload, whole_payload=run.last and run.first == 0)
        with lock:  # runs end in any order
            missing = run.first * DIGEST_BYTES - len(index)
            index.extend(bytes(max(0, missing)))
            index[run.first * DIGEST_BYTES : run.first * DIGEST_BYTES + len(entries)] = entries
            content_bytes += len(run.data)
        return payload

    def ended_early(actual: int) -> SourceChangedError:
        return SourceChangedError(f"{source.name}: ended after {actual} bytes, {source.size} were there at first")

    Pump(
        source=source,
        sink=sink,
        work=work,
        read_layout=plain_offset,
        write_layout=lambda segment: start + segment * SEGMENT_BYTES,
        total=source.size,
        ended_early=ended_early,
        jobs=jobs,
        progress=progress,
    ).run()
    source.check_unchanged()
    return bytes(index), content_bytes
