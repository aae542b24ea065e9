"""unseal(): verify and decrypt. Nothing appears under the final name unless everything checked out."""

from collections.abc import Sequence

from ..crypto.keys import IdentityOrPath
from ..format.segment_layout import plain_offset
from ..io.sink import open_sink
from ..io.source import PathFileOrBytes, PathOrFile
from ..trust.expect import Expect
from ..trust.store import TrustOrPath
from .opened import SealInput, open_bundle
from .pipeline import Progress, Run
from .reading_order import Verified


def unseal(
    bundle: PathFileOrBytes,
    sink: PathOrFile,
    *,
    identity: IdentityOrPath | Sequence[IdentityOrPath],
    trust: TrustOrPath,
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
        open_bundle(bundle, trust=trust, expect=expect, seal=seal) as opened,
        open_sink(sink, overwrite=overwrite) as output,
    ):
        cipher = opened.open_cipher(identity)
        if opened.source.size is not None:  # so the signed size, which was checked against it, is no mere claim
            output.expect(opened.verified.statement.content.size)

        def decrypt(run: Run, out: memoryview) -> memoryview:
            return cipher.decrypt_run(run.first, run.data, run.last, out)

        opened.check_payload(transform=decrypt, sink=output, write_layout=plain_offset, jobs=jobs, progress=progress)
        output.commit()
        return opened.verified
