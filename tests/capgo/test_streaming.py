"""encrypt(), decrypt() and verify() of Capgo's format: what comes back, what is refused, and what it costs."""

import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from capseal import FormatError, RejectedError, SignatureError, SourceChangedError, TamperedError, TruncatedError, capgo
from capseal.capgo import Bundle, ChecksumVersion, PrivateKey, SessionKey
from capseal.capgo._cbc import padding_bytes
from capseal.capgo._chunk_threads import CHUNK_BYTES, Chunk, ChunkBuffers, run_steps
from capseal.capgo._wire import sign_checksum
from support.measured import measured
from support.places import VECTORS
from support.tools import require_tool

V2, V3 = ChecksumVersion.V2, ChecksumVersion.V3
CAPGO = json.loads((VECTORS / "capgo.json").read_text())
SIZES = [0, 1, 15, 16, 17, 4096, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 5 * CHUNK_BYTES + 7]
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return capgo.load_private_key(CAPGO["private_key"].encode())


@pytest.fixture(scope="module")
def other() -> PrivateKey:
    return PrivateKey.generate()


def encrypted(content: bytes, key: PrivateKey) -> tuple[bytes, Bundle]:
    output = io.BytesIO()
    bundle = capgo.encrypt(io.BytesIO(content), output, key=key)
    return output.getvalue(), bundle


def decrypted(ciphertext: bytes, bundle: Bundle, key: PrivateKey, **keywords: Any) -> bytes:
    output = io.BytesIO()
    settings = {"session_key": bundle.session_key, "checksum": bundle.checksum_v3} | keywords
    capgo.decrypt(io.BytesIO(ciphertext), output, key=key.public_key, **settings)
    return output.getvalue()


@pytest.mark.parametrize("size", SIZES)
def test_decrypting_gives_back_what_was_encrypted(size: int, key: PrivateKey) -> None:
    content = os.urandom(size)
    ciphertext, bundle = encrypted(content, key)
    assert len(ciphertext) == size - size % 16 + 16
    assert (bundle.size, bundle.digest) == (size, sha256(content).digest())
    assert decrypted(ciphertext, bundle, key) == content
    assert decrypted(ciphertext, bundle, key, checksum=bundle.checksum_v2, checksum_version=V2) == content


@pytest.mark.parametrize("size", SIZES)
def test_openssl_decrypts_the_ciphertext(size: int, key: PrivateKey) -> None:
    openssl = require_tool("openssl")
    content = os.urandom(size)
    ciphertext, bundle = encrypted(content, key)
    session = SessionKey.recover(bundle.session_key, key.public_key)
    command = [openssl, "enc", "-d", "-aes-128-cbc", "-K", session.key.hex(), "-iv", session.iv.hex()]
    assert subprocess.run(command, input=ciphertext, capture_output=True, check=True).stdout == content


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_what_capgos_command_encrypted_is_read_and_written_alike(version: str, key: PrivateKey) -> None:
    made = CAPGO["bundles"][version]
    content = CAPGO["plaintext"].encode()
    output = io.BytesIO()
    size = capgo.decrypt(
        io.BytesIO(bytes.fromhex(made["ciphertext"])),
        output,
        key=key.public_key,
        session_key=made["session_key"],
        checksum=made["checksum"],
        checksum_version=ChecksumVersion(version),
    )
    assert (size, output.getvalue()) == (len(content), content)
    session = SessionKey.recover(made["session_key"], key.public_key)
    drawn = iter([session.iv, session.key])
    again = io.BytesIO()
    bundle = capgo.encrypt(io.BytesIO(content), again, key=key, entropy=lambda _: next(drawn))
    assert again.getvalue().hex() == made["ciphertext"]
    assert bundle.session_key == made["session_key"]
    assert bundle.checksum(ChecksumVersion(version)) == made["checksum"]


def test_v1_is_read_with_a_warning(key: PrivateKey) -> None:
    made = CAPGO["bundles"]["v1"]
    output = io.BytesIO()
    with pytest.warns(capgo.InsecureFormatWarning, match="vouches for nothing"):
        capgo.decrypt_v1(
            io.BytesIO(bytes.fromhex(made["ciphertext"])),
            output,
            key=key,
            session_key=made["session_key"],
            checksum=made["checksum"],
        )
    assert output.getvalue() == CAPGO["plaintext"].encode()


