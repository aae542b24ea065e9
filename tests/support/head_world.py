"""A publisher with head keys, and a server that shows whatever a test lets it: any head, release, recall, update."""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import capseal
from capseal import PrivateKey, Role, TrustedKey, TrustStore
from capseal.constants import SEAL_HEADER_BYTES
from capseal.device import DeviceStore
from capseal.format.head import Head, NamedRelease
from capseal.format.recall import Recall, RecalledRelease
from capseal.http.shapes import AppChannel, ReleaseDescription
from capseal.server import Chunks, create_reading_app, make_server
from capseal.trust import head_chain as chain
from capseal.trust.heads import SignedHead, sign_head, sign_recall
from capseal.trust.key_sets import HeadPolicy, KeySet
from capseal.trust.updates import make_update, next_epoch
from support.device_world import APP, World
from support.serving import running

CHANNEL = "production"
START = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK_S = 7 * 24 * 3600

HEADS_FOR_OTHERS: dict[str, Callable[[Head], Head]] = {
    "channel": lambda head: replace(head, channel="beta"),
    "app": lambda head: replace(head, app="com.example.other"),
    "role": lambda head: replace(head, role=Role.DEVELOPMENT),
    "epoch": lambda head: replace(head, epoch=2),
    "too long": lambda head: replace(head, expires=head.issued + timedelta(seconds=2 * WEEK_S + 1)),
}
"""What makes of a head one that no device here may take, by what is wrong with it: all are NotForUsError."""


class Publisher:
    """Signs heads and recalls; `now` is its clock. last: the last head that it signed."""

    def __init__(self, world: World, head_signer: PrivateKey, **keywords: Any) -> None:
        self.world = world
        self.head_signer = head_signer
        heads = HeadPolicy(2 * WEEK_S, START + timedelta(days=2000), KeySet.of(head_signer.public_key))
        settings = {"heads": heads, "created": START - 30 * DAY} | keywords
        self.trust = TrustStore((TrustedKey(world.signer.public_key),), **settings)
        self.now = START
        self.last: SignedHead | None = None

    def named(self, sequence: int, **keywords: Any) -> NamedRelease:
        statement = capseal.inspect(self.world.sealed(sequence))[1]
        return replace(NamedRelease(sequence, statement.payload.digest.hex(), statement.requires), **keywords)

    def head(self, *current: int, role: Role = Role.PRODUCTION, channel: str = CHANNEL) -> Head:
        """Return the next head: of these releases, or of those of the last one."""
        if self.last is None:
            named = [self.named(sequence) for sequence in current]
            asked = {"app": APP, "channel": channel, "role": role, "now": self.now, "age_s": WEEK_S}
            return chain.first_head(self.trust, named, **asked)
        head = chain.next_head(self.last, self.trust, now=self.now, age_s=WEEK_S)
        for sequence in sorted(current):
            head = chain.with_release(head, self.named(sequence))
        return head

    def sign(self, head: Head, *, by: PrivateKey | None = None) -> bytes:
        """Sign a head, which is the last one from now on."""
        self.last = SignedHead(head, head.encode())
        return sign_head(head, [by or self.head_signer])

    def recall(self, *sequences: int, by: PrivateKey | None = None, **keywords: Any) -> tuple[str, bytes]:
        """Return a recall's digest, and its envelope."""
        released = [self.named(sequence) for sequence in sorted(sequences, reverse=True)]
        said: dict[str, Any] = {
            "app": APP,
            "channel": CHANNEL,
            "role": Role.PRODUCTION,
            "created": self.now,
            "releases": tuple(RecalledRelease(one.sequence, one.digest, f"1.{one.sequence}.0") for one in released),
        } | keywords
        recall = Recall(**said)
        return hashlib.sha256(recall.encode()).hexdigest(), sign_recall(recall, [by or self.world.signer])

    def update(self, *, by: Sequence[PrivateKey], **changes: Any) -> bytes:
        """Return the next update of the trust store, which is in force for this publisher from now on."""
        new = replace(self.trust, version=self.trust.version + 1, **changes)
        new = replace(new, epoch=next_epoch(self.trust, new))
        update = make_update(self.trust, new, signers=by)
        self.trust = new
        return update

    def device(self, root: Path, **keywords: Any) -> DeviceStore:
        """Return a device of this app, whose clock is the publisher's."""
        settings = {"trust": self.trust, "head": "required", "wall_clock": lambda: self.now} | keywords
        return self.world.store(root, **settings)


class Hostile:
    """A server that shows what it is told to. asked: what it was asked for; recalls_let_go: until then none comes."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.shown_head: bytes | None = None
        self.recalls: dict[str, bytes] = {}
        self.recalls_let_go: threading.Event | None = None
        self.updates: dict[int, bytes] = {}
        self.latest_sequence: int | None = None
        self.hidden: set[int] = set()
        self.asked: list[str] = []
        self.url = ""

    def _release(self, sequence: int) -> ReleaseDescription:
        data = self.publisher.world.sealed(sequence).read_bytes()
        envelope, statement = capseal.inspect(self.publisher.world.sealed(sequence))
        seal = data[: len(data) - statement.payload.size]
        assert len(seal) > SEAL_HEADER_BYTES
        return ReleaseDescription.of(
            statement,
            {},
            published=START,
            seal_bytes=len(seal),
            seal_digest=hashlib.sha256(seal).hexdigest(),
            signers=tuple(signature.keyid for signature in envelope.signatures),
        )

    async def head(self, of: AppChannel) -> bytes | None:
        self.asked.append("head")
        return self.shown_head

    async def recall(self, of: AppChannel, digest: str) -> bytes | None:
        self.asked.append("recall")
        while self.recalls_let_go is not None and not self.recalls_let_go.is_set():
            await asyncio.sleep(0.01)
        return self.recalls.get(digest)

    async def trust_update(self, app: str, version: int) -> bytes | None:
        self.asked.append(f"trust {version}")
        return self.updates.get(version)

    async def channels(self, *, after: AppChannel | None, most: int) -> list[AppChannel]:
        return []

    async def releases(self, of: AppChannel, *, below: int | None, most: int) -> list[ReleaseDescription]:
        return []

    async def release(self, of: AppChannel, sequence: int) -> ReleaseDescription | None:
        self.asked.append(str(sequence))
        return None if sequence in self.hidden else self._release(sequence)

    async def latest(self, of: AppChannel) -> ReleaseDescription | None:
        self.asked.append("latest")
        return None if self.latest_sequence is None else self._release(self.latest_sequence)

    async def seal(self, release: ReleaseDescription) -> bytes:
        return self.publisher.world.sealed(release.sequence).read_bytes()[: release.seal_bytes]

    async def payload(self, release: ReleaseDescription, attachment: str | None) -> "_Payload":
        return _Payload(self.publisher.world.sealed(release.sequence).read_bytes()[release.seal_bytes :])

    async def attachment_index(self, release: ReleaseDescription, name: str) -> bytes:
        raise AssertionError


class _Payload:
    def __init__(self, data: bytes) -> None:
        self._data = data

    async def chunks(self, start: int, stop: int) -> Chunks:
        yield self._data[start:stop]


@contextmanager
def hostile_server(publisher: Publisher) -> Iterator[Hostile]:
    """Serve what is shown until the block is left."""
    shown = Hostile(publisher)
    server = make_server(create_reading_app(shown), host="127.0.0.1", port=0)
    with running(server) as client:
        shown.url = str(client.base_url).rstrip("/")
        yield shown
