"""A sealed bundle that arrives as a stream: every byte of its payload checked before anything else is done with it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from ..bundle.opened import OpenedBundle
from ..bundle.pipeline import Progress
from ..io.sink import StreamSink
from ..io.source import open_source


@contextmanager
def spooled_payload(opened: OpenedBundle, *, staging: str, progress: Progress | None) -> Iterator[OpenedBundle]:
    """Check a payload as it arrives and give the bundle to unpack, under the same verdict.

    Only what was verified is written, to a file without a name in folder `staging` that goes when it is closed.
    Raises RejectedError, OSError, and what the stream raises.
    """
    with tempfile.TemporaryFile(dir=staging, buffering=0) as spool:
        # One thread: a stream is slower than that, and an error in it stops at once.
        opened.check_payload(sink=StreamSink(spool, name=staging), jobs=1, progress=progress)
        spool.seek(0)
        with OpenedBundle(open_source(spool), opened.verified) as whole:
            yield whole
