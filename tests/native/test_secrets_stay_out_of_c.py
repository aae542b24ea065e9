"""The compiled module is given ciphertext and digests, never a key (csrc/sha256/capseal_hash.h).

Of plaintext it is shown what one function looks at, by name: csrc/file/capseal_search.h; and csrc/match/ compares two
plaintexts where a recipe is made, and only there.
"""

import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import capseal
from capseal.archive import _private_keys
from capseal.bundle import reader
from capseal.crypto import segment_cipher as segments
from capseal.native import filehints as _pagecache
from capseal.native import hashing as _hashing
from capseal.native import search
from support.places import ROOT

CONTENT = hashlib.shake_128(b"content").digest(5 * 512 * 1024 + 777)
ENTRANCES = ("digest_blocks", "leaf_digests", "segment_digests")
FILE_ENTRANCE = "file_segment_digests"


class Spy:
    """Stands before every entrance of _hashing and keeps what was passed in, and what came out."""

    def __init__(self, monkeypatch):
        self.inputs: list[bytes] = []
        self.digests: set[bytes] = {bytes(32)}
        self.entered: set[str] = set()
        for name in ENTRANCES:
            monkeypatch.setattr(_hashing, name, self._guard(name, getattr(_hashing, name)))
        from_file = _hashing.file_segment_digests

        def guarded(fd, offset, size):
            self.entered.add(FILE_ENTRANCE)
            self.inputs.append(os.pread(fd, size, offset))
            return from_file(fd, offset, size)

        monkeypatch.setattr(_hashing, FILE_ENTRANCE, guarded)

    def _guard(self, name, function):
        def guarded(data, *arguments):
            self.entered.add(name)
            self.inputs.append(bytes(memoryview(data).cast("B")))
            result = function(data, *arguments)
            for digests in (result, *arguments):
                if isinstance(digests, bytes | bytearray):
                    self.digests |= {bytes(digests[i : i + 32]) for i in range(0, len(digests), 32)}
            return result

        return guarded

    def _are_digests(self, data: bytes) -> bool:
        return len(data) % 32 == 0 and {data[i : i + 32] for i in range(0, len(data), 32)} <= self.digests

    def _is_descriptor(self, data: bytes) -> bool:
        """Say whether it is a descriptor of fs-verity: versions, the payload's size, the root and zeros."""
        return len(data) == 256 and data[16:48] in self.digests and not any(data[48:])

    def check(self, payload: bytes) -> tuple[int, int]:
        """Return how many inputs were ciphertext and how many digests; anything else fails."""
        ciphertexts = digests = 0
        for data in self.inputs:
            if data in payload:
                ciphertexts += 1
            elif self._are_digests(data) or self._is_descriptor(data):
                digests += 1
            else:
                pytest.fail(f"{len(data)} bytes that are neither ciphertext nor digests went into _hashing")
        return ciphertexts, digests


def _public_functions():
    return {
        name
        for name, value in vars(_hashing).items()
        if callable(value) and getattr(value, "__module__", "") == _hashing.__name__ and not name.startswith("_")
    }


def test_every_entrance_that_takes_data_is_watched():
    takes_data = {name for name in _public_functions() if "data" in getattr(_hashing, name).__annotations__}
    assert takes_data == set(ENTRANCES)
    takes_file = {name for name in _public_functions() if "fd" in getattr(_hashing, name).__annotations__}
    assert takes_file == {FILE_ENTRANCE}


def test_no_key_and_no_plaintext_byte_crosses_into_c(monkeypatch, signer, recipient, trust):
    spy = Spy(monkeypatch)
    sealed = io.BytesIO()
    keys = []
    init = segments.SegmentCipher.__init__

    def remember(self, session_key, *rest):
        keys.append(session_key)
        init(self, session_key, *rest)

    monkeypatch.setattr(segments.SegmentCipher, "__init__", remember)
    seal = capseal.seal(
        io.BytesIO(CONTENT), sealed, signer=signer, recipients=[recipient.public_key], app="a", version="1", jobs=2
    )
    payload = sealed.getvalue()[len(seal.encode()) :]
    counts = [spy.check(payload)]

    def again():
        spy.inputs.clear()
        sealed.seek(0)
        return sealed

    output = io.BytesIO()
    capseal.unseal(again(), output, identity=recipient, trust=trust, jobs=2)
    assert output.getvalue() == CONTENT
    counts.append(spy.check(payload))
    capseal.verify(again(), trust=trust)
    counts.append(spy.check(payload))
    with reader.open(again(), identity=recipient, trust=trust) as file:
        assert file.read() == CONTENT
    counts.append(spy.check(payload))
    capseal.rewrap(
        again(), io.BytesIO(), identity=recipient, signer=signer, recipients=[recipient.public_key], trust=trust
    )
    counts.append(spy.check(payload))
    print(f"\ninputs of _hashing (ciphertext, digests) for seal, unseal, verify, open, rewrap: {counts}")
    assert all(ciphertexts > 0 for ciphertexts, _ in counts)
    assert len(set(keys)) == 1  # every verb used the one session key, and none of the inputs above held it
    assert not any(keys[0] in data or CONTENT[:64] in data for data in spy.inputs)


