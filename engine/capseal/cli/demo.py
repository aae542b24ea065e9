"""capseal demo: the main job, step by step, with nothing prepared and nothing left behind."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

from ..errors import CapsealError, TamperedError, UsageError
from . import progress
from .arguments import argument
from .console import say

if TYPE_CHECKING:
    from ..keys import PrivateKey
    from ..seals import Seal
    from ..trust import TrustStore

BUNDLE_BYTES = 256 * 1024 * 1024
SPARE_BYTES = 64 * 1024 * 1024
FAST_BYTES = 1024 * 1024  # the speed of less says nothing
APP = "com.example.demo"

_CHUNK_BYTES = 4 * 1024 * 1024
_INDENT = " " * 39


@dataclass(slots=True)
class Stage:
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


def demo(
    path: Annotated[str | None, argument("PATH", help="A file or folder; default: 256 MiB that it makes.")] = None,
) -> None:
    """Show the main job: make keys, seal, verify, tamper, unseal. Nothing is left behind."""
    from . import demo_device  # it uses this module

    for module in ("sealing", "unsealing", "device"):  # before the clock runs: a step's speed is that of the work
        import_module(f"capseal.{module}")
    size = BUNDLE_BYTES if path is None else _size_of(path)
    with tempfile.TemporaryDirectory(prefix="capseal-demo-", dir=_roomy_folder(3 * size + SPARE_BYTES)) as folder:
        say(f"in {folder}, which is removed at the end")
        say(f"{'step':<13}  {'time':>9}  {'speed':>10}  result")
        stage = Stage(folder, path or os.path.join(folder, "bundle"))
        if path is None:
            _show("make a bundle", _make_bundle, stage)
        for name, step in (*STEPS, *demo_device.steps()):
            _show(name, step, stage)


def _show(name: str, step: Callable[[Stage], Done], stage: Stage) -> None:
    start_s = time.perf_counter()
    done = step(stage)
    taken_s = time.perf_counter() - start_s
    speed = f"{done.size / taken_s / 1e6:,.0f} MB/s" if done.size and done.size >= FAST_BYTES else ""
    say(f"{name:<13}  {taken_s:7.2f} s  {speed:>10}  {done.what}")
    if done.note is not None:
        say(f"{_INDENT}{done.note}")


def _make_bundle(stage: Stage) -> Done:
    with open(stage.path, "xb") as file:
        chunk = os.urandom(_CHUNK_BYTES)  # the same again and again: no step is faster for it
        for _ in range(BUNDLE_BYTES // _CHUNK_BYTES):
            file.write(chunk)
    return Done(f"{BUNDLE_BYTES:,} bytes", BUNDLE_BYTES)


def _make_keys(stage: Stage) -> Done:
    from ..keys import PrivateKey
    from ..params import MIN_RSA_BITS
    from ..trust import TrustStore

    stage.signer = PrivateKey.generate(MIN_RSA_BITS)
    stage.device = PrivateKey.generate(MIN_RSA_BITS)
    stage.trust = TrustStore.of(stage.signer.public_key)
    return Done(f"RSA-{MIN_RSA_BITS}: one signs, one is the device's")


def _seal(stage: Stage) -> Done:
    import capseal

    stage.seal = capseal.seal(
        stage.path,
        stage.sealed,
        signer=stage.signer,
        recipients=[stage.device.public_key],
        app=APP,
        version="1.0.0",
    )
    size = stage.seal.statement.content.size
    return Done(f"{size:,} bytes, encrypted, hashed and signed", size)


def _verify(stage: Stage) -> Done:
    import capseal

    verified = capseal.verify(stage.sealed, trust=stage.trust)
    return Done("every byte checked, with no secret", verified.statement.payload.size)


def _tamper(stage: Stage) -> Done:
    import capseal

    from ..params import SEGMENT_BYTES

    segments = len(stage.seal.index) // 32
    segment = segments // 2
    size = stage.seal.statement.payload.size
    offset = (segment * SEGMENT_BYTES + min((segment + 1) * SEGMENT_BYTES, size)) // 2
    _flip_bit(stage, offset)
    try:
        capseal.verify(stage.sealed, trust=stage.trust)
    except TamperedError as error:
        if error.segment != segment:
            raise DemoFailedError(f"segment {segment} was altered, segment {error.segment} was blamed") from error
        _flip_bit(stage, offset)
        return Done(f"payload byte {offset:,} altered: verify REJECTED it and said", note=str(error))
    raise DemoFailedError(f"segment {segment} was altered, and the bundle was accepted")


def _unseal(stage: Stage) -> Done:
    import capseal

    verified = capseal.unseal(stage.sealed, stage.opened, identity=stage.device, trust=stage.trust)
    return Done("bit restored, checked and decrypted", verified.statement.content.size)


def _compare(stage: Stage) -> Done:
    from ..source import open_source

    original, opened = open_source(stage.path, folders=True), open_source(stage.opened)
    try:
        ours, theirs = memoryview(bytearray(_CHUNK_BYTES)), memoryview(bytearray(_CHUNK_BYTES))
        position = 0
        while True:
            count = original.read_into(position, ours)
            if opened.read_into(position, theirs) != count or ours[:count] != theirs[:count]:
                raise DemoFailedError(f"what was unsealed differs from the original after byte {position}")
            position += count
            if count < _CHUNK_BYTES:
                return Done("identical to the original", position)
    finally:
        original.close()
        opened.close()


STEPS: tuple[tuple[str, Callable[[Stage], Done]], ...] = (
    ("make keys", _make_keys),
    ("seal", _seal),
    ("verify", _verify),
    ("flip one bit", _tamper),
    ("unseal", _unseal),
    ("compare", _compare),
)


def _flip_bit(stage: Stage, payload_offset: int) -> None:
    with open(stage.sealed, "r+b") as file:
        file.seek(len(stage.seal.encode()) + payload_offset)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def _size_of(path: str) -> int:
    os.stat(path)  # raises what is wrong with it
    size = progress.size_of(path)
    if size is None:
        raise UsageError(f"{path}: neither a file nor a folder")
    return size


def _roomy_folder(size: int) -> str:
    """Return a folder for temporary files with that many bytes free. Raises OSError."""
    # Memory first, where it has room to spare: the demo shows what capseal costs, not what the disk does.
    rooms = {"/dev/shm": 2 * size, tempfile.gettempdir(): size, "/var/tmp": size, os.getcwd(): size}  # noqa: S108
    for folder, wanted in rooms.items():
        if os.access(folder, os.W_OK | os.X_OK) and shutil.disk_usage(folder).free >= wanted:
            return folder
    raise OSError(errno.ENOSPC, f"No room for {size:,} bytes", ", ".join(rooms))


COMMANDS = {"demo": demo}
