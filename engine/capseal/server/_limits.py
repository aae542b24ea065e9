"""Every limit of the server, with its default (docs/server.md, Limits)."""

from dataclasses import dataclass
from typing import Final

from ..http.limits import DEFAULT_PAYLOAD_BYTES, DEFAULT_SEAL_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What one client, or all of them together, may take.

    Sizes are in bytes, times in seconds.
    """

    bundle_bytes: int = DEFAULT_PAYLOAD_BYTES
    """Payload and attachments of one bundle together."""
    seal_bytes: int = DEFAULT_SEAL_BYTES
    """Largest seal."""
    uploads: int = 16
    """Requests that may send payload at once; each holds two runs of 16 segments (16 MiB) in memory."""
    open_uploads: int = 256
    """Uploads that were begun and neither published nor given up."""
    upload_age_s: float = 24 * 3600
    """An upload that received nothing for this long is collected."""
    ranges: int = 16
    """Ranges in one Range header."""
    connections: int = 1024
    """Connections, and requests, at once."""
    head_bytes: int = 32 * 1024
    """Request line and headers."""
    head_s: float = 10.0
    """From the first byte of a request to the end of its headers, and for a new connection to send one."""
    keep_alive_s: float = 5.0
    """Between two requests on one connection."""
    idle_s: float = 30.0
    """Without a byte of the body, or without the peer taking a byte of the response."""
    least_rate: int = 16 * 1024
    """Bytes per second of a body, averaged over each `idle_s`; of an upload, of all its requests together."""
    shutdown_s: float = 30.0
    """For transfers under way when the server is asked to stop; then they are aborted."""


Limits = ServerLimits
"""Its public name, capseal.server.Limits."""

DEFAULT_LIMITS: Final = ServerLimits()
