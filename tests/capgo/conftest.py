"""Devices that run the plugin's own code, for the tests of what they are answered."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from capseal import TrustStore, capgo
from capseal.server import CapgoUpdates
from support.capgo_devices import Device, DeviceOpener, Driver, compiled
from support.serving import TOKEN, Live, live_server


@pytest.fixture
def verifies_reads() -> bool:
    """Whether the server of a test checks again what it sends; modules say otherwise."""
    return False


@pytest.fixture
def live(store: Path, trust: TrustStore, verifies_reads: bool) -> Iterator[Live]:
    """A server that answers Capgo's plugin; its client may publish and withdraw."""
    with live_server(str(store), trust, extensions=[CapgoUpdates()], token=TOKEN, verify_reads=verifies_reads) as live:
        live.client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield live


@pytest.fixture(scope="session")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], AbstractContextManager[Driver]]:
    """Return drivers() -> a process of its own for devices, until the block is left."""
    folder = tmp_path_factory.mktemp("plugin")
    command = compiled(folder)
    numbers = count()

    @contextmanager
    def started() -> Iterator[Driver]:
        driver = Driver(command, folder / f"log-{next(numbers)}")
        try:
            yield driver
        finally:
            driver.close()

    return started


@pytest.fixture(scope="session")
def driver(drivers: Callable[[], AbstractContextManager[Driver]]) -> Iterator[Driver]:
    with drivers() as driver:
        yield driver


@pytest.fixture
def opened(driver: Driver, tmp_path: Path, capgo_key: capgo.PrivateKey) -> DeviceOpener:
    """Return opened(url, **settings) -> a device whose app has the public key."""
    numbers = count()

    def opened(url: str, **settings: Any) -> Device:
        root = tmp_path / f"device-{next(numbers)}"
        return Device.opened(driver, root, url, **{"key": capgo_key.public_key.pem.decode()} | settings)

    return opened
