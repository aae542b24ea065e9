"""What one would write by hand: AES-256-GCM and SHA-256 of a file in one loop, then a signature.

encrypt|decrypt SOURCE TARGET KEY.pem
"""

import hashlib
import os
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

CHUNK_BYTES = 1024 * 1024
KEY = bytes(32)
NONCE = bytes(12)
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
SHA256 = utils.Prehashed(hashes.SHA256())

verb, source, target, key_file = sys.argv[1:]
with open(key_file, "rb") as file:
    key = serialization.load_pem_private_key(file.read(), None)
digest = hashlib.sha256()
with open(source, "rb") as plain_or_sealed, open(target, "wb") as out:
    if verb == "encrypt":
        encryptor = Cipher(algorithms.AES(KEY), modes.GCM(NONCE)).encryptor()
        while chunk := plain_or_sealed.read(CHUNK_BYTES):
            sealed = encryptor.update(chunk)
            digest.update(sealed)
            out.write(sealed)
        encryptor.finalize()
        digest.update(encryptor.tag)
        out.write(encryptor.tag)
        out.write(key.sign(digest.digest(), PSS, SHA256))
    else:
        left = os.fstat(plain_or_sealed.fileno()).st_size - 16 - key.key_size // 8
        decryptor = Cipher(algorithms.AES(KEY), modes.GCM(NONCE)).decryptor()
        while left:
            chunk = plain_or_sealed.read(min(CHUNK_BYTES, left))
            left -= len(chunk)
            digest.update(chunk)
            out.write(decryptor.update(chunk))
        tag = plain_or_sealed.read(16)
        digest.update(tag)
        key.public_key().verify(plain_or_sealed.read(), digest.digest(), PSS, SHA256)
        decryptor.finalize_with_tag(tag)
