"""PyNaCl's libsodium secretstream (XChaCha20-Poly1305) in 1 MiB messages: encrypt|decrypt SOURCE TARGET."""

import sys

from nacl import bindings as sodium

CHUNK_BYTES = 1024 * 1024
KEY = bytes(32)
MESSAGE = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
FINAL = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL
MORE_BYTES = sodium.crypto_secretstream_xchacha20poly1305_ABYTES
HEADER_BYTES = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES

verb, source, target = sys.argv[1:]
state = sodium.crypto_secretstream_xchacha20poly1305_state()
with open(source, "rb") as plain_or_sealed, open(target, "wb") as out:
    if verb == "encrypt":
        out.write(sodium.crypto_secretstream_xchacha20poly1305_init_push(state, KEY))
        chunk = plain_or_sealed.read(CHUNK_BYTES)
        while True:
            following = plain_or_sealed.read(CHUNK_BYTES)
            tag = MESSAGE if following else FINAL
            out.write(sodium.crypto_secretstream_xchacha20poly1305_push(state, chunk, None, tag))
            if not following:
                break
            chunk = following
    else:
        sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, plain_or_sealed.read(HEADER_BYTES), KEY)
        tag = MESSAGE
        while tag != FINAL:
            sealed = plain_or_sealed.read(CHUNK_BYTES + MORE_BYTES)
            message, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(state, sealed, None)
            out.write(message)
