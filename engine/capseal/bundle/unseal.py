"""unseal(): verify and decrypt. Nothing appears under the final name unless everything checked out."""

from collections.abc import Sequence

from ..constants import SEGMENT_BYTES
from ..crypto.keys import Identity
from ..crypto.segment_cipher import Header, SegmentCipher, check_commitment
from ..errors import NotForUsError
from ..format.segment_layout import plain_offset
from ..io.sink import open_sink
from ..io.source import PathOrFile, Source
from ..trust.expect import Expect
from ..trust.store import TrustStore
from .pipeline import Progress, Run
from .reading_order import Verified
from .verify import SealInput, open_bundle, pump_payload


def unseal(
    bundle: PathOrFile,
    sink: PathOrFile,
    *,
    identity: Identity | Sequence[Identity],
    trust: TrustStore,
    expect: Expect = Expect(),
    seal: SealInput | None = None,
    overwrite: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Check a sealed bundle and write its plaintext.

    bundle, seal: as for verify(). sink: a path, which appears only when everything checked out, or a
    binary file object, which is given segment after segment, each only once its digest and its tag
    passed. identity: the recipient key, or several of which one fits. Raises RejectedError, OSError.
    """
    with (
        open_bundle(bundle, trust=trust, expect=expect, seal=seal) as (source, verified),
        open_sink(sink, overwrite=overwrite) as output,
    ):
        cipher = open_cipher(source, verified, identity)
        if source.size is not None:  # so the signed size, which was checked against it, is no mere claim
            output.expect(verified.statement.content.size)

        def decrypt(run: Run, out: memoryview) -> memoryview:
            return cipher.decrypt_run(run.first, run.data, run.last, out)

        pump_payload(
            source,
            verified,
            transform=decrypt,
            sink=output,
            write_layout=plain_offset,
            jobs=jobs,
            progress=progress,
        )
        output.commit()
    return verified


def open_session_key(
    source: Source, verified: Verified, identity: Identity | Sequence[Identity]
) -> tuple[bytes, Header]:
    """Return the session key and the header of a payload, at whose start the source stands.

    The header comes from the first segment, which is checked against the index first; the session key
    is checked against its commitment. Raises TamperedError, TruncatedError, NotForUsError.
    """
    statement = verified.statement
    wanted = min(SEGMENT_BYTES, statement.payload.size)
    segment = source.peek(0, wanted)
    if len(segment) < wanted:
        raise verified.payload_ended(len(segment))
    verified.check_run(0, memoryview(segment))
    header = Header.parse(segment)
    session_key = _unwrap(verified, identity)
    check_commitment(session_key, header, statement.app, statement.encryption.commitment)
    return session_key, header


def open_cipher(source: Source, verified: Verified, identity: Identity | Sequence[Identity]) -> SegmentCipher:
    """Return the cipher of a payload; the rest is as for open_session_key()."""
    session_key, header = open_session_key(source, verified, identity)
    return SegmentCipher(session_key, header, verified.statement.app)


def _unwrap(verified: Verified, identity: Identity | Sequence[Identity]) -> bytes:
    identities = identity if isinstance(identity, Sequence) else [identity]
    by_kid = {one.public_key.fingerprint: one for one in identities}
    recipients = verified.statement.encryption.recipients
    for recipient in recipients:
        if recipient.kid in by_kid:
            return by_kid[recipient.kid].unwrap(recipient.encrypted_key)
    ours = ", ".join(kid[:16] for kid in by_kid) or "none"
    theirs = ", ".join(recipient.kid[:16] for recipient in recipients[:4])
    raise NotForUsError(f"no identity fits: ours are {ours}, the bundle is sealed for {theirs}")
