"""One release, from a web build to what devices fetch: sealed, verified as a device would, logged, published."""

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..archive.content import open_content
from ..bundle.pipeline import Progress
from ..bundle.reading_order import Verified
from ..bundle.seal import seal
from ..bundle.verify import verify
from ..crypto.keys import PublicKey, Signer
from ..errors import RejectedError, TransferError, UsageError
from ..format.release_files import release_base, release_file
from ..format.requires import Requires
from ..format.seal import Seal
from ..format.statement import Companion
from ..io.durable import name_all, remove_file
from ..io.sink import Detached
from ..io.source import PathOrFile, Source
from ..trust.expect import Expect
from ..trust.store import TrustStore
from ._log_writer import LogWriter, writing
from ._unfinished import settle_unfinished, unfinished_release
from .log import Pending, ReleaseEntry, load_pending, pending_path

if TYPE_CHECKING:
    from ..capgo import Offer as CapgoOffer
    from ..capgo import PrivateKey as CapgoKey
    from ..client import Connection
    from ..recipes.bases import KnownBase
    from ..recipes.making import MadeRecipe

Steps = Callable[[str, str | os.PathLike[str]], Progress | None]
"""Told that a step begins, and which file or folder it goes through; returns what to report its bytes to."""

ENCRYPTING, RECIPES, SEALING, VERIFYING = "Encrypting", "Making recipes", "Sealing", "Verifying"
LOGGING, PUBLISHING = "Logging", "Publishing"


@dataclass(frozen=True, slots=True)
class Released:
    """A release. seal, payload: paths; entry: what the log says of it; published: what the server says of it.

    created: when it was made, by this machine's clock. recipes: what was made for devices to update by, those that
    were no gain among them.
    """

    verified: Verified
    seal: str
    payload: str
    created: datetime
    entry: ReleaseEntry | None = None
    published: dict[str, Any] | None = None
    recipes: "tuple[MadeRecipe, ...]" = ()


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
    content: PathOrFile | Source | None = None,
    bases: "Sequence[KnownBase] | None" = None,
    capgo: "CapgoKey | None" = None,
    capgo_offer: "CapgoOffer | None" = None,
    same_version: bool = False,
    jobs: int | None = None,
    steps: Steps | None = None,
) -> Released:
    """Seal a web build into a folder, verify it, note it in the log, and publish it; stop at the first failure.

    What earlier runs that were killed left in the folder is settled first: it did not come about (_unfinished.py).

    content: what is read of the source, where it is open already. bases: of recipes, to which one from nothing is
    added; those that are no gain are left out; by default there are none at all. capgo: the key of apps with Capgo's
    plugin; then the release has files for them, too; capgo_offer: to which devices, None: to all; same_version: whether
    that version may have been released before, to a smaller share. signers: all of them sign, the first one also the
    log's entry. trust: the store of production builds; what it does not accept never gets its name, is not logged and
    not published. version: one that the log does not have of that app and channel. sequence: as that; by default Unix
    time, or what is above everything in the log and the folder if that is higher; what a restart of the store took back
    is not counted.
    Writes APP@CHANNEL-SEQUENCE.seal and .payload, and .attachment.NAME of each companion.

    The log's entry is pending, on disk, from before the files get their names until the server has taken
    the release, and counts then; what the server refuses is taken away again. What an earlier run left pending is
    settled first: by the server's answer, or, where nothing was to be published or no request can have arrived, by the
    file. Raises UsageError where the files exist, the log has that version or sequence, or what is pending needs
    another server, RejectedError where the trust store, or the server, refuses the bundle, TransferError, OSError.
    """
    if not signers:
        raise UsageError("no signer")
    steps = steps or (lambda step, path: None)
    created = datetime.now(UTC).replace(microsecond=0)
    chosen = sequence
    logged, undone = 0, set[int]()
    if log is not None and os.path.exists(log):
        with writing(log, trust=trust) as writer:
            _settle(writer, connection, signers[0])
            writer.check_new(app, channel, version=None if same_version else version, sequence=chosen)
            logged, undone = writer.sequence_after(app, channel), writer.undone(app, channel)
    settle_unfinished(folder, trust)
    if sequence is None:
        sequence = max(int(created.timestamp()), _highest_in(folder, app, channel, undone) + 1, logged)
    final = [os.path.join(folder, release_file(app, channel, sequence, end)) for end in ("seal", "payload")]
    for path in final:
        if os.path.lexists(path):
            raise UsageError(f"{path}: exists already; take a higher sequence")
    written = [os.fspath(folder), *([] if log is None else [os.fspath(log), pending_path(log)])]
    with ExitStack() as stack:
        unfinished = stack.enter_context(unfinished_release(folder))
        seal_part, payload_part = (os.path.join(unfinished, os.path.basename(path)) for path in final)

        def place(folder: str | os.PathLike[str], name: str) -> str:
            return os.path.join(folder, release_file(app, channel, sequence, f"attachment.{name}"))

        maker = []
        if bases is not None:
            from ..recipes.making import RecipeMaker  # here, since it needs the extra `delta`

            told = steps(RECIPES, source)
            recipe_maker = RecipeMaker(bases, place=partial(place, unfinished), jobs=jobs, progress=told)
            maker = [stack.enter_context(recipe_maker)]
        opened = open_content(source if content is None else content, leave_out=written)
        vouched: list[Companion] = []
        custom = None
        if capgo is not None:
            from ..capgo import beside_release  # here, since it needs the extra `capgo`

            with _noted(ENCRYPTING, folder):
                vouched, custom = beside_release(
                    opened,
                    key=capgo,
                    offer=capgo_offer,
                    place=partial(place, unfinished),
                    jobs=jobs,
                    progress=steps(ENCRYPTING, source),
                )
        with _noted(SEALING, folder):
            made = seal(
                opened,
                Detached(seal_part, payload_part),
                signer=signers,
                recipients=recipients,
                app=app,
                version=version,
                sequence=sequence,
                channel=channel,
                requires=requires,
                created=created,
                companions=[*vouched, *maker],
                custom=custom,
                jobs=jobs,
                progress=steps(SEALING, source),
            )
        # From the disk, as a device reads it: not what this process believes to have written.
        expect = Expect(app=app, channel=channel, floor=sequence - 1)
        progress = steps(VERIFYING, payload_part)
        with _noted(VERIFYING, folder):
            verified = verify(payload_part, trust=trust, expect=expect, seal=seal_part, jobs=jobs, progress=progress)
        recipes = maker[0].made if maker else ()
        released = Released(verified, final[0], final[1], created, recipes=recipes)
        kept = [*(one.name for one in vouched), *(one.name for one in recipes if one.kept)]
        # The seal last: what vouches for the others.
        moves = [(place(unfinished, name), place(folder, name)) for name in kept]
        moves += [(payload_part, released.payload), (seal_part, released.seal)]
        if log is None:
            name_all(moves)
            return _publish(released, connection, steps, moves)
        # Held until the end: the next release's entry holds the digest of this one's.
        writer = stack.enter_context(writing(log, trust=trust))
        _settle(writer, connection, signers[0])
        writer.check_new(app, channel, version=None if same_version else version, sequence=chosen)
        if chosen is None and sequence < writer.sequence_after(app, channel):
            raise UsageError(f"{log}: another release took sequence {sequence} meanwhile; release again")
        return _log_and_publish(released, writer, made, signers[0], moves, connection, steps)


