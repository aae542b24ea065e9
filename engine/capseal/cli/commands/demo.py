"""capseal demo: the main job, step by step, with nothing prepared and nothing left behind."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from ...errors import UsageError
from ..framework import progress
from ..framework.arguments import argument
from ..framework.console import say

if TYPE_CHECKING:
    from ..demo.scene import Done, Scene

SPARE_BYTES = 64 * 1024 * 1024
FAST_BYTES = 1024 * 1024  # the speed of less says nothing

_INDENT = " " * 39


def demo(
    path: Annotated[str | None, argument("PATH", help="A file or folder; default: 256 MiB that it makes.")] = None,
) -> None:
    """Show the main job: make keys, seal, verify, tamper, unseal. Nothing is left behind."""
    # What the steps use is imported before the clock runs: a step's speed is the work's.
    from ... import device as _  # noqa: F401
    from ...bundle import seal, unseal  # noqa: F401
    from ..demo import bundle, device
    from ..demo.scene import Scene

    size = bundle.BUNDLE_BYTES if path is None else _size_of(path)
    with tempfile.TemporaryDirectory(prefix="capseal-demo-", dir=_roomy_folder(3 * size + SPARE_BYTES)) as folder:
        say(f"in {folder}, which is removed at the end")
        say(f"{'step':<13}  {'time':>9}  {'speed':>10}  result")
        scene = Scene(folder, path or os.path.join(folder, "bundle"))
        if path is None:
            _show("make a bundle", bundle.make_bundle, scene)
        for name, step in (*bundle.STEPS, *device.steps()):
            _show(name, step, scene)


def _show(name: str, step: "Callable[[Scene], Done]", scene: "Scene") -> None:
    start_s = time.perf_counter()
    done = step(scene)
    taken_s = time.perf_counter() - start_s
    speed = f"{done.size / taken_s / 1e6:,.0f} MB/s" if done.size and done.size >= FAST_BYTES else ""
    say(f"{name:<13}  {taken_s:7.2f} s  {speed:>10}  {done.what}")
    if done.note is not None:
        say(f"{_INDENT}{done.note}")


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
