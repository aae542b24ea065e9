"""One release, from a web build to what devices fetch: sealed, verified as a device would, logged, published."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..bundle.pipeline import Progress
from ..bundle.reading_order import Verified
from ..bundle.seal import seal
from ..bundle.verify import verify
from ..crypto.keys import PublicKey, Signer
from ..errors import UsageError
from ..format.requires import Requires
from ..io.durable import name_all
from ..io.sink import Detached
from ..trust.expect import Expect
from ..trust.store import TrustStore
from .log import append_entry

if TYPE_CHECKING:
    from ..client import Connection


@dataclass(frozen=True, slots=True)
class Released:
    """A release. seal, payload: paths; published: what the server says of it, where there is one."""

    verified: Verified
    seal: str
    payload: str
    published: dict[str, Any] | None = None


def release(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    signers: Sequence[Signer],
    recipients: Sequence[PublicKey],
    app: str,
    version: str,
    trust: TrustStore,
    sequence: int | None = None,
    channel: str = "production",
    requires: Requires | None = None,
    log: str | os.PathLike[str] | None = None,
    connection: "Connection | None" = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Released:
    """Seal a web build into a folder, verify it, note it in the log, and publish it; stop at the first failure.

    signers: all of them sign, the first one also the log's entry. trust: the store of production
    builds; what it does not accept never gets its name, is not logged and not published. Writes
    APP@CHANNEL-SEQUENCE.seal and .payload. Raises UsageError where they exist, RejectedError where the
    trust store, or the server, refuses the bundle, TransferError, OSError.
    """
    created = datetime.now(UTC).replace(microsecond=0)
    sequence = int(created.timestamp()) if sequence is None else sequence
    target = os.path.join(os.fspath(folder), f"{app}@{channel}-{sequence}")
    for path in (f"{target}.seal", f"{target}.payload"):
        if os.path.lexists(path):
            raise UsageError(f"{path}: exists already; take a higher sequence")
    with tempfile.TemporaryDirectory(prefix=".release-", dir=folder) as unfinished:
        seal_path, payload_path = os.path.join(unfinished, "seal"), os.path.join(unfinished, "payload")
        parts = Detached(seal=seal_path, payload=payload_path)
        made = seal(
            source,
            parts,
            signer=signers,
            recipients=recipients,
            app=app,
            version=version,
            sequence=sequence,
            channel=channel,
            requires=requires,
            created=created,
            jobs=jobs,
            progress=progress,
        )
        # From the disk, as a device reads it: not what this process believes to have written.
        expect = Expect(app=app, channel=channel, floor=sequence - 1)
        verified = verify(parts.payload, trust=trust, expect=expect, seal=parts.seal, jobs=jobs)
        if log is not None:
            append_entry(log, made, signer=signers[0])
        name_all([(payload_path, f"{target}.payload"), (seal_path, f"{target}.seal")])
    released = Released(verified, f"{target}.seal", f"{target}.payload")
    if connection is None:
        return released
    from ..client import publish

    published = publish(released.payload, connection, seal=released.seal)
    return Released(verified, released.seal, released.payload, published)
