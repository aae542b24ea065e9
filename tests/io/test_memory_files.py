"""Files that live in memory (tmpfs): huge pages for outputs, bundles that are checked where they lie."""

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import capseal
from capseal import TamperedError, TruncatedError
from capseal.bundle.pipeline import IN_PLACE_RUN_SEGMENTS, RUN_SEGMENTS
from capseal.constants import BLOCK_BYTES, SEGMENT_BYTES
from capseal.io import memory as _memory
from capseal.io.sink import FileSink
from capseal.native import filehints as _pagecache
from capseal.native import hashing as _hashing

APP = "com.example.game"
MEMORY = "/dev/shm"
_AGE_NS = 1 << 62
HUGE = _pagecache.HUGE_BYTES
RUN_BYTES = RUN_SEGMENTS * SEGMENT_BYTES
IN_PLACE_BYTES = IN_PLACE_RUN_SEGMENTS * SEGMENT_BYTES
CONTENT = random.Random(4).randbytes(IN_PLACE_BYTES + RUN_BYTES + 777)


def _is_tmpfs(path: str) -> bool:
    return any(line.split()[1:3] == [path, "tmpfs"] for line in Path("/proc/mounts").read_text().splitlines())


pytestmark = pytest.mark.skipif(
    _pagecache._lib is None or not _is_tmpfs(MEMORY), reason="needs capseal._native and a tmpfs at /dev/shm"
)


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder that lives in memory."""
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="capseal-test-") as folder:
        yield Path(folder)


@pytest.fixture
def huge_pages(memory: Path) -> None:
    """Skip where the kernel has no huge pages to give: sinks then write small ones, as elsewhere."""
    with (memory / "probe").open("w+b") as file:
        if _pagecache._lib.capseal_allocate_huge(file.fileno(), 0) < 0:
            pytest.skip("this kernel gives no huge pages to files in memory, or has none left")


def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take huge pages however long they take, so that a busy machine tests the same code as an idle one."""
    monkeypatch.setattr(_memory, "_ALLOWANCE_NS", _AGE_NS)


def _huge_bytes_of(path: Path) -> int:
    """How much of a file is in huge pages: what of it can be mapped as such."""
    size = path.stat().st_size
    program = f"""if True:
        import re
        from capseal.io.memory import Window
        file = open({str(path)!r}, "r+b")
        window = Window(file.fileno(), 0, {size})
        sum(window.view[::4096])
        maps = open("/proc/self/smaps").read()
        print(1024 * sum(int(kib) for kib in re.findall(r"ShmemPmdMapped: +(\\d+) kB", maps)))
    """
    return int(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)


def _fill(sink: FileSink, offset: int, data: bytes) -> bool:
    """Write into lent memory where there is some, else as usual; say which."""
    place = sink.lend(offset, len(data))
    if place is None:
        sink.write_at(offset, data)
        return False
    place[: len(data)] = data
    sink.write_at(offset, place[: len(data)])
    return True


def test_an_output_in_memory_lies_in_huge_pages_and_takes_no_more_than_its_size(memory, huge_pages, monkeypatch):
    _patient(monkeypatch)
    data = os.urandom(3 * HUGE + 5000)
    with FileSink(memory / "out") as sink:
        lent = [_fill(sink, i, data[i : i + RUN_BYTES]) for i in range(0, len(data), RUN_BYTES)]
        sink.commit()
    found = (memory / "out").stat()
    assert lent == [True, True, True, False]
    assert (memory / "out").read_bytes() == data
    assert found.st_blocks * 512 <= len(data) + BLOCK_BYTES
    assert _huge_bytes_of(memory / "out") == 3 * HUGE


def test_what_was_written_before_a_huge_page_was_made_of_it_stays(memory, huge_pages, monkeypatch):
    # A split or joined bundle has its few bytes of seal written first.
    _patient(monkeypatch)
    data = os.urandom(2 * HUGE)
    with FileSink(memory / "out") as sink:
        sink.write_at(0, b"\x89seal")
        sink.write_at(5, data)
        sink.write_at(2, b"EA")
        sink.commit()
    assert (memory / "out").read_bytes() == b"\x89sEAl" + data
    assert _huge_bytes_of(memory / "out") == 2 * HUGE


