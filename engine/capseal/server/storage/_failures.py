"""What obstore and the system raise, told as this house does."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import AlreadyExistsError, BaseError, NotModifiedError, PreconditionError

from ...errors import TransferError

_CAUSE = re.compile(r'\bmessage: "((?:[^"\\]|\\.)*)"|\b(TimedOut)\b')
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>")
_PLAIN_HTTP = "its endpoint is plain http, which the variable AWS_ALLOW_HTTP=true allows (AZURE_…, GOOGLE_…)"


@contextmanager
def failures(what: str) -> Iterator[None]:
    """Raise TransferError for whatever is none of the answers that a call asks for. what: was not to be done."""
    try:
        yield
    except (FileNotFoundError, AlreadyExistsError, NotModifiedError, PreconditionError):
        raise
    except (BaseError, OSError) as error:
        raise TransferError(f"storage: {what}: {_whole_text(error)}") from error


def _whole_text(error: Exception) -> str:
    """Return the first line of an error and what caused it, which obstore tells below, in XML or Rust's notation."""
    told = str(error)
    first = told.partition("\n")[0].partition("<?xml")[0].rstrip(": ")
    causes = [message or "timed out" for message, _ in _CAUSE.findall(told)]
    causes += _CODE.findall(told)[:1]
    if "BadScheme" in told:
        causes = [_PLAIN_HTTP]
    return f"{first}: {causes[-1]}" if causes and causes[-1] not in first else first
