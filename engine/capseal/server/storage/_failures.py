"""What obstore and the system raise, told as this house does."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import AlreadyExistsError, BaseError, NotModifiedError, PreconditionError

from ...errors import TransferError

_CAUSE = re.compile(r'\bmessage: "((?:[^"\\]|\\.)*)"|\b(TimedOut)\b')


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
    """Return the first line of an error and what caused it: obstore tells that below, in Rust's notation, alone."""
    told = str(error)
    first = told.partition("\n")[0]
    causes = [message or "timed out" for message, _ in _CAUSE.findall(told)]
    return f"{first}: {causes[-1]}" if causes and causes[-1] not in first else first
