"""Names in a tree of files: the leaves of the HTTP interface, and which of them an export makes."""

import re
from typing import Final

from ...http import paths
from ...http.shapes import AppChannel

SEAL: Final = "seal"
"""The last leaf of a release: where it is, the others are."""

_RECALL = re.compile(r"recalls/[0-9a-f]{64}")


def leaf(template: str, **names: str | int) -> str:
    """Return the name in a tree of what has a path on a server."""
    return paths.filled(template, **names).removeprefix("/")


def latest_path(of: AppChannel) -> str:
    """Return where the description of the latest release is."""
    return leaf(paths.LATEST, app=of.app, channel=of.channel)


def head_path(of: AppChannel) -> str:
    """Return where a channel's head is."""
    return leaf(paths.CHANNEL_HEAD, app=of.app, channel=of.channel)


def recall_path(of: AppChannel, digest: str) -> str:
    """Return where a recall is."""
    return leaf(paths.CHANNEL_RECALL, app=of.app, channel=of.channel, digest=digest)


def update_path(app: str, version: int) -> str:
    """Return where the update is that brings a version of the trust store."""
    return leaf(paths.TRUST_UPDATE, app=app, version=version)


def release_path(of: AppChannel, sequence: int) -> str:
    """Return the folder of a release."""
    return leaf(paths.RELEASE, app=of.app, channel=of.channel, sequence=sequence)


def is_number(text: str) -> bool:
    """Return whether that is a sequence or a version."""
    return text.isascii() and text.isdigit()


def is_exported(path: str) -> bool:
    """Return whether an export makes that path in the folder of an app and channel."""
    folder, _, rest = path.partition("/")
    sequence, _, name = rest.partition("/")
    is_release = folder == "releases" and is_number(sequence) and is_release_leaf(name)
    return path in ("latest", "head") or is_release or _RECALL.fullmatch(path) is not None


def is_release_leaf(name: str) -> bool:
    """Return whether an export makes that name below a release."""
    folder, separator, rest = name.partition("/")
    return name in (SEAL, "payload") or (folder in ("attachments", "indexes") and bool(separator) and "/" not in rest)
