"""What a source was when the job began, it is to the end; and no segment leaves in two versions under one key."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from capseal import fleet
from capseal.constants import SEGMENT_BYTES
from capseal.crypto.segment_cipher import Header, StreamKey
from capseal.errors import CapsealError, FormatError, SourceChangedError, TamperedError, UsageError
from capseal.fleet import Engine
from capseal.fleet import _sealing as sealing
from capseal.fleet._claims import CLOSED, ClaimsInMemory, ClaimsInStore
from capseal.fleet._outputs import Parts
from capseal.fleet._places import get, get_all, put_new, size_of, split
from capseal.fleet._plan import Span
from capseal.fleet._sources import PinnedFile, PinnedObject
from capseal.fleet._work import SealWork, seal_span
from capseal.format.segment_layout import plain_offset
from fleet.conftest import BUCKET, Keys
from support.large_store import plant_special

HEADER = Header(bytes(32), bytes(7))
KEY = StreamKey(bytes(32))
SIZE = plain_offset(4)


@pytest.mark.parametrize("planted", ["link", "pipe", "folder"])
def test_what_is_no_file_is_neither_read_nor_waited_for(tmp_path: Path, planted: str) -> None:
    folder = str(tmp_path)
    (tmp_path / "x").write_bytes(b"abc")
    assert (bytes(get(folder, "x", 1, 9)), get_all(folder, "x"), get_all(folder, "y")) == (b"bc", b"abc", None)
    assert (size_of(folder, "x"), size_of(folder, "y"), size_of(f"{folder}/z", "x")) == (3, None, None)
    plant_special(tmp_path / "x", planted, tmp_path / "elsewhere")
    for look in (
        lambda: get(folder, "x", 0, 1),
        lambda: get_all(f"file://{folder}", "x"),
        lambda: size_of(folder, "x"),
        lambda: put_new(folder, "x", memoryview(b"abc")),
    ):
        with pytest.raises(FormatError, match=r"symbolic link|no file"):
            look()


def test_what_was_there_before_is_read_only_where_its_size_is_about_that_of_what_is_put(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abcd")
    assert put_new(str(tmp_path), "x", memoryview(b"abc")) == b"abcd"
    os.truncate(tmp_path / "x", 64 * 1024**2)
    with pytest.raises(FormatError, match="67108864 bytes"):
        put_new(str(tmp_path), "x", memoryview(b"abc"))


class Recording:
    """A destination that remembers every byte that was sent to it, and refuses what it has."""

    part_segments = 2

    def __init__(self) -> None:
        self.seen: list[tuple[Span, bytes]] = []
        self.kept: dict[Span, bytes] = {}

    def put(self, span: Span, data: memoryview, start: int) -> bytes | None:
        self.seen.append((span, bytes(data)))
        there = self.kept.get(span)
        self.kept.setdefault(span, bytes(data))
        return there


def shared(executor: ThreadPoolExecutor) -> Engine:
    """Threads that claim as processes of a cluster do."""
    return Engine("threads", executor, True, lambda: 2)


def bypass(pinned: PinnedFile) -> PinnedFile:
    """Return a pin that takes a file for what it was."""
    found = os.stat(pinned.name)
    return replace(pinned, stamp=(found.st_ino, found.st_size, found.st_mtime_ns))


@pytest.fixture(params=["memory", "store"])
def claims(request: pytest.FixtureRequest, tmp_path: Path) -> ClaimsInMemory | ClaimsInStore:
    return ClaimsInMemory() if request.param == "memory" else ClaimsInStore(str(tmp_path / "claims"))


def test_a_destination_never_sees_two_ciphertexts_of_a_segment(
    tmp_path: Path, claims: ClaimsInMemory | ClaimsInStore
) -> None:
    source = tmp_path / "content"
    source.write_bytes(b"a" * SIZE)
    pinned = PinnedFile.of(str(source))
    output = Recording()
    seal_span(SealWork(pinned, output, claims, HEADER.encode(), KEY), Span(0, 4))
    # The second half changes, and the pin is led astray: what was claimed is what stands against it.
    source.write_bytes(b"a" * (SIZE - 1) + b"b")
    work = SealWork(bypass(pinned), output, claims, HEADER.encode(), KEY)
    with pytest.raises(CapsealError) as caught:
        seal_span(work, Span(0, 4))
    sent = {span: {data for at, data in output.seen if at == span} for span in output.kept}
    assert {span: len(versions) for span, versions in sent.items()} == {Span(0, 2): 1, Span(2, 2): 1}
    assert isinstance(caught.value, SourceChangedError)


def test_a_destination_that_denies_what_it_has_sees_no_second_ciphertext_either(
    tmp_path: Path, claims: ClaimsInMemory | ClaimsInStore
) -> None:
    source = tmp_path / "content"
    source.write_bytes(b"a" * SIZE)
    pinned = PinnedFile.of(str(source))
    output = Recording()
    seal_span(SealWork(pinned, output, claims, HEADER.encode(), KEY), Span(0, 2))
    output.kept.clear()
    source.write_bytes(b"b" * SIZE)
    with pytest.raises(SourceChangedError):
        seal_span(SealWork(bypass(pinned), output, claims, HEADER.encode(), KEY), Span(0, 2))
    assert len(output.seen) == 1


def test_nothing_is_sent_before_it_is_claimed(tmp_path: Path) -> None:
    order = []

    class Telling(ClaimsInMemory):
        def claim(self, name: str, what: bytes) -> None:
            order.append(f"claim {name}")

    class Sent(Recording):
        def put(self, span: Span, data: memoryview, start: int) -> bytes | None:
            order.append(f"put {span.part_name}")
            return None

    (tmp_path / "content").write_bytes(b"a" * SIZE)
    pinned = PinnedFile.of(str(tmp_path / "content"))
    seal_span(SealWork(pinned, Sent(), Telling(), HEADER.encode(), KEY), Span(0, 4))
    assert order == [f"{what} {name}" for name in ("0000000000-02", "0000000002-02") for what in ("claim", "put")]


def test_a_claim_also_says_how_long_a_part_is(tmp_path: Path) -> None:
    # The tree fills a last block with zeros: two ciphertexts of different lengths may have one index.
    claims = ClaimsInMemory()
    claims.claim("0", (5).to_bytes(8, "big") + bytes(32))
    with pytest.raises(SourceChangedError):
        claims.claim("0", (6).to_bytes(8, "big") + bytes(32))


def test_a_folder_of_claims_has_one_size_of_parts(tmp_path: Path, keys: Keys) -> None:
    (tmp_path / "content").write_bytes(b"a" * SIZE)
    with ThreadPoolExecutor(2) as executor:
        for part, changed in ((2, False), (4, True)):
            settings = {"part_bytes": part * SEGMENT_BYTES, "overwrite": True}
            if changed:
                with pytest.raises(SourceChangedError, match="part-segments"):
                    keys.seal(tmp_path / "content", tmp_path / "out", shared(executor), **settings)
            else:
                keys.seal(tmp_path / "content", tmp_path / "out", shared(executor), **settings)


def test_claims_lie_beside_the_source_and_never_at_the_destination(tmp_path: Path, keys: Keys) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "content").write_bytes(b"a" * SIZE)
    with ThreadPoolExecutor(2) as executor:
        keys.seal(tmp_path / "in" / "content", f"file://{tmp_path}/out", shared(executor))
    claimed = sorted(path.name for path in (tmp_path / "in" / sealing.CLAIMS_FOLDER).rglob("*") if path.is_file())
    assert claimed == ["0000000000-04", "part-segments", "sealed"]
    assert sorted(path.name for path in (tmp_path / "out").rglob("*") if path.is_file()) == ["0000000000-04", "seal"]


@pytest.mark.parametrize("how", ["grows", "shrinks", "same size"])
def test_a_file_that_changes_half_way_ends_the_job_and_leaves_nothing(tmp_path: Path, keys: Keys, how: str) -> None:
    source = tmp_path / "content"
    source.write_bytes(b"a" * SIZE)
    after = {"grows": b"b" * (SIZE + 1), "shrinks": b"b" * (SIZE - 1), "same size": b"b" * SIZE}[how]

    def change(progress: fleet.Progress) -> None:
        if progress.done_tasks == 1:
            source.write_bytes(after)

    with ThreadPoolExecutor(1) as executor:
        engine = Engine("threads", executor, True, lambda: 1)
        sizes = {"task_bytes": SEGMENT_BYTES, "part_bytes": SEGMENT_BYTES}
        for place in (str(tmp_path / "out.sealed"), f"file://{tmp_path}/out"):
            source.write_bytes(b"a" * SIZE)
            with pytest.raises(SourceChangedError):
                keys.seal(
                    source, place, engine, watch=fleet.Watch(report=change), **sizes, claims=f"{tmp_path}/{place[:4]}"
                )
    assert not (tmp_path / "out.sealed").exists()
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []
    # What was claimed stays, and closes what a task that was thought dead may do yet.
    (folder,) = (tmp_path / "file").iterdir()
    assert {path.name for path in folder.iterdir()} >= {"0000000000-01", CLOSED, "part-segments"}


def test_a_task_of_a_job_that_was_given_up_sends_nothing(tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(b"a" * SIZE)
    claims, output = ClaimsInStore(str(tmp_path / "claims")), Recording()
    claims.close()
    work = SealWork(PinnedFile.of(str(tmp_path / "content")), output, claims, HEADER.encode(), KEY)
    with pytest.raises(SourceChangedError, match="given up"):
        seal_span(work, Span(0, 2))
    assert output.seen == []


def test_a_destination_that_holds_something_else_is_told(tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(b"a" * SIZE)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "0000000000-02").write_bytes(b"planted")
    pinned = PinnedFile.of(str(tmp_path / "content"))
    work = SealWork(pinned, Parts(str(tmp_path / "out"), 2), ClaimsInMemory(), HEADER.encode(), KEY)
    with pytest.raises(TamperedError, match="holds other bytes"):
        seal_span(work, Span(0, 2))
    assert (tmp_path / "out" / "0000000000-02").read_bytes() == b"planted"


def test_a_second_try_of_a_task_finds_its_own_parts(tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(b"a" * SIZE)
    pinned = PinnedFile.of(str(tmp_path / "content"))
    claims = ClaimsInStore(str(tmp_path / "claims"))
    work = SealWork(pinned, Parts(str(tmp_path / "out"), 2), claims, HEADER.encode(), KEY)
    assert len({seal_span(work, Span(0, 4)) for _ in range(4)}) == 1


def test_an_object_is_pinned_by_its_entity_tag(s3: str, tmp_path: Path) -> None:
    from obstore.store import from_url

    bucket = from_url(f"s3://{BUCKET}/{tmp_path.name}")
    bucket.put("content", b"a" * 100)
    pinned = PinnedObject.of(f"s3://{BUCKET}/{tmp_path.name}/content")
    assert bytes(pinned.from_offset(10).read(5, memoryview(bytearray(7)))) == b"a" * 7
    bucket.put("content", b"b" * 100)
    with pytest.raises(SourceChangedError):
        pinned.read(0, memoryview(bytearray(5)))
    with pytest.raises(SourceChangedError):
        pinned.check()
    bucket.delete("content")
    with pytest.raises(SourceChangedError):
        pinned.check()


def test_a_store_that_ignores_conditions_is_found_out(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import obstore
    from obstore.store import from_url

    bucket = from_url(f"s3://{BUCKET}/{tmp_path.name}")
    bucket.put("content", b"a" * 100)
    pinned = PinnedObject.of(f"s3://{BUCKET}/{tmp_path.name}/content")
    bucket.put("content", b"b" * 100)
    honest: Callable[..., Any] = obstore.get

    def deaf(store: object, path: str, *, options: dict[str, Any]) -> Any:
        return honest(store, path, options={"range": options["range"]})

    monkeypatch.setattr(obstore, "get", deaf)
    with pytest.raises(SourceChangedError):
        pinned.read(0, memoryview(bytearray(5)))


def test_a_source_that_nobody_can_pin_is_refused(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import obstore

    monkeypatch.setattr(obstore, "head", lambda *_: {"size": 5, "e_tag": None, "version": None})
    with pytest.raises(UsageError, match="cannot be pinned"):
        PinnedObject.of(f"s3://{BUCKET}/content")
    with pytest.raises(UsageError, match="not a regular file"):
        PinnedFile.of(str(tmp_path))
    for place in ("s3://bucket", "s3://bucket/", "s3://bucket/folder/"):
        with pytest.raises(UsageError):
            split(place)


def test_a_file_whose_time_changed_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(b"a" * 10)
    pinned = PinnedFile.of(str(path))
    assert bytes(pinned.read(2, memoryview(bytearray(3)))) == b"aaa"
    with path.open("r+b") as file:
        file.write(b"b")
    os.utime(path, ns=(0, 1))
    with pytest.raises(SourceChangedError, match="changed since the job began"):
        pinned.read(2, memoryview(bytearray(3)))
    with pytest.raises(SourceChangedError):
        pinned.check()


def test_a_relative_path_is_of_the_folder_that_a_process_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "other"):
        (tmp_path / name / "store").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / name)
        assert put_new("store", "part", memoryview(name.encode())) is None
        assert bytes(get("store", "part", 0, len(name))) == name.encode()
        assert (tmp_path / name / "store" / "part").read_text() == name
