"""A store with many releases, written as a server writes it, but without one; and defects planted in it."""

import hashlib
import io
import os
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import capseal
from capseal import Detached, PrivateKey
from capseal.bundle.seal import Companion
from capseal.constants import SEGMENT_BYTES
from capseal.format.strictjson import shown_time
from capseal.format.tree import digest, index_entries, segment_count
from capseal.http.shapes import AppChannel, PayloadDescription, ReleaseDescription
from capseal.server.storage import layout
from capseal.server.storage.pointers import ChannelPointer, Entries, Entry
from capseal.server.storage.records import ReleaseRecord, StoredCompanion
from capseal.server.storage.stored_runs import StoredRun
from capseal.trust.expect import Succession

OF = AppChannel("com.example.game", "production")
CREATED = datetime(2026, 1, 2, tzinfo=UTC)
COMPANION = "recipe"


@dataclass(frozen=True)
class Release:
    """What lies where. runs, companion_runs, index: paths below the store."""

    record: str
    seal: str
    runs: list[str]
    companion_runs: list[str]
    index: str


def make_store(folder: Path, signer: PrivateKey, recipient: PrivateKey, *, releases: int) -> list[Release]:
    """Write a store. The payload of every release has some runs, and a companion lies beside it."""
    rng = random.Random(10)
    folder.mkdir()
    (folder / layout.LAYOUT).write_bytes(b'{"type":"capseal-store-v2"}')
    made, entries = [], []
    for sequence in range(1, releases + 1):
        release, entry = _release(folder, signer, recipient, sequence, rng)
        made.append(release)
        entries.append(entry)
    trusted = Succession(0, releases, shown_time(CREATED))
    pointer = ChannelPointer(OF, revision=releases, trusted=trusted, entries=Entries(entries))
    _write(folder, pointer.path, pointer.encode())
    return made


def _release(
    folder: Path, signer: PrivateKey, recipient: PrivateKey, sequence: int, rng: random.Random
) -> tuple[Release, Entry]:
    content = rng.randbytes(300)
    beside = rng.randbytes(200)
    companion_index = index_entries(memoryview(beside), whole_payload=True)
    companion = Companion(COMPANION, "application/octet-stream", len(beside), digest(companion_index, len(beside)))
    pair = Detached(folder / "making.seal", folder / "making.payload")
    sealed = capseal.seal(
        io.BytesIO(content if sequence % 50 else rng.randbytes(2 * SEGMENT_BYTES)),
        pair,
        signer=signer,
        recipients=[recipient.public_key],
        app=OF.app,
        version=str(sequence),
        sequence=sequence,
        name="content",
        created=CREATED,
        companions=[companion],
        overwrite=True,
        unpackable=False,
        jobs=1,
    )
    seal, payload = Path(pair.seal).read_bytes(), Path(pair.payload).read_bytes()
    Path(pair.seal).unlink()
    Path(pair.payload).unlink()
    runs = [StoredRun(n, 1, f"{rng.getrandbits(64):016x}") for n in range(segment_count(len(payload)))]
    beside_run = StoredRun(0, 1, f"{rng.getrandbits(64):016x}")
    mark = f"{rng.getrandbits(64):016x}"
    name = hashlib.sha256(seal).hexdigest()
    described = ReleaseDescription.of(
        sealed.statement,
        {COMPANION: PayloadDescription(len(beside), companion.digest.hex())},
        published=CREATED,
        seal_bytes=len(seal),
        seal_digest=name,
        signers=(signer.public_key.fingerprint,),
    )
    record = ReleaseRecord(described, mark, tuple(runs), {COMPANION: StoredCompanion((beside_run,), mark)})
    for run in runs:
        start = run.first * SEGMENT_BYTES
        _write(folder, run.path(record.payload.digest), payload[start : start + SEGMENT_BYTES])
    _write(folder, beside_run.path(companion.digest.hex()), beside)
    _write(folder, record.index_path(COMPANION), companion_index)
    _write(folder, record.seal_path, seal)
    _write(folder, record.path, record.encode())
    release = Release(
        record.path,
        record.seal_path,
        record.payload.paths,
        record.companions[COMPANION].paths,
        record.index_path(COMPANION),
    )
    return release, Entry(sequence, name, mark, described.published, None)


def _write(folder: Path, path: str, data: bytes) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(data)


def flip(path: Path) -> None:
    """Alter one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def plant(folder: Path, releases: list[Release]) -> set[tuple[str, str]]:
    """Plant two defects of each kind, each in a release of its own; return what a scrub has to find: kind and path."""
    left = iter(releases)
    wanted: set[tuple[str, str]] = set()
    for number in range(2):
        flipped = next(left).runs[0]
        flip(folder / flipped)
        missing = next(left).runs[0]
        (folder / missing).unlink()
        short, long = next(left).runs[0], next(left).runs[0]
        (folder / short).write_bytes((folder / short).read_bytes()[:-1])
        (folder / long).write_bytes((folder / long).read_bytes() + b"\0")
        extra = f"{next(left).runs[0][:-16]}{number:016x}"
        _write(folder, extra, b"extra")
        index, seal, companion, record = (
            next(left).index,
            next(left).seal,
            next(left).companion_runs[0],
            next(left).record,
        )
        for path in (index, seal, companion, record):
            flip(folder / path)
        lost = next(left).index
        (folder / lost).unlink()
        orphans = [
            layout.run_object(f"{number:064x}", 0, 1, "0" * 16),
            layout.release_object(OF, 1, f"{number:016x}", layout.SEAL),
        ]
        for path in orphans:
            _write(folder, path, b"orphan")
        moved, host = next(left).runs[0], next(left).runs[0]
        strange = f"{host.rpartition('/')[0]}/{moved.rpartition('/')[2]}"
        (folder / moved).rename(folder / strange)
        nowhere = f"payloads/{number:03d}/0000000000-01-{'0' * 16}"
        _write(folder, nowhere, b"nowhere")
        wanted |= {
            ("damaged", flipped),
            ("missing", missing),
            ("size", short),
            ("size", long),
            ("extra", extra),
            ("index", index),
            ("index", lost),
            ("seal", seal),
            ("damaged", companion),
            ("record", record),
            *(("orphan", path) for path in orphans),
            ("missing", moved),
            ("extra", strange),
            ("misplaced", nowhere),
        }
    return wanted


def plant_special(path: Path, what: str, elsewhere: Path) -> None:
    """Put what is no file in place of one: a link to its bytes elsewhere, a pipe, or a folder."""
    elsewhere.write_bytes(path.read_bytes())
    path.unlink()
    if what == "link":
        path.symlink_to(elsewhere)
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
