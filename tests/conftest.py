"""Keys, trust stores and bundles in memory, for every test."""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

import capseal
from capseal import Expect, PrivateKey, Role, TrustedKey, TrustStore, capgo
from support.capgo_pair import Pair, make_pair
from support.command import Desk, lay_out
from support.device_course import course as course
from support.device_course import saved_world as saved_world
from support.device_world import World, make_world, quick_folder
from support.serving import Bundle, Live, live_server, make_bundle, some_bytes

APP = "com.example.game"
KEY_BITS = 3072  # the smallest that is allowed, for speed

SealBytes = Callable[..., bytes]
UnsealBytes = Callable[..., bytes]


def pytest_configure(config: pytest.Config) -> None:
    """Leave out the long runs, unless -m says what to run; and let a busy machine be slow."""
    hypothesis.settings.register_profile("capseal", deadline=None)
    hypothesis.settings.load_profile("capseal")
    if not config.option.markexpr:
        config.option.markexpr = "not soak"


def _key() -> PrivateKey:
    return PrivateKey.generate(KEY_BITS)


@pytest.fixture(scope="session")
def signer() -> PrivateKey:
    """A production key that `trust` trusts."""
    return _key()


@pytest.fixture(scope="session")
def signer2() -> PrivateKey:
    """A second production key, trusted by `trust_both` only."""
    return _key()


@pytest.fixture(scope="session")
def development_signer() -> PrivateKey:
    """A key that `development_trust` trusts for development."""
    return _key()


@pytest.fixture(scope="session")
def recipient() -> PrivateKey:
    """The key that bundles are sealed for."""
    return _key()


@pytest.fixture(scope="session")
def other_recipient() -> PrivateKey:
    """A key that bundles are not sealed for, unless a test says so."""
    return _key()


@pytest.fixture(scope="session")
def trust(signer: PrivateKey) -> TrustStore:
    """Trusts `signer`."""
    return TrustStore.of(signer.public_key)


@pytest.fixture(scope="session")
def trust_both(signer: PrivateKey, signer2: PrivateKey) -> TrustStore:
    """Demands both `signer` and `signer2`."""
    return TrustStore.of(signer.public_key, signer2.public_key, threshold=2)


@pytest.fixture(scope="session")
def development_trust(signer: PrivateKey, development_signer: PrivateKey) -> TrustStore:
    """What a development build trusts: `signer`, and `development_signer` in its role."""
    return TrustStore(
        (TrustedKey(signer.public_key), TrustedKey(development_signer.public_key, Role.DEVELOPMENT)),
    )


@pytest.fixture(scope="session")
def seal_bytes(signer: PrivateKey, recipient: PrivateKey) -> SealBytes:
    """Return seal_bytes(content, **keywords of capseal.seal) -> the attached bundle."""

    def seal_bytes(content: bytes, **keywords: Any) -> bytes:
        settings: dict[str, Any] = {
            "signer": signer,
            "recipients": [recipient.public_key],
            "app": APP,
            "version": "1.2.3",
            "sequence": 7,
            "name": "dist.zip",
            "jobs": 1,
        } | keywords
        output = io.BytesIO()
        capseal.seal(io.BytesIO(content), output, **settings)
        return output.getvalue()

    return seal_bytes


@pytest.fixture(scope="session")
def unseal_bytes(trust: TrustStore, recipient: PrivateKey) -> UnsealBytes:
    """Return unseal_bytes(bundle, **keywords of capseal.unseal) -> the content."""

    def unseal_bytes(bundle: bytes, **keywords: Any) -> bytes:
        settings: dict[str, Any] = {
            "identity": recipient,
            "trust": trust,
            "expect": Expect(app=APP),
            "jobs": 1,
        } | keywords
        output = io.BytesIO()
        capseal.unseal(io.BytesIO(bundle), output, **settings)
        return output.getvalue()

    return unseal_bytes


@pytest.fixture(scope="session")
def desk(
    tmp_path_factory: pytest.TempPathFactory,
    signer: PrivateKey,
    signer2: PrivateKey,
    recipient: PrivateKey,
    other_recipient: PrivateKey,
    seal_bytes: SealBytes,
) -> Desk:
    """Keys, a bundle of two segments and its sealed form as files, for the command line."""
    keys = {"signer": signer, "signer2": signer2, "device": recipient, "other": other_recipient}
    content = os.urandom(900_000)
    return lay_out(tmp_path_factory.mktemp("desk"), keys, content, seal_bytes(content))


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


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, signer: PrivateKey, recipient: PrivateKey) -> World:
    return make_world(tmp_path_factory.mktemp("world"), signer, recipient)


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    with quick_folder(tmp_path) as folder:
        yield folder
