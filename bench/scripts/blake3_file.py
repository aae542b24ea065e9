"""PyPI blake3 of a file: FILE auto (all cores and a memory map) or FILE one (one thread, no map)."""

import sys

from blake3 import blake3

CHUNK_BYTES = 1024 * 1024

path, how = sys.argv[1:]
if how == "auto":
    hasher = blake3(max_threads=blake3.AUTO).update_mmap(path)
else:
    hasher = blake3(max_threads=1)
    buffer = bytearray(CHUNK_BYTES)
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            hasher.update(memoryview(buffer)[:count])
print(hasher.hexdigest())
