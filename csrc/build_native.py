"""Build script of capseal._native (cffi, API mode, limited API)."""

import os

from cffi import FFI

HERE = os.path.dirname(__file__)

ffibuilder = FFI()
ffibuilder.cdef("int capseal_sha256_blocks(const uint8_t *data, size_t n, size_t block_bytes, uint8_t *out);")
ffibuilder.set_source(
    "capseal._native",
    '#include "capseal_hash.h"',
    sources=["csrc/scalar.c"],
    include_dirs=["csrc"],
    depends=["csrc/capseal_hash.h"],
    # Without a C compiler the package still installs and falls back to hashlib.
    optional=True,
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
