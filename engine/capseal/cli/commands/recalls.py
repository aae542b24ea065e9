"""capseal head recall and cosign: take releases back, by keys for releases."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

from ..framework import options
from ..framework.arguments import argument, option
from ..framework.console import say
from ..framework.passphrases import Passphrases
from ..framework.titles import counted
from .head_signing import Signing
from .head_texts import numbers, tell_sent

if TYPE_CHECKING:
    from ...format.head import Head
    from ...format.recall import Recall
    from ...project.heads import HeadSigning

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
        data = sign_recall(document, keys)
        if output is not None or asked is None:
            write_new(output or "", data, mode=0o644)
            say(f"{output}: signed by {counted(len(keys), 'key')}; it counts once a head names it")
            say(f"next: capseal head cosign {output}, where more have to sign, and capseal head sign --recall {output}")
            return
        shown = [named_by(published_release(asked, sequence)) for sequence in numbers("--current", current)]
        gone = [release.sequence for release in document.releases]
        digest = _put_recall(asked, data)

        def change(head: "Head") -> "Head":
            return chain.with_recall(chain.withdrawing(head, gone, instead=shown), digest)

        tell_sent(send_head(asked, change), asked)


def _recall_of(releases: Sequence[str], asked: "HeadSigning | None", signing: Signing) -> "Recall":
    """Return the recall of what sequences or seals name, each of them verified. Raises RejectedError, UsageError."""
    from datetime import UTC, datetime

    from ...bundle.opened import accept_detached
    from ...format.recall import Recall, RecalledRelease
    from ...format.strictjson import Role
    from ...project.heads import published_release
    from ...trust.expect import Expect

    config = options.find_config()
    role = Role(signing.role.value)
    app, channel = options.chosen_app(signing.app, config), options.chosen_channel(signing.channel, config)
    store = options.load_trust(signing.trust or (config.trust if role is Role.PRODUCTION else config.development_trust))
    statements = [
        published_release(asked, int(one))
        if asked is not None and one.isdigit()
        else accept_detached(one, store, Expect(app=app, channel=channel, role=role)).statement
        for one in dict.fromkeys(releases)
    ]
    statements.sort(key=lambda statement: -statement.sequence)
    return Recall(
        app=app,
        channel=channel,
        role=role,
        created=datetime.now(UTC),
        releases=tuple(RecalledRelease(s.sequence, s.payload.digest.hex(), s.version) for s in statements),
    )


def cosign(
    file: Annotated[str, argument("RECALL", help="A recall that more than one has to sign.")],
    signer: options.Signers = None,
    *,
    passphrases: Passphrases,
) -> None:
    """Add a signature to a recall."""
    from ...trust.heads import cosign_recall

    options.cosign_file(file, cosign_recall, signer or options.find_config().signers, passphrases)


def send_recall(asked: "HeadSigning", file: str) -> tuple[str, list[int]]:
    """Bring a recall to the server; return its digest and what it recalls."""
    from ...trust.heads import read_recall

    data = options.read_document(file)
    return _put_recall(asked, data), [release.sequence for release in read_recall(data).releases]


def _put_recall(asked: "HeadSigning", data: bytes) -> str:
    from ...client import put_recall
    from ...trust.heads import accept_recall

    names = asked.names
    digest, _ = accept_recall(asked.store, data, role=asked.role, now=asked.clock(), **names)
    put_recall(asked.connection, digest, data, **names)
    return digest
