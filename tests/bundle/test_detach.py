"""split() and join(): attached <-> detached, byte for byte."""

import io
from pathlib import Path

import pytest

import capseal
from capseal import Detached, FormatError, TamperedError, TruncatedError, UsageError
from capseal.constants import MAGIC, SEGMENT_BYTES

SIZES = [0, 1, SEGMENT_BYTES - 56, SEGMENT_BYTES - 55, 3 * SEGMENT_BYTES + 1]


def split(bundle: bytes, folder: Path) -> tuple[bytes, bytes]:
    capseal.split(io.BytesIO(bundle), Detached(folder / "seal", folder / "payload"))
    return (folder / "seal").read_bytes(), (folder / "payload").read_bytes()


@pytest.mark.parametrize("size", SIZES)
def test_split_gives_two_files_whose_concatenation_is_the_bundle(size, tmp_path, seal_bytes, trust):
    bundle = seal_bytes(bytes(size))
    seal, payload = split(bundle, tmp_path)
    assert seal + payload == bundle
    assert len(seal) % 4096 == 0
    capseal.verify(tmp_path / "payload", seal=tmp_path / "seal", trust=trust)


@pytest.mark.parametrize("size", SIZES)
def test_join_undoes_split(size, tmp_path, seal_bytes):
    bundle = seal_bytes(bytes(size))
    split(bundle, tmp_path)
    capseal.join(tmp_path / "payload", tmp_path / "joined", seal=tmp_path / "seal")
    assert (tmp_path / "joined").read_bytes() == bundle


def test_split_and_join_work_on_streams_that_cannot_seek(tmp_path, seal_bytes):
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    bundle = seal_bytes(bytes(2_000_000))
    capseal.split(Stream(bundle), Detached(tmp_path / "seal", tmp_path / "payload"))
    output = Stream()
    with open(tmp_path / "payload", "rb") as payload:
        capseal.join(Stream(payload.read()), output, seal=tmp_path / "seal")
    assert output.getvalue() == bundle


def test_progress_counts_every_payload_byte(tmp_path, seal_bytes):
    counts: list[int] = []
    bundle = seal_bytes(bytes(3_000_000))
    seal = capseal.split(io.BytesIO(bundle), Detached(tmp_path / "seal", tmp_path / "payload"), progress=counts.append)
    assert sum(counts) == seal.statement.payload.size


@pytest.mark.parametrize("change", ["truncated", "extended"])
def test_split_refuses_a_payload_of_another_size_and_leaves_nothing(change, tmp_path, seal_bytes):
    bundle = seal_bytes(b"x" * 1000)
    bad = bundle[:-1] if change == "truncated" else bundle + b"x"
    with pytest.raises(TruncatedError):
        split(bad, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_split_refuses_a_stream_that_goes_on_after_the_payload_and_leaves_nothing(tmp_path, seal_bytes):
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(TruncatedError, match="goes on after its end"):
        capseal.split(Stream(seal_bytes(b"x" * 1000) + b"x"), Detached(tmp_path / "seal", tmp_path / "payload"))
    assert list(tmp_path.iterdir()) == []


def test_split_refuses_a_seal_whose_index_is_not_the_signed_one(tmp_path, seal_bytes):
    bundle = bytearray(seal_bytes(b"x" * 1000))
    envelope_bytes = int.from_bytes(bundle[len(MAGIC) : len(MAGIC) + 4], "big")
    bundle[len(MAGIC) + 4 + envelope_bytes] ^= 1
    with pytest.raises(TamperedError):
        split(bytes(bundle), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_join_refuses_a_payload_that_does_not_fit_and_leaves_nothing(tmp_path, seal_bytes):
    seal, _ = split(seal_bytes(b"x" * 1000), tmp_path)
    for payload in (b"", bytes(3), bytes(5000)):
        with pytest.raises(TruncatedError):
            capseal.join(io.BytesIO(payload), tmp_path / "joined", seal=io.BytesIO(seal))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["payload", "seal"]


def test_join_refuses_a_seal_file_that_goes_on_after_its_end(tmp_path, seal_bytes):
    seal, payload = split(seal_bytes(b"x" * 1000), tmp_path)
    with pytest.raises(TruncatedError):
        capseal.join(io.BytesIO(payload), tmp_path / "joined", seal=io.BytesIO(seal + bytes(4096)))


def test_split_of_something_else_is_a_format_error(tmp_path):
    with pytest.raises(FormatError):
        split(b"PK\x03\x04" * 1000, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("existing", ["seal", "payload"])
def test_split_never_replaces_a_file_unless_told_to(existing, tmp_path, seal_bytes):
    bundle = seal_bytes(b"x" * 1000)
    (tmp_path / existing).write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        split(bundle, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [existing]
    assert (tmp_path / existing).read_bytes() == b"mine"
    capseal.split(io.BytesIO(bundle), Detached(tmp_path / "seal", tmp_path / "payload"), overwrite=True)
    assert (tmp_path / "seal").read_bytes() + (tmp_path / "payload").read_bytes() == bundle


def test_seal_and_payload_cannot_be_one_file(tmp_path):
    with pytest.raises(UsageError, match="cannot be the same file"):
        Detached(tmp_path / "x", f"{tmp_path}/./x")
