"""capseal demo: the main job, step by step, with nothing prepared and nothing left behind."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

from ...errors import UsageError
from ..framework import progress
from ..framework.arguments import argument, without_json
from ..framework.console import say, write

if TYPE_CHECKING:
    from ..demo.memory import Touched
    from ..demo.scene import Done, Scene

SPARE_BYTES = 64 * 1024 * 1024
FAST_BYTES = 1024 * 1024  # the speed of less says nothing

TOUCH_S = 0.25
"""The bundle is as large as the memory handed out in this time, so that all of the demo takes under ten seconds."""

_INTRODUCTION = """\
what one update goes through, with keys made for it, in a few seconds:
  bundle  sealed for one device and signed, verified without a secret, refused
          once one bit of it is altered, opened again by the device's key
  device  installs v1, refuses an altered v2, gets over a v2 that crashes,
          refuses an old version, notices that v4 is kept from it"""
_INDENT = " " * 39


@without_json("it is to be watched, and leaves nothing")
def demo(
    path: Annotated[
        str | None, argument("PATH", help="A file or folder; default: up to 128 MiB that it makes.")
    ] = None,
) -> None:
    """Show the main job: make keys, seal, verify, tamper, unseal. Nothing is left behind."""
    # What the steps use is imported before the clock runs: a step's speed is the work's.
    from ... import device as _  # noqa: F401
    from ...bundle import seal, unseal  # noqa: F401
    from ..demo import bundle, device
    from ..demo.memory import touch
    from ..demo.scene import Scene

    start_s = time.perf_counter()
    size = bundle.BUNDLE_BYTES if path is None else _size_of(path)
    waited = []
    write(_INTRODUCTION)
    with tempfile.TemporaryDirectory(prefix="capseal-demo-", dir=_roomy_folder(3 * size + SPARE_BYTES)) as folder:
        say(f"in {folder}, which is removed at the end; {_hashing()}")
        say(f"{'step':<13}  {'time':>9}  {'speed':>10}  result")
        scene = Scene(folder, path or os.path.join(folder, "bundle"))
        if path is None:
            waited.append(touch(folder, size, within_s=TOUCH_S))
            size = waited[0].size
            _show("make a bundle", partial(bundle.make_bundle, size=size), scene)
            _tell_cold(waited)
        for name, step in (*bundle.STEPS, *device.steps()):
            if name in bundle.WRITING:
                waited.append(touch(folder, size))
            _show(name, step, scene)
            if name in bundle.WRITING:
                _tell_cold(waited)
    cold_s = sum(touched.first_s for touched in waited if touched.is_cold)
    say(
        f"done in {time.perf_counter() - start_s:.1f} s"
        + (f", {cold_s:.1f} s of it waiting for cold memory" if cold_s else "")
        + "; next: capseal init, in the folder of your app"
    )


def _hashing() -> str:
    """Say what hashes, and what would make it faster."""
    from ...native import hashing

    if hashing.kernels() != (hashing.FALLBACK,):
        return f"hashed by the kernel {hashing.kernel()}"
    return "hashed by hashlib, several times slower: built without a C compiler ('capseal doctor' says what to install)"


def _show(name: str, step: "Callable[[Scene], Done]", scene: "Scene") -> None:
    start_s = time.perf_counter()
    done = step(scene)
    taken_s = time.perf_counter() - start_s
    speed = f"{done.size / taken_s / 1e6:,.0f} MB/s" if done.size and done.size >= FAST_BYTES else ""
    say(f"{name:<13}  {taken_s:7.2f} s  {speed:>10}  {done.what}")
    if done.note is not None:
        say(f"{_INDENT}{done.note}")


def _tell_cold(waited: "list[Touched]") -> None:
    """Say once that memory was cold: the last of them was, and none before it."""
    if [touched for touched in waited if touched.is_cold] == waited[-1:]:
        say(f"{_INDENT}{waited[-1]}")


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
