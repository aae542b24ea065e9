"""capseal trust cosign, apply, publish: signed updates of trust stores, on their way to devices."""

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

from ...errors import KeyFileError, UsageError
from ..framework import options, servers
from ..framework.arguments import argument, option
from ..framework.console import answer, complain, say
from ..framework.extras import need
from ..framework.passphrases import Passphrases

if TYPE_CHECKING:
    from ...client import Connection
    from ...project.config import Config
    from ...trust.store import TrustStore

Store = Annotated[
    str | None, option("--trust", metavar="FILE", help="The trust store; default: the one in capseal.toml.")
]


def cosign(
    update: Annotated[str, argument("UPDATE", help="An update that more than one has to sign.")],
    trust: Store = None,
    signer: options.OtherSigners = None,
    *,
    passphrases: Passphrases,
) -> None:
    """Add a signature to an update. Look at what it brings first: 'capseal trust show UPDATE'."""
    from ...trust.updates import cosign_update

    config = options.find_config()
    by = options.cosign_file(update, cosign_update, signer or config.root_signers, passphrases)
    path = trust or config.trust
    before = None if path is None or not os.path.exists(path) else options.load_trust(path)
    told, enough = standing(options.read_document(update), before)
    answer({"file": update, "signed_by": by.fingerprint, "enough": enough})
    say(f"{update}: signed by {by.fingerprint[:16]}, too: {told}")
    say(f"next: capseal trust apply {update}" if enough else f"next: capseal trust cosign {update} -s KEY")


def apply(
    updates: Annotated[list[str], argument("UPDATE...", repeatable=True, help="In any order; old ones are skipped.")],
    trust: Store = None,
    *,
    passphrases: Passphrases,
) -> None:
    """Check updates as a device does, and bring a trust store up to date."""
    from ...io.drafts import replace_file
    from ...trust.updates import follow, read_update

    path = store_path(trust)
    data = [options.read_document(update) for update in updates]
    old = options.load_trust(path)
    new = follow(old, sorted(data, key=lambda update: read_update(update)[1].version))
    if new != old:
        if is_projects(path):
            keep_past(old, [one for one in data if read_update(one)[1].version > old.version])
        replace_file(path, new.to_json(), mode=0o644)
    answer({"trust": path, "version": new.version, "was": old.version})
    say(f"{path}: version {new.version}" + (", as before" if new == old else f", was {old.version}"))
    note(path, new, passphrases)
    if new != old and is_projects(path):
        say(f"next: capseal trust publish {' '.join(updates)}, then a release, or capseal head renew")


def publish(
    updates: Annotated[list[str], argument("UPDATE...", repeatable=True, help="Updates; the server keeps every one.")],
    server: servers.Server = None,
    app: Annotated[str | None, option("--app", metavar="ID", help="The app; default: capseal.toml's.")] = None,
    token_file: servers.TokenFile = None,
) -> None:
    """Bring updates to a server, which goes by them from then on; devices follow them with the next head."""
    need("client")
    from ...trust.updates import read_update

    config = options.find_config()
    app, url = options.chosen_app(app, config), servers.chosen_server(server, config)
    waiting: dict[int, bytes] = {}
    for path in updates:
        data = options.read_document(path)
        waiting[read_update(data)[1].version] = data
    versions = sorted(waiting)
    newest = read_update(waiting[versions[-1]])[1]
    with servers.connect(url, token_file) as connection:
        in_force = _put_all(connection, waiting, app)
    answer({"server": url, "app": app, "versions": versions, "in_force": in_force})
    of = f"{'updates' if len(versions) > 1 else 'update'} to version {', '.join(map(str, versions))}"
    goes_by = "" if in_force is None else f", and goes by version {in_force}"
    say(f"{url}: has the {of} of the trust store of {app}{goes_by}")
    if in_force is not None and in_force < newest.version:
        complain(
            f"warning: {url} goes by version {in_force} of the trust store: publish the updates between, or start it "
            f"with version {newest.version}"
        )
    if newest.heads is not None:
        _tell_of_heads(config, app, newest)


