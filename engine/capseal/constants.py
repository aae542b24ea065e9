"""The format's constants and every cap, with their units (docs/format.md, Conventions and Limits)."""

from typing import Final

# Content: what is unpacked, and what is one file.
ZIP_MEDIA_TYPE: Final = "application/zip"
ANY_MEDIA_TYPE: Final = "application/octet-stream"

# Tree (Linux fs-verity, SHA-256, no salt).
BLOCK_BYTES: Final = 4096
DIGEST_BYTES: Final = 32
BLOCKS_PER_SEGMENT: Final = BLOCK_BYTES // DIGEST_BYTES
SEGMENT_BYTES: Final = BLOCKS_PER_SEGMENT * BLOCK_BYTES  # 512 KiB: one level-0 hash block of leaves

# Payload (Tink streaming AEAD AES-GCM-HKDF).
KEY_BYTES: Final = 32
SALT_BYTES: Final = 32
NONCE_PREFIX_BYTES: Final = 7
HEADER_BYTES: Final = 1 + SALT_BYTES + NONCE_PREFIX_BYTES
TAG_BYTES: Final = 16
MAX_SEGMENTS: Final = 2**32  # the nonce counts segments in 32 bits
ASSOCIATED_DATA_PREFIX: Final = b"capseal/v1 "
COMMITMENT_PREFIX: Final = b"capseal/v1 commitment "
COMPANION_PREFIX: Final = b"capseal/v1 companion "
ENCRYPTION_SCHEME: Final = "tink-aes256-gcm-hkdf-512kb"
WRAP_ALGORITHM: Final = "RSA-OAEP-256"

# Seal.
MAGIC: Final = b"\x89CAPSEAL"
SEAL_HEADER_BYTES: Final = len(MAGIC) + 4
SEAL_ALIGN_BYTES: Final = 4096
MAX_ENVELOPE_BYTES: Final = 1024 * 1024
MAX_SIGNATURES: Final = 16
MAX_CERTIFICATES: Final = 8  # in one x5c chain
MAX_RECIPIENTS: Final = 1024
MAX_ATTACHMENTS: Final = 256  # companions counted
MAX_COMPANIONS: Final = 64
MAX_STORED_BYTES: Final = MAX_SEGMENTS * SEGMENT_BYTES  # 2 PiB: payload and all companions together
MAX_PLATFORMS: Final = 16
MAX_CUSTOM_BYTES: Final = 64 * 1024
MAX_INTEGER: Final = 2**53 - 1  # RFC 8259, section 6: what every JSON reader agrees on
MAX_TEXT_CHARS: Final = 255
MAX_NESTING: Final = 32  # objects and arrays inside one another, the outermost counted

# Channel heads and recalls: what is signed, before the envelope's base64.
MAX_HEAD_AGE_S: Final = 366 * 24 * 60 * 60  # a head that is valid for longer says nothing of the present
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_CURRENT: Final = 16
MAX_WITHDRAWN: Final = 1024
MAX_RECALLS: Final = 64
MAX_RECALLED: Final = 64  # releases in one recall
MAX_SHARE: Final = 1000  # thousandths
ROLLOUT_SALT_BYTES: Final = 16
ROLLOUT_SECRET_BYTES: Final = 32

# RSA.
MIN_RSA_BITS: Final = 3072
MAX_RSA_BITS: Final = 8192
RSA_EXPONENT: Final = 65537
PSS_SALT_BYTES: Final = 32
SIGNING_RSA_BITS: Final = 4096
RECIPIENT_RSA_BITS: Final = 3072