@contextmanager
def _noted(step: str, place: str | os.PathLike[str]) -> Iterator[None]:
    """Let an OSError, such as that there is no space left, say at which step it came, and where if it does not."""
    try:
        yield
    except OSError as error:
        error.add_note(f"while {step.lower()}")
        if error.filename is None and error.strerror:
            error.filename = os.fspath(place)
        raise


def _log_and_publish(
    released: Released,
    writer: LogWriter,
    made: Seal,
    signer: Signer,
    moves: Sequence[tuple[str, str]],
    connection: "Connection | None",
    steps: Steps,
) -> Released:
    server = None if connection is None else _address(connection)
    with _noted(LOGGING, writer.path):
        entry = writer.prepare(made, signer=signer, now=released.created, seal_path=released.seal, server=server)
    try:
        name_all(moves)
    except BaseException:
        writer.drop()
        raise
    try:
        released = _publish(replace(released, entry=entry), connection, steps, moves)
    except BaseException as error:
        if connection is not None and not connection.asked:
            writer.go_by_folder()
        elif isinstance(error, RejectedError | UsageError):
            # A refusal, as a rule. But it may also be the answer to a request that was sent twice.
            _settle(writer, connection, signer)
        raise
    with _noted(LOGGING, writer.path):
        writer.count()
    return released


def _publish(
    released: Released, connection: "Connection | None", steps: Steps, moves: Sequence[tuple[str, str]]
) -> Released:
    if connection is None:
        return released
    from ..client import publish

    progress = steps(PUBLISHING, released.payload)
    try:
        return replace(released, published=publish(released.payload, connection, seal=released.seal, progress=progress))
    except TransferError as error:
        raise TransferError(
            f"{error}; {released.seal} and .payload stay: 'capseal publish' goes on with them"
        ) from error
    except (RejectedError, UsageError) as error:
        if connection.asked and _is_refused(connection, released):
            # The seal first. What no server has is no release, and no base of a later one's recipes.
            for _, path in reversed(moves):
                remove_file(path)
            error.args = (f"{error}; nothing was released, {released.seal} and .payload are gone again",)
        raise


