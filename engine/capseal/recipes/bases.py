"""The old content that a recipe is made for, or applied to, wherever one has it: a folder, a zip, a sealed bundle."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from ..bundle.opened import SealInput, open_bundle
from ..bundle.reader import SealedFile
from ..constants import MAGIC, ZIP_MEDIA_TYPE
from ..delta import Base, FileBase, ZipBase, open_base
from ..errors import FormatError, TruncatedError, UsageError
from ..io.source import open_source
from ..trust.expect import Expect
from ._names import recipe_name

if TYPE_CHECKING:
    from ..crypto.keys import Identity
    from ..trust.store import TrustStore

_PAYLOAD = ".payload"
_SEAL = ".seal"


@dataclass(frozen=True, slots=True)
class KnownBase:
    """A base, and what it may be known by: the digest of its payload where it was sealed, and that of its listing.

    shown: what it is, for people.
    """

    base: Base
    digests: tuple[bytes, ...]
    shown: str

    @property
    def recipes(self) -> set[str]:
        """What a recipe from it may be called."""
        return {recipe_name(digest) for digest in self.digests}

    @property
    def sealed(self) -> bool:
        """Whether it is a sealed bundle, and so known by its payload."""
        return len(self.digests) > 1


def open_known_base(
    path: str | os.PathLike[str],
    stack: ExitStack,
    *,
    identity: "Sequence[Identity]" = (),
    trust: "TrustStore | None" = None,
    expect: Expect = Expect(),
    seal: SealInput | None = None,
) -> KnownBase:
    """Open a folder, a zip, an attached sealed bundle, or a payload whose seal lies beside it, until the stack is left.

    identity, trust, expect: for what is sealed, which is authenticated before anything is opened, and each segment
    when it is read. Raises UsageError where it is none of these or cannot be opened, RejectedError, OSError.
    """
    path = os.fspath(path)
    if seal is None and not is_sealed(path):
        base = stack.enter_context(open_base(path))
        return KnownBase(base, (base.digest,), path)
    if trust is None or not identity:
        raise UsageError(f"{path}: a sealed base takes a key that opens it, and a trust store that vouches for it")
    seal = _seal_beside(path) if seal is None else seal
    try:
        opened = stack.enter_context(open_bundle(path, trust=trust, expect=expect, seal=seal))
        content = stack.enter_context(SealedFile(opened, identity=identity))
    except TruncatedError as error:
        if error.actual or not path.endswith(_SEAL):
            raise
        payload = path.removesuffix(_SEAL) + _PAYLOAD
        raise UsageError(f"{path}: a seal by itself is no base; name {payload}, beside which it is found") from error
    statement = opened.verified.statement
    source = open_source(cast(BinaryIO, content))
    described = statement.content
    try:
        base = ZipBase(source) if described.media_type == ZIP_MEDIA_TYPE else FileBase(source, described.name)
    except FormatError as error:
        raise UsageError(f"{path}: no base: {error}") from None
    stack.enter_context(base)
    return KnownBase(base, (statement.payload.digest, base.digest), f"{statement.version} ({statement.sequence})")


def is_sealed(path: str) -> bool:
    """Say whether a base is sealed, so that it takes keys. Raises OSError."""
    return not os.path.isdir(path) and (_begins_with_seal(path) or _seal_beside(path) is not None)


def _seal_beside(path: str) -> str | None:
    beside = path.removesuffix(_PAYLOAD) + ".seal"
    return beside if path.endswith(_PAYLOAD) and os.path.exists(beside) and not _begins_with_seal(path) else None


def _begins_with_seal(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC
