"""What the files of a release are called in a folder: APP@CHANNEL-SEQUENCE and an ending, in at most 255 bytes."""

import hashlib

_MAX_BASE_BYTES = 255 - len("-9007199254740991.attachment.") - 128
"""What the longest sequence and the longest name of an attachment leave: 98."""

_DIGEST_CHARS = 32


def release_base(app: str, channel: str) -> str:
    """Return what the names of all files of an app and channel begin with: APP@CHANNEL.

    Of one that is too long for a file's name, the start, '~' and a digest of the whole: '~' is in no app's name.
    """
    base = f"{app}@{channel}"
    if len(base) <= _MAX_BASE_BYTES:
        return base
    return f"{base[: _MAX_BASE_BYTES - 1 - _DIGEST_CHARS]}~{hashlib.sha256(base.encode()).hexdigest()[:_DIGEST_CHARS]}"


def release_file(app: str, channel: str, sequence: int, ending: str) -> str:
    """Return the name of one file of a release. ending: 'seal', 'payload', 'attachment.NAME' or 'index.NAME'."""
    return f"{release_base(app, channel)}-{sequence}.{ending}"
