"""How a bundle comes in: authenticated once, whether it is a file, a pair of files or a stream."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import capseal
from capseal import TamperedError
from capseal.bundle.opened import OpenedBundle
from support.counted import count_authentications
from support.device_world import World, check_clean, sequence_of


class Pipe(io.RawIOBase):
    """A stream that cannot seek."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        return self._data.readinto(buffer)


def _path(path: Path) -> dict[str, Any]:
    return {"source": path}


def _open_file(path: Path) -> dict[str, Any]:
    return {"source": io.FileIO(path)}


def _stream(path: Path) -> dict[str, Any]:
    return {"source": Pipe(path.read_bytes())}


def _pair(path: Path) -> dict[str, Any]:
    pair = capseal.Detached(seal=path.with_suffix(".seal"), payload=path.with_suffix(".payload"))
    capseal.split(path, pair)
    return {"source": pair.payload, "seal": pair.seal}


def _streamed_pair(path: Path) -> dict[str, Any]:
    pair = _pair(path)
    return {"source": Pipe(pair["source"].read_bytes()), "seal": Pipe(pair["seal"].read_bytes())}


@pytest.mark.parametrize("way", [_path, _open_file, _pair, _stream, _streamed_pair])
def test_install_authenticates_the_seal_once(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Callable[[Path], dict[str, Any]]
) -> None:
    bundle = tmp_path / "bundle.sealed"
    bundle.write_bytes(world.sealed(1).read_bytes())
    arguments = way(bundle)
    source = arguments["source"]
    store = world.store(tmp_path / "store")
    with monkeypatch.context() as patched:
        counts = count_authentications(patched)
        store.install(**arguments)
        assert counts == dict.fromkeys(("Envelope.parse", "Statement.parse", "TrustStore.check", "PublicKey.verify"), 1)
    if isinstance(source, io.RawIOBase):
        assert not source.closed
        source.close()
    store.activate()
    assert sequence_of(store.boot(verify=True)) == 1
    check_clean(tmp_path / "store")


def test_a_change_after_the_check_that_hides_its_time_passes_no_segment(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bundle.sealed"
    path.write_bytes(world.sealed(1).read_bytes())
    check = OpenedBundle.check_payload

    def check_then_alter(opened: OpenedBundle, **keywords: Any) -> None:
        check(opened, **keywords)
        status = path.stat()
        with path.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)[0]
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last ^ 1]))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    monkeypatch.setattr(OpenedBundle, "check_payload", check_then_alter)
    with pytest.raises(TamperedError):
        world.store(tmp_path / "store").install(path)
    assert os.listdir(tmp_path / "store" / "bundles") == os.listdir(tmp_path / "store" / "staging") == []
