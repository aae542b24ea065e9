"""attach(), attached(): a Capgo ciphertext beside a sealed bundle, which the seal vouches for as a companion.

Capgo's format authenticates no ciphertext, so a server that has no secret cannot tell which bytes it
may serve. The seal says so by fs-verity digest, so that each segment can be checked while it arrives.
"""

import os
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from ..bundle import companions
from ..errors import FormatError, TruncatedError, UsageError
from ..format.signed_index import SignedIndex
from ..format.statement import Companion, Payload, Statement
from ..format.strictjson import Members
from ..io.source import Source, open_source
from ._pack import MAX_FILES_BYTES, CapgoFiles
from ._wire import CapgoBundle

CUSTOM_MEMBER = "capgo"
"""The member of a statement's custom data that describes a Capgo ciphertext beside the bundle."""
FILES_MEMBER = "capgo_files"
"""The one that names pack and list of its single files."""
MEDIA_TYPE = "application/vnd.capgo.bundle"
PACK_TYPE = "application/vnd.capseal.capgo-pack"
FILES_TYPE = "application/vnd.capseal.capgo-files+json"


@dataclass(frozen=True, slots=True)
class AttachedFiles:
    """The single files of a Capgo bundle, as a seal vouches for them. files: the list of what lies where in `pack`."""

    pack: Companion
    files: Companion

    def check(self, files: CapgoFiles, bundle: CapgoBundle) -> None:
        """Raise FormatError where a list, read from what is signed, is not of this pack or this bundle."""
        if files.pack_bytes != self.pack.size:
            raise FormatError(f"files: of a pack of {files.pack_bytes} bytes, the signed one has {self.pack.size}")
        if files.session_key != bundle.session_key:
            raise FormatError("files: encrypted under another session key than the zip; an answer has room for one")


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


def attach_files(
    bundle: CapgoBundle,
    pack: str | os.PathLike[str],
    files: str | os.PathLike[str],
    *,
    names: tuple[str, str] | None = None,
) -> tuple[list[Companion], dict[str, Any]]:
    """Return what makes a seal vouch for the single files, too: two companions, and FILES_MEMBER of `custom`.

    pack, files: what encrypt_with_files() wrote beside that bundle; names: the companions', by default those of the
    files. Raises UsageError where they are not of it,
    SourceChangedError, OSError.
    """
    pack_name, files_name = names or (None, None)
    found = AttachedFiles(
        companions.describe_companion(pack, name=pack_name, media_type=PACK_TYPE),
        companions.describe_companion(files, name=files_name, media_type=FILES_TYPE),
    )
    try:
        if found.files.size > MAX_FILES_BYTES:
            raise FormatError(f"{found.files.size} bytes, at most {MAX_FILES_BYTES} are allowed")
        with closing(open_source(files)) as source:
            found.check(CapgoFiles.parse(source.peek(0, found.files.size)), bundle)
    except FormatError as error:
        raise UsageError(f"{os.fspath(files)}: {error}") from None
    return [found.pack, found.files], {"pack": found.pack.name, "files": found.files.name}


def attached_files(statement: Statement) -> AttachedFiles | None:
    """Return the single files that a seal vouches for, or None where it names none. Raises FormatError."""
    if statement.custom is None or FILES_MEMBER not in statement.custom:
        return None
    where = f"statement.custom.{FILES_MEMBER}"
    members = Members(statement.custom[FILES_MEMBER], where, required=("pack", "files"))
    pack, files = (_foreign(statement, members, name) for name in ("pack", "files"))
    return AttachedFiles(pack, files)


def _foreign(statement: Statement, members: Members, member: str) -> Companion:
    """Return the companion of foreign bytes that a member names. Raises FormatError."""
    name = members.take(member, str)
    companion = next((one for one in statement.companions if one.name == name and not one.sealed), None)
    if companion is None:
        raise FormatError(f"{members.place(member)}: no companion of foreign bytes has the name {name[:64]!r}")
    return companion


def attached(statement: Statement) -> Attached | None:
    """Return the Capgo ciphertext that a seal vouches for, or None where it names none. Raises FormatError."""
    if statement.custom is None or CUSTOM_MEMBER not in statement.custom:
        return None
    where = f"statement.custom.{CUSTOM_MEMBER}"
    members = Members(statement.custom[CUSTOM_MEMBER], where, required=("companion", "bundle"))
    companion = _foreign(statement, members, "companion")
    bundle = CapgoBundle.from_json(members.take("bundle", dict), members.place("bundle"))
    if companion.size != bundle.ciphertext_bytes:
        raise FormatError(
            f"{members.place('bundle')}.size: {bundle.size} bytes do not fit a companion of {companion.size}"
        )
    return Attached(bundle, companion)
