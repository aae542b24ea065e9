"""Every limit of the server: its default, its least value and its meaning (docs/server.md, Limits)."""

from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..constants import DIGEST_BYTES, MAX_ENVELOPE_BYTES
from ..format.seal import seal_bytes_of
from ..format.signed_index import WHOLE_INDEX_BYTES
from ..http.limits import DEFAULT_PAYLOAD_BYTES, DEFAULT_SEAL_BYTES


def _limit(default: float, meaning: str, *, least: float = 1) -> Any:
    """Return a field of a limit, with all that its options and its documentation are made of."""
    return field(default=default, metadata={"meaning": meaning, "least": least})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What one client, or all of them together, may take.

    Sizes are in bytes, times in seconds.
    """

    bundle_bytes: int = _limit(
        DEFAULT_PAYLOAD_BYTES,
        "Payload and attachments of one bundle together.",
    )
    seal_bytes: int = _limit(
        DEFAULT_SEAL_BYTES,
        "Largest seal; unless told otherwise at least what `bundle_bytes` needs.",
    )
    index_bytes: int = _limit(
        WHOLE_INDEX_BYTES,
        "Largest index that is held in memory; of a larger one, the level of the tree above it (1/128) is.",
        least=DIGEST_BYTES,
    )
    uploads: int = _limit(
        16,
        "Requests that may send payload at once; each holds two runs of 16 segments (16 MiB) in memory.",
    )
    open_uploads: int = _limit(
        256,
        "Uploads that were begun and neither published nor given up.",
    )
    open_uploads_per_client: int = _limit(
        64,
        "Of those, begun by one client on one server.",
    )
    open_uploads_per_bundle: int = _limit(
        4,
        "Of those, with one statement: whatever else is in a seal, anybody may vary. The oldest gives way.",
    )
    pointer_age_s: float = _limit(
        1.0,
        "How old may be what is served: until what another server published or withdrew is seen.",
        least=0.0,
    )
    collect_interval_s: float = _limit(
        3600.0,
        "Between two collections of what nobody needs, on the average, of each server.",
    )
    collect_grace_s: float = _limit(
        3600.0,
        "How old is what is collected, and how long it is used no more before it goes; publishing takes half at most.",
        least=120.0,  # who puts other seals into a store, which is no server and knows no limits, has half of that
    )
    lease_s: float = _limit(
        60.0,
        "How long a collector that was killed keeps others from collecting.",
    )
    upload_age_s: float = _limit(
        24 * 3600,
        "Until an upload that receives nothing is collected.",
        least=1.0,
    )
    seal_memory_bytes: int = _limit(
        64 * 1024**2,
        "What seals and indexes that arrive hold in memory together, but at least one of seal_bytes.",
    )
    seal_memory_per_client_bytes: int = _limit(
        16 * 1024**2,
        "Of that, what those from one client hold, but at least one of seal_bytes.",
    )
    verified_bytes: int = _limit(
        256 * 1024**2,
        "With verified reads: what was verified last and stays in memory for whoever asks next; 0 keeps nothing.",
        least=0,
    )
    ranges: int = _limit(
        16,
        "Ranges in one Range header.",
    )
    connections: int = _limit(
        1024,
        "Connections, and requests, at once; whoever is idle for longest goes when a new one comes.",
    )
    connections_per_client: int = _limit(
        256,
        "Of those, from one client, an IPv4 address or a /64 network of IPv6 ones; behind proxies, requests at once.",
    )
    head_bytes: int = _limit(
        32 * 1024,
        "Request line and headers, all of them together.",
    )
    headers: int = _limit(
        100,
        "How many headers a request has.",
    )
    head_s: float = _limit(
        10.0,
        "From the first byte of a request to the end of its headers, and for a new connection to send one.",
        least=0.1,
    )
    keep_alive_s: float = _limit(
        5.0,
        "Between two requests on one connection.",
        least=0.0,
    )
    idle_s: float = _limit(
        30.0,
        "Without a byte of the body, or without the peer taking a byte of the response.",
        least=0.1,
    )
    least_rate: int = _limit(
        16 * 1024,
        "Bytes per second of a body, averaged over each idle_s; of an upload, of all its requests together.",
        least=0,
    )
    storage_s: float = _limit(
        30.0,
        "For one call of the storage, such as to put a run of 8 MiB, all attempts together; then the answer is 503.",
        least=0.1,
    )
    shutdown_s: float = _limit(
        30.0,
        "For transfers under way when the server is asked to stop; then they are aborted.",
        least=0.0,
    )

    def __post_init__(self) -> None:
        if self.seal_bytes == DEFAULT_SEAL_BYTES:
            grown = max(DEFAULT_SEAL_BYTES, seal_bytes_of(MAX_ENVELOPE_BYTES, self.bundle_bytes))
            object.__setattr__(self, "seal_bytes", grown)

    def behind_proxy(self) -> "ServerLimits":
        """Return the limits of a server all of whose clients have one address, that of a proxy."""
        return replace(
            self,
            connections_per_client=self.connections,
            seal_memory_per_client_bytes=self.seal_memory_bytes,
            open_uploads_per_client=self.open_uploads,
        )


Limits = ServerLimits
"""Its public name, capseal.server.Limits."""

DEFAULT_LIMITS: Final = ServerLimits()
