"""Where bytes go: nothing under the final name before commit()."""

import errno
import io
import os
import re
import stat
import subprocess
import sys
import threading

import pytest

import capseal
from capseal import Detached
from capseal.io.sink import FileSink, StreamSink, commit_all, open_sink
from capseal.native import filehints as _pagecache
from support.tools import require_tool


def _no_links(source, target):
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), source, None, target)  # as FAT says


def _names(folder):
    return sorted(child.name for child in folder.iterdir())


def test_a_file_appears_only_on_commit(tmp_path):
    path = tmp_path / "out"
    with FileSink(path) as sink:
        sink.write_at(3, b"def")
        sink.write_at(0, b"abc")
        assert not path.exists()
        sink.commit()
        assert path.read_bytes() == b"abcdef"
    assert _names(tmp_path) == ["out"]


def test_leaving_without_commit_leaves_no_trace(tmp_path):
    with FileSink(tmp_path / "out") as sink:
        sink.write_at(0, b"abc")
    assert _names(tmp_path) == []
    with pytest.raises(RuntimeError), FileSink(tmp_path / "out") as sink:
        raise RuntimeError
    assert _names(tmp_path) == []


def test_what_exists_is_not_replaced_unless_asked(tmp_path):
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        FileSink(path)
    with FileSink(path, overwrite=True) as sink:
        sink.write_at(0, b"new")
        assert path.read_bytes() == b"old"
        sink.commit()
    assert path.read_bytes() == b"new"


def test_a_dangling_link_counts_as_existing(tmp_path):
    (tmp_path / "out").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        FileSink(tmp_path / "out")


def test_overwriting_through_a_link_keeps_the_link(tmp_path):
    (tmp_path / "target").write_bytes(b"old")
    (tmp_path / "link").symlink_to("target")
    with FileSink(tmp_path / "link", overwrite=True) as sink:
        sink.write_at(0, b"new")
        sink.commit()
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_file_that_appears_meanwhile_is_not_clobbered(tmp_path):
    path = tmp_path / "out"
    with FileSink(path) as sink:
        sink.write_at(0, b"ours")
        path.write_bytes(b"theirs")
        with pytest.raises(FileExistsError):
            sink.commit()
    assert path.read_bytes() == b"theirs"
    assert _names(tmp_path) == ["out"]


