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
    offer: dict[str, Any] | None = None,
    **keywords: Any,
) -> Pair:
    """Encrypt content for the plugin, and seal it; offer: to which devices; keywords: of capseal.seal."""
    record = capgo.encrypt(io.BytesIO(content), folder / "game.capgo", key=key, overwrite=True)
    companion, member = capgo.attach(record, folder / "game.capgo")
    custom = {capgo.CUSTOM_MEMBER: member} | ({} if offer is None else {capgo.OFFER_MEMBER: offer})
    vouched: dict[str, Any] = {"companions": [companion], "custom": custom}
    bundle = make_bundle(folder, signer, recipient, content=content, sequence=sequence, **vouched | keywords)
    (folder / "game.sealed").write_bytes(bundle.seal + bundle.payload)
    return Pair(bundle, (folder / "game.capgo").read_bytes(), record, folder)
