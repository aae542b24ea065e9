"""New seals for old payloads: rewrap() for other recipients, cosign() with one more signature.

The payload's bytes stay as they are. Both check every one of them, since whoever signs vouches for
them, and nothing appears before that.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..constants import SEGMENT_BYTES
from ..crypto.keys import FilePath, IdentityOrPath, PublicKey, Signer
from ..format.seal import SEAL_TYPE, Seal
from ..io.sink import PathOrFile, open_sink
from ..trust.expect import Expect
from ..trust.signing import SignerOrReference, add_signature, sign, signers_of
from ..trust.store import TrustOrPath, trust_of
from .opened import OpenedBundle, SealInput, open_bundle
from .pipeline import Progress
from .plan import acceptable, wrap_session_key


def rewrap(
    bundle: PathOrFile,
    sink: PathOrFile,
    *,
    identity: IdentityOrPath | Sequence[IdentityOrPath],
    signer: SignerOrReference | Sequence[SignerOrReference],
    recipients: Sequence[PublicKey | FilePath],
    trust: TrustOrPath,
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
    signers = signers_of(signer)

    def make(opened: OpenedBundle) -> Seal:
        session_key, _ = opened.open_session_key(identity)
        return rewrapped(opened.verified.seal, session_key, recipients, signers)

    return _reseal(bundle, sink, make, trust, expect, seal, overwrite, jobs, progress)


def rewrapped(
    seal: Seal, session_key: bytes, recipients: Sequence[PublicKey | FilePath], signers: Sequence[Signer]
) -> Seal:
    """Return the seal of the same payload for other recipients. session_key: checked against its commitment.

    Whoever signs has checked the payload, or had it checked. Raises UsageError.
    """
    wrapped = wrap_session_key(session_key, recipients)
    statement = acceptable(replace(seal.statement, encryption=replace(seal.statement.encryption, recipients=wrapped)))
    return Seal(sign(SEAL_TYPE, statement.encode(), signers), statement, seal.index)


def cosign(
    bundle: PathOrFile,
    sink: PathOrFile,
    *,
    signer: SignerOrReference,
    trust: TrustOrPath,
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

    (one,) = signers_of(signer)

    def make(opened: OpenedBundle) -> Seal:
        old = opened.verified.seal
        return replace(old, envelope=add_signature(old.envelope, one, what="bundle"))

    return _reseal(bundle, sink, make, replace(trust_of(trust), threshold=1), expect, seal, overwrite, jobs, progress)


def _reseal(
    bundle: PathOrFile,
    sink: PathOrFile,
    make: Callable[[OpenedBundle], Seal],
    trust: TrustOrPath,
    expect: Expect,
    seal: SealInput | None,
    overwrite: bool,
    jobs: int | None,
    progress: Progress | None,
) -> Seal:
    with (
        open_bundle(bundle, trust=trust, expect=expect, seal=seal) as opened,
        open_sink(sink, overwrite=overwrite) as output,
    ):
        new = make(opened)
        encoded = new.encode()
        if opened.source.size is not None and seal is None:
            output.expect(len(encoded) + opened.source.size)
        output.write_at(0, encoded)
        opened.check_payload(
            sink=output if seal is None else None,
            write_layout=lambda segment: len(encoded) + segment * SEGMENT_BYTES,
            jobs=jobs,
            progress=progress,
        )
        output.commit()
    return new
