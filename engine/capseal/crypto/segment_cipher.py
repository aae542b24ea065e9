"""Segments of the payload: keys, nonces, AES-GCM into the caller's buffer.

The payload is a Tink AES-GCM-HKDF streaming ciphertext (docs/format.md, Payload), so
`tink.streaming_aead` reads it.
"""

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..constants import (
    ASSOCIATED_DATA_PREFIX,
    COMMITMENT_PREFIX,
    COMPANION_PREFIX,
    HEADER_BYTES,
    KEY_BYTES,
    NONCE_PREFIX_BYTES,
    SALT_BYTES,
    SEGMENT_BYTES,
    TAG_BYTES,
)
from ..errors import FormatError, TamperedError
from ..format.segment_layout import FIRST_PLAIN_BYTES, PLAIN_BYTES


@dataclass(frozen=True, slots=True)
class Header:
    """The payload's first 40 bytes: 0x28, the salt (32 bytes), the nonce prefix (7 bytes)."""

    salt: bytes
    nonce_prefix: bytes

    def encode(self) -> bytes:
        """Return the 40 bytes."""
        return bytes([HEADER_BYTES]) + self.salt + self.nonce_prefix

    @classmethod
    def parse(cls, data: bytes | memoryview) -> "Header":
        """Read a header from the start of a payload. Raises FormatError."""
        data = bytes(data[:HEADER_BYTES])
        if len(data) < HEADER_BYTES or data[0] != HEADER_BYTES:
            raise FormatError(
                f"payload header at byte 0: length byte is {data[:1].hex() or 'missing'}, expected {HEADER_BYTES:02x}",
                offset=0,
            )
        return cls(data[1 : 1 + SALT_BYTES], data[1 + SALT_BYTES :])

    def __post_init__(self) -> None:
        if len(self.salt) != SALT_BYTES or len(self.nonce_prefix) != NONCE_PREFIX_BYTES:
            raise ValueError(f"salt and nonce prefix must have {SALT_BYTES} and {NONCE_PREFIX_BYTES} bytes")


def commitment(session_key: bytes, header: Header, app: str) -> bytes:
    """Return the 32-byte commitment to the session key, which AES-GCM itself does not give."""
    return _hkdf(session_key, header.salt, COMMITMENT_PREFIX + app.encode())


def check_commitment(session_key: bytes, header: Header, app: str, expected: bytes) -> None:
    """Raise TamperedError unless the session key is the one that was committed to."""
    import hmac  # here, since it loads an OpenSSL beside cryptography's, which sealing does without

    if not hmac.compare_digest(commitment(session_key, header, app), expected):
        raise TamperedError("session key does not match the signed commitment; the wrapped key was altered")


def _hkdf(session_key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=info).derive(session_key)


class StreamKey:
    """The AES key of one stream: all that who encrypts or opens its segments needs, and no way to the session key.

    It shows in no repr, since whoever runs a task elsewhere logs what it was given.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, session_key: bytes, header: Header, app: str, *, companion: str | None = None) -> "StreamKey":
        """Derive it. companion: the name of the companion whose stream it is, by default the payload's."""
        info = ASSOCIATED_DATA_PREFIX + app.encode()
        if companion is not None:
            # Neither name holds a space, so no two companions, and no companion and payload, share it.
            info = COMPANION_PREFIX + f"{app} {companion}".encode()
        return cls(_hkdf(session_key, header.salt, info))

    def __repr__(self) -> str:
        return "StreamKey(...)"


class SegmentCipher:
    """AES-256-GCM of whole segments under the key of one stream; safe to share between threads.

    companion: the name of the companion whose stream it is, by default the payload's. header: fresh for every stream.
    """

    __slots__ = ("_aead", "_prefix", "header")

    def __init__(self, session_key: bytes, header: Header, app: str, *, companion: str | None = None) -> None:
        self._start(StreamKey.of(session_key, header, app, companion=companion), header)

    @classmethod
    def of_stream(cls, key: StreamKey, header: Header) -> "SegmentCipher":
        """Return the cipher of a stream whose key was derived before."""
        cipher = cls.__new__(cls)
        cipher._start(key, header)
        return cipher

    def _start(self, key: StreamKey, header: Header) -> None:
        self._aead = AESGCM(key._key)
        self._prefix = header.nonce_prefix
        self.header = header

    def _nonce(self, segment: int, last: bool) -> bytes:
        # The counter may start at 0 for every stream: each has a key of its own, by session key, salt and info.
        return self._prefix + segment.to_bytes(4, "big") + (b"\x01" if last else b"\x00")

    def encrypt_run(self, first: int, plain: memoryview, last: bool, out: memoryview) -> memoryview:
        """Encrypt a run of segments into `out` and return the part of it that was written.

        first: number of the run's first segment; plain: its plaintext, which fills every segment but
        the payload's last; last: the run ends the payload. Segment 0 comes out with the header.
        """
        size = payload = 0
        segment = first
        while True:
            if segment == 0:
                out[:HEADER_BYTES] = self.header.encode()
                payload = HEADER_BYTES
            room = PLAIN_BYTES if segment else FIRST_PLAIN_BYTES
            piece = plain[size : size + room]
            size += len(piece)
            ends = size == len(plain)
            end = payload + len(piece) + TAG_BYTES
            self._aead.encrypt_into(self._nonce(segment, last and ends), piece, None, out[payload:end])
            payload = end
            if ends:
                return out[:payload]
            segment += 1

    def decrypt_run(self, first: int, payload: memoryview, last: bool, out: memoryview) -> memoryview:
        """Decrypt a run of segments into `out` and return the part of it that was written.

        Raises TamperedError at the first segment whose tag fails; `out` then holds nothing usable.
        """
        plain = 0
        for start in range(0, len(payload), SEGMENT_BYTES):
            segment = first + start // SEGMENT_BYTES
            piece = payload[start : start + SEGMENT_BYTES]
            if segment == 0:
                piece = piece[HEADER_BYTES:]
            end = plain + len(piece) - TAG_BYTES
            final = last and start + SEGMENT_BYTES >= len(payload)
            try:
                self._aead.decrypt_into(self._nonce(segment, final), piece, None, out[plain:end])
            except InvalidTag:
                raise tag_error(segment) from None
            plain = end
        return out[:plain]


def tag_error(segment: int) -> TamperedError:
    """Return the error for a segment whose AES-GCM tag fails although its digest matched."""
    offset = segment * SEGMENT_BYTES
    return TamperedError(
        f"segment {segment} at byte {offset}: authentication tag fails; "
        "it was encrypted with another key or for another place",
        segment=segment,
        offset=offset,
    )
