"""Whose heads are signed, by whom, and where they go: from options, the project's configuration and its keys."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, NamedTuple

from ..framework import options, servers
from ..framework.arguments import at_least, option, together
from ..framework.extras import need
from ..framework.passphrases import Passphrases

if TYPE_CHECKING:
    from ...client import Connection
    from ...project.config import Config
    from ...project.heads import HeadSigning

_HOUR_S = 3600


@together
class Signing(NamedTuple):
    """Whose head is signed, by whom, and where it goes."""

    server: servers.Server = None
    token_file: servers.TokenFile = None
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
        config = options.find_config()
        connection = stack.enter_context(servers.connect(servers.chosen_server(self.server, config), self.token_file))
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
