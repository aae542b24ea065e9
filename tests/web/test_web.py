"""The JavaScript reader: its own tests, in Node and in Chromium, its types, and that it says what capseal says."""

import io
import json
import os
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

import capseal
from capseal import PrivateKey, Role, TrustedCertificate, TrustedKey, TrustStore
from capseal.trust.certificates import Chain, make_certificate
from capseal.trust.signers import CertifiedSigner
from capseal.trust.store import load_trust
from fuzz.corpus import Case, Reader, vectors
from fuzz.running import Disagreement
from fuzz.webs import check_web_bundle
from support.places import VECTORS
from support.tools import require_tool
from support.web_reader import WEB, environment, told_by, told_in, web_reader
from vectors.making import read

SealBytes = Callable[..., bytes]
BUDGET_BYTES = 14 * 1024
STORE_BUDGET_BYTES = 35 * 1024
"""Of the reader and the device store together, which is what a boot page loads."""


def _run(*command: str, timeout_s: int = 280, **told: str) -> str:
    done = subprocess.run(command, cwd=WEB, env=environment() | told, capture_output=True, text=True, timeout=timeout_s)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed() -> None:
    """What web/package-lock.json names, in web/node_modules; without the registry a skip, but in CI a failure."""
    require_tool("node")
    held = WEB / "node_modules" / ".package-lock.json"
    if held.exists() and held.stat().st_mtime >= (WEB / "package-lock.json").stat().st_mtime:
        return
    command = [require_tool("npm"), "ci", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, timeout=280)
    if done.returncode != 0:
        message = f"npm ci: {done.stderr[-500:]}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", sorted(path.name for path in (WEB / "test").glob("*.test.js")))
def test_the_javascript_tests_pass(name: str) -> None:
    counted = re.findall(r"^# (pass|skipped) ([0-9]+)$", _run(require_tool("node"), "--test", f"test/{name}"), re.M)
    passed, skipped = (int(number) for _, number in counted)
    assert passed, "a run without tests has passed nothing"
    if skipped:
        pytest.skip("no chromium")


@pytest.mark.soak
@pytest.mark.usefixtures("installed")
def test_a_page_ends_at_every_call_of_the_browsers_storage() -> None:
    """The short form, in the test above, ends one at every ninth."""
    said = _run(require_tool("node"), "--test", "test/browser-store.test.js", CAPSEAL_SOAK="1")
    assert re.search(r"^# pass 3$", said, re.M)


@pytest.mark.usefixtures("installed")
def test_the_types_are_right_and_declarations_come_of_them(tmp_path: Path) -> None:
    compiler = str(WEB / "node_modules" / ".bin" / "tsc")
    _run(compiler, "-p", ".", "--outDir", str(tmp_path))
    declared = (tmp_path / "reader.d.ts").read_text()
    assert "AsyncGenerator<Bytes, Verified>" in declared
    app = tmp_path / "app.mts"
    app.write_text(
        f'import {{ verify, TamperedError }} from "{tmp_path}/index.js";\n'
        "const { statement } = await verify('https://a.test/b', { trust: '', expect: { floor: 1 } });\n"
        "const size: number = statement.content.size; export { size };\n"
        "export const where = (error: TamperedError): number | null => error.segment;\n"
    )
    options = (
        "--strict",
        "--noEmit",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--lib",
        "es2022,dom",
        "--types",
        "",
    )
    _run(compiler, "--ignoreConfig", *options, str(app))


@pytest.mark.usefixtures("installed")
def test_the_reader_is_small_enough_for_a_page() -> None:
    entries = json.loads(_run(require_tool("node"), "bench/size.js"))["entries"]
    assert 0 < entries["."]["gzipped"] <= BUDGET_BYTES
    assert entries["."]["gzipped"] < entries["./store"]["gzipped"] <= STORE_BUDGET_BYTES
    assert entries["./confirm"]["gzipped"] <= 6 * 1024, "each bundle carries it"


def test_no_module_of_the_reader_is_long_and_none_needs_a_library() -> None:
    modules = sorted((WEB / "src").rglob("*.js"))
    assert len(modules) > 40
    for module in modules:
        text = module.read_text()
        assert text.startswith("/**"), f"{module.name} does not say what it is for"
        assert len(text.splitlines()) <= 300, module.name
        needed = re.findall(r' from "([^"]+)"', text)
        assert not [name for name in needed if not name.startswith(("./", "../"))], module.name
    assert "dependencies" not in json.loads((WEB / "package.json").read_text())


def test_the_package_has_the_version_of_the_python_package() -> None:
    assert json.loads((WEB / "package.json").read_text())["version"] == capseal.__version__


def test_each_vector_is_refused_with_the_class_and_at_the_place_that_capseal_names() -> None:
    refused = 0
    for case in vectors():
        try:
            check_web_bundle(case)
        except capseal.CapsealError:
            refused += 1
    assert refused > 150 and len(vectors()) - refused > 30


