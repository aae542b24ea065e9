"""Where bytes come from."""

import gzip
import io
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

import capseal
from capseal import SourceChangedError, UsageError
from capseal.archive.content import open_content
from capseal.io.source import FileSource, StreamSource, open_source


class Trickle(io.RawIOBase):
    """A stream that cannot seek and gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int = 7) -> None:
        self._data = io.BytesIO(data)
        self._step = step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        return self._data.readinto(memoryview(buffer)[: self._step])


def _read(source, offset: int, size: int) -> bytes:
    buffer = bytearray(size)
    return bytes(buffer[: source.read_into(offset, memoryview(buffer))])


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(bytes(range(256)))
    return path


def test_a_path_is_read_at_any_offset(path):
    source = open_source(path)
    assert isinstance(source, FileSource)
    assert (source.size, source.ordered, source.seekable, source.name) == (256, False, True, str(path))
    assert _read(source, 250, 100) == bytes(range(250, 256))
    assert _read(source, 3, 2) == b"\3\4"
    assert source.peek(5, 2) == b"\5\6"
    source.close()
    source.close()


def test_what_follows_a_file_objects_position_is_read_and_the_file_stays_open(path):
    with path.open("rb") as file:
        assert file.read(10) == bytes(range(10))
        source = open_source(file)
        assert isinstance(source, FileSource)
        assert source.size == 246
        assert _read(source, 0, 2) == b"\x0a\x0b"
        source.rebase(6)
        assert (source.size, _read(source, 0, 1)) == (240, b"\x10")
        source.close()
        assert not file.closed


def test_an_unbuffered_file_is_read_like_a_buffered_one(path):
    with open(path, "rb", buffering=0) as file:
        assert isinstance(open_source(file), FileSource)


def test_a_compressed_files_plain_bytes_are_read_not_its_packed_ones(
    tmp_path, seal_bytes, unseal_bytes, signer, recipient
):
    with gzip.open(tmp_path / "x.gz", "wb") as packer:
        packer.write(b"hello" * 1000)
    with gzip.open(tmp_path / "x.gz") as plain:
        output = io.BytesIO()
        capseal.seal(
            plain, output, signer=signer, recipients=[recipient.public_key], app="com.example.game", version="1"
        )
    assert unseal_bytes(output.getvalue()) == b"hello" * 1000


def test_a_text_file_is_refused(path):
    with path.open(encoding="latin-1") as file, pytest.raises((TypeError, AttributeError)):
        open_source(file)
    with pytest.raises(TypeError, match="readinto is needed, not object"):
        open_source(object())


def test_a_missing_file_is_an_os_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        open_source(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        open_source(tmp_path)


@given(st.binary(max_size=300), st.integers(1, 50), st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=20))
def test_a_stream_is_read_in_order_whatever_was_peeked(data, step, reads):
    source = open_source(Trickle(data, step))
    assert (source.ordered, source.seekable, source.size) == (True, False, None)
    position = 0
    for peek, size in reads:
        expected = data[position : position + size]
        if peek:
            assert source.peek(position, size) == expected
        else:
            assert _read(source, position, size) == expected
            position += len(expected)


@given(
    st.binary(max_size=300),
    st.integers(0, 300),
    st.lists(st.tuples(st.booleans(), st.integers(0, 310), st.integers(0, 60)), max_size=20),
)
def test_a_seekable_stream_is_read_at_any_offset(data, start, reads):
    stream = io.BytesIO(data)
    stream.seek(start)
    source = StreamSource(stream, "x", close=lambda: None)
    assert source.size == max(0, len(data) - start)
    for peek, offset, size in reads:
        expected = data[start + offset : start + offset + size]
        assert (source.peek(offset, size) if peek else _read(source, offset, size)) == expected


def test_a_stream_that_cannot_seek_says_so():
    source = open_source(Trickle(b"0123456789"))
    _read(source, 0, 5)
    with pytest.raises(io.UnsupportedOperation, match="a stream at byte 5 cannot go to 4"):
        _read(source, 4, 1)
    source.rebase(5)
    assert _read(source, 0, 9) == b"56789"


def test_a_non_blocking_stream_is_an_error_not_an_end():
    class Empty(io.RawIOBase):
        def readinto(self, _):
            return None

    with pytest.raises(BlockingIOError):
        _read(open_source(Empty()), 0, 1)


def test_pipes_and_named_pipes_are_read_as_streams(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(b"x" * 100_000,))
    writer.start()
    source = open_source(fifo)
    assert isinstance(source, StreamSource)
    assert _read(source, 0, 200_000) == b"x" * 100_000
    source.close()
    writer.join()


@pytest.mark.parametrize("change", ["grow", "shrink", "touch"])
def test_a_file_that_changes_while_it_is_sealed_is_noticed(path, tmp_path, signer, recipient, change):
    def disturb(_):
        if change == "grow":
            with path.open("ab") as file:
                file.write(b"x")
        elif change == "shrink":
            os.truncate(path, 100)
        else:
            os.utime(path, ns=(1, 1))

    with pytest.raises(SourceChangedError, match=r"data\.bin"):
        capseal.seal(
            path, tmp_path / "out", signer=signer, recipients=[recipient.public_key],
            app="a", version="1", progress=disturb,
        )  # fmt: skip
    assert [child.name for child in tmp_path.iterdir()] == ["data.bin"]


def test_a_file_that_got_shorter_before_its_end_was_read_is_noticed(tmp_path, signer, recipient):
    path = tmp_path / "big"
    path.write_bytes(bytes(5 * 2**20))

    def shrink(_):
        os.truncate(path, 3 * 2**20)

    with pytest.raises(SourceChangedError, match="ended after 3145728 bytes, 5242880 were there at first"):
        capseal.seal(
            path, tmp_path / "out", signer=signer, recipients=[recipient.public_key],
            app="a", version="1", progress=shrink, jobs=1,
        )  # fmt: skip


def test_links_and_special_files_in_a_folder_are_refused(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="links are not followed"):
        open_content(folder)
    (folder / "link").unlink()
    os.mkfifo(folder / "fifo")
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        open_content(folder)


@pytest.mark.parametrize("path", ["/proc/version", "/proc/self/status"])
def test_a_file_of_size_0_that_has_content_is_read_as_a_stream(path, trust, signer, recipient):
    with open(path, "rb") as file:
        wanted = file.read()
    for raw in (False, True):
        bundle, plain = io.BytesIO(), io.BytesIO()
        with open(path, "rb", buffering=0) as file:
            source = file if raw else path
            sealing = {"signer": signer, "recipients": [recipient.public_key], "app": "a", "version": "1"}
            capseal.seal(source, bundle, unpackable=False, **sealing)
        bundle.seek(0)
        capseal.unseal(bundle, plain, identity=recipient, trust=trust)
        if path == "/proc/version":
            assert plain.getvalue() == wanted
        assert len(plain.getvalue()) > 100


def test_an_empty_file_is_a_file(tmp_path):
    (tmp_path / "empty").touch()
    source = open_source(tmp_path / "empty")
    assert isinstance(source, FileSource) and source.size == 0
    source.close()
