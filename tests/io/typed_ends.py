"""Never run: mypy --strict reads it, and refuses it where one of these is no source or no sink."""

import io

from capseal.client import Connection, RangeSource, open_release
from capseal.io.memory import Placed
from capseal.io.sink import FileSink, Lender, Sink, StreamSink
from capseal.io.source import FileSource, Source, StreamSource

FILE: Source = FileSource(0, "name", close=lambda: None)
STREAM: Source = StreamSource(io.BytesIO(), "name", close=lambda: None)
REMOTE: Source = RangeSource(Connection("https://example.com"), "/payload", 1)
PLACED: Placed = FileSource(0, "name", close=lambda: None)

with open_release("https://example.com", app="app", channel="production") as (_, payload):
    RELEASE: Source = payload

TO_FILE: Sink = FileSink("out")
TO_STREAM: Sink = StreamSink(io.BytesIO())
LENDER: Lender = FileSink("out")
