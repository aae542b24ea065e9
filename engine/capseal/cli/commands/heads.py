"""capseal head: say what is current on a channel, say it again, show it."""

import errno
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

from ...errors import UsageError
from ..framework import options
from ..framework.arguments import Group, argument, at_least, between, flag, option
from ..framework.console import answer, print_line
from ..framework.extras import need
from ..framework.passphrases import Passphrases
from .head_signing import Signing, kept_path
from .head_texts import head_lines, numbers, tell_sent
from .recalls import Shared, cosign, recall, send_recall

if TYPE_CHECKING:
    from ...format.head import Head


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
    shared: Shared = False,
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
    withdrawn, restored = numbers("--withdraw", withdraw), numbers("--restore", restore)
    with ExitStack() as stack:
        asked = signing.begin(stack, passphrases)
        shown = [named_by(published_release(asked, sequence)) for sequence in numbers("--current", current)]
        offered = None if candidate is None else named_by(published_release(asked, candidate))
        salt = secrets.token_bytes(ROLLOUT_SALT_BYTES)
        digest, recalled = (None, None) if recall is None else send_recall(asked, recall, shared=shared)
        gone = [] if recalled is None else [release.sequence for release in recalled.releases]

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
            if digest is None or recalled is None:
                return head
            chain.check_spared(head, recalled)
            return chain.with_recall(head, digest)

        sent = send_head(asked, change, first=lambda: shown, restored=restored, adopt=adopt, over=over)
        tell_sent(sent, asked)


def renew(*, signing: Signing, passphrases: Passphrases) -> None:
    """Say the same as the last head for longer, for cron or CI; nothing where the last head is not here."""
    from ...project.heads import send_head

    with ExitStack() as stack:
        asked = signing.begin(stack, passphrases)
        tell_sent(send_head(asked, lambda head: head), asked)


def show(
    file: Annotated[
        str | None, argument("FILE", help="A file of heads; default: the project's for the channel.")
    ] = None,
    server: Annotated[
        str | None, option("--server", metavar="URL", help="Show what that server shows, unverified.")
    ] = None,
    app: Annotated[str | None, option("--app", metavar="ID", help="The app; default: capseal.toml's.")] = None,
    channel: Annotated[str | None, option("--channel", metavar="NAME", help="Default: production.")] = None,
) -> None:
    """Print what the last head says: the one that is kept here, or a server's."""
    from ...project.heads import kept_head
    from ...trust.heads import read_head

    config = options.find_config()
    if file is not None and "://" in file:
        raise UsageError(f"{file}: is a server and no file: capseal head show --server {file}")
    if server is None:
        path = file or kept_path(config, options.chosen_app(app, config), options.chosen_channel(channel, config))
        found = kept_head(path)
        if found is None:
            if file is not None and not os.path.exists(file):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), file)
            raise UsageError(
                f"{path}: no head is kept here; 'capseal head sign --current SEQUENCE' makes the first, "
                "'capseal head show --server URL' shows a server's"
            )
    else:
        need("client")
        from ...client import Connection, fetch_head

        names = {"app": options.chosen_app(app, config), "channel": options.chosen_channel(channel, config)}
        with Connection(server) as connection:
            data = fetch_head(connection, **names)
        if data is None:
            raise UsageError(f"{server}: has no head of {names['app']} on {names['channel']}")
        found = read_head(data)
    answer({"digest": found.digest, "head": found.head.to_json()})
    for line in head_lines(found):
        print_line(line)


COMMANDS = {
    "head": Group(
        help="Say what is current on a channel, so that devices notice a server that withholds it.",
        commands={"sign": sign, "renew": renew, "show": show, "recall": recall, "cosign": cosign},
    )
}
