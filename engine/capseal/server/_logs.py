"""Structured logs: JSON lines, or lines for people. What goes in is chosen field by field; headers never do."""

import json
import logging
from asyncio import CancelledError
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, TextIO

from . import _request_ids

_MAX_TEXT = 500
_ENCODER = json.JSONEncoder(default=str)  # json.dumps() would make one for each line


class LogFormat(StrEnum):
    """How a line looks. AUTO: for people where it goes to a terminal, JSON elsewhere."""

    AUTO = "auto"
    JSON = "json"
    TEXT = "text"


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; `extra={"members": {...}}` adds members."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": f"{_utc(int(record.created))}.{int(record.msecs):03d}+00:00",
            "level": record.levelname.lower(),
            "message": _shortened(record.getMessage()),
            **_members(record),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = self.formatException(record.exc_info)
        return _ENCODER.encode(line)


class TextFormatter(logging.Formatter):
    """Formats a record as a line for people, whose terminal nothing in it can control."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        members = " ".join(f"{name}={_plain(value)}" for name, value in _members(record).items())
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        line = f"{time} {level}{_printable(_shortened(record.getMessage()))} {members}".rstrip()
        if record.exc_info and record.exc_info[1] is not None:
            line += "\n" + "\n".join(map(_printable, self.formatException(record.exc_info).splitlines()))
        return line


@lru_cache(maxsize=2)
def _utc(second: int) -> str:
    """Return a second since 1970 as ISO 8601 writes it: the same for all lines of that second."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def told(error: BaseException) -> str:
    """Return what an error says and, of every error that it comes from, what that adds."""
    texts = [_text(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        text = _text(error)
        if not text and isinstance(error, TimeoutError | CancelledError):
            continue  # that time was up has been said
        text = text or type(error).__name__
        if text not in " ".join(texts[-1].split()):
            texts.append(text)
    return ": ".join(texts)


def _text(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror.lower()}"
    # Below what went wrong, obstore tells it again in Rust's notation; what only that says is in the error made of it.
    return " ".join(str(error).partition("\n\nDebug source:")[0].split())


def _members(record: logging.LogRecord) -> Mapping[str, Any]:
    members: Mapping[str, Any] = getattr(record, "members", {})
    request_id = _request_ids.current.get()
    return members if request_id is None else {**members, "request_id": request_id}


def _plain(value: Any) -> str:
    text = str(value)
    return text if text and text.isprintable() and not set(text) & set(' "=') else _ENCODER.encode(value)


def _printable(text: str) -> str:
    return text if text.isprintable() else json.dumps(text, ensure_ascii=False)[1:-1]


def _shortened(text: str) -> str:
    """Return text of at most _MAX_TEXT characters, from both ends: the end of a traceback is its cause."""
    if len(text) <= _MAX_TEXT:
        return text
    half = _MAX_TEXT // 2
    return f"{text[: half - 3]} ... {text[-half + 2 :]}"


def log_to(stream: TextIO, format: LogFormat = LogFormat.JSON) -> logging.Handler:
    """Return a handler that writes lines."""
    handler = logging.StreamHandler(stream)
    people = format is LogFormat.TEXT or (format is LogFormat.AUTO and stream.isatty())
    handler.setFormatter(TextFormatter() if people else JsonFormatter())
    return handler