def _put_all(connection: "Connection", waiting: dict[int, bytes], app: str) -> int | None:
    """Bring updates to a server; return the version that it goes by in the end."""
    from ...client import put_update
    from ...errors import NotForUsError

    in_force = None
    # The server takes what is next to its store or to another update: from whichever end that begins.
    for version in sorted(waiting):
        try:
            in_force = put_update(connection, waiting[version], app=app, version=version)
        except NotForUsError:
            continue
        del waiting[version]
    for version in sorted(waiting, reverse=True):
        in_force = put_update(connection, waiting[version], app=app, version=version)
    return in_force


def _tell_of_heads(config: "Config", app: str, store: "TrustStore") -> None:
    """Say what devices wait for that follow a new store: a head that names it."""
    from ...project.heads import kept_heads_of
    from ...trust.heads import reference_to

    kept = list(kept_heads_of(_heads_folder(config), app)) if app == config.app else []
    until = f"until a head names version {store.version}, devices that use heads install nothing; next:"
    for signed in kept:
        if signed.head.store != reference_to(store):
            say(f"{until} capseal head renew --channel {signed.head.channel}")
    if not kept:
        say(f"{until} capseal head renew, where heads are signed")


def standing(update: bytes, before: "TrustStore | None") -> tuple[str, bool]:
    """Return how many of those who have to signed an update, and whether it is enough. before: the store it changes."""
    from ...trust.updates import read_update, signed_by

    previous, new = read_update(update)
    old = before if before is not None and before.digest == previous else None
    roots = [(one.version, one.root) for one in (old, new) if one is not None and one.root is not None]
    if len(roots) == 2 and roots[0][1].same_as(roots[1][1]):
        roots = roots[1:]
    counts = [(signed_by(update, root), root.threshold, version) for version, root in roots]
    told = [f"{count} of {needed} signatures of version {version}'s root" for count, needed, version in counts]
    return ", ".join(told), all(count >= needed for count, needed, _ in counts)


def store_path(file: str | None) -> str:
    """Return which trust store is meant. Raises UsageError."""
    path = file or options.find_config().trust
    if path is None:
        raise UsageError("no trust store: give --trust FILE, or make a project with 'capseal init'")
    return path


def is_projects(path: str) -> bool:
    """Return whether a trust store is the one that the project releases under."""
    trust = options.find_config().trust
    return trust is not None and os.path.realpath(path) == os.path.realpath(trust)


def keep_past(before: "TrustStore", updates: Iterable[bytes]) -> None:
    """Keep what the project's store was, and what led from there, for whoever reads the release log."""
    from ...project import trust_history

    trust_history.keep(options.project_folder(), before, updates)


def note(path: str, store: "TrustStore", passphrases: Passphrases) -> None:
    """Let the project's release log say at once that the version of its trust store begins."""
    if not is_projects(path):
        return
    config = options.find_config()
    _remind_of_signers(config, store)
    if config.log is None or not config.signers or not os.path.exists(config.log):
        return
    _remind_of_heads(config)
    _note_in_log(config.log, config.signers, store, passphrases)


def _note_in_log(log: str, signers: Sequence[str], store: "TrustStore", passphrases: Passphrases) -> None:
    from datetime import UTC, datetime

    from ...errors import RejectedError
    from ...project.release import log_store

    try:
        signer = options.load_signers(signers[:1], passphrases)[0]
        if log_store(log, trust=store, signer=signer, now=datetime.now(UTC)):
            say(f"{log}: trust store version {store.version} begins")
    except (KeyFileError, RejectedError, UsageError, FileNotFoundError) as error:
        complain(
            f"warning: {log} does not say yet that version {store.version} begins ({error}); next: capseal log store "
            f"-s KEY, with a release key of version {store.version}, first in 'signers' of capseal.toml then"
        )


def _remind_of_signers(config: "Config", store: "TrustStore") -> None:
    """Warn of head keys that the project names and its store has not."""
    from ...project.doctor import strangers_to

    if store.heads is None:
        return
    for signer in strangers_to(store.heads.production, config.head_signers):
        complain(
            f"warning: version {store.version} does not have {signer} as a head key; next: name the private half of "
            "one that it has in head_signers of capseal.toml"
        )


def _remind_of_heads(config: "Config") -> None:
    from ...project.heads import kept_heads_of
    from .head_sending import remind

    for signed in kept_heads_of(_heads_folder(config), config.app):
        remind(config, signed.head.app, signed.head.channel)


def _heads_folder(config: "Config") -> str:
    return options.project_folder() if config.log is None else os.path.dirname(config.log)
