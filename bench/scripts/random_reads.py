"""Read 1 MiB at random places of a sealed bundle: BUNDLE KEY.pem READS -> JSON."""

import io
import json
import random
import statistics
import sys
import time

import capseal
from capseal.constants import SEGMENT_BYTES

READ_BYTES = 1024 * 1024
SEED = 1

bundle, key_file, reads = sys.argv[1], sys.argv[2], int(sys.argv[3])
key = capseal.load_private_key(key_file)
trust = capseal.TrustStore.of(key.public_key)


class Watched(io.RawIOBase):
    """A file that notes where it was read; without a descriptor, so that every read comes through here."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb", buffering=0)
        self.ranges: list[tuple[int, int]] = []

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer) -> int:
        start = self._file.tell()
        count = self._file.readinto(buffer)
        self.ranges.append((start, start + count))
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def positions(size: int) -> list[int]:
    chooser = random.Random(SEED)
    return [chooser.randrange(max(1, size - READ_BYTES)) for _ in range(reads)]


buffer = bytearray(READ_BYTES)
latencies = []
with capseal.open(bundle, identity=key, trust=trust) as file:
    size = file.verified.statement.content.size
    seal_bytes = len(file.verified.seal.encode())
    for position in positions(size):
        started = time.perf_counter()
        file.seek(position)
        count = file.readinto(buffer)
        latencies.append(time.perf_counter() - started)
        if count != min(READ_BYTES, size - position):
            sys.exit(f"read {count} bytes at {position} of {size}")

touched = []
with Watched(bundle) as watched, capseal.open(watched, identity=key, trust=trust) as file:
    for position in positions(size)[:200]:
        watched.ranges.clear()
        file.seek(position)
        file.readinto(buffer)
        time.sleep(0.001)  # a read-ahead that should not be would show now
        touched.append(
            len(
                {
                    segment
                    for start, end in watched.ranges
                    for segment in range((start - seal_bytes) // SEGMENT_BYTES, -(-(end - seal_bytes) // SEGMENT_BYTES))
                }
            )
        )

with capseal.open(bundle, identity=key, trust=trust) as file:
    started = time.perf_counter()
    done = 0
    while count := file.readinto(buffer):
        done += count
    sequential_s = time.perf_counter() - started
if done != size:
    sys.exit(f"read {done} bytes in order of {size}")

latencies.sort()
json.dump(
    {
        "bundle_bytes": size,
        "read_bytes": READ_BYTES,
        "reads": reads,
        "p50_ms": 1000 * statistics.median(latencies),
        "p99_ms": 1000 * latencies[min(reads - 1, int(reads * 0.99))],
        "max_ms": 1000 * latencies[-1],
        "segments_touched_max": max(touched),
        "segments_touched_mean": statistics.mean(touched),
        "sequential_bytes_per_s": size / sequential_s,
    },
    sys.stdout,
)
