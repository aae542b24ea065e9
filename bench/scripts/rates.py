"""Bytes per second in memory, in one process: the ceilings and what capseal makes of them. SIZE ROUNDS -> JSON.

Nothing is read from or written to a file here. The runs of segments lie in memory that stays in cache,
for the ceilings as for capseal, whose source hands out whatever lies there and whose sink drops it. So
what is left is AES-GCM, hashing and everything that capseal adds to them.
"""

import hashlib
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from memory_files import FreeSink, FreeSource, KeptSink, MemorySource

import capseal
from capseal.bundle import pipeline
from capseal.constants import SEGMENT_BYTES, TAG_BYTES
from capseal.format import tree

PLAIN_BYTES = SEGMENT_BYTES - TAG_BYTES
RUN_BYTES = pipeline.RUN_SEGMENTS * SEGMENT_BYTES
FAR_BYTES = 256 * 1024 * 1024
"""More than any cache holds."""
REPEATS = 3
NONCE = bytes(12)


def on_threads(threads: int, work: Callable[[], None]) -> None:
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def main() -> None:
    size, rounds = int(sys.argv[1]), int(sys.argv[2])
    runs = max(1, size // RUN_BYTES)
    size = runs * RUN_BYTES
    key = capseal.PrivateKey.generate(3072)
    aead = AESGCM(bytes(32))

    def ceiling(step: Callable[[memoryview, memoryview], None]) -> Callable[[], None]:
        def work() -> None:
            data, out = memoryview(bytearray(RUN_BYTES)), memoryview(bytearray(RUN_BYTES))
            for _ in range(runs):
                step(data, out)

        return work

    def encrypt(data: memoryview, out: memoryview) -> None:
        for start in range(0, RUN_BYTES, SEGMENT_BYTES):
            aead.encrypt_into(NONCE, data[start : start + PLAIN_BYTES], None, out[start : start + SEGMENT_BYTES])

    sealed_segment = memoryview(aead.encrypt(NONCE, bytes(PLAIN_BYTES), None))

    def decrypt(_: memoryview, out: memoryview) -> None:
        for start in range(0, RUN_BYTES, SEGMENT_BYTES):
            aead.decrypt_into(NONCE, sealed_segment, None, out[start : start + PLAIN_BYTES])

    def copy(data: memoryview, out: memoryview) -> None:
        out[:] = data

    def hash_run(data: memoryview, _: memoryview) -> None:
        tree.index_entries(data)

    def hash_stream(data: memoryview, _: memoryview) -> None:
        hashlib.sha256(data).digest()

    far = np.ones(FAR_BYTES, np.uint8), np.ones(FAR_BYTES, np.uint8)

    def copy_far() -> None:
        np.copyto(far[0], far[1])

    options = {"signer": key, "recipients": [key.public_key], "app": "com.example.bench", "version": "1"}
    trust = capseal.TrustStore.of(key.public_key)
    kept = KeptSink(size + size // 1024 + 65536)
    capseal.seal(FreeSource(size), kept, **options)
    bundle = kept.bundle()

    def seal(jobs: int) -> Callable[[], None]:
        return lambda: capseal.seal(FreeSource(size), FreeSink(), **options, jobs=jobs)

    def verify(jobs: int) -> Callable[[], None]:
        return lambda: capseal.verify(MemorySource(bundle), trust=trust, jobs=jobs)

    def unseal(jobs: int) -> Callable[[], None]:
        return lambda: capseal.unseal(MemorySource(bundle), FreeSink(), identity=key, trust=trust, jobs=jobs)

    works: dict[str, Callable[[], None]] = {
        "memcpy, from and to memory": copy_far,
        "memcpy, in cache": ceiling(copy),
        "AES-GCM decrypt, 1 thread": ceiling(decrypt),
        "hashlib SHA-256, 1 thread": ceiling(hash_stream),
        # These four stand next to each other: the targets are ratios between them.
        "AES-GCM encrypt, 1 thread": ceiling(encrypt),
        "hash kernel, 1 thread": ceiling(hash_run),
        "seal, 1 thread": seal(1),
        "seal, 2 threads": seal(2),
        "verify, 1 thread": verify(1),
        "verify, 2 threads": verify(2),
        "unseal, 1 thread": unseal(1),
        "unseal, 2 threads": unseal(2),
    }
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            best = min(timed(work) for _ in range(REPEATS))
            rates[name].append((FAR_BYTES if work is copy_far else size) / best)
    # Whether two threads can be twice one depends on the machine first: so the ceilings are asked too.
    pairs: dict[str, list[float]] = {"AES-GCM encrypt": [], "hash kernel": []}
    for _ in range(rounds):
        for name, values in pairs.items():
            work = works[f"{name}, 1 thread"]
            one = min(timed(work) for _ in range(REPEATS))
            two = min(timed(lambda work=work: on_threads(2, work)) for _ in range(REPEATS))
            values.append(2 * one / two)
    bounds = [
        seal_rate * (1 / aes + 1 / hash_)
        for seal_rate, aes, hash_ in zip(
            rates["seal, 1 thread"], rates["AES-GCM encrypt, 1 thread"], rates["hash kernel, 1 thread"], strict=True
        )
    ]
    json.dump(
        {
            "size_bytes": size,
            "bytes_per_s": {name: summary(values) for name, values in rates.items()},
            "seal_over_harmonic_bound": summary(bounds),
            **{
                f"{verb}_two_threads_over_one": summary(
                    [b / a for a, b in zip(rates[f"{verb}, 1 thread"], rates[f"{verb}, 2 threads"], strict=True)]
                )
                for verb in ("seal", "verify", "unseal")
            },
            "ceiling_two_threads_over_one": {name: summary(values) for name, values in pairs.items()},
        },
        sys.stdout,
    )


def timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def summary(values: list[float]) -> dict[str, float]:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


main()
