"""capseal.toml: what a project's command lines need not repeat."""

import os
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from ..errors import UsageError

FILE_NAME = "capseal.toml"

_COMMENT = "# What `capseal` commands need not be told in this folder and below. Paths are relative to this file.\n"


def _text(value: Any, place: str, folder: str) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise UsageError(f"{place}: expected a string that is not empty and has no NUL, found {value!r}")
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


_Text = Annotated[str | None, _text]
_Path = Annotated[str | None, _path]
_Paths = Annotated[tuple[str, ...], _paths]
_Signers = Annotated[tuple[str, ...], _signers]


class Config(NamedTuple):
    """What capseal.toml says; paths are relative to its folder there, and usable as they are here.

    Each field is annotated with what reads its value. A named tuple, since every command waits for it to be
    made: a dataclass would take 1 ms.
    """

    app: _Text = None
    channel: _Text = None
    web: _Path = None
    signers: _Signers = ()
    development_signers: _Signers = ()
    root_signers: _Signers = ()
    head_signers: _Signers = ()
    development_head_signers: _Signers = ()
    recipients: _Paths = ()
    identities: _Paths = ()
    archive: _Path = None
    trust: _Path = None
    development_trust: _Path = None
    server: _Text = None
    log: _Path = None

    @property
    def all_signers(self) -> tuple[str, ...]:
        """The references to signers of every purpose."""
        heads = (*self.head_signers, *self.development_head_signers)
        return (*self.signers, *self.development_signers, *self.root_signers, *heads)

    def encode(self) -> bytes:
        """Return a capseal.toml that says this, its paths as they are here."""
        import json

        said = {name: value for name, value in self._asdict().items() if value}
        # A string of JSON is one of TOML, if no character is written as two surrogates, and DEL is escaped.
        lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in said.items()]
        return "".join([_COMMENT, *lines]).replace("\x7f", "\\u007f").encode()


def find(folder: str = os.curdir) -> Config:
    """Return the configuration of a folder, or of its nearest parent that has one.

    Raises UsageError where the file cannot be used.
    """
    path = nearest(folder)
    return Config() if path is None else load(path)


def nearest(folder: str = os.curdir) -> str | None:
    """Return the path of the configuration of a folder, or of its nearest parent that has one; None without one.

    Raises UsageError where it is somebody else's.
    """
    here = folder = os.path.abspath(folder)
    while True:
        path = os.path.join(folder, FILE_NAME)
        if os.path.isfile(path):
            if folder != here:
                _check_owner(path, here)
            return path
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def files_of(path: str) -> list[str]:
    """Return every file that one configuration names. Raises UsageError, OSError."""
    config = load(path)
    paths = [config.trust, config.development_trust, config.log, config.archive, *config.recipients, *config.identities]
    signers = [reference.removeprefix("command:") for reference in config.all_signers]
    return [*filter(None, paths), *(one.partition(":")[0] if ":" in one else one for one in signers)]


def load(path: str) -> Config:
    """Load one configuration file. Raises UsageError, OSError."""
    import tomllib

    try:
        with open(path, "rb") as file:
            values = tomllib.load(file)
    except (ValueError, RecursionError) as error:  # integers of thousands of digits and nested lists, too
        raise UsageError(f"{path}: {error}") from None
    folder = os.path.relpath(os.path.dirname(path))
    read: dict[str, Any] = {}
    for name, value in values.items():
        if name not in Config._fields:
            raise UsageError(f"{path}: {name!r} is unknown, expected one of {', '.join(Config._fields)}")
        read[name] = _reader_of(name)(value, f"{path}: {name}", folder)
    return Config(**read)


def _check_owner(path: str, here: str) -> None:
    """Refuse what somebody else may have left in a shared parent folder, such as /tmp."""
    owner = os.stat(path).st_uid
    if owner not in (0, os.geteuid(), os.stat(here).st_uid):
        raise UsageError(f"{path}: belongs to user {owner}, who is neither you nor the owner of {here}")


def _reader_of(field: str) -> Callable[[Any, str, str], Any]:
    reader: Callable[[Any, str, str], Any] = Config.__annotations__[field].__metadata__[0]
    return reader
