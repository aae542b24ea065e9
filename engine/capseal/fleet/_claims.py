"""What each part of a payload may be, claimed before its first byte is sent: no two ciphertexts leave under one nonce.

Claims are values that go to workers by pickle, unless no other process works on the job.
"""

import os
import threading
from dataclasses import dataclass
from typing import Final, Protocol

from ..errors import SourceChangedError
from ..io import durable
from . import _places as places

CLOSED: Final = "closed"
"""The claim that no part may be sent any more: its job was given up."""

SEALED: Final = "sealed"
"""The claim that a seal is about to be put, of a payload with this digest: what lies there may be published since."""

PARTS_SIZE: Final = "part-segments"
"""The first claim of all: under one commitment there is one size of parts."""


class Claims(Protocol):
    """What each part of one payload may be, once and for all, said before its first byte is sent."""

    def claim(self, name: str, what: bytes) -> None:
        """Say what a part is. Raises SourceChangedError where something else was said of it before."""

    def said(self, name: str) -> bytes | None:
        """Return what was said of a part, or None. Raises TransferError."""

    def check_open(self) -> None:
        """Raise SourceChangedError where the job was given up."""

    def close(self) -> None:
        """Let no part be sent any more. Raises TransferError."""


class ClaimsInMemory:
    """Claims of a job that no other process works on, and whose key nobody else ever has."""

    def __init__(self) -> None:
        self._said: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._closed = False

    def claim(self, name: str, what: bytes) -> None:
        with self._lock:
            said = self._said.setdefault(name, what)
        _check_claim(name, said, what)

    def said(self, name: str) -> bytes | None:
        return self._said.get(name)

    def check_open(self) -> None:
        if self._closed:
            raise SourceChangedError("the job was given up")

    def close(self) -> None:
        self._closed = True


@dataclass(frozen=True, slots=True)
class ClaimsInStore:
    """Claims as objects that are only ever created. folder: a path or URL, trusted with the plaintext."""

    folder: str

    def claim(self, name: str, what: bytes) -> None:
        said = places.put_new(self.folder, name, memoryview(what))
        if said is not None:
            _check_claim(f"{self.folder}/{name}", said, what)
        elif places.is_local(self.folder):
            # What was sent must still be claimed when the power comes back.
            durable.sync_path(os.path.join(self.folder, name))
            durable.sync_folder(self.folder)

    def said(self, name: str) -> bytes | None:
        return places.get_all(self.folder, name)

    def check_open(self) -> None:
        if places.size_of(self.folder, CLOSED) is not None:
            raise SourceChangedError(f"{self.folder}: the job was given up")

    def close(self) -> None:
        places.put_new(self.folder, CLOSED, memoryview(b""))


def _check_claim(name: str, said: bytes, what: bytes) -> None:
    if said != what:
        raise SourceChangedError(
            f"{name}: another ciphertext was claimed for it before; the source changed, and two plaintexts under one "
            "key and nonce would give both away"
        )
