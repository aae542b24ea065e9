"""Performs store operations in child processes that may be killed, or may see I/O errors, at any step.

Run as `device_worker.py WORLD`, usually under strace. For each line of JSON on standard input
{"root", "steps", "counted", "call", "skip", "kill_after_us"} it forks a child that performs the steps, and answers
with its process id and wait status. strace counts the calls of each thread: the child first makes `skip`
calls of kind `call` that fail, so that one strace with a fixed count can stop children anywhere. Where calls are
`counted`, one thread makes all those that change the disk, in the order in which two would make them.
"""

import ctypes
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from capseal import CapsealError, load_trust
from capseal.device import DeviceStore
from support.device_world import HEADS_TRUST, OTHER_TRUST, World, load_world
from support.forking import import_rooms
from support.local_release import serve_from

DONE, REJECTED, OS_ERROR, UNEXPECTED = 0, 1, 3, 99

_NOWHERE = "/nonexistent/x"
_NO_FILE = 1 << 20
_LIBC = ctypes.CDLL(None, use_errno=True)
_FAILING: dict[str, Callable[[], object]] = {
    "openat": lambda: os.open(_NOWHERE, os.O_RDONLY),
    "write": lambda: os.write(_NO_FILE, b"x"),
    "pwrite64": lambda: os.pwrite(_NO_FILE, b"x", 0),
    "fsync": lambda: os.fsync(_NO_FILE),
    "syncfs": lambda: _syncfs(_NO_FILE),
    "rename": lambda: os.rename(_NOWHERE, _NOWHERE),
    "renameat": lambda: os.rename("x", "x", src_dir_fd=_NO_FILE, dst_dir_fd=_NO_FILE),
    "mkdir": lambda: os.mkdir(_NOWHERE),
    "mkdirat": lambda: os.mkdir("x", dir_fd=_NO_FILE),
    "unlink": lambda: os.unlink(_NOWHERE),
    "unlinkat": lambda: os.unlink("x", dir_fd=_NO_FILE),
    "rmdir": lambda: os.rmdir(_NOWHERE),
    "fchmod": lambda: os.fchmod(_NO_FILE, 0o700),
}


def _syncfs(fd: int) -> None:
    if _LIBC.syncfs(fd):
        raise OSError(ctypes.get_errno(), "syncfs")


def with_trust(world: World, store: DeviceStore, trust: str) -> DeviceStore:
    """Return the same device, whose app was built with another trust store. trust: name of its file."""
    return world.store(Path(store._disk.root), trust=load_trust(world.folder / trust))


def perform(store: DeviceStore, world: World, step: str) -> None:
    """Do one step: 'install 2', 'activate', 'boot', 'check' (a boot with verification), 'confirm', ..."""
    name, _, argument = step.partition(" ")
    if name == "install":
        store.install(world.folder / f"{argument}.sealed")
    elif name == "stream":
        store.install(io.BytesIO((world.folder / f"{argument}.sealed").read_bytes()))
    elif name == "recipe":
        serve_from(world, int(argument))
        store.install("https://device.example")
    elif name == "head":
        with_trust(world, store, HEADS_TRUST).take_head(
            (world.folder / f"{argument}.head").read_bytes(),
            lambda digest: (world.folder / f"{digest}.recall").read_bytes(),
        )
    elif name == "distrust":
        with_trust(world, store, OTHER_TRUST).boot()
    elif name == "prune":
        store.prune(keep=int(argument))
    elif name == "check":
        store.boot(verify=True)
    else:
        getattr(store, name)()


def _make_files_in_the_main_thread() -> None:
    """Refuse the thread that makes files: what it would do is done at once, as where no thread can be started."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "capseal-files":
            raise RuntimeError("can't start new thread")
        start(thread)

    threading.Thread.start = refuse  # type: ignore[method-assign]


def run(world: World, root: str, steps: list[str], call: str | None, skip: int) -> int:
    store = world.store(Path(root))
    if call is not None:
        failing = _FAILING[call]
        for _ in range(skip):
            try:
                failing()
            except OSError:
                continue
    try:
        for step in steps:
            perform(store, world, step)
    except OSError:
        return OS_ERROR
    except CapsealError:
        return REJECTED
    except BaseException:  # noqa: BLE001 - whatever it is, the test must hear of it
        return UNEXPECTED
    return DONE


def main() -> None:
    import_rooms("archive", "crypto", "delta", "device", "io", "native")
    world = load_world(Path(sys.argv[1]))
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            if job.get("counted"):
                _make_files_in_the_main_thread()
            os._exit(run(world, job["root"], job["steps"], job.get("call"), job.get("skip", 0)))
        if job.get("kill_after_us") is not None:
            time.sleep(job["kill_after_us"] / 1e6)
            os.kill(pid, signal.SIGKILL)
        print(*os.waitpid(pid, 0), flush=True)


if __name__ == "__main__":
    main()
