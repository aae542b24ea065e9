"""New seals for old payloads: rewrap() for other recipients, cosign() with one more signature.

The payload's bytes stay as they are. Both check every one of them, since whoever signs vouches for
them, and nothing appears before that.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..constants import SEGMENT_BYTES
from ..crypto.keys import Identity, PublicKey, Signer
from ..format.seal import SEAL_TYPE, Seal
from ..io.sink import PathOrFile, open_sink
from ..io.source import Source
from ..trust.expect import Expect
from ..trust.signing import add_signature, sign
from ..trust.store import TrustStore
from .pipeline import Progress
from .reading_order import Verified
from .seal import checked, wrap_session_key
from .unseal import open_session_key
from .verify import SealInput, open_bundle, pump_payload


def rewrap(
    bundle: PathOrFile,
    sink: PathOrFile,
    *,
    identity: Identity | Sequence[Identity],
    signer: Signer | Sequence[Signer],
    recipients: Sequence[PublicKey],
    trust: TrustStore,
    expect: Expect = Expect(),
    seal: SealInput | None = None,
    overwrite: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Seal:
    """Seal the same payload for other recipients, under a new signature, and return the new seal.

    sink: where the attached bundle goes; with a detached `seal`, where the new seal goes, and the
    payload is only read. The recipients that could open the old seal still can: they have the session
    key, and whoever keeps the old seal can use it. Raises RejectedError, UsageError, OSError.
    """
    signers = list(signer) if isinstance(signer, Sequence) else [signer]

    def make(source: Source, verified: Verified) -> Seal:
        session_key, _ = open_session_key(source, verified, identity)
        old = verified.statement
        wrapped = wrap_session_key(session_key, recipients)
        statement = checked(replace(old, encryption=replace(old.encryption, recipients=wrapped)))
        return Seal(sign(SEAL_TYPE, statement.encode(), signers), statement, verified.seal.index)

    return _reseal(bundle, sink, make, trust, expect, seal, overwrite, jobs, progress)


def cosign(
    bundle: PathOrFile,
    sink: PathOrFile,
    *,
    signer: Signer,
    trust: TrustStore,
    expect: Expect = Expect(),
    seal: SealInput | None = None,
    overwrite: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Seal:
    """Add a signature to those that a bundle has, and return the new seal.

    trust: who must have signed before; one of them is enough, whatever the threshold. sink, seal: as
    for rewrap(). Raises RejectedError, UsageError, OSError.
    """

    def make(_: Source, verified: Verified) -> Seal:
        envelope = add_signature(verified.seal.envelope, signer, what="bundle")
        return replace(verified.seal, envelope=envelope)

    return _reseal(bundle, sink, make, replace(trust, threshold=1), expect, seal, overwrite, jobs, progress)


def _reseal(
    bundle: PathOrFile,
    sink: PathOrFile,
    make: Callable[[Source, Verified], Seal],
    trust: TrustStore,
    expect: Expect,
    seal: SealInput | None,
    overwrite: bool,
    jobs: int | None,
    progress: Progress | None,
) -> Seal:
    with (
        open_bundle(bundle, trust=trust, expect=expect, seal=seal) as (source, verified),
        open_sink(sink, overwrite=overwrite) as output,
    ):
        new = make(source, verified)
        encoded = new.encode()
        if source.size is not None and seal is None:
            output.expect(len(encoded) + source.size)
        output.write_at(0, encoded)
        pump_payload(
            source,
            verified,
            sink=output if seal is None else None,
            write_layout=lambda segment: len(encoded) + segment * SEGMENT_BYTES,
            jobs=jobs,
            progress=progress,
        )
        output.commit()
    return new
