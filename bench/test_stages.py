"""Every stage alone, on one thread: python -m pytest bench/test_stages.py --benchmark-enable.

Each handles SIZE bytes per round, so that min and median can be compared across stages.
"""

import os

import pytest

import capseal
from bench.scripts.memory_files import FreeSink, FreeSource, KeptSink, MemorySource
from capseal.bundle.pipeline import RUN_SEGMENTS
from capseal.constants import SEGMENT_BYTES
from capseal.crypto.segment_cipher import Header, SegmentCipher
from capseal.format import tree
from capseal.format.segment_layout import plain_offset

SIZE = 64 * 1024 * 1024
RUN_BYTES = RUN_SEGMENTS * SEGMENT_BYTES
RUNS = SIZE // RUN_BYTES


@pytest.fixture(scope="module")
def key():
    return capseal.PrivateKey.generate(3072)


@pytest.fixture(scope="module")
def options(key):
    return {"signer": key, "recipients": [key.public_key], "app": "com.example.bench", "version": "1", "jobs": 1}


@pytest.fixture(scope="module")
def bundle(options):
    kept = KeptSink(SIZE + 1024 * 1024)
    capseal.seal(FreeSource(SIZE), kept, **options)
    return kept.bundle()


@pytest.fixture
def run_bytes():
    return memoryview(bytearray(RUN_BYTES)), memoryview(bytearray(RUN_BYTES))


@pytest.fixture
def cipher():
    return SegmentCipher(bytes(32), Header(bytes(32), bytes(7)), "com.example.bench")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(SIZE))
    fd = os.open(path, os.O_RDWR)
    yield fd
    os.close(fd)


def test_memcpy(benchmark, run_bytes):
    data, out = run_bytes

    def work():
        for _ in range(RUNS):
            out[:] = data

    benchmark(work)


def test_read(benchmark, file, run_bytes):
    def work():
        for i in range(RUNS):
            os.preadv(file, [run_bytes[0]], i * RUN_BYTES)

    benchmark(work)


def test_write(benchmark, file, run_bytes):
    def work():
        for i in range(RUNS):
            os.pwrite(file, run_bytes[0], i * RUN_BYTES)

    benchmark(work)


def test_encrypt(benchmark, cipher, run_bytes):
    data, out = run_bytes
    first = RUN_SEGMENTS  # not the run with the header
    plain = data[: plain_offset(2 * first) - plain_offset(first)]

    def work():
        for _ in range(RUNS):
            cipher.encrypt_run(first, plain, False, out)

    benchmark(work)


def test_decrypt(benchmark, cipher, run_bytes):
    data, out = run_bytes
    first = RUN_SEGMENTS
    sealed = bytes(cipher.encrypt_run(first, data[: plain_offset(2 * first) - plain_offset(first)], False, out))

    def work():
        for _ in range(RUNS):
            cipher.decrypt_run(first, memoryview(sealed), False, data)

    benchmark(work)


def test_hash(benchmark, run_bytes):
    def work():
        for _ in range(RUNS):
            tree.index_entries(run_bytes[0])

    benchmark(work)


def test_seal(benchmark, options):
    benchmark(lambda: capseal.seal(FreeSource(SIZE), FreeSink(), **options))


def test_verify(benchmark, bundle, key):
    trust = capseal.TrustStore.of(key.public_key)
    benchmark(lambda: capseal.verify(MemorySource(bundle), trust=trust, jobs=1))


def test_unseal(benchmark, bundle, key):
    trust = capseal.TrustStore.of(key.public_key)
    benchmark(lambda: capseal.unseal(MemorySource(bundle), FreeSink(), identity=key, trust=trust, jobs=1))