def test_no_plaintext_of_a_file_in_memory_crosses_into_c(monkeypatch, signer, recipient, trust):
    spy = Spy(monkeypatch)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        plain, sealed, out = (Path(folder, name) for name in ("plain", "sealed", "out"))
        plain.write_bytes(CONTENT)
        seal = capseal.seal(plain, sealed, signer=signer, recipients=[recipient.public_key], app="a", version="1")
        capseal.verify(sealed, trust=trust, mapped=True)
        capseal.unseal(sealed, out, identity=recipient, trust=trust)
        assert out.read_bytes() == CONTENT
        assert spy.check(sealed.read_bytes()[len(seal.encode()) :])[0] > 0
        with sealed.open("rb") as file:
            assert (FILE_ENTRANCE in spy.entered) == _pagecache.is_in_memory(file.fileno())


def test_one_function_in_c_looks_at_plaintext(monkeypatch, tmp_path, signer, recipient, trust):
    """Of what is sealed as a folder the kernels see ciphertext, and search.contains() alone the files."""
    spy = Spy(monkeypatch)
    searched = []
    contains = search.contains
    monkeypatch.setattr(
        _private_keys, "contains", lambda data, word, *, rare: searched.append(word) or contains(data, word, rare=rare)
    )
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "index.html").write_bytes(CONTENT[:100_000])
    sealed = tmp_path / "sealed"
    seal = capseal.seal(
        tmp_path / "dist", sealed, signer=signer, recipients=[recipient.public_key], app="a", version="1"
    )
    assert spy.check(sealed.read_bytes()[len(seal.encode()) :])[0] > 0
    assert set(searched) == {_private_keys._TELLTALE}
    searched.clear()
    capseal.unseal(sealed, tmp_path / "zip", identity=recipient, trust=trust)
    assert not searched  # whoever receives it looks for nothing


def test_the_spy_notices_plaintext(monkeypatch):
    spy = Spy(monkeypatch)
    _hashing.segment_digests(CONTENT)
    with pytest.raises(pytest.fail.Exception, match="neither ciphertext nor digests"):
        spy.check(b"ciphertext" * 1000)


def test_the_matcher_is_reached_where_a_recipe_is_made_and_nowhere_else():
    """By its own name in C, by one module in Python, and by what makes recipes, not by what applies them."""
    engine = ROOT / "engine" / "capseal"
    texts = {path.relative_to(engine).as_posix(): path.read_text() for path in engine.rglob("*.py")}
    assert {name for name, text in texts.items() if "capseal_match_" in text} == {"native/matching.py"}
    importing = {name for name, text in texts.items() if re.search(r"native(\.| import )matching", text)}
    # A command that releases asks whether it is there, and hands it nothing.
    asking = "cli/framework/bases.py"
    assert importing == {asking, "delta/_making.py", "delta/_planning.py", "delta/_plaintexts.py"}
    assert set(re.findall(r"\bmatching\.(\w+)", texts[asking])) == {"is_there", "MISSING"}
    applying = (
        "import capseal.delta as d, sys; d.apply_recipe; d.describe_recipe; d.open_base;"
        "print([name for name in sys.modules if name.endswith(('matching', '_making'))])"
    )
    done = subprocess.run([sys.executable, "-c", applying], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_function_in_c_that_takes_bytes_is_of_hashing_or_of_matching():
    """What is added under another name is noticed here."""
    headers = "".join(path.read_text() for path in (ROOT / "csrc").rglob("capseal_*.h"))
    taking = set(re.findall(r"(capseal_\w+)\([^;{)]*?const uint8_t \*", headers))
    assert {name for name in taking if not name.startswith(("capseal_sha256_", "capseal_match_"))} == {
        *("capseal_contains", "capseal_unmap", "capseal_write_files"),  # looks for a word; only hand on
        "capseal_send_checked",  # of a server: hashes ciphertext, and sends it
        "capseal_put_directory_of",  # reads the headers of a zip that is rebuilt, and goes past what is between them
    }
    matching = {path.name for path in (ROOT / "csrc").rglob("*.[ch]") if "capseal_match_" in path.read_text()}
    assert matching == {"capseal_match.h", "match.c"}
