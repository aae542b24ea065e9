"""What the tests of the device share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from capseal import PrivateKey
from support.device_course import course as course
from support.device_course import saved_world as saved_world
from support.device_world import World, make_world, quick_folder
from support.hostile_scene import own_world as own_world
from support.hostile_scene import scene as scene


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, signer: PrivateKey, recipient: PrivateKey) -> World:
    return make_world(tmp_path_factory.mktemp("world"), signer, recipient)


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    with quick_folder(tmp_path) as folder:
        yield folder
