"""The committed vectors: one file, one defect, one error class; the valid ones are read four ways."""

import hashlib
import io
import random
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest

import capseal
from capseal import Expect, PrivateKey, PublicKey, RejectedError, Role, TrustedKey, TrustStore, Verifier, errors
from capseal.bundle.companions import checked_index, read_index
from capseal.constants import SEGMENT_BYTES
from capseal.crypto.keys import load_private_key, load_public_key
from capseal.io.source import open_source
from support.places import VECTORS
from vectors import generate
from vectors.making import read

FOLDER = VECTORS
FILES = sorted(FOLDER.glob("*.txt"))


@cache
def _private_key(name: str) -> PrivateKey:
    return load_private_key(FOLDER / "keys" / f"{name}.pem")


class Vector:
    """A vector as its reader needs it."""

    def __init__(self, path: Path) -> None:
        self.header, data = read(path.read_text(encoding="ascii"))
        index, stored = map(int, self.header.get("beside", "0 0").split())
        end = len(data) - index - stored
        self.bundle, self.index, self.stored = data[:end], data[end : end + index], data[end + index :]
        self.expect = self.header["expect"]
        self.secret = self.header.get("stage") == "unseal"
        self.identity = _private_key(self.header["identity"])
        cut = int(self.header.get("seal-bytes", 0))
        self.seal = self.bundle[:cut] if cut else None
        self.stream = self.bundle[cut:]
        floor = self.header.get("floor")
        self.expected = Expect(
            app=self.header["app"],
            channel=self.header.get("channel"),
            floor=int(floor) if floor else None,
            role=Role(self.header.get("role", "production")),
            native=self.header.get("native"),
            platform=self.header.get("platform"),
        )

    def trust(self) -> TrustStore:
        keys = []
        for name in self.header["trust"].split():
            role, _, key = name.rpartition("/")
            keys.append(TrustedKey(load_public_key(FOLDER / "keys" / f"{key}.pub.pem"), Role(role or "production")))
        return TrustStore(tuple(keys), int(self.header.get("threshold", 1)))

    @property
    def keywords(self):
        return {"trust": self.trust(), "expect": self.expected, "seal": self.seal}

    def unseal(self, file=None) -> bytes:
        output = io.BytesIO()
        capseal.unseal(file or io.BytesIO(self.stream), output, identity=self.identity, **self.keywords)
        return output.getvalue()

    def feed(self, seed: int) -> bytes:
        verifier = Verifier(**self.keywords)
        rng = random.Random(seed)
        released, at = b"", 0
        while at < len(self.stream):
            size = rng.choice([1, 2, 7, 31, 1001, 4097, 131_071])
            released += verifier.feed(self.stream[at : at + size])
            at += size
        verifier.finish()
        return released

    def open(self):
        return capseal.open(io.BytesIO(self.stream), identity=self.identity, **self.keywords)


class Pipe(io.BytesIO):
    def seekable(self):
        return False


VALID = [path for path in FILES if path.name.startswith("valid-")]
WITH_BAD_COMPANION = [path for path in FILES if path.name.startswith("companion-")]
BAD = [path for path in FILES if path not in VALID and path not in WITH_BAD_COMPANION]
WITH_COMPANION = [path for path in FILES if "companion" in Vector(path).header]


def _name(path: Path) -> str:
    return path.stem


@pytest.fixture(params=VALID, ids=_name)
def valid(request):
    return Vector(request.param)


@pytest.fixture(params=BAD, ids=_name)
def bad(request):
    return Vector(request.param)


def test_the_generator_makes_the_committed_files_byte_for_byte():
    made = {f"{vector.name}.txt": vector.text() for vector in generate.vectors()}
    assert sorted(made) == [path.name for path in FILES]
    for path in FILES:
        assert made[path.name] == path.read_text(encoding="ascii"), path.name


def test_headers_are_complete_and_name_real_error_classes():
    total = 0
    for path in FILES:
        vector = Vector(path)
        total += path.stat().st_size
        assert vector.header["name"] == path.stem
        assert vector.header["about"]
        assert (vector.expect == "ok") == (path in VALID)
        if path not in VALID:
            assert issubclass(getattr(errors, vector.expect), errors.CapsealError)
    print(f"\n{len(VALID)} valid and {len(FILES) - len(VALID)} bad vectors, {total // 1024} KiB")
    assert total < 3 * 2**20


def test_a_valid_vector_is_unsealed(valid):
    for file in (io.BytesIO(valid.stream), Pipe(valid.stream)):
        content = valid.unseal(file)
        assert f"{len(content)} {hashlib.sha256(content).hexdigest()}" == valid.header["content"]


