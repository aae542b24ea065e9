"""Publishing to a catalogue and reading from it, without a wire: for tests of what several servers do to one store."""

import logging

from capseal import TrustStore
from capseal.embedding import accept
from capseal.format.strictjson import Role
from capseal.http.shapes import AppChannel, ReleaseDescription
from capseal.server import Limits, Storage
from capseal.server.catalogue.arriving import Upload
from capseal.server.catalogue.catalogue import Catalogue
from capseal.server.storage.stored_runs import StoredRun
from support.serving import APP, CHANNEL, Bundle

OF = AppChannel(APP, CHANNEL)
NO_AGE = Limits(pointer_age_s=0)


def server_on(storage: Storage, trust: TrustStore, limits: Limits = NO_AGE) -> Catalogue:
    log = logging.getLogger("capseal.server")
    return Catalogue(storage, trust, role=Role.PRODUCTION, limits=limits, log=log, verify_reads=True)


async def upload(server: Catalogue, bundle: Bundle, trust: TrustStore, *, client: str = "x") -> Upload:
    """Send a bundle of one run, but do not publish it."""
    begun = await server.begin(accept(bundle.seal, trust=trust), client=client)
    assert isinstance(begun, Upload)
    segments = -(-len(bundle.payload) // (512 * 1024))
    if begun.payload.missing:
        await server.put_run(begun, begun.payload, StoredRun(0, segments, ""), memoryview(bundle.payload))
    return begun


async def publish(server: Catalogue, bundle: Bundle, trust: TrustStore) -> ReleaseDescription:
    begun = await server.begin(accept(bundle.seal, trust=trust), client="x")
    if isinstance(begun, ReleaseDescription):
        return begun
    return (await server.publish((await upload(server, bundle, trust)).id))[0]


async def payload_of(server: Catalogue, release: ReleaseDescription) -> bytes:
    payload = await server.payload(release, None)
    return b"".join([bytes(chunk) async for chunk in payload.chunks(0, release.payload.size)])
