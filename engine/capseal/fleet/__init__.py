"""Many workers, one result: seal, verify, unseal, scrub and rewrap by threads or a cluster (extra `fleet`).

An engine, threads() or dask(), is who does the work; a Watch looks on. All of it is described in docs/fleet.md.
"""

from ._engines import Engine, TlsFiles, dask, threads
from ._jobs import JobCancelledError, Progress, Report, Watch
from ._opening import Opened, unseal, verify
from ._payloads import seal_of_parts
from ._rewrapping import Rewrapped, SealLog, Selection, rewrap
from ._scrub_work import Finding
from ._scrubbing import Scrubbed, scrub
from ._sealing import Sealed, seal

__all__ = [
    "Engine",
    "Finding",
    "JobCancelledError",
    "Opened",
    "Progress",
    "Report",
    "Rewrapped",
    "Scrubbed",
    "SealLog",
    "Sealed",
    "Selection",
    "TlsFiles",
    "Watch",
    "dask",
    "rewrap",
    "scrub",
    "seal",
    "seal_of_parts",
    "threads",
    "unseal",
    "verify",
]
