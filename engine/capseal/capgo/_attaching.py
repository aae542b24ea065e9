"""attach(), attached(): a Capgo ciphertext beside a sealed bundle, which the seal vouches for.

Capgo's format authenticates no ciphertext, so a server that has no secret cannot tell which bytes it
may serve. The seal says so: by SHA-256 as of any attachment, and by fs-verity digest, so that each
segment can be checked while it arrives.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from ..constants import SEGMENT_BYTES
from ..errors import FormatError, TamperedError, TruncatedError
from ..format import tree
from ..format.signed_index import SignedIndex
from ..format.statement import Attachment, Payload, Statement
from ..format.strictjson import Members, check_fingerprint
from ..io.source import Source, open_source
from ._wire import CapgoBundle

CUSTOM_MEMBER = "capgo"
"""The member of a statement's custom data that describes a Capgo ciphertext beside the bundle."""
MEDIA_TYPE = "application/vnd.capgo.bundle"

_RUN_BYTES = 4 * SEGMENT_BYTES


@dataclass(frozen=True, slots=True)
class Attached:
    """A Capgo ciphertext that a seal vouches for. digest: its 32-byte fs-verity digest."""

    bundle: CapgoBundle
    attachment: Attachment
    digest: bytes

    @property
    def payload(self) -> Payload:
        """What its segments are checked against: size and fs-verity digest."""
        return Payload(self.attachment.size, self.digest)

    def index(self, source: Source) -> SignedIndex:
        """Return the ciphertext's index, once all of a source was read and is the one that the seal vouches for.

        Raises TruncatedError, TamperedError, SourceChangedError, OSError.
        """
        size, entries = _read(source)
        if size != self.attachment.size:
            raise TruncatedError(
                f"{source.name}: {size} bytes, the seal vouches for a Capgo file of {self.attachment.size}",
                expected=self.attachment.size,
                actual=size,
            )
        if tree.digest(entries, size) != self.digest:
            raise TamperedError(f"{source.name}: not the Capgo file that the seal vouches for, or altered")
        return SignedIndex(self.payload, entries)


def attach(bundle: CapgoBundle, ciphertext: str | os.PathLike[str]) -> tuple[Attachment, dict[str, Any]]:
    """Return what makes a seal vouch for a Capgo ciphertext: an attachment, and a member of `custom`.

    Give both to capseal.seal(): `attachments=[attachment], custom={CUSTOM_MEMBER: member}`. Reads the file
    once. Raises TruncatedError where it cannot be that bundle's, SourceChangedError, OSError.
    """
    name = os.path.basename(ciphertext)
    sha256 = hashlib.sha256()
    with closing(open_source(ciphertext)) as source:
        size, entries = _read(source, sha256.update)
    if size != bundle.ciphertext_bytes:
        raise TruncatedError(
            f"{source.name}: {size} bytes, the ciphertext of {bundle.size} bytes has {bundle.ciphertext_bytes}",
            expected=bundle.ciphertext_bytes,
            actual=size,
        )
    member = {
        "attachment": name,
        "bundle": bundle.to_json(),
        "digest": {"fsverity-sha256": tree.digest(entries, size).hex()},
    }
    return Attachment(name, MEDIA_TYPE, size, sha256.digest()), member


def attached(statement: Statement) -> Attached | None:
    """Return the Capgo ciphertext that a seal vouches for, or None where it names none. Raises FormatError."""
    if statement.custom is None or CUSTOM_MEMBER not in statement.custom:
        return None
    where = f"statement.custom.{CUSTOM_MEMBER}"
    members = Members(statement.custom[CUSTOM_MEMBER], where, required=("attachment", "bundle", "digest"))
    name = members.take("attachment", str)
    attachment = next((one for one in statement.attachments if one.name == name), None)
    if attachment is None:
        raise FormatError(f"{members.place('attachment')}: no attachment has the name {name[:64]!r}")
    bundle = CapgoBundle.from_json(members.take("bundle", dict), members.place("bundle"))
    if attachment.size != bundle.ciphertext_bytes:
        raise FormatError(
            f"{members.place('bundle')}.size: {bundle.size} bytes do not fit an attachment of {attachment.size}"
        )
    digest = Members(members.take("digest", dict), members.place("digest"), required=("fsverity-sha256",))
    return Attached(bundle, attachment, bytes.fromhex(digest.text("fsverity-sha256", check_fingerprint)))


def _read(source: Source, *takers: Callable[[memoryview], object]) -> tuple[int, bytes]:
    """Read a source to its end and return its size and index; takers are given every run of it."""
    buffer = memoryview(bytearray(_RUN_BYTES))
    size, entries = 0, bytearray()
    while count := source.read_into(size, buffer):
        run = buffer[:count]
        for take in takers:
            take(run)
        entries += tree.index_entries(run, whole_payload=not entries)
        size += count
    source.check_unchanged()
    return size, bytes(entries)
