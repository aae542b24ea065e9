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
    """SHAVS, section 6.4: each digest is taken of the three before it.

    A checkpoint is the seed of the next thousand, so all thousands go on side by side. In each step every one of them
    has another place among the blocks: 6 times 16, 4 and 1, the last one of which is the first once more.
    """
    text = read("SHA256Monte")
    seed = re.findall(r"Seed = (\w{64})", text)[0]
    checkpoints = re.findall(r"COUNT = (\d+)\s+MD = (\w{64})", text)
    assert [int(count) for count, _ in checkpoints] == list(range(100))
    digests = [np.frombuffer(bytes.fromhex(each), np.uint8) for each in (seed, *(md for _, md in checkpoints))]
    last = np.tile(np.stack(digests[:-1]), 3)
    out = np.empty((101, 32), np.uint8)
    for step in range(1000):
        blocks = np.roll(last, step, axis=0)
        _hashing.digest_blocks(np.concatenate([blocks, blocks[:1]]).reshape(-1), 96, out)
        assert (out[100] == out[0]).all()
        last = np.concatenate([last[:, 32:], np.roll(out[:100], -step, axis=0)], axis=1)
    assert (last[:, 64:] == np.stack(digests[1:])).all()
