"""How fast 64 MiB in memory become 4096-byte leaves: every kernel, and what else could do it.

`pytest bench/test_hashing.py --benchmark-enable` gives pytest-benchmark's table. Ratios need runs that
take turns, since a shared machine's clock and neighbours move: `python bench/test_hashing.py` does
that and prints GB/s, the ratio to hashlib with its quartiles, and what the tree adds.
"""

import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

import blake3
import numpy as np
import pytest
from cryptography.hazmat.primitives import hashes
from pytest_benchmark.fixture import BenchmarkFixture

from capseal.constants import BLOCK_BYTES, DIGEST_BYTES, SEGMENT_BYTES
from capseal.native import hashing as _hashing

SIZE_BYTES = 64 * 1024 * 1024
RUN_BYTES = 5 * SEGMENT_BYTES  # what a worker of the pipeline hashes right after encrypting it
SHARED_MEMORY = "/dev/shm"


def random_data(size_bytes: int = SIZE_BYTES) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, size_bytes, np.uint8)


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    return random_data()


def leaves_with(kernel: str, data: np.ndarray) -> Callable[[], None]:
    out = np.empty((len(data) // BLOCK_BYTES, DIGEST_BYTES), np.uint8)

    def run() -> None:
        _hashing.use(kernel)
        _hashing.digest_blocks(data, BLOCK_BYTES, out)

    return run


def segments_with(kernel: str, data: np.ndarray) -> Callable[[], None]:
    def run() -> None:
        _hashing.use(kernel)
        _hashing.segment_digests(data)

    return run


def runs_of_segments_with(kernel: str, data: np.ndarray, threads: int = 1) -> Callable[[], None]:
    """The pipeline's shape: one call per run of segments, every thread with runs of its own."""
    share = len(data) // threads

    def work(first: int) -> None:
        for start in range(first, first + share, RUN_BYTES):
            _hashing.segment_digests(data[start : min(start + RUN_BYTES, first + share)])

    def run() -> None:
        _hashing.use(kernel)
        workers = [threading.Thread(target=work, args=(i * share,)) for i in range(1, threads)]
        for worker in workers:
            worker.start()
        work(0)
        for worker in workers:
            worker.join()

    return run


def one_stream_of_cryptography(data: np.ndarray) -> Callable[[], object]:
    def run() -> bytes:
        digest = hashes.Hash(hashes.SHA256())
        digest.update(data)
        return digest.finalize()

    return run


def fsverity_digest(path: str) -> Callable[[], object]:
    return lambda: subprocess.run(["fsverity", "digest", path], check=True, stdout=subprocess.DEVNULL)


def time_of(benchmark: BenchmarkFixture, function: Callable[[], object], size_bytes: int = SIZE_BYTES) -> None:
    before = _hashing.kernel()
    try:
        benchmark.pedantic(function, rounds=10, warmup_rounds=1)
    finally:
        _hashing.use(before)
    if benchmark.enabled:
        benchmark.extra_info["GB/s"] = round(size_bytes / benchmark.stats.stats.min / 1e9, 2)


@pytest.mark.parametrize("kernel", _hashing.kernels())
def test_leaves(benchmark: BenchmarkFixture, data: np.ndarray, kernel: str) -> None:
    time_of(benchmark, leaves_with(kernel, data))


def test_index_entries_in_one_call(benchmark: BenchmarkFixture, data: np.ndarray) -> None:
    time_of(benchmark, segments_with(_hashing.kernel(), data))


@pytest.mark.parametrize("threads", [1, 2])
def test_index_entries_of_runs(benchmark: BenchmarkFixture, data: np.ndarray, threads: int) -> None:
    time_of(benchmark, runs_of_segments_with(_hashing.kernel(), data, threads))


def test_hashlib_one_stream(benchmark: BenchmarkFixture, data: np.ndarray) -> None:
    time_of(benchmark, lambda: hashlib.sha256(data))


def test_cryptography_one_stream(benchmark: BenchmarkFixture, data: np.ndarray) -> None:
    time_of(benchmark, one_stream_of_cryptography(data))


@pytest.mark.parametrize("threads", [1, blake3.blake3.AUTO], ids=["1", "auto"])
def test_blake3(benchmark: BenchmarkFixture, data: np.ndarray, threads: int) -> None:
    time_of(benchmark, lambda: blake3.blake3(data, max_threads=threads).digest())


@pytest.mark.skipif(shutil.which("fsverity") is None, reason="not installed: fsverity")
@pytest.mark.skipif(not os.path.isdir(SHARED_MEMORY), reason=f"no {SHARED_MEMORY}: fsverity would read a disk")
def test_fsverity_digest(benchmark: BenchmarkFixture, data: np.ndarray) -> None:
    with tempfile.NamedTemporaryFile(dir=SHARED_MEMORY) as file:
        data.tofile(file)
        file.flush()
        time_of(benchmark, fsverity_digest(file.name))


def main() -> None:
    """Let all take turns and print each one's best, and its ratios to hashlib in the same turn."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    data = random_data()
    fast = _hashing.kernel()
    subjects: dict[str, Callable[[], object]] = {"hashlib, one stream": lambda: hashlib.sha256(data)}
    subjects |= {f"leaves, {name}": leaves_with(name, data) for name in _hashing.kernels()}
    subjects[f"index entries in one call, {fast}"] = segments_with(fast, data)
    for threads in (1, 2):
        name = f"index entries in runs of 5 segments, {fast}, {threads} thread{'s'[: threads - 1]}"
        subjects[name] = runs_of_segments_with(fast, data, threads)
    subjects["cryptography, one stream"] = one_stream_of_cryptography(data)
    subjects["blake3, 1 thread"] = lambda: blake3.blake3(data).digest()
    subjects["blake3, auto"] = lambda: blake3.blake3(data, max_threads=blake3.blake3.AUTO).digest()
    with tempfile.NamedTemporaryFile(dir=SHARED_MEMORY if os.path.isdir(SHARED_MEMORY) else None) as file:
        if shutil.which("fsverity"):
            data.tofile(file)
            file.flush()
            subjects["fsverity digest"] = fsverity_digest(file.name)
        times: dict[str, list[float]] = {name: [] for name in subjects}
        slow = {"leaves, scalar", "leaves, hashlib"}
        for i in range(rounds):
            for name, function in subjects.items():
                if i >= 5 and name in slow:
                    continue
                start = time.perf_counter()
                function()
                times[name].append(time.perf_counter() - start)
    hashlib_s = times["hashlib, one stream"]
    print(f"{'':<56}{'GB/s':>6}{'x hashlib':>11}   quartiles of the turns' ratios")
    for name, taken in times.items():
        ratios = sorted(h / t for h, t in zip(hashlib_s, taken, strict=False))
        low, middle, high = statistics.quantiles(ratios, n=4)
        best = min(taken)
        print(
            f"{name:<56}{SIZE_BYTES / best / 1e9:6.2f}{min(hashlib_s) / best:11.2f}   {low:.2f} {middle:.2f} {high:.2f}"
        )


if __name__ == "__main__":
    main()
