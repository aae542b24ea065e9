"""A store that holds many releases, written without a server: what it costs to start, list and collect."""

import hashlib
import os
from pathlib import Path

_LONG_AGO = 1_600_000_000


def write(store: Path, *, channels: int, releases: int, app: str = "com.example.many") -> None:
    """Write so many channels of so many releases each into a folder, in which a server has made a store or will.

    Payloads have one byte and are not what their digests say: only names, records and pointers are looked at.
    """
    from capseal.format import strictjson
    from capseal.http.shapes import AppChannel, PayloadDescription, ReleaseDescription
    from capseal.server.catalogue._founding import LAYOUT_TYPE
    from capseal.server.storage import layout
    from capseal.server.storage.pointers import ChannelPointer, Entries, Entry
    from capseal.server.storage.records import ReleaseRecord
    from capseal.server.storage.stored_runs import StoredRun
    from capseal.trust.expect import Succession

    when = "2026-01-01T00:00:00Z"
    _put(store / layout.LAYOUT, strictjson.encode({"type": LAYOUT_TYPE}))
    for channel in range(channels):
        of = AppChannel(f"{app}{channel}", "production")
        entries = []
        for sequence in range(1, releases + 1):
            digest = hashlib.sha256(f"{of} {sequence}".encode()).hexdigest()
            mark, run = digest[:16], StoredRun(0, 1, digest[16:32])
            release = ReleaseDescription(
                app=of.app, channel=of.channel, sequence=sequence, version="1.0", created=when, published=when,
                withdrawn=None, content_name="www.zip", content_bytes=1, payload=PayloadDescription(1, digest),
                attachments={}, seal_bytes=1, seal_digest=digest, signers=(digest,),
            )  # fmt: skip
            record = ReleaseRecord(release, mark, (run,), {})
            _put(store / record.path, record.encode())
            _put(store / record.seal_path, b"x")
            _put(store / run.path(digest), b"x")
            entries.append(Entry(sequence, digest, mark, when, None))
        pointer = ChannelPointer(of, releases, Succession(releases, releases, when), Entries(entries))
        _put(store / pointer.path, pointer.encode())


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (_LONG_AGO, _LONG_AGO))  # older than any grace period: all of it is looked at
