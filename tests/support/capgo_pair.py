"""A sealed bundle and the Capgo file beside it, for the tests of the server."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capseal import capgo
from capseal.format.tree import index_entries
from support.serving import Bundle, make_bundle


@dataclass(frozen=True)
class Pair:
    """A sealed bundle and the Capgo file that its seal vouches for; in `folder` as game.sealed and game.capgo."""

    bundle: Bundle
    ciphertext: bytes
    record: capgo.Bundle
    folder: Path

    @property
    def index(self) -> bytes:
        return index_entries(memoryview(self.ciphertext), whole_payload=True)

    @property
    def digest(self) -> str:
        found = capgo.attached(self.bundle.parsed.statement)
        assert found is not None
        return found.digest.hex()


def make_pair(
    folder: Path,
    key: capgo.PrivateKey,
    signer: Any,
    recipient: Any,
    *,
    content: bytes,
    sequence: int,
    **keywords: Any,
) -> Pair:
    """Encrypt content for the plugin, and seal it; keywords: of capseal.seal."""
    record = capgo.encrypt(io.BytesIO(content), folder / "game.capgo", key=key, overwrite=True)
    companion, member = capgo.attach(record, folder / "game.capgo")
    vouched = {"companions": [companion], "custom": {capgo.CUSTOM_MEMBER: member}}
    bundle = make_bundle(folder, signer, recipient, content=content, sequence=sequence, **vouched | keywords)
    (folder / "game.sealed").write_bytes(bundle.seal + bundle.payload)
    return Pair(bundle, (folder / "game.capgo").read_bytes(), record, folder)
