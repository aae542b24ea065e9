"""What every request may use, and how names in a path become things."""

from dataclasses import dataclass, field
from logging import Logger
from urllib.parse import quote

from starlette.requests import Request

from ...errors import FormatError
from ...format.strictjson import check_name
from ...http.problems import FORBIDDEN, NAME, NO_ATTACHMENT, NO_RELEASE, NO_TOKEN, PAGE, SEQUENCE, TOKEN
from ...http.shapes import AppChannel, ReleaseDescription
from .._clients import MemoryBudget
from .._limits import ServerLimits
from .._metrics import Metrics
from .._problems import Problem
from .._readiness import Readiness
from .._release_store import ReleaseStore
from .._tokens import NO_TOKENS, Right, Token, Tokens
from ..catalogue.catalogue import Catalogue
from ..catalogue.receiving import RunBuffers
from ._descriptions import Descriptions

_MAX_SEQUENCE_DIGITS = 16


class Admission:
    """Who may do what, which may change while the server runs."""

    def __init__(self, tokens: Tokens = NO_TOKENS) -> None:
        self.tokens = tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """What serving takes; it lives as long as the application."""

    releases: ReleaseStore
    admission: Admission
    readiness: Readiness
    limits: ServerLimits
    metrics: Metrics
    log: Logger
    descriptions: Descriptions = field(default_factory=Descriptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishingState:
    """What publishing takes besides.

    memory: what seals that arrive may take.
    """

    catalogue: Catalogue
    buffers: RunBuffers
    memory: MemoryBudget


def server_state(request: Request) -> ServerState:
    """Return the state of the application that serves a request."""
    state: ServerState = request.app.state.server
    return state


def mount_of(request: Request) -> str:
    """Return what every path of the server begins with where it is mounted in another application, as in a URL."""
    root: str = request.scope.get("root_path", "")
    return quote(root.rstrip("/"))


def publishing_state(request: Request) -> PublishingState:
    """Return what the application publishes with."""
    state: PublishingState = request.app.state.publishing
    return state


def named_app(request: Request) -> str:
    """Return the app of a path. Raises Problem 400."""
    return _named(request, "app")


def named_channel(request: Request) -> AppChannel:
    """Return the app and channel of a path. Raises Problem 400."""
    return AppChannel(_named(request, "app"), _named(request, "channel"))


async def named_release(request: Request) -> ReleaseDescription:
    """Return the release of a path. Raises Problem 400, 404, TransferError."""
    of = named_channel(request)
    sequence = parse_sequence(request.path_params["sequence"])
    release = await server_state(request).releases.release(of, sequence)
    if release is None:
        raise Problem(NO_RELEASE, f"no release {sequence} of app {of.app} on channel {of.channel}")
    return release


def parse_sequence(text: str) -> int:
    """Return a sequence as clients write it. Raises Problem 400."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_SEQUENCE_DIGITS):
        raise Problem(SEQUENCE, f"{text[:40]!r} is not a number of at most {_MAX_SEQUENCE_DIGITS} digits")
    return int(text)


def page_after(request: Request) -> AppChannel | None:
    """Return the app and channel after which a page begins. Raises Problem 400."""
    text = request.query_params.get("after")
    if text is None:
        return None
    app, _, channel = text.partition("/")
    try:
        return AppChannel(check_name(app, "after"), check_name(channel, "after"))
    except FormatError as error:
        raise Problem(PAGE, str(error)) from error


def named_attachment(request: Request) -> str:
    """Return the name of an attachment in a path. Raises Problem 400."""
    return _named(request, "name")


def no_attachment(name: str, of: str) -> Problem:
    """Return the problem for an attachment that is not there. of: what it is not one of."""
    return Problem(NO_ATTACHMENT, f"{of} has no attachment {name}")


def _named(request: Request, parameter: str) -> str:
    try:
        return check_name(request.path_params[parameter], parameter)
    except FormatError as error:
        raise Problem(NAME, str(error)) from error


def check_token(request: Request, right: Right, *, app: str | None = None) -> Token | None:
    """Return the token that a request shows, where it takes one. app: what it is about, once that is known.

    Raises Problem 401 where it shows none that is known, 403 where it shows one without that right over that app,
    or the server has none with it.
    """
    tokens = server_state(request).admission.tokens
    if right in tokens.unguarded:
        return None
    if not any(right in one.rights for one in tokens.known):
        raise Problem(NO_TOKEN, f"no token of this server may {right.phrase}")
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    token = tokens.find(shown.encode("latin-1"))  # as it came
    if token is None or scheme.lower() != "bearer":
        raise Problem(TOKEN, "the bearer token is missing or wrong", headers={"WWW-Authenticate": "Bearer"})
    if not token.may(right, app):
        over = f" {app}" if right in token.rights else ""
        raise Problem(FORBIDDEN, f"token {token.name} may not {right.phrase}{over}")
    return token
