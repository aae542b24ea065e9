"""Write a file of bytes that do not compress, the same ones every time: FILE SIZE."""

import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

CHUNK_BYTES = 8 * 1024 * 1024

path, size = sys.argv[1], int(sys.argv[2])
zeros = bytes(CHUNK_BYTES)
stream = Cipher(algorithms.AES(bytes(32)), modes.CTR(bytes(16))).encryptor()
with open(path, "wb", buffering=0) as file:
    while size:
        size -= file.write(stream.update(zeros[: min(size, CHUNK_BYTES)]))
