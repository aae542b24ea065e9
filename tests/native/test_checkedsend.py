"""Bytes of a file go to a socket only once their segment was compared: compiled, and without the compiled module."""

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from capseal.constants import SEGMENT_BYTES
from capseal.native import checkedsend, hashing
from capseal.native.checkedsend import CheckedSpan

S = SEGMENT_BYTES
END = 2 * S + 4097


@pytest.fixture(params=["compiled", "python", "hashlib"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "python":
        monkeypatch.setattr(checkedsend, "_lib", None)
    before = hashing.kernel()
    if request.param == "hashlib":
        hashing.use(hashing.FALLBACK)
    yield request.param
    hashing.use(before)


@pytest.fixture
def content() -> bytes:
    return os.urandom(END)


@pytest.fixture
def file(tmp_path: Path, content: bytes) -> Iterator[int]:
    path = tmp_path / "run"
    path.write_bytes(content)
    fd = os.open(path, os.O_RDWR)
    yield fd
    os.close(fd)


def span(file: int, content: bytes, start: int, stop: int) -> CheckedSpan:
    return CheckedSpan(
        file, hashing.segment_digests(content), memoryview(bytearray(S)), start=start, stop=stop, end=len(content)
    )


def sent(one: CheckedSpan, count: int) -> bytes:
    """Send all of a span to a socket whose other end reads by and by, and return what came."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        came, told = b"", 0
        while told < count:
            try:
                told += one.send(ours.fileno())
            except BlockingIOError:
                came += theirs.recv(300_000)
        while len(came) < told:
            came += theirs.recv(1 << 20)
        return came


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, END), (0, 1), (S - 1, S + 1), (S, 2 * S), (7, END - 1), (2 * S, END), (END - 1, END), (S, S)],
)
def test_every_span_is_sent_as_it_is(way: str, file: int, content: bytes, start: int, stop: int) -> None:
    assert sent(span(file, content, start, stop), stop - start) == content[start:stop]


def test_nothing_of_a_segment_that_differs_is_sent_and_what_differs_is_there_to_be_told(
    way: str, file: int, content: bytes
) -> None:
    for changed in (S, 2 * S - 1):  # its first and its last byte
        os.pwrite(file, bytes([content[changed] ^ 1]), changed)
        one = span(file, content, 0, END)
        assert sent(one, S) == content[:S]
        with pytest.raises(OSError) as told:
            one.check()
        assert told.value.errno == errno.EBADMSG
        assert one.at == S
        assert hashing.segment_digests(one.segment) != hashing.segment_digests(content[S : 2 * S])
        os.pwrite(file, content[changed : changed + 1], changed)


def test_what_is_sent_is_what_was_digested_whatever_becomes_of_the_file(way: str, file: int, content: bytes) -> None:
    one = span(file, content, 5, S)
    one.check()
    os.pwrite(file, bytes(S), 0)
    assert sent(one, S - 5) == content[5:S]


@pytest.mark.parametrize("left", [0, 1, S - 1, S, S + 1, END - 1])
def test_a_file_that_was_cut_gives_its_whole_segments(way: str, file: int, content: bytes, left: int) -> None:
    os.ftruncate(file, left)
    one = span(file, content, 0, END)
    whole = left // S * S
    assert sent(one, whole) == content[:whole]
    with pytest.raises(OSError) as told:
        one.check()
    assert told.value.errno == errno.ENODATA


def test_a_peer_that_has_gone_is_told(way: str, file: int, content: bytes) -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(ConnectionError):
        span(file, content, 0, END).send(ours.fileno())


def test_a_check_alone_reads_nothing_again(way: str, file: int, content: bytes) -> None:
    one = span(file, content, S + 3, END)
    one.check()
    assert one.at == S + 3
    os.pwrite(file, b"\0" * 10, S)
    one.check()  # it is held


@pytest.mark.parametrize(("start", "stop", "end"), [(-1, 5, 9), (6, 5, 9), (0, 10, 9), (0, 1, 3 * S + 1)])
def test_a_span_that_is_none_is_refused(start: int, stop: int, end: int) -> None:
    with pytest.raises(ValueError, match="index entries"):
        CheckedSpan(0, bytes(96), memoryview(bytearray(S)), start=start, stop=stop, end=end)
    with pytest.raises(ValueError, match="not of a segment"):
        CheckedSpan(0, bytes(96), memoryview(bytearray(5)), start=0, stop=1, end=1)
