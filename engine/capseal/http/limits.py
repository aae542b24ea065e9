"""The sizes that server and client must agree on, in bytes."""

from typing import Final

from ..constants import SEGMENT_BYTES

RUN_SEGMENTS: Final = 16
"""Most segments in one object of a server's storage, and the grid that objects end on."""

RUN_BYTES: Final = RUN_SEGMENTS * SEGMENT_BYTES  # 8 MiB
"""What a publisher sends in one request: one object of the server's, and all that a broken connection can cost."""

DEFAULT_SEAL_BYTES: Final = 8 * 1024**2
"""Largest seal that a server takes unless told otherwise: 1 MiB of envelope, and 64 KiB of index per GiB of payload."""

DEFAULT_PAYLOAD_BYTES: Final = 64 * 1024**3
"""Largest payload that a server takes unless told otherwise."""

MAX_DESCRIPTION_BYTES: Final = 512 * 1024
"""Most that a client reads of an answer in JSON, but for missing spans: names and links of 256 attachments."""

MISSING_BYTES: Final = 20
"""What spans of missing segments take in JSON, for each segment: `[start, stop], ` where every other one is missing."""

MAX_PROBLEM_BYTES: Final = 64 * 1024
"""Most that a client reads of a problem."""

MAX_RESTORED: Final = 64
"""Withdrawals that one head may drop."""