def test_a_valid_vector_is_opened_with_seeks(valid):
    content = valid.unseal()
    rng = random.Random(len(content))
    with valid.open() as file:
        for _ in range(20):
            start = rng.choice([0, rng.randrange(len(content) + 1), max(0, len(content) - 3)])
            size = rng.choice([0, 1, 100, SEGMENT_BYTES])
            assert file.seek(start) == start
            assert file.read(size) == content[start : start + size]


def test_a_valid_vector_is_verified_in_pieces_of_odd_sizes(valid):
    for seed in range(3):
        assert valid.feed(seed) == valid.stream


def test_a_valid_vector_encodes_to_the_bytes_it_was_read_from(valid):
    verified = capseal.verify(io.BytesIO(valid.stream), **valid.keywords)
    encoded = verified.seal.encode()
    assert encoded == (valid.bundle[: len(encoded)] if valid.seal is None else valid.seal)
    assert capseal.Envelope.parse(verified.seal.envelope.encode()) == verified.seal.envelope
    again = capseal.Statement.parse(verified.statement.encode())
    assert again == verified.statement


def test_a_bad_vector_gives_its_error_class_however_it_is_read(bad):
    expected = getattr(errors, bad.expect)
    for attempt in (bad.unseal, lambda: bad.unseal(Pipe(bad.stream)), lambda: _read_all(bad)):
        with pytest.raises(expected) as caught:
            attempt()
        assert type(caught.value) is expected
    without_secret = (
        lambda: capseal.verify(io.BytesIO(bad.stream), **bad.keywords),
        lambda: capseal.verify(Pipe(bad.stream), **bad.keywords),
        lambda: bad.feed(1),
    )
    for attempt in without_secret:
        if bad.secret:
            attempt()
            continue
        with pytest.raises(expected) as caught:
            attempt()
        assert type(caught.value) is expected


def _read_all(vector: Vector) -> bytes:
    with vector.open() as file:
        return file.read()


def test_a_bad_vector_releases_nothing_to_a_path(bad, tmp_path):
    with pytest.raises(errors.CapsealError):
        capseal.unseal(io.BytesIO(bad.stream), tmp_path / "out", identity=bad.identity, **bad.keywords)
    assert list(tmp_path.iterdir()) == []


def test_messages_are_one_line_without_full_stop_or_key_material(bad):
    with pytest.raises(errors.CapsealError) as caught:
        bad.unseal()
    message = str(caught.value)
    assert message
    assert "\n" not in message
    assert not message.endswith(".")
    assert message[0].islower() or message.startswith(("RSA", "PEM", "/"))
    assert len(message) < 400
    if isinstance(caught.value, RejectedError):
        assert not isinstance(caught.value, (KeyError, ValueError))


@pytest.mark.parametrize("path", WITH_COMPANION, ids=_name)
def test_a_companion_is_judged_by_itself(path, tmp_path):
    vector = Vector(path)
    verified = capseal.verify(io.BytesIO(vector.stream), **vector.keywords)
    assert vector.unseal()
    name = vector.header["companion"]
    [companion] = [one for one in verified.statement.companions if one.name == name]

    def check() -> None:
        index = read_index(companion, vector.index)
        with closing(open_source(io.BytesIO(vector.stored))) as source:
            assert checked_index(companion, source) == index

    def unseal(file: io.BytesIO) -> bytes:
        capseal.unseal_companion(
            file, tmp_path / "out", name=name, index=vector.index, verified=verified, identity=vector.identity
        )
        return (tmp_path / "out").read_bytes()

    if vector.expect == "ok":
        content = unseal(io.BytesIO(vector.stored))
        assert f"{len(content)} {hashlib.sha256(content).hexdigest()}" == vector.header["companion-content"]
        check()
        return
    expected = getattr(errors, vector.expect)
    if vector.secret:
        check()
    else:
        with pytest.raises(expected):
            check()
    for file in (io.BytesIO(vector.stored), Pipe(vector.stored)):
        with pytest.raises(expected) as caught:
            unseal(file)
        assert type(caught.value) is expected
    assert list(tmp_path.iterdir()) == []


def test_inspect_reads_every_valid_seal(valid):
    _, statement = capseal.inspect(io.BytesIO(valid.bundle))
    assert statement.app == valid.header["app"]


def test_the_weak_keys_are_weak():
    for name in ("weak-2048", "weak-exponent-3"):
        with pytest.raises(errors.KeyFileError):
            load_public_key(FOLDER / "keys" / f"{name}.pub.pem")
    assert isinstance(load_public_key(FOLDER / "keys" / "signer.pub.pem"), PublicKey)
