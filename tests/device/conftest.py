"""A publisher with bundles, for the device tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from device_course import course as course
from device_course import saved_world as saved_world
from device_world import World, make_world, quick_folder

from capseal import PrivateKey


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, signer: PrivateKey, recipient: PrivateKey) -> World:
    return make_world(tmp_path_factory.mktemp("world"), signer, recipient)


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    with quick_folder(tmp_path) as folder:
        yield folder