@given(
    writes=st.lists(
        st.tuples(
            st.integers(0, 3 * HUGE),
            st.one_of(st.integers(1, 9000), st.integers(HUGE // 2, HUGE + HUGE // 2)),
            st.sampled_from(["write", "lend", "lend less", "lend in vain", "lend and write other"]),
        ),
        max_size=8,
    ),
    slow_after=st.integers(0, 8),
)
@settings(max_examples=200)
def test_a_file_in_memory_holds_what_was_written_however_it_was(writes, slow_after):
    lib = _pagecache._lib
    model = bytearray()
    asked = 0

    class SlowLater:
        """The compiled module on a machine that has only so many huge pages at once."""

        capseal_map, capseal_unmap = lib.capseal_map, lib.capseal_unmap
        capseal_start_writeback = lib.capseal_start_writeback

        @staticmethod
        def capseal_allocate_huge(fd, offset):
            nonlocal asked
            asked += 1
            taken_ns = lib.capseal_allocate_huge(fd, offset)
            return taken_ns if asked <= slow_after else taken_ns + _AGE_NS

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        patch.setattr(_memory, "_ALLOWANCE_NS", _AGE_NS // 2)
        patch.setattr(_pagecache, "_lib", SlowLater)
        with FileSink(f"{folder}/out") as sink:
            for number, (offset, size, how) in enumerate(writes):
                data = bytes([number + 1]) * size
                place = None if how == "write" else sink.lend(offset, size + (500 if how == "lend less" else 0))
                if place is not None and how in ("lend", "lend less"):
                    place[:size] = data
                    sink.write_at(offset, place[:size])
                elif how != "lend in vain":
                    sink.write_at(offset, data)
                else:
                    continue
                model.extend(bytes(max(0, offset + size - len(model))))
                model[offset : offset + size] = data
            sink.commit()
        as_written = Path(folder, "out").read_bytes() == model
    assert as_written  # without pytest's comparison, which takes minutes for megabytes


def test_an_abandoned_output_gives_its_memory_back(memory, huge_pages, monkeypatch):
    _patient(monkeypatch)
    mapped_before = Path("/proc/self/maps").read_text().count(MEMORY)
    with pytest.raises(RuntimeError), FileSink(memory / "out") as sink:
        assert sink.lend(0, 2 * HUGE) is not None
        assert Path("/proc/self/maps").read_text().count(MEMORY) == mapped_before + 1
        raise RuntimeError
    assert Path("/proc/self/maps").read_text().count(MEMORY) == mapped_before
    assert list(memory.iterdir()) == [memory / "probe"]


def test_slow_huge_pages_are_given_up(memory, huge_pages, monkeypatch):
    monkeypatch.setattr(_memory, "_ALLOWANCE_NS", 0)
    monkeypatch.setattr(_memory, "_FAIR_NS", 1)
    with FileSink(memory / "out") as sink:
        lent = [_fill(sink, i * RUN_BYTES, bytes(RUN_BYTES)) for i in range(4)]
        sink.commit()
    assert lent == [False] * 4
    assert _huge_bytes_of(memory / "out") == HUGE


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    "size", [0, 5000, RUN_BYTES - 104, RUN_BYTES, 2 * RUN_BYTES + 1, 5 * RUN_BYTES - 40, len(CONTENT)]
)
def test_a_bundle_made_in_memory_is_the_one_made_on_disk(
    size, jobs, memory, tmp_path, signer, recipient, trust, monkeypatch
):
    _patient(monkeypatch)
    content = CONTENT[:size]
    (tmp_path / "dist.zip").write_bytes(content)
    payloads = []
    for folder in (memory, tmp_path):
        entropy = random.Random(size).randbytes
        capseal.seal(
            tmp_path / "dist.zip",
            folder / "sealed",
            signer=signer,
            recipients=[recipient.public_key],
            app=APP,
            version="1",
            unpackable=False,
            entropy=entropy,
            jobs=jobs,
        )
        verified = capseal.verify(folder / "sealed", trust=trust, mapped=True, jobs=jobs)
        capseal.unseal(folder / "sealed", folder / "out", identity=recipient, trust=trust, jobs=jobs)
        assert (folder / "out").read_bytes() == content
        payloads.append((folder / "sealed").read_bytes()[-verified.statement.payload.size :])
    assert payloads[0] == payloads[1]


@pytest.fixture(scope="module")
def bundle(seal_bytes) -> bytes:
    """A bundle of two runs and a bit, as they are checked in place."""
    return seal_bytes(CONTENT, jobs=2)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("segment", [0, 1, IN_PLACE_RUN_SEGMENTS - 1, IN_PLACE_RUN_SEGMENTS, -1])
def test_an_altered_segment_in_memory_is_named(segment, jobs, memory, bundle, trust):
    seal_bytes = len(bundle) - len(CONTENT) - 40 - 16 * (len(CONTENT) // (SEGMENT_BYTES - 16) + 1)
    segments = -(-(len(bundle) - seal_bytes) // SEGMENT_BYTES)
    altered = bytearray(bundle)
    altered[seal_bytes + segment % segments * SEGMENT_BYTES + 100] ^= 1
    (memory / "sealed").write_bytes(altered)
    with pytest.raises(TamperedError) as error:
        capseal.verify(memory / "sealed", trust=trust, mapped=True, jobs=jobs)
    assert error.value.segment == segment % segments


def test_a_bundle_in_memory_of_another_size_is_refused(memory, bundle, trust):
    (memory / "less").write_bytes(bundle[:-1])
    (memory / "more").write_bytes(bundle + b"x")
    for name in ("less", "more"):
        with pytest.raises(TruncatedError):
            capseal.verify(memory / name, trust=trust, mapped=True)


def test_a_bundle_in_memory_is_not_read_where_mapping_was_asked_for(memory, bundle, trust, monkeypatch):
    (memory / "sealed").write_bytes(bundle)
    asked = []
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, at: asked.append(len(buffers[0])) or preadv(fd, buffers, at))
    capseal.verify(memory / "sealed", trust=trust, mapped=True)
    assert sum(asked) < 10_000  # the seal


@pytest.mark.parametrize("cached", [0, 1, 2])
def test_of_a_bundle_on_disk_what_is_in_the_page_cache_is_mapped_and_the_rest_is_read(
    cached, tmp_path, bundle, trust, monkeypatch
):
    """cached: runs, from the start of the payload."""
    path = tmp_path / "sealed"
    path.write_bytes(bundle)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        if _pagecache.is_in_memory(file.fileno()) or not _pagecache.is_cached(file.fileno(), 0, len(bundle)):
            pytest.skip("no file on a disk here, or nobody says what the page cache holds")
    asked = []
    monkeypatch.setattr(
        _memory,
        "is_cached",
        lambda fd, offset, size: (
            asked.append(size) or (len(asked) <= cached and _pagecache.is_cached(fd, offset, size))
        ),
    )
    read = []
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, at: read.append(len(buffers[0])) or preadv(fd, buffers, at))
    capseal.verify(path, trust=trust, mapped=True, jobs=1)
    assert len(asked) == 2
    assert sum(asked[cached:]) <= sum(read) < sum(asked[cached:]) + 10_000  # and the seal
    with path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"!")
    with pytest.raises(TamperedError):
        capseal.verify(path, trust=trust, mapped=True)


def test_what_was_dropped_from_the_page_cache_is_known_not_to_be_there(tmp_path):
    with (tmp_path / "file").open("w+b") as file:
        file.write(CONTENT)
        file.flush()
        os.fsync(file.fileno())
        if _pagecache.is_in_memory(file.fileno()) or not _pagecache.is_cached(file.fileno(), 0, len(CONTENT)):
            pytest.skip("no file on a disk here, or nobody says what the page cache holds")
        os.posix_fadvise(file.fileno(), HUGE, HUGE, os.POSIX_FADV_DONTNEED)
        assert not _pagecache.is_cached(file.fileno(), 0, len(CONTENT))
        assert not _pagecache.is_cached(file.fileno(), HUGE + 1, 1)
        assert _pagecache.is_cached(file.fileno(), 0, HUGE)


@pytest.mark.parametrize("mapped", [False, True])
def test_a_handler_of_sigbus_is_installed_only_where_mapping_was_asked_for(mapped, memory, bundle, trust):
    (memory / "sealed").write_bytes(bundle)
    trust.save(memory / "trust")
    program = f"""if True:
        import capseal, re
        capseal.verify({str(memory / "sealed")!r}, trust=capseal.load_trust({str(memory / "trust")!r}), mapped={mapped})
        caught = int(re.search(r"SigCgt:\\s+(\\w+)", open("/proc/self/status").read())[1], 16)
        print(bool(caught >> {signal.SIGBUS} - 1 & 1))
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{mapped}\n"


@given(offset=st.integers(0, 3 * HUGE), size=st.integers(0, 3 * SEGMENT_BYTES + 5))
@settings(max_examples=50)
def test_digests_of_a_file_where_it_lies_are_those_of_its_bytes(offset, size):
    data = CONTENT[: offset + size]
    with tempfile.NamedTemporaryFile(dir=MEMORY) as file:
        file.write(data)
        file.flush()
        found = _hashing.file_segment_digests(file.fileno(), offset, size)
    assert found == _hashing.segment_digests(data[offset:])


@pytest.mark.parametrize("kernel", _hashing.kernels())
def test_a_range_that_the_file_does_not_hold_has_no_digests(kernel, memory):
    (memory / "file").write_bytes(bytes(BLOCK_BYTES))
    chosen = _hashing.kernel()
    _hashing.use(kernel)
    try:
        with (memory / "file").open("rb") as file:
            assert _hashing.file_segment_digests(file.fileno(), 0, SEGMENT_BYTES) is None
            assert _hashing.file_segment_digests(file.fileno(), HUGE, 1) is None
            inside = _hashing.file_segment_digests(file.fileno(), 0, BLOCK_BYTES)
        assert inside == (None if kernel == _hashing.FALLBACK else _hashing.segment_digests(bytes(BLOCK_BYTES)))
    finally:
        _hashing.use(chosen)


def test_a_bundle_that_shrinks_while_it_is_verified_is_refused_and_kills_nobody(memory, bundle, trust):
    path = memory / "sealed"
    path.write_bytes(bundle)
    done = threading.Event()

    def shrink_and_restore():
        while not done.is_set():
            os.truncate(path, len(bundle) // 2)
            path.write_bytes(bundle)

    thread = threading.Thread(target=shrink_and_restore)
    thread.start()
    try:
        refused = 0
        for _ in range(40):
            try:
                capseal.verify(path, trust=trust, mapped=True, jobs=2)
            except (TruncatedError, TamperedError):
                refused += 1
    finally:
        done.set()
        thread.join()
    assert refused > 0


BUS_ERROR = """if True:
    import ctypes, faulthandler, mmap, os, signal, sys, tempfile
    from capseal.native import hashing as _hashing
    file = tempfile.TemporaryFile(dir="/dev/shm")
    file.truncate(mmap.PAGESIZE)
    window = mmap.mmap(file.fileno(), mmap.PAGESIZE)
    def digests(size):
        return _hashing.file_segment_digests(file.fileno(), 0, size)
    def own_bus_error():
        file.truncate(0)
        return window[0]
    {}
"""


@pytest.mark.parametrize(
    ("program", "ends_with", "says"),
    {
        "the kernel's": ("assert digests(8192) is None; own_bus_error()", -signal.SIGBUS, ""),
        "a handler of before": (
            "faulthandler.enable(); assert digests(8192) is None; own_bus_error()",
            -signal.SIGBUS,
            "Fatal Python error: Bus error",
        ),
        "a handler of later, so nothing is mapped any more": (
            "assert digests(100) is not None; faulthandler.enable(); assert digests(100) is None; own_bus_error()",
            -signal.SIGBUS,
            "Fatal Python error: Bus error",
        ),
        "none": ("assert digests(8192) is None; assert digests(4096) is not None; print('alive')", 0, ""),
    }.values(),
    ids=["default", "before", "later", "none"],
)
def test_a_bus_error_that_is_not_ours_ends_as_it_did_before(program, ends_with, says):
    done = subprocess.run([sys.executable, "-c", BUS_ERROR.format(program)], capture_output=True, text=True)
    assert (done.returncode, "AssertionError" in done.stderr) == (ends_with, False), done.stderr
    assert re.search(says, done.stderr)


def test_files_on_disk_are_written_as_ever(tmp_path):
    with FileSink(tmp_path / "out") as sink:
        if _pagecache.is_in_memory(sink.fd):
            pytest.skip("temporary files live in memory here")
        assert sink.lend(0, 2 * HUGE) is None
