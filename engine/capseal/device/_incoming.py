"""A sealed bundle on its way in: every byte of its payload checked, where it lies or as it arrives."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ..bundle.opened import OpenedBundle
from ..bundle.pipeline import Progress
from ..errors import TamperedError, TruncatedError
from ..io.source import open_source


@contextmanager
def checked_payload(opened: OpenedBundle, *, staging: str, progress: Progress | None) -> Iterator[OpenedBundle]:
    """Check all of a payload and give the bundle to unpack, under the same verdict.

    A regular file is used where it is, through the handle that it was checked through: whoever reads it
    checks each segment again. Anything else is a stream, of which only what was verified is written, to a
    file without a name in folder `staging` that goes when it is closed. Raises RejectedError, OSError, what
    the stream raises, and SourceChangedError where a file was changed after it was checked.
    """
    if not opened.source.ordered:
        opened.check_payload(progress=progress)
        try:
            yield opened
        except (TamperedError, TruncatedError):
            opened.source.check_unchanged()  # what passed a moment ago and does not now
            raise
        return
    from ..io.sink import StreamSink  # here, since a file needs none

    with ExitStack() as stack:
        spool = stack.enter_context(tempfile.TemporaryFile(dir=staging, buffering=0))
        # One thread: a stream is slower than that, and an error in it stops at once.
        opened.check_payload(sink=StreamSink(spool), jobs=1, progress=progress)
        spool.seek(0)
        yield stack.enter_context(OpenedBundle(open_source(spool), opened.verified))
