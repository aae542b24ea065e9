"""Whoever seals how much of it, and wherever to: payload, index and digest are those of plain sealing."""

import os
import random
from pathlib import Path

import pytest

import capseal
from capseal import fleet
from capseal.bundle.verify import inspect
from capseal.constants import HEADER_BYTES, SEGMENT_BYTES
from capseal.fleet import Engine
from capseal.format.segment_layout import FIRST_PLAIN_BYTES, plain_offset
from fleet.conftest import BUCKET, Keys, Plain

EDGES = sorted(
    {0, 1, 4040, 4041, HEADER_BYTES}
    | {FIRST_PLAIN_BYTES + d for d in (-1, 0, 1)}
    | {plain_offset(3) + d for d in (-1, 0, 1)}
    | {plain_offset(5) + d for d in (-1, 0, 1)}
)
CONTENT = random.Random(4).randbytes(plain_offset(40) + 7)


def source_of(folder: Path, size: int) -> Path:
    path = folder / "content.bin"
    path.write_bytes(CONTENT[:size])
    return path


def parts_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != "seal")


def check_same(sealed: fleet.Sealed, payload: bytes, plain: Plain) -> None:
    assert payload == plain.payload
    assert sealed.seal is not None
    assert sealed.seal.index == plain.seal.index
    assert sealed.seal.statement.payload == plain.seal.statement.payload
    assert sealed.seal.statement.encryption.commitment == plain.seal.statement.encryption.commitment
    assert sealed.seal.statement.content == plain.seal.statement.content


@pytest.mark.parametrize("size", EDGES)
def test_every_edge_comes_out_as_by_plain_sealing(tmp_path: Path, keys: Keys, engine: Engine, size: int) -> None:
    source = source_of(tmp_path, size)
    plain = keys.plain(source)
    sizes = {"task_bytes": 2 * SEGMENT_BYTES, "part_bytes": 2 * SEGMENT_BYTES}
    sealed = keys.seal(source, tmp_path / "out.sealed", engine, **sizes)
    assert sealed.seal is not None
    whole = (tmp_path / "out.sealed").read_bytes()
    start = len(sealed.seal.encode())
    assert whole[:start] == sealed.seal.encode()
    check_same(sealed, whole[start:], plain)
    assert capseal.verify(tmp_path / "out.sealed", trust=keys.trust).seal == sealed.seal
    opened = fleet.unseal(
        str(tmp_path / "out.sealed"),
        str(tmp_path / "opened"),
        identity=keys.recipient,
        trust=keys.trust,
        engine=engine,
        task_bytes=SEGMENT_BYTES,
    )
    assert opened.verified.seal == sealed.seal
    assert (tmp_path / "opened").read_bytes() == CONTENT[:size]
    assert sorted(os.listdir(tmp_path)) == sorted(
        ["content.bin", "content.payload", "content.seal", "opened", "out.sealed"]
        + ([".capseal-claims"] if engine.shared else [])
    )


@pytest.mark.parametrize("task_segments", [16, 17, 32, 512])
@pytest.mark.parametrize("part_segments", [1, 16, 128])
def test_every_size_of_tasks_and_parts_gives_the_same(
    tmp_path: Path, keys: Keys, engines: dict[str, Engine], task_segments: int, part_segments: int
) -> None:
    source = source_of(tmp_path, len(CONTENT))
    plain = keys.plain(source)
    sizes = {"task_bytes": task_segments * SEGMENT_BYTES, "part_bytes": part_segments * SEGMENT_BYTES}
    for name in ("threads", "two workers"):
        folder = tmp_path / name
        sealed = keys.seal(source, f"file://{folder}", engines[name], **sizes, claims=str(tmp_path / f"{name} claims"))
        (of_commitment,) = folder.iterdir()
        assert of_commitment.name == plain.seal.statement.encryption.commitment.hex()
        check_same(sealed, b"".join(path.read_bytes() for path in parts_in(of_commitment)), plain)
        place = f"file://{of_commitment}"
        assert fleet.verify(place, trust=keys.trust, engine=engines[name]).verified.seal == sealed.seal


def test_a_bucket_gives_and_takes_the_same(tmp_path: Path, keys: Keys, engine: Engine, s3: str) -> None:
    from obstore.store import from_url

    bucket = from_url(f"s3://{BUCKET}/{engine.name}-{tmp_path.name}")
    bucket.put("content.bin", CONTENT)
    source = source_of(tmp_path, len(CONTENT))
    plain = keys.plain(source)
    base = f"s3://{BUCKET}/{engine.name}-{tmp_path.name}"
    sealed = keys.seal(f"{base}/content.bin", f"{base}/sealed", engine, task_bytes=16 * SEGMENT_BYTES)
    assert sealed.report.place == f"{base}/sealed/{plain.seal.statement.encryption.commitment.hex()}"
    assert sealed.report.warnings == ()
    store = from_url(sealed.report.place)
    names = sorted(meta["path"] for page in store.list() for meta in page)
    assert names == ["0000000000-16", "0000000016-16", "0000000032-09", "seal"]
    check_same(sealed, b"".join(bytes(store.get(name).bytes()) for name in names[:-1]), plain)
    assert bytes(store.get("seal").bytes()) == sealed.seal.encode()
    fleet.unseal(sealed.report.place, str(tmp_path / "out"), identity=keys.recipient, trust=keys.trust, engine=engine)
    assert (tmp_path / "out").read_bytes() == CONTENT


def test_an_attached_bundle_in_a_bucket_is_verified_by_ranges(
    tmp_path: Path, keys: Keys, engine: Engine, s3: str
) -> None:
    from obstore.store import from_url

    source = source_of(tmp_path, len(CONTENT))
    with fleet.threads(1) as one:
        keys.seal(source, tmp_path / "x.sealed", one)
    name = f"{engine.name}-{tmp_path.name}.sealed"
    from_url(f"s3://{BUCKET}").put(name, (tmp_path / "x.sealed").read_bytes())
    opened = fleet.verify(f"s3://{BUCKET}/{name}", trust=keys.trust, engine=engine, task_bytes=16 * SEGMENT_BYTES)
    assert opened.verified.statement == inspect(tmp_path / "x.sealed")[1]
    assert opened.report.tasks == 3