def test_v1_with_a_wrong_crc32_is_tampered(key: PrivateKey, tmp_path: Path) -> None:
    made = CAPGO["bundles"]["v1"]
    with pytest.warns(capgo.InsecureFormatWarning), pytest.raises(TamperedError, match=r"CRC32 is .*deadbeef"):
        capgo.decrypt_v1(
            io.BytesIO(bytes.fromhex(made["ciphertext"])),
            tmp_path / "out",
            key=key,
            session_key=made["session_key"],
            checksum="deadbeef",
        )
    assert os.listdir(tmp_path) == []


def test_every_encryption_has_its_own_key_and_iv(key: PrivateKey) -> None:
    texts = {encrypted(b"same", key)[1].session_key for _ in range(3)}
    assert len(texts) == len({text.split(":")[0] for text in texts}) == 3


Spoil = Callable[[bytes, Bundle, PrivateKey, PrivateKey], tuple[bytes, dict[str, Any]]]
CONTENT = bytes(range(256)) * 5000  # more than one chunk

# name -> what is spoilt, the error, what it says
SPOILT: dict[str, tuple[Spoil, type[RejectedError], str]] = {
    "wrong key": (
        lambda c, b, k, o: (c, {"key": o.public_key}),
        SignatureError,
        "not made with the private key",
    ),
    "session key by another key": (
        lambda c, b, k, o: (c, {"session_key": SessionKey.generate().sign(o)}),
        SignatureError,
        "session key: not made with",
    ),
    "another session key": (
        lambda c, b, k, o: (c, {"session_key": SessionKey(iv=bytes(16), key=bytes(16)).sign(k)}),
        TamperedError,
        "no padding|SHA-256 is",
    ),
    "another IV": (
        lambda c, b, k, o: (c, {"session_key": "A" * 22 + "==" + b.session_key[24:]}),
        TamperedError,
        "SHA-256 is",
    ),
    "empty": (lambda c, b, k, o: (b"", {}), TruncatedError, "0 bytes, expected at least 16"),
    "cut inside a block": (lambda c, b, k, o: (c[:-1], {}), TruncatedError, "multiple of 16"),
    "bytes added": (lambda c, b, k, o: (c + b"x", {}), TruncatedError, "multiple of 16"),
    "cut between blocks": (lambda c, b, k, o: (c[:-16], {}), TamperedError, "last block has no padding"),
    "cut between chunks": (lambda c, b, k, o: (c[:CHUNK_BYTES], {}), TamperedError, "last block has no padding"),
    "bad padding": (
        lambda c, b, k, o: (c[:-17] + bytes([c[-17] ^ 0xFF]) + c[-16:], {}),
        TamperedError,
        f"byte {len(CONTENT)}: the last block has no padding",
    ),
    "one bit in the middle": (
        lambda c, b, k, o: (c[:4096] + bytes([c[4096] ^ 1]) + c[4097:], {}),
        TamperedError,
        "SHA-256 is",
    ),
    "checksum of something else": (
        lambda c, b, k, o: (c, {"checksum": sign_checksum(bytes(32), k, V3)}),
        TamperedError,
        "the checksum says 0000",
    ),
    "checksum by another key": (
        lambda c, b, k, o: (c, {"checksum": sign_checksum(b.digest, o, V3)}),
        SignatureError,
        "checksum: not made with",
    ),
    "v2 checksum where v3 is expected": (
        lambda c, b, k, o: (c, {"checksum": b.checksum_v2}),
        FormatError,
        "base64 as v2, expected hex as v3",
    ),
    "v3 checksum where v2 is expected": (
        lambda c, b, k, o: (c, {"checksum_version": V2}),
        FormatError,
        "hex as v3, expected base64 as v2",
    ),
    "plain checksum": (
        lambda c, b, k, o: (c, {"checksum": b.digest.hex()}),
        FormatError,
        "a SHA-256 that nobody signed",
    ),
}


@pytest.fixture(scope="module")
def whole(key: PrivateKey) -> tuple[bytes, Bundle]:
    return encrypted(CONTENT, key)


