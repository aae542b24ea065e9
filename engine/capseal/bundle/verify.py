"""verify(): check a sealed bundle with no secret. inspect(): what one claims, unchecked."""

from contextlib import closing

from ..format.dsse import Envelope
from ..format.statement import Statement
from ..io.source import PathFileOrBytes, open_source
from ..trust.expect import Expect
from ..trust.store import TrustOrPath
from .opened import SealInput, open_bundle
from .pipeline import Progress
from .reading_order import Verified, parse_unverified, pull


def verify(
    bundle: PathFileOrBytes,
    *,
    trust: TrustOrPath,
    expect: Expect = Expect(),
    seal: SealInput | None = None,
    mapped: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Check a sealed bundle, every byte of it, and return what it says.

    bundle: an attached sealed bundle or, with `seal`, a payload; a path or a readable binary file
    object. Needs no secret. mapped: what is in memory of a file is mapped and not read, for which a handler of
    SIGBUS is installed in the process, for good (docs/server.md, Embed it). Raises RejectedError where
    the bundle is not acceptable, OSError.
    """
    with open_bundle(bundle, trust=trust, expect=expect, seal=seal) as opened:
        opened.check_payload(mapped=mapped, jobs=jobs, progress=progress)
        return opened.verified


def inspect(bundle: PathFileOrBytes) -> tuple[Envelope, Statement]:
    """Return what a sealed bundle, or a detached seal, claims. Nothing of it is verified.

    Raises FormatError, TruncatedError, OSError.
    """
    with closing(open_source(bundle)) as source:
        return pull(parse_unverified(), source)
