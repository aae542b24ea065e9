"""Release logs for tests."""

import os
from datetime import datetime

from capseal import Seal, Signer
from capseal.project._log_writer import writing
from capseal.project.log import Entry


def append_entry(path: str | os.PathLike[str], seal: Seal, *, signer: Signer, now: datetime) -> Entry:
    """Add a release that came about to a log; return the entry."""
    with writing(path) as log:
        entry = log.prepare(seal, signer=signer, now=now)
        log.count()
    return entry