def test_a_javascript_reader_that_judges_otherwise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this, a comparison that always agrees would pass as well."""
    hello, altered = (Case(_bundle(name), Reader(vectors=True)) for name in ("valid-hello", "payload-altered"))
    real = web_reader()
    answers = {
        "accepts": {"ok": {"content": "0"}},
        "refuses": {"error": {"name": "FormatError", "ours": True, "message": ""}},
    }

    class Lying:
        def __init__(self, answer: str) -> None:
            self.answer = answers[answer]

        def ask(self, kind: str, **asked: object) -> dict[str, object]:
            return self.answer

    for case, answer in ((hello, "accepts"), (hello, "refuses"), (altered, "accepts"), (altered, "refuses")):
        monkeypatch.setattr("fuzz.webs.web_reader", lambda answer=answer: Lying(answer))
        with pytest.raises(Disagreement):
            check_web_bundle(case)
    monkeypatch.setattr("fuzz.webs.web_reader", lambda: real)
    check_web_bundle(hello)


def _bundle(name: str) -> bytes:
    return read((VECTORS / f"{name}.txt").read_text(encoding="ascii"))[1]


def _stores(signer: PrivateKey, other: PrivateKey) -> dict[str, str]:
    both = (TrustedKey(signer.public_key), TrustedKey(other.public_key, Role.DEVELOPMENT))
    chain = make_certificate(other, name="Other")
    stores = {
        "one key": TrustStore.of(signer.public_key),
        "two keys, threshold 2": TrustStore.of(signer.public_key, other.public_key, threshold=2),
        "both roles": TrustStore(both, version=7),
        "a certificate besides": TrustStore(both[:1], certificates=(TrustedCertificate(chain.certificates[0]),)),
    }
    return {name: store.to_json().decode() for name, store in stores.items()}


def test_trust_stores_that_capseal_writes_are_read_alike(
    signer: PrivateKey, signer2: PrivateKey, tmp_path: Path
) -> None:
    for number, (name, text) in enumerate(_stores(signer, signer2).items()):
        path = tmp_path / f"{number}.json"
        path.write_text(text)
        store = load_trust(path)
        keys = [{"fingerprint": trusted.key.fingerprint, "role": trusted.role.value} for trusted in store.keys]
        assert web_reader().ask("trust", trust=text) == {"ok": {"threshold": store.threshold, "keys": keys}}, name


def test_keys_are_known_by_the_same_fingerprint_in_every_spelling(signer: PrivateKey) -> None:
    pkcs1 = signer.rsa.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    for pem in (signer.pem().decode(), pkcs1):
        assert web_reader().ask("identity", identity=pem) == {"ok": signer.public_key.fingerprint}
    for pem in (signer.public_key.pem, signer.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)):
        [key] = web_reader().ask("trust", trust=pem.decode())["ok"]["keys"]
        assert key == {"fingerprint": signer.public_key.fingerprint, "role": "production"}


@pytest.mark.parametrize("salt", [None, padding.PSS.DIGEST_LENGTH], ids=["pkcs1", "pss"])
@pytest.mark.parametrize("hash_", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda one: one.name)
def test_certificates_that_prove_themselves_do_no_harm(
    seal_bytes: SealBytes, signer: PrivateKey, signer2: PrivateKey, hash_: hashes.SHA256, salt: object
) -> None:
    chain = Chain(
        (_certificate("Ada", signer, signer2, hash_, salt), _certificate("Root", signer2, signer2, hash_, salt))
    )
    bundle = seal_bytes(b"content", signer=CertifiedSigner(signer, chain))
    trust = TrustStore.of(signer.public_key)
    capseal.verify(io.BytesIO(bundle), trust=trust)
    assert web_reader().ask("bundle", bundle=bundle, trust=trust.to_value())["ok"]["app"] == "com.example.game"
    short = seal_bytes(b"content", signer=CertifiedSigner(signer, Chain(chain.certificates[:1])))
    with pytest.raises(capseal.SignatureError) as refused:
        capseal.verify(io.BytesIO(short), trust=trust)
    assert told_in(web_reader().ask("bundle", bundle=short, trust=trust.to_value())) == told_by(refused.value)


def _certificate(
    name: str, holder: PrivateKey, issuer: PrivateKey, hash_: hashes.SHA256, salt: object
) -> x509.Certificate:
    """Return a certificate by "Root"; salt: of RSA-PSS, or None for PKCS#1."""
    subject, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (name, "Root"))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(by, subject, holder.rsa.public_key(), 7, start, start + timedelta(days=9999))
    scheme = None if salt is None else padding.PSS(padding.MGF1(hash_), salt)
    return builder.sign(issuer.rsa, hash_, rsa_padding=scheme)
