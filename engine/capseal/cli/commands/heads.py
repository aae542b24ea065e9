"""capseal head: say what is current on a channel, say it again, show it, and take releases back."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, NamedTuple

from ...errors import CapsealError, UsageError
from ..framework import options
from ..framework.arguments import Group, argument, at_least, between, flag, option, together
from ..framework.console import print_json, say
from ..framework.extras import need
from ..framework.passphrases import Passphrases
from ..framework.titles import counted

if TYPE_CHECKING:
    from ...client import Connection
    from ...format.head import Head, NamedRelease
    from ...format.recall import Recall
    from ...format.statement import Statement
    from ...project.config import Config
    from ...project.heads import HeadSigning
    from ...trust.heads import SignedHead

_HOUR_S = 3600

Releases = Annotated[
    list[str],
    argument("SEQUENCE|SEAL...", repeatable=True, help="Releases: the sequences of published ones, or seals as files."),
]


@together
class Signing(NamedTuple):
    """Whose head is signed, by whom, and where it goes."""

    server: Annotated[
        str | None,
        option("--server", metavar="URL", env="CAPSEAL_SERVER", help="The server; default: 'server' in capseal.toml."),
    ] = None
    token_file: Annotated[
        str | None,
        option("--token-file", metavar="FILE", env="CAPSEAL_TOKEN_FILE", help="The server's token, in a file."),
    ] = None
    app: Annotated[str | None, option("--app", metavar="ID", help="The app; default: capseal.toml's.")] = None
    channel: Annotated[str | None, option("--channel", metavar="NAME", help="Default: production.")] = None
    role: Annotated[
        options.RoleName,
        option("--role", type=options.RoleName, help="'development': a head for development builds."),
    ] = options.RoleName.PRODUCTION
    trust: options.Trust = None
    signer: Annotated[
        list[str] | None,
        option(
            "-s",
            "--signer",
            metavar="FILE|URI",
            repeatable=True,
            help="A head key; default: 'head_signers' in capseal.toml.",
        ),
    ] = None
    valid_for: Annotated[
        int | None,
        option(
            "--valid-for", metavar="HOURS", type=at_least(1), help="Default: for as long as the trust store allows."
        ),
    ] = None

    def begin(self, stack: ExitStack, passphrases: Passphrases) -> "HeadSigning":
        """Connect to the server and load the keys. Raises UsageError, KeyFileError."""
        need("client")
        from ...client import Connection, load_token

        config = options.find_config()
        server = self.server or config.server
        if server is None:
            raise UsageError("no server: give --server URL, or set 'server' in capseal.toml")
        token = None if self.token_file is None else load_token(self.token_file)
        connection = stack.enter_context(Connection(server, token=token))
        return signing_of(
            config,
            connection,
            passphrases,
            app=options.chosen_app(self.app, config),
            channel=options.chosen_channel(self.channel, config),
            role=self.role,
            trust=self.trust,
            signer=self.signer,
            age_s=None if self.valid_for is None else self.valid_for * _HOUR_S,
        )


def signing_of(
    config: "Config",
    connection: "Connection",
    passphrases: Passphrases,
    *,
    app: str,
    channel: str,
    role: options.RoleName,
    trust: str | None = None,
    signer: Sequence[str] | None = None,
    age_s: int | None = None,
) -> "HeadSigning":
    """Return what signing the heads of a project's channel takes. Raises UsageError, KeyFileError."""
    from datetime import UTC, datetime

    from ...format.strictjson import Role
    from ...project.heads import HeadSigning

    production = role is options.RoleName.PRODUCTION
    return HeadSigning(
        store=options.load_trust(trust or (config.trust if production else config.development_trust)),
        signers=options.load_signers(signer or references_of(config, role), passphrases),
        connection=connection,
        path=kept_path(config, app, channel),
        app=app,
        channel=channel,
        role=Role(role.value),
        clock=lambda: datetime.now(UTC),
        age_s=age_s,
    )


def references_of(config: "Config", role: options.RoleName) -> tuple[str, ...]:
    """Return the head keys of a project, by role."""
    return config.head_signers if role is options.RoleName.PRODUCTION else config.development_head_signers


def kept_path(config: "Config", app: str, channel: str) -> str:
    """Return where a project keeps the heads of a channel: beside its release log."""
    from ...project.heads import heads_path

    folder = options.project_folder() if config.log is None else os.path.dirname(config.log)
    return heads_path(folder, app, channel)


def has_head_key(config: "Config", role: options.RoleName) -> bool:
    """Say whether the project has head keys, and they are on this machine."""
    references = references_of(config, role)
    files = (one for one in references if not one.startswith(("pkcs11:", "command:")))
    return bool(references) and all(os.path.exists(one) for one in files)


