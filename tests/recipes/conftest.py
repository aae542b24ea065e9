"""An update of a folder, sealed with its recipes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.updates import Update, make_update


@pytest.fixture
def update(tmp_path: Path, signer: Any, recipient: Any) -> Callable[..., Update]:
    """Return what makes an update: an old folder and a new one, and the new one sealed."""

    def make(**keywords: Any) -> Update:
        return make_update(tmp_path, signer, recipient, **keywords)

    return make
