"""An opened bundle: its payload, and the verdict on its seal, which is authenticated exactly once.

verify, unseal, the reader, rewrap, cosign and a device's install all begin with open_bundle() and go on
with what it returns.
"""

import io
import os
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, BinaryIO, Self

from ..constants import BLOCK_BYTES, SEGMENT_BYTES
from ..crypto.keys import IdentityOrPath, identities_of
from ..errors import NotForUsError
from ..io.source import PathFileOrBytes, Source, open_source
from ..trust.expect import Expect
from ..trust.store import TrustOrPath
from .pipeline import InPlace, Layout, Progress, Pump, Run, Work, payload_layout
from .reading_order import Reload, Verified, accept_seal, check_seal_end, pull

if TYPE_CHECKING:
    from ..crypto.segment_cipher import Header, SegmentCipher
    from ..io.sink import Sink

SealInput = str | os.PathLike[str] | bytes | BinaryIO
"""A detached seal: its path, its bytes, or a binary file object."""


class OpenedBundle:
    """A payload whose seal was authenticated. Nothing is said of the payload before check_payload().

    source: the payload, from its first byte on; close() closes it, and so does leaving the context.
    verified: the seal's verdict, which every later step works with.
    """

    __slots__ = ("_seal", "source", "verified")

    def __init__(self, source: Source, verified: Verified, seal: Source | None = None) -> None:
        """seal: what a large index is loaded from again, where that is not the payload's own source."""
        self.source = source
        self.verified = verified
        self._seal = seal

    def check_payload(
        self,
        *,
        transform: Work | None = None,
        sink: "Sink | None" = None,
        write_layout: Layout = payload_layout,
        mapped: bool = False,
        jobs: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Check every byte of the payload, run by run and to its signed end.

        transform: what to make of a run once all of its segments passed, by default the run itself; sink:
        where that goes; mapped: as for verify(), where there is neither. Raises TamperedError, TruncatedError,
        and what transform, source or sink raise.
        """
        self._check_size()
        source, verified = self.source, self.verified

        def work(run: Run, out: memoryview) -> memoryview:
            verified.check_run(run.first, run.data)
            return run.data if transform is None else transform(run, out)

        size = verified.statement.payload.size
        # What is used afterwards has to be the bytes that were checked: nobody else can change a copy. The entry of
        # a payload of one block is its leaf, which only work() knows.
        can_stay = mapped and transform is None and sink is None and size > BLOCK_BYTES
        Pump(
            source=source,
            sink=sink,
            work=work,
            in_place=self._checker_in_place() if can_stay else None,
            read_layout=payload_layout,
            write_layout=write_layout,
            total=size,
            ended_early=verified.payload_ended,
            jobs=jobs,
            progress=progress,
        ).run()
        if source.peek(size, 1):
            raise verified.payload_ended(size + 1)

    def _check_size(self) -> None:
        """Raise TruncatedError where the source is known to have another size than the signed one.

        Not as soon as it is opened: the verdict may be all that is wanted, as of a bundle that failed before.
        """
        if self.source.size is not None and self.source.size != self.verified.statement.payload.size:
            raise self.verified.payload_ended(self.source.size)

    def _checker_in_place(self) -> InPlace | None:
        from ..io import memory  # here, since nobody who copies needs it

        digests = memory.digests_in_place(self.source)
        if digests is None:
            return None

        def check(first: int, offset: int, size: int) -> bool:
            entries = digests(offset, size)
            if entries is None:
                return False
            self.verified.index.check_entries(first, entries)
            return True

        return check

    def open_session_key(self, identity: IdentityOrPath | Sequence[IdentityOrPath]) -> "tuple[bytes, Header]":
        """Return the session key and the payload's header; before check_payload(), where the source is a stream.

        identity: the recipient key, or several of which one fits. The header comes from the first segment,
        which is checked against the index first; the session key is checked against its commitment. Raises
        TamperedError, TruncatedError, NotForUsError.
        """
        from ..crypto.segment_cipher import Header, check_commitment  # here, since to verify takes no cipher

        self._check_size()
        statement = self.verified.statement
        wanted = min(SEGMENT_BYTES, statement.payload.size)
        segment = self.source.peek(0, wanted)
        if len(segment) < wanted:
            raise self.verified.payload_ended(len(segment))
        self.verified.check_run(0, memoryview(segment))
        header = Header.parse(segment)
        session_key = unwrap_session_key(self.verified, identity)
        check_commitment(session_key, header, statement.app, statement.encryption.commitment)
        return session_key, header

    def open_cipher(self, identity: IdentityOrPath | Sequence[IdentityOrPath]) -> "SegmentCipher":
        """Return the payload's cipher; the rest is as for open_session_key()."""
        from ..crypto.segment_cipher import SegmentCipher

        session_key, header = self.open_session_key(identity)
        return SegmentCipher(session_key, header, self.verified.statement.app)

    def close(self) -> None:
        """Close the payload; a file object that the caller opened stays open. Calling it again does nothing."""
        self.source.close()
        if self._seal is not None:
            self._seal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_bundle(
    bundle: PathFileOrBytes,
    *,
    trust: TrustOrPath,
    expect: Expect = Expect(),
    seal: SealInput | None = None,
    whole_index_bytes: int | None = None,
) -> OpenedBundle:
    """Open a bundle and authenticate its seal; no byte of the payload is read yet.

    bundle: an attached sealed bundle or, with a detached `seal`, a payload. whole_index_bytes: of a larger index, where
    the seal can be read again, only the level above it is held, and its blocks are loaded and checked as they are
    needed. Raises RejectedError, OSError.
    """
    with ExitStack() as stack:
        source = stack.enter_context(closing(open_source(bundle)))
        of_seal = source if seal is None else stack.enter_context(closing(_open_seal(seal)))
        verified = pull(accept_seal(trust, expect, reload=_reloaded(of_seal, whole_index_bytes)), of_seal)
        if seal is not None:
            check_seal_end(of_seal, verified.seal)
        stack.pop_all()
    if of_seal is source:
        return OpenedBundle(source, verified)
    if verified.held is None:
        of_seal.close()
        return OpenedBundle(source, verified)
    return OpenedBundle(source, verified, of_seal)


def _reloaded(source: Source, whole_index_bytes: int | None) -> Reload | None:
    """Return how a seal is read again from a source, which begins where the seal ends by then, or None."""
    if whole_index_bytes is None or not source.seekable or source.ordered:
        return None
    return Reload(whole_index_bytes, source.peek)


def _open_seal(seal: SealInput) -> Source:
    return open_source(io.BytesIO(seal) if isinstance(seal, bytes) else seal)


def accept_detached(seal: SealInput, trust: TrustOrPath, expect: Expect) -> Verified:
    """Authenticate a detached seal, which must be the whole of its file. Raises RejectedError, OSError."""
    with closing(_open_seal(seal)) as source:
        verified = pull(accept_seal(trust, expect), source)
        check_seal_end(source, verified.seal)
        return verified


def unwrap_session_key(verified: Verified, identity: IdentityOrPath | Sequence[IdentityOrPath]) -> bytes:
    """Return the session key, not yet checked against its commitment. Raises NotForUsError."""
    by_kid = {one.public_key.fingerprint: one for one in identities_of(identity)}
    recipients = verified.statement.encryption.recipients
    for recipient in recipients:
        if recipient.kid in by_kid:
            return by_kid[recipient.kid].unwrap(recipient.encrypted_key)
    ours = ", ".join(kid[:16] for kid in by_kid) or "none"
    theirs = ", ".join(recipient.kid[:16] for recipient in recipients[:4])
    raise NotForUsError(f"no identity fits: ours are {ours}, the bundle is sealed for {theirs}")
