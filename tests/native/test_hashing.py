"""Every hash kernel against hashlib: sizes, counts, alignments, offsets, and what it must refuse."""

import hashlib
import mmap
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capseal.constants import BLOCK_BYTES, DIGEST_BYTES, SEGMENT_BYTES
from capseal.native import hashing as _hashing

POOL = np.random.default_rng(20261123).integers(0, 256, 3 * SEGMENT_BYTES + 4096, np.uint8)

# Around the ends of a chunk of 64 bytes, where the padding changes shape, and around whole blocks.
BLOCK_SIZES = sorted(
    {0, 1, 2, 32, 100, 1000, 4095, 4096, 4097, 8192} | {64 * k + d for k in (1, 2, 3) for d in range(-10, 2)}
)
# Around one step of 4, 8 and 16 lanes, and of several kernels' wide and narrow stages together.
COUNTS = sorted(
    {0, 1, 20, 21, 23, 28, 48, 53} | {lanes * k + d for lanes in (4, 8, 16) for k in (1, 2) for d in (-1, 0, 1)}
)


def expected_blocks(data: bytes, block_bytes: int, n: int) -> bytes:
    return b"".join(hashlib.sha256(data[i * block_bytes : (i + 1) * block_bytes]).digest() for i in range(n))


def expected_segments(data: bytes) -> bytes:
    """docs/format.md, Tree and index, in as few words as possible."""
    entries = b""
    for start in range(0, len(data), SEGMENT_BYTES):
        segment = data[start : start + SEGMENT_BYTES]
        leaves = b""
        for block in range(0, len(segment), BLOCK_BYTES):
            leaves += hashlib.sha256(segment[block : block + BLOCK_BYTES].ljust(BLOCK_BYTES, b"\0")).digest()
        entries += hashlib.sha256(leaves.ljust(BLOCK_BYTES, b"\0")).digest()
    return entries


def digests(data: object, block_bytes: int, n: int) -> bytes:
    out = np.full((n, DIGEST_BYTES), 0xAA, np.uint8)
    _hashing.digest_blocks(data, block_bytes, out)
    return out.tobytes()


@pytest.mark.parametrize("block_bytes", BLOCK_SIZES)
def test_every_kernel_agrees_with_hashlib_for_every_count(kernel: str, block_bytes: int) -> None:
    for n in COUNTS if block_bytes < 4000 else (1, 3, 4, 5, 15, 16, 17, 21, 33):
        data = POOL[: n * block_bytes].tobytes()
        assert digests(data, block_bytes, n) == expected_blocks(data, block_bytes, n), n


@pytest.mark.parametrize("offset", [0, 1, 3, 4, 8, 15, 16, 31, 32, 33, 63, 64, 65, 2048, 4095])
def test_any_alignment_of_data_and_out_gives_the_same_digests(kernel: str, offset: int) -> None:
    n = 37
    data = POOL[offset : offset + n * BLOCK_BYTES]
    memory = np.full(64 + (n + 2) * DIGEST_BYTES, 0xAA, np.uint8)
    start = offset % 64
    out = memory[start : start + n * DIGEST_BYTES].reshape(n, DIGEST_BYTES)
    _hashing.digest_blocks(data, BLOCK_BYTES, out)
    assert out.tobytes() == expected_blocks(data.tobytes(), BLOCK_BYTES, n)
    assert (memory[:start] == 0xAA).all()
    assert (memory[start + n * DIGEST_BYTES :] == 0xAA).all()


@settings(max_examples=60, deadline=None)
@given(block_bytes=st.integers(0, 700), n=st.integers(0, 60), offset=st.integers(0, 4096))
def test_any_shape_gives_hashlib_s_digests(block_bytes: int, n: int, offset: int) -> None:
    data = POOL[offset : offset + n * block_bytes]
    expected = expected_blocks(data.tobytes(), block_bytes, n)
    before = _hashing.kernel()
    try:
        for name in _hashing.kernels():
            _hashing.use(name)
            assert digests(data, block_bytes, n) == expected, name
    finally:
        _hashing.use(before)


