"""attach(), attached(): a Capgo ciphertext beside a sealed bundle, which the seal vouches for as a companion.

Capgo's format authenticates no ciphertext, so a server that has no secret cannot tell which bytes it
may serve. The seal says so by fs-verity digest, so that each segment can be checked while it arrives.
"""

import os
from dataclasses import dataclass
from typing import Any

from ..bundle import companions
from ..errors import FormatError, TruncatedError
from ..format.signed_index import SignedIndex
from ..format.statement import Companion, Payload, Statement
from ..format.strictjson import Members
from ..io.source import Source
from ._wire import CapgoBundle

CUSTOM_MEMBER = "capgo"
"""The member of a statement's custom data that describes a Capgo ciphertext beside the bundle."""
MEDIA_TYPE = "application/vnd.capgo.bundle"


@dataclass(frozen=True, slots=True)
class Attached:
    """A Capgo ciphertext that a seal vouches for."""

    bundle: CapgoBundle
    companion: Companion

    @property
    def digest(self) -> bytes:
        """Its 32-byte fs-verity digest."""
        return self.companion.digest

    @property
    def payload(self) -> Payload:
        """What its segments are checked against: size and fs-verity digest."""
        return self.companion.payload

    def index(self, source: Source) -> SignedIndex:
        """Return the ciphertext's index, once all of a source was read and is the one that the seal vouches for.

        Raises TruncatedError, TamperedError, SourceChangedError, OSError.
        """
        return companions.checked_index(self.companion, source)


def attach(
    bundle: CapgoBundle, ciphertext: str | os.PathLike[str], *, name: str | None = None
) -> tuple[Companion, dict[str, Any]]:
    """Return what makes a seal vouch for a Capgo ciphertext: a companion, and a member of `custom`.

    Give both to capseal.seal(): `companions=[companion], custom={CUSTOM_MEMBER: member}`. name: the
    companion's, by default that of the file, which is read once. Raises TruncatedError where it cannot
    be that bundle's, UsageError where the name cannot stand in a URL, SourceChangedError, OSError.
    """
    companion = companions.describe_companion(ciphertext, name=name, media_type=MEDIA_TYPE)
    if companion.size != bundle.ciphertext_bytes:
        raise TruncatedError(
            f"{os.fspath(ciphertext)}: {companion.size} bytes, the ciphertext of {bundle.size} bytes has "
            f"{bundle.ciphertext_bytes}",
            expected=bundle.ciphertext_bytes,
            actual=companion.size,
        )
    return companion, {"companion": companion.name, "bundle": bundle.to_json()}


def attached(statement: Statement) -> Attached | None:
    """Return the Capgo ciphertext that a seal vouches for, or None where it names none. Raises FormatError."""
    if statement.custom is None or CUSTOM_MEMBER not in statement.custom:
        return None
    where = f"statement.custom.{CUSTOM_MEMBER}"
    members = Members(statement.custom[CUSTOM_MEMBER], where, required=("companion", "bundle"))
    name = members.take("companion", str)
    companion = next((one for one in statement.companions if one.name == name and not one.sealed), None)
    if companion is None:
        raise FormatError(f"{members.place('companion')}: no companion of foreign bytes has the name {name[:64]!r}")
    bundle = CapgoBundle.from_json(members.take("bundle", dict), members.place("bundle"))
    if companion.size != bundle.ciphertext_bytes:
        raise FormatError(
            f"{members.place('bundle')}.size: {bundle.size} bytes do not fit a companion of {companion.size}"
        )
    return Attached(bundle, companion)
