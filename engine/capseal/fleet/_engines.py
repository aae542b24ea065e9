"""Who does the work: threads of this process, or the workers of a Dask cluster. Both are an Executor."""

import asyncio
import ipaddress
import os
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ..errors import KeyFileError, TransferError, UsageError
from ..native import processors

if TYPE_CHECKING:
    from distributed import Client
    from distributed import Future as RemoteFuture

T = TypeVar("T")

_CONNECT_S = 30.0


@dataclass(frozen=True, slots=True)
class Engine:
    """Where tasks run. name: for reports; shared: other processes do, which may be killed and their tasks done again.

    threads: says how many tasks run at once, now, 0 where nobody can be reached; lost: what is raised in place of a
    task's own error where it ended with its worker.
    """

    name: str
    executor: Executor
    shared: bool
    threads: Callable[[], int]
    lost: tuple[type[BaseException], ...] = ()


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """How a cluster is reached: PEM files of who vouches for it, and of this client's certificate and key."""

    ca: str
    certificate: str
    key: str


@contextmanager
def threads(jobs: int | None = None) -> Iterator[Engine]:
    """Give an engine of this process's threads. jobs: how many, by default one for each processor."""
    count = processors() if jobs is None else jobs
    if count < 1:
        raise UsageError(f"{count} jobs asked for, at least 1 is needed")
    with ThreadPoolExecutor(count, thread_name_prefix="capseal-fleet") as executor:
        yield Engine("threads", executor, False, lambda: count)


@contextmanager
def dask(address: str, *, tls: TlsFiles | None = None, connect_s: float = _CONNECT_S) -> Iterator[Engine]:
    """Give an engine of a cluster's workers. address: of its scheduler, `tls://HOST:PORT`.

    `tcp://`, where everybody on the way reads keys, only to this machine itself. connect_s: how long it is
    tried. Raises UsageError, KeyFileError, TransferError.
    """
    check_address(address, tls)
    from distributed import Client
    from distributed.exceptions import WorkerStartTimeoutError
    from distributed.scheduler import KilledWorker
    from distributed.security import Security

    security = None
    if tls is not None:
        for path in (tls.ca, tls.certificate, tls.key):
            if not os.path.isfile(path):
                raise KeyFileError(f"{path}: no such file")
        security = Security(
            tls_ca_file=tls.ca, tls_client_cert=tls.certificate, tls_client_key=tls.key, require_encryption=True
        )
    try:
        client = Client(address, security=security, set_as_default=False, timeout=connect_s, name="capseal-fleet")
    except (OSError, WorkerStartTimeoutError) as error:
        raise TransferError(f"cannot reach the cluster at {address}: {error or type(error).__name__}") from error
    with client:
        yield Engine("dask", ClusterExecutor(client), True, lambda: _threads_of(client), (KilledWorker,))


class ClusterExecutor(Executor):
    """A Dask client as an Executor, each of whose futures ends, whatever becomes of its task.

    `Client.get_executor()` has futures that never do: where a result was lost with its worker before it was fetched,
    and the task then fails or is forgotten.
    """

    def __init__(self, client: "Client") -> None:
        self._client = client
        loop: Any = client.loop  # of tornado, whose types do not say that it is around one of asyncio
        self._loop: asyncio.AbstractEventLoop = loop.asyncio_loop

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Have a task done by a worker. Its future raises CancelledError where the scheduler has forgotten it."""
        from distributed.client import ClosedClientError

        try:
            # Never by what goes into a task: its digest would be the name of it, and of two equal ones one is done.
            remote = self._client.submit(fn, *args, pure=False, **kwargs)
        except ClosedClientError as error:
            raise TransferError(f"the scheduler was lost: {error}") from error
        return asyncio.run_coroutine_threadsafe(self._outcome(remote), self._loop)

    async def _outcome(self, remote: "RemoteFuture[T]") -> T:
        try:
            result: T = await self._client.gather(remote, asynchronous=True)
        finally:
            remote.release()
        return result


def _threads_of(client: "Client") -> int:
    try:
        return sum(client.nthreads().values())
    except (OSError, CancelledError):  # a scheduler that comes back, or does not
        return 0


def check_address(address: str, tls: TlsFiles | None) -> None:
    """Raise UsageError unless an address is one to send keys to."""
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in ("tls", "tcp") or not parts.hostname or port is None:
        raise UsageError(f"{address}: not the address of a scheduler, such as tls://HOST:8786")
    if parts.scheme == "tls":
        if tls is None:
            raise UsageError(f"{address}: needs a certificate of its authority, and one and a key of its own")
    elif tls is not None:
        raise UsageError(f"{address}: certificates are for tls://")
    elif not _is_loopback(parts.hostname):
        raise UsageError(f"{address}: without TLS everybody on the way reads the payload's key; use tls://")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: that one may lead elsewhere tomorrow, but for the one that is reserved
        return host == "localhost"
