"""Many workers, one result: seal, verify and unseal by threads or a cluster, over folders and buckets (extra `fleet`).

An engine, threads() or dask(), is who does the work; a Watch looks on. All of it is described in docs/fleet.md.
"""

from ._engines import Engine, TlsFiles, dask, threads
from ._jobs import JobCancelledError, Progress, Report, Watch
from ._opening import Opened, unseal, verify
from ._sealing import Sealed, seal

__all__ = [
    "Engine",
    "JobCancelledError",
    "Opened",
    "Progress",
    "Report",
    "Sealed",
    "TlsFiles",
    "Watch",
    "dask",
    "seal",
    "threads",
    "unseal",
    "verify",
]
