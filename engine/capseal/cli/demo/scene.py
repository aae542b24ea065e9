"""What the demo's steps share."""

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...errors import CapsealError

if TYPE_CHECKING:
    from ...crypto.keys import PrivateKey
    from ...format.seal import Seal
    from ...trust.store import TrustStore

APP = "com.example.demo"


@dataclass(slots=True)
class Scene:
    """What the steps share: a temporary folder, and what is made in it. path: the bundle."""

    folder: str
    path: str
    signer: "PrivateKey" = field(init=False)
    device: "PrivateKey" = field(init=False)
    trust: "TrustStore" = field(init=False)
    seal: "Seal" = field(init=False)

    @property
    def sealed(self) -> str:
        """Where the sealed bundle is."""
        return os.path.join(self.folder, "bundle.sealed")

    @property
    def opened(self) -> str:
        """Where the bundle comes out again."""
        return os.path.join(self.folder, "bundle.opened")


@dataclass(frozen=True, slots=True)
class Done:
    """What a step did. size: bytes that it worked through, or None where speed says nothing; note: one more line."""

    what: str
    size: int | None = None
    note: str | None = None


class DemoFailedError(CapsealError):
    """What the demo is there to show did not happen."""
