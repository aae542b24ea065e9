"""What the tests of the kernels share."""

from collections.abc import Iterator

import pytest

from capseal.native import hashing


@pytest.fixture(params=hashing.kernels())
def kernel(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every kernel of this machine in turn, in use."""
    before = hashing.kernel()
    hashing.use(request.param)
    yield request.param
    hashing.use(before)
