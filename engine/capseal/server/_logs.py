"""Structured logs: one JSON object a line. What goes in is chosen field by field; headers never do."""

import json
import logging
from datetime import UTC, datetime
from typing import TextIO

_MAX_TEXT = 500


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; `extra={"members": {...}}` adds members."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": _shortened(record.getMessage()),
            **getattr(record, "members", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _shortened(text: str) -> str:
    """Return text of at most _MAX_TEXT characters, from both ends: the end of a traceback is its cause."""
    if len(text) <= _MAX_TEXT:
        return text
    half = _MAX_TEXT // 2
    return f"{text[: half - 3]} ... {text[-half + 2 :]}"


def log_to(stream: TextIO) -> logging.Handler:
    """Return a handler that writes JSON lines."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    return handler
