"""Earlier releases as bases of recipes: what lies in the folder of releases, and the latest one of a server."""

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from hashlib import file_digest
from typing import TYPE_CHECKING

from ..crypto.keys import Identity, PublicKey, Signer
from ..errors import CapsealError, RejectedError, UsageError
from ..format.release_files import release_base, release_file
from ..recipes.bases import KnownBase, open_known_base
from ..trust.expect import Expect
from ..trust.store import TrustStore
from .log import logged_seals

if TYPE_CHECKING:
    from ..client import Connection

LAST_RELEASES = 3


def check_archive_key(archive: Identity, signers: Sequence[Signer], recipients: Sequence[PublicKey]) -> str | None:
    """Return what to warn of where an archive key is no recipient. Raises UsageError where it is a signer, too."""
    fingerprint = archive.public_key.fingerprint
    if fingerprint in {signer.public_key.fingerprint for signer in signers}:
        raise UsageError(
            f"archive key {fingerprint[:16]} signs as well: what opens the whole history must not be able to sign"
        )
    if fingerprint in {key.fingerprint for key in recipients}:
        return None
    return f"archive key {fingerprint[:16]} is no recipient: it will not open this release, to make recipes from it"


def bases_of_releases(
    folder: str | os.PathLike[str],
    stack: ExitStack,
    *,
    app: str,
    channel: str,
    identity: Identity,
    trust: TrustStore,
    below: int | None = None,
    log: str | os.PathLike[str] | None = None,
) -> tuple[list[KnownBase], list[str]]:
    """Open the last releases of an app and channel in a folder; and say what was wrong with those that cannot be.

    below: only those of lower sequences; log: only those whose seals it has, since others may lie there that
    no server took. Each is authenticated by the store before it is opened. Raises OSError.
    """
    ours = re.compile(rf"{re.escape(release_base(app, channel))}-([0-9]{{1,16}})\.seal")
    found = sorted((int(match[1]) for name in os.listdir(folder) if (match := ours.fullmatch(name))), reverse=True)
    bases: list[KnownBase] = []
    problems: list[str] = []
    released = None if log is None else _seals_in(log)
    for sequence in [one for one in found if below is None or one < below]:
        seal, payload = (os.path.join(folder, release_file(app, channel, sequence, end)) for end in ("seal", "payload"))
        if len(bases) + len(problems) == LAST_RELEASES:
            break
        try:
            if released is not None and _digest_of(seal) not in released:
                continue
            expect = Expect(app=app, channel=channel)
            bases.append(open_known_base(payload, stack, identity=[identity], trust=trust, expect=expect, seal=seal))
        except (CapsealError, FileNotFoundError) as error:
            problems.append(f"no recipe from {payload}: {error}")
    return bases, problems


def _seals_in(log: str | os.PathLike[str]) -> set[str] | None:
    """Return the seals that a log has; None where it has none yet, or is damaged, which the release will tell."""
    try:
        return logged_seals(log)
    except (RejectedError, FileNotFoundError):
        return None


def _digest_of(path: str) -> str:
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


def base_of_server(
    connection: "Connection",
    folder: str,
    stack: ExitStack,
    *,
    app: str,
    channel: str,
    identity: Identity,
    trust: TrustStore,
) -> KnownBase:
    """Fetch the latest release of a server into a folder, and open it once the store has vouched for every byte.

    Raises RejectedError, TransferError, UsageError, OSError.
    """
    from ..client import fetch

    got = fetch(connection, app=app, channel=channel, folder=folder, trust=trust)
    expect = Expect(app=app, channel=channel)
    return open_known_base(got.payload, stack, identity=[identity], trust=trust, expect=expect, seal=got.seal)