def test_a_folder_that_vanished_is_not_reported_as_an_existing_file(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(FileNotFoundError), FileSink(folder / "out") as sink:
        os.rename(folder, tmp_path / "moved")
        try:
            sink.commit()
        finally:
            os.rename(tmp_path / "moved", folder)
    assert _names(folder) == []


def test_without_hard_links_a_file_is_still_committed_and_not_clobbered(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with FileSink(tmp_path / "out") as sink:
        sink.write_at(0, b"x")
        sink.commit()
    assert (tmp_path / "out").read_bytes() == b"x"
    with FileSink(tmp_path / "out2") as sink:
        (tmp_path / "out2").write_bytes(b"theirs")
        with pytest.raises(FileExistsError):
            sink.commit()
    assert _names(tmp_path) == ["out", "out2"]


def test_names_up_to_255_bytes_work_in_any_script(tmp_path):
    for name in ("x" * 255, "\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 85):
        with FileSink(tmp_path / name) as sink:
            sink.commit()
        assert (tmp_path / name).exists()


def test_errors_name_the_path_that_the_caller_gave(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        FileSink(tmp_path / "none" / "out")
    assert caught.value.filename == str(tmp_path / "none" / "out")
    with pytest.raises(IsADirectoryError):
        FileSink(tmp_path)


def test_output_files_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        with FileSink(tmp_path / "out") as sink:
            sink.commit()
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


def test_several_files_appear_together_or_not_at_all(tmp_path):
    with FileSink(tmp_path / "a") as a, FileSink(tmp_path / "b") as b:
        commit_all([a, b])
    assert _names(tmp_path) == ["a", "b"]
    with FileSink(tmp_path / "c") as c, FileSink(tmp_path / "d") as d:
        (tmp_path / "d").write_bytes(b"theirs")
        with pytest.raises(FileExistsError):
            commit_all([c, d])
    assert _names(tmp_path) == ["a", "b", "d"]
    assert (tmp_path / "d").read_bytes() == b"theirs"


def test_a_detached_pair_appears_together_or_not_at_all(tmp_path, signer, recipient):
    def seal():
        capseal.seal(
            io.BytesIO(b"hi"), Detached(seal=tmp_path / "seal", payload=tmp_path / "payload"),
            signer=signer, recipients=[recipient.public_key], app="a", version="1",
        )  # fmt: skip

    (tmp_path / "seal").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        seal()
    assert _names(tmp_path) == ["seal"]
    (tmp_path / "seal").unlink()
    seal()
    assert _names(tmp_path) == ["payload", "seal"]


@pytest.mark.parametrize("links", [True, False])
def test_a_pair_that_cannot_replace_another_leaves_it_alone(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    first, second = tmp_path / "payload", tmp_path / "seal"
    first.write_bytes(b"old payload")
    with FileSink(first, overwrite=True) as a, FileSink(second, overwrite=True) as b:
        a.write_at(0, b"new payload")
        b.write_at(0, b"new seal")
        second.mkdir()  # a folder cannot be replaced by a file
        with pytest.raises(IsADirectoryError):
            commit_all([a, b])
    assert _names(tmp_path) == ["payload", "seal"]
    assert first.read_bytes() == b"old payload"

    second.rmdir()
    with FileSink(first, overwrite=True) as a, FileSink(second, overwrite=True) as b:
        a.write_at(0, b"new payload")
        b.write_at(0, b"new seal")
        commit_all([a, b])
    assert _names(tmp_path) == ["payload", "seal"]
    assert (first.read_bytes(), second.read_bytes()) == (b"new payload", b"new seal")


@pytest.mark.parametrize("links", [True, False])
def test_a_pair_of_which_the_second_gets_no_name_gives_the_first_s_back(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", _no_links)
    first, second = tmp_path / "payload", tmp_path / "seal"
    first.write_bytes(b"old payload")
    second.write_bytes(b"old seal")
    replace = os.replace

    def fail_late(part, path):
        if path == str(second) and part.endswith(".part"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        replace(part, path)

    monkeypatch.setattr(os, "replace", fail_late)
    with FileSink(first, overwrite=True) as a, FileSink(second, overwrite=True) as b:
        a.write_at(0, b"new payload")
        b.write_at(0, b"new seal")
        with pytest.raises(OSError, match="Input/output error"):
            commit_all([a, b])
    assert _names(tmp_path) == ["payload", "seal"]
    assert (first.read_bytes(), second.read_bytes()) == (b"old payload", b"old seal")


def test_a_full_disk_leaves_nothing_and_says_so(signer, recipient, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        capseal.seal(
            io.BytesIO(b"hi"), tmp_path / "out", signer=signer, recipients=[recipient.public_key], app="a", version="1"
        )
    assert _names(tmp_path) == []


def test_short_writes_are_continued(tmp_path, monkeypatch):
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:3], offset))
    with FileSink(tmp_path / "out") as sink:
        sink.write_at(2, b"0123456789")
        sink.commit()
    assert (tmp_path / "out").read_bytes() == b"\0\0000123456789"

    class Short(io.BytesIO):
        def write(self, data):
            return super().write(data[:3])

    output = Short()
    StreamSink(output).write_at(0, b"0123456789")
    assert output.getvalue() == b"0123456789"


def test_a_stream_is_written_from_its_position_on():
    output = io.BytesIO(b"head")
    output.seek(4)
    sink = StreamSink(output)
    sink.write_at(3, b"def")
    sink.write_at(0, b"abc")
    assert output.getvalue() == b"headabcdef"


def test_a_stream_that_cannot_seek_says_so():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    sink = StreamSink(Pipe())
    sink.write_at(0, b"abc")
    with pytest.raises(OSError, match="stream at byte 3 cannot go to 9"):
        sink.write_at(9, b"x")


def test_a_write_that_gives_no_count_does_not_spin_forever():
    class NonBlocking(io.RawIOBase):
        def writable(self):
            return True

        def seekable(self):
            return False

        def write(self, _):
            return None

    with pytest.raises(BlockingIOError):
        StreamSink(NonBlocking()).write_at(0, b"x")


def test_sealing_into_a_file_opened_for_appending_gives_a_good_bundle(tmp_path, trust, signer, recipient):
    # Once the seal, written last, landed behind the payload: `capseal seal - >> file`.
    path = tmp_path / "out"
    with path.open("ab") as output:
        capseal.seal(io.BytesIO(b"hi"), output, signer=signer, recipients=[recipient.public_key], app="a", version="1")
    capseal.verify(path, trust=trust)


def test_devices_and_named_pipes_are_written_to_not_replaced(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    reader.start()
    with open_sink(fifo) as sink:
        assert isinstance(sink, StreamSink)
        sink.write_at(0, b"hello")
        sink.commit()
    reader.join()
    assert read == [b"hello"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    with open_sink("/dev/null") as sink:
        sink.write_at(0, b"x")
        sink.commit()


@pytest.mark.skipif(sys.platform != "linux" or _pagecache._lib is None, reason="needs Linux and capseal._native")
def test_the_disk_is_at_work_before_the_file_is_complete(tmp_path):
    program = """if True:
        import sys
        from capseal.io.sink import FileSink
        with FileSink(sys.argv[1]) as sink:
            for run in range(4):
                sink.write_at(run << 20, bytes(1 << 20))
            sink.commit()
    """
    log = tmp_path / "calls"
    traced = [require_tool("strace"), "-f", "-e", "trace=pwrite64,sync_file_range,fsync", "-o", log]
    subprocess.run([*traced, sys.executable, "-c", program, tmp_path / "out"], check=True, timeout=60)
    calls = re.findall(r"^\d+ +(\w+)\(\d+(?:, ([^)]*))?\)", log.read_text(), re.MULTILINE)
    # The first run's turn comes with the second: it could have been the whole of a small file.
    assert [name for name, _ in calls[:9]] == ["pwrite64", "sync_file_range"] * 4 + ["fsync"]
    assert [rest for name, rest in calls if name == "sync_file_range"] == [
        f"{run << 20}, {1 << 20}, SYNC_FILE_RANGE_WRITE" for run in range(4)
    ]


@pytest.mark.skipif(sys.platform != "linux" or _pagecache._lib is None, reason="needs Linux and capseal._native")
def test_room_is_found_for_what_is_expected_and_the_size_stays(tmp_path):
    with FileSink(tmp_path / "out") as sink:
        if _pagecache.is_in_memory(sink.fd):
            pytest.skip("temporary files live in memory here")
        sink.expect(1 << 21)
        found = os.fstat(sink.fd)
        if not found.st_blocks:
            pytest.skip("this file system knows no fallocate(2)")
        assert (found.st_size, found.st_blocks * 512 >= 1 << 21) == (0, True)
        sink.write_at(0, b"x" * 5000)
        assert os.fstat(sink.fd).st_size == 5000
        sink.commit()
    assert (tmp_path / "out").read_bytes() == b"x" * 5000


def test_room_that_is_not_there_is_not_taken_from_everybody_else_meanwhile(tmp_path):
    with open(tmp_path / "file", "wb") as file:
        _pagecache.preallocate(file.fileno(), 1 << 44)
        assert os.fstat(file.fileno()).st_blocks == 0


def test_room_that_is_not_there_is_only_missed_when_it_is_needed(tmp_path):
    with FileSink(tmp_path / "out") as sink:
        sink.expect(1 << 60)
        sink.expect(0)
        sink.write_at(0, b"x")
        sink.commit()
    assert (tmp_path / "out").read_bytes() == b"x"


def test_outputs_are_told_their_size_exactly_but_never_on_the_word_of_a_stream(
    tmp_path, monkeypatch, signer, recipient, trust, seal_bytes
):
    told = []
    monkeypatch.setattr(FileSink, "expect", lambda self, size: told.append(size))
    content = os.urandom(600_000)
    (tmp_path / "in").write_bytes(content)
    capseal.seal(
        tmp_path / "in", tmp_path / "a", signer=signer, recipients=[recipient.public_key], app="a", version="1"
    )
    capseal.unseal(tmp_path / "a", tmp_path / "b", identity=recipient, trust=trust)
    capseal.split(tmp_path / "a", Detached(seal=tmp_path / "s", payload=tmp_path / "p"))
    capseal.join(tmp_path / "p", tmp_path / "c", seal=tmp_path / "s")
    key = {"signer": signer, "recipients": [recipient.public_key], "identity": recipient, "trust": trust}
    capseal.rewrap(tmp_path / "a", tmp_path / "d", **key)
    assert told == [(tmp_path / name).stat().st_size for name in "abpcd"]
    told.clear()

    class Stream(io.RawIOBase):
        def __init__(self):
            self.data = io.BytesIO(seal_bytes(content))

        def readable(self):
            return True

        def readinto(self, buffer):
            return self.data.readinto(buffer)

    capseal.unseal(Stream(), tmp_path / "e", identity=recipient, trust=trust)
    assert (told, (tmp_path / "e").read_bytes() == content) == ([], True)
