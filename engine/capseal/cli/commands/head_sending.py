"""The head that goes out with a release, where the project has a head key."""

import os
from typing import TYPE_CHECKING

from ...errors import CapsealError, UsageError
from ..framework import options
from ..framework.console import complain, say
from ..framework.passphrases import Passphrases
from .head_signing import has_head_key, kept_path, signing_of

if TYPE_CHECKING:
    from ...client import Connection
    from ...format.head import Head
    from ...format.statement import Statement
    from ...project.config import Config
    from ...trust.heads import SignedHead


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
    from ...project.heads import end_of_log, named_by, send_head, why_undone
    from ...trust.head_chain import with_candidate, with_log, with_release, withdrawing

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
        undone = [one.sequence for one in head.releases if one != named and why_undone(asked, one) is not None]
        if undone:
            head = withdrawing(head, undone, instead=[named])
        if share is not None and named not in head.current:
            return with_log(with_candidate(head, named, share=share, salt=salt), end)
        return with_log(with_release(head, named), end)

    try:
        return send_head(asked, change, first=lambda: [named])
    except CapsealError as error:
        again = f"capseal head sign --current {named.sequence}"
        error.args = (f"published, but no head says so yet: {error}; then '{again}'",)
        raise


def tell_after_publishing(sent: "SignedHead | None", config: "Config", statement: "Statement") -> None:
    """Say which head went out with a release, or that the last one has to be renewed."""
    if sent is None:
        remind(config, statement.app, statement.channel)
    else:
        expires = sent.head.to_json()["expires"]
        say(f"head {sent.head.number} says what is current until {expires}; 'capseal head renew' says it for longer")


def told_of_devices(
    config: "Config", connection: "Connection", statement: "Statement", sent: "SignedHead | None"
) -> str | None:
    """Return what devices do instead of installing a release that was just published, and what is next, or None.

    sent: the head that went out with it; where none did, the server is asked for its own.
    """
    from ...client import fetch_head
    from ...trust.heads import read_head

    sequence = statement.sequence
    production = statement.role.value == options.RoleName.PRODUCTION.value
    path = config.trust if production else config.development_trust
    store = options.load_trust(path) if path is not None and statement.app == config.app else None
    try:
        data = None if sent is not None else fetch_head(connection, app=statement.app, channel=statement.channel)
        signed = sent if data is None else read_head(data)
    except CapsealError as error:
        return f"what devices are told is current, the server does not say: {error}"
    say_so = f"capseal head sign --current {sequence} --channel {statement.channel}"
    if signed is None:
        if store is None or store.heads is None:
            return None
        return f"devices that require a head install nothing before one names it: {say_so}"
    head, digest = signed.head, statement.payload.digest.hex()
    if store is not None and head.store.version < store.version:
        older = f"head {head.number} names version {head.store.version} of the trust store"
        return f"{older}, so devices that follow version {store.version} install nothing: {say_so}"
    if any((one.sequence, one.digest) == (sequence, digest) for one in head.current):
        return None
    if head.candidate is not None and head.candidate.release.digest == digest:
        return f"{head.candidate.share} of 1000 devices install it, and all once 'capseal head sign --promote' says so"
    named = ", ".join(str(one.sequence) for one in head.current)
    higher = [one.sequence for one in head.current if one.sequence > sequence]
    if higher:
        say_so += "".join(f" --withdraw {one}" for one in higher)
    return f"devices install {named}, which head {head.number} names, and not this one: {say_so}"


def told_of_withdrawal(connection: "Connection", *, app: str, channel: str, sequence: int) -> str | None:
    """Return what devices do since a release was withdrawn that the server's head still names, and what is next.

    None where no head names it.
    """
    from ...client import fetch_head
    from ...trust.heads import read_head

    try:
        data = fetch_head(connection, app=app, channel=channel)
        head = None if data is None else read_head(data).head
    except CapsealError as error:
        return f"whether a head names sequence {sequence}, the server does not say: {error}"
    if head is None or sequence not in {release.sequence for release in head.releases}:
        return None
    left = [release.sequence for release in head.current if release.sequence != sequence]
    instead = "" if left else "--current SEQUENCE "
    return (
        f"head {head.number} still names sequence {sequence}, so devices that use heads find nothing to install; "
        f"next: capseal head sign {instead}--withdraw {sequence} --channel {channel}"
    )


def remind(config: "Config", app: str, channel: str) -> None:
    """Warn where the head that a project keeps for a channel has to be renewed."""
    from datetime import UTC, datetime

    from ...format.strictjson import Role
    from ...project.heads import kept_head, reminder

    signed = kept_head(kept_path(config, app, channel))
    if signed is None:
        return
    trust = config.trust if signed.head.role is Role.PRODUCTION else config.development_trust
    why = None if trust is None else reminder(signed, options.load_trust(trust), datetime.now(UTC))
    if why is not None:
        complain(f"warning: {why}; next: capseal head renew --channel {channel}")
