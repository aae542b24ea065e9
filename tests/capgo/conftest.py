"""Devices that run the plugin's own code, for the tests of what they are answered."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from capseal import capgo
from support.capgo_devices import Device, DeviceOpener, Driver, compiled


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    folder = tmp_path_factory.mktemp("plugin")
    driver = Driver(compiled(folder), folder / "log")
    yield driver
    driver.close()


@pytest.fixture
def opened(driver: Driver, tmp_path: Path, capgo_key: capgo.PrivateKey) -> DeviceOpener:
    """Return opened(url, **settings) -> a device whose app has the public key."""
    numbers = count()

    def opened(url: str, **settings: Any) -> Device:
        root = tmp_path / f"device-{next(numbers)}"
        return Device.opened(driver, root, url, **{"key": capgo_key.public_key.pem.decode()} | settings)

    return opened
