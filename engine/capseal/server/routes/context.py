"""What every request may use, and how names in a path become things."""

import hmac
from dataclasses import dataclass, field
from logging import Logger

from starlette.requests import Request

from ...errors import FormatError
from ...format.strictjson import check_name
from ...http.problems import NAME, NO_RELEASE, NO_TOKEN, SEQUENCE, TOKEN
from ..catalogue.receiving import PartBuffers
from ..catalogue.releases import Catalogue
from ..limits import Limits
from ..metrics import Metrics
from ..problems import Problem
from ..storage.records import Place, Release

_MAX_SEQUENCE_DIGITS = 16


@dataclass(slots=True, kw_only=True)
class ServerState:
    """Lives as long as the application. token: what a publisher must show, or None."""

    catalogue: Catalogue
    limits: Limits
    metrics: Metrics
    log: Logger
    buffers: PartBuffers
    verify_reads: bool
    token: str | None = field(repr=False)


def app_state(request: Request) -> ServerState:
    """Return the state of the application that serves a request."""
    state: ServerState = request.app.state.server
    return state


def named_place(request: Request) -> Place:
    """Return the app and channel of a path. Raises Problem 400."""
    try:
        return (
            check_name(request.path_params["app"], "app"),
            check_name(request.path_params["channel"], "channel"),
        )
    except FormatError as error:
        raise Problem(NAME, str(error)) from error


def named_release(request: Request) -> Release:
    """Return the release of a path. Raises Problem 400, 404."""
    place = named_place(request)
    text = request.path_params["sequence"]
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_SEQUENCE_DIGITS):
        raise Problem(SEQUENCE, f"{text[:40]!r} is not a number of at most 16 digits")
    release = app_state(request).catalogue.release(place, int(text))
    if release is None:
        raise Problem(NO_RELEASE, f"no release {text} of app {place[0]} on channel {place[1]}")
    return release


def check_token(request: Request, *, demanded: bool) -> None:
    """Raise Problem 401 unless the request shows the publisher's token.

    demanded: what no signature authorises; refused with 403 where the server has no token.
    """
    token = app_state(request).token
    if token is None:
        if demanded:
            raise Problem(NO_TOKEN, "this server was started without a token file")
        return
    shown = request.headers.get("authorization", "")
    if not hmac.compare_digest(shown.encode(), f"Bearer {token}".encode()):
        raise Problem(
            TOKEN,
            "the bearer token is missing or wrong",
            headers={"WWW-Authenticate": "Bearer"},
        )