def test_one_flipped_bit_changes_its_own_digest_alone(kernel: str) -> None:
    n = 21
    data = POOL[: n * BLOCK_BYTES].copy()
    before = np.frombuffer(digests(data, BLOCK_BYTES, n), np.uint8).reshape(n, DIGEST_BYTES)
    for block in range(n):
        for position in (0, BLOCK_BYTES // 2 + block, BLOCK_BYTES - 1):
            data[block * BLOCK_BYTES + position] ^= 1 << (block % 8)
        after = np.frombuffer(digests(data, BLOCK_BYTES, n), np.uint8).reshape(n, DIGEST_BYTES)
        assert np.flatnonzero((before != after).any(axis=1)).tolist() == list(range(block + 1))


EDGES = sorted(
    {k * BLOCK_BYTES + d for k in (0, 1, 2, 16, 127) for d in (-1, 0, 1)}
    | {k * SEGMENT_BYTES + d for k in (1, 2, 3) for d in (-1, 0, 1)}
    | {SEGMENT_BYTES + BLOCK_BYTES, 2 * SEGMENT_BYTES + BLOCK_BYTES + 1, 2 * SEGMENT_BYTES - BLOCK_BYTES}
)[1:]


@pytest.mark.parametrize("size", EDGES)
def test_index_entries_are_the_digests_of_zero_padded_hash_blocks(kernel: str, size: int) -> None:
    data = POOL[:size]
    assert _hashing.segment_digests(data) == expected_segments(data.tobytes())


@pytest.mark.parametrize("segments", [4, 5, 8, 9, 17])
def test_runs_longer_than_one_batch_of_hash_blocks_give_every_entry(kernel: str, segments: int) -> None:
    data = np.resize(POOL, segments * SEGMENT_BYTES - 5000)
    data[:: SEGMENT_BYTES // 2] = np.arange(len(data[:: SEGMENT_BYTES // 2]))
    _hashing.use(_hashing.FALLBACK)
    expected = _hashing.segment_digests(data)
    _hashing.use(kernel)
    assert len(expected) == segments * DIGEST_BYTES
    assert _hashing.segment_digests(data) == expected


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 65536, 65537, 70000])
def test_leaves_pad_only_the_last_block(kernel: str, size: int) -> None:
    data = POOL[:size].tobytes()
    padded = data + bytes(-size % BLOCK_BYTES)
    leaves = _hashing.leaf_digests(data)
    assert leaves == expected_blocks(padded, BLOCK_BYTES, len(padded) // BLOCK_BYTES)


def test_no_bytes_have_no_digests(kernel: str) -> None:
    assert _hashing.leaf_digests(b"") == b""
    assert _hashing.segment_digests(b"") == b""
    assert digests(b"", BLOCK_BYTES, 0) == b""


def test_any_contiguous_buffer_will_do(kernel: str) -> None:
    plain = POOL[: 20 * BLOCK_BYTES].tobytes()
    expected = expected_blocks(plain, BLOCK_BYTES, 20)
    with mmap.mmap(-1, len(plain)) as mapped:
        mapped[:] = plain
        for buffer in (plain, bytearray(plain), memoryview(plain), mapped, np.frombuffer(plain, np.uint64)):
            assert digests(buffer, BLOCK_BYTES, 20) == expected
            assert _hashing.leaf_digests(buffer) == expected


@pytest.mark.parametrize(
    ("size", "block_bytes", "shape"),
    [
        (4096, 4096, (2, 32)),
        (4095, 4096, (1, 32)),
        (4096, 4096, (1, 31)),
        (64, -64, (1, 32)),
        (64, -64, (0, 32)),
    ],
)
def test_sizes_that_do_not_agree_are_refused(kernel: str, size: int, block_bytes: int, shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="blocks"):
        _hashing.digest_blocks(bytes(size), block_bytes, np.empty(shape, np.uint8))


def test_an_output_that_cannot_be_written_as_bytes_is_refused(kernel: str) -> None:
    scattered = np.empty((1, 64), np.uint8)[:, ::2]
    for out in (bytes(32), memoryview(bytearray(32)).toreadonly(), scattered):
        with pytest.raises((TypeError, ValueError), match=r"writable|C-contiguous"):
            _hashing.digest_blocks(bytes(4096), 4096, out)


def test_scattered_data_is_refused(kernel: str) -> None:
    with pytest.raises((TypeError, ValueError, BufferError)):
        _hashing.segment_digests(POOL[::2])


def test_an_unknown_kernel_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"no kernel 'sha3' here, only .*hashlib"):
        _hashing.use("sha3")


