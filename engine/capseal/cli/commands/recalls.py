"""capseal head recall and cosign: take releases back, by keys for releases."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

from ..framework import options
from ..framework.arguments import argument, flag, option
from ..framework.console import answer, say
from ..framework.passphrases import Passphrases
from ..framework.titles import counted
from .head_signing import Signing
from .head_texts import numbers, tell_sent

if TYPE_CHECKING:
    from ...errors import RejectedError
    from ...format.head import Head
    from ...format.recall import Recall
    from ...format.statement import Statement
    from ...project.heads import HeadSigning
    from ...trust.store import TrustStore

Shared = Annotated[
    bool, flag("--shared", help="Recall, though another release has the payload of one of them, and fails with it.")
]
Releases = Annotated[
    list[str],
    argument("SEQUENCE|SEAL...", repeatable=True, help="Releases: the sequences of published ones, or seals as files."),
]


def recall(
    releases: Releases,
    output: Annotated[
        str | None,
        option("-o", "--output", metavar="FILE", help="Only write the recall, for others to sign.", writes=True),
    ] = None,
    current: Annotated[
        list[str] | None,
        option("--current", metavar="SEQUENCE", repeatable=True, help="Current, if nothing else is."),
    ] = None,
    release_signer: Annotated[
        list[str] | None,
        option(
            "--release-signer",
            metavar="FILE|URI",
            repeatable=True,
            env=options.SIGNER_VARIABLE,
            help="A production key for releases; default: 'signers' in capseal.toml.",
        ),
    ] = None,
    shared: Shared = False,
    *,
    signing: Signing,
    passphrases: Passphrases,
) -> None:
    """Make releases fail for good on every device: what ran before runs again. Signed by keys for releases."""
    from ...io.drafts import write_new
    from ...project.heads import named_by, published_release, send_head
    from ...trust import head_chain as chain
    from ...trust.heads import sign_recall

    keys = options.load_signers(release_signer or options.find_config().signers, passphrases)
    with ExitStack() as stack:
        offline = output is not None and not any(one.isdigit() for one in releases)
        asked = None if offline else signing.begin(stack, passphrases)
        document = _recall_of(releases, asked, signing)
        if not shared:
            check_unshared(document, asked)
        data = sign_recall(document, keys)
        if output is not None or asked is None:
            write_new(output or "", data, mode=0o644)
            by = [signer.public_key.fingerprint for signer in keys]
            answer({"file": output, "recalled": [release.sequence for release in document.releases], "signed_by": by})
            say(f"{output}: signed by {counted(len(keys), 'key')}; it counts once a head names it")
            say(f"next: capseal head cosign {output}, where more have to sign, and capseal head sign --recall {output}")
            return
        shown = [named_by(published_release(asked, sequence)) for sequence in numbers("--current", current)]
        gone = [release.sequence for release in document.releases]
        digest = _put_recall(asked, data)

        def change(head: "Head") -> "Head":
            head = chain.withdrawing(head, gone, instead=shown)
            chain.check_spared(head, document)
            return chain.with_recall(head, digest)

        tell_sent(send_head(asked, change), asked, recalled=gone)


def check_unshared(document: "Recall", asked: "HeadSigning | None") -> None:
    """Raise UsageError where the release log, or the server, has another release with a payload that is recalled."""
    from ...project.log import logged_releases
    from ...trust import head_chain

    log = options.find_config().log
    of = (document.app, document.channel)
    if log is not None and os.path.exists(log):
        logged = [one for one in logged_releases(log) if (one.app, one.channel) == of]
        head_chain.check_unshared(document, [(one.sequence, one.payload) for one in logged], f"which {log} has")
    if asked is not None:
        from ...client import listed_releases

        listed = listed_releases(asked.connection, **asked.names)
        standing = ((one.sequence, one.payload.digest) for one in listed if one.withdrawn is None)
        head_chain.check_unshared(document, standing, f"which {asked.connection.url} lists")


def _recall_of(releases: Sequence[str], asked: "HeadSigning | None", signing: Signing) -> "Recall":
    """Return the recall of what sequences or seals name, each of them verified. Raises RejectedError, UsageError."""
    from dataclasses import replace
    from datetime import UTC, datetime

    from ...bundle.opened import accept_detached
    from ...errors import NotForUsError, SignatureError, UsageError
    from ...format.recall import Recall, RecalledRelease
    from ...format.release_files import release_file
    from ...format.strictjson import Role
    from ...project.heads import published_release
    from ...trust.expect import Expect

    config = options.find_config()
    role = Role(signing.role.value)
    app, channel = options.chosen_app(signing.app, config), options.chosen_channel(signing.channel, config)
    store = options.load_trust(signing.trust or (config.trust if role is Role.PRODUCTION else config.development_trust))
    stores = [store, *_stores_before(store, asked, app)]

    def once_accepted(one: str) -> "Statement":
        # What is recalled may be what a key signed that was removed since; of the past, only that is believed.
        refused: RejectedError | None = None
        for then in stores:
            try:
                if asked is not None and one.isdigit():
                    return published_release(replace(asked, store=then), int(one))
                return accept_detached(one, then, Expect(app=app, channel=channel, role=role)).statement
            except (NotForUsError, SignatureError, UsageError) as error:
                if asked is not None and one.isdigit() and _is_withdrawn(asked, int(one)):
                    name = release_file(app, channel, int(one), "seal")
                    raise UsageError(
                        f"{error}; what is withdrawn is recalled by its seal: name that file instead of its sequence, "
                        f"such as releases/{name}"
                    ) from error
                if isinstance(error, UsageError):
                    raise
                refused = refused or error
        versions = ", ".join(str(then.version) for then in stores)
        raise SignatureError(f"{one}: {refused}; asked were versions {versions} of the trust store") from refused

    statements = [once_accepted(one) for one in dict.fromkeys(releases)]
    statements.sort(key=lambda statement: -statement.sequence)
    return Recall(
        app=app,
        channel=channel,
        role=role,
        created=datetime.now(UTC),
        releases=tuple(RecalledRelease(s.sequence, s.payload.digest.hex(), s.version) for s in statements),
    )


def _is_withdrawn(asked: "HeadSigning", sequence: int) -> bool:
    from ...client import find_release

    found = find_release(asked.connection, sequence=sequence, **asked.names)
    return found is not None and bool(found["withdrawn"])


def _stores_before(store: "TrustStore", asked: "HeadSigning | None", app: str) -> "list[TrustStore]":
    """Return the versions of the trust store before this one, by the updates that are kept here or published."""
    from ...project.trust_history import kept
    from ...trust.updates import stores_before

    folder = options.project_folder()

    def document_of(version: int) -> bytes | None:
        here = kept(folder, version)
        if here is not None or asked is None or version < 2:
            return here
        from ...client import fetch_update

        return fetch_update(asked.connection, app=app, version=version)

    return list(stores_before(store, document_of))


def cosign(
    file: Annotated[str, argument("RECALL", help="A recall that more than one has to sign.")],
    signer: options.Signers = None,
    *,
    passphrases: Passphrases,
) -> None:
    """Add a signature to a recall."""
    from ...trust.heads import cosign_recall

    by = options.cosign_file(file, cosign_recall, signer or options.find_config().signers, passphrases)
    answer({"file": file, "signed_by": by.fingerprint})
    say(f"{file}: signed by {by.fingerprint[:16]}, too; next: capseal head sign --recall {file}")


def send_recall(asked: "HeadSigning", file: str, *, shared: bool) -> "tuple[str, Recall]":
    """Bring a recall to the server; return its digest, and what it says.

    shared: though another release has a payload of it, else raises UsageError.
    """
    from ...trust.heads import read_recall

    data = options.read_document(file)
    document = read_recall(data)
    if not shared:
        check_unshared(document, asked)
    return _put_recall(asked, data), document


def _put_recall(asked: "HeadSigning", data: bytes) -> str:
    from ...client import put_recall
    from ...trust.heads import accept_recall

    names = asked.names
    digest, _ = accept_recall(asked.store, data, role=asked.role, now=asked.clock(), **names)
    put_recall(asked.connection, digest, data, **names)
    return digest