@pytest.mark.parametrize("streamed", [False, True], ids=["file", "pipe"])
@pytest.mark.parametrize("name", SPOILT)
def test_spoilt_bundle_is_refused_and_leaves_no_file(
    name: str, streamed: bool, whole: tuple[bytes, Bundle], key: PrivateKey, other: PrivateKey, tmp_path: Path
) -> None:
    spoil, error, message = SPOILT[name]
    ciphertext, changes = spoil(*whole, key, other)
    settings: dict[str, Any] = {
        "key": key.public_key,
        "session_key": whole[1].session_key,
        "checksum": whole[1].checksum_v3,
    } | changes
    (tmp_path / "in").write_bytes(ciphertext)
    threads = threading.active_count()
    with open(tmp_path / "in", "rb", buffering=0) as file:
        source = Pipe(file) if streamed else tmp_path / "in"
        with pytest.raises(error, match=message):
            capgo.decrypt(source, tmp_path / "out", **settings)
        file.seek(0)
        with pytest.raises(error, match=message):
            capgo.verify(source, **settings)
    assert os.listdir(tmp_path) == ["in"]
    assert threading.active_count() == threads


@pytest.mark.parametrize("at", [0, 4, 31])
def test_a_checksum_is_compared_to_its_last_byte(at: int, whole: tuple[bytes, Bundle], key: PrivateKey) -> None:
    ciphertext, bundle = whole
    digest = bytearray(bundle.digest)
    digest[at] ^= 1
    with pytest.raises(TamperedError, match="SHA-256 is"):
        decrypted(ciphertext, bundle, key, checksum=sign_checksum(bytes(digest), key, V3))


@pytest.mark.parametrize("count", range(1, 17))
def test_padding_is_so_many_times_its_own_length(count: int) -> None:
    good = bytes(16 - count) + bytes([count]) * count
    assert padding_bytes(memoryview(good), 32) == count
    for position in range(16 - count, 16):
        bad = bytearray(good)
        bad[position] ^= 0x40
        with pytest.raises(TamperedError, match="byte 16: the last block has no padding"):
            padding_bytes(memoryview(bad), 32)


@pytest.mark.parametrize("last", [0, 17, 255])
def test_padding_has_1_to_16_bytes(last: int) -> None:
    with pytest.raises(TamperedError):
        padding_bytes(memoryview(bytes([last]) * 16), 16)


