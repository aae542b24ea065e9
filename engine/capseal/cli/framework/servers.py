"""The server that a command goes to, and the token that it shows there: by options, the environment, capseal.toml."""

from typing import TYPE_CHECKING, Annotated

from ...errors import UsageError
from .arguments import argument, option

if TYPE_CHECKING:
    from ...client import Connection
    from ...project.config import Config

VARIABLE = "CAPSEAL_SERVER"

Url = Annotated[
    str | None,
    argument("URL", env=VARIABLE, help="The server, e.g. https://bundles.example.com; default: capseal.toml's."),
]
Server = Annotated[
    str | None,
    option("--server", metavar="URL", env=VARIABLE, help="The server; default: 'server' in capseal.toml."),
]
TokenFile = Annotated[
    str | None,
    option("--token-file", metavar="FILE", env="CAPSEAL_TOKEN_FILE", help="The server's token, in a file of one line."),
]


def chosen_server(server: str | None, config: "Config") -> str:
    """Return the server that a command goes to. Raises UsageError where none is named."""
    chosen = server or config.server
    if chosen is None:
        raise UsageError(f"no server: name its URL, or set {VARIABLE}, or 'server' in capseal.toml")
    return chosen


def connect(url: str, token_file: str | None = None) -> "Connection":
    """Return a connection to a server. Raises UsageError, KeyFileError, OSError."""
    from ...client import Connection, load_token

    return Connection(url, token=None if token_file is None else load_token(token_file))
