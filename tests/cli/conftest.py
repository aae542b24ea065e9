"""What the tests of the command line share."""

import os
from collections.abc import Callable

import pytest

from capseal import PrivateKey
from support.command import Desk, lay_out
from support.zips import zip_of


@pytest.fixture(scope="session")
def desk(
    tmp_path_factory: pytest.TempPathFactory,
    signer: PrivateKey,
    signer2: PrivateKey,
    recipient: PrivateKey,
    other_recipient: PrivateKey,
    seal_bytes: Callable[[bytes], bytes],
) -> Desk:
    """Keys, a bundle of two segments and its sealed form as files, for the command line."""
    keys = {"signer": signer, "signer2": signer2, "device": recipient, "other": other_recipient}
    content = zip_of(("index.bin", os.urandom(900_000)))
    return lay_out(tmp_path_factory.mktemp("desk"), keys, content, seal_bytes(content))
