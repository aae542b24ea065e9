"""NIST CAVP vectors for SHA-256 (byte-oriented) through every kernel."""

import re

import cryptography_vectors
import numpy as np
import pytest

from capseal.native import hashing as _hashing

# 16, 4 and 1: every stage of every kernel gets the message, and all must give the same digest.
COPIES = 21


def read(name: str) -> str:
    with cryptography_vectors.open_vector_file(f"hashes/SHA2/{name}.rsp", "r") as file:
        return str(file.read())


def digest(message: bytes, out: np.ndarray) -> bytes:
    _hashing.digest_blocks(message * len(out), len(message), out)
    assert (out == out[0]).all()
    return out[0].tobytes()


@pytest.mark.parametrize(("name", "number"), [("SHA256ShortMsg", 65), ("SHA256LongMsg", 64)])
def test_cavp_messages(kernel: str, name: str, number: int) -> None:
    cases = re.findall(r"Len = (\d+)\s+Msg = (\w+)\s+MD = (\w{64})", read(name))
    assert len(cases) == number
    out = np.empty((COPIES, 32), np.uint8)
    for bits, message, expected in cases:
        assert digest(bytes.fromhex(message)[: int(bits) // 8], out).hex() == expected, bits


def test_cavp_monte_carlo(kernel: str) -> None:
    """SHAVS, section 6.4: each digest is taken of the three before it."""
    text = read("SHA256Monte")
    seed = bytes.fromhex(re.findall(r"Seed = (\w{64})", text)[0])
    checkpoints = re.findall(r"COUNT = (\d+)\s+MD = (\w{64})", text)
    assert [int(count) for count, _ in checkpoints] == list(range(100))
    out = np.empty((COPIES, 32), np.uint8)
    # The fallback has no lanes to get wrong, and takes its time.
    for _, expected in checkpoints[: 100 if kernel != _hashing.FALLBACK else 10]:
        last = [seed, seed, seed]
        for _ in range(1000):
            last = [last[1], last[2], digest(b"".join(last), out)]
        seed = last[2]
        assert seed.hex() == expected
