"""The publishers' bearer token, as a file holds it."""

import os

from ..errors import KeyFileError
from ..format.text_encoding import as_utf8

MIN_TOKEN_CHARS = 16
_MAX_TOKEN_BYTES = 4096


def load_token(path: str | os.PathLike[str]) -> str:
    """Return the bearer token that a file holds. Raises KeyFileError, OSError."""
    with open(path, "rb") as file:
        data = file.read(_MAX_TOKEN_BYTES + 1)
    try:
        token = as_utf8(data).decode("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if len(token) < MIN_TOKEN_CHARS or len(data) > _MAX_TOKEN_BYTES or not token.isprintable() or " " in token:
        raise KeyFileError(
            f"{os.fspath(path)}: not a token: one line of at least {MIN_TOKEN_CHARS} printable ASCII characters"
        )
    return token
