"""Keys, trust stores and bundles in memory, for every test. Fixtures of a room's own are in its folder."""

import io
from collections.abc import Callable, Generator
from typing import Any

import hypothesis
import pytest

import capseal
from capseal import Expect, PrivateKey, Role, TrustedKey, TrustStore
from support.compiled import skip_what_lacks_matching

pytest_plugins = ["support.server_fixtures"]

APP = "com.example.game"
KEY_BITS = 3072  # the smallest that is allowed, for speed

SealBytes = Callable[..., bytes]
UnsealBytes = Callable[..., bytes]


def pytest_configure(config: pytest.Config) -> None:
    """Leave out the long runs, unless -m says what to run; and let a busy machine be slow."""
    slow = [hypothesis.HealthCheck.too_slow]  # of making examples, which is by the clock, too
    hypothesis.settings.register_profile("capseal", deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("capseal")
    if not config.option.markexpr:
        config.option.markexpr = "not soak"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Skip what takes a C compiler where there was none."""
    report = yield
    skip_what_lacks_matching(item, report)
    return report


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
def roots() -> tuple[PrivateKey, PrivateKey, PrivateKey]:
    """Three keys that may be a store's root."""
    return _key(), _key(), _key()


@pytest.fixture(scope="session")
def head_signer() -> PrivateKey:
    """A key for heads of production."""
    return _key()


@pytest.fixture(scope="session")
def development_head_signer() -> PrivateKey:
    """A key for heads of development."""
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
            "unpackable": False,
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
