"""Sources, places and engines of fleets, and what plain sealing makes of the same."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

import capseal
from capseal import Detached, PrivateKey, TrustStore, fleet
from capseal.bundle.plan import OPEN_ENCRYPTION, OPEN_PAYLOAD
from capseal.constants import ANY_MEDIA_TYPE
from capseal.fleet import Engine
from capseal.fleet._engines import ClusterExecutor
from capseal.format.statement import Content, Statement
from capseal.format.strictjson import Role
from support.s3 import point_at, s3_server

APP = "com.example.game"
CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BUCKET = "fleet"


def entropy() -> Callable[[int], bytes]:
    """Return what draws the same bytes each time."""
    return random.Random(20).randbytes


STATEMENT = Statement(
    app=APP,
    version="1",
    sequence=7,
    channel="production",
    role=Role.PRODUCTION,
    created=CREATED,
    content=Content("content", ANY_MEDIA_TYPE, 0),
    payload=OPEN_PAYLOAD,
    encryption=OPEN_ENCRYPTION,
)


@dataclass(frozen=True)
class Plain:
    """What capseal.seal() makes of a source."""

    seal: capseal.Seal
    payload: bytes


@dataclass(frozen=True)
class Keys:
    signer: PrivateKey
    recipient: PrivateKey
    trust: TrustStore

    def plain(self, source: Path) -> Plain:
        """Seal as one machine does, with the same entropy."""
        pair = Detached(seal=source.with_suffix(".seal"), payload=source.with_suffix(".payload"))
        seal = capseal.seal(
            source,
            pair,
            signer=self.signer,
            recipients=[self.recipient.public_key],
            app=APP,
            version="1",
            sequence=7,
            name="content",
            created=CREATED,
            entropy=entropy(),
            overwrite=True,
            unpackable=False,
        )
        return Plain(seal, Path(pair.payload).read_bytes())

    def seal(self, source: str | Path, destination: str | Path, engine: Engine, **settings: Any) -> fleet.Sealed:
        """Seal as a fleet does."""
        settings = {"entropy": entropy(), "statement": STATEMENT, "signers": [self.signer]} | settings
        return fleet.seal(
            str(source), str(destination), recipients=[self.recipient.public_key], engine=engine, **settings
        )


@pytest.fixture(scope="session")
def keys(signer: PrivateKey, recipient: PrivateKey, trust: TrustStore) -> Keys:
    return Keys(signer, recipient, trust)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The endpoint of an S3 server, which workers that are started later reach, too."""
    with s3_server(BUCKET) as url, pytest.MonkeyPatch.context() as patch:
        point_at(url, patch)
        yield url


@pytest.fixture(scope="module")
def cluster(s3: str) -> Iterator[Client]:
    """A client of a Dask cluster with two workers that are processes of their own."""
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(host="127.0.0.1", **settings) as made, Client(made, set_as_default=False) as client:
        yield client


class OneWorker(ClusterExecutor):
    """The first of a cluster's workers."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(fn, *args, workers=list(self._client.nthreads())[:1], **kwargs)


@pytest.fixture(scope="module")
def engines(cluster: Client) -> Iterator[dict[str, Engine]]:
    """Threads, one worker, and two."""
    with fleet.threads(2) as threads:
        yield {
            "threads": threads,
            "one worker": Engine("dask", OneWorker(cluster), True, lambda: 1),
            "two workers": Engine("dask", ClusterExecutor(cluster), True, lambda: 2),
        }


@pytest.fixture(params=["threads", "one worker", "two workers"])
def engine(request: pytest.FixtureRequest, engines: dict[str, Engine]) -> Engine:
    return engines[request.param]