def send_after_publishing(
    config: "Config",
    connection: "Connection",
    passphrases: Passphrases,
    statement: "Statement",
    *,
    log: str | None,
    share: int | None,
) -> "SignedHead | None":
    """Send the head that names a release which was just published, or nothing where the project has no head key here.

    share: of the devices, in thousandths, for which it is a candidate; or None, where it is current. Raises as
    send_head().
    """
    import secrets

    from ...constants import ROLLOUT_SALT_BYTES
    from ...project.heads import end_of_log, named_by, send_head
    from ...trust.head_chain import with_candidate, with_log, with_release

    role = options.RoleName(statement.role.value)
    if not has_head_key(config, role) or statement.app != config.app:
        if share is not None:
            raise UsageError("--share: a head says it, and there is no head key here")
        return None
    asked = signing_of(config, connection, passphrases, app=statement.app, channel=statement.channel, role=role)
    if asked.store.heads is None:
        return None
    end = None if log is None or not os.path.exists(log) else end_of_log(log)
    named, salt = named_by(statement), secrets.token_bytes(ROLLOUT_SALT_BYTES)

    def change(head: "Head") -> "Head":
        if share is not None and named not in head.current:
            return with_log(with_candidate(head, named, share=share, salt=salt), end)
        return with_log(with_release(head, named), end)

    try:
        return send_head(asked, change, first=lambda: [named])
    except CapsealError as error:
        again = f"capseal head sign --current {named.sequence}"
        error.args = (f"published, but no head says so yet: {error}; then '{again}'",)
        raise


def tell_after_publishing(sent: "SignedHead | None") -> None:
    """Say which head went out with a release."""
    if sent is not None:
        expires = sent.head.to_json()["expires"]
        say(f"head {sent.head.number} says what is current until {expires}; 'capseal head renew' says it for longer")


def sign(
    current: Annotated[
        list[str] | None,
        option("--current", metavar="SEQUENCE", repeatable=True, help="This release is current."),
    ] = None,
    candidate: Annotated[
        int | None,
        option("--candidate", metavar="SEQUENCE", type=at_least(1), help="Some devices get this release first."),
    ] = None,
    share: Annotated[
        int | None,
        option("--share", metavar="N", type=between(0, 1000), help="So many of 1000 devices get the candidate."),
    ] = None,
    pause: Annotated[bool, flag("--pause", help="Nobody gets the candidate any more who has not got it.")] = False,
    resume: Annotated[bool, flag("--resume", help="End the pause.")] = False,
    promote: Annotated[bool, flag("--promote", help="The candidate becomes current, for everybody.")] = False,
    withdraw: Annotated[
        list[str] | None,
        option("--withdraw", metavar="SEQUENCE", repeatable=True, help="Nobody installs this any more."),
    ] = None,
    restore: Annotated[
        list[str] | None,
        option("--restore", metavar="SEQUENCE", repeatable=True, help="Drop a withdrawal."),
    ] = None,
    recall: Annotated[
        str | None, option("--recall", metavar="FILE", help="Send this recall, made by 'head recall -o'.")
    ] = None,
    adopt: Annotated[
        bool, flag("--adopt", help="No head is kept here: take the server's for the last one, if its keys signed it.")
    ] = False,
    over: Annotated[
        bool, flag("--over", help="The server was put back to an earlier state: put the head over what it shows.")
    ] = False,
    *,
    signing: Signing,
    passphrases: Passphrases,
) -> None:
    """Sign the next head of a channel, with what is changed, and put it on the server."""
    import secrets

    from ...constants import ROLLOUT_SALT_BYTES
    from ...project.heads import named_by, published_release, send_head
    from ...trust import head_chain as chain

    if candidate is not None and share is None:
        raise UsageError("--candidate: how many get it, say with --share N")
    if share is not None and candidate is None:
        raise UsageError("--share: of which candidate, say with --candidate SEQUENCE")
    withdrawn, restored = _numbers("--withdraw", withdraw), _numbers("--restore", restore)
    with ExitStack() as stack:
        asked = signing.begin(stack, passphrases)
        shown = [named_by(published_release(asked, sequence)) for sequence in _numbers("--current", current)]
        offered = None if candidate is None else named_by(published_release(asked, candidate))
        salt = secrets.token_bytes(ROLLOUT_SALT_BYTES)
        digest, gone = (None, []) if recall is None else _send_recall(asked, recall)

        def change(head: "Head") -> "Head":
            head = chain.restoring(head, restored)
            gone_now = [*withdrawn, *gone]
            if gone_now:
                head = chain.withdrawing(head, gone_now, instead=shown)
            for release in shown:
                head = chain.with_release(head, release)
            if offered is not None:
                head = chain.with_candidate(head, offered, share=share or 0, salt=salt)
            if pause or resume:
                head = chain.paused(head, paused=pause)
            if promote:
                head = chain.promoted(head)
            return head if digest is None else chain.with_recall(head, digest)

        sent = send_head(asked, change, first=lambda: shown, restored=restored, adopt=adopt, over=over)
        _tell_sent(sent, asked)


