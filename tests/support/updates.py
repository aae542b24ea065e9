"""An update: an old folder, sealed, and a new one, sealed with recipes for devices that have the old one."""

import io
import random
import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import capseal
from capseal import Companion, Expect, TrustStore
from capseal.bundle.companions import checked_index
from capseal.bundle.opened import open_bundle
from capseal.constants import SEGMENT_BYTES
from capseal.io.source import open_source
from capseal.recipes.bases import open_known_base
from capseal.recipes.making import RecipeMaker
from capseal.recipes.rebuilding import Attempt, rebuild_missing

APP = "com.example.game"


def write_versions(folder: Path, *, asset_bytes: int = 1_500_000) -> tuple[Path, Path]:
    """Write an old folder and a new one: code that was edited, assets of which some are new, a file that went."""
    old, new = folder / "old", folder / "new"
    drawn = random.Random(7)
    words = "".join(f"export const value_{i} = {drawn.random()};\n" for i in range(8000)).encode()
    assets = drawn.randbytes(asset_bytes)
    for place, code in ((old, words), (new, words[:9000] + b"/* new */" + words[9000:].replace(b"value_77 ", b"v77 "))):
        (place / "js").mkdir(parents=True)
        (place / "empty").mkdir()
        (place / "index.html").write_bytes(b"<h1>hello</h1>")
        (place / "js" / "main.js").write_bytes(code)
        (place / "assets.bin").write_bytes(assets)
    (old / "gone.txt").write_bytes(b"gone" * 100)
    (new / "more.bin").write_bytes(drawn.randbytes(2000))
    return old, new


@dataclass
class Update:
    """The sealed update. old_sealed, seal, payload: paths; recipes lie beside the payload as PAYLOAD.NAME."""

    folder: Path
    old: Path
    new: Path
    old_sealed: Path
    seal: Path
    payload: Path
    signer: Any
    recipient: Any
    made: tuple[Any, ...]
    indexes: dict[str, bytes] = field(default_factory=dict)

    @property
    def trust(self) -> TrustStore:
        return TrustStore.of(self.signer.public_key)

    def stored(self, name: str) -> Path:
        """Return where a recipe is."""
        return self.payload.with_name(f"{self.payload.name}.{name}")

    @property
    def from_old(self) -> str:
        """The name of the recipe from the old bundle."""
        [name] = [one.name for one in self.made if one.base is not None]
        return name

    @cached_property
    def opened(self) -> tuple[Any, bytes]:
        """The verdict on the seal, and the session key."""
        with open_bundle(self.payload, trust=self.trust, expect=Expect(app=APP), seal=self.seal) as opened:
            return opened.verified, opened.open_session_key(self.recipient)[0]

    def index(self, companion: Companion) -> bytes:
        """Return the index of a companion."""
        if companion.name not in self.indexes:
            data = io.BytesIO(self.stored(companion.name).read_bytes())
            self.indexes[companion.name] = checked_index(companion, open_source(data)).entries
        return self.indexes[companion.name]

    def rebuild(
        self, *, bases: tuple[Path, ...] = (), missing: set[int] | None = None, altered: Any = None, **keywords: Any
    ) -> tuple[bytearray, set[int], list[Attempt]]:
        """Rebuild from recipes; return the payload as far as it came, what is missing, and what was tried.

        altered: makes the stored bytes of a companion other ones.
        """
        verified, session_key = self.opened
        with ExitStack() as stack:
            known = [open_known_base(path, stack, identity=[self.recipient], trust=self.trust) for path in bases]
            out = bytearray(verified.statement.payload.size)
            if missing is None:
                missing = set(range(-(-len(out) // SEGMENT_BYTES)))

            def keep(at: int, data: memoryview) -> None:
                out[at : at + len(data)] = data

            def open_companion(companion: Companion) -> Any:
                data = self.stored(companion.name).read_bytes()
                index = self.index(companion)
                if altered is not None:
                    data = altered(companion.name, data)
                return open_source(io.BytesIO(data)), index

            attempts = rebuild_missing(
                verified,
                session_key,
                bases=known,
                open_companion=open_companion,
                missing=missing,
                keep=keep,
                **keywords,
            )
        return out, missing, attempts


def make_update(
    folder: Path,
    signer: Any,
    recipient: Any,
    *,
    bases: Any = None,
    versions: Any = None,
    from_folder: bool = False,
    sequence: int = 2,
    **keywords: Any,
) -> Update:
    """Seal an old folder, and a new one with its recipes. bases: paths, by default the old bundle, or its folder."""
    old, new = versions or write_versions(folder)
    settings = {"signer": signer, "recipients": [recipient.public_key], "app": APP, "jobs": 1}
    old_sealed, seal, payload = folder / "old.sealed", folder / "new.seal", folder / "new.payload"
    capseal.seal(old, old_sealed, version="1", sequence=1, **settings)
    trust = TrustStore.of(signer.public_key)
    with ExitStack() as stack:
        known = [
            open_known_base(path, stack, identity=[recipient], trust=trust)
            for path in bases or [old if from_folder else old_sealed]
        ]
        maker = stack.enter_context(
            RecipeMaker(known, place=lambda name: f"{payload}.{name}", **{"keep_all": True, "jobs": 2} | keywords)
        )
        sink = capseal.Detached(seal, payload)
        capseal.seal(new, sink, version="2", sequence=sequence, companions=[maker], **settings)
    return Update(folder, old, new, old_sealed, seal, payload, signer, recipient, maker.made)


def copy_tree(folder: Path, to: Path) -> Path:
    """Copy a folder."""
    shutil.copytree(folder, to)
    return to
