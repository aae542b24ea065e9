"""What the device tests share: keys, bundles whose content names their version, stores, and what must hold."""

import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import capseal
from capseal import PrivateKey, Signer, TrustStore, load_private_key, load_trust
from capseal.device import DeviceStore, Running

APP = "com.example.game"
MANY = 5
"""Last digit of the sequences whose bundles have so many files that they are made durable together."""
HEADS_TRUST = "heads-trust.json"
"""The trust store of the app's build that takes heads, where a world was saved with heads."""
OTHER_TRUST = "other-trust.json"
"""One that trusts none of those who signed, where a world was saved with it."""
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def files_of(sequence: int) -> dict[str, bytes]:
    """Return the content of the bundle with that sequence; 0 is the built-in one."""
    files = {
        "index.html": b"<p>version %d</p>" % sequence,
        "js/app.js": b"console.log(%d);\n" % sequence * 500,
        "js/lib/math.js": bytes([sequence % 256]) * 3000,
    }
    if sequence % 10 == MANY:
        files |= {f"img/{number % 3}/{number}.svg": b"%d %d" % (sequence, number) for number in range(20)}
    return files


def read_tree(folder: str | os.PathLike[str]) -> dict[str, bytes]:
    """Return every file below a folder."""
    root = Path(folder)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def write_tree(folder: Path, files: dict[str, bytes]) -> Path:
    """Make a folder of those files."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@contextmanager
def quick_folder(otherwise: Path) -> Iterator[Path]:
    """Make a folder in memory where there is one: for what syncs often and needs no real disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else otherwise) as folder:
        yield Path(folder)


class Clock:
    """Seconds that stand still unless a test moves them."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


@dataclass(frozen=True)
class World:
    """A publisher, and the devices of one app. folder: for bundles and stores."""

    folder: Path
    signer: Signer
    recipient: PrivateKey

    @property
    def trust(self) -> TrustStore:
        return TrustStore.of(self.signer.public_key)

    @property
    def builtin(self) -> Path:
        return self.folder / "builtin"

    def seal(self, sequence: int, **keywords: Any) -> bytes:
        """Return the attached bundle with that sequence; its content as files_of() says, unless `source` is given."""
        source = keywords.pop("source", None)
        if source is None:
            source = self.folder / "sources" / str(sequence)
            if not source.exists():
                write_tree(source, files_of(sequence))
        settings: dict[str, Any] = {
            "signer": self.signer,
            "recipients": [self.recipient.public_key],
            "app": APP,
            "version": f"1.{sequence}.0",
            "sequence": sequence,
            "created": EPOCH + timedelta(seconds=min(sequence, 10**6)),
            "jobs": 1,
            "unpackable": False,  # what devices refuse must get to them
        } | keywords
        output = io.BytesIO()
        capseal.seal(source, output, **settings)
        return output.getvalue()

    def sealed(self, sequence: int) -> Path:
        """Return the path of the attached bundle with that sequence."""
        path = self.folder / f"{sequence}.sealed"
        if not path.exists():
            path.write_bytes(self.seal(sequence))
        return path

    def store(self, root: Path, **keywords: Any) -> DeviceStore:
        """Return a store of this app."""
        settings: dict[str, Any] = {
            "trust": self.trust,
            "identity": self.recipient,
            "app": APP,
            "builtin": self.builtin,
            "lock_timeout_s": 5.0,
            "confirm_within_s": 10.0**6,  # what was started once is confirmed after any number of other tests
        } | keywords
        return DeviceStore(root, **settings)

    def save(self) -> Path:
        """Write what load_world() needs."""
        self.signer.save(self.folder / "signer.pem")
        self.recipient.save(self.folder / "recipient.pem")
        self.trust.save(self.folder / "trust.json")
        return self.folder


def make_world(folder: Path, signer: Signer, recipient: PrivateKey) -> World:
    """Return a world in a new folder."""
    write_tree(folder / "builtin", files_of(0))
    return World(folder, signer, recipient)


def load_world(folder: Path) -> World:
    """Return the world that was saved there."""
    world = World(folder, load_private_key(folder / "signer.pem"), load_private_key(folder / "recipient.pem"))
    assert load_trust(folder / "trust.json") == world.trust
    return world


def sequence_of(running: Running) -> int:
    """Return which bundle runs, having compared every file with what that bundle must hold."""
    sequence = running.bundle.sequence if running.bundle is not None else 0
    assert read_tree(running.path) == files_of(sequence)
    return sequence


def update(store: DeviceStore, world: World, sequences: Iterable[int]) -> None:
    """Install, activate, start and confirm each."""
    for sequence in sequences:
        store.install(world.sealed(sequence))
        store.activate()
        assert sequence_of(store.boot()) == sequence
        store.confirm()


def state_of(root: Path) -> dict[str, Any]:
    """Return the state file's members."""
    state: dict[str, Any] = json.loads((root / "state.json").read_bytes())
    return state


def check_clean(root: Path) -> None:
    """Nothing but what the state names is left in the store's folder."""
    state = state_of(root)
    named = [*state["staged"], *(trial["bundle"] for trial in state["pending"]), *state["confirmed"]]
    assert sorted(os.listdir(root / "bundles")) == sorted(f"{b['sequence']}-{b['digest'][:16]}" for b in named)
    assert os.listdir(root / "staging") == []
    assert sorted(os.listdir(root)) == ["bundles", "install.lock", "staging", "state.json", "state.lock"]
