"""The name of a request, by which the logs of several programs are brought together."""

import random
import re
from contextvars import ContextVar

HEADER = b"x-request-id"

_WELL_FORMED = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:+/=-]{7,127}")

current: ContextVar[str | None] = ContextVar("capseal_request_id", default=None)
"""That of the request that is being answered."""


def request_id_of(headers: list[tuple[bytes, bytes]]) -> str:
    """Return the id that came with a request, where it is one and well-formed, or a new one."""
    came = [value for name, value in headers if name == HEADER]
    if len(came) == 1 and _WELL_FORMED.fullmatch(came[0]):
        return came[0].decode()
    return f"{random.getrandbits(128):032x}"  # nothing secret: no system call for it
