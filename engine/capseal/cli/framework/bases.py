"""The bases of recipes: of a release, earlier ones and what --base names; of what is fetched, the latter."""

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from ...errors import CapsealError, UsageError
from . import console
from .exit_codes import line_of
from .extras import need
from .titles import counted, sized

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...bundle.pipeline import Progress
    from ...bundle.reading_order import Verified
    from ...client import FoundRelease
    from ...crypto.keys import Identity, PublicKey, Signer
    from ...recipes.bases import KnownBase
    from ...trust.store import TrustStore


class Opener(NamedTuple):
    """Opens bases for a release, which goes out without a recipe from what is none.

    folder: of earlier releases; log: which of them came about; identity: the archive key, if there is one; strict: to
    refuse what is only warned of.
    """

    app: str
    channel: str
    folder: str
    trust: "TrustStore"
    identity: "Identity | None"
    log: str | None
    strict: bool

    def open(
        self,
        named: Sequence[str],
        sequence: int | None,
        signers: "Sequence[Signer]",
        recipients: "Sequence[PublicKey]",
        stack: ExitStack,
    ) -> "list[KnownBase]":
        """Open what is named and, with the archive key, the last releases; warn of what cannot be used.

        Raises UsageError where the archive key is a signer; where it is strict, also RejectedError, TransferError,
        OSError of what is named.
        """
        from ...native import matching
        from ...project import bases

        found = [one for name in named if (one := self._named(name, stack)) is not None]
        if self.identity is not None:
            warning = bases.check_archive_key(self.identity, signers, recipients)
            if warning is not None:
                console.complain(f"warning: {warning}")
            last, problems = bases.bases_of_releases(
                self.folder,
                stack,
                app=self.app,
                channel=self.channel,
                identity=self.identity,
                trust=self.trust,
                below=sequence,
                log=self.log,
            )
            for problem in problems:
                console.complain(f"warning: {problem}")
            found += last
        if found and not matching.is_there():
            if named and self.strict:
                raise UsageError(matching.MISSING)
            console.complain(f"warning: a recipe from nothing only: {matching.MISSING}")
            return []
        return found

    def warn_of_deflated(self, source: str) -> None:
        """Say so where what is to be released is a zip whose entries are deflated: recipes find little in it."""
        from ...archive.content import deflated_files

        count = deflated_files(source) if os.path.isfile(source) else 0
        if count:
            many = f"{counted(count, 'file')} in it {'is' if count == 1 else 'are'} deflated"
            console.complain(
                f"warning: {source}: {many}, and a recipe finds nothing to copy there: "
                "release the folder, or a zip that stores them; recipes compress"
            )

    def _named(self, base: str, stack: ExitStack) -> "KnownBase | None":
        """Open what --base names, whatever it is; warn, and return None, where it cannot be used."""
        try:
            return self._opened(base, stack)
        except (CapsealError, OSError) as error:
            if self.strict:
                raise
            console.complain(f"warning: no recipe from {base}: {line_of(error).removeprefix(f'{base}: ')}")
            return None

    def _opened(self, base: str, stack: ExitStack) -> "KnownBase":
        from ...project import bases
        from ...recipes.bases import open_known_base
        from ...trust.expect import Expect

        if not base.startswith(("https://", "http://")):
            keys = [] if self.identity is None else [self.identity]
            expect = Expect(app=self.app, channel=self.channel)
            return open_known_base(base, stack, identity=keys, trust=self.trust, expect=expect)
        if self.identity is None:
            raise UsageError(f"{base}: a release takes an archive key to be opened; give --archive FILE")
        need("client")
        from ...client import Connection

        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="capseal-base-"))
        with Connection(base) as connection:
            return bases.base_of_server(
                connection,
                place,
                stack,
                app=self.app,
                channel=self.channel,
                identity=self.identity,
                trust=self.trust,
            )


class Rebuilder:
    """What fetch() tries first: recipes from the named bases. told: what came of them, for people."""

    def __init__(
        self, bases: Sequence[str], identity: "Sequence[Identity]", trust: "TrustStore", stack: ExitStack
    ) -> None:
        """Open the bases until the stack is left. Raises UsageError, RejectedError, OSError."""
        from ...recipes.bases import open_known_base

        self.told: list[str] = []
        self._identity = identity
        self._bases = [open_known_base(base, stack, identity=identity, trust=trust) for base in bases]

    def __call__(
        self,
        verified: "Verified",
        found: "FoundRelease",
        missing: set[int],
        keep: "Callable[[int, memoryview], None]",
        report: "Progress",
    ) -> None:
        from ...bundle.opened import unwrap_session_key
        from ...recipes.rebuilding import rebuild_missing, recipes_in

        there = recipes_in(verified.statement)
        for base in self._bases:
            if not base.recipes.intersection(there):
                listed = ", ".join(there) or "none"
                hint = "" if base.sealed else "; recipes of releases are from sealed bundles, so name that of it"
                self.told.append(f"{base.shown}: the release has no recipe from that, its recipes: {listed}{hint}")
        attempts = rebuild_missing(
            verified,
            unwrap_session_key(verified, self._identity),
            bases=self._bases,
            open_companion=found.open_companion,
            missing=missing,
            keep=keep,
            progress=report,
        )
        for one in attempts:
            problem = "" if one.problem is None else f"; {one.problem}"
            gave = counted(one.kept, "segment")
            self.told.append(f"{one.name}: {sized(one.downloaded)} gave {gave} of the payload{problem}")
        if not attempts:
            self.told.append("no recipe of the release is less than what is missing: that comes from the payload")