class Pipe(io.RawIOBase):
    """A file that cannot seek, and gives a few bytes at a time."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        with memoryview(buffer).cast("B") as view:
            count: int = self._file.readinto(view[:65521])
            return count


def test_pipes_are_read_and_written(key: PrivateKey) -> None:
    content = os.urandom(3 * CHUNK_BYTES)
    output = io.BytesIO()
    bundle = capgo.encrypt(Pipe(io.BytesIO(content)), output, key=key)  # type: ignore[arg-type]
    assert decrypted(output.getvalue(), bundle, key) == content
    capgo.verify(
        Pipe(io.BytesIO(output.getvalue())),  # type: ignore[arg-type]
        key=key.public_key,
        session_key=bundle.session_key,
        checksum=bundle.checksum_v3,
    )


def test_folder_is_encrypted_as_a_zip(tmp_path: Path, key: PrivateKey) -> None:
    (tmp_path / "dist" / "js").mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text("<h1>hello</h1>")
    (tmp_path / "dist" / "js" / "app.js").write_text("alert(1)")
    bundle = capgo.encrypt(tmp_path / "dist", tmp_path / "out", key=key, deflate=True)
    plain = decrypted((tmp_path / "out").read_bytes(), bundle, key)
    with zipfile.ZipFile(io.BytesIO(plain)) as archive:
        assert archive.testzip() is None
        assert archive.read("js/app.js") == b"alert(1)"


def test_existing_output_is_kept_unless_told_otherwise(tmp_path: Path, key: PrivateKey) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FileExistsError):
        capgo.encrypt(io.BytesIO(b"x"), tmp_path / "out", key=key)
    assert (tmp_path / "out").read_text() == "mine"
    capgo.encrypt(io.BytesIO(b"x"), tmp_path / "out", key=key, overwrite=True)
    assert (tmp_path / "out").stat().st_size == 16


def test_file_that_shrinks_while_it_is_read_leaves_no_output(tmp_path: Path, key: PrivateKey) -> None:
    path = tmp_path / "in"
    path.write_bytes(bytes(8 * CHUNK_BYTES))

    def shrink(_: int) -> None:
        os.truncate(path, CHUNK_BYTES)

    with pytest.raises(SourceChangedError):
        capgo.encrypt(path, tmp_path / "out", key=key, progress=shrink)
    assert os.listdir(tmp_path) == ["in"]


def test_progress_adds_up_to_the_input(key: PrivateKey) -> None:
    done: list[int] = []
    output = io.BytesIO()
    size = 2 * CHUNK_BYTES + 5
    bundle = capgo.encrypt(io.BytesIO(bytes(size)), output, key=key, progress=done.append)
    assert (sum(done), len(done)) == (size, 3)
    done.clear()
    decrypted(output.getvalue(), bundle, key, progress=done.append)
    assert sum(done) == len(output.getvalue())


class BrokenError(Exception):
    """What the steps below fail with."""


def endless(buffers: ChunkBuffers, _: Chunk) -> Chunk:
    return Chunk(buffers.source[:1], 1, False)


def on(_: ChunkBuffers, chunk: Chunk) -> Chunk:
    return chunk


def broken(*_: object) -> Any:
    raise BrokenError


@pytest.mark.parametrize("steps", [(broken, on, on), (endless, broken, on), (endless, on, broken)], ids=["1", "2", "3"])
def test_error_of_any_step_stops_all_and_is_raised_here(steps: Any) -> None:
    threads = threading.active_count()
    with pytest.raises(BrokenError):
        run_steps(*steps)
    assert threading.active_count() == threads


def test_steps_run_on_threads_of_their_own_in_order() -> None:
    sent = iter(range(100))
    seen: list[int] = []
    names = set()

    def first(buffers: ChunkBuffers, _: Chunk) -> Chunk:
        names.add(threading.current_thread().name)
        number = next(sent)
        buffers.source[0] = number
        return Chunk(buffers.source[:1], 1, number == 99)

    def second(buffers: ChunkBuffers, chunk: Chunk) -> Chunk:
        names.add(threading.current_thread().name)
        buffers.result[0] = chunk.data[0] + 1
        return Chunk(buffers.result[:1], 1, chunk.last)

    def third(_: ChunkBuffers, chunk: Chunk) -> Chunk:
        names.add(threading.current_thread().name)
        seen.append(chunk.data[0])
        return chunk

    run_steps(first, second, third)
    assert seen == list(range(1, 101))
    assert len(names) == 3


PEAK = """
import os, sys
from capseal import capgo
key = capgo.load_private_key(sys.argv[1])
bundle = capgo.encrypt(sys.argv[2], "/dev/null", key=key)
print(bundle.size)
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path, key: PrivateKey) -> None:
    key.save(tmp_path)
    (tmp_path / "script.py").write_text(PEAK)
    with open(tmp_path / "in", "wb") as file:
        os.truncate(file.fileno(), 128 * MIB)
    script = [str(tmp_path / name) for name in ("script.py", ".capgo_key_v2", "in")]
    _, interpreter = measured([sys.executable, "-c", "pass"])
    _, used = measured([sys.executable, *script])
    assert used - interpreter <= 64 * MIB


@pytest.mark.soak
def test_5_gib_are_encrypted_verified_and_decrypted(tmp_path: Path, key: PrivateKey) -> None:
    size = 5 * 1024 * MIB + 3
    with open(tmp_path / "in", "wb") as file:
        os.truncate(file.fileno(), size)
        os.pwrite(file.fileno(), b"end", size - 3)
    bundle = capgo.encrypt(tmp_path / "in", tmp_path / "out", key=key)
    assert (tmp_path / "out").stat().st_size == size - size % 16 + 16
    settings: dict[str, Any] = {"key": key.public_key, "session_key": bundle.session_key}
    assert capgo.verify(tmp_path / "out", checksum=bundle.checksum_v3, **settings) == size
    assert capgo.decrypt(tmp_path / "out", tmp_path / "back", checksum=bundle.checksum_v3, **settings) == size
    with open(tmp_path / "back", "rb") as file:
        assert os.pread(file.fileno(), 6, size - 6) == b"\0\0\0end"
        assert os.pread(file.fileno(), 1 << 20, 2**32 - 5) == bytes(1 << 20)
