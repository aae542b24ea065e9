"""split(): an attached bundle becomes a seal and a payload, two files. join(): the two become one again.

Bytes are copied, in constant memory, and nothing is verified: the seal only has to agree with itself and
with the payload's size. Whoever reads the result verifies it.
"""

from contextlib import closing

from ..format.seal import Seal
from ..format.signed_index import payload_ended
from ..io.sink import Detached, PathOrFile, Sink, commit_all, open_part, open_sink
from ..io.source import Source, open_source
from .pipeline import Progress
from .reading_order import check_seal_end, parse_seal, pull

_COPY_BYTES = 1024 * 1024


def split(bundle: PathOrFile, detached: Detached, *, overwrite: bool = False, progress: Progress | None = None) -> Seal:
    """Write seal and payload of an attached sealed bundle as files of their own, and return the seal.

    bundle: a path or a readable binary file object. Raises RejectedError where the seal does not parse
    or the payload has another size than it says, OSError.
    """
    with (
        closing(open_source(bundle)) as source,
        open_part(detached.payload, overwrite=overwrite) as payload_file,
        open_part(detached.seal, overwrite=overwrite) as seal_file,
    ):
        seal = pull(parse_seal(), source)
        seal_file.write_at(0, seal.encode())
        _copy_payload(source, seal, payload_file, 0, progress)
        commit_all([payload_file, seal_file])
        return seal


def join(
    payload: PathOrFile,
    sink: PathOrFile,
    *,
    seal: PathOrFile,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Seal:
    """Write the attached form of a payload and its detached seal, and return the seal.

    payload, seal: paths or readable binary file objects; sink: a path or a writable binary file object.
    Raises RejectedError as split() does, OSError.
    """
    with closing(open_source(seal)) as source:
        parsed = pull(parse_seal(), source)
        check_seal_end(source, parsed)
    with closing(open_source(payload)) as source, open_sink(sink, overwrite=overwrite) as output:
        encoded = parsed.encode()
        output.write_at(0, encoded)
        _copy_payload(source, parsed, output, len(encoded), progress)
        output.commit()
        return parsed


def _copy_payload(source: Source, seal: Seal, sink: Sink, start: int, progress: Progress | None) -> None:
    """Copy the payload, at whose start the source stands, to offset `start` of the sink.

    Raises TruncatedError where it has another size than the seal says, SourceChangedError.
    """
    size = seal.statement.payload.size
    if source.size is not None and source.size != size:
        raise payload_ended(seal.statement.payload, source.size)
    if source.size is not None:
        sink.expect(start + size)
    buffer = memoryview(bytearray(min(_COPY_BYTES, size)))
    position = 0
    while position < size:
        piece = buffer[: size - position]
        count = source.read_into(position, piece)
        if count < len(piece):
            raise payload_ended(seal.statement.payload, position + count)
        sink.write_at(start + position, piece)
        position += count
        if progress is not None:
            progress(count)
    if source.peek(size, 1):
        raise payload_ended(seal.statement.payload, size + 1)
    source.check_unchanged()
