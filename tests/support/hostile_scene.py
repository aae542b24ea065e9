"""A publisher with a root, a server that lies, and a device that asks it: what is tried on devices is tried here."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from capseal import PrivateKey
from capseal.device import DeviceStore
from capseal.trust.key_sets import KeySet
from support.device_world import World, make_world, sequence_of
from support.head_world import Hostile, Publisher, hostile_server


@dataclass
class Scene:
    """A publisher with a root of three, two of which must sign; a server that lies; and a device that asks it."""

    publisher: Publisher
    roots: tuple[PrivateKey, ...]
    server: Hostile
    root: Path
    device: DeviceStore = field(init=False)

    def __post_init__(self) -> None:
        self.built_with = self.publisher.trust
        self.device = self.built()

    def built(self, **keywords: Any) -> DeviceStore:
        """Return the device as its app starts anew."""
        return self.publisher.device(self.root, **{"trust": self.built_with} | keywords)

    def show(self, *current: int) -> None:
        """Show the publisher's next head."""
        self.server.shown_head = self.publisher.sign(self.publisher.head(*current))

    def update(self, **changes: Any) -> bytes:
        """Return the next update, by two of the roots; it is not shown yet."""
        return self.publisher.update(by=self.roots[:2], **changes)

    def take(self) -> int:
        """Install, activate, start and confirm; return what runs."""
        self.device.install(self.server.url)
        self.device.activate()
        running = self.device.boot()
        self.device.confirm()
        return sequence_of(running)

    def refuses(self, error: type[Exception], match: str | None = None, *, runs: int) -> None:
        """Nothing is installed, the error says why, and what ran goes on, after a start of the app too."""
        with pytest.raises(error, match=match):
            self.device.install(self.server.url)
        for device in (self.device, self.built()):
            assert device.status().staged is None
            assert sequence_of(device.boot(verify=True)) == runs

    def doubts(self, why: str) -> None:
        """The status says why it is uncertain what is current."""
        uncertain = self.device.status().uncertain
        assert uncertain is not None
        assert why in uncertain.why


@pytest.fixture(scope="module")
def own_world(tmp_path_factory: pytest.TempPathFactory, signer: PrivateKey, recipient: PrivateKey) -> World:
    return make_world(tmp_path_factory.mktemp("hostile"), signer, recipient)


@pytest.fixture
def scene(
    own_world: World, head_signer: PrivateKey, roots: tuple[PrivateKey, PrivateKey, PrivateKey], quick: Path
) -> Iterator[Scene]:
    rooted = KeySet.of(*(key.public_key for key in roots), threshold=2)
    publisher = Publisher(own_world, head_signer, root=rooted)
    with hostile_server(publisher) as server:
        scene = Scene(publisher, roots, server, quick / "device")
        scene.show(1)
        assert scene.take() == 1
        yield scene