def _is_refused(connection: "Connection", released: Released) -> bool:
    """Say whether the server is sure not to have a release: a refusal may be the answer to a request sent twice."""
    from ..client import find_release

    of = released.verified.statement
    try:
        found = find_release(connection, app=of.app, channel=of.channel, sequence=of.sequence)
    except (TransferError, UsageError):
        return False
    return found is None or found["seal"]["digest"]["sha256"] != _digest_of(released.seal)


def _settle(writer: LogWriter, connection: "Connection | None", signer: Signer) -> None:
    """Find out what became of the release that an earlier run left pending, and log it or not.

    Raises TransferError where the server cannot be asked, UsageError where it is not the one to ask.
    """

    def came_about(pending: Pending) -> bool:
        entry = pending.release
        seal = os.path.join(os.path.dirname(writer.path), pending.seal)
        if pending.server is None and _digest_of(seal) == entry.seal:
            return True
        # Whoever has it: 'capseal publish' may have brought it to another server than it was made for.
        if connection is not None and _has(connection, entry):
            return True
        if pending.server is None or (connection is not None and _address(connection) == pending.server):
            return False
        payload = f"{os.path.splitext(seal)[0]}.payload"
        raise UsageError(
            f"{pending_path(writer.path)}: whether {pending.server} took sequence {entry.sequence} of {entry.app} is "
            f"not known; release with --server {pending.server}, or 'capseal publish {payload} URL', which logs it, "
            f"or delete {pending_path(writer.path)} if no server has it"
        )

    writer.settle(came_about, signer=signer)


def _has(connection: "Connection", entry: ReleaseEntry) -> bool:
    from ..client import find_release

    found = find_release(connection, app=entry.app, channel=entry.channel, sequence=entry.sequence)
    return found is not None and found["seal"]["digest"]["sha256"] == entry.seal


def log_published(log: str | os.PathLike[str], seal: str, *, trust: TrustStore) -> bool:
    """Log a release that was published by itself, where its entry is pending; say whether it is logged now.

    seal: SHA-256 of the published seal, hex. What is pending of another release stays, and so does an entry that
    would have to be signed anew, since others were added meanwhile. Raises RejectedError, OSError.
    """
    pending = load_pending(log)
    if pending is None or not _is_of(pending, seal):
        return False
    with writing(log, trust=trust) as writer:
        if writer.pending is not None and _is_of(writer.pending, seal):
            writer.settle(lambda pending: True, signer=None)
        return writer.pending is None


def _is_of(pending: Pending, seal: str) -> bool:
    return isinstance(pending.entry, ReleaseEntry) and pending.entry.seal == seal


def log_seal(
    log: str | os.PathLike[str], seal: Seal, *, replaces: Seal, trust: TrustStore, signer: Signer, now: datetime
) -> bool:
    """Log a seal that stands in for another of its payload, if the log has that one; return whether it has.

    A log that is not there is not made. Raises UsageError where an entry is pending, RejectedError, OSError.
    """
    if not os.path.lexists(log):
        return False
    with writing(log, trust=trust) as writer:
        if not writer.has(replaces):
            return False
        if writer.pending is not None:
            raise UsageError(f"{pending_path(log)}: an entry is pending; the next release settles it")
        writer.prepare(seal, signer=signer, now=now, replaces=replaces)
        writer.count()
        return True


def log_store(log: str | os.PathLike[str], *, trust: TrustStore, signer: Signer, now: datetime) -> bool:
    """Log that the present version of a trust store begins, if the log is under an older one; say whether it was.

    A log that is not there is not made. Raises UsageError where an entry is pending, RejectedError where the signer is
    no release key of it, OSError.
    """
    if not os.path.lexists(log):
        return False
    with writing(log, trust=trust) as writer:
        return writer.begin_store(signer=signer, now=now)


def _address(connection: "Connection") -> str:
    """Return the server's URL without what may be secret in it."""
    parts = urlsplit(connection.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def _digest_of(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return sha256(file.read()).hexdigest()
    except (FileNotFoundError, IsADirectoryError):  # no file was named
        return None


def _highest_in(folder: str | os.PathLike[str], app: str, channel: str, undone: Collection[int]) -> int:
    """Return the highest sequence of an app and channel that a folder has files of, or 0; undone: what is left out."""
    ours = re.compile(rf"{re.escape(release_base(app, channel))}-([0-9]{{1,16}})\.(?:seal|payload)")
    found = {int(match[1]) for name in os.listdir(folder) if (match := ours.fullmatch(name))}
    return max(found.difference(undone), default=0)
