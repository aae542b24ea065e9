"""What is wrong with a project's keys and trust stores, and what to do about it."""

import os
from collections.abc import Iterator
from datetime import datetime

from ..errors import CapsealError
from ..format.strictjson import Role
from ..trust.certificates import load_certificates
from ..trust.signers import chain_file_of
from ..trust.store import load_trust
from ._capgo_key import capgo_key_findings
from ._findings import Finding, Severity, ending, error_at, reason_of, warning_at
from ._key_findings import private_key_findings, recipient_findings
from ._named_keys import key_files
from ._store_findings import store_findings, strangers_to
from .config import FILE_NAME, Config
from .discovery import START_PAGE, has_start_page

__all__ = ["Finding", "Severity", "diagnose", "strangers_to"]


def diagnose(config: Config, *, now: datetime, folder: str = ".") -> list[Finding]:
    """Return everything that is wrong with a project, errors first. folder: where its capseal.toml is."""
    findings = [
        *_missing(config),
        *private_key_findings(config),
        *capgo_key_findings(folder),
        *recipient_findings(config),
        *_certificates(config, now),
        *store_findings(config, now),
        *_heads(config, now),
    ]
    return sorted(findings, key=lambda finding: finding.severity is Severity.WARNING)


def _missing(config: Config) -> Iterator[Finding]:
    for name, value, advice in (
        ("app", config.app, "name the app id in capseal.toml, such as com.example.game"),
        ("signers", config.signers, "name the signing key in capseal.toml, or run 'capseal init'"),
        ("recipients", config.recipients, "name the public keys of those who shall open the bundles"),
        ("trust", config.trust, "name the trust store of production builds"),
    ):
        if not value:
            yield error_at(FILE_NAME, f"{name} is missing", advice)
    if config.web is not None and not os.path.isdir(config.web):
        yield warning_at(config.web, "the web folder is not there", "build the app, or correct 'web' in capseal.toml")
    elif config.web is not None and not has_start_page(config.web):
        yield warning_at(
            config.web, f"has no {START_PAGE}: a web view would show nothing", "correct 'web' in capseal.toml, or build"
        )


def _certificates(config: Config, now: datetime) -> Iterator[Finding]:
    for path in key_files(config):
        file = chain_file_of(path)
        if not os.path.exists(file):
            continue
        try:
            certificates = load_certificates(file)
        except (CapsealError, OSError) as error:
            yield error_at(
                file, f"unusable certificate: {reason_of(error, file)}", "import it again: 'capseal key import'"
            )
            continue
        for certificate in certificates:
            name, ends = certificate.subject.rfc4514_string(), certificate.not_valid_after_utc
            yield from ending(file, f"certificate {name!r}", ends, now, "get a new one, and rotate (docs/keys.md)")


def _heads(config: Config, now: datetime) -> Iterator[Finding]:
    """Find kept heads that devices will not take any more, or not for long."""
    from .heads import kept_head, kept_heads, reminder  # here, since few who ask keep any

    folder = os.path.dirname(config.log) if config.log is not None else ""
    for path in kept_heads(folder):
        try:
            signed = kept_head(path)
            if signed is None or signed.head.app != config.app:
                continue
            production = signed.head.role is Role.PRODUCTION
            store = config.trust if production else config.development_trust
            why = None if store is None else reminder(signed, load_trust(store), now)
        except (CapsealError, OSError) as error:
            yield error_at(
                path, f"unusable heads: {reason_of(error, path)}", "bring back the file, from git or a backup"
            )
            continue
        if why is not None:
            role = "" if production else " --role development"
            yield warning_at(path, why, f"capseal head renew --channel {signed.head.channel}{role}")
