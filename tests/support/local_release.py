"""A release with recipes in files, in place of one on a server: what a device is given where nothing may be sent."""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import capseal
import capseal.client
from capseal import Companion
from capseal.bundle.companions import checked_index
from capseal.io.source import Source, open_source
from support.device_world import World


def seal_with_recipes(world: World, sequence: int, base: int) -> None:
    """Seal a bundle with recipes from another one and from nothing, unless that was done."""
    from capseal.recipes.bases import open_known_base
    from capseal.recipes.making import RecipeMaker

    path = _path(world, sequence)
    if path.exists():
        return
    with ExitStack() as stack:
        known = open_known_base(world.sealed(base), stack, identity=[world.recipient], trust=world.trust)
        maker = stack.enter_context(RecipeMaker([known], place=lambda name: f"{path}.{name}", keep_all=True, jobs=1))
        path.write_bytes(world.seal(sequence, companions=[maker]))


def _path(world: World, sequence: int) -> Path:
    return world.folder / f"{sequence}.recipes"


@dataclass(frozen=True)
class LocalRelease:
    """What FoundRelease is, of files."""

    path: Path

    @property
    def _payload_bytes(self) -> int:
        return capseal.inspect(self.path)[1].payload.size

    def stream_seal(self) -> BinaryIO:
        return io.BytesIO(self.path.read_bytes()[: -self._payload_bytes])

    def stream_payload(self) -> BinaryIO:
        return io.BytesIO(self.path.read_bytes()[-self._payload_bytes :])

    def payload(self, size: int) -> Source:
        return open_source(self.stream_payload())

    def open_companion(self, companion: Companion) -> tuple[Source, bytes]:
        data = self.path.with_name(f"{self.path.name}.{companion.name}").read_bytes()
        return open_source(io.BytesIO(data)), checked_index(companion, open_source(io.BytesIO(data))).entries


def serve_from(world: World, sequence: int) -> None:
    """Have this process take every URL for that release."""

    @contextmanager
    def follow_latest(url: str, **_: Any) -> Iterator[LocalRelease]:
        yield LocalRelease(_path(world, sequence))

    capseal.client.follow_latest = follow_latest  # type: ignore[assignment]