def renew(*, signing: Signing, passphrases: Passphrases) -> None:
    """Say the same as the last head for longer, for cron or CI; nothing where the last head is not here."""
    from ...project.heads import send_head

    with ExitStack() as stack:
        asked = signing.begin(stack, passphrases)
        _tell_sent(send_head(asked, lambda head: head), asked)


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
        shown = [named_by(published_release(asked, sequence)) for sequence in _numbers("--current", current)]
        gone = [release.sequence for release in document.releases]
        digest = _put_recall(asked, data)

        def change(head: "Head") -> "Head":
            return chain.with_recall(chain.withdrawing(head, gone, instead=shown), digest)

        _tell_sent(send_head(asked, change), asked)


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


def show(
    file: Annotated[
        str | None, argument("FILE", help="A file of heads; default: the project's for the channel.")
    ] = None,
    server: Annotated[
        str | None, option("--server", metavar="URL", help="Show what that server shows, unverified.")
    ] = None,
    app: Annotated[str | None, option("--app", metavar="ID", help="The app; default: capseal.toml's.")] = None,
    channel: Annotated[str | None, option("--channel", metavar="NAME", help="Default: production.")] = None,
    json: options.Json = False,
) -> None:
    """Print what the last head says: the one that is kept here, or a server's."""
    from ...project.heads import kept_head
    from ...trust.heads import read_head

    config = options.find_config()
    if server is None:
        path = file or kept_path(config, options.chosen_app(app, config), options.chosen_channel(channel, config))
        found = kept_head(path)
        if found is None:
            raise UsageError(f"{path}: no head is kept here; 'capseal head sign --current SEQUENCE' makes the first")
    else:
        need("client")
        from ...client import Connection, fetch_head

        names = {"app": options.chosen_app(app, config), "channel": options.chosen_channel(channel, config)}
        with Connection(server) as connection:
            data = fetch_head(connection, **names)
        if data is None:
            raise UsageError(f"{server}: has no head of {names['app']} on {names['channel']}")
        found = read_head(data)
    if json:
        print_json({"digest": found.digest, "head": found.head.to_json()})
        return
    for line in _lines(found):
        say(line)


def _numbers(option: str, texts: Sequence[str] | None) -> list[int]:
    """Return sequences as they were given. Raises UsageError."""
    for text in texts or ():
        if not (text.isascii() and text.isdigit() and 0 < int(text[:17]) < 2**53):
            raise UsageError(f"{option}: {text[:40]!r} is not a sequence, a number from 1 on")
    return [int(text) for text in texts or ()]


def _send_recall(asked: "HeadSigning", file: str) -> tuple[str, list[int]]:
    """Bring a recall to the server; return its digest and what it recalls."""
    from ...format.dsse import Envelope
    from ...format.recall import RECALL_TYPE, Recall

    data = options.read_document(file)
    found = Recall.parse(Envelope.parse(data).payload_of(RECALL_TYPE))
    return _put_recall(asked, data), [release.sequence for release in found.releases]


def _put_recall(asked: "HeadSigning", data: bytes) -> str:
    from ...client import put_recall
    from ...trust.heads import accept_recall

    names = asked.names
    digest, _ = accept_recall(asked.store, data, role=asked.role, now=asked.clock(), **names)
    put_recall(asked.connection, digest, data, **names)
    return digest


def _tell_sent(sent: "SignedHead", asked: "HeadSigning") -> None:
    for line in _lines(sent):
        say(line)
    say(f"sent to {asked.connection.url}; keep {asked.path}: the next head follows this one")


def _lines(signed: "SignedHead") -> list[str]:
    head = signed.head
    value = head.to_json()
    lines = [
        f"head {head.number} of epoch {head.epoch}: {head.app} on {head.channel}, {head.role.value}",
        f"issued {value['issued']}, expires {value['expires']}, under version {head.store.version} of the trust store",
    ]
    lines.append(f"current: {', '.join(map(_told, head.current))}")
    if head.candidate is not None:
        one = head.candidate
        lines.append(f"candidate: {_told(one.release)}, for {one.share} of 1000{', paused' if one.paused else ''}")
    if head.withdrawn:
        lines.append(f"withdrawn: {', '.join(map(str, head.withdrawn))}")
    if head.recalls:
        lines.append(f"recalls: {', '.join(digest[:16] for digest in head.recalls)}")
    if head.log is not None:
        lines.append(f"log: {head.log.number} entries, the last {head.log.digest[:16]}")
    return lines


def _told(release: "NamedRelease") -> str:
    return f"{release.sequence}" + (f" ({release.requires.shown})" if release.requires else "")


COMMANDS = {
    "head": Group(
        help="Say what is current on a channel, so that devices notice a server that withholds it.",
        commands={"sign": sign, "renew": renew, "show": show, "recall": recall, "cosign": cosign},
    )
}
