"""PyPI tink, streaming AEAD AES256_GCM_HKDF_1MB: keygen|encrypt|decrypt SOURCE TARGET KEYSET."""

import shutil
import sys

import tink
from tink import cleartext_keyset_handle, streaming_aead

CHUNK_BYTES = 1024 * 1024

verb, source, target, keyset_file = sys.argv[1:]
streaming_aead.register()
if verb == "keygen":
    template = streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB
    with open(keyset_file, "w") as file:
        cleartext_keyset_handle.write(tink.JsonKeysetWriter(file), tink.new_keyset_handle(template))
    sys.exit()
with open(keyset_file) as file:
    keyset = cleartext_keyset_handle.read(tink.JsonKeysetReader(file.read()))
primitive = keyset.primitive(streaming_aead.StreamingAead)
if verb == "encrypt":
    with open(source, "rb") as plain, primitive.new_encrypting_stream(open(target, "wb"), b"bench") as sealed:
        shutil.copyfileobj(plain, sealed, CHUNK_BYTES)
else:
    with primitive.new_decrypting_stream(open(source, "rb"), b"bench") as sealed, open(target, "wb") as plain:
        shutil.copyfileobj(sealed, plain, CHUNK_BYTES)
