"""capseal.toml: what a project's command lines need not repeat."""

import os
from typing import Any, NamedTuple

from ..errors import UsageError

FILE_NAME = "capseal.toml"


class Config(NamedTuple):
    """What capseal.toml says; paths are relative to its folder there, and usable as they are here.

    A named tuple, since every command waits for it to be made: a dataclass would take 1 ms.
    """

    app: str | None = None
    channel: str | None = None
    web: str | None = None
    signers: tuple[str, ...] = ()
    development_signers: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    trust: str | None = None
    development_trust: str | None = None
    server: str | None = None
    log: str | None = None


def find() -> Config:
    """Return the configuration of the current folder, or of the nearest parent that has one.

    Raises UsageError where the file cannot be used.
    """
    here = os.getcwd()
    folder = here
    while True:
        path = os.path.join(folder, FILE_NAME)
        if os.path.isfile(path):
            if folder != here:
                _check_owner(path, here)
            return load(path)
        parent = os.path.dirname(folder)
        if parent == folder:
            return Config()
        folder = parent


def load(path: str) -> Config:
    """Load one configuration file. Raises UsageError, OSError."""
    import tomllib

    try:
        with open(path, "rb") as file:
            values = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
    folder = os.path.relpath(os.path.dirname(path))
    read: dict[str, Any] = {}
    for name, value in values.items():
        if name not in _READERS:
            raise UsageError(f"{path}: {name!r} is unknown, expected one of {', '.join(_READERS)}")
        read[name] = _READERS[name](value, f"{path}: {name}", folder)
    return Config(**read)


def _check_owner(path: str, here: str) -> None:
    """Refuse what somebody else may have left in a shared parent folder, such as /tmp."""
    owner = os.stat(path).st_uid
    if owner not in (0, os.geteuid(), os.stat(here).st_uid):
        raise UsageError(f"{path}: belongs to user {owner}, who is neither you nor the owner of {here}")


def _text(value: Any, place: str, folder: str) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{place}: expected a string that is not empty, found {value!r}")
    return value


def _path(value: Any, place: str, folder: str) -> str:
    return os.path.normpath(os.path.join(folder, _text(value, place, folder)))


def _paths(value: Any, place: str, folder: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise UsageError(f"{place}: expected a list of file names, found {value!r}")
    return tuple(_path(item, place, folder) for item in value)


def _signers(value: Any, place: str, folder: str) -> tuple[str, ...]:
    """Return references to signers; only what names a file is relative to the folder."""
    if not isinstance(value, list):
        raise UsageError(f"{place}: expected a list of signers, found {value!r}")
    signers = []
    for item in value:
        text = _text(item, place, folder)
        if text.startswith("command:"):
            public, colon, line = text.removeprefix("command:").partition(":")
            text = f"command:{_path(public, place, folder)}{colon}{line}"
        elif not text.startswith("pkcs11:"):
            text = _path(text, place, folder)
        signers.append(text)
    return tuple(signers)


_READERS = {
    "app": _text,
    "channel": _text,
    "web": _path,
    "signers": _signers,
    "development_signers": _signers,
    "recipients": _paths,
    "identities": _paths,
    "trust": _path,
    "development_trust": _path,
    "server": _text,
    "log": _path,
}
