"""Updates of real pairs, end to end: both released to a live server, a device takes the second by its recipe."""

import contextlib
import filecmp
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

Record = dict[str, Any]

APP = "com.example.pair"


def run(name: str, old: str, new: str, folder: str) -> Record:
    """Return what an update took on the wire, and what the device says that it took.

    Ends the run where the installed files are not those of the new folder, or its payload not the released one.
    """
    import capseal
    from capseal.device import DeviceStore

    os.makedirs(os.path.join(folder, "builtin"))
    _capseal(folder, "init", "--app", APP)
    wire = digest = 0
    with _server(folder) as port, _Relay(port) as relay:
        device = DeviceStore(
            os.path.join(folder, "device"),
            trust=capseal.load_trust(os.path.join(folder, "keys", "trust.json")),
            identity=capseal.load_private_key(os.path.join(folder, "keys", "recipient.pem")),
            app=APP,
            builtin=os.path.join(folder, "builtin"),
        )
        for sequence, web in enumerate((old, new), 1):
            words = ["--version", str(sequence), "--sequence", str(sequence), "--allow-dirty", "--json", "--no-head"]
            words += ["--archive", "keys/archive.pem", "--server", f"http://127.0.0.1:{port}"]
            released = json.loads(_capseal(folder, "release", web, *words))
            digest = released["statement"]["payload"]["digest"]["fsverity-sha256"]
            before = relay.received_bytes
            device.install(f"http://127.0.0.1:{relay.port}")
            wire = relay.received_bytes - before
            device.activate()
            running = device.boot()
            device.confirm()
    download = next((one.download for one in device.status().confirmed if one.digest == digest), None)
    if download is None or _differ(new, running.path):
        raise SystemExit(f"{name}: what was installed is not what was released")
    return {
        "pair": name, "wire_bytes": wire, "payload_bytes": download.payload_bytes,
        "download_bytes": download.bytes, "saved_bytes": download.saved_bytes,
        "source": download.source, "digest": digest,
    }  # fmt: skip


def _differ(folder: str, other: str) -> bool:
    """Say whether two folders hold other files, or other bytes in them."""
    names, others = _names(folder), _names(other)
    return names != others or filecmp.cmpfiles(folder, other, names, shallow=False)[1:] != ([], [])


def _names(top: str) -> list[str]:
    return sorted(os.path.relpath(os.path.join(where, name), top) for where, _, names in os.walk(top) for name in names)


def _capseal(folder: str, *words: str) -> str:
    argv = [sys.executable, "-m", "capseal", *words]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"capseal {' '.join(words[:2])}: exit code {done.returncode}: {done.stderr[-400:]}")
    return done.stdout


@contextlib.contextmanager
def _server(folder: str) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [sys.executable, "-m", "capseal", "serve", "store", "--trust", "keys/trust.json", "--port", str(port)]
    with subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline_s = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < deadline_s:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()


class _Relay:
    """Passes connections on to a port of this machine until it is left. received_bytes: what came back from there."""

    def __init__(self, to: int) -> None:
        self.received_bytes = 0
        self._to = to
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]

    def __enter__(self) -> "_Relay":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._listening.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._to))
                threading.Thread(target=self._pass, args=(near, far, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(far, near, True), daemon=True).start()

    def _pass(self, from_: socket.socket, to: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := from_.recv(256 * 1024):
                if counted:
                    self.received_bytes += len(data)
                to.sendall(data)
        with contextlib.suppress(OSError):
            to.shutdown(socket.SHUT_WR)
