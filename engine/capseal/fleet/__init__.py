"""Many workers, one result: seal, verify and unseal by threads or a cluster, over folders and buckets (extra `fleet`).

An engine, threads() or dask(), is who does the work; a Watch looks on. All of it is described in docs/fleet.md.
"""

from ._engines import Engine, TlsFiles, dask, threads
from ._jobs import JobCancelledError, Progress, Report, Watch
from ._opening import Opened, unseal, verify
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
    "Scrubbed",
    "Sealed",
    "TlsFiles",
    "Watch",
    "dask",
    "scrub",
    "seal",
    "threads",
    "unseal",
    "verify",
]