def test_the_fallback_is_always_there_and_faster_than_plain_c() -> None:
    names = _hashing.kernels()
    assert _hashing.FALLBACK in names
    assert "scalar" not in names or names.index("scalar") > names.index(_hashing.FALLBACK)


def test_the_kernel_in_use_is_not_far_behind_the_fastest() -> None:
    """Found on an Intel processor, where the hybrid was chosen and took 280 times as long as shani."""
    speeds = {speed.kernel: speed.bytes_per_s for speed in _hashing.measure(size_bytes=SEGMENT_BYTES, rounds=40)}
    assert speeds[_hashing.KERNELS[0]] > max(speeds.values()) / 2, speeds


def test_a_kernel_is_listed_only_with_its_cpu_feature() -> None:
    needs = {
        "hybrid": {"sha", "avx512"},
        "shani": {"sha"},
        "avx512": {"avx512", "avx2"},
        "avx2": {"avx2"},
        "armv8": {"sha2"},
    }
    for name in _hashing.kernels():
        assert needs.get(name, set()) <= set(_hashing.cpu_features())


def test_measuring_covers_every_kernel_and_leaves_the_choice_alone(kernel: str) -> None:
    speeds = _hashing.measure(size_bytes=SEGMENT_BYTES, rounds=1)
    assert tuple(s.kernel for s in speeds) == _hashing.kernels()
    assert all(s.bytes_per_s > 0 for s in speeds)
    assert [s.kernel for s in speeds if s.chosen] == [kernel] == [_hashing.kernel()]
    assert [s.kernel for s in _hashing.measure(_hashing.candidates(), size_bytes=SEGMENT_BYTES, rounds=1)] == list(
        _hashing.kernels()[: _hashing.kernels().index("hashlib") + 1]
    )


def test_threads_that_hash_at_once_get_their_own_results(kernel: str) -> None:
    inputs = [np.roll(POOL[:SEGMENT_BYTES], i).tobytes() for i in range(4)]
    expected = [expected_segments(data) for data in inputs]
    wrong: list[int] = []

    def work(i: int) -> None:
        results = [_hashing.segment_digests(inputs[i]) for _ in range(4)]
        if results != [expected[i]] * 4:
            wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


@pytest.mark.skipif(_hashing.kernels()[-1] != "scalar", reason="capseal._native is not built")
def test_other_threads_run_while_the_compiled_module_works() -> None:
    """With the GIL held, a thread that only counts would stand still during a call of half a second."""
    data = np.zeros(256 * SEGMENT_BYTES, np.uint8)
    before = _hashing.kernel()
    _hashing.use("scalar")
    ready, stop = threading.Event(), threading.Event()
    ticks = 0

    def count() -> None:
        nonlocal ticks
        ready.set()
        while not stop.wait(0.005):
            ticks += 1

    counter = threading.Thread(target=count)
    counter.start()
    try:
        ready.wait()
        start = ticks
        _hashing.segment_digests(data)
        counted = ticks - start
    finally:
        stop.set()
        counter.join()
        _hashing.use(before)
    assert counted >= 5
