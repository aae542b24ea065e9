"""A device that takes its updates straight from a server."""

import io
import zipfile
from pathlib import Path

import pytest

import capseal
from capseal import DeviceStore, NotForUsError, PrivateKey, RollbackError, TamperedError, TransferError, TrustStore
from support.serving import APP, CHANNEL, Live


def _zip(text: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("index.html", text)
        archive.writestr("asset.bin", bytes(3_000_000))
    return data.getvalue()


@pytest.fixture
def device(tmp_path: Path, trust: TrustStore, recipient: PrivateKey) -> DeviceStore:
    builtin = tmp_path / "builtin"
    builtin.mkdir()
    return DeviceStore(tmp_path / "device", trust=trust, identity=recipient, app=APP, channel=CHANNEL, builtin=builtin)


def test_a_device_installs_the_latest_release_of_a_server(live: Live, sealed, device: DeviceStore) -> None:
    for sequence in (1, 2):
        live.publish(sealed(sequence=sequence, content=_zip(f"release {sequence}"))).raise_for_status()
    seen = []
    assert device.install(live.url, progress=seen.append).sequence == 2
    device.activate()
    running = device.boot()
    assert (Path(running.path) / "index.html").read_text() == "release 2"
    assert sum(seen) > 3_000_000
    device.confirm()
    with pytest.raises(RollbackError):
        device.install(live.url)


def test_a_seal_beside_a_url_is_refused(live: Live, device: DeviceStore) -> None:
    with pytest.raises(capseal.UsageError, match="its own seal"):
        device.install(live.url, seal=b"seal")


def test_a_server_that_is_away_is_a_transfer_error_and_the_device_runs_on(device: DeviceStore) -> None:
    with pytest.raises(TransferError):
        device.install("http://127.0.0.1:9")
    assert device.boot().bundle is None


def test_a_release_altered_in_storage_is_rejected(live: Live, store: Path, sealed, device: DeviceStore) -> None:
    live.publish(sealed(sequence=1, content=_zip("release 1"))).raise_for_status()
    part = max((path for path in store.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    data = bytearray(part.read_bytes())
    data[1_000_000] ^= 1
    part.write_bytes(data)
    with pytest.raises(TamperedError, match="segment 1 "):
        device.install(live.url)
    assert device.status().staged is None


def test_a_release_for_other_recipients_is_refused(
    live: Live, sealed, tmp_path: Path, trust: TrustStore, other_recipient: PrivateKey
) -> None:
    live.publish(sealed(sequence=1, content=_zip("release 1"))).raise_for_status()
    device = DeviceStore(tmp_path / "other", trust=trust, identity=other_recipient, app=APP, builtin=tmp_path)
    with pytest.raises(NotForUsError):
        device.install(live.url)
