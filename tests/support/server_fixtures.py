"""Bundles to publish and servers to publish them on, for the tests of every room that needs a real wire."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capseal import PrivateKey, TrustStore, capgo
from support.capgo_pair import Pair, make_pair
from support.serving import Bundle, Live, live_server, make_bundle, some_bytes

BundleMaker = Callable[..., Bundle]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, signer: PrivateKey, recipient: PrivateKey) -> Bundle:
    """Sequence 7, 20 segments and a bit: two parts."""
    return make_bundle(tmp_path_factory.mktemp("bundle"), signer, recipient, content=some_bytes(20.3), sequence=7)


@pytest.fixture(scope="session")
def capgo_key() -> capgo.PrivateKey:
    """The key of the apps in the field that read Capgo's format."""
    return capgo.PrivateKey.generate()


@pytest.fixture(scope="session")
def pair(
    tmp_path_factory: pytest.TempPathFactory,
    capgo_key: capgo.PrivateKey,
    signer: PrivateKey,
    recipient: PrivateKey,
) -> Pair:
    """Sequence 7, version 1.0.7: 18 segments and a bit, two parts."""
    folder = tmp_path_factory.mktemp("pair")
    return make_pair(folder, capgo_key, signer, recipient, content=some_bytes(18.4), sequence=7)


@pytest.fixture
def sealed(tmp_path: Path, signer: PrivateKey, recipient: PrivateKey) -> BundleMaker:
    """Return sealed(sequence=..., content=..., **keywords of capseal.seal) -> Bundle."""

    def sealed(*, sequence: int, content: bytes = b"hello", by: PrivateKey = signer, **keywords: object) -> Bundle:
        return make_bundle(tmp_path, by, recipient, content=content, sequence=sequence, **keywords)

    return sealed


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder for a storage."""
    return tmp_path / "store"


@pytest.fixture
def live(store: Path, trust: TrustStore) -> Iterator[Live]:
    """A server with the defaults."""
    with live_server(str(store), trust) as live:
        yield live


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, trust: TrustStore, bundle: Bundle) -> Iterator[Live]:
    """A server that verifies reads and has published `bundle`; for tests that only read."""
    with live_server(str(tmp_path_factory.mktemp("store")), trust, verify_reads=True) as live:
        live.publish(bundle).raise_for_status()
        yield live
